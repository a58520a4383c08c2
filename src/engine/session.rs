//! The engine of one run: limits, functions and the clock.

use std::sync::Arc;

use datafusion::catalog::MemorySchemaProvider;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::{functions, pass};
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
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, consumers)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::OsTmpDirectory))
        .build_arc()
        .map_err(|error| Failure::world("W001", "starting the engine", error))?;
    let mut config = SessionConfig::new().with_target_partitions(limits.threads).with_information_schema(false);
    let options = config.options_mut();
    options.execution.parquet.pushdown_filters = true;
    // Decimal literals would make every comparison with a number a decimal one.
    options.sql_parser.parse_float_as_decimal = false;
    options.execution.time_zone = Some("UTC".to_owned());
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(pass::HashFirst))
        .build();
    let session = SessionContext::new_with_state(state);
    functions::register(&session);
    functions::register_clock(&session, clock.as_of, clock.timezone);
    session.register_udaf(pass::udaf());
    if let Some(catalog) = session.catalog("datafusion") {
        catalog
            .register_schema("raw", Arc::new(MemorySchemaProvider::new()))
            .map_err(|error| Failure::world("W001", "starting the engine", error))?;
    }
    Ok(session)
}
