//! What earlier runs left, read without the models: `runs`, `receipts`, `connector check` work while a model is being mended.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::TableReference;
use datafusion::prelude::SessionContext;
use indexmap::IndexMap;

use super::opened::{Read, read};
use super::request::{Request, Stopped};
use crate::compile::Clock;
use crate::diag::{Failure, Finding, Result, Severity};
use crate::engine::{Limits, session};
use crate::project::{self, Connection, Settings};
use crate::spec::Spec;
use crate::sql::ident;
use crate::store::{Published, Warehouse, failure_from};
use crate::text::Files;

/// A warehouse and an engine to read it; of the project only its settings are known to be in order.
pub struct Stored {
    /// The files.
    pub files: Files,
    /// What they say.
    pub spec: Spec,
    /// The settings.
    pub settings: Settings,
    /// The connections.
    pub connections: IndexMap<String, Connection>,
    /// The warehouse.
    pub warehouse: Warehouse,
    /// The engine.
    pub session: SessionContext,
    /// The time of the run.
    pub clock: Clock,
    /// The project's folder.
    pub folder: PathBuf,
    /// How long to wait for a run that holds the warehouse.
    pub wait: Option<Duration>,
}

/// Opens the warehouse of a project. What is wrong with its settings ends it; what is wrong with models is not looked at.
pub fn open_stored(request: &Request) -> Result<Stored, Stopped> {
    let Read { files, spec, mut findings } = read(request)?;
    let found = project::connections(&files, &spec, &mut findings);
    let in_settings = |finding: &Finding| {
        finding.severity == Severity::Error && finding.span.is_none_or(|span| span.file == spec.warehouse_span.file)
    };
    let faults: Vec<Finding> = findings.sorted().into_iter().filter(in_settings).collect();
    let (Some((settings, connections)), Some(file), true) = (found, &spec.warehouse, faults.is_empty()) else {
        return Err(Stopped::Findings(Box::new(files), faults));
    };
    let as_of = request.as_of.as_ref().map_or(request.now, |as_of| as_of(settings.timezone));
    let clock = Clock { as_of, timezone: settings.timezone };
    let session = session(Limits::of(project::memory(file), settings.threads), &clock)?;
    let warehouse = Warehouse::open(&settings.root, &request.project, &settings.schema)?;
    let (folder, wait) = (request.project.clone(), request.wait);
    Ok(Stored { files, spec, settings, connections, warehouse, session, clock, folder, wait })
}

impl Stored {
    /// The versions that readers see.
    pub async fn published(&self) -> Result<Published> {
        Published::load(&self.warehouse, &self.session).await
    }

    /// Names of the syncs as written.
    #[must_use]
    pub fn syncs(&self) -> Vec<&str> {
        self.spec.syncs.keys().map(String::as_str).collect()
    }

    /// Some columns of a remembered table as texts, newest first by its columns `by`; nothing where there is no such table.
    /// Columns that a table of another version lacks are null.
    pub(super) async fn newest(
        &self,
        table: &str,
        columns: &[&str],
        by: &str,
        filter: &str,
        limit: usize,
    ) -> Result<Vec<Vec<Option<String>>>> {
        let Some(provider) = self.warehouse.provider(table, None).await? else { return Ok(Vec::new()) };
        let schema = provider.schema();
        let text = |column: &&str| match schema.field_with_name(column) {
            Ok(_) => format!("cast({} as varchar)", ident(column)),
            Err(_) => "cast(null as varchar)".to_owned(),
        };
        let columns: Vec<String> =
            columns.iter().enumerate().map(|(index, column)| format!("{} as c_{index}", text(column))).collect();
        let sql =
            format!("select {} from {} where {filter} order by {by} limit {limit}", columns.join(", "), ident(table));
        let doing = format!("reading the table `{table}`");
        let read = async {
            self.session.deregister_table(TableReference::bare(table.to_owned()))?;
            self.session.register_table(TableReference::bare(table.to_owned()), provider)?;
            self.session.sql(&sql).await?.collect().await
        };
        rows_of(&doing, &read.await.map_err(|error| failure_from(&doing, &error))?)
    }
}

/// Rows as texts: only for few of them.
pub(super) fn rows_of(doing: &str, batches: &[RecordBatch]) -> Result<Vec<Vec<Option<String>>>> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: std::result::Result<Vec<_>, _> =
            batch.columns().iter().map(|column| cast(column, &DataType::Utf8View)).collect();
        let columns = columns.map_err(|error| Failure::world("W001", doing, error))?;
        for row in 0..batch.num_rows() {
            let cell =
                |column: &Arc<dyn Array>| column.is_valid(row).then(|| column.as_string_view().value(row).to_owned());
            rows.push(columns.iter().map(cell).collect());
        }
    }
    Ok(rows)
}
