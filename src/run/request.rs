//! What a verb is asked to do, and why it may stop before its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::diag::{Failure, Finding};
use crate::text::Files;

/// What every verb is told.
#[derive(Clone)]
pub struct Request {
    /// The project's folder.
    pub project: PathBuf,
    /// The target.
    pub target: Option<String>,
    /// Values for `${vars.name}`.
    pub vars: BTreeMap<String, String>,
    /// Values for `${env.NAME}`: secrets among them.
    pub env: BTreeMap<String, String>,
    /// The instant of the run in the project's zone; `None` takes `now`.
    pub as_of: Option<std::sync::Arc<dyn Fn(Tz) -> DateTime<Utc> + Send + Sync>>,
    /// The present, read once.
    pub now: DateTime<Utc>,
    /// Guards that may be passed once.
    pub accept: Vec<String>,
    /// Models that are meant.
    pub select: Vec<String>,
    /// How long to wait for another run that holds the warehouse; without, the answer is immediate.
    pub wait: Option<Duration>,
}

/// Why a verb ended before its end.
#[derive(Debug)]
pub enum Stopped {
    /// The project or its data is at fault.
    Findings(Box<Files>, Vec<Finding>),
    /// The world is.
    Failure(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}
