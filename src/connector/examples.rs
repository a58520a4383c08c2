//! The tests that a connector's file carries: rows → requests, answers → outcomes, without a network.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value as Json};

use super::answer::{NoAnswer, Response};
use super::audience::account_name;
use super::exchange::{Deed, Delivery, What, deliver};
use super::grant::{Grant, authorise, granted, sign_in, signs_in};
use super::model::Connector;
use super::outcome::Outcome;
use super::peer::{Peer, Said};
use super::request::Request;
use super::rows::Row;
use super::speak::Wire;
use crate::diag::{Failure, Finding, Findings, nearest};
use crate::spec::connector::{Answer, ConnectorTest, ExpectedRequest, Tree, TreeValue};
use crate::text::{Located, Section, Span};

/// Runs every test of a connector; each that fails is a finding. Gives how many there are.
pub fn run_examples(connector: &Arc<Connector>, findings: &mut Findings) -> usize {
    for (name, test) in &connector.tests {
        if let Err((span, message)) = run(connector, test) {
            let finding = Finding::error("E153", format!("the test `{}` fails: {message}", name.value));
            findings.add(finding.at(span.unwrap_or(name.span)));
        }
    }
    connector.tests.len()
}

type Failed = (Option<Span>, String);

/// The requests that the tests of a connector make, each with the test's name and the path below the connection's URL: what a
/// description of the vendor's API can be asked about. A test that fails gives those that it made.
#[must_use]
pub fn example_requests(connector: &Arc<Connector>) -> Vec<(String, String, Request)> {
    let mut made = Vec::new();
    for (name, test) in &connector.tests {
        let Ok(peer) = Peer::new(Arc::clone(connector), &said(connector, test)) else { continue };
        let mut wire = Script::new(&peer, test);
        // What becomes of the rows is what `run_examples` looks at.
        let _ = outcomes(&peer, test, &mut wire);
        let requests = wire.requests.into_iter().filter(|request| request.url.starts_with(peer.url()));
        made.extend(requests.map(|request| (name.value.clone(), request.path(&peer).to_owned(), request)));
    }
    made
}

fn run(connector: &Arc<Connector>, test: &ConnectorTest) -> Result<(), Failed> {
    let peer = Peer::new(Arc::clone(connector), &said(connector, test))
        .map_err(|(key, what)| (Some(test.act.span), format!("`{key}`: {what}")))?;
    let mut wire = Script::new(&peer, test);
    let told = outcomes(&peer, test, &mut wire)?;
    compare_requests(&peer, test, &wire.requests)?;
    let Some(told) = told else { return Ok(()) };
    if let Some(stops) = &test.stops {
        return Err((Some(stops.span), "the answers do not end the sync".to_owned()));
    }
    if let Some(expected) = &test.outcomes {
        if expected.len() != told.len() {
            let message = format!("{} outcomes are expected, {} rows were sent", expected.len(), told.len());
            return Err((Some(test.act.span), message));
        }
        for (expected, told) in expected.iter().zip(&told) {
            compare_outcome(expected, told)?;
        }
    }
    Ok(())
}

/// What became of the rows; none where the sync ended as the test expects.
fn outcomes(peer: &Peer, test: &ConnectorTest, wire: &mut Script<'_>) -> Result<Option<Vec<Outcome>>, Failed> {
    let here = |message: String| (Some(test.act.span), message);
    if test.act.value == "account" {
        let name = ended(now(account_name(peer, wire)), test)?;
        return Ok(name.map(|name| vec![Outcome::Accepted { destination_id: name }]));
    }
    let (what, deed, kind) = named(&peer.connector, &test.act.value).map_err(here)?;
    let audience = match what {
        What::Audience(audience) => {
            let name = test.audience.as_ref().map_or("an audience", |name| name.value.as_str());
            let asked = async {
                match super::audience::find(peer, audience, name, wire).await? {
                    None if deed == Deed::Put => super::audience::make(peer, audience, name, wire).await.map(Some),
                    found => Ok(found),
                }
            };
            match ended(now(asked), test)? {
                Some(id) => Some((name.to_owned(), id)),
                None => return Ok(None),
            }
        }
        _ => None,
    };
    let delivery = Delivery {
        peer,
        what,
        deed,
        may_create: test.may_create.unwrap_or(kind != Kind::Update),
        may_update: test.may_update.unwrap_or(true),
        audience,
        batch_id: "test",
        personal: None,
    };
    let rows = test.rows.iter().map(|row| Row {
        key: plain_map(&row.key),
        fields: plain_map(&row.fields),
        id: row.id.as_ref().map(|id| id.value.clone()),
        ..Row::default()
    });
    let delivered = async {
        let (outcomes, stop) = deliver(&delivery, rows.collect(), wire).await;
        stop.map_or(Ok(outcomes), Err)
    };
    ended(now(delivered), test)
}

/// A failure that was expected is no failure: then there is nothing to go on with.
fn ended<T>(result: Result<T, Failure>, test: &ConnectorTest) -> Result<Option<T>, Failed> {
    match (result, &test.stops) {
        (Ok(value), _) => Ok(Some(value)),
        (Err(failure), Some(stops)) if failure.code == stops.value || failure.cause.contains(&stops.value) => Ok(None),
        (Err(failure), Some(stops)) => {
            Err((Some(stops.span), format!("the sync ends otherwise: {} {}", failure.code, failure.cause)))
        }
        (Err(failure), None) => Err((None, format!("the sync ends: {} {}", failure.code, failure.cause))),
    }
}

/// Settings that the test does not give have an invented value.
fn said(connector: &Connector, test: &ConnectorTest) -> Said {
    let mut settings: BTreeMap<String, String> = test
        .settings
        .iter()
        .filter_map(|(name, value)| Some((name.value.clone(), super::expression::plain(literal(value))?)))
        .collect();
    for setting in connector.settings.iter().filter(|setting| setting.default.is_none() && !setting.optional) {
        settings.entry(setting.name.clone()).or_insert_with(|| format!("test{}", setting.name));
    }
    let secrets =
        connector.secrets.iter().map(|secret| (secret.name.clone(), format!("test-{}", secret.name))).collect();
    Said { settings, secrets, url: connector.url.is_none().then(|| "https://test.example".to_owned()), account: None }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add,
    Update,
    Remove,
}

fn named<'a>(connector: &'a Connector, act: &str) -> Result<(What<'a>, Deed, Kind), String> {
    if act == "erase"
        && let Some(erase) = &connector.erase
    {
        return Ok((What::Erase(erase), Deed::Put, Kind::Add));
    }
    let (name, verb) = act.split_once('.').unwrap_or((act, ""));
    if let ("consent", Some(consent)) = (name, &connector.consent) {
        match verb {
            "grant" => return Ok((What::Consent(consent), Deed::Put, Kind::Add)),
            "revoke" => return Ok((What::Consent(consent), Deed::Take, Kind::Remove)),
            _ => {}
        }
    }
    let kind = match verb {
        "add" => Some((Deed::Put, Kind::Add)),
        "update" => Some((Deed::Put, Kind::Update)),
        "remove" => Some((Deed::Take, Kind::Remove)),
        _ => None,
    };
    if let Some((deed, kind)) = kind {
        if let Some(object) = connector.objects.iter().find(|object| object.name == name) {
            return Ok((What::Object(object), deed, kind));
        }
        if let Some(audience) = connector.audiences.iter().find(|audience| audience.name == name) {
            return Ok((What::Audience(audience), deed, kind));
        }
    }
    let mut acts: Vec<String> = Vec::new();
    for name in connector
        .objects
        .iter()
        .map(|object| &object.name)
        .chain(connector.audiences.iter().map(|audience| &audience.name))
    {
        acts.extend(["add", "update", "remove"].map(|verb| format!("{name}.{verb}")));
    }
    if connector.consent.is_some() {
        acts.extend(["consent.grant".to_owned(), "consent.revoke".to_owned()]);
    }
    acts.extend(connector.erase.iter().map(|_| "erase".to_owned()));
    let near = nearest(act, acts.iter().map(String::as_str))
        .map_or_else(|| format!("it can do {}", acts.join(", ")), |near| format!("did you mean `{near}`?"));
    Err(format!("the connector cannot do `{act}`: {near}"))
}

/// Gives the answers that are written, and keeps what was asked. Nothing is waited for.
struct Script<'a> {
    peer: &'a Peer,
    sign_in: Option<&'a Answer>,
    grant: Option<Grant>,
    answers: VecDeque<Answer>,
    requests: Vec<Request>,
    now: DateTime<Utc>,
}

impl<'a> Script<'a> {
    fn new(peer: &'a Peer, test: &'a ConnectorTest) -> Self {
        let answers = test.answers.clone().into();
        Self { peer, sign_in: test.sign_in.as_ref(), grant: None, answers, requests: Vec::new(), now: start() }
    }

    /// Signs in where the test says what that is answered.
    fn signed_in(&mut self) -> Result<(), NoAnswer> {
        let Some(answer) = self.sign_in.filter(|_| self.grant.is_none()) else { return Ok(()) };
        self.requests.extend(sign_in(self.peer).map_err(NoAnswer::NotSent)?);
        self.grant = Some(granted(self.peer, &response(answer), self.now)?);
        Ok(())
    }
}

fn response(answer: &Answer) -> Response {
    let body = match (&answer.json, &answer.text) {
        (Some(tree), _) => literal(tree).to_string().into_bytes(),
        (None, Some(text)) => text.value.clone().into_bytes(),
        (None, None) => Vec::new(),
    };
    let headers = answer.headers.iter().map(|(name, value)| (name.value.to_lowercase(), value.value.clone()));
    Response { status: answer.status.as_ref().map_or(200, |status| status.value), headers: headers.collect(), body }
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default()
}

impl Wire for Script<'_> {
    async fn send(&mut self, request: &Request) -> Result<Response, NoAnswer> {
        let mut request = request.clone();
        self.signed_in()?;
        // A test that does not say what a sign-in is answered is not about credentials.
        if self.grant.is_some() || !signs_in(self.peer) {
            authorise(self.peer, &mut request, self.grant.as_ref(), self.now).map_err(NoAnswer::NotSent)?;
        }
        self.requests.push(request);
        let Some(answer) = self.answers.pop_front() else {
            return Ok(Response { status: 200, headers: Vec::new(), body: b"{}".to_vec() });
        };
        match answer.broken.as_ref().map(|broken| broken.value.as_str()) {
            None => {}
            Some("refused") => return Err(NoAnswer::NotSent("connection refused".to_owned())),
            Some(_) => return Err(NoAnswer::Lost("connection reset".to_owned())),
        }
        Ok(response(&answer))
    }

    async fn refresh(&mut self) -> Result<bool, Failure> {
        self.grant = None;
        Ok(signs_in(self.peer))
    }

    async fn pause(&mut self, how_long: Duration) {
        self.now += TimeDelta::from_std(how_long).unwrap_or_default();
    }

    fn hold(&mut self, _: Duration) {}

    fn now(&self) -> DateTime<Utc> {
        self.now
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// What never waits is ready at once.
fn now<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Failure::world("W001", "running a connector's test", "it waits for something")),
    }
}

fn compare_requests(peer: &Peer, test: &ConnectorTest, requests: &[Request]) -> Result<(), Failed> {
    let Some(expected) = &test.requests else { return Ok(()) };
    for (expected, request) in expected.iter().zip(requests) {
        compare_request(peer, expected, request)?;
    }
    if expected.len() != requests.len() {
        let made: Vec<String> =
            requests.iter().map(|request| format!("{} {}", request.method.name(), request.path(peer))).collect();
        let message =
            format!("{} requests are expected, {} were made: {}", expected.len(), requests.len(), made.join(", "));
        return Err((Some(test.act.span), message));
    }
    Ok(())
}

fn compare_request(peer: &Peer, expected: &ExpectedRequest, request: &Request) -> Result<(), Failed> {
    if expected.method.value != request.method {
        return Err((Some(expected.method.span), format!("the method is {}", request.method.name())));
    }
    if expected.path.value != request.path(peer) {
        return Err((Some(expected.path.span), format!("the path is `{}`", request.path(peer))));
    }
    for (name, value) in expected.headers.iter() {
        let found = request.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name.value));
        if found.is_none_or(|(_, found)| *found != value.value) {
            let found = found.map_or("is not there".to_owned(), |(_, found)| format!("is `{found}`"));
            return Err((Some(value.span), format!("the header `{}` {found}", name.value)));
        }
    }
    if let Some(tree) = &expected.json {
        let body: Json = serde_json::from_slice(&request.body).unwrap_or(Json::Null);
        if body != literal(tree) {
            return Err((Some(tree.span), format!("the body is {body}")));
        }
    }
    if let Some(text) = &expected.text
        && text.value.as_bytes() != request.body
    {
        return Err((Some(text.span), format!("the body is {}", String::from_utf8_lossy(&request.body))));
    }
    Ok(())
}

fn compare_outcome(expected: &Tree, told: &Outcome) -> Result<(), Failed> {
    let (name, detail) = match told {
        Outcome::Accepted { destination_id } => ("accepted", destination_id.as_deref()),
        Outcome::Unchanged => ("unchanged", None),
        Outcome::Rejected { code, .. } => ("rejected", Some(code.as_str())),
        Outcome::Retry { code, .. } => ("retry", Some(code.as_str())),
        Outcome::NotSent => ("not_sent", None),
        Outcome::Unknown { code, .. } => ("unknown", Some(code.as_str())),
    };
    let fits = match &expected.value {
        TreeValue::Text(expected) => expected == name,
        TreeValue::Map(entries) => match entries.as_slice() {
            [(expected, value)] => {
                expected.value == name && super::expression::plain(literal(value)).as_deref() == detail
            }
            _ => false,
        },
        _ => false,
    };
    let told = detail.map_or(name.to_owned(), |detail| format!("{{{name}: {detail}}}"));
    if fits { Ok(()) } else { Err((Some(expected.span), format!("the outcome is `{told}`"))) }
}

/// A tree of values, without expressions.
fn literal(tree: &Tree) -> Json {
    match &tree.value {
        TreeValue::Null => Json::Null,
        TreeValue::Boolean(truth) => Json::Bool(*truth),
        TreeValue::Integer(number) => Json::from(*number),
        TreeValue::Number(number) => Json::from(*number),
        TreeValue::Text(text) => Json::String(text.clone()),
        TreeValue::List(items) => Json::Array(items.iter().map(literal).collect()),
        TreeValue::Map(entries) => {
            Json::Object(entries.iter().map(|(key, value)| (key.value.clone(), literal(value))).collect())
        }
    }
}

fn plain_map(section: &Section<Tree>) -> Map<String, Json> {
    section.iter().map(|(name, value): (&Located<String>, &Tree)| (name.value.clone(), literal(value))).collect()
}
