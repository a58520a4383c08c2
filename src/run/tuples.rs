//! The tuples of identifiers that link sources had when their entity was resolved before: of a source that only grew, new rows alone
//! are looked through for others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use super::basis::Basis;
use super::carried::{forgotten, how};
use super::results::Results;
use super::workspace::Workspace;
use crate::compile::passes::instant;
use crate::compile::{asks_the_clock, identity, sources};
use crate::diag::Result;
use crate::engine::readers::{Grown, Growth};
use crate::engine::resolve::KnownTuples;
use crate::project::{Entity, IdentitySource, Source};
use crate::spec::Role;
use crate::sql::{ident, text_literal};
use crate::store::{failure_from, tables};

/// What the link sources of an entity were when it was resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Resolved {
    /// The moment that it was as of, in microseconds.
    as_of: i64,
    sources: BTreeMap<String, Then>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Then {
    /// A hash of how its rows and their tuples were read.
    how: String,
    marks: Vec<String>,
    /// When the first of its rows happens that had not happened yet.
    next_at: Option<i64>,
}

impl Resolved {
    /// What they are now; those that can be of use to later runs.
    pub(super) fn of(results: &Results<'_>, entity: &Entity) -> Self {
        let opened = &results.workspace.opened;
        let then = |(source, identity): (&Source, &IdentitySource)| {
            let marks = opened.pieces.get(&source.name)?.marks().to_vec();
            let next_at = results.next_at(&source.name);
            Some((source.name.clone(), Then { how: how_tuples(results, source, identity)?, marks, next_at }))
        };
        Self { as_of: opened.clock.micros(), sources: links(results, entity).filter_map(then).collect() }
    }

    pub(super) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The tuples that are known of sources which have only grown since.
    pub(super) async fn known(&self, results: &Results<'_>, entity: &Entity) -> Result<BTreeMap<String, KnownTuples>> {
        let (workspace, mut known) = (results.workspace, BTreeMap::new());
        let spec = tables::records(&entity.name);
        let before = format!("before_{}", spec.name);
        if !workspace.before(&spec, &before).await? {
            return Ok(known);
        }
        for (source, identity) in links(results, entity) {
            let (Some(then), Some(pieces)) =
                (self.sources.get(&source.name), workspace.opened.pieces.get(&source.name))
            else {
                continue;
            };
            let has_happened = then.next_at.is_some_and(|next| next <= workspace.opened.clock.micros());
            if how_tuples(results, source, identity).as_ref() != Some(&then.how) {
                continue;
            }
            let grown = match pieces.since(&then.marks).await? {
                Growth::Grown(grown) => grown,
                Growth::Changed => continue,
                Growth::Forgotten => {
                    results.say(forgotten(&source.name, Some(source)));
                    continue;
                }
            };
            let started = Instant::now();
            let apart = workspace.apart().await?;
            since(&apart, source, &grown, has_happened.then_some(self.as_of)).await?;
            if !are_spelt_alike(&apart, source, identity).await? {
                continue;
            }
            let sql = format!(
                "select record_key, first_seen_at, last_seen_at from {} where source = {}",
                ident(&before),
                text_literal(&source.name)
            );
            known.insert(source.name.clone(), KnownTuples { sql, new: apart.opened.session });
            workspace.stage.timings.note(format!("knowing the tuples of `{}`", source.name), started, None, None);
        }
        Ok(known)
    }
}

/// Leaves of a source the rows that have come since, and those that were there and have happened since some moment.
async fn since(apart: &Workspace, source: &Source, grown: &Grown, moment: Option<i64>) -> Result<()> {
    let (name, relation) = (&source.name, sources::relation(source));
    let new = format!("_new_{name}");
    apart.read_from(name, Arc::clone(&grown.new))?;
    let Some(moment) = moment else { return apart.view(name, &relation).await };
    apart.view(&new, &relation).await?;
    apart.read_from(name, Arc::clone(&grown.before))?;
    let old = format!("select * from (\n{relation}\n) as rows where _time > {}", instant(moment));
    apart.view(name, &format!("select * from {} union all {old}", ident(&new))).await
}

/// The link sources of an entity that have no scopes: a key does not tell them.
fn links<'r>(results: &'r Results<'_>, entity: &'r Entity) -> impl Iterator<Item = (&'r Source, &'r IdentitySource)> {
    let project = &results.workspace.opened.project;
    let links = entity.sources.iter().filter(|identity| identity.role == Role::Link && identity.scopes.is_empty());
    links.filter_map(|identity| Some((project.sources.get(&identity.source)?, identity)))
}

fn how_tuples(results: &Results<'_>, source: &Source, identity: &IdentitySource) -> Option<String> {
    let tuples = identity::tuples(source, identity);
    if asks_the_clock(&tuples) {
        return None;
    }
    let mut basis = Basis::new();
    basis.add(&how(results, source)?);
    basis.add(&tuples);
    Some(basis.finish())
}

/// Are all identifiers texts or whole numbers? A key spells other values otherwise than a cast does.
async fn are_spelt_alike(workspace: &Workspace, source: &Source, identity: &IdentitySource) -> Result<bool> {
    let doing = || format!("reading the identifiers of the source `{}`", source.name);
    let frame = workspace.opened.session.sql(&identity::tuples(source, identity)).await;
    let frame = frame.map_err(|error| failure_from(doing(), &error))?;
    let ids = frame.schema().fields().iter().filter(|field| field.name().starts_with("id_"));
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    Ok(ids.into_iter().all(|field| is_text(field.data_type()) || field.data_type().is_integer()))
}
