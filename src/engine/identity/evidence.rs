//! From raw nodes, in any order and any batches, to the sorted arrays that clustering wants; junk is dropped on the
//! way.

use super::ignore::Ignore;
use super::intern::Interner;
use super::table::Table;
use super::{Evidence, IdentifierType, NONE};
use crate::diag::{Failure, Result};

/// A type of identifier as the project declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierRule {
    /// Name, such as `email`.
    pub name: String,
    /// Lower goes first; `u32::MAX` where the project gives none.
    pub priority: u32,
    /// How many distinct values one customer may have.
    pub per_customer: Option<u32>,
    /// A value carried by more distinct names than this is junk.
    pub shared_by: Option<u32>,
    /// Values that match one of these are junk; `*` is any run of characters, case does not matter.
    pub ignore: Vec<String>,
}

/// A record of a `record` source, or a distinct tuple of identifiers of a `link` source. Values are normalised already,
/// invalid ones left out.
#[derive(Clone, Copy)]
pub struct RawNode<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// The record's key as text.
    pub key: &'a str,
    /// Who the record says it is, given and family name normalised; `None` for link nodes and the nameless.
    pub name: Option<&'a str>,
    /// The values of the `never_across` columns, in their order.
    pub scopes: &'a [Option<&'a str>],
    /// (index among the rules that [`EvidenceBuilder::new`] was given, value). A value may repeat.
    pub identifiers: &'a [(u16, &'a str)],
}

/// Why a value identifies nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Junk {
    /// It is empty or blank.
    Empty,
    /// It matches this pattern of its rule's `ignore` (from 0).
    Ignored(u16),
    /// More distinct names carry it than `shared_by` allows.
    Shared,
}

/// A value that was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Its type: index into [`Evidence::types`].
    pub kind: u16,
    /// The value: index into [`Built::values`].
    pub value: u32,
    /// Why.
    pub reason: Junk,
    /// How many nodes carry it.
    pub nodes: u32,
}

/// Everything that the nodes say, sorted. No `Debug`: there is personal data in the tables.
pub struct Built {
    /// What clustering looks at.
    pub evidence: Evidence,
    /// The nodes: (source, record key).
    pub nodes: Table,
    /// The values, junk too: (type, value). A blank value is kept as the empty text.
    pub values: Table,
    /// Values that were dropped, ascending.
    pub dropped: Vec<Dropped>,
    /// (value, node) of the dropped values, ascending: links that are recorded but link nothing.
    pub junk: Vec<(u32, u32)>,
    /// The node of each number that [`EvidenceBuilder::add`] gave.
    pub node_of: Vec<u32>,
}

/// Takes raw nodes in any order and any batches; the same nodes always give the same [`Built`].
///
/// A node that comes again (same source, same key) adds its identifiers to those it has; should its name or a scope
/// differ, the lesser hash or text stays, so that the order does not matter.
///
/// Costs per node its key and about 30 bytes, and 4 per scope; per distinct value its text and about 20 bytes; 8 bytes
/// per occurrence, and up to as much again for repeated ones. [`EvidenceBuilder::build`] adds 16 per node, of which 4
/// stay, and 24 per node or value while it sorts.
#[derive(Default)]
pub struct EvidenceBuilder {
    rules: Vec<IdentifierRule>,
    sources: Interner,
    /// Tagged with the source.
    nodes: Interner,
    /// Hash of each node's name; 0 for none. Names are only ever counted, so their texts are not kept.
    name_of: Vec<u64>,
    /// Tagged with the scope.
    scope_values: Interner,
    scope_of: Vec<Vec<u32>>,
    /// Tagged with the rule.
    values: Interner,
    /// (value, node), as numbered by the interners.
    occurrences: Vec<(u32, u32)>,
    /// Repeated occurrences are removed when there are this many.
    compact_at: usize,
    /// Counts stay below this.
    limit: usize,
}

impl Built {
    /// Bytes in use.
    #[must_use]
    pub fn size(&self) -> usize {
        let Evidence { occurrences, type_of_value, scopes, .. } = &self.evidence;
        let scopes = scopes.iter().map(|scope| scope.capacity() * 4).sum::<usize>();
        let evidence = occurrences.capacity() * 8 + type_of_value.capacity() * 2 + scopes;
        evidence + self.nodes.size() + self.values.size() + self.junk.capacity() * 8 + self.node_of.capacity() * 4
    }
}

impl EvidenceBuilder {
    /// Starts with the types of identifiers and the number of `never_across` columns.
    #[must_use]
    pub fn new(rules: Vec<IdentifierRule>, n_scopes: usize) -> Self {
        let scope_of = vec![Vec::new(); n_scopes];
        Self { rules, scope_of, compact_at: 1 << 16, limit: NONE as usize, ..Self::default() }
    }

    /// Adds a node and gives its number: nodes are numbered from 0 as they first come. Fails only when there is more than
    /// 32 bits can number (`E701`).
    pub fn add(&mut self, node: &RawNode<'_>) -> Result<u32> {
        let (source, _) = self.sources.intern(0, node.source);
        let (index, new) = self.nodes.intern(source as u16, node.key);
        let name = node.name.map_or(0, name_hash);
        if new {
            self.name_of.push(name);
            self.scope_of.iter_mut().for_each(|scope| scope.push(NONE));
        } else {
            let known = &mut self.name_of[index as usize];
            *known = if *known == 0 || name == 0 { (*known).max(name) } else { (*known).min(name) };
        }
        for (tag, (scope, value)) in self.scope_of.iter_mut().zip(node.scopes).enumerate() {
            let Some(value) = value else { continue };
            let (value, _) = self.scope_values.intern(tag as u16, value);
            let known = &mut scope[index as usize];
            let texts = self.scope_values.texts();
            if *known == NONE || texts.text(value) < texts.text(*known) {
                *known = value;
            }
        }
        for &(rule, value) in node.identifiers {
            debug_assert!(usize::from(rule) < self.rules.len(), "identifiers name a rule");
            let value = if value.trim().is_empty() { "" } else { value };
            let (value, _) = self.values.intern(rule, value);
            self.occurrences.push((value, index));
        }
        if self.occurrences.len() >= self.compact_at {
            self.compact();
        }
        self.check_limit().map(|()| index)
    }

    /// Bytes in use.
    #[must_use]
    pub fn size(&self) -> usize {
        let interned = [&self.nodes, &self.values, &self.scope_values].map(Interner::size).iter().sum::<usize>();
        let scopes = self.scope_of.iter().map(|scope| scope.capacity() * 4).sum::<usize>();
        interned + scopes + self.name_of.capacity() * 8 + self.occurrences.capacity() * 8
    }

    /// Bytes that [`Self::build`] takes beside [`Self::size`] while it sorts: nodes and values are sorted at the same time, and each
    /// text is moved.
    #[must_use]
    pub fn size_to_build(&self) -> usize {
        let texts = [&self.nodes, &self.values].map(Interner::texts);
        texts.iter().map(|texts| texts.size() + texts.len() * 40).sum()
    }

    fn compact(&mut self) {
        self.occurrences.sort_unstable();
        self.occurrences.dedup();
        self.compact_at = self.compact_at.max(2 * self.occurrences.len());
    }

    /// Nodes, tokens and claims are numbered with 32 bits.
    fn check_limit(&self) -> Result<()> {
        let nodes = self.nodes.texts().len();
        let tokens = self.values.texts().len() + self.scope_values.texts().len();
        let claims = self.occurrences.len() + nodes * self.scope_of.len();
        let sources = self.sources.texts().len();
        if nodes.max(tokens).max(claims) < self.limit && u16::try_from(sources).is_ok() {
            return Ok(());
        }
        let cause = format!(
            "{nodes} nodes of {sources} sources carry {claims} identifiers; each count must stay below {}",
            self.limit
        );
        Err(Failure::project("E701", "gathering the identifiers of an entity", cause)
            .help("narrow the sources with `where:`, or let `link` sources contribute fewer distinct tuples"))
    }

    /// Sorts, drops junk, and hands everything over.
    #[must_use]
    pub fn build(mut self) -> Built {
        let by_rank = |names: &[String], priority: &dyn Fn(usize) -> u32| {
            let mut tags: Vec<u16> = (0..names.len() as u16).collect();
            tags.sort_by_key(|&tag| (priority(usize::from(tag)), &names[usize::from(tag)], tag));
            tags
        };
        let sources: Vec<String> =
            (0..self.sources.texts().len() as u32).map(|tag| self.sources.texts().text(tag).to_owned()).collect();
        let kinds: Vec<String> = self.rules.iter().map(|rule| rule.name.clone()).collect();
        let kinds_by_rank = by_rank(&kinds, &|tag| self.rules[tag].priority);
        let (node_texts, value_texts) = (self.nodes.into_texts(), self.values.into_texts());
        let ((nodes, node_place), (values, value_place)) = std::thread::scope(|scope| {
            let nodes = scope.spawn(|| Table::new(&sources, &by_rank(&sources, &|_| 0), &node_texts));
            let values = Table::new(&kinds, &kinds_by_rank, &value_texts);
            (nodes.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), values)
        });
        drop((node_texts, value_texts));
        let rules: Vec<&IdentifierRule> = kinds_by_rank.iter().map(|&tag| &self.rules[usize::from(tag)]).collect();

        for (value, node) in &mut self.occurrences {
            *value = value_place[*value as usize];
            *node = node_place[*node as usize];
        }
        drop(value_place);
        self.occurrences.sort_unstable();
        self.occurrences.dedup();
        let name_of = arrange(&self.name_of, &node_place, 0);

        let scope_names: Vec<String> = vec![String::new(); self.scope_of.len()];
        let scope_tags: Vec<u16> = (0..scope_names.len() as u16).collect();
        let (scope_values, scope_place) = Table::new(&scope_names, &scope_tags, self.scope_values.texts());
        let mut scopes = Vec::with_capacity(self.scope_of.len());
        let mut first = 0;
        for (tag, of_raw_node) in self.scope_of.into_iter().enumerate() {
            let mut scope = arrange(&of_raw_node, &node_place, NONE);
            for value in scope.iter_mut().filter(|value| **value != NONE) {
                *value = scope_place[*value as usize] - first;
            }
            first +=
                (0..scope_values.len()).filter(|&value| usize::from(scope_values.group(value)) == tag).count() as u32;
            scopes.push(scope);
        }

        let type_of_value: Vec<u16> = (0..values.len()).map(|value| values.group(value)).collect();
        let dropped = find_junk(&rules, &values, &self.occurrences, &name_of);
        let is_junk = |value: u32| dropped.binary_search_by_key(&value, |dropped| dropped.value).is_ok();
        let mut junk = Vec::new();
        if !dropped.is_empty() {
            self.occurrences.retain(|&(value, node)| {
                let dropped = is_junk(value);
                if dropped {
                    junk.push((value, node));
                }
                !dropped
            });
        }
        let types = rules
            .iter()
            .map(|rule| IdentifierType { name: rule.name.clone(), per_customer: rule.per_customer })
            .collect();
        let evidence = Evidence { n_nodes: nodes.len(), types, type_of_value, occurrences: self.occurrences, scopes };
        Built { evidence, nodes, values, dropped, junk, node_of: node_place }
    }
}

/// Puts what is known of each raw node in its place.
fn arrange<T: Copy>(of_raw_node: &[T], place: &[u32], empty: T) -> Vec<T> {
    let mut arranged = vec![empty; of_raw_node.len()];
    for (&what, &place) in of_raw_node.iter().zip(place) {
        arranged[place as usize] = what;
    }
    arranged
}

fn find_junk(rules: &[&IdentifierRule], values: &Table, occurrences: &[(u32, u32)], name_of: &[u64]) -> Vec<Dropped> {
    let ignores: Vec<Ignore> = rules.iter().map(|rule| Ignore::new(&rule.ignore)).collect();
    let mut dropped = Vec::new();
    for of_value in occurrences.chunk_by(|left, right| left.0 == right.0) {
        let value = of_value[0].0;
        let kind = values.group(value);
        let text = values.text(value);
        let reason = if text.is_empty() {
            Some(Junk::Empty)
        } else if let Some(pattern) = ignores[usize::from(kind)].matching(text) {
            Some(Junk::Ignored(pattern as u16))
        } else {
            let names = of_value.iter().map(|&(_, node)| name_of[node as usize]).filter(|&name| name != 0);
            rules[usize::from(kind)].shared_by.filter(|&most| more_distinct_than(most, names)).map(|_| Junk::Shared)
        };
        if let Some(reason) = reason {
            dropped.push(Dropped { kind, value, reason, nodes: of_value.len() as u32 });
        }
    }
    dropped
}

/// Are there more than `most` distinct names? Stops at the first one too many, so it keeps no more than that.
fn more_distinct_than(most: u32, names: impl Iterator<Item = u64>) -> bool {
    let mut distinct: Vec<u64> = Vec::new();
    for name in names {
        if let Err(at) = distinct.binary_search(&name) {
            distinct.insert(at, name);
            if distinct.len() > most as usize {
                return true;
            }
        }
    }
    false
}

/// Never 0.
fn name_hash(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    hash.as_bytes().iter().take(8).fold(0_u64, |all, &byte| all << 8 | u64::from(byte)).max(1)
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
