//! What is delivered, in doubt or refused, after any journal.

use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::sync::destination::Outcome;

const BACKOFF: Backoff = Backoff { first: Duration::from_secs(60), longest: Duration::from_secs(3600) };

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn intent(batch: &str, operation: Operation, hash: Option<&str>) -> Intent {
    let action = match operation {
        Operation::Add => Action::Add,
        Operation::Update => Action::Update,
        Operation::Remove => Action::Remove,
        Operation::Clear => Action::Clear,
    };
    Intent {
        batch_id: batch.into(),
        key: "k".into(),
        customer_id: "c".into(),
        action,
        operation,
        desired_hash: hash.map(str::to_owned),
    }
}

fn accepted() -> Outcome {
    Outcome::Accepted { destination_id: Some("id".into()) }
}

fn rejected() -> Outcome {
    Outcome::Rejected { code: "23505".into(), message: "not unique".into() }
}

fn retry() -> Outcome {
    Outcome::Retry { code: "429".into(), message: "too fast".into() }
}

fn unknown() -> Outcome {
    Outcome::Unknown { code: "commit_lost".into(), message: "lost".into() }
}

/// Intent and receipt at a second.
fn sent(second: i64, batch: &str, operation: Operation, hash: Option<&str>, outcome: Outcome) -> [Entry; 2] {
    let intent = intent(batch, operation, hash);
    [Entry::Intent(intent.clone()), Entry::Receipt(Receipt::of(intent, outcome, at(second)))]
}

fn crashed(batch: &str, operation: Operation, hash: Option<&str>) -> [Entry; 1] {
    [Entry::Intent(intent(batch, operation, hash))]
}

fn state(entries: &[&[Entry]]) -> State {
    after(None, entries.iter().copied().flatten(), &BACKOFF).unwrap()
}

#[test]
fn delivered_moves_on_a_positive_answer_alone() {
    let one = sent(1, "b1", Operation::Add, Some("h1"), accepted());
    let delivered = state(&[&one]);
    assert_eq!(delivered.delivered_hash.as_deref(), Some("h1"));
    assert_eq!((delivered.status, delivered.delivered_at), (Status::Delivered, Some(at(1))));
    assert_eq!(delivered.destination_id.as_deref(), Some("id"));
    for (outcome, status) in [(rejected(), Status::Rejected), (retry(), Status::Retry), (unknown(), Status::Unknown)] {
        let after = state(&[&one, &sent(2, "b2", Operation::Update, Some("h2"), outcome)]);
        assert_eq!(after.delivered_hash.as_deref(), Some("h1"), "{status:?}");
        assert_eq!((after.status, after.attempts, after.deliveries), (status, 1, 1));
        assert_eq!(due(Some(&after), Desired::Row("h2"), at(2 + 60), true), Some(Action::Update));
    }
}

#[test]
fn a_crash_between_intent_and_receipt_is_a_doubt_that_the_batch_can_settle() {
    let doubted = state(&[&crashed("b1", Operation::Add, Some("h1"))]);
    assert_eq!(doubted.status, Status::InDoubt);
    assert_eq!(doubted.doubt.as_ref().unwrap().batch.as_deref(), Some("b1"));
    assert!(doubted.may_hold_ours());
    assert_eq!(due(Some(&doubted), Desired::Row("h1"), at(0), true), Some(Action::Add), "sent again");
    assert_eq!(due(Some(&doubted), Desired::Row("h1"), at(0), false), None, "never twice");
    assert_eq!(due(Some(&doubted), Desired::Row("h2"), at(0), false), Some(Action::Add), "a newer value goes");
    assert_eq!(due(Some(&doubted), Desired::Gone, at(0), false), Some(Action::Remove), "it may be there");

    let mut not_there = Receipt::of(intent("b1", Operation::Add, Some("h1")), retry(), at(5));
    not_there.verdict = Verdict::NotSent;
    let settled = after(Some(doubted), &[Entry::Receipt(not_there)], &BACKOFF).unwrap();
    assert_eq!((settled.doubt.clone(), settled.attempts, settled.status), (None, 0, Status::Pending));
    assert_eq!(due(Some(&settled), Desired::Row("h1"), at(5), false), Some(Action::Add));
    assert_eq!(due(Some(&settled), Desired::Gone, at(5), false), None);
}

#[test]
fn a_refused_resend_says_nothing_about_the_first_send() {
    let crash = crashed("b1", Operation::Add, Some("h1"));
    let again = state(&[&crash, &sent(2, "b1", Operation::Add, Some("h1"), rejected())]);
    assert!(again.may_hold_ours(), "the first send may have gone through");
    assert_eq!(again.doubt.as_ref().unwrap().batch, None, "no single batch can be asked about");
    let gone = state(&[&crash, &sent(2, "b2", Operation::Remove, None, accepted())]);
    assert_eq!((gone.doubt.clone(), gone.may_hold_ours()), (None, false), "a positive answer settles all");
}

#[test]
fn poison_waits_ever_longer_unless_it_changes() {
    let once = state(&[&sent(0, "b1", Operation::Add, Some("h1"), rejected())]);
    assert_eq!(due(Some(&once), Desired::Row("h1"), at(59), true), None);
    assert_eq!(due(Some(&once), Desired::Row("h1"), at(60), true), Some(Action::Add));
    assert_eq!(due(Some(&once), Desired::Row("h2"), at(1), true), Some(Action::Add), "its newest value goes at once");
    let thrice: Vec<_> = (0..3).map(|n| sent(n * 1000, "b1", Operation::Add, Some("h1"), rejected())).collect();
    let thrice = state(&thrice.iter().map(<[Entry; 2]>::as_slice).collect::<Vec<_>>());
    assert_eq!((thrice.attempts, thrice.next_attempt_at), (3, Some(at(2000 + 240))));
    assert_eq!(thrice.error.as_deref(), Some("23505: not unique"));
}

#[test]
fn what_we_did_not_send_is_not_removed() {
    let theirs = state(&[&sent(1, "b1", Operation::Add, Some("h1"), Outcome::Unchanged)]);
    assert_eq!((theirs.status, theirs.may_hold_ours()), (Status::Unchanged, false));
    assert_eq!(due(Some(&theirs), Desired::Row("h1"), at(2), true), None);
    assert_eq!(due(Some(&theirs), Desired::Gone, at(2), true), None);
    assert_eq!(due(None, Desired::Withdrawn(None), at(2), true), None);
    // After a crash, "nothing to change" may be our own work.
    let ours = [
        &crashed("b1", Operation::Add, Some("h1"))[..],
        &sent(1, "b1", Operation::Add, Some("h1"), Outcome::Unchanged),
    ];
    assert!(state(&ours).may_hold_ours());
}

#[test]
fn a_cleared_row_is_still_there_and_a_withdrawal_deletes_it_without_waiting() {
    let add = sent(1, "b1", Operation::Add, Some("h1"), accepted());
    let cleared = state(&[&add, &sent(2, "b2", Operation::Clear, Some("cleared"), accepted())]);
    assert_eq!(due(Some(&cleared), Desired::Cleared("cleared"), at(3), true), None);
    assert_eq!(due(Some(&cleared), Desired::Row("h1"), at(3), true), Some(Action::Update), "the row is there");
    assert_eq!(due(Some(&cleared), Desired::Withdrawn(None), at(3), true), Some(Action::Withdraw));
    let failed = state(&[&add, &sent(2, "b2", Operation::Remove, None, retry())]);
    assert_eq!(due(Some(&failed), Desired::Gone, at(3), true), None);
    assert_eq!(due(Some(&failed), Desired::Withdrawn(None), at(3), true), Some(Action::Withdraw));
    let removed = state(&[&add, &sent(2, "b2", Operation::Remove, None, Outcome::Unchanged)]);
    assert_eq!((removed.status, removed.delivered_hash.clone(), removed.delivered_at), (Status::Removed, None, None));
    assert_eq!(due(Some(&removed), Desired::Withdrawn(None), at(3), true), None);
    assert_eq!(due(Some(&removed), Desired::Row("h1"), at(3), true), Some(Action::Add), "back again");
}

#[test]
fn a_row_that_was_withheld_is_as_it_was() {
    let add = sent(1, "b1", Operation::Add, Some("h1"), accepted());
    let mut withheld = Receipt::of(intent("", Operation::Update, Some("h2")), retry(), at(2));
    withheld.verdict = Verdict::Withheld;
    assert_eq!(state(&[&add, &[Entry::Receipt(withheld)]]), state(&[&add]));
}

#[test]
fn names_lead_back() {
    for status in Status::ALL {
        assert_eq!(Status::named(status.name()), Some(status));
    }
}
