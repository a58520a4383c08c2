//! `cohorte_decay`: what an event of some age still weighs.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};

use super::call::{Function, Kind, Takes, primitives};

/// Digits after the point of a weight.
const SCALE: i8 = 9;

pub(super) fn functions() -> Vec<Function> {
    let takes = Takes::Exactly(&[Kind::Integer, Kind::Number]);
    vec![Function::new("cohorte_decay", takes, DataType::Decimal128(38, SCALE), |arguments| {
        let ages = arguments.primitive::<Int64Type>(0)?;
        let half_lives = arguments.primitive::<Float64Type>(1)?;
        let valid = |row| ages.is_valid(row) && half_lives.is_valid(row);
        let weights = primitives::<Decimal128Type>(arguments.rows, |row| {
            if valid(row) { decay_weight(ages.value(row), half_lives.value(row)) } else { None }
        });
        Ok(Arc::new(weights.with_precision_and_scale(38, SCALE)?))
    })]
}

/// 2^(−age / half-life) in billionths; none for an age below zero or a half-life that is not above it.
///
/// Only additions, multiplications and halvings of doubles, so that every machine gives the same digits: the power
/// functions of C libraries differ in their last one.
#[must_use]
pub fn decay_weight(age_days: i64, half_life_days: f64) -> Option<i128> {
    if age_days < 0 || !half_life_days.is_finite() || half_life_days <= 0.0 {
        return None;
    }
    let halvings = age_days as f64 / half_life_days;
    if halvings > 64.0 {
        return Some(0);
    }
    let whole = halvings.floor();
    // e^(−x), 0 ≤ x < ln 2: the terms fall below a double's precision well before the 24th.
    let x = (halvings - whole) * std::f64::consts::LN_2;
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..24_u8 {
        term *= -x / f64::from(n);
        sum += term;
    }
    for _ in 0..whole as u32 {
        sum *= 0.5;
    }
    Some((sum * 1e9).round() as i128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::functions::tests::row;

    #[test]
    fn weights_halve() {
        assert_eq!(decay_weight(0, 30.0), Some(1_000_000_000));
        assert_eq!(decay_weight(30, 30.0), Some(500_000_000));
        assert_eq!(decay_weight(60, 30.0), Some(250_000_000));
        assert_eq!(decay_weight(15, 30.0), Some(707_106_781));
        assert_eq!(decay_weight(1, 30.0), Some(977_159_968));
        assert_eq!(decay_weight(1, 0.5), Some(250_000_000));
        assert_eq!(decay_weight(i64::MAX, 30.0), Some(0));
        assert_eq!(decay_weight(-1, 30.0), None);
        assert_eq!(decay_weight(1, 0.0), None);
        assert_eq!(decay_weight(1, f64::NAN), None);
    }

    #[tokio::test]
    async fn in_sql_a_weight_is_a_decimal() {
        let sql = "select cohorte_decay(15, 30), cohorte_decay(null, 30), cohorte_decay(-1, 30.0), \
                   arrow_typeof(cohorte_decay(1, 2))";
        assert_eq!(row(sql).await, ["0.707106781", "", "", "Decimal128(38, 9)"]);
    }

    proptest::proptest! {
        #[test]
        fn it_is_the_power_of_two(age in 0_i64..5000, half_life in 0.5_f64..500.0) {
            let exact = (-(age as f64) / half_life).exp2() * 1e9;
            let weight = decay_weight(age, half_life).unwrap();
            proptest::prop_assert!((weight as f64 - exact).abs() <= 0.500_001);
        }
    }
}
