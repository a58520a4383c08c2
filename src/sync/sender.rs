//! Sending a window: its batches, several at once where the destination takes them so, each again when it could not be sent at all.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use futures::StreamExt;

use super::clock::{Cancel, Clock};
use super::destination::{Destination, Outcome, Target};
use super::journal::Permit;
use super::queue::Prepared;
use super::syncer::{Ended, Terms};
use crate::diag::{Failure, Fault};

/// One outcome per row of a batch, and when; none where the sync stopped before it was sent.
pub(super) type Answered = Option<(Vec<Outcome>, DateTime<Utc>)>;

pub(super) struct Sender<'a> {
    destination: &'a dyn Destination,
    pub(super) target: &'a Target,
    permit: &'a dyn Permit,
    terms: &'a Terms,
    clock: &'a dyn Clock,
    cancel: &'a Cancel,
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

impl<'a> Sender<'a> {
    pub(super) fn new(
        destination: &'a dyn Destination,
        target: &'a Target,
        permit: &'a dyn Permit,
        terms: &'a Terms,
        clock: &'a dyn Clock,
        cancel: &'a Cancel,
    ) -> Self {
        Self { destination, target, permit, terms, clock, cancel, course: Mutex::default() }
    }

    /// Sends all batches of a window.
    pub(super) async fn window(&self, window: &[Prepared]) -> Vec<Answered> {
        let concurrency = self.destination.concurrency().max(1);
        let mut sent = Vec::with_capacity(window.len());
        // Batches of one action at a time: a removal is done before the add of the same key begins.
        for group in window.chunk_by(|one, next| one.intents[0].action == next.intents[0].action) {
            let sends = group.iter().enumerate().map(async |(place, prepared)| (place, self.send(prepared).await));
            // One that takes long keeps no other from going.
            let mut answered: Vec<_> = futures::stream::iter(sends).buffer_unordered(concurrency).collect().await;
            answered.sort_by_key(|(place, _)| *place);
            sent.extend(answered.into_iter().map(|(_, answered)| answered));
        }
        sent
    }

    /// Sends one batch, again when it could not be sent at all.
    async fn send(&self, prepared: &Prepared) -> Answered {
        let rows = prepared.intents.len();
        let mut attempt = prepared.attempt;
        loop {
            self.heed_cancel();
            if self.has_stopped() && attempt == prepared.attempt {
                return None;
            }
            if let Err(failure) = self.permit.permit().await {
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
                    if sent.outcomes.contains(&Outcome::NotSent) {
                        // It may be that the end was asked for while it waited for its turn.
                        self.heed_cancel();
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
                Err(_) => self.pause(attempt).await,
            }
        }
    }

    /// Waits before an attempt.
    pub(super) async fn pause(&self, attempt: u32) {
        self.cancel.or_sleep(self.clock, self.terms.backoff.pause(attempt)).await;
    }

    /// Rows that may be sent again in this run.
    pub(super) fn worth_another(&self, prepared: &Prepared, outcomes: &[Outcome]) -> Vec<usize> {
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

    /// May all of them be sent twice?
    pub(super) fn may_resend(&self, window: &[Prepared]) -> bool {
        window.iter().all(|prepared| self.destination.may_resend(prepared.batch.operation))
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The batches that were answered, and why sending ended, where it did not come to its end.
    pub(super) fn ended(&self) -> (u64, Option<Ended>) {
        let mut course = self.course();
        let given_up = course.given_up.take().map(Ended::Failed);
        (course.batches, course.stop.take().or(given_up))
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.course().stop.is_some()
    }

    /// The first reason counts.
    fn stop_with(&self, ended: Ended) {
        self.course().stop.get_or_insert(ended);
    }

    pub(super) fn heed_cancel(&self) {
        if self.cancel.is_cancelled() {
            self.stop_with(Ended::Cancelled);
        }
    }
}
