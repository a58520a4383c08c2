//! Mailchimp as far as the connector goes: members, tags, what was erased.

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};

use super::http::{Asked, Reply};
use super::server::Vendor;

/// A member of the audience.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Member {
    pub(crate) status: String,
    pub(crate) merge_fields: Map<String, Value>,
}

/// One account with one audience. Addresses that begin with `bad` are refused.
#[derive(Debug, Default)]
pub(crate) struct Mailchimp {
    pub(crate) members: BTreeMap<String, Member>,
    /// Name → members, in the order in which they were made.
    pub(crate) tags: Vec<(String, BTreeSet<String>)>,
    pub(crate) forgotten: BTreeSet<String>,
}

fn hash(email: &str) -> String {
    Md5::digest(email.to_lowercase()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn problem(status: u16, title: &str) -> Reply {
    Reply::json(status, &json!({"status": status, "title": title, "detail": title}))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_lowercase)).collect()
}

impl Mailchimp {
    fn put(&mut self, email: &str, body: &Value) {
        let member = self.members.entry(email.to_owned()).or_default();
        if let Some(status) = body["status"].as_str() {
            status.clone_into(&mut member.status);
        }
        member.merge_fields.extend(body["merge_fields"].as_object().cloned().unwrap_or_default());
    }

    fn members(&mut self, body: &Value) -> Reply {
        let may_update = body["update_existing"] == json!(true);
        let mut errors = Vec::new();
        for member in body["members"].as_array().into_iter().flatten() {
            let email = member["email_address"].as_str().unwrap_or_default().to_lowercase();
            let code = if email.starts_with("bad") {
                "ERROR_GENERIC"
            } else if self.forgotten.contains(&hash(&email)) {
                "ERROR_FORGOTTEN"
            } else if self.members.contains_key(&email) && !may_update {
                "ERROR_CONTACT_EXISTS"
            } else {
                self.put(&email, member);
                continue;
            };
            errors.push(json!({"email_address": email, "error": "refused", "error_code": code}));
        }
        Reply::ok(&json!({"error_count": errors.len(), "errors": errors}))
    }

    fn member(&mut self, asked: &Asked, hashed: &str) -> Reply {
        let found = self.members.keys().find(|email| hash(email) == hashed).cloned();
        match (asked.method.as_str(), found) {
            ("PUT", found) => {
                let body = asked.json();
                let email = found.unwrap_or_else(|| body["email_address"].as_str().unwrap_or_default().to_lowercase());
                if self.forgotten.contains(&hash(&email)) {
                    return problem(400, "Forgotten Email Not Subscribed");
                }
                self.put(&email, &body);
                Reply::ok(&json!({"email_address": email}))
            }
            (_, None) => problem(404, "Resource Not Found"),
            ("PATCH", Some(email)) => {
                self.put(&email, &asked.json());
                Reply::ok(&json!({"email_address": email}))
            }
            (_, Some(email)) => {
                self.members.remove(&email);
                for (_, members) in &mut self.tags {
                    members.remove(&email);
                }
                if asked.path.last().is_some_and(|last| last == "delete-permanent") {
                    self.forgotten.insert(hashed.to_owned());
                }
                Reply::empty(204)
            }
        }
    }

    fn tag(&mut self, id: &str, body: &Value) -> Reply {
        let place = id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
        let Some((_, members)) = place.and_then(|place| self.tags.get_mut(place)) else {
            return problem(404, "Resource Not Found");
        };
        let mut errors = Vec::new();
        for email in texts(&body["members_to_add"]) {
            if self.members.contains_key(&email) {
                members.insert(email);
            } else {
                errors.push(json!({"email_addresses": [email], "error": "Email address is not a list member"}));
            }
        }
        for email in texts(&body["members_to_remove"]) {
            members.remove(&email);
        }
        Reply::ok(&json!({"error_count": errors.len(), "errors": errors}))
    }
}

impl Vendor for Mailchimp {
    fn answer(&mut self, asked: &Asked, _: bool) -> Reply {
        if asked.header("authorization").is_none_or(|value| !value.starts_with("Basic ")) {
            return problem(401, "API Key Invalid");
        }
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        match (asked.method.as_str(), path.as_slice()) {
            ("GET", ["lists", list]) => Reply::ok(&json!({"id": list})),
            ("POST", ["lists", _]) => self.members(&asked.json()),
            (_, ["lists", _, "members", hashed, ..]) => self.member(asked, hashed),
            ("GET", ["lists", _, "segments"]) => {
                let tags =
                    self.tags.iter().enumerate().map(|(place, (name, _))| json!({"id": place + 1, "name": name}));
                Reply::ok(&json!({"segments": tags.collect::<Vec<_>>()}))
            }
            ("POST", ["lists", _, "segments"]) => {
                let name = asked.json()["name"].as_str().unwrap_or_default().to_owned();
                self.tags.push((name, BTreeSet::new()));
                Reply::ok(&json!({"id": self.tags.len()}))
            }
            ("POST", ["lists", _, "segments", id]) => self.tag(id, &asked.json()),
            _ => Reply::not_there(asked),
        }
    }
}
