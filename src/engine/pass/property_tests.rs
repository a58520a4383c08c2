//! Any rows, any specification, any split: the pass gives what the naive computation gives.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use proptest::prelude::*;

use super::accumulator::PassAccumulator;
use super::naive::{Row, TYPES, arguments, feature, spec};
use super::plan::Plan;
use super::shape;
use crate::compile::pass::{PassSpec, Stream};
use crate::sql::Aggregate;

pub(super) const GROUPS: usize = 5;
pub(super) const FILTERS: usize = 3;

pub(super) fn streams() -> impl Strategy<Value = Vec<Stream>> {
    let aggregates = prop::sample::select(vec![
        Aggregate::Count,
        Aggregate::CountDistinct,
        Aggregate::Sum,
        Aggregate::Avg,
        Aggregate::Min,
        Aggregate::Max,
        Aggregate::First,
        Aggregate::Last,
        Aggregate::Mode,
    ]);
    let since = prop::collection::btree_set(prop_oneof![4 => 0_i64..60, 1 => Just(i64::MIN)], 1..12);
    let since = prop_oneof![4 => since, 1 => Just([i64::MIN].into())];
    // The first column has whole numbers.
    let stream = (prop::option::of(0..FILTERS), 0..TYPES.len(), prop::option::of(Just(0)), aggregates, since);
    let stream = stream.prop_map(|(filter, value, order, aggregate, since)| Stream {
        filter,
        order: order
            .filter(|_| matches!(aggregate, Aggregate::First | Aggregate::Last) && since.iter().eq([i64::MIN].iter())),
        value: match aggregate {
            Aggregate::Count => None,
            Aggregate::Sum | Aggregate::Avg => Some(2),
            _ => Some(value),
        },
        aggregate,
        since: since.into_iter().rev().collect(),
    });
    prop::collection::vec(stream, 1..8)
}

pub(super) fn rows() -> impl Strategy<Value = Vec<Row>> {
    let truth = || prop::option::weighted(0.9, any::<bool>());
    let row = (
        0..GROUPS,
        prop::option::weighted(0.9, 0_i64..60),
        0_u8..4,
        prop::collection::vec(truth(), FILTERS),
        prop::collection::vec(prop::option::weighted(0.9, 0_u8..5), TYPES.len()),
        truth(),
    );
    let row = row.prop_map(|(group, time, key, filters, values, only)| Row { group, time, key, filters, values, only });
    prop::collection::vec(row, 0..150)
}

/// How rows come: partitions, batches, and what happens to the states on the way.
#[derive(Debug, Clone)]
struct Split {
    partitions: usize,
    batch: usize,
    skip_partial: bool,
    emit: usize,
    only: bool,
}

fn splits() -> impl Strategy<Value = Split> {
    (1_usize..4, 1_usize..40, any::<bool>(), 0..=GROUPS, any::<bool>())
        .prop_map(|(partitions, batch, skip_partial, emit, only)| Split { partitions, batch, skip_partial, emit, only })
}

pub(super) fn plan(spec: &PassSpec) -> Arc<Plan> {
    let none: Vec<&Row> = Vec::new();
    let types: Vec<ArrowType> = arguments(spec, &none).iter().map(|array| array.data_type().clone()).collect();
    Arc::new(Plan::new(spec, &types, &shape(spec)).unwrap())
}

/// The result of each group, through partial states.
fn run(spec: &PassSpec, rows: &[Row], split: &Split) -> Vec<Vec<ScalarValue>> {
    let plan = plan(spec);
    let mut merged = PassAccumulator::new(Arc::clone(&plan));
    let everyone: Vec<usize> = (0..GROUPS).collect();
    let nothing = PassAccumulator::new(Arc::clone(&plan)).convert_to_state(&arguments(spec, &[]), None).unwrap();
    merged.merge_batch(&nothing, &[], GROUPS).unwrap();
    for partition in 0..split.partitions {
        let mine: Vec<&Row> = rows.iter().skip(partition).step_by(split.partitions).collect();
        let mut partial = PassAccumulator::new(Arc::clone(&plan));
        for batch in mine.chunks(split.batch) {
            let groups: Vec<usize> = batch.iter().map(|row| row.group).collect();
            let only: BooleanArray = batch.iter().map(|row| row.only).collect();
            let only = split.only.then_some(&only);
            let values = arguments(spec, batch);
            if split.skip_partial {
                let states = partial.convert_to_state(&values, only).unwrap();
                merged.merge_batch(&states, &groups, GROUPS).unwrap();
            } else {
                partial.update_batch(&values, &groups, only, GROUPS).unwrap();
            }
        }
        if !split.skip_partial && !mine.is_empty() {
            // Some groups leave first; the others move down.
            let (early, late) = everyone.split_at(split.emit);
            let states = partial.state(EmitTo::First(split.emit)).unwrap();
            merged.merge_batch(&states, early, GROUPS).unwrap();
            if split.emit < GROUPS {
                let states = partial.state(EmitTo::All).unwrap();
                merged.merge_batch(&states, late, GROUPS).unwrap();
            }
            let fresh = PassAccumulator::new(Arc::clone(&plan)).size();
            assert_eq!(partial.size(), fresh, "an accumulator that emitted all holds nothing");
        }
    }
    let mut results = Vec::new();
    for emit in [EmitTo::First(GROUPS - split.emit), EmitTo::All] {
        let result = merged.evaluate(emit).unwrap();
        let result = result.as_struct();
        for row in 0..result.len() {
            let values = result.columns().iter().map(|column| ScalarValue::try_from_array(column, row).unwrap());
            results.push(values.collect());
        }
    }
    results
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_pass_is_the_naive_computation(streams in streams(), rows in rows(), split in splits()) {
        let spec = spec(streams, FILTERS);
        let results = run(&spec, &rows, &split);
        prop_assert_eq!(results.len(), GROUPS);
        for (group, results) in results.iter().enumerate() {
            for (wanted, result) in spec.features.iter().zip(results) {
                let naive = feature(&spec, wanted, &rows, group, split.only);
                prop_assert_eq!(result, &naive, "{:?} of group {}", &spec.streams[wanted.stream], group);
            }
        }
    }
}

#[test]
fn what_a_group_owns_is_counted_down_to_nothing() {
    let since = vec![i64::MIN];
    let aggregates = [Aggregate::CountDistinct, Aggregate::Mode, Aggregate::Min, Aggregate::Last];
    let streams = aggregates.map(|aggregate| Stream {
        filter: None,
        value: Some(5),
        order: None,
        aggregate,
        since: since.clone(),
    });
    let spec = spec(streams.to_vec(), 0);
    let row = |group: usize| Row {
        group,
        time: Some(1),
        key: 1,
        filters: vec![],
        values: vec![Some(4); TYPES.len()],
        only: None,
    };
    let rows: Vec<Row> = (0..1000).map(row).collect();
    let rows: Vec<&Row> = rows.iter().collect();
    let groups: Vec<usize> = (0..1000).collect();
    let mut pass = PassAccumulator::new(plan(&spec));
    let empty = pass.size();
    pass.update_batch(&arguments(&spec, &rows), &groups, None, 1000).unwrap();
    let full = pass.size();
    assert!(full > empty + 1000 * 100, "{full}");
    let first = pass.evaluate(EmitTo::First(999)).unwrap();
    assert_eq!(first.len(), 999);
    let left = pass.evaluate(EmitTo::All).unwrap();
    assert_eq!(ScalarValue::try_from_array(&left, 0).unwrap(), ScalarValue::try_from_array(&first, 0).unwrap());
    assert_eq!(pass.size(), empty);
}

#[test]
fn a_specification_that_does_not_fit_is_refused() {
    let stream =
        |aggregate, value, since: &[i64]| Stream { filter: None, value, order: None, aggregate, since: since.to_vec() };
    let wrong = [
        stream(Aggregate::Count, None, &[]),
        stream(Aggregate::Count, None, &[1, 2]),
        stream(Aggregate::Min, None, &[1]),
        stream(Aggregate::Min, Some(7), &[1]),
        stream(Aggregate::Sum, Some(0), &[1]),
        Stream { filter: Some(0), ..stream(Aggregate::Count, None, &[1]) },
    ];
    let types = |spec: &PassSpec| -> Vec<ArrowType> {
        arguments(spec, &[]).iter().map(|array| array.data_type().clone()).collect()
    };
    for stream in wrong {
        let wrong = PassSpec { streams: vec![stream], features: vec![], n_filters: 0 };
        assert!(Plan::new(&wrong, &types(&wrong), &shape(&wrong)).is_err(), "{wrong:?}");
    }
    let right = spec(vec![stream(Aggregate::Min, Some(0), &[1])], 0);
    assert!(Plan::new(&right, &types(&right), &shape(&right)).is_ok());
    let mut other = right.clone();
    other.features[0].data_type = TYPES[1];
    assert!(Plan::new(&other, &types(&other), &shape(&other)).is_err());
    other.features[0].window = 1;
    assert!(Plan::new(&other, &types(&other), &shape(&other)).is_err());
}
