//! Something on the way to a Tryton, as a proxy is: it counts requests, and at one of them does harm.

use serde_json::json;

use super::server::Tryton;
use crate::fakes::http::{Asked, Reply};
use crate::fakes::server::Vendor;

/// What happens before a request is handed on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// Every session that was opened over it ends.
    Expires,
    /// The server is killed after it has done what is asked: its answer is lost.
    Dies,
}

pub(super) struct Relay {
    pub(super) tryton: Tryton,
    /// Methods that were asked, in order.
    pub(super) asked: Vec<String>,
    /// The next request whose method ends so meets it.
    pub(super) harm: Option<(&'static str, Harm)>,
    sessions: Vec<String>,
}

impl Relay {
    pub(super) fn to(tryton: Tryton) -> Self {
        Self { tryton, asked: Vec::new(), harm: None, sessions: Vec::new() }
    }

    /// Requests for a method.
    pub(super) fn count(&self, method: &str) -> usize {
        self.asked.iter().filter(|asked| asked.ends_with(method)).count()
    }
}

impl Vendor for Relay {
    fn answer(&mut self, asked: &Asked, _: bool) -> Reply {
        let method = asked.json()["method"].as_str().unwrap_or_default().to_owned();
        let harm = self.harm.filter(|(at, _)| method.ends_with(at)).map(|(_, harm)| harm);
        if harm.is_some() {
            self.harm = None;
        }
        if harm == Some(Harm::Expires) {
            self.expire();
        }
        self.asked.push(method);
        let session = asked.header("authorization").unwrap_or_default();
        if !session.is_empty() && !self.sessions.iter().any(|known| known == session) {
            self.sessions.push(session.to_owned());
        }
        let reply = self.tryton.ask(session, &asked.body);
        if harm == Some(Harm::Dies) {
            self.tryton.kill();
            return Reply::json(502, &json!({}));
        }
        match reply {
            Some(mut reply) => {
                // What is about the way it came is not handed on.
                reply.headers.retain(|(name, _)| matches!(name.as_str(), "content-type" | "retry-after"));
                reply
            }
            None => Reply::empty(502),
        }
    }

    fn expire(&mut self) {
        for session in self.sessions.drain(..) {
            self.tryton.sign_out(&session);
        }
    }
}
