//! Rows of a batch as JSON.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Decimal128Type};
use datafusion::arrow::error::ArrowError;
use serde_json::{Number, Value as Json};

use super::super::cell::json;
use super::super::destination::{Batch, Operation, Target};
use crate::connector::{Deed, Row};
use crate::project::{Remote, STATUS};

/// Every row with its key and its fields. What is left out of a row keeps its value at the destination.
pub(super) fn rows(target: &Target, batch: &Batch) -> Result<Vec<Row>, ArrowError> {
    let mut rows: Vec<Row> = batch.ids.iter().cloned().map(Row::of_id).collect();
    let schema = batch.rows.schema();
    for (field, column) in schema.fields().iter().zip(batch.rows.columns()) {
        let name = field.name();
        let is_key = target.key.contains(name);
        let is_field = match batch.operation {
            Operation::Add | Operation::Update => !is_key,
            Operation::Clear => target.clear.contains(name),
            Operation::Remove => false,
        };
        if !is_key && !is_field {
            continue;
        }
        for (place, row) in rows.iter_mut().enumerate() {
            let value = value(column, place)?;
            if is_key && !value.is_null() {
                row.key.insert(name.clone(), value);
            } else if is_field && (!value.is_null() || !target.omit_nulls || batch.operation == Operation::Clear) {
                row.fields.insert(name.clone(), value);
            }
        }
    }
    Ok(rows)
}

/// Decimals are numbers to APIs where a number holds them exactly, else text.
fn value(column: &ArrayRef, row: usize) -> Result<Json, ArrowError> {
    if let DataType::Decimal128(_, scale) = column.data_type()
        && column.is_valid(row)
    {
        let unscaled = column.as_primitive::<Decimal128Type>().value(row);
        let factor = 10_i128.pow(u32::from(scale.unsigned_abs()));
        if unscaled % factor == 0
            && let Ok(whole) = i64::try_from(unscaled / factor)
        {
            return Ok(Json::from(whole));
        }
        // Fifteen digits survive the way through a binary number.
        let number =
            Number::from_f64(unscaled as f64 / factor as f64).filter(|_| unscaled.abs() < 1_000_000_000_000_000);
        if let Some(number) = number {
            return Ok(Json::Number(number));
        }
    }
    json(column, row)
}

/// Which rows are put and which are taken. A consent goes the way of its status: what is not granted (withdrawn,
/// expired, pending) is not to be held as granted there.
pub(super) fn parts(kind: &Remote, operation: Operation, rows: &[Row]) -> Vec<(Deed, Vec<usize>)> {
    let all = (0..rows.len()).collect();
    match (kind, operation) {
        (Remote::Consent, Operation::Add | Operation::Update) => {
            let is_granted = |place: &usize| rows[*place].fields.get(STATUS).and_then(Json::as_str) == Some("granted");
            let (granted, withdrawn): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(is_granted);
            // Withdrawals first.
            [(Deed::Take, withdrawn), (Deed::Put, granted)]
                .into_iter()
                .filter(|(_, places)| !places.is_empty())
                .collect()
        }
        // A consent that nobody states any more holds no more, and a member has no fields to clear.
        (Remote::Consent, _) | (_, Operation::Remove) | (Remote::Audience { .. }, Operation::Clear) => {
            vec![(Deed::Take, all)]
        }
        _ => vec![(Deed::Put, all)],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Decimal128Array, StringViewArray};
    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::arrow::record_batch::RecordBatch;
    use serde_json::{Map, json};

    use super::*;

    fn target(omit_nulls: bool) -> Target {
        let fields = vec![
            Field::new("email", DataType::Utf8View, true),
            Field::new("city", DataType::Utf8View, true),
            Field::new("revenue", DataType::Decimal128(38, 9), true),
        ];
        Target {
            sync: "vips".into(),
            object: None,
            key: vec!["email".into()],
            schema: Arc::new(Schema::new(fields)),
            clear: vec!["city".into()],
            may_create: true,
            may_update: true,
            ours: 0,
            omit_nulls,
        }
    }

    fn batch(target: &Target, operation: Operation) -> Batch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringViewArray::from(vec![Some("a@x.fr"), None])),
            Arc::new(StringViewArray::from(vec![None, Some("Lyon")])),
            Arc::new(
                Decimal128Array::from(vec![12_500_000_000, 3_000_000_000]).with_precision_and_scale(38, 9).unwrap(),
            ),
        ];
        let rows = RecordBatch::try_new(Arc::clone(&target.schema), columns).unwrap();
        Batch { operation, id: "b".into(), ids: vec![Some("7".to_owned()), None], rows }
    }

    fn shown(target: &Target, operation: Operation) -> Vec<(Json, Json)> {
        let rows = rows(target, &batch(target, operation)).unwrap();
        rows.into_iter().map(|row| (Json::Object(row.key), Json::Object(row.fields))).collect()
    }

    #[test]
    fn what_is_left_out_and_what_is_null() {
        assert_eq!(
            shown(&target(true), Operation::Add),
            [
                (json!({"email": "a@x.fr"}), json!({"revenue": 12.5})),
                (json!({}), json!({"city": "Lyon", "revenue": 3}))
            ]
        );
        assert_eq!(shown(&target(false), Operation::Update)[0].1, json!({"city": null, "revenue": 12.5}));
        assert_eq!(shown(&target(true), Operation::Clear)[0], (json!({"email": "a@x.fr"}), json!({"city": null})));
        assert_eq!(shown(&target(true), Operation::Remove)[0].1, json!({}));
    }

    #[test]
    fn ids_that_are_remembered_go_along() {
        let target = target(true);
        let ids = rows(&target, &batch(&target, Operation::Remove)).unwrap().into_iter().map(|row| row.id);
        assert_eq!(ids.collect::<Vec<_>>(), [Some("7".to_owned()), None]);
    }

    #[test]
    fn consents_go_the_way_of_their_status() {
        let row = |status: &str| {
            let mut row = Row::default();
            row.fields = Map::from_iter([(STATUS.to_owned(), json!(status))]);
            row
        };
        let rows = [row("granted"), row("withdrawn"), row("expired")];
        assert_eq!(parts(&Remote::Consent, Operation::Add, &rows), [(Deed::Take, vec![1, 2]), (Deed::Put, vec![0])]);
        assert_eq!(parts(&Remote::Object("x".into()), Operation::Remove, &rows), [(Deed::Take, vec![0, 1, 2])]);
    }
}
