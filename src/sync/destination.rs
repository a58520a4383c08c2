//! The contract between the syncer and every destination: a batch of rows in, one outcome per row out.

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;

use crate::diag::Failure;

/// What is done with the rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// The destination does not have these rows from us.
    Add,
    /// It has them, with other values.
    Update,
    /// They left the audience or lost their consent, and go: delete.
    Remove,
    /// They left the audience: the cleared fields become null, the row stays.
    Clear,
}

/// What a destination must be ready for, known before the first batch of a run.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name of the sync; names files and tables where the project names none.
    pub sync: String,
    /// The object at the destination: a table (`schema.table` or `table`) or a folder; `None` where the destination has but one.
    pub object: Option<String>,
    /// The columns of the key, in order; all are columns of `schema`.
    pub key: Vec<String>,
    /// Every column that is sent.
    pub schema: SchemaRef,
    /// Fields that `Operation::Clear` sets to null.
    pub clear: Vec<String>,
    /// May rows be created? (`update` mode must not.)
    pub may_create: bool,
    /// May existing rows be changed? (`insert` mode must not.)
    pub may_update: bool,
    /// Are nulls left out of adds and updates, so that the destination keeps its value? Clears always send them.
    pub omit_nulls: bool,
}

/// Rows of one operation. Removals and clears carry the key columns; other columns are null.
#[derive(Debug)]
pub struct Batch {
    /// What to do.
    pub operation: Operation,
    /// Stable across a resend of the same rows: names files and request keys.
    pub id: String,
    /// The rows.
    pub rows: RecordBatch,
}

/// What became of one row. Codes and messages never hold a person's data: they are kept for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination confirmed it.
    Accepted {
        /// Its id for the row, where it tells one.
        destination_id: Option<String>,
    },
    /// The destination already had these values, or there was nothing to change (`update` of a row that is not there, removal of one
    /// that is gone). Nothing there became ours.
    Unchanged,
    /// The row itself is at fault and must change before it is sent again.
    Rejected {
        /// The destination's code, or ours.
        code: String,
        /// Why.
        message: String,
    },
    /// Certainly not done, worth another attempt.
    Retry {
        /// The destination's code, or ours.
        code: String,
        /// Why.
        message: String,
    },
    /// Nobody knows whether it was done.
    Unknown {
        /// The destination's code, or ours.
        code: String,
        /// Why.
        message: String,
    },
}

/// Something that rows are delivered to.
#[async_trait]
pub trait Destination: Send {
    /// Makes the object ready, or says why it cannot be (a table that another program has given another schema, say). Idempotent.
    async fn prepare(&mut self, target: &Target) -> Result<(), Failure>;

    /// Delivers one batch. `Ok` gives one outcome per row, in order; `Err` says that certainly nothing of the batch was done: where
    /// that is not known, the rows are `Unknown`.
    async fn send(&mut self, target: &Target, batch: &Batch) -> Result<Vec<Outcome>, Failure>;

    /// Was a batch of which no answer is known delivered, all of it? `None` where the destination cannot tell, or took a part.
    async fn delivered(&mut self, target: &Target, batch_id: &str) -> Result<Option<bool>, Failure>;

    /// May a batch be sent again when nobody knows whether it was delivered?
    fn idempotent(&self) -> bool;

    /// The most rows of a batch.
    fn max_rows(&self) -> usize;
}
