//! Rows on their way: their columns written as the destination wants them, or rejected.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::expression::plain;
use super::model::Columns;
use super::outcome::Outcome;

/// A row that is delivered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// The columns of its key; exactly one alternative.
    pub key: Map<String, Json>,
    /// Its fields.
    pub fields: Map<String, Json>,
    /// The destination's id, where it is known.
    pub id: Option<String>,
    /// Names the row within its request.
    pub(super) trace_id: String,
}

impl Row {
    /// A row of which nothing is known but perhaps its id.
    #[must_use]
    pub fn of_id(id: Option<String>) -> Self {
        Self { id, ..Self::default() }
    }

    /// Lets expressions see it. Only what it is known by is copied.
    pub(super) fn scoped<T>(&mut self, see: impl FnOnce(&Json) -> T) -> T {
        let first = self.key.iter().next();
        let (key_name, key_value) =
            first.map_or((Json::Null, Json::Null), |(name, value)| (Json::from(name.as_str()), value.clone()));
        let own = [
            ("key", Json::Object(std::mem::take(&mut self.key))),
            ("fields", Json::Object(std::mem::take(&mut self.fields))),
            ("id", self.id.as_deref().map_or(Json::Null, Json::from)),
            ("key_name", key_name),
            ("key_value", key_value),
            ("trace_id", Json::String(std::mem::take(&mut self.trace_id))),
        ];
        let mut scope = Json::Object(own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        let seen = see(&scope);
        let mut back = |name: &str| scope.get_mut(name).map(Json::take);
        let columns = |back: Option<Json>| match back {
            Some(Json::Object(columns)) => columns,
            _ => Map::new(),
        };
        (self.key, self.fields) = (columns(back("key")), columns(back("fields")));
        if let Some(Json::String(trace_id)) = back("trace_id") {
            self.trace_id = trace_id;
        }
        seen
    }

    /// The name of the first column of its key.
    pub(super) fn key_name(&self) -> &str {
        self.key.keys().next().map_or("", String::as_str)
    }

    /// The value of the first column of its key, as text.
    pub(super) fn key_value(&self) -> Option<String> {
        self.key.values().next().cloned().and_then(plain)
    }
}

/// Writes every row as the destination wants it. One outcome per row that cannot be.
pub(super) fn normalise(columns: &Columns, rows: &mut [Row], leaves: bool) -> Vec<Option<Outcome>> {
    let mut seen = BTreeSet::new();
    let mut outcomes = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter_mut().enumerate() {
        row.trace_id = format!("r{index}");
        let outcome = one(columns, row, leaves).err();
        // A map of JSON values can be written.
        let key = serde_json::to_string(&row.key).unwrap_or_default();
        outcomes.push(match outcome {
            None if !seen.insert(key) => Some(Outcome::rejected(
                "duplicate_key",
                "another row of the request has the same key, as the destination writes it",
            )),
            outcome => outcome,
        });
    }
    outcomes
}

fn one(columns: &Columns, row: &mut Row, leaves: bool) -> Result<(), Outcome> {
    row.key.retain(|_, value| !value.is_null());
    if row.key.is_empty() {
        return Err(Outcome::rejected("no_key", "its key is null"));
    }
    for (name, value) in &mut row.key {
        let Some(column) = columns.keys.iter().flatten().find(|column| column.name == *name) else { continue };
        write(&column.normalise, value).map_err(|()| {
            Outcome::rejected("invalid_key", format!("its `{name}` cannot be written as the destination wants it"))
        })?;
    }
    if leaves {
        return Ok(());
    }
    for column in &columns.fields {
        let Some(value) = row.fields.get_mut(&column.name).filter(|value| !value.is_null()) else {
            if column.required {
                return Err(Outcome::rejected(
                    "missing_field",
                    format!("its `{}` is null, and the destination wants a value", column.name),
                ));
            }
            continue;
        };
        write(&column.normalise, value).map_err(|()| {
            Outcome::rejected(
                "invalid_field",
                format!("its `{}` cannot be written as the destination wants it", column.name),
            )
        })?;
        if let Some(most) = column.max_length
            && value.as_str().is_some_and(|text| text.chars().count() > most)
        {
            return Err(Outcome::rejected(
                "too_long",
                format!("its `{}` has more than {most} characters", column.name),
            ));
        }
    }
    Ok(())
}

/// Lists are written element by element, for identifiers of which a row has several.
fn write(normalisers: &[super::filters::Normaliser], value: &mut Json) -> Result<(), ()> {
    if normalisers.is_empty() {
        return Ok(());
    }
    if let Json::Array(items) = value {
        return items.iter_mut().try_for_each(|item| write(normalisers, item));
    }
    let mut text = plain(std::mem::take(value)).ok_or(())?;
    for normalise in normalisers {
        text = normalise(&text).ok_or(())?;
    }
    *value = Json::String(text);
    Ok(())
}
