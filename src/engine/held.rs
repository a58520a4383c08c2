//! What the run's own structures hold in memory, counted against `engine.memory` like what operators hold: they cannot be written to
//! disk, so whoever finds no room for them is told what they need.

use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::prelude::SessionContext;

/// The memory of one structure, given back when it is dropped.
#[derive(Debug)]
pub struct Held(MemoryReservation);

impl Held {
    /// None yet; `what` is told where there is too little.
    #[must_use]
    pub fn of(session: &SessionContext, what: impl Into<String>) -> Self {
        Self(MemoryConsumer::new(what).register(&session.runtime_env().memory_pool))
    }

    /// So many bytes; fails where there are not as many.
    pub fn with(session: &SessionContext, what: impl Into<String>, bytes: usize) -> Result<Self> {
        let held = Self::of(session, what);
        held.resize(bytes)?;
        Ok(held)
    }

    /// So many bytes from now on.
    pub fn resize(&self, bytes: usize) -> Result<()> {
        self.0.try_resize(bytes)
    }
}
