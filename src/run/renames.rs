//! Which models take over, in this run, what is remembered under their old names (`was: old_name`). Each does so once: from
//! then on its step says it.

use std::collections::{BTreeMap, BTreeSet};

use super::kept::Kept;
use super::steps::{Ended, Step};
use super::stored::rows_of;
use super::workspace::Workspace;
use crate::compile::renames::{Named, Renames};
use crate::diag::Result;
use crate::project::{Kind, Project};
use crate::sql::ident;

/// The kinds of which something is known under a name.
const KINDS: [Kind; 3] = [Kind::Trait, Kind::Score, Kind::Segment];

/// The models of a kind that had another name.
pub(super) fn named(project: &Project, kind: Kind) -> Vec<Named<'_>> {
    fn named<'a>(entity: &'a str, name: &'a str, was: Option<&'a String>) -> Option<Named<'a>> {
        Some(Named { entity, name, was: was? })
    }
    match kind {
        Kind::Trait => {
            project.traits.values().filter_map(|one| named(&one.entity, &one.name, one.was.as_ref())).collect()
        }
        Kind::Score => {
            project.scores.values().filter_map(|one| named(&one.entity, &one.name, one.was.as_ref())).collect()
        }
        Kind::Segment => {
            project.segments.values().filter_map(|one| named(&one.entity, &one.name, one.was.as_ref())).collect()
        }
        _ => Vec::new(),
    }
}

/// Has a model taken its old name over already?
pub(super) fn is_done(steps: &BTreeMap<String, Step>, kind: Kind, model: &Named<'_>) -> bool {
    steps.get(&kind.id(model.name)).is_some_and(|step| step.was == model.was)
}

/// The models of these entities that take over now what `table` remembers; its column of names is called like the kind.
pub(super) async fn due(
    workspace: &Workspace,
    steps: &BTreeMap<String, Step>,
    kind: Kind,
    table: &str,
    entities: impl Fn(&str) -> bool,
) -> Result<Renames> {
    let mut waiting = named(&workspace.opened.project, kind);
    waiting.retain(|model| entities(model.entity) && !is_done(steps, kind, model));
    if waiting.is_empty() {
        return Ok(Renames::default());
    }
    let doing = format!("reading what is remembered in `{table}`");
    let sql = format!("select distinct entity, {} from {}", ident(kind.name()), ident(table));
    let pasts = rows_of(&doing, &workspace.collect(&doing, &sql).await?)?;
    let pasts: BTreeSet<Vec<Option<String>>> = pasts.into_iter().collect();
    let has_past = |entity: &str, name: &str| pasts.contains(&vec![Some(entity.to_owned()), Some(name.to_owned())]);
    Ok(Renames::due(waiting, has_past))
}

/// Says in the steps of a run who has taken an old name over by now. Columns of an entity that is kept are still called as
/// they were.
pub(super) fn record(steps: &mut Vec<Step>, project: &Project, kept: &Kept, before: &BTreeMap<String, Step>) {
    for kind in KINDS {
        for model in named(project, kind) {
            let id = kind.id(model.name);
            let was = if kind != Kind::Segment && kept.has_entity(model.entity) {
                before.get(&id).map(|step| step.was.clone()).unwrap_or_default()
            } else {
                model.was.to_owned()
            };
            if let Some(step) = steps.iter_mut().find(|step| step.model == id) {
                step.was = was;
            } else {
                let ended = if kept.reason(kind, model.name).is_some() { Ended::Kept } else { Ended::Done };
                steps.push(Step { was, ..Step::new(id, ended) });
            }
        }
    }
}
