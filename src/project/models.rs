//! What traits, scores and segments have in common: an entity, a namespace, an order.

use indexmap::IndexMap;

use super::scores::scores;
use super::segments::segments;
use super::traits::{aggregates, sql_traits};
use super::{CustomerScope, Project};
use crate::diag::{Finding, Findings, nearest};
use crate::spec::{Spec, Text};
use crate::sql::DataType;
use crate::text::{Files, Span};

pub(super) fn resolve(files: &Files, spec: &Spec, project: &mut Project, findings: &mut Findings) {
    let mut scopes: IndexMap<String, CustomerScope> = IndexMap::new();
    for entity in project.entities.values() {
        let mut scope = CustomerScope::new(&entity.name, project.settings.timezone.name());
        // Attributes that failed are there with an unknown type, so that their readers are not blamed, too.
        if let Some(written) = spec.entities.get(&entity.name) {
            let names = written.spec.attributes.iter().map(|(name, _)| name.value.clone());
            scope.columns.extend(names.map(|name| (name, DataType::Unknown)));
        }
        // So are models that could not even be read.
        scope.columns.extend(spec.broken.iter().map(|name| (name.clone(), DataType::Unknown)));
        scope.columns.extend(entity.attributes.values().map(|attribute| (attribute.name.clone(), attribute.data_type)));
        scopes.insert(entity.name.clone(), scope);
    }
    names_are_free(spec, project, findings);
    aggregates(files, spec, project, &mut scopes, findings);
    scores(files, spec, project, &mut scopes, findings);
    sql_traits(files, spec, project, &mut scopes, findings);
    segments(files, spec, project, &scopes, findings);
    project.customers = scopes;
}

/// Attributes, traits and scores are columns of one table.
fn names_are_free(spec: &Spec, project: &Project, findings: &mut Findings) {
    let mut taken: IndexMap<&str, Span> = IndexMap::new();
    let attributes = project
        .entities
        .values()
        .flat_map(|entity| entity.attributes.values())
        .map(|attribute| (attribute.name.as_str(), attribute.span));
    let traits = spec.traits.values().map(|named| (named.name.as_str(), named.span));
    let scores = spec.scores.values().map(|named| (named.name.as_str(), named.span));
    for (name, span) in attributes.chain(traits).chain(scores) {
        if super::entities::BUILT_IN.contains(&name) || project.entities.values().any(|entity| entity.id() == name) {
            findings.add(
                Finding::error("E117", format!("`{name}` is a column that every customer has"))
                    .at(span)
                    .help("choose another name"),
            );
        }
        if let Some(first) = taken.insert(name, span) {
            let finding = Finding::error("E104", format!("`{name}` is defined twice"))
                .at(span)
                .label("defined again")
                .also(first, "defined here first")
                .help("attributes, traits and scores are columns of one table and share one namespace");
            findings.add(finding);
        }
    }
}

/// A trait or score that failed is there with an unknown type, so that its readers are not blamed, too.
pub(super) fn unknown_column(scopes: &mut IndexMap<String, CustomerScope>, entity: &str, name: &str) {
    if let Some(scope) = scopes.get_mut(entity) {
        scope.columns.entry(name.to_owned()).or_insert(DataType::Unknown);
    }
}

/// The entity that is meant, or a finding.
pub(super) fn entity_of(project: &Project, of: Option<&Text>, span: Span, findings: &mut Findings) -> Option<String> {
    match of {
        Some(name) if project.entities.contains_key(&name.value) => Some(name.value.clone()),
        Some(name) if project.broken.contains(&name.value) => None,
        Some(name) => {
            let near = nearest(&name.value, project.entities.keys().map(String::as_str));
            let finding = Finding::error("E202", format!("there is no entity `{}`", name.value)).at(name.span);
            findings.add(Finding { help: near.map(|near| format!("did you mean `{near}`?")), ..finding });
            None
        }
        None if project.entities.len() == 1 => project.entities.keys().next().cloned(),
        None => {
            if project.entities.len() > 1 {
                findings.add(
                    Finding::error("E126", "the project has several entities: say `of:` which one is meant").at(span),
                );
            }
            None
        }
    }
}

pub(super) fn report_cycle(kind: &str, cycle: &[String], span: impl Fn(&str) -> Option<Span>, findings: &mut Findings) {
    let mut path = cycle.join(" → ");
    path.push_str(&format!(" → {}", cycle[0]));
    let mut finding = Finding::error("E128", format!("these {kind}s need one another: {path}"))
        .help("break the circle at one of them");
    finding.span = span(&cycle[0]);
    for name in &cycle[1..] {
        if let Some(span) = span(name) {
            finding = finding.also(span, "needed here");
        }
    }
    findings.add(finding);
}
