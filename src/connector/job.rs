//! Work that goes on after the answer: asked until it ends, then asked what became of the rows.

use super::answer::{Read, Response};
use super::exchange::Exchange;
use super::expression::{Broken, Scope};
use super::model::{Job, Operation};
use super::outcome::Outcome;
use super::request::Request;
use super::speak::{Heard, Manner, Wire, speak};
use super::template::Place;
use crate::diag::Failure;

/// An answer that goes on for longer has no end: its pages name one another.
const MOST_PAGES: usize = 1_000;

/// Said of rows of a job whose end was not seen.
pub(super) const UNFINISHED: &str = "the destination has not finished its work on these rows";

impl<W: Wire> Exchange<'_, W> {
    /// Shows how a job would be asked about.
    pub(super) async fn rehearse(
        &mut self,
        operation: &Operation,
        job: &Job,
        scope: &Scope<'_>,
    ) -> Result<(), Failure> {
        let id = serde_json::Value::from(self.wire.stand_in("id of the job"));
        let scope = &scope.with("job", &id);
        let peer = self.delivery.peer;
        let name = format!("{}.poll", operation.name);
        for request in [Some(&job.poll), job.rows.as_ref()].into_iter().flatten() {
            // One that looks deeper into the answer that did not come cannot be built.
            if let Ok(request) = Request::build(peer, &name, request, scope, &[]) {
                speak(peer, self.wire, &request, &[], scope, Manner::ASKING).await?;
            }
        }
        Ok(())
    }

    /// Waits for a job's end, and asks what became of its rows.
    pub(super) async fn follow(
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
        let unreadable = |broken: Broken| Outcome::unknown("unreadable_answer", broken.cause);
        // Both before anything is waited for: what cannot be asked afterwards need not be begun to be asked.
        let asked = match &job.rows {
            Some(rows) => Request::build(peer, &name, rows, scope, &[]).map(Some),
            None => Ok(None),
        };
        let (poll, asked) = match (Request::build(peer, &name, &job.poll, scope, &[]), asked) {
            (Ok(poll), Ok(asked)) => (poll, asked),
            (Err(broken), _) | (_, Err(broken)) => return all(unreadable(broken)),
        };
        let mut waited = std::time::Duration::ZERO;
        let ended = loop {
            if waited >= job.within || self.wire.is_cancelled() {
                return all(Outcome::unknown("job_unfinished", UNFINISHED));
            }
            self.wire.pause(job.every).await;
            waited += job.every;
            let response = match speak(peer, self.wire, &poll, &rules, scope, Manner::ASKING).await? {
                Heard::Answer(response) => response,
                Heard::Ignored | Heard::Rehearsed => continue,
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
        let Some(mut request) = asked else { return Ok(self.told(&job.result, &[ended], part, scope)) };
        let mut pages = Vec::new();
        loop {
            let response = match speak(peer, self.wire, &request, &rules, scope, Manner::ASKING).await? {
                Heard::Answer(response) => response,
                Heard::Ignored | Heard::Rehearsed => return all(Outcome::accepted()),
                Heard::Refused { code, message, .. }
                | Heard::NotDone { code, message }
                | Heard::Lost { code, message } => return all(Outcome::unknown(code, message)),
            };
            let next = Read::new(&response).scoped(scope, |scope| match &job.next {
                Some(next) => next.optional(scope, Place::Text),
                None => Ok(None),
            });
            let next =
                next.and_then(|next| next.map(|next| peer.locate(&next)).transpose().map_err(|cause| Broken { cause }));
            pages.push(response);
            match next {
                Ok(None) => return Ok(self.told(&job.result, &pages, part, scope)),
                Ok(Some(url)) if pages.len() < MOST_PAGES => request.url = url,
                Ok(Some(_)) => {
                    return all(unreadable(Broken { cause: format!("it has more than {MOST_PAGES} pages") }));
                }
                Err(broken) => return all(unreadable(broken)),
            }
        }
    }
}
