//! What identity found, as functions of the session: rows of every source find their customers by them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::functions::find::{self, Lookup};
use super::functions::place;
use super::identity::CustomerId;
use super::resolve::Finder;
use super::roster::Roster;
use crate::diag::Result;
use crate::project::{Entity, Project};
use crate::spec::Role;
use crate::sql::{ident, text_literal};
use crate::store::failure_from;

/// Where it is written whose the rows of an entity's sources are.
#[derive(Debug, Clone)]
pub enum Whose {
    /// In memory: this run has resolved the entity.
    Resolved(Finder),
    /// In its tables, `<entity>_records` and `<entity>_identifiers`; the ids of all customers are the first column of this statement's rows.
    Tables(String),
}

/// Who the customers of each entity are. The session learns to turn their ids into places, and back.
pub async fn rosters(
    session: &SessionContext,
    project: &Project,
    whose: &BTreeMap<String, Whose>,
) -> Result<BTreeMap<String, Arc<Roster>>> {
    let mut rosters = BTreeMap::new();
    for (name, whose) in whose {
        let Some(entity) = project.entities.get(name) else { continue };
        let roster = match whose {
            Whose::Resolved(finder) => finder.roster(),
            Whose::Tables(ids) => Arc::new(roster(session, entity, ids).await?),
        };
        place::register(session, name, &roster);
        rosters.insert(name.clone(), roster);
    }
    Ok(rosters)
}

/// Registers the functions that find the customers of rows. Gives the (entity, source) that have rows of shared devices.
pub async fn register(
    session: &SessionContext,
    project: &Project,
    whose: &BTreeMap<String, Whose>,
    rosters: &BTreeMap<String, Arc<Roster>>,
) -> Result<BTreeSet<(String, String)>> {
    let mut all = BTreeSet::new();
    for (entity, whose) in whose.iter().filter_map(|(name, whose)| Some((project.entities.get(name)?, whose))) {
        let Some(roster) = rosters.get(&entity.name) else { continue };
        let [mut records, mut holders] = match whose {
            Whose::Resolved(finder) => found(entity, finder).await?,
            Whose::Tables(_) => read(session, entity, roster).await?,
        };
        let counted = records.count(session).and_then(|()| holders.count(session));
        counted.map_err(|error| failure_from(doing(entity), &error))?;
        find::register(session, &entity.name, records, holders);
        let shared = contested(session, entity).await?;
        all.extend(shared.into_iter().map(|source| (entity.name.clone(), source)));
    }
    Ok(all)
}

/// Registers the functions of every entity, which find nobody.
pub fn register_none(session: &SessionContext, project: &Project) {
    for entity in project.entities.keys() {
        place::register(session, entity, &Arc::default());
        find::register(session, entity, Lookup::default(), Lookup::default());
    }
}

/// What identity has found. Records and holders are one thread's work each.
async fn found(entity: &Entity, finder: &Finder) -> Result<[Lookup; 2]> {
    let failed = |error| failure_from(doing(entity), &DataFusionError::External(Box::new(error)));
    let (of_records, of_holders, kinds) = (finder.clone(), finder.clone(), held(entity));
    let records = SpawnedTask::spawn_blocking(move || of_records.records());
    let holders = SpawnedTask::spawn_blocking(move || of_holders.holders(&kinds));
    let (records, holders) = (records.await.map_err(failed)?, holders.await.map_err(failed)?);
    Ok([Lookup::of(records), Lookup::of(holders)])
}

async fn roster(session: &SessionContext, entity: &Entity, ids: &str) -> Result<Roster> {
    let failed = |error| failure_from(doing(entity), &error);
    let mut all: Vec<CustomerId> = Vec::new();
    let mut rows = stream(session, entity, ids).await?;
    while let Some(batch) = rows.next().await {
        let texts =
            cast(batch.map_err(failed)?.column(0), &DataType::Utf8View).map_err(|error| failed(error.into()))?;
        all.extend(texts.as_string_view().iter().flatten().filter_map(|id| id.parse::<CustomerId>().ok()));
    }
    Ok(Roster::of(all))
}

/// What is in the tables.
async fn read(session: &SessionContext, entity: &Entity, roster: &Roster) -> Result<[Lookup; 2]> {
    let failed = |error| failure_from(doing(entity), &error);
    let id = ident(&entity.id());
    let records = format!("select source, record_key, {id} from {}_records", entity.name);
    let kinds: Vec<String> = held(entity).iter().map(|kind| text_literal(kind)).collect();
    let holders = (!kinds.is_empty()).then(|| {
        let (name, kinds) = (&entity.name, kinds.join(", "));
        format!("select \"type\", \"value\", {id} from {name}_identifiers where is_home and \"type\" in ({kinds})")
    });
    let mut lookups = [Lookup::default(), Lookup::default()];
    for (lookup, sql) in lookups.iter_mut().zip([Some(records), holders]) {
        let Some(sql) = sql else { continue };
        let mut rows = stream(session, entity, &sql).await?;
        while let Some(batch) = rows.next().await {
            lookup.add(&batch.map_err(failed)?, roster).map_err(failed)?;
        }
    }
    Ok(lookups)
}

/// The types of identifiers by which rows are attached.
#[must_use]
pub fn held(entity: &Entity) -> BTreeSet<String> {
    let attached = entity.sources.iter().filter(|source| source.role == Role::Attach);
    attached.flat_map(|source| source.ids.iter().map(|(kind, _)| kind.clone())).collect()
}

async fn stream(session: &SessionContext, entity: &Entity, sql: &str) -> Result<SendableRecordBatchStream> {
    let failed = |error| failure_from(doing(entity), &error);
    session.sql(sql).await.map_err(failed)?.execute_stream().await.map_err(failed)
}

fn doing(entity: &Entity) -> String {
    format!("reading the identities of `{}`", entity.name)
}

/// The sources with rows that hang on values which several customers have.
async fn contested(session: &SessionContext, entity: &Entity) -> Result<Vec<String>> {
    let failed = |error| failure_from(format!("reading the shared devices of `{}`", entity.name), &error);
    let sql = format!("select distinct source from {}_contested", entity.name);
    let batches = async { session.sql(&sql).await?.collect().await }.await.map_err(failed)?;
    let mut sources = Vec::new();
    for batch in batches {
        let names = cast(batch.column(0), &DataType::Utf8View).map_err(|error| failed(error.into()))?;
        sources.extend(names.as_string_view().iter().flatten().map(str::to_owned));
    }
    Ok(sources)
}
