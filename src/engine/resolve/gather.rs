//! The nodes of every source, as a stream, into the builder of evidence.

use std::borrow::Cow;
use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::columns::{Columns, cell};
use super::tuples::{self, Tuples};
use super::{KnownTuples, doing};
use crate::compile::identity;
use crate::diag::{Failure, Result};
use crate::engine::Held;
use crate::engine::identity::{EvidenceBuilder, IdentifierRule, RawNode};
use crate::project::{Entity, IdentitySource, Project};
use crate::spec::Role;
use crate::store::failure_from;

/// When a node, or a value, was first and last seen, in microseconds; never, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    first: i64,
    last: i64,
}

impl Seen {
    pub(super) const NEVER: Self = Self { first: i64::MAX, last: i64::MIN };

    /// Once.
    pub(super) fn at(micros: i64) -> Self {
        Self { first: micros, last: micros }
    }

    /// Both sights.
    pub(super) fn and(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    pub(super) fn first(self) -> Option<i64> {
        (self.first != i64::MAX).then_some(self.first)
    }

    pub(super) fn last(self) -> Option<i64> {
        (self.last != i64::MIN).then_some(self.last)
    }
}

/// Everything that the sources say of their nodes.
pub(super) struct Gathered {
    pub(super) builder: EvidenceBuilder,
    /// By the builder's numbers.
    pub(super) seen: Vec<Seen>,
    /// The memory of it.
    pub(super) held: Held,
}

/// Reads every source that has nodes; of link sources whose tuples are `known` up to some rows, those rows alone.
pub(super) async fn gather(
    session: &SessionContext,
    project: &Project,
    entity: &Entity,
    known: &BTreeMap<String, KnownTuples>,
) -> Result<Gathered> {
    let rules = entity.identifiers.iter().map(|identifier| IdentifierRule {
        name: identifier.name.clone(),
        priority: identifier.priority,
        per_customer: identifier.per_customer,
        shared_by: identifier.shared_by,
        ignore: identifier.ignore.clone(),
    });
    let builder = EvidenceBuilder::new(rules.collect(), entity.never_across.len());
    let held = Held::of(session, format!("the identities of {}", entity.name));
    let mut gathered = Gathered { builder, seen: Vec::new(), held };
    // The tuples of link sources are found while the records of the others are read: taking nodes in is one thread's work.
    let mut finding: BTreeMap<&str, SpawnedTask<EngineResult<Vec<Tuples>>>> = BTreeMap::new();
    for identity in entity.sources.iter().filter(|identity| identity.role == Role::Link) {
        let Some(source) = project.sources.get(&identity.source) else { continue };
        let session = known.get(&identity.source).map_or(session, |known| &known.new);
        let (session, sql, n_scopes) = (session.clone(), identity::tuples(source, identity), identity.scopes.len());
        let task = SpawnedTask::spawn(async move { tuples::distinct(&session, &sql, n_scopes).await });
        finding.insert(&identity.source, task);
    }
    for identity in &entity.sources {
        let Some(source) = project.sources.get(&identity.source) else { continue };
        let Some(sql) = identity::nodes(entity, source, identity) else { continue };
        let kinds = kinds(entity, identity)?;
        let doing = format!("reading the identifiers of the source `{}`", identity.source);
        let failed = |error| failure_from(doing.clone(), &error);
        if let Some(known) = known.get(&identity.source) {
            let frame = session.sql(&known.sql).await.map_err(failed)?;
            let mut stream = frame.execute_stream().await.map_err(failed)?;
            while let Some(batch) = stream.next().await {
                gathered.add_known(&batch.map_err(failed)?, identity, &kinds, &doing)?;
                gathered.count().map_err(failed)?;
            }
        }
        if let Some(task) = finding.remove(identity.source.as_str()) {
            let parts = task.await.map_err(|error| failed(DataFusionError::External(Box::new(error))))?;
            for part in parts.map_err(failed)? {
                gathered.add_tuples(&part, identity, &kinds, identity.scopes.len(), &doing)?;
                gathered.count().map_err(failed)?;
            }
            continue;
        }
        let frame = session.sql(&sql).await.map_err(failed)?;
        let mut stream = frame.execute_stream().await.map_err(failed)?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(failed)?;
            gathered.add(&batch, identity, &kinds, entity.never_across.len(), &doing)?;
            gathered.count().map_err(failed)?;
        }
    }
    // What comes next needs room of its own while it works.
    let size = gathered.size() + gathered.builder.size_to_build();
    gathered.held.resize(size).map_err(|error| failure_from(doing(entity), &error))?;
    Ok(gathered)
}

/// The rule of each identifier column of a source.
fn kinds(entity: &Entity, identity: &IdentitySource) -> Result<Vec<u16>> {
    let place = |name: &String| {
        let found = entity.identifiers.iter().position(|identifier| identifier.name == *name);
        found.and_then(|place| u16::try_from(place).ok()).ok_or_else(|| {
            Failure::project("E202", doing(entity), format!("there is no identifier `{name}`"))
                .help("every identifier is declared under `identifiers:`")
        })
    };
    identity.ids.iter().map(|(name, _)| place(name)).collect()
}

impl Gathered {
    fn size(&self) -> usize {
        self.builder.size() + self.seen.capacity() * size_of::<Seen>()
    }

    /// Counts the memory of what there is by now.
    fn count(&self) -> EngineResult<()> {
        self.held.resize(self.size())
    }

    fn add_tuples(
        &mut self,
        part: &Tuples,
        identity: &IdentitySource,
        kinds: &[u16],
        n_scopes: usize,
        doing: &str,
    ) -> Result<()> {
        let mut nodes = part.keys.iter().zip(&part.seen);
        for batch in &part.rows {
            let cells = Cells::of(&Columns { batch, doing }, kinds, n_scopes)?;
            let mut row = Row::default();
            for (place, (key, seen)) in (0..batch.num_rows()).zip(nodes.by_ref()) {
                cells.read(place, &mut row);
                self.add_node(identity, key, None, &row, *seen)?;
            }
        }
        Ok(())
    }

    /// Tuples whose identifiers are spelt in their keys.
    fn add_known(&mut self, batch: &RecordBatch, identity: &IdentitySource, kinds: &[u16], doing: &str) -> Result<()> {
        let columns = Columns { batch, doing };
        let keys = columns.text("record_key")?;
        let seen = Sights::of(&columns)?;
        for place in 0..batch.num_rows() {
            let Some(key) = cell(&keys, place) else { continue };
            let Ok(values) = serde_json::from_str::<Vec<Option<Cow<'_, str>>>>(key) else {
                return Err(Failure::world("W701", doing, "the key of a tuple is not spelt as keys are")
                    .help("build with `--full-refresh`: all rows of the source are read again"));
            };
            let there = values.iter().zip(kinds).filter_map(|(value, &kind)| Some((kind, value.as_deref()?)));
            let identifiers: Vec<(u16, &str)> = there.filter(|(_, value)| !value.trim().is_empty()).collect();
            let row = Row { scopes: Vec::new(), identifiers };
            self.add_node(identity, key, None, &row, seen.at(place))?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        batch: &RecordBatch,
        identity: &IdentitySource,
        kinds: &[u16],
        n_scopes: usize,
        doing: &str,
    ) -> Result<()> {
        let columns = Columns { batch, doing };
        let (keys, names) = (columns.text("key")?, columns.text("name")?);
        let seen = Sights::of(&columns)?;
        let cells = Cells::of(&columns, kinds, n_scopes)?;
        let mut row = Row::default();
        for place in 0..batch.num_rows() {
            let Some(key) = cell(&keys, place) else { continue };
            cells.read(place, &mut row);
            self.add_node(identity, key, cell(&names, place), &row, seen.at(place))?;
        }
        Ok(())
    }

    fn add_node(
        &mut self,
        identity: &IdentitySource,
        key: &str,
        name: Option<&str>,
        row: &Row<'_>,
        seen: Seen,
    ) -> Result<()> {
        let (scopes, identifiers) = (row.scopes.as_slice(), row.identifiers.as_slice());
        let node = RawNode { source: identity.source.as_str(), key, name, scopes, identifiers };
        let number = self.builder.add(&node)? as usize;
        if self.seen.len() <= number {
            self.seen.resize(number + 1, Seen::NEVER);
        }
        self.seen[number] = self.seen[number].and(seen);
        Ok(())
    }
}

/// When the nodes of a batch were seen.
struct Sights {
    first: TimestampMicrosecondArray,
    last: TimestampMicrosecondArray,
}

impl Sights {
    fn of(columns: &Columns<'_>) -> Result<Self> {
        Ok(Self { first: columns.instant("first_seen_at")?, last: columns.instant("last_seen_at")? })
    }

    fn at(&self, place: usize) -> Seen {
        let Self { first, last } = self;
        Seen {
            first: if first.is_valid(place) { first.value(place) } else { i64::MAX },
            last: if last.is_valid(place) { last.value(place) } else { i64::MIN },
        }
    }
}

/// The scopes and identifiers of a batch.
struct Cells<'k> {
    scopes: Vec<StringViewArray>,
    values: Vec<StringViewArray>,
    kinds: &'k [u16],
}

/// Those of one row.
#[derive(Default)]
struct Row<'c> {
    scopes: Vec<Option<&'c str>>,
    identifiers: Vec<(u16, &'c str)>,
}

impl<'k> Cells<'k> {
    fn of(columns: &Columns<'_>, kinds: &'k [u16], n_scopes: usize) -> Result<Self> {
        let texts = |what: &str, n: usize| {
            (0..n).map(|index| columns.text(&format!("{what}_{index}"))).collect::<Result<Vec<_>>>()
        };
        Ok(Self { scopes: texts("scope", n_scopes)?, values: texts("id", kinds.len())?, kinds })
    }

    fn read<'c>(&'c self, place: usize, row: &mut Row<'c>) {
        row.scopes.clear();
        row.scopes.extend(self.scopes.iter().map(|scope| cell(scope, place)));
        row.identifiers.clear();
        // A blank value is no value; it is not even worth a line in the report.
        let there = self.values.iter().zip(self.kinds).filter_map(|(values, &kind)| Some((kind, cell(values, place)?)));
        row.identifiers.extend(there.filter(|(_, value)| !value.trim().is_empty()));
    }
}
