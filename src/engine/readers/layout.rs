//! The columns of a source of text files, and batches of them under construction.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};

use super::ReaderSpec;
use super::cells::{CellType, Seen};
use super::columns::{Column, Unfit};
use super::failures::{column_name, unfit};
use crate::diag::{Failure, Result};

/// The column that names a row by its file and its number in it.
pub(super) const ROW: &str = "_row";
/// Rows of a batch.
const BATCH: usize = 8192;

/// The columns of a source: those of its files in the order in which they were first seen, then `_row` where it is wanted.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) source: String,
    pub(super) columns: Vec<(String, CellType)>,
    /// Where types are declared.
    places: BTreeMap<String, String>,
    pub(super) zone: Option<Tz>,
    pub(super) row: bool,
}

impl Layout {
    /// Declared types win over those that a sample suggests.
    pub(super) fn new(spec: &ReaderSpec, seen: Vec<(String, Seen)>) -> Result<Self> {
        let mut columns: Vec<(String, CellType)> = seen
            .into_iter()
            .map(|(name, seen)| {
                let declared = spec.types.get(&name).map(|declared| CellType::declared(*declared));
                (name, declared.unwrap_or_else(|| seen.cell_type()))
            })
            .collect();
        if spec.want_row {
            if columns.iter().any(|(name, _)| name == ROW) {
                return Err(column_name(&spec.name, &spec.name, "`_row` is the name of cohorte's own row number"));
            }
            columns.push((ROW.to_owned(), CellType::Text));
        }
        Ok(Self {
            source: spec.name.clone(),
            columns,
            places: spec.places.clone(),
            zone: spec.timezone,
            row: spec.want_row,
        })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> =
            self.columns.iter().map(|(name, cell_type)| Field::new(name, cell_type.arrow(), true)).collect();
        Arc::new(Schema::new(fields))
    }

    /// Is this column, by its index, the row's own name?
    pub(super) fn is_row(&self, index: usize) -> bool {
        self.row && index + 1 == self.columns.len()
    }
}

/// The columns that a scan wants, filling up; full batches go out.
pub(super) struct Rows<'a> {
    layout: &'a Layout,
    file: &'a str,
    schema: SchemaRef,
    wanted: &'a [usize],
    pub(super) columns: Vec<Column>,
    rows: usize,
    emit: &'a mut dyn FnMut(RecordBatch) -> bool,
}

/// Whether a reader goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Yes,
    No,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        layout: &'a Layout,
        file: &'a str,
        schema: SchemaRef,
        wanted: &'a [usize],
        emit: &'a mut dyn FnMut(RecordBatch) -> bool,
    ) -> Self {
        let columns = wanted.iter().map(|index| Column::new(layout.columns[*index].1, layout.zone)).collect();
        Self { layout, file, schema, wanted, columns, rows: 0, emit }
    }

    /// Names the row, where that is wanted.
    pub(super) fn name_row(&mut self, number: u64) {
        for (position, index) in self.wanted.iter().enumerate() {
            if self.layout.is_row(*index)
                && let Column::Text(builder) = &mut self.columns[position]
            {
                builder.append_value(format!("{}:{number}", self.file));
            }
        }
    }

    /// A failure that says where a value does not fit.
    pub(super) fn unfit(&self, position: usize, line: u64, _: Unfit) -> Failure {
        let (name, cell_type) = &self.layout.columns[self.wanted[position]];
        let declared = self.layout.places.get(name).map(String::as_str);
        unfit(&self.layout.source, self.file, line, name, cell_type.name(), declared)
    }

    /// Ends a row.
    pub(super) fn end_row(&mut self) -> Result<More> {
        self.rows += 1;
        if self.rows == BATCH { self.flush() } else { Ok(More::Yes) }
    }

    /// Hands out what is there.
    pub(super) fn flush(&mut self) -> Result<More> {
        if self.rows == 0 {
            return Ok(More::Yes);
        }
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| super::failures::unreadable(&self.layout.source, self.file, error))?;
        self.rows = 0;
        Ok(if (self.emit)(batch) { More::Yes } else { More::No })
    }
}

/// Columns by name, in the order in which they were first seen.
#[derive(Debug, Default)]
pub(super) struct Sample {
    index: BTreeMap<String, usize>,
    /// Rows of CSV files that were looked at.
    pub(super) rows: u64,
    pub(super) columns: Vec<(String, Seen)>,
    /// The first cell of each column that does not have the type of those before it.
    pub(super) breaks: BTreeMap<String, Break>,
}

/// A cell because of which a column is text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The file.
    pub file: String,
    /// The line.
    pub line: u64,
    /// What the cells before it were.
    pub before: &'static str,
}

impl Sample {
    /// Looks at a cell of a CSV file.
    pub(super) fn cell(&mut self, name: &str, cell: &str, file: &str, line: u64) {
        let seen = self.column(name);
        let before = *seen;
        seen.cell(cell);
        let breaks =
            before != Seen::default() && before.cell_type() != CellType::Text && seen.cell_type() == CellType::Text;
        if breaks {
            let one = Break { file: file.to_owned(), line, before: before.cell_type().name() };
            self.breaks.insert(name.to_owned(), one);
        }
    }

    /// What was seen of a column.
    pub(super) fn column(&mut self, name: &str) -> &mut Seen {
        let at = match self.index.get(name) {
            Some(at) => *at,
            None => {
                self.index.insert(name.to_owned(), self.columns.len());
                self.columns.push((name.to_owned(), Seen::default()));
                self.columns.len() - 1
            }
        };
        &mut self.columns[at].1
    }
}
