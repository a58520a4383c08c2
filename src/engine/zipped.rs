//! Relations of one roster side by side: each has a row per customer in the order of the roster, so they are one wide relation without
//! anybody being looked up, and without any of them being held in memory.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, exec_datafusion_err, exec_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;

use super::made::Made;
use super::roster::part_of;
use super::row_file::RowFile;

/// Rows that are made at once.
const CHUNK: usize = 8_192;

/// A relation with a row per customer of a roster, in its order.
#[derive(Debug, Clone)]
pub struct InOrder {
    columns: SchemaRef,
    rows: usize,
    from: From,
}

#[derive(Debug, Clone)]
enum From {
    Made(Made),
    Files(Vec<RowFile>),
}

impl InOrder {
    /// One that is made as it is read.
    #[must_use]
    pub fn made(made: Made) -> Self {
        Self { columns: made.schema(), rows: made.things(), from: From::Made(made) }
    }

    /// One that is in files; `columns` are those of all of them.
    #[must_use]
    pub fn files(columns: SchemaRef, files: Vec<RowFile>) -> Self {
        Self { columns, rows: files.iter().map(|file| file.rows).sum(), from: From::Files(files) }
    }

    /// How many customers it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Several of them as one table. Each column is that of the first relation that has one of its name.
#[derive(Debug)]
pub struct Zipped {
    relations: Arc<[InOrder]>,
    /// Of each column: the relation, and its place there.
    places: Vec<(usize, usize)>,
    schema: SchemaRef,
}

impl Zipped {
    /// Fails where they do not have the same number of rows.
    pub fn of(relations: Vec<InOrder>) -> Result<Self> {
        let rows: Vec<usize> = relations.iter().map(|relation| relation.rows).collect();
        if rows.windows(2).any(|two| two[0] != two[1]) {
            return exec_err!("relations of the same customers have {rows:?} rows");
        }
        let (mut fields, mut places) = (Vec::new(), Vec::new());
        for (place, relation) in relations.iter().enumerate() {
            for (index, field) in relation.columns.fields().iter().enumerate() {
                if !fields.iter().any(|known: &FieldRef| known.name() == field.name()) {
                    fields.push(Arc::clone(field));
                    places.push((place, index));
                }
            }
        }
        Ok(Self { relations: relations.into(), places, schema: Arc::new(Schema::new(fields)) })
    }
}

#[async_trait]
impl TableProvider for Zipped {
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
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.places.len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let rows = self.relations.first().map_or(0, |relation| relation.rows);
        let parts = session.config().target_partitions().clamp(1, rows.max(1));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(parts),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let places = columns.into_iter().map(|column| self.places[column]).collect();
        let (relations, properties) = (Arc::clone(&self.relations), Arc::new(properties));
        Ok(Arc::new(ZippedExec { relations, places, schema, rows, parts, properties }))
    }
}

/// Reads them side by side.
struct ZippedExec {
    relations: Arc<[InOrder]>,
    places: Vec<(usize, usize)>,
    schema: SchemaRef,
    rows: usize,
    parts: usize,
    properties: Arc<PlanProperties>,
}

impl fmt::Debug for ZippedExec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, formatter)
    }
}

impl DisplayAs for ZippedExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (relations, columns) = (self.relations.len(), self.places.len());
        write!(formatter, "ZippedExec: relations={relations}, rows={}, columns={columns}", self.rows)
    }
}

impl ExecutionPlan for ZippedExec {
    fn name(&self) -> &'static str {
        "ZippedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        if args.partition().is_none() {
            statistics.num_rows = Precision::Exact(self.rows);
        }
        Ok(Arc::new(statistics))
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let range = part_of(self.rows, partition, self.parts);
        let mut readers = Vec::new();
        // Where each column is: the reader, and its place there.
        let mut found = vec![(0, 0); self.places.len()];
        for (place, relation) in self.relations.iter().enumerate() {
            let wanted = self.places.iter().enumerate().filter(|(_, (of, _))| *of == place);
            let mut columns: Vec<usize> = Vec::new();
            for (column, (_, index)) in wanted {
                found[column] = (readers.len(), columns.len());
                columns.push(*index);
            }
            if !columns.is_empty() {
                readers.push(Reader::of(relation, columns, range.clone()));
            }
        }
        let zip = Zip { readers, found, schema: Arc::clone(&self.schema), left: range };
        let batches =
            futures::stream::try_unfold(zip, |mut zip| async move { Ok(zip.next().await?.map(|batch| (batch, zip))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

struct Zip {
    readers: Vec<Reader>,
    found: Vec<(usize, usize)>,
    schema: SchemaRef,
    left: Range<usize>,
}

impl Zip {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let rows = self.left.len().min(CHUNK);
        if rows == 0 {
            return Ok(None);
        }
        self.left.start += rows;
        let mut read = Vec::with_capacity(self.readers.len());
        for reader in &mut self.readers {
            read.push(reader.take(rows).await?);
        }
        let columns = self.found.iter().map(|&(reader, column)| Arc::clone(&read[reader][column])).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?))
    }
}

/// Reads some columns of one relation, as many rows at a time as are asked for.
struct Reader {
    columns: Vec<usize>,
    schema: SchemaRef,
    from: Source,
    /// What was read and not yet taken.
    buffer: VecDeque<RecordBatch>,
}

enum Source {
    Made(Made, usize),
    Files { spans: VecDeque<(RowFile, Range<usize>)>, open: Option<ParquetRecordBatchStream<RowFile>> },
}

impl Reader {
    fn of(relation: &InOrder, columns: Vec<usize>, range: Range<usize>) -> Self {
        let from = match &relation.from {
            From::Made(made) => Source::Made(made.clone(), range.start),
            From::Files(files) => {
                let (mut spans, mut start) = (VecDeque::new(), 0);
                for file in files {
                    let (from, to) = (range.start.max(start), range.end.min(start + file.rows));
                    if from < to {
                        spans.push_back((file.clone(), from - start..to - start));
                    }
                    start += file.rows;
                }
                Source::Files { spans, open: None }
            }
        };
        Self { columns, schema: Arc::clone(&relation.columns), from, buffer: VecDeque::new() }
    }

    /// The next rows: exactly so many.
    async fn take(&mut self, rows: usize) -> Result<Vec<ArrayRef>> {
        if let Source::Made(made, next) = &mut self.from {
            *next += rows;
            return Ok(made.make(*next - rows..*next, &self.columns)?.columns().to_vec());
        }
        let mut parts: Vec<RecordBatch> = Vec::new();
        let mut wanting = rows;
        while wanting > 0 {
            let Some(batch) = self.buffer.pop_front() else {
                let Some(batch) = self.read().await? else { return exec_err!("a file has fewer rows than it should") };
                self.buffer.push_back(batch);
                continue;
            };
            let taken = batch.num_rows().min(wanting);
            parts.push(batch.slice(0, taken));
            if taken < batch.num_rows() {
                self.buffer.push_front(batch.slice(taken, batch.num_rows() - taken));
            }
            wanting -= taken;
        }
        if let [one] = parts.as_slice() {
            return Ok(one.columns().to_vec());
        }
        let column = |index: usize| {
            let arrays: Vec<&dyn Array> = parts.iter().map(|part| part.column(index).as_ref()).collect();
            Ok(concat(&arrays)?)
        };
        (0..self.columns.len()).map(column).collect()
    }

    /// The next batch of the files, in the order of the columns that are wanted.
    async fn read(&mut self) -> Result<Option<RecordBatch>> {
        let Source::Files { spans, open } = &mut self.from else { return Ok(None) };
        loop {
            if let Some(stream) = open {
                if let Some(batch) = stream.next().await.transpose()? {
                    let columns = self.columns.iter().map(|column| {
                        let name = self.schema.field(*column).name();
                        let found = batch.column_by_name(name).cloned();
                        found.ok_or_else(|| exec_datafusion_err!("a file lacks the column `{name}`"))
                    });
                    let schema = Arc::new(self.schema.project(&self.columns)?);
                    return Ok(Some(RecordBatch::try_new(schema, columns.collect::<Result<_>>()?)?));
                }
                *open = None;
            }
            let Some((file, span)) = spans.pop_front() else { return Ok(None) };
            let builder = ParquetRecordBatchStreamBuilder::new(file).await?;
            let names = self.columns.iter().map(|column| self.schema.field(*column).name().as_str());
            let mask = ProjectionMask::columns(builder.parquet_schema(), names);
            let builder = builder.with_projection(mask).with_batch_size(CHUNK).with_offset(span.start);
            *open = Some(builder.with_limit(span.len()).build()?);
        }
    }
}

#[cfg(test)]
#[path = "zipped_tests.rs"]
mod tests;
