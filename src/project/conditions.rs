//! Conditions of segments, resolved: leaves are features, other segments, or SQL over the customer.

use indexmap::IndexMap;

use super::consent_scopes::{Golden, wanted};
use super::consents::{channel, unknown_purpose};
use super::fact_scope::{filter, known};
use super::facts::Fact;
use super::{CustomerScope, Feature, Project};
use crate::diag::{Finding, Findings, nearest};
use crate::spec::{self, ConditionMap, Named, Text};
use crate::sql::{Aggregate, DataType, SqlText, bind, text_literal};
use crate::text::{Files, Located, Span, TextOr};

/// A condition on a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Every one holds.
    All(Vec<Condition>),
    /// At least one holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// A count of rows lies within bounds.
    Count {
        /// The feature that counts.
        feature: String,
        /// At least.
        min: u32,
        /// At most.
        max: Option<u32>,
    },
    /// Member of another segment.
    In(String),
    /// SQL over the customer's columns.
    Sql(String),
}

pub(super) struct Resolver<'a> {
    pub(super) files: &'a Files,
    pub(super) entity: &'a str,
    pub(super) scope: &'a CustomerScope,
    pub(super) project: &'a mut Project,
    pub(super) findings: &'a mut Findings,
    /// Every segment as written: conditions may name those that come later.
    pub(super) segments: &'a IndexMap<String, Named<spec::Segment>>,
    /// Columns of the customer that were read.
    pub(super) reads: Vec<String>,
    /// Is the time of day asked for?
    pub(super) uses_now: bool,
}

impl Resolver<'_> {
    pub(super) fn condition(&mut self, written: &spec::Condition) -> Option<Condition> {
        match &written.value {
            TextOr::Text(sql) => {
                let text = Located::new(sql.clone(), written.span);
                let bound = bind(SqlText::new(self.files, &text), self.scope, Some(DataType::Boolean), self.findings)?;
                self.reads.extend(bound.reads);
                self.uses_now |= bound.uses_now;
                Some(Condition::Sql(bound.sql))
            }
            TextOr::Other(map) => self.structured(map, written.span),
        }
    }

    fn structured(&mut self, map: &ConditionMap, span: Span) -> Option<Condition> {
        let kinds = [
            ("all", map.all.is_some()),
            ("any", map.any.is_some()),
            ("not", map.not.is_some()),
            ("did", map.did.is_some()),
            ("in", map.is_in.is_some()),
            ("not_in", map.not_in.is_some()),
            ("consent", map.consent.is_some()),
        ];
        let given: Vec<&str> = kinds.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        let [kind] = given.as_slice() else {
            let message = match given.as_slice() {
                [] => {
                    "this condition says nothing: it needs one of `all`, `any`, `not`, `did`, `in`, `not_in`, `consent`"
                        .to_owned()
                }
                many => format!("this condition says several things at once: {}", many.join(", ")),
            };
            self.findings.add(Finding::error("E123", message).at(span).help("join conditions with `all: [ … ]`"));
            return None;
        };
        if *kind != "did" && (map.filter.is_some() || map.count.is_some() || map.within.is_some()) {
            self.findings.add(
                Finding::error("E123", format!("`where`, `count` and `within` go with `did`, not with `{kind}`"))
                    .at(span),
            );
            return None;
        }
        match *kind {
            "all" => self.several(map.all.as_ref()?).map(Condition::All),
            "any" => self.several(map.any.as_ref()?).map(Condition::Any),
            "not" => Some(Condition::Not(Box::new(self.condition(map.not.as_ref()?)?))),
            "did" => self.did(map),
            "in" => self.members(map.is_in.as_ref()?, span).map(Condition::All),
            "not_in" => self
                .members(map.not_in.as_ref()?, span)
                .map(|members| Condition::Not(Box::new(Condition::Any(members)))),
            _ => self.consent(map.consent.as_ref()?),
        }
    }

    /// All are resolved, so that every finding is told.
    fn several(&mut self, written: &Located<Vec<spec::Condition>>) -> Option<Vec<Condition>> {
        if written.is_empty() {
            self.findings.add(Finding::error("E123", "this list of conditions is empty").at(written.span));
            return None;
        }
        let resolved: Vec<Option<Condition>> = written.iter().map(|condition| self.condition(condition)).collect();
        resolved.into_iter().collect()
    }

    fn members(&mut self, names: &[Text], span: Span) -> Option<Vec<Condition>> {
        if names.is_empty() {
            self.findings.add(Finding::error("E123", "this list of segments is empty").at(span));
            return None;
        }
        let mut whole = true;
        for name in names.iter().filter(|name| !self.segments.contains_key(&name.value)) {
            whole = false;
            if self.project.broken.contains(&name.value) {
                continue;
            }
            let finding = Finding::error("E202", format!("there is no segment `{}`", name.value))
                .at(name.span)
                .label("unknown segment");
            self.findings.add(match nearest(&name.value, self.segments.keys().map(String::as_str)) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help("segments are declared under `segments:`"),
            });
        }
        whole.then(|| names.iter().map(|name| Condition::In(name.value.clone())).collect())
    }

    fn did(&mut self, map: &ConditionMap) -> Option<Condition> {
        let name = map.did.as_ref()?;
        let fact = known(self.project, name, self.findings)?.clone();
        let (min, max) = match &map.count {
            None => (1, None),
            Some(count) => {
                let (min, max) = (count.min.unwrap_or(0), count.max);
                if max.is_some_and(|max| max < min) || (count.min.is_none() && max.is_none()) {
                    self.findings.add(
                        Finding::error("E123", "`count` needs `min`, `max` or both, and `min` is not above `max`")
                            .at(count.span),
                    );
                    return None;
                }
                (min, max)
            }
        };
        let feature = count_feature(
            self.files,
            self.project,
            self.entity,
            &fact,
            map.filter.as_ref(),
            map.within.as_ref(),
            self.findings,
        )?;
        let feature = self.project.features.intern(feature);
        Some(Condition::Count { feature, min, max })
    }

    fn consent(&mut self, written: &Located<spec::ConsentCondition>) -> Option<Condition> {
        let purpose = &written.purpose;
        if let Some(finding) = unknown_purpose(self.project, &purpose.value, purpose.span) {
            self.findings.add(finding);
            return None;
        }
        let channel = channel(self.project, &purpose.value, written.channel.as_ref(), written.span, self.findings)?;
        let (entity, resolved) = (self.project.entities.get(self.entity)?, self.project.purposes.get(&purpose.value)?);
        let golden = Golden { entity, timezone: self.project.settings.timezone.name() };
        let scope = wanted(self.files, resolved, written.scope.as_ref(), written.span, &golden, self.findings)?;
        let mut filter = format!(
            "(e.\"purpose\" = {} and e.\"channel\" = {} and e.\"status\" = 'granted'",
            text_literal(&purpose.value),
            text_literal(&channel)
        );
        let mut joins = std::collections::BTreeSet::new();
        let mut uses_now = false;
        if let Some(scope) = scope {
            filter.push_str(&format!(" and e.\"scope\" = {}", scope.sql));
            (joins, uses_now) = (scope.reads, scope.uses_now);
        }
        let fact = self.project.facts.get("consents")?;
        let feature = Feature { filter: Some(filter + ")"), joins, uses_now, ..plain_count(self.entity, fact) };
        let feature = self.project.features.intern(feature);
        Some(Condition::Count { feature, min: 1, max: None })
    }
}

fn plain_count(entity: &str, fact: &Fact) -> Feature {
    Feature {
        id: String::new(),
        entity: entity.to_owned(),
        relation: fact.relation.clone(),
        filter: fact.filter.clone(),
        joins: std::collections::BTreeSet::new(),
        value: None,
        aggregate: Aggregate::Count,
        within: None,
        data_type: DataType::Integer,
        uses_now: false,
    }
}

/// The feature that counts a fact's rows.
pub(super) fn count_feature(
    files: &Files,
    project: &Project,
    entity: &str,
    fact: &Fact,
    written: Option<&Text>,
    within: Option<&Located<spec::Duration>>,
    findings: &mut Findings,
) -> Option<Feature> {
    reachable(project, entity, fact, findings, written.map_or(fact.span, |text| text.span))?;
    let (filter, joins, uses_now) = filter(files, project, fact, written, findings)?;
    let within = window(fact, within, findings)?;
    Some(Feature { filter, joins, within, uses_now, ..plain_count(entity, fact) })
}

/// A window needs a time.
#[expect(clippy::option_option, reason = "no window, or a window that cannot be")]
pub(super) fn window(
    fact: &Fact,
    within: Option<&Located<spec::Duration>>,
    findings: &mut Findings,
) -> Option<Option<spec::Duration>> {
    match within {
        Some(within) if !fact.has_time => {
            let message = format!("`{}` has no time, so `within` cannot be", fact.name);
            findings.add(
                Finding::error("E124", message)
                    .at(within.span)
                    .help("name the column that says when: `time: occurred_at` in the source"),
            );
            None
        }
        Some(within) => Some(Some(within.value)),
        None => Some(None),
    }
}

/// The fact's rows must find a customer of the entity.
pub(super) fn reachable(
    project: &Project,
    entity: &str,
    fact: &Fact,
    findings: &mut Findings,
    span: Span,
) -> Option<()> {
    let Some(entity) = project.entities.get(entity) else { return Some(()) };
    for source in &fact.sources {
        if !finds_customer(project, entity, source, 0) {
            let message = format!("the rows of `{source}` find no {}", entity.name);
            findings.add(
                Finding::error("E125", message).at(span).help(format!(
                    "name `{source}` under `identity.sources`, or let it belong to a source that is there"
                )),
            );
            return None;
        }
    }
    Some(())
}

fn finds_customer(project: &Project, entity: &super::Entity, source: &str, depth: usize) -> bool {
    entity.source(source).is_some()
        || (depth < 8
            && project.sources.get(source).is_some_and(|source| {
                source.parents.iter().any(|parent| finds_customer(project, entity, &parent.source, depth + 1))
            }))
}
