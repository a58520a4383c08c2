//! The loop of a sync: windows of due rows are intended and sent, one after the other, and what became of each is written down with
//! what the next intends.
//!
//! Whatever moment the process dies at, the journal is behind the destination by one window at most, and says which: those rows are
//! in doubt. The next run first settles doubts (`settle`), then computes what is due, then delivers it (`deliver`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::clock::{Backoff, Cancel, Clock};
use super::destination::{Destination, Operation, Outcome, Target};
use super::journal::{Action, Intent, Journal, Receipt, Verdict};
use super::queue::{Prepared, Queue};
use super::reason::Reason;
use crate::diag::{Failure, Fault};

/// How hard a sync tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What a withdrawal does: `Remove` or `Clear`.
    pub on_withdraw: Operation,
    /// Most rows between two commits of the journal.
    pub window_rows: usize,
    /// Most attempts of a row in one run.
    pub attempts: u32,
    /// Pauses between them.
    pub backoff: Backoff,
    /// So many batches in a row that could not be sent at all, after all attempts, end the sync.
    pub give_up_after: u32,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            on_withdraw: Operation::Remove,
            window_rows: 20_000,
            attempts: 3,
            backoff: Backoff::IN_RUN,
            give_up_after: 2,
        }
    }
}

/// How a sync ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Ended {
    /// All that was due was attempted.
    #[default]
    Complete,
    /// It was asked to stop; what was not sent stays due.
    Cancelled,
    /// It could not go on; what was not sent stays due.
    Failed(Failure),
}

/// What a sync did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Rows by what was done and the last word about them. A row counts once.
    pub rows: BTreeMap<(Action, Verdict), u64>,
    /// Why rows are not where they should be, by the last word about them and its code.
    pub reasons: BTreeMap<(Verdict, String), Reason>,
    /// Batches that were answered.
    pub batches: u64,
    /// How it ended.
    pub ended: Ended,
}

impl Summary {
    /// Rows with this last word.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.rows.iter().filter(|((_, last), _)| *last == verdict).map(|(_, count)| count).sum()
    }
}

/// Delivers what is due (`queue.rs` says how it looks). The destination has been prepared.
pub async fn deliver(
    destination: &dyn Destination,
    target: &Target,
    due: SendableRecordBatchStream,
    journal: &mut dyn Journal,
    terms: &Terms,
    clock: &dyn Clock,
    cancel: &Cancel,
) -> Summary {
    let queue = Queue::new(target, due, destination.max_rows(), terms.window_rows, terms.on_withdraw);
    let mut syncer = Syncer {
        destination,
        target,
        journal,
        terms,
        clock,
        cancel,
        summary: Summary::default(),
        told: Vec::new(),
        course: Mutex::default(),
    };
    let ended = syncer.run(queue).await;
    let broke = ended.and(syncer.write_down().await).err();
    let course = syncer.course.into_inner().unwrap_or_else(PoisonError::into_inner);
    let given_up = course.given_up.map(Ended::Failed);
    let ended = broke.map(Ended::Failed).or(course.stop).or(given_up).unwrap_or_default();
    Summary { ended, batches: course.batches, ..syncer.summary }
}

struct Syncer<'a> {
    destination: &'a dyn Destination,
    target: &'a Target,
    journal: &'a mut dyn Journal,
    terms: &'a Terms,
    clock: &'a dyn Clock,
    cancel: &'a Cancel,
    summary: Summary,
    /// What became of the last window, not written down yet.
    told: Vec<Receipt>,
    /// Several batches may be under way: none waits while it holds this.
    course: Mutex<Course>,
}

/// How the batches went so far.
#[derive(Default)]
struct Course {
    /// Batches that were answered.
    batches: u64,
    /// Batches in a row that could not be sent at all.
    failed_in_a_row: u32,
    /// Why the last batch that was given up was given up.
    given_up: Option<Failure>,
    /// Set when no more is sent.
    stop: Option<Ended>,
}

impl Syncer<'_> {
    /// Windows until nothing is due; while one is sent, the next is read. An error is the journal's or the queue's: nothing more
    /// can be done safely.
    async fn run(&mut self, mut queue: Queue<'_>) -> Result<(), Failure> {
        self.heed_cancel();
        if self.has_stopped() {
            return Ok(());
        }
        let mut next = queue.window().await?;
        while !next.is_empty() {
            self.heed_cancel();
            if self.has_stopped() {
                return Ok(());
            }
            let (sent, ahead) = futures::join!(self.window(next), queue.window());
            let mut again = sent?;
            // Rows to try again go before all later ones, as a window of their own with intents of their own.
            while !again.is_empty() {
                let attempt = again.iter().map(|prepared| prepared.attempt).max();
                if let (Some(attempt), false) = (attempt, self.has_stopped()) {
                    self.write_down().await?;
                    self.cancel.or_sleep(self.clock, self.terms.backoff.pause(attempt)).await;
                }
                again = self.window(again).await?;
            }
            next = ahead?;
        }
        Ok(())
    }

    /// Writes down what became of the last window.
    async fn write_down(&mut self) -> Result<(), Failure> {
        if self.told.is_empty() {
            return Ok(());
        }
        self.journal.write(&std::mem::take(&mut self.told), &[]).await
    }

    /// Intends and sends one window; gives the rows that are worth another attempt.
    async fn window(&mut self, window: Vec<Prepared>) -> Result<Vec<Prepared>, Failure> {
        let intents: Vec<Intent> = window.iter().flat_map(|prepared| prepared.intents.iter().cloned()).collect();
        self.heed_cancel();
        if self.has_stopped() {
            // Rows of an earlier attempt, whose receipts are written: they stay due as they are.
            for prepared in &window {
                self.count(prepared, |_| Verdict::Retry);
            }
            return Ok(Vec::new());
        }
        // What became of the window before and what this one intends are one commit.
        self.journal.write(&std::mem::take(&mut self.told), &intents).await?;
        let mut receipts = Vec::with_capacity(intents.len());
        let mut again = Vec::new();
        let concurrency = self.destination.concurrency().max(1);
        // Batches of one action at a time: a removal is done before the add of the same key begins.
        for group in window.chunk_by(|one, next| one.intents[0].action == next.intents[0].action) {
            let this = &*self;
            let sends = futures::stream::iter(group).map(|prepared| this.send(prepared)).buffered(concurrency);
            let sent: Vec<Option<(Vec<Outcome>, DateTime<Utc>)>> = sends.collect().await;
            for (prepared, sent) in group.iter().zip(sent) {
                let Some((outcomes, at)) = sent else {
                    self.count(prepared, |_| Verdict::NotSent);
                    let at = self.clock.now();
                    receipts.extend(prepared.intents.iter().cloned().map(|intent| Receipt {
                        intent,
                        verdict: Verdict::NotSent,
                        code: Some("stopped".to_owned()),
                        message: Some("the sync stopped before this batch".to_owned()),
                        at,
                        destination_id: None,
                    }));
                    continue;
                };
                let retried = self.worth_another(prepared, &outcomes);
                if !retried.is_empty() {
                    let mut part = prepared.part(self.target, &retried)?;
                    part.attempt = prepared.attempt + 1;
                    again.push(part);
                }
                let told: Vec<Receipt> = prepared
                    .intents
                    .iter()
                    .cloned()
                    .zip(outcomes)
                    .map(|(intent, outcome)| Receipt::of(intent, outcome, at))
                    .collect();
                let mut last = retried.iter().peekable();
                for (row, receipt) in told.iter().enumerate() {
                    if last.next_if(|&&retried| retried == row).is_none() {
                        *self.summary.rows.entry((receipt.intent.action, receipt.verdict)).or_default() += 1;
                        Reason::add(&mut self.summary.reasons, receipt);
                    }
                }
                receipts.extend(told);
            }
        }
        self.told = receipts;
        Ok(again)
    }

    /// Sends one batch, again when it could not be sent at all. One outcome per row; none where the sync stopped before.
    async fn send(&self, prepared: &Prepared) -> Option<(Vec<Outcome>, DateTime<Utc>)> {
        let rows = prepared.intents.len();
        let mut attempt = prepared.attempt;
        loop {
            self.heed_cancel();
            if self.has_stopped() && attempt == prepared.attempt {
                return None;
            }
            if let Err(failure) = self.journal.permit().await {
                self.stop_with(Ended::Failed(failure));
                return None;
            }
            attempt += 1;
            match self.destination.send(self.target, &prepared.batch).await {
                Ok(sent) if sent.outcomes.len() == rows => {
                    let mut course = self.course();
                    course.batches += 1;
                    course.failed_in_a_row = 0;
                    drop(course);
                    if let Some(failure) = sent.stop {
                        self.stop_with(Ended::Failed(failure));
                    }
                    return Some((sent.outcomes, self.clock.now()));
                }
                Ok(sent) => {
                    let message = format!("{} outcomes came back for {rows} rows", sent.outcomes.len());
                    self.stop_with(Ended::Failed(
                        Failure::world("W606", format!("delivering the sync `{}`", self.target.sync), &message)
                            .help("this is a defect of the connector; its rows are marked as unknown: report it"),
                    ));
                    let unknown = Outcome::Unknown { code: "answer".to_owned(), message };
                    return Some((vec![unknown; rows], self.clock.now()));
                }
                Err(failure) if attempt >= self.terms.attempts || self.cancel.is_cancelled() || self.has_stopped() => {
                    let outcome = Outcome::Retry { code: failure.code.to_owned(), message: failure.cause.clone() };
                    let mut course = self.course();
                    course.failed_in_a_row += 1;
                    if course.failed_in_a_row >= self.terms.give_up_after || failure.fault == Fault::Project {
                        course.stop.get_or_insert(Ended::Failed(failure));
                    } else {
                        course.given_up = Some(failure);
                    }
                    drop(course);
                    return Some((vec![outcome; rows], self.clock.now()));
                }
                Err(_) => self.cancel.or_sleep(self.clock, self.terms.backoff.pause(attempt)).await,
            }
        }
    }

    /// Rows that may be sent again in this run.
    fn worth_another(&self, prepared: &Prepared, outcomes: &[Outcome]) -> Vec<usize> {
        let is_failing = self.course().failed_in_a_row > 0;
        if self.has_stopped() || is_failing || prepared.attempt + 1 >= self.terms.attempts {
            return Vec::new();
        }
        let again = outcomes.iter().enumerate().filter(|(_, outcome)| match outcome {
            Outcome::Retry { .. } => true,
            Outcome::Unknown { .. } => self.destination.may_resend(prepared.batch.operation),
            Outcome::Accepted { .. } | Outcome::Unchanged | Outcome::Rejected { .. } | Outcome::NotSent => false,
        });
        again.map(|(row, _)| row).collect()
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_stopped(&self) -> bool {
        self.course().stop.is_some()
    }

    /// The first reason counts.
    fn stop_with(&self, ended: Ended) {
        self.course().stop.get_or_insert(ended);
    }

    fn heed_cancel(&self) {
        if self.cancel.is_cancelled() {
            self.stop_with(Ended::Cancelled);
        }
    }
    fn count(&mut self, prepared: &Prepared, verdict: impl Fn(&Intent) -> Verdict) {
        for intent in &prepared.intents {
            *self.summary.rows.entry((intent.action, verdict(intent))).or_default() += 1;
        }
    }
}

#[cfg(test)]
#[path = "syncer_tests.rs"]
mod tests;
