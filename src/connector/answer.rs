//! An answer, and what it means by the rules.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json};

use super::expression::{Broken, Scope};
use super::model::{Quota, Rule};
use super::template::Place;
use crate::spec::connector::Act;

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its headers, names in small letters.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The request was certainly not sent: no connection came about.
    NotSent(String),
    /// It was sent, and nobody knows what became of it.
    Lost(String),
    /// It was only to be shown.
    Rehearsed,
    /// It was not sent: signing in was refused, and would be again. Accounts are locked after a few attempts.
    Refused(String),
}

/// An answer that was read.
pub(super) struct Read {
    pub(super) status: Json,
    pub(super) headers: Json,
    pub(super) body: Json,
    /// Was the body JSON, or is there none?
    pub(super) is_json: bool,
    code: u16,
}

impl Read {
    pub(super) fn new(response: &Response) -> Self {
        let headers: Map<String, Json> =
            response.headers.iter().map(|(name, value)| (name.clone(), Json::String(value.clone()))).collect();
        let parsed = serde_json::from_slice(&response.body);
        let is_json = parsed.is_ok() || response.body.is_empty();
        let body = parsed.unwrap_or_else(|_| {
            if response.body.is_empty() {
                Json::Null
            } else {
                Json::String(String::from_utf8_lossy(&response.body).into_owned())
            }
        });
        Self {
            status: Json::from(response.status),
            headers: Json::Object(headers),
            body,
            is_json,
            code: response.status,
        }
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Calls with a scope that knows the answer.
    pub(super) fn scoped<T>(&self, outer: &Scope<'_>, then: impl FnOnce(&Scope<'_>) -> T) -> T {
        let status = outer.with("status", &self.status);
        let headers = status.with("headers", &self.headers);
        then(&headers.with("body", &self.body))
    }

    /// What the first rule that fits says; then what is usual. None: it is no error.
    pub(super) fn meaning(&self, rules: &[&[Rule]], outer: &Scope<'_>) -> Result<Option<Meaning>, Broken> {
        self.scoped(outer, |scope| {
            for rule in rules.iter().copied().flatten() {
                let status_fits =
                    rule.statuses.is_empty() || rule.statuses.iter().any(|status| status.contains(self.code));
                let fits = status_fits && rule.when.as_ref().map_or(Ok(true), |when| when.holds(scope))?;
                if fits {
                    let text = |template: &Option<super::template::Template>| {
                        // A message that names what the answer lacks is no reason to lose the answer.
                        template.as_ref().and_then(|template| template.text(scope, Place::Text).ok())
                    };
                    return Ok(Some(Meaning {
                        act: rule.act,
                        code: text(&rule.code).unwrap_or_else(|| self.code.to_string()),
                        message: text(&rule.message)
                            .unwrap_or_else(|| format!("the destination answered {}", self.code)),
                    }));
                }
            }
            Ok(self.usual())
        })
    }

    fn usual(&self) -> Option<Meaning> {
        let act = match self.code {
            200..300 => return None,
            429 => Act::Throttle,
            408 | 425 | 500..600 => Act::Retry,
            401 => Act::RefreshAuth,
            300..=399 | 403 => Act::Stop,
            _ => Act::Bisect,
        };
        Some(Meaning { act, code: self.code.to_string(), message: format!("the destination answered {}", self.code) })
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) act: Act,
    pub(super) code: String,
    pub(super) message: String,
}

/// How long an answer says to wait: seconds, an HTTP date, or an instant in seconds since 1970.
pub(super) fn wait(response: &Response, quota: &Quota, now: DateTime<Utc>) -> Option<Duration> {
    let usual = [("retry-after".to_owned(), false)];
    let headers = quota.retry_after.iter().chain(&usual);
    let longest = headers.filter_map(|(name, epoch)| {
        let (_, value) = response.headers.iter().find(|(known, _)| known == name)?;
        let value = value.trim();
        if let Ok(number) = value.parse::<f64>() {
            let seconds = if *epoch { number - now.timestamp_millis() as f64 / 1000.0 } else { number };
            return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
        }
        let at = DateTime::parse_from_rfc2822(value).ok()?;
        Some((at.to_utc() - now).to_std().unwrap_or_default())
    });
    longest.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_how_long_to_wait() {
        let now = DateTime::from_timestamp(1_000_000_000, 0).unwrap();
        let quota = Quota { retry_after: vec![("x-reset".to_owned(), true)], ..Quota::default() };
        let told = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            wait(&Response { headers, ..Response::default() }, &quota, now).map(|wait| wait.as_millis())
        };
        assert_eq!(told(&[("retry-after", "3")]), Some(3_000));
        assert_eq!(told(&[("retry-after", "Sun, 09 Sep 2001 01:46:50 GMT")]), Some(10_000));
        assert_eq!(told(&[("x-reset", "1000000002.5"), ("retry-after", "1")]), Some(2_500));
        assert_eq!(told(&[("retry-after", "-3")]), Some(0));
        assert_eq!(told(&[("retry-after", "soon")]), None);
        assert_eq!(told(&[("retry-after", "1e300")]), None);
        assert_eq!(told(&[]), None);
    }
}
