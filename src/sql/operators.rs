//! Which types operators and branches accept, and what they give.

use sqlparser::ast::BinaryOperator;

use super::types::DataType::{self, Boolean, Date, Decimal, Integer, Interval, Json, Number, Text, Timestamp, Unknown};

impl DataType {
    /// A number of any kind?
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Integer | Number | Decimal)
    }

    /// A date or an instant?
    #[must_use]
    pub fn is_time(self) -> bool {
        matches!(self, Date | Timestamp)
    }
}

/// The type that both sides have or can be given; `None` where they cannot be compared.
pub(super) fn common(left: DataType, right: DataType) -> Option<DataType> {
    Some(match (left, right) {
        _ if left == right => left,
        (Unknown, other) | (other, Unknown) => other,
        (Integer, Decimal) | (Decimal, Integer) => Decimal,
        _ if left.is_number() && right.is_number() => Number,
        _ if left.is_time() && right.is_time() => Timestamp,
        (Text, Json) | (Json, Text) => Text,
        _ => return None,
    })
}

/// The type of `left op right`; `None` where the operator does not take them.
pub(super) fn binary(op: &BinaryOperator, left: DataType, right: DataType) -> Option<DataType> {
    use BinaryOperator as Op;
    match op {
        Op::And | Op::Or => [left, right].iter().all(|side| matches!(side, Boolean | Unknown)).then_some(Boolean),
        Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => common(left, right).map(|_| Boolean),
        Op::Plus | Op::Minus => match (left, right) {
            (Date | Timestamp, Interval) => Some(if left == Date { Date } else { Timestamp }),
            (Interval, Date | Timestamp) if *op == Op::Plus => Some(right),
            _ => arithmetic(left, right),
        },
        Op::Multiply | Op::Modulo => arithmetic(left, right),
        Op::Divide => arithmetic(left, right).map(|_| Number),
        Op::StringConcat => (left == Text || right == Text || left == Unknown || right == Unknown).then_some(Text),
        Op::LongArrow => (matches!(left, Json | Text | Unknown) && matches!(right, Text)).then_some(Text),
        _ => None,
    }
}

fn arithmetic(left: DataType, right: DataType) -> Option<DataType> {
    let number = |side: DataType| side.is_number() || side == Unknown;
    (number(left) && number(right)).then_some(match (left, right) {
        (Integer, Integer) => Integer,
        (Decimal | Integer, Decimal | Integer) => Decimal,
        (Unknown, other) | (other, Unknown) => other,
        _ => Number,
    })
}
