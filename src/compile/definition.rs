//! What a segment's members hang on, down to the sources: its own condition, the traits, scores and segments that it reads,
//! the events behind them, and identity. No place in a file and no instant is part of it.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{consents, identity, sources};
use crate::project::{Condition, Entity, Project, Purpose, Relation, Segment, TraitKind};

/// Collects the text of a definition, each part once.
pub(super) struct Definition<'a> {
    project: &'a Project,
    seen: BTreeSet<(&'static str, String)>,
    text: String,
}

impl<'a> Definition<'a> {
    /// A hash of a segment's whole definition.
    pub(super) fn of(project: &'a Project, segment: &'a Segment) -> String {
        let mut definition = Self { project, seen: BTreeSet::new(), text: project.settings.timezone.to_string() };
        definition.segment(segment);
        if let Some(entity) = project.entities.get(&segment.entity) {
            definition.entity(entity);
        }
        blake3::hash(definition.text.as_bytes()).to_hex().as_str()[..32].to_owned()
    }

    /// Adds a part; says whether it is new.
    fn add(&mut self, kind: &'static str, name: &str, text: std::fmt::Arguments<'_>) -> bool {
        let new = self.seen.insert((kind, name.to_owned()));
        if new {
            // Writing to a text cannot fail.
            let _ = write!(self.text, "\0{kind}\0{text}");
        }
        new
    }

    fn segment(&mut self, segment: &Segment) {
        if !self.add("segment", &segment.name, format_args!("{}", segment.anonymous)) {
            return;
        }
        self.condition(&segment.when);
        for name in &segment.reads {
            self.column(name, &segment.entity);
        }
    }

    /// Segments count by what they are, not by their names, so that renaming one changes none.
    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::All(several) => self.several("all", several),
            Condition::Any(several) => self.several("any", several),
            Condition::Not(one) => {
                self.text.push_str("\0not");
                self.condition(one);
            }
            Condition::Count { feature, min, max } => {
                let _ = write!(self.text, "\0count\0{feature}\0{min}\0{max:?}");
                self.feature(feature);
            }
            Condition::In(name) => {
                let project = self.project;
                let hash = project.segments.get(name).map(|other| Self::of(project, other));
                let _ = write!(self.text, "\0in\0{hash:?}");
            }
            Condition::Sql(sql) => {
                let _ = write!(self.text, "\0sql\0{sql}");
            }
        }
    }

    fn several(&mut self, word: &str, several: &[Condition]) {
        let _ = write!(self.text, "\0{word}\0{}", several.len());
        for condition in several {
            self.condition(condition);
        }
    }

    /// A column of the customer: an attribute, a trait, or a score or part of one.
    fn column(&mut self, name: &str, entity: &str) {
        let project = self.project;
        if let Some(attribute) = project.entities.get(entity).and_then(|entity| entity.attributes.get(name)) {
            self.add("attribute", name, format_args!("{name}\0{:?}\0{:?}", attribute.from, attribute.pick));
            for (source, _) in &attribute.from {
                self.source(source);
            }
        }
        if let Some(one) = project.traits.get(name) {
            match &one.kind {
                TraitKind::Feature(feature) => {
                    self.add("trait", name, format_args!("{name}\0{feature}"));
                    self.feature(feature);
                }
                TraitKind::Sql(sql, reads) => {
                    if self.add("trait", name, format_args!("{name}\0{sql}")) {
                        for read in reads {
                            self.column(read, entity);
                        }
                    }
                }
            }
        }
        let score = project.scores.values().find(|score| score.columns().iter().any(|(column, _)| column == name));
        if let Some(score) = score
            && self.add("score", &score.name, format_args!("{}\0{:?}", score.name, score.kind))
        {
            score.kind.features().into_iter().for_each(|id| self.feature(id));
        }
    }

    /// The id of a feature stands for its own content; what it reads has content of its own.
    fn feature(&mut self, id: &str) {
        let project = self.project;
        let Some(feature) = project.features.get(id) else { return };
        if !self.add("feature", id, format_args!("{id}")) {
            return;
        }
        feature.joins.iter().for_each(|parent| self.source(parent));
        match &feature.relation {
            Relation::Source(source) => self.source(source),
            Relation::Event(event) => {
                if let Some(fact) = project.facts.get(event) {
                    self.add("event", event, format_args!("{event}\0{:?}", fact.parts));
                    fact.sources.iter().for_each(|source| self.source(source));
                    fact.parts.iter().flat_map(|part| &part.joins).for_each(|parent| self.source(parent));
                }
            }
            Relation::Consents => {
                feature.joins.iter().for_each(|attribute| self.column(attribute, &feature.entity));
                self.consents();
            }
        }
    }

    fn source(&mut self, name: &str) {
        let project = self.project;
        let Some(source) = project.sources.get(name) else { return };
        if self.add("source", name, format_args!("{}", sources::relation(source))) {
            // A row has the customer and the time of what it belongs to.
            source.parents.iter().for_each(|parent| self.source(&parent.source));
        }
    }

    fn consents(&mut self) {
        let project = self.project;
        let purpose = |purpose: &'a Purpose| (&purpose.name, purpose.valid_for, purpose.basis, purpose.double_opt_in);
        let purposes: Vec<_> = project.purposes.values().map(purpose).collect();
        self.add("consents", "", format_args!("{:?}\0{purposes:?}", consents::events(project)));
        project.consents.values().for_each(|consent| self.source(&consent.source));
    }

    fn entity(&mut self, entity: &Entity) {
        self.add("entity", &entity.name, format_args!("{:?}\0{:?}", entity.identifiers, entity.never_across));
        for identity in &entity.sources {
            let Some(source) = self.project.sources.get(&identity.source) else { continue };
            let nodes = identity::nodes(entity, source, identity);
            self.add("nodes", &identity.source, format_args!("{identity:?}\0{nodes:?}"));
            self.source(&identity.source);
        }
    }
}
