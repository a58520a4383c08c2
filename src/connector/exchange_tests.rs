//! What becomes of rows where an exchange ends half-way, and what is shown of one that never was.

use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::diag::{Failure, Findings};
use crate::text::Files;

/// Gives answers in their order, and keeps what was asked.
#[derive(Default)]
struct Script {
    answers: VecDeque<(u16, Json)>,
    asked: Vec<String>,
}

impl Wire for Script {
    fn send(&mut self, request: &Request) -> impl Future<Output = Result<Response, NoAnswer>> + Send {
        self.asked.push(request.operation.clone());
        let (status, body) = self.answers.pop_front().unwrap_or((200, json!({})));
        ready(match status {
            0 => Err(NoAnswer::Lost("connection reset".to_owned())),
            _ => Ok(Response { status, headers: Vec::new(), body: body.to_string().into_bytes() }),
        })
    }
    fn refresh(&mut self) -> impl Future<Output = Result<bool, Failure>> + Send {
        ready(Ok(false))
    }
    fn pause(&mut self, _: Duration) -> impl Future<Output = ()> + Send {
        ready(())
    }
    fn hold(&mut self, _: Duration) {}
    fn now(&self) -> DateTime<Utc> {
        DateTime::default()
    }
    fn is_cancelled(&self) -> bool {
        false
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("nothing is waited for"),
    }
}

fn compiled(name: &str) -> Arc<Connector> {
    let (_, text) = SHIPPED.iter().find(|(known, _)| *known == name).unwrap();
    let mut files = Files::default();
    let file = files.add(format!("connectors/{name}.yaml"), (*text).to_owned());
    read(&files, file, &mut Findings::default()).map(Arc::new).unwrap()
}

fn said(secrets: &[&str], settings: &[(&str, &str)]) -> Said {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Said {
        secrets: secrets.iter().map(|name| ((*name).to_owned(), "very-secret".to_owned())).collect(),
        settings: settings.iter().map(pair).collect(),
        ..Said::default()
    }
}

fn hubspot() -> Peer {
    Peer::new(compiled("hubspot"), &said(&["token"], &[])).unwrap()
}

fn row(email: &str, fields: &Json, id: Option<&str>) -> Row {
    let mut row = Row::of_id(id.map(str::to_owned));
    row.key = Map::from_iter([("email".to_owned(), Json::from(email))]);
    row.fields = fields.as_object().cloned().unwrap_or_default();
    row
}

fn delivery<'a>(peer: &'a Peer, what: What<'a>, deed: Deed) -> Delivery<'a> {
    let audience = matches!(what, What::Audience(_)).then(|| ("VIP".to_owned(), Some("12".to_owned())));
    Delivery { peer, what, deed, may_create: true, may_update: true, audience, batch_id: "b", personal: None }
}

/// Outcomes in a word each, the operations that were asked, the code of what stopped it.
fn told(delivery: &Delivery<'_>, rows: Vec<Row>, answers: &[(u16, Json)]) -> (String, String, Option<&'static str>) {
    let mut wire = Script { answers: answers.to_vec().into(), asked: Vec::new() };
    let (outcomes, stop) = now(deliver(delivery, rows, &mut wire));
    let mut words: Vec<(&str, usize)> = Vec::new();
    for outcome in outcomes {
        let word = match outcome {
            Outcome::Accepted { .. } => "accepted",
            Outcome::Unchanged => "unchanged",
            Outcome::Rejected { .. } => "rejected",
            Outcome::Retry { .. } => "retry",
            Outcome::NotSent => "not_sent",
            Outcome::Unknown { .. } => "unknown",
        };
        match words.last_mut().filter(|(last, _)| *last == word) {
            Some((_, count)) => *count += 1,
            None => words.push((word, 1)),
        }
    }
    let words: Vec<String> = words.into_iter().map(|(word, count)| format!("{count} {word}")).collect();
    (words.join(", "), wire.asked.join(" "), stop.map(|failure| failure.code))
}

#[test]
fn rows_behind_the_end_were_not_sent() {
    let peer = hubspot();
    let people = || (0..250).map(|n| row(&format!("p{n}@x.fr"), &json!({}), None)).collect::<Vec<_>>();
    let upsert = delivery(&peer, What::Object(&peer.connector.objects[0]), Deed::Put);
    let taken: Vec<Json> =
        (0..100).map(|n| json!({"id": n.to_string(), "objectWriteTraceId": format!("r{n}")})).collect();
    let taken = (200, json!({"results": taken}));
    let told_of = |answers: &[(u16, Json)]| told(&upsert, people(), answers);
    let (words, _, code) = told_of(&[taken.clone(), (401, json!({}))]);
    assert_eq!((words.as_str(), code), ("100 accepted, 150 not_sent", Some("W608")));
    // An attempt that was not answered may have been done, whatever the next one is told.
    let (words, _, code) = told_of(&[taken, (0, Json::Null), (403, json!({"message": "no"}))]);
    assert_eq!((words.as_str(), code), ("100 accepted, 100 unknown, 50 not_sent", Some("W609")));
}

#[test]
fn an_id_that_leads_nowhere_is_looked_up_anew() {
    let peer = hubspot();
    let list = &peer.connector.audiences[0];
    let contact = &peer.connector.objects[0];
    let jane = |id| vec![row("jane@x.fr", &json!({}), id)];
    let found = (200, json!({"results": [{"id": "9", "properties": {"email": "jane@x.fr"}}]}));
    let leave = delivery(&peer, What::Audience(list), Deed::Take);
    // Known and there: nothing is looked up.
    assert_eq!(told(&leave, jane(Some("7")), &[(200, json!({}))]), ("1 accepted".into(), "list.remove".into(), None));
    // Known, and the contact is another one by now.
    let answers = [(404, json!({})), found.clone(), (200, json!({}))];
    let asked = "list.remove contact.lookup list.remove";
    assert_eq!(told(&leave, jane(Some("7")), &answers), ("1 accepted".into(), asked.into(), None));
    let archive = delivery(&peer, What::Object(contact), Deed::Take);
    assert_eq!(told(&archive, jane(Some("7")), &[(204, Json::Null)]).1, "contact.delete");
    let asked = told(&archive, jane(None), &[found, (204, Json::Null)]).1;
    assert_eq!(asked, "contact.lookup contact.delete");
}

#[test]
fn who_leaves_an_audience_that_is_not_there_is_gone() {
    let peer = hubspot();
    let mut leave = delivery(&peer, What::Audience(&peer.connector.audiences[0]), Deed::Take);
    leave.audience = Some(("VIP".to_owned(), None));
    let told = told(&leave, vec![row("jane@x.fr", &json!({}), None)], &[]);
    assert_eq!(told, ("1 unchanged".to_owned(), String::new(), None));
}

/// The requests of one row, as they are shown.
fn rehearsed(peer: &Peer, delivery: &Delivery<'_>, rows: Vec<Row>) -> Vec<String> {
    let mut wire = Rehearsal::new(peer, DateTime::default());
    wire.sign_in();
    let (outcomes, stop) = now(deliver(delivery, rows, &mut wire));
    assert!(
        stop.is_none() && outcomes.iter().all(|outcome| matches!(outcome, Outcome::Accepted { .. })),
        "{outcomes:?}"
    );
    let line = |shown: Shown| {
        let headers: Vec<String> = shown.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!(
            "{} {:?} {} {} {} {}",
            shown.operation,
            shown.whom,
            shown.method,
            shown.url,
            headers.join(" "),
            shown.body
        )
    };
    wire.take().into_iter().map(line).collect()
}

#[test]
fn a_rehearsal_shows_lookups_and_both_of_what_may_follow() {
    let peer = Peer::veiled(compiled("hubspot"), &said(&["token"], &[])).unwrap();
    let personal: BTreeSet<String> = ["email", "firstname"].map(str::to_owned).into();
    let member = Delivery {
        personal: Some(&personal),
        ..delivery(&peer, What::Audience(&peer.connector.audiences[0]), Deed::Put)
    };
    let shown = rehearsed(&peer, &member, vec![row("jane@x.fr", &json!({"firstname": "Jane"}), None)]);
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown[0].starts_with("contact.lookup None POST https://api.hubapi.com/crm/v3/objects/contacts/batch/read"));
    assert!(
        shown[0].contains("authorization=***") && shown[0].contains(r#""inputs":[{"id":"j***@***"}]"#),
        "{}",
        shown[0]
    );
    assert!(shown[1].starts_with("contact.upsert Some(Missing)") && shown[1].contains("J***"), "{}", shown[1]);
    assert!(shown[2].ends_with(r#"{"recordIdsToAdd":["‹id of j***@***›"],"recordIdsToRemove":[]}"#), "{}", shown[2]);
    assert!(!shown.concat().to_lowercase().contains("jane") && !shown.concat().contains("very-secret"));
    // An id that is remembered stands for itself.
    let shown = rehearsed(&peer, &member, vec![row("jane@x.fr", &json!({}), Some("7"))]);
    assert!(shown.len() == 1 && shown[0].contains(r#""recordIdsToAdd":["7"]"#), "{shown:?}");
}

#[test]
fn digests_are_masked_and_sign_ins_shown_without_their_secrets() {
    let settings = [
        ("operating_account", "1"),
        ("ad_user_data", "GRANTED"),
        ("ad_personalization", "GRANTED"),
        ("terms_of_service", "ACCEPTED"),
    ];
    let secrets = ["client_id", "client_secret", "refresh_token"];
    let peer = Peer::veiled(compiled("google_customer_match"), &said(&secrets, &settings)).unwrap();
    let personal: BTreeSet<String> = ["email".to_owned()].into();
    let member = Delivery {
        personal: Some(&personal),
        ..delivery(&peer, What::Audience(&peer.connector.audiences[0]), Deed::Put)
    };
    let shown = rehearsed(&peer, &member, vec![row("jane@x.fr", &json!({}), None)]);
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown[0].contains("client_secret=***") && !shown.concat().contains("very-secret"), "{}", shown[0]);
    // The digest begins so, and that is all that is shown of it.
    let digest = &filters::sha256(b"jane@x.fr");
    assert!(shown[1].contains(&format!(r#""emailAddress":"{}***""#, &digest[..1])) && !shown[1].contains(&digest[..8]));
    assert!(shown[2].contains("requestId=‹id of the job›"), "{}", shown[2]);
}

#[test]
fn what_is_a_number_there_stands_as_one_until_it_is_shown() {
    let said = Said {
        url: Some("https://erp.example.com/secret-path".to_owned()),
        ..said(&["user", "password"], &[("database", "shop")])
    };
    let peer = Peer::veiled(compiled("tryton"), &said).unwrap();
    let personal: BTreeSet<String> = ["email".to_owned()].into();
    let contact = Delivery {
        personal: Some(&personal),
        may_create: false,
        ..delivery(&peer, What::Object(&peer.connector.objects[0]), Deed::Put)
    };
    let shown = rehearsed(&peer, &contact, vec![row("jane@x.fr", &json!({"name": "J"}), None)]);
    let last = shown.last().unwrap();
    assert!(last.contains("‹id of j***@***›") && !shown.concat().contains("777000"), "{last}");
    assert!(
        last.contains("https://erp.example.com/***/shop/rpc/") && !shown.concat().contains("secret-path"),
        "{last}"
    );
}

/// W613: an account that is throttled for long ends the sync, and what was not sent is not called failed.
#[test]
fn an_account_that_stays_throttled_ends_the_sync() {
    let peer =
        Peer::new(compiled("webhook"), &Said { url: Some("http://hook.test".to_owned()), ..Said::default() }).unwrap();
    let rows = vec![row("jane@x.fr", &json!({}), None)];
    let answers: Vec<(u16, Json)> = std::iter::repeat_n((429, json!({"detail": "slow down"})), 500).collect();
    let delivery = delivery(&peer, What::Object(&peer.connector.objects[0]), Deed::Put);
    let (outcomes, asked, stop) = told(&delivery, rows, &answers);
    assert_eq!((outcomes.as_str(), stop), ("1 not_sent", Some("W613")));
    assert!(asked.len() > 20, "{asked}");
}
