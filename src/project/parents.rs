//! Sources that rows belong to: found by their whole key, and without circles.

use super::Project;
use super::order::sort;
use super::source_scope::SourceScope;
use super::sources::{Parent, Source, sql_type, unknown_column};
use crate::diag::{Finding, Findings, nearest};
use crate::spec::Spec;
use crate::sql::{SqlText, bind};
use crate::text::{Files, Span};

/// The source of a name, or a finding. What is wrong with a source that did not resolve is said where it is written.
pub(super) fn known_source<'a>(
    project: &'a Project,
    name: &str,
    span: Span,
    findings: &mut Findings,
) -> Option<&'a Source> {
    let source = project.sources.get(name);
    if source.is_none() && !project.broken.contains(name) {
        let known = project.sources.keys().chain(&project.broken).map(String::as_str);
        let finding = Finding::error("E202", format!("there is no source `{name}`")).at(span).label("unknown source");
        findings.add(match nearest(name, known) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help("sources are declared under `sources:`"),
        });
    }
    source
}

/// A row inherits its parent's customer and time: the way up must end. Parents that close a circle are left out.
pub(super) fn circles(spec: &Spec, project: &mut Project, findings: &mut Findings) {
    let needs = spec
        .sources
        .values()
        .map(|named| {
            let parents = named.spec.belongs_to.iter().map(|(parent, _)| parent.value.clone());
            (named.name.clone(), parents.collect())
        })
        .collect();
    let Err(circles) = sort(&needs) else { return };
    let place = |name: &str| spec.sources.get(name).map(|named| named.span);
    for circle in circles {
        let message = format!("these sources belong to one another: {} → {}", circle.join(" → "), circle[0]);
        let mut finding =
            Finding::error("E129", message).help("break the circle: a row belongs to what it is a part of");
        finding.span = place(&circle[0]);
        for span in circle[1..].iter().filter_map(|name| place(name)) {
            finding = finding.also(span, "on the way round");
        }
        findings.add(finding);
        for name in circle {
            project.sources.shift_remove(&name);
            project.broken.insert(name);
        }
    }
}

/// `belongs_to` needs every source to be known.
pub(super) fn parents(files: &Files, spec: &Spec, project: &mut Project, findings: &mut Findings) {
    for named in spec.sources.values() {
        let mut parents = Vec::new();
        for (parent, on) in named.spec.belongs_to.iter() {
            let Some(other) = known_source(project, &parent.value, parent.span, findings) else { continue };
            let Some(own) = project.sources.get(&named.name) else { continue };
            let mut pairs = Vec::new();
            for (theirs, ours) in on.iter() {
                let Some(column) = other.columns.get(&theirs.value) else {
                    findings.add(unknown_column(&parent.value, &other.columns, &theirs.value, theirs.span));
                    continue;
                };
                let scope =
                    SourceScope { name: &named.name, columns: &own.columns, timezone: project.settings.timezone };
                if let Some(bound) = bind(SqlText::new(files, ours), &scope, None, findings) {
                    let ours_sql = match (bound.data_type, column.data_type) {
                        (left, right) if left == right => bound.sql,
                        _ => format!("cast({} as {})", bound.sql, sql_type(column.data_type)),
                    };
                    pairs.push((theirs.value.clone(), ours_sql));
                }
            }
            let keyed: Vec<&String> = pairs.iter().map(|(theirs, _)| theirs).collect();
            if !other.key.iter().all(|key| keyed.contains(&key)) {
                let message = format!("`{}` is found by its whole key: {}", parent.value, other.key.join(", "));
                findings.add(
                    Finding::error("E114", message)
                        .at(parent.span)
                        .help("a row belongs to one parent row, so that nothing is counted twice"),
                );
                continue;
            }
            parents.push(Parent { source: parent.value.clone(), on: pairs });
        }
        if let Some(source) = project.sources.get_mut(&named.name) {
            source.parents = parents;
        }
    }
}
