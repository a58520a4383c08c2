//! Whole queries (`cohorte query`, `from: {sql: …}`): one `SELECT` that reads tables, and nothing that writes or reaches files.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Query, SetExpr, Statement, Visit, Visitor,
    visit_expressions_mut, visit_relations,
};

use super::functions::REFUSED;
use super::parse::{SqlText, parser, syntax_error};
use crate::diag::Finding;

/// A query that was found harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundQuery {
    /// Canonical SQL.
    pub sql: String,
    /// The tables that it names.
    pub tables: Vec<String>,
}

/// Parses a query and refuses all that could write, read files or change from call to call.
pub fn bind_query(sql: SqlText<'_>) -> Result<BoundQuery, Finding> {
    let refuse = |message: &str| {
        Finding::error("E207", message.to_owned())
            .at(sql.whole())
            .help("one SELECT over the project's tables is allowed")
    };
    let mut statements = parser(sql)?.parse_statements().map_err(|error| {
        syntax_error(sql, &error).help("one SELECT over the project's tables is expected; text is in single quotes")
    })?;
    let (Some(mut statement), true) = (statements.pop(), statements.is_empty()) else {
        return Err(refuse("exactly one statement is expected here"));
    };
    if !matches!(statement, Statement::Query(_)) || statement.visit(&mut Writes).is_break() {
        return Err(refuse("this statement does more than read"));
    }
    let mut tables = Vec::new();
    let mut bad = None;
    let mut file = false;
    let _ = visit_relations(&statement, |name: &ObjectName| {
        let (table, last) = (name.to_string().replace('"', ""), last_part(name));
        if REFUSED.contains(&last.as_str()) {
            bad = Some(last);
        }
        file |= !name.0.iter().all(|part| part.as_ident().is_some_and(names_a_table));
        tables.push(table);
        ControlFlow::<()>::Continue(())
    });
    let _ = visit_expressions_mut(&mut statement, |expr: &mut Expr| {
        if let Expr::Function(function) = expr {
            let name = last_part(&function.name);
            if REFUSED.contains(&name.as_str()) {
                bad = Some(name);
                return ControlFlow::Break(());
            }
            // What time it is, is one answer for the whole run.
            let ours = match name.as_str() {
                "now" | "current_timestamp" | "localtimestamp" => "cohorte_now",
                "current_date" | "today" => "cohorte_today",
                _ => return ControlFlow::Continue(()),
            };
            function.name = ObjectName::from(vec![Ident::new(ours)]);
            if matches!(function.args, FunctionArguments::None) {
                function.args = FunctionArguments::List(FunctionArgumentList {
                    duplicate_treatment: None,
                    args: Vec::new(),
                    clauses: Vec::new(),
                });
            }
        }
        ControlFlow::Continue(())
    });
    if let Some(name) = bad {
        return Err(Finding::error(
            "E206",
            format!(
                "the function `{name}` is not allowed: its result changes from call to call, or it reaches outside"
            ),
        )
        .at(sql.whole())
        .help("`cohorte explain E206` says what to use instead"));
    }
    if file {
        return Err(refuse("tables are read by their names, files are not"));
    }
    Ok(BoundQuery { sql: statement.to_string(), tables })
}

/// Engines take quoted paths and URLs for tables; ours have plain names.
fn names_a_table(part: &Ident) -> bool {
    part.quote_style != Some('\'')
        && part.value.chars().all(|character| character.is_alphanumeric() || character == '_')
}

/// However a function is qualified or quoted, its own name counts.
fn last_part(name: &ObjectName) -> String {
    name.0.last().map_or_else(String::new, |part| match part.as_ident() {
        Some(ident) => ident.value.to_ascii_lowercase(),
        None => part.to_string().to_ascii_lowercase(),
    })
}

/// Finds what writes, wherever it stands: `with x as (insert …)`, `select … into t`.
struct Writes;

impl Visitor for Writes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        body_writes(&query.body)
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        if matches!(statement, Statement::Query(_)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

fn body_writes(body: &SetExpr) -> ControlFlow<()> {
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => ControlFlow::Break(()),
        SetExpr::Select(select) if select.into.is_some() => ControlFlow::Break(()),
        SetExpr::SetOperation { left, right, .. } => {
            body_writes(left)?;
            body_writes(right)
        }
        _ => ControlFlow::Continue(()),
    }
}
