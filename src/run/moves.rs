//! Of whose rows what an earlier run remembers is not right any more, since it was found out who they are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use datafusion::arrow::buffer::BooleanBuffer;
use futures::StreamExt;

use super::stored::rows_of;
use super::workspace::Workspace;
use crate::diag::Result;
use crate::engine::lookup::held;
use crate::engine::resolve::{Finder, Former, Homes, Places};
use crate::project::Entity;
use crate::spec::Role;
use crate::sql::{ident, text_literal};
use crate::store::{failure_from, tables};

/// By what rows find their customers, and whom that concerns.
pub(super) struct Moves {
    /// By nodes.
    parted: Places,
    /// By values that have another home than they had.
    attached: Places,
    /// By values that nobody had.
    new: Places,
    /// By shared devices, by source.
    contested: BTreeMap<String, Places>,
}

impl Moves {
    /// Compares what this run has found with what is published.
    pub(super) async fn of(workspace: &Workspace, entity: &Entity, finder: &Finder) -> Result<Self> {
        let started = Instant::now();
        let former = Former::of(finder);
        let (mut attached, mut new) = (former.nobody(), former.nobody());
        let kinds = held(entity);
        if !kinds.is_empty() {
            let mut homes = Homes::of(&former);
            let spec = tables::identifiers(&entity.name);
            let before = format!("before_{}", spec.name);
            workspace.before(&spec, &before).await?;
            let literals: Vec<String> = kinds.iter().map(|kind| text_literal(kind)).collect();
            let sql = format!(
                "select \"type\", \"value\", {} from {} where is_home and \"type\" in ({})",
                ident(&entity.id()),
                ident(&before),
                literals.join(", ")
            );
            let failed = |error| failure_from(format!("reading the table `{}`", spec.name), &error);
            let frame = workspace.opened.session.sql(&sql).await.map_err(failed)?;
            let mut rows = frame.execute_stream().await.map_err(failed)?;
            while let Some(batch) = rows.next().await {
                homes.compare(&batch.map_err(failed)?, &mut attached).map_err(failed)?;
            }
            homes.finish(&kinds, &mut new);
        }
        let contested = contested(workspace, entity, &former).await?;
        let parted = former.parted();
        let count = (parted.count() + attached.count()) as u64;
        workspace.stage.timings.note("finding who is not who they were", started, Some(count), None);
        Ok(Self { parted, attached, new, contested })
    }

    /// Whose rows of these sources are to be told anew; none where it is nobody's. `strays`: did any of them belong to nobody?
    pub(super) fn afresh(&self, entity: &Entity, sources: &BTreeSet<&str>, strays: bool) -> Option<BooleanBuffer> {
        let mut all = self.parted.clone();
        let is_attached = |source: &&str| entity.source(source).is_some_and(|source| source.role == Role::Attach);
        if sources.iter().any(is_attached) {
            all.add_all(&self.attached);
            if strays {
                all.add_all(&self.new);
            }
        }
        sources.iter().filter_map(|source| self.contested.get(*source)).for_each(|owners| all.add_all(owners));
        all.bits()
    }
}

/// Who may have rows of shared devices, or might have had, by source: whose each of them is hangs on all others.
async fn contested(workspace: &Workspace, entity: &Entity, former: &Former) -> Result<BTreeMap<String, Places>> {
    let spec = tables::contested(&entity.name);
    let before = format!("before_{}", spec.name);
    workspace.before(&spec, &before).await?;
    let doing = format!("reading the table `{}`", spec.name);
    let mut all: BTreeMap<String, Places> = BTreeMap::new();
    for table in [spec.name.as_str(), &before] {
        let sql = format!("select distinct source, owner from {}", ident(table));
        for row in rows_of(&doing, &workspace.collect(&doing, &sql).await?)? {
            let [Some(source), Some(owner)] = <[_; 2]>::try_from(row).unwrap_or_default() else { continue };
            let place = owner.parse().ok().and_then(|id| former.place(id));
            all.entry(source).or_insert_with(|| former.nobody()).add(place);
        }
    }
    Ok(all)
}
