//! How much an account may be asked, shared by everything that asks it.
//!
//! Whoever wants to ask takes its turn in the order of arrival, so no sync starves another. A turn is given when every window has room:
//! in any span of its length at most so many requests begin. A throttled account is left alone by all until its time has passed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex as Queue, OwnedSemaphorePermit, Semaphore};

use super::super::clock::Clock;
use crate::connector;

/// The quota of an account, or of one operation of it.
pub(super) struct Quota {
    windows: Vec<(usize, TimeDelta)>,
    permits: Arc<Semaphore>,
    concurrency: usize,
    /// In the order of arrival; held while waiting for a turn.
    queue: Queue<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the last requests began, oldest first: as many as the widest window counts.
    begun: VecDeque<DateTime<Utc>>,
    /// Nobody asks before.
    held_until: Option<DateTime<Utc>>,
}

/// A request may begin; the next one in its place when this is dropped.
pub(super) struct Turn {
    /// How long the quota's windows, or an account that throttled, kept it waiting.
    pub(super) waited: TimeDelta,
    /// For the next one.
    _permit: OwnedSemaphorePermit,
}

impl Quota {
    /// A quota of which nothing is used.
    #[must_use]
    pub(super) fn new(limits: &connector::Quota) -> Self {
        let concurrency = limits.concurrency.unwrap_or(1) as usize;
        let windows =
            limits.windows.iter().filter_map(|&(most, per)| Some((most as usize, TimeDelta::from_std(per).ok()?)));
        Self {
            windows: windows.collect(),
            permits: Arc::new(Semaphore::new(concurrency)),
            concurrency,
            queue: Queue::new(()),
            state: Mutex::default(),
        }
    }

    /// Most requests at once.
    #[must_use]
    pub(super) fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Waits for a turn. None: the quota's semaphore is closed, which never happens.
    pub(super) async fn turn(&self, clock: &dyn Clock) -> Option<Turn> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let arrived = clock.now();
        let _in_line = self.queue.lock().await;
        loop {
            let now = clock.now();
            let Some(at) = self.next(now) else { return Some(Turn { waited: now - arrived, _permit: permit }) };
            let pause = (at - now).to_std().unwrap_or_default().max(Duration::from_millis(1));
            clock.sleep(pause).await;
        }
    }

    /// When the next request may begin; none: now, and it is counted.
    fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut state = self.state();
        let full = self.windows.iter().filter_map(|&(most, per)| {
            let oldest = state.begun.len().checked_sub(most).map(|place| state.begun[place])?;
            Some(oldest + per)
        });
        let latest = full.chain(state.held_until).filter(|at| *at > now).max();
        if latest.is_none() {
            state.begun.push_back(now);
            let widest = self.windows.iter().map(|(most, _)| *most).max().unwrap_or(0);
            while state.begun.len() > widest {
                state.begun.pop_front();
            }
        }
        latest
    }

    /// Nobody asks for so long.
    pub(super) fn hold(&self, now: DateTime<Utc>, how_long: Duration) {
        let until = now + TimeDelta::from_std(how_long).unwrap_or_default();
        let mut state = self.state();
        state.held_until = Some(state.held_until.map_or(until, |held| held.max(until)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    /// Moves when somebody sleeps on it.
    struct Hands(Mutex<DateTime<Utc>>);

    #[async_trait]
    impl Clock for Hands {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock().unwrap()
        }
        async fn sleep(&self, pause: Duration) {
            *self.0.lock().unwrap() += TimeDelta::from_std(pause).unwrap();
        }
    }

    fn quota(windows: &[(u32, u64)]) -> Quota {
        let windows = windows.iter().map(|&(most, seconds)| (most, Duration::from_secs(seconds))).collect();
        Quota::new(&connector::Quota { windows, concurrency: Some(8), ..connector::Quota::default() })
    }

    async fn begun(quota: &Quota, clock: &Hands, count: usize) -> Vec<i64> {
        let start = clock.now();
        let mut begun = Vec::new();
        for _ in 0..count {
            drop(quota.turn(clock).await);
            begun.push((clock.now() - start).num_milliseconds());
        }
        begun
    }

    #[tokio::test]
    async fn in_any_span_of_a_window_at_most_so_many_begin() {
        let clock = Hands(Mutex::new(DateTime::UNIX_EPOCH));
        let quota = quota(&[(3, 1), (5, 10)]);
        let begun = begun(&quota, &clock, 12).await;
        assert_eq!(begun, [0, 0, 0, 1_000, 1_000, 10_000, 10_000, 10_000, 11_000, 11_000, 20_000, 20_000]);
        for (most, length) in [(3, 1_000), (5, 10_000)] {
            for span in begun.windows(most + 1) {
                assert!(span[most] - span[0] >= length, "{span:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_throttled_account_is_left_alone_by_all() {
        let clock = Hands(Mutex::new(DateTime::UNIX_EPOCH));
        let quota = quota(&[]);
        drop(quota.turn(&clock).await);
        quota.hold(clock.now(), Duration::from_secs(7));
        quota.hold(clock.now(), Duration::from_secs(2));
        assert_eq!(begun(&quota, &clock, 2).await, [7_000, 7_000], "the longest word counts");
    }
}
