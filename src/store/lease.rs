//! One writer at a time: a lease made of create-only generations (DESIGN §5.3).
//!
//! The lease is a folder of numbered files, `_cohorte/lease/<generation>.json`, of which each can be created once. Whoever
//! created the greatest one holds the lease. A heartbeat creates the next generation; so does a takeover; so both go for
//! the same name and one of them wins. A holder that stalled finds a greater generation than its own and fails before its
//! next commit.
//!
//! Old generations are deleted, so a name could be created again by somebody who slept very long: a claim therefore counts
//! only if, listed afterwards, it is the greatest. Expiry is judged by the observer's own clock: a generation that did not
//! change for longer than the holder's period. A holder on this machine whose process is gone gives way at once.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use deltalake::ObjectStore;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::failpoint;
use super::failures::held;
use super::lease_generations::{Claim, claim_generation, greatest, probe};
use super::lease_process::Process;
use super::warehouse::Warehouse;
use crate::diag::{Failure, Result};

const FOLDER: &str = "_cohorte/lease";

/// How a lease is taken.
#[derive(Debug, Clone)]
pub struct LeaseOptions {
    /// Who takes it, for those who find it taken: "run r-17".
    pub holder: String,
    /// When it is taken, for the same reader.
    pub now: DateTime<Utc>,
    /// A holder that is silent for longer may be replaced. Longer than the longest request that is made under the lease.
    pub period: Duration,
    /// How long to wait for a lease that is taken; without, the answer is immediate.
    pub wait: Option<Duration>,
    /// Renew it in the background, as long as the value lives.
    pub heartbeat: bool,
    /// The run that takes it: whoever finds it abandoned can say which run was killed.
    pub run: Option<String>,
}

impl LeaseOptions {
    /// A lease with a heartbeat and a period of two minutes that does not wait.
    #[must_use]
    pub fn new(holder: impl Into<String>, now: DateTime<Utc>) -> Self {
        let period = Duration::from_mins(2);
        Self { holder: holder.into(), now, period, wait: None, heartbeat: true, run: None }
    }

    /// Waits so long for a lease that is taken.
    #[must_use]
    pub fn waiting(self, wait: Option<Duration>) -> Self {
        Self { wait, ..self }
    }

    /// Taken by a run.
    #[must_use]
    pub fn of_run(self, run: impl Into<String>) -> Self {
        Self { run: Some(run.into()), ..self }
    }
}

/// A run that did not come to its end: it held the lease, and never gave it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abandoned {
    /// The run.
    pub run: String,
    /// Who it was, for people: "cohorte build".
    pub holder: String,
    /// When it began.
    pub since: DateTime<Utc>,
}

/// The right to write, until it is released. Dropped without [`Lease::release`], the next writer in this process, or on
/// this machine once the process has ended, takes it over at once; one elsewhere after the period.
#[derive(Debug)]
pub struct Lease {
    state: Arc<Mutex<State>>,
    heartbeat: Option<JoinHandle<()>>,
    abandoned: Option<Abandoned>,
    /// Held by who commits.
    commits: Mutex<()>,
    /// Ends with the lease.
    _alive: Alive,
}

impl Claim {
    fn abandoned(self) -> Option<Abandoned> {
        let run = self.run.filter(|_| !self.released)?;
        Some(Abandoned { run, holder: self.holder, since: self.since })
    }
}

/// Tells whether a lease is still held: may outlive it, and then says that it is not.
#[derive(Debug, Clone)]
pub struct Watch {
    state: Arc<Mutex<State>>,
}

impl Watch {
    /// Is the lease still ours? To be asked before each send. What the store said within the last thousandth of the period counts: whoever
    /// slept longer than that asks it again, and between any answer and what is done upon it there is as much time.
    pub async fn check(&self) -> Result<()> {
        failpoint::pass();
        let mut state = self.state.lock().await;
        if state.seen.elapsed() < Duration::from_millis(state.claim.period_ms) / 1_000 && Alive::is(&state.claim.token)
        {
            return Ok(());
        }
        state.check().await
    }
}

/// A commit may be made; another one when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, ()>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        failpoint::pass();
    }
}

#[derive(Debug)]
struct State {
    store: Arc<dyn ObjectStore>,
    claim: Claim,
    generation: u64,
    renewed: Instant,
    /// When the store was last seen to agree.
    seen: Instant,
}

impl Lease {
    /// Takes the lease of a warehouse, or says who holds it.
    pub async fn acquire(warehouse: &Warehouse, options: LeaseOptions) -> Result<Self> {
        let store = warehouse.files(&format!("{}/{FOLDER}", warehouse.schema_name()))?;
        Self::acquire_in(store, options).await
    }

    async fn acquire_in(store: Arc<dyn ObjectStore>, options: LeaseOptions) -> Result<Self> {
        probe(store.as_ref()).await?;
        let LeaseOptions { holder, now, period, wait, heartbeat, run } = options;
        let token = uuid::Uuid::new_v4().to_string();
        let period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let alive = Alive::new(&token);
        let claim = Claim { holder, since: now, token, process: Process::this(), period_ms, released: false, run };

        let started = Instant::now();
        let mut watched: Option<(u64, Instant)> = None;
        loop {
            let last = greatest(store.as_ref()).await?;
            let generation = last.as_ref().map_or(1, |(generation, _)| generation + 1);
            let free = match &last {
                None => true,
                Some((generation, found)) => {
                    if watched.is_none_or(|(seen, _)| seen != *generation) {
                        watched = Some((*generation, Instant::now()));
                    }
                    let silent = watched.map_or(Duration::ZERO, |(_, since)| since.elapsed());
                    let abandoned = found.process.is_this() && !Alive::is(&found.token);
                    found.released
                        || abandoned
                        || found.process.is_gone()
                        || silent > Duration::from_millis(found.period_ms)
                }
            };
            if free {
                if claim_generation(store.as_ref(), generation, &claim).await? {
                    let now = Instant::now();
                    let state = State { store, claim, generation, renewed: now, seen: now };
                    let abandoned = last.and_then(|(_, found)| found.abandoned());
                    return Ok(Self::start(state, period, heartbeat, alive, abandoned));
                }
                continue;
            }
            let Some((_, found)) = last else { continue };
            if started.elapsed() >= wait.unwrap_or_default() {
                let cause = format!("{} holds it since {}", found.holder, found.since.format("%Y-%m-%d %H:%M:%S UTC"));
                return Err(held("taking the warehouse's lease", cause));
            }
            let pause = Duration::from_millis((found.period_ms / 20).clamp(5, 1_000));
            tokio::time::sleep(pause).await;
        }
    }

    fn start(state: State, period: Duration, heartbeat: bool, alive: Alive, abandoned: Option<Abandoned>) -> Self {
        let state = Arc::new(Mutex::new(state));
        let beating = Arc::clone(&state);
        let heartbeat = heartbeat.then(|| {
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(period / 4).await;
                    // A heartbeat that fails is no end: `check` decides, and a store may be away for a moment.
                    if let Err(failure) = beating.lock().await.renew().await
                        && failure.code == "W407"
                    {
                        return;
                    }
                }
            })
        });
        Self { state, heartbeat, abandoned, commits: Mutex::new(()), _alive: alive }
    }

    /// The run that this lease was taken over from, where one had not given it back.
    #[must_use]
    pub fn abandoned(&self) -> Option<&Abandoned> {
        self.abandoned.as_ref()
    }

    /// Says to the others that the holder lives.
    pub async fn renew(&self) -> Result<()> {
        self.state.lock().await.renew().await
    }

    /// For tasks of their own that ask, too.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch { state: Arc::clone(&self.state) }
    }

    /// Is the lease still ours? The store is asked.
    pub async fn check(&self) -> Result<()> {
        failpoint::pass();
        self.state.lock().await.check().await
    }

    /// Waits until no other commit of this process is under way, and asks whether the lease is still ours. To be held while
    /// committing, so that work that goes on at the same time commits one after the other.
    pub async fn turn(&self) -> Result<Turn<'_>> {
        let turn = self.commits.lock().await;
        self.check().await?;
        Ok(Turn(turn))
    }

    /// Gives the lease back: the next writer need not wait.
    pub async fn release(mut self) -> Result<()> {
        if let Some(heartbeat) = self.heartbeat.take() {
            heartbeat.abort();
        }
        let mut state = self.state.lock().await;
        state.claim.released = true;
        state.renew().await
    }
}

/// The tokens of the leases that this process holds or asks for: a claim of this process that is not among them is
/// nobody's any more.
static ALIVE: std::sync::Mutex<BTreeSet<String>> = std::sync::Mutex::new(BTreeSet::new());

#[derive(Debug)]
struct Alive(String);

impl Alive {
    fn new(token: &str) -> Self {
        ALIVE.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned());
        Self(token.to_owned())
    }

    fn is(token: &str) -> bool {
        ALIVE.lock().unwrap_or_else(PoisonError::into_inner).contains(token)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.abort();
        }
    }
}

impl State {
    async fn check(&mut self) -> Result<()> {
        if !Alive::is(&self.claim.token) {
            return Err(ended("it was given back"));
        }
        if self.renewed.elapsed() > Duration::from_millis(self.claim.period_ms) / 2 {
            return self.renew().await;
        }
        match greatest(self.store.as_ref()).await? {
            Some((generation, claim)) if generation == self.generation && claim.token == self.claim.token => {
                self.seen = Instant::now();
                Ok(())
            }
            other => Err(lost(other.as_ref())),
        }
    }

    async fn renew(&mut self) -> Result<()> {
        let next = self.generation + 1;
        if !claim_generation(self.store.as_ref(), next, &self.claim).await? {
            return Err(lost(greatest(self.store.as_ref()).await?.as_ref()));
        }
        self.generation = next;
        (self.renewed, self.seen) = (Instant::now(), Instant::now());
        Ok(())
    }
}

fn lost(by: Option<&(u64, Claim)>) -> Failure {
    match by {
        Some((_, claim)) => ended(format!("{} has taken it over since this run stalled", claim.holder)),
        None => ended("its files have been deleted"),
    }
}

fn ended(cause: impl Into<String>) -> Failure {
    Failure { code: "W407", ..held("keeping the warehouse's lease", cause.into()) }
        .help("nothing was written after that; run again")
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
