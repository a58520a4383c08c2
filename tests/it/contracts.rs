//! Connectors against the vendors' own descriptions of their APIs: what a connector asks is accepted by a mock server that reads the
//! description (Prism), and the same with a wrong body is refused: without that control, a description that is read badly accepts all.
//!
//! The descriptions are not part of the project, but for HubSpot's, which is written by hand: `COHORTE_SPECS` names their folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cohorte::connector::{Connector, Request, SHIPPED, example_requests, read};
use cohorte::diag::Findings;
use cohorte::text::Files;
use serde_json::{Value, json};

mod prism;

use prism::Prism;

/// A request of the connector that stands in its vendor's description under another path, or not at all.
const NOT_DESCRIBED: &[(&str, &str)] = &[("klaviyo", "/api/accounts")];

#[test]
fn mailchimp_is_asked_what_its_description_allows() {
    holds("mailchimp", &specs("mailchimp/openapi.cut.json"));
}

#[test]
fn klaviyo_is_asked_what_its_description_allows() {
    holds("klaviyo", &specs("klaviyo/openapi.cut.json"));
}

#[test]
fn google_is_asked_what_its_description_allows() {
    holds("google_customer_match", &specs("google-data-manager/openapi.converted.json"));
}

#[test]
fn hubspot_is_asked_what_its_description_allows() {
    holds("hubspot", &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contracts/hubspot.yaml"));
}

fn specs(file: &str) -> PathBuf {
    let folder = std::env::var_os("COHORTE_SPECS").map(PathBuf::from);
    folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/specs")).join(file)
}

fn connector(name: &str) -> Arc<Connector> {
    let (_, text) = SHIPPED.iter().find(|(known, _)| *known == name).unwrap();
    let mut files = Files::default();
    let file = files.add(format!("connectors/{name}.yaml"), (*text).to_owned());
    Arc::new(read(&files, file, &mut Findings::default()).unwrap())
}

fn holds(name: &str, description: &Path) {
    if !description.exists() {
        eprintln!(
            "NOT TESTED: {name} against its vendor's description: {} is missing (COHORTE_SPECS)",
            description.display()
        );
        return;
    }
    let connector = connector(name);
    let prism = Prism::start(description);
    let mut wrong = Vec::new();
    let mut controlled = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for (test, path, request) in example_requests(&connector) {
        let is_described = !NOT_DESCRIBED.iter().any(|(known, start)| *known == name && path.starts_with(start));
        if !is_described || !seen.insert((request.method.name(), path.clone(), request.body.clone())) {
            continue;
        }
        let answer = prism.ask(&request, &path, &request.body);
        if answer.status >= 400 {
            wrong.push(format!("{test}: {} {path}: refused with {answer:?}", request.method.name()));
        }
        if let Some(body) = spoilt(&request) {
            let answer = prism.ask(&request, &path, &body);
            if answer.status < 400 {
                wrong.push(format!(
                    "{test}: {} {path}: a wrong body is accepted: {}",
                    request.method.name(),
                    String::from_utf8_lossy(&body)
                ));
            }
            controlled.insert(request.operation.clone());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all: BTreeSet<&str> = connector.operations().map(|operation| operation.name.as_str()).collect();
    let with_body: BTreeSet<&str> = controlled.iter().map(String::as_str).collect();
    let without = all.difference(&with_body).collect::<Vec<_>>();
    let bodiless = BODILESS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, operations)| *operations);
    assert_eq!(without, bodiless.iter().collect::<Vec<_>>(), "every operation with a body has its control");
}

/// Operations whose requests have no body, so that there is nothing to spoil.
const BODILESS: &[(&str, &[&str])] = &[("mailchimp", &["erase", "member.delete"])];

/// The body with its list replaced by a number, or where there is none its first value by a list.
fn spoilt(request: &Request) -> Option<Vec<u8>> {
    let mut body: Value = serde_json::from_slice(&request.body).ok()?;
    if !replace_list(&mut body) {
        *body.as_object_mut()?.values_mut().next()? = json!([42]);
    }
    Some(body.to_string().into_bytes())
}

/// Replaces the first list by a number; false where there is none.
fn replace_list(value: &mut Value) -> bool {
    match value {
        Value::Array(_) => {
            *value = json!(42);
            true
        }
        Value::Object(entries) => entries.values_mut().any(replace_list),
        _ => false,
    }
}
