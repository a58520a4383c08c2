//! What tables gather in time: small files, which are put together, and files of versions that nobody reads any more, which go.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::TimeDelta;
use datafusion::prelude::SessionContext;
use deltalake::operations::vacuum::VacuumMode;
use futures::{TryStreamExt, future};
use object_store::ObjectStore;
use object_store::path::Path;

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

    /// Removes the files that no version of the last `keep` needs, and those that no version ever had: a run that was killed left them.
    /// What `version` needs stays whatever its age. Gives the version that the table has then; `None` where there was nothing to remove.
    pub async fn vacuum(&self, name: &str, version: u64, keep: TimeDelta, commit: &Commit) -> Result<Option<u64>> {
        let Some(table) = self.table(name, None).await? else { return Ok(None) };
        let vacuum = || {
            let vacuum = table.delta().clone().vacuum().with_mode(VacuumMode::Full).with_keep_versions(&[version]);
            // Whoever calls this knows for how long versions are read.
            vacuum.with_retention_period(keep).with_enforce_retention_duration(false)
        };
        let failed = |error| writing(name, &error);
        let (_, would) = vacuum().with_dry_run(true).await.map_err(failed)?;
        if !is_there(&table, &would.files_deleted).await.map_err(|error| failed(error.into()))? {
            return Ok(None);
        }
        let (table, _) = vacuum().with_commit_properties(commit.properties()).await.map_err(failed)?;
        Ok(table.version())
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

/// Is one of these files still there? The log goes on naming those that were removed long ago.
async fn is_there(table: &StoredTable, files: &[String]) -> object_store::Result<bool> {
    let files: HashSet<Path> = files.iter().map(|file| Path::from(file.as_str())).collect();
    if files.is_empty() {
        return Ok(false);
    }
    let store = table.delta().log_store().object_store(None);
    let mut found = store.list(None).try_filter(|object| future::ready(files.contains(&object.location)));
    Ok(found.try_next().await?.is_some())
}
