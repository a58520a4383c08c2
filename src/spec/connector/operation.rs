//! Requests: how one is made, how many rows go in it, how often it may be made.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::{ErrorRule, ResultKind, Tree};
use crate::spec::{Duration, Text};
use crate::text::{Located, OneOrMany, Section};

/// A request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Request {
    /// The method.
    pub method: Located<Method>,
    /// The path below the connector's `url`, or a whole URL of the same host. What expressions give is escaped.
    pub path: Text,
    /// What stands behind the `?`; what is null or undefined is left out.
    #[serde(default)]
    pub query: Section<Tree>,
    /// Headers beside those of the connector.
    #[serde(default)]
    pub headers: Section<Text>,
    /// A body of JSON.
    pub json: Option<Tree>,
    /// A body of form fields.
    pub form: Option<Section<Tree>>,
    /// A body of CSV: a line per row, from the operation's `row`; the value is the character between the columns.
    pub csv: Option<Text>,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Makes, or does.
    Post,
    /// Sets.
    Put,
    /// Changes.
    Patch,
    /// Deletes.
    Delete,
}

/// What is done with rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Operation {
    /// What it does, where that is not plain.
    pub description: Option<String>,
    /// The request; it may name `rows`, what became of the rows of a batch.
    pub request: Request,
    /// A request that must go before it, for the same rows: to open what is closed, to unlock what is locked. Where it is no success,
    /// that is what becomes of the rows.
    pub before: Option<Request>,
    /// What a row becomes in `rows`. Knows `row`, `settings`, `audience`.
    pub row: Option<Tree>,
    /// How many rows go into a request; by default one.
    pub batch: Option<BatchLimits>,
    /// Is it harmless to send the same request twice?
    pub idempotent: bool,
    /// A header that makes it so: the vendor does a request with the same value once.
    pub idempotency_key: Option<Text>,
    /// Does it name rows by the destination's id (`row.id`)? Rows without one are looked up first.
    #[serde(default)]
    pub needs_id: bool,
    /// A quota of its own, beside the account's.
    pub quota: Option<Quota>,
    /// What its answers mean, before the connector's rules.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
    /// How an answer without error tells what became of each row; by default that all were taken.
    pub result: Option<Located<ResultKind>>,
}

/// How many rows go into a request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct BatchLimits {
    /// Most rows.
    pub rows: Located<u32>,
    /// Most bytes of the body, such as `5MB`.
    pub bytes: Option<Located<ByteSize>>,
    /// Most bytes of one row; a larger one is rejected.
    pub row_bytes: Option<Located<ByteSize>>,
}

/// How much may be asked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Quota {
    /// Most requests in each span of time; all windows hold.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// Most requests at once; by default 1.
    pub concurrency: Option<Located<u32>>,
    /// Where answers say how long to wait; by default `Retry-After`.
    #[serde(default)]
    pub retry_after: OneOrMany<RetryAfter>,
}

/// Most requests in a span of time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Window {
    /// So many requests.
    pub requests: Located<u32>,
    /// In any span of this length.
    pub per: Located<Duration>,
}

/// A header that says how long to wait.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct RetryAfter {
    /// The header.
    pub header: Text,
    /// Is it an instant, in seconds since 1970, instead of a number of seconds or an HTTP date?
    #[serde(default)]
    pub epoch: bool,
}

/// Finds the destination's id of rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Lookup {
    /// The request. Knows `rows` (what `row` made), `key_name`, and `row` where it asks for one row.
    pub request: Request,
    /// What a row becomes in `rows`.
    pub row: Option<Tree>,
    /// How many rows go into a request; by default one.
    pub batch: Option<BatchLimits>,
    /// A quota of its own, beside the account's.
    pub quota: Option<Quota>,
    /// What its answers mean, before the connector's rules. `ignore`: none of the rows is there.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
    /// The list of what was found, from the answer.
    pub items: Text,
    /// The value of the key of one thing that was found. Knows `item`, `key_name`; may be left out where one row is asked for.
    pub key: Option<Text>,
    /// Its id. Knows `item`.
    pub id: Text,
    /// What becomes of a row that is not there, where the sync's mode may make rows; by default `create`.
    pub on_miss: Option<Located<OnMiss>>,
}

/// What becomes of a row that the destination does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnMiss {
    /// It is made.
    Create,
    /// Nothing; the row counts as unchanged.
    Skip,
    /// It is rejected.
    Reject,
}

/// A number of bytes, written `500KB` or `5MB` (powers of 1,000) or `4MiB` (of 1,024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no number of bytes: write `500KB`, `5MB` or `4MiB`");
        let split = text.find(|character: char| !character.is_ascii_digit()).ok_or_else(wrong)?;
        let factor: u64 = match text[split..].trim() {
            "B" => 1,
            "KB" | "kB" => 1_000,
            "MB" => 1_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            _ => return Err(wrong()),
        };
        let bytes = text[..split].parse::<u64>().ok().and_then(|count| count.checked_mul(factor)).ok_or_else(wrong)?;
        if bytes == 0 { Err(wrong()) } else { Ok(Self(bytes)) }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9]+ ?(B|kB|KB|MB|KiB|MiB)$", "description": "A number of bytes, such as `5MB`."})
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn numbers_of_bytes() {
        assert_eq!("5MB".parse(), Ok(ByteSize(5_000_000)));
        assert_eq!("4MiB".parse(), Ok(ByteSize(4 << 20)));
        for wrong in ["5", "0MB", "MB", "5 GB", "99999999999999999999MB"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }
}
