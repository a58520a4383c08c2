//! The files that a source's data is in, each with a mark by which it is known again: so a later run can read what has come since.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;

use crate::diag::Result;

/// Opens some of the files, by their places.
type Open = dyn Fn(&[usize]) -> Result<Arc<dyn TableProvider>> + Send + Sync;

/// The files of a source, as they were when it was opened.
#[derive(Clone)]
pub struct Pieces {
    marks: Arc<[String]>,
    schema: SchemaRef,
    open: Arc<Open>,
}

/// What has become of a source since there was a list of its marks.
pub struct Grown {
    /// What was there then and is there now: all of it.
    pub before: Arc<dyn TableProvider>,
    /// What has come since.
    pub new: Arc<dyn TableProvider>,
    /// Has nothing come?
    pub is_same: bool,
}

impl Pieces {
    /// Files that `open` opens. What each is called tells its contents, too: its size and its time are parts of it, say.
    pub(super) fn new(
        schema: SchemaRef,
        files: impl Iterator<Item = String>,
        open: impl Fn(&[usize]) -> Result<Arc<dyn TableProvider>> + Send + Sync + 'static,
    ) -> Self {
        let mark = |file: String| blake3::hash(file.as_bytes()).to_hex()[..16].to_owned();
        Self { marks: files.map(mark).collect(), schema, open: Arc::new(open) }
    }

    /// A mark of each file.
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
        self.some(&(0..self.marks.len()).collect::<Vec<_>>())
    }

    /// Those that were there before, and the others; none where one of those that were there is not any more, or was changed.
    pub fn since(&self, before: &[String]) -> Result<Option<Grown>> {
        let known: BTreeSet<&String> = before.iter().collect();
        let (old, new): (Vec<usize>, Vec<usize>) =
            (0..self.marks.len()).partition(|place| known.contains(&self.marks[*place]));
        if old.len() != known.len() {
            return Ok(None);
        }
        Ok(Some(Grown { before: self.some(&old)?, new: self.some(&new)?, is_same: new.is_empty() }))
    }

    fn some(&self, places: &[usize]) -> Result<Arc<dyn TableProvider>> {
        if places.is_empty() {
            return Ok(Arc::new(EmptyTable::new(Arc::clone(&self.schema))));
        }
        (self.open)(places)
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} files", self.marks.len())
    }
}
