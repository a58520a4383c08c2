//! Binding: an expression's names become columns, its types are checked, and it is printed back in one canonical form.

use std::collections::BTreeSet;

use sqlparser::ast::{Expr, Ident, UnaryOperator, Value};

use super::operators::common;
use super::parse::{SqlText, parse_expression};
use super::print::text_literal;
use super::types::DataType;
use crate::diag::{Finding, Findings, nearest};
use crate::text::Located;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The SQL that reads it.
    pub sql: String,
    /// Its type.
    pub data_type: DataType,
    /// What is noted in [`Bound::reads`].
    pub reads: String,
}

/// What names mean where an expression stands.
pub trait Scope {
    /// The column of these name parts (`status`, `orders.status`).
    fn column(&self, parts: &[&str]) -> Option<Column>;

    /// Every name that could have been meant, for suggestions.
    fn names(&self) -> Vec<String>;

    /// What is read here, in words: "the source `orders`".
    fn describe(&self) -> String;

    /// IANA name of the zone of calendar days.
    fn timezone(&self) -> &str;
}

/// A checked expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Canonical SQL.
    pub sql: String,
    /// Its type.
    pub data_type: DataType,
    /// The columns that it reads, as the scope names them.
    pub reads: BTreeSet<String>,
    /// Does it ask what time it is?
    pub uses_now: bool,
}

/// Parses and binds an expression. `wanted` is the type that is needed (`None`: any). Findings say what is wrong.
pub fn bind(sql: SqlText<'_>, scope: &dyn Scope, wanted: Option<DataType>, findings: &mut Findings) -> Option<Bound> {
    let expr = match parse_expression(sql) {
        Ok(expr) => expr,
        Err(finding) => {
            findings.add(finding);
            return None;
        }
    };
    let mut binder = Binder { sql, scope, findings, reads: BTreeSet::new(), uses_now: false };
    let (text, data_type) = binder.expr(&expr)?;
    if let Some(wanted) = wanted
        && common(wanted, data_type).is_none()
    {
        let message = format!("{wanted} is needed here, this is {data_type}");
        let finding = Finding::error("E204", message).at(sql.whole()).label(format!("this is {data_type}"));
        binder.findings.add(finding);
        return None;
    }
    Some(Bound { sql: text, data_type, reads: binder.reads, uses_now: binder.uses_now })
}

pub(super) struct Binder<'a> {
    pub(super) sql: SqlText<'a>,
    pub(super) scope: &'a dyn Scope,
    pub(super) findings: &'a mut Findings,
    pub(super) reads: BTreeSet<String>,
    pub(super) uses_now: bool,
}

/// SQL text and its type.
pub(super) type Typed = (String, DataType);

impl Binder<'_> {
    /// Both sides are bound even if one fails, so that all findings are told.
    pub(super) fn expr(&mut self, expr: &Expr) -> Option<Typed> {
        match expr {
            Expr::Identifier(name) => self.identifier(expr, std::slice::from_ref(name)),
            Expr::CompoundIdentifier(parts) => self.identifier(expr, parts),
            Expr::Nested(inner) => self.expr(inner).map(|(sql, data_type)| (parenthesised(sql), data_type)),
            Expr::Value(value) => self.value(expr, &value.value),
            Expr::TypedString(typed) => {
                let text = typed.value.clone().into_string()?;
                self.typed_string(expr, &typed.data_type, &text)
            }
            Expr::BinaryOp { left, op, right } => self.binary(expr, left, op, right),
            Expr::UnaryOp { op, expr: inner } => {
                let (sql, data_type) = self.expr(inner)?;
                match op {
                    UnaryOperator::Not if self.fits(inner, data_type, DataType::Boolean) => {
                        Some((format!("(not {sql})"), DataType::Boolean))
                    }
                    UnaryOperator::Minus if data_type.is_number() => Some((format!("(-{sql})"), data_type)),
                    UnaryOperator::Plus if data_type.is_number() => Some((sql, data_type)),
                    UnaryOperator::Not => None,
                    _ => self.refuse(expr, format!("`{op}` does not take {data_type}")),
                }
            }
            Expr::IsNull(inner) => self.test(inner, "is null", None),
            Expr::IsNotNull(inner) => self.test(inner, "is not null", None),
            Expr::IsTrue(inner) => self.test(inner, "is true", Some(DataType::Boolean)),
            Expr::IsNotTrue(inner) => self.test(inner, "is not true", Some(DataType::Boolean)),
            Expr::IsFalse(inner) => self.test(inner, "is false", Some(DataType::Boolean)),
            Expr::IsNotFalse(inner) => self.test(inner, "is not false", Some(DataType::Boolean)),
            Expr::IsDistinctFrom(left, right) => self.compare(expr, left, "is distinct from", right),
            Expr::IsNotDistinctFrom(left, right) => self.compare(expr, left, "is not distinct from", right),
            Expr::InList { expr: inner, list, negated } => self.in_list(inner, list, *negated),
            Expr::Between { expr: inner, negated, low, high } => {
                let low = self.compare(expr, inner, ">=", low);
                let high = self.compare(expr, inner, "<=", high);
                let not = if *negated { "not " } else { "" };
                Some((format!("({not}({} and {}))", low?.0, high?.0), DataType::Boolean))
            }
            Expr::Like { negated, expr: inner, pattern, escape_char: None, any: false } => {
                self.like(inner, pattern, if *negated { "not like" } else { "like" })
            }
            Expr::ILike { negated, expr: inner, pattern, escape_char: None, any: false } => {
                self.like(inner, pattern, if *negated { "not ilike" } else { "ilike" })
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(expr, operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Cast { expr: inner, data_type, .. } => self.cast(expr, inner, data_type),
            Expr::Extract { field, expr: inner, .. } => self.date_part(expr, &field.to_string(), inner),
            Expr::Interval(interval) => self.interval(expr, interval),
            Expr::Ceil { expr: inner, .. } => self.number_function("ceil", inner),
            Expr::Floor { expr: inner, .. } => self.number_function("floor", inner),
            Expr::Substring { expr: inner, substring_from, substring_for, .. } => {
                let arguments: Vec<&Expr> = [Some(&**inner), substring_from.as_deref(), substring_for.as_deref()]
                    .into_iter()
                    .flatten()
                    .collect();
                self.call(expr, "substr", &arguments)
            }
            Expr::Trim { expr: inner, trim_what, trim_where: None, trim_characters: None } => {
                let arguments: Vec<&Expr> = [Some(&**inner), trim_what.as_deref()].into_iter().flatten().collect();
                self.call(expr, "btrim", &arguments)
            }
            Expr::Position { expr: needle, r#in: hay } => self.call(expr, "strpos", &[hay, needle]),
            Expr::Function(function) => self.function(expr, function),
            Expr::Exists { .. } | Expr::Subquery(_) | Expr::InSubquery { .. } => {
                self.refuse(expr, "a query inside an expression is not allowed: use a trait, a segment or an event")
            }
            _ => self.refuse(expr, "this form of SQL is not allowed here"),
        }
    }

    pub(super) fn refuse<T>(&mut self, part: &Expr, message: impl Into<String>) -> Option<T> {
        self.findings.add(Finding::error("E203", message).at(self.sql.place(part)));
        None
    }

    pub(super) fn fits(&mut self, part: &Expr, found: DataType, wanted: DataType) -> bool {
        let fits = common(found, wanted).is_some();
        if !fits {
            let message = format!("{wanted} is needed here, `{part}` is {found}");
            self.findings
                .add(Finding::error("E204", message).at(self.sql.place(part)).label(format!("this is {found}")));
        }
        fits
    }

    pub(super) fn identifier(&mut self, expr: &Expr, names: &[Ident]) -> Option<Typed> {
        // Unquoted names are what is written: columns of files keep their case.
        let parts: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
        if let Some(column) = self.scope.column(&parts) {
            self.reads.insert(column.reads);
            return Some((column.sql, column.data_type));
        }
        if let [word] = parts.as_slice() {
            match word.to_ascii_lowercase().as_str() {
                "current_date" | "today" => return self.now("cohorte_today()", DataType::Date),
                "current_timestamp" | "localtimestamp" => return self.now("cohorte_now()", DataType::Timestamp),
                _ => {}
            }
        }
        let name = parts.join(".");
        let known = self.scope.names();
        let mut finding = Finding::error("E202", format!("{} has no `{name}`", self.scope.describe()))
            .at(self.sql.place(expr))
            .label("unknown");
        finding = match nearest(&name, known.iter().map(String::as_str)) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None if known.len() <= 40 => finding.help(format!(
                "it has {}",
                known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            )),
            None => finding,
        };
        if names.iter().any(|name| name.quote_style == Some('"')) && names.len() == 1 {
            finding = finding.help(format!("double quotes are for names; text is in single quotes: '{name}'"));
        }
        self.findings.add(finding);
        None
    }

    #[expect(clippy::unnecessary_wraps, reason = "a branch among branches that may fail")]
    pub(super) fn now(&mut self, sql: &str, data_type: DataType) -> Option<Typed> {
        self.uses_now = true;
        Some((sql.to_owned(), data_type))
    }

    pub(super) fn value(&mut self, expr: &Expr, value: &Value) -> Option<Typed> {
        Some(match value {
            Value::Number(digits, _) => {
                let whole = digits.bytes().all(|digit| digit.is_ascii_digit());
                if (whole && digits.parse::<i64>().is_err()) || !digits.parse::<f64>().is_ok_and(f64::is_finite) {
                    return self.refuse(expr, "this number is too large");
                }
                (digits.clone(), if whole { DataType::Integer } else { DataType::Number })
            }
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => (text_literal(text), DataType::Text),
            Value::Boolean(truth) => (truth.to_string(), DataType::Boolean),
            Value::Null => ("null".into(), DataType::Unknown),
            _ => return self.refuse(expr, "this form of literal is not allowed here"),
        })
    }
}

fn parenthesised(sql: String) -> String {
    if sql.starts_with('(') && sql.ends_with(')') { sql } else { format!("({sql})") }
}

/// Binds a constant or SQL.
pub fn bind_value(
    files: &crate::text::Files,
    value: &Located<crate::text::ValueSpec>,
    scope: &dyn Scope,
    findings: &mut Findings,
) -> Option<Bound> {
    use crate::text::{Constant, ValueSpec};
    let constant = |sql: String, data_type| Some(Bound { sql, data_type, reads: BTreeSet::new(), uses_now: false });
    match &value.value {
        ValueSpec::Sql(text) => {
            let text = Located::new(text.clone(), value.span);
            bind(SqlText::new(files, &text), scope, None, findings)
        }
        ValueSpec::Constant(Constant::Text(text)) => constant(text_literal(text), DataType::Text),
        ValueSpec::Constant(Constant::Boolean(truth)) => constant(truth.to_string(), DataType::Boolean),
        ValueSpec::Constant(Constant::Integer(number)) => constant(number.to_string(), DataType::Integer),
        ValueSpec::Constant(Constant::Number(number)) => {
            constant(format!("cast({number:?} as double)"), DataType::Number)
        }
    }
}
