//! The customer as SQL sees it: attributes, traits and scores in one namespace.

use indexmap::IndexMap;

use crate::spec::{ColumnType, Pick};
use crate::sql::{Column, DataType, Scope, ident};
use crate::text::Span;

/// A value of the golden record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// (source, column), in order of preference.
    pub from: Vec<(String, String)>,
    /// Which value survives.
    pub pick: Pick,
    /// Its type.
    pub data_type: DataType,
    /// Its meaning, where it has one.
    pub semantic: Option<ColumnType>,
    /// Does it hold personal data?
    pub personal: bool,
}

/// Columns of one entity's customers that are known so far.
#[derive(Debug, Clone)]
pub struct CustomerScope {
    /// The entity.
    pub entity: String,
    /// Name → type.
    pub columns: IndexMap<String, DataType>,
    /// IANA name of the zone of calendar days.
    pub timezone: String,
}

impl CustomerScope {
    /// The columns that every customer has.
    #[must_use]
    pub fn new(entity: &str, timezone: &str) -> Self {
        let built_in = [
            (format!("{entity}_id"), DataType::Text),
            ("is_known".into(), DataType::Boolean),
            ("first_seen_at".into(), DataType::Timestamp),
            ("last_seen_at".into(), DataType::Timestamp),
            ("n_records".into(), DataType::Integer),
        ];
        Self { entity: entity.to_owned(), columns: built_in.into_iter().collect(), timezone: timezone.to_owned() }
    }
}

impl Scope for CustomerScope {
    fn column(&self, parts: &[&str]) -> Option<Column> {
        let name = match parts {
            [name] => name,
            [entity, name] if *entity == self.entity => name,
            _ => return None,
        };
        let data_type = *self.columns.get(*name)?;
        Some(Column { sql: ident(name), data_type, reads: (*name).to_owned() })
    }

    fn names(&self) -> Vec<String> {
        self.columns.keys().cloned().collect()
    }

    fn describe(&self) -> String {
        format!("the {}", self.entity)
    }

    fn timezone(&self) -> &str {
        &self.timezone
    }
}
