//! What an answer without error says about each row.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::answer::{Read, Response};
use super::expression::{Broken, Scope, plain};
use super::model::{By, ResultKind, Telling};
use super::outcome::Outcome;
use super::rows::Row;
use super::template::{Place, Template};
use crate::spec::connector::Act;

/// One outcome per row, in order, from an answer or its pages. `Job` results are told by the answer that ends the job.
pub(super) fn outcomes(
    result: &ResultKind,
    pages: &[Response],
    rows: &[&Row],
    scope: &Scope<'_>,
) -> Result<Vec<Outcome>, Broken> {
    match result {
        ResultKind::AllOrNothing | ResultKind::Received | ResultKind::Job(_) => {
            Ok(vec![Outcome::accepted(); rows.len()])
        }
        ResultKind::CountOnly(rejected) => {
            let Some(page) = pages.last() else { return Ok(Vec::new()) };
            let rejected = Read::new(page).scoped(scope, |scope| rejected.value(scope))?;
            let count = rejected.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
            Ok(match count {
                Some(0) => vec![Outcome::accepted(); rows.len()],
                Some(count) if count as usize >= rows.len() => {
                    vec![
                        Outcome::rejected("not_taken", "the destination took none of the rows of its request");
                        rows.len()
                    ]
                }
                Some(count) => {
                    let message =
                        format!("the destination did not take {count} of {} rows, and does not say which", rows.len());
                    vec![Outcome::unknown("count_only", message); rows.len()]
                }
                None => {
                    vec![Outcome::unknown("count_only", "the answer does not say how many rows were taken"); rows.len()]
                }
            })
        }
        ResultKind::Told { by, tellings } => told(*by, tellings, pages, rows, scope),
    }
}

fn told(
    by: By,
    tellings: &[Telling],
    pages: &[Response],
    rows: &[&Row],
    scope: &Scope<'_>,
) -> Result<Vec<Outcome>, Broken> {
    let mut outcomes: Vec<Option<Outcome>> = vec![None; rows.len()];
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        match by {
            By::Index => {}
            By::TraceId => places
                .extend([(row.trace_id.as_str(), place)].into_iter().chain(row.id.as_deref().map(|id| (id, place)))),
            By::Key => places.extend(row.key.values().filter_map(|value| Some((value.as_str()?, place)))),
        }
    }
    // Numbers are keys, too.
    let texts: Vec<(String, usize)> = match by {
        By::Key => rows
            .iter()
            .enumerate()
            .flat_map(|(place, row)| {
                row.key.values().filter(|value| value.is_number()).map(move |value| (value.to_string(), place))
            })
            .collect(),
        By::Index | By::TraceId => Vec::new(),
    };
    places.extend(texts.iter().map(|(text, place)| (text.as_str(), *place)));
    let mut is_nameless_error = false;
    for telling in tellings {
        let mut index = 0;
        for page in pages {
            Read::new(page).scoped(scope, |scope| {
                for item in items(telling, scope)? {
                    let scope = scope.with("item", &item);
                    let outcome = one(telling, &scope)?;
                    for place in spoken_of(by, telling, index, &places, rows.len(), &scope)? {
                        match place {
                            // Several items about one row: an error counts more than a success.
                            Some(place)
                                if !matches!(outcome, Outcome::Accepted { .. }) || outcomes[place].is_none() =>
                            {
                                outcomes[place] = Some(outcome.clone());
                            }
                            Some(_) => {}
                            None => {
                                is_nameless_error |= !matches!(outcome, Outcome::Accepted { .. } | Outcome::Unchanged);
                            }
                        }
                    }
                    index += 1;
                }
                Ok(())
            })?;
        }
    }
    let told_all = tellings.iter().any(|telling| telling.accepted.is_some());
    let unnamed = |outcome: Option<Outcome>| {
        outcome.unwrap_or_else(|| {
            if is_nameless_error {
                Outcome::unknown("unnamed_error", "the destination told an error, and not which row it is about")
            } else if told_all {
                Outcome::unknown("not_told", "the destination did not say what became of this row")
            } else {
                Outcome::accepted()
            }
        })
    };
    Ok(outcomes.into_iter().map(unnamed).collect())
}

fn items(telling: &Telling, scope: &Scope<'_>) -> Result<Vec<Json>, Broken> {
    Ok(match telling.items.value(scope)? {
        Some(Json::Array(items)) => items,
        None | Some(Json::Null) => Vec::new(),
        Some(one) => vec![one],
    })
}

/// The rows that an item speaks of; none for one that is not in the request, or is not named.
fn spoken_of(
    by: By,
    telling: &Telling,
    index: usize,
    places: &BTreeMap<&str, usize>,
    count: usize,
    scope: &Scope<'_>,
) -> Result<Vec<Option<usize>>, Broken> {
    let there = |place: usize| Some(place).filter(|place| *place < count);
    let Some(row) = &telling.row else { return Ok(vec![there(index)]) };
    let named = match row.value(scope)? {
        Some(Json::Bool(true)) => return Ok((0..count).map(Some).collect()),
        Some(Json::Array(names)) => names,
        None => Vec::new(),
        Some(name) => vec![name],
    };
    let place = |name: Json| {
        let name = plain(name)?;
        if by == By::Index { name.parse().ok().and_then(there) } else { places.get(name.as_str()).copied() }
    };
    Ok(if named.is_empty() { vec![None] } else { named.into_iter().map(place).collect() })
}

fn one(telling: &Telling, scope: &Scope<'_>) -> Result<Outcome, Broken> {
    if let Some(accepted) = &telling.accepted
        && accepted.holds(scope)?
    {
        let destination_id = telling.id.as_ref().map(|id| id.text(scope)).transpose()?.flatten();
        return Ok(Outcome::Accepted { destination_id });
    }
    let text =
        |template: &Option<Template>| template.as_ref().and_then(|template| template.text(scope, Place::Text).ok());
    let code = text(&telling.code).unwrap_or_else(|| "rejected".to_owned());
    let message = text(&telling.message).unwrap_or_else(|| "the destination did not take the row".to_owned());
    for (when, act) in &telling.rules {
        if when.holds(scope)? {
            return Ok(match act {
                Act::Ignore => Outcome::Unchanged,
                Act::Retry => Outcome::retry(code, message),
                _ => Outcome::rejected(code, message),
            });
        }
    }
    Ok(Outcome::rejected(code, message))
}
