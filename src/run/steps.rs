//! What a run did with each model and table, as `run_steps` keeps it for the next.

use std::collections::BTreeMap;

use datafusion::arrow::array::RecordBatch;

use super::columns::{batch, instants, texts, wholes};
use super::expectations::{Checked, Looked};
use super::kept::{Kept, Reason};
use super::segments::SegmentChange;
use super::stored::rows_of;
use super::workspace::Workspace;
use crate::diag::Result;
use crate::project::Kind;
use crate::sql::text_literal;
use crate::store::tables;

const TABLE: &str = "table:";
const IDENTITY: &str = "identity:";
const STATES: &str = "states:";

/// How the step of a table is called.
pub(super) fn of_table(name: &str) -> String {
    format!("{TABLE}{name}")
}

/// How the step of an entity's identity is called.
pub(super) fn of_identity(entity: &str) -> String {
    format!("{IDENTITY}{entity}")
}

/// How the step of what is remembered of the rows that a table is computed of is called.
pub(super) fn of_states(table: &str) -> String {
    format!("{STATES}{table}")
}

/// How the step of the events that consents were read from is called.
pub(super) const CONSENT_EVENTS: &str = "identity:(consent events)";

/// What became of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was built and published.
    Done,
    /// A table whose rows are those that are published: it keeps its version.
    Unchanged,
    /// A segment whose guard tripped: its members stay.
    Held,
    /// It was not built, because of a source.
    Blocked,
    /// It was not built, since it was not selected.
    Kept,
}

impl Ended {
    const ALL: [Self; 5] = [Self::Done, Self::Unchanged, Self::Held, Self::Blocked, Self::Kept];

    /// As it stands in the column `outcome`.
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Held => "held",
            Self::Blocked => "blocked",
            Self::Kept => "kept",
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Done => "built",
            Self::Unchanged => "skipped",
            Self::Held | Self::Blocked | Self::Kept => "kept",
        }
    }
}

/// A row of `run_steps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// `kind:name`, `table:name`, `states:table` or `identity:entity`.
    pub(super) model: String,
    pub(super) ended: Ended,
    /// The source that blocks it, or the segment whose guard holds it; else empty.
    pub(super) why: String,
    /// The old name whose memory it has taken over; else empty.
    pub(super) was: String,
    /// Of a segment its definition's, of a table its rows' or their basis, of a source its data's where nothing is wrong with them; of
    /// states what they are of.
    pub(super) fingerprint: String,
    pub(super) rows: Option<u64>,
    /// Of a source: when the first of its rows happens that had not happened yet.
    pub(super) next_at: Option<i64>,
}

impl Step {
    /// One of which nothing else is to be said.
    pub(super) fn new(model: String, ended: Ended) -> Self {
        Self {
            model,
            ended,
            why: String::new(),
            was: String::new(),
            fingerprint: String::new(),
            rows: None,
            next_at: None,
        }
    }

    /// Does it speak of something that stays as it is until a run makes it anew: a table that is written as a whole, or identity?
    pub(super) fn is_lasting(&self) -> bool {
        [TABLE, STATES, IDENTITY].iter().any(|kind| self.model.starts_with(kind)) && !self.fingerprint.is_empty()
    }
}

/// The steps of the models of a run: every segment, and whatever a source blocked.
pub(super) fn of_models(segments: &[SegmentChange], kept: &Kept) -> Vec<Step> {
    let mut steps: Vec<Step> = segments
        .iter()
        .map(|change| {
            let (ended, why) = match &change.kept {
                Some(Reason::Blocked(source)) => (Ended::Blocked, source.clone()),
                Some(Reason::NotSelected) if !change.was_held => (Ended::Kept, String::new()),
                Some(Reason::NotSelected) => (Ended::Held, change.held_by.clone()),
                None if change.is_held() => {
                    (Ended::Held, change.tripped.as_ref().map(|tripped| tripped.segment.clone()).unwrap_or_default())
                }
                None => (Ended::Done, String::new()),
            };
            let (fingerprint, rows) = (change.hash.clone(), Some(change.members));
            Step { why, fingerprint, rows, ..Step::new(Kind::Segment.id(&change.segment), ended) }
        })
        .collect();
    let blocked = kept.blocked().filter(|(kind, ..)| *kind != Kind::Segment);
    steps.extend(
        blocked.map(|(kind, name, source)| Step { why: source.to_owned(), ..Step::new(kind.id(name), Ended::Blocked) }),
    );
    steps
}

/// The steps of sources: how many rows they had. Of one that failed it is still what it had before.
pub(super) fn of_sources(checked: &Checked, before: &BTreeMap<String, Step>) -> Vec<Step> {
    let step = |(source, looked): (&String, &Looked)| {
        let model = Kind::Source.id(source);
        if !checked.failed.contains(source) {
            let fingerprint = if looked.is_clean { looked.fingerprint.clone() } else { String::new() };
            let (rows, next_at) = (Some(looked.rows), looked.next_at);
            return Step { fingerprint, rows, next_at, ..Step::new(model, Ended::Done) };
        }
        let rows = before.get(&model).and_then(|step| step.rows);
        Step { rows, why: source.clone(), ..Step::new(model, Ended::Blocked) }
    };
    checked.sources.iter().map(step).collect()
}

/// The steps of the run that is published, by model.
pub(super) async fn last(workspace: &Workspace) -> Result<BTreeMap<String, Step>> {
    let Some(run) = workspace.published.run.clone() else { return Ok(BTreeMap::new()) };
    workspace.before(&tables::run_steps(), "before_run_steps").await?;
    // Older tables do not say it.
    let schema = workspace.schema("before_run_steps").await?;
    let or_null = |column: &str, sql: &'static str| {
        if schema.field_with_name(column).is_ok() { sql } else { "cast(null as varchar)" }
    };
    let (was, next_at) = (or_null("was", "was"), or_null("next_at", "cast(arrow_cast(next_at, 'Int64') as varchar)"));
    let sql = format!(
        "select model, outcome, why, {was}, fingerprint, cast(\"rows\" as varchar), {next_at} from before_run_steps where run_id = {}",
        text_literal(&run)
    );
    let doing = "reading the last run's steps";
    let mut steps = BTreeMap::new();
    for row in rows_of(doing, &workspace.collect(doing, &sql).await?)? {
        let [Some(model), outcome, why, was, fingerprint, rows, next_at] = <[_; 7]>::try_from(row).unwrap_or_default()
        else {
            continue;
        };
        let ended = Ended::ALL.into_iter().find(|ended| Some(ended.name()) == outcome.as_deref());
        let step = Step {
            model: model.clone(),
            ended: ended.unwrap_or(Ended::Done),
            why: why.unwrap_or_default(),
            was: was.unwrap_or_default(),
            fingerprint: fingerprint.unwrap_or_default(),
            rows: rows.and_then(|rows| rows.parse().ok()),
            next_at: next_at.and_then(|next_at| next_at.parse().ok()),
        };
        steps.insert(model, step);
    }
    Ok(steps)
}

/// The rows of `run_steps` for a run.
pub(super) fn rows(run_id: &str, steps: &[Step], millis: i64) -> Result<RecordBatch> {
    let text = |of: fn(&Step) -> &str| texts(steps.iter().map(|step| Some(of(step))));
    let columns = BTreeMap::from([
        ("run_id", texts(steps.iter().map(|_| Some(run_id)))),
        ("model", text(|step| &step.model)),
        ("action", text(|step| step.ended.action())),
        ("why", text(|step| &step.why)),
        ("was", text(|step| &step.was)),
        ("fingerprint", text(|step| &step.fingerprint)),
        ("rows", wholes(steps.iter().map(|step| step.rows.and_then(|rows| i64::try_from(rows).ok())))),
        ("next_at", instants(steps.iter().map(|step| step.next_at))),
        ("duration_ms", wholes(steps.iter().map(|_| Some(millis)))),
        ("outcome", text(|step| step.ended.name())),
    ]);
    batch(&tables::run_steps().schema, columns)
}
