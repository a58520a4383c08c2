//! HubSpot as far as the connector goes: contacts in batches, lists by record id, communication preferences, erasure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::http::{Asked, Reply};
use super::server::Vendor;

/// One account. Addresses that begin with `bad` are refused, one by one.
#[derive(Debug, Default)]
pub(crate) struct HubSpot {
    /// Record id → properties.
    pub(crate) contacts: BTreeMap<String, Map<String, Value>>,
    /// Name → record ids, in the order in which they were made; ids are places, from 1.
    pub(crate) lists: Vec<(String, BTreeSet<String>)>,
    /// (address, subscription type) → is it subscribed?
    pub(crate) subscribed: BTreeMap<(String, i64), bool>,
    /// Addresses that can never be added again.
    pub(crate) blocked: BTreeSet<String>,
    n_contacts: usize,
}

fn failed(status: u16, category: &str) -> Reply {
    Reply::json(status, &json!({"status": "error", "category": category, "message": category}))
}

fn inputs(asked: &Asked) -> Vec<Value> {
    asked.json()["inputs"].as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// 200 where all went well, else 207.
fn told(results: &[Value], errors: &[Value]) -> Reply {
    let body = json!({"status": "COMPLETE", "results": results, "numErrors": errors.len(), "errors": errors});
    Reply::json(if errors.is_empty() { 200 } else { 207 }, &body)
}

impl HubSpot {
    fn find(&self, property: &str, value: &str) -> Option<String> {
        if property == "hs_object_id" {
            return self.contacts.contains_key(value).then(|| value.to_owned());
        }
        let is_it = |known: &Map<String, Value>| {
            known.get(property).is_some_and(|known| text(known).eq_ignore_ascii_case(value))
        };
        self.contacts.iter().find(|(_, known)| is_it(known)).map(|(id, _)| id.clone())
    }

    fn upsert(&mut self, asked: &Asked, upset: bool) -> Reply {
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for (place, input) in inputs(asked).into_iter().enumerate() {
            let (value, property) = (text(&input["id"]), text(&input["idProperty"]));
            let trace = &input["objectWriteTraceId"];
            if value.starts_with("bad") || self.blocked.contains(&value) {
                errors.push(json!({"status": "error", "category": "VALIDATION_ERROR", "message": "refused", "context": {"objectWriteTraceId": [trace]}}));
                continue;
            }
            // Not this time, without saying which.
            if upset && place == 0 {
                errors
                    .push(json!({"status": "error", "category": "INTERNAL_ERROR", "message": "sorry", "context": {}}));
                continue;
            }
            let id = self.find(&property, &value).unwrap_or_else(|| {
                self.n_contacts += 1;
                self.n_contacts.to_string()
            });
            let contact = self.contacts.entry(id.clone()).or_default();
            contact.insert(property, json!(value));
            contact.extend(input["properties"].as_object().cloned().unwrap_or_default());
            results.push(json!({"id": id, "objectWriteTraceId": trace}));
        }
        told(&results, &errors)
    }

    fn update(&mut self, asked: &Asked) -> Reply {
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for input in inputs(asked) {
            let id = text(&input["id"]);
            match self.contacts.get_mut(&id) {
                Some(contact) => {
                    contact.extend(input["properties"].as_object().cloned().unwrap_or_default());
                    results.push(json!({"id": id, "objectWriteTraceId": input["objectWriteTraceId"]}));
                }
                None => {
                    errors.push(json!({"category": "OBJECT_NOT_FOUND", "message": "gone", "context": {"ids": [id]}}))
                }
            }
        }
        told(&results, &errors)
    }

    fn read(&self, asked: &Asked) -> Reply {
        let property = text(&asked.json()["idProperty"]);
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for input in inputs(asked) {
            let value = text(&input["id"]);
            match self.find(&property, &value) {
                Some(id) => {
                    let mut properties = self.contacts[&id].clone();
                    properties.insert("hs_object_id".to_owned(), json!(id));
                    results.push(json!({"id": id, "properties": properties}));
                }
                None => errors.push(json!({"category": "OBJECT_NOT_FOUND", "context": {"ids": [value]}})),
            }
        }
        told(&results, &errors)
    }

    fn forget(&mut self, id: &str) {
        self.contacts.remove(id);
        for (_, members) in &mut self.lists {
            members.remove(id);
        }
    }

    fn members(&mut self, list: &str, body: &Value) -> Reply {
        let place = list.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
        let Some((_, members)) = place.and_then(|place| self.lists.get_mut(place)) else {
            return failed(404, "OBJECT_NOT_FOUND");
        };
        let mut missing = Vec::new();
        for id in body["recordIdsToAdd"].as_array().into_iter().flatten().map(text) {
            if self.contacts.contains_key(&id) {
                members.insert(id);
            } else {
                missing.push(id);
            }
        }
        for id in body["recordIdsToRemove"].as_array().into_iter().flatten().map(text) {
            members.remove(&id);
        }
        Reply::ok(&json!({"recordIdsMissing": missing}))
    }

    fn statuses(&mut self, asked: &Asked) -> Reply {
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for input in inputs(asked) {
            let point = text(&input["subscriberIdString"]);
            if point.starts_with("bad") {
                errors.push(json!({"category": "VALIDATION_ERROR", "message": "refused", "context": {"subscriberIdString": [point]}}));
                continue;
            }
            let state = input["statusState"] == json!("SUBSCRIBED");
            self.subscribed.insert((point.clone(), input["subscriptionId"].as_i64().unwrap_or_default()), state);
            results.push(json!({"subscriberIdString": point}));
        }
        told(&results, &errors)
    }
}

impl Vendor for HubSpot {
    fn answer(&mut self, asked: &Asked, upset: bool) -> Reply {
        if asked.header("authorization").is_none_or(|value| !value.starts_with("Bearer ")) {
            return failed(401, "INVALID_AUTHENTICATION");
        }
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        if path.ends_with(&["batch", "upsert"]) || path.ends_with(&["batch", "read"]) {
            let n_inputs = inputs(asked).len();
            if n_inputs == 0 || n_inputs > 100 {
                return failed(400, "VALIDATION_ERROR");
            }
        }
        match (asked.method.as_str(), path.as_slice()) {
            ("GET", ["account-info", "v3", "details"]) => Reply::ok(&json!({"portalId": 12345})),
            ("POST", ["crm", "v3", "objects", "contacts", "batch", "upsert"]) => self.upsert(asked, upset),
            ("POST", ["crm", "v3", "objects", "contacts", "batch", "update"]) => self.update(asked),
            ("POST", ["crm", "v3", "objects", "contacts", "batch", "read"]) => self.read(asked),
            ("POST", ["crm", "v3", "objects", "contacts", "batch", "archive"]) => {
                inputs(asked).iter().for_each(|input| self.forget(&text(&input["id"])));
                Reply::empty(204)
            }
            ("POST", ["crm", "v3", "objects", "contacts", "gdpr-delete"]) => {
                let body = asked.json();
                let (value, property) =
                    (text(&body["objectId"]), body["idProperty"].as_str().unwrap_or("hs_object_id"));
                if let Some(id) = self.find(property, &value) {
                    self.forget(&id);
                }
                if property == "email" {
                    self.blocked.insert(value);
                }
                Reply::empty(204)
            }
            ("GET", ["crm", "v3", "lists", "object-type-id", _, "name", name]) => {
                match self.lists.iter().position(|(known, _)| known == name) {
                    Some(place) => Reply::ok(&json!({"list": {"listId": (place + 1).to_string(), "name": name}})),
                    None => failed(404, "OBJECT_NOT_FOUND"),
                }
            }
            ("POST", ["crm", "v3", "lists"]) => {
                let name = text(&asked.json()["name"]);
                if self.lists.iter().any(|(known, _)| *known == name) {
                    return failed(400, "ILS.DUPLICATE_LIST_NAMES");
                }
                self.lists.push((name, BTreeSet::new()));
                Reply::ok(&json!({"list": {"listId": self.lists.len().to_string()}}))
            }
            ("PUT", ["crm", "v3", "lists", id, "memberships", "add-and-remove"]) => self.members(id, &asked.json()),
            ("POST", ["communication-preferences", "v4", "statuses", "batch", "write"]) => self.statuses(asked),
            _ => Reply::not_there(asked),
        }
    }
}
