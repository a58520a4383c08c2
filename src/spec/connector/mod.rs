//! `connectors/NAME.yaml`: a destination that is an HTTP API, as data.
//!
//! Texts may hold expressions, `{{ … }}`. A text that is one expression gives its value with its type, a text around expressions
//! gives text; which names an expression knows depends on where it stands (`docs/connectors.md`).

mod auth;
mod operation;
mod outcome;
mod test;
mod tree;

pub use auth::{Auth, Basic, ClientAuth, OAuth2, Session, Signature};
pub use operation::{BatchLimits, ByteSize, Lookup, Method, OnMiss, Operation, Quota, Request, RetryAfter, Window};
pub use outcome::{Act, AsyncJob, CountOnly, ErrorRule, Poll, ResultKind, RowRule, Statuses, Telling};
pub use test::{Answer, ConnectorTest, ExpectedRequest, TestRow};
pub use tree::{Tree, TreeValue};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Duration, Text};
use crate::text::{Located, OneOrMany, Section};

/// A connector: how rows become requests, and answers become outcomes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "Cohorte connector")]
pub struct ConnectorFile {
    /// Its name, as connections write it; the file's name without `.yaml`.
    pub connector: Text,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// The vendor's documentation.
    pub docs: Option<String>,
    /// When the limits below were last compared with the vendor's documentation, such as `2026-11`.
    pub checked: Option<Text>,
    /// What a connection says under `settings:`.
    #[serde(default)]
    pub settings: Section<Setting>,
    /// What a connection says under `auth:`; each is a secret and reaches `auth` and `sign` alone.
    #[serde(default)]
    pub secrets: Section<Secret>,
    /// Where the API is; a connection's `url` takes its place. Knows `settings`.
    pub url: Option<Text>,
    /// How requests say who sends them.
    pub auth: Option<Located<Auth>>,
    /// A signature over each request.
    pub sign: Option<Signature>,
    /// Headers of every request. Know `settings`.
    #[serde(default)]
    pub headers: Section<Text>,
    /// How much an account may be asked.
    pub quota: Option<Quota>,
    /// How long an answer may take; by default `60s`.
    pub timeout: Option<Located<Duration>>,
    /// What answers mean, the first rule that fits; after these the usual ones (429 throttles, 5xx is tried again, 401 signs in anew,
    /// another 4xx is the rows' fault).
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
    /// How the account tells its name; compared with the connection's `account` before anything is sent.
    pub account: Option<Account>,
    /// What rows can be: contacts, companies.
    #[serde(default)]
    pub objects: Section<Object>,
    /// What rows can be members of: lists, tags, segments.
    #[serde(default)]
    pub audiences: Section<Audience>,
    /// How a consent is granted and taken back.
    pub consent: Option<Consent>,
    /// How a person is erased for good.
    pub erase: Option<Erase>,
    /// What the file must do: rows → requests, answers → outcomes. `cohorte connector check` runs them.
    #[serde(default)]
    pub tests: Section<ConnectorTest>,
}

/// Something that a connection says.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Setting {
    /// What it is, and where it is found.
    pub description: Option<String>,
    /// What it is where the connection does not say.
    pub default: Option<Text>,
    /// Its form, as a regular expression over the whole value.
    pub pattern: Option<Text>,
    /// May it be left out without a default? It is null then.
    #[serde(default)]
    pub optional: bool,
}

/// A secret that a connection refers to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Secret {
    /// What it is, and where it is found.
    pub description: Option<String>,
    /// May it be left out? It is null then.
    #[serde(default)]
    pub optional: bool,
}

/// How the account tells its name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Account {
    /// The request.
    pub request: Request,
    /// The name, from the answer. Knows `body`, `headers`, `status`.
    pub id: Text,
}

/// A kind of row.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Object {
    /// What it is.
    pub description: Option<String>,
    /// The columns that can identify a row; absent: any.
    pub keys: Option<Section<KeyColumn>>,
    /// The fields that a row may have; absent: any.
    pub fields: Option<Section<FieldColumn>>,
    /// May a row have fields that are not named here? By default only where none are named.
    pub custom: Option<bool>,
    /// Finds the destination's id of a row.
    pub lookup: Option<Lookup>,
    /// Makes the row, or changes it where it is there.
    pub upsert: Option<Operation>,
    /// Makes the row.
    pub create: Option<Operation>,
    /// Changes the row where it is there.
    pub update: Option<Operation>,
    /// Deletes the row.
    pub delete: Option<Operation>,
}

/// A column that can identify a row.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct KeyColumn {
    /// What it is.
    pub description: Option<String>,
    /// How the value is written before it is sent or compared: filters, one after the other, such as `[trim, lower]`. A row whose
    /// value cannot be written so is rejected.
    #[serde(default)]
    pub normalise: OneOrMany<Text>,
}

/// A field of a row.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct FieldColumn {
    /// What it is.
    pub description: Option<String>,
    /// How the value is written before it is sent: filters, one after the other.
    #[serde(default)]
    pub normalise: OneOrMany<Text>,
    /// Must every row have it? A row where it is null is rejected.
    #[serde(default)]
    pub required: bool,
    /// Most characters; a longer text is rejected.
    pub max_length: Option<u32>,
}

/// Something that rows are members of.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Audience {
    /// What it is.
    pub description: Option<String>,
    /// The object whose rows are its members: its lookup finds their ids, and makes those that are missing.
    pub of: Option<Text>,
    /// The columns that can identify a member; by default those of the object, else any.
    pub keys: Option<Section<KeyColumn>>,
    /// The fields that a member may have; those of the object where there is one.
    pub fields: Option<Section<FieldColumn>>,
    /// Finds the audience by its name. Knows `audience.name`.
    pub find: Option<Find>,
    /// Makes it where it was not found.
    pub create: Option<Find>,
    /// Adds members.
    pub add: Operation,
    /// Removes members.
    pub remove: Operation,
}

/// A request whose answer tells an id.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Find {
    /// The request.
    pub request: Request,
    /// The id, from the answer; null or undefined where there is none. Knows `body`, `audience`.
    pub id: Text,
    /// What its answers mean, before the connector's rules. `ignore`: there is none.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
}

/// How a consent is granted and taken back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Consent {
    /// What it is.
    pub description: Option<String>,
    /// The object whose lookup finds ids, and which is made where a consent is granted that is not there yet.
    pub of: Option<Text>,
    /// The columns that can identify whose consent it is; by default those of the object, else any.
    pub keys: Option<Section<KeyColumn>>,
    /// The fields that a consent may have; absent: any.
    pub fields: Option<Section<FieldColumn>>,
    /// Grants.
    pub grant: Operation,
    /// Takes back. Never makes a row.
    pub revoke: Operation,
}

/// How a person is erased for good.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Erase {
    /// What becomes of the person, and what can never be undone.
    pub description: Option<String>,
    /// The object whose lookup finds ids.
    pub of: Option<Text>,
    /// The columns that can identify the person; by default those of the object, else any.
    pub keys: Option<Section<KeyColumn>>,
    /// The request, one row each or in batches.
    pub operation: Operation,
}
