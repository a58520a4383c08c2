//! Scores: points and RFM, as features.

use indexmap::IndexMap;

use super::conditions::count_feature;
use super::fact_scope::known;
use super::models::{entity_of, unknown_column};
use super::traits::aggregate_feature;
use super::{CustomerScope, Project};
use crate::diag::{Finding, Findings};
use crate::spec::{self, Spec, Text};
use crate::sql::{Aggregate, DataType};
use crate::text::{Files, Located, Span};

/// A score.
#[derive(Debug, Clone)]
pub struct Score {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// The name that it had before.
    pub was: Option<String>,
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

pub(super) fn scores(
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
        let was = named.spec.was.as_ref().map(|name| name.value.clone());
        let score = Score { name: named.name.clone(), span: named.span, was, entity, kind };
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

impl ScoreKind {
    /// The features that it is computed from.
    #[must_use]
    pub fn features(&self) -> Vec<&str> {
        match self {
            Self::Points(rules) => rules.iter().map(|rule| rule.feature.as_str()).collect(),
            Self::Rfm(rfm) => vec![&rfm.last, &rfm.count, &rfm.sum],
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
        findings.add(
            Finding::error("E102", "`tiers` is from 2 to 9")
                .at(written.tiers.as_ref().map_or(written.span, |tiers| tiers.span)),
        );
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
