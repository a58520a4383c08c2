//! `segments:`: who is in.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::{Condition, Text};
use crate::text::{Constant, Located};

/// A set of customers, defined by a condition.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Segment {
    /// What it is, for people.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Labels to select by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The name that it had before: it keeps its members and its history.
    pub was: Option<Text>,
    /// The entity; may be left out where there is one.
    pub of: Option<Text>,
    /// Who is in.
    pub when: Condition,
    /// `anonymous`: customers without a record count too.
    pub include: Option<Located<Include>>,
    /// Refuse to publish an absurd result.
    pub guard: Option<Guard>,
}

/// Who is looked at beside known customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// Customers without a record.
    Anonymous,
}

/// Limits of a segment's size; when one is passed, the previous members stay and depending syncs are blocked.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct Guard {
    /// At least so many members.
    pub min: Option<Located<u64>>,
    /// At most so many members.
    pub max: Option<Located<u64>>,
    /// Entries plus exits, as a share of the members before.
    pub max_change: Option<Located<Percent>>,
}

/// A share, written `20%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percent(pub f64);

impl Percent {
    /// As a share of one.
    #[must_use]
    pub fn share(self) -> f64 {
        self.0 / 100.0
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let message = "a percentage is expected here, such as `20%`";
        match Constant::deserialize(deserializer) {
            Ok(Constant::Text(text)) => text
                .strip_suffix('%')
                .and_then(|number| number.trim().parse::<f64>().ok())
                .filter(|number| number.is_finite() && *number >= 0.0)
                .map(Self)
                .ok_or_else(|| de::Error::custom(message)),
            _ => Err(de::Error::custom(message)),
        }
    }
}

impl JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%$", "description": "A percentage such as 20%"})
    }
}
