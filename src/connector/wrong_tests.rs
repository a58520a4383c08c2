//! Connectors that are wrong, accounts that are not those that were meant: every code of this room.

use std::future::{Future, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::*;
use crate::diag::{Failure, Findings};
use crate::text::Files;

/// A connector that is right, to which a test adds what it is about.
const HEAD: &str = "connector: postbox\nurl: https://postbox.example\n";
const OBJECT: &str = "objects: {contact: {upsert: {request: {method: POST, path: /contacts, json: {id: \"{{ row.key.id }}\"}}, idempotent: true}}}\n";

/// Everything that is wrong: `CODE message (help)`.
fn told(text: &str) -> Vec<String> {
    let mut files = Files::default();
    let file = files.add("connectors/postbox.yaml", text.to_owned());
    let mut findings = Findings::default();
    if let Some(connector) = read(&files, file, &mut findings).map(Arc::new) {
        run_examples(&connector, &mut findings);
    }
    let shown = |finding: crate::diag::Finding| {
        format!("{} {} ({})", finding.code, finding.message, finding.help.unwrap_or_default())
    };
    findings.sorted().into_iter().map(shown).collect()
}

fn with_object(text: &str) -> Vec<String> {
    told(&format!("{HEAD}{OBJECT}{text}"))
}

#[test]
fn a_connector_that_is_right_has_no_findings() {
    assert_eq!(with_object(""), Vec::<String>::new());
}

#[test]
fn e151_what_an_expression_names_must_be_known_where_it_stands() {
    let told = with_object("headers: {x: \"{{ secrets.key }}\"}\nsecrets: {key: {}}\n");
    assert_eq!(told, ["E151 `secrets` refers to nothing here (nothing is known here: write the value itself)"]);
    let told = with_object("settings: {region: {}}\nheaders: {x: \"{{ settings.regoin }}\"}\n");
    assert_eq!(told, ["E151 `settings` has no `regoin` (did you mean `settings.region`?)"]);
}

#[test]
fn e152_connectors_that_cannot_work() {
    let one = |text: &str| with_object(text).join("; ");
    assert_eq!(
        told(
            "connector: other\nurl: https://postbox.example\nconsent: {grant: {request: {method: POST, path: /}, idempotent: true}, revoke: {request: {method: POST, path: /}, idempotent: true}}\n"
        ),
        ["E152 the connector `other` is in a file of another name (call the file `other.yaml`)"]
    );
    assert_eq!(told(HEAD), ["E152 this connector can do nothing (give it `objects`, `audiences` or `consent`)"]);
    let revoke = "revoke: {request: {method: POST, path: /}, idempotent: true}";
    assert_eq!(
        one(&format!(
            "consent: {{of: contcat, grant: {{request: {{method: POST, path: /}}, idempotent: true}}, {revoke}}}\n"
        )),
        "E152 there is no object `contcat` (did you mean `contact`?)"
    );
    assert_eq!(
        one(&format!(
            "consent: {{of: contact, grant: {{request: {{method: POST, path: /}}, idempotent: true, needs_id: true}}, {revoke}}}\n"
        )),
        "E152 `consent.grant` needs the destination's ids, but nothing finds them (name the object with `of`, and give that a `lookup`)"
    );
    assert_eq!(
        one(
            "erase: {operation: {request: {method: POST, path: /, json: {ids: \"{{ rows }}\"}}, batch: {rows: 10}, idempotent: true}}\n"
        ),
        "E152 `erase` sends `rows`, but does not say what a row becomes (write `row:`)"
    );
    assert_eq!(
        one(
            "erase: {operation: {request: {method: DELETE, path: \"/{{ row.key.id }}\"}, batch: {rows: 10}, idempotent: true}}\n"
        ),
        "E151 `row` refers to nothing here (did you mean `rows`?)"
    );
    assert_eq!(
        one("erase: {operation: {request: {method: POST, path: /}, idempotent: true, errors: [{do: ignore}]}}\n"),
        "E152 this rule fits every answer (say which with `status`, with `when`, or with both)"
    );
    assert_eq!(
        one("quota: {windows: [{requests: 10, per: 1mo}]}\n"),
        "E152 this is too long here (write seconds, minutes, hours or days: `10s`, `5min`, `1h`, `1d`)"
    );
}

#[test]
fn e153_tests_that_do_not_hold() {
    let test = |text: &str| {
        with_object(&format!("tests: {{t: {{do: contact.add, rows: [{{key: {{id: 1}}}}], {text}}}}}\n")).join("; ")
    };
    assert_eq!(test("outcomes: [accepted]"), "");
    assert_eq!(test("outcomes: [unchanged]"), "E153 the test `t` fails: the outcome is `accepted` ()");
    assert_eq!(test("requests: [{method: PUT, path: /contacts}]"), "E153 the test `t` fails: the method is POST ()");
    assert_eq!(
        test("requests: [{method: POST, path: /contacts, json: {id: 2}}]"),
        "E153 the test `t` fails: the body is {\"id\":1} ()"
    );
    assert_eq!(
        with_object("tests: {t: {do: contact.ad}}\n"),
        ["E153 the test `t` fails: the connector cannot do `contact.ad`: did you mean `contact.add`? ()"]
    );
    assert_eq!(test("stops: W608"), "E153 the test `t` fails: the answers do not end the sync ()");
    assert_eq!(test("answers: [{status: 401}], stops: W608"), "");
    assert_eq!(test("answers: [{status: 403}], stops: W609"), "");
}

/// Gives the same answer to everything.
struct Same(Response);

impl Wire for Same {
    fn send(&mut self, _: &Request) -> impl Future<Output = Result<Response, NoAnswer>> + Send {
        ready(Ok(self.0.clone()))
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

fn ended<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("nothing is waited for"),
    }
}

fn hubspot(account: &str) -> Peer {
    let (_, text) = SHIPPED.iter().find(|(name, _)| *name == "hubspot").unwrap();
    let mut files = Files::default();
    let file = files.add("connectors/hubspot.yaml", (*text).to_owned());
    let connector = read(&files, file, &mut Findings::default()).map(Arc::new).unwrap();
    let secrets = [("token".to_owned(), "a-secret".to_owned())].into();
    Peer::new(connector, &Said { secrets, account: Some(account.to_owned()), ..Said::default() }).unwrap()
}

fn answer(status: u16, body: &str) -> Same {
    Same(Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() })
}

#[test]
fn e155_another_account_than_the_declared_one() {
    let mut wire = answer(200, r#"{"portalId": 12345}"#);
    assert!(ended(check_account(&hubspot("12345"), &mut wire)).is_ok());
    let failure = ended(check_account(&hubspot("999"), &mut wire)).unwrap_err();
    assert_eq!(failure.code, "E155");
    assert_eq!(failure.cause, "the connection declares the account `999`, its credentials reach `12345`");
}

#[test]
fn audiences_that_cannot_be_found() {
    let peer = hubspot("12345");
    let list = &peer.connector.audiences[0];
    let code = |mut wire: Same| ended(find_audience(&peer, list, "VIP", &mut wire)).map_err(|failure| failure.code);
    assert_eq!(code(answer(200, r#"{"list": {"listId": "12"}}"#)), Ok(Some("12".to_owned())));
    assert_eq!(code(answer(200, "{}")), Ok(None));
    assert_eq!(code(answer(404, "{}")), Ok(None));
    let made = ended(make_audience(&peer, list, "VIP", &mut answer(200, "{}")));
    assert_eq!(made.unwrap_err().code, "W610");
    assert_eq!(code(answer(401, "{}")), Err("W608"));
    assert_eq!(code(answer(403, "{}")), Err("W609"));
    assert_eq!(code(answer(503, "")), Err("W609"));
}
