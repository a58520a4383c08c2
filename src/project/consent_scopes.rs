//! Scopes of consents: a purpose with `by: [brand]` is consented to per brand.

use super::{Entity, Project, Purpose};
use crate::diag::{Finding, Findings};
use crate::spec::Spec;
use crate::sql::{Bound, Column, DataType, Scope, bind_value, ident, text_literal};
use crate::text::{Files, Located, Span, ValueSpec};

/// The text of a scope: that of its one part, or a JSON array of several; null unless all are there.
pub(super) fn scope_of(parts: &[String]) -> String {
    let texts: Vec<String> = parts.iter().map(|part| format!("nullif(btrim(cast({part} as varchar)), '')")).collect();
    match texts.as_slice() {
        [one] => one.clone(),
        several => {
            let there: Vec<String> = several.iter().map(|text| format!("{text} is not null")).collect();
            format!("case when {} then cohorte_key({}) end", there.join(" and "), several.join(", "))
        }
    }
}

/// The scope of the events of a source that does not write it: its columns that the purpose names; `None` where it lacks them.
pub(super) fn scope_by_columns(project: &Project, source: &str, purpose: &str) -> Option<String> {
    let columns = &project.sources.get(source)?.columns;
    let mut sql = format!("case {purpose}");
    let mut found = false;
    for one in project.purposes.values().filter(|one| speaks_of(purpose, &one.name) && !one.by.is_empty()) {
        if one.by.iter().all(|name| columns.contains_key(name)) {
            let parts: Vec<String> = one.by.iter().map(|name| ident(name)).collect();
            sql.push_str(&format!(" when {} then {}", text_literal(&one.name), scope_of(&parts)));
            found = true;
        }
    }
    found.then(|| sql + " end")
}

/// May a source of consents whose purpose is this SQL speak of a purpose? A constant names one, a column may name any.
pub(super) fn speaks_of(sql: &str, purpose: &str) -> bool {
    !sql.starts_with('\'') || sql == text_literal(purpose)
}

/// A purpose whose consents are per scope, where no source says which, is never granted.
pub(super) fn are_given(spec: &Spec, project: &Project, findings: &mut Findings) {
    for named in spec.purposes.values() {
        let Some(first) = named.spec.by.first() else { continue };
        let mut speakers =
            project.consents.values().filter(|consent| speaks_of(&consent.purpose, &named.name)).peekable();
        let all_known = project.consents.len() == spec.consents.len();
        if !all_known || speakers.peek().is_none() || speakers.any(|consent| consent.scope.is_some()) {
            continue;
        }
        let names: Vec<&str> = named.spec.by.iter().map(|column| column.value.as_str()).collect();
        findings.add(
            Finding::error(
                "E138",
                format!("no source of consents says the scope of `{}`, so nothing is ever granted", named.name),
            )
            .at(first.span)
            .help(format!("a source has the columns {}, or says `scope:`", listed(&names))),
        );
    }
}

/// The scope that a gate or a condition asks for: as written, else the customer's columns that the purpose names. The outer
/// `None` is a finding; the inner one, that consent is given once for all.
#[expect(clippy::option_option, reason = "no scope, or one that cannot be")]
pub(super) fn wanted(
    files: &Files,
    purpose: &Purpose,
    written: Option<&Located<ValueSpec>>,
    span: Span,
    customer: &dyn Scope,
    findings: &mut Findings,
) -> Option<Option<Bound>> {
    match written {
        Some(written) if purpose.by.is_empty() => {
            let message = format!("consent to `{}` has no scope: it is given once for all", purpose.name);
            findings.add(
                Finding::error("E138", message)
                    .at(written.span)
                    .help("leave `scope` out, or say at the purpose what consent is given by: `by: [brand]`"),
            );
            None
        }
        Some(written) => {
            let bound = bind_value(files, written, customer, findings)?;
            Some(Some(Bound { sql: scope_of(&[bound.sql]), data_type: DataType::Text, ..bound }))
        }
        None if purpose.by.is_empty() => Some(None),
        None => {
            let columns = purpose.by.iter().map(|name| customer.column(&[name]).map(|column| column.sql));
            if let Some(columns) = columns.collect::<Option<Vec<String>>>() {
                return Some(Some(Bound {
                    sql: scope_of(&columns),
                    data_type: DataType::Text,
                    reads: purpose.by.iter().cloned().collect(),
                    uses_now: false,
                }));
            }
            let names: Vec<&str> = purpose.by.iter().map(String::as_str).collect();
            let message = format!(
                "consent to `{}` is given by {}, which is not in {}",
                purpose.name,
                listed(&names),
                customer.describe()
            );
            findings.add(
                Finding::error("E138", message)
                    .at(span)
                    .help("say which scope is meant: `scope: {value: maison}`, or SQL over the customer"),
            );
            None
        }
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The golden record, beside the consents: those are read before there are traits.
pub(super) struct Golden<'a> {
    pub(super) entity: &'a Entity,
    pub(super) timezone: &'a str,
}

impl Scope for Golden<'_> {
    fn column(&self, parts: &[&str]) -> Option<Column> {
        let name = match parts {
            [name] => name,
            [entity, name] if *entity == self.entity.name => name,
            _ => return None,
        };
        let attribute = self.entity.attributes.get(*name)?;
        let sql = format!("{}.{}", ident(&golden_alias(name)), ident(name));
        Some(Column { sql, data_type: attribute.data_type, reads: (*name).to_owned() })
    }

    fn names(&self) -> Vec<String> {
        self.entity.attributes.keys().cloned().collect()
    }

    fn describe(&self) -> String {
        format!("the golden record of the {}", self.entity.name)
    }

    fn timezone(&self) -> &str {
        self.timezone
    }
}

/// The name under which an attribute is joined to the consents.
#[must_use]
pub fn golden_alias(attribute: &str) -> String {
    format!("g_{attribute}")
}
