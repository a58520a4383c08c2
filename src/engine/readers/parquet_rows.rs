//! Parquet with numbered rows: read in the order of the file, since a row's name is its place in it.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringViewBuilder, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::reader::{ChunkReader, Length};
use object_store::ObjectStoreExt;
use tokio::runtime::Handle;

use super::failures::unreadable;
use super::files::SourceFile;
use super::layout::{More, ROW};
use crate::diag::Result;

/// Reads the columns `wanted` of `full`; the last of `full` is the row's name.
pub(super) fn read(
    source: &str,
    file: &SourceFile,
    full: &SchemaRef,
    schema: &SchemaRef,
    wanted: &[usize],
    emit: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<More> {
    let broken = |error: &dyn std::fmt::Display| unreadable(source, &file.name, error);
    let builder = ParquetRecordBatchReaderBuilder::try_new(Ranges { file: file.clone(), handle: Handle::current() })
        .map_err(|error| broken(&error))?;
    let names: Vec<&str> = wanted.iter().map(|index| full.field(*index).name().as_str()).collect();
    let roots: Vec<usize> = (builder.schema().fields().iter().enumerate())
        .filter(|(_, field)| names.contains(&field.name().as_str()))
        .map(|(index, _)| index)
        .collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let batches = builder.with_projection(mask).build().map_err(|error| broken(&error))?;
    let mut number = 0;
    for batch in batches {
        let batch = batch.map_err(|error| broken(&error))?;
        let rows = batch.num_rows();
        let column = |name: &&str| -> Result<ArrayRef> {
            if *name == ROW {
                let mut builder = StringViewBuilder::with_capacity(rows);
                (1..=rows).for_each(|row| builder.append_value(format!("{}:{}", file.name, number + row)));
                return Ok(Arc::new(builder.finish()));
            }
            let field = schema.field_with_name(name).map_err(|error| broken(&error))?;
            match batch.column_by_name(name) {
                Some(column) => cast(column, field.data_type()).map_err(|error| broken(&error)),
                None => Ok(new_null_array(field.data_type(), rows)),
            }
        };
        let columns = names.iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options);
        number += rows;
        if !emit(batch.map_err(|error| broken(&error))?) {
            return Ok(More::No);
        }
    }
    Ok(More::Yes)
}

/// Parts of a file, wherever it is. Blocks.
struct Ranges {
    file: SourceFile,
    handle: Handle,
}

impl Ranges {
    fn fetch(&self, start: u64, length: u64) -> ParquetResult<Vec<u8>> {
        let end = (start + length).min(self.file.size);
        let found = self.handle.block_on(self.file.store.get_range(&self.file.path, start..end));
        Ok(found.map_err(|error| ParquetError::External(Box::new(error)))?.to_vec())
    }
}

impl Length for Ranges {
    fn len(&self) -> u64 {
        self.file.size
    }
}

impl ChunkReader for Ranges {
    type T = Stretch;

    fn get_read(&self, start: u64) -> ParquetResult<Stretch> {
        let ranges = Ranges { file: self.file.clone(), handle: self.handle.clone() };
        Ok(Stretch { ranges, next: start, chunk: Cursor::default() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<bytes::Bytes> {
        Ok(self.fetch(start, length as u64)?.into())
    }
}

/// Reads on from a place, a mebibyte at a time.
struct Stretch {
    ranges: Ranges,
    next: u64,
    chunk: Cursor<Vec<u8>>,
}

impl Read for Stretch {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.chunk.read(into)?;
        if length > 0 || into.is_empty() || self.next >= self.ranges.file.size {
            return Ok(length);
        }
        let chunk = self.ranges.fetch(self.next, 1 << 20).map_err(io::Error::other)?;
        self.next += chunk.len() as u64;
        self.chunk = Cursor::new(chunk);
        self.chunk.read(into)
    }
}
