//! Conditions of segments: SQL, or a map with one of a few keys.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Duration, Text};
use crate::text::{Located, OneOrMany, TextOr, ValueSpec};

/// SQL over the customer, or a structured condition.
pub type Condition = Located<TextOr<Box<ConditionMap>>>;

/// A structured condition: exactly one of `all`, `any`, `not`, `did`, `in`, `not_in`, `consent`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct ConditionMap {
    /// Every one holds.
    pub all: Option<Located<Vec<Condition>>>,
    /// At least one holds.
    pub any: Option<Located<Vec<Condition>>>,
    /// It does not hold.
    pub not: Option<Condition>,
    /// An event or source that the customer has rows of.
    pub did: Option<Text>,
    /// SQL: which rows (with `did`).
    #[serde(rename = "where")]
    pub filter: Option<Text>,
    /// How many rows (with `did`); by default at least one.
    pub count: Option<Located<Count>>,
    /// How far back (with `did`).
    pub within: Option<Located<Duration>>,
    /// Member of another segment, or of all of several.
    #[serde(rename = "in")]
    pub is_in: Option<OneOrMany<Text>>,
    /// Member of none of these segments.
    pub not_in: Option<OneOrMany<Text>>,
    /// Has granted this, for at least one contact point.
    pub consent: Option<Located<ConsentCondition>>,
}

/// How many rows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Count {
    /// At least.
    pub min: Option<u32>,
    /// At most.
    pub max: Option<u32>,
}

/// A consent that must be granted.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct ConsentCondition {
    /// The purpose.
    pub purpose: Text,
    /// The channel; may be left out where the purpose has one.
    pub channel: Option<Text>,
    /// The scope of a purpose with `by`: SQL over the customer's attributes, or `{value: maison}`; by default the attributes
    /// of those names.
    pub scope: Option<Located<ValueSpec>>,
}
