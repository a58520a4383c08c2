//! Whole queries (`cohorte query`, `from: {sql: …}`): one `SELECT` that reads tables, and nothing that writes or reaches files.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, ObjectName, SetExpr, Statement, visit_expressions, visit_relations};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::functions::REFUSED;
use super::parse::{SqlText, syntax_error};
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
    let mut statements =
        Parser::parse_sql(&PostgreSqlDialect {}, sql.text()).map_err(|error| syntax_error(sql, &error))?;
    let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
        return Err(refuse("exactly one statement is expected here"));
    };
    let Statement::Query(query) = &statement else {
        return Err(refuse("this statement does more than read"));
    };
    if let SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) = query.body.as_ref() {
        return Err(refuse("this statement does more than read"));
    }
    let mut tables = Vec::new();
    let _ = visit_relations(&statement, |name: &ObjectName| {
        tables.push(name.to_string().replace('"', ""));
        ControlFlow::<()>::Continue(())
    });
    let mut bad = None;
    let _ = visit_expressions(&statement, |expr: &Expr| {
        if let Expr::Function(function) = expr {
            let name = function.name.to_string().to_ascii_lowercase();
            if REFUSED.contains(&name.as_str()) {
                bad = Some(name);
                return ControlFlow::Break(());
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
        .at(sql.whole()));
    }
    Ok(BoundQuery { sql: statement.to_string(), tables })
}
