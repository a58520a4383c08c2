//! What says who sends a request: credentials that are known, tokens that are asked for, signatures.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value as Json, json};

use super::answer::{NoAnswer, Read, Response};
use super::credentials::{Auth, OAuth2};
use super::expression::{Broken, Scope};
use super::filters::{base64, hex, hmac_sha256};
use super::peer::Peer;
use super::request::Request;
use super::template::{Place, Template};
use crate::spec::connector::{ClientAuth, Method};

/// What a sign-in gave.
#[derive(Clone, PartialEq)]
pub struct Grant {
    session: Json,
    /// When it is to be asked for anew; none: when it is refused.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Before this time a token is asked for anew: it must outlive the request that it goes with.
const MARGIN: Duration = Duration::from_mins(1);

/// Does this account sign in, so that a refused request is worth another with a new grant?
#[must_use]
pub fn signs_in(peer: &Peer) -> bool {
    matches!(peer.connector.auth, Some(Auth::OAuth2(_) | Auth::Session(_)))
}

/// The request that signs in; none where credentials are known beforehand. An error says what keeps it from being built.
pub fn sign_in(peer: &Peer) -> Result<Option<Request>, String> {
    let settings = Scope::of("settings", &peer.settings);
    let scope = settings.with("secrets", &peer.secrets);
    let built = match &peer.connector.auth {
        Some(Auth::OAuth2(oauth2)) => token_request(oauth2, &scope).map(Some),
        Some(Auth::Session(session)) => Request::build(peer, "sign_in", &session.login, &scope, &[]).map(Some),
        _ => Ok(None),
    };
    built.map_err(|broken| broken.cause)
}

fn token_request(oauth2: &OAuth2, scope: &Scope<'_>) -> Result<Request, Broken> {
    let text = |template: &Template| template.text(scope, Place::Text);
    let (id, secret) = (text(&oauth2.client_id)?, text(&oauth2.client_secret)?);
    let mut fields: Vec<(String, String)> = Vec::new();
    match &oauth2.refresh_token {
        Some(token) => {
            fields.push(("grant_type".to_owned(), "refresh_token".to_owned()));
            fields.push(("refresh_token".to_owned(), text(token)?));
        }
        None => fields.push(("grant_type".to_owned(), "client_credentials".to_owned())),
    }
    if !oauth2.scopes.is_empty() {
        let scopes = oauth2.scopes.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        fields.push(("scope".to_owned(), scopes.join(" ")));
    }
    for (name, template) in &oauth2.parameters {
        fields.push((name.clone(), text(template)?));
    }
    let mut headers = vec![
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
        ("accept".to_owned(), "application/json".to_owned()),
    ];
    match oauth2.client_auth {
        ClientAuth::Body => fields.extend([("client_id".to_owned(), id), ("client_secret".to_owned(), secret)]),
        ClientAuth::Header => {
            headers
                .push(("authorization".to_owned(), format!("Basic {}", base64(format!("{id}:{secret}").as_bytes()))));
        }
    }
    let body = super::request::form(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let url = oauth2.token_url.text(scope, Place::Text)?;
    Ok(Request {
        operation: "sign_in".to_owned(),
        id: String::new(),
        method: Method::Post,
        url,
        headers,
        body: body.into_bytes(),
        whom: None,
        masked: None,
    })
}

/// What the answer to a sign-in grants; an error says why it grants nothing, and repeats nothing of the answer.
pub fn granted(peer: &Peer, response: &Response, now: DateTime<Utc>) -> Result<Grant, NoAnswer> {
    let read = Read::new(response);
    if !read.is_success() {
        let cause = format!("the sign-in was answered with {}", response.status);
        // A server in trouble, or asked too much, may let us in later.
        let is_refused = (400..500).contains(&response.status) && !matches!(response.status, 408 | 425 | 429);
        return Err(if is_refused { NoAnswer::Refused(cause) } else { NoAnswer::NotSent(cause) });
    }
    let lacks = |cause: &str| NoAnswer::NotSent(cause.to_owned());
    let until = |lifetime: Duration| now + lifetime.saturating_sub(MARGIN.min(lifetime / 2));
    match &peer.connector.auth {
        Some(Auth::OAuth2(oauth2)) => {
            let token = read.body.get("access_token").and_then(Json::as_str);
            let token = token.ok_or_else(|| lacks("the sign-in gave no `access_token`"))?;
            let told =
                read.body.get("expires_in").and_then(|told| told.as_u64().or_else(|| told.as_str()?.parse().ok()));
            let lifetime = told.map_or(oauth2.lifetime, Duration::from_secs);
            Ok(Grant { session: json!(token), expires_at: Some(until(lifetime)) })
        }
        Some(Auth::Session(session)) => {
            let settings = Scope::of("settings", &peer.settings);
            let value = read.scoped(&settings, |scope| session.session.value(scope));
            let value = value.map_err(|broken| NoAnswer::NotSent(broken.cause))?;
            let value = value.filter(|value| !value.is_null());
            let value = value.ok_or_else(|| NoAnswer::Refused("the sign-in gave no session".to_owned()))?;
            Ok(Grant { session: value, expires_at: session.lifetime.map(until) })
        }
        _ => Err(lacks("nothing is signed in to")),
    }
}

/// Adds what says who sends the request: headers, and the signature over it. An error says what is missing; no secret.
pub fn authorise(peer: &Peer, request: &mut Request, grant: Option<&Grant>, now: DateTime<Utc>) -> Result<(), String> {
    let settings = Scope::of("settings", &peer.settings);
    let session = grant.map_or(Json::Null, |grant| grant.session.clone());
    let secrets = settings.with("secrets", &peer.secrets);
    let scope = secrets.with("session", &session);
    let mut add = |name: &str, value: String| {
        request.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        request.headers.push((name.to_lowercase(), value));
    };
    let text = |template: &Template| template.text(&scope, Place::Header).map_err(|broken| broken.cause);
    match &peer.connector.auth {
        None => {}
        Some(Auth::Headers(headers)) => {
            for (name, template) in headers {
                if let Some(value) = template.optional(&scope, Place::Header).map_err(|broken| broken.cause)? {
                    add(name, value);
                }
            }
        }
        Some(Auth::Basic { user, password }) => {
            add(
                "authorization",
                format!("Basic {}", base64(format!("{}:{}", text(user)?, text(password)?).as_bytes())),
            );
        }
        Some(Auth::OAuth2(_)) => {
            let token = session.as_str().ok_or("there is no token")?;
            add("authorization", format!("Bearer {token}"));
        }
        Some(Auth::Session(own)) => {
            for (name, template) in &own.headers {
                add(name, text(template)?);
            }
        }
    }
    sign(peer, request, &scope, now)
}

/// What is read in the place of a secret.
pub(super) const SECRET: &str = "***";

/// The headers that say who sends a request: those of which every value is a secret.
pub(super) fn veiled_headers(peer: &Peer) -> Vec<String> {
    let settings = Scope::of("settings", &peer.settings);
    let scope = settings.with("secrets", &peer.secrets);
    let is_there = |template: &Template| !matches!(template.optional(&scope, Place::Header), Ok(None));
    let mut names: Vec<String> = match &peer.connector.auth {
        None => Vec::new(),
        Some(Auth::Headers(headers)) => {
            headers.iter().filter(|(_, value)| is_there(value)).map(|(name, _)| name.to_lowercase()).collect()
        }
        Some(Auth::Basic { .. } | Auth::OAuth2(_)) => vec!["authorization".to_owned()],
        Some(Auth::Session(session)) => session.headers.iter().map(|(name, _)| name.to_lowercase()).collect(),
    };
    if let Some(signature) = peer.connector.sign.as_ref().filter(|signature| is_there(&signature.secret)) {
        names.extend(
            [&signature.header]
                .into_iter()
                .chain(signature.headers.iter().map(|(name, _)| name))
                .map(|name| name.to_lowercase()),
        );
    }
    names
}

fn sign(peer: &Peer, request: &mut Request, scope: &Scope<'_>, now: DateTime<Utc>) -> Result<(), String> {
    let Some(signature) = &peer.connector.sign else { return Ok(()) };
    let broken = |broken: Broken| broken.cause;
    let Some(secret) = signature.secret.optional(scope, Place::Text).map_err(broken)? else { return Ok(()) };
    let (timestamp, id) = (json!(now.timestamp()), json!(request.id));
    let payload = json!(String::from_utf8_lossy(&request.body));
    let scope = scope.with("timestamp", &timestamp);
    let scope = scope.with("id", &id);
    let scope = scope.with("payload", &payload);
    let signed = match &signature.over {
        Some(over) => hmac_sha256(&secret, over.text(&scope, Place::Text).map_err(broken)?.as_bytes()),
        None => hmac_sha256(&secret, &request.body),
    };
    let (hex, raw) = (json!(hex(&signed)), json!(base64(&signed)));
    let scope = scope.with("signature", &hex);
    let scope = scope.with("signature_base64", &raw);
    let value = match &signature.value {
        Some(value) => value.text(&scope, Place::Header).map_err(broken)?,
        None => format!("sha256={}", hex.as_str().unwrap_or_default()),
    };
    request.headers.push((signature.header.to_lowercase(), value));
    for (name, template) in &signature.headers {
        request.headers.push((name.to_lowercase(), template.text(&scope, Place::Header).map_err(broken)?));
    }
    Ok(())
}
