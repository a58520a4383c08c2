//! `traits:`: what is computed of a customer.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Duration, Text};
use crate::text::Located;

/// A value computed per customer: exactly one of the aggregates, or `sql`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Trait {
    /// What it is, for people.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Labels to select by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The name that it had before.
    pub was: Option<Text>,
    /// The entity; may be left out where there is one.
    pub of: Option<Text>,
    /// Number of rows of an event or source.
    pub count: Option<Text>,
    /// Number of distinct values of `event.column`.
    pub count_distinct: Option<Text>,
    /// Sum of `event.column`.
    pub sum: Option<Text>,
    /// Least value of `event.column`.
    pub min: Option<Text>,
    /// Greatest value of `event.column`.
    pub max: Option<Text>,
    /// Mean of `event.column`.
    pub avg: Option<Text>,
    /// Earliest value of `event.column`, by time then key.
    pub first: Option<Text>,
    /// Latest value of `event.column`, by time then key.
    pub last: Option<Text>,
    /// Most frequent value of `event.column`; ties go to the least.
    pub mode: Option<Text>,
    /// SQL: which rows.
    #[serde(rename = "where")]
    pub filter: Option<Text>,
    /// How far back.
    pub within: Option<Located<Duration>>,
    /// SQL over attributes, other traits and scores.
    pub sql: Option<Text>,
}
