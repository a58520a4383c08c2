//! A request, built from values: nothing is pasted into its body, its path or its headers unescaped.

use percent_encoding::utf8_percent_encode;
use serde_json::Value as Json;

use super::expression::{Broken, Scope, plain};
use super::model::{self, Body};
use super::peer::Peer;
use super::template::{Place, UNRESERVED};
use crate::spec::connector::Method;

/// A request as it is sent, but for what says who sends it: that is added at the last moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it is for: `contact.upsert`; quotas go by it.
    pub operation: String,
    /// The same for the same rows of the same batch, so that the receiver knows a resend; empty where nothing is changed.
    pub id: String,
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body; empty where there is none.
    pub body: Vec<u8>,
    /// Which of the rows go with it, where only an answer before it tells.
    pub whom: Option<Whom>,
    /// The same of rows whose personal values are masked, where it is to be shown.
    pub masked: Option<Box<Request>>,
}

/// Rows that an answer tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// Those that a lookup found.
    Found,
    /// Those that it did not find.
    Missing,
}

impl Method {
    /// As it is sent.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Request {
    /// Builds one; `rows` are what became of the rows of a batch.
    pub(super) fn build(
        peer: &Peer,
        operation: &str,
        model: &model::Request,
        scope: &Scope<'_>,
        rows: &[Vec<u8>],
    ) -> Result<Self, Broken> {
        let values = if model.computes_rows() {
            let value = |row: &Vec<u8>| serde_json::from_slice::<Json>(row).unwrap_or_default();
            rows.iter().map(value).collect()
        } else {
            Json::Null
        };
        let scope = &scope.with("rows", &values);
        let mut url = peer.locate(&model.path.text(scope, Place::Path)?).map_err(|cause| Broken { cause })?;
        let mut separator = if url.contains('?') { '&' } else { '?' };
        for (name, tree) in &model.query {
            let Some(value) = tree.value(scope, rows)?.and_then(plain) else { continue };
            url.push(separator);
            separator = '&';
            url.push_str(&encoded(name));
            url.push('=');
            url.push_str(&encoded(&value));
        }
        let mut headers = Vec::new();
        for (name, template) in peer.connector.headers.iter().chain(&model.headers) {
            if let Some(value) = template.optional(scope, Place::Header)? {
                headers.retain(|(known, _): &(String, String)| !known.eq_ignore_ascii_case(name));
                headers.push((name.to_lowercase(), value));
            }
        }
        let (kind, body) = match &model.body {
            None => (None, Vec::new()),
            Some(Body::Json(tree)) => {
                let mut body = Vec::new();
                tree.write(scope, rows, &mut body)?;
                (Some("application/json"), body)
            }
            Some(Body::Form(fields)) => {
                let mut pairs = Vec::new();
                for (name, tree) in fields {
                    let mut value = Vec::new();
                    if !tree.write(scope, rows, &mut value)? {
                        continue;
                    }
                    if let Some(value) = plain(serde_json::from_slice::<Json>(&value).unwrap_or_default()) {
                        pairs.push((name.as_str(), value));
                    }
                }
                let body = form(pairs.iter().map(|(name, value)| (*name, value.as_str())));
                (Some("application/x-www-form-urlencoded"), body.into_bytes())
            }
            Some(Body::Csv(delimiter)) => (Some("text/csv"), csv(*delimiter, rows)?),
        };
        if let Some(kind) = kind
            && !headers.iter().any(|(name, _)| name == "content-type")
        {
            headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        Ok(Self {
            operation: operation.to_owned(),
            id: String::new(),
            method: model.method,
            url,
            headers,
            body,
            whom: None,
            masked: None,
        })
    }

    /// The path with what stands behind the `?`.
    #[must_use]
    pub fn path<'a>(&'a self, peer: &Peer) -> &'a str {
        self.url.strip_prefix(peer.url()).unwrap_or(&self.url)
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// The fields of a form as a body.
pub(super) fn form<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    fields.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
}

/// A header of all the names in the order in which they first come, and a line per row.
fn csv(delimiter: u8, rows: &[Vec<u8>]) -> Result<Vec<u8>, Broken> {
    let wrong = |_| Broken { cause: "a row of CSV must be a map".to_owned() };
    let rows: Vec<serde_json::Map<String, Json>> =
        rows.iter().map(|row| serde_json::from_slice(row).map_err(wrong)).collect::<Result<_, _>>()?;
    let mut names: Vec<&String> = Vec::new();
    for name in rows.iter().flat_map(serde_json::Map::keys) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    let broken = |_: csv::Error| Broken { cause: "the rows cannot be written as CSV".to_owned() };
    writer.write_record(&names).map_err(broken)?;
    for row in &rows {
        let cells = names.iter().map(|name| row.get(*name).cloned().and_then(plain).unwrap_or_default());
        writer.write_record(cells).map_err(broken)?;
    }
    writer.into_inner().map_err(|_| Broken { cause: "the rows cannot be written as CSV".to_owned() })
}
