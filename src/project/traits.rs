//! Traits: aggregates become features, SQL over the customer is ordered by what it reads.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use sqlparser::ast::{Expr, visit_expressions};

use super::conditions::{count_feature, reachable, window};
use super::fact_scope::{column, filter, known};
use super::models::{entity_of, report_cycle, unknown_column};
use super::order::sort;
use super::{CustomerScope, Feature, Project, personal};
use crate::diag::{Finding, Findings};
use crate::spec::{self, Named, Spec, Text};
use crate::sql::{Aggregate, DataType, SqlText, bind, parse_expression};
use crate::text::{Files, Span};

/// A value computed per customer.
#[derive(Debug, Clone)]
pub struct Trait {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// The name that it had before.
    pub was: Option<String>,
    /// The entity.
    pub entity: String,
    /// How it is computed.
    pub kind: TraitKind,
    /// Its type.
    pub data_type: DataType,
    /// Does it hold personal data?
    pub personal: bool,
    /// Does it ask what time it is?
    pub uses_now: bool,
}

/// How a trait is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraitKind {
    /// A feature.
    Feature(String),
    /// SQL over the customer, and the columns that it reads.
    Sql(String, Vec<String>),
}

pub(super) fn aggregates(
    files: &Files,
    spec: &Spec,
    project: &mut Project,
    scopes: &mut IndexMap<String, CustomerScope>,
    findings: &mut Findings,
) {
    for named in spec.traits.values() {
        let Some(entity) = entity_of(project, named.spec.of.as_ref(), named.span, findings) else { continue };
        let written = &named.spec;
        let kinds = [
            (Aggregate::Count, &written.count),
            (Aggregate::CountDistinct, &written.count_distinct),
            (Aggregate::Sum, &written.sum),
            (Aggregate::Min, &written.min),
            (Aggregate::Max, &written.max),
            (Aggregate::Avg, &written.avg),
            (Aggregate::First, &written.first),
            (Aggregate::Last, &written.last),
            (Aggregate::Mode, &written.mode),
        ];
        let given: Vec<(Aggregate, &Text)> =
            kinds.iter().filter_map(|(kind, text)| text.as_ref().map(|text| (*kind, text))).collect();
        let (aggregate, path) = match (given.as_slice(), &written.sql) {
            ([one], None) => *one,
            ([], Some(_)) => continue,
            ([], None) => {
                unknown_column(scopes, &entity, &named.name);
                findings.add(Finding::error("E127", format!("the trait `{}` computes nothing", named.name)).at(named.span).help("it needs one of `count`, `count_distinct`, `sum`, `min`, `max`, `avg`, `first`, `last`, `mode`, `sql`"));
                continue;
            }
            _ => {
                unknown_column(scopes, &entity, &named.name);
                findings.add(
                    Finding::error("E127", format!("the trait `{}` computes several things at once", named.name))
                        .at(named.span)
                        .help("one trait, one value"),
                );
                continue;
            }
        };
        let Some((feature, personal)) = aggregate_feature(files, project, &entity, aggregate, path, written, findings)
        else {
            unknown_column(scopes, &entity, &named.name);
            continue;
        };
        let data_type = feature.data_type;
        let uses_now = feature.uses_now;
        let feature = project.features.intern(feature);
        if let Some(scope) = scopes.get_mut(&entity) {
            scope.columns.entry(named.name.clone()).or_insert(data_type);
        }
        project.traits.insert(
            named.name.clone(),
            Trait {
                name: named.name.clone(),
                span: named.span,
                was: named.spec.was.as_ref().map(|name| name.value.clone()),
                entity,
                kind: TraitKind::Feature(feature),
                data_type,
                personal,
                uses_now,
            },
        );
    }
}

/// The feature of an aggregate; does it hold personal data?
pub(super) fn aggregate_feature(
    files: &Files,
    project: &Project,
    entity: &str,
    aggregate: Aggregate,
    path: &Text,
    written: &spec::Trait,
    findings: &mut Findings,
) -> Option<(Feature, bool)> {
    if aggregate == Aggregate::Count {
        let fact = known(project, path, findings)?;
        let feature =
            count_feature(files, project, entity, fact, written.filter.as_ref(), written.within.as_ref(), findings)?;
        return Some((feature, false));
    }
    let (fact, value) = column(project, path, findings)?;
    let needs_number = matches!(aggregate, Aggregate::Sum | Aggregate::Avg);
    if needs_number && !value.data_type.is_number() && value.data_type != DataType::Unknown {
        let message = format!("`{}` is {}, a number is needed", path.value, value.data_type);
        findings.add(Finding::error("E204", message).at(path.span));
        return None;
    }
    reachable(project, entity, fact, findings, path.span)?;
    let (filter, mut joins, uses_now) = filter(files, project, fact, written.filter.as_ref(), findings)?;
    joins.extend(value.joins.iter().cloned());
    let within = window(fact, written.within.as_ref(), findings)?;
    let data_type = match aggregate {
        Aggregate::Count | Aggregate::CountDistinct => DataType::Integer,
        Aggregate::Sum | Aggregate::Avg => DataType::Number,
        _ => value.data_type,
    };
    let sql = if needs_number { format!("try_cast({} as decimal(38, 9))", value.sql) } else { value.sql };
    let value_type = if needs_number { DataType::Decimal } else { value.data_type };
    let feature = Feature {
        id: String::new(),
        entity: entity.to_owned(),
        relation: fact.relation.clone(),
        filter,
        joins,
        value: Some((sql, value_type)),
        aggregate,
        within,
        data_type,
        uses_now,
    };
    Some((feature, value.personal && aggregate != Aggregate::CountDistinct))
}

pub(super) fn sql_traits(
    files: &Files,
    spec: &Spec,
    project: &mut Project,
    scopes: &mut IndexMap<String, CustomerScope>,
    findings: &mut Findings,
) {
    let written: IndexMap<String, (&Named<spec::Trait>, &Text)> = spec
        .traits
        .values()
        .filter_map(|named| Some((named.name.clone(), (named, named.spec.sql.as_ref()?))))
        .collect();
    let needs = written.iter().map(|(name, (_, sql))| (name.clone(), names_in(files, sql))).collect();
    let order = match sort(&needs) {
        Ok(order) => order,
        Err(cycles) => {
            for cycle in cycles {
                report_cycle("trait", &cycle, |name| spec.traits.get(name).map(|named| named.span), findings);
            }
            for (name, (named, _)) in &written {
                let entity = entity_of(project, named.spec.of.as_ref(), named.span, &mut Findings::default());
                unknown_column(scopes, &entity.unwrap_or_default(), name);
            }
            return;
        }
    };
    for name in order {
        let (named, sql) = written[&name];
        let Some(entity) = entity_of(project, named.spec.of.as_ref(), named.span, findings) else { continue };
        let Some(scope) = scopes.get_mut(&entity) else { continue };
        let Some(bound) = bind(SqlText::new(files, sql), scope, None, findings) else {
            scope.columns.entry(name).or_insert(DataType::Unknown);
            continue;
        };
        scope.columns.entry(name.clone()).or_insert(bound.data_type);
        let personal = bound.data_type != DataType::Boolean
            && personal::of_customer(project, &project.entities[&entity], &bound.reads);
        project.traits.insert(
            name.clone(),
            Trait {
                name,
                span: named.span,
                was: named.spec.was.as_ref().map(|name| name.value.clone()),
                entity,
                kind: TraitKind::Sql(bound.sql, bound.reads.into_iter().collect()),
                data_type: bound.data_type,
                personal,
                uses_now: bound.uses_now,
            },
        );
    }
}

/// The names that an expression mentions; what it means by them is judged when it is bound.
pub(super) fn names_in(files: &Files, sql: &Text) -> Vec<String> {
    let Ok(expr) = parse_expression(SqlText::new(files, sql)) else { return Vec::new() };
    let mut names = BTreeSet::new();
    let _ = visit_expressions(&expr, |part: &Expr| {
        match part {
            Expr::Identifier(name) => names.insert(name.value.clone()),
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|last| names.insert(last.value.clone())),
            _ => false,
        };
        std::ops::ControlFlow::<()>::Continue(())
    });
    names.into_iter().collect()
}
