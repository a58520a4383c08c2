//! Acts that somebody answers for, such as passing a guard: one row each in `audit`, chained by hashes.
//!
//! `hash` is `cohorte_hash` of the row's other columns in their order, of which `previous_hash` is the last: a row that is
//! changed no longer has its hash, and one that is taken out or put in breaks the chain. Anybody can check both in SQL. The
//! table is read at its latest version and never rolled back: syncs write it, too, and an act was done even where the run
//! that it was for was killed.

use super::workspace::Workspace;
use crate::compile::passes::instant;
use crate::diag::Result;
use crate::sql::text_literal;
use crate::store::{Commit, Lease, Written, tables};

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Act {
    what: &'static str,
    subject: String,
    why: String,
}

impl Act {
    /// Passed a guard of a model, `kind:name`, that had tripped for this reason.
    pub(super) fn accept(subject: String, why: String) -> Self {
        Self { what: "accept", subject, why }
    }
}

/// Adds acts to the chain, in this order.
pub(super) async fn write(workspace: &Workspace, lease: &Lease, acts: &[Act]) -> Result<Option<Written>> {
    if acts.is_empty() {
        return Ok(None);
    }
    let (opened, spec, doing) = (&workspace.opened, tables::audit(), "recording what was accepted");
    // The chain has one end: nobody else may add to it meanwhile.
    let _turn = lease.turn().await?;
    let mut previous = last(workspace).await?;
    let at = instant(chrono::Utc::now().timestamp_micros());
    let mut rows = Vec::with_capacity(acts.len());
    for act in acts {
        let literal = |value: &str| format!("cast({} as varchar)", text_literal(value));
        let columns = [
            ("audit_id", literal(&uuid::Uuid::new_v4().simple().to_string())),
            ("who", literal(&opened.who)),
            ("what", literal(act.what)),
            ("subject", literal(&act.subject)),
            ("why", literal(&act.why)),
            ("at", at.clone()),
            ("run_id", literal(&workspace.run_id)),
            ("previous_hash", previous.as_deref().map_or("cast(null as varchar)".to_owned(), literal)),
        ];
        let values: Vec<&str> = columns.iter().map(|(_, value)| value.as_str()).collect();
        let hash = format!("cohorte_hash({})", values.join(", "));
        previous = text(workspace, doing, &format!("select {hash}")).await?;
        let columns: Vec<String> = columns.iter().map(|(name, value)| format!("{value} as {name}")).collect();
        rows.push(format!("select {}, {hash} as hash", columns.join(", ")));
    }
    workspace.view("_audit", &rows.join("\nunion all\n")).await?;
    let plan = workspace.plan("_audit").await?;
    let commit = Commit::of_run(&workspace.run_id);
    opened.warehouse.append(&spec, plan, &commit, &opened.session).await.map(Some)
}

/// The hash that no row follows; of several, which is no chain any more, the latest.
async fn last(workspace: &Workspace) -> Result<Option<String>> {
    let (opened, spec) = (&workspace.opened, tables::audit());
    let Some(provider) = opened.warehouse.provider(&spec.name, None).await? else { return Ok(None) };
    workspace.register("_audit_before", provider)?;
    let sql = "select hash from _audit_before where hash not in \
               (select previous_hash from _audit_before where previous_hash is not null) order by at desc, audit_id limit 1";
    text(workspace, "reading the table `audit`", sql).await
}

/// The one value of a statement.
async fn text(workspace: &Workspace, doing: &str, sql: &str) -> Result<Option<String>> {
    let rows = super::stored::rows_of(doing, &workspace.collect(doing, sql).await?)?;
    Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
}

/// Who runs this: `COHORTE_USER`, else the user of the operating system.
pub(super) fn who(env: &std::collections::BTreeMap<String, String>) -> String {
    let named = ["COHORTE_USER", "USER", "LOGNAME", "USERNAME"].into_iter().filter_map(|name| env.get(name));
    named.map(String::as_str).find(|name| !name.trim().is_empty()).unwrap_or("unknown").to_owned()
}
