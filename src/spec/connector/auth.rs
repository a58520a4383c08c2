//! How requests say who sends them. Secrets are known here alone.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Request;
use crate::spec::{Duration, Text};
use crate::text::{Located, Section};

/// How requests say who sends them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Headers of our making. Know `secrets`, `settings`.
    Headers(Section<Text>),
    /// User and password (RFC 7617).
    Basic(Basic),
    /// A token (RFC 6750).
    Bearer(Text),
    /// A token that is asked for, and asked for anew before it expires (RFC 6749).
    Oauth2(Box<OAuth2>),
    /// A token that a request of the API itself gives.
    Session(Box<Session>),
}

/// User and password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Basic {
    /// The user.
    pub user: Text,
    /// The password.
    pub password: Text,
}

/// OAuth 2: with `refresh_token` that grant (RFC 6749, 6), else client credentials (4.4).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct OAuth2 {
    /// Where tokens are asked for. The one host beside the API's own that is spoken to.
    pub token_url: Text,
    /// Who we are.
    pub client_id: Text,
    /// The proof.
    pub client_secret: Text,
    /// The refresh token.
    pub refresh_token: Option<Text>,
    /// What is asked for.
    #[serde(default)]
    pub scopes: Vec<Text>,
    /// Where id and secret go; by default into the body.
    pub client_auth: Option<Located<ClientAuth>>,
    /// More fields of the request for a token.
    #[serde(default)]
    pub parameters: Section<Text>,
    /// How long a token lasts where the answer does not say (`expires_in`); by default `30min`.
    pub lifetime: Option<Located<Duration>>,
}

/// Where the id and the secret of a client go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Into the form.
    Body,
    /// Into the header `Authorization`, as user and password.
    Header,
}

/// A sign-in through the API.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Session {
    /// The request. Knows `secrets`, `settings`.
    pub login: Request,
    /// What it gives, from its answer; null or undefined: the sign-in was refused. Known to `headers` as `session`.
    pub session: Text,
    /// The headers of all other requests. Know `session`, `secrets`, `settings`.
    pub headers: Section<Text>,
    /// How long it lasts; by default until a request is refused.
    pub lifetime: Option<Located<Duration>>,
}

/// A signature over each request, with a secret that both sides know (HMAC-SHA-256, RFC 2104).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Signature {
    /// The header that carries it.
    pub header: Text,
    /// The secret. Where it is null, nothing is signed.
    pub secret: Text,
    /// What is signed: a text that knows `timestamp` (seconds since 1970), `id` (of the batch) and `payload` (the body). By default
    /// the body alone.
    pub over: Option<Text>,
    /// The value of the header. Knows `signature` (lower-case hex), `timestamp`, `id`. By default `sha256={{ signature }}`.
    pub value: Option<Text>,
    /// More headers that receivers need to check it. Know `timestamp`, `id`.
    #[serde(default)]
    pub headers: Section<Text>,
}
