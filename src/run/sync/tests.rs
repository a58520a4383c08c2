//! A sync through its life, against a folder.

use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::ScalarValue;

use super::journal::DeltaJournal;
use super::remembered::{Place, Remembered};
use super::testing::{Shop, Silent};
use super::{Outcome, Preview, Rehearsed, Step};
use crate::report::NoProgress;
use crate::store::{Commit, Lease, LeaseOptions, tables};
use crate::sync::destination::{Operation, Outcome as Answer};
use crate::sync::fakes::Told;
use crate::sync::journal::{Action, Intent, Journal, Receipt, Verdict};

const TO: &str =
    "from: {segment: vip}, to: {connection: drop}, key: email, fields: {email: email, name: name}, first_run: send";
const GATE: &str = "consent: {purpose: news, channel: email}";

fn gated(rest: &str) -> Shop {
    let mut shop = Shop::with(&format!("{TO}, {GATE}, {rest}"));
    shop.add("1", "a@x.fr", "Ann");
    shop.add("2", "b@x.fr", "Bob");
    shop.add("3", "c@x.fr", "Cyd");
    shop
}

fn open_(rest: &str) -> Shop {
    let mut shop = Shop::with(&format!("{TO}, consent: {{none: \"for the test\"}}, {rest}"));
    shop.add("1", "a@x.fr", "Ann");
    shop.add("2", "b@x.fr", "Bob");
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_is_added_what_is_there_stays_what_changed_is_updated() {
    let mut shop = gated("on_withdraw: delete");
    assert_eq!(
        shop.deliver_and_look().await,
        [
            r#"added {"email":"a@x.fr","name":"Ann"}"#,
            r#"added {"email":"b@x.fr","name":"Bob"}"#,
            r#"added {"email":"c@x.fr","name":"Cyd"}"#
        ]
    );
    let second = shop.deliver(false).await;
    assert_eq!((second.outcome, second.preview.unchanged, second.preview.due()), (Outcome::Done, 3, 0));
    assert_eq!(shop.sent(), [""; 0]);
    shop.change("2", |bob| bob[3] = "Bert");
    shop.add("4", "d@x.fr", "Dan");
    assert_eq!(
        shop.deliver_and_look().await,
        [r#"added {"email":"d@x.fr","name":"Dan"}"#, r#"updated {"email":"b@x.fr","name":"Bert"}"#]
    );
    assert_eq!(shop.ask("sync_journal", "key").await, [""; 0], "what was folded is gone");
    assert_eq!(shop.ask("sync_state", "key, status").await.len(), 4);
    assert_eq!(
        shop.ask("sync_receipts", "customer_id, action, operation, outcome").await,
        [
            "1 add add accepted",
            "2 add add accepted",
            "2 update update accepted",
            "3 add add accepted",
            "4 add add accepted"
        ]
    );
    assert_eq!(
        shop.ask("sync_runs", "outcome, desired, accepted, added, updated").await,
        ["done 3 0 0 0", "done 3 3 3 0", "done 4 2 1 1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_is_removed_or_cleared_by_a_mirror_alone() {
    for (mode, wanted) in [
        ("mode: mirror, on_remove: delete", vec![r#"removed {"email":"a@x.fr"}"#]),
        ("mode: mirror, on_remove: {clear: [name]}", vec![r#"cleared {"email":"a@x.fr","name":null}"#]),
        ("mode: mirror, on_remove: nothing", vec![]),
        ("mode: upsert", vec![]),
    ] {
        let mut shop = open_(mode);
        shop.deliver_and_look().await;
        shop.members.remove("1");
        assert_eq!(shop.deliver_and_look().await, wanted, "{mode}");
        assert_eq!(shop.deliver_and_look().await, [""; 0], "{mode}: once");
        shop.members.insert("1");
        let back = shop.deliver_and_look().await;
        assert_eq!(back.len(), wanted.len(), "{mode}: {back:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_withdraws_is_withdrawn_in_every_mode() {
    for mode in ["upsert", "update", "insert", "mirror, on_remove: nothing"] {
        for (what, wanted) in [
            ("delete", r#"removed {"email":"b@x.fr"}"#),
            ("{clear: [name]}", r#"cleared {"email":"b@x.fr","name":null}"#),
        ] {
            let mut shop = gated(&format!("mode: {mode}, on_withdraw: {what}"));
            shop.deliver_and_look().await;
            shop.consent("b@x.fr", "withdrawn");
            let report = shop.deliver(false).await;
            assert_eq!(shop.sent(), [wanted], "{mode}");
            assert_eq!((report.done(Action::Withdraw), report.preview.withdrawals), (1, 1), "{mode}");
            assert_eq!(report.preview.withheld["consent withdrawn"], 1);
            assert_eq!(shop.deliver_and_look().await, [""; 0], "{mode}: once");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_reaches_rows_that_left_and_addresses_that_changed() {
    let mut shop = Shop::with(&format!(
        "from: {{segment: vip}}, to: {{connection: drop}}, key: {{id: customer_id}}, fields: {{email: email}}, {GATE}, on_withdraw: delete, mode: insert"
    ));
    shop.add("1", "a@x.fr", "Ann");
    shop.add("2", "b@x.fr", "Bob");
    shop.deliver_and_look().await;
    // She left the audience before she withdrew; his row still has the old address, which an insert never changes.
    shop.members.remove("1");
    shop.change("2", |bob| bob[1] = "new@x.fr");
    shop.consents.push(("new@x.fr", "granted", "desk"));
    assert_eq!(shop.deliver_and_look().await, [""; 0]);
    shop.consent("a@x.fr", "withdrawn");
    shop.consent("b@x.fr", "withdrawn");
    assert_eq!(shop.deliver_and_look().await, [r#"removed {"id":"1"}"#, r#"removed {"id":"2"}"#]);
    assert_eq!(shop.deliver_and_look().await, [r#"added {"id":"2","email":"new@x.fr"}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_has_any_more_is_withdrawn_behind_a_gate() {
    // Erased, merged into another, or another address: the old key has no customer.
    let mut shop = gated("on_withdraw: delete");
    shop.deliver_and_look().await;
    shop.people.retain(|person| person[0] != "1");
    shop.change("2", |bob| bob[1] = "bob@y.fr");
    shop.consents.push(("bob@y.fr", "granted", "desk"));
    assert_eq!(
        shop.deliver_and_look().await,
        [
            r#"added {"email":"bob@y.fr","name":"Bob"}"#,
            r#"removed {"email":"a@x.fr"}"#,
            r#"removed {"email":"b@x.fr"}"#
        ]
    );
    // Without a gate only a mirror takes it away.
    for (mode, wanted) in [("upsert", vec![]), ("mirror, on_remove: delete", vec![r#"removed {"email":"a@x.fr"}"#])] {
        let mut shop = open_(&format!("mode: {mode}"));
        shop.deliver_and_look().await;
        shop.people.retain(|person| person[0] != "1");
        assert_eq!(shop.deliver_and_look().await, wanted, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_create_update_or_both() {
    let mut shop = open_("mode: insert");
    assert_eq!(shop.deliver_and_look().await.len(), 2);
    shop.change("1", |ann| ann[3] = "Anna");
    let report = shop.deliver(false).await;
    assert_eq!((report.preview.waiting, shop.sent().len()), (1, 0));
    let mut shop = open_("mode: update");
    assert_eq!(shop.deliver_and_look().await[0], r#"updated {"email":"a@x.fr","name":"Ann"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn g601_a_guard_holds_back_all_but_withdrawals_until_it_is_accepted() {
    let mut shop = gated("mode: mirror, on_remove: delete, on_withdraw: delete, guard: {max_removed: 20%}");
    shop.deliver_and_look().await;
    shop.members.remove("1");
    shop.change("3", |cyd| cyd[3] = "Cid");
    shop.consent("b@x.fr", "withdrawn");
    let report = shop.deliver(false).await;
    assert_eq!(report.outcome, Outcome::Guarded);
    let failure = report.failure().unwrap();
    assert_eq!((failure.code, failure.exit_code()), ("G601", 3));
    assert_eq!(shop.sent(), [r#"removed {"email":"b@x.fr"}"#]);
    assert_eq!(shop.preview().await.tripped.len(), 1);
    let report = shop.deliver(true).await;
    assert_eq!((report.outcome.clone(), report.guard_accepted), (Outcome::Done, true));
    assert_eq!(shop.sent(), [r#"removed {"email":"a@x.fr"}"#, r#"updated {"email":"c@x.fr","name":"Cid"}"#]);
    assert_eq!(shop.ask("sync_runs", "outcome, guard_accepted").await, ["done false", "done true", "guarded false"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_takes_what_is_desired_as_delivered() {
    let mut shop = Shop::with(&format!("{}, {GATE}, on_withdraw: delete", TO.replace("send", "baseline")));
    shop.add("1", "a@x.fr", "Ann");
    shop.add("2", "b@x.fr", "Bob");
    assert!(shop.preview().await.is_baseline);
    let report = shop.deliver(false).await;
    assert_eq!((report.outcome, report.preview.desired, shop.sent().len()), (Outcome::Baseline, 2, 0));
    shop.change("1", |ann| ann[3] = "Anna");
    shop.consent("b@x.fr", "withdrawn");
    assert_eq!(
        shop.deliver_and_look().await,
        [r#"removed {"email":"b@x.fr"}"#, r#"updated {"email":"a@x.fr","name":"Anna"}"#]
    );
    // A first run that found nobody was the first all the same.
    let mut shop = Shop::with(&format!("{}, {GATE}, on_withdraw: delete", TO.replace("send", "baseline")));
    assert_eq!(shop.deliver(false).await.outcome, Outcome::Baseline);
    shop.add("1", "a@x.fr", "Ann");
    assert_eq!(shop.deliver_and_look().await, [r#"added {"email":"a@x.fr","name":"Ann"}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_dies_between_intent_and_answer_is_settled_by_the_next() {
    let mut shop = gated("on_withdraw: delete");
    let died = tokio::time::timeout(Duration::from_secs(20), async {
        let mut silent = Silent;
        shop.deliver_to(&mut silent).await
    });
    let journaled = tokio::time::timeout(Duration::from_secs(5), died).await;
    assert!(journaled.is_err(), "it waits for an answer that never comes");
    assert_eq!(shop.ask("sync_journal", "key, outcome").await.len(), 3, "three intents without an answer");
    // What the next run is told by looking at the folder: nothing is there, so all are due again.
    let report = shop.deliver(false).await;
    assert_eq!(report.settled.not_delivered, 3);
    assert_eq!((report.outcome, shop.sent().len()), (Outcome::Done, 3));
    assert_eq!(shop.ask("sync_state", "status").await, ["delivered"; 3]);
    assert_eq!(shop.ask("sync_journal", "key").await, [""; 0]);
}

/// An answer that was journaled before the run died.
fn receipt(key: &str, verdict: Verdict) -> Receipt {
    let intent = Intent {
        batch_id: "b".to_owned(),
        key: key.to_owned(),
        customer_id: "1".to_owned(),
        action: Action::Add,
        operation: Operation::Add,
        desired_hash: Some("h".to_owned()),
    };
    let at = "2026-01-15T09:00:00Z".parse().unwrap();
    Receipt { intent, verdict, code: None, message: None, at, destination_id: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_dies_in_a_fold_folds_nothing_twice() {
    let shop = gated("on_withdraw: delete");
    let workspace = shop.workspace().await;
    let sync = Shop::sync(&workspace);
    let warehouse = &workspace.opened.warehouse;
    let lease = Lease::acquire(warehouse, LeaseOptions::new("test", shop.now)).await.unwrap();
    let place = Place::of(&sync, &workspace.opened.project.connections["drop"]);
    let mut journal = DeltaJournal {
        workspace: &workspace,
        lease: &lease,
        progress: &NoProgress,
        sync: "out",
        place: &place,
        sync_run_id: "r1",
        seq: 0,
        folded: 0,
        table: None,
    };
    let receipts =
        [receipt("{\"email\":\"a@x.fr\"}", Verdict::Accepted), receipt("{\"email\":\"b@x.fr\"}", Verdict::Retry)];
    let intents: Vec<Intent> = receipts.iter().map(|receipt| receipt.intent.clone()).collect();
    journal.write(Vec::new(), intents).await.unwrap();
    journal.write(receipts.to_vec(), Vec::new()).await.unwrap();
    let whole = warehouse.version("sync_journal").await.unwrap();
    Remembered::load(&workspace, "out").await.unwrap().save(&workspace, &lease).await.unwrap();
    let (state, kept) = ("key, status, deliveries, attempts, journal_mark", "customer_id, outcome, seq");
    let once = (shop.ask("sync_state", state).await, shop.ask("sync_receipts", kept).await);
    assert_eq!(once.0, ["{\"email\":\"a@x.fr\"} delivered 1 0 r1:3", "{\"email\":\"b@x.fr\"} retry 0 1 r1:3"]);
    assert_eq!(once.1, ["1 accepted 2", "1 retry 3"]);
    // As if the journal had not been emptied; and as if the state had not been stored, but the receipts had.
    for undo_state in [false, true] {
        warehouse.roll_back("sync_journal", whole, &Commit::default()).await.unwrap();
        if undo_state {
            let spec = tables::sync_state();
            let nothing = RecordBatch::new_empty(spec.schema.clone());
            let out = ScalarValue::from("out");
            warehouse
                .replace_where(&spec, "sync", &[out], nothing, &Commit::default(), &workspace.opened.session)
                .await
                .unwrap();
        }
        assert_eq!(shop.ask("sync_journal", "seq").await.len(), 4);
        Remembered::load(&workspace, "out").await.unwrap().save(&workspace, &lease).await.unwrap();
        assert_eq!((shop.ask("sync_state", state).await, shop.ask("sync_receipts", kept).await), once);
        assert_eq!(shop.ask("sync_journal", "seq").await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_refused_is_not_lost_and_not_called_success() {
    let mut shop = open_("mode: upsert");
    let answer = |reject: bool| {
        Told(std::sync::Mutex::new(move |batch: &crate::sync::destination::Batch| {
            let refused = || Answer::Rejected { code: "bad".to_owned(), message: "no".to_owned() };
            let one = || if reject { refused() } else { Answer::Accepted { destination_id: None } };
            Ok((0..batch.rows.num_rows()).map(|_| one()).collect::<Vec<_>>())
        }))
    };
    let report = shop.deliver_to(&mut answer(true)).await;
    assert_eq!((report.count(Verdict::Rejected), report.done(Action::Add)), (2, 0));
    assert_eq!(shop.preview().await.adds, 2, "still due");
    let report = shop.deliver_to(&mut answer(false)).await;
    assert_eq!(report.done(Action::Add), 2);
    assert_eq!(shop.preview().await.due(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_says_why_and_a_receipt_is_written_when_the_reason_changes() {
    let mut shop = gated("on_withdraw: delete");
    shop.add("4", "", "Dan");
    shop.add("5", "a@x.fr", "Double");
    shop.consent("b@x.fr", "expired");
    shop.consent("c@x.fr", "pending");
    let preview = shop.preview().await;
    let withheld: Vec<_> = preview.withheld.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    assert_eq!(withheld, ["consent expired 1", "duplicate key 1", "no consent 1", "no key 1"]);
    shop.deliver_and_look().await;
    shop.deliver_and_look().await;
    let receipts = shop.ask("sync_receipts", "customer_id, code").await;
    assert_eq!(receipts.len(), 5, "one was sent, four are withheld, in the first run alone");
    shop.consent("c@x.fr", "withdrawn");
    shop.deliver_and_look().await;
    assert_eq!(
        shop.ask("sync_receipts", "customer_id, outcome, code")
            .await
            .iter()
            .filter(|line| line.starts_with('3'))
            .count(),
        2
    );
    assert_eq!(shop.ask("sync_runs", "withheld").await, ["4", "4", "4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn alternative_keys_fill_their_own_columns_and_nulls_are_left_out() {
    let mut shop = Shop::with(
        "from: {segment: vip}, to: {connection: drop}, key: [{email: email}, {phone: phone}], fields: {name: name}, \
         consent: {none: \"for the test\"}, mode: mirror, on_remove: delete",
    );
    shop.people.push(["1", "a@x.fr", "+33612345678", "Ann", "Lyon"]);
    shop.people.push(["2", "", "+33612345679", "", "Lyon"]);
    shop.members.extend(["1", "2"]);
    assert_eq!(
        shop.deliver_and_look().await,
        [r#"added {"email":"a@x.fr","name":"Ann"}"#, r#"added {"phone":"+33612345679"}"#]
    );
    shop.members.clear();
    let removed = shop.deliver_and_look().await;
    assert_eq!(removed, [r#"removed {"email":"a@x.fr"}"#, r#"removed {"phone":"+33612345679"}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_masks_and_writes_nothing() {
    let shop = gated("on_withdraw: delete");
    let preview = shop.preview().await;
    assert_eq!((preview.desired, preview.adds, preview.batches, preview.is_first), (3, 3, 1, true));
    assert_eq!(preview.samples.len(), 3);
    assert_eq!(preview.samples[0].values[0], ("email".to_owned(), Some("a***@***".to_owned())));
    assert!(!shop.folder.path().join("lake/cdp").exists());
    let report = shop.try_deliver(true).await.unwrap();
    let rehearsal = report.preview.rehearsal.clone();
    assert_eq!((report.outcome, Preview { rehearsal: Vec::new(), ..report.preview }), (Outcome::DryRun, preview));
    let [Rehearsed { action, rows: 3, steps, sample: Some(sample), more: 0, .. }] = rehearsal.as_slice() else {
        panic!("{rehearsal:?}");
    };
    assert_eq!((action.as_str(), &sample.values[0].1), ("add", &Some("a***@***".to_owned())));
    let [Step::File(file)] = steps.as_slice() else { panic!("{steps:?}") };
    assert!(!shop.folder.path().join("outbox").exists());
    assert!(!shop.folder.path().join("lake/cdp/sync_state").exists());
    // What is then written is the file that was named.
    let mut shop = shop;
    shop.deliver_and_look().await;
    assert!(std::path::Path::new(file).exists(), "{file}");
}

#[tokio::test(flavor = "multi_thread")]
async fn e110_a_connection_without_its_secret_and_one_that_does_not_deliver() {
    let to = |connection: &str| TO.replace("drop", connection);
    let mut shop = Shop::with(&format!("{}, consent: {{none: \"for the test\"}}", to("dwh")));
    shop.add("1", "a@x.fr", "Ann");
    let failure = shop.try_deliver(false).await.unwrap_err();
    assert_eq!((failure.code, failure.exit_code()), ("E110", 1));
    assert!(failure.cause.contains("SHOP_DATABASE_URL"), "{failure}");
    let preview = shop.try_deliver(true).await.unwrap().preview;
    let [Step::Statement(statement)] = preview.rehearsal[0].steps.as_slice() else { panic!("{preview:?}") };
    assert!(preview.adds == 1 && statement.contains("insert into \"out\""), "{statement}");
    let mut shop = Shop::with(&format!("{}, consent: {{none: \"for the test\"}}", to("quiet")));
    shop.add("1", "a@x.fr", "Ann");
    assert_eq!(shop.try_deliver(false).await.unwrap().outcome, Outcome::NotDelivering);
    assert!(shop.sent().is_empty());
}
