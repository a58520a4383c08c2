//! The part of a project that a run computes; what is left out keeps what is published.

use std::collections::{BTreeMap, BTreeSet};

use crate::project::{Entity, Project, TraitKind};

/// What a run leaves out; nothing, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Columns of the customer that are not computed, and what stands for each: SQL over `k`, the customer as published.
    pub carried: BTreeMap<String, String>,
    /// Segments whose members stay.
    pub segments: BTreeSet<String>,
}

impl Part {
    /// Is a trait or a score computed?
    #[must_use]
    pub fn computes(&self, column: &str) -> bool {
        !self.carried.contains_key(column)
    }

    /// The features of an entity that what is computed needs.
    #[must_use]
    pub fn features<'a>(&self, project: &'a Project, entity: &Entity) -> BTreeSet<&'a str> {
        let mut features = Vec::new();
        for one in project.traits.values().filter(|one| one.entity == entity.name && self.computes(&one.name)) {
            if let TraitKind::Feature(feature) = &one.kind {
                features.push(feature.as_str());
            }
        }
        for score in project.scores.values().filter(|one| one.entity == entity.name && self.computes(&one.name)) {
            features.extend(score.kind.features());
        }
        for segment in project.segments.values().filter(|segment| segment.entity == entity.name) {
            if !self.segments.contains(&segment.name) {
                segment.when.features(&mut features);
            }
        }
        features.into_iter().collect()
    }
}
