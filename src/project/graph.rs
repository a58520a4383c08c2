//! The graph of models: what there is, under which names and tags, and what each needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Statement, visit_expressions, visit_relations};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use super::consent_scopes::speaks_of;
use super::{Gate, Project, Sync, SyncFrom, TraitKind};
use crate::spec::{self, Spec};
use crate::text::{OneOrMany, TextOr};

/// A kind of model, in the order in which a project is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// What is read.
    Source,
    /// A fact that sources record.
    Event,
    /// Customers.
    Entity,
    /// A source of consent events.
    Consent,
    /// A purpose.
    Purpose,
    /// A value per customer.
    Trait,
    /// A score.
    Score,
    /// A set of customers.
    Segment,
    /// What is sent.
    Sync,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Source,
        Self::Event,
        Self::Entity,
        Self::Consent,
        Self::Purpose,
        Self::Trait,
        Self::Score,
        Self::Segment,
        Self::Sync,
    ];

    /// One of it, as in `segment:vip`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Event => "event",
            Self::Entity => "entity",
            Self::Consent => "consent",
            Self::Purpose => "purpose",
            Self::Trait => "trait",
            Self::Score => "score",
            Self::Segment => "segment",
            Self::Sync => "sync",
        }
    }

    /// Its section, as in `segments:*`.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Event => "events",
            Self::Entity => "entities",
            Self::Consent => "consents",
            Self::Purpose => "purposes",
            Self::Trait => "traits",
            Self::Score => "scores",
            Self::Segment => "segments",
            Self::Sync => "syncs",
        }
    }

    /// `kind:name`: never ambiguous.
    #[must_use]
    pub fn id(self, name: &str) -> String {
        format!("{self}:{name}")
    }

    /// The kind of that name or section.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == word || kind.section() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One model of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// Labels to select by.
    pub tags: Vec<String>,
    /// Indices of the models that it needs, ascending.
    pub needs: Vec<usize>,
}

impl Model {
    /// `kind:name`: never ambiguous.
    #[must_use]
    pub fn id(&self) -> String {
        self.kind.id(&self.name)
    }
}

/// Every model of a project, by kind and in the order as written. Some hundred bytes per model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    models: Vec<Model>,
}

impl Graph {
    /// The graph of a project and of the text that it was resolved from.
    #[must_use]
    pub fn new(spec: &Spec, project: &Project) -> Self {
        let mut builder = Builder { project, models: Vec::new(), places: BTreeMap::new(), needs: Vec::new() };
        builder.all(spec);
        builder.finish()
    }

    /// A graph of these models: (kind, name, tags, needs by id).
    #[cfg(test)]
    pub(super) fn of(models: &[(Kind, &str, &[&str], &[&str])]) -> Self {
        let ids: Vec<String> = models.iter().map(|(kind, name, ..)| kind.id(name)).collect();
        let model = |(kind, name, tags, needs): &(Kind, &str, &[&str], &[&str])| Model {
            kind: *kind,
            name: (*name).to_owned(),
            description: None,
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            needs: needs.iter().filter_map(|need| ids.iter().position(|id| id == need)).collect(),
        };
        Self { models: models.iter().map(model).collect() }
    }

    /// All models.
    #[must_use]
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// A model.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Model> {
        self.models.get(index)
    }
}

struct Builder<'a> {
    project: &'a Project,
    models: Vec<Model>,
    places: BTreeMap<(Kind, String), usize>,
    /// Per model, what it needs by kind and name; names that are no model are passed over.
    needs: Vec<Vec<(Kind, String)>>,
}

impl Builder<'_> {
    fn add(
        &mut self,
        kind: Kind,
        name: &str,
        description: Option<&String>,
        tags: &[String],
        needs: Vec<(Kind, String)>,
    ) {
        self.places.insert((kind, name.to_owned()), self.models.len());
        let description = description.map(|text| text.trim().to_owned());
        self.models.push(Model { kind, name: name.to_owned(), description, tags: tags.to_vec(), needs: Vec::new() });
        self.needs.push(needs);
    }

    fn all(&mut self, spec: &Spec) {
        let project = self.project;
        for named in spec.sources.values() {
            let parents = project.sources.get(&named.name).into_iter().flat_map(|source| &source.parents);
            let needs = parents.map(|parent| (Kind::Source, parent.source.clone())).collect();
            self.add(Kind::Source, &named.name, named.spec.description.as_ref(), &named.spec.tags, needs);
        }
        for named in spec.sources.values() {
            for name in named.spec.event.iter().flat_map(|event| &event.names) {
                self.add(Kind::Event, &name.value, None, &named.spec.tags, vec![(Kind::Source, named.name.clone())]);
            }
        }
        for named in spec.events.values() {
            let sources = project.facts.get(&named.name).map(|fact| fact.sources.clone()).unwrap_or_default();
            let needs = sources.into_iter().map(|source| (Kind::Source, source)).collect();
            self.add(Kind::Event, &named.name, named.spec.description.as_ref(), &named.spec.tags, needs);
        }
        for named in spec.entities.values() {
            let entity = project.entities.get(&named.name);
            let identity = entity.into_iter().flat_map(|entity| &entity.sources).map(|source| &source.source);
            let golden = entity.into_iter().flat_map(|entity| entity.attributes.values()).flat_map(|one| &one.from);
            let needs = identity.chain(golden.map(|(source, _)| source));
            let needs = needs.map(|source| (Kind::Source, source.clone())).collect();
            self.add(Kind::Entity, &named.name, named.spec.description.as_ref(), &named.spec.tags, needs);
        }
        for named in spec.consents.values() {
            let source = project.consents.get(&named.name).map(|consent| consent.source.clone());
            let needs = source.into_iter().map(|source| (Kind::Source, source)).collect();
            self.add(Kind::Consent, &named.name, named.spec.description.as_ref(), &named.spec.tags, needs);
        }
        for named in spec.purposes.values() {
            let needs = self.consents_of(&named.name);
            self.add(Kind::Purpose, &named.name, named.spec.description.as_ref(), &named.spec.tags, needs);
        }
        for named in spec.traits.values() {
            let needs = self.trait_needs(&named.name, &named.spec);
            self.add(Kind::Trait, &named.name, named.spec.description.as_ref(), &named.spec.tags, needs);
        }
        for named in spec.scores.values() {
            let mut needs = entity(project.scores.get(&named.name).map(|score| &score.entity));
            let facts = named.spec.points.iter().map(|rule| &rule.did.value);
            let facts = facts.chain(named.spec.rfm.iter().map(|rfm| &rfm.value.event.value));
            needs.extend(facts.flat_map(|fact| self.fact(fact)));
            self.add(Kind::Score, &named.name, named.spec.description.as_ref(), &named.spec.tags, needs);
        }
        for named in spec.segments.values() {
            let segment = project.segments.get(&named.name);
            let mut needs = entity(segment.map(|segment| &segment.entity));
            needs.extend(segment.into_iter().flat_map(|segment| &segment.reads).flat_map(|read| self.column(read)));
            self.condition(&named.spec.when, &mut needs);
            self.add(Kind::Segment, &named.name, named.spec.description.as_ref(), &named.spec.tags, needs);
        }
        for named in spec.syncs.values() {
            let needs = project.syncs.get(&named.name).map(|sync| self.sync_needs(sync)).unwrap_or_default();
            self.add(Kind::Sync, &named.name, named.spec.description.as_ref(), &named.spec.tags, needs);
        }
    }

    fn finish(mut self) -> Graph {
        for (index, needs) in self.needs.iter().enumerate() {
            let found: BTreeSet<usize> = needs.iter().filter_map(|need| self.places.get(need).copied()).collect();
            self.models[index].needs = found.into_iter().filter(|need| *need != index).collect();
        }
        Graph { models: self.models }
    }

    /// What `did:` and the aggregates name: an event, or a source itself.
    fn fact(&self, name: &str) -> Vec<(Kind, String)> {
        let kind = if self.places.contains_key(&(Kind::Event, name.to_owned())) { Kind::Event } else { Kind::Source };
        vec![(kind, name.to_owned())]
    }

    /// A column of the customer: a trait or a score; attributes come with the entity.
    fn column(&self, name: &str) -> Vec<(Kind, String)> {
        let score = self.project.scores.values().find(|score| score.columns().iter().any(|(column, _)| column == name));
        let score = score.map(|score| (Kind::Score, score.name.clone()));
        score
            .into_iter()
            .chain(self.project.traits.contains_key(name).then(|| (Kind::Trait, name.to_owned())))
            .collect()
    }

    /// The sources of consent events that may speak of a purpose.
    fn consents_of(&self, purpose: &str) -> Vec<(Kind, String)> {
        let consents = self.project.consents.values().filter(|consent| speaks_of(&consent.purpose, purpose));
        consents.map(|consent| (Kind::Consent, consent.name.clone())).collect()
    }

    fn trait_needs(&self, name: &str, written: &spec::Trait) -> Vec<(Kind, String)> {
        let resolved = self.project.traits.get(name);
        let mut needs = entity(resolved.map(|one| &one.entity));
        if let Some(TraitKind::Sql(_, reads)) = resolved.map(|one| &one.kind) {
            needs.extend(reads.iter().flat_map(|read| self.column(read)));
        }
        let paths = [
            &written.count,
            &written.count_distinct,
            &written.sum,
            &written.min,
            &written.max,
            &written.avg,
            &written.first,
            &written.last,
            &written.mode,
        ];
        for path in paths.into_iter().flatten() {
            let fact = path.value.split_once('.').map_or(path.value.as_str(), |(fact, _)| fact);
            needs.extend(self.fact(fact));
        }
        needs
    }

    fn condition(&self, written: &spec::Condition, needs: &mut Vec<(Kind, String)>) {
        let TextOr::Other(map) = &written.value else { return };
        for one in map.all.iter().chain(&map.any).flat_map(|several| &several.value).chain(&map.not) {
            self.condition(one, needs);
        }
        needs.extend(map.did.iter().flat_map(|did| self.fact(&did.value)));
        for names in map.is_in.iter().chain(&map.not_in) {
            let OneOrMany(names) = names;
            needs.extend(names.iter().map(|name| (Kind::Segment, name.value.clone())));
        }
        needs.extend(map.consent.iter().map(|consent| (Kind::Purpose, consent.value.purpose.value.clone())));
    }

    fn sync_needs(&self, sync: &Sync) -> Vec<(Kind, String)> {
        let mut needs = entity(Some(&sync.entity));
        match &sync.from {
            SyncFrom::Segment(segment) => needs.push((Kind::Segment, segment.clone())),
            SyncFrom::Entity => {}
            SyncFrom::Consents(purposes) => {
                needs.extend(purposes.iter().map(|purpose| (Kind::Purpose, purpose.clone())));
            }
            SyncFrom::Sql(sql) => {
                let tables = tables_of(sql);
                needs.extend(tables.iter().map(|table| (Kind::Source, table.trim_end_matches("_resolved").to_owned())));
            }
        }
        let mut scope = None;
        if let Gate::Consent { purpose, scope: asked, .. } = &sync.gate {
            needs.push((Kind::Purpose, purpose.clone()));
            scope = asked.as_ref();
        }
        let keys = sync.keys.iter().flat_map(|key| &key.columns).map(|(_, sql)| sql);
        for sql in sync.fields.iter().map(|field| &field.sql).chain(keys).chain(&sync.filter).chain(scope) {
            needs.extend(columns_of(sql).iter().flat_map(|column| self.column(column)));
        }
        needs
    }
}

/// The columns that an expression of ours names; it was bound before, so it parses.
fn columns_of(sql: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in parsed(&format!("select {sql}")) {
        let _ = visit_expressions(&statement, |expr| {
            match expr {
                Expr::Identifier(ident) => names.extend([ident.value.clone()]),
                Expr::CompoundIdentifier(parts) => names.extend(parts.last().map(|last| last.value.clone())),
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        });
    }
    names
}

fn tables_of(sql: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in parsed(sql) {
        let _ = visit_relations(&statement, |name| {
            names.extend(name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone()));
            ControlFlow::<()>::Continue(())
        });
    }
    names
}

fn parsed(sql: &str) -> Vec<Statement> {
    Parser::parse_sql(&GenericDialect {}, sql).unwrap_or_default()
}

fn entity(name: Option<&String>) -> Vec<(Kind, String)> {
    name.map(|name| (Kind::Entity, name.clone())).into_iter().collect()
}
