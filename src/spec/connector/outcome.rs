//! Answers: which are errors and what is done about them, and how the others tell what became of each row.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::Request;
use crate::spec::{Duration, Text};
use crate::text::{Located, OneOrMany};

/// What an answer means. The first rule that fits counts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ErrorRule {
    /// The status: `429`, a list, `4xx`; absent: any.
    #[serde(default)]
    pub status: OneOrMany<Located<Statuses>>,
    /// An expression that must hold. Knows `status`, `headers`, `body` (the JSON of the answer, else its text). It may fit an
    /// answer with status 200, too: some APIs put their errors there.
    pub when: Option<Text>,
    /// What is done.
    #[serde(rename = "do")]
    pub act: Located<Act>,
    /// The code that is recorded; by default the status. Knows what `when` knows.
    pub code: Option<Text>,
    /// The words that are recorded; no personal data. Knows what `when` knows.
    pub message: Option<Text>,
}

/// What is done about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// The account is asked too much: everyone waits as long as the answer says, or longer each time; the request was not done.
    Throttle,
    /// The vendor is in trouble: the request is made again after a while where that is harmless.
    Retry,
    /// What says who we are has expired: it is asked for anew, and the request made again.
    RefreshAuth,
    /// One of the rows is at fault: the batch is halved until it is alone.
    Bisect,
    /// The rows are at fault.
    Reject,
    /// There was nothing to do: the rows count as unchanged.
    Ignore,
    /// Nothing can be sent until somebody mends it: the sync ends, what was not sent stays due.
    Stop,
}

/// A status, or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statuses {
    /// This one.
    One(u16),
    /// `4xx`: from 400 to 499.
    Class(u16),
}

impl Statuses {
    /// Is a status meant?
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        match self {
            Self::One(one) => one == status,
            Self::Class(class) => status / 100 == class,
        }
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
        match (class, text.parse::<u16>()) {
            (Some(class @ 1..=5), _) => Ok(Self::Class(class)),
            (None, Ok(status @ 100..=599)) => Ok(Self::One(status)),
            _ => Err(de::Error::custom(format!("`{text}` is no status: write `429` or `4xx`"))),
        }
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Status".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5]xx$"}]})
    }
}

/// How an answer tells what became of each row.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultKind {
    /// It speaks of the request alone: all its rows were taken.
    AllOrNothing,
    /// It says nothing but that it was received.
    None,
    /// It speaks of rows by their place in the request, from 0.
    ByIndex(OneOrMany<Telling>),
    /// It speaks of rows by the value of their key.
    ByKey(OneOrMany<Telling>),
    /// It speaks of rows by a name that we gave them (`row.trace_id`), or by the destination's id (`row.id`).
    ByTraceId(OneOrMany<Telling>),
    /// It counts them. Where not all were taken, nobody knows which: all are unknown.
    CountOnly(CountOnly),
    /// It says that the work has begun; how it ended must be asked.
    AsyncJob(Box<AsyncJob>),
}

/// A list in the answer that speaks of rows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Telling {
    /// The list. Knows `body`, `headers`, `job`.
    pub items: Text,
    /// Which row an item speaks of: its place, key or trace id; a list where it speaks of several, `true` where of all. Knows `item`.
    /// With `by_index` it may be left out: items stand in the order of the rows.
    pub row: Option<Text>,
    /// Does it say that the row was taken? Knows `item`; by default it tells an error. Where any list tells what was taken, a row
    /// that none speaks of is unknown; else it was taken.
    pub accepted: Option<Text>,
    /// The code that is recorded.
    pub code: Option<Text>,
    /// The words that are recorded; no personal data.
    pub message: Option<Text>,
    /// The destination's id of the row.
    pub id: Option<Text>,
    /// What an error means, the first rule that fits; by default the row is rejected.
    #[serde(default)]
    pub errors: Vec<RowRule>,
}

/// What an error of one row means.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RowRule {
    /// An expression that must hold. Knows `item`.
    pub when: Text,
    /// What is done: `retry`, `reject` or `ignore`.
    #[serde(rename = "do")]
    pub act: Located<Act>,
}

/// An answer that counts.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CountOnly {
    /// How many rows were not taken. Knows `body`.
    pub rejected: Text,
}

/// Work that goes on after the answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct AsyncJob {
    /// Its name, from the answer; known to what follows as `job`.
    pub id: Text,
    /// Asks how far it is.
    pub poll: Poll,
    /// Asks what became of the rows once it is done. Absent: the last answer tells it.
    pub rows: Option<Request>,
    /// Where that answer goes on: the URL of its next page; null or undefined at its end. Knows `body`, `headers`, `job`.
    pub next: Option<Text>,
    /// How that answer tells it; by default that all were taken.
    pub result: Option<Located<ResultKind>>,
}

/// Asks how far a job is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Poll {
    /// The request. Knows `job`.
    pub request: Request,
    /// How long to wait between two; by default `5s`.
    pub every: Option<Located<Duration>>,
    /// How long to wait for the end; by default `1h`. After it nobody knows what became of the rows.
    pub within: Option<Located<Duration>>,
    /// Is it done? Knows `body`, `status`, `headers`.
    pub done: Text,
    /// Did it fail as a whole? Then its rows are tried again.
    pub failed: Option<Text>,
}
