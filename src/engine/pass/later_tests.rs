//! States of an earlier moment, the rows that time has moved since, and rows that have come: together they give what all rows give.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray};
use datafusion::arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use proptest::prelude::*;

use super::accumulator::PassAccumulator;
use super::batch::BEFORE_TIMES;
use super::naive::{Row, arguments, feature, spec};
use super::plan::Plan;
use super::property_tests::{FILTERS, GROUPS, plan, rows, streams};
use super::shape;
use crate::compile::pass::{PassSpec, Stream};

/// The same streams some time later: every bound has moved on, none beyond the next.
fn later(streams: &[Stream], by: i64) -> Vec<Stream> {
    let moved = |bound: &i64| if *bound == i64::MIN { *bound } else { *bound + by - *bound % 2 * i64::from(by > 1) };
    let stream = |stream: &Stream| {
        let mut since: Vec<i64> = stream.since.iter().map(moved).collect();
        since.dedup();
        let since = if since.len() == stream.since.len() { since } else { stream.since.clone() };
        Stream { since, ..stream.clone() }
    };
    streams.iter().map(stream).collect()
}

fn taken<'r>(rows: &'r [Row], before: i64) -> Vec<&'r Row> {
    rows.iter().filter(|row| row.time.is_none_or(|time| time <= before)).collect()
}

fn groups(rows: &[&Row]) -> Vec<usize> {
    rows.iter().map(|row| row.group).collect()
}

/// What each group has seen of some rows, as it is written. Streams are given other numbers, as another specification may have them.
fn states(spec: &PassSpec, rows: &[&Row]) -> Vec<Vec<u8>> {
    let mut pass = PassAccumulator::new(plan(spec));
    pass.update_batch(&arguments(spec, rows), &groups(rows), None, GROUPS).unwrap();
    let state = |group| {
        let (mut own, mut state) = (Vec::new(), Vec::new());
        pass.write(group, |stream| stream + 7, &mut own, &mut state);
        state
    };
    (0..GROUPS).map(state).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_was_seen_and_what_has_changed_is_all(
        streams in streams(), old in rows(), new in rows(), moment in 0_i64..60, by in 0_i64..40, foreign in 0..GROUPS,
    ) {
        let before = spec(streams.clone(), FILTERS);
        let lasting: Vec<Stream> = (0..streams.len())
            .filter(|stream| before.outlasts_windows(*stream) || by == 0)
            .map(|stream| streams[stream].clone())
            .collect();
        let before = spec(lasting.clone(), FILTERS);
        let after = spec(later(&lasting, by), FILTERS);
        let was: Vec<Vec<i64>> = lasting.iter().map(|stream| stream.since.clone()).collect();
        let types: Vec<ArrowType> = arguments(&after, &[]).iter().map(|array| array.data_type().clone()).collect();
        let plan = Arc::new(Plan::after(&after, &was, &types, &shape(&after)).unwrap());
        let now = moment + by;

        // One group is told anew from its rows.
        let mut pass = PassAccumulator::new(plan);
        pass.resize(GROUPS);
        for (group, state) in states(&before, &taken(&old, moment)).iter().enumerate().filter(|(group, _)| *group != foreign) {
            pass.merge(group, state, |stream| Some(stream - 7)).unwrap();
        }
        let there = taken(&old, now);
        let known: BooleanArray = there.iter().map(|row| Some(row.group != foreign)).collect();
        let unknown: BooleanArray = there.iter().map(|row| Some(row.group == foreign)).collect();
        let columns = arguments(&after, &there);
        pass.grow_older(&columns[BEFORE_TIMES..], &groups(&there), &known, moment).unwrap();
        pass.update_batch(&columns, &groups(&there), Some(&unknown), GROUPS).unwrap();
        let come = taken(&new, now);
        pass.update_batch(&arguments(&after, &come), &groups(&come), None, GROUPS).unwrap();

        let all: Vec<Row> = there.into_iter().chain(come).cloned().collect();
        let result = pass.evaluate(EmitTo::All).unwrap();
        for (column, wanted) in result.as_struct().columns().iter().zip(&after.features) {
            for group in 0..GROUPS {
                let naive = feature(&after, wanted, &all, group, false);
                let given = ScalarValue::try_from_array(column, group).unwrap();
                prop_assert_eq!(given, naive, "{:?} of group {}", &after.streams[wanted.stream], group);
            }
        }
        prop_assert_eq!(result.len(), GROUPS);
    }
}
