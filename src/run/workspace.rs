//! Where a run works: the opened project, what was published before, and a stage for what is computed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::physical_plan::collect;

use super::opened::Opened;
use crate::compile;
use crate::diag::Result;
use crate::engine::{Stage, fork};
use crate::store::{Published, TableSpec, failure_from};

/// A run's working place.
pub struct Workspace {
    /// The project and its engine.
    pub opened: Opened,
    /// Intermediate results.
    pub stage: Arc<Stage>,
    /// What readers see until this run publishes.
    pub published: Published,
    /// The run's id.
    pub run_id: String,
}

impl Workspace {
    /// Makes every source readable under its name.
    pub async fn new(opened: Opened) -> Result<Self> {
        Self::of_run(opened, new_run_id()).await
    }

    /// The same, for a run that has a name already.
    pub(super) async fn of_run(opened: Opened, run_id: String) -> Result<Self> {
        let published = Published::load(&opened.warehouse, &opened.session).await?;
        let workspace = Self { opened, stage: Arc::new(Stage::new()?), published, run_id };
        for source in workspace.opened.project.sources.values() {
            workspace.view(&source.name, &compile::sources::relation(source)).await?;
        }
        Ok(workspace)
    }

    /// The same place for work that goes on at the same time: what either makes readable, the other does not see.
    pub async fn apart(&self) -> Result<Self> {
        let opened = Opened { session: fork(&self.opened.session).await?, ..self.opened.clone() };
        let stage = Arc::clone(&self.stage);
        Ok(Self { opened, stage, published: self.published.clone(), run_id: self.run_id.clone() })
    }

    /// Gives a statement a name that others can read from.
    pub async fn view(&self, name: &str, sql: &str) -> Result<()> {
        let session = &self.opened.session;
        let made = async {
            let view = session.sql(sql).await?.into_view();
            session.deregister_table(TableReference::bare(name.to_owned()))?;
            session.register_table(TableReference::bare(name.to_owned()), view)
        };
        made.await.map(|_| ()).map_err(|error| failure_from(format!("reading `{name}`"), &error))
    }

    /// Makes a published table readable under a name; an empty one where nothing was published. Says whether it was.
    pub async fn before(&self, spec: &TableSpec, name: &str) -> Result<bool> {
        if self.published_as(&spec.name, name).await? {
            return Ok(true);
        }
        let empty = MemTable::try_new(Arc::clone(&spec.schema), vec![vec![]]);
        let empty = empty.map_err(|error| failure_from(format!("reading the table `{}`", spec.name), &error))?;
        self.register(name, Arc::new(empty)).map(|()| false)
    }

    /// Makes a published table readable under a name, with the columns that it has. Says whether there is one.
    pub async fn published_as(&self, table: &str, name: &str) -> Result<bool> {
        let Some(provider) = self.published.provider(&self.opened.warehouse, table).await? else { return Ok(false) };
        self.register(name, provider).map(|()| true)
    }

    /// Gives a table a name.
    pub fn register(&self, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        let session = &self.opened.session;
        let reference = TableReference::bare(name.to_owned());
        let made =
            session.deregister_table(reference.clone()).and_then(|_| session.register_table(reference, provider));
        made.map(|_| ()).map_err(|error| failure_from(format!("reading the table `{name}`"), &error))
    }

    /// Makes a source be read from here.
    pub fn read_from(&self, source: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        let session = &self.opened.session;
        let reference = TableReference::partial("raw", source.to_owned());
        let made =
            session.deregister_table(reference.clone()).and_then(|_| session.register_table(reference, provider));
        made.map(|_| ()).map_err(|error| failure_from(format!("reading the source `{source}`"), &error))
    }

    /// Gives what is readable under a name another name.
    pub async fn rename(&self, name: &str, other: &str) -> Result<()> {
        let session = &self.opened.session;
        let renamed = async {
            let provider = session.table_provider(TableReference::bare(name.to_owned())).await?;
            session.deregister_table(TableReference::bare(other.to_owned()))?;
            session.deregister_table(TableReference::bare(name.to_owned()))?;
            session.register_table(TableReference::bare(other.to_owned()), provider)
        };
        renamed.await.map(|_| ()).map_err(|error| failure_from(format!("reading `{name}`"), &error))
    }

    /// The rows of a statement, all at once: only for what does not grow with the customers.
    pub async fn collect(&self, doing: &str, sql: &str) -> Result<Vec<RecordBatch>> {
        let started = Instant::now();
        let run = async {
            let frame = self.opened.session.sql(sql).await?;
            let context = Arc::new(frame.task_ctx());
            let plan = frame.create_physical_plan().await?;
            let batches = collect(Arc::clone(&plan), context).await?;
            self.stage.timings.note(doing, started, None, Some(plan.as_ref()));
            Ok(batches)
        };
        run.await.map_err(|error| failure_from(doing, &error))
    }

    /// The plan that reads a name.
    pub async fn plan(&self, name: &str) -> Result<datafusion::logical_expr::LogicalPlan> {
        let run = async {
            let provider = self.opened.session.table_provider(TableReference::bare(name.to_owned())).await?;
            datafusion::logical_expr::LogicalPlanBuilder::scan(name, provider_as_source(provider), None)?.build()
        };
        run.await.map_err(|error| failure_from(format!("reading `{name}`"), &error))
    }

    /// The schema of a name.
    pub async fn schema(&self, name: &str) -> Result<Arc<Schema>> {
        let provider = self.opened.session.table_provider(TableReference::bare(name.to_owned())).await;
        provider.map(|provider| provider.schema()).map_err(|error| failure_from(format!("reading `{name}`"), &error))
    }

    /// Fingerprints of the sources that have changed since what is published.
    #[must_use]
    pub fn changed_inputs(&self) -> Vec<&str> {
        let before: &BTreeMap<String, String> = &self.published.inputs;
        self.opened
            .inputs
            .iter()
            .filter(|(name, fingerprint)| before.get(*name) != Some(fingerprint))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// A name for a run that no other has.
pub(super) fn new_run_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
