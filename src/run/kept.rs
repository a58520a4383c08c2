//! Models that a run leaves as they are published, and why: they were not selected, or descend from a source that is not
//! what was expected.
//!
//! What is kept is not computed. Of an entity, all tables stay; traits and scores carry the value that is published for the
//! customer, segments their members. A model that is kept because of a source also holds back the syncs that send it: their
//! withdrawals go, nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::opened::columns;
use super::renames;
use super::selection::Selection;
use super::steps::{self, Step};
use super::workspace::Workspace;
use crate::compile::Part;
use crate::compile::renames::{Named, Renames};
use crate::diag::Result;
use crate::project::{Entity, Graph, Kind, Model, Project, Score, sql_type};
use crate::spec::Role;
use crate::sql::{DataType, ident};

/// Why a model is left as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// `--select` does not mean it, nor anything that needs it.
    NotSelected,
    /// It descends from this source, whose rows are not what was expected.
    Blocked(String),
}

/// The models that a run leaves as they are published.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    models: BTreeMap<(Kind, String), Reason>,
    parts: BTreeMap<String, Part>,
    /// Sources that not everything which reads them was built from.
    behind: BTreeSet<String>,
}

impl Kept {
    /// What is kept where these models are selected and these sources failed.
    pub(super) async fn of(workspace: &Workspace, selection: &Selection, failed: &[String]) -> Result<Self> {
        let (opened, mut kept) = (&workspace.opened, Self::default());
        if selection.is_all() && failed.is_empty() {
            return Ok(kept);
        }
        let graph = Graph::new(&opened.spec, &opened.project);
        let mut published = BTreeMap::new();
        let steps = steps::last(workspace).await?;
        for entity in opened.project.entities.values() {
            published.insert(entity.name.clone(), PublishedColumns::of(workspace, entity, &steps).await?);
        }
        let wanted: BTreeSet<usize> = graph
            .models()
            .iter()
            .enumerate()
            .filter(|(_, model)| selection.means(model) || never_published(&opened.project, &published, model))
            .map(|(index, _)| index)
            .collect();
        let built = graph.with_needs(&wanted);
        for (index, model) in graph.models().iter().enumerate().filter(|(index, _)| !built.contains(index)) {
            // Consents are read in every run: a withdrawal waits for no selection. Syncs are no part of a build.
            if matches!(model.kind, Kind::Entity | Kind::Trait | Kind::Score | Kind::Segment) {
                kept.models.insert((model.kind, model.name.clone()), Reason::NotSelected);
                kept.behind.extend(sources_of(&graph, index));
            }
        }
        for source in failed {
            for model in descendants(&graph, &opened.project, source) {
                let before = kept.models.insert((model.kind, model.name.clone()), Reason::Blocked(source.clone()));
                if let Some(first @ Reason::Blocked(_)) = before {
                    kept.models.insert((model.kind, model.name.clone()), first);
                }
            }
            kept.behind.insert(source.clone());
        }
        for entity in opened.project.entities.values() {
            let part = kept.part_of(&opened.project, entity, &published[&entity.name]);
            kept.parts.insert(entity.name.clone(), part);
        }
        Ok(kept)
    }

    /// Why a model is kept; `None` where it is built.
    #[must_use]
    pub fn reason(&self, kind: Kind, name: &str) -> Option<&Reason> {
        self.models.get(&(kind, name.to_owned()))
    }

    /// Is this entity left as it is, with all its tables?
    #[must_use]
    pub fn has_entity(&self, entity: &str) -> bool {
        self.reason(Kind::Entity, entity).is_some()
    }

    /// Is anything kept?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The models that descend from a source that failed: (kind, name, source).
    pub fn blocked(&self) -> impl Iterator<Item = (Kind, &str, &str)> {
        self.models.iter().filter_map(|((kind, name), reason)| match reason {
            Reason::Blocked(source) => Some((*kind, name.as_str(), source.as_str())),
            Reason::NotSelected => None,
        })
    }

    /// Was everything that reads this source built from it?
    pub(super) fn is_behind(&self, source: &str) -> bool {
        self.behind.contains(source)
    }

    /// What is left out of the computation of an entity.
    pub(super) fn part(&self, entity: &str) -> Part {
        self.parts.get(entity).cloned().unwrap_or_default()
    }

    fn part_of(&self, project: &Project, entity: &Entity, published: &PublishedColumns) -> Part {
        let mut part = Part::default();
        let mut carry = |name: &str, data_type: DataType| {
            let sql = match published.find(name, data_type) {
                Some(found) => format!("k.{}", ident(&found)),
                None => format!("cast(null as {})", sql_type(data_type)),
            };
            part.carried.insert(name.to_owned(), sql);
        };
        for one in project.traits.values().filter(|one| one.entity == entity.name) {
            if self.reason(Kind::Trait, &one.name).is_some() {
                carry(&one.name, one.data_type);
            }
        }
        for score in project.scores.values().filter(|score| score.entity == entity.name) {
            if self.reason(Kind::Score, &score.name).is_some() {
                score.columns().iter().for_each(|(name, data_type)| carry(name, *data_type));
            }
        }
        let segments = project.segments.values().filter(|segment| segment.entity == entity.name);
        let segments = segments.filter(|segment| self.reason(Kind::Segment, &segment.name).is_some());
        part.segments = segments.map(|segment| segment.name.clone()).collect();
        part
    }
}

/// The sources that a model hangs on, at whatever remove.
fn sources_of(graph: &Graph, index: usize) -> impl Iterator<Item = String> + '_ {
    let needs = graph.with_needs(&BTreeSet::from([index]));
    needs
        .into_iter()
        .filter_map(|need| graph.get(need))
        .filter(|need| need.kind == Kind::Source)
        .map(|one| one.name.clone())
}

/// A source that failed and what descends from it. An entity does where the source says who its customers are, or what
/// they are called: rows that merely find a customer take part in facts alone.
fn descendants<'a>(graph: &'a Graph, project: &Project, source: &str) -> Vec<&'a Model> {
    let failed = graph.models().iter().position(|model| model.kind == Kind::Source && model.name == source);
    let makes = |entity: &str| {
        project.entities.get(entity).is_some_and(|entity| {
            entity.source(source).is_some_and(|identity| identity.role != Role::Attach)
                || entity.attributes.values().any(|attribute| attribute.from.iter().any(|(from, _)| from == source))
        })
    };
    let counts = |need: &Model, model: &Model| match (need.kind, model.kind) {
        (Kind::Source, Kind::Entity) => need.name == source && makes(&model.name),
        _ => true,
    };
    let found = graph.dependants_by(&failed.into_iter().collect(), counts);
    found.into_iter().filter_map(|index| graph.get(index)).collect()
}

/// What was never published cannot be left as it is: it is built, whatever is selected.
fn never_published(project: &Project, published: &BTreeMap<String, PublishedColumns>, model: &Model) -> bool {
    let of = |entity: &str| published.get(entity);
    match model.kind {
        Kind::Entity => of(&model.name).is_some_and(|columns| columns.types.is_empty()),
        Kind::Trait => project
            .traits
            .get(&model.name)
            .is_some_and(|one| of(&one.entity).is_some_and(|columns| columns.find(&one.name, one.data_type).is_none())),
        Kind::Score => project.scores.get(&model.name).is_some_and(|score| {
            of(&score.entity).is_some_and(|columns| {
                score.columns().iter().any(|(name, data_type)| columns.find(name, *data_type).is_none())
            })
        }),
        _ => false,
    }
}

/// The columns of an entity as it is published; none where it never was.
struct PublishedColumns {
    types: BTreeMap<String, DataType>,
    /// The names that columns of traits and scores had before (`was:`).
    was: BTreeMap<String, String>,
}

impl PublishedColumns {
    async fn of(workspace: &Workspace, entity: &Entity, steps: &BTreeMap<String, Step>) -> Result<Self> {
        let provider = workspace.published.provider(&workspace.opened.warehouse, &entity.name).await?;
        let found = provider.iter().flat_map(columns).map(|column| (column.name, column.data_type));
        let types: BTreeMap<String, DataType> = found.collect();
        let project = &workspace.opened.project;
        // Who is not there under its new name has not taken its values over, whatever became of its history.
        let waits = |kind, model: &Named<'_>| !types.contains_key(model.name) || !renames::is_done(steps, kind, model);
        let waiting = [Kind::Trait, Kind::Score].into_iter().flat_map(|kind| {
            let named = renames::named(project, kind).into_iter().filter(|model| model.entity == entity.name);
            named.filter(move |model| waits(kind, model))
        });
        let renames = Renames::due(waiting, |_, name| types.contains_key(name));
        let old_name = |name: &str| renames.old_name(&entity.name, name).map(str::to_owned);
        let traits = project.traits.keys().filter_map(|name| Some((name.clone(), old_name(name)?)));
        let scores = project.scores.values().filter_map(|score| Some((score, old_name(&score.name)?)));
        let scores = scores.flat_map(|(score, name)| {
            let old = Score { name, ..score.clone() }.columns();
            score.columns().into_iter().zip(old).map(|((new, _), (old, _))| (new, old))
        });
        let was = traits.chain(scores).collect();
        Ok(Self { types, was })
    }

    /// The published column that holds what is called so now, or was called otherwise before; of a type that fits.
    fn find(&self, name: &str, data_type: DataType) -> Option<String> {
        let fits = |found: &DataType| {
            *found == data_type || data_type == DataType::Unknown || (found.is_number() && data_type.is_number())
        };
        // A name that was taken over by a rename is somebody else's value.
        let own = Some(name).filter(|name| !self.was.values().any(|was| was == name));
        let found = self.was.get(name).map(String::as_str).or(own)?;
        self.types.get(found).filter(|found| fits(found)).map(|_| found.to_owned())
    }
}
