//! The engine of one run: limits, functions and the clock.

use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
    SchemaProvider,
};
use datafusion::error::Result as EngineResult;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::{functions, pass, repeats};
use crate::compile::Clock;
use crate::diag::{Failure, Result};

/// What a run may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes; beyond, operators spill to disk.
    pub memory: u64,
    /// Threads.
    pub threads: usize,
}

impl Limits {
    /// The project's limits; by default 70 % of the machine's memory, and all cores.
    #[must_use]
    pub fn of(memory: Option<u64>, threads: Option<usize>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { memory: memory.unwrap_or_else(|| machine_memory() / 10 * 7), threads: threads.unwrap_or(cores) }
    }
}

impl Limits {
    /// Sorted runs that one sort merges at once. Left to itself a sort that has spilled takes all memory that is free for reading its runs
    /// back, and another one beside it gets none. An eighth of a thread's share is enough: some 8 MiB hold two batches of a run.
    fn runs_at_once(self) -> usize {
        let share = self.memory / self.threads.max(1) as u64 / 8;
        usize::try_from(share / (8 << 20)).unwrap_or(usize::MAX).clamp(2, 128)
    }

    /// What every sort sets aside for merging what it has sorted: the engine's own ten megabytes, or less where many sorts would otherwise
    /// take all that there is before they hold a row.
    fn set_aside_for_merging(self) -> usize {
        let share = self.memory / self.threads.max(1) as u64 / 32;
        usize::try_from(share).unwrap_or(usize::MAX).clamp(256 << 10, 10 << 20)
    }

    /// Is there room for the tables that joins by hash hold in memory? They do not spill; sorts do.
    fn has_room_for_hashes(self) -> bool {
        self.memory / self.threads.max(1) as u64 >= 256 << 20
    }
}

/// Bytes of memory of the machine; 4 GiB where it does not say.
fn machine_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map_or(4 << 30, |kib| kib << 10)
}

/// A session in which every `cohorte_…` function is known and time stands still. Stored tables go to the schema `raw`.
pub fn session(limits: Limits, clock: &Clock) -> Result<SessionContext> {
    let pool = FairSpillPool::new(usize::try_from(limits.memory).unwrap_or(usize::MAX));
    let consumers = std::num::NonZeroUsize::new(3).unwrap_or(std::num::NonZeroUsize::MIN);
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::OsTmpDirectory)
        .with_max_spill_merge_fan_in(limits.runs_at_once());
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, consumers)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(|error| Failure::world("W001", "starting the engine", error))?;
    let mut config = SessionConfig::new().with_target_partitions(limits.threads).with_information_schema(false);
    let options = config.options_mut();
    options.optimizer.prefer_hash_join = limits.has_room_for_hashes();
    options.execution.parquet.pushdown_filters = true;
    options.execution.sort_spill_reservation_bytes = limits.set_aside_for_merging();
    // Decimal literals would make every comparison with a number a decimal one.
    options.sql_parser.parse_float_as_decimal = false;
    options.execution.time_zone = Some("UTC".to_owned());
    let state =
        SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
    let session = SessionContext::new_with_state(state);
    functions::register(&session);
    functions::register_clock(&session, clock.as_of, clock.timezone);
    session.register_udaf(pass::udaf());
    session.register_udaf(repeats::udaf());
    if let Some(catalog) = session.catalog("datafusion") {
        catalog
            .register_schema("raw", Arc::new(MemorySchemaProvider::new()))
            .map_err(|error| Failure::world("W001", "starting the engine", error))?;
    }
    Ok(session)
}

/// A session with the same limits, functions and clock, in which every name means what it means in this one until one of the two
/// gives it another meaning: work that goes on at the same time and uses the same names stays apart.
pub async fn fork(session: &SessionContext) -> Result<SessionContext> {
    let failed = |error| Failure::world("W001", "starting the engine", error);
    let catalogs = copied(session).await.map_err(failed)?;
    let state = SessionStateBuilder::new_from_existing(session.state()).with_catalog_list(Arc::new(catalogs)).build();
    Ok(SessionContext::new_with_state(state))
}

async fn copied(session: &SessionContext) -> EngineResult<MemoryCatalogProviderList> {
    let catalogs = MemoryCatalogProviderList::new();
    for name in session.catalog_names() {
        let Some(catalog) = session.catalog(&name) else { continue };
        let copy = MemoryCatalogProvider::new();
        for name in catalog.schema_names() {
            let Some(schema) = catalog.schema(&name) else { continue };
            let tables = MemorySchemaProvider::new();
            for name in schema.table_names() {
                if let Some(table) = schema.table(&name).await? {
                    tables.register_table(name, table)?;
                }
            }
            copy.register_schema(&name, Arc::new(tables))?;
        }
        catalogs.register_catalog(name, Arc::new(copy));
    }
    Ok(catalogs)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use datafusion::arrow::array::{AsArray, Int64Array};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;

    async fn one(session: &SessionContext, sql: &str) -> i64 {
        let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
        let column: &Int64Array = rows[0].column(0).as_primitive::<Int64Type>();
        column.value(0)
    }

    #[tokio::test]
    async fn a_fork_starts_from_the_same_names_and_goes_its_own_way() {
        let clock = Clock { as_of: DateTime::UNIX_EPOCH, timezone: chrono_tz::UTC };
        let session = session(Limits::of(None, Some(1)), &clock).unwrap();
        session.sql("create view a as select 1 as n").await.unwrap();
        let fork = fork(&session).await.unwrap();
        fork.sql("create or replace view a as select n + 1 as n from a").await.unwrap();
        fork.sql("create view b as select n from a").await.unwrap();
        assert_eq!((one(&session, "select n from a").await, one(&fork, "select n from b").await), (1, 2));
        assert!(session.sql("select n from b").await.is_err());
    }
}
