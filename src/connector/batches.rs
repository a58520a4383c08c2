//! Rows in requests: within the limits of the operation, halved where one of them is at fault.

use std::collections::VecDeque;

use serde_json::{Value as Json, json};

use super::answer::Response;
use super::exchange::Exchange;
use super::expression::{Broken, Scope};
use super::job::UNFINISHED;
use super::model::{Limits, Operation, ResultKind};
use super::outcome::Outcome;
use super::request::Request;
use super::results::outcomes;
use super::rows::Row;
use super::speak::{Heard, Manner, Stop, Wire, speak};
use super::template::Tree;
use crate::diag::Failure;

impl<W: Wire> Exchange<'_, W> {
    /// Sends rows by one operation, in as many requests as its limits want.
    pub(super) async fn send(&mut self, operation: &Operation, pending: Vec<usize>) -> Result<(), Failure> {
        let (mut pending, written) = self.write(operation.row.as_ref(), &operation.limits, pending);
        // Rows of one request are known by the same column: many vendors want it so, and `key_name` is one for a request.
        pending.sort_by(|left, right| self.rows[*left].key_name().cmp(self.rows[*right].key_name()));
        let by_key = pending.chunk_by(|left, right| self.rows[*left].key_name() == self.rows[*right].key_name());
        let mut waiting: VecDeque<Vec<usize>> =
            by_key.flat_map(|rows| cut(&operation.limits, rows.to_vec(), &written)).collect();
        while let Some(part) = waiting.pop_front() {
            let rows: Vec<Vec<u8>> = part.iter().map(|&row| written[row].clone().unwrap_or_default()).collect();
            let id = self.part_id(operation, &part);
            let batch = json!({"id": id, "size": part.len()});
            let row = if part.len() == 1 { self.rows[part[0]].scoped(Json::clone) } else { Json::Null };
            let key_name = Json::from(self.rows[part[0]].key_name());
            let peer = self.delivery.peer;
            let settings = Scope::of("settings", &peer.settings);
            let known = self.audience.clone();
            let audience = settings.with("audience", &known);
            let batch = audience.with("batch", &batch);
            let key_name = batch.with("key_name", &key_name);
            let scope = key_name.with("row", &row);
            let rules = [operation.rules.as_slice(), peer.connector.rules.as_slice()];
            let manner = Manner {
                harmless: operation.idempotent,
                wants_json: !matches!(operation.result, ResultKind::Received),
            };
            let requests = match &operation.before {
                Some(before) => vec![before, &operation.request],
                None => vec![&operation.request],
            };
            for (step, model) in requests.iter().enumerate() {
                let masked = self.masked(&part, operation.row.as_ref(), &key_name, |scope, rows| {
                    Request::build(peer, &operation.name, model, scope, rows)
                });
                let heard = match Request::build(peer, &operation.name, model, &scope, &rows) {
                    Ok(mut request) => {
                        request.masked = masked;
                        request.whom = self.whom;
                        if let Some(header) = &operation.idempotency_key {
                            if let Some(masked) = request.masked.as_deref_mut() {
                                masked.headers.push((header.to_lowercase(), id.clone()));
                            }
                            request.headers.push((header.to_lowercase(), id.clone()));
                        }
                        request.id.clone_from(&id);
                        match speak(peer, self.wire, &request, &rules, &scope, manner).await {
                            Ok(heard) => heard,
                            Err(Stop { failure, in_doubt }) => {
                                if in_doubt {
                                    self.settle(&part, &Outcome::unknown(failure.code, &failure.cause));
                                }
                                return Err(failure);
                            }
                        }
                    }
                    Err(broken) => Heard::Refused { code: "template".to_owned(), message: broken.cause, bisect: true },
                };
                if step + 1 == requests.len() || !matches!(heard, Heard::Answer(_) | Heard::Rehearsed) {
                    self.hear(operation, heard, part, &mut waiting, &scope).await?;
                    break;
                }
            }
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
                    ResultKind::Job(job) => {
                        // The work goes on there, whether or not it can be asked about.
                        self.settle(&part, &Outcome::unknown("job_unfinished", UNFINISHED));
                        self.follow(operation, job, &response, &part, scope).await?
                    }
                    result => self.told(result, &[response], &part, scope),
                };
                for (&row, outcome) in part.iter().zip(told) {
                    self.outcomes[row] = Some(outcome);
                }
            }
            Heard::Ignored => self.settle(&part, &Outcome::Unchanged),
            Heard::Rehearsed => {
                if let ResultKind::Job(job) = &operation.result {
                    self.rehearse(operation, job, scope).await?;
                }
                for row in part {
                    self.outcomes[row] = Some(Outcome::Accepted { destination_id: self.rows[row].id.clone() });
                }
            }
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

    /// What an answer, or its pages, says about the rows of a part.
    pub(super) fn told(
        &self,
        result: &ResultKind,
        pages: &[Response],
        part: &[usize],
        scope: &Scope<'_>,
    ) -> Vec<Outcome> {
        let rows: Vec<&Row> = part.iter().map(|&row| &self.rows[row]).collect();
        outcomes(result, pages, &rows, scope).unwrap_or_else(|Broken { cause }| {
            vec![
                Outcome::unknown("unreadable_answer", format!("the answer does not fit the connector: {cause}"));
                part.len()
            ]
        })
    }

    /// What rows become in a request; those that cannot be written, or are too large alone, are rejected.
    pub(super) fn write(
        &mut self,
        tree: Option<&Tree>,
        limits: &Limits,
        mut pending: Vec<usize>,
    ) -> (Vec<usize>, Vec<Option<Vec<u8>>>) {
        let mut written: Vec<Option<Vec<u8>>> = vec![None; self.rows.len()];
        let Some(tree) = tree else { return (pending, written) };
        let settings = Scope::of("settings", &self.delivery.peer.settings);
        let known = self.audience.clone();
        let audience = settings.with("audience", &known);
        for &row in &pending {
            let mut bytes = Vec::new();
            let is_written = self.rows[row].scoped(|scoped| tree.write(&audience.with("row", scoped), &[], &mut bytes));
            let outcome = match is_written {
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
