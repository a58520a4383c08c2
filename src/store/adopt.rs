//! Files that hold a table's rows already become its files as they are: they are neither read nor written again.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::CommitBuilder;
use deltalake::kernel::{Action, Add, MetadataExt, StructType, new_metadata};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaResult, DeltaTable};
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use tokio::io::AsyncReadExt;

use super::failures::writing;
use super::file_statistics;
use super::refusal::refusal;
use super::statistics::properties;
use super::stored_types::stored_schema;
use super::table::StoredTable;
use super::warehouse::Warehouse;
use super::write::{Commit, TableSpec, Written};
use crate::diag::{Failure, Result};

/// Bytes that are sent to a store at once.
const CHUNK: usize = 8 << 20;

/// A Parquet file on this machine, with columns as [`stored_schema`] says and strings of any kind. It may have statistics, but of columns
/// with personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Where it is.
    pub path: PathBuf,
    /// How many rows it has.
    pub rows: u64,
}

impl Warehouse {
    /// Replaces all rows of a table, and its columns, by those of files. They may stay where they are, and may not be changed.
    /// Makes the table where there is none. Not for tables in partitions.
    pub async fn adopt(&self, spec: &TableSpec, files: &[DataFile], commit: &Commit) -> Result<Written> {
        let path = format!("{}/{}", self.schema_name(), spec.name);
        let table = self.handle(&path)?;
        let failed = |error| writing(&spec.name, &error);
        let mut actions = Vec::with_capacity(files.len());
        for (place, file) in files.iter().enumerate() {
            let name = format!("part-{place:05}-{}.parquet", uuid::Uuid::new_v4());
            let size = self.take(&table, &path, &name, &file.path).await?;
            actions.push(Action::Add(Add {
                path: name,
                size: i64::try_from(size).unwrap_or(i64::MAX),
                modification_time: chrono::Utc::now().timestamp_millis(),
                data_change: true,
                stats: Some(file_statistics::of_file(&file.path, spec).map_err(|error| failed(error.into()))?),
                ..Add::default()
            }));
        }
        let schema: StructType =
            stored_schema(&spec.schema).as_ref().try_into_kernel().map_err(|error| failed(error.into()))?;
        let table = match self.table(&spec.name, None).await? {
            Some(before) => replace(&before, spec, &schema, actions, commit).await,
            None => make(table, spec, &schema, actions, commit).await,
        };
        let table = table.map_err(failed)?;
        let stored = StoredTable::new(&spec.name, table);
        let rows = files.iter().map(|file| file.rows).sum();
        Ok(Written { version: stored.version(), rows, files: stored.files()? })
    }

    /// Brings a file into a table's folder; gives its size.
    async fn take(&self, table: &DeltaTable, folder: &str, name: &str, file: &Path) -> Result<u64> {
        let failed = |error: &(dyn Error + 'static)| {
            let doing = format!("writing the table `{folder}`");
            refusal(&*doing, error).unwrap_or_else(|| {
                Failure::world("W403", doing, error).help(
                    "check that the warehouse may be written and has room; the table still holds its last version",
                )
            })
        };
        let size = std::fs::metadata(file).map_err(|error| failed(&error))?.len();
        if let Ok(there) = self.url(folder)?.to_file_path() {
            let made = std::fs::create_dir_all(&there).and_then(|()| std::fs::hard_link(file, there.join(name)));
            if made.is_ok() {
                return Ok(size);
            }
        }
        // Another disk, or a store.
        let store: Arc<dyn ObjectStore> = table.log_store().object_store(None);
        let upload =
            store.put_multipart(&object_store::path::Path::from(name)).await.map_err(|error| failed(&error))?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, CHUNK);
        let mut open = tokio::fs::File::open(file).await.map_err(|error| failed(&error))?;
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            chunk.clear();
            let read = (&mut open).take(CHUNK as u64).read_to_end(&mut chunk).await.map_err(|error| failed(&error))?;
            if read == 0 {
                break;
            }
            writer.wait_for_capacity(2).await.map_err(|error| failed(&error))?;
            writer.write(&chunk);
        }
        writer.finish().await.map_err(|error| failed(&error))?;
        Ok(size)
    }
}

/// A table that was not there.
async fn make(
    table: DeltaTable,
    spec: &TableSpec,
    schema: &StructType,
    actions: Vec<Action>,
    commit: &Commit,
) -> DeltaResult<DeltaTable> {
    CreateBuilder::new()
        .with_log_store(table.log_store())
        .with_save_mode(SaveMode::ErrorIfExists)
        .with_table_name(&spec.name)
        .with_comment(&spec.description)
        .with_columns(schema.fields().cloned())
        .with_configuration(properties(spec).into_iter().map(|(key, value)| (key, Some(value))))
        .with_actions(actions)
        .with_commit_properties(commit.properties())
        .await
}

/// Other files, and other columns where they differ. It remains the same table to those who follow its changes.
async fn replace(
    before: &StoredTable,
    spec: &TableSpec,
    schema: &StructType,
    mut actions: Vec<Action>,
    commit: &Commit,
) -> DeltaResult<DeltaTable> {
    let mut table = before.delta().clone();
    let state = table.snapshot()?;
    let (old, configuration) = (state.metadata(), properties(spec));
    let is_as_before = state.schema().as_ref() == schema
        && old.description() == Some(spec.description.as_str())
        && configuration.iter().all(|(key, value)| old.configuration().get(key) == Some(value));
    if !is_as_before {
        let new = new_metadata(schema, Vec::<String>::new(), configuration)?;
        let new = new.with_table_id(old.id().to_owned())?.with_name(spec.name.clone())?;
        actions.push(Action::Metadata(new.with_description(spec.description.clone())?));
    }
    actions.extend(state.log_data().iter().map(|file| Action::Remove(file.remove_action(true))));
    let operation = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
    let committed = CommitBuilder::from(commit.properties())
        .with_actions(actions)
        .build(Some(state), table.log_store(), operation)
        .await?;
    table.state = Some(committed.snapshot());
    Ok(table)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::store::testing::{lake, read};

    fn rows(names: &[&str], numbers: Option<&[i64]>) -> RecordBatch {
        let names = Arc::new(StringViewArray::from(names.to_vec())) as ArrayRef;
        let numbers = numbers.map(|numbers| ("n", Arc::new(Int64Array::from(numbers.to_vec())) as ArrayRef));
        RecordBatch::try_from_iter([("name", names)].into_iter().chain(numbers)).unwrap()
    }

    fn file(folder: &Path, name: &str, batch: &RecordBatch) -> DataFile {
        let path = folder.join(name);
        let properties = WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).build();
        let out = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(out, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        DataFile { path, rows: batch.num_rows() as u64 }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_become_the_rows_of_a_table_and_later_ones_take_their_place() {
        let (folder, lake) = lake();
        let commit = Commit::of_run("r1");
        let spec = |batch: &RecordBatch| TableSpec {
            name: "names".into(),
            schema: batch.schema(),
            partition_by: Vec::new(),
            personal: batch.schema().fields().iter().map(|field| field.name().clone()).collect(),
            description: "Names".into(),
        };
        let (one, two) = (rows(&["ann", "bob"], None), rows(&["cid"], None));
        let files = [file(folder.path(), "a", &one), file(folder.path(), "b", &two)];
        let first = lake.adopt(&spec(&one), &files, &commit).await.unwrap();
        assert_eq!((first.version, first.rows, first.files), (0, 3, 2));
        assert_eq!(read(&lake, "names", None).await, ["ann", "bob", "cid"]);
        let table = lake.table("names", None).await.unwrap().unwrap();
        assert_eq!((table.rows().unwrap(), table.commits_of_others(1).await.unwrap()), (Some(3), 0));
        assert_eq!(table.description().unwrap().as_deref(), Some("Names"));

        // Other columns, and none of the rows before; which are still those of the version before.
        let other = rows(&["dan"], Some(&[4]));
        let second = lake.adopt(&spec(&other), &[file(folder.path(), "c", &other)], &commit).await.unwrap();
        assert_eq!(second.version, 1);
        assert_eq!(read(&lake, "names", None).await, ["dan 4"]);
        assert_eq!(read(&lake, "names", Some(0)).await.len(), 3);
        assert_eq!(columns(&lake, None).await, ["name", "n"]);
        lake.roll_back("names", Some(0), &commit).await.unwrap();
        assert_eq!(read(&lake, "names", None).await, ["ann", "bob", "cid"]);
        assert_eq!(columns(&lake, None).await, ["name"]);

        // A table without rows is one all the same; our own writes go on where it ends.
        let none = lake.adopt(&spec(&other), &[], &commit).await.unwrap();
        assert_eq!((none.rows, read(&lake, "names", None).await.len()), (0, 0));
        lake.overwrite(&spec(&other), rows(&["eve"], Some(&[5])), &commit, &SessionContext::new()).await.unwrap();
        assert_eq!(read(&lake, "names", None).await, ["eve 5"]);

        // Whoever follows the changes of the table follows one table.
        let last = lake.table("names", None).await.unwrap().unwrap();
        assert_eq!(last.id().unwrap(), table.id().unwrap());
        assert_eq!(last.description().unwrap().as_deref(), Some("Names"));
    }

    async fn columns(lake: &Warehouse, version: Option<u64>) -> Vec<String> {
        let table = lake.table("names", version).await.unwrap().unwrap();
        table.schema().unwrap().fields().iter().map(|field| field.name().clone()).collect()
    }
}
