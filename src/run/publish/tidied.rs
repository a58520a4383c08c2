//! What tables gather in time is put in order at the end of a build: small files are put together where there are many, and once a day
//! the files go that no version needs which may still be read.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use super::Publisher;
use crate::diag::Result;
use crate::store::{TableSpec, tables};

/// For how long versions are kept: what others read of a table while it is written, and its history.
const KEPT: TimeDelta = TimeDelta::days(7);

impl Publisher<'_> {
    /// Puts the tables in order.
    pub(super) async fn tidy(&mut self, now: DateTime<Utc>) -> Result<()> {
        let started = Instant::now();
        let mut grown: Vec<TableSpec> =
            self.workspace.opened.project.entities.values().map(|entity| tables::ids(&entity.name)).collect();
        grown.extend([
            tables::consent_ledger(),
            tables::segment_sizes(),
            tables::score_values(),
            tables::run_steps(),
            tables::runs(),
            tables::audit(),
            tables::alerts(),
            tables::sync_runs(),
            tables::sync_receipts(),
            tables::sync_journal(),
            tables::sync_state(),
        ]);
        let opened = &self.workspace.opened;
        let warehouse = &opened.warehouse;
        for spec in &grown {
            let _turn = self.lease.turn().await?;
            if let Some(written) = warehouse.compact(spec, &self.commit, &opened.session).await? {
                self.now_at(&spec.name, written.version);
            }
        }
        if self.is_new_day(now) {
            let mut names: Vec<String> = self.there.keys().cloned().collect();
            names.extend(self.written.iter().map(|table| table.table.clone()));
            names.extend(grown.into_iter().map(|spec| spec.name));
            names.sort();
            names.dedup();
            for name in names {
                let _turn = self.lease.turn().await?;
                let Some(table) = warehouse.table(&name, None).await? else { continue };
                let version = self.version(&name).unwrap_or(table.version());
                if let Some(version) = warehouse.vacuum(&name, version, KEPT, &self.commit).await? {
                    self.now_at(&name, version);
                }
            }
        }
        self.workspace.stage.timings.note("tidying up", started, None, None);
        Ok(())
    }

    /// Is this the first run of a day, by the clock on the wall, that publishes?
    fn is_new_day(&self, now: DateTime<Utc>) -> bool {
        let last = self.workspace.published.finished_at.and_then(DateTime::from_timestamp_micros);
        last.is_some_and(|last| last.date_naive() != now.date_naive())
    }

    /// The version of a table that is about to be published.
    fn version(&self, name: &str) -> Option<u64> {
        let written = self.written.iter().rev().find(|table| table.table == name).map(|table| table.version);
        written.or_else(|| self.there.get(name).copied())
    }

    /// The rows of a table are those that it had, and its version is another.
    fn now_at(&mut self, name: &str, version: u64) {
        if let Some(there) = self.there.get_mut(name) {
            *there = version;
        }
        self.written.iter_mut().filter(|table| table.table == name).for_each(|table| table.version = version);
    }
}
