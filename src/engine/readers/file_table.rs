//! Text files (and numbered Parquet rows) as a table: each partition of a scan reads its share of the files on a thread that
//! may block. Holds two batches per partition.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use super::files::SourceFile;
use super::layout::{Layout, More};
use super::{Format, ReaderSpec, csv, ndjson, parquet_rows};
use crate::diag::Result;

/// What is read, and how.
#[derive(Debug)]
enum How {
    Csv(Option<u8>, Layout),
    Ndjson(Layout),
    Parquet(String),
}

/// The files of a source.
pub(super) struct FileTable {
    how: Arc<How>,
    schema: SchemaRef,
    files: Vec<SourceFile>,
}

impl FileTable {
    pub(super) fn new(spec: &ReaderSpec, layout: Layout, files: Vec<SourceFile>) -> Self {
        let schema = layout.schema();
        let how = match spec.format {
            Format::Csv => How::Csv(spec.delimiter, layout),
            _ => How::Ndjson(layout),
        };
        Self { how: Arc::new(how), schema, files }
    }

    /// Parquet files whose rows are numbered: `schema` ends with `_row`.
    pub(super) fn numbered_parquet(spec: &ReaderSpec, schema: SchemaRef, files: Vec<SourceFile>) -> Self {
        Self { how: Arc::new(How::Parquet(spec.name.clone())), schema, files }
    }
}

impl fmt::Debug for FileTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FileTable of {} files", self.files.len())
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let wanted = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&wanted)?);
        let count = session.config().target_partitions().clamp(1, self.files.len().max(1));
        let mut shares: Vec<Vec<SourceFile>> = vec![Vec::new(); count];
        for (index, file) in self.files.iter().enumerate() {
            shares[index % count].push(file.clone());
        }
        let partitions = shares
            .into_iter()
            .map(|files| {
                let share = Share {
                    how: Arc::clone(&self.how),
                    full: Arc::clone(&self.schema),
                    schema: Arc::clone(&schema),
                    wanted: wanted.clone(),
                    files,
                    limit,
                };
                Arc::new(share) as Arc<dyn PartitionStream>
            })
            .collect();
        Ok(Arc::new(StreamingTableExec::try_new(schema, partitions, None, [], false, limit)?))
    }
}

/// The files of one partition.
#[derive(Debug, Clone)]
struct Share {
    how: Arc<How>,
    full: SchemaRef,
    schema: SchemaRef,
    wanted: Vec<usize>,
    files: Vec<SourceFile>,
    limit: Option<usize>,
}

impl Share {
    fn read(&self, emit: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
        for file in &self.files {
            let schema = Arc::clone(&self.schema);
            let more = match self.how.as_ref() {
                How::Csv(delimiter, layout) => csv::read(file, *delimiter, layout, schema, &self.wanted, emit)?,
                How::Ndjson(layout) => ndjson::read(file, layout, schema, &self.wanted, emit)?,
                How::Parquet(source) => parquet_rows::read(source, file, &self.full, &schema, &self.wanted, emit)?,
            };
            if more == More::No {
                break;
            }
        }
        Ok(())
    }
}

impl PartitionStream for Share {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&self.schema), 2);
        let sender = builder.tx();
        let share = self.clone();
        builder.spawn_blocking(move || {
            let mut left = share.limit.unwrap_or(usize::MAX);
            share
                .read(&mut |batch| {
                    left = left.saturating_sub(batch.num_rows());
                    sender.blocking_send(Ok(batch)).is_ok() && left > 0
                })
                .map_err(|failure| DataFusionError::External(Box::new(failure)))
        });
        builder.build()
    }
}
