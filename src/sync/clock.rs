//! Time and its end, both given from outside: a clock that can be waited on, growing pauses, and a way to be told to stop.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

/// What time it is, and waiting.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> DateTime<Utc>;

    /// Waits.
    async fn sleep(&self, pause: Duration);
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

/// Pauses that double from `first` up to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// Never longer.
    pub longest: Duration,
}

impl Backoff {
    /// Between two attempts of one run.
    pub const IN_RUN: Self = Self { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

    /// Between the runs that attempt a row which failed.
    pub const BETWEEN_RUNS: Self = Self { first: Duration::from_mins(1), longest: Duration::from_hours(24) };

    /// The pause after so many failures in a row; none after none.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        if failures == 0 {
            return Duration::ZERO;
        }
        let factor = 2_u32.checked_pow(failures - 1).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }

    /// When the next attempt may be.
    #[must_use]
    pub fn next(&self, at: DateTime<Utc>, failures: u32) -> DateTime<Utc> {
        TimeDelta::from_std(self.pause(failures))
            .ok()
            .and_then(|pause| at.checked_add_signed(pause))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// Tells a sync to stop after the batch that is under way. Clones share one state.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<watch::Sender<bool>>);

impl Default for Cancel {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Cancel {
    /// Asks for the end.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Was the end asked for?
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits on the clock, or until the end is asked for.
    pub(super) async fn or_sleep(&self, clock: &dyn Clock, pause: Duration) {
        let mut asked = self.0.subscribe();
        tokio::select! {
            biased;
            _ = asked.wait_for(|asked| *asked) => {}
            () = clock.sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(5) };
        let pauses: Vec<_> = [0, 1, 2, 3, 4, 40, u32::MAX].map(|failures| backoff.pause(failures).as_secs()).into();
        assert_eq!(pauses, [0, 1, 2, 4, 5, 5, 5]);
    }

    #[tokio::test]
    async fn a_wait_ends_when_the_end_is_asked_for() {
        let cancel = Cancel::default();
        cancel.clone().cancel();
        cancel.or_sleep(&SystemClock, Duration::from_secs(3600)).await;
        assert!(cancel.is_cancelled());
    }
}
