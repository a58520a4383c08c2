//! Results that outlive their run: what would be computed of the same rows, in the same way, as it was before, is read instead.
//!
//! A result is a table like any other, with a *basis*: a hash of all that decides its rows. Of a source that is its data, how it is
//! read, and when the first of its rows happens that has not happened yet; of a relation, its statement, the sources that it reads
//! and those that they belong to, and whose their rows are. A statement that asks what time it is has the moment in its basis, too.

mod made;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use datafusion::arrow::buffer::BooleanBuffer;
use tokio::sync::OnceCell;

use self::made::{IsMade, Made};
use super::basis::{Basis, closure};
use super::carried::{Carried, Remembered};
use super::expectations::Checked;
use super::identity;
use super::moves::Moves;
use super::steps::{self, Ended, Step};
use super::tuples;
use super::workspace::Workspace;
use crate::compile::passes::Pass;
use crate::compile::{self, asks_the_clock, resolved};
use crate::diag::{Failure, Finding, Result};
use crate::engine::lookup::{self, Whose};
use crate::engine::pass::Making;
use crate::engine::resolve::KnownTuples;
use crate::engine::{InOrder, Roster, RowFile};
use crate::project::{Consent, Entity, Project};
use crate::spec::Role;
use crate::sql::ident;
use crate::store::{StoredFile, StoredTable, tables};

/// What such a table is, for its readers.
pub(super) const DESCRIPTION: &str =
    "What a run keeps for those after it: one row per customer with what was computed of its rows";

/// The results of a run, and those of the published one.
pub(super) struct Results<'a> {
    pub(super) workspace: &'a Workspace,
    before: BTreeMap<String, Step>,
    /// May what is there be read?
    reads: bool,
    /// The basis of each source.
    sources: BTreeMap<String, String>,
    /// Of each entity: the basis of its identity, and the run that resolved it. Ids are a matter of history: the same rows may
    /// have others by now.
    identities: BTreeMap<String, String>,
    /// When the first row of each source happens that has not happened yet.
    next_at: BTreeMap<String, Option<i64>>,
    /// Where it is written whose rows are, by entity.
    whose: BTreeMap<String, Whose>,
    /// Who has moved, by entity that this run has resolved.
    moves: OnceCell<BTreeMap<String, Moves>>,
    rosters: OnceCell<BTreeMap<String, Arc<Roster>>>,
    /// The basis of the events of consent.
    consents: OnceLock<String>,
    /// The (entity, source) that have rows of shared devices, once every source is readable with its customers.
    resolved: OnceCell<BTreeSet<(String, String)>>,
    made: Mutex<Vec<Made>>,
    /// What is to be told of it, each once.
    said: Mutex<Vec<Finding>>,
}

impl<'a> Results<'a> {
    /// Those of a run that has checked its sources.
    pub(super) async fn of(workspace: &'a Workspace, checked: &Checked, reads: bool) -> Result<Self> {
        let sources = checked.sources.iter().map(|(name, looked)| (name.clone(), looked.basis()));
        let next_at = checked.sources.iter().map(|(name, looked)| (name.clone(), looked.next_at));
        Ok(Self {
            workspace,
            before: steps::last(workspace).await?,
            reads,
            sources: sources.collect(),
            identities: BTreeMap::new(),
            next_at: next_at.collect(),
            whose: BTreeMap::new(),
            moves: OnceCell::new(),
            rosters: OnceCell::new(),
            consents: OnceLock::new(),
            resolved: OnceCell::new(),
            made: Mutex::default(),
            said: Mutex::default(),
        })
    }

    /// Is the identity of an entity, as it is published, what these rows would give again?
    pub(super) fn has_identity(&self, entity: &Entity) -> bool {
        let published = &self.workspace.published;
        let are_there = || {
            let tables = tables::entity_tables(&entity.name).into_iter().map(|table| table.name);
            tables.chain([entity.name.clone()]).all(|table| published.version(&table).is_some())
        };
        let before = self.identity_before(entity);
        self.reads && before.rsplit_once('@').is_some_and(|(basis, _)| basis == self.identity(entity)) && are_there()
    }

    /// Identity stays as it is published.
    pub(super) fn keep_identity(&mut self, entity: &Entity, whose: Whose) {
        self.identities.insert(entity.name.clone(), self.identity_before(entity));
        self.whose.insert(entity.name.clone(), whose);
    }

    /// This run has resolved an entity.
    pub(super) fn new_identity(&mut self, entity: &Entity, whose: Whose) {
        let identity = format!("{}@{}", self.identity(entity), self.workspace.run_id);
        self.identities.insert(entity.name.clone(), identity);
        self.whose.insert(entity.name.clone(), whose);
    }

    fn identity_before(&self, entity: &Entity) -> String {
        self.before.get(&steps::of_identity(&entity.name)).map(|step| step.fingerprint.clone()).unwrap_or_default()
    }

    /// The tuples that the link sources of an entity had when it was resolved for what is published.
    pub(super) async fn known_tuples(&self, entity: &Entity) -> Result<BTreeMap<String, KnownTuples>> {
        let step = self.before.get(&steps::of_states(&steps::of_identity(&entity.name)));
        match step.filter(|_| self.reads) {
            Some(step) => tuples::Resolved::read(&step.fingerprint).known(self, entity).await,
            None => Ok(BTreeMap::new()),
        }
    }

    /// Is the identity of an entity that of an earlier run?
    pub(super) fn is_identity_kept(&self, entity: &Entity) -> bool {
        self.identities.get(&entity.name).is_some_and(|identity| !identity.ends_with(&self.workspace.run_id))
    }

    /// What the next run must know of identity and of consents, as steps.
    pub(super) fn steps(&self) -> Vec<Step> {
        let identities =
            self.identities.iter().map(|(entity, identity)| (steps::of_identity(entity), identity.clone()));
        let consents = self.consents.get().map(|basis| (steps::CONSENT_EVENTS.to_owned(), basis.clone()));
        let new = self.workspace.opened.project.entities.values().filter(|entity| {
            self.identities.get(&entity.name).is_some_and(|identity| identity.ends_with(&self.workspace.run_id))
        });
        let tuples = new.map(|entity| {
            let model = steps::of_states(&steps::of_identity(&entity.name));
            (model, tuples::Resolved::of(self, entity).text())
        });
        let step = |(model, fingerprint): (String, String)| Step { fingerprint, ..Step::new(model, Ended::Done) };
        identities.chain(consents).chain(tuples).map(step).collect()
    }

    /// The basis of an entity's identity.
    fn identity(&self, entity: &Entity) -> String {
        let project = &self.workspace.opened.project;
        let mut basis = Basis::new();
        basis.add(&format!("{} {:?} {:?}", entity.name, entity.identifiers, entity.never_across));
        for identity in entity.sources.iter().filter(|identity| identity.role != Role::Attach) {
            let statement = project.sources.get(&identity.source);
            let statement = statement.and_then(|source| compile::identity::nodes(entity, source, identity));
            basis.add(&format!("{} {:?}", identity.source, identity.role));
            basis.add(self.sources.get(&identity.source).map_or("", String::as_str));
            self.add_statement(&mut basis, &statement.unwrap_or_default());
        }
        basis.finish()
    }

    /// The basis of what statements make of sources' rows; none where one of the sources was not looked at.
    fn basis(&self, sources: &[String], statements: &[String]) -> Option<String> {
        let project = &self.workspace.opened.project;
        let mut basis = Basis::new();
        for name in closure(project, sources) {
            let source = project.sources.get(name)?;
            basis.add(name);
            basis.add(self.sources.get(name)?);
            let relation = resolved::relation(project, source, resolved::Finding::Joins);
            let devices = resolved::devices(project, source, resolved::Finding::Joins);
            for statement in devices.into_iter().map(|(_, sql)| sql).chain(relation) {
                self.add_statement(&mut basis, &statement);
            }
        }
        for identity in self.identities.values() {
            basis.add(identity);
        }
        for statement in statements {
            self.add_statement(&mut basis, statement);
        }
        Some(basis.finish())
    }

    fn add_statement(&self, basis: &mut Basis, statement: &str) {
        basis.add(statement);
        if asks_the_clock(statement) {
            basis.add(&self.workspace.opened.clock.micros().to_string());
        }
    }

    /// Makes the result of a statement readable under its name, by reading or by making it.
    pub(super) async fn keep(&self, name: &str, sources: &[String], sql: &str) -> Result<()> {
        let basis = self.basis(sources, &[sql.to_owned()]);
        if self.found(name, basis.as_ref()).await {
            return Ok(());
        }
        self.resolve_sources().await?;
        let rows = self.workspace.stage.keep(&self.workspace.opened.session, name, sql).await?;
        self.note(name, basis, rows, IsMade::Now(None));
        Ok(())
    }

    /// The same of a pass.
    pub(super) async fn keep_pass(&self, name: &str, pass: &Pass, entity: &Entity) -> Result<InOrder> {
        let Workspace { opened, published, .. } = self.workspace;
        // Consents are no rows of a source.
        let is_of_sources = !pass.sources.is_empty();
        let statements = [pass.input.clone(), serde_json::to_string(&pass.spec).unwrap_or_default()];
        let basis = if is_of_sources { self.basis(&pass.sources, &statements) } else { None };
        if self.found(name, basis.as_ref()).await {
            let table = opened.warehouse.table(name, published.version(name)).await?;
            if let Some(table) = table {
                return Ok(InOrder::files(table.schema()?, row_files(&table)?));
            }
        }
        if is_of_sources {
            self.resolve_sources().await?;
        }
        // Statements speak of places.
        let roster = self.roster(entity).await?;
        let mut now = basis.as_ref().and_then(|_| Remembered::of(self, pass, entity));
        let carried = match (self.remembered(name), &now) {
            (Some(before), Some(now)) => Carried::of(self, name, (pass, entity), &before, now).await?,
            _ => None,
        };
        let carried = match carried {
            Some(carried) => carried,
            None => Carried::nothing(self.workspace, pass).await?,
        };
        let making = Making {
            name: pass.name.clone(),
            spec: pass.spec.clone(),
            roster,
            id: entity.id(),
            lanes: carried.lanes,
            remembers: now.is_some(),
            afresh: carried.afresh,
        };
        let (rows, strays) = self.workspace.stage.keep_pass(&opened.session, name, making).await?;
        if let Some(now) = &mut now {
            now.strays = carried.strays + strays;
        }
        self.note(name, basis, rows, IsMade::Now(now));
        self.workspace.stage.in_order(name, self.workspace.schema(name).await?)
    }

    /// Of what the states of a published table are.
    fn remembered(&self, name: &str) -> Option<Remembered> {
        let step = self.before.get(&steps::of_states(name)).filter(|_| self.reads)?;
        Remembered::read(&step.fingerprint)
    }

    /// The identity of an entity in this run.
    pub(super) fn identity_of(&self, entity: &Entity) -> Option<String> {
        self.identities.get(&entity.name).cloned()
    }

    /// Is the identity of an entity that which this one was made into, or it itself?
    pub(super) fn follows(&self, entity: &Entity, identity: &str) -> bool {
        self.identity_before(entity) == identity
    }

    /// When the first row of a source happens that has not happened yet.
    pub(super) fn next_at(&self, source: &str) -> Option<i64> {
        self.next_at.get(source).copied().flatten()
    }

    /// Whose rows of these sources are not those that they were, by place; none where it is nobody.
    /// `strays`: did any of them belong to nobody?
    pub(super) async fn afresh(
        &self,
        entity: &Entity,
        sources: &BTreeSet<&str>,
        strays: bool,
    ) -> Result<Option<BooleanBuffer>> {
        let moves = self.moves.get_or_try_init(|| async {
            let mut all = BTreeMap::new();
            for (name, whose) in &self.whose {
                let Some(entity) = self.workspace.opened.project.entities.get(name) else { continue };
                if let Whose::Resolved(finder) = whose {
                    all.insert(name.clone(), Moves::of(self.workspace, entity, finder).await?);
                }
            }
            Ok::<_, Failure>(all)
        });
        Ok(moves.await?.get(&entity.name).and_then(|moves| moves.afresh(entity, sources, strays)))
    }

    /// The customers of an entity.
    pub(super) async fn roster(&self, entity: &Entity) -> Result<Arc<Roster>> {
        Ok(self.rosters().await?.get(&entity.name).cloned().unwrap_or_default())
    }

    /// Does one published table say what another is made of, as it is?
    pub(super) fn fits(&self, table: &str, other: &str) -> bool {
        let fingerprint = |table| self.before.get(&steps::of_table(table)).map(|step| &step.fingerprint);
        fingerprint(table).is_some_and(|one| !one.is_empty() && fingerprint(other) == Some(one))
    }

    async fn rosters(&self) -> Result<&BTreeMap<String, Arc<Roster>>> {
        let opened = &self.workspace.opened;
        self.rosters.get_or_try_init(|| lookup::rosters(&opened.session, &opened.project, &self.whose)).await
    }

    /// Makes a published result with this basis readable, where there is one. One that cannot be opened is made again.
    async fn found(&self, name: &str, basis: Option<&String>) -> bool {
        let step = self.before.get(&steps::of_table(name));
        let step = step.filter(|step| self.reads && basis.is_some_and(|basis| step.fingerprint == *basis));
        let Some(rows) = step.and_then(|step| step.rows) else { return false };
        let is_there = matches!(self.workspace.published_as(name, name).await, Ok(true));
        if is_there {
            self.note(name, basis.cloned(), rows, IsMade::Before);
        }
        is_there
    }

    /// Makes every source readable with its customers, once somebody wants to read one.
    pub(super) async fn resolve_sources(&self) -> Result<()> {
        self.shared().await.map(|_| ())
    }

    /// The same; gives the (entity, source) that have rows of shared devices.
    pub(super) async fn shared(&self) -> Result<&BTreeSet<(String, String)>> {
        let rosters = self.rosters().await?;
        self.resolved.get_or_try_init(|| identity::look_sources_up(self.workspace, &self.whose, rosters)).await
    }

    /// Are the events of consent that a statement gives in the ledger already, all of them?
    pub(super) fn has_consent_events(&self, project: &Project, events: &str) -> bool {
        let sources: Vec<String> = project.consents.values().map(|consent| consent.source.clone()).collect();
        let is_timely = |consent: &Consent| {
            project
                .sources
                .get(&consent.source)
                .and_then(|source| source.time.as_ref())
                .is_some_and(|time| ident(time) == consent.at)
        };
        // When the next of them happens is only known of a source's own time.
        let now = if project.consents.values().all(is_timely) { 0 } else { self.workspace.opened.clock.micros() };
        let Some(basis) = self.basis(&sources, &[events.to_owned(), now.to_string()]) else { return false };
        let before = self.before.get(steps::CONSENT_EVENTS).map_or("", |step| step.fingerprint.as_str());
        let is_found = self.reads && before == basis;
        let _ = self.consents.set(basis);
        is_found
    }

    /// Notes what is to be told.
    pub(super) fn say(&self, finding: Finding) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.contains(&finding) {
            said.push(finding);
        }
    }

    /// What was noted.
    pub(super) fn said(&self) -> Vec<Finding> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn row_files(table: &StoredTable) -> Result<Vec<RowFile>> {
    let (store, files) = table.data_files()?;
    let file = |StoredFile { path, size, rows, .. }| RowFile { store: Arc::clone(&store), path, size, rows };
    Ok(files.into_iter().map(file).collect())
}
