//! `entities:`: one customer, many records.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ColumnType, Text};
use crate::text::{Located, OneOrMany, Section};

/// Something that is known under several identifiers, usually the customer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Entity {
    /// What it is, for people.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Labels to select by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How records are brought together.
    pub identity: Identity,
    /// The golden record: which value survives.
    #[serde(default)]
    pub attributes: Section<Attribute>,
}

/// How records are brought together.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Identity {
    /// Every identifier that is used.
    pub identifiers: Section<Identifier>,
    /// The sources that carry identifiers, and what they may do.
    pub sources: Section<IdentitySource>,
    /// Columns whose different values keep records apart for ever.
    #[serde(default)]
    pub never_across: Vec<Text>,
}

/// A kind of identifier.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Identifier {
    /// What it is, for people.
    pub description: Option<String>,
    /// Links by identifiers of a lower number are made first; by default 5.
    pub priority: Option<Located<u32>>,
    /// Its semantic type, where the columns do not say it.
    #[serde(rename = "type")]
    pub kind: Option<Located<ColumnType>>,
    /// A union of records that would bring more distinct values than this is refused.
    pub per_customer: Option<Located<u32>>,
    /// A value carried under more distinct names than this is junk.
    pub shared_by: Option<Located<u32>>,
    /// Values that identify nobody, with `*` for any text.
    #[serde(default)]
    pub ignore: OneOrMany<Text>,
}

/// What a source may do in identity resolution.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct IdentitySource {
    /// What it may do.
    pub role: Located<Role>,
    /// Identifier → the column or columns that carry it.
    pub ids: Section<OneOrMany<Text>>,
}

/// What a source may do in identity resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Makes customers and brings identifiers together; one node per row.
    Record,
    /// Brings identifiers together; one node per distinct tuple of them.
    Link,
    /// Finds a customer, never makes or merges one.
    Attach,
}

/// One value of the golden record.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Attribute {
    /// What it is, for people.
    pub description: Option<String>,
    /// `source.column`, in order of preference.
    pub from: OneOrMany<Text>,
    /// Which value survives; by default the most recent.
    pub pick: Option<Located<Pick>>,
}

/// Which value survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The one of the row changed last (`updated_at`, else `time`), then by order of `from`, then by key.
    MostRecent,
    /// The first source in `from` that has one; within a source the most recent.
    SourceOrder,
    /// The one that most rows carry; ties go to the most recent.
    MostFrequent,
}
