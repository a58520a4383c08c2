//! Why rows are not where they should be.

use std::collections::BTreeMap;

use super::journal::{Receipt, Verdict};

/// What rows with the same last word and code have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// How many they are.
    pub rows: u64,
    /// What was said of the first; no personal data.
    pub message: String,
    /// The customers of the first few.
    pub customers: Vec<String>,
}

/// Customers that are named for a reason; `receipts` names them all.
const NAMED: usize = 3;

impl Reason {
    /// Counts one more row.
    pub(super) fn add(reasons: &mut BTreeMap<(Verdict, String), Self>, receipt: &Receipt) {
        let Some(code) = &receipt.code else { return };
        let message = || receipt.message.clone().unwrap_or_default();
        let new = || Self { rows: 0, message: message(), customers: Vec::new() };
        let reason = reasons.entry((receipt.verdict, code.clone())).or_insert_with(new);
        reason.rows += 1;
        if reason.customers.len() < NAMED {
            reason.customers.push(receipt.intent.customer_id.clone());
        }
    }

    /// Takes up the rows of another part of the same sync.
    pub fn merge(into: &mut BTreeMap<(Verdict, String), Self>, other: BTreeMap<(Verdict, String), Self>) {
        for (key, reason) in other {
            let new = || Self { rows: 0, message: reason.message.clone(), customers: Vec::new() };
            let known = into.entry(key).or_insert_with(new);
            known.rows += reason.rows;
            let room = NAMED.saturating_sub(known.customers.len());
            known.customers.extend(reason.customers.into_iter().take(room));
        }
    }
}
