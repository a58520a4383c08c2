//! Loading: files become rows of a source's Delta table, each file once, whatever it is called.
//!
//! A file is known by the digest of its bytes, which is committed with its rows as an application transaction. So a load
//! that is repeated, or that crashed half-way, adds nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use chrono_tz::Tz;
use datafusion::arrow::datatypes::{DataType as ArrowType, Field, Schema};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use std::sync::Arc;

use super::failures::unreadable;
use super::files::{self, SourceFile};
use super::{Format, Location, Opened, ReaderSpec, model_type, open_files};
use crate::diag::{Failure, Result};
use crate::sql::DataType;
use crate::store::{Commit, StoredTable, TableSpec, Warehouse, failure_from, stored_schema};

/// Where files are loaded to.
#[derive(Clone)]
pub struct Load<'a> {
    /// The warehouse.
    pub warehouse: &'a Warehouse,
    /// The session that reads the files.
    pub session: &'a SessionContext,
    /// The folder that relative files start at.
    pub base: &'a Path,
    /// The source, for messages.
    pub source: &'a str,
    /// Its table, below the warehouse's root.
    pub table: &'a str,
    /// Declared types; those of a table that is there win over a sample too.
    pub types: &'a BTreeMap<String, DataType>,
    /// The zone of times that are written without one.
    pub timezone: Option<Tz>,
    /// The run, for the commit.
    pub run: Option<String>,
}

/// What a load did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// The version that the table has now.
    pub version: u64,
    /// Rows that were added.
    pub rows: u64,
    /// Files that were loaded.
    pub files: usize,
    /// Files that had been loaded before.
    pub skipped: usize,
}

/// Adds the rows of files (paths, folders, globs or URLs; CSV, NDJSON, JSON or Parquet by their names) to a table, in one
/// commit. The table is made where there is none, and gains the columns that it lacks.
pub async fn load(load: &Load<'_>, locations: &[String]) -> Result<Loaded> {
    let existing = load.warehouse.table_at(load.table, None).await?;
    let mut transactions: BTreeSet<String> = BTreeSet::new();
    let mut by_format: BTreeMap<Format, Vec<SourceFile>> = BTreeMap::new();
    let mut skipped = 0;
    for location in locations {
        for (format, file) in found(load, location).await? {
            let id = format!("cohorte-load:{}", digest(load.source, &file).await?);
            let known = match &existing {
                Some(table) => table.has_transaction(&id).await?,
                None => false,
            };
            if known || !transactions.insert(id) {
                skipped += 1;
            } else {
                by_format.entry(format).or_default().push(file);
            }
        }
    }
    let files = by_format.values().map(Vec::len).sum();
    if files == 0 {
        let version = existing.map_or(0, |table| table.version());
        return Ok(Loaded { version, rows: 0, files, skipped });
    }
    let mut opened = Vec::new();
    for (format, files) in by_format {
        opened.push(open(load, format, files, existing.as_ref()).await?);
    }
    let spec = target(load, &opened, existing.as_ref())?;
    let plan = united(load, &spec, &opened)?.into_unoptimized_plan();
    let commit = Commit { run: load.run.clone(), transactions: transactions.into_iter().collect() };
    let written = load.warehouse.append_at(load.table, &spec, plan, &commit, load.session).await?;
    Ok(Loaded { version: written.version, rows: written.rows, files, skipped })
}

async fn found(load: &Load<'_>, location: &str) -> Result<Vec<(Format, SourceFile)>> {
    let named = Format::of_path(location.trim_end_matches(['*', '/']));
    let formats = named.map_or(vec![Format::Csv, Format::Ndjson, Format::Parquet], |format| vec![format]);
    let mut all = Vec::new();
    let mut failure = None;
    for format in formats {
        match files::find(load.source, location, load.base, format).await {
            Ok(files) => all.extend(files),
            Err(error) if error.code == "E301" => failure = Some(error),
            Err(error) => return Err(error),
        }
    }
    // A glob finds the same files whatever the format.
    all.sort_by(|a, b| a.url.cmp(&b.url));
    all.dedup_by(|a, b| a.url == b.url);
    match failure {
        Some(failure) if all.is_empty() => Err(failure),
        _ => all
            .into_iter()
            .map(|file| match Format::of_path(&file.name).or(named) {
                Some(format) => Ok((format, file)),
                None => Err(unreadable(load.source, &file.name, "its name tells no format")
                    .help("files are called *.csv, *.ndjson, *.json or *.parquet (and .gz)")),
            })
            .collect(),
    }
}

async fn digest(source: &str, file: &SourceFile) -> Result<String> {
    let own = file.clone();
    let hashed = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
        let mut digest = blake3::Hasher::new();
        let mut bytes = own.raw()?;
        let mut chunk = vec![0; 1 << 18];
        loop {
            match bytes.read(&mut chunk)? {
                0 => return Ok(digest.finalize().to_hex().to_string()),
                length => digest.update(&chunk[..length]),
            };
        }
    });
    match hashed.await {
        Ok(Ok(digest)) => Ok(digest),
        Ok(Err(error)) => Err(unreadable(source, &file.name, error)),
        Err(error) => Err(unreadable(source, &file.name, error)),
    }
}

async fn open(
    load: &Load<'_>,
    format: Format,
    files: Vec<SourceFile>,
    existing: Option<&StoredTable>,
) -> Result<Opened> {
    let mut spec = ReaderSpec::new(load.source, format, Location::Table(load.table.to_owned()));
    spec.types = load.types.clone();
    spec.timezone = load.timezone;
    let opened = open_files(&spec, files.clone(), load.session).await?;
    let Some(existing) = existing else { return Ok(opened) };
    for field in existing.schema()?.fields() {
        if opened.schema.field_with_name(field.name()).is_ok() {
            spec.types.insert(field.name().clone(), model_type(field.data_type()));
        }
    }
    open_files(&spec, files, load.session).await
}

/// The table: its columns, then those that the files add. Statistics are kept off texts, which may be personal.
fn target(load: &Load<'_>, opened: &[Opened], existing: Option<&StoredTable>) -> Result<TableSpec> {
    let mut fields: Vec<Field> = Vec::new();
    let mut partition_by = Vec::new();
    if let Some(table) = existing {
        fields.extend(stored_schema(table.schema()?.as_ref()).fields().iter().map(|field| field.as_ref().clone()));
        partition_by = table.partition_columns()?;
    }
    for one in opened {
        for field in stored_schema(&one.schema).fields() {
            match fields.iter().find(|known| known.name() == field.name()) {
                None => fields.push(field.as_ref().clone()),
                Some(known) if existing.is_none() && known.data_type() != field.data_type() => {
                    return Err(mixed(load.source, field.name(), known.data_type(), field.data_type()));
                }
                Some(_) => {}
            }
        }
    }
    let personal = fields.iter().filter(|field| *field.data_type() == ArrowType::Utf8);
    Ok(TableSpec {
        name: load.table.to_owned(),
        personal: personal.map(|field| field.name().clone()).collect(),
        schema: Arc::new(Schema::new(fields)),
        partition_by,
        description: format!("Files loaded into the source {}", load.source),
    })
}

fn mixed(source: &str, column: &str, first: &ArrowType, then: &ArrowType) -> Failure {
    super::failures::disagreeing(source, "files of another format", column, then, first)
}

fn united(load: &Load<'_>, spec: &TableSpec, opened: &[Opened]) -> Result<DataFrame> {
    let failed = |error: &datafusion::error::DataFusionError| {
        failure_from(format!("loading files into `{}`", load.table), error)
    };
    let mut all: Option<DataFrame> = None;
    for one in opened {
        let columns: Vec<Expr> = spec
            .schema
            .fields()
            .iter()
            .map(|field| match one.schema.field_with_name(field.name()) {
                Ok(_) => Ok(Expr::Column(Column::from_name(field.name()))),
                Err(_) => Ok(lit(ScalarValue::try_from(field.data_type())?).alias(field.name())),
            })
            .collect::<datafusion::error::Result<_>>()
            .map_err(|error| failed(&error))?;
        let rows = load.session.read_table(Arc::clone(&one.provider)).and_then(|rows| rows.select(columns));
        let rows = rows.map_err(|error| failed(&error))?;
        all = Some(match all {
            None => rows,
            Some(before) => before.union(rows).map_err(|error| failed(&error))?,
        });
    }
    all.ok_or_else(|| unreadable(load.source, load.table, "there is nothing to load"))
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
