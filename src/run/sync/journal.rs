//! The journal of a sync as a Delta table: every call is one commit, so it is there whole or not at all.

use async_trait::async_trait;
use datafusion::common::runtime::SpawnedTask;

use super::super::workspace::Workspace;
use super::remembered::{Place, Remembered, with_constants};
use crate::diag::{Failure, Result};
use crate::report::Progress;
use crate::store::{Commit, Lease, StoredTable, Watch, tables};
use crate::sync::journal::{Intent, Journal, Permit, Receipt};
use crate::sync::tables::journal_batch;

/// Appends to `sync_journal`.
pub(super) struct DeltaJournal<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) lease: &'a Lease,
    pub(super) progress: &'a dyn Progress,
    pub(super) sync: &'a str,
    pub(super) place: &'a Place,
    pub(super) sync_run_id: &'a str,
    /// The number of the next entry.
    pub(super) seq: i64,
    /// The number of the first entry that is not folded yet.
    pub(super) folded: i64,
    /// The table as the last write left it.
    pub(super) table: Option<StoredTable>,
}

impl DeltaJournal<'_> {
    /// Folds what was written into the state.
    pub(super) async fn fold(&mut self) -> Result<()> {
        if self.seq > self.folded {
            Remembered::load(self.workspace, self.sync).await?.save(self.workspace, self.lease).await?;
            self.folded = self.seq;
            // Folding has emptied it.
            self.table = None;
        }
        Ok(())
    }

    async fn append(&mut self, receipts: Vec<Receipt>, intents: Vec<Intent>) -> Result<()> {
        let count = receipts.len() + intents.len();
        if count == 0 {
            return Ok(());
        }
        let _turn = self.lease.turn().await?;
        let (sync, place, sync_run_id) = (self.sync.to_owned(), self.place.clone(), self.sync_run_id.to_owned());
        let opened = &self.workspace.opened;
        let (warehouse, session) = (opened.warehouse.clone(), opened.session.clone());
        let (seq, mut table, commit) = (self.seq, self.table.take(), Commit::of_run(&self.workspace.run_id));
        // Heavy work, on a task of its own: what is sent meanwhile does not wait for it.
        let writing = SpawnedTask::spawn(async move {
            let told = receipts.iter().map(|receipt| (&receipt.intent, Some(receipt)));
            let entries = told.chain(intents.iter().map(|intent| (intent, None)));
            let mut constants = place.constants(&sync).to_vec();
            constants.push(("sync_run_id", Some(sync_run_id.as_str())));
            let batch = journal_batch(&entries).and_then(|batch| with_constants(&batch, &constants));
            let batch = batch.and_then(|batch| super::record::numbered(&batch, seq));
            let batch = batch.map_err(|error| unwritten(&sync, error))?;
            warehouse.append_to(&mut table, &tables::sync_journal(), batch, &commit, &session).await?;
            Ok::<_, Failure>(table)
        });
        self.table = writing.join_unwind().await.map_err(|error| unwritten(self.sync, error))??;
        self.seq += count as i64;
        Ok(())
    }
}

fn unwritten(sync: &str, error: impl std::fmt::Display) -> Failure {
    Failure::world("W001", format!("writing the journal of the sync `{sync}`"), error)
}

#[async_trait]
impl Journal for DeltaJournal<'_> {
    async fn write(&mut self, receipts: Vec<Receipt>, intents: Vec<Intent>) -> Result<(), Failure> {
        let told = receipts.len() as u64;
        self.append(receipts, intents).await?;
        self.progress.advance(told);
        Ok(())
    }
}

#[async_trait]
impl Permit for Watch {
    async fn permit(&self) -> Result<(), Failure> {
        self.check().await
    }
}
