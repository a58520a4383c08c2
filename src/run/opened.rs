//! Opening a project: files → spec → schemas → project, with every finding on the way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use datafusion::catalog::TableProvider;
use datafusion::prelude::SessionContext;

use super::request::{Request, Stopped};
use crate::compile::Clock;
use crate::diag::{Failure, Fault, Finding, Findings, Result};
use crate::engine::readers::{self, Pieces, ReaderSpec};
use crate::engine::{Limits, session};
use crate::project::{self, Location, Project, RawColumn, Schemas};
use crate::spec::{Format, Named, Source, Spec, Variables};
use crate::sql::DataType;
use crate::store::Warehouse;
use crate::text::{FileId, Files, TextOr};

/// A project's files as specs; nothing but text has been looked at.
#[derive(Debug)]
pub struct Read {
    /// The files.
    pub files: Files,
    /// What they say.
    pub spec: Spec,
    /// What is wrong with them.
    pub findings: Findings,
}

/// A project that holds together, with its sources open and an engine to run on.
#[derive(Clone)]
pub struct Opened {
    /// The files.
    pub files: Arc<Files>,
    /// What the files say: descriptions and tags are there alone.
    pub spec: Arc<Spec>,
    /// The project.
    pub project: Arc<Project>,
    /// Warnings.
    pub findings: Vec<Finding>,
    /// The time of the run.
    pub clock: Clock,
    /// The present, where it is later: consent must not have lapsed by now.
    pub present: Clock,
    /// The warehouse.
    pub warehouse: Warehouse,
    /// The engine; stored tables are registered as `raw."<source>"`.
    pub session: SessionContext,
    /// Fingerprint of the data of each source.
    pub inputs: BTreeMap<String, String>,
    /// The files that it is in.
    pub pieces: BTreeMap<String, Pieces>,
    /// The project's folder.
    pub folder: PathBuf,
    /// Memory and threads.
    pub limits: Limits,
    /// Who runs this.
    pub who: String,
    /// How long to wait for another run that holds the warehouse.
    pub wait: Option<Duration>,
}

/// Reads the text of a project.
pub fn read(request: &Request) -> Result<Read> {
    let mut files = Files::default();
    let path = request.project.join("warehouse.yaml");
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let cause = if error.kind() == ErrorKind::NotFound {
            format!("there is no `warehouse.yaml` in `{}`", request.project.display())
        } else {
            error.to_string()
        };
        Failure::project("W002", "opening the project", cause)
            .help("give the project's folder with `--project DIR`, or make a new one with `cohorte init DIR`")
    })?;
    let warehouse = files.add("warehouse.yaml", text);
    let mut below = |folder: &str| -> Result<Vec<FileId>> {
        let mut found = Vec::new();
        for path in model_files(&request.project.join(folder))? {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                let help = match error.kind() {
                    ErrorKind::InvalidData => {
                        "model files are UTF-8 text: convert it, for example with `iconv -f UTF-16 -t UTF-8`"
                    }
                    ErrorKind::NotFound => "it is a link that leads nowhere: mend it, or remove it",
                    _ => "check that the file may be read",
                };
                Failure::project("W002", format!("reading `{}`", shown(&request.project, &path)), error).help(help)
            })?;
            found.push(files.add(shown(&request.project, &path), text));
        }
        Ok(found)
    };
    let (models, connectors) = (below("models")?, below("connectors")?);
    let variables = Variables { vars: request.vars.clone(), env: Some(request.env.clone()) };
    let mut findings = Findings::default();
    let mut spec = crate::spec::read(&files, warehouse, &models, request.target.as_deref(), variables, &mut findings);
    let named = |file: FileId| {
        let path = &files.get(file).path;
        let stem =
            path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or(path.as_str(), |(stem, _)| stem);
        (stem.to_owned(), file)
    };
    spec.connectors = connectors.into_iter().map(named).collect();
    Ok(Read { files, spec, findings })
}

fn shown(project: &Path, path: &Path) -> String {
    path.strip_prefix(project).unwrap_or(path).display().to_string().replace('\\', "/")
}

/// Every YAML file under a folder, in the order of their paths. A folder that links lead to again, be it from inside itself,
/// is read once.
fn model_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut folders = VecDeque::from([folder.to_owned()]);
    while let Some(folder) = folders.pop_front() {
        let unreadable = |error| {
            Failure::project("W002", format!("reading the folder `{}`", folder.display()), error)
                .help("check that it is a folder and may be read")
        };
        let there = match folder.canonicalize() {
            Ok(there) => there,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(error)),
        };
        if !seen.insert(there) {
            continue;
        }
        let entries: std::io::Result<Vec<_>> = std::fs::read_dir(&folder).and_then(Iterator::collect);
        let mut paths: Vec<_> = entries.map_err(unreadable)?.iter().map(std::fs::DirEntry::path).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push_back(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Opens a project: reads it, looks at the schemas of its sources, resolves and checks it. Any error ends it, all are told.
pub async fn open(request: &Request) -> Result<Opened, Stopped> {
    let Read { files, spec, mut findings } = read(request)?;
    let Some(settings) = &spec.warehouse else { return Err(Stopped::Findings(Box::new(files), findings.sorted())) };
    let timezone = settings.timezone.as_ref().and_then(|zone| zone.value.parse().ok()).unwrap_or(chrono_tz::UTC);
    let as_of = request.as_of.as_ref().map_or(request.now, |as_of| as_of(timezone));
    let clock = Clock { as_of, timezone };
    let present = Clock { as_of: as_of.max(request.now), timezone };
    let engine = settings.engine.as_ref();
    let limits = Limits::of(
        project::memory(settings),
        engine.and_then(|engine| engine.threads.as_ref()).map(|threads| threads.value.max(1) as usize),
    );
    let session = session(limits, &clock)?;
    let schema = settings.warehouse.schema.as_ref().map_or("cdp", |schema| schema.value.as_str());
    let warehouse = Warehouse::open(&settings.warehouse.root.value, &request.project, schema)?;
    let mut schemas = Schemas::new();
    let (mut inputs, mut pieces) = (BTreeMap::new(), BTreeMap::new());
    let mut breaks = Vec::new();
    for named in spec.sources.values() {
        let Some((location, declared, want_row)) = project::location(named, &mut findings) else { continue };
        let zone = named.spec.timezone.as_ref().and_then(|zone| zone.value.parse().ok()).unwrap_or(timezone);
        let places = places(&files, named, &declared);
        let reader = ReaderSpec { places, ..reader(&named.name, location, declared, want_row, zone) };
        match readers::open(&reader, &warehouse, &request.project, &session).await {
            Ok(opened) => {
                let mut columns = columns(&opened.provider);
                if opened.is_blank && reader.format == readers::Format::Ndjson {
                    let message = format!("the source `{}` is empty: only declared columns are known", named.name);
                    findings.add(
                        Finding::warning("E302", message).at(named.span).help(
                            "declare what the models read under `columns:`, for instance `amount: {type: number}`",
                        ),
                    );
                }
                if opened.is_blank {
                    // Whatever the models take them for will do until there are rows.
                    for column in columns.iter_mut().filter(|column| !reader.types.contains_key(&column.name)) {
                        column.data_type = DataType::Unknown;
                    }
                }
                breaks.extend(opened.breaks.into_iter().map(|(column, one)| break_of(named, &column, &one)));
                schemas.insert(named.name.clone(), columns);
                inputs.insert(named.name.clone(), opened.fingerprint);
                pieces.insert(named.name.clone(), opened.pieces);
                register(&session, &named.name, opened.provider)?;
            }
            // What is wrong with one source is told together with all else.
            Err(failure) if failure.fault == Fault::Project => {
                let finding =
                    Finding::error(failure.code, format!("{} failed: {}", failure.doing, failure.cause)).at(named.span);
                findings.add(Finding { help: Some(failure.help).filter(|help| !help.is_empty()), ..finding });
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    let Some(project) = project::resolve(&files, &spec, &schemas, &mut findings) else {
        return Err(Stopped::Findings(Box::new(files), findings.sorted()));
    };
    // Codes of mixed letters and digits are text, and rightly so; where a type does not fit, one stray cell may be why.
    if findings.iter().any(|finding| finding.code == "E204") {
        for finding in breaks {
            findings.add(finding);
        }
    }
    if findings.has_errors() {
        return Err(Stopped::Findings(Box::new(files), findings.sorted()));
    }
    Ok(Opened {
        files: Arc::new(files),
        spec: Arc::new(spec),
        project: Arc::new(project),
        findings: findings.sorted(),
        clock,
        present,
        warehouse,
        session,
        inputs,
        pieces,
        folder: request.project.clone(),
        limits,
        who: super::audit::who(&request.env),
        wait: request.wait,
    })
}

/// A column that is text because of one cell.
fn break_of(named: &Named<Source>, column: &str, found: &readers::Break) -> Finding {
    let readers::Break { file, line, before } = found;
    let message = format!(
        "the column `{column}` of the source `{}` is text: `{file}`, line {line}, is the first that is no {before}",
        named.name
    );
    Finding::warning("E312", message)
        .at(named.span)
        .help(format!("mend that line, or declare the type: `columns: {{{column}: {{type: …}}}}`"))
}

fn register(session: &SessionContext, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
    let reference = datafusion::common::TableReference::partial("raw", name.to_owned());
    session
        .register_table(reference, provider)
        .map(|_| ())
        .map_err(|error| crate::store::failure_from(format!("opening the source `{name}`"), &error))
}

/// Where the types of stored columns are declared, in words.
fn places(files: &Files, named: &Named<Source>, declared: &BTreeMap<String, DataType>) -> BTreeMap<String, String> {
    let mut places = BTreeMap::new();
    for (name, column) in named.spec.columns.iter() {
        let TextOr::Other(column) = column else { continue };
        let stored = column.from.as_ref().map_or(&name.value, |from| &from.value);
        if declared.contains_key(stored) {
            let file = files.get(name.span.file);
            let (line, _) = file.line_column(name.span.start);
            places.insert(stored.clone(), format!("`{}`, line {line},", file.path));
        }
    }
    places
}

fn reader(
    name: &str,
    location: Location,
    declared: BTreeMap<String, DataType>,
    want_row: bool,
    timezone: chrono_tz::Tz,
) -> ReaderSpec {
    let (format, place, delimiter) = match location {
        Location::Table(table) => (readers::Format::Delta, readers::Location::Table(table), None),
        Location::Files { path, format, delimiter } => {
            let format = match format {
                Format::Delta => readers::Format::Delta,
                Format::Parquet => readers::Format::Parquet,
                Format::Csv => readers::Format::Csv,
                Format::Ndjson => readers::Format::Ndjson,
            };
            (format, readers::Location::Path(path), delimiter)
        }
    };
    ReaderSpec {
        delimiter,
        types: declared,
        timezone: Some(timezone),
        want_row,
        ..ReaderSpec::new(name, format, place)
    }
}

/// The columns of a stored table as models see them.
pub(super) fn columns(provider: &Arc<dyn TableProvider>) -> Vec<RawColumn> {
    use datafusion::arrow::datatypes::{DataType as Arrow, TimeUnit};
    let schema = provider.schema();
    let column = |field: &Arc<datafusion::arrow::datatypes::Field>| {
        let (data_type, cast) = match field.data_type() {
            Arrow::Utf8View => (DataType::Text, None),
            Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Dictionary(..) => (DataType::Text, Some("varchar")),
            Arrow::Int64 => (DataType::Integer, None),
            Arrow::Int8
            | Arrow::Int16
            | Arrow::Int32
            | Arrow::UInt8
            | Arrow::UInt16
            | Arrow::UInt32
            | Arrow::UInt64 => (DataType::Integer, Some("bigint")),
            Arrow::Float64 => (DataType::Number, None),
            Arrow::Float16 | Arrow::Float32 => (DataType::Number, Some("double")),
            Arrow::Decimal128(38, 9) => (DataType::Decimal, None),
            Arrow::Decimal32(..) | Arrow::Decimal64(..) | Arrow::Decimal128(..) | Arrow::Decimal256(..) => {
                (DataType::Decimal, Some("decimal(38, 9)"))
            }
            Arrow::Boolean => (DataType::Boolean, None),
            Arrow::Date32 => (DataType::Date, None),
            Arrow::Date64 => (DataType::Date, Some("date")),
            Arrow::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => (DataType::Timestamp, None),
            Arrow::Timestamp(_, Some(_)) => (DataType::Timestamp, Some("timestamp")),
            Arrow::Timestamp(_, None) => (DataType::Timestamp, None),
            Arrow::List(inner) if matches!(inner.data_type(), Arrow::Utf8 | Arrow::Utf8View | Arrow::LargeUtf8) => {
                (DataType::TextList, None)
            }
            _ => (DataType::Json, None),
        };
        let naive = matches!(field.data_type(), Arrow::Timestamp(_, None));
        RawColumn { name: field.name().clone(), data_type, naive, cast: cast.map(str::to_owned) }
    };
    schema.fields().iter().map(column).collect()
}
