//! Comparisons, lists, patterns, branches: where two sides must be of one type.

use sqlparser::ast::{BinaryOperator, CaseWhen, Expr};

use super::bind::{Binder, Typed};
use super::operators::{binary, common};
use super::types::DataType;
use crate::diag::Finding;

impl Binder<'_> {
    pub(super) fn binary(&mut self, expr: &Expr, left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Typed> {
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
        // A column of no known type (a file without rows) is stored as text: it holds nothing but nulls.
        let number = |sql: String, found: DataType| match found {
            DataType::Unknown if data_type.is_number() && sql != "null" => format!("try_cast({sql} as double)"),
            _ => sql,
        };
        let (left_sql, right_sql) = (number(left_sql, left_type), number(right_sql, right_type));
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
    pub(super) fn compare(&mut self, whole: &Expr, left: &Expr, op: &str, right: &Expr) -> Option<Typed> {
        let (bound_left, bound_right) = (self.expr(left), self.expr(right));
        let ((mut left_sql, left_type), (mut right_sql, right_type)) = (bound_left?, bound_right?);
        // A text literal beside a time is that time.
        match (left_type, right_type) {
            (time, DataType::Text) if time.is_time() && is_literal(right) => {
                right_sql = self.literal_time(right, time)?;
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

    pub(super) fn test(&mut self, inner: &Expr, test: &str, wanted: Option<DataType>) -> Option<Typed> {
        let (sql, data_type) = self.expr(inner)?;
        if let Some(wanted) = wanted
            && !self.fits(inner, data_type, wanted)
        {
            return None;
        }
        Some((format!("({sql} {test})"), DataType::Boolean))
    }

    pub(super) fn in_list(&mut self, inner: &Expr, list: &[Expr], negated: bool) -> Option<Typed> {
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

    pub(super) fn like(&mut self, inner: &Expr, pattern: &Expr, op: &str) -> Option<Typed> {
        let (bound, bound_pattern) = (self.expr(inner), self.expr(pattern));
        let ((sql, data_type), (pattern_sql, pattern_type)) = (bound?, bound_pattern?);
        let fits = self.fits(inner, data_type, DataType::Text) & self.fits(pattern, pattern_type, DataType::Text);
        fits.then(|| (format!("({sql} {op} {pattern_sql})"), DataType::Boolean))
    }

    pub(super) fn case(
        &mut self,
        whole: &Expr,
        operand: Option<&Expr>,
        branches: &[CaseWhen],
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
        let mut sql = String::new();
        for (before, given) in &parts {
            sql.push_str(before);
            sql.push_str(&self.given_as(data_type, given));
        }
        whole_bound.then(|| (format!("case{sql} end"), data_type))
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(_))
}
