//! What the journal adds up to: per row, what the destination is known to hold, and what is in doubt.
//!
//! The state of a row is a left fold of a small machine over the row's journal entries in order, so it does not matter where the
//! journal is cut: `fold(fold(s, a), b) = fold(s, a ++ b)`. Its columns are those of `sync_state`; the table adds the constants of
//! the sync (`sync, account, object, audience`) in front. As SQL, with `e` the entries after the last fold and `seq` their order:
//!
//! ```sql
//! -- p: the last positive receipt of a key ('accepted', 'unchanged'), if any
//! delivered_hash  = case when p is null then s.delivered_hash when p.operation = 'remove' then null else p.desired_hash end
//! delivered_at    = time of the last 'accepted' add, update or clear after the last positive 'remove'; null: nothing of ours is there
//! deliveries      = s.deliveries + count(*) filter (where outcome in ('accepted', 'unchanged'))
//! attempts        = count(*) filter (where outcome in ('rejected', 'retry', 'unknown') and seq > p.seq) (+ s.attempts where p is null)
//! in_doubt_*      = the first intent after p that no 'rejected', 'retry' or 'not_sent' receipt of its own batch settled before the
//!                   next intent; in_doubt_batch is null where another intent came upon it: then only a positive answer settles
//! status          = word of the last entry
//! next_attempt_at = at + least(first * 2 ^ (attempts - 1), longest), of the last failed receipt
//! ```
//!
//! `after` is that fold for one row: whoever has more rows than memory sorts state and entries by key.

use chrono::{DateTime, Utc};

use super::clock::Backoff;
use super::destination::Operation;
use super::journal::{Action, Entry, Intent, Receipt, Verdict};

/// The last word about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Nothing was tried, or what was tried was not sent.
    Pending,
    /// The destination holds what we sent.
    Delivered,
    /// There was nothing to change, and nothing there is ours.
    Unchanged,
    /// The fields were cleared; the row is still there.
    Cleared,
    /// The row was deleted.
    Removed,
    /// The destination refused it.
    Rejected,
    /// It was not done, and will be tried again.
    Retry,
    /// Nobody knows whether it was done, and it was said so.
    Unknown,
    /// It was about to be sent when the run ended.
    InDoubt,
}

impl Status {
    const ALL: [Self; 9] = [
        Self::Pending,
        Self::Delivered,
        Self::Unchanged,
        Self::Cleared,
        Self::Removed,
        Self::Rejected,
        Self::Retry,
        Self::Unknown,
        Self::InDoubt,
    ];

    /// As it stands in `sync_state`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Unchanged => "unchanged",
            Self::Cleared => "cleared",
            Self::Removed => "removed",
            Self::Rejected => "rejected",
            Self::Retry => "retry",
            Self::Unknown => "unknown",
            Self::InDoubt => "in_doubt",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// Something that may have been done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The batch that can be asked about; none when several are in doubt, so that no single answer settles.
    pub batch: Option<String>,
    /// Why it was due.
    pub action: Action,
    /// What was asked.
    pub operation: Operation,
    /// What the destination then holds.
    pub hash: Option<String>,
}

/// What is known of one row at one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Canonical JSON of the key.
    pub key: String,
    /// Whose row it is, by the last entry.
    pub customer_id: String,
    /// Hash of what the destination holds for certain; none: nothing.
    pub delivered_hash: Option<String>,
    /// Since when it holds it *from us*; none while nothing there is ours, which must not be removed then.
    pub delivered_at: Option<DateTime<Utc>>,
    /// Positive answers so far: makes the id of a later batch with the same rows another one.
    pub deliveries: u64,
    /// What may have been done.
    pub doubt: Option<Doubt>,
    /// The last word.
    pub status: Status,
    /// The destination's id for the row.
    pub destination_id: Option<String>,
    /// Hash of the last attempt: a row that failed is tried again at once when it has changed.
    pub attempted_hash: Option<String>,
    /// Failed attempts since the last positive answer.
    pub attempts: u32,
    /// Not to be tried before.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Code and message of the last failure.
    pub error: Option<String>,
}

impl State {
    fn new(intent: &Intent) -> Self {
        Self {
            key: intent.key.clone(),
            customer_id: intent.customer_id.clone(),
            delivered_hash: None,
            delivered_at: None,
            deliveries: 0,
            doubt: None,
            status: Status::Pending,
            destination_id: None,
            attempted_hash: None,
            attempts: 0,
            next_attempt_at: None,
            error: None,
        }
    }

    /// May the destination hold something that we sent? Only then there is something to remove.
    #[must_use]
    pub fn may_hold_ours(&self) -> bool {
        let doubted = self.doubt.as_ref().is_some_and(|doubt| {
            doubt.batch.is_none() || matches!(doubt.operation, Operation::Add | Operation::Update)
        });
        doubted || (self.delivered_hash.is_some() && self.delivered_at.is_some())
    }

    fn apply(&mut self, entry: &Entry, backoff: &Backoff) {
        match entry {
            Entry::Intent(intent) => self.intend(intent),
            Entry::Receipt(receipt) if receipt.verdict == Verdict::Withheld => {}
            Entry::Receipt(receipt) => self.receive(receipt, backoff),
        }
    }

    fn intend(&mut self, intent: &Intent) {
        self.customer_id.clone_from(&intent.customer_id);
        self.attempted_hash.clone_from(&intent.desired_hash);
        if let Some(older) = &mut self.doubt {
            // No answer about the new batch says what became of the older one.
            older.batch = None;
        } else {
            self.doubt = Some(Doubt {
                batch: Some(intent.batch_id.clone()),
                action: intent.action,
                operation: intent.operation,
                hash: intent.desired_hash.clone(),
            });
        }
        self.status = Status::InDoubt;
    }

    fn receive(&mut self, receipt: &Receipt, backoff: &Backoff) {
        let intent = &receipt.intent;
        self.customer_id.clone_from(&intent.customer_id);
        self.attempted_hash.clone_from(&intent.desired_hash);
        if receipt.verdict.is_positive() {
            self.take(receipt);
            return;
        }
        let settles = self.doubt.as_ref().is_some_and(|doubt| doubt.batch.as_ref() == Some(&intent.batch_id));
        if receipt.verdict != Verdict::Unknown && settles {
            self.doubt = None;
        }
        if receipt.verdict == Verdict::Unknown && self.doubt.is_none() {
            self.intend(intent);
        }
        if receipt.verdict == Verdict::NotSent {
            self.status = if self.doubt.is_some() { Status::InDoubt } else { Status::Pending };
            return;
        }
        self.status = match receipt.verdict {
            Verdict::Rejected => Status::Rejected,
            Verdict::Unknown => Status::Unknown,
            _ => Status::Retry,
        };
        self.attempts = self.attempts.saturating_add(1);
        self.next_attempt_at = Some(backoff.next(receipt.at, self.attempts));
        let told = [&receipt.code, &receipt.message].into_iter().flatten().map(String::as_str);
        self.error = Some(told.collect::<Vec<_>>().join(": "));
    }

    /// A positive answer: the only thing that moves what is delivered.
    fn take(&mut self, receipt: &Receipt) {
        // After a doubt, "nothing to change" may be our own work.
        let doubted = self.doubt.as_ref().is_some_and(|doubt| doubt.batch.is_none());
        let ours = receipt.verdict == Verdict::Accepted || doubted;
        match receipt.intent.operation {
            Operation::Remove => {
                self.delivered_hash = None;
                self.delivered_at = None;
                self.destination_id = None;
                self.status = Status::Removed;
            }
            Operation::Clear => {
                self.delivered_hash.clone_from(&receipt.intent.desired_hash);
                self.delivered_at = ours.then_some(receipt.at);
                self.status = Status::Cleared;
            }
            Operation::Add | Operation::Update => {
                self.delivered_hash.clone_from(&receipt.intent.desired_hash);
                if ours {
                    self.delivered_at = Some(receipt.at);
                }
                self.status = if self.delivered_at.is_some() { Status::Delivered } else { Status::Unchanged };
            }
        }
        if receipt.destination_id.is_some() {
            self.destination_id.clone_from(&receipt.destination_id);
        }
        self.doubt = None;
        self.deliveries += 1;
        self.attempts = 0;
        self.next_attempt_at = None;
        self.error = None;
    }
}

/// The state of one row after these entries, all of which are about it.
#[must_use]
pub fn after<'a>(
    state: Option<State>,
    entries: impl IntoIterator<Item = &'a Entry>,
    backoff: &Backoff,
) -> Option<State> {
    let mut state = state;
    for entry in entries {
        state.get_or_insert_with(|| State::new(entry.intent())).apply(entry, backoff);
    }
    state
}

/// The state of all rows after these entries, by key: all of them in memory, as tests have them.
#[cfg(test)]
pub(crate) fn fold<'a>(
    state: impl IntoIterator<Item = State>,
    journal: impl IntoIterator<Item = &'a Entry>,
    backoff: &Backoff,
) -> Vec<State> {
    use std::collections::BTreeMap;

    let mut rows: BTreeMap<String, State> = state.into_iter().map(|row| (row.key.clone(), row)).collect();
    for entry in journal {
        let key = &entry.intent().key;
        let row = after(rows.remove(key), [entry], backoff);
        rows.extend(row.map(|row| (key.clone(), row)));
    }
    rows.into_values().collect()
}

/// What a row should be at the destination now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired<'a> {
    /// There, with the fields of this hash.
    Row(&'a str),
    /// Gone: it left, and leavers are deleted.
    Gone,
    /// There, with the fields cleared; the hash stands for "cleared".
    Cleared(&'a str),
    /// Gone or cleared (the hash) because consent was lost or the person erased.
    Withdrawn(Option<&'a str>),
}

/// Is the row due, and for what? `resend` is the destination's `idempotent`.
///
/// ```sql
/// desired_hash is distinct from delivered_hash or in_doubt_operation is not null   -- differs, or in doubt
/// and (next_attempt_at is null or next_attempt_at <= now or attempted_hash is distinct from desired_hash)   -- poison rows wait
/// and (resend or not (in_doubt_operation is not null and in_doubt_hash is not distinct from desired_hash   -- never twice where
///                     or status in ('in_doubt', 'unknown') and attempted_hash is not distinct from desired_hash))   -- that harms
/// -- leavers: only where we may have something there, and withdrawals do not wait
/// ```
#[must_use]
pub fn due(state: Option<&State>, desired: Desired<'_>, now: DateTime<Utc>, resend: bool) -> Option<Action> {
    let (hash, action) = match desired {
        Desired::Row(hash) => {
            let there = state.is_some_and(|state| state.delivered_hash.is_some());
            (Some(hash), if there { Action::Update } else { Action::Add })
        }
        Desired::Gone => (None, Action::Remove),
        Desired::Cleared(hash) => (Some(hash), Action::Clear),
        Desired::Withdrawn(hash) => (hash, Action::Withdraw),
    };
    let leaves = !matches!(desired, Desired::Row(_));
    let Some(state) = state else { return (!leaves).then_some(action) };
    if leaves && !state.may_hold_ours() {
        return None;
    }
    if state.delivered_hash.as_deref() == hash && state.doubt.is_none() {
        return None;
    }
    let waits = state.next_attempt_at.is_some_and(|next| next > now) && state.attempted_hash.as_deref() == hash;
    if waits && action != Action::Withdraw {
        return None;
    }
    let repeats = state.doubt.as_ref().is_some_and(|doubt| doubt.hash.as_deref() == hash)
        || (matches!(state.status, Status::InDoubt | Status::Unknown) && state.attempted_hash.as_deref() == hash);
    if repeats && !resend && action != Action::Withdraw {
        return None;
    }
    Some(action)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
