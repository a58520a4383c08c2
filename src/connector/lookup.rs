//! The destination's ids of rows.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::answer::Read;
use super::batches::cut;
use super::exchange::Exchange;
use super::expression::{Broken, Scope};
use super::model::Lookup;
use super::outcome::Outcome;
use super::request::Request;
use super::speak::{Heard, Manner, Wire, speak};
use crate::diag::Failure;

/// Finds the ids of rows that have none. Gives the rows that the destination does not have; those whose lookup came to nothing have an
/// outcome afterwards.
pub(super) async fn find_ids<W: Wire>(
    exchange: &mut Exchange<'_, W>,
    lookup: &Lookup,
    pending: Vec<usize>,
) -> Result<Vec<usize>, Failure> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let (known, pending): (Vec<usize>, Vec<usize>) =
        pending.into_iter().partition(|&row| exchange.rows[row].id.is_some());
    exchange.trusted.extend(known);
    for row in pending {
        groups.entry(exchange.rows[row].key_name().to_owned()).or_default().push(row);
    }
    let mut misses = Vec::new();
    for (key_name, rows) in groups {
        let (rows, written) = exchange.write(lookup.row.as_ref(), &lookup.limits, rows);
        for part in cut(&lookup.limits, rows, &written) {
            let bytes: Vec<Vec<u8>> = part.iter().map(|&row| written[row].clone().unwrap_or_default()).collect();
            let peer = exchange.delivery.peer;
            let key_name = Json::from(key_name.clone());
            let batch = json!({"id": exchange.delivery.batch_id, "size": part.len()});
            let row = if part.len() == 1 { exchange.rows[part[0]].scoped(Json::clone) } else { Json::Null };
            let settings = Scope::of("settings", &peer.settings);
            let batch = settings.with("batch", &batch);
            let key_name = batch.with("key_name", &key_name);
            let masked = exchange.masked(&part, lookup.row.as_ref(), &key_name, |scope, rows| {
                Request::build(peer, &lookup.name, &lookup.request, scope, rows)
            });
            let scope = key_name.with("row", &row);
            let request = match Request::build(peer, &lookup.name, &lookup.request, &scope, &bytes) {
                Ok(request) => Request { masked, ..request },
                Err(broken) => {
                    exchange.settle(&part, &Outcome::rejected("template", broken.cause));
                    continue;
                }
            };
            let rules = [lookup.rules.as_slice(), peer.connector.rules.as_slice()];
            match speak(peer, exchange.wire, &request, &rules, &scope, Manner::ASKING).await? {
                Heard::Answer(response) => {
                    let found = Read::new(&response).scoped(&scope, |scope| found(lookup, scope));
                    match found {
                        Ok(found) => misses.extend(assign(exchange, lookup, &part, found)),
                        Err(Broken { cause }) => {
                            exchange.settle(&part, &Outcome::retry("unreadable_answer", cause));
                        }
                    }
                }
                Heard::Ignored => misses.extend(part),
                Heard::Rehearsed => {
                    for row in part {
                        let of = exchange.masked_row(row).key_value().unwrap_or_default();
                        exchange.rows[row].id = Some(exchange.wire.stand_in(&format!("id of {of}")));
                    }
                    exchange.is_rehearsed = true;
                }
                Heard::Refused { code, message, .. } => exchange.settle(&part, &Outcome::rejected(code, message)),
                // Nothing was written: a lookup that came to nothing is worth another attempt.
                Heard::NotDone { code, message } | Heard::Lost { code, message } => {
                    exchange.settle(&part, &Outcome::retry(code, message));
                }
            }
        }
    }
    Ok(misses)
}

/// (key, id) of everything that was found.
fn found(lookup: &Lookup, scope: &Scope<'_>) -> Result<Vec<(Option<String>, String)>, Broken> {
    let items = match lookup.items.value(scope)? {
        Some(Json::Array(items)) => items,
        None | Some(Json::Null) => Vec::new(),
        Some(one) => vec![one],
    };
    let mut found = Vec::with_capacity(items.len());
    for item in &items {
        let scope = scope.with("item", item);
        let key = lookup.key.as_ref().map(|key| key.text(&scope)).transpose()?.flatten();
        if let Some(id) = lookup.id.text(&scope)? {
            found.push((key, id));
        }
    }
    Ok(found)
}

/// Gives rows their ids; of several things with one key the first counts. Returns rows that were not found.
fn assign<W: Wire>(
    exchange: &mut Exchange<'_, W>,
    lookup: &Lookup,
    part: &[usize],
    found: Vec<(Option<String>, String)>,
) -> Vec<usize> {
    if lookup.key.is_none() {
        let first = found.into_iter().next().map(|(_, id)| id);
        return part
            .iter()
            .copied()
            .filter(|&row| {
                exchange.rows[row].id.clone_from(&first);
                first.is_none()
            })
            .collect();
    }
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for (key, id) in found {
        if let Some(key) = key {
            // Destinations keep addresses in the letters in which they first came.
            ids.entry(key.to_lowercase()).or_insert(id);
        }
    }
    let mut misses = Vec::new();
    for &row in part {
        match exchange.rows[row].key_value().and_then(|key| ids.get(&key.to_lowercase())) {
            Some(id) => exchange.rows[row].id = Some(id.clone()),
            None => misses.push(row),
        }
    }
    misses
}
