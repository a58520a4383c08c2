//! The `files` destination: one file per batch in a local folder, for whoever picks files up.
//!
//! ```text
//! <path>/<object, else sync>/<batch id>.<added|updated|removed|cleared>.<ndjson|csv|parquet>
//! ```
//!
//! A file is written under a hidden name in the same folder, flushed to the disk and renamed, so that a reader sees a whole file or
//! none. The name is the batch's id, so a batch that is sent again overwrites its own file and `delivered` is a look at the folder.
//! Memory: the batch's rows and, for Parquet, one row group of the same size.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, new_null_array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::{csv, error::ArrowError, json};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use std::sync::Arc;

use super::cell;
use super::destination::{Batch, Destination, Operation, Outcome, Sent, Target};
use crate::diag::Failure;

/// The most rows of one file.
pub const MAX_ROWS: usize = 50_000;

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
}

/// A folder that batches are written to.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    format: Format,
}

impl Files {
    /// Writes under `path`, which the caller has made absolute.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, format: Format) -> Self {
        Self { path: path.into(), format }
    }

    /// The folder of one sync. An object's name may have folders in it, but may not lead out of `path`.
    fn folder(&self, target: &Target) -> Result<PathBuf, Failure> {
        let name = Path::new(target.object.as_deref().unwrap_or(&target.sync));
        if name.as_os_str().is_empty() || !name.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Failure::project(
                "E602",
                format!("preparing the files of the sync `{}`", target.sync),
                format!("the object `{}` is not a folder under the connection's path", name.display()),
            )
            .help("name a relative folder without `..`, such as `object: prospects`, or leave `object:` out"));
        }
        Ok(self.path.join(name))
    }

    /// Where the file of a batch goes.
    pub fn file(&self, target: &Target, batch: &Batch) -> Result<PathBuf, Failure> {
        Ok(self.folder(target)?.join(self.file_name(batch.operation, &batch.id)))
    }

    fn file_name(&self, operation: Operation, batch_id: &str) -> String {
        format!("{batch_id}.{}.{}", suffix(operation), self.format.extension())
    }
}

#[async_trait]
impl Destination for Files {
    async fn prepare(&mut self, target: &Target) -> Result<(), Failure> {
        let folder = self.folder(target)?;
        let made = folder.clone();
        on_disk(&folder, move || fs::create_dir_all(&made)).await
    }

    async fn send(&self, target: &Target, batch: &Batch) -> Result<Sent, Failure> {
        let folder = self.folder(target)?;
        let name = self.file_name(batch.operation, &batch.id);
        let rows =
            columns_sent(target, batch).map_err(|error| cannot_write(&folder, &io::Error::other(error.to_string())))?;
        let count = rows.num_rows();
        let format = self.format;
        let nulls = !target.omit_nulls || batch.operation == Operation::Clear;
        let (partial, whole) = (folder.join(format!(".{name}.partial")), folder.join(name));
        let written = on_disk(&folder, move || {
            let result = write(&partial, format, nulls, &rows).and_then(|()| fs::rename(&partial, &whole));
            if result.is_err() {
                // Best effort: a hidden leftover harms nobody and the next attempt overwrites it.
                let _ = fs::remove_file(&partial);
            }
            result
        });
        written.await?;
        let parent = folder.clone();
        let outcome = match on_disk(&folder, move || flush_folder(&parent)).await {
            Ok(()) => Outcome::Accepted { destination_id: None },
            // The file is there, but may not outlive a power cut.
            Err(failure) => Outcome::Unknown { code: "flush".to_owned(), message: failure.cause },
        };
        Ok(vec![outcome; count].into())
    }

    async fn delivered(&self, target: &Target, batch_id: &str) -> Result<Option<bool>, Failure> {
        let folder = self.folder(target)?;
        let names = [Operation::Add, Operation::Update, Operation::Remove, Operation::Clear]
            .map(|operation| folder.join(self.file_name(operation, batch_id)));
        on_disk(&folder, move || names.iter().try_fold(false, |found, name| Ok(found || name.try_exists()?)))
            .await
            .map(Some)
    }

    fn may_resend(&self, _: Operation) -> bool {
        true
    }

    fn max_rows(&self) -> usize {
        MAX_ROWS
    }
}

fn suffix(operation: Operation) -> &'static str {
    match operation {
        Operation::Add => "added",
        Operation::Update => "updated",
        Operation::Remove => "removed",
        Operation::Clear => "cleared",
    }
}

/// Removals carry the key; clears the key and the cleared fields, as nulls; the rest all fields.
fn columns_sent(target: &Target, batch: &Batch) -> Result<RecordBatch, ArrowError> {
    let keep = |name: &str| match batch.operation {
        Operation::Add | Operation::Update => true,
        Operation::Remove => target.key.iter().any(|key| key == name),
        Operation::Clear => target.key.iter().chain(&target.clear).any(|kept| kept == name),
    };
    let schema = batch.rows.schema();
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in schema.fields().iter().zip(batch.rows.columns()).filter(|(field, _)| keep(field.name())) {
        let cleared = batch.operation == Operation::Clear && !target.key.contains(field.name());
        fields.push(field.as_ref().clone().with_nullable(cleared || field.is_nullable()));
        columns.push(if cleared { new_null_array(column.data_type(), column.len()) } else { Arc::clone(column) });
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn write(path: &Path, format: Format, nulls: bool, rows: &RecordBatch) -> io::Result<()> {
    let file = File::create(path)?;
    let mut out = BufWriter::new(&file);
    let written = match format {
        Format::Ndjson => {
            let mut writer =
                json::WriterBuilder::new().with_explicit_nulls(nulls).build::<_, json::writer::LineDelimited>(&mut out);
            writer.write(rows).and_then(|()| writer.finish())
        }
        Format::Csv => flat(rows).and_then(|rows| {
            // The writer flushes when it is dropped, at the end of this statement.
            csv::WriterBuilder::new().with_header(true).build(&mut out).write(&rows)
        }),
        Format::Parquet => {
            let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
            ArrowWriter::try_new(&mut out, rows.schema(), Some(properties))
                .and_then(|mut writer| {
                    writer.write(rows)?;
                    writer.close()
                })
                .map(|_| ())
                .map_err(ArrowError::from)
        }
    };
    written.map_err(|error| io::Error::other(error.to_string()))?;
    out.flush()?;
    drop(out);
    file.sync_all()
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

/// Makes a rename survive a power cut. Only Unix can open a folder to flush it.
fn flush_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Runs a piece of blocking work beside the runtime.
async fn on_disk<T: Send + 'static>(
    folder: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| cannot_write(folder, &error)),
        Err(error) => Err(cannot_write(folder, &io::Error::other(error.to_string()))),
    }
}

fn cannot_write(folder: &Path, error: &io::Error) -> Failure {
    Failure::world("W601", format!("writing files to `{}`", folder.display()), error)
        .help("check that the connection's `path:` is a folder that this user may write to, and that the disk has room")
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
