//! One version of one Delta table, for reading.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use deltalake::DeltaTable;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake::kernel::{EagerSnapshot, LogicalFileView};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use super::failures::{failure_from, reading};
use super::write::OF_RUN;
use crate::diag::Result;

/// A file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name in the table's folder.
    pub path: Path,
    /// The same as the log has it.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its rows.
    pub rows: usize,
}

/// One version of a table. Holds the list of its files: some hundred bytes each.
#[derive(Clone)]
pub struct StoredTable {
    path: String,
    table: DeltaTable,
}

impl StoredTable {
    pub(crate) fn new(path: &str, table: DeltaTable) -> Self {
        Self { path: path.to_owned(), table }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.table.version().unwrap_or_default()
    }

    /// The id that the table got when it was made: another table at the same place has another.
    pub fn id(&self) -> Result<String> {
        Ok(self.snapshot()?.metadata().id().to_owned())
    }

    /// What its maker says that it is.
    pub fn description(&self) -> Result<Option<String>> {
        Ok(self.snapshot()?.metadata().description().map(str::to_owned))
    }

    /// What a query scans.
    pub fn provider(&self) -> Result<Arc<dyn TableProvider>> {
        let scan = self.scan()?;
        Ok(Arc::new(VersionScan { scan, table: self.table.clone() }))
    }

    /// The same of some of its files, by their names.
    pub fn provider_of(&self, files: impl Iterator<Item = String>) -> Result<Arc<dyn TableProvider>> {
        let scan = self.scan()?.with_file_paths(files);
        Ok(Arc::new(VersionScan { scan, table: self.table.clone() }))
    }

    fn scan(&self) -> Result<DeltaScanNext> {
        let config = DeltaScanConfig::new().with_wrap_partition_values(false);
        DeltaScanNext::new(self.snapshot()?.clone(), config)
            .map_err(|error| failure_from(format!("reading the table `{}`", self.path), &error))
    }

    /// The columns, as [`Self::provider`] gives them.
    pub fn schema(&self) -> Result<SchemaRef> {
        Ok(self.provider()?.schema())
    }

    /// Where its files are, and their names there with the bytes and rows of each, in the order of their names.
    pub fn data_files(&self) -> Result<(Arc<dyn ObjectStore>, Vec<StoredFile>)> {
        let log = self.snapshot()?.log_data();
        let file = |file: LogicalFileView| StoredFile {
            path: file.object_store_path(),
            name: file.path().to_string(),
            size: u64::try_from(file.size()).unwrap_or_default(),
            rows: file.num_records().unwrap_or_default(),
        };
        let mut files: Vec<_> = log.iter().map(file).collect();
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok((self.table.log_store().object_store(None), files))
    }

    /// Number of data files.
    pub fn files(&self) -> Result<usize> {
        Ok(self.snapshot()?.log_data().num_files())
    }

    /// Number of rows, from the log; `None` where a file does not tell (another program wrote it).
    pub fn rows(&self) -> Result<Option<u64>> {
        let log = self.snapshot()?.log_data();
        Ok(log.iter().map(|file| file.num_records().map(|rows| rows as u64)).sum())
    }

    /// The columns whose values name the folders of the files.
    pub fn partition_columns(&self) -> Result<Vec<String>> {
        Ok(self.snapshot()?.metadata().partition_columns().to_vec())
    }

    /// Has a write with this application transaction been committed?
    pub async fn has_transaction(&self, id: &str) -> Result<bool> {
        let snapshot = self.table.snapshot().map_err(|error| reading(&self.path, &error))?;
        let version = snapshot.transaction_version(self.table.log_store().as_ref(), id).await;
        Ok(version.map_err(|error| reading(&self.path, &error))?.is_some())
    }

    /// How many of the latest `commits` were not made by a run of cohorte's.
    pub async fn commits_of_others(&self, commits: usize) -> Result<usize> {
        let history: Vec<_> =
            self.table.history(Some(commits)).try_collect().await.map_err(|error| reading(&self.path, &error))?;
        Ok(history.iter().filter(|commit| !commit.info.contains_key(OF_RUN)).count())
    }

    /// At its latest version: what was committed since is read, and no more.
    pub(crate) async fn renewed(mut self) -> Result<Self> {
        self.table.update_state().await.map_err(|error| reading(&self.path, &error))?;
        Ok(self)
    }

    pub(crate) fn snapshot(&self) -> Result<&EagerSnapshot> {
        Ok(self.table.snapshot().map_err(|error| reading(&self.path, &error))?.snapshot())
    }

    pub(crate) fn delta(&self) -> &DeltaTable {
        &self.table
    }
}

/// Scans one version, and first tells the session how to reach its files.
#[derive(Debug)]
struct VersionScan {
    scan: DeltaScanNext,
    table: DeltaTable,
}

#[async_trait]
impl TableProvider for VersionScan {
    fn schema(&self) -> SchemaRef {
        self.scan.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        self.table.update_datafusion_session(session)?;
        self.scan.scan(session, projection, filters, limit).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        self.scan.supports_filters_pushdown(filters)
    }
}
