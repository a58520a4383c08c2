//! The JSON Schema of the files, from the same types that read them, so that editors complete and check.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use super::connector::ConnectorFile;
use super::{ConsentSource, Entity, Event, EventSource, Purpose, Score, Segment, Source, Sync, Trait, WarehouseFile};
use crate::text::Section;

/// A file under `models/`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ModelFile {
    #[schemars(rename = "sources")]
    _sources: Option<Section<Source>>,
    #[schemars(rename = "events")]
    _events: Option<Section<EventForms>>,
    #[schemars(rename = "entities")]
    _entities: Option<Section<Entity>>,
    #[schemars(rename = "traits")]
    _traits: Option<Section<Trait>>,
    #[schemars(rename = "segments")]
    _segments: Option<Section<Segment>>,
    #[schemars(rename = "scores")]
    _scores: Option<Section<Score>>,
    #[schemars(rename = "purposes")]
    _purposes: Option<Section<Purpose>>,
    #[schemars(rename = "consents")]
    _consents: Option<Section<ConsentSource>>,
    #[schemars(rename = "syncs")]
    _syncs: Option<Section<Sync>>,
}

/// An event is a list of its sources, or a map with the list under `from`.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum EventForms {
    _List(Vec<EventSource>),
    _Map(Event),
}

/// `warehouse.yaml`, or a file under `models/`.
#[derive(JsonSchema)]
#[schemars(untagged, title = "Cohorte project file")]
enum ProjectFile {
    _Warehouse(Box<WarehouseFile>),
    _Models(Box<ModelFile>),
}

/// The JSON Schema (draft 2020-12) of every file of a project, pretty-printed.
#[must_use]
pub fn json_schema() -> String {
    printed::<ProjectFile>()
}

/// The JSON Schema (draft 2020-12) of a connector's file, pretty-printed.
#[must_use]
pub fn connector_json_schema() -> String {
    printed::<ConnectorFile>()
}

fn printed<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let mut value = schema.to_value();
    close(&mut value);
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

/// Unknown keys are errors: every object with fixed properties is closed.
fn close(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            if map.contains_key("properties") && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".into(), false.into());
            }
            map.values_mut().for_each(close);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{connector_json_schema, json_schema};

    #[test]
    fn the_schema_names_the_keys() {
        let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
        let text = schema.to_string();
        for key in ["belongs_to", "never_across", "half_life", "on_withdraw", "first_run", "max_change"] {
            assert!(text.contains(&format!("\"{key}\"")), "{key}");
        }
        let schema: serde_json::Value = serde_json::from_str(&connector_json_schema()).unwrap();
        let text = schema.to_string();
        for key in ["row_bytes", "on_miss", "by_trace_id", "needs_id", "throttle", "client_secret"] {
            assert!(text.contains(&format!("\"{key}\"")), "{key}");
        }
        assert_eq!(schema["title"], "Cohorte connector");
    }
}
