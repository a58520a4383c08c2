//! The loop of a sync: windows of due rows are intended and sent, one after the other, and what became of each is written down with
//! what the next intends.
//!
//! Whatever moment the process dies at, the journal is behind the destination by one window at most (two, where rows may be sent twice), and
//! says which: those rows are in doubt. The next run first settles doubts (`settle`), then computes what is due, then delivers it (`deliver`).

use std::collections::BTreeMap;

use datafusion::execution::SendableRecordBatchStream;

use super::books::{Books, SentWindow};
use super::clock::{Backoff, Cancel, Clock};
use super::destination::{Destination, Operation, Target};
use super::journal::{Action, Intent, Journal, Permit, Verdict};
use super::queue::{Ahead, Prepared, Queue};
use super::reason::Reason;
use super::sender::Sender;
use crate::diag::Failure;

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
#[allow(clippy::too_many_arguments)] // Each is another side of the world.
pub async fn deliver(
    destination: &dyn Destination,
    target: &Target,
    due: SendableRecordBatchStream,
    journal: &mut dyn Journal,
    permit: &dyn Permit,
    terms: &Terms,
    clock: &dyn Clock,
    cancel: &Cancel,
) -> Summary {
    let queue = Queue::new(target, due, destination.max_rows(), terms.window_rows, terms.on_withdraw);
    let sender = Sender::new(destination, target, permit, terms, clock, cancel);
    let mut syncer = Syncer { sender, journal, books: Books::default() };
    let ended = syncer.run(queue.ahead()).await;
    let broke = ended.and(syncer.write_down().await).err();
    let (batches, ended) = syncer.sender.ended();
    let ended = broke.map(Ended::Failed).or(ended).unwrap_or_default();
    Summary { batches, ended, ..syncer.books.summary }
}

struct Syncer<'a> {
    sender: Sender<'a>,
    journal: &'a mut dyn Journal,
    books: Books,
}

/// Batches between two commits of the journal.
#[derive(Default)]
struct Window {
    batches: Vec<Prepared>,
    /// Does the journal say already that it is about to be sent?
    is_intended: bool,
}

impl Syncer<'_> {
    /// Windows until nothing is due; while one is sent, what became of the one before is taken down, and the next is intended where it
    /// does no harm should the process die before it is sent. An error is the journal's or the queue's: nothing more can be done safely.
    async fn run(&mut self, mut queue: Ahead) -> Result<(), Failure> {
        self.sender.heed_cancel();
        if self.sender.has_stopped() {
            return Ok(());
        }
        let mut next = Window { batches: queue.window().await?, is_intended: false };
        while !next.batches.is_empty() {
            self.sender.heed_cancel();
            if !next.is_intended {
                if self.sender.has_stopped() {
                    return Ok(());
                }
                self.intend(&next.batches).await?;
            }
            let (sender, journal, books) = (&self.sender, &mut *self.journal, &mut self.books);
            let (answers, ahead) =
                futures::join!(sender.window(&next.batches), ahead(sender, &mut queue, journal, books));
            let sent = SentWindow::of(sender, next.batches, answers);
            let mut again = Vec::new();
            if sent.is_open() {
                again = self.books.take_down(self.sender.target, sent)?;
            } else {
                self.books.keep(sent);
            }
            // Rows to try again go before all later ones, as a window of their own with intents of their own.
            while !again.is_empty() {
                let attempt = again.iter().map(|prepared| prepared.attempt).max();
                if let (Some(attempt), false) = (attempt, self.sender.has_stopped()) {
                    self.write_down().await?;
                    self.sender.pause(attempt).await;
                }
                again = self.again(again).await?;
            }
            next = ahead?;
        }
        Ok(())
    }

    /// Writes down what became of what was sent last.
    async fn write_down(&mut self) -> Result<(), Failure> {
        let told = self.books.told(self.sender.target)?;
        if told.is_empty() { Ok(()) } else { self.journal.write(told, Vec::new()).await }
    }

    /// What became of the window before and what this one intends are one commit.
    async fn intend(&mut self, window: &[Prepared]) -> Result<(), Failure> {
        let told = self.books.told(self.sender.target)?;
        self.journal.write(told, intents(window)).await
    }

    /// Sends rows that are worth another attempt; gives those that still are.
    async fn again(&mut self, window: Vec<Prepared>) -> Result<Vec<Prepared>, Failure> {
        self.sender.heed_cancel();
        if self.sender.has_stopped() {
            // Their receipts are written: they stay due as they are.
            for prepared in &window {
                self.books.count(prepared, Verdict::Retry);
            }
            return Ok(Vec::new());
        }
        self.intend(&window).await?;
        let answers = self.sender.window(&window).await;
        self.books.take_down(self.sender.target, SentWindow::of(&self.sender, window, answers))
    }
}

fn intents(window: &[Prepared]) -> Vec<Intent> {
    window.iter().flat_map(|prepared| prepared.intents.iter().cloned()).collect()
}

/// Takes the next window and intends it, with what became of the one before the one that is being sent. Should the process die now,
/// its rows are in doubt though they were not sent: that does no harm where they may be sent again.
async fn ahead(
    sender: &Sender<'_>,
    queue: &mut Ahead,
    journal: &mut dyn Journal,
    books: &mut Books,
) -> Result<Window, Failure> {
    let told = books.told(sender.target)?;
    let batches = match queue.window().await {
        Ok(batches) => batches,
        Err(failure) => {
            journal.write(told, Vec::new()).await?;
            return Err(failure);
        }
    };
    let is_intended = !batches.is_empty() && sender.may_resend(&batches) && !sender.has_stopped();
    let next = if is_intended { intents(&batches) } else { Vec::new() };
    if !(told.is_empty() && next.is_empty()) {
        journal.write(told, next).await?;
    }
    Ok(Window { batches, is_intended })
}

#[cfg(test)]
#[path = "syncer_tests.rs"]
mod tests;
