//! Traits, scores and segments: typed, ordered, their conditions and aggregates turned into features.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use sqlparser::ast::{Expr, visit_expressions};

use super::conditions::{Condition, Resolver, count_feature, reachable, window};
use super::facts::{column, filter, known};
use super::order::sort;
use super::{CustomerScope, Feature, Project};
use crate::diag::{Finding, Findings, nearest};
use crate::spec::{self, ColumnType, Named, Spec, Text};
use crate::sql::{Aggregate, DataType, SqlText, bind, parse_expression};
use crate::text::{Files, Located, Span};

/// A value computed per customer.
#[derive(Debug, Clone)]
pub struct Trait {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
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

/// A score.
#[derive(Debug, Clone)]
pub struct Score {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// The entity.
    pub entity: String,
    /// How it is computed.
    pub kind: ScoreKind,
}

/// How a score is computed.
#[derive(Debug, Clone, PartialEq)]
pub enum ScoreKind {
    /// Points for what was done.
    Points(Vec<PointRule>),
    /// Recency, frequency, monetary.
    Rfm(Rfm),
}

/// Points × the rows (or the sum of their decayed weights) of a feature.
#[derive(Debug, Clone, PartialEq)]
pub struct PointRule {
    /// Counts rows, or sums weights.
    pub feature: String,
    /// Points.
    pub points: f64,
}

/// The features of an RFM score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rfm {
    /// Time of the last row.
    pub last: String,
    /// Number of rows.
    pub count: String,
    /// Sum of the amount.
    pub sum: String,
    /// Number of tiers.
    pub tiers: u32,
}

/// A set of customers.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// The name that it had before.
    pub was: Option<String>,
    /// The entity.
    pub entity: String,
    /// Who is in.
    pub when: Condition,
    /// Do customers without a record count?
    pub anonymous: bool,
    /// Limits of its size.
    pub guard: Option<spec::Guard>,
    /// Columns of the customer that it reads.
    pub reads: Vec<String>,
    /// Does it ask what time it is?
    pub uses_now: bool,
}

pub(super) fn resolve(files: &Files, spec: &Spec, project: &mut Project, findings: &mut Findings) {
    let mut scopes: IndexMap<String, CustomerScope> = IndexMap::new();
    for entity in project.entities.values() {
        let mut scope = CustomerScope::new(&entity.name, project.settings.timezone.name());
        // Attributes that failed are there with an unknown type, so that their readers are not blamed, too.
        if let Some(written) = spec.entities.get(&entity.name) {
            let names = written.spec.attributes.iter().map(|(name, _)| name.value.clone());
            scope.columns.extend(names.map(|name| (name, DataType::Unknown)));
        }
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
fn unknown_column(scopes: &mut IndexMap<String, CustomerScope>, entity: &str, name: &str) {
    if let Some(scope) = scopes.get_mut(entity) {
        scope.columns.entry(name.to_owned()).or_insert(DataType::Unknown);
    }
}

/// The entity that is meant, or a finding.
pub(super) fn entity_of(project: &Project, of: Option<&Text>, span: Span, findings: &mut Findings) -> Option<String> {
    match of {
        Some(name) if project.entities.contains_key(&name.value) => Some(name.value.clone()),
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

fn aggregates(
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
        let Some((feature, semantic)) = aggregate_feature(files, project, &entity, aggregate, path, written, findings)
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
        let personal = semantic.is_some_and(ColumnType::is_personal) && data_type != DataType::Integer;
        project.traits.insert(
            named.name.clone(),
            Trait {
                name: named.name.clone(),
                span: named.span,
                entity,
                kind: TraitKind::Feature(feature),
                data_type,
                personal,
                uses_now,
            },
        );
    }
}

fn aggregate_feature(
    files: &Files,
    project: &Project,
    entity: &str,
    aggregate: Aggregate,
    path: &Text,
    written: &spec::Trait,
    findings: &mut Findings,
) -> Option<(Feature, Option<ColumnType>)> {
    if aggregate == Aggregate::Count {
        let fact = known(project, path, findings)?;
        let feature =
            count_feature(files, project, entity, fact, written.filter.as_ref(), written.within.as_ref(), findings)?;
        return Some((feature, None));
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
    Some((feature, value.semantic))
}

fn scores(
    files: &Files,
    spec: &Spec,
    project: &mut Project,
    scopes: &mut IndexMap<String, CustomerScope>,
    findings: &mut Findings,
) {
    for named in spec.scores.values() {
        let Some(entity) = entity_of(project, named.spec.of.as_ref(), named.span, findings) else { continue };
        let kind = match (&named.spec.points[..], &named.spec.rfm) {
            ([], Some(rfm)) => rfm_score(project, &entity, rfm, findings).map(ScoreKind::Rfm),
            ([_, ..], None) => points(files, project, &entity, &named.spec.points, findings).map(ScoreKind::Points),
            _ => {
                findings.add(
                    Finding::error("E127", format!("the score `{}` needs either `points` or `rfm`", named.name))
                        .at(named.span),
                );
                None
            }
        };
        let (Some(kind), Some(scope)) = (kind, scopes.get_mut(&entity)) else {
            unknown_column(scopes, &entity, &named.name);
            continue;
        };
        let score = Score { name: named.name.clone(), span: named.span, entity, kind };
        for (column, data_type) in score.columns() {
            scope.columns.entry(column).or_insert(data_type);
        }
        project.scores.insert(named.name.clone(), score);
    }
}

impl Score {
    /// The columns that it adds to the customer.
    #[must_use]
    pub fn columns(&self) -> Vec<(String, DataType)> {
        match &self.kind {
            ScoreKind::Points(_) => vec![(self.name.clone(), DataType::Number)],
            ScoreKind::Rfm(_) => {
                let tier = |part: &str| (format!("{}_{part}", self.name), DataType::Integer);
                vec![(self.name.clone(), DataType::Text), tier("recency"), tier("frequency"), tier("monetary")]
            }
        }
    }
}

fn points(
    files: &Files,
    project: &mut Project,
    entity: &str,
    written: &[spec::Points],
    findings: &mut Findings,
) -> Option<Vec<PointRule>> {
    let mut rules = Vec::with_capacity(written.len());
    let mut whole = true;
    for rule in written {
        let Some(fact) = known(project, &rule.did, findings).cloned() else {
            whole = false;
            continue;
        };
        let Some(mut feature) =
            count_feature(files, project, entity, &fact, rule.filter.as_ref(), rule.within.as_ref(), findings)
        else {
            whole = false;
            continue;
        };
        if let Some(half_life) = &rule.half_life {
            if !fact.has_time {
                findings.add(
                    Finding::error("E124", format!("`{}` has no time, so `half_life` cannot be", fact.name))
                        .at(half_life.span),
                );
                whole = false;
                continue;
            }
            let zone = crate::sql::text_literal(project.settings.timezone.name());
            let age = format!(
                "(cast(cast(cohorte_today() as int) as bigint) - cast(cast(cohorte_local_date(e._time, {zone}) as int) as bigint))"
            );
            feature.value =
                Some((format!("cohorte_decay({age}, cast({:?} as double))", half_life.days()), DataType::Decimal));
            feature.aggregate = Aggregate::Sum;
            feature.data_type = DataType::Number;
            feature.uses_now = true;
        }
        if !rule.points.value.is_finite() {
            findings.add(Finding::error("E102", "points are a number").at(rule.points.span));
            whole = false;
            continue;
        }
        rules.push(PointRule { feature: project.features.intern(feature), points: rule.points.value });
    }
    whole.then_some(rules)
}

fn rfm_score(
    project: &mut Project,
    entity: &str,
    written: &Located<spec::Rfm>,
    findings: &mut Findings,
) -> Option<Rfm> {
    let fact = known(project, &written.event, findings)?.clone();
    let tiers = written.tiers.as_ref().map_or(5, |tiers| tiers.value);
    if !(2..=9).contains(&tiers) {
        findings.add(Finding::error("E102", "`tiers` is from 2 to 9")
                .at(written.tiers.as_ref().map_or(written.span, |tiers| tiers.span)));
        return None;
    }
    if !fact.has_time {
        findings.add(
            Finding::error("E124", format!("`{}` has no time, so recency cannot be", fact.name)).at(written.event.span),
        );
        return None;
    }
    let path = if written.amount.value.contains('.') {
        written.amount.value.clone()
    } else {
        format!("{}.{}", fact.name, written.amount.value)
    };
    let base = |aggregate: Aggregate, path: String| {
        let text = Some(Text::new(path, written.amount.span));
        let mut written_trait = spec::Trait {
            description: None,
            owner: None,
            tags: Vec::new(),
            was: None,
            of: None,
            count: None,
            count_distinct: None,
            sum: None,
            min: None,
            max: None,
            avg: None,
            first: None,
            last: None,
            mode: None,
            filter: None,
            within: written.within.clone(),
            sql: None,
        };
        match aggregate {
            Aggregate::Count => written_trait.count.clone_from(&text),
            Aggregate::Sum => written_trait.sum.clone_from(&text),
            _ => written_trait.max.clone_from(&text),
        }
        (aggregate, text, written_trait)
    };
    let mut intern = |(aggregate, text, written_trait): (Aggregate, Option<Text>, spec::Trait)| {
        let (feature, _) =
            aggregate_feature(&Files::default(), project, entity, aggregate, &text?, &written_trait, findings)?;
        Some(project.features.intern(feature))
    };
    let last = intern(base(Aggregate::Max, format!("{}.time", fact.name)));
    let count = intern(base(Aggregate::Count, fact.name.clone()));
    let sum = intern(base(Aggregate::Sum, path));
    Some(Rfm { last: last?, count: count?, sum: sum?, tiers })
}

fn sql_traits(
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
        Err(cycle) => {
            report_cycle("trait", &cycle, |name| spec.traits.get(name).map(|named| named.span), findings);
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
        let personal = bound.reads.iter().any(|read| {
            project.entities[&entity]
                .attributes
                .get(read)
                .and_then(|attribute| attribute.semantic)
                .is_some_and(ColumnType::is_personal)
                || project.traits.get(read).is_some_and(|read| read.personal)
        }) && bound.data_type != DataType::Boolean;
        project.traits.insert(
            name.clone(),
            Trait {
                name,
                span: named.span,
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
fn names_in(files: &Files, sql: &Text) -> Vec<String> {
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

fn report_cycle(kind: &str, cycle: &[String], span: impl Fn(&str) -> Option<Span>, findings: &mut Findings) {
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

fn segments(
    files: &Files,
    spec: &Spec,
    project: &mut Project,
    scopes: &IndexMap<String, CustomerScope>,
    findings: &mut Findings,
) {
    let mut resolved: IndexMap<String, (Segment, Vec<String>)> = IndexMap::new();
    for named in spec.segments.values() {
        let Some(entity) = entity_of(project, named.spec.of.as_ref(), named.span, findings) else { continue };
        let mut resolver = Resolver {
            files,
            entity: &entity,
            scope: &scopes[&entity],
            project,
            findings,
            reads: Vec::new(),
            segments: &spec.segments,
            uses_now: false,
        };
        let when = resolver.condition(&named.spec.when);
        let (mut reads, uses_now) = (std::mem::take(&mut resolver.reads), resolver.uses_now);
        reads.sort();
        reads.dedup();
        let Some(when) = when else { continue };
        let mut needs = Vec::new();
        when.segments(&mut needs);
        let segment = Segment {
            name: named.name.clone(),
            span: named.span,
            was: named.spec.was.as_ref().map(|name| name.value.clone()),
            entity,
            when,
            anonymous: named.spec.include.is_some(),
            guard: named.spec.guard.clone(),
            reads,
            uses_now,
        };
        resolved.insert(named.name.clone(), (segment, needs));
    }
    let needs = resolved.iter().map(|(name, (_, needs))| (name.clone(), needs.clone())).collect();
    match sort(&needs) {
        Ok(order) => {
            for name in order {
                if let Some((segment, needs)) = resolved.swap_remove(&name)
                    && needs.iter().all(|need| project.segments.contains_key(need))
                {
                    project.segments.insert(name, segment);
                }
            }
        }
        Err(cycle) => report_cycle("segment", &cycle, |name| spec.segments.get(name).map(|named| named.span), findings),
    }
}

impl Condition {
    /// Adds the segments that it names.
    pub fn named_segments(&self, into: &mut Vec<String>) {
        self.segments(into);
    }

    /// The segments that it names.
    pub(super) fn segments(&self, into: &mut Vec<String>) {
        match self {
            Self::All(several) | Self::Any(several) => several.iter().for_each(|condition| condition.segments(into)),
            Self::Not(one) => one.segments(into),
            Self::In(segment) => into.push(segment.clone()),
            Self::Count { .. } | Self::Sql(_) => {}
        }
    }
}
