//! Readers: a source's definition becomes something that a query can scan, its columns, and a fingerprint of its data.
//!
//! Delta and Parquet are scanned by the engine, with projections and filters pushed down. CSV and JSON are read here, file
//! by file in parallel, so that what is wrong with a file is said with its line and column. Their types are judged by a
//! sample, the first [`SAMPLE_ROWS`] rows of the first [`SAMPLE_FILES`] files; declared types win over it, and a later
//! value that does not fit is a failure, never a silent null. An empty CSV cell is null. The columns of several files are
//! united by name; a file that lacks a column has nulls there.

mod cells;
mod columns;
mod csv;
mod failures;
mod file_table;
mod files;
mod layout;
mod load;
mod ndjson;
mod parquet;
mod parquet_rows;
mod pieces;
mod schema_types;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;

use self::failures::{no_table, unknown_column, unreadable};
use self::file_table::FileTable;
use self::files::SourceFile;
pub use self::layout::Break;
use self::layout::{Layout, Sample};
pub use self::load::{Load, Loaded, load};
pub use self::pieces::{Grown, Growth, Pieces};
pub use self::schema_types::model_type;
use crate::diag::{Failure, Result};
use crate::sql::DataType;
use crate::store::Warehouse;

/// Rows of a file that are looked at to judge types.
pub const SAMPLE_ROWS: usize = 4096;
/// Files that are looked at to judge types.
pub const SAMPLE_FILES: usize = 16;

/// How a source is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// A Delta table.
    Delta,
    /// Parquet files.
    Parquet,
    /// CSV files with a header, plain or gzip.
    Csv,
    /// NDJSON files, or JSON files that hold one array, plain or gzip.
    Ndjson,
}

impl Format {
    /// The format that a file's name promises.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "parquet" | "pq" => Some(Self::Parquet),
            _ => None,
        }
    }

    fn extension(self, path: &str) -> bool {
        Self::of_path(path) == Some(self)
    }
}

/// Where a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A Delta table below the warehouse's root.
    Table(String),
    /// A file, a folder or a glob, relative to the project; or a URL.
    Path(String),
}

/// What a source's definition says about its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderSpec {
    /// Name of the source, for messages.
    pub name: String,
    /// Format.
    pub format: Format,
    /// Where it is.
    pub location: Location,
    /// Delimiter of CSV; found in the header where it is absent.
    pub delimiter: Option<u8>,
    /// Declared types of the columns as they are stored: obeyed for CSV and JSON; for the others only their names are
    /// checked.
    pub types: BTreeMap<String, DataType>,
    /// Where those types are declared, in words: for messages.
    pub places: BTreeMap<String, String>,
    /// The zone of times that are written without one, in CSV and JSON; UTC where it is absent.
    pub timezone: Option<Tz>,
    /// Adds the column `_row`: `<file name>:<number of the row in it>`, a key for files without one. Not for Delta.
    pub want_row: bool,
}

impl ReaderSpec {
    /// A source with nothing declared.
    #[must_use]
    pub fn new(name: impl Into<String>, format: Format, location: Location) -> Self {
        Self {
            name: name.into(),
            format,
            location,
            delimiter: None,
            types: BTreeMap::new(),
            places: BTreeMap::new(),
            timezone: None,
            want_row: false,
        }
    }
}

/// A source that can be scanned.
#[derive(Debug, Clone)]
pub struct Opened {
    /// What a query scans. It reads the files that were there when the source was opened.
    pub provider: Arc<dyn TableProvider>,
    /// Its columns.
    pub schema: SchemaRef,
    /// Equal as long as the data has not changed: the table's id and version, or a digest of the files' names, sizes and
    /// times.
    pub fingerprint: String,
    /// The files that it is in.
    pub pieces: Pieces,
    /// The files, or the table, for people.
    pub paths: Vec<String>,
    /// Text files without a row: columns that are not declared may be of any type, and those of NDJSON are not known.
    pub is_blank: bool,
    /// Columns of CSV files, of no declared type, that are text because of one cell.
    pub breaks: BTreeMap<String, Break>,
}

/// Opens sources. `base` is the project's folder.
pub async fn open(spec: &ReaderSpec, warehouse: &Warehouse, base: &Path, session: &SessionContext) -> Result<Opened> {
    match (&spec.location, spec.format) {
        (Location::Table(path), _) => open_delta(spec, warehouse, path, path).await,
        (Location::Path(path), Format::Delta) => {
            let elsewhere = Warehouse::open(path, base, warehouse.schema_name())?;
            open_delta(spec, &elsewhere, "", path).await
        }
        (Location::Path(path), _) => {
            open_files(spec, files::find(&spec.name, path, base, spec.format).await?, session).await
        }
    }
}

async fn open_files(spec: &ReaderSpec, files: Vec<SourceFile>, session: &SessionContext) -> Result<Opened> {
    if spec.format == Format::Parquet {
        parquet::open(spec, files, session).await
    } else {
        open_text(spec, files).await
    }
}

async fn open_delta(spec: &ReaderSpec, warehouse: &Warehouse, path: &str, shown: &str) -> Result<Opened> {
    let table = warehouse.table_at(path, None).await?.ok_or_else(|| no_table(&spec.name, shown))?;
    let provider = table.provider()?;
    let schema = provider.schema();
    check_declared(spec, &schema)?;
    let fingerprint = format!("delta:{}:{}", table.id()?, table.version());
    let pieces = Pieces::of_table(Arc::clone(&schema), table)?;
    Ok(Opened {
        provider,
        schema,
        fingerprint,
        pieces,
        paths: vec![shown.to_owned()],
        is_blank: false,
        breaks: BTreeMap::new(),
    })
}

async fn open_text(spec: &ReaderSpec, files: Vec<SourceFile>) -> Result<Opened> {
    let sampled = {
        let (spec, files) = (spec.clone(), files.clone());
        tokio::task::spawn_blocking(move || sample(&spec, &files)).await
    };
    let Sampled { layout, is_blank, breaks } = sampled.map_err(|error| unreadable(&spec.name, &spec.name, error))??;
    let schema = layout.schema();
    check_declared(spec, &schema)?;
    let (fingerprint, paths) = (files::fingerprint(&files), files.iter().map(SourceFile::place).collect());
    let called: Vec<String> = files.iter().map(SourceFile::called).collect();
    let spec = spec.clone();
    let pieces = Pieces::files(Arc::clone(&schema), called.into_iter(), move |places| {
        let some = places.iter().map(|place| files[*place].clone()).collect();
        Ok(Arc::new(FileTable::new(&spec, layout.clone(), some)))
    });
    Ok(Opened { fingerprint, paths, schema, is_blank, breaks, provider: pieces.all()?, pieces })
}

/// What the first rows of text files tell.
struct Sampled {
    layout: Layout,
    /// Were there none but header lines?
    is_blank: bool,
    breaks: BTreeMap<String, Break>,
}

fn sample(spec: &ReaderSpec, files: &[SourceFile]) -> Result<Sampled> {
    let mut sample = Sample::default();
    let mut any = false;
    for (index, file) in files.iter().enumerate() {
        // Beyond the sample, only the header is looked at: a column may come up in a later file.
        let rows = if index < SAMPLE_FILES { SAMPLE_ROWS } else { 0 };
        match spec.format {
            Format::Csv => csv::sample(&spec.name, file, spec.delimiter, rows, &mut sample)?,
            _ if rows == 0 => {}
            _ => any |= ndjson::sample(&spec.name, file, rows, &mut sample)?,
        }
    }
    if spec.format == Format::Ndjson {
        if let (false, true, Some(file)) = (any, spec.types.is_empty(), files.first()) {
            return Err(ndjson::nothing(&spec.name, file));
        }
        // An object need not have all keys: what is declared is there.
        for name in spec.types.keys() {
            sample.column(name);
        }
    }
    let none = if spec.format == Format::Csv { sample.rows == 0 } else { !any };
    let is_blank = none && files.len() <= SAMPLE_FILES;
    let mut breaks = sample.breaks;
    breaks.retain(|name, _| !spec.types.contains_key(name));
    Ok(Sampled { layout: Layout::new(spec, sample.columns)?, is_blank, breaks })
}

/// A declared column must be there.
fn check_declared(spec: &ReaderSpec, schema: &SchemaRef) -> Result<()> {
    let missing = spec.types.keys().find(|name| schema.field_with_name(name).is_err());
    let known = || schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    missing.map_or(Ok(()), |name| Err::<(), Failure>(unknown_column(&spec.name, name, &known())))
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
