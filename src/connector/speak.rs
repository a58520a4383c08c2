//! One request until it has an answer that settles it: throttled, tried again, signed in anew on the way.

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::answer::{Meaning, NoAnswer, Read, Response, wait};
use super::expression::{Broken, Scope};
use super::model::Rule;
use super::peer::Peer;
use super::request::Request;
use crate::diag::Failure;
use crate::spec::connector::Act;

/// Where requests go. The syncer's speaks HTTP; that of a connector's tests gives the answers that are written there.
pub trait Wire: Send {
    /// Sends a request, with what says who sends it, when the quota allows.
    fn send(&mut self, request: &Request) -> impl Future<Output = Result<Response, NoAnswer>> + Send;
    /// Signs in anew. False where there is nothing to sign in with but what was refused.
    fn refresh(&mut self) -> impl Future<Output = Result<bool, Failure>> + Send;
    /// Waits.
    fn pause(&mut self, how_long: Duration) -> impl Future<Output = ()> + Send;
    /// Nobody asks this account anything for so long.
    fn hold(&mut self, how_long: Duration);
    /// What time it is.
    fn now(&self) -> DateTime<Utc>;
    /// Was the end asked for? Then nothing is tried again.
    fn is_cancelled(&self) -> bool;
    /// Stands for what an answer would have told, where requests are only shown; `what` is what is read in its place.
    fn stand_in(&mut self, what: &str) -> String {
        what.to_owned()
    }
}

/// Why nothing more is asked.
pub(super) struct Stop {
    /// Why.
    pub(super) failure: Failure,
    /// May the request have been done all the same? An earlier attempt was not answered.
    pub(super) in_doubt: bool,
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        stop.failure
    }
}

/// What came of a request.
pub(super) enum Heard {
    /// An answer that is no error.
    Answer(Response),
    /// There was nothing to do.
    Ignored,
    /// The rows are at fault; one of them where `bisect`.
    Refused { code: String, message: String, bisect: bool },
    /// Certainly not done.
    NotDone { code: String, message: String },
    /// Nobody knows.
    Lost { code: String, message: String },
    /// It was only shown: all goes on as if it had been answered well.
    Rehearsed,
}

/// How hard one request is tried.
const ATTEMPTS: u32 = 5;
/// How long one request waits for a throttling account, all waits together.
const PATIENCE: Duration = Duration::from_mins(15);
/// Pauses double from here, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

fn backoff(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << attempt.min(8)).min(LONGEST_PAUSE)
}

/// How a request may be treated.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// May it be sent again when nobody knows whether it was done?
    pub(super) harmless: bool,
    /// Is an answer that is no JSON no answer?
    pub(super) wants_json: bool,
}

impl Manner {
    /// Of a request that changes nothing.
    pub(super) const ASKING: Self = Self { harmless: true, wants_json: true };
}

/// Sends one request until it is settled.
pub(super) async fn speak<W: Wire>(
    peer: &Peer,
    wire: &mut W,
    request: &Request,
    rules: &[&[Rule]],
    scope: &Scope<'_>,
    Manner { harmless, wants_json }: Manner,
) -> Result<Heard, Stop> {
    let mut attempt = 0;
    // Once an attempt was not answered, no later one says that nothing was done.
    let mut in_doubt = false;
    let not_done = |in_doubt: bool, code: String, message: String| {
        if in_doubt { Heard::Lost { code, message } } else { Heard::NotDone { code, message } }
    };
    let mut waited = Duration::ZERO;
    let mut has_refreshed = false;
    loop {
        let response = match wire.send(request).await {
            Ok(response) => response,
            Err(NoAnswer::Rehearsed) => return Ok(Heard::Rehearsed),
            Err(NoAnswer::NotSent(cause)) => {
                attempt += 1;
                if attempt >= ATTEMPTS || wire.is_cancelled() {
                    return Ok(not_done(in_doubt, "unreachable".to_owned(), cause));
                }
                wire.pause(backoff(attempt - 1)).await;
                continue;
            }
            Err(NoAnswer::Refused(cause)) => {
                return Err(Stop { failure: refused(peer, request, &cause), in_doubt });
            }
            Err(NoAnswer::Lost(cause)) => {
                in_doubt = true;
                attempt += 1;
                if !harmless || attempt >= ATTEMPTS || wire.is_cancelled() {
                    return Ok(Heard::Lost { code: "no_answer".to_owned(), message: cause });
                }
                wire.pause(backoff(attempt - 1)).await;
                continue;
            }
        };
        let read = Read::new(&response);
        let meaning = read
            .meaning(rules, scope)
            .map_err(|broken| Stop { failure: unreadable(peer, request, &broken), in_doubt: true })?;
        let Some(Meaning { act, code, message }) = meaning else {
            // A page of HTML where JSON belongs says nothing about the rows: it may come from something on the way.
            if wants_json && !read.is_json || is_page(&response) {
                in_doubt = true;
                attempt += 1;
                if !harmless || attempt >= ATTEMPTS || wire.is_cancelled() {
                    let message =
                        if wants_json { "the answer is no JSON" } else { "the answer is a page of HTML" }.to_owned();
                    return Ok(Heard::Lost { code: "unreadable_answer".to_owned(), message });
                }
                wire.pause(backoff(attempt - 1)).await;
                continue;
            }
            return Ok(Heard::Answer(response));
        };
        match act {
            Act::Throttle => {
                attempt += 1;
                let told = wait(&response, &peer.connector.quota, wire.now());
                let pause = told.unwrap_or_else(|| backoff(attempt)).max(Duration::from_millis(50));
                waited += pause;
                if wire.is_cancelled() {
                    return Ok(not_done(in_doubt, code, message));
                }
                if waited > PATIENCE {
                    return Err(Stop { failure: throttled(peer, request, &message), in_doubt });
                }
                wire.hold(pause);
                wire.pause(pause).await;
            }
            Act::Retry => {
                in_doubt = true;
                attempt += 1;
                if !harmless || attempt >= ATTEMPTS || wire.is_cancelled() {
                    return Ok(Heard::Lost { code, message });
                }
                let told = wait(&response, &peer.connector.quota, wire.now());
                wire.pause(told.unwrap_or_else(|| backoff(attempt - 1)).min(PATIENCE)).await;
            }
            Act::RefreshAuth => {
                let stop = |failure| Stop { failure, in_doubt };
                if has_refreshed || !wire.refresh().await.map_err(stop)? {
                    return Err(stop(refused(peer, request, &message)));
                }
                has_refreshed = true;
            }
            Act::Bisect => return Ok(Heard::Refused { code, message, bisect: true }),
            Act::Reject => return Ok(Heard::Refused { code, message, bisect: false }),
            Act::Ignore => return Ok(Heard::Ignored),
            Act::Stop => return Err(Stop { failure: stopped(peer, request, &message), in_doubt }),
        }
    }
}

fn doing(peer: &Peer, request: &Request) -> String {
    format!("asking `{}` ({})", peer.connector.name, request.operation)
}

fn refused(peer: &Peer, request: &Request, message: &str) -> Failure {
    Failure::world(
        "W608",
        doing(peer, request),
        format!("the credentials were refused: {}", super::outcome::scrubbed(message)),
    )
    .help("make new ones at the vendor, and set the environment variables that the connection's `auth` names")
}

fn throttled(peer: &Peer, request: &Request, message: &str) -> Failure {
    let minutes = PATIENCE.as_secs() / 60;
    let cause =
        format!("the account is throttled for more than {minutes} minutes: {}", super::outcome::scrubbed(message));
    Failure::world("W613", doing(peer, request), cause).help(
        "what was not sent stays due: run again later, or less at once; the vendor says how much an account may ask",
    )
}

fn stopped(peer: &Peer, request: &Request, message: &str) -> Failure {
    Failure::world("W609", doing(peer, request), super::outcome::scrubbed(message))
        .help("nothing more was sent; what was not sent stays due. Mend it at the vendor or in warehouse.yaml, then sync again")
}

fn unreadable(peer: &Peer, request: &Request, broken: &Broken) -> Failure {
    Failure::world(
        "W609",
        doing(peer, request),
        format!("a rule of the connector does not fit the answer: {}", broken.cause),
    )
    .help("mend the connector's file; `cohorte connector check` runs its tests")
}

/// Is it a page for people? A receiver that says nothing but "received" says it in a word or not at all.
fn is_page(response: &Response) -> bool {
    let start: Vec<u8> = response.body.iter().skip_while(|byte| byte.is_ascii_whitespace()).take(9).copied().collect();
    let start = start.to_ascii_lowercase();
    start.starts_with(b"<html") || start.starts_with(b"<!doctype")
}
