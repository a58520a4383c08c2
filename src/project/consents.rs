//! Purposes, and the sources that say who consented to them.

use super::Project;
use super::consent_scopes::{self as scopes, scope_by_columns, scope_of};
use super::fact_scope::source_scope;
use super::facts::{Fact, FactColumn, Relation};
use crate::diag::{Finding, Findings, nearest};
use crate::spec::{Basis, ColumnType, Duration, Named, Spec, Text};
use crate::sql::{DataType, SqlText, bind, bind_value, ident, text_literal};
use crate::text::{Files, Located, Span, TextOr};

/// What data is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// The channels on which it is exercised.
    pub channels: Vec<String>,
    /// The legal basis.
    pub basis: Basis,
    /// A grant counts once it is confirmed.
    pub double_opt_in: bool,
    /// A grant lapses after this time.
    pub valid_for: Option<Duration>,
    /// The columns of a consent's scope; none where consent is given once for all.
    pub by: Vec<String>,
}

/// A source of consent events; every part is SQL over the source's relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Its name.
    pub name: String,
    /// The source.
    pub source: String,
    /// Which rows.
    pub filter: Option<String>,
    /// The contact point; `None`: the record's.
    pub contact: Option<String>,
    /// The purpose.
    pub purpose: String,
    /// The channel.
    pub channel: String,
    /// `granted`, `confirmed`, `withdrawn`, `pending`, or null for no event.
    pub status: String,
    /// When.
    pub at: String,
    /// What proves it.
    pub proof: Option<String>,
    /// Its scope.
    pub scope: Option<String>,
}

pub(super) fn resolve(files: &Files, spec: &Spec, project: &mut Project, findings: &mut Findings) {
    for named in spec.purposes.values() {
        let purpose = Purpose {
            name: named.name.clone(),
            span: named.span,
            channels: named.spec.channels.iter().map(|channel| channel.value.clone()).collect(),
            basis: named.spec.basis.as_ref().map_or(Basis::Consent, |basis| basis.value),
            double_opt_in: named.spec.double_opt_in,
            valid_for: named.spec.valid_for.as_ref().map(|duration| duration.value),
            by: named.spec.by.iter().map(|column| column.value.clone()).collect(),
        };
        if purpose.channels.is_empty() {
            findings.add(Finding::error("E102", format!("the purpose `{}` has no channel", named.name)).at(named.span));
        }
        project.purposes.insert(named.name.clone(), purpose);
    }
    for named in spec.consents.values() {
        if let Some(consent) = consent(files, project, named, findings) {
            project.consents.insert(named.name.clone(), consent);
        }
    }
    scopes::are_given(spec, project, findings);
    let column = |name: &str| {
        (
            name.to_owned(),
            FactColumn {
                sql: format!("e.{}", ident(name)),
                data_type: DataType::Text,
                personal: false,
                joins: std::collections::BTreeSet::new(),
            },
        )
    };
    let fact = Fact {
        name: "consents".into(),
        span: Span::default(),
        relation: Relation::Consents,
        filter: None,
        joins: std::collections::BTreeSet::new(),
        columns: ["purpose", "channel", "scope", "status"].into_iter().map(column).collect(),
        has_time: false,
        sources: project.consents.values().map(|consent| consent.source.clone()).collect(),
        parts: Vec::new(),
    };
    project.facts.entry("consents".into()).or_insert(fact);
}

fn consent(
    files: &Files,
    project: &Project,
    named: &Named<crate::spec::ConsentSource>,
    findings: &mut Findings,
) -> Option<Consent> {
    let written = &named.spec;
    let Some(scope) = source_scope(project, &written.source.value) else {
        super::parents::known_source(project, &written.source.value, written.source.span, findings);
        return None;
    };
    let sql = |text: &Text, wanted: Option<DataType>, findings: &mut Findings| {
        bind(SqlText::new(files, text), &scope, wanted, findings).map(|bound| (bound.sql, bound.data_type))
    };
    let contact = written.contact.as_ref().map(|text| sql(text, Some(DataType::Text), findings));
    let filter = written.filter.as_ref().map(|text| sql(text, Some(DataType::Boolean), findings));
    let at = sql(&written.at, None, findings);
    let proof = written.proof.as_ref().map(|text| sql(text, None, findings));
    let scope_sql = written.scope.as_ref().map(|text| sql(text, Some(DataType::Text), findings));
    let status = match &written.status.value {
        TextOr::Text(text) => {
            sql(&Located::new(text.clone(), written.status.span), Some(DataType::Text), findings).map(|(sql, _)| sql)
        }
        TextOr::Other(map) => match (&map.value, &map.column) {
            (Some(value), None) => {
                known_status(value, findings);
                Some(text_literal(&value.value))
            }
            (None, Some(column)) => sql(column, None, findings).map(|(column, _)| {
                let mut case = format!("case cast({column} as varchar)");
                for (value, status) in map.map.iter() {
                    known_status(status, findings);
                    case.push_str(&format!(
                        " when {} then {}",
                        text_literal(&value.value),
                        text_literal(&status.value)
                    ));
                }
                case + " end"
            }),
            _ => {
                findings.add(
                    Finding::error("E122", "a status is SQL, `{value: granted}`, or `{column: …, map: {…}}`")
                        .at(written.status.span),
                );
                None
            }
        },
    };
    let purpose = bind_value(files, &written.purpose, &scope, findings);
    let channel = bind_value(files, &written.channel, &scope, findings);
    if let crate::text::ValueSpec::Constant(crate::text::Constant::Text(name)) = &written.purpose.value
        && let Some(finding) = unknown_purpose(project, name, written.purpose.span)
    {
        findings.add(finding);
    }
    let purpose = purpose?.sql;
    let scope_sql = match transpose(scope_sql)? {
        Some(sql) => Some(scope_of(&[sql])),
        None => scope_by_columns(project, &written.source.value, &purpose),
    };
    let (at, at_type) = at?;
    let at = match at_type {
        DataType::Timestamp => at,
        DataType::Date => {
            format!("cohorte_zoned(cast({at} as timestamp), {})", text_literal(project.settings.timezone.name()))
        }
        // A source without rows may hold any type; what it stores is text.
        DataType::Text | DataType::Unknown => {
            format!("cohorte_timestamp({at}, null, {})", text_literal(project.settings.timezone.name()))
        }
        other => {
            findings.add(Finding::error("E204", format!("`at` is {other}, a time is needed")).at(written.at.span));
            return None;
        }
    };
    Some(Consent {
        name: named.name.clone(),
        source: written.source.value.clone(),
        filter: transpose(filter)?,
        contact: transpose(contact)?,
        purpose,
        channel: channel?.sql,
        status: status?,
        at,
        proof: transpose(proof)?,
        scope: scope_sql,
    })
}

fn known_status(status: &Text, findings: &mut Findings) {
    if !["granted", "confirmed", "withdrawn", "pending"].contains(&status.value.as_str()) {
        let message = format!("`{}` is no status of a consent", status.value);
        findings.add(
            Finding::error("E122", message)
                .at(status.span)
                .help("a status is `granted`, `confirmed`, `withdrawn` or `pending`"),
        );
    }
}

/// What was written and could not be bound ends the whole; what was not written is none.
#[expect(clippy::option_option, reason = "written or not, bound or not")]
fn transpose(part: Option<Option<(String, DataType)>>) -> Option<Option<String>> {
    match part {
        Some(Some((sql, _))) => Some(Some(sql)),
        Some(None) => None,
        None => Some(None),
    }
}

/// A finding, unless the purpose is known.
pub(super) fn unknown_purpose(project: &Project, name: &str, span: Span) -> Option<Finding> {
    if project.purposes.contains_key(name) || project.broken.contains(name) {
        return None;
    }
    let finding = Finding::error("E202", format!("there is no purpose `{name}`")).at(span);
    Some(match nearest(name, project.purposes.keys().map(String::as_str)) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help("purposes are declared under `purposes:`"),
    })
}

/// The channel that is meant, or a finding.
pub(super) fn channel(
    project: &Project,
    purpose: &str,
    channel: Option<&Text>,
    span: Span,
    findings: &mut Findings,
) -> Option<String> {
    let known = &project.purposes.get(purpose)?.channels;
    match (channel, known.as_slice()) {
        (Some(channel), _) if known.contains(&channel.value) => Some(channel.value.clone()),
        (Some(channel), _) => {
            let message = format!("the purpose `{purpose}` has no channel `{}`", channel.value);
            findings.add(Finding::error("E202", message).at(channel.span).help(format!("it has {}", known.join(", "))));
            None
        }
        (None, [one]) => Some(one.clone()),
        (None, _) => {
            findings.add(
                Finding::error("E102", format!("`channel` is missing: `{purpose}` has {}", known.join(", "))).at(span),
            );
            None
        }
    }
}

/// The semantic type of a channel's contact points; `None` where any may be meant (ads).
#[must_use]
pub(super) fn contact_type(channel: &str) -> Option<ColumnType> {
    match channel {
        "email" => Some(ColumnType::Email),
        "sms" | "phone" | "whatsapp" | "call" => Some(ColumnType::Phone),
        _ => None,
    }
}
