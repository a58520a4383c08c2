//! What SQL over the rows of one source can read.

use chrono_tz::Tz;
use indexmap::IndexMap;

use super::sources::SourceColumn;
use crate::sql::{Column, DataType, Scope, ident};

/// The columns of one source, for its own SQL.
pub(super) struct SourceScope<'a> {
    pub(super) name: &'a str,
    pub(super) columns: &'a IndexMap<String, SourceColumn>,
    pub(super) timezone: Tz,
}

impl Scope for SourceScope<'_> {
    fn column(&self, parts: &[&str]) -> Option<Column> {
        let [name] = parts else { return None };
        column_or_part(self.columns, name, "")
    }

    fn names(&self) -> Vec<String> {
        self.columns.keys().cloned().collect()
    }

    fn describe(&self) -> String {
        format!("the source `{}`", self.name)
    }

    fn timezone(&self) -> &str {
        self.timezone.name()
    }
}

/// A column, or `raw(c)`, `valid(c)`, `reason(c)` of one with a semantic type. They are columns of the source's relation.
pub(super) fn column_or_part(columns: &IndexMap<String, SourceColumn>, name: &str, alias: &str) -> Option<Column> {
    if let Some(column) = columns.get(name) {
        return Some(Column {
            sql: format!("{alias}{}", ident(name)),
            data_type: column.data_type,
            reads: name.to_owned(),
        });
    }
    let (part, inner) = name.strip_suffix(')')?.split_once('(')?;
    let column = columns.get(inner).filter(|column| column.semantic.is_some())?;
    let (sql, data_type) = match part {
        "raw" => (format!("{alias}{}", ident(&format!("_raw_{inner}"))), DataType::Text),
        "reason" => (format!("{alias}{}", ident(&format!("_reason_{inner}"))), DataType::Text),
        "valid" => (format!("({alias}{} is not null)", ident(inner)), DataType::Boolean),
        _ => return None,
    };
    let _ = column;
    Some(Column { sql, data_type, reads: inner.to_owned() })
}
