//! Segments: who enters and leaves, and whether a guard holds the result back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::error::{DataFusionError, Result as EngineResult};
use futures::StreamExt;
use tokio::task::JoinSet;

use super::columns::texts;
use super::kept::{Kept, Reason};
use super::renames;
use super::results::Results;
use super::steps::{self, Ended};
use super::workspace::Workspace;
use crate::compile::{customer, segments};
use crate::diag::{Failure, Fault, Result};
use crate::engine::functions::member;
use crate::engine::{Counts, Held, Members};
use crate::project::{Entity, Graph, Kind, Segment};
use crate::sql::ident;
use crate::store::{failure_from, tables};

/// A segment's size and change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentChange {
    /// The segment.
    pub segment: String,
    /// Members as they are published.
    pub members: u64,
    /// Members before.
    pub before: u64,
    /// Who entered.
    pub entered: u64,
    /// Who left.
    pub exited: u64,
    /// The guard that tripped: the previous members stay.
    pub tripped: Option<TrippedSegment>,
    /// Was a tripped guard passed with `--accept`?
    pub accepted: bool,
    /// Was it not built? Its members stay.
    pub kept: Option<Reason>,
    /// Had its guard tripped when it was last looked at? Until it is built again, what it sends is held back.
    pub was_held: bool,
    /// By the guard of which segment; else empty.
    pub held_by: String,
    /// Was it there before?
    pub is_new: bool,
    /// The name under which its stays were remembered until now.
    pub old_name: Option<String>,
    /// Hash of the definition.
    pub hash: String,
}

impl SegmentChange {
    /// Does a guard hold the members back, as they were?
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.tripped.is_some() && !self.accepted
    }

    /// The guard that holds them back, as a failure.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let tripped = self.tripped.as_ref().filter(|_| !self.accepted)?;
        let (name, guarded) = (&self.segment, &tripped.segment);
        let failure = Failure::world("G601", format!("publishing the segment `{name}`"), &tripped.reason);
        Some(Failure { fault: Fault::Guard, ..failure }.help(format!(
            "look at `cohorte plan --select {guarded}`; if it is right, run once with `--accept {guarded}`; until then the members stay as they were"
        )))
    }
}

/// Why a guard tripped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrippedSegment {
    /// In words, with the figures.
    pub reason: String,
    /// The segment whose guard it is: the one that is held, or one that it needs.
    pub segment: String,
}

/// The segments whose stays are others than before; none of them where all are to be written anew.
pub(super) type Moved = Option<BTreeSet<String>>;

/// Makes `segment_members` readable and, unless the entity is kept as it is, its published form. Adds to what has moved.
pub(super) async fn run(
    results: &Results<'_>,
    entity: &Entity,
    accept: &[String],
    kept: &Kept,
    moved: &mut Moved,
) -> Result<Vec<SegmentChange>> {
    let workspace = results.workspace;
    let (project, session) = (&workspace.opened.project, &workspace.opened.session);
    // Stays of several entities are one table: each entity adds its own to what those before it left.
    if project.entities.first().is_none_or(|(first, _)| *first == entity.name) {
        if !workspace.before(&tables::segment_members(), "before_segment_members").await? {
            *moved = None;
        }
    } else {
        workspace.rename("segment_members", "before_segment_members").await?;
    }
    let steps = steps::last(workspace).await?;
    let own = || project.segments.values().filter(|segment| segment.entity == entity.name);
    let renames =
        renames::due(workspace, &steps, Kind::Segment, "before_segment_members", |of| of == entity.name).await?;
    if !renames.is_empty() {
        *moved = None;
    }
    workspace.view("stays", &segments::renamed(&renames)).await?;
    let is_built = !kept.has_entity(&entity.name);
    let none = Members::new(results.roster(entity).await?);
    let before = members(workspace, &segments::members_before(entity), &none, Members::add).await?;
    let now = if is_built {
        workspace.view("merged_ids", &format!("select old_id, new_id from \"{}_merged\"", entity.name)).await?;
        let sql = format!("select {}, _segments from {}", ident(&entity.id()), ident(&format!("{}_wide", entity.name)));
        members(workspace, &sql, &none, Members::add_lists).await?
    } else {
        workspace.view("merged_ids", segments::NO_MERGES).await?;
        none
    };
    workspace.register("entered", Arc::new(now.entered(&before)))?;
    let is_data = !workspace.changed_inputs().is_empty();
    let mut changes = Vec::new();
    let mut definitions: Vec<Definition<'_>> = Vec::new();
    let graph = Graph::new(&workspace.opened.spec, project);
    for segment in own() {
        let Counts { members, before, entered, exited } = now.counts(&before, &segment.name);
        let hash = segments::definition_hash(project, segment);
        let old = renames.old_name(&entity.name, &segment.name);
        let before_it = steps.get(&Kind::Segment.id(old.unwrap_or(&segment.name)));
        let hash_before = before_it.map(|step| &step.fingerprint);
        // What enters or leaves does so because of the definition, the data, or nothing but time.
        let reason = match hash_before {
            Some(before) if *before != hash => "definition",
            None => "definition",
            Some(_) if is_data => "data",
            Some(_) => "time",
        };
        let unbuilt = kept.reason(Kind::Segment, &segment.name).cloned();
        // Computed from members that are not published, it would not fit those that are.
        let inherited = needs_held(&graph, &segment.name, &changes);
        let is_inherited = inherited.is_some();
        let tripped = inherited.or_else(|| guard(segment, members, before, entered, exited));
        let tripped = tripped.filter(|_| unbuilt.is_none());
        let accepted = tripped.is_some() && !is_inherited && accept.contains(&segment.name);
        let is_kept = unbuilt.is_some() || (tripped.is_some() && !accepted);
        definitions.push((segment, hash.clone(), reason, is_kept));
        let is_new = hash_before.is_none_or(String::is_empty);
        // Members that stay are those of the definition that they had.
        let hash = if is_kept { hash_before.cloned().unwrap_or_default() } else { hash };
        let (members, entered, exited) = if is_kept { (before, 0, 0) } else { (members, entered, exited) };
        if let Some(moved) = moved.as_mut().filter(|_| entered + exited > 0) {
            moved.insert(segment.name.clone());
        }
        changes.push(SegmentChange {
            segment: segment.name.clone(),
            members,
            before,
            entered,
            exited,
            tripped,
            accepted,
            kept: unbuilt,
            was_held: before_it.is_some_and(|step| step.ended == Ended::Held),
            held_by: before_it
                .filter(|step| step.ended == Ended::Held)
                .map(|step| step.why.clone())
                .unwrap_or_default(),
            is_new,
            old_name: old.map(str::to_owned),
            hash,
        });
    }
    hold_definitions(workspace, &definitions)?;
    // Everybody leaves a segment that is no longer there.
    if let Some(moved) = moved {
        moved.extend(before.names().filter(|name| !own().any(|segment| segment.name == *name)).map(str::to_owned));
    }
    member::register(session, &entity.name, now);
    workspace.view("segment_members", &segments::stays(entity)).await?;
    if is_built {
        let is_kept = definitions.iter().any(|(.., is_kept)| *is_kept);
        workspace.view(&entity.name, &customer::published(project, entity, is_kept)).await?;
    }
    Ok(changes)
}

/// The members that a statement's rows tell of.
async fn members(
    workspace: &Workspace,
    sql: &str,
    none: &Members,
    add: fn(&mut Members, &RecordBatch) -> EngineResult<()>,
) -> Result<Members> {
    let doing = "comparing the members of segments";
    let (session, started) = (&workspace.opened.session, Instant::now());
    let read = async {
        let frame = session.sql(sql).await?;
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await?;
        let mut readers: JoinSet<EngineResult<Members>> = JoinSet::new();
        for part in 0..plan.properties().partitioning.partition_count() {
            let (mut rows, mut found) = (plan.execute(part, Arc::clone(&context))?, none.clone());
            let held = Held::of(session, doing);
            readers.spawn(async move {
                while let Some(batch) = rows.next().await {
                    add(&mut found, &batch?)?;
                    held.resize(found.size())?;
                }
                Ok(found)
            });
        }
        let mut all = none.clone();
        while let Some(found) = readers.join_next().await {
            all.merge(&found.map_err(|error| DataFusionError::External(Box::new(error)))??);
        }
        workspace.stage.timings.note(doing, started, None, Some(plan.as_ref()));
        Ok(all)
    };
    read.await.map_err(|error| failure_from(doing, &error))
}

/// Does it need a segment whose members are held back?
fn needs_held(graph: &Graph, name: &str, changes: &[SegmentChange]) -> Option<TrippedSegment> {
    let model = graph.models().iter().find(|model| model.kind == Kind::Segment && model.name == name)?;
    let needs = model.needs.iter().filter_map(|&need| graph.get(need)).filter(|need| need.kind == Kind::Segment);
    let held = needs.filter_map(|need| changes.iter().find(|change| change.segment == need.name && change.is_held()));
    let held = held.into_iter().next()?;
    let segment = held.tripped.as_ref()?.segment.clone();
    Some(TrippedSegment { reason: format!("it needs `{}`, which a guard holds back", held.segment), segment })
}

fn guard(segment: &Segment, members: u64, before: u64, entered: u64, exited: u64) -> Option<TrippedSegment> {
    let guard = segment.guard.as_ref()?;
    let tripped = |reason: String| Some(TrippedSegment { reason, segment: segment.name.clone() });
    if let Some(min) = &guard.min
        && members < min.value
    {
        return tripped(format!("{members} members, at least {} are expected", min.value));
    }
    if let Some(max) = &guard.max
        && members > max.value
    {
        return tripped(format!("{members} members, at most {} are expected", max.value));
    }
    if let Some(limit) = &guard.max_change
        && before > 0
    {
        let change = (entered + exited) as f64 / before as f64;
        if change > limit.share() {
            return tripped(format!(
                "{:.1} % of {before} members would change ({entered} enter, {exited} leave), at most {} % may",
                change * 100.0,
                limit.0
            ));
        }
    }
    None
}

/// A segment, the hash of its definition, why members move, and whether a guard keeps them.
type Definition<'a> = (&'a Segment, String, &'static str, bool);

fn hold_definitions(workspace: &Workspace, definitions: &[Definition<'_>]) -> Result<()> {
    let reasons = || texts(definitions.iter().map(|(_, _, reason, _)| Some(*reason)));
    let kept: BooleanArray = definitions.iter().map(|(_, _, _, kept)| Some(*kept)).collect();
    let batch = RecordBatch::try_from_iter([
        ("segment", texts(definitions.iter().map(|(segment, ..)| Some(segment.name.as_str())))),
        ("hash", texts(definitions.iter().map(|(_, hash, ..)| Some(hash.as_str())))),
        ("entry_reason", reasons()),
        ("exit_reason", reasons()),
        ("is_kept", Arc::new(kept) as ArrayRef),
    ])
    .map_err(|error| Failure::world("W001", "comparing segments", error))?;
    workspace.stage.hold(&workspace.opened.session, "definitions", batch.schema(), vec![batch])
}
