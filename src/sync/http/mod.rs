//! Destinations that are HTTP APIs: a batch becomes requests and outcomes as the connector's file says (`connector/`), over one account
//! that all syncs share.

mod account;
mod quota;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

pub use self::account::{Account, Accounts};
use self::rows::{parts, rows};
use super::clock::{Cancel, Clock};
use super::destination::{Batch, Destination, Operation, Outcome, Sent, Target};
use crate::connector::{
    self, Connector, Delivery, Grant, NoAnswer, Request, Response, What, Wire, check_account, deliver, find_audience,
};
use crate::diag::Failure;
use crate::project::Remote;

/// Rows of one sync at one account.
pub struct Http {
    account: Arc<Account>,
    kind: Remote,
    clock: Arc<dyn Clock>,
    cancel: Cancel,
    /// Name and id of the audience, once it is found.
    audience: Option<(String, String)>,
    /// Is it known whose account it is?
    is_checked: bool,
}

impl Http {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(account: Arc<Account>, kind: Remote, clock: Arc<dyn Clock>, cancel: Cancel) -> Self {
        Self { account, kind, clock, cancel, audience: None, is_checked: false }
    }

    fn wire(&self) -> Line<'_> {
        Line { account: &self.account, clock: self.clock.as_ref(), cancel: &self.cancel, grant: None }
    }

    fn what(&self) -> Result<What<'_>, Failure> {
        let connector = &self.account.peer.connector;
        what(connector, &self.kind).ok_or_else(|| {
            Failure::project(
                "E154",
                format!("opening the connection `{}`", self.account.connection),
                format!("the connector `{}` has no such object", connector.name),
            )
            .help("`cohorte connector list` says what it has")
        })
    }
}

/// What rows are at a connector's destination.
#[must_use]
pub fn what<'a>(connector: &'a Connector, remote: &Remote) -> Option<What<'a>> {
    match remote {
        Remote::Object(name) => connector.objects.iter().find(|object| object.name == *name).map(What::Object),
        Remote::Audience { kind: name, .. } => {
            connector.audiences.iter().find(|audience| audience.name == *name).map(What::Audience)
        }
        Remote::Consent => connector.consent.as_ref().map(What::Consent),
    }
}

#[async_trait]
impl Destination for Http {
    async fn prepare(&mut self, _: &Target) -> Result<(), Failure> {
        let found = {
            let mut wire = self.wire();
            if !self.is_checked {
                check_account(&self.account.peer, &mut wire).await?;
            }
            match (self.what()?, &self.kind) {
                (What::Audience(audience), Remote::Audience { name, .. }) if self.audience.is_none() => {
                    Some((name.clone(), find_audience(&self.account.peer, audience, name, &mut wire).await?))
                }
                _ => None,
            }
        };
        self.is_checked = true;
        if found.is_some() {
            self.audience = found;
        }
        Ok(())
    }

    async fn send(&self, target: &Target, batch: &Batch) -> Result<Sent, Failure> {
        let what = self.what()?;
        let all = rows(target, batch).map_err(|error| {
            Failure::world("W604", format!("reading the rows of the sync `{}`", target.sync), error)
                .help("this is a defect of cohorte, nothing was sent: report it with the sync's definition")
        })?;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; all.len()];
        let mut stop = None;
        for (deed, places) in parts(&self.kind, batch.operation, &all) {
            let delivery = Delivery {
                peer: &self.account.peer,
                what,
                deed,
                may_create: target.may_create && batch.operation != Operation::Clear,
                may_update: target.may_update || batch.operation == Operation::Clear,
                audience: self.audience.clone(),
                batch_id: &batch.id,
            };
            let rows = places.iter().map(|&place| all[place].clone()).collect();
            let mut wire = self.wire();
            let (told, stopped) = deliver(&delivery, rows, &mut wire).await;
            for (place, outcome) in places.into_iter().zip(told) {
                outcomes[place] = Some(outcome);
            }
            if stopped.is_some() {
                stop = stopped;
                break;
            }
        }
        let told = outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::NotSent));
        Ok(Sent { outcomes: told.collect(), stop })
    }

    async fn delivered(&self, _: &Target, _: &str) -> Result<Option<bool>, Failure> {
        // Destinations know rows, not our batches.
        Ok(None)
    }

    fn may_resend(&self, operation: Operation) -> bool {
        self.what().is_ok_and(|what| may_resend(&what, operation))
    }

    fn max_rows(&self) -> usize {
        self.what().map_or(1, |what| rows_per_request(&what)).max(SMALLEST_BATCH)
    }

    fn concurrency(&self) -> usize {
        self.account.concurrency()
    }
}

/// Is it harmless to send such rows again when nobody knows whether they were taken?
#[must_use]
pub fn may_resend(what: &What<'_>, operation: Operation) -> bool {
    let takes = operation == Operation::Remove;
    match what {
        // Looking first tells whether the row is there.
        What::Object(object) if !takes && object.upsert.is_none() && object.lookup.is_some() => true,
        What::Object(object) => {
            let puts = [&object.upsert, &object.create, &object.update];
            let mut operations = if takes { vec![&object.delete] } else { puts.to_vec() }.into_iter().flatten();
            operations.all(|operation| operation.idempotent)
        }
        What::Audience(audience) => if takes { &audience.remove } else { &audience.add }.idempotent,
        What::Consent(consent) => consent.grant.idempotent && consent.revoke.idempotent,
        What::Erase(erase) => erase.operation.idempotent,
    }
}

/// The most rows that one request takes, of all operations on them.
#[must_use]
pub fn rows_per_request(what: &What<'_>) -> usize {
    let most = match what {
        What::Object(object) => {
            let operations = [&object.upsert, &object.create, &object.update, &object.delete];
            operations.into_iter().flatten().map(connector::Operation::max_rows).max()
        }
        What::Audience(audience) => Some(audience.add.max_rows().max(audience.remove.max_rows())),
        What::Consent(consent) => Some(consent.grant.max_rows().max(consent.revoke.max_rows())),
        What::Erase(erase) => Some(erase.operation.max_rows()),
    };
    most.unwrap_or(1)
}

/// Rows that go one by one are still handed over in batches.
const SMALLEST_BATCH: usize = 50;

impl Account {
    /// Does the destination let us in, and is it the account that the connection declares? Nothing is changed there.
    pub async fn check(&self, clock: &dyn Clock, cancel: &Cancel) -> Result<(), Failure> {
        let mut wire = Line { account: self, clock, cancel, grant: None };
        check_account(&self.peer, &mut wire).await
    }
}

/// Requests go over an account, in the time of a clock, until the end is asked for.
struct Line<'a> {
    account: &'a Account,
    clock: &'a dyn Clock,
    cancel: &'a Cancel,
    /// What the last request went with.
    grant: Option<Grant>,
}

impl Wire for Line<'_> {
    async fn send(&mut self, request: &Request) -> Result<Response, NoAnswer> {
        let answer = self.account.send(request, self.clock).await;
        self.grant = self.account.current().await;
        answer
    }

    async fn refresh(&mut self) -> Result<bool, Failure> {
        Ok(self.account.refresh(self.grant.as_ref()).await)
    }

    async fn pause(&mut self, how_long: Duration) {
        self.cancel.or_sleep(self.clock, how_long).await;
    }

    fn hold(&mut self, how_long: Duration) {
        self.account.hold(self.clock, how_long);
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
