//! Destinations that are HTTP APIs: a batch becomes requests and outcomes as the connector's file says (`connector/`), over one account
//! that all syncs share.

mod account;
mod message;
mod quota;
mod rows;
mod shown;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::common::runtime::SpawnedTask;
use tokio::sync::Mutex;

pub use self::account::{Account, Accounts};
use self::rows::{parts, rows};
pub use self::shown::Attempt;
use super::clock::{Cancel, Clock};
use super::destination::{Batch, Destination, Operation, Outcome, Sent, Target};
use super::journal::Permit;
use crate::connector::{
    self, Connector, Deed, Delivery, Grant, NoAnswer, Request, Response, Row, What, Wire, check_account, deliver,
    find_audience, make_audience,
};
use crate::diag::Failure;
use crate::project::Remote;

/// Rows of one sync at one account. Clones share what they know.
#[derive(Clone)]
pub struct Http {
    account: Arc<Account>,
    kind: Remote,
    clock: Arc<dyn Clock>,
    cancel: Cancel,
    /// Asked before every request; none where nobody else can be in the way.
    permit: Option<Arc<dyn Permit>>,
    /// Microseconds that requests waited for their turns.
    waited: Arc<AtomicU64>,
    /// The audience, once it was looked for; held while it is made, so that several batches at once make one.
    audience: Arc<Mutex<Option<Found>>>,
    /// Is it known whose account it is?
    is_checked: bool,
}

/// Rows on their way: a batch as connectors take it.
#[derive(Debug)]
pub struct Load {
    /// What to do.
    pub operation: Operation,
    /// Stable across a resend of the same rows.
    pub id: String,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Load {
    /// The rows of a batch.
    pub fn of(target: &Target, batch: &Batch) -> Result<Self, Failure> {
        let rows = rows(target, batch).map_err(|error| unreadable(target, &error))?;
        Ok(Self { operation: batch.operation, id: batch.id.clone(), rows })
    }
}

fn unreadable(target: &Target, error: &dyn std::fmt::Display) -> Failure {
    Failure::world("W604", format!("reading the rows of the sync `{}`", target.sync), error)
        .help("this is a defect of cohorte, nothing was sent: report it with the sync's definition")
}

/// An audience that was looked for: its id, where there is one of the name.
type Found = Option<String>;

impl Http {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(
        account: Arc<Account>,
        kind: Remote,
        clock: Arc<dyn Clock>,
        cancel: Cancel,
        permit: Option<Arc<dyn Permit>>,
    ) -> Self {
        Self {
            account,
            kind,
            clock,
            cancel,
            permit,
            waited: Arc::default(),
            audience: Arc::default(),
            is_checked: false,
        }
    }

    fn wire(&self) -> Line<'_> {
        Line::new(&self.account, self.clock.as_ref(), &self.cancel, self.permit.as_deref(), &self.waited)
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

    /// Whose account is it, and is the audience there?
    async fn prepare_over<W: Wire>(&self, wire: &mut W) -> Result<(), Failure> {
        if !self.is_checked {
            check_account(&self.account.peer, wire).await?;
        }
        if let (What::Audience(audience), Remote::Audience { name, .. }) = (self.what()?, &self.kind) {
            let mut found = self.audience.lock().await;
            if found.is_none() {
                *found = Some(find_audience(&self.account.peer, audience, name, wire).await?);
            }
        }
        Ok(())
    }

    /// Name and id of the audience of these rows; made where rows come into one that is not there.
    async fn audience<W: Wire>(
        &self,
        target: &Target,
        deed: Deed,
        wire: &mut W,
    ) -> Result<Option<(String, Option<String>)>, Failure> {
        let (What::Audience(audience), Remote::Audience { kind, name }) = (self.what()?, &self.kind) else {
            return Ok(None);
        };
        let mut found = self.audience.lock().await;
        let mut id = found.clone().flatten();
        if id.is_none() && deed == Deed::Put {
            if target.ours > 0 {
                return Err(self.vanished(target, kind, name));
            }
            id = Some(make_audience(&self.account.peer, audience, name, wire).await?);
            *found = Some(id.clone());
        }
        Ok(Some((name.clone(), id)))
    }

    fn vanished(&self, target: &Target, kind: &str, name: &str) -> Failure {
        Failure::world(
            "W610",
            format!("delivering the sync `{}` to the connection `{}`", target.sync, self.account.connection),
            format!("the {kind} `{name}` is gone, with {} rows that were delivered to it", target.ours),
        )
        .help("bring it back at the vendor, or give `to:` another `name:`, under which all are sent anew. Removals went through, all else stays due")
    }

    /// Delivers rows over a wire. `personal`: the requests are shown, with these columns masked.
    async fn send_over<W: Wire>(
        &self,
        target: &Target,
        mut load: Load,
        personal: Option<&BTreeSet<String>>,
        wire: &mut W,
    ) -> Result<Sent, Failure> {
        let what = self.what()?;
        let mut outcomes = vec![Outcome::NotSent; load.rows.len()];
        let mut stop = None;
        for (deed, places) in parts(&self.kind, load.operation, &load.rows) {
            let audience = match self.audience(target, deed, wire).await {
                Ok(audience) => audience,
                Err(failure) => {
                    stop = Some(failure);
                    break;
                }
            };
            let delivery = Delivery {
                peer: &self.account.peer,
                what,
                deed,
                may_create: target.may_create && load.operation != Operation::Clear,
                may_update: target.may_update || load.operation == Operation::Clear,
                audience,
                batch_id: &load.id,
                personal,
            };
            // Each row is of one part.
            let rows = places.iter().map(|&place| std::mem::take(&mut load.rows[place])).collect();
            let (told, stopped) = deliver(&delivery, rows, wire).await;
            for (place, outcome) in places.into_iter().zip(told) {
                outcomes[place] = outcome;
            }
            if stopped.is_some() {
                stop = stopped;
                break;
            }
        }
        Ok(Sent { outcomes, stop })
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
        self.prepare_over(&mut self.wire()).await?;
        self.is_checked = true;
        Ok(())
    }

    async fn send(&self, target: &Target, batch: &Batch) -> Result<Sent, Failure> {
        // Bodies are written and answers read on a task of its own: that holds up neither other batches nor the journal.
        let (http, to, rows) = (self.clone(), target.clone(), batch.clone());
        let sending = SpawnedTask::spawn(async move {
            let load = Load::of(&to, &rows)?;
            drop(rows);
            let mut wire = http.wire();
            let sent = http.send_over(&to, load, None, &mut wire).await?;
            // It had come to its turn only when the end was asked for: nothing of it was done.
            Ok(if wire.has_asked || !wire.is_cancelled() { sent } else { sent.unsent() })
        });
        sending.join_unwind().await.map_err(|error| unreadable(target, &error))?
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

    fn waited(&self) -> Duration {
        Duration::from_micros(self.waited.load(Ordering::Relaxed))
    }

    /// Twice as many as may be asked at once: while some wait for their answers, the bodies of the next are written. The account's quota
    /// says when they go.
    fn concurrency(&self) -> usize {
        self.account.concurrency() * 2
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
        let waited = AtomicU64::new(0);
        check_account(&self.peer, &mut Line::new(self, clock, cancel, None, &waited)).await
    }
}

/// Requests go over an account, in the time of a clock, until the end is asked for.
struct Line<'a> {
    account: &'a Account,
    clock: &'a dyn Clock,
    cancel: &'a Cancel,
    /// Asked before every request; none where nothing is changed.
    permit: Option<&'a dyn Permit>,
    /// Counts how long requests wait for their turns.
    waited: &'a AtomicU64,
    /// Was the permit withdrawn?
    is_replaced: bool,
    /// Was anything sent?
    has_asked: bool,
    /// What the last request went with.
    grant: Option<Grant>,
}

impl<'a> Line<'a> {
    fn new(
        account: &'a Account,
        clock: &'a dyn Clock,
        cancel: &'a Cancel,
        permit: Option<&'a dyn Permit>,
        waited: &'a AtomicU64,
    ) -> Self {
        Self { account, clock, cancel, permit, waited, is_replaced: false, has_asked: false, grant: None }
    }
}

impl Wire for Line<'_> {
    async fn send(&mut self, request: &Request) -> Result<Response, NoAnswer> {
        let ready = self.account.ready(request, self.clock).await?;
        let waited = u64::try_from(ready.waited().as_micros()).unwrap_or(u64::MAX);
        self.waited.fetch_add(waited, Ordering::Relaxed);
        if !self.has_asked && self.cancel.is_cancelled() {
            return Err(NoAnswer::NotSent("it was asked to stop".to_owned()));
        }
        // Asked when it is its turn: waiting for that may take long.
        if let Some(permit) = self.permit
            && let Err(failure) = permit.permit().await
        {
            self.is_replaced = true;
            return Err(NoAnswer::NotSent(failure.cause));
        }
        self.has_asked = true;
        let answer = self.account.send(request, ready, self.clock).await;
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
        self.is_replaced || self.cancel.is_cancelled()
    }
}
