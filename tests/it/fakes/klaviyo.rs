//! Klaviyo as far as the connector goes: profiles by background imports, lists, subscriptions, erasure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::http::{Asked, Reply};
use super::server::Vendor;

/// One account. Addresses that begin with `bad` are refused by imports.
#[derive(Debug, Default)]
pub(crate) struct Klaviyo {
    /// Id → attributes; ids are `P1`, `P2` …
    pub(crate) profiles: BTreeMap<String, Map<String, Value>>,
    /// Name → ids of profiles, in the order in which they were made; ids are `L1`, `L2` …
    pub(crate) lists: Vec<(String, BTreeSet<String>)>,
    /// Address or number → is it subscribed?
    pub(crate) subscribed: BTreeMap<String, bool>,
    pub(crate) erased: BTreeSet<String>,
    jobs: Vec<Job>,
    n_profiles: usize,
}

#[derive(Debug)]
struct Job {
    profiles: Vec<Map<String, Value>>,
    polls: u32,
    is_cancelled: bool,
    errors: Vec<Value>,
}

const IDENTIFIERS: [&str; 3] = ["email", "phone_number", "external_id"];
/// Errors of an import come in pages of so many, to have several.
const PAGE: usize = 2;

fn failed(status: u16, detail: &str) -> Reply {
    Reply::json(
        status,
        &json!({"errors": [{"status": status, "code": "invalid", "detail": detail, "source": {"pointer": "/data"}}]}),
    )
}

fn ids(body: &Value) -> Vec<String> {
    body["data"].as_array().into_iter().flatten().filter_map(|one| one["id"].as_str().map(str::to_owned)).collect()
}

fn attributes_of(profiles: &Value) -> Vec<Map<String, Value>> {
    let profiles = profiles["data"].as_array().into_iter().flatten();
    profiles.map(|profile| profile["attributes"].as_object().cloned().unwrap_or_default()).collect()
}

impl Klaviyo {
    fn import(&mut self, body: &Value, is_cancelled: bool) -> Reply {
        let profiles = attributes_of(&body["data"]["attributes"]["profiles"]);
        if profiles.is_empty() || profiles.len() > 10_000 {
            return failed(400, "from 1 to 10000 profiles");
        }
        self.jobs.push(Job { profiles, polls: 0, is_cancelled, errors: Vec::new() });
        let id = format!("J{}", self.jobs.len());
        Reply::json(
            202,
            &json!({"data": {"type": "profile-bulk-import-job", "id": id, "attributes": {"status": "queued"}}}),
        )
    }

    /// The first question finds it at work, the second done.
    fn job(&mut self, id: &str) -> Option<&mut Job> {
        let place = id.strip_prefix('J')?.parse::<usize>().ok()?.checked_sub(1)?;
        self.jobs.get_mut(place)
    }

    fn poll(&mut self, id: &str) -> Reply {
        let Some(job) = self.job(id) else { return failed(404, "no such job") };
        job.polls += 1;
        let status = match (job.is_cancelled, job.polls) {
            (true, _) => "cancelled",
            (false, 1) => "processing",
            (false, _) => "complete",
        };
        if status == "complete" {
            let profiles = std::mem::take(&mut job.profiles);
            let is_bad = |profile: &Map<String, Value>| {
                profile.get("email").and_then(Value::as_str).is_some_and(|email| email.starts_with("bad"))
            };
            let (bad, good): (Vec<_>, Vec<_>) =
                profiles.into_iter().enumerate().partition(|(_, profile)| is_bad(profile));
            job.errors.extend(bad.iter().map(|(place, _)| {
                let pointer = format!("/data/attributes/profiles/data/{place}/attributes/email");
                json!({"type": "import-error", "attributes": {"code": "invalid", "detail": "refused", "source": {"pointer": pointer}}})
            }));
            good.into_iter().for_each(|(_, profile)| self.merge(profile));
        }
        Reply::ok(&json!({"data": {"type": "profile-bulk-import-job", "id": id, "attributes": {"status": status}}}))
    }

    fn errors(&mut self, id: &str, asked: &Asked) -> Reply {
        let start: usize = asked.query("page[cursor]").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let host = asked.header("host").unwrap_or_default().to_owned();
        let Some(job) = self.job(id) else { return failed(404, "no such job") };
        let page: Vec<_> = job.errors.iter().skip(start).take(PAGE).collect();
        let next = (start + PAGE < job.errors.len()).then(|| {
            format!("http://{host}/api/profile-bulk-import-jobs/{id}/import-errors?page%5Bcursor%5D={}", start + PAGE)
        });
        Reply::ok(&json!({"data": page, "links": {"next": next}}))
    }

    fn merge(&mut self, profile: Map<String, Value>) {
        let same = |known: &Map<String, Value>| {
            IDENTIFIERS
                .iter()
                .any(|name| known.get(*name).is_some_and(|value| !value.is_null() && profile.get(*name) == Some(value)))
        };
        let found = self.profiles.iter().find(|(_, known)| same(known)).map(|(id, _)| id.clone());
        let id = found.unwrap_or_else(|| {
            self.n_profiles += 1;
            format!("P{}", self.n_profiles)
        });
        self.profiles.entry(id).or_default().extend(profile);
    }

    /// `any(email,["a","b"])`
    fn find(&self, filter: &str) -> Reply {
        let inner = filter.strip_prefix("any(").and_then(|rest| rest.strip_suffix(')'));
        let Some((name, values)) = inner.and_then(|inner| inner.split_once(',')) else {
            return failed(400, "the filter cannot be read");
        };
        let Ok(values) = serde_json::from_str::<Vec<Value>>(values) else {
            return failed(400, "the filter has no list");
        };
        let found =
            self.profiles.iter().filter(|(_, known)| known.get(name).is_some_and(|value| values.contains(value)));
        let found = found.map(|(id, known)| json!({"type": "profile", "id": id, "attributes": known}));
        Reply::ok(&json!({"data": found.collect::<Vec<_>>()}))
    }

    fn lists(&self, filter: &str) -> Reply {
        let lists = self.lists.iter().enumerate().filter(|(_, (name, _))| filter.contains(&json!([name]).to_string()));
        let lists = lists.map(
            |(place, (name, _))| json!({"type": "list", "id": format!("L{}", place + 1), "attributes": {"name": name}}),
        );
        Reply::ok(&json!({"data": lists.collect::<Vec<_>>()}))
    }

    fn members(&mut self, list: &str, asked: &Asked) -> Reply {
        let place =
            list.strip_prefix('L').and_then(|place| place.parse::<usize>().ok()).and_then(|place| place.checked_sub(1));
        let Some((_, members)) = place.and_then(|place| self.lists.get_mut(place)) else {
            return failed(404, "A list with this id does not exist.");
        };
        let named = ids(&asked.json());
        if let Some(unknown) = named.iter().find(|id| !self.profiles.contains_key(*id)) {
            return failed(400, &format!("{unknown} is no profile"));
        }
        for id in named {
            if asked.method == "POST" {
                members.insert(id)
            } else {
                members.remove(&id)
            };
        }
        Reply::empty(204)
    }

    fn subscribe(&mut self, body: &Value, subscribed: bool) -> Reply {
        for profile in attributes_of(&body["data"]["attributes"]["profiles"]) {
            let point = profile.get("email").or_else(|| profile.get("phone_number")).and_then(Value::as_str);
            self.subscribed.insert(point.unwrap_or_default().to_owned(), subscribed);
        }
        Reply::empty(202)
    }

    fn erase(&mut self, body: &Value) -> Reply {
        let wanted = &body["data"]["attributes"]["profile"]["data"]["attributes"];
        for name in ["email", "phone_number"] {
            let Some(value) = wanted[name].as_str() else { continue };
            self.erased.insert(value.to_owned());
            self.subscribed.remove(value);
            let gone: Vec<String> = self
                .profiles
                .iter()
                .filter(|(_, known)| known.get(name) == Some(&wanted[name]))
                .map(|(id, _)| id.clone())
                .collect();
            for id in gone {
                self.profiles.remove(&id);
                for (_, members) in &mut self.lists {
                    members.remove(&id);
                }
            }
        }
        Reply::empty(202)
    }
}

impl Vendor for Klaviyo {
    fn answer(&mut self, asked: &Asked, upset: bool) -> Reply {
        if asked.header("authorization").is_none_or(|value| !value.starts_with("Klaviyo-API-Key ")) {
            return failed(401, "Authentication credentials were not provided.");
        }
        if asked.header("revision").is_none() {
            return failed(400, "no revision");
        }
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        match (asked.method.as_str(), path.as_slice()) {
            ("GET", ["api", "accounts"]) => Reply::ok(&json!({"data": [{"id": "FAKE"}]})),
            ("GET", ["api", "profiles"]) => self.find(asked.query("filter").unwrap_or_default()),
            ("PATCH", ["api", "profiles", id]) => match self.profiles.get_mut(*id) {
                Some(profile) => {
                    profile.extend(asked.json()["data"]["attributes"].as_object().cloned().unwrap_or_default());
                    Reply::ok(&json!({"data": {"id": id}}))
                }
                None => failed(404, "no such profile"),
            },
            ("POST", ["api", "profile-bulk-import-jobs"]) => self.import(&asked.json(), upset),
            ("GET", ["api", "profile-bulk-import-jobs", id]) => self.poll(id),
            ("GET", ["api", "profile-bulk-import-jobs", id, "import-errors"]) => self.errors(id, asked),
            ("GET", ["api", "lists"]) => self.lists(asked.query("filter").unwrap_or_default()),
            ("POST", ["api", "lists"]) => {
                let name = asked.json()["data"]["attributes"]["name"].as_str().unwrap_or_default().to_owned();
                self.lists.push((name, BTreeSet::new()));
                Reply::json(201, &json!({"data": {"type": "list", "id": format!("L{}", self.lists.len())}}))
            }
            (_, ["api", "lists", id, "relationships", "profiles"]) => self.members(id, asked),
            ("POST", ["api", "profile-subscription-bulk-create-jobs"]) => self.subscribe(&asked.json(), true),
            ("POST", ["api", "profile-subscription-bulk-delete-jobs"]) => self.subscribe(&asked.json(), false),
            ("POST", ["api", "data-privacy-deletion-jobs"]) => self.erase(&asked.json()),
            _ => Reply::not_there(asked),
        }
    }
}
