//! Whatever fails, and wherever the process dies, a sync ends with what is desired.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::clock::{Backoff, Cancel, Clock};
use super::destination::{Destination, Operation};
use super::fakes::{DueRow, Durable, Fake, Kind, Shared, TERMS, Ticking, World, lock, stream, target};
use super::journal::Action;
use super::settle::settle;
use super::state::{Desired, State, due, fold};
use super::syncer::deliver;

/// What the project wants at one moment.
#[derive(Clone, Default)]
struct Wanted {
    rows: BTreeMap<String, i64>,
    withdrawn: BTreeSet<String>,
}

/// One run of a sync, as the use-case does it: fold, settle, fold, compare, deliver.
async fn run(world: &Shared, kind: Kind, wanted: &Wanted, clear: bool) -> Option<usize> {
    let backoff = Backoff::BETWEEN_RUNS;
    let mut fake = Fake { world: Arc::clone(world), kind };
    let mut journal = Durable(Arc::clone(world));
    let clock = Ticking(Arc::clone(world));
    let doubts: Vec<State> =
        fold([], &lock(world).journal, &backoff).into_iter().filter(|row| row.doubt.is_some()).collect();
    settle(&mut fake, &target(), &doubts, &mut journal, &clock).await.ok()?;
    let state = fold([], &lock(world).journal, &backoff);
    let state: BTreeMap<&str, &State> = state.iter().map(|row| (row.key.as_str(), row)).collect();
    let keys: BTreeSet<&str> = state.keys().copied().chain(wanted.rows.keys().map(String::as_str)).collect();
    let mut rows = Vec::new();
    for key in keys {
        let value = wanted.rows.get(key).copied();
        let hash = value.map(|value| format!("h{value}"));
        let desired = match &hash {
            Some(hash) => Desired::Row(hash),
            None if wanted.withdrawn.contains(key) => Desired::Withdrawn(None),
            None if clear => Desired::Cleared("cleared"),
            None => Desired::Gone,
        };
        let row = state.get(key).copied();
        if let Some(action) = due(row, desired, clock.now(), fake.may_resend(Operation::Add)) {
            let hash = hash.or_else(|| (action == Action::Clear).then(|| "cleared".to_owned()));
            rows.push(DueRow {
                action,
                key: key.to_owned(),
                hash,
                value,
                deliveries: row.map_or(0, |row| row.deliveries),
            });
        }
    }
    rows.sort_by(|a, b| (a.action, &a.key).cmp(&(b.action, &b.key)));
    let chunk = lock(world).roll(6) as usize + 1;
    let count = rows.len();
    let permit = Durable(Arc::clone(world));
    deliver(&mut fake, &target(), stream(&rows, chunk), &mut journal, &permit, &TERMS, &clock, &Cancel::default())
        .await;
    Some(count)
}

/// What the state says without doubt is so.
fn assert_honest(world: &World) {
    for row in fold([], &world.journal, &Backoff::BETWEEN_RUNS) {
        if row.doubt.is_some() {
            continue;
        }
        let there = world.rows.get(&row.key).copied();
        let expected = match row.delivered_hash.as_deref() {
            None => None,
            // A row that may have been there, and was cleared to be sure, may not be there at all.
            Some("cleared") => there.and(Some(None)),
            Some(hash) => Some(hash.strip_prefix('h').and_then(|value| value.parse().ok())),
        };
        assert_eq!(there, expected, "{row:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_and_wherever_it_dies_the_destination_ends_with_what_is_desired(
        seed in any::<u64>(),
        kind in prop_oneof![Just(Kind::Table), Just(Kind::Folder), Just(Kind::Ledger), Just(Kind::Mailbox)],
        fuses in prop::collection::vec(prop::option::of(0_u32..40), 1..7),
        clear in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = Shared::default();
            let resends = matches!(kind, Kind::Table | Kind::Folder);
            {
                let mut world = lock(&world);
                world.random = seed;
                world.chaos = true;
                if kind == Kind::Table {
                    world.poison = BTreeSet::from(["p05".to_owned(), "p11".to_owned()]);
                }
            }
            let mut wanted = Wanted::default();
            for (number, fuse) in fuses.iter().enumerate() {
                let mut outside = lock(&world);
                // Where a row must not be sent twice, its value stays, so that sending it once can be counted.
                if number == 0 || resends {
                    wanted.rows.clear();
                    for person in 0..16 {
                        let key = format!("p{person:02}");
                        let value = outside.roll(3) as i64;
                        if resends && outside.roll(12) == 0 {
                            wanted.withdrawn.insert(key);
                        } else if outside.roll(3) > 0 && !wanted.withdrawn.contains(&key) {
                            wanted.rows.insert(key, value);
                        }
                    }
                }
                outside.fuse = *fuse;
                outside.now += 3600;
                drop(outside);
                run(&world, kind, &wanted, clear).await;
                assert_honest(&lock(&world));
            }
            lock(&world).fuse = None;
            lock(&world).chaos = false;
            let mut left = None;
            for _ in 0..4 {
                lock(&world).now += 40 * 24 * 3600;
                left = run(&world, kind, &wanted, clear).await;
                assert_honest(&lock(&world));
            }
            let world = lock(&world);
            if kind != Kind::Mailbox {
                let poisoned = wanted.rows.keys().filter(|key| world.poison.contains(*key)).count();
                assert_eq!(left, Some(poisoned), "only what can never be taken is still due");
                let there: BTreeMap<_, _> =
                    world.rows.iter().filter_map(|(key, value)| value.map(|value| (key.clone(), value))).collect();
                let mut desired = wanted.rows.clone();
                desired.retain(|key, _| !world.poison.contains(key));
                assert_eq!(there, desired);
                for (key, value) in &world.rows {
                    assert!(!wanted.withdrawn.contains(key), "{key} was withdrawn and is still there");
                    assert!(clear || value.is_some(), "{key} was cleared, not deleted");
                }
            }
            if !resends {
                assert!(world.applied.values().all(|&times| times == 1), "sent twice: {:?}", world.applied);
            }
            // The journal may be folded in pieces.
            let backoff = Backoff::BETWEEN_RUNS;
            let cut = world.journal.len() * (seed % 100) as usize / 100;
            let (first, second) = world.journal.split_at(cut);
            assert_eq!(fold(fold([], first, &backoff), second, &backoff), fold([], &world.journal, &backoff));
        });
    }
}
