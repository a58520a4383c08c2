//! `syncs:`: what is sent where, and by which rules.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Percent, Text};
use crate::text::{Located, OneOrMany, Section, TextOr, ValueSpec};

/// Rows that are kept equal at a destination.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Sync {
    /// What it is, for people.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Labels to select by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Who or what is sent.
    pub from: From,
    /// Where to.
    pub to: Destination,
    /// What may be done there; by default upsert.
    pub mode: Option<Located<Mode>>,
    /// What happens to rows that left: `delete`, `nothing`, or `{clear: [fields]}`. Mirror needs it.
    pub on_remove: Option<Located<TextOr<OnRemove>>>,
    /// What happens to a delivered row that loses its consent or is erased.
    pub on_withdraw: Option<Located<TextOr<OnWithdraw>>>,
    /// The key at the destination: a field, several alternatives, the first that is there counts.
    #[serde(default)]
    pub key: OneOrMany<Located<TextOr<Section<Text>>>>,
    /// Field → SQL over the customer, or a constant.
    #[serde(default)]
    pub fields: Section<Located<ValueSpec>>,
    /// Are nulls left out or sent to clear; by default omit.
    pub nulls: Option<Located<Nulls>>,
    /// The consent that the contact point must have.
    pub consent: Option<Located<ConsentGate>>,
    /// Limits that stop the sync when they are passed.
    pub guard: Option<SyncGuard>,
    /// What the first run does; required, but for `files`.
    pub first_run: Option<Located<FirstRun>>,
}

/// Who or what is sent: exactly one of `segment`, `entity`, `consents`, `sql`; beside `consents` and `sql`, `entity` says whose.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct From {
    /// The members of a segment.
    pub segment: Option<Text>,
    /// All known customers; beside `consents` or `sql` the entity that is meant, where the project has several.
    pub entity: Option<Text>,
    /// The states of these purposes.
    pub consents: Option<Vec<Text>>,
    /// A query that yields the entity's id, such as `customer_id`.
    pub sql: Option<Text>,
    /// SQL over the customer: which of them.
    #[serde(rename = "where")]
    pub filter: Option<Text>,
}

/// Where to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Destination {
    /// The connection.
    pub connection: Text,
    /// The object there: a table, a folder, `contact`, `audience`.
    pub object: Option<Text>,
    /// The audience's name, where the object is one.
    pub name: Option<Text>,
    /// Format of files.
    pub format: Option<Text>,
}

/// What may be done at the destination: three bits, create, update and remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Create and update.
    Upsert,
    /// Update what is there.
    Update,
    /// Create what is not there.
    Insert,
    /// Create, update, and remove what we sent and no longer want.
    Mirror,
}

/// Fields that are cleared when a row leaves.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct OnRemove {
    /// The fields.
    pub clear: Vec<Text>,
}

/// Fields that are cleared when consent is lost.
pub type OnWithdraw = OnRemove;

/// Are nulls sent?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nulls {
    /// Left out: the destination keeps its value.
    Omit,
    /// Sent: the destination's value is cleared.
    Clear,
}

/// The consent that the contact point must have, or why none is needed.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct ConsentGate {
    /// The purpose.
    pub purpose: Option<Text>,
    /// The channel.
    pub channel: Option<Text>,
    /// The field that holds the contact point; by default the one of the channel's type.
    pub contact: Option<Text>,
    /// The scope of a purpose with `by`: SQL over the customer, or `{value: maison}`; by default the customer's columns of
    /// those names.
    pub scope: Option<Located<ValueSpec>>,
    /// Why no consent is needed.
    pub none: Option<Text>,
}

/// Limits that stop a sync.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct SyncGuard {
    /// Removals, as a share of what is delivered.
    pub max_removed: Option<Located<Percent>>,
    /// At least so many desired rows.
    pub min_rows: Option<Located<u64>>,
}

/// What the first run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirstRun {
    /// Sends everything.
    Send,
    /// Takes what is desired as delivered, and sends nothing.
    Baseline,
}
