//! The pass as its specification reads: every feature of every group from all rows, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray, StringViewArray,
    TimestampMicrosecondArray, new_null_array,
};
use datafusion::common::ScalarValue;

use super::batch::{long_to_number, number_to_long};
use super::shape;
use crate::compile::pass::{PassFeature, PassSpec, Stream};
use crate::sql::{Aggregate, DataType};

/// The value columns of the tests: one per type.
pub(super) const TYPES: [DataType; 7] = [
    DataType::Integer,
    DataType::Number,
    DataType::Decimal,
    DataType::Date,
    DataType::Timestamp,
    DataType::Text,
    DataType::Boolean,
];

/// A row. Values are small numbers; [`value`] says what each stands for in a column.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) group: usize,
    pub(super) time: Option<i64>,
    pub(super) key: u8,
    pub(super) filters: Vec<Option<bool>>,
    pub(super) values: Vec<Option<u8>>,
    pub(super) only: Option<bool>,
}

/// What a number stands for in a column; wide decimals, so that sums leave 64 bits. In every column the order of the
/// numbers is the order of what they stand for.
pub(super) fn value(column: usize, small: Option<u8>) -> ScalarValue {
    let long = small.map(|small| i64::from(small) - 2);
    match TYPES[column] {
        DataType::Integer => ScalarValue::Int64(long.map(|long| if long > 1 { i64::MAX } else { long })),
        DataType::Number => ScalarValue::Float64(long.map(number)),
        DataType::Decimal => ScalarValue::Decimal128(long.map(decimal), 38, 9),
        DataType::Date => ScalarValue::Date32(long.map(|long| long as i32)),
        DataType::Timestamp => ScalarValue::TimestampMicrosecond(long, Some("UTC".into())),
        DataType::Text => ScalarValue::Utf8View(small.map(text)),
        _ => ScalarValue::Boolean(long.map(|long| long > 0)),
    }
}

fn number(long: i64) -> f64 {
    if long > 1 { f64::NAN } else { long as f64 * 1.1 }
}

fn decimal(long: i64) -> i128 {
    if long > 1 { i128::from(i64::MAX) * 1000 } else { i128::from(long) * 333_333_333 }
}

fn text(number: u8) -> String {
    // From empty to longer than a view holds inline.
    "é".repeat(usize::from(number) * 3)
}

/// The arguments of the function for some rows.
pub(super) fn arguments(spec: &PassSpec, rows: &[&Row]) -> Vec<ArrayRef> {
    let json = serde_json::to_string(spec).unwrap();
    let times = rows.iter().map(|row| row.time).collect::<TimestampMicrosecondArray>().with_timezone("UTC");
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|_| Some(json.as_str())).collect::<StringViewArray>()),
        new_null_array(&shape(spec), rows.len()),
        Arc::new(times),
        Arc::new(rows.iter().map(|row| Some(row.key.to_string())).collect::<StringArray>()),
    ];
    for filter in 0..spec.n_filters {
        arrays.push(Arc::new(rows.iter().map(|row| row.filters[filter]).collect::<BooleanArray>()));
    }
    for (column, data_type) in TYPES.iter().enumerate() {
        let longs = rows.iter().map(|row| row.values[column].map(|number| i64::from(number) - 2));
        let array: ArrayRef = match data_type {
            DataType::Integer => Arc::new(
                longs.map(|long| long.map(|long| if long > 1 { i64::MAX } else { long })).collect::<Int64Array>(),
            ),
            DataType::Number => Arc::new(longs.map(|long| long.map(number)).collect::<Float64Array>()),
            DataType::Decimal => {
                let decimals = longs.map(|long| long.map(decimal)).collect::<Decimal128Array>();
                Arc::new(decimals.with_precision_and_scale(38, 9).unwrap())
            }
            DataType::Date => Arc::new(longs.map(|long| long.map(|long| long as i32)).collect::<Date32Array>()),
            DataType::Timestamp => Arc::new(longs.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            DataType::Text => {
                Arc::new(rows.iter().map(|row| row.values[column].map(text)).collect::<StringViewArray>())
            }
            _ => Arc::new(longs.map(|long| long.map(|long| long > 0)).collect::<BooleanArray>()),
        };
        arrays.push(array);
    }
    arrays
}

/// A feature per window of every stream.
pub(super) fn spec(streams: Vec<Stream>, n_filters: usize) -> PassSpec {
    let mut features = Vec::new();
    for (index, stream) in streams.iter().enumerate() {
        for window in 0..stream.since.len() {
            let data_type = match stream.aggregate {
                Aggregate::Count | Aggregate::CountDistinct => DataType::Integer,
                Aggregate::Sum | Aggregate::Avg => DataType::Number,
                _ => TYPES[stream.value.unwrap()],
            };
            features.push(PassFeature { name: format!("f{index}_{window}"), stream: index, window, data_type });
        }
    }
    PassSpec { streams, features, n_filters }
}

/// A feature of a group.
pub(super) fn feature(spec: &PassSpec, feature: &PassFeature, rows: &[Row], group: usize, only: bool) -> ScalarValue {
    let stream = &spec.streams[feature.stream];
    let since = stream.since[feature.window];
    let taken = |row: &&Row| {
        row.group == group
            && (!only || row.only == Some(true))
            && stream.filter.is_none_or(|filter| row.filters[filter] == Some(true))
            && match row.time {
                Some(time) => time >= since,
                None => since == i64::MIN,
            }
    };
    let rows: Vec<&Row> = rows.iter().filter(taken).collect();
    if stream.aggregate == Aggregate::Count {
        return ScalarValue::Int64(Some(rows.len() as i64));
    }
    let column = stream.value.unwrap();
    // Truths have two values only.
    let one = |number: u8| if TYPES[column] == DataType::Boolean { if number > 2 { 3 } else { 0 } } else { number };
    // The greatest number and none are alike for whoever wants the first: 4 stands for the greatest.
    let none = (stream.aggregate == Aggregate::First).then_some(4);
    let at = |row: &Row| stream.order.map_or(row.time, |order| row.values[order].or(none).map(i64::from));
    let valued = |row: &&Row| row.values[column].map(|number| ((at(row), row.key), one(number)));
    let rows: Vec<((Option<i64>, u8), u8)> = rows.iter().filter_map(valued).collect();
    let numbers = rows.iter().map(|(_, number)| *number);
    let total: i128 = numbers.clone().map(|number| decimal(i64::from(number) - 2)).sum();
    let last = |(time, key): (Option<i64>, u8)| (time, key);
    let first = |(time, key): (Option<i64>, u8)| (time.is_none(), time, key);
    let picked = match stream.aggregate {
        Aggregate::CountDistinct => {
            return ScalarValue::Int64(Some(numbers.collect::<BTreeSet<_>>().len() as i64));
        }
        Aggregate::Sum => return ScalarValue::Float64(Some(super::ratio::ratio(total, 1_000_000_000))),
        Aggregate::Avg => {
            let count = rows.len() as u128;
            return ScalarValue::Float64((count > 0).then(|| super::ratio::ratio(total, 1_000_000_000) / count as f64));
        }
        Aggregate::Min => numbers.min(),
        Aggregate::Max => numbers.max(),
        Aggregate::First => rows.iter().min_by_key(|(at, number)| (first(*at), *number)).map(|(_, number)| *number),
        Aggregate::Last => rows.iter().max_by_key(|(at, number)| (last(*at), *number)).map(|(_, number)| *number),
        Aggregate::Mode => {
            let mut counts = BTreeMap::<u8, usize>::new();
            numbers.for_each(|number| *counts.entry(number).or_default() += 1);
            counts.into_iter().max_by_key(|(number, count)| (*count, u8::MAX - number)).map(|(number, _)| number)
        }
        Aggregate::Count => None,
    };
    value(column, picked)
}

#[test]
fn numbers_survive_their_longs() {
    for long in -2..=2 {
        let there = number(long);
        assert_eq!(long_to_number(number_to_long(there)).to_bits(), there.to_bits());
    }
}
