//! The project with its names resolved, its graph ordered and its columns typed. Pure: schemas come in, no data is seen.

mod alerts;
mod conditions;
mod connections;
mod consent_scopes;
mod consents;
mod customer;
mod entities;
mod fact_scope;
mod facts;
mod features;
mod graph;
mod location;
mod models;
mod order;
mod parents;
mod personal;
mod reach;
mod schemas;
mod scores;
mod segments;
mod select;
mod settings;
mod source_columns;
mod source_scope;
mod sources;
mod sync_gate;
mod sync_remote;
mod syncs;
#[cfg(test)]
mod tests;
mod traits;

pub use alerts::Alert;
pub use conditions::Condition;
pub use connections::{Connection, Connector};
pub use consent_scopes::golden_alias;
pub use consents::{Consent, Purpose};
pub use customer::{Attribute, CustomerScope};
pub use entities::{Entity, Identifier, IdentitySource};
pub use facts::{Fact, FactColumn, Relation};
pub use features::{Feature, Features};
pub use graph::{Graph, Kind, Model};
pub use location::{Location, location};
pub use schemas::{RawColumn, Schemas};
pub use scores::{PointRule, Rfm, Score, ScoreKind};
pub use segments::Segment;
pub use settings::{Settings, memory};
pub use sources::{Expectation, Expected, Parent, Source, SourceColumn, sql_type};
pub use sync_remote::{Remote, STATUS};
pub use syncs::{Contact, Field, Gate, Key, Sync, SyncFrom, Withdraw};
pub use traits::{Trait, TraitKind};

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::diag::Findings;
use crate::spec::Spec;
use crate::text::Files;

/// A project that holds together as far as findings do not say otherwise.
#[derive(Debug, Clone)]
pub struct Project {
    /// Name, zone, limits.
    pub settings: Settings,
    /// Accounts at destinations.
    pub connections: IndexMap<String, Connection>,
    /// What is read.
    pub sources: IndexMap<String, Source>,
    /// What `did:` and aggregates may name: sources, declared events, events.
    pub facts: IndexMap<String, Fact>,
    /// Customers.
    pub entities: IndexMap<String, Entity>,
    /// Conditions, traits and points as columns per customer, each once.
    pub features: Features,
    /// Traits, in an order in which each needs only earlier ones.
    pub traits: IndexMap<String, Trait>,
    /// Scores.
    pub scores: IndexMap<String, Score>,
    /// Segments, in an order in which each needs only earlier ones.
    pub segments: IndexMap<String, Segment>,
    /// Purposes.
    pub purposes: IndexMap<String, Purpose>,
    /// Sources of consent events.
    pub consents: IndexMap<String, Consent>,
    /// Syncs.
    pub syncs: IndexMap<String, Sync>,
    /// Who is told what.
    pub alerts: IndexMap<String, Alert>,
    /// Sources and events that are written but did not resolve: what is wrong with them is said once, where they are.
    broken: BTreeSet<String>,
    /// By entity, the columns of its customers, also of models that did not resolve: those have an unknown type.
    customers: IndexMap<String, CustomerScope>,
}

/// The settings and connections alone: nothing of the models is looked at.
#[must_use]
pub fn connections(
    files: &Files,
    spec: &Spec,
    findings: &mut Findings,
) -> Option<(Settings, IndexMap<String, Connection>)> {
    settings::resolve(files, spec, findings)
}

/// Resolves a spec. What could not be resolved is left out, and said in the findings.
#[must_use]
pub fn resolve(files: &Files, spec: &Spec, schemas: &Schemas, findings: &mut Findings) -> Option<Project> {
    let (settings, connections) = settings::resolve(files, spec, findings)?;
    let mut project = Project {
        settings,
        connections,
        sources: IndexMap::new(),
        facts: IndexMap::new(),
        entities: IndexMap::new(),
        features: Features::default(),
        traits: IndexMap::new(),
        scores: IndexMap::new(),
        segments: IndexMap::new(),
        purposes: IndexMap::new(),
        consents: IndexMap::new(),
        syncs: IndexMap::new(),
        alerts: IndexMap::new(),
        broken: spec.broken.clone(),
        customers: IndexMap::new(),
    };
    sources::resolve(files, spec, schemas, &mut project, findings);
    entities::resolve(files, spec, &mut project, findings);
    facts::resolve(files, spec, &mut project, findings);
    consents::resolve(files, spec, &mut project, findings);
    models::resolve(files, spec, &mut project, findings);
    syncs::resolve(files, spec, &mut project, findings);
    alerts::resolve(spec, &mut project, findings);
    Some(project)
}
