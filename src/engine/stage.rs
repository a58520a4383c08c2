//! Results of a run before they are published: Parquet files in a folder that goes with the run, found again by name.
//!
//! So a plan and a build are the same work up to the last step, and nothing that grows with the customers is held in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tempfile::TempDir;

use super::pass::{Making, PassExec};
use super::row_file::RowFile;
use super::timings::Timings;
use super::zipped::InOrder;
use crate::diag::{Failure, Result};
use crate::store::{DataFile, TableSpec, conform, failure_from, stored_schema, writer_properties};

/// What is done to make a result.
const COMPUTING: &str = "computing";

/// Bytes after which a file is full, so that readers may share the work and stores take it at once.
const FILE: usize = 256 << 20;
/// Rows of a row group.
const ROW_GROUP: usize = 65_536;

/// A folder of intermediate results.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    /// How many results there are: each has a folder of its own, so that one may be computed from another of its name.
    kept: AtomicUsize,
    /// The files of those that have been written.
    files: Mutex<BTreeMap<String, Vec<DataFile>>>,
    /// What each of them cost.
    pub timings: Timings,
}

impl Stage {
    /// An empty one, in the system's folder for temporary files.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("cohorte-").tempdir().map_err(|error| {
            Failure::world("W001", "making a folder for intermediate results", error)
                .help("set TMPDIR to a folder that may be written")
        })?;
        Ok(Self { folder, kept: AtomicUsize::new(0), files: Mutex::default(), timings: Timings::default() })
    }

    /// Runs a statement and keeps its result under a name; gives the number of rows.
    pub async fn keep(&self, session: &SessionContext, name: &str, sql: &str) -> Result<u64> {
        let doing = || format!("computing `{name}`");
        let frame = session.sql(sql).await.map_err(|error| failure_from(doing(), &error))?;
        self.keep_frame(session, name, frame).await
    }

    /// Runs a plan and keeps its result under a name; gives the number of rows.
    pub async fn keep_frame(&self, session: &SessionContext, name: &str, frame: DataFrame) -> Result<u64> {
        self.write(session, name, frame).await.map_err(|error| failure_from(format!("computing `{name}`"), &error))
    }

    /// Keeps the rows of streams of the same columns under a name.
    pub async fn keep_streams(
        &self,
        session: &SessionContext,
        name: &str,
        streams: Vec<SendableRecordBatchStream>,
    ) -> Result<()> {
        let kept = async {
            let folder = self.folder_of(name)?;
            let schema = streams.first().map_or_else(|| Arc::new(Schema::empty()), |stream| stream.schema());
            write_partitions(&folder, &schema, streams).await?;
            register(session, name, &folder, schema)
        };
        kept.await.map_err(|error| failure_from(format!("computing `{name}`"), &error))
    }

    /// The files of a result; none where it has none.
    #[must_use]
    pub fn files(&self, name: &str) -> Vec<DataFile> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_default()
    }

    /// Writes rows as the files of tables, each of which takes its columns of them.
    pub async fn prepare(
        &self,
        tables: &[&TableSpec],
        streams: Vec<SendableRecordBatchStream>,
    ) -> Result<Vec<Vec<DataFile>>> {
        let doing = || format!("writing the table `{}`", tables.first().map_or("", |table| &table.name));
        let written = async {
            let mut writers = tokio::task::JoinSet::new();
            let folders = tables.iter().map(|table| self.folder_of(&table.name)).collect::<EngineResult<Vec<_>>>()?;
            for (partition, stream) in streams.into_iter().enumerate() {
                let output = |(table, folder): (&&TableSpec, &PathBuf)| {
                    Output::new(folder, partition, writer_properties(table), Shape::of_table(table))
                };
                writers.spawn(write_partition(tables.iter().zip(&folders).map(output).collect(), stream));
            }
            let mut files = vec![Vec::new(); tables.len()];
            while let Some(done) = writers.join_next().await {
                let done = done.map_err(|error| DataFusionError::External(Box::new(error)))??;
                files.iter_mut().zip(done).for_each(|(files, done)| files.extend(done));
            }
            for files in &mut files {
                in_order(files);
            }
            Ok(files)
        };
        written.await.map_err(|error| failure_from(doing(), &error))
    }

    /// A result that has a row per customer of a roster, in its order.
    pub fn in_order(&self, name: &str, columns: SchemaRef) -> Result<InOrder> {
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
        let file = |file: DataFile| {
            let path = object_store::path::Path::from_absolute_path(&file.path).map_err(std::io::Error::other)?;
            let size = std::fs::metadata(&file.path)?.len();
            Ok(RowFile { store: Arc::clone(&store), path, size, rows: file.rows as usize })
        };
        let files: std::io::Result<Vec<RowFile>> = self.files(name).into_iter().map(file).collect();
        let files = files.map_err(|error| Failure::world("W001", format!("reading `{name}`"), error))?;
        Ok(InOrder::files(columns, files))
    }

    /// A new one.
    fn folder_of(&self, name: &str) -> EngineResult<PathBuf> {
        let place = self.kept.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.path().join(format!("{place}-{name}"));
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Runs a pass and keeps its result under a name; gives its rows, and how many of those that it has read belong to nobody.
    pub async fn keep_pass(&self, session: &SessionContext, name: &str, making: Making) -> Result<(u64, u64)> {
        let doing = format!("computing the features of `{}`", making.name);
        let what = if making.carries_on() { "carrying on" } else { COMPUTING };
        let kept = async {
            let plan = Arc::new(PassExec::made(session, making).await?);
            let rows = self.write_plan(session, (what, name), Arc::clone(&plan) as _, session.task_ctx()).await?;
            Ok((rows, plan.strays()))
        };
        kept.await.map_err(|error| failure_from(doing, &error))
    }

    async fn write(&self, session: &SessionContext, name: &str, frame: DataFrame) -> EngineResult<u64> {
        let task = Arc::new(frame.task_ctx());
        self.write_plan(session, (COMPUTING, name), frame.create_physical_plan().await?, task).await
    }

    async fn write_plan(
        &self,
        session: &SessionContext,
        (what, name): (&str, &str),
        plan: Arc<dyn ExecutionPlan>,
        task: Arc<TaskContext>,
    ) -> EngineResult<u64> {
        let started = Instant::now();
        let folder = self.folder_of(name)?;
        let schema = plan.schema();
        let partitions = 0..plan.properties().partitioning.partition_count();
        let streams = partitions.map(|partition| plan.execute(partition, Arc::clone(&task)));
        let files = write_partitions(&folder, &schema, streams.collect::<EngineResult<_>>()?).await?;
        let rows = files.iter().map(|file| file.rows).sum();
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), files);
        register(session, name, &folder, schema)?;
        self.timings.note(format!("{what} `{name}`"), started, Some(rows), Some(plan.as_ref()));
        Ok(rows)
    }

    /// Keeps rows that are in memory already.
    pub fn hold(
        &self,
        session: &SessionContext,
        name: &str,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
    ) -> Result<()> {
        let held = MemTable::try_new(schema, vec![batches]).and_then(|table| {
            session.deregister_table(quoted(name))?;
            session.register_table(quoted(name), Arc::new(table))
        });
        held.map(|_| ()).map_err(|error| failure_from(format!("computing `{name}`"), &error))
    }
}

/// The files of each stream that has rows.
async fn write_partitions(
    folder: &Path,
    schema: &SchemaRef,
    streams: Vec<SendableRecordBatchStream>,
) -> EngineResult<Vec<DataFile>> {
    let mut writers = tokio::task::JoinSet::new();
    for (partition, stream) in streams.into_iter().enumerate() {
        let output = Output::new(folder, partition, passing_properties(), Shape::AsItIs(Arc::clone(schema)));
        writers.spawn(write_partition(vec![output], stream));
    }
    let mut files = Vec::new();
    while let Some(done) = writers.join_next().await {
        files.extend(done.map_err(|error| DataFusionError::External(Box::new(error)))??.into_iter().flatten());
    }
    in_order(&mut files);
    Ok(files)
}

/// As their rows follow one another.
fn in_order(files: &mut [DataFile]) {
    files.sort_by(|left, right| left.path.cmp(&right.path));
}

/// Files that are written one after the other.
struct Output {
    folder: PathBuf,
    partition: usize,
    properties: WriterProperties,
    shape: Shape,
    /// The one that is open, and its rows.
    open: Option<(ArrowWriter<File>, DataFile)>,
    done: Vec<DataFile>,
}

impl Output {
    fn new(folder: &Path, partition: usize, properties: WriterProperties, shape: Shape) -> Self {
        Self { folder: folder.to_owned(), partition, properties, shape, open: None, done: Vec::new() }
    }

    fn write(&mut self, batch: &RecordBatch) -> EngineResult<()> {
        let (mut writer, mut file) = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        writer.write(&self.shape.of(batch)?)?;
        file.rows += batch.num_rows() as u64;
        self.open = Some((writer, file));
        let is_full = self.open.as_ref().is_some_and(|(writer, _)| writer.bytes_written() >= FILE);
        if is_full { self.close() } else { Ok(()) }
    }

    fn begin(&self) -> EngineResult<(ArrowWriter<File>, DataFile)> {
        let path = self.folder.join(format!("part-{:05}-{:05}.parquet", self.partition, self.done.len()));
        let (file, schema) = (File::create(&path)?, Arc::clone(self.shape.schema()));
        Ok((ArrowWriter::try_new(file, schema, Some(self.properties.clone()))?, DataFile { path, rows: 0 }))
    }

    fn close(&mut self) -> EngineResult<()> {
        if let Some((writer, file)) = self.open.take() {
            writer.close()?;
            self.done.push(file);
        }
        Ok(())
    }
}

/// The columns of a file.
enum Shape {
    /// Those of the rows.
    AsItIs(SchemaRef),
    /// Those of a table, as tables have them.
    Table(String, SchemaRef),
}

impl Shape {
    fn of_table(table: &TableSpec) -> Self {
        Self::Table(table.name.clone(), stored_schema(&table.schema))
    }

    fn schema(&self) -> &SchemaRef {
        let (Self::AsItIs(schema) | Self::Table(_, schema)) = self;
        schema
    }

    fn of(&self, batch: &RecordBatch) -> EngineResult<RecordBatch> {
        match self {
            Self::AsItIs(_) => Ok(batch.clone()),
            Self::Table(name, schema) => {
                conform(name, batch, schema).map_err(|failure| DataFusionError::External(Box::new(failure)))
            }
        }
    }
}

/// Written once and read once or twice: speed counts, size does not. A group of rows is in memory until it is whole.
fn passing_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_statistics_enabled(EnabledStatistics::None)
        .build()
}

/// Writes rows to every output; gives the files of each.
async fn write_partition(
    mut outputs: Vec<Output>,
    mut stream: SendableRecordBatchStream,
) -> EngineResult<Vec<Vec<DataFile>>> {
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        // Encoding is heavy work: it must not hold up the other streams of this thread.
        let write = move || -> EngineResult<_> {
            outputs.iter_mut().try_for_each(|output| output.write(&batch))?;
            Ok(outputs)
        };
        let written = tokio::task::spawn_blocking(write).await;
        outputs = written.map_err(|error| DataFusionError::External(Box::new(error)))??;
    }
    outputs.iter_mut().try_for_each(Output::close)?;
    Ok(outputs.into_iter().map(|output| output.done).collect())
}

fn register(session: &SessionContext, name: &str, folder: &Path, schema: SchemaRef) -> EngineResult<()> {
    let url = ListingTableUrl::parse(format!("{}/", folder.display()))?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let table = ListingTable::try_new(ListingTableConfig::new(url).with_listing_options(options).with_schema(schema))?;
    session.deregister_table(quoted(name))?;
    session.register_table(quoted(name), Arc::new(table))?;
    Ok(())
}

fn quoted(name: &str) -> datafusion::common::TableReference {
    datafusion::common::TableReference::bare(name.to_owned())
}
