//! The order of sending: batches, retries, stops, and queues or connectors that misbehave.

use std::sync::{Arc, Mutex};

use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use super::*;
use crate::sync::destination::{Batch, Outcome, Sent};
use crate::sync::fakes::{
    DueRow, Durable, Kind, Shared, TERMS, Ticking, Told, adds, delivered, lock, queue_schema, stream, target,
};
use crate::sync::state::fold;

#[tokio::test]
async fn batches_hold_one_operation_and_go_in_order() {
    let world = Shared::default();
    let mut rows = Vec::new();
    for (action, count) in
        [(Action::Withdraw, 1), (Action::Remove, 2), (Action::Clear, 1), (Action::Add, 4), (Action::Update, 1)]
    {
        for n in 0..count {
            let leaves = matches!(action, Action::Withdraw | Action::Remove);
            let hash = (!leaves).then(|| "h".to_owned());
            rows.push(DueRow { action, key: format!("{}{n}", action.name()), hash, value: Some(1), deliveries: 0 });
        }
    }
    let summary = delivered(&world, Kind::Table, &rows, &Cancel::default()).await;
    assert_eq!((summary.ended.clone(), summary.count(Verdict::Accepted)), (Ended::Complete, 9));
    let sent: Vec<_> = lock(&world).sent.iter().map(|(operation, _, rows)| (*operation, *rows)).collect();
    let expected = [
        // A withdrawal and two removals are one deletion.
        (Operation::Remove, 3),
        (Operation::Clear, 1),
        (Operation::Add, 3),
        (Operation::Add, 1),
        (Operation::Update, 1),
    ];
    assert_eq!(sent, expected, "cut by operation and by the most rows of a batch; windows hold seven rows");
}

#[tokio::test]
async fn the_same_rows_have_the_same_batch_id_and_later_ones_another() {
    let ids = |rows: Vec<DueRow>| async move {
        let world = Shared::default();
        delivered(&world, Kind::Table, &rows, &Cancel::default()).await;
        lock(&world).sent.iter().map(|(_, id, _)| id.clone()).collect::<Vec<_>>()
    };
    let first = ids(adds(2)).await;
    assert_eq!(first, ids(adds(2)).await);
    let mut later = adds(2);
    later[1].deliveries = 1;
    assert_ne!(first, ids(later).await, "sent again after it was removed");
    let mut other = adds(2);
    other[1].hash = Some("other".into());
    assert_ne!(first, ids(other).await);
}

#[tokio::test]
async fn a_destination_that_is_down_is_tried_and_given_up_and_nothing_is_lost() {
    let world = Shared::default();
    let there = Arc::clone(&world);
    let down = Told(Mutex::new(move |batch: &Batch| {
        lock(&there).sent.push((batch.operation, batch.id.clone(), 0));
        Err::<Sent, _>(Failure::world("W602", "testing", "down"))
    }));
    let mut journal = Durable(Arc::clone(&world));
    let clock = Ticking(Arc::clone(&world));
    let rows = adds(9);
    let summary = deliver(
        &down,
        &target(),
        stream(&rows, 4),
        &mut journal,
        &Durable(Arc::clone(&world)),
        &TERMS,
        &clock,
        &Cancel::default(),
    )
    .await;
    assert!(matches!(&summary.ended, Ended::Failed(failure) if failure.code == "W602"), "{summary:?}");
    assert_eq!((summary.count(Verdict::Retry), summary.count(Verdict::NotSent)), (4, 3));
    let world = lock(&world);
    assert_eq!(world.slept, [1, 2, 1, 2]);
    assert_eq!(world.sent.len(), 6, "two batches, three attempts each");
    let state = fold([], &world.journal, &Backoff::BETWEEN_RUNS);
    assert!(state.iter().all(|row| row.delivered_hash.is_none() && row.doubt.is_none()), "{state:?}");
    assert_eq!(state.len(), 7, "the last two rows were never intended");
}

#[tokio::test]
async fn a_stop_is_heeded_and_what_was_not_sent_stays_due() {
    let world = Shared::default();
    let cancel = Cancel::default();
    cancel.cancel();
    let summary = delivered(&world, Kind::Table, &adds(4), &cancel).await;
    assert_eq!(summary.ended, Ended::Cancelled);
    let world = lock(&world);
    assert_eq!((world.sent.len(), world.journal.len()), (0, 0));
}

#[tokio::test]
async fn who_hears_of_a_stop_before_it_has_its_turn_is_not_done() {
    let world = Shared::default();
    let mut journal = Durable(Arc::clone(&world));
    let (permit, clock, cancel) = (Durable(Arc::clone(&world)), Ticking(Arc::clone(&world)), Cancel::default());
    // The end is asked for while its only batch waits.
    let asks = cancel.clone();
    let late = Told(Mutex::new(move |batch: &Batch| {
        asks.cancel();
        Ok(Sent::from(vec![Outcome::Unchanged; batch.rows.num_rows()]).unsent())
    }));
    let run = deliver(&late, &target(), stream(&adds(2), 2), &mut journal, &permit, &TERMS, &clock, &cancel).await;
    assert_eq!((run.ended.clone(), run.count(Verdict::NotSent)), (Ended::Cancelled, 2));
    let state = fold([], &lock(&world).journal, &Backoff::BETWEEN_RUNS);
    assert!(state.iter().all(|row| row.delivered_hash.is_none() && row.doubt.is_none()), "{state:?}");
}

#[tokio::test]
async fn a_malformed_queue_is_refused_before_anything_is_sent() {
    for spoil in [
        |rows: &mut Vec<DueRow>| rows[0].hash = None,
        |rows: &mut Vec<DueRow>| rows[0].action = Action::Update,
        |rows: &mut Vec<DueRow>| rows[0].action = Action::Withdraw,
        |rows: &mut Vec<DueRow>| rows[0].value = None,
    ] {
        let world = Shared::default();
        let mut rows = adds(2);
        spoil(&mut rows);
        let summary = delivered(&world, Kind::Table, &rows, &Cancel::default()).await;
        assert!(matches!(&summary.ended, Ended::Failed(failure) if failure.code == "W604"), "{summary:?}");
        assert!(lock(&world).sent.is_empty());
    }
}

#[tokio::test]
async fn a_queue_that_breaks_and_a_connector_that_miscounts_end_the_sync() {
    let miscounts = Told(Mutex::new(|_: &Batch| Ok(Vec::new())));
    let world = Shared::default();
    let mut journal = Durable(Arc::clone(&world));
    let permit = Durable(Arc::clone(&world));
    let clock = Ticking(Arc::clone(&world));
    let run =
        deliver(&miscounts, &target(), stream(&adds(2), 2), &mut journal, &permit, &TERMS, &clock, &Cancel::default())
            .await;
    assert!(matches!(&run.ended, Ended::Failed(failure) if failure.code == "W606"), "{run:?}");
    assert_eq!(run.count(Verdict::Unknown), 2, "nobody knows what became of them");

    let broken = futures::stream::iter([Err(DataFusionError::Execution("spilled".into()))]);
    let broken = Box::pin(RecordBatchStreamAdapter::new(queue_schema(), broken));
    let run = deliver(&miscounts, &target(), broken, &mut journal, &permit, &TERMS, &clock, &Cancel::default()).await;
    assert!(matches!(&run.ended, Ended::Failed(failure) if failure.code == "W605"), "{run:?}");
}
