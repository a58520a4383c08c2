//! Requests and answers for people to look at: without secrets, without what is somebody's. Two wires collect them: a `Rehearsal` sends
//! nothing, a `Watched` wire also tells what was answered.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value as Json;

use super::answer::{NoAnswer, Response};
use super::grant::{SECRET, sign_in, veiled_headers};
use super::masked::mask_all;
use super::outcome::scrubbed;
use super::peer::Peer;
use super::request::{Request, Whom};
use super::speak::Wire;
use crate::diag::Failure;

/// A request as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is for: `contact.upsert`.
    pub operation: String,
    /// Which of the rows go with it, where only an answer before it tells.
    pub whom: Option<Whom>,
    /// The method.
    pub method: &'static str,
    /// The whole URL; what a connection's own URL has behind the host is hidden.
    pub url: String,
    /// Headers; those that say who sends it are hidden.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// What came back, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShownAnswer {
    /// An answer: its status and its body.
    Answer(u16, String),
    /// There was none, and why.
    None(String),
}

impl Shown {
    /// `stand_ins` are texts that stand for what an answer would have told, and what is read in their place.
    fn of(peer: &Peer, request: &Request, stand_ins: &[(String, String)]) -> Self {
        let whole = request.masked.as_deref().unwrap_or(request);
        let mut headers = whole.headers.clone();
        if request.operation != SIGN_IN {
            headers.extend(veiled_headers(peer).into_iter().map(|name| (name, SECRET.to_owned())));
        }
        // A name that says who sends it may also stand among the others; it counts once, hidden.
        let hidden: Vec<String> =
            headers.iter().filter(|(_, value)| value == SECRET).map(|(name, _)| name.clone()).collect();
        headers.retain(|(name, value)| value == SECRET || !hidden.contains(name));
        let url = match whole.url.strip_prefix(peer.url()) {
            Some(path) => format!("{}{path}", shown_url(peer)),
            None if whole.url.is_empty() => format!("{}/…", shown_url(peer)),
            None => whole.url.clone(),
        };
        Self {
            operation: request.operation.clone(),
            whom: request.whom,
            method: request.method.name(),
            url: readable(&url, stand_ins),
            headers,
            body: stood_for(&String::from_utf8_lossy(&whole.body), stand_ins),
        }
    }
}

const SIGN_IN: &str = "sign_in";

/// The connection's URL without what may be a secret: users, passwords, and paths as those of webhooks.
fn shown_url(peer: &Peer) -> String {
    if !peer.has_own_url() {
        return peer.url().to_owned();
    }
    let Some((scheme, rest)) = peer.url().split_once("://") else { return peer.url().to_owned() };
    let (host, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
    let host = host.rsplit_once('@').map_or_else(|| host.to_owned(), |(_, host)| format!("***@{host}"));
    format!("{scheme}://{host}{}", if path.trim_matches('/').is_empty() { "" } else { "/***" })
}

/// A URL in which masks and what stands for answers can be read; all else stays escaped.
fn readable(url: &str, stand_ins: &[(String, String)]) -> String {
    let mut url = url.replace("%2A", "*");
    for (text, meaning) in stand_ins {
        url = url.replace(text, meaning);
    }
    url
}

/// A body with what is read in the place of stand-ins. Those that are numbers in JSON become texts.
fn stood_for(body: &str, stand_ins: &[(String, String)]) -> String {
    let is_json = body.starts_with(['{', '[']);
    let mut body = if is_json { body.to_owned() } else { body.replace("%2A", "*") };
    for (text, meaning) in stand_ins {
        let mut out = String::with_capacity(body.len());
        let mut rest = body.as_str();
        while let Some(at) = rest.find(text.as_str()) {
            let (before, after) = (&rest[..at], &rest[at + text.len()..]);
            let is_number = before.ends_with([':', '[', ',']) && after.starts_with([',', ']', '}']);
            out.push_str(before);
            out.push_str(&if is_number { Json::from(meaning.as_str()).to_string() } else { meaning.clone() });
            rest = after;
        }
        out.push_str(rest);
        body = out;
    }
    body
}

impl ShownAnswer {
    /// Of an error the words are shown, scrubbed; of an answer that tells of rows its form alone.
    fn of(peer: &Peer, personal: &[String], answer: &Result<Response, NoAnswer>) -> Self {
        // A vendor may say which key it does not know, and whose row it refuses.
        let hidden = |text: String| {
            let said = peer.secret_values().chain(personal.iter().map(String::as_str)).filter(|said| !said.is_empty());
            said.fold(text, |text, said| text.replace(said, SECRET).replace(&said.to_lowercase(), SECRET))
        };
        match answer {
            Ok(response) => {
                let body = match serde_json::from_slice::<Json>(&response.body) {
                    Ok(body) if response.status < 400 => form_of(&body).to_string(),
                    Ok(body) => scrubbed_all(&body).to_string(),
                    Err(_) if response.body.is_empty() => String::new(),
                    Err(_) => scrubbed(&String::from_utf8_lossy(&response.body)),
                };
                Self::Answer(response.status, hidden(body))
            }
            Err(NoAnswer::NotSent(cause) | NoAnswer::Refused(cause) | NoAnswer::Lost(cause)) => {
                Self::None(hidden(scrubbed(cause)))
            }
            Err(NoAnswer::Rehearsed) => Self::None("it was not sent".to_owned()),
        }
    }
}

/// An answer without what it tells of people: texts are masked, counts and truth values stay.
fn form_of(value: &Json) -> Json {
    match value {
        Json::Bool(_) => value.clone(),
        Json::Number(number) if number.as_u64().is_some_and(|number| number < 1_000) => value.clone(),
        Json::Array(items) => Json::Array(items.iter().map(form_of).collect()),
        Json::Object(entries) => {
            Json::Object(entries.iter().map(|(name, value)| (name.clone(), form_of(value))).collect())
        }
        other => mask_all(other),
    }
}

fn scrubbed_all(value: &Json) -> Json {
    match value {
        Json::String(text) => Json::String(scrubbed(text)),
        Json::Array(items) => Json::Array(items.iter().map(scrubbed_all).collect()),
        Json::Object(entries) => {
            Json::Object(entries.iter().map(|(name, value)| (name.clone(), scrubbed_all(value))).collect())
        }
        other => other.clone(),
    }
}

/// A wire that sends nothing and keeps what would be sent.
pub struct Rehearsal<'a> {
    peer: &'a Peer,
    now: DateTime<Utc>,
    stand_ins: Vec<(String, String)>,
    requests: Vec<Shown>,
}

impl<'a> Rehearsal<'a> {
    /// Nothing was asked so far.
    #[must_use]
    pub fn new(peer: &'a Peer, now: DateTime<Utc>) -> Self {
        Self { peer, now, stand_ins: Vec::new(), requests: Vec::new() }
    }

    /// How one signs in before all else, where one does.
    pub fn sign_in(&mut self) {
        if let Ok(Some(mut request)) = sign_in(self.peer) {
            for (_, value) in request.headers.iter_mut().filter(|(name, _)| name == "authorization") {
                SECRET.clone_into(value);
            }
            self.requests.push(Shown::of(self.peer, &request, &[]));
        }
    }

    /// What would have been sent since this was last asked.
    pub fn take(&mut self) -> Vec<Shown> {
        std::mem::take(&mut self.requests)
    }
}

/// The first number that stands for an id that is not known: long enough to be nothing else, and a number to those who want one.
const FIRST_STAND_IN: u64 = 7_770_000_000_000_001;

impl Wire for Rehearsal<'_> {
    async fn send(&mut self, request: &Request) -> Result<Response, NoAnswer> {
        self.requests.push(Shown::of(self.peer, request, &self.stand_ins));
        Err(NoAnswer::Rehearsed)
    }

    async fn refresh(&mut self) -> Result<bool, Failure> {
        Ok(false)
    }

    async fn pause(&mut self, _: Duration) {}

    fn hold(&mut self, _: Duration) {}

    fn now(&self) -> DateTime<Utc> {
        self.now
    }

    fn is_cancelled(&self) -> bool {
        false
    }

    fn stand_in(&mut self, what: &str) -> String {
        let number = (FIRST_STAND_IN + self.stand_ins.len() as u64).to_string();
        self.stand_ins.push((number.clone(), format!("‹{what}›")));
        number
    }
}

/// A wire that keeps what goes over another one.
pub struct Watched<'a, W> {
    peer: &'a Peer,
    wire: W,
    /// Personal values that were sent: an answer may repeat them.
    personal: Vec<String>,
    /// What was asked, and what came back.
    pub exchanges: Vec<(Shown, ShownAnswer)>,
}

impl<'a, W> Watched<'a, W> {
    /// Watches a wire.
    pub fn new(peer: &'a Peer, wire: W, personal: Vec<String>) -> Self {
        Self { peer, wire, personal, exchanges: Vec::new() }
    }
}

impl<W: Wire> Wire for Watched<'_, W> {
    async fn send(&mut self, request: &Request) -> Result<Response, NoAnswer> {
        let answer = self.wire.send(request).await;
        self.exchanges.push((Shown::of(self.peer, request, &[]), ShownAnswer::of(self.peer, &self.personal, &answer)));
        answer
    }

    async fn refresh(&mut self) -> Result<bool, Failure> {
        self.wire.refresh().await
    }

    async fn pause(&mut self, how_long: Duration) {
        self.wire.pause(how_long).await;
    }

    fn hold(&mut self, how_long: Duration) {
        self.wire.hold(how_long);
    }

    fn now(&self) -> DateTime<Utc> {
        self.wire.now()
    }

    fn is_cancelled(&self) -> bool {
        self.wire.is_cancelled()
    }
}
