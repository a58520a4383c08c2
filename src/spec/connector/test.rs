//! What a connector must do, told by examples: rows → requests, answers → outcomes.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Method, Tree};
use crate::spec::Text;
use crate::text::{Located, Section};

/// One example: these rows are sent, these answers come, in this order.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ConnectorTest {
    /// What is done: `contact.add`, `contact.update`, `contact.remove`, `list.add`, `list.remove`, `consent.grant`, `consent.revoke`,
    /// `erase`, or `account`.
    #[serde(rename = "do")]
    pub act: Text,
    /// The settings of the connection.
    #[serde(default)]
    pub settings: Section<Tree>,
    /// The audience's name, where it is one.
    pub audience: Option<Text>,
    /// May rows be made (mode `update` must not)?
    pub may_create: Option<bool>,
    /// May rows be changed (mode `insert` must not)?
    pub may_update: Option<bool>,
    /// The rows.
    #[serde(default)]
    pub rows: Vec<TestRow>,
    /// The requests that are made, in order. What a request here does not name is not compared, but for the body: it is compared whole.
    pub requests: Option<Vec<ExpectedRequest>>,
    /// The answer to each sign-in: with it, sign-ins are among the requests, and requests carry what it gave.
    pub sign_in: Option<Answer>,
    /// The answers that they get; by default 200 with `{}`.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// What became of the rows: `accepted`, `unchanged`, `rejected`, `retry`, `unknown`; with a code as `{rejected: CODE}`, with the
    /// destination's id as `{accepted: ID}`.
    pub outcomes: Option<Vec<Tree>>,
    /// The code or a part of the words with which the sync ends, where the answers end it.
    pub stops: Option<Text>,
}

/// A row of a test.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TestRow {
    /// The columns of its key.
    #[serde(default)]
    pub key: Section<Tree>,
    /// Its fields.
    #[serde(default)]
    pub fields: Section<Tree>,
    /// The destination's id, where it is known.
    pub id: Option<Text>,
}

/// A request that is expected.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ExpectedRequest {
    /// The method.
    pub method: Located<Method>,
    /// The path with what stands behind the `?`.
    pub path: Text,
    /// Headers that it must have, among others.
    #[serde(default)]
    pub headers: Section<Text>,
    /// The body as JSON.
    pub json: Option<Tree>,
    /// The body as text: forms, CSV.
    pub text: Option<Text>,
}

/// An answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Answer {
    /// Its status; by default 200.
    pub status: Option<Located<u16>>,
    /// Its headers.
    #[serde(default)]
    pub headers: Section<Text>,
    /// Its body as JSON.
    pub json: Option<Tree>,
    /// Its body as text.
    pub text: Option<Text>,
    /// No answer at all: `refused` (certainly not sent) or `lost` (nobody knows).
    pub broken: Option<Text>,
}
