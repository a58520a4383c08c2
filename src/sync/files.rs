//! The `files` destination: one file per batch in a local folder or an object store, for whoever picks files up.
//!
//! ```text
//! <path>/<object, else sync>/<batch id>.<added|updated|removed|cleared>.<ndjson|csv|parquet>
//! ```
//!
//! A reader sees a whole file or none (`folder.rs`). The name is the batch's id, so a batch that is sent again overwrites its own file and `delivered` is a look at the folder.
//! Memory: the batch's rows and, for Parquet, one row group of the same size; in an object store the file once more.

mod folder;
mod format;

use std::path::{Component, Path};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, new_null_array};
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;

pub use self::folder::Folder;
pub use self::format::Format;
use super::destination::{Batch, Destination, Operation, Outcome, Sent, Target};
use crate::diag::Failure;

/// The most rows of one file.
pub const MAX_ROWS: usize = 50_000;

/// A place that batches are written to.
#[derive(Debug)]
pub struct Files {
    place: Folder,
    format: Format,
}

impl Files {
    /// Writes under `place`.
    #[must_use]
    pub fn new(place: Folder, format: Format) -> Self {
        Self { place, format }
    }
}

/// The folder of one sync below the connection's path. An object's name may have folders in it, but may not lead out.
fn folder(target: &Target) -> Result<&str, Failure> {
    let name = target.object.as_deref().unwrap_or(&target.sync);
    let is_below = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !is_below {
        return Err(Failure::project(
            "E602",
            format!("preparing the files of the sync `{}`", target.sync),
            format!("the object `{name}` is not a folder under the connection's path"),
        )
        .help("name a relative folder without `..`, such as `object: prospects`, or leave `object:` out"));
    }
    Ok(name)
}

/// Where the file of a batch goes, below the connection's path.
pub fn file_of(target: &Target, batch: &Batch, format: Format) -> Result<String, Failure> {
    Ok(format!("{}/{}", folder(target)?, file_name(batch.operation, &batch.id, format)))
}

fn file_name(operation: Operation, batch_id: &str, format: Format) -> String {
    format!("{batch_id}.{}.{}", suffix(operation), format.extension())
}

#[async_trait]
impl Destination for Files {
    async fn prepare(&mut self, target: &Target) -> Result<(), Failure> {
        self.place.prepare(folder(target)?).await
    }

    async fn send(&self, target: &Target, batch: &Batch) -> Result<Sent, Failure> {
        let folder = folder(target)?;
        let rows = columns_sent(target, batch).map_err(|error| self.place.cannot_write(folder, &error))?;
        let count = rows.num_rows();
        let (format, nulls) = (self.format, !target.omit_nulls || batch.operation == Operation::Clear);
        let name = file_name(batch.operation, &batch.id, format);
        let stays = self.place.put(folder, &name, move |out| format.write(out, nulls, &rows)).await?;
        let outcome = match stays {
            Ok(()) => Outcome::Accepted { destination_id: None },
            // It may not outlive a power cut, or the store's answer was lost: the next run looks whether it is there.
            Err(failure) => Outcome::Unknown { code: failure.code.to_owned(), message: failure.cause },
        };
        Ok(vec![outcome; count].into())
    }

    async fn delivered(&self, target: &Target, batch_id: &str) -> Result<Option<bool>, Failure> {
        let folder = folder(target)?;
        for operation in [Operation::Add, Operation::Update, Operation::Remove, Operation::Clear] {
            if self.place.has(folder, &file_name(operation, batch_id, self.format)).await? {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
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

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
