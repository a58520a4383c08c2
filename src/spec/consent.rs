//! `purposes:` and `consents:`: what may be sent to whom, and where that is recorded.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Duration, Text};
use crate::text::{Located, Section, TextOr, ValueSpec};

/// What data is used for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Purpose {
    /// What it is, for people.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Labels to select by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The channels on which it is exercised.
    pub channels: Vec<Text>,
    /// The legal basis; by default consent.
    pub basis: Option<Located<Basis>>,
    /// A grant needs a second step: it is pending until an event `confirmed` follows it for the same contact point,
    /// channel and scope. A confirmation alone counts, too; a later grant asks again.
    #[serde(default)]
    pub double_opt_in: bool,
    /// A grant lapses after this time.
    pub valid_for: Option<Located<Duration>>,
    /// Consent is given per scope, such as the brand: the columns that make the scope, of the consents' sources and of the
    /// customer. A grant covers its own scope alone, a withdrawal without a scope covers all.
    #[serde(default)]
    pub by: Vec<Text>,
}

/// The legal basis of a purpose (GDPR, article 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Nothing without a grant.
    Consent,
    /// Allowed until it is withdrawn.
    LegitimateInterest,
    /// Allowed until it is withdrawn.
    Contract,
}

/// A source of consent events.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ConsentSource {
    /// What it is, for people.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Labels to select by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The source.
    pub source: Text,
    /// SQL: which of its rows.
    #[serde(rename = "where")]
    pub filter: Option<Text>,
    /// The contact point: an address or a number. Absent: a grant covers the record's points, a withdrawal the customer's.
    pub contact: Option<Text>,
    /// The purpose: a column, or `{value: newsletter}`.
    pub purpose: Located<ValueSpec>,
    /// The channel: a column, or `{value: email}`.
    pub channel: Located<ValueSpec>,
    /// `granted`, `confirmed`, `withdrawn` or `pending`: SQL, or a column with a map of its values.
    pub status: Located<TextOr<StatusMap>>,
    /// When.
    pub at: Text,
    /// What proves it.
    pub proof: Option<Text>,
    /// Its scope, as SQL; by default the source's columns that the purpose names under `by`. Several are a JSON array.
    pub scope: Option<Text>,
}

/// One status for every row, or a column's values → statuses.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct StatusMap {
    /// The status of every row.
    pub value: Option<Text>,
    /// The column.
    pub column: Option<Text>,
    /// Value → `granted`, `confirmed`, `withdrawn`, `pending`; other values give no consent event.
    #[serde(default)]
    pub map: Section<Text>,
}
