//! The files that a source's data is in: so a later run can read what has come since an earlier one.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;

use crate::diag::Result;
use crate::store::{Since, StoredTable};

/// Opens some of the files, by their places.
type Open = dyn Fn(&[usize]) -> Result<Arc<dyn TableProvider>> + Send + Sync;

/// The files of a source, as they were when it was opened.
#[derive(Clone)]
pub struct Pieces {
    schema: SchemaRef,
    marks: Arc<[String]>,
    are: Are,
}

#[derive(Clone)]
enum Are {
    /// Files by themselves, each of which is known by its mark.
    Files(Arc<Open>),
    /// The files of a table: its log tells what has become of them.
    Of(Arc<StoredTable>),
}

/// What has become of a source.
pub enum Growth {
    /// Rows have come, at most.
    Grown(Grown),
    /// Rows that were there have gone, or may have changed.
    Changed,
    /// The table's log does not go back that far.
    Forgotten,
}

/// A source that only grew.
pub struct Grown {
    /// What was there.
    pub before: Arc<dyn TableProvider>,
    /// What has come since.
    pub new: Arc<dyn TableProvider>,
    /// Has nothing come?
    pub is_same: bool,
}

impl Pieces {
    /// Files that `open` opens. What each is called tells its contents, too: its size and its time are parts of it, say.
    pub(super) fn files(
        schema: SchemaRef,
        files: impl Iterator<Item = String>,
        open: impl Fn(&[usize]) -> Result<Arc<dyn TableProvider>> + Send + Sync + 'static,
    ) -> Self {
        let mark = |file: String| blake3::hash(file.as_bytes()).to_hex()[..16].to_owned();
        Self { schema, marks: files.map(mark).collect(), are: Are::Files(Arc::new(open)) }
    }

    /// One version of a table.
    pub(super) fn of_table(schema: SchemaRef, table: StoredTable) -> Result<Self> {
        let marks = [table.id()?, table.version().to_string()];
        Ok(Self { schema, marks: marks.into(), are: Are::Of(Arc::new(table)) })
    }

    /// By what they are known again.
    #[must_use]
    pub fn marks(&self) -> &[String] {
        &self.marks
    }

    /// The columns and their types, as a text.
    #[must_use]
    pub fn columns(&self) -> String {
        format!("{:?}", self.schema)
    }

    /// All of them.
    pub fn all(&self) -> Result<Arc<dyn TableProvider>> {
        match &self.are {
            Are::Files(open) => self.some(open.as_ref(), &(0..self.marks.len()).collect::<Vec<_>>()),
            Are::Of(table) => table.provider(),
        }
    }

    /// Compares with the marks that there were before.
    pub async fn since(&self, before: &[String]) -> Result<Growth> {
        match &self.are {
            Are::Files(open) => self.files_since(open.as_ref(), before),
            Are::Of(table) => self.table_since(table, before).await,
        }
    }

    fn files_since(&self, open: &Open, before: &[String]) -> Result<Growth> {
        let known: BTreeSet<&String> = before.iter().collect();
        let (old, new): (Vec<usize>, Vec<usize>) =
            (0..self.marks.len()).partition(|place| known.contains(&self.marks[*place]));
        if old.len() != known.len() {
            return Ok(Growth::Changed);
        }
        let (before, is_same) = (self.some(open, &old)?, new.is_empty());
        Ok(Growth::Grown(Grown { before, new: self.some(open, &new)?, is_same }))
    }

    fn some(&self, open: &Open, places: &[usize]) -> Result<Arc<dyn TableProvider>> {
        if places.is_empty() { Ok(self.nothing()) } else { open(places) }
    }

    fn nothing(&self) -> Arc<dyn TableProvider> {
        Arc::new(EmptyTable::new(Arc::clone(&self.schema)))
    }

    async fn table_since(&self, table: &StoredTable, before: &[String]) -> Result<Growth> {
        let [id, version] = before else { return Ok(Growth::Changed) };
        let (true, Ok(version)) = (*id == table.id()?, version.parse()) else { return Ok(Growth::Changed) };
        let new = match table.since(version).await? {
            Since::Grown(new) => new,
            Since::Changed => return Ok(Growth::Changed),
            Since::Forgotten => return Ok(Growth::Forgotten),
        };
        let (_, files) = table.data_files()?;
        let (new, old): (Vec<String>, Vec<String>) =
            files.into_iter().map(|file| file.name).partition(|name| new.contains(name));
        let some = |names: Vec<String>| {
            if names.is_empty() { Ok(self.nothing()) } else { table.provider_of(names.into_iter()) }
        };
        let is_same = new.is_empty();
        Ok(Growth::Grown(Grown { before: some(old)?, new: some(new)?, is_same }))
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} marks", self.marks.len())
    }
}
