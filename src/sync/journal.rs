//! What is written down before and after rows are sent: intents, then receipts. The state is what they add up to (`state.rs`).

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::destination::{Operation, Outcome};
use crate::diag::Failure;

/// Why a row is due. In this order they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Consent was lost, or the person was erased.
    Withdraw,
    /// The row left what is desired and is deleted.
    Remove,
    /// The row left what is desired and its fields are cleared.
    Clear,
    /// The destination does not have it.
    Add,
    /// The destination has other values.
    Update,
}

impl Action {
    /// All, in the order in which they are sent.
    pub const ALL: [Self; 5] = [Self::Withdraw, Self::Remove, Self::Clear, Self::Add, Self::Update];

    /// As it stands in the queue and the journal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Withdraw => "withdraw",
            Self::Remove => "remove",
            Self::Clear => "clear",
            Self::Add => "add",
            Self::Update => "update",
        }
    }

    /// The action of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

impl Operation {
    /// As it stands in the journal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Update => "update",
            Self::Remove => "remove",
            Self::Clear => "clear",
        }
    }

    /// The operation of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Add, Self::Update, Self::Remove, Self::Clear].into_iter().find(|operation| operation.name() == name)
    }
}

/// What the journal says became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The destination confirmed it.
    Accepted,
    /// There was nothing to change.
    Unchanged,
    /// The row is at fault.
    Rejected,
    /// Not done, worth another attempt.
    Retry,
    /// Nobody knows.
    Unknown,
    /// The gate kept it back; it was never intended.
    Withheld,
    /// It was intended, and certainly not sent: the sync stopped first.
    NotSent,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Accepted, Self::Unchanged, Self::Rejected, Self::Retry, Self::Unknown, Self::Withheld, Self::NotSent];

    /// As it stands in the journal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
            Self::Retry => "retry",
            Self::Unknown => "unknown",
            Self::Withheld => "withheld",
            Self::NotSent => "not_sent",
        }
    }

    /// The verdict of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }

    /// Does the destination hold what was asked, for certain?
    #[must_use]
    pub fn is_positive(self) -> bool {
        matches!(self, Self::Accepted | Self::Unchanged)
    }
}

/// A row that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The batch that it goes in.
    pub batch_id: String,
    /// Canonical JSON of the key.
    pub key: String,
    /// Whose row it is.
    pub customer_id: String,
    /// Why it is due.
    pub action: Action,
    /// What is done.
    pub operation: Operation,
    /// Hash of what the destination is to hold; none when the row is deleted.
    pub desired_hash: Option<String>,
}

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The intent.
    pub intent: Intent,
    /// What became of it.
    pub verdict: Verdict,
    /// The destination's code, or ours.
    pub code: Option<String>,
    /// Says more; no personal data.
    pub message: Option<String>,
    /// When the answer came.
    pub at: DateTime<Utc>,
    /// The destination's id for the row.
    pub destination_id: Option<String>,
}

impl Receipt {
    /// The receipt of an outcome.
    #[must_use]
    pub fn of(intent: Intent, outcome: Outcome, at: DateTime<Utc>) -> Self {
        let (verdict, told, destination_id) = match outcome {
            Outcome::Accepted { destination_id } => (Verdict::Accepted, None, destination_id),
            Outcome::Unchanged => (Verdict::Unchanged, None, None),
            Outcome::Rejected { code, message } => (Verdict::Rejected, Some((code, message)), None),
            Outcome::Retry { code, message } => (Verdict::Retry, Some((code, message)), None),
            Outcome::NotSent => {
                let told = ("stopped".to_owned(), "the sync stopped before this row".to_owned());
                (Verdict::NotSent, Some(told), None)
            }
            Outcome::Unknown { code, message } => (Verdict::Unknown, Some((code, message)), None),
        };
        let (code, message) = told.unzip();
        Self { intent, verdict, code, message, at, destination_id }
    }
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Before.
    Intent(Intent),
    /// After.
    Receipt(Receipt),
}

impl Entry {
    /// The row that it is about.
    #[must_use]
    pub fn intent(&self) -> &Intent {
        match self {
            Self::Intent(intent) => intent,
            Self::Receipt(receipt) => &receipt.intent,
        }
    }
}

/// Where intents and receipts are kept. What was written when a call returned `Ok` survives a crash, all of it or none, and in the
/// order of the calls: the order is what the state is folded by.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Writes down what became of the rows that were sent last, and what is about to be sent next.
    async fn write(&mut self, receipts: Vec<Receipt>, intents: Vec<Intent>) -> Result<(), Failure>;
}

/// The right to send.
#[async_trait]
pub trait Permit: Send + Sync {
    /// May something be sent now? Asked before every batch, and before every request of one: a run that stalled and was replaced
    /// sends nothing more.
    async fn permit(&self) -> Result<(), Failure>;
}

/// A journal that forgets with the process: tests and dry runs.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    /// Every entry, in order.
    pub entries: Vec<Entry>,
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn write(&mut self, receipts: Vec<Receipt>, intents: Vec<Intent>) -> Result<(), Failure> {
        self.entries.extend(receipts.into_iter().map(Entry::Receipt));
        self.entries.extend(intents.into_iter().map(Entry::Intent));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for action in Action::ALL {
            assert_eq!(Action::named(action.name()), Some(action));
        }
        for verdict in Verdict::ALL {
            assert_eq!(Verdict::named(verdict.name()), Some(verdict));
        }
        assert_eq!(Operation::named("clear"), Some(Operation::Clear));
        assert_eq!(Action::named("erase"), None);
    }
}
