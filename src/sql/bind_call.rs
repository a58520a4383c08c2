//! Calls of functions: which are allowed, what they take, and how they are printed.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value};

use super::bind::{Binder, Typed};
use super::functions::{Gives, Kind, REFUSED, Signature, signature};
use super::operators::common;
use super::print::text_literal;
use super::types::DataType;
use crate::diag::{Finding, nearest};

impl Binder<'_> {
    pub(super) fn number_function(&mut self, name: &str, inner: &Expr) -> Option<Typed> {
        self.call(inner, name, &[inner])
    }

    pub(super) fn function(&mut self, whole: &Expr, function: &Function) -> Option<Typed> {
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

    pub(super) fn call(&mut self, whole: &Expr, name: &str, arguments: &[&Expr]) -> Option<Typed> {
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

    pub(super) fn apply(&mut self, whole: &Expr, signature: &Signature, arguments: &[&Expr]) -> Option<Typed> {
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
        let bound: Vec<Typed> = if signature.takes.contains(&Kind::Same) {
            bound.iter().map(|typed| (self.given_as(same, typed), same)).collect()
        } else {
            bound
        };
        let gives = match signature.gives {
            Gives::Just(data_type) => data_type,
            Gives::Same => same,
            Gives::FirstNumber => bound.first().map_or(DataType::Number, |(_, found)| *found),
        };
        Some((self.print_call(signature.name, &bound), gives))
    }

    pub(super) fn print_call(&self, name: &str, arguments: &[Typed]) -> String {
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

/// A unit that calendars are cut into, as a literal: what is cut must be known before any row is read.
fn is_unit(expr: &Expr) -> bool {
    let Expr::Value(value) = expr else { return false };
    let Value::SingleQuotedString(unit) = &value.value else { return false };
    ["year", "quarter", "month", "week", "day", "hour", "minute", "second"].contains(&unit.as_str())
}
