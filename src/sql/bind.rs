//! Binding: an expression's names become columns, its types are checked, and it is printed back in one canonical form.

use std::collections::BTreeSet;

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType as SqlType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, TimezoneInfo, UnaryOperator, Value,
};

use super::functions::{Gives, Kind, REFUSED, Signature, signature};
use super::operators::{binary, common};
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
type Typed = (String, DataType);

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
            Expr::Cast { kind, expr: inner, data_type, .. } => self.cast(expr, kind, inner, data_type),
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

    fn fits(&mut self, part: &Expr, found: DataType, wanted: DataType) -> bool {
        let fits = common(found, wanted).is_some();
        if !fits {
            let message = format!("{wanted} is needed here, `{part}` is {found}");
            self.findings
                .add(Finding::error("E204", message).at(self.sql.place(part)).label(format!("this is {found}")));
        }
        fits
    }

    fn identifier(&mut self, expr: &Expr, names: &[Ident]) -> Option<Typed> {
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

    fn now(&mut self, sql: &str, data_type: DataType) -> Option<Typed> {
        self.uses_now = true;
        Some((sql.to_owned(), data_type))
    }

    fn value(&mut self, expr: &Expr, value: &Value) -> Option<Typed> {
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

    fn typed_string(&mut self, expr: &Expr, data_type: &SqlType, text: &str) -> Option<Typed> {
        match data_type {
            SqlType::Date => {
                if chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_err() {
                    return self.refuse(expr, "a date is written `date '2026-01-31'`");
                }
                Some((format!("cast({} as date)", text_literal(text)), DataType::Date))
            }
            SqlType::Timestamp(..) => {
                if !is_instant(text) {
                    return self.refuse(expr, "an instant is written `'2026-01-31 09:00:00'` or `'2026-01-31T09:00:00Z'`");
                }
                let zone = text_literal(self.scope.timezone());
                Some((format!("cohorte_timestamp({}, null, {zone})", text_literal(text)), DataType::Timestamp))
            }
            _ => self.refuse(expr, "this form of literal is not allowed here"),
        }
    }

    fn binary(&mut self, expr: &Expr, left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Typed> {
        use BinaryOperator as Op;
        if matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq) {
            let op = if *op == Op::NotEq { "<>".to_owned() } else { op.to_string() };
            return self.compare(expr, left, &op, right);
        }
        let (bound_left, bound_right) = (self.expr(left), self.expr(right));
        let ((left_sql, left_type), (right_sql, right_type)) = (bound_left?, bound_right?);
        if *op == Op::Minus && left_type.is_time() && right_type.is_time() {
            return self.refuse(expr, "the difference of two times is written `days_between(earlier, later)`");
        }
        let Some(data_type) = binary(op, left_type, right_type) else {
            let message = format!("`{op}` does not take {left_type} and {right_type}");
            self.findings.add(Finding::error("E204", message).at(self.sql.place(expr)));
            return None;
        };
        let sql = match op {
            Op::And => format!("({left_sql} and {right_sql})"),
            Op::Or => format!("({left_sql} or {right_sql})"),
            Op::LongArrow => format!("cohorte_json_text({left_sql}, {right_sql})"),
            // Whole numbers divide as numbers: 1/2 is a half, and nothing is lost in silence; by zero gives null.
            Op::Divide => format!("(cast({left_sql} as double) / nullif(cast({right_sql} as double), 0))"),
            Op::Modulo => format!("({left_sql} % nullif({right_sql}, 0))"),
            _ => format!("({left_sql} {op} {right_sql})"),
        };
        Some((sql, data_type))
    }

    /// Comparisons; a day compared with an instant is its first instant in the project's zone.
    fn compare(&mut self, whole: &Expr, left: &Expr, op: &str, right: &Expr) -> Option<Typed> {
        let (bound_left, bound_right) = (self.expr(left), self.expr(right));
        let ((mut left_sql, left_type), (mut right_sql, right_type)) = (bound_left?, bound_right?);
        // A text literal beside a time is that time.
        match (left_type, right_type) {
            (time, DataType::Text) if time.is_time() && is_literal(right) => {
                right_sql = self.literal_time(right, time)?
            }
            (DataType::Text, time) if time.is_time() && is_literal(left) => left_sql = self.literal_time(left, time)?,
            (DataType::Date, DataType::Timestamp) => left_sql = self.start_of_day(&left_sql),
            (DataType::Timestamp, DataType::Date) => right_sql = self.start_of_day(&right_sql),
            _ if common(left_type, right_type).is_some() => {}
            _ => {
                let message = format!("{left_type} cannot be compared with {right_type}");
                let finding = Finding::error("E204", message)
                    .at(self.sql.place(whole))
                    .help(format!("`{left}` is {left_type}, `{right}` is {right_type}; `cast(… as …)` converts"));
                self.findings.add(finding);
                return None;
            }
        }
        Some((format!("({left_sql} {op} {right_sql})"), DataType::Boolean))
    }

    fn literal_time(&mut self, literal: &Expr, wanted: DataType) -> Option<String> {
        let Expr::Value(value) = literal else { return None };
        let text = value.value.clone().into_string()?;
        let written = match wanted {
            DataType::Date => SqlType::Date,
            _ => SqlType::Timestamp(None, TimezoneInfo::None),
        };
        self.typed_string(literal, &written, &text).map(|(sql, _)| sql)
    }

    /// What a branch or an item gives, as the type that all have: a day among instants is its first instant.
    fn given_as(&self, wanted: DataType, (sql, found): &Typed) -> String {
        match (wanted, found) {
            (DataType::Timestamp, DataType::Date) => self.start_of_day(sql),
            _ => sql.clone(),
        }
    }

    fn start_of_day(&self, sql: &str) -> String {
        format!("cohorte_zoned(cast({sql} as timestamp), {})", text_literal(self.scope.timezone()))
    }

    fn test(&mut self, inner: &Expr, test: &str, wanted: Option<DataType>) -> Option<Typed> {
        let (sql, data_type) = self.expr(inner)?;
        if let Some(wanted) = wanted
            && !self.fits(inner, data_type, wanted)
        {
            return None;
        }
        Some((format!("({sql} {test})"), DataType::Boolean))
    }

    fn in_list(&mut self, inner: &Expr, list: &[Expr], negated: bool) -> Option<Typed> {
        let bound = self.expr(inner);
        let items: Vec<Option<Typed>> = list.iter().map(|item| self.expr(item)).collect();
        let (sql, data_type) = bound?;
        let mut texts = Vec::with_capacity(items.len());
        for (item, typed) in list.iter().zip(items) {
            let (text, item_type) = typed?;
            if data_type.is_time() && item_type == DataType::Text && is_literal(item) {
                texts.push(self.literal_time(item, data_type)?);
                continue;
            }
            // An instant among days would compare days with instants; a day among instants is its first instant.
            let instant_among_days = data_type == DataType::Date && item_type == DataType::Timestamp;
            if instant_among_days {
                return self.refuse(item, "this list is of dates: `local_date(…)` gives the day of an instant");
            }
            if !self.fits(item, item_type, data_type) {
                return None;
            }
            texts.push(self.given_as(data_type, &(text, item_type)));
        }
        let not = if negated { "not " } else { "" };
        Some((format!("({sql} {not}in ({}))", texts.join(", ")), DataType::Boolean))
    }

    fn like(&mut self, inner: &Expr, pattern: &Expr, op: &str) -> Option<Typed> {
        let (bound, bound_pattern) = (self.expr(inner), self.expr(pattern));
        let ((sql, data_type), (pattern_sql, pattern_type)) = (bound?, bound_pattern?);
        let fits = self.fits(inner, data_type, DataType::Text) & self.fits(pattern, pattern_type, DataType::Text);
        fits.then(|| (format!("({sql} {op} {pattern_sql})"), DataType::Boolean))
    }

    fn case(
        &mut self,
        whole: &Expr,
        operand: Option<&Expr>,
        branches: &[sqlparser::ast::CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Option<Typed> {
        let mut parts: Vec<(String, Typed)> = Vec::with_capacity(branches.len() + 1);
        let mut data_type = DataType::Unknown;
        let mut whole_bound = true;
        for branch in branches {
            let condition = match operand {
                Some(operand) => self.compare(whole, operand, "=", &branch.condition),
                None => self
                    .expr(&branch.condition)
                    .filter(|(_, found)| self.fits(&branch.condition, *found, DataType::Boolean)),
            };
            let result = self.expr(&branch.result);
            let (Some((condition, _)), Some((result, found))) = (condition, result) else {
                whole_bound = false;
                continue;
            };
            match common(data_type, found) {
                Some(both) => data_type = both,
                None => whole_bound &= self.fits(&branch.result, found, data_type),
            }
            parts.push((format!(" when {condition} then "), (result, found)));
        }
        if let Some(otherwise) = otherwise {
            let (result, found) = self.expr(otherwise)?;
            match common(data_type, found) {
                Some(both) => data_type = both,
                None => whole_bound &= self.fits(otherwise, found, data_type),
            }
            parts.push((" else ".into(), (result, found)));
        }
        let parts: String =
            parts.iter().map(|(before, given)| format!("{before}{}", self.given_as(data_type, given))).collect();
        whole_bound.then(|| (format!("case{parts} end"), data_type))
    }

    fn cast(&mut self, whole: &Expr, kind: &CastKind, inner: &Expr, data_type: &SqlType) -> Option<Typed> {
        let (sql, found) = self.expr(inner)?;
        if matches!(found, DataType::TextList | DataType::Interval) {
            return self.refuse(whole, format!("a cast of {found} is not allowed here"));
        }
        let zone = text_literal(self.scope.timezone());
        let (name, wanted) = match data_type {
            SqlType::Text | SqlType::Varchar(_) | SqlType::String(_) | SqlType::Char(_) => ("varchar", DataType::Text),
            SqlType::Int(_) | SqlType::Integer(_) | SqlType::BigInt(_) | SqlType::SmallInt(_) => {
                ("bigint", DataType::Integer)
            }
            SqlType::Double(_) | SqlType::DoublePrecision | SqlType::Float(_) | SqlType::Real => {
                ("double", DataType::Number)
            }
            SqlType::Decimal(_) | SqlType::Numeric(_) => ("decimal(38, 9)", DataType::Decimal),
            SqlType::Boolean | SqlType::Bool => ("boolean", DataType::Boolean),
            SqlType::Date if found == DataType::Timestamp => {
                return Some((format!("cohorte_local_date({sql}, {zone})"), DataType::Date));
            }
            SqlType::Date => ("date", DataType::Date),
            SqlType::Timestamp(..) if found == DataType::Text => {
                return Some((format!("cohorte_timestamp({sql}, null, {zone})"), DataType::Timestamp));
            }
            SqlType::Timestamp(..) if found == DataType::Date => {
                return Some((self.start_of_day(&sql), DataType::Timestamp));
            }
            SqlType::Timestamp(..) if found == DataType::Timestamp => return Some((sql, DataType::Timestamp)),
            _ => return self.refuse(whole, format!("a cast to `{data_type}` is not allowed here")),
        };
        let _ = kind;
        // What cannot be converted is null: one odd row must not end a run.
        Some((format!("try_cast({sql} as {name})"), wanted))
    }

    pub(super) fn date_part(&mut self, whole: &Expr, field: &str, inner: &Expr) -> Option<Typed> {
        let field = field.trim_matches('\'').to_ascii_lowercase();
        if !["year", "quarter", "month", "week", "day", "dow", "isodow", "doy", "hour", "minute", "second"]
            .contains(&field.as_str())
        {
            return self.refuse(whole, format!("`{field}` is not a part of a time: year, quarter, month, week, day, dow, isodow, doy, hour, minute, second"));
        }
        let (sql, found) = self.expr(inner)?;
        if !found.is_time() && found != DataType::Unknown {
            return self.fits(inner, found, DataType::Timestamp).then_some((sql, found));
        }
        let sql = self.in_zone(&sql, found);
        Some((format!("cast(date_part('{field}', {sql}) as bigint)"), DataType::Integer))
    }

    /// An instant as the wall clock of the project's zone shows it.
    pub(super) fn in_zone(&self, sql: &str, found: DataType) -> String {
        match found {
            DataType::Timestamp => format!("({sql} at time zone {})", text_literal(self.scope.timezone())),
            _ => sql.to_owned(),
        }
    }

    fn interval(&mut self, whole: &Expr, interval: &sqlparser::ast::Interval) -> Option<Typed> {
        let text = match &*interval.value {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) => text.clone(),
                Value::Number(digits, _) => digits.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        let field = match &interval.leading_field {
            Some(field) => field_name(field),
            None => "",
        };
        let text = format!("{text} {field}");
        let words: Vec<&str> = text.split_whitespace().collect();
        let ok = !words.is_empty()
            && words.len().is_multiple_of(2)
            && words.chunks(2).all(|pair| {
                pair[0].parse::<i32>().is_ok()
                    && ["second", "minute", "hour", "day", "week", "month", "year"]
                        .contains(&pair[1].trim_end_matches('s').to_ascii_lowercase().as_str())
            });
        if !ok {
            return self.refuse(whole, "an interval is written `interval '30 days'` or `interval '30' day`");
        }
        Some((format!("interval {}", text_literal(&words.join(" "))), DataType::Interval))
    }

    fn number_function(&mut self, name: &str, inner: &Expr) -> Option<Typed> {
        self.call(inner, name, &[inner])
    }

    fn function(&mut self, whole: &Expr, function: &Function) -> Option<Typed> {
        let name = function.name.to_string().to_ascii_lowercase();
        let arguments: Option<Vec<&Expr>> = match &function.args {
            FunctionArguments::None => Some(Vec::new()),
            FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => list
                .args
                .iter()
                .map(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        let plain = function.over.is_none() && function.filter.is_none() && function.within_group.is_empty();
        match (plain, arguments) {
            (true, Some(arguments)) => self.call(whole, &name, &arguments),
            _ => self.refuse(whole, "aggregates and windows are not allowed here: declare a trait"),
        }
    }

    fn call(&mut self, whole: &Expr, name: &str, arguments: &[&Expr]) -> Option<Typed> {
        match (name, arguments) {
            ("now" | "current_timestamp", []) => return self.now("cohorte_now()", DataType::Timestamp),
            ("current_date" | "today", []) => return self.now("cohorte_today()", DataType::Date),
            ("date_trunc", [unit, _]) if !is_unit(unit) => {
                return self.refuse(whole, "`date_trunc` takes a unit: 'year', 'quarter', 'month', 'week', 'day', 'hour', 'minute' or 'second'");
            }
            ("date_part", [field, inner]) => return self.date_part(whole, &field.to_string(), inner),
            ("raw" | "valid" | "reason", [Expr::Identifier(column)]) => {
                let spelled = format!("{name}({})", column.value);
                if let Some(column) = self.scope.column(&[&spelled]) {
                    self.reads.insert(column.reads);
                    return Some((column.sql, column.data_type));
                }
                return self.refuse(whole, format!("`{name}(…)` takes a column with a semantic type (email, phone, given_name, family_name, birth_date)"));
            }
            _ => {}
        }
        let Some(signature) = signature(name) else {
            let mut finding =
                Finding::error("E205", format!("the function `{name}` is not known")).at(self.sql.place(whole));
            if REFUSED.contains(&name) {
                finding = Finding::error("E206", format!("the function `{name}` is not allowed: its result changes from call to call, or it reaches outside"))
                    .at(self.sql.place(whole));
            } else if ["count", "sum", "avg", "min", "max", "array_agg", "string_agg"].contains(&name) {
                finding = finding.help("aggregates are declared as traits");
            } else if let Some(near) = nearest(name, super::FUNCTIONS.iter().map(|known| known.name)) {
                finding = finding.help(format!("did you mean `{near}`?"));
            }
            self.findings.add(finding);
            return None;
        };
        self.apply(whole, signature, arguments)
    }

    fn apply(&mut self, whole: &Expr, signature: &Signature, arguments: &[&Expr]) -> Option<Typed> {
        let bound: Vec<Option<Typed>> = arguments.iter().map(|argument| self.expr(argument)).collect();
        let bound: Vec<Typed> = bound.into_iter().collect::<Option<_>>()?;
        let enough = bound.len() >= signature.required && (signature.variadic || bound.len() <= signature.takes.len());
        if !enough {
            return self.refuse(
                whole,
                format!("`{}` takes {} arguments, not {}", signature.name, signature.required, bound.len()),
            );
        }
        let mut same = DataType::Unknown;
        for (index, (_, found)) in bound.iter().enumerate() {
            let kind = signature.takes[index.min(signature.takes.len() - 1)];
            let wanted = match kind {
                Kind::Any => continue,
                Kind::Text => DataType::Text,
                Kind::Number if found.is_number() => continue,
                Kind::Number => DataType::Number,
                Kind::Integer => DataType::Integer,
                Kind::Time if found.is_time() => continue,
                Kind::Time => DataType::Timestamp,
                Kind::List => DataType::TextList,
                Kind::Same => match common(same, *found) {
                    Some(both) => {
                        same = both;
                        continue;
                    }
                    None => same,
                },
            };
            if !self.fits(arguments[index], *found, wanted) {
                return None;
            }
        }
        // Arguments that must be of one type: a day among instants is its first instant.
        let bound: Vec<Typed> = match signature.takes.contains(&Kind::Same) {
            true => bound.iter().map(|typed| (self.given_as(same, typed), same)).collect(),
            false => bound,
        };
        let gives = match signature.gives {
            Gives::Just(data_type) => data_type,
            Gives::Same => same,
            Gives::FirstNumber => bound.first().map_or(DataType::Number, |(_, found)| *found),
        };
        Some((self.print_call(signature.name, &bound), gives))
    }

    fn print_call(&self, name: &str, arguments: &[Typed]) -> String {
        let day = |(sql, found): &Typed| match found {
            DataType::Timestamp => format!("cohorte_local_date({sql}, {})", text_literal(self.scope.timezone())),
            _ => sql.clone(),
        };
        match (name, arguments) {
            ("local_date", [time]) => day(time),
            ("days_between", [from, to]) => {
                format!("(cast(cast({} as int) as bigint) - cast(cast({} as int) as bigint))", day(to), day(from))
            }
            ("years_between", [from, to]) => format!("cohorte_years_between({}, {})", day(from), day(to)),
            ("days_until_anniversary", [date]) => {
                format!("cohorte_days_until_anniversary({}, cohorte_today())", day(date))
            }
            ("date_trunc", [unit, (time, found)]) => {
                let zone = text_literal(self.scope.timezone());
                let local = match found {
                    DataType::Timestamp => format!("cast({} as timestamp)", self.in_zone(time, *found)),
                    _ => format!("cast({time} as timestamp)"),
                };
                format!("cohorte_zoned(date_trunc({}, {local}), {zone})", unit.0)
            }
            (
                "ceil" | "floor" | "round" | "trunc" | "sqrt" | "sign" | "signum" | "power" | "exp" | "ln" | "log10",
                [(first, _), rest @ ..],
            ) => {
                let mut sql = format!("{}(cast({first} as double)", if name == "sign" { "signum" } else { name });
                for (argument, _) in rest {
                    sql.push_str(&format!(", {argument}"));
                }
                sql + ")"
            }
            _ => format!("{name}({})", arguments.iter().map(|(sql, _)| sql.as_str()).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Does the text read as an instant in ISO 8601, with or without a zone? A literal that does not would be null in silence.
fn is_instant(text: &str) -> bool {
    let text = text.trim().replacen(' ', "T", 1);
    text.parse::<chrono::NaiveDate>().is_ok()
        || text.parse::<chrono::NaiveDateTime>().is_ok()
        || chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M").is_ok()
        || ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"]
            .iter()
            .any(|format| chrono::DateTime::parse_from_str(&text, format).is_ok())
}

/// A unit that calendars are cut into, as a literal: what is cut must be known before any row is read.
fn is_unit(expr: &Expr) -> bool {
    let Expr::Value(value) = expr else { return false };
    let Value::SingleQuotedString(unit) = &value.value else { return false };
    ["year", "quarter", "month", "week", "day", "hour", "minute", "second"].contains(&unit.as_str())
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(_))
}

fn parenthesised(sql: String) -> String {
    if sql.starts_with('(') && sql.ends_with(')') { sql } else { format!("({sql})") }
}

fn field_name(field: &DateTimeField) -> &'static str {
    match field {
        DateTimeField::Second | DateTimeField::Seconds => "second",
        DateTimeField::Minute | DateTimeField::Minutes => "minute",
        DateTimeField::Hour | DateTimeField::Hours => "hour",
        DateTimeField::Day | DateTimeField::Days => "day",
        DateTimeField::Week(_) | DateTimeField::Weeks => "week",
        DateTimeField::Month | DateTimeField::Months => "month",
        DateTimeField::Year | DateTimeField::Years => "year",
        _ => "",
    }
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
