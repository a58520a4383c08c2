//! The identity stage of a build: from the relations of the sources to the tables of an entity (DESIGN §5.4).
//!
//! [`resolve()`] reads the nodes of every source as a stream, clusters them, names the clusters from what earlier runs left, and
//! gives back every table as one that is made as it is read. It writes nothing. The same nodes and the same memory give the same
//! rows, whatever the order and the split of the batches that came in.
//!
//! Memory, beside what [`super::identity`] says: 16 bytes per node for when it was seen, 14 for its customer, 4 for how often it has
//! minted and 3 for shared devices; 36 bytes per customer; what the ledger has, see [`Remembered`]. It is held for as long as one of
//! the tables can be read.

mod base;
mod columns;
mod devices;
mod finder;
mod gather;
mod holders;
mod memory;
mod moved;
mod outcome;
mod partition;
mod report;
mod tables;
mod tuples;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::prelude::SessionContext;

pub use self::base::base_schema;
pub use self::finder::Finder;
pub use self::moved::{Former, Homes, Places};
use self::outcome::Outcome;
use self::partition::{Partition, Sorted};
pub use self::report::{DroppedValues, Report};
use crate::diag::{Failure, Result};
use crate::engine::Timings;
use crate::engine::made::Made;
use crate::project::{Entity, Project};
use crate::store::failure_from;

/// What earlier runs left: names of tables that are registered with the session; `None` on a first run.
///
/// Costs about 80 bytes per id that was ever minted, 8 per node, and the texts of the nodes that are gone.
#[derive(Clone, Default)]
pub struct Remembered {
    /// The table with the rows of `<entity>_ids`.
    pub ids: Option<String>,
    /// The table with the rows of `<entity>_nodes`.
    pub nodes: Option<String>,
    /// Of link sources that only grew, the tuples that there were, by source.
    pub tuples: BTreeMap<String, KnownTuples>,
}

/// The tuples of a link source as an earlier run found them. They have no scopes, and their identifiers are texts or whole
/// numbers.
#[derive(Clone)]
pub struct KnownTuples {
    /// A statement that gives them: `record_key`, `first_seen_at`, `last_seen_at`.
    pub sql: String,
    /// Where the source has the rows alone that have come since.
    pub new: SessionContext,
}

/// The tables of an entity. Their schemas are those of [`crate::store::entity_tables`].
#[derive(Debug, Clone)]
pub struct Resolved {
    /// All of `<entity>_records`.
    pub records: Made,
    /// All of `<entity>_identifiers`.
    pub identifiers: Made,
    /// All of `<entity>_links`.
    pub links: Made,
    /// All of `<entity>_contested`.
    pub contested: Made,
    /// All of `<entity>_nodes`.
    pub nodes: Made,
    /// New rows of `<entity>_ids`.
    pub events: Made,
    /// The ids that this run merged into others, as [`merged_schema`] says.
    pub merged: Made,
    /// One row per customer, in the order of their ids: what identity knows of it, as [`base_schema`] says.
    pub base: Made,
    /// Whose each record is.
    pub finder: Finder,
    /// Counts for people.
    pub report: Report,
}

impl Resolved {
    fn of(outcome: Outcome) -> Self {
        let outcome = Arc::new(outcome);
        let finder = Finder::of(&outcome);
        Self {
            records: Made::of(tables::Records(Arc::clone(&outcome))),
            identifiers: Made::of(tables::Identifiers(Arc::clone(&outcome))),
            links: Made::of(tables::Links(Arc::clone(&outcome))),
            contested: Made::of(tables::ContestedRows::of(&outcome)),
            nodes: Made::of(tables::Nodes::of(&outcome)),
            events: Made::of(tables::Events::of(&outcome)),
            merged: Made::of(tables::Merged::of(&outcome)),
            base: Made::of(base::Base::of(&outcome, &finder)),
            finder,
            report: outcome.report(),
        }
    }
}

/// `old_id`, `new_id`.
#[must_use]
pub fn merged_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![text("old_id"), text("new_id")]))
}

/// The run that resolves.
pub struct Now<'a> {
    /// Its id.
    pub run_id: &'a str,
    /// Its time.
    pub as_of: DateTime<Utc>,
    /// Where what it costs is noted.
    pub timings: &'a Timings,
}

/// Resolves an entity. The session has the sources' relations under their names, the functions and the clock, and the
/// remembered tables.
///
/// Fails with `E701` when there are more nodes than can be numbered, and with `W701` when the remembered tables do not fit
/// together.
pub async fn resolve(
    session: &SessionContext,
    project: &Project,
    entity: &Entity,
    remembered: &Remembered,
    now: &Now<'_>,
) -> Result<Resolved> {
    let note = |what: &str, since: Instant, rows: u64| {
        now.timings.note(format!("{what} of `{}`", entity.name), since, Some(rows), None);
    };
    let started = Instant::now();
    let gathered = gather::gather(session, project, entity, &remembered.tuples).await?;
    let nodes = gathered.seen.len() as u64;
    note("gathering the records", started, nodes);
    let started = Instant::now();
    let sorted = heavy(entity, move || Sorted::of(gathered)).await?;
    note("sorting the records", started, nodes);
    let started = Instant::now();
    // What was before is read beside what is.
    let built = Arc::clone(&sorted.built);
    let clustered = heavy(entity, move || Partition::of(sorted));
    let (partition, ledger) = tokio::join!(clustered, memory::read(session, entity, remembered, &built.nodes));
    drop(built);
    let (partition, ledger) = (partition?.map_err(|error| failure_from(doing(entity), &error))?, ledger?);
    note("clustering the records", started, nodes);
    let started = Instant::now();
    let (run_id, at) = (now.run_id.to_owned(), now.as_of.timestamp_micros());
    let telling = outcome::Telling { entity: entity.clone(), run_id, at };
    let size = partition.size() + ledger.size() + Outcome::size_of(partition.built.nodes.len());
    partition.held.resize(size).map_err(|error| failure_from(doing(entity), &error))?;
    let resolved = heavy(entity, move || Resolved::of(Outcome::of(telling, partition, ledger))).await?;
    note("naming the customers", started, nodes);
    Ok(resolved)
}

/// Runs heavy work where it holds up no stream.
async fn heavy<T: Send + 'static>(entity: &Entity, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Failure::world(
            "W001",
            doing(entity),
            if error.is_panic() { "an internal error" } else { "the work was cancelled" },
        )
        .help("report this: it is a mistake in cohorte")
    })
}

fn doing(entity: &Entity) -> String {
    format!("resolving the identities of `{}`", entity.name)
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
