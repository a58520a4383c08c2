//! What earlier runs left, on the nodes that exist now.

use std::collections::{BTreeMap, HashMap};

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::columns::{Columns, cell};
use super::{Remembered, doing};
use crate::diag::{Failure, Result};
use crate::engine::identity::{CustomerId, Former, Memory, NONE, State, Table};
use crate::project::Entity;
use crate::sql::ident;
use crate::store::failure_from;

/// A node that is remembered and does not exist now.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gone {
    pub(super) source: String,
    pub(super) key: String,
    pub(super) id: CustomerId,
    pub(super) mints: u32,
}

/// The remembered tables.
pub(super) struct Ledger {
    ids: Vec<Former>,
    /// By node: its last id, and how often it has minted.
    last: Vec<u32>,
    pub(super) mints: Vec<u32>,
    /// Ascending.
    pub(super) gone: Vec<Gone>,
    /// The place in the order of minting of the next id.
    pub(super) next: i64,
}

impl Ledger {
    /// Bytes in use, about.
    pub(super) fn size(&self) -> usize {
        let gone = |gone: &Gone| size_of::<Gone>() + gone.source.len() + gone.key.len();
        let numbers = (self.last.capacity() + self.mints.capacity()) * 4;
        self.ids.capacity() * size_of::<Former>() + numbers + self.gone.iter().map(gone).sum::<usize>()
    }

    pub(super) fn memory(&self) -> Memory<'_> {
        Memory { ids: &self.ids, last: &self.last, mints: &self.mints }
    }
}

/// Reads the remembered tables.
pub(super) async fn read(
    session: &SessionContext,
    entity: &Entity,
    from: &Remembered,
    nodes: &Table,
) -> Result<Ledger> {
    let mut reading = Reading {
        doing: doing(entity),
        id: entity.id(),
        nodes,
        places: HashMap::new(),
        merged: Vec::new(),
        absences: Vec::new(),
        ledger: Ledger {
            ids: Vec::new(),
            last: vec![NONE; nodes.len() as usize],
            mints: vec![0; nodes.len() as usize],
            gone: Vec::new(),
            next: 0,
        },
    };
    if let Some(table) = &from.ids {
        let columns = [&reading.id, "event", "into", "source", "record_key", "sequence"];
        let mut stream = stream(session, table, &columns, &reading.doing).await?;
        while let Some(batch) = stream.next().await {
            reading.ids(&batch.map_err(|error| failure_from(reading.doing.clone(), &error))?)?;
        }
        reading.settle()?;
    }
    if let Some(table) = &from.nodes {
        let columns = [&reading.id, "source", "record_key", "mints"];
        let mut stream = stream(session, table, &columns, &reading.doing).await?;
        while let Some(batch) = stream.next().await {
            reading.nodes(&batch.map_err(|error| failure_from(reading.doing.clone(), &error))?)?;
        }
        reading.ledger.gone.sort_unstable();
    }
    Ok(reading.ledger)
}

async fn stream(
    session: &SessionContext,
    table: &str,
    columns: &[&str],
    doing: &str,
) -> Result<datafusion::execution::SendableRecordBatchStream> {
    let columns: Vec<String> = columns.iter().map(|column| ident(column)).collect();
    let sql = format!("select {} from {}", columns.join(", "), ident(table));
    let frame = session.sql(&sql).await.map_err(|error| failure_from(doing, &error))?;
    frame.execute_stream().await.map_err(|error| failure_from(doing, &error))
}

struct Reading<'a> {
    doing: String,
    /// Name of the id column.
    id: String,
    nodes: &'a Table,
    /// Where each id is in the ledger. Looked up, never iterated.
    places: HashMap<CustomerId, u32>,
    /// (id, what it was merged into): rows come in any order, so they are settled when all ids are known.
    merged: Vec<(CustomerId, CustomerId)>,
    /// One up when an id is retired, one down when it returns: the two alternate.
    absences: Vec<(CustomerId, i32)>,
    ledger: Ledger,
}

impl Reading<'_> {
    fn ids(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Columns { batch, doing: &self.doing };
        let (ids, events, into) = (columns.text(&self.id)?, columns.text("event")?, columns.text("into")?);
        let (sources, keys) = (columns.text("source")?, columns.text("record_key")?);
        let sequence = columns.whole("sequence")?;
        let mut search = self.nodes.search();
        for row in 0..batch.num_rows() {
            let id = self.parsed(cell(&ids, row))?;
            match cell(&events, row) {
                Some("minted") => {
                    let place = sequence.is_valid(row).then(|| sequence.value(row));
                    let Some(minted) = place.and_then(|place| u64::try_from(place).ok()) else {
                        return Err(self.broken("a minting has no place in the order of mintings"));
                    };
                    let node = cell(&sources, row).zip(cell(&keys, row));
                    let mint_node = node.and_then(|(source, key)| search.find(source, key)).unwrap_or(NONE);
                    self.minted(Former { id, minted, mint_node, state: State::Living })?;
                }
                Some("merged") => {
                    let into = self.parsed(cell(&into, row))?;
                    self.merged.push((id, into));
                }
                Some("retired") => self.absences.push((id, 1)),
                Some("returned") => self.absences.push((id, -1)),
                // A split says nothing that the mintings and the nodes do not say.
                _ => {}
            }
        }
        Ok(())
    }

    fn minted(&mut self, former: Former) -> Result<()> {
        let Ok(place) = u32::try_from(self.ledger.ids.len()) else {
            return Err(self.broken("it has more ids than can be numbered"));
        };
        if self.places.insert(former.id, place).is_some() {
            return Err(self.broken("an id was minted twice"));
        }
        self.ledger.next = self.ledger.next.max(i64::try_from(former.minted).unwrap_or(i64::MAX).saturating_add(1));
        self.ledger.ids.push(former);
        Ok(())
    }

    /// What has become of the ids. An id that was merged is so for ever, whatever happened to it before.
    fn settle(&mut self) -> Result<()> {
        let mut balance: BTreeMap<u32, i32> = BTreeMap::new();
        for (id, change) in std::mem::take(&mut self.absences) {
            *balance.entry(self.place(id)?).or_default() += change;
        }
        for (place, absent) in balance {
            if absent > 0 {
                self.ledger.ids[place as usize].state = State::Retired;
            }
        }
        for (id, into) in std::mem::take(&mut self.merged) {
            let (place, into) = (self.place(id)?, self.place(into)?);
            self.ledger.ids[place as usize].state = State::Merged(into);
        }
        Ok(())
    }

    fn nodes(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Columns { batch, doing: &self.doing };
        let (ids, sources, keys) = (columns.text(&self.id)?, columns.text("source")?, columns.text("record_key")?);
        let mints = columns.whole("mints")?;
        let mut search = self.nodes.search();
        for row in 0..batch.num_rows() {
            let id = self.parsed(cell(&ids, row))?;
            let last = self.place(id)?;
            let (Some(source), Some(key)) = (cell(&sources, row), cell(&keys, row)) else {
                return Err(self.broken("a node has no key"));
            };
            let Ok(mints) = u32::try_from(if mints.is_valid(row) { mints.value(row) } else { 0 }) else {
                return Err(self.broken("a node has minted an impossible number of ids"));
            };
            if let Some(node) = search.find(source, key) {
                self.ledger.last[node as usize] = last;
                self.ledger.mints[node as usize] = mints;
            } else {
                self.ledger.gone.push(Gone { source: source.to_owned(), key: key.to_owned(), id, mints });
            }
        }
        Ok(())
    }

    fn parsed(&self, text: Option<&str>) -> Result<CustomerId> {
        text.and_then(|text| text.parse().ok()).ok_or_else(|| self.broken("an id is not of the shape that ids have"))
    }

    fn place(&self, id: CustomerId) -> Result<u32> {
        self.places.get(&id).copied().ok_or_else(|| self.broken("an id is named that was never minted"))
    }

    fn broken(&self, cause: &str) -> Failure {
        Failure::world("W701", self.doing.clone(), cause)
            .help("restore the tables of ids and nodes to the version that the last run published")
    }
}
