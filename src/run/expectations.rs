//! What sources must fulfil before anything is built from them.

use std::collections::BTreeMap;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;

use super::basis::Basis;
use super::steps::{self, Step};
use super::workspace::Workspace;
use crate::compile::{asks_the_clock, sources};
use crate::diag::{Finding, Result, Severity};
use crate::project::{Expected, Kind, Source};

/// An expectation that rows broke.
pub type Broken = Finding;

/// What the rows of sources say about what was expected of them.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Errors and warnings.
    pub(super) findings: Vec<Broken>,
    /// The sources with errors: what descends from them is not built.
    pub(super) failed: Vec<String>,
    /// The sources that were looked at.
    pub(super) sources: BTreeMap<String, Looked>,
    /// Sources that were emptied, and may be: their rows before.
    pub(super) accepted: Vec<(String, u64)>,
}

/// What is known of a source's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) rows: u64,
    /// When the first of them happens that has not happened yet.
    pub(super) next_at: Option<i64>,
    /// A hash of the data, of how they are read and of what is expected of them.
    pub(super) fingerprint: String,
    /// Is nothing wrong with them?
    pub(super) is_clean: bool,
}

impl Looked {
    /// A hash that is the same for any two looks between which nothing has changed and nothing has happened.
    pub(super) fn basis(&self) -> String {
        format!("{} {:?}", self.fingerprint, self.next_at)
    }
}

/// Looks at each of these sources once; not again where it `trusts` that one with which nothing was wrong is as it was. Those of `accept` may have lost all their rows.
pub(super) async fn check(
    workspace: &Workspace,
    accept: &[String],
    trusts: bool,
    wanted: impl Fn(&Source) -> bool,
) -> Result<Checked> {
    let mut checked = Checked::default();
    let before = steps::last(workspace).await?;
    for source in workspace.opened.project.sources.values().filter(|source| wanted(source)) {
        let step = before.get(&Kind::Source.id(&source.name));
        let fingerprint = fingerprint(workspace, source);
        if let Some(looked) = step.filter(|_| trusts).and_then(|step| as_before(workspace, step, &fingerprint)) {
            checked.sources.insert(source.name.clone(), looked);
            continue;
        }
        let doing = format!("checking the source `{}`", source.name);
        let batches = workspace.collect(&doing, &sources::checks(source)).await?;
        let Some(batch) = batches.iter().find(|batch| batch.num_rows() == 1) else { continue };
        let mut counts = figures(batch);
        let next_at = counts.pop().filter(|at| *at != sources::NEVER);
        if let Some(at) = counts.len().checked_sub(DUPLICATES).filter(|at| counts[*at] > 0) {
            let exactly = workspace.collect(&doing, &sources::duplicates(source)).await?;
            counts[at] = exactly.first().and_then(|batch| figures(batch).first().copied()).unwrap_or(0);
        }
        let mut findings = Vec::new();
        judge(source, &counts, &mut findings);
        let before = step.and_then(|step| step.rows).unwrap_or(0);
        let rows = counts.get(counts.len().saturating_sub(2)).copied().unwrap_or(0).unsigned_abs();
        if rows == 0 && before > 0 && accept.contains(&source.name) {
            checked.accepted.push((source.name.clone(), before));
        } else if rows == 0 && before > 0 {
            findings.retain(|finding| finding.code != "E403");
            findings.push(emptied(source, before));
        }
        let is_clean = findings.is_empty();
        checked.sources.insert(source.name.clone(), Looked { rows, next_at, fingerprint, is_clean });
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            checked.failed.push(source.name.clone());
        }
        checked.findings.append(&mut findings);
    }
    Ok(checked)
}

/// A hash of all that decides what a look at a source gives, but for rows that have not happened yet.
fn fingerprint(workspace: &Workspace, source: &Source) -> String {
    let opened = &workspace.opened;
    let mut basis = Basis::new();
    basis.add(opened.clock.timezone.name());
    // How files are read is no part of the statements.
    basis.add(opened.spec.sources.get(&source.name).map_or("", |named| named.digest.as_str()));
    basis.add(opened.inputs.get(&source.name).map_or("", String::as_str));
    for statement in [sources::relation(source), sources::expectations(source)] {
        basis.add(&statement);
        if asks_the_clock(&statement) {
            basis.add(&opened.clock.micros().to_string());
        }
    }
    basis.finish()
}

/// What was known of a source, where nothing was wrong with it and it has not changed since, nor has anything happened.
fn as_before(workspace: &Workspace, step: &Step, fingerprint: &str) -> Option<Looked> {
    let now = workspace.opened.clock.micros();
    let is_same = step.fingerprint == fingerprint
        && workspace.published.as_of.is_some_and(|before| before <= now)
        && step.next_at.is_none_or(|next| now < next);
    let rows = step.rows.filter(|_| is_same)?;
    Some(Looked { rows, next_at: step.next_at, fingerprint: fingerprint.to_owned(), is_clean: true })
}

/// Where the figure of keys that are there twice stands, from the end.
const DUPLICATES: usize = 4;

fn figures(batch: &RecordBatch) -> Vec<i64> {
    batch.columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect()
}

/// Rows that vanish all at once are a broken export more often than the truth, and would take everybody out of everything.
fn emptied(source: &Source, before: u64) -> Finding {
    let message = format!("the source `{}` has no rows any more; it had {before}", source.name);
    Finding::error("E406", message).at(source.span).help(format!(
        "what hangs on it stays as it is until it has rows again; if it is to be empty, pass it once with `--accept {}`",
        source.name
    ))
}

fn judge(source: &Source, counts: &[i64], findings: &mut Vec<Finding>) {
    let (broken, rest) = counts.split_at(source.expect.len());
    let texts = sources::read_from_text(source);
    let (texts_read, rest) = rest.split_at((2 * texts.len()).min(rest.len()));
    let [duplicates, null_keys, rows, null_times] = *rest else { return };
    let name = &source.name;
    for (column, counts) in texts.iter().zip(texts_read.chunks(2)) {
        let [written, unread] = *counts else { continue };
        // Some invalid values are the lot of every source; most of them are a mistake in how they are read.
        if unread * 2 > written {
            let message = format!("{unread} of {written} texts in `{column}` of the source `{name}` cannot be read");
            findings.push(Finding::warning("E405", message).at(source.span).help(format!(
                "see why with `cohorte query \"select * from {name} where {column} is null limit 5\"`; `parse:` says how dates and times are written"
            )));
        }
    }
    for (expectation, &count) in source.expect.iter().zip(broken) {
        if count == 0 {
            continue;
        }
        let message = match &expectation.expected {
            Expected::Unique(columns) => format!("{count} of {rows} rows of `{name}` repeat `{}`", columns.join(", ")),
            Expected::NotNull(columns) => format!("{count} of {rows} rows of `{name}` lack `{}`", columns.join(", ")),
            Expected::Accepted(column, _) => {
                format!("{count} of {rows} rows of `{name}` have another `{column}` than is accepted")
            }
            Expected::Fresh(column, within) => format!("the newest `{column}` of `{name}` is older than {within}"),
            Expected::Sql(_) => format!("{count} of {rows} rows of `{name}` do not fulfil what is expected"),
        };
        let finding =
            if expectation.warn { Finding::warning("E401", message) } else { Finding::error("E401", message) };
        findings.push(finding.at(expectation.span).label("expected here"));
    }
    if duplicates > 0 {
        let message = format!(
            "the key `{}` of the source `{name}` is not unique: {duplicates} of {rows} rows repeat one",
            source.key.join(", ")
        );
        findings.push(
            Finding::error("E402", message)
                .at(source.span)
                .help("name all columns of the key, or `versions: latest` where a key has several versions"),
        );
    }
    if null_keys > 0 {
        let message = format!("{null_keys} of {rows} rows of `{name}` have no `{}`", source.key.join(", "));
        findings.push(
            Finding::error("E402", message)
                .at(source.span)
                .help("leave such rows out with `where`, or choose another key"),
        );
    }
    if rows == 0 {
        findings.push(Finding::warning("E403", format!("the source `{name}` has no rows")).at(source.span));
    }
    if null_times > 0 {
        let column = source.time.as_deref().unwrap_or_default();
        let message =
            format!("{null_times} of {rows} rows of `{name}` have no time in `{column}`, or one that cannot be read");
        findings.push(
            Finding::warning("E404", message)
                .at(source.span)
                .help("`parse:` says how text becomes a time; rows without one count in no window"),
        );
    }
}
