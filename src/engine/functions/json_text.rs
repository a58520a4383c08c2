//! `cohorte_json_text`: what `props ->> 'city'` gives, whether `props` is JSON text, a struct or a map.

use std::fmt;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, MapArray, StructArray, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::call::{Arguments, Function, Kind, Takes, Text, texts};

pub(super) fn functions() -> Vec<Function> {
    let takes = Takes::Exactly(&[Kind::Any, Kind::Text]);
    vec![Function::new("cohorte_json_text", takes, DataType::Utf8View, |arguments| {
        let key = arguments.text(1)?;
        match arguments.data_type(0) {
            DataType::Struct(_) => of_struct(arguments.column(0)?.as_struct(), key, arguments.rows),
            DataType::Map(..) => of_map(arguments.column(0)?.as_map(), key, arguments.rows),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => of_text(arguments, key),
            DataType::Null => Ok(new_null_array(&DataType::Utf8View, arguments.rows)),
            other => exec_err!("JSON text, a struct or a map was expected before ->>, {other} was given"),
        }
    })]
}

fn of_text(arguments: &Arguments<'_>, key: Text<'_>) -> Result<ArrayRef> {
    let json = arguments.text(0)?;
    Ok(texts(arguments.rows, |row| field_text(json.at(row)?, key.at(row)?)))
}

/// A struct's field as text; a struct within it can be reached with `->`, not with `->>`.
fn of_struct(column: &StructArray, key: Text<'_>, rows: usize) -> Result<ArrayRef> {
    let mut fields: Vec<(&str, ArrayRef)> = Vec::with_capacity(column.num_columns());
    for (name, values) in column.column_names().into_iter().zip(column.columns()) {
        let wanted = !matches!(key, Text::Constant(Some(key)) if key != name);
        if wanted && is_scalar(values.data_type()) {
            fields.push((name, cast(values, &DataType::Utf8View)?));
        }
    }
    Ok(texts(rows, |row| {
        let key = key.at(row)?;
        let (_, values) = fields.iter().find(|(name, _)| *name == key)?;
        (column.is_valid(row) && values.is_valid(row)).then(|| values.as_string_view().value(row))
    }))
}

fn of_map(column: &MapArray, key: Text<'_>, rows: usize) -> Result<ArrayRef> {
    if !is_scalar(column.values().data_type()) {
        return Ok(new_null_array(&DataType::Utf8View, rows));
    }
    let keys = cast(column.keys(), &DataType::Utf8View)?;
    let values = cast(column.values(), &DataType::Utf8View)?;
    let (keys, values) = (keys.as_string_view(), values.as_string_view());
    let offsets = column.value_offsets();
    Ok(texts(rows, |row| {
        let key = key.at(row)?;
        let (from, to) = (usize::try_from(offsets[row]).ok()?, usize::try_from(offsets[row + 1]).ok()?);
        let entry = (from..to).find(|entry| keys.value(*entry) == key)?;
        (column.is_valid(row) && values.is_valid(entry)).then(|| values.value(entry))
    }))
}

fn is_scalar(data_type: &DataType) -> bool {
    !data_type.is_nested() && !matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// The text of an object's field: a string as it is, null as none, anything else as JSON. None where the text is no
/// object or not JSON. Of several fields of one name the last counts.
fn field_text(json: &str, key: &str) -> Option<String> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let value = reader.deserialize_map(Field(key)).ok()?;
    reader.end().ok()?;
    match value? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// Keeps one field and skips the others, unparsed into values.
struct Field<'a>(&'a str);

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<serde_json::Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::functions::tests::row;

    #[test]
    fn fields_become_text() {
        let json = r#"{"city": "Li\u00e9ge", "n": 3, "x": 1.5, "b": true, "z": null, "o": {"a": [1, "é"]}, "n": 4}"#;
        let vectors = [
            ("city", Some("Liége")),
            ("n", Some("4")),
            ("x", Some("1.5")),
            ("b", Some("true")),
            ("z", None),
            ("o", Some(r#"{"a":[1,"é"]}"#)),
            ("absent", None),
        ];
        for (key, wanted) in vectors {
            assert_eq!(field_text(json, key).as_deref(), wanted, "{key}");
        }
        for broken in ["", "[1]", "\"x\"", "{\"city\": ", "{\"city\": 1} x", "{'city': 1}"] {
            assert_eq!(field_text(broken, "city"), None, "{broken}");
        }
    }

    #[tokio::test]
    async fn structs_maps_and_text_answer_alike() {
        let sql = "select cohorte_json_text('{\"city\": \"Lyon\"}', 'city'), \
                   cohorte_json_text(named_struct('city', 'Lyon', 'n', 3), 'n'), \
                   cohorte_json_text(named_struct('city', 'Lyon', 'n', 3), k), \
                   cohorte_json_text(named_struct('city', 'Lyon', 'n', 3), 'absent'), \
                   cohorte_json_text(map(['a', 'b'], [1, 2]), 'b'), cohorte_json_text(null, 'b'), \
                   cohorte_json_text('{', 'b'), cohorte_json_text(cohorte_json_text('{\"a\":{\"b\":1}}', 'a'), 'b') \
                   from (values ('city')) v(k)";
        assert_eq!(row(sql).await, ["Lyon", "3", "Lyon", "", "2", "", "", "1"]);
    }
}
