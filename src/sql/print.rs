//! Printing: quoted names and texts, and statements laid out to be read.

use std::fmt::{self, Write as _};

/// A name as a quoted identifier.
#[must_use]
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal.
#[must_use]
pub fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// One `SELECT`, printed in one layout; every part is SQL that was printed before.
#[derive(Debug, Clone, Default)]
pub struct Select {
    /// (expression, alias); an alias equal to the quoted expression is left out.
    pub columns: Vec<(String, String)>,
    /// The relation.
    pub from: String,
    /// `left join x on y`, whole.
    pub joins: Vec<String>,
    /// Conditions that all hold.
    pub filters: Vec<String>,
    /// Expressions.
    pub group_by: Vec<String>,
}

impl Select {
    /// From a relation.
    #[must_use]
    pub fn from(relation: impl Into<String>) -> Self {
        Self { from: relation.into(), ..Self::default() }
    }

    /// Adds a column.
    #[must_use]
    pub fn column(mut self, expression: impl Into<String>, alias: &str) -> Self {
        self.columns.push((expression.into(), alias.to_owned()));
        self
    }

    /// Adds a join.
    #[must_use]
    pub fn join(mut self, join: impl Into<String>) -> Self {
        self.joins.push(join.into());
        self
    }

    /// Adds a condition.
    #[must_use]
    pub fn filter(mut self, condition: impl Into<String>) -> Self {
        self.filters.push(condition.into());
        self
    }

    /// Groups by an expression.
    #[must_use]
    pub fn group(mut self, expression: impl Into<String>) -> Self {
        self.group_by.push(expression.into());
        self
    }
}

impl fmt::Display for Select {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("select")?;
        if self.columns.is_empty() {
            out.write_str(" *")?;
        }
        for (index, (expression, alias)) in self.columns.iter().enumerate() {
            out.write_str(if index == 0 { "\n  " } else { ",\n  " })?;
            out.write_str(expression)?;
            if !alias.is_empty() && *expression != ident(alias) {
                write!(out, " as {}", ident(alias))?;
            }
        }
        write!(out, "\nfrom {}", self.from)?;
        for join in &self.joins {
            write!(out, "\n{join}")?;
        }
        for (index, filter) in self.filters.iter().enumerate() {
            write!(out, "\n{} {filter}", if index == 0 { "where" } else { "  and" })?;
        }
        if !self.group_by.is_empty() {
            write!(out, "\ngroup by {}", self.group_by.join(", "))?;
        }
        Ok(())
    }
}

/// Indents every line but the first.
#[must_use]
pub fn indent(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 16);
    for (index, line) in sql.lines().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let _ = write!(out, "  {line}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_quoted() {
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(text_literal("it's"), "'it''s'");
    }

    #[test]
    fn a_select_has_one_layout() {
        let select = Select::from("t").column("\"a\"", "a").column("1", "b").filter("x").filter("y").group("\"a\"");
        assert_eq!(select.to_string(), "select\n  \"a\",\n  1 as \"b\"\nfrom t\nwhere x\n  and y\ngroup by \"a\"");
    }
}
