//! Segments: their conditions resolved, in an order in which each needs only earlier ones.

use indexmap::IndexMap;

use super::conditions::{Condition, Resolver};
use super::models::{entity_of, report_cycle};
use super::order::sort;
use super::{CustomerScope, Project};
use crate::diag::Findings;
use crate::spec::{self, Spec};
use crate::text::{Files, Span};

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

pub(super) fn segments(
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
        Err(cycles) => {
            for cycle in cycles {
                report_cycle("segment", &cycle, |name| spec.segments.get(name).map(|named| named.span), findings);
            }
        }
    }
}

impl Condition {
    /// Adds the segments that it names.
    pub fn named_segments(&self, into: &mut Vec<String>) {
        self.segments(into);
    }

    /// Adds the features that it counts.
    pub fn features<'a>(&'a self, into: &mut Vec<&'a str>) {
        match self {
            Self::All(several) | Self::Any(several) => several.iter().for_each(|condition| condition.features(into)),
            Self::Not(one) => one.features(into),
            Self::Count { feature, .. } => into.push(feature),
            Self::In(_) | Self::Sql(_) => {}
        }
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
