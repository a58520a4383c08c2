//! Doubts of an earlier run are settled before anything is computed: what it intended, and never learnt the end of.

use std::collections::BTreeMap;

use super::clock::Clock;
use super::destination::{Destination, Operation, Target};
use super::journal::{Intent, Journal, Receipt, Verdict};
use super::state::{State, Status};
use crate::diag::Failure;

/// What became of the doubts of an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// The destination has them.
    pub delivered: u64,
    /// It has not: due again.
    pub not_delivered: u64,
    /// Nobody can tell, and sending twice does no harm: due again.
    pub sent_again: u64,
    /// Nobody can tell: reported, not sent again.
    pub unknown: u64,
}

/// A row in doubt, and what was intended with it.
type Doubted<'a> = (&'a State, Intent);

/// Asks the destination about the rows that an earlier run left in doubt. `doubts` are rows of the state that have one: at most two
/// windows from a crash, and what was answered with "unknown". Only after this the state says what is due.
pub async fn settle(
    destination: &dyn Destination,
    target: &Target,
    doubts: &[State],
    journal: &mut dyn Journal,
    clock: &dyn Clock,
) -> Result<Settled, Failure> {
    let mut settled = Settled::default();
    let mut batches: BTreeMap<(Option<&str>, Operation), Vec<Doubted<'_>>> = BTreeMap::new();
    for row in doubts {
        let Some(doubt) = &row.doubt else { continue };
        let intent = Intent {
            batch_id: doubt.batch.clone().unwrap_or_default(),
            key: row.key.clone(),
            customer_id: row.customer_id.clone(),
            action: doubt.action,
            operation: doubt.operation,
            desired_hash: doubt.hash.clone(),
        };
        batches.entry((doubt.batch.as_deref(), doubt.operation)).or_default().push((row, intent));
    }
    for ((batch, operation), rows) in batches {
        let told = match batch {
            Some(id) => destination.delivered(target, id).await?,
            None => None,
        };
        let count = rows.len() as u64;
        let (verdict, code, message) = match told {
            Some(true) => {
                settled.delivered += count;
                (Verdict::Accepted, "settled", "the destination has the batch")
            }
            Some(false) => {
                settled.not_delivered += count;
                (Verdict::NotSent, "settled", "the destination does not have the batch")
            }
            None if destination.may_resend(operation) => {
                settled.sent_again += count;
                continue;
            }
            None => {
                settled.unknown += count;
                (Verdict::Unknown, "in_doubt", "an earlier run ended before the answer; the destination cannot tell")
            }
        };
        let at = clock.now();
        let receipts: Vec<Receipt> = rows
            .into_iter()
            // What was said once is not said again.
            .filter(|(row, _)| verdict != Verdict::Unknown || row.status != Status::Unknown)
            .map(|(_, intent)| Receipt {
                intent,
                verdict,
                code: Some(code.to_owned()),
                message: Some(message.to_owned()),
                at,
                destination_id: None,
            })
            .collect();
        if !receipts.is_empty() {
            journal.write(receipts, Vec::new()).await?;
        }
    }
    Ok(settled)
}
