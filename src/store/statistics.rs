//! How files are written, and which columns have statistics: the least and greatest values of personal columns reach
//! neither the log nor the footer of a file.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;
use deltalake::DeltaTable;

use super::failures::writing;
use super::stored_types::stored_schema;
use super::write::{Commit, TableSpec};
use crate::diag::Result;

/// Ids that many rows share.
const OF_MANY_ROWS: [&str; 4] = ["batch_id", "request_id", "run_id", "sync_run_id"];

/// Rows of a row group: bounds what a writer holds per open file.
const ROW_GROUP: usize = 262_144;
/// Delta gathers statistics on the first 32 columns where a table does not say which.
const STATISTICS: usize = 32;
/// So many entries of a log are put together in a checkpoint.
const ENTRIES: u64 = 20;
const CHECKPOINTS: &str = "delta.checkpointInterval";
const STATISTICS_COLUMNS: &str = "delta.dataSkippingStatsColumns";
const STATISTICS_COUNT: &str = "delta.dataSkippingNumIndexedCols";

/// How files are written: compressed, and without statistics on personal columns.
#[must_use]
pub fn writer_properties(spec: &TableSpec) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("cohorte ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
        .set_max_row_group_row_count(Some(ROW_GROUP));
    for field in stored_schema(&spec.schema).fields() {
        let is_personal = spec.personal.contains(field.name());
        for path in leaves(field, &[]) {
            if is_personal {
                builder = builder.set_column_statistics_enabled(ColumnPath::new(path.clone()), EnabledStatistics::None);
            }
            // Hardly any value of these is there twice: to look for them in a dictionary takes time and saves nothing.
            if is_personal || (field.name().ends_with("_id") && !OF_MANY_ROWS.contains(&field.name().as_str())) {
                builder = builder.set_column_dictionary_enabled(ColumnPath::new(path), false);
            } else if matches!(field.data_type(), DataType::Timestamp(..)) {
                // Nor of moments; their differences take fewer bits.
                builder = builder
                    .set_column_encoding(ColumnPath::new(path.clone()), Encoding::DELTA_BINARY_PACKED)
                    .set_column_dictionary_enabled(ColumnPath::new(path), false);
            }
        }
    }
    builder.build()
}

/// The paths of the Parquet columns that hold a column's values.
fn leaves(field: &Field, above: &[String]) -> Vec<Vec<String>> {
    let mut path = above.to_vec();
    path.push(field.name().clone());
    match field.data_type() {
        DataType::List(item) => {
            path.push("list".to_owned());
            leaves(item, &path)
        }
        DataType::Struct(fields) => fields.iter().flat_map(|field| leaves(field, &path)).collect(),
        _ => vec![path],
    }
}

/// The properties of a table: those that keep other writers, too, from gathering statistics on personal columns; and everyone from
/// those on decimals, which the log would hold as floats, so that rows could be skipped that are wanted. Whoever opens the table
/// reads no more than a few entries of its log.
pub(super) fn properties(spec: &TableSpec) -> BTreeMap<String, String> {
    let schema = stored_schema(&spec.schema);
    let exact = |field: &Arc<Field>| matches!(field.data_type(), DataType::Decimal128(..));
    let mut properties = BTreeMap::from([(CHECKPOINTS.to_owned(), ENTRIES.to_string())]);
    if spec.personal.is_empty() && !schema.fields().iter().any(exact) {
        return properties;
    }
    let columns: Vec<String> = open_columns(spec).iter().map(|column| quoted(column)).collect();
    if columns.is_empty() {
        properties.insert(STATISTICS_COUNT.to_owned(), "0".to_owned());
    } else {
        properties.insert(STATISTICS_COLUMNS.to_owned(), columns.join(","));
    }
    properties
}

/// The columns of which statistics are gathered.
pub(super) fn open_columns(spec: &TableSpec) -> Vec<String> {
    let open = |field: &&Arc<Field>| {
        !spec.personal.contains(field.name())
            && !spec.partition_by.contains(field.name())
            && !matches!(field.data_type(), DataType::Decimal128(..) | DataType::Binary)
            && !field.data_type().is_nested()
    };
    let schema = stored_schema(&spec.schema);
    schema.fields().iter().filter(open).take(STATISTICS).map(|field| field.name().clone()).collect()
}

fn quoted(column: &str) -> String {
    let plain = column.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && column.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if plain { column.to_owned() } else { format!("`{}`", column.replace('`', "``")) }
}

/// Brings the properties of a table up to date after its columns have changed. Our own files obey
/// [`writer_properties`] anyway, so there is no moment at which values leak.
pub(super) async fn mend_properties(spec: &TableSpec, table: DeltaTable, commit: &Commit) -> Result<DeltaTable> {
    let state = table.snapshot().map_err(|error| writing(&spec.name, &error))?;
    let now = state.metadata().configuration();
    let wanted: HashMap<String, String> =
        properties(spec).into_iter().filter(|(key, value)| now.get(key) != Some(value)).collect();
    if wanted.is_empty() {
        return Ok(table);
    }
    let commit = Commit { run: commit.run.clone(), transactions: Vec::new() };
    table
        .set_tbl_properties()
        .with_properties(wanted)
        .with_commit_properties(commit.properties())
        .await
        .map_err(|error| writing(&spec.name, &error))
}
