//! Google's Data Manager API as far as the connector goes: tokens, members of user lists, requests that are done later.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::http::{Asked, Reply};
use super::server::Vendor;

/// One account. Addresses that begin with `bad` are refused, by the place of their member.
#[derive(Debug, Default)]
pub(crate) struct Google {
    /// Id of a user list → the identifiers of its members, hashed.
    pub(crate) lists: BTreeMap<String, BTreeSet<String>>,
    /// Sign-ins so far; the last one's token is valid.
    pub(crate) n_tokens: usize,
    requests: Vec<(u32, Value)>,
}

/// As Google wants it of an address without dots to leave out.
pub(crate) fn hashed(email: &str) -> String {
    Sha256::digest(email).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(status: u16, name: &str) -> Reply {
    Reply::json(status, &json!({"error": {"code": status, "status": name, "message": name}}))
}

impl Google {
    fn change(&mut self, body: &Value, adds: bool, upset: bool) -> Reply {
        let list = body["destinations"][0]["productDestinationId"].as_str().unwrap_or_default().to_owned();
        let members = body["audienceMembers"].as_array().cloned().unwrap_or_default();
        if list.is_empty() || members.is_empty() || members.len() > 10_000 {
            return failed(400, "INVALID_ARGUMENT");
        }
        if adds && body["consent"]["adUserData"] != json!("CONSENT_GRANTED") {
            return failed(400, "INVALID_ARGUMENT");
        }
        let bad: BTreeSet<String> = (0..1_000).map(|number| hashed(&format!("bad{number}@x.fr"))).collect();
        let (mut refused, mut sorry) = (Vec::new(), Vec::new());
        let known = self.lists.entry(list).or_default();
        for (place, member) in members.iter().enumerate() {
            let identifiers = member["userData"]["userIdentifiers"].as_array().into_iter().flatten();
            let identifiers =
                identifiers.filter_map(|one| one["emailAddress"].as_str().or(one["phoneNumber"].as_str()));
            let identifiers: Vec<String> = identifiers.map(str::to_owned).collect();
            if adds && identifiers.iter().any(|identifier| bad.contains(identifier)) {
                refused.push(place);
            } else if upset && place == 0 {
                sorry.push(place);
            } else if adds {
                known.extend(identifiers);
            } else {
                known.retain(|identifier| !identifiers.contains(identifier));
            }
        }
        let errors: Vec<Value> = [("INVALID_FORMAT", &refused), ("INTERNAL_ERROR", &sorry)]
            .into_iter()
            .filter(|(_, places)| !places.is_empty())
            .map(|(reason, places)| {
                json!({"reason": format!("PROCESSING_ERROR_REASON_{reason}"), "recordCount": places.len().to_string(), "recordIndices": places})
            })
            .collect();
        let status = match (refused.len() + sorry.len(), members.len()) {
            (0, _) => json!({"requestStatus": "SUCCESS"}),
            (n_wrong, n_members) if n_wrong == n_members && sorry.is_empty() => {
                json!({"requestStatus": "FAILED", "errorInfo": {"errorCounts": errors}})
            }
            _ => json!({"requestStatus": "PARTIAL_SUCCESS", "errorInfo": {"errorCounts": errors}}),
        };
        self.requests.push((0, status));
        Reply::ok(&json!({"requestId": format!("r-{}", self.requests.len())}))
    }

    /// The first question finds it at work.
    fn status(&mut self, id: &str) -> Reply {
        let place = id.strip_prefix("r-").and_then(|id| id.parse::<usize>().ok()).and_then(|id| id.checked_sub(1));
        let Some((polls, status)) = place.and_then(|place| self.requests.get_mut(place)) else {
            return failed(404, "NOT_FOUND");
        };
        *polls += 1;
        let status = if *polls == 1 { json!({"requestStatus": "PROCESSING"}) } else { status.clone() };
        Reply::ok(&json!({"requestStatusPerDestination": [status]}))
    }
}

impl Vendor for Google {
    fn answer(&mut self, asked: &Asked, upset: bool) -> Reply {
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        if path == ["token"] {
            let form = String::from_utf8_lossy(&asked.body).into_owned();
            if !form.contains("grant_type=refresh_token") {
                return Reply::json(400, &json!({"error": "unsupported_grant_type"}));
            }
            self.n_tokens += 1;
            let token = format!("token-{}", self.n_tokens);
            return Reply::ok(&json!({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}));
        }
        if asked.header("authorization") != Some(format!("Bearer token-{}", self.n_tokens).as_str()) {
            return failed(401, "UNAUTHENTICATED");
        }
        match (asked.method.as_str(), path.as_slice()) {
            ("POST", ["v1", "audienceMembers:ingest"]) => self.change(&asked.json(), true, upset),
            ("POST", ["v1", "audienceMembers:remove"]) => self.change(&asked.json(), false, upset),
            ("GET", ["v1", "requestStatus:retrieve"]) => self.status(asked.query("requestId").unwrap_or_default()),
            _ => Reply::not_there(asked),
        }
    }

    fn expire(&mut self) {
        self.n_tokens += 1;
    }
}
