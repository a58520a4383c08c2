//! An account at an HTTP destination: one client, one sign-in and one quota for all syncs that ask it.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::Mutex;

use super::super::clock::Clock;
use super::quota::{Quota, Turn};
use crate::connector::{self, Grant, Method, NoAnswer, Peer, Request, Response, authorise, granted, sign_in, signs_in};
use crate::diag::Failure;

/// Bodies beyond this are cut: no answer about a batch is as long.
const LONGEST_ANSWER: usize = 32 << 20;

/// An account.
pub struct Account {
    /// The connection's name, for messages.
    pub(super) connection: String,
    pub(super) peer: Peer,
    client: reqwest::Client,
    quota: Quota,
    /// Quotas of operations and lookups, beside the account's.
    operations: BTreeMap<String, Quota>,
    /// What the last sign-in gave, or why it was refused: nobody tries the same again.
    grant: Mutex<Option<Result<Grant, NoAnswer>>>,
}

impl Account {
    /// An account that nothing was asked so far.
    pub fn new(connection: &str, peer: Peer) -> Result<Self, Failure> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("cohorte/", env!("CARGO_PKG_VERSION")))
            // What is sent goes to the connection's own host and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(15))
            .timeout(peer.connector.timeout)
            .build()
            .map_err(|error| {
                Failure::world("W602", format!("opening the connection `{connection}`"), error.without_url())
                    .help("the machine's certificates could not be read, or its TLS is not usable")
            })?;
        let quota = Quota::new(&peer.connector.quota);
        let concurrency = peer.connector.quota.concurrency;
        let operations = peer.connector.quotas().map(|(name, limits)| {
            let concurrency = limits.concurrency.or(concurrency);
            (name.to_owned(), Quota::new(&connector::Quota { concurrency, ..limits.clone() }))
        });
        let operations = operations.collect();
        Ok(Self { connection: connection.to_owned(), peer, client, quota, operations, grant: Mutex::new(None) })
    }

    /// Most requests at once.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.quota.concurrency()
    }

    pub(super) fn hold(&self, clock: &dyn Clock, how_long: Duration) {
        self.quota.hold(clock.now(), how_long);
    }

    /// Waits until the quota allows a request, signed in.
    pub(super) async fn ready(&self, request: &Request, clock: &dyn Clock) -> Result<Ready, NoAnswer> {
        let grant = self.granted(clock).await?;
        Ok(Ready { grant, turns: self.turns(request, clock).await })
    }

    /// Sends a request, with what says who sends it.
    pub(super) async fn send(&self, request: &Request, ready: Ready, clock: &dyn Clock) -> Result<Response, NoAnswer> {
        let mut request = request.clone();
        authorise(&self.peer, &mut request, ready.grant.as_ref(), clock.now()).map_err(NoAnswer::NotSent)?;
        self.exchange(&request).await
    }

    async fn turns(&self, request: &Request, clock: &dyn Clock) -> (Option<Turn>, Option<Turn>) {
        let own = match self.operations.get(&request.operation) {
            Some(quota) => quota.turn(clock).await,
            None => None,
        };
        (own, self.quota.turn(clock).await)
    }

    /// What a sign-in gave; signs in where nothing did, or where it is about to lapse.
    async fn granted(&self, clock: &dyn Clock) -> Result<Option<Grant>, NoAnswer> {
        if !signs_in(&self.peer) {
            return Ok(None);
        }
        let mut last = self.grant.lock().await;
        match last.as_ref() {
            Some(Ok(grant)) if grant.expires_at.is_none_or(|at| at > clock.now()) => return Ok(Some(grant.clone())),
            Some(Err(refused)) => return Err(refused.clone()),
            _ => *last = None,
        }
        let told = self.sign_in(clock).await;
        if !matches!(told, Err(NoAnswer::NotSent(_))) {
            *last = Some(told.clone());
        }
        told.map(Some)
    }

    /// Forgets what was refused, so that the next request signs in anew. False where there is nothing to sign in with. Of several
    /// that are refused at once, the first signs in for all.
    pub(super) async fn refresh(&self, refused: Option<&Grant>) -> bool {
        if !signs_in(&self.peer) {
            return false;
        }
        let mut last = self.grant.lock().await;
        if last.as_ref().is_some_and(|last| last.as_ref().ok() == refused) {
            *last = None;
        }
        true
    }

    /// The grant that requests go with now.
    pub(super) async fn current(&self) -> Option<Grant> {
        self.grant.lock().await.clone()?.ok()
    }

    async fn sign_in(&self, clock: &dyn Clock) -> Result<Grant, NoAnswer> {
        let request = sign_in(&self.peer).map_err(NoAnswer::NotSent)?;
        let request = request.ok_or_else(|| NoAnswer::NotSent("there is nothing to sign in with".to_owned()))?;
        let _turns = self.turns(&request, clock).await;
        match self.exchange(&request).await {
            Ok(response) => granted(&self.peer, &response, clock.now()),
            // A sign-in changes nothing: what waits for it was not sent.
            Err(NoAnswer::Lost(cause)) => Err(NoAnswer::NotSent(cause)),
            Err(other) => Err(other),
        }
    }

    async fn exchange(&self, request: &Request) -> Result<Response, NoAnswer> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.client.request(method, &request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if !request.body.is_empty() {
            builder = builder.body(request.body.clone());
        }
        let mut answer = builder.send().await.map_err(no_answer)?;
        let status = answer.status().as_u16();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(no_answer)? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST_ANSWER {
                return Err(NoAnswer::Lost("the answer does not end".to_owned()));
            }
        }
        Ok(Response { status, headers, body })
    }
}

/// What is said of an answer that did not come: never the URL, which may be a secret.
fn no_answer(error: reqwest::Error) -> NoAnswer {
    let not_sent = error.is_connect() || error.is_builder();
    let error = error.without_url();
    let mut cause = if error.is_timeout() { "there was no answer in time".to_owned() } else { error.to_string() };
    let mut inner = error.source();
    while let Some(error) = inner {
        let text = error.to_string();
        if !cause.contains(&text) {
            cause = format!("{cause}: {text}");
        }
        inner = error.source();
    }
    if not_sent { NoAnswer::NotSent(cause) } else { NoAnswer::Lost(cause) }
}

/// A request may go.
pub(super) struct Ready {
    grant: Option<Grant>,
    turns: (Option<Turn>, Option<Turn>),
}

impl Ready {
    /// How long the quota kept it waiting.
    pub(super) fn waited(&self) -> Duration {
        let waited = [&self.turns.0, &self.turns.1].into_iter().flatten().map(|turn| turn.waited);
        waited.sum::<TimeDelta>().to_std().unwrap_or_default()
    }
}

/// Accounts that are open: syncs on the same one share it.
#[derive(Default)]
pub struct Accounts {
    open: std::sync::Mutex<BTreeMap<String, Arc<Account>>>,
}

impl Accounts {
    /// The account of a connection: that of another connection with the same connector and account where there is one.
    pub fn of(&self, key: &str, open: impl FnOnce() -> Result<Account, Failure>) -> Result<Arc<Account>, Failure> {
        let mut accounts = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(account) = accounts.get(key) {
            return Ok(Arc::clone(account));
        }
        let account = Arc::new(open()?);
        accounts.insert(key.to_owned(), Arc::clone(&account));
        Ok(account)
    }
}
