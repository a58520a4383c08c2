//! `sources:` and `events:`: what is already in the warehouse, and one name for one fact.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Duration, Text};
use crate::text::{Constant, Located, OneOrMany, Section, TextOr};

/// A table or files in the warehouse, one row per record or event.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Source {
    /// What it is, for people.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Labels to select by (`--select tag:x`).
    #[serde(default)]
    pub tags: Vec<String>,
    /// A Delta table under the warehouse's root, such as `raw/orders`.
    pub table: Option<Text>,
    /// Files: a path with globs, relative to the project, or an object store URL.
    pub path: Option<Text>,
    /// Format of `path`; by default told from the extension.
    pub format: Option<Located<Format>>,
    /// Delimiter of CSV files; by default found from the header.
    pub delimiter: Option<Text>,
    /// The column or columns that identify a row. Uniqueness is asserted, not repaired.
    #[serde(default)]
    pub key: OneOrMany<Text>,
    /// `latest`: a key has several versions (CDC), the latest by `updated_at` counts.
    pub versions: Option<Located<Versions>>,
    /// When a row was last changed.
    pub updated_at: Option<Text>,
    /// SQL: true for rows that say that their record is gone.
    pub deleted: Option<Text>,
    /// SQL: which rows count.
    #[serde(rename = "where")]
    pub filter: Option<Text>,
    /// Zone of naive timestamps, where it differs from the project's.
    pub timezone: Option<Text>,
    /// The connection whose account these rows come from: nothing is sent back to it.
    pub connection: Option<Text>,
    /// The column that says when: makes it an event source.
    pub time: Option<Text>,
    /// The column that names the event, and the names that it declares.
    pub event: Option<EventColumn>,
    /// Semantic types, parsing and derived columns.
    #[serde(default)]
    pub columns: Section<TextOr<Column>>,
    /// Parent source → its key column → our column or SQL; a row inherits its parent's customer and time.
    #[serde(default)]
    pub belongs_to: Section<Section<Text>>,
    /// What must hold of the rows.
    #[serde(default)]
    pub expect: Vec<Located<Expectation>>,
}

/// Formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A Delta table.
    Delta,
    /// Parquet files.
    Parquet,
    /// CSV files with a header, plain or gzip.
    Csv,
    /// One JSON object per line, plain or gzip.
    Ndjson,
}

/// How several rows of one key are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Versions {
    /// The latest by `updated_at`.
    Latest,
}

/// The column that names events.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct EventColumn {
    /// The column.
    pub column: Text,
    /// The names of the events that models may use.
    pub names: Vec<Text>,
}

/// A column's meaning.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Column {
    /// What it is, for people.
    pub description: Option<String>,
    /// Semantic or plain type.
    #[serde(rename = "type")]
    pub kind: Option<Located<ColumnType>>,
    /// The raw column that it is read from; by default the one of the same name.
    pub from: Option<Text>,
    /// How text becomes a date or a time (strftime's letters, such as `%d/%m/%Y %H:%M`).
    pub parse: Option<Text>,
    /// Region of phone numbers without a country code (`FR`).
    pub region: Option<Text>,
    /// Zone of naive timestamps in this column.
    pub timezone: Option<Text>,
    /// SQL over the raw columns, where the column is derived.
    pub sql: Option<Text>,
}

/// What a column holds. Semantic types hold the normalised value, null where it is invalid, and are personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// An e-mail address: trimmed, lower case. Personal.
    Email,
    /// A phone number in E.164. Personal.
    Phone,
    /// A given name. Personal.
    GivenName,
    /// A family name. Personal.
    FamilyName,
    /// A date of birth. Personal.
    BirthDate,
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// An exact decimal with nine digits after the point.
    Decimal,
    /// A truth value.
    Boolean,
    /// A calendar day.
    Date,
    /// An instant.
    Timestamp,
}

impl ColumnType {
    /// Does it hold personal data?
    #[must_use]
    pub fn is_personal(self) -> bool {
        matches!(self, Self::Email | Self::Phone | Self::GivenName | Self::FamilyName | Self::BirthDate)
    }
}

/// One thing that must hold: exactly one of `unique`, `not_null`, `accepted`, `fresh`, `sql`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Expectation {
    /// These columns together are distinct.
    #[serde(default)]
    pub unique: OneOrMany<Text>,
    /// These columns are never null.
    #[serde(default)]
    pub not_null: OneOrMany<Text>,
    /// This column holds one of `values`, or null.
    pub accepted: Option<Text>,
    /// The values that are accepted.
    #[serde(default)]
    pub values: Vec<Constant>,
    /// The newest value of this column is not older than `within`, measured at `as_of`.
    pub fresh: Option<Text>,
    /// How fresh.
    pub within: Option<Located<Duration>>,
    /// SQL that is true for every row.
    pub sql: Option<Text>,
    /// `error` (default): this source's descendants do not build. `warn`: it is only said.
    pub severity: Option<ExpectSeverity>,
}

/// What a failed expectation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpectSeverity {
    /// Stops the source's descendants.
    Error,
    /// Is only said.
    Warn,
}

/// One name for one fact, from one source or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Event {
    /// What it is, for people.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Labels to select by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Where it is recorded.
    pub from: Vec<EventSource>,
}

/// One source of an event.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct EventSource {
    /// The source.
    pub source: Text,
    /// SQL: which of its rows.
    #[serde(rename = "where")]
    pub filter: Option<Text>,
    /// The event's columns, as SQL over the source's.
    #[serde(default)]
    pub columns: Section<Located<crate::text::ValueSpec>>,
}
