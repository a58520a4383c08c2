//! What the tests of this room share.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::prelude::SessionContext;
use tempfile::TempDir;

use super::write::columns;
use super::{TableSpec, Warehouse};

pub(crate) fn lake() -> (TempDir, Warehouse) {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = Warehouse::open("lake", folder.path(), "cdp").unwrap();
    (folder, warehouse)
}

pub(crate) fn people() -> TableSpec {
    TableSpec {
        name: "people".into(),
        schema: columns([("country", DataType::Utf8View), ("email", DataType::Utf8View), ("n", DataType::Int64)]),
        partition_by: vec!["country".into()],
        personal: vec!["email".into()],
        description: "People".into(),
    }
}

pub(crate) fn rows(list: &[(&str, &str, i64)]) -> RecordBatch {
    let text = |get: fn(&(&str, &str, i64)) -> String| -> ArrayRef {
        Arc::new(list.iter().map(|row| Some(get(row))).collect::<StringArray>())
    };
    RecordBatch::try_from_iter([
        ("n", Arc::new(list.iter().map(|row| row.2).collect::<Int64Array>()) as ArrayRef),
        ("email", text(|row| row.1.to_owned())),
        ("country", text(|row| row.0.to_owned())),
    ])
    .unwrap()
}

/// All rows of a table as text, sorted.
pub(crate) async fn read(warehouse: &Warehouse, name: &str, version: Option<u64>) -> Vec<String> {
    let provider = warehouse.provider(name, version).await.unwrap().expect("the table is there");
    let batches = SessionContext::new().read_table(provider).unwrap().collect().await.unwrap();
    let shown = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let mut lines: Vec<String> = shown
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(1)
        .map(|line| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" "))
        .collect();
    lines.sort();
    lines
}
