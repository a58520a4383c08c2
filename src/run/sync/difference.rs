//! What a sync would do: desired rows against delivered ones, counted. Nothing is written.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Int64Type};

use super::super::holds::Hold;
use super::super::workspace::Workspace;
use super::destination;
use super::mask::{self, Sample};
use super::record;
use super::rehearse::Rehearsed;
use super::remembered::{Place, Remembered, texts};
use crate::compile::{consents, syncs};
use crate::diag::{Failure, Result};
use crate::engine::repeated;
use crate::engine::same::compare;
use crate::project::{Connection, Sync};
use crate::spec::FirstRun;
use crate::store::failure_from;
use crate::sync::clock::{Clock as _, SystemClock};
use crate::sync::destination::Target;
use crate::sync::guard::{self, Figures, Limits, Tripped};

/// Rows that are shown.
const SAMPLES: usize = 3;

/// What a sync would do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Preview {
    /// The sync.
    pub sync: String,
    /// Where it goes.
    pub connection: String,
    /// Does the connection deliver? Else `sync` shows, and sends nothing.
    pub delivers: bool,
    /// Was nothing delivered there before?
    pub is_first: bool,
    /// The first run takes the desired rows as delivered (`first_run: baseline`).
    pub is_baseline: bool,
    /// Rows that are desired and pass the gate.
    pub desired: u64,
    /// Rows of ours that the destination has.
    pub delivered: u64,
    /// Desired rows that it does not have, and will be sent.
    pub adds: u64,
    /// Desired rows that it has otherwise, and will be sent.
    pub updates: u64,
    /// Rows that left and are deleted.
    pub removes: u64,
    /// Rows that left and whose fields are cleared.
    pub clears: u64,
    /// Rows that lost their consent or their customer.
    pub withdrawals: u64,
    /// Desired rows that it has as they are.
    pub unchanged: u64,
    /// Desired rows that differ and are not sent now: they failed and wait, are in doubt, or the mode does not allow it.
    pub waiting: u64,
    /// Wanted rows that are not sent, by reason.
    pub withheld: BTreeMap<String, u64>,
    /// Guards that trip: until they are accepted, only withdrawals go.
    pub tripped: Vec<Tripped>,
    /// Why what it sends is held back: only withdrawals go.
    pub hold: Option<Hold>,
    /// Batches (requests, files, transactions) that would be sent.
    pub batches: u64,
    /// Some rows that would be sent, personal values masked.
    pub samples: Vec<Sample>,
    /// The first requests that would be sent, where a dry run was asked for.
    pub rehearsal: Vec<Rehearsed>,
}

impl Preview {
    /// Every guard that tripped, its own or that of what it sends, in words.
    #[must_use]
    pub fn guards(&self) -> Vec<String> {
        let held = self.hold.iter().filter(|hold| hold.can_pass()).map(ToString::to_string);
        held.chain(self.tripped.iter().map(ToString::to_string)).collect()
    }

    /// Rows that would be sent.
    #[must_use]
    pub fn due(&self) -> u64 {
        self.adds + self.updates + self.removes + self.clears + self.withdrawals
    }
}

/// Computes what a sync would do now. Reads the session's `<entity>`, `segment_members` and `consents`, whether they are
/// staged or published. Writes nothing, connects nowhere, needs no secret.
pub async fn preview(workspace: &Workspace, sync: &Sync) -> Result<Preview> {
    let connection = destination::connection(workspace, sync)?;
    let remembered = Remembered::load(workspace, &sync.name).await?;
    let wanted = Wanted::stage(workspace, sync).await?;
    remembered.register(workspace, &Place::of(sync, connection)).await?;
    Ok(Difference::stage(workspace, sync, &wanted, SystemClock.now()).await?.preview)
}

/// The rows of a sync, readable as `_sync_rows`.
pub(super) struct Wanted {
    pub(super) target: Target,
}

impl Wanted {
    pub(super) async fn stage(workspace: &Workspace, sync: &Sync) -> Result<Self> {
        let project = &workspace.opened.project;
        workspace.view(syncs::CONSENTS, &consents::state_at(project, &workspace.opened.present)).await?;
        let session = &workspace.opened.session;
        workspace.stage.keep(session, "_sync_candidates", &syncs::candidates(project, sync)).await?;
        let doing = format!("looking for keys that the sync `{}` has twice", sync.name);
        let keys = "select key from _sync_candidates where is_member and reason is null";
        let repeated = repeated::find(session, keys).await;
        let repeated = repeated.map_err(|error| failure_from(doing.as_str(), &error))?;
        workspace.view("_sync_rows", &syncs::rows_of_candidates(sync, repeated > 0)).await?;
        let schema = workspace.schema("_sync_rows").await?;
        Ok(Self { target: destination::target(sync, &schema)? })
    }
}

/// What is due, staged as `_sync_due`, and counted.
pub(super) struct Difference {
    pub(super) preview: Preview,
    /// Rows by pass.
    pub(super) passes: [u64; 3],
}

impl Difference {
    /// Computes it; `_sync_rows` can be read, and `_sync_state` is registered.
    pub(super) async fn stage(workspace: &Workspace, sync: &Sync, wanted: &Wanted, at: DateTime<Utc>) -> Result<Self> {
        let connection = destination::connection(workspace, sync)?;
        let project = &workspace.opened.project;
        let resend = destination::may_resend(connection, sync);
        let type_of = |name: &str| destination::sql_type(&wanted.target, name);
        let same = open(workspace, &sync.name).await?;
        let due = syncs::due(project, sync, at.timestamp_micros(), resend, type_of);

        let doing = format!("comparing the sync `{}` with what was delivered", sync.name);
        let there = "select count(*), count(*) filter (where delivered_at is not null and delivered_hash not in ('cleared', 'withdrawn')) from _sync_state";
        let there = figures(&workspace.collect(&doing, there).await?, &doing)?;
        let (known, delivered) = there.first().map_or((0, 0), |(_, figures)| (figures[0], figures[1]));
        let place = Place::of(sync, connection);
        let is_first = known == 0 && !record::has_run(workspace, sync, &place).await?;
        let is_baseline = is_first && sync.first_run == FirstRun::Baseline;
        if is_baseline {
            // Nothing is sent: it is there for whoever asks for one of its rows.
            workspace.view("_sync_due", &due).await?;
        } else {
            workspace.stage.keep(&workspace.opened.session, "_sync_due", &due).await?;
        }
        let mut preview = Preview {
            sync: sync.name.clone(),
            connection: connection.name.clone(),
            delivers: connection.deliver,
            is_first,
            is_baseline,
            delivered,
            ..Preview::default()
        };
        let desired = "select count(*) from _sync_rows where is_member and withheld is null";
        let unchanged = "select count(*) from _sync_state_open as s join _sync_rows_open as w on w.key = s.key \
             where w.is_member and w.withheld is null and s.delivered_hash = w.hash and s.in_doubt_operation is null";
        preview.desired = figure(workspace, &doing, desired).await?;
        // Those that failed since, and then became again what they had been.
        preview.unchanged = same + figure(workspace, &doing, unchanged).await?;
        let withheld =
            "select withheld, count(*) from _sync_rows where is_member and withheld is not null group by withheld";
        preview.withheld = figures(&workspace.collect(&doing, withheld).await?, &doing)?
            .into_iter()
            .map(|(reason, figures)| (reason, figures[0]))
            .collect();
        let mut passes = [0; 3];
        if !is_baseline {
            passes = count_due(workspace, sync, connection, &doing, &mut preview).await?;
        }
        let limits = limits(sync);
        let leaving = Figures {
            desired: preview.desired,
            delivered: preview.delivered,
            removed: preview.removes + preview.clears,
            withdrawn: preview.withdrawals,
        };
        preview.tripped = guard::check(&limits, &leaving);
        if !is_baseline {
            preview.waiting = (preview.desired - preview.unchanged).saturating_sub(preview.adds + preview.updates);
            preview.samples = samples(workspace, sync, &doing).await?;
        }
        Ok(Self { preview, passes })
    }
}

/// Counts what is staged as `_sync_due`; gives the rows of each pass.
async fn count_due(
    workspace: &Workspace,
    sync: &Sync,
    connection: &Connection,
    doing: &str,
    preview: &mut Preview,
) -> Result<[u64; 3]> {
    let mut passes = [0; 3];
    let due = "select action, pass, count(*) from _sync_due group by action, pass";
    for (action, figures) in figures(&workspace.collect(doing, due).await?, doing)? {
        let [pass, rows] = figures[..] else { continue };
        passes[pass.min(2) as usize] += rows;
        preview.batches += rows.div_ceil(destination::rows_per_request(connection, sync));
        *(match action.as_str() {
            "withdraw" => &mut preview.withdrawals,
            "remove" => &mut preview.removes,
            "clear" => &mut preview.clears,
            "add" => &mut preview.adds,
            _ => &mut preview.updates,
        }) += rows;
    }
    Ok(passes)
}

/// Makes `_sync_rows_open` and `_sync_state_open` readable: what both sides have alike is left out. Gives how many rows these are.
async fn open(workspace: &Workspace, sync: &str) -> Result<u64> {
    let (eligible, settled) = ("is_member and withheld is null", "in_doubt_operation is null and attempts = 0");
    let doing = format!("comparing the sync `{sync}` with what was delivered");
    let started = Instant::now();
    let session = &workspace.opened.session;
    let there = format!("select key, delivered_hash from _sync_state where {settled}");
    let wanted = format!("select key, hash from _sync_rows where {eligible}");
    let same = compare(session, &there, &wanted).await.map_err(|error| failure_from(doing.as_str(), &error))?;
    workspace.stage.timings.note(doing, started, Some(same), None);
    if same == 0 {
        workspace.view("_sync_rows_open", "select * from _sync_rows").await?;
        workspace.view("_sync_state_open", "select * from _sync_state").await?;
        return Ok(same);
    }
    // They are read several times: each row is looked up once.
    let rows = format!("select * from _sync_rows where not coalesce({eligible} and cohorte_is_same(key, hash), false)");
    workspace.stage.keep(session, "_sync_rows_open", &rows).await?;
    let state = format!(
        "select * from _sync_state where not coalesce({settled} and cohorte_is_same(key, delivered_hash), false)"
    );
    workspace.stage.keep(session, "_sync_state_open", &state).await?;
    Ok(same)
}

/// The one whole number of a statement.
async fn figure(workspace: &Workspace, doing: &str, sql: &str) -> Result<u64> {
    let figures = figures(&workspace.collect(doing, sql).await?, doing)?;
    Ok(figures.first().and_then(|(_, figures)| figures.first().copied()).unwrap_or(0))
}

async fn samples(workspace: &Workspace, sync: &Sync, doing: &str) -> Result<Vec<Sample>> {
    let sql = format!("select * from _sync_due order by pass, rank, key limit {SAMPLES}");
    let batches = workspace.collect(doing, &sql).await?;
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let samples =
        concat_batches(&first.schema(), &batches).and_then(|due| mask::samples(&workspace.opened.project, sync, &due));
    samples.map_err(|error| failure_from(doing, &error.into()))
}

fn limits(sync: &Sync) -> Limits {
    let guard = sync.guard.as_ref();
    Limits {
        max_removed: guard.and_then(|guard| guard.max_removed.as_ref()).map(|limit| limit.value.0),
        min_rows: guard.and_then(|guard| guard.min_rows.as_ref()).map(|limit| limit.value),
    }
}

/// Rows of a text and whole numbers; where the first column is a number, the text is empty.
pub(super) fn figures(batches: &[RecordBatch], doing: &str) -> Result<Vec<(String, Vec<u64>)>> {
    let read = |error: datafusion::arrow::error::ArrowError| -> Failure { failure_from(doing, &error.into()) };
    let mut rows = Vec::new();
    for batch in batches {
        let is_text = !batch.column(0).data_type().is_integer();
        let names = if is_text { Some(texts(batch, batch.schema().field(0).name()).map_err(read)?) } else { None };
        let numbers = batch.columns().iter().skip(usize::from(is_text)).map(|column| cast(column, &DataType::Int64));
        let numbers = numbers.collect::<std::result::Result<Vec<_>, _>>().map_err(read)?;
        for row in 0..batch.num_rows() {
            let name = names.as_ref().map_or_else(String::new, |names| names.value(row).to_owned());
            let figures = numbers.iter().map(|column| column.as_primitive::<Int64Type>().value(row).unsigned_abs());
            rows.push((name, figures.collect()));
        }
    }
    rows.sort();
    Ok(rows)
}
