//! Compile: the SQL of models, to be read. Nothing is run.

use super::opened::Opened;
use crate::compile::{Part, consents, customer, golden, identity, passes, readable, resolved, sources, syncs};
use crate::diag::Result;
use crate::project::{Entity, Graph, Kind, Project, Sync, sql_type};
use crate::spec::Pick;
use crate::sql::{DataType, ident};

/// A model's statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// What each statement gives, and the statement.
    pub statements: Vec<(String, String)>,
}

/// The SQL of the selected models, in the order in which a project is built; of all where nothing is selected.
pub fn compile(opened: &Opened, selectors: &[String]) -> Result<Vec<Compiled>> {
    let graph = Graph::new(&opened.spec, &opened.project);
    let selected = graph.select(selectors.iter().map(String::as_str))?;
    let models = selected.into_iter().filter_map(|index| graph.get(index));
    let compiled = models.map(|model| Compiled {
        kind: model.kind,
        name: model.name.clone(),
        description: model.description.clone(),
        statements: statements(opened, model.kind, &model.name)
            .into_iter()
            .map(|(what, sql)| (what, sql.trim().to_owned()))
            .collect(),
    });
    Ok(compiled.collect())
}

fn statements(opened: &Opened, kind: Kind, name: &str) -> Vec<(String, String)> {
    let (project, clock) = (&opened.project, &opened.clock);
    let one = |what: &str, sql: Option<String>| sql.map(|sql| (what.to_owned(), sql)).into_iter().collect::<Vec<_>>();
    match kind {
        Kind::Source => {
            let Some(source) = project.sources.get(name) else { return Vec::new() };
            let mut all = one("its rows", Some(sources::relation(source)));
            let devices = resolved::devices(project, source, resolved::Finding::Joins);
            all.extend(
                devices.into_iter().map(|(table, sql)| (format!("{table}: whose the rows of shared devices are"), sql)),
            );
            all.extend(one(
                &format!("{name}_resolved: its rows with their customers"),
                resolved::relation(project, source, resolved::Finding::Joins),
            ));
            all
        }
        Kind::Event => one("its rows", event(project, name)),
        Kind::Entity => project.entities.get(name).map(|entity| of_entity(opened, entity)).unwrap_or_default(),
        Kind::Consent => {
            let mut alone = Project::clone(project);
            alone.consents.retain(|other, _| other == name);
            one("its events", consents::events(&alone))
        }
        Kind::Purpose => {
            one("the state of every contact point, for all purposes", Some(consents::state(project, clock)))
        }
        Kind::Trait => {
            one("its values", project.traits.get(name).and_then(|one| readable::of_trait(project, clock, one)))
        }
        Kind::Score => {
            one("its values", project.scores.get(name).and_then(|score| readable::of_score(project, clock, score)))
        }
        Kind::Segment => one(
            "its members",
            project.segments.get(name).and_then(|segment| readable::of_segment(project, clock, segment)),
        ),
        Kind::Sync => {
            let Some(sync) = project.syncs.get(name) else { return Vec::new() };
            let mut all = one(
                "_sync_rows: what each customer's row would be, and whether the gate withholds it",
                Some(syncs::rows(project, sync)),
            );
            // Every destination that is built in may be told twice.
            let due =
                syncs::due(project, sync, clock.micros(), true, |name| column_type(project, sync, name).to_owned());
            all.extend(one("what is due: _sync_rows against _sync_state, what was delivered; _open are those that are not there as they should be", Some(due)));
            all
        }
    }
}

/// The SQL type of a sent column.
fn column_type(project: &Project, sync: &Sync, name: &str) -> &'static str {
    let field = sync.fields.iter().find(|field| field.name == name).map(|field| field.data_type);
    let own = || {
        let sql = sync.keys.iter().flat_map(|key| &key.columns).find(|(column, _)| column == name).map(|(_, sql)| sql);
        let is = |column: &str| sql.is_some_and(|sql| *sql == ident(column));
        let attribute =
            project.entities.get(&sync.entity)?.attributes.values().find(|one| is(&one.name)).map(|one| one.data_type);
        attribute.or_else(|| project.traits.values().find(|one| is(&one.name)).map(|one| one.data_type))
    };
    sql_type(field.or_else(own).unwrap_or(DataType::Text))
}

/// The rows of an event: those of its sources, or those of one source that its filter lets pass.
pub(super) fn event(project: &Project, name: &str) -> Option<String> {
    let fact = project.facts.get(name)?;
    let entity = project.entities.values().next()?;
    if !fact.parts.is_empty() {
        return Some(passes::event_rows(project, fact, entity));
    }
    let source = fact.sources.first()?;
    let filter = fact.filter.as_ref().map(|filter| format!("\nwhere {filter}")).unwrap_or_default();
    Some(format!("select *\nfrom {} as e{filter}", ident(&format!("{source}_resolved"))))
}

fn of_entity(opened: &Opened, entity: &Entity) -> Vec<(String, String)> {
    let project = &opened.project;
    let mut all = Vec::new();
    for source in &entity.sources {
        let nodes = project.sources.get(&source.source).and_then(|from| identity::nodes(entity, from, source));
        all.extend(nodes.map(|sql| (format!("what identity reads of {}", source.source), sql)));
    }
    all.extend(
        golden::relation(project, entity).map(|sql| (format!("{}_golden: the golden record", entity.name), sql)),
    );
    for attribute in entity.attributes.values().filter(|attribute| attribute.pick == Pick::MostFrequent) {
        let what = format!("{}_golden_{}: its most frequent value", entity.name, attribute.name);
        all.push((what, golden::most_frequent(project, entity, attribute)));
    }
    all.push((format!("{}_base: what identity knows of each", entity.name), customer::base(entity)));
    let passes = passes::passes(project, entity, &opened.clock, &Part::default());
    for pass in &passes {
        all.push((format!("{}: the features of {}", customer::pass_table(pass), pass.name), pass.readable.clone()));
    }
    all.push((
        format!("{}_wide: every trait, score and segment", entity.name),
        customer::wide(project, entity, &passes, &Part::default()),
    ));
    all
}
