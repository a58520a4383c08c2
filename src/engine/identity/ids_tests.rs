//! Ids over the years: minting, merging, splitting, retiring, and any history of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A ledger that is told every event, over nodes `0..` that come and go.
#[derive(Debug, Clone, Default)]
struct Ledger {
    ids: Vec<Former>,
    last: BTreeMap<u32, u32>,
    mints: BTreeMap<u32, u32>,
}

/// A partition of some nodes: the group of each.
type Groups = BTreeMap<u32, u8>;

fn groups(all: &[&[u32]]) -> Groups {
    (0..).zip(all).flat_map(|(group, nodes)| nodes.iter().map(move |&node| (node, group))).collect()
}

impl Ledger {
    fn index(&self, id: CustomerId) -> usize {
        self.ids.iter().position(|former| former.id == id).unwrap()
    }

    /// Names the groups as if the ids were listed in `order`.
    fn name(&self, groups: &Groups, order: &[usize]) -> Names {
        let present: Vec<u32> = groups.keys().copied().collect();
        let place = |node: u32| present.binary_search(&node).map_or(NONE, |place| place as u32);
        let listed_at = |id: u32| order.iter().position(|&at| at == id as usize).unwrap() as u32;
        let ids: Vec<Former> = order
            .iter()
            .map(|&at| {
                let former = self.ids[at];
                let state = match former.state {
                    State::Merged(into) => State::Merged(listed_at(into)),
                    state => state,
                };
                Former { mint_node: place(former.mint_node), state, ..former }
            })
            .collect();
        let last: Vec<u32> = present.iter().map(|node| self.last.get(node).map_or(NONE, |&id| listed_at(id))).collect();
        let mints: Vec<u32> = present.iter().map(|node| self.mints.get(node).copied().unwrap_or(0)).collect();
        let texts: Vec<String> = present.iter().map(|node| format!("{node:03}")).collect();
        let memory = Memory { ids: &ids, last: &last, mints: &mints };
        name("customer", &cluster_of(groups), &memory, |node| ("crm", &texts[node as usize]))
    }

    /// Tells the ledger what happened.
    fn tell(&mut self, groups: &Groups, names: &Names) {
        let present: Vec<u32> = groups.keys().copied().collect();
        for event in &names.events {
            match *event {
                LedgerEvent::Minted { id, node, ordinal } => {
                    let node = present[node as usize];
                    assert!(self.ids.iter().all(|former| former.id != id), "minted twice");
                    let minted = self.ids.len() as u64;
                    self.ids.push(Former { id, minted, mint_node: node, state: State::Living });
                    self.mints.insert(node, ordinal + 1);
                }
                LedgerEvent::Split { id, from } => {
                    assert_eq!(self.ids[self.index(id)].state, State::Living);
                    self.index(from);
                }
                LedgerEvent::Returned { id } => {
                    let id = self.index(id);
                    assert_eq!(self.ids[id].state, State::Retired);
                    self.ids[id].state = State::Living;
                }
                LedgerEvent::Merged { id, into } => {
                    let (id, into) = (self.index(id), self.index(into));
                    assert!(!matches!(self.ids[id].state, State::Merged(_)), "merged twice");
                    assert!(self.ids[into].minted < self.ids[id].minted, "the earlier id survives");
                    self.ids[id].state = State::Merged(into as u32);
                }
                LedgerEvent::Retired { id } => {
                    let id = self.index(id);
                    assert_eq!(self.ids[id].state, State::Living);
                    self.ids[id].state = State::Retired;
                }
            }
        }
        let cluster_of = cluster_of(groups);
        for (&node, &cluster) in present.iter().zip(&cluster_of) {
            let id = names.id_of(cluster).unwrap();
            self.last.insert(node, self.index(id) as u32);
        }
    }

    /// Names, tells, and gives each node's id.
    fn step(&mut self, all: &[&[u32]]) -> (BTreeMap<u32, CustomerId>, Vec<LedgerEvent>) {
        let groups = groups(all);
        let order: Vec<usize> = (0..self.ids.len()).collect();
        let names = self.name(&groups, &order);
        self.tell(&groups, &names);
        let ids = groups.keys().zip(cluster_of(&groups)).map(|(&node, cluster)| (node, names.id_of(cluster).unwrap()));
        (ids.collect(), names.events)
    }

    /// What an id means today.
    fn meaning(&self, mut id: u32) -> u32 {
        while let State::Merged(into) = self.ids[id as usize].state {
            id = into;
        }
        id
    }
}

/// The least node, by place among the nodes present, of each one's group.
fn cluster_of(groups: &Groups) -> Vec<u32> {
    let all: Vec<u8> = groups.values().copied().collect();
    all.iter().map(|group| all.iter().position(|other| other == group).unwrap() as u32).collect()
}

#[test]
fn the_first_run_mints_and_the_second_is_silent() {
    let mut ledger = Ledger::default();
    let (first, events) = ledger.step(&[&[0, 2], &[1]]);
    assert_eq!(first[&0], CustomerId::minted("customer", "crm", "000", 0));
    assert_eq!(
        events,
        vec![
            LedgerEvent::Minted { id: first[&0], node: 0, ordinal: 0 },
            LedgerEvent::Minted { id: first[&1], node: 1, ordinal: 0 },
        ]
    );
    assert_eq!(ledger.step(&[&[0, 2], &[1]]), (first, vec![]));
}

#[test]
fn a_merge_keeps_the_earliest_and_a_split_back_mints_anew() {
    let mut ledger = Ledger::default();
    let (before, _) = ledger.step(&[&[0, 1], &[2, 3, 4]]);
    let (merged, events) = ledger.step(&[&[0, 1, 2, 3, 4]]);
    assert_eq!(merged[&4], before[&0]);
    assert_eq!(events, vec![LedgerEvent::Merged { id: before[&2], into: before[&0] }]);
    // The surviving id goes where most of its nodes are; the others mint, and never take up a merged id again.
    let (after, events) = ledger.step(&[&[0, 1], &[2, 3, 4]]);
    assert_eq!((after[&2], after[&0]), (before[&0], CustomerId::minted("customer", "crm", "000", 1)));
    assert_eq!(
        events,
        vec![
            LedgerEvent::Minted { id: after[&0], node: 0, ordinal: 1 },
            LedgerEvent::Split { id: after[&0], from: before[&0] },
        ]
    );
}

#[test]
fn in_a_tie_the_mint_node_decides_then_the_least_node() {
    let mut ledger = Ledger::default();
    let (before, _) = ledger.step(&[&[5]]);
    ledger.step(&[&[2, 3, 4, 5]]);
    let mut without = ledger.clone();
    let (after, _) = ledger.step(&[&[2, 3], &[4, 5]]);
    assert_eq!(after[&4], before[&5], "5 minted it");
    let (after, _) = without.step(&[&[2], &[3], &[4]]);
    assert_eq!(after[&2], before[&5], "5 is gone");
}

#[test]
fn an_id_outlives_its_nodes() {
    let mut ledger = Ledger::default();
    let (before, _) = ledger.step(&[&[0, 1], &[2]]);
    assert_eq!(ledger.step(&[&[2]]).1, vec![LedgerEvent::Retired { id: before[&0] }]);
    assert_eq!(ledger.step(&[&[2]]).1, vec![]);
    let (after, events) = ledger.step(&[&[1], &[2]]);
    assert_eq!((after[&1], events), (before[&0], vec![LedgerEvent::Returned { id: before[&0] }]));
}

#[test]
fn a_node_that_was_away_while_its_id_was_merged_means_the_survivor() {
    let mut ledger = Ledger::default();
    let (before, _) = ledger.step(&[&[0], &[1, 2]]);
    ledger.step(&[&[0, 1]]);
    let (after, events) = ledger.step(&[&[0, 1], &[2]]);
    assert_eq!(after[&0], before[&0]);
    assert_eq!(
        events,
        vec![
            LedgerEvent::Minted { id: after[&2], node: 2, ordinal: 0 },
            LedgerEvent::Split { id: after[&2], from: before[&0] },
        ]
    );
}

#[test]
fn a_chain_of_merges_is_followed_to_its_end() {
    let mut ledger = Ledger::default();
    let (before, _) = ledger.step(&[&[0], &[1], &[2], &[3, 4]]);
    ledger.step(&[&[0], &[1], &[2, 3]]);
    ledger.step(&[&[0], &[1, 2, 3]]);
    ledger.step(&[&[0, 1, 2, 3]]);
    let (after, events) = ledger.step(&[&[4]]);
    assert_eq!((after[&4], events), (before[&0], vec![]), "4 was away through three merges");
}

#[test]
fn an_id_that_the_ledger_knows_is_not_minted_again() {
    let id = CustomerId::minted("customer", "crm", "7", 0);
    let ids = [Former { id, minted: 0, mint_node: NONE, state: State::Retired }];
    let names = name("customer", &[0], &Memory { ids: &ids, last: &[NONE], mints: &[0] }, |_| ("crm", "7"));
    assert_eq!(names.ids, vec![CustomerId::minted("customer", "crm", "7", 1)]);
    assert_eq!(names.events, vec![LedgerEvent::Minted { id: names.ids[0], node: 0, ordinal: 1 }]);
}

/// The rules of the module's introduction, recomputed from sets: which id each group keeps.
fn expected(ledger: &Ledger, groups: &Groups) -> BTreeMap<u8, usize> {
    let mut kept: BTreeMap<u8, usize> = BTreeMap::new();
    for id in 0..ledger.ids.len() {
        let former: BTreeSet<u32> = groups
            .keys()
            .copied()
            .filter(|node| ledger.last.get(node).is_some_and(|&last| ledger.meaning(last) as usize == id))
            .collect();
        let held = |group: u8| former.iter().filter(|node| groups[node] == group).count();
        let all: BTreeSet<u8> = former.iter().map(|node| groups[node]).collect();
        let Some(most) = all.iter().map(|&group| held(group)).max() else { continue };
        let tied: Vec<u8> = all.into_iter().filter(|&group| held(group) == most).collect();
        let minted_in = groups.get(&ledger.ids[id].mint_node).copied();
        let by_node = || groups[former.iter().find(|node| tied.contains(&groups[node])).unwrap()];
        let group = minted_in.filter(|group| tied.contains(group)).unwrap_or_else(by_node);
        let other = kept.entry(group).or_insert(id);
        if ledger.ids[id].minted < ledger.ids[*other].minted {
            *other = id;
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn ids_follow_their_nodes_through_any_history(
        history in prop::collection::vec(prop::collection::btree_map(0..10_u32, 0..4_u8, 0..10), 1..8),
        keys in prop::collection::vec(any::<u32>(), 80),
    ) {
        let mut ledger = Ledger::default();
        for groups in history {
            let order: Vec<usize> = (0..ledger.ids.len()).collect();
            let names = ledger.name(&groups, &order);

            let mut shuffled = order.clone();
            shuffled.sort_by_key(|&at| keys[at % keys.len()]);
            prop_assert_eq!(&ledger.name(&groups, &shuffled), &names, "the order of the ledger does not matter");

            let cluster_of = cluster_of(&groups);
            let kept = expected(&ledger, &groups);
            let known: BTreeSet<CustomerId> = ledger.ids.iter().map(|former| former.id).collect();
            for (group, &cluster) in groups.values().zip(&cluster_of) {
                let id = names.id_of(cluster).unwrap();
                match kept.get(group) {
                    Some(&at) => prop_assert_eq!(id, ledger.ids[at].id),
                    None => prop_assert!(!known.contains(&id)),
                }
            }

            ledger.tell(&groups, &names);
            let living = ledger.ids.iter().filter(|former| former.state == State::Living).map(|former| former.id);
            let named: BTreeSet<CustomerId> = names.ids.iter().copied().collect();
            prop_assert_eq!(named.len(), names.ids.len(), "one customer, one id");
            prop_assert_eq!(living.collect::<BTreeSet<_>>(), named, "the ledger knows who lives");

            let order: Vec<usize> = (0..ledger.ids.len()).collect();
            let again = ledger.name(&groups, &order);
            prop_assert_eq!(&again.ids, &names.ids, "a rebuild keeps every id");
            prop_assert!(again.events.is_empty(), "and has nothing to say: {:?}", again.events);
        }
    }
}
