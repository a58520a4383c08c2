//! What each step of a run cost: time, rows, bytes read and spilled.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use datafusion::physical_plan::ExecutionPlan;

/// What one step cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// The rows that came of it; none where they do not count.
    pub rows: Option<u64>,
    /// Bytes of files that were read for it, as they are stored.
    pub bytes_read: u64,
    /// Bytes that did not find room in memory.
    pub bytes_spilled: u64,
}

/// The steps so far, in the order in which they ended.
#[derive(Debug, Default)]
pub struct Timings(Mutex<Vec<Step>>);

impl Timings {
    /// Notes a step that has just ended, with the plan that did it.
    pub fn note(&self, name: impl Into<String>, since: Instant, rows: Option<u64>, plan: Option<&dyn ExecutionPlan>) {
        let mut step = Step { name: name.into(), took: since.elapsed(), rows, bytes_read: 0, bytes_spilled: 0 };
        if let Some(plan) = plan {
            step.add(plan);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }

    /// All steps.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Step {
    /// Adds what a plan, and what it reads from, has counted.
    fn add(&mut self, plan: &dyn ExecutionPlan) {
        if let Some(metrics) = plan.metrics() {
            self.bytes_read += metrics.sum_by_name("bytes_scanned").map_or(0, |bytes| bytes.as_usize() as u64);
            self.bytes_spilled += metrics.spilled_bytes().unwrap_or(0) as u64;
        }
        for child in plan.children() {
            self.add(child.as_ref());
        }
    }
}

/// The most memory that this process has had so far, in bytes; none where the system does not say.
#[must_use]
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib << 10)
}
