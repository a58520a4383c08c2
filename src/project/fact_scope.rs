//! What SQL over the rows of a fact can read, and the names by which models read facts.

use std::collections::BTreeSet;

use super::facts::{Fact, FactColumn, Relation, parents_of};
use super::source_scope::{SourceScope, column_or_part};
use super::{Project, personal};
use crate::diag::{Finding, Findings, nearest};
use crate::spec::Text;
use crate::sql::{Bound, Column, DataType, Scope, SqlText, bind, ident};
use crate::text::Files;

/// The columns of a fact: its own, its time, and those of the sources that its rows belong to (`orders.status`).
pub(super) struct FactScope<'a> {
    pub(super) project: &'a Project,
    pub(super) fact: &'a Fact,
}

impl FactScope<'_> {
    fn parents(&self) -> BTreeSet<&str> {
        match &self.fact.relation {
            Relation::Source(source) => {
                self.project.sources[source].parents.iter().map(|parent| parent.source.as_str()).collect()
            }
            _ => BTreeSet::new(),
        }
    }
}

impl Scope for FactScope<'_> {
    fn column(&self, parts: &[&str]) -> Option<Column> {
        match parts {
            [name] => {
                if let Some(column) = self.fact.columns.get(*name) {
                    return Some(Column {
                        sql: column.sql.clone(),
                        data_type: column.data_type,
                        reads: (*name).to_owned(),
                    });
                }
                if *name == "time" && self.fact.has_time {
                    return Some(Column {
                        sql: "e._time".into(),
                        data_type: DataType::Timestamp,
                        reads: "time".into(),
                    });
                }
                match &self.fact.relation {
                    Relation::Source(source) => column_or_part(&self.project.sources[source].columns, name, "e."),
                    _ => None,
                }
            }
            [own, name] if *own == self.fact.name => self.column(&[name]),
            [parent, name] if self.parents().contains(parent) => {
                let columns = &self.project.sources.get(*parent)?.columns;
                let column = column_or_part(columns, name, &format!("{}.", ident(parent)))?;
                Some(Column { reads: format!("{parent}.{name}"), ..column })
            }
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.fact.columns.keys().cloned().collect();
        if self.fact.has_time {
            names.push("time".into());
        }
        for parent in self.parents() {
            if let Some(source) = self.project.sources.get(parent) {
                names.extend(source.columns.keys().map(|column| format!("{parent}.{column}")));
            }
        }
        names
    }

    fn describe(&self) -> String {
        match self.fact.relation {
            Relation::Source(ref source) if *source == self.fact.name => format!("the source `{source}`"),
            _ => format!("the event `{}`", self.fact.name),
        }
    }

    fn timezone(&self) -> &str {
        self.project.settings.timezone.name()
    }
}

/// The fact of a name, or a finding.
pub(super) fn known<'a>(project: &'a Project, name: &Text, findings: &mut Findings) -> Option<&'a Fact> {
    let fact = project.facts.get(&name.value);
    if fact.is_none() && !project.broken.contains(&name.value) {
        let finding = Finding::error("E202", format!("there is no event or source `{}`", name.value))
            .at(name.span)
            .label("unknown");
        let help = match nearest(&name.value, project.facts.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "events are declared under `events:`, or by a source's `event: {names: […]}`".into(),
        };
        findings.add(finding.help(help));
    }
    fact
}

/// Binds a condition on a fact's rows, together with the fact's own filter; `None` inside = every row.
pub(super) fn filter(
    files: &Files,
    project: &Project,
    fact: &Fact,
    written: Option<&Text>,
    findings: &mut Findings,
) -> Option<(Option<String>, BTreeSet<String>, bool)> {
    let bound: Option<Bound> = match written {
        Some(text) => {
            Some(bind(SqlText::new(files, text), &FactScope { project, fact }, Some(DataType::Boolean), findings)?)
        }
        None => None,
    };
    let mut joins = fact.joins.clone();
    if let Some(bound) = &bound {
        joins.extend(parents_of(&bound.reads));
        joins.extend(
            bound.reads.iter().filter_map(|read| fact.columns.get(read)).flat_map(|column| column.joins.clone()),
        );
    }
    let uses_now = bound.as_ref().is_some_and(|bound| bound.uses_now);
    let sql = match (&fact.filter, bound) {
        (Some(own), Some(bound)) => Some(format!("({own} and {})", bound.sql)),
        (Some(own), None) => Some(own.clone()),
        (None, bound) => bound.map(|bound| bound.sql),
    };
    Some((sql, joins, uses_now))
}

/// `fact.column`, bound: the fact, and the column's SQL and type.
pub(super) fn column<'a>(project: &'a Project, path: &Text, findings: &mut Findings) -> Option<(&'a Fact, FactColumn)> {
    let Some((name, column)) = path.value.split_once('.') else {
        findings.add(
            Finding::error("E116", format!("`{}` names no column: write `event.column`", path.value)).at(path.span),
        );
        return None;
    };
    let fact = known(project, &Text::new(name.to_owned(), path.span), findings)?;
    let scope = FactScope { project, fact };
    let Some(found) = scope.column(&[column]) else {
        let mut finding = Finding::error("E202", format!("{} has no `{column}`", scope.describe()))
            .at(path.span)
            .label("unknown column");
        finding.help = nearest(column, scope.names().iter().map(String::as_str))
            .map(|near| format!("did you mean `{name}.{near}`?"));
        findings.add(finding);
        return None;
    };
    let personal = personal::of_fact(project, fact, [&found.reads]);
    let joins = fact.columns.get(column).map(|column| column.joins.clone()).unwrap_or_default();
    Some((fact, FactColumn { sql: found.sql, data_type: found.data_type, personal, joins }))
}

/// The scope of a source alone, for consents.
pub(super) fn source_scope<'a>(project: &'a Project, name: &'a str) -> Option<SourceScope<'a>> {
    let source = project.sources.get(name)?;
    Some(SourceScope { name, columns: &source.columns, timezone: project.settings.timezone })
}
