//! A wire that speaks HTTP from a test and never waits: connectors against the servers of this folder, without the syncer.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cohorte::connector::{
    Connector, Deed, Delivery, Grant, NoAnswer, Outcome, Peer, Request, Response, Row, SHIPPED, Said, What, Wire,
    authorise, deliver, find_audience, granted, make_audience, read, sign_in, signs_in,
};
use cohorte::diag::{Failure, Findings};
use cohorte::text::Files;
use serde_json::{Map, Value};

use super::http::exchange;

/// A connector that ships.
pub(crate) fn connector(name: &str) -> Arc<Connector> {
    let (_, text) = SHIPPED.iter().find(|(known, _)| *known == name).unwrap();
    let mut files = Files::default();
    let file = files.add(format!("connectors/{name}.yaml"), (*text).to_owned());
    Arc::new(read(&files, file, &mut Findings::default()).unwrap())
}

/// An account at a server that takes any secret.
pub(crate) fn peer(name: &str, url: String, settings: &[(&str, &str)]) -> Peer {
    peer_with(name, url, settings, "a-secret")
}

/// An account at a server.
pub(crate) fn peer_with(name: &str, url: String, settings: &[(&str, &str)], secret: &str) -> Peer {
    let connector = connector(name);
    let said = Said {
        settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        secrets: connector.secrets.iter().map(|one| (one.name.clone(), secret.to_owned())).collect(),
        url: Some(url),
        account: None,
    };
    Peer::new(connector, &said).unwrap()
}

/// A row with an address as its key.
pub(crate) fn row(email: &str, fields: &Value) -> Row {
    let mut row = Row::default();
    row.key = Map::from_iter([("email".to_owned(), Value::from(email))]);
    row.fields = fields.as_object().cloned().unwrap_or_default();
    row
}

/// Requests go out at once, pauses only move the clock.
pub(crate) struct Straight<'a> {
    peer: &'a Peer,
    grant: Option<Grant>,
    now: DateTime<Utc>,
}

impl<'a> Straight<'a> {
    pub(crate) fn new(peer: &'a Peer) -> Self {
        Self { peer, grant: None, now: DateTime::from_timestamp(1_767_225_600, 0).unwrap() }
    }

    fn signed_in(&mut self) -> Result<(), NoAnswer> {
        if !signs_in(self.peer) || self.grant.is_some() {
            return Ok(());
        }
        let request = sign_in(self.peer).map_err(NoAnswer::NotSent)?.unwrap();
        let response = said(&request).map_err(|_| NoAnswer::NotSent("the sign-in was not answered".to_owned()))?;
        self.grant = Some(granted(self.peer, &response, self.now)?);
        Ok(())
    }
}

fn said(request: &Request) -> Result<Response, NoAnswer> {
    match exchange(request.method.name(), &request.url, &request.headers, &request.body) {
        Ok(reply) => Ok(Response { status: reply.status, headers: reply.headers, body: reply.body }),
        Err((false, error)) => Err(NoAnswer::NotSent(error.to_string())),
        Err((true, error)) => Err(NoAnswer::Lost(error.to_string())),
    }
}

impl Wire for Straight<'_> {
    async fn send(&mut self, request: &Request) -> Result<Response, NoAnswer> {
        self.signed_in()?;
        let mut request = request.clone();
        authorise(self.peer, &mut request, self.grant.as_ref(), self.now).map_err(NoAnswer::NotSent)?;
        said(&request)
    }

    async fn refresh(&mut self) -> Result<bool, Failure> {
        self.grant = None;
        Ok(signs_in(self.peer))
    }

    async fn pause(&mut self, how_long: Duration) {
        self.now += TimeDelta::from_std(how_long).unwrap();
    }

    fn hold(&mut self, _: Duration) {}

    fn now(&self) -> DateTime<Utc> {
        self.now
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// What is to be done with rows at an account.
pub(crate) struct Task<'a> {
    pub(crate) peer: &'a Peer,
    pub(crate) what: What<'a>,
    pub(crate) deed: Deed,
    pub(crate) audience: Option<&'a str>,
}

impl Task<'_> {
    /// Delivers rows three at a time until every one is settled, as syncs do one after the other. `taken` looks whether the server really has
    /// what a row says it took.
    pub(crate) async fn settle(&self, rows: &[Row], taken: impl Fn(&Row) -> bool) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; rows.len()];
        for round in 0..60 {
            let due: Vec<usize> = (0..rows.len()).filter(|&row| outcomes[row].is_none()).collect();
            if due.is_empty() {
                break;
            }
            for part in due.chunks(3) {
                let mut wire = Straight::new(self.peer);
                let audience = match (self.what, self.audience) {
                    (What::Audience(audience), Some(name)) => {
                        // A failure ends this sync; the next begins anew.
                        let Ok(found) = find_audience(self.peer, audience, name, &mut wire).await else { continue };
                        let id = match found {
                            None if self.deed == Deed::Put => {
                                let Ok(id) = make_audience(self.peer, audience, name, &mut wire).await else {
                                    continue;
                                };
                                Some(id)
                            }
                            found => found,
                        };
                        Some((name.to_owned(), id))
                    }
                    _ => None,
                };
                let batch_id = format!("{round}");
                let delivery = Delivery {
                    peer: self.peer,
                    what: self.what,
                    deed: self.deed,
                    may_create: true,
                    may_update: true,
                    audience,
                    batch_id: &batch_id,
                    personal: None,
                };
                let sent = part.iter().map(|&row| rows[row].clone()).collect();
                let (told, _) = deliver(&delivery, sent, &mut wire).await;
                for (&row, outcome) in part.iter().zip(told) {
                    match outcome {
                        Outcome::Accepted { .. } => {
                            assert!(taken(&rows[row]), "called delivered, and not there: {:?}", rows[row].key);
                            outcomes[row] = Some(outcome);
                        }
                        Outcome::Unchanged | Outcome::Rejected { .. } => outcomes[row] = Some(outcome),
                        Outcome::Retry { .. } | Outcome::Unknown { .. } | Outcome::NotSent => {}
                    }
                }
            }
        }
        outcomes.into_iter().map(|outcome| outcome.expect("every row is settled in sixty rounds")).collect()
    }
}
