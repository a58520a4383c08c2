//! The contract between the syncer and every destination: a batch of rows in, one outcome per row out.

use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;

pub use crate::connector::Outcome;
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
    /// Rows of ours that the destination has by what was delivered so far.
    pub ours: u64,
    /// Are nulls left out of adds and updates, so that the destination keeps its value? Clears always send them.
    pub omit_nulls: bool,
}

/// Rows of one operation. Removals and clears carry the key columns; other columns are null.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What to do.
    pub operation: Operation,
    /// Stable across a resend of the same rows: names files and request keys.
    pub id: String,
    /// The rows.
    pub rows: RecordBatch,
    /// The destination's id of each row, where an earlier answer told it.
    pub ids: Vec<Option<String>>,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// One outcome per row, in order.
    pub outcomes: Vec<Outcome>,
    /// Why nothing more can be sent to this destination, where that came out.
    pub stop: Option<Failure>,
}

impl From<Vec<Outcome>> for Sent {
    fn from(outcomes: Vec<Outcome>) -> Self {
        Self { outcomes, stop: None }
    }
}

impl Sent {
    /// The same rows, where it is known that none was sent.
    #[must_use]
    pub fn unsent(self) -> Self {
        Self { outcomes: vec![Outcome::NotSent; self.outcomes.len()], stop: None }
    }
}

/// Something that rows are delivered to.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Makes the object ready, or says why it cannot be (a table that another program has given another schema, say). Idempotent.
    async fn prepare(&mut self, target: &Target) -> Result<(), Failure>;

    /// Delivers one batch. `Err` says that certainly nothing of the batch was done: where that is not known, the rows are `Unknown`.
    /// Several batches may be under way at once, at most [`Self::concurrency`].
    async fn send(&self, target: &Target, batch: &Batch) -> Result<Sent, Failure>;

    /// Was a batch of which no answer is known delivered, all of it? `None` where the destination cannot tell, or took a part.
    async fn delivered(&self, target: &Target, batch_id: &str) -> Result<Option<bool>, Failure>;

    /// May a batch of this operation be sent again when nobody knows whether it was delivered?
    fn may_resend(&self, operation: Operation) -> bool;

    /// How long requests waited so far until the destination's quota allowed them.
    fn waited(&self) -> Duration {
        Duration::ZERO
    }

    /// The most rows of a batch.
    fn max_rows(&self) -> usize;

    /// The most batches at once.
    fn concurrency(&self) -> usize {
        1
    }
}
