//! Rows of query results as JSON objects, and their values as cells of a table.

use datafusion::arrow::json::WriterBuilder;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::arrow::record_batch::RecordBatch;
use serde_json::{Map, Value};

use super::count;
use crate::diag::{Failure, Result};

/// The longest cell that is shown to people, in characters.
const LONGEST: usize = 80;

/// The rows of a batch, each as an object in the order of its columns; nulls are there.
pub fn json_rows(batch: &RecordBatch) -> Result<Vec<Map<String, Value>>> {
    let failed = |error: &dyn std::fmt::Display| Failure::world("W001", "writing rows as JSON", error);
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(batch).and_then(|()| writer.finish()).map_err(|error| failed(&error))?;
    let bytes = writer.into_inner();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| failed(&error))).collect()
}

/// A value as people read it in a table. Long ones are cut, which `…` says.
#[must_use]
pub fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A figure as people read it: counts with their thousands apart, others as they are.
#[must_use]
pub fn figure(value: &Value) -> String {
    match value.as_u64() {
        Some(n) => count(n),
        None => cell(value),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringViewArray};
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_objects_with_their_nulls() {
        let text: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a\nb"), None]));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(12_345)]));
        let share: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN)]));
        let batch = RecordBatch::try_from_iter([("z", text), ("a", number), ("s", share)]).unwrap();
        let rows = json_rows(&batch).unwrap();
        let rows: Vec<String> = rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
        assert_eq!(rows, [r#"{"z":"a\nb","a":null,"s":0.5}"#, r#"{"z":null,"a":12345,"s":null}"#]);
    }

    #[test]
    fn cells_are_short_and_figures_have_their_thousands_apart() {
        assert_eq!(cell(&json!(["a", "b"])), "a, b");
        assert_eq!(cell(&json!("é".repeat(200))).chars().count(), 81);
        assert_eq!([figure(&json!(12_345)), figure(&json!(-1.5)), figure(&json!(null))], ["12,345", "-1.5", ""]);
    }
}
