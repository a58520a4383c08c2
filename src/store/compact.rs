//! Remembered tables grow by small appends: now and then their files are put together.

use std::sync::Arc;

use datafusion::prelude::SessionContext;

use super::failures::writing;
use super::statistics::writer_properties;
use super::table::StoredTable;
use super::warehouse::Warehouse;
use super::write::{Commit, TableSpec, Written, write_session};
use crate::diag::Result;

/// More files than this, beyond one per partition, are put together.
const MANY: usize = 64;

impl Warehouse {
    /// Puts small files together where a table has many; rows do not change, and readers that follow changes see none.
    /// `None` where there was nothing to do.
    pub async fn compact(
        &self,
        spec: &TableSpec,
        commit: &Commit,
        session: &SessionContext,
    ) -> Result<Option<Written>> {
        let Some(table) = self.table(&spec.name, None).await? else { return Ok(None) };
        let mut partitions: Vec<String> = Vec::new();
        if !spec.partition_by.is_empty() {
            let log = table.snapshot()?.log_data();
            let folders =
                log.iter().map(|file| file.path().rsplit_once('/').map_or("", |(folder, _)| folder).to_owned());
            partitions.extend(folders);
            partitions.sort_unstable();
            partitions.dedup();
        }
        if table.files()?.saturating_sub(partitions.len()) <= MANY {
            return Ok(None);
        }
        let (table, _) = table
            .delta()
            .clone()
            .optimize()
            .with_session_state(Arc::new(write_session(session)))
            .with_writer_properties(writer_properties(spec))
            .with_commit_properties(commit.properties())
            .await
            .map_err(|error| writing(&spec.name, &error))?;
        let table = StoredTable::new(&spec.name, table);
        Ok(Some(Written { version: table.version(), rows: 0, files: table.files()? }))
    }

    /// Takes a table back to a version, as a new commit: what a crashed run wrote beyond the published set is undone.
    /// Without a version all rows go. Returns the new version; `None` where there was nothing to undo.
    pub async fn roll_back(&self, name: &str, version: Option<u64>, commit: &Commit) -> Result<Option<u64>> {
        let Some(table) = self.table(name, None).await? else { return Ok(None) };
        let table = table.delta().clone();
        let undone = match version {
            Some(version) if table.version() == Some(version) => return Ok(None),
            Some(version) => table
                .restore()
                .with_version_to_restore(version)
                .with_commit_properties(commit.properties())
                .await
                .map(|(table, _)| table),
            None => table.delete().with_commit_properties(commit.properties()).await.map(|(table, _)| table),
        };
        Ok(undone.map_err(|error| writing(name, &error))?.version())
    }
}
