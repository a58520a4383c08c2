//! The real thing: what is due is sent, and what became of it is recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::super::audit::{self, Act};
use super::super::holds::Hold;
use super::super::workspace::Workspace;
use super::baseline;
use super::destination::{self, target_of_pass};
use super::difference::{Difference, Preview, Wanted};
use super::journal::DeltaJournal;
use super::order::Turn;
use super::record;
use super::rehearse::dry_run;
use super::remembered::{Place, Remembered, doubts};
use crate::diag::{Failure, Result};
use crate::project::{Connection, Kind, Sync};
use crate::report::Progress;
use crate::store::{Lease, failure_from};
use crate::sync::clock::{Backoff, Cancel, Clock};
use crate::sync::destination::{Destination, Target};
use crate::sync::guard;
use crate::sync::http::Accounts;
use crate::sync::journal::{Action, Verdict};
use crate::sync::reason::Reason;
use crate::sync::settle::{Settled, settle};
use crate::sync::syncer::{self, Ended, Summary, Terms};

/// How a sync is delivered.
pub struct How<'a> {
    /// Let guards that trip pass, once.
    pub accept: bool,
    /// What is sent is held back: withdrawals go, all else stays due.
    pub hold: Option<Hold>,
    /// The right to write. Without it what would be sent is shown, and nothing is sent.
    pub lease: Option<&'a Lease>,
    /// Rows that failed and wait for a later attempt are attempted, too.
    pub retry: bool,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Asks for the end after the batch that is under way.
    pub cancel: &'a Cancel,
    /// Accounts at HTTP APIs: syncs on the same one share it.
    pub accounts: &'a Accounts,
    /// Is told how far it has come.
    pub progress: &'a dyn Progress,
}

impl How<'_> {
    /// Rows are attempted whose next attempt may be at this time.
    fn attempts_until(&self) -> DateTime<Utc> {
        let now = self.clock.now();
        if self.retry { now + Backoff::BETWEEN_RUNS.longest } else { now }
    }
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All that was due was attempted.
    Done,
    /// Nothing was sent, as was asked.
    DryRun,
    /// Nothing was sent, since neither the target nor the connection says `deliver: true`.
    NotDelivering,
    /// The desired rows were taken as delivered; nothing was sent.
    Baseline,
    /// A guard tripped: withdrawals went, all else stays due.
    Guarded,
    /// It was asked to stop; what was not sent stays due.
    Cancelled,
    /// It could not go on; what was not sent stays due.
    Failed(Failure),
}

impl Outcome {
    /// As it stands in `sync_runs`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::DryRun => "dry_run",
            Self::NotDelivering => "not_delivering",
            Self::Baseline => "baseline",
            Self::Guarded => "guarded",
            Self::Cancelled => "cancelled",
            Self::Failed(_) => "failed",
        }
    }
}

/// What a delivery did.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The sync.
    pub sync: String,
    /// Names this run of the sync in `sync_runs` and `sync_receipts`; empty where nothing was recorded.
    pub sync_run_id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was due when it began.
    pub preview: Preview,
    /// Rows by what was done and the last word about them.
    pub rows: BTreeMap<(Action, Verdict), u64>,
    /// Why rows are not where they should be, by the last word about them and its code.
    pub reasons: BTreeMap<(Verdict, String), Reason>,
    /// Batches that were answered.
    pub batches: u64,
    /// How long it was held by the account's quota.
    pub waited: Duration,
    /// What became of the doubts of an earlier run.
    pub settled: Settled,
    /// Was a tripped guard passed with `--accept`?
    pub guard_accepted: bool,
}

impl Report {
    fn new(sync: &Sync, sync_run_id: &str, preview: Preview) -> Self {
        Self {
            sync: sync.name.clone(),
            sync_run_id: sync_run_id.to_owned(),
            outcome: Outcome::Done,
            preview,
            rows: BTreeMap::new(),
            reasons: BTreeMap::new(),
            batches: 0,
            waited: Duration::ZERO,
            settled: Settled::default(),
            guard_accepted: false,
        }
    }

    /// Rows with this last word.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.rows.iter().filter(|((_, last), _)| *last == verdict).map(|(_, count)| count).sum()
    }

    /// Rows for which this was confirmed.
    #[must_use]
    pub fn done(&self, action: Action) -> u64 {
        self.rows.iter().filter(|((done, last), _)| *done == action && last.is_positive()).map(|(_, count)| count).sum()
    }

    /// Rows that the destination did not take for now, or of which nobody knows.
    fn untaken(&self) -> Option<Failure> {
        let open = |verdict: &Verdict| matches!(verdict, Verdict::Retry | Verdict::Unknown);
        let rows: u64 = self.rows.iter().filter(|((_, last), _)| open(last)).map(|(_, count)| count).sum();
        let reasons = self.reasons.iter().filter(|((verdict, _), _)| open(verdict));
        let ((_, code), reason) = reasons.max_by_key(|(_, reason)| reason.rows)?;
        let (are, they) = if rows == 1 { ("row was", "it is") } else { ("rows were", "they are") };
        let cause = format!("{rows} {are} not taken, or nobody knows; most often `{code}`: {}", reason.message);
        Some(Failure::world("W612", format!("delivering the sync `{}`", self.sync), cause).help(format!(
            "the next runs try again, ever later; `cohorte sync {0} --retry` tries now, `cohorte receipts {0}` says which {they}",
            self.sync
        )))
    }

    /// Why it is no success, where it is none: a tripped guard, or what stopped it. Its exit code is the process's.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        match &self.outcome {
            Outcome::Guarded => match &self.preview.hold {
                Some(hold @ Hold::Blocked { source, .. }) => {
                    let failure = Failure::project("E605", format!("delivering the sync `{}`", self.sync), hold);
                    Some(failure.help(format!("mend `{source}`, then `cohorte run`; withdrawals went through")))
                }
                hold => {
                    let segment = hold.as_ref().and_then(Hold::segment);
                    guard::failure(&self.sync, &self.preview.guards(), segment)
                }
            },
            Outcome::Failed(failure) => Some(failure.clone()),
            Outcome::Done => self.untaken(),
            _ => None,
        }
    }
}

/// Delivers a sync. Reads the session's `<entity>`, `segment_members` and `consents`. An error says that it could not begin or
/// not be recorded; what went wrong underway is in the report.
pub async fn deliver(workspace: &Workspace, sync: &Sync, how: &How<'_>, mut turn: Turn<'_>) -> Result<Report> {
    let connection = destination::connection(workspace, sync)?;
    let Some(lease) = how.lease.filter(|_| connection.deliver) else {
        let outcome = if connection.deliver { Outcome::DryRun } else { Outcome::NotDelivering };
        let preview = dry_run(workspace, sync, &how.clock, how.attempts_until()).await?;
        return Ok(Report { outcome, ..Report::new(sync, "", Preview { hold: how.hold.clone(), ..preview }) });
    };
    let mut opened = destination::open(workspace, sync, connection, lease, how)?;
    deliver_to(workspace, sync, connection, opened.as_mut(), lease, how, &mut turn).await
}

/// As [`deliver`], to this destination.
pub(super) async fn deliver_to(
    workspace: &Workspace,
    sync: &Sync,
    connection: &Connection,
    destination: &mut dyn Destination,
    lease: &Lease,
    how: &How<'_>,
    turn: &mut Turn<'_>,
) -> Result<Report> {
    let sync_run_id = uuid::Uuid::new_v4().simple().to_string();
    let place = Place::of(sync, connection);
    let delivery = Delivery { workspace, sync, lease, place: &place, how, sync_run_id: &sync_run_id };
    delivery.run(destination, turn).await
}

/// What is due, and whether a guard holds back what is no withdrawal.
struct Due<'a> {
    wanted: &'a Wanted,
    difference: &'a Difference,
    is_guarded: bool,
}

struct Delivery<'a> {
    workspace: &'a Workspace,
    sync: &'a Sync,
    lease: &'a Lease,
    place: &'a Place,
    how: &'a How<'a>,
    sync_run_id: &'a str,
}

impl Delivery<'_> {
    async fn run(&self, destination: &mut dyn Destination, turn: &mut Turn<'_>) -> Result<Report> {
        let (workspace, sync, how) = (self.workspace, self.sync, self.how);
        let started = how.clock.now();
        how.progress.step(&format!("comparing `{}`", sync.name), None);
        let mut remembered = Remembered::load(workspace, &sync.name).await?;
        remembered.save(workspace, self.lease).await?;
        let wanted = Wanted::stage(workspace, sync).await?;
        let mut journal = DeltaJournal {
            workspace,
            lease: self.lease,
            progress: how.progress,
            sync: &sync.name,
            place: self.place,
            sync_run_id: self.sync_run_id,
            seq: 0,
            folded: 0,
            table: None,
        };
        remembered.register(workspace, self.place).await?;
        let settled = self.settle(destination, &wanted, &mut journal).await?;
        if journal.seq > 0 {
            journal.fold().await?;
            remembered.register(workspace, self.place).await?;
        }
        let difference = Difference::stage(workspace, sync, &wanted, how.attempts_until()).await?;
        let preview = Preview { hold: how.hold.clone(), ..difference.preview.clone() };
        let mut report = Report { settled, ..Report::new(sync, self.sync_run_id, preview) };
        let guards = report.preview.guards();
        let is_blocked = how.hold.as_ref().is_some_and(|hold| !hold.can_pass());
        let is_guarded = is_blocked || (!guards.is_empty() && !how.accept);
        report.guard_accepted = !guards.is_empty() && !is_guarded;
        if report.guard_accepted {
            let act = Act::accept(format!("{}:{}", Kind::Sync, sync.name), guards.join("; "));
            audit::write(workspace, self.lease, &[act]).await?;
        }
        if report.preview.is_baseline && !is_guarded {
            baseline::take(workspace, sync, self.place, self.lease, started).await?;
            report.outcome = Outcome::Baseline;
        } else if report.preview.is_baseline {
            // Nothing is ours there yet, so there is nothing to withdraw either; the next run is still the first.
            report.outcome = Outcome::Guarded;
        } else {
            how.progress.step(&format!("delivering `{}`", sync.name), Some(report.preview.due()));
            let due = Due { wanted: &wanted, difference: &difference, is_guarded };
            self.send(destination, &due, &mut journal, turn, &mut report).await;
            journal.fold().await?;
            report.waited = destination.waited();
        }
        let finished = how.clock.now();
        if !report.preview.withheld.is_empty() {
            record::withheld(workspace, self.lease, &sync.name, self.sync_run_id, finished).await?;
        }
        record::run(workspace, self.lease, self.place, &report, started, finished).await?;
        Ok(report)
    }

    async fn settle(
        &self,
        destination: &mut dyn Destination,
        wanted: &Wanted,
        journal: &mut DeltaJournal<'_>,
    ) -> Result<Settled> {
        let doubts = doubts(self.workspace).await?;
        if doubts.is_empty() {
            return Ok(Settled::default());
        }
        settle(destination, &wanted.target, &doubts, journal, self.how.clock.as_ref()).await
    }

    /// The passes, one after the other; what goes wrong ends them and is in the report.
    async fn send(
        &self,
        destination: &mut dyn Destination,
        due: &Due<'_>,
        journal: &mut DeltaJournal<'_>,
        turn: &mut Turn<'_>,
        report: &mut Report,
    ) {
        for (pass, &rows) in due.difference.passes.iter().enumerate() {
            // Withdrawals, and consents that were withdrawn: no guard holds them back, and nothing goes before them.
            if pass == 2 {
                turn.withdrawn().await;
                if due.is_guarded {
                    break;
                }
            }
            if rows == 0 {
                continue;
            }
            let target = Target {
                ours: due.difference.preview.delivered,
                ..target_of_pass(self.sync, &due.wanted.target, pass)
            };
            let summary = match self.pass(destination, &target, pass, journal).await {
                Ok(summary) => summary,
                Err(failure) => {
                    report.outcome = Outcome::Failed(failure);
                    return;
                }
            };
            report.batches += summary.batches;
            Reason::merge(&mut report.reasons, summary.reasons);
            for (key, count) in summary.rows {
                *report.rows.entry(key).or_default() += count;
            }
            match summary.ended {
                Ended::Complete => {}
                Ended::Cancelled => {
                    report.outcome = Outcome::Cancelled;
                    return;
                }
                Ended::Failed(failure) => {
                    report.outcome = Outcome::Failed(failure);
                    return;
                }
            }
        }
        if due.is_guarded {
            report.outcome = Outcome::Guarded;
        }
    }

    async fn pass(
        &self,
        destination: &mut dyn Destination,
        target: &Target,
        pass: usize,
        journal: &mut DeltaJournal<'_>,
    ) -> Result<Summary> {
        destination.prepare(target).await?;
        let doing = format!("reading what is due in the sync `{}`", self.sync.name);
        let sql = format!("select * from _sync_due where pass = {pass} order by rank, key");
        let stream = async { self.workspace.opened.session.sql(&sql).await?.execute_stream().await };
        let stream = stream.await.map_err(|error| failure_from(doing, &error))?;
        let began = Instant::now();
        let terms = Terms { on_withdraw: destination::withdrawal(self.sync), ..Terms::default() };
        let clock = self.how.clock.as_ref();
        let summary =
            syncer::deliver(destination, target, stream, journal, &self.lease.watch(), &terms, clock, self.how.cancel)
                .await;
        let rows = summary.rows.values().sum();
        self.workspace.stage.timings.note(format!("delivering `{}`", self.sync.name), began, Some(rows), None);
        Ok(summary)
    }
}
