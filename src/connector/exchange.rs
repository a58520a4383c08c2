//! Rows to outcomes: which operations they need, in which order. No clock, no network: both are the wire's.

use serde_json::{Value as Json, json};

use super::lookup::find_ids;
use super::model::{Audience, Columns, Consent, Erase, Lookup, Object, Operation};
use super::outcome::Outcome;
use super::peer::Peer;
use super::rows::{Row, normalise};
use super::speak::Wire;
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
    let settled = exchange.outcomes.into_iter().zip(exchange.rows).map(|(outcome, row)| match outcome {
        // What a lookup has found is worth keeping: the next time nothing has to be looked for.
        Some(Outcome::Accepted { destination_id: None }) if !leaves => Outcome::Accepted { destination_id: row.id },
        Some(outcome) => outcome,
        None => Outcome::NotSent,
    });
    (settled.collect(), stop)
}

pub(super) struct Exchange<'a, W> {
    pub(super) delivery: &'a Delivery<'a>,
    pub(super) wire: &'a mut W,
    pub(super) rows: Vec<Row>,
    pub(super) outcomes: Vec<Option<Outcome>>,
    pub(super) audience: Json,
}

impl<'a, W: Wire> Exchange<'a, W> {
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
            (What::Audience(audience), Deed::Put) => self.give(&audience.add, audience.of, pending).await,
            (What::Audience(audience), Deed::Take) => {
                self.take(&audience.remove, self.lookup_of(audience.of), pending).await
            }
            (What::Consent(consent), Deed::Put) => self.give(&consent.grant, consent.of, pending).await,
            (What::Consent(consent), Deed::Take) => {
                self.take(&consent.revoke, self.lookup_of(consent.of), pending).await
            }
            (What::Erase(erase), _) => self.take(&erase.operation, self.lookup_of(erase.of), pending).await,
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

    fn lookup_of(&self, object: Option<usize>) -> Option<&'a Lookup> {
        object.and_then(|place| self.delivery.peer.connector.objects[place].lookup.as_ref())
    }

    /// Does something with rows of an object, which are made where they are not there.
    async fn give(&mut self, operation: &Operation, object: Option<usize>, pending: Vec<usize>) -> Result<(), Failure> {
        let object = object.filter(|_| operation.needs_id).map(|place| &self.delivery.peer.connector.objects[place]);
        let pending = match object {
            Some(object) => self.with_ids(object, pending).await?,
            None => pending,
        };
        self.send(operation, pending).await
    }

    /// Rows with the destination's id: found, or made first.
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
                        // What was asked for comes after it was made.
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
}
