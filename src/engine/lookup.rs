//! What identity found, as functions of the session: rows of every source find their customers by them.

use std::collections::BTreeSet;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::functions::find::{self, Lookup, LookupBuilder};
use crate::diag::Result;
use crate::project::{Entity, Project};
use crate::spec::Role;
use crate::sql::{ident, text_literal};
use crate::store::failure_from;

/// Reads `<entity>_records` and `<entity>_identifiers` of every entity and registers their functions. Gives the (entity, source)
/// that have rows of shared devices.
pub async fn register(session: &SessionContext, project: &Project) -> Result<BTreeSet<(String, String)>> {
    let mut shared = BTreeSet::new();
    for entity in project.entities.values() {
        let id = ident(&entity.id());
        // Both are one thread's work each.
        let sql = format!("select source, record_key, {id} from {}_records", entity.name);
        let (at_once, of) = (session.clone(), entity.clone());
        let records = SpawnedTask::spawn(async move { lookup(&at_once, &of, &sql).await });
        let holders = match held(entity) {
            None => Lookup::default(),
            Some(kinds) => {
                let sql = format!(
                    "select \"type\", \"value\", {id} from {}_identifiers where is_home and \"type\" in ({kinds})",
                    entity.name
                );
                lookup(session, entity, &sql).await?
            }
        };
        let records = records
            .await
            .map_err(|error| failure_from(doing(entity), &DataFusionError::External(Box::new(error))))??;
        find::register(session, &entity.name, records, holders);
        shared.extend(contested(session, entity).await?.into_iter().map(|source| (entity.name.clone(), source)));
    }
    Ok(shared)
}

/// The types of identifiers by which rows are attached; none where no rows are.
fn held(entity: &Entity) -> Option<String> {
    let attached = entity.sources.iter().filter(|source| source.role == Role::Attach);
    let kinds: BTreeSet<&String> = attached.flat_map(|source| source.ids.iter().map(|(kind, _)| kind)).collect();
    let kinds: Vec<String> = kinds.into_iter().map(|kind| text_literal(kind)).collect();
    (!kinds.is_empty()).then(|| kinds.join(", "))
}

async fn lookup(session: &SessionContext, entity: &Entity, sql: &str) -> Result<Lookup> {
    let failed = |error| failure_from(doing(entity), &error);
    let frame = session.sql(sql).await.map_err(failed)?;
    let mut rows = frame.execute_stream().await.map_err(failed)?;
    let mut builder = LookupBuilder::default();
    while let Some(batch) = rows.next().await {
        builder.add(&batch.map_err(failed)?).map_err(failed)?;
    }
    Ok(builder.build())
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
