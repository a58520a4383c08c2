//! One row of a sync, as it would be sent now: through the same gate, hash and key as all others.

use std::collections::BTreeSet;

use super::super::workspace::Workspace;
use super::destination::{self, target_of_pass};
use super::difference::{Difference, Wanted, figures};
use super::mask;
use super::remembered::{Place, Remembered, texts};
use crate::compile::syncs;
use crate::diag::{Failure, Result};
use crate::project::{Connection, Remote, Sync};
use crate::sql::{ident, text_literal};
use crate::store::failure_from;
use crate::sync::clock::Clock;
use crate::sync::destination::Target;
use crate::sync::http::Load;
use crate::sync::queue::first_batches;

/// A row that is due, ready to be sent.
pub(in crate::run) struct Single {
    pub(in crate::run) remote: Remote,
    pub(in crate::run) target: Target,
    pub(in crate::run) load: Load,
    /// The columns that hold personal data.
    pub(in crate::run) personal: BTreeSet<String>,
    /// `withdraw`, `remove`, `clear`, `add`, `update`.
    pub(in crate::run) action: String,
}

/// The row with this value in its key, or of this customer; without one the first that is due. Writes nothing.
pub(in crate::run) async fn due_row(
    workspace: &Workspace,
    sync: &Sync,
    connection: &Connection,
    key: Option<&str>,
    clock: &dyn Clock,
) -> Result<Single> {
    let remembered = Remembered::load(workspace, &sync.name).await?;
    let wanted = Wanted::stage(workspace, sync).await?;
    remembered.register(workspace, &Place::of(sync, connection)).await?;
    let difference = Difference::stage(workspace, sync, &wanted, clock.now()).await?;
    let doing = format!("looking for a row of the sync `{}`", sync.name);
    let fits = |customer: &str, prefix: &str| {
        let Some(key) = key else { return "true".to_owned() };
        let keys = syncs::key_columns(sync);
        let columns = keys.iter().map(|name| format!("cast({} as varchar)", ident(&format!("{prefix}{name}"))));
        let all: Vec<String> = columns.chain([ident(customer)]).collect();
        format!("{} in ({})", text_literal(key), all.join(", "))
    };
    let one =
        format!("select * from _sync_due where {} order by pass, rank, key limit 1", fits("customer_id", "field_"));
    let found = workspace.collect(&doing, &format!("select action, pass from ({one}) as one")).await?;
    let found = figures(&found, &doing)?.into_iter().next();
    let Some((action, pass)) = found.map(|(action, pass)| (action, pass.first().copied().unwrap_or_default())) else {
        let sql = format!("select withheld from _sync_rows where is_member and {} limit 1", fits("entity_id", "v_"));
        let batches = workspace.collect(&doing, &sql).await?;
        let reason = batches.iter().find(|batch| batch.num_rows() > 0).map(|batch| texts(batch, "withheld"));
        let reason = reason.transpose().map_err(|error| failure_from(&doing, &error.into()))?;
        let reason = reason.map(|reason| reason.iter().next().flatten().map(str::to_owned));
        let cause = match (key, reason) {
            (None, _) => "no row is due".to_owned(),
            (Some(_), None) => "no row that the sync sends has this key".to_owned(),
            (Some(_), Some(Some(reason))) => format!("the row is withheld: {reason}"),
            (Some(_), Some(None)) => "the row is not due: it was delivered as it is, or it waits".to_owned(),
        };
        let help = "`cohorte sync --dry-run` shows what is due; `--row` sends a row of your own";
        return Err(Failure::project("E157", doing, cause).help(help));
    };
    let target = target_of_pass(sync, &wanted.target, pass as usize);
    let stream = async { workspace.opened.session.sql(&one).await?.execute_stream().await };
    let stream = stream.await.map_err(|error| failure_from(&doing, &error))?;
    let batches = first_batches(&target, stream, 1, destination::withdrawal(sync)).await?;
    let batch = batches.first().ok_or_else(|| Failure::project("E157", &doing, "no row is due"))?;
    let load = Load::of(&target, batch)?;
    let personal = mask::personal(&workspace.opened.project, sync);
    let target = Target { ours: difference.preview.delivered, ..target };
    Ok(Single { remote: destination::remote(sync, connection)?, target, load, personal, action })
}
