//! A connection's account as a connector speaks to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::expression::Scope;
use super::model::{Connector, Setting};
use super::template::Place;

/// A connector with what a connection says: settings, secrets, where.
pub struct Peer {
    /// The connector.
    pub connector: Arc<Connector>,
    /// The account that the connection declares.
    pub account: Option<String>,
    pub(super) settings: Json,
    pub(super) secrets: Json,
    url: String,
    /// Did the connection say where it is?
    has_own_url: bool,
}

/// Secrets do not show, nor does the URL: that of a webhook is one.
impl fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Peer").field("connector", &self.connector.name).finish_non_exhaustive()
    }
}

/// What a connection says.
#[derive(Clone, Default)]
pub struct Said {
    /// `settings:`
    pub settings: BTreeMap<String, String>,
    /// `auth:`, references replaced.
    pub secrets: BTreeMap<String, String>,
    /// `url:`
    pub url: Option<String>,
    /// `account:`
    pub account: Option<String>,
}

impl Setting {
    /// Does a value have its form?
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| matches_whole(pattern, value))
    }
}

impl Connector {
    /// Must a connection say where the destination is?
    #[must_use]
    pub fn needs_url(&self) -> bool {
        self.url.is_none()
    }
}

impl Peer {
    /// Puts both together. An error says what the connection lacks, or says wrongly: `(key, what)`; never a secret.
    pub fn new(connector: Arc<Connector>, said: &Said) -> Result<Self, (String, String)> {
        let mut settings = Map::new();
        for setting in &connector.settings {
            let value = said.settings.get(&setting.name).or(setting.default.as_ref());
            match value {
                Some(value) if !setting.accepts(value) => {
                    return Err((
                        format!("settings.{}", setting.name),
                        format!("`{value}` does not have its form: {}", setting.description),
                    ));
                }
                None if !setting.optional => {
                    return Err((
                        format!("settings.{}", setting.name),
                        format!("it is missing: {}", setting.description),
                    ));
                }
                _ => {}
            }
            settings.insert(setting.name.clone(), value.map_or(Json::Null, |value| Json::String(value.clone())));
        }
        let mut secrets = Map::new();
        for secret in &connector.secrets {
            let value = said.secrets.get(&secret.name).filter(|value| !value.is_empty());
            if value.is_none() && !secret.optional {
                return Err((format!("auth.{}", secret.name), format!("it is missing: {}", secret.description)));
            }
            secrets.insert(secret.name.clone(), value.map_or(Json::Null, |value| Json::String(value.clone())));
        }
        let settings = Json::Object(settings);
        let url = match (&said.url, &connector.url) {
            (Some(url), _) => url.clone(),
            (None, Some(url)) => url
                .text(&Scope::of("settings", &settings), Place::Text)
                .map_err(|broken| ("url".to_owned(), broken.cause))?,
            (None, None) => return Err(("url".to_owned(), "it is missing: where the destination is".to_owned())),
        };
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("http" | "https")) || host(&url).is_empty() {
            return Err(("url".to_owned(), "it is no URL with `https://` and a host".to_owned()));
        }
        Ok(Self {
            has_own_url: said.url.is_some(),
            account: said.account.clone(),
            settings,
            secrets: Json::Object(secrets),
            url: url.trim_end_matches('/').to_owned(),
            connector,
        })
    }

    /// As it would be, for requests that are only shown: neither secrets nor variables of the environment need be there.
    pub fn veiled(connector: Arc<Connector>, said: &Said) -> Result<Self, (String, String)> {
        let text = |value: Option<&String>| value.map_or(Json::Null, |value| Json::String(value.clone()));
        let setting = |one: &Setting| (one.name.clone(), text(said.settings.get(&one.name).or(one.default.as_ref())));
        let secret = |name: &String| (name.clone(), Json::String("***".to_owned()));
        let settings = Json::Object(connector.settings.iter().map(setting).collect());
        let url = match (&said.url, &connector.url) {
            (Some(url), _) => url.clone(),
            (None, Some(url)) => url
                .text(&Scope::of("settings", &settings), Place::Text)
                .map_err(|broken| ("url".to_owned(), broken.cause))?,
            (None, None) => return Err(("url".to_owned(), "it is missing: where the destination is".to_owned())),
        };
        Ok(Self {
            has_own_url: said.url.is_some(),
            account: said.account.clone(),
            settings,
            secrets: Json::Object(said.secrets.keys().map(secret).collect()),
            url: url.trim_end_matches('/').to_owned(),
            connector,
        })
    }

    /// The whole URL of a path. A URL that an answer gave is taken where its host is the connection's own: nothing is sent elsewhere.
    pub(super) fn locate(&self, path: &str) -> Result<String, String> {
        if path.starts_with("http://") || path.starts_with("https://") {
            let own = origin(path) == origin(&self.url);
            return if own { Ok(path.to_owned()) } else { Err("it is on another host than the connection".to_owned()) };
        }
        let slash = if path.starts_with('/') || path.is_empty() { "" } else { "/" };
        Ok(format!("{}{slash}{path}", self.url))
    }

    /// Where the connection goes.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Did the connection say where it goes? Then the URL may be a secret.
    pub(super) fn has_own_url(&self) -> bool {
        self.has_own_url
    }

    /// Every secret: what must never be shown.
    pub fn secret_values(&self) -> impl Iterator<Item = &str> {
        self.secrets.as_object().into_iter().flat_map(|secrets| secrets.values()).filter_map(Json::as_str)
    }
}

/// Whole matches alone: half a fitting account name is another account.
fn matches_whole(pattern: &str, value: &str) -> bool {
    regex::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|pattern| pattern.is_match(value))
}

fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |length| start + length);
    &url[..end]
}

fn host(url: &str) -> &str {
    origin(url).split_once("://").map_or("", |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::{matches_whole, origin};

    #[test]
    fn origins_are_scheme_and_host() {
        assert_eq!(origin("https://a.example.com/x?y"), "https://a.example.com");
        assert_eq!(origin("http://127.0.0.1:80"), "http://127.0.0.1:80");
        assert_ne!(origin("https://a.example.com.evil.example/x"), origin("https://a.example.com/x"));
        assert_ne!(origin("https://a.example.com@evil.example/x"), origin("https://a.example.com/x"));
    }

    #[test]
    fn patterns_match_the_whole() {
        assert!(matches_whole("us[0-9]+", "us21"));
        assert!(!matches_whole("us[0-9]+", "us21.evil.example/"));
    }
}
