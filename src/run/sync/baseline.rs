//! A first run that sends nothing: what is desired is taken for delivered.

use chrono::{DateTime, Utc};

use super::super::workspace::Workspace;
use super::remembered::Place;
use crate::compile::passes::instant;
use crate::diag::Result;
use crate::project::Sync;
use crate::sql::text_literal;
use crate::store::{Commit, Lease, tables};

/// Takes the desired rows as delivered: nothing was there before, so they are simply added.
pub(super) async fn take(
    workspace: &Workspace,
    sync: &Sync,
    place: &Place,
    lease: &Lease,
    at: DateTime<Utc>,
) -> Result<()> {
    let literal = |value: Option<&str>| value.map_or_else(|| "cast(null as varchar)".to_owned(), text_literal);
    let constants: Vec<String> =
        place.constants(&sync.name).into_iter().map(|(name, value)| format!("{} as {name}", literal(value))).collect();
    let at = instant(at.timestamp_micros());
    let null = "cast(null as varchar)";
    let sql = format!(
        "select {constants}, entity_id as customer_id, key, hash as delivered_hash, {at} as delivered_at, \
         cast(0 as bigint) as deliveries, {null} as in_doubt_batch, {null} as in_doubt_action, {null} as in_doubt_operation, \
         {null} as in_doubt_hash, 'delivered' as status, {null} as destination_id, {null} as attempted_hash, \
         cast(0 as bigint) as attempts, arrow_cast(null, 'Timestamp(µs, \"UTC\")') as next_attempt_at, {null} as error, {null} as journal_mark \
         from _sync_rows where is_member and withheld is null",
        constants = constants.join(", "),
    );
    workspace.view("_sync_baseline", &sql).await?;
    let plan = workspace.plan("_sync_baseline").await?;
    let opened = &workspace.opened;
    let _turn = lease.turn().await?;
    let commit = Commit::of_run(&workspace.run_id);
    opened.warehouse.append(&tables::sync_state(), plan, &commit, &opened.session).await?;
    Ok(())
}
