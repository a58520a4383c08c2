//! The tables that do not depend on the project's models (DESIGN §4): names, columns, which are personal, how they lie.
//!
//! Names and columns are a contract: analysts build on them. Columns may be added, never renamed.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};

pub use super::entity_tables::{contested, entity_tables, identifiers, ids, links, nodes, records, seen};
use super::write::{TableSpec, columns};

pub(super) const TEXT: DataType = DataType::Utf8;
pub(super) const WHOLE: DataType = DataType::Int64;
pub(super) const NUMBER: DataType = DataType::Float64;
pub(super) const TRUTH: DataType = DataType::Boolean;

pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

pub(super) fn texts() -> DataType {
    DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)))
}

pub(super) fn table<'a>(
    name: impl Into<String>,
    description: &str,
    list: impl IntoIterator<Item = (&'a str, DataType)>,
    partition_by: &[&str],
    personal: &[&str],
) -> TableSpec {
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    TableSpec {
        name: name.into(),
        schema: columns(list),
        partition_by: own(partition_by),
        personal: own(personal),
        description: description.to_owned(),
    }
}

/// `segment_members`, remembered: one row per stay in a segment; `exited_at` is null while it lasts.
#[must_use]
pub fn segment_members() -> TableSpec {
    table(
        "segment_members",
        "One row per stay in a segment; exited_at is null while it lasts",
        [
            ("segment", TEXT),
            ("entity", TEXT),
            ("entity_id", TEXT),
            ("entered_at", instant()),
            ("exited_at", instant()),
            ("entry_reason", TEXT),
            ("exit_reason", TEXT),
            ("definition_hash", TEXT),
        ],
        &["segment"],
        &[],
    )
}

/// `segment_sizes`, remembered: one row per segment and run.
#[must_use]
pub fn segment_sizes() -> TableSpec {
    table(
        "segment_sizes",
        "One row per segment and run",
        [
            ("segment", TEXT),
            ("as_of", instant()),
            ("members", WHOLE),
            ("entered", WHOLE),
            ("exited", WHOLE),
            ("run_id", TEXT),
        ],
        &[],
        &[],
    )
}

/// `score_values`, remembered: one row per score, entity and run.
#[must_use]
pub fn score_values() -> TableSpec {
    table(
        "score_values",
        "One row per score, customer and run",
        [
            ("score", TEXT),
            ("entity", TEXT),
            ("entity_id", TEXT),
            ("value", NUMBER),
            ("tier", TEXT),
            ("reasons", TEXT),
            ("as_of", instant()),
            ("run_id", TEXT),
        ],
        &["score"],
        &[],
    )
}

/// `consents`: one row per contact point, purpose, channel and scope, with the state that holds now; several where customers of
/// several entities have the point. `customer_id` is that entity's id, null where nobody has the point.
#[must_use]
pub fn consents() -> TableSpec {
    table(
        "consents",
        "One row per owner, contact point, purpose, channel and scope: the state that holds now",
        consent_columns([("since", instant())]),
        &[],
        &["contact_point", "proof"],
    )
}

/// `consent_ledger`, remembered: one row per event.
#[must_use]
pub fn consent_ledger() -> TableSpec {
    table(
        "consent_ledger",
        "One row per consent event, as it was recorded",
        consent_columns([("at", instant()), ("recorded_at", instant()), ("event_id", TEXT), ("run_id", TEXT)]),
        &[],
        &["contact_point", "proof"],
    )
}

fn consent_columns<const N: usize>(last: [(&'static str, DataType); N]) -> Vec<(&'static str, DataType)> {
    let mut columns = vec![
        ("entity", TEXT),
        ("customer_id", TEXT),
        ("contact_point", TEXT),
        ("purpose", TEXT),
        ("channel", TEXT),
        ("scope", TEXT),
        ("status", TEXT),
        ("basis", TEXT),
        ("source", TEXT),
        ("proof", TEXT),
    ];
    columns.extend(last);
    columns
}

/// `sync_state`, remembered: what each destination has of each customer. `journal_mark` names the last entry of the journal
/// that is in it.
#[must_use]
pub fn sync_state() -> TableSpec {
    table(
        "sync_state",
        "One row per sync, account, object, audience and customer: what the destination has",
        [
            ("sync", TEXT),
            ("account", TEXT),
            ("object", TEXT),
            ("audience", TEXT),
            ("customer_id", TEXT),
            ("key", TEXT),
            ("delivered_hash", TEXT),
            ("delivered_at", instant()),
            ("deliveries", WHOLE),
            ("in_doubt_batch", TEXT),
            ("in_doubt_action", TEXT),
            ("in_doubt_operation", TEXT),
            ("in_doubt_hash", TEXT),
            ("status", TEXT),
            ("destination_id", TEXT),
            ("attempted_hash", TEXT),
            ("attempts", WHOLE),
            ("next_attempt_at", instant()),
            ("error", TEXT),
            ("journal_mark", TEXT),
        ],
        &["sync"],
        &["key", "delivered_hash", "in_doubt_hash", "attempted_hash", "destination_id"],
    )
}

/// `sync_journal`, remembered until it is folded into `sync_state`: what is about to be sent, and what became of it. A row
/// without an `outcome` is an intent; `seq` is the order of writing within a run of a sync.
#[must_use]
pub fn sync_journal() -> TableSpec {
    table(
        "sync_journal",
        "One row per row that is about to be sent, and per answer, until both are folded into sync_state",
        [
            ("sync", TEXT),
            ("account", TEXT),
            ("object", TEXT),
            ("audience", TEXT),
            ("sync_run_id", TEXT),
            ("seq", WHOLE),
            ("batch_id", TEXT),
            ("key", TEXT),
            ("customer_id", TEXT),
            ("action", TEXT),
            ("operation", TEXT),
            ("desired_hash", TEXT),
            ("outcome", TEXT),
            ("code", TEXT),
            ("message", TEXT),
            ("at", instant()),
            ("destination_id", TEXT),
        ],
        &["sync"],
        &["key", "desired_hash", "destination_id"],
    )
}

/// `sync_runs`, remembered: one row per run of a sync, with counts by outcome. `added` to `withdrawn` count what the
/// destination confirmed; `withheld_reasons` is JSON; `guard` says what tripped, `guard_accepted` whether it was passed.
#[must_use]
pub fn sync_runs() -> TableSpec {
    table(
        "sync_runs",
        "One row per run of a sync",
        [
            ("sync_run_id", TEXT),
            ("run_id", TEXT),
            ("sync", TEXT),
            ("account", TEXT),
            ("object", TEXT),
            ("audience", TEXT),
            ("started_at", instant()),
            ("finished_at", instant()),
            ("outcome", TEXT),
            ("desired", WHOLE),
            ("accepted", WHOLE),
            ("unchanged", WHOLE),
            ("rejected", WHOLE),
            ("retry", WHOLE),
            ("unknown", WHOLE),
            ("not_sent", WHOLE),
            ("withheld", WHOLE),
            ("added", WHOLE),
            ("updated", WHOLE),
            ("removed", WHOLE),
            ("cleared", WHOLE),
            ("withdrawn", WHOLE),
            ("withheld_reasons", TEXT),
            ("guard", TEXT),
            ("guard_accepted", TRUTH),
            ("error", TEXT),
        ],
        &[],
        &[],
    )
}

/// `sync_receipts`, remembered: one row per attempted row. A row that is withheld has one when its reason changes, not in
/// every run: `sync_runs` counts them each time.
#[must_use]
pub fn sync_receipts() -> TableSpec {
    table(
        "sync_receipts",
        "One row per row that was attempted or withheld",
        [
            ("sync_run_id", TEXT),
            ("sync", TEXT),
            ("customer_id", TEXT),
            ("action", TEXT),
            ("operation", TEXT),
            ("outcome", TEXT),
            ("code", TEXT),
            ("message", TEXT),
            ("request_id", TEXT),
            ("at", instant()),
            ("seq", WHOLE),
        ],
        &["sync"],
        &[],
    )
}

/// `runs`, remembered: one row per run. `outcome` is done, unchanged, failed (`error` is the code) or killed. `published` maps
/// each table to its version (JSON), and is null where the run published nothing; `inputs` maps each source to the version
/// or fingerprint that everything was built from, and each model by its id to a hash of its definition (JSON). `seq` is the order of runs, whatever the clock said.
#[must_use]
pub fn runs() -> TableSpec {
    table(
        "runs",
        "One row per run: what it read and what it published",
        [
            ("run_id", TEXT),
            ("started_at", instant()),
            ("as_of", instant()),
            ("finished_at", instant()),
            ("command", TEXT),
            ("outcome", TEXT),
            ("published", TEXT),
            ("inputs", TEXT),
            ("cohorte_version", TEXT),
            ("seq", WHOLE),
            ("error", TEXT),
        ],
        &[],
        &[],
    )
}

/// `run_steps`, remembered: one row per run and model. `model` is `kind:name`, or `table:name`; `action` is built, kept or
/// skipped; `outcome` is done, held (a guard tripped), blocked (by the source in `why`), kept (not selected) or unchanged;
/// `was` is the old name whose memory a model has taken over; `fingerprint` is that of a segment's definition, of a table's rows,
/// or of what they are made of; `next_at` is when the first row of a source happens that had not happened by then.
#[must_use]
pub fn run_steps() -> TableSpec {
    table(
        "run_steps",
        "One row per run and model: built, kept or skipped, and why",
        [
            ("run_id", TEXT),
            ("model", TEXT),
            ("action", TEXT),
            ("why", TEXT),
            ("fingerprint", TEXT),
            ("rows", WHOLE),
            ("duration_ms", WHOLE),
            ("outcome", TEXT),
            ("was", TEXT),
            ("next_at", instant()),
        ],
        &[],
        &[],
    )
}

/// `audit`, remembered: one row per act on personal data, chained by hashes.
#[must_use]
pub fn audit() -> TableSpec {
    table(
        "audit",
        "One row per act on personal data; each carries the hash of the one before",
        [
            ("audit_id", TEXT),
            ("who", TEXT),
            ("what", TEXT),
            ("subject", TEXT),
            ("why", TEXT),
            ("at", instant()),
            ("run_id", TEXT),
            ("previous_hash", TEXT),
            ("hash", TEXT),
        ],
        &[],
        &["who", "subject"],
    )
}

/// `alerts`, remembered: one row per change of a condition that somebody was told. `condition` is failure, rejects or size;
/// `state` is on or off.
#[must_use]
pub fn alerts() -> TableSpec {
    table(
        "alerts",
        "One row per change that somebody was told",
        [
            ("alert", TEXT),
            ("subject", TEXT),
            ("condition", TEXT),
            ("state", TEXT),
            ("text", TEXT),
            ("at", instant()),
            ("run_id", TEXT),
        ],
        &[],
        &[],
    )
}

#[cfg(test)]
#[path = "tables_tests.rs"]
mod tests;
