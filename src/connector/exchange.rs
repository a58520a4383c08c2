//! Rows to outcomes: which operations they need, in which requests, and what the answers say. No clock, no network: both are the wire's.

use std::collections::VecDeque;

use serde_json::{Value as Json, json};

use super::answer::{Read, Response};
use super::lookup::find_ids;
use super::model::{Audience, Columns, Consent, Erase, Job, Limits, Lookup, Object, Operation, ResultKind};
use super::outcome::Outcome;
use super::peer::Peer;
use super::request::Request;
use super::results::outcomes;
use super::rows::{Row, normalise};
use super::speak::{Heard, Manner, Wire, speak};
use super::template::{Broken, Scope};
use crate::diag::Failure;
use crate::spec::connector::OnMiss;

/// What rows are at the destination.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// Rows of an object.
    Object(&'a Object),
    /// Members of an audience.
    Audience(&'a Audience),
    /// Consents.
    Consent(&'a Consent),
    /// People who are erased.
    Erase(&'a Erase),
}

impl What<'_> {
    /// What its rows may have.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        match self {
            Self::Object(object) => &object.columns,
            Self::Audience(audience) => &audience.columns,
            Self::Consent(consent) => &consent.columns,
            Self::Erase(erase) => &erase.columns,
        }
    }
}

/// What is done with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// The destination is to have the row: a consent is granted, a person erased.
    Put,
    /// The row is to go: a consent is taken back.
    Take,
}

/// A batch on its way.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// Whose account it is.
    pub peer: &'a Peer,
    /// What the rows are there.
    pub what: What<'a>,
    /// What is done with them.
    pub deed: Deed,
    /// May rows be made?
    pub may_create: bool,
    /// May rows be changed?
    pub may_update: bool,
    /// Name and id of the audience, where it is one.
    pub audience: Option<(String, String)>,
    /// Stable across a resend of the same rows.
    pub batch_id: &'a str,
}

/// Delivers rows: one outcome per row, in order, and why nothing more can be sent, where that came out. Rows that were not sent by then
/// are worth another attempt.
pub async fn deliver<W: Wire>(
    delivery: &Delivery<'_>,
    mut rows: Vec<Row>,
    wire: &mut W,
) -> (Vec<Outcome>, Option<Failure>) {
    let leaves = delivery.deed == Deed::Take || matches!(delivery.what, What::Erase(_));
    let outcomes = normalise(delivery.what.columns(), &mut rows, leaves && !matches!(delivery.what, What::Consent(_)));
    let audience = delivery.audience.as_ref().map_or(Json::Null, |(name, id)| json!({"name": name, "id": id}));
    let mut exchange = Exchange { delivery, wire, rows, outcomes, audience };
    let pending = exchange.pending();
    let stop = exchange.run(pending).await.err();
    let not_sent = || Outcome::retry("stopped", "the sync stopped before this row");
    (exchange.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(not_sent)).collect(), stop)
}

pub(super) struct Exchange<'a, W> {
    pub(super) delivery: &'a Delivery<'a>,
    pub(super) wire: &'a mut W,
    pub(super) rows: Vec<Row>,
    pub(super) outcomes: Vec<Option<Outcome>>,
    audience: Json,
}

impl<W: Wire> Exchange<'_, W> {
    /// Rows without an outcome so far.
    fn pending(&self) -> Vec<usize> {
        (0..self.rows.len()).filter(|&row| self.outcomes[row].is_none()).collect()
    }

    pub(super) fn settle(&mut self, rows: &[usize], outcome: &Outcome) {
        for &row in rows {
            self.outcomes[row] = Some(outcome.clone());
        }
    }

    async fn run(&mut self, pending: Vec<usize>) -> Result<(), Failure> {
        let delivery = self.delivery;
        match (delivery.what, delivery.deed) {
            (What::Object(object), Deed::Put) => self.put(object, pending).await,
            (What::Object(object), Deed::Take) => match &object.delete {
                Some(delete) => self.take(delete, object.lookup.as_ref(), pending).await,
                None => {
                    self.settle(&pending, &Outcome::rejected("no_delete", "the destination cannot delete such rows"));
                    Ok(())
                }
            },
            (What::Audience(audience), Deed::Put) => {
                let object = audience.of.map(|place| &delivery.peer.connector.objects[place]);
                let pending = match object {
                    Some(object) if audience.add.needs_id => self.with_ids(object, pending).await?,
                    _ => pending,
                };
                self.send(&audience.add, pending).await
            }
            (What::Audience(audience), Deed::Take) => {
                let object = audience.of.map(|place| &delivery.peer.connector.objects[place]);
                self.take(&audience.remove, object.and_then(|object| object.lookup.as_ref()), pending).await
            }
            (What::Consent(consent), Deed::Put) => self.send(&consent.grant, pending).await,
            (What::Consent(consent), Deed::Take) => self.send(&consent.revoke, pending).await,
            (What::Erase(erase), _) => self.send(&erase.operation, pending).await,
        }
    }

    /// Makes and changes rows of an object, by one operation where the destination has one for both, else by looking first.
    async fn put(&mut self, object: &Object, pending: Vec<usize>) -> Result<(), Failure> {
        let (may_create, may_update) = (self.delivery.may_create, self.delivery.may_update);
        if let Some(upsert) = object.upsert.as_ref().filter(|upsert| may_create && may_update && !upsert.needs_id) {
            return self.send(upsert, pending).await;
        }
        if !may_create && let Some(update) = object.update.as_ref().filter(|update| !update.needs_id) {
            return self.send(update, pending).await;
        }
        let Some(lookup) = &object.lookup else {
            let only =
                if may_update { object.update.as_ref().or(object.upsert.as_ref()) } else { object.create.as_ref() };
            return match only.filter(|operation| !operation.needs_id) {
                Some(operation) => self.send(operation, pending).await,
                None => {
                    self.settle(
                        &pending,
                        &Outcome::rejected("no_operation", "the destination has no operation for this mode"),
                    );
                    Ok(())
                }
            };
        };
        let misses = find_ids(self, lookup, pending.clone()).await?;
        let found: Vec<usize> =
            pending.into_iter().filter(|&row| self.outcomes[row].is_none() && !misses.contains(&row)).collect();
        match object.update.as_ref().or(object.upsert.as_ref()) {
            Some(update) if may_update => self.send(update, found).await?,
            _ => self.settle(&found, &Outcome::Unchanged),
        }
        let create = object.create.as_ref().or(object.upsert.as_ref());
        match (create, lookup.on_miss) {
            (Some(create), OnMiss::Create) if may_create => {
                self.send(create, misses.clone()).await?;
                self.read_back(lookup, &misses).await
            }
            (_, OnMiss::Reject) if may_create => {
                self.settle(&misses, &Outcome::rejected("not_found", "the destination does not have this row"));
                Ok(())
            }
            _ => {
                self.settle(&misses, &Outcome::Unchanged);
                Ok(())
            }
        }
    }

    /// Rows that nobody knows were made: are they there now?
    async fn read_back(&mut self, lookup: &Lookup, made: &[usize]) -> Result<(), Failure> {
        let lost: Vec<usize> =
            made.iter().copied().filter(|&row| matches!(self.outcomes[row], Some(Outcome::Unknown { .. }))).collect();
        if lost.is_empty() || self.wire.is_cancelled() {
            return Ok(());
        }
        let before: Vec<Option<Outcome>> = lost.iter().map(|&row| self.outcomes[row].take()).collect();
        self.wire.pause(std::time::Duration::from_secs(2)).await;
        let misses = find_ids(self, lookup, lost.clone()).await?;
        for (row, before) in lost.into_iter().zip(before) {
            self.outcomes[row] = match self.outcomes[row].take() {
                // The lookup itself came to nothing: it is as unknown as before.
                Some(_) => before,
                None if misses.contains(&row) => {
                    Some(Outcome::retry("not_made", "the answer was lost, and the row is not there"))
                }
                None => Some(Outcome::Accepted { destination_id: self.rows[row].id.clone() }),
            };
        }
        Ok(())
    }

    /// Members by the destination's id: found, or made first.
    async fn with_ids(&mut self, object: &Object, pending: Vec<usize>) -> Result<Vec<usize>, Failure> {
        let Some(lookup) = &object.lookup else { return Ok(pending) };
        let misses = find_ids(self, lookup, pending.clone()).await?;
        let create = object.create.as_ref().or(object.upsert.as_ref());
        match (create, lookup.on_miss) {
            (Some(create), OnMiss::Create) if self.delivery.may_create && !misses.is_empty() => {
                self.send(create, misses.clone()).await?;
                self.read_back(lookup, &misses).await?;
                let mut nameless = Vec::new();
                for row in misses {
                    match self.outcomes[row].clone() {
                        // It is a member when it was added, not when it was made.
                        Some(Outcome::Accepted { destination_id }) => {
                            self.outcomes[row] = None;
                            self.rows[row].id = destination_id;
                            if self.rows[row].id.is_none() {
                                nameless.push(row);
                            }
                        }
                        Some(Outcome::Unchanged) => {
                            self.outcomes[row] = None;
                            nameless.push(row);
                        }
                        _ => {}
                    }
                }
                let gone = find_ids(self, lookup, nameless).await?;
                self.settle(&gone, &Outcome::retry("not_found_yet", "the row was made, and is not found yet"));
            }
            (_, OnMiss::Skip) => self.settle(&misses, &Outcome::Unchanged),
            _ => self.settle(&misses, &Outcome::rejected("not_found", "the destination does not have this row")),
        }
        Ok(pending.into_iter().filter(|&row| self.outcomes[row].is_none()).collect())
    }

    /// Removes; what is not there is gone already.
    async fn take(
        &mut self,
        operation: &Operation,
        lookup: Option<&Lookup>,
        pending: Vec<usize>,
    ) -> Result<(), Failure> {
        let mut there = pending;
        if operation.needs_id
            && let Some(lookup) = lookup
        {
            let misses = find_ids(self, lookup, there.clone()).await?;
            self.settle(&misses, &Outcome::Unchanged);
            there.retain(|&row| self.outcomes[row].is_none());
        }
        self.send(operation, there).await
    }

    /// Sends rows by one operation, in as many requests as its limits want.
    async fn send(&mut self, operation: &Operation, pending: Vec<usize>) -> Result<(), Failure> {
        let (pending, written) = self.write(operation.row.as_ref(), &operation.limits, pending);
        let mut waiting: VecDeque<Vec<usize>> = cut(&operation.limits, pending, &written).into();
        while let Some(part) = waiting.pop_front() {
            let rows: Vec<Vec<u8>> = part.iter().map(|&row| written[row].clone().unwrap_or_default()).collect();
            let id = self.part_id(operation, &part);
            let batch = json!({"id": id, "size": part.len()});
            let row = if part.len() == 1 { self.rows[part[0]].scope() } else { Json::Null };
            let key_name = Json::from(self.rows[part[0]].key_name());
            let peer = self.delivery.peer;
            let settings = Scope::of("settings", &peer.settings);
            let known = self.audience.clone();
            let audience = settings.with("audience", &known);
            let batch = audience.with("batch", &batch);
            let key_name = batch.with("key_name", &key_name);
            let scope = key_name.with("row", &row);
            let mut request = match Request::build(peer, &operation.name, &operation.request, &scope, &rows) {
                Ok(request) => request,
                Err(broken) => {
                    let refused = Heard::Refused { code: "template".to_owned(), message: broken.cause, bisect: true };
                    self.hear(operation, refused, part, &mut waiting, &scope).await?;
                    continue;
                }
            };
            if let Some(header) = &operation.idempotency_key {
                request.headers.push((header.to_lowercase(), id.clone()));
            }
            request.id = id;
            let rules = [operation.rules.as_slice(), peer.connector.rules.as_slice()];
            let manner = Manner {
                harmless: operation.idempotent,
                wants_json: !matches!(operation.result, ResultKind::Received),
            };
            let heard = speak(peer, self.wire, &request, &rules, &scope, manner).await?;
            self.hear(operation, heard, part, &mut waiting, &scope).await?;
        }
        Ok(())
    }

    /// The same for the same rows of the same batch, so that the vendor knows a resend.
    fn part_id(&self, operation: &Operation, part: &[usize]) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.delivery.batch_id.as_bytes());
        hasher.update(operation.name.as_bytes());
        for &row in part {
            hasher.update(&(row as u64).to_le_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    async fn hear(
        &mut self,
        operation: &Operation,
        heard: Heard,
        part: Vec<usize>,
        waiting: &mut VecDeque<Vec<usize>>,
        scope: &Scope<'_>,
    ) -> Result<(), Failure> {
        match heard {
            Heard::Answer(response) => {
                let told = match &operation.result {
                    ResultKind::Job(job) => self.follow(operation, job, &response, &part, scope).await?,
                    result => self.told(result, &response, &part, scope),
                };
                for (&row, outcome) in part.iter().zip(told) {
                    self.outcomes[row] = Some(outcome);
                }
            }
            Heard::Ignored => self.settle(&part, &Outcome::Unchanged),
            Heard::Refused { bisect: true, .. } if part.len() > 1 => {
                let mut first = part;
                let second = first.split_off(first.len() / 2);
                waiting.push_front(second);
                waiting.push_front(first);
            }
            Heard::Refused { code, message, .. } => self.settle(&part, &Outcome::rejected(code, message)),
            Heard::NotDone { code, message } => self.settle(&part, &Outcome::retry(code, message)),
            Heard::Lost { code, message } => self.settle(&part, &Outcome::unknown(code, message)),
        }
        Ok(())
    }

    fn told(&self, result: &ResultKind, response: &Response, part: &[usize], scope: &Scope<'_>) -> Vec<Outcome> {
        let rows: Vec<&Row> = part.iter().map(|&row| &self.rows[row]).collect();
        outcomes(result, response, &rows, scope).unwrap_or_else(|Broken { cause }| {
            vec![
                Outcome::unknown("unreadable_answer", format!("the answer does not fit the connector: {cause}"));
                part.len()
            ]
        })
    }

    /// Waits for a job's end, and asks what became of its rows.
    async fn follow(
        &mut self,
        operation: &Operation,
        job: &Job,
        begun: &Response,
        part: &[usize],
        scope: &Scope<'_>,
    ) -> Result<Vec<Outcome>, Failure> {
        let all = |outcome: Outcome| Ok(vec![outcome; part.len()]);
        let id = Read::new(begun).scoped(scope, |scope| job.id.value(scope));
        let Some(id) = id.ok().flatten().filter(|id| !id.is_null()) else {
            return all(Outcome::unknown("no_job", "the answer names no job"));
        };
        let scope = &scope.with("job", &id);
        let peer = self.delivery.peer;
        let rules = [operation.rules.as_slice(), peer.connector.rules.as_slice()];
        let name = format!("{}.poll", operation.name);
        let built = |request: &super::model::Request| Request::build(peer, &name, request, scope, &[]);
        let unreadable = |broken: Broken| Outcome::unknown("unreadable_answer", broken.cause);
        let poll = match built(&job.poll) {
            Ok(poll) => poll,
            Err(broken) => return all(unreadable(broken)),
        };
        let mut waited = std::time::Duration::ZERO;
        let ended = loop {
            if waited >= job.within || self.wire.is_cancelled() {
                return all(Outcome::unknown(
                    "job_unfinished",
                    "the destination has not finished its work on these rows",
                ));
            }
            self.wire.pause(job.every).await;
            waited += job.every;
            let response = match speak(peer, self.wire, &poll, &rules, scope, Manner::ASKING).await? {
                Heard::Answer(response) => response,
                Heard::Ignored => continue,
                Heard::Refused { code, message, .. }
                | Heard::NotDone { code, message }
                | Heard::Lost { code, message } => {
                    return all(Outcome::unknown(code, message));
                }
            };
            let read = Read::new(&response);
            let failed =
                read.scoped(scope, |scope| job.failed.as_ref().map_or(Ok(false), |failed| failed.holds(scope)));
            let done = read.scoped(scope, |scope| job.done.holds(scope));
            match (failed, done) {
                (Err(broken), _) | (_, Err(broken)) => return all(unreadable(broken)),
                (Ok(true), _) => {
                    return all(Outcome::retry("job_failed", "the destination's work on these rows failed as a whole"));
                }
                (_, Ok(true)) => break response,
                _ => {}
            }
        };
        let Some(rows) = &job.rows else { return Ok(self.told(&job.result, &ended, part, scope)) };
        let request = match built(rows) {
            Ok(request) => request,
            Err(broken) => return all(unreadable(broken)),
        };
        match speak(peer, self.wire, &request, &rules, scope, Manner::ASKING).await? {
            Heard::Answer(response) => Ok(self.told(&job.result, &response, part, scope)),
            Heard::Ignored => all(Outcome::accepted()),
            Heard::Refused { code, message, .. } | Heard::NotDone { code, message } | Heard::Lost { code, message } => {
                all(Outcome::unknown(code, message))
            }
        }
    }

    /// What rows become in a request; those that cannot be written, or are too large alone, are rejected.
    pub(super) fn write(
        &mut self,
        tree: Option<&super::template::Tree>,
        limits: &Limits,
        mut pending: Vec<usize>,
    ) -> (Vec<usize>, Vec<Option<Vec<u8>>>) {
        let mut written: Vec<Option<Vec<u8>>> = vec![None; self.rows.len()];
        let Some(tree) = tree else { return (pending, written) };
        let settings = Scope::of("settings", &self.delivery.peer.settings);
        let known = self.audience.clone();
        let audience = settings.with("audience", &known);
        for &row in &pending {
            let scoped = self.rows[row].scope();
            let mut bytes = Vec::new();
            let outcome = match tree.write(&audience.with("row", &scoped), &[], &mut bytes) {
                Ok(true) if limits.row_bytes.is_some_and(|most| bytes.len() > most) => {
                    let most = limits.row_bytes.unwrap_or_default();
                    Some(Outcome::rejected(
                        "too_large",
                        format!("the row has {} bytes, the destination takes {most}", bytes.len()),
                    ))
                }
                Ok(true) => {
                    written[row] = Some(bytes);
                    None
                }
                Ok(false) => Some(Outcome::rejected("template", "nothing is left of the row")),
                Err(broken) => Some(Outcome::rejected("template", broken.cause)),
            };
            if outcome.is_some() {
                self.outcomes[row] = outcome;
            }
        }
        pending.retain(|&row| self.outcomes[row].is_none());
        (pending, written)
    }
}

/// Parts within the limits. The envelope of a body is taken as 1 KB.
pub(super) fn cut(limits: &Limits, pending: Vec<usize>, written: &[Option<Vec<u8>>]) -> Vec<Vec<usize>> {
    const ENVELOPE: usize = 1_000;
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for row in pending {
        let size = written[row].as_ref().map_or(0, |bytes| bytes.len() + 1);
        let fits = |part: &Vec<usize>| {
            part.len() < limits.rows && limits.bytes.is_none_or(|most| bytes + size + ENVELOPE <= most)
        };
        match parts.last_mut().filter(|part| fits(part)) {
            Some(part) => {
                part.push(row);
                bytes += size;
            }
            None => {
                parts.push(vec![row]);
                bytes = size;
            }
        }
    }
    parts
}
