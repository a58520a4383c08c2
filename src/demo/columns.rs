//! Rows as Arrow columns, and how Parquet files of them are written. No file tells when it was written.

use std::fmt::Write;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::NaiveDate;
use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use datafusion::parquet::schema::types::ColumnPath;

use super::cells::{Cells, Column, Kind, Value};
use super::failure;
use super::rows::{Row, Source};
use crate::diag::Result;

/// Rows of a group of a small file: bounds its memory.
const ROWS_PER_SMALL_GROUP: usize = 131_072;
/// At most so many rows are in a group of a part.
pub(crate) const ROWS_PER_GROUP: usize = 1 << 20;

/// A column under construction.
#[derive(Debug)]
enum Builder {
    Text(StringBuilder),
    Time(TimestampMicrosecondBuilder),
    Day(Date32Builder),
    Euros(Decimal128Builder),
    Count(Int64Builder),
    Flag(BooleanBuilder),
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text | Kind::Serial => DataType::Utf8,
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Day => DataType::Date32,
        Kind::Euros => DataType::Decimal128(10, 2),
        Kind::Count => DataType::Int64,
        Kind::Flag => DataType::Boolean,
    }
}

impl Builder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text | Kind::Serial => Self::Text(StringBuilder::new()),
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::new().with_data_type(data_type(kind))),
            Kind::Day => Self::Day(Date32Builder::new()),
            Kind::Euros => Self::Euros(Decimal128Builder::new().with_data_type(data_type(kind))),
            Kind::Count => Self::Count(Int64Builder::new()),
            Kind::Flag => Self::Flag(BooleanBuilder::new()),
        }
    }

    /// A column takes the values of its own kind; both are said by the type of the cell.
    fn append(&mut self, value: Value) {
        match (self, value) {
            (Self::Text(builder), Value::Text(text)) => builder.append_value(text),
            (Self::Text(builder), Value::Serial(serial)) => {
                // Writing to memory cannot fail.
                let _ = write!(builder, "{serial}");
                builder.append_value("");
            }
            (Self::Time(builder), Value::Utc(time) | Value::Local(time)) => builder.append_value(time * 1_000_000),
            (Self::Day(builder), Value::Day(day)) => builder.append_value(days(day)),
            (Self::Euros(builder), Value::Cents(cents)) => builder.append_value(i128::from(cents)),
            (Self::Count(builder), Value::Count(count)) => builder.append_value(count),
            (Self::Flag(builder), Value::Flag(flag)) => builder.append_value(flag),
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Time(builder), _) => builder.append_null(),
            (Self::Day(builder), _) => builder.append_null(),
            (Self::Euros(builder), _) => builder.append_null(),
            (Self::Count(builder), _) => builder.append_null(),
            (Self::Flag(builder), _) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => ArrayBuilder::finish(builder),
            Self::Time(builder) => ArrayBuilder::finish(builder),
            Self::Day(builder) => ArrayBuilder::finish(builder),
            Self::Euros(builder) => ArrayBuilder::finish(builder),
            Self::Count(builder) => ArrayBuilder::finish(builder),
            Self::Flag(builder) => ArrayBuilder::finish(builder),
        }
    }
}

/// Days since the epoch.
fn days(day: NaiveDate) -> i32 {
    day.signed_duration_since(NaiveDate::default()).num_days() as i32
}

/// A Parquet file, and the rows that go to it next.
pub(crate) struct Table {
    pub(crate) source: Source,
    pub(crate) rows: u64,
    path: PathBuf,
    schema: SchemaRef,
    builders: Vec<Builder>,
    next: usize,
    waiting: usize,
    writer: ArrowWriter<File>,
}

impl Table {
    /// Part of a large source: quick to write and to read.
    pub(crate) fn create(path: PathBuf, source: Source) -> Result<Self> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROWS_PER_GROUP));
        for Column { name, kind, .. } in source.columns() {
            let path = ColumnPath::from(name);
            properties = match kind {
                Kind::Serial => properties.set_column_dictionary_enabled(path, false),
                Kind::Time => properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
                _ => properties,
            };
        }
        Self::with(path, source, properties)
    }

    /// The whole of a small source: as small as can be.
    pub(crate) fn create_small(path: PathBuf, source: Source) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(9).unwrap_or_default()))
            .set_max_row_group_row_count(Some(ROWS_PER_SMALL_GROUP));
        Self::with(path, source, properties)
    }

    fn with(path: PathBuf, source: Source, properties: WriterPropertiesBuilder) -> Result<Self> {
        let columns = source.columns();
        let field = |column: &Column| Field::new(column.name, data_type(column.kind), column.nullable);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let properties = properties.set_created_by("cohorte demo".to_owned()).build();
        let file = File::create(&path).map_err(|error| failure(&path, error))?;
        let writer =
            ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).map_err(|error| failure(&path, error))?;
        let builders = columns.iter().map(|column| Builder::new(column.kind)).collect();
        Ok(Self { source, rows: 0, path, schema, builders, next: 0, waiting: 0, writer })
    }

    /// Adds a row.
    pub(crate) fn put<R: Row>(&mut self, row: &R) {
        self.next = 0;
        row.put(R::SOURCE.name(), self);
        self.waiting += 1;
    }

    /// Writes the rows that were added since.
    pub(crate) fn write(&mut self) -> Result<()> {
        if self.waiting == 0 {
            return Ok(());
        }
        self.rows += std::mem::take(&mut self.waiting) as u64;
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| failure(&self.path, error))
            .and_then(|batch| self.writer.write(&batch).map_err(|error| failure(&self.path, error)))
    }

    /// Ends a group of rows.
    pub(crate) fn end_group(&mut self) -> Result<()> {
        self.write()?;
        self.writer.flush().map_err(|error| failure(&self.path, error))
    }

    /// Ends the file, and says how many rows are in it.
    pub(crate) fn close(mut self) -> Result<u64> {
        self.write()?;
        self.writer.close().map_err(|error| failure(&self.path, error))?;
        Ok(self.rows)
    }
}

impl Cells for Table {
    fn cell(&mut self, _: &'static str, value: Value) {
        if let Some(builder) = self.builders.get_mut(self.next) {
            builder.append(value);
        }
        self.next += 1;
    }
}
