//! What is remembered of rows, so that a source that only grew is read from its new files alone (DESIGN §5.3).
//!
//! The features of a relation have a column, `_state`, with what was seen of each customer's rows, and the step of their table says of
//! what: which files there were, at what moment, whose their rows were. A later run takes the states, the rows that time has moved
//! since, and new rows; of customers of whom identity has not just merged or added to, all rows are told anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{DataType, UInt32Type};
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::prelude::DataFrame;
use serde::{Deserialize, Serialize};

use super::basis::{Basis, closure};
use super::results::Results;
use super::workspace::Workspace;
use crate::compile::passes::{Pass, instant, passes_of};
use crate::compile::resolved;
use crate::compile::{asks_the_clock, sources};
use crate::diag::{Finding, Result};
use crate::engine::pass::{Feed, Lane, STATE};
use crate::engine::readers::{Grown, Growth};
use crate::project::{Entity, Project, Source};
use crate::sql::ident;
use crate::store::failure_from;

/// Of what the states of a table are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// The moment that it was as of, in microseconds.
    as_of: i64,
    /// Whose the rows were.
    identity: String,
    /// Of each stream its key, where it has one, and where its windows began.
    streams: Vec<(Option<String>, Vec<i64>)>,
    /// The sources of the rows, and those that they belong to.
    sources: BTreeMap<String, Then>,
    /// When the first row happens that had not happened yet.
    next_at: Option<i64>,
    /// How many rows belonged to nobody, at most.
    pub(super) strays: u64,
}

/// A source as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Then {
    /// A hash of how it was read.
    how: String,
    /// The marks of its files.
    marks: Vec<String>,
}

/// What a pass is computed of, where it need not be computed of all rows.
pub(super) struct Carried {
    pub(super) lanes: Vec<Lane>,
    pub(super) afresh: Option<BooleanBuffer>,
    /// Rows that belong to nobody, of those that are not read again.
    pub(super) strays: u64,
}

impl Remembered {
    /// What a run that computes a pass may remember of its rows; none where it would be of no use to any later one.
    pub(super) fn of(results: &Results<'_>, pass: &Pass, entity: &Entity) -> Option<Self> {
        let opened = &results.workspace.opened;
        let project = &opened.project;
        if pass.sources.is_empty() || pass.keys.iter().all(Option::is_none) {
            return None;
        }
        // New rows of a source may belong to old ones of it, but not the other way round.
        let own = pass.sources.iter().filter_map(|source| project.sources.get(source));
        let near: Vec<String> = own.flat_map(|source| &source.parents).map(|parent| parent.source.clone()).collect();
        if closure(project, &near).into_iter().any(|parent| pass.sources.iter().any(|own| own == parent)) {
            return None;
        }
        let mut sources = BTreeMap::new();
        let mut next_at = None;
        for name in closure(project, &pass.sources) {
            let source = project.sources.get(name)?;
            let then = Then { how: how(results, source)?, marks: opened.pieces.get(name)?.marks().to_vec() };
            sources.insert(name.to_owned(), then);
            next_at = [next_at, results.next_at(name)].into_iter().flatten().min();
        }
        let bounds = pass.spec.streams.iter().map(|stream| stream.since.clone());
        Some(Self {
            as_of: opened.clock.micros(),
            identity: results.identity_of(entity)?,
            streams: pass.keys.iter().cloned().zip(bounds).collect(),
            sources,
            next_at,
            strays: 0,
        })
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Where each stream of a pass is among those that are remembered, and still good.
    fn streams(&self, pass: &Pass) -> Vec<Option<usize>> {
        let good = |(stream, key): (usize, &Option<String>)| {
            let place = self.streams.iter().position(|(known, _)| key.is_some() && known == key)?;
            let (was, is) = (&self.streams[place].1, &pass.spec.streams[stream].since);
            let goes_on = was.len() == is.len() && was.iter().zip(is).all(|(was, is)| was <= is);
            (goes_on && (was == is || pass.spec.outlasts_windows(stream))).then_some(place)
        };
        pass.keys.iter().enumerate().map(good).collect()
    }
}

/// A hash of how a source is read, and how its rows find whom they belong to; none where that hangs on the moment, or where a new
/// row may take the place of an old one.
pub(super) fn how(results: &Results<'_>, source: &Source) -> Option<String> {
    let opened = &results.workspace.opened;
    if source.latest {
        return None;
    }
    let mut basis = Basis::new();
    basis.add(opened.clock.timezone.name());
    basis.add(opened.spec.sources.get(&source.name).map_or("", |named| named.digest.as_str()));
    basis.add(&opened.pieces.get(&source.name)?.columns());
    let resolved = resolved::relation(&opened.project, source, resolved::Finding::Joins);
    let devices = resolved::devices(&opened.project, source, resolved::Finding::Joins);
    let all = [sources::relation(source)].into_iter().chain(resolved);
    for statement in all.chain(devices.into_iter().map(|(_, sql)| sql)) {
        if asks_the_clock(&statement) {
            return None;
        }
        basis.add(&statement);
    }
    Some(basis.finish())
}

impl Carried {
    /// A pass that is computed of all rows.
    pub(super) async fn nothing(workspace: &Workspace, pass: &Pass) -> Result<Self> {
        let rows = planned(workspace, &pass.placed, &pass.name).await?;
        Ok(Self { lanes: vec![Lane::of_all(&pass.spec, rows)], afresh: None, strays: 0 })
    }

    /// What `before` spares a run that computes a pass, of which `now` is what it may remember itself.
    pub(super) async fn of(
        results: &Results<'_>,
        name: &str,
        (pass, entity): (&Pass, &Entity),
        before: &Remembered,
        now: &Remembered,
    ) -> Result<Option<Self>> {
        let workspace = results.workspace;
        let streams = before.streams(pass);
        if streams.iter().all(Option::is_none) || before.as_of > now.as_of || !results.follows(entity, &before.identity)
        {
            return Ok(None);
        }
        let Some(grown) = grown(results, pass, entity, before, now).await? else { return Ok(None) };
        let happened = before.next_at.is_some_and(|next| next <= now.as_of);
        // The golden record does not go by the time of rows.
        if happened && pass.spec.streams.iter().any(|stream| stream.order.is_some()) {
            return Ok(None);
        }
        let Some(part) = part(workspace, pass, entity, &streams) else { return Ok(None) };
        let all = closure(&workspace.opened.project, &pass.sources);
        let afresh = results.afresh(entity, &all, before.strays > 0).await?;
        let Some(states) = states(workspace, name, entity).await? else { return Ok(None) };
        // The states know the streams by their numbers in the pass that they were made by.
        let mut own = vec![None; before.streams.len()];
        let mut was = Vec::with_capacity(part.known.len());
        for (stream, whole) in part.known.iter().enumerate() {
            let Some(remembered) = streams[*whole] else { return Ok(None) };
            own[remembered] = Some(stream);
            was.push(before.streams[remembered].1.clone());
        }
        let mut feeds = vec![Feed::States(states, own)];
        let moved: Vec<(i64, i64)> = was
            .iter()
            .zip(&part.pass.spec.streams)
            .flat_map(|(was, stream)| was.iter().copied().zip(stream.since.iter().copied()))
            .chain(happened.then_some((before.as_of.saturating_add(1), now.as_of.saturating_add(1))))
            .filter(|(from, to)| from < to)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        if !moved.is_empty() || afresh.is_some() {
            let old = grown.iter().map(|(source, grown)| (source.as_str(), grown, true));
            let session = apart(results, old.collect()).await?;
            feeds.push(Feed::Before(rows_before(&session, &part.pass, &moved, afresh.clone()).await?, before.as_of));
        }
        // The types of values are those of rows, so there are always some, if only in name.
        if grown.values().any(|grown| !grown.is_same) || feeds.len() == 1 {
            let new = grown.iter().map(|(source, grown)| (source.as_str(), grown, false));
            let session = apart(results, new.collect()).await?;
            feeds.push(Feed::Rows(planned(&session, &part.pass.placed, &part.pass.name).await?));
        }
        let mut lanes = vec![Lane { spec: part.pass.spec, was, streams: part.known, feeds }];
        if let Some((rest, streams)) = part.rest {
            let rows = planned(workspace, &rest.placed, &rest.name).await?;
            lanes.push(Lane { streams, ..Lane::of_all(&rest.spec, rows) });
        }
        Ok(Some(Self { lanes, afresh, strays: before.strays }))
    }
}

/// What has become of a pass's own sources; none where one of them did more than grow, or where old rows may belong elsewhere since
/// one that they belong to has changed.
async fn grown(
    results: &Results<'_>,
    pass: &Pass,
    entity: &Entity,
    before: &Remembered,
    now: &Remembered,
) -> Result<Option<BTreeMap<String, Grown>>> {
    let opened = &results.workspace.opened;
    let mut own = BTreeMap::new();
    if before.sources.keys().ne(now.sources.keys()) {
        return Ok(None);
    }
    for ((source, then), is) in before.sources.iter().zip(now.sources.values()) {
        let Some(pieces) = opened.pieces.get(source).filter(|_| then.how == is.how) else { return Ok(None) };
        let grown = match pieces.since(&then.marks).await? {
            Growth::Grown(grown) => grown,
            Growth::Changed => return Ok(None),
            Growth::Forgotten => {
                results.say(forgotten(source, opened.project.sources.get(source)));
                return Ok(None);
            }
        };
        if pass.sources.contains(source) {
            own.insert(source.clone(), grown);
        } else if !grown.is_same && (before.strays > 0 || !inherits(&opened.project, pass, entity)) {
            return Ok(None);
        }
    }
    Ok(Some(own))
}

/// The log of a table is too short.
pub(super) fn forgotten(name: &str, source: Option<&Source>) -> Finding {
    let message = format!("the log of the source `{name}` does not say any more what has come since the last build");
    let finding = Finding::warning("W415", message).help(
        "all of it was read, and what comes from now on will be known again; keep logs for longer than lies between two builds",
    );
    match source {
        Some(source) => finding.at(source.span),
        None => finding,
    }
}

/// Do all rows of a pass have their customers, their times and all else that is not their own from one source that they belong to?
/// Then those that have a customer have found all of it.
fn inherits(project: &Project, pass: &Pass, entity: &Entity) -> bool {
    let sources = pass.sources.iter().map(|name| project.sources.get(name));
    sources
        .into_iter()
        .all(|source| source.is_some_and(|source| entity.source(&source.name).is_none() && source.parents.len() == 1))
}

/// A pass, cut into what is remembered and the rest.
struct Cut {
    pass: Pass,
    /// Of each of its streams, the number in the whole pass.
    known: Vec<usize>,
    rest: Option<(Pass, Vec<usize>)>,
}

fn part(workspace: &Workspace, whole: &Pass, entity: &Entity, streams: &[Option<usize>]) -> Option<Cut> {
    if streams.iter().all(Option::is_some) {
        return Some(Cut { pass: whole.clone(), known: (0..streams.len()).collect(), rest: None });
    }
    let opened = &workspace.opened;
    let of = |is_known: bool| -> Option<(Pass, Vec<usize>)> {
        let wanted: BTreeSet<&str> = whole
            .spec
            .features
            .iter()
            .filter(|feature| streams[feature.stream].is_some() == is_known)
            .map(|feature| feature.name.as_str())
            .collect();
        let passes = passes_of(&opened.project, entity, &opened.clock, |feature| wanted.contains(feature.id.as_str()));
        // Features of the golden record are no features of conditions.
        let pass = passes.into_iter().find(|pass| pass.name == whole.name && pass.sources == whole.sources)?;
        let number = |key: &Option<String>, stream: usize| {
            let place = whole.keys.iter().position(|known| known.is_some() && known == key);
            place.or_else(|| {
                let name = &pass.spec.features.iter().find(|feature| feature.stream == stream)?.name;
                whole.spec.features.iter().find(|feature| feature.name == *name).map(|feature| feature.stream)
            })
        };
        let numbers: Option<Vec<usize>> =
            pass.keys.iter().enumerate().map(|(stream, key)| number(key, stream)).collect();
        Some((pass, numbers?))
    };
    let (pass, known) = of(true)?;
    Some(Cut { pass, known, rest: Some(of(false)?) })
}

/// What is remembered of each customer, with its place now.
async fn states(workspace: &Workspace, name: &str, entity: &Entity) -> Result<Option<DataFrame>> {
    let before = format!("before_{name}");
    if !workspace.published_as(name, &before).await? || workspace.schema(&before).await?.field_with_name(STATE).is_err()
    {
        return Ok(None);
    }
    let (id, merged) = (ident(&entity.id()), ident(&format!("{}_merged", entity.name)));
    let sql = format!(
        "select cohorte_place_{}(coalesce(m.new_id, s.{id})) as _place, s.{STATE}\nfrom {merged} as m\n\
         right join {} as s on m.old_id = s.{id}\nwhere s.{STATE} is not null",
        entity.name,
        ident(&before)
    );
    planned(workspace, &sql, name).await.map(Some)
}

/// A place where these sources are read in part: as they were before, or what has come since.
async fn apart(results: &Results<'_>, parts: Vec<(&str, &Grown, bool)>) -> Result<Workspace> {
    let (workspace, shared) = (results.workspace.apart().await?, results.shared().await?);
    let project = &results.workspace.opened.project;
    for (name, grown, is_old) in parts {
        let provider = if is_old { &grown.before } else { &grown.new };
        workspace.read_from(name, Arc::clone(provider))?;
        let Some(source) = project.sources.get(name) else { continue };
        workspace.view(name, &sources::relation(source)).await?;
        if let Some(sql) = resolved::relation(project, source, resolved::Finding::Functions(shared)) {
            workspace.view(&format!("{name}_resolved"), &sql).await?;
        }
    }
    Ok(workspace)
}

/// The rows of before that may count differently now: those of these times, and those of who is told afresh.
async fn rows_before(
    workspace: &Workspace,
    pass: &Pass,
    moved: &[(i64, i64)],
    afresh: Option<BooleanBuffer>,
) -> Result<DataFrame> {
    let mut wanted: Vec<String> =
        moved.iter().map(|(from, to)| format!("(_time >= {} and _time < {})", instant(*from), instant(*to))).collect();
    if let Some(afresh) = afresh {
        workspace.opened.session.register_udf(create_udf(
            "cohorte_is_afresh",
            vec![DataType::UInt32],
            DataType::Boolean,
            // Whose a row is, is looked up once.
            Volatility::Volatile,
            Arc::new(move |arguments: &[ColumnarValue]| {
                let places = ColumnarValue::values_to_arrays(arguments)?;
                let is_afresh = |place: Option<u32>| {
                    place.is_some_and(|place| (place as usize) < afresh.len() && afresh.value(place as usize))
                };
                let places = places[0].as_primitive::<UInt32Type>();
                let found: BooleanArray = places.iter().map(|place| Some(is_afresh(place))).collect();
                Ok(ColumnarValue::Array(Arc::new(found)))
            }),
        ));
        wanted.push("cohorte_is_afresh(_place)".to_owned());
    }
    let sql = format!("select * from (\n{}\n) as rows where {}", pass.placed, wanted.join(" or "));
    planned(workspace, &sql, &pass.name).await
}

async fn planned(workspace: &Workspace, sql: &str, name: &str) -> Result<DataFrame> {
    let doing = || format!("computing the features of `{name}`");
    workspace.opened.session.sql(sql).await.map_err(|error| failure_from(doing(), &error))
}
