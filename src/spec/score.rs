//! `scores:`: numbers that rank customers.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Duration, Text};
use crate::text::Located;

/// A score: exactly one of `points`, `rfm`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Score {
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
    /// Points for what was done, fading with time.
    #[serde(default)]
    pub points: Vec<Points>,
    /// Recency, frequency and monetary tiers.
    pub rfm: Option<Located<Rfm>>,
}

/// Points for each row of an event.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Points {
    /// The event or source.
    pub did: Text,
    /// SQL: which rows.
    #[serde(rename = "where")]
    pub filter: Option<Text>,
    /// How far back.
    pub within: Option<Located<Duration>>,
    /// Points per row; may be negative.
    pub points: Located<f64>,
    /// After this time a row counts half; whole local days.
    pub half_life: Option<Located<Duration>>,
}

/// Recency, frequency, monetary.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Rfm {
    /// The event.
    pub event: Text,
    /// Its column that is summed.
    pub amount: Text,
    /// Number of tiers, from 1 (worst) to this (best); by default 5.
    pub tiers: Option<Located<u32>>,
    /// How far back.
    pub within: Option<Located<Duration>>,
}
