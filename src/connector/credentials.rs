//! How requests say who sends them, compiled.

use std::time::Duration;

use super::expression::Expression;
use super::model::Request;
use super::template::Template;
use crate::spec::connector::ClientAuth;

#[derive(Debug)]
pub(super) enum Auth {
    /// Headers that are known beforehand.
    Headers(Vec<(String, Template)>),
    Basic {
        user: Template,
        password: Template,
    },
    OAuth2(Box<OAuth2>),
    Session(Box<Session>),
}

#[derive(Debug)]
pub(super) struct OAuth2 {
    pub(super) token_url: Template,
    pub(super) client_id: Template,
    pub(super) client_secret: Template,
    pub(super) refresh_token: Option<Template>,
    pub(super) scopes: Vec<Template>,
    pub(super) client_auth: ClientAuth,
    pub(super) parameters: Vec<(String, Template)>,
    pub(super) lifetime: Duration,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) login: Request,
    pub(super) session: Expression,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) lifetime: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Signature {
    pub(super) header: String,
    pub(super) secret: Template,
    pub(super) over: Option<Template>,
    pub(super) value: Option<Template>,
    pub(super) headers: Vec<(String, Template)>,
}
