//! A query that fails on a value. The engine says what happened, not where: the parts of the query that can be meant are
//! underlined.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, CastKind, Expr, visit_expressions};

use super::parse::{SqlText, parser};
use crate::diag::Finding;
use crate::text::Span;

/// What went wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueFault {
    /// A whole number or a decimal was divided by zero.
    DivisionByZero,
    /// A value is none of the type that it was cast to.
    Cast,
    /// A result is too large for its type.
    Overflow,
    /// Something else, in the engine's words.
    Other(String),
}

impl ValueFault {
    /// The finding, for a query that was bound before.
    #[must_use]
    pub fn finding(&self, sql: SqlText<'_>) -> Finding {
        let (message, label, help) = match self {
            Self::DivisionByZero => (
                "the query divides by zero",
                "divides",
                "`a / nullif(b, 0)` is null where `b` is 0, and so is a division of numbers by zero in models",
            ),
            Self::Cast => (
                "the query casts a value that is none of that type",
                "casts",
                "`try_cast(x as int)` is null where `x` cannot be read; `where` leaves such rows out",
            ),
            Self::Overflow => (
                "a result of the query is too large for its type",
                "computes",
                "compute with a larger type: `cast(x as double)` or `cast(x as decimal(38, 9))`",
            ),
            Self::Other(said) => (
                said.as_str(),
                "",
                "leave the rows that it fails on out with `where`, or give the function what it can read",
            ),
        };
        let mut places = self.suspects(sql).into_iter();
        let finding = Finding::error("E208", message).help(help);
        match places.next() {
            None => finding.at(sql.whole()),
            Some(first) => places.fold(finding.at(first).label(label), |finding, place| finding.also(place, label)),
        }
    }

    fn suspects(&self, sql: SqlText<'_>) -> Vec<Span> {
        let mut found = Vec::new();
        let statements = parser(sql).ok().and_then(|mut parser| parser.parse_statements().ok());
        let _ = visit_expressions(&statements.unwrap_or_default(), |expr: &Expr| {
            if self.may_be(expr) {
                found.push(sql.place(expr));
            }
            ControlFlow::<()>::Continue(())
        });
        found.sort_unstable();
        found
    }

    fn may_be(&self, expr: &Expr) -> bool {
        use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
        match (self, expr) {
            (Self::DivisionByZero, Expr::BinaryOp { op: Divide | Modulo, .. })
            | (Self::Overflow, Expr::BinaryOp { op: Plus | Minus | Multiply, .. }) => true,
            (Self::Cast, Expr::Cast { kind, .. }) => matches!(kind, CastKind::Cast | CastKind::DoubleColon),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Files, Located};

    #[test]
    fn what_may_be_meant_is_underlined() {
        let of = |fault: ValueFault, text: &str| {
            let mut files = Files::default();
            let file = files.add("(the query)", text);
            let whole = Located::new(text.to_owned(), Span { file, start: 0, end: text.len() as u32 });
            let finding = fault.finding(SqlText::new(&files, &whole));
            let places = finding.span.into_iter().chain(finding.others.iter().map(|other| other.span));
            places.map(|span| text[span.start as usize..span.end as usize].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of(ValueFault::DivisionByZero, "select a / b, c % 2 from t"), ["a / b", "c % 2"]);
        assert_eq!(of(ValueFault::Overflow, "select a, b * c from t"), ["b * c"]);
        assert!(of(ValueFault::Cast, "select try_cast(a as int), cast(b as int) from t")[0].contains('b'));
        assert_eq!(of(ValueFault::Cast, "select a from t"), ["select a from t"], "nothing stands out");
    }
}
