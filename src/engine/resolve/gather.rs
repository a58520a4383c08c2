//! The nodes of every source, as a stream, into the builder of evidence.

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::columns::{Columns, cell};
use super::doing;
use crate::compile::identity;
use crate::diag::{Failure, Result};
use crate::engine::identity::{EvidenceBuilder, IdentifierRule, RawNode};
use crate::project::{Entity, IdentitySource, Project};
use crate::store::failure_from;

/// When a node, or a value, was first and last seen, in microseconds; never, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    first: i64,
    last: i64,
}

impl Seen {
    pub(super) const NEVER: Self = Self { first: i64::MAX, last: i64::MIN };

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
}

/// Reads every source that has nodes.
pub(super) async fn gather(session: &SessionContext, project: &Project, entity: &Entity) -> Result<Gathered> {
    let rules = entity.identifiers.iter().map(|identifier| IdentifierRule {
        name: identifier.name.clone(),
        priority: identifier.priority,
        per_customer: identifier.per_customer,
        shared_by: identifier.shared_by,
        ignore: identifier.ignore.clone(),
    });
    let builder = EvidenceBuilder::new(rules.collect(), entity.never_across.len());
    let mut gathered = Gathered { builder, seen: Vec::new() };
    for identity in &entity.sources {
        let Some(source) = project.sources.get(&identity.source) else { continue };
        let Some(sql) = identity::nodes(entity, source, identity) else { continue };
        let kinds = kinds(entity, identity)?;
        let doing = format!("reading the identifiers of the source `{}`", identity.source);
        let failed = |error| failure_from(doing.clone(), &error);
        let frame = session.sql(&sql).await.map_err(failed)?;
        let mut stream = frame.execute_stream().await.map_err(failed)?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(failed)?;
            gathered.add(&batch, identity, &kinds, entity.never_across.len(), &doing)?;
        }
    }
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
        let (first, last) = (columns.instant("first_seen_at")?, columns.instant("last_seen_at")?);
        let scopes = (0..n_scopes).map(|index| columns.text(&format!("scope_{index}"))).collect::<Result<Vec<_>>>()?;
        let values = (0..kinds.len()).map(|index| columns.text(&format!("id_{index}"))).collect::<Result<Vec<_>>>()?;
        let mut scopes_here = Vec::with_capacity(scopes.len());
        let mut identifiers = Vec::with_capacity(values.len());
        for row in 0..batch.num_rows() {
            let Some(key) = cell(&keys, row) else { continue };
            scopes_here.clear();
            scopes_here.extend(scopes.iter().map(|scope| cell(scope, row)));
            identifiers.clear();
            // A blank value is no value; it is not even worth a line in the report.
            let there = values.iter().zip(kinds).filter_map(|(values, &kind)| Some((kind, cell(values, row)?)));
            identifiers.extend(there.filter(|(_, value)| !value.trim().is_empty()));
            let source = identity.source.as_str();
            let node =
                RawNode { source, key, name: cell(&names, row), scopes: &scopes_here, identifiers: &identifiers };
            let number = self.builder.add(&node)? as usize;
            if self.seen.len() <= number {
                self.seen.resize(number + 1, Seen::NEVER);
            }
            let here = Seen {
                first: if first.is_valid(row) { first.value(row) } else { i64::MAX },
                last: if last.is_valid(row) { last.value(row) } else { i64::MIN },
            };
            self.seen[number] = self.seen[number].and(here);
        }
        Ok(())
    }
}
