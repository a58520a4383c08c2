//! The books of a sync: what became of the rows that were sent, counted, and as receipts that wait to be written down.

use chrono::{DateTime, Utc};

use super::destination::Target;
use super::journal::{Receipt, Verdict};
use super::queue::Prepared;
use super::reason::Reason;
use super::sender::{Answered, Sender};
use super::syncer::Summary;
use crate::diag::Failure;

/// A window that was sent: what became of its batches, and the rows of each that are worth another attempt.
pub(super) struct SentWindow {
    batches: Vec<Prepared>,
    answers: Vec<Answered>,
    again: Vec<Vec<usize>>,
    ended: DateTime<Utc>,
}

impl SentWindow {
    pub(super) fn of(sender: &Sender<'_>, batches: Vec<Prepared>, answers: Vec<Answered>) -> Self {
        let worth = |(prepared, answered): (&Prepared, &Answered)| match answered {
            Some((outcomes, _)) => sender.worth_another(prepared, outcomes),
            None => Vec::new(),
        };
        let again = batches.iter().zip(&answers).map(worth).collect();
        Self { batches, answers, again, ended: sender.now() }
    }

    /// Is there a row that is worth another attempt?
    pub(super) fn is_open(&self) -> bool {
        self.again.iter().any(|rows| !rows.is_empty())
    }
}

#[derive(Default)]
pub(super) struct Books {
    pub(super) summary: Summary,
    /// What became of what was sent last, not written down yet.
    told: Vec<Receipt>,
    /// A window that was sent, and is not taken down yet: that can be done while the next is on its way.
    kept: Option<SentWindow>,
}

impl Books {
    /// Keeps a window none of whose rows is worth another attempt, to be taken down later.
    pub(super) fn keep(&mut self, sent: SentWindow) {
        self.kept = Some(sent);
    }

    /// What became of what was sent, to be written down now.
    pub(super) fn told(&mut self, target: &Target) -> Result<Vec<Receipt>, Failure> {
        if let Some(kept) = self.kept.take() {
            self.take_down(target, kept)?;
        }
        Ok(std::mem::take(&mut self.told))
    }

    /// Takes down what became of a window; gives the rows that are worth another attempt.
    pub(super) fn take_down(&mut self, target: &Target, sent: SentWindow) -> Result<Vec<Prepared>, Failure> {
        let mut again = Vec::new();
        for ((prepared, answered), retried) in sent.batches.into_iter().zip(sent.answers).zip(sent.again) {
            let Some((outcomes, at)) = answered else {
                self.count(&prepared, Verdict::NotSent);
                self.told.extend(prepared.intents.into_iter().map(|intent| Receipt {
                    intent,
                    verdict: Verdict::NotSent,
                    code: Some("stopped".to_owned()),
                    message: Some("the sync stopped before this batch".to_owned()),
                    at: sent.ended,
                    destination_id: None,
                }));
                continue;
            };
            if !retried.is_empty() {
                let mut part = prepared.part(target, &retried)?;
                part.attempt = prepared.attempt + 1;
                again.push(part);
            }
            let mut last = retried.iter().peekable();
            for (row, (intent, outcome)) in prepared.intents.into_iter().zip(outcomes).enumerate() {
                let receipt = Receipt::of(intent, outcome, at);
                if last.next_if(|&&retried| retried == row).is_none() {
                    *self.summary.rows.entry((receipt.intent.action, receipt.verdict)).or_default() += 1;
                    Reason::add(&mut self.summary.reasons, &receipt);
                }
                self.told.push(receipt);
            }
        }
        Ok(again)
    }

    /// Counts rows that have no receipt of their own.
    pub(super) fn count(&mut self, prepared: &Prepared, verdict: Verdict) {
        for intent in &prepared.intents {
            *self.summary.rows.entry((intent.action, verdict)).or_default() += 1;
        }
    }
}
