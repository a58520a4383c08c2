//! What the statement says is due is what `sync::state::due` says of each row: over every state that matters, and every wish.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringViewArray};
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;

use super::remembered::texts;
use super::testing::Shop;
use crate::compile::syncs;
use crate::sync::destination::Operation;
use crate::sync::journal::Action;
use crate::sync::state::{Desired, Doubt, State, Status, due};
use crate::sync::tables::state_batch;

/// Every state of a row that decides, under keys of its own.
fn states(now: DateTime<Utc>) -> Vec<State> {
    let mut states = Vec::new();
    let hashes = [None, Some("h1"), Some("h2"), Some("cleared"), Some("withdrawn")];
    let doubts = [None, Some(Operation::Add), Some(Operation::Update), Some(Operation::Remove), Some(Operation::Clear)];
    for delivered in hashes {
        for is_ours in [false, true] {
            for doubt in doubts {
                for (doubted, batch) in [(None, Some("b")), (Some("h1"), Some("b")), (Some("h2"), None)] {
                    for (status, attempted) in [
                        (Status::Delivered, None),
                        (Status::Unknown, Some("h1")),
                        (Status::InDoubt, Some("h2")),
                        (Status::Rejected, Some("h1")),
                        (Status::Retry, Some("withdrawn")),
                    ] {
                        for wait in [None, Some(-1), Some(1)] {
                            states.push(State {
                                key: format!("{{\"email\":\"{}\"}}", states.len()),
                                customer_id: "1".to_owned(),
                                delivered_hash: delivered.map(str::to_owned),
                                delivered_at: is_ours.then_some(now),
                                deliveries: 1,
                                doubt: doubt.map(|operation| Doubt {
                                    batch: batch.map(str::to_owned),
                                    action: Action::Add,
                                    operation,
                                    hash: doubted.map(str::to_owned),
                                }),
                                status,
                                destination_id: None,
                                attempted_hash: attempted.map(str::to_owned),
                                attempts: 0,
                                next_attempt_at: wait.map(|days| now + TimeDelta::days(days)),
                                error: None,
                            });
                        }
                    }
                }
            }
        }
    }
    states
}

/// The rows as the gate sees them: desired with `h1`; withheld; there but no members.
fn rows(states: &[State], is_member: bool, withheld: Option<&str>) -> RecordBatch {
    let same = |text: Option<&str>| -> ArrayRef { Arc::new(states.iter().map(|_| text).collect::<StringViewArray>()) };
    let keys: StringViewArray = states.iter().map(|state| Some(state.key.as_str())).collect();
    let truth = |truth: bool| -> ArrayRef { Arc::new(states.iter().map(|_| Some(truth)).collect::<BooleanArray>()) };
    RecordBatch::try_from_iter_with_nullable([
        ("entity_id", same(Some("1")), true),
        ("key", Arc::new(keys) as ArrayRef, true),
        ("is_member", truth(is_member), true),
        ("creates", truth(true), true),
        ("withheld", same(withheld), true),
        ("hash", same(Some("h1")), true),
        ("v_email", same(Some("a@x.fr")), true),
    ])
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_and_the_function_agree_on_every_state() {
    let cases = [
        ("on_withdraw: delete, mode: upsert", true, None, Desired::Row("h1")),
        ("on_withdraw: delete, mode: mirror, on_remove: delete", false, None, Desired::Gone),
        ("on_withdraw: delete, mode: mirror, on_remove: {clear: [email]}", false, None, Desired::Cleared("cleared")),
        ("on_withdraw: delete, mode: upsert", true, Some("consent withdrawn"), Desired::Withdrawn(None)),
        (
            "on_withdraw: {clear: [email]}, mode: insert",
            false,
            Some("no consent"),
            Desired::Withdrawn(Some("withdrawn")),
        ),
    ];
    for (rest, is_member, withheld, desired) in cases {
        let shop = Shop::with(&format!(
            "from: {{segment: vip}}, to: {{connection: drop}}, key: email, fields: {{email: email}}, consent: {{purpose: news, channel: email}}, {rest}"
        ));
        let workspace = shop.workspace().await;
        let sync = Shop::sync(&workspace);
        let states = states(shop.now);
        let batch = rows(&states, is_member, withheld);
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        workspace.opened.session.register_table(TableReference::bare("_sync_rows_open"), Arc::new(table)).unwrap();
        workspace.view(syncs::CONSENTS, "select * from consents").await.unwrap();
        let known = state_batch(&states).unwrap();
        workspace.stage.hold(&workspace.opened.session, "_sync_state_open", known.schema(), vec![known]).unwrap();
        for resend in [true, false] {
            let now = shop.now.timestamp_micros();
            let sql = syncs::due(&workspace.opened.project, &sync, now, resend, |_| "varchar".to_owned());
            let mut found = BTreeMap::new();
            for batch in workspace.collect("comparing", &sql).await.unwrap() {
                let (keys, actions) = (texts(&batch, "key").unwrap(), texts(&batch, "action").unwrap());
                let hashes = texts(&batch, "desired_hash").unwrap();
                for row in 0..batch.num_rows() {
                    let hash = hashes.iter().nth(row).flatten().map(str::to_owned);
                    found.insert(keys.value(row).to_owned(), (actions.value(row).to_owned(), hash));
                }
            }
            for state in &states {
                let wanted = due(Some(state), desired, shop.now, resend);
                let hash = match desired {
                    Desired::Row(hash) | Desired::Cleared(hash) | Desired::Withdrawn(Some(hash)) => {
                        Some(hash.to_owned())
                    }
                    Desired::Gone | Desired::Withdrawn(None) => None,
                };
                let wanted = wanted.map(|action| (action.name().to_owned(), hash));
                assert_eq!(found.remove(&state.key), wanted, "{rest} {withheld:?} resend {resend}: {state:?}");
            }
            assert!(found.is_empty(), "{found:?}");
        }
    }
}
