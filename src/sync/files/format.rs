//! How the rows of a batch are written down.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::{csv, error::ArrowError, json};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;

use crate::diag::Failure;
use crate::sync::cell;

/// How the rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON object per line; nulls are written where the sync does not leave them out.
    #[default]
    Ndjson,
    /// Comma-separated with a header; null is the empty field, nested values are JSON text.
    Csv,
    /// One row group, Snappy.
    Parquet,
}

impl Format {
    /// The format of that name in `warehouse.yaml`.
    pub fn named(name: &str) -> Result<Self, Failure> {
        match name {
            "ndjson" => Ok(Self::Ndjson),
            "csv" => Ok(Self::Csv),
            "parquet" => Ok(Self::Parquet),
            other => Err(Failure::project(
                "E601",
                "reading the format of a `files` connection",
                format!("`{other}` is no format"),
            )
            .help("write `format: ndjson`, `format: csv` or `format: parquet`")),
        }
    }

    /// The ending of its files.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// Writes a file of these rows; nulls are named in NDJSON where they are wanted.
    pub(super) fn write(self, out: &mut (dyn Write + Send), nulls: bool, rows: &RecordBatch) -> Result<(), ArrowError> {
        match self {
            Format::Ndjson => {
                let mut writer =
                    json::WriterBuilder::new().with_explicit_nulls(nulls).build::<_, json::writer::LineDelimited>(out);
                writer.write(rows).and_then(|()| writer.finish())
            }
            Format::Csv => {
                flat(rows).and_then(|rows| csv::WriterBuilder::new().with_header(true).build(out).write(&rows))
            }
            Format::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                ArrowWriter::try_new(out, rows.schema(), Some(properties))
                    .and_then(|mut writer| {
                        writer.write(rows)?;
                        writer.close()
                    })
                    .map(|_| ())
                    .map_err(ArrowError::from)
            }
        }
    }
}

/// CSV has no nested values: they become JSON text.
fn flat(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        if column.data_type().is_nested() {
            fields.push(Field::new(field.name(), DataType::Utf8, true));
            columns.push(Arc::new(cell::json_texts(column)?));
        } else {
            fields.push(field.as_ref().clone());
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
