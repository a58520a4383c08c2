//! What differs between the rows that are desired and those that the destination has.

use super::{CONSENT_REASONS, ECHO, columns, gate, key_columns, value_column};
use crate::compile::passes;
use crate::project::{Gate, Project, Sync, Withdraw};
use crate::spec::Mode;
use crate::sql::{Select, ident, indent, text_literal};

/// What is due, one row per key: `pass` (0 withdrawals; 1 what no guard holds back either and makes no row: consents that
/// are not granted, and updates that replace a contact point that lost its consent; 2 the rest), `rank` (the order
/// of actions), `action`, `customer_id`, `key`, `desired_hash`, `deliveries`, `destination_id` (where the state has one), and a column `field_…` per sent value. Reads
/// `_sync_rows_open` (the result of [`super::rows`]), `_sync_state_open` (what the destination has), both of them without rows that are there as
/// they should be, and [`super::CONSENTS`]. `now` is in microseconds;
/// `resend` says whether a row may be sent twice; `type_of` names the SQL type of a column of the key.
///
/// The same decision for one row in memory is `sync::state::due`.
#[must_use]
pub fn due(project: &Project, sync: &Sync, now: i64, resend: bool, type_of: impl Fn(&str) -> String) -> String {
    let is_lost_point = "coalesce(l.is_lost, false)";
    let is_lost = match &sync.gate {
        // Whose key nobody has any more was erased, merged or changed: without a customer there is no consent.
        Gate::Consent { .. } => {
            let waits = if sync.mode == Mode::Insert { "true" } else { "s.attempts > 0" };
            format!(
                "case when w.key is null then k.key is null or k.is_lost or {is_lost_point} else {is_lost_point} and {waits} end"
            )
        }
        Gate::None(_) => "false".to_owned(),
    };
    // What the destination has otherwise stands on the left, which is held in memory; the rows stream past it.
    let mut joined = Select::from("_sync_state_open as s")
        .join(format!("left join (\n{}\n) as k on k.key = s.key", indent(&known())));
    if let Some(points) = gate::lost_points(project, sync) {
        joined = joined.join(format!("left join (\n{}\n) as l on l.key = s.key", indent(&points)));
    }
    joined = joined
        .join("full join (select * from _sync_rows_open where is_member and withheld is null) as w on w.key = s.key");
    joined = joined
        .column("w.key is not null", "_wanted")
        .column(format!("s.key is not null and coalesce({is_lost}, false)"), "_lost")
        .column(if matches!(sync.gate, Gate::Consent { .. }) { is_lost_point } else { "false" }, "_stale")
        .column("coalesce(k.is_kept, false)", "_kept")
        .column("coalesce(w.creates, true)", "_creates")
        .column("w.hash", "_hash")
        .column("coalesce(w.entity_id, s.customer_id)", "customer_id")
        .column("coalesce(w.key, s.key)", "key")
        .column("coalesce(s.deliveries, 0)", "deliveries")
        .column("s.destination_id", "destination_id");
    for name in STATE_COLUMNS {
        joined = joined.column(format!("s.{name}"), name);
    }
    let keys = key_columns(sync);
    for name in columns(sync) {
        let column = format!("w.{}", ident(&value_column(&name)));
        let value = if keys.contains(&name) {
            // A row that goes is found by the key that was sent.
            let sent = format!("try_cast(cohorte_json_text(s.key, {}) as {})", text_literal(&name), type_of(&name));
            format!("coalesce({column}, {sent})")
        } else {
            column
        };
        joined = joined.column(value, &format!("field_{name}"));
    }
    let (withdrawn_hash, _) = going(&sync.on_withdraw, "withdrawn");
    let (removed_hash, removal) = going(&sync.on_remove, "cleared");
    let removal = if sync.mode == Mode::Mirror { removal } else { "null" };
    let row_action = match sync.mode {
        Mode::Update => "'update'",
        Mode::Insert => {
            "case when _creates and (delivered_hash is null or in_doubt_operation is not null) then 'add' end"
        }
        Mode::Upsert | Mode::Mirror => "case when delivered_hash is null and _creates then 'add' else 'update' end",
    };
    let mut decided = Select::from(format!("(\n{}\n) as j", indent(&joined.to_string())))
        .column(
            format!("case when _lost then 'withdraw' when _wanted then {row_action} when not _kept then {removal} end"),
            "action",
        )
        .column(
            format!("case when _lost then {withdrawn_hash} when _wanted then _hash else {removed_hash} end"),
            "desired_hash",
        )
        .column("_wanted", "_wanted")
        .column("_creates", "_creates")
        .column("_stale", "_stale")
        .column("customer_id", "customer_id")
        .column("key", "key")
        .column("deliveries", "deliveries")
        .column("destination_id", "destination_id");
    for name in STATE_COLUMNS {
        decided = decided.column(name, name);
    }
    for name in columns(sync) {
        let name = format!("field_{name}");
        decided = decided.column(ident(&name), &name);
    }
    let holds = "in_doubt_operation is not null and (in_doubt_batch is null or in_doubt_operation in ('add', 'update')) or delivered_hash is not null and delivered_at is not null";
    let mut select = Select::from(format!("(\n{}\n) as d", indent(&decided.to_string())))
        .column(
            "case when action = 'withdraw' then 0 when not _creates or (_stale and action = 'update') then 1 else 2 end",
            "pass",
        )
        .column(
            "case action when 'withdraw' then 0 when 'remove' then 1 when 'clear' then 2 when 'add' then 3 else 4 end",
            "rank",
        );
    for name in ["action", "customer_id", "key", "desired_hash", "deliveries", "destination_id"] {
        select = select.column(ident(name), name);
    }
    for name in columns(sync) {
        let name = format!("field_{name}");
        select = select.column(ident(&name), &name);
    }
    // Nothing of ours is there to be taken away; it is there as it should be; it failed and waits; it must not come twice.
    select = select
        .filter("action is not null")
        .filter(format!("(action in ('add', 'update') or {holds})"))
        .filter("(in_doubt_operation is not null or (delivered_hash is distinct from desired_hash))")
        .filter(format!(
            "(action = 'withdraw' or next_attempt_at is null or next_attempt_at <= {} or (attempted_hash is distinct from desired_hash))",
            passes::instant(now)
        ));
    if !resend {
        select = select.filter(
            "(action = 'withdraw' or not ((in_doubt_operation is not null and (in_doubt_hash is not distinct from desired_hash)) \
             or (coalesce(status in ('in_doubt', 'unknown'), false) and (attempted_hash is not distinct from desired_hash))))",
        );
    }
    select.to_string()
}

/// Columns of the state that decide.
const STATE_COLUMNS: [&str; 9] = [
    "delivered_hash",
    "delivered_at",
    "in_doubt_batch",
    "in_doubt_operation",
    "in_doubt_hash",
    "attempted_hash",
    "next_attempt_at",
    "status",
    "attempts",
];

/// The keys that the destination has and customers have, too: did one of them lose the consent, is one not to be sent back?
fn known() -> String {
    let reasons: Vec<String> = CONSENT_REASONS.iter().map(|reason| text_literal(reason)).collect();
    format!(
        "select r.key, bool_or(coalesce(r.withheld in ({}), false)) as is_lost, bool_or(coalesce(r.withheld = {}, false)) as is_kept\nfrom _sync_state_open as s\njoin _sync_rows_open as r on r.key = s.key\ngroup by r.key",
        reasons.join(", "),
        text_literal(ECHO)
    )
}

/// What a row that goes then holds, and the action.
fn going(what: &Withdraw, cleared: &str) -> (String, &'static str) {
    match what {
        Withdraw::Delete => ("cast(null as varchar)".to_owned(), "'remove'"),
        Withdraw::Clear(_) => (text_literal(cleared), "'clear'"),
        Withdraw::Nothing => ("cast(null as varchar)".to_owned(), "null"),
    }
}
