//! Sources: every column with its type and the SQL that reads it from what is stored.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use indexmap::IndexMap;

use super::order::sort;
use super::schemas::{RawColumn, Schemas};
use super::settings::zone;
use super::{Connection, Project};
use crate::diag::{Finding, Findings, nearest};
use crate::spec::{self, ColumnType, Duration, ExpectSeverity, Format, Named, Spec, Text};
use crate::sql::{Bound, Column, DataType, Scope, SqlText, bind, ident, text_literal};
use crate::text::{Constant, Files, Span, TextOr};

/// Where a source's rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A Delta table under the warehouse's root.
    Table(String),
    /// Files.
    Files {
        /// A path with globs.
        path: String,
        /// Their format.
        format: Format,
        /// CSV's delimiter, where it is given.
        delimiter: Option<u8>,
    },
}

/// A source with its columns.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// Where its rows are.
    pub location: Location,
    /// Types that the reader must give to stored columns.
    pub declared: BTreeMap<String, DataType>,
    /// Does the key use `_row`, the place in the file?
    pub wants_row: bool,
    /// Stored columns and the SQL that gives them the types that models speak of.
    pub stored: Vec<(String, String)>,
    /// Its columns.
    pub columns: IndexMap<String, SourceColumn>,
    /// Columns that identify a row.
    pub key: Vec<String>,
    /// One row per key is kept, the latest by `updated_at`.
    pub latest: bool,
    /// When a row was last changed.
    pub updated_at: Option<String>,
    /// True for rows that say that their record is gone.
    pub deleted: Option<Bound>,
    /// Which rows count.
    pub filter: Option<Bound>,
    /// When the event was.
    pub time: Option<String>,
    /// The column that names events, and the names.
    pub event: Option<(String, Vec<(String, Span)>)>,
    /// Sources that a row finds its customer and its time in.
    pub parents: Vec<Parent>,
    /// What must hold.
    pub expect: Vec<Expectation>,
    /// The connection that the rows came from.
    pub connection: Option<String>,
}

/// A column of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    /// SQL over the stored columns, typed.
    pub sql: String,
    /// Its type.
    pub data_type: DataType,
    /// Its meaning, where it has one.
    pub semantic: Option<ColumnType>,
    /// The text that a semantic value was read from.
    pub raw: Option<String>,
    /// Why that text has no value.
    pub reason: Option<String>,
}

impl SourceColumn {
    /// Is it personal data?
    #[must_use]
    pub fn is_personal(&self) -> bool {
        self.semantic.is_some_and(ColumnType::is_personal)
    }
}

/// A source that rows belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The source.
    pub source: String,
    /// (its key column, SQL over our columns).
    pub on: Vec<(String, String)>,
}

/// What must hold of a source, and what happens if it does not.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// What must hold.
    pub expected: Expected,
    /// Does a failure only warn?
    pub warn: bool,
    /// Where it is written.
    pub span: Span,
}

/// What must hold.
#[derive(Debug, Clone)]
pub enum Expected {
    /// Columns are distinct together.
    Unique(Vec<String>),
    /// Columns are not null.
    NotNull(Vec<String>),
    /// A column has one of these values (SQL literals).
    Accepted(String, Vec<String>),
    /// A column's newest value is not older.
    Fresh(String, Duration),
    /// SQL is true for every row.
    Sql(Bound),
}

impl Source {
    /// SQL of the key as one text: the column, or a JSON array of several.
    #[must_use]
    pub fn key_sql(&self, alias: &str) -> String {
        let columns: Vec<String> = self.key.iter().map(|column| format!("{alias}{}", ident(column))).collect();
        match columns.as_slice() {
            [one] => format!("cast({one} as varchar)"),
            many => format!("cohorte_key({})", many.join(", ")),
        }
    }
}

pub(super) fn resolve(files: &Files, spec: &Spec, schemas: &Schemas, project: &mut Project, findings: &mut Findings) {
    for named in spec.sources.values() {
        let source = schemas.get(&named.name).and_then(|raw| Resolver { files, named, raw, project, findings }.source());
        match source {
            Some(source) => {
                project.sources.insert(named.name.clone(), source);
            }
            None => {
                let events = named.spec.event.iter().flat_map(|event| &event.names).map(|name| name.value.clone());
                project.broken.extend(events.chain([named.name.clone()]));
            }
        }
    }
    circles(spec, project, findings);
    parents(files, spec, project, findings);
}

/// The location and declared types of a source: what its reader needs before the schema is known.
#[must_use]
pub fn location(
    named: &Named<spec::Source>,
    findings: &mut Findings,
) -> Option<(Location, BTreeMap<String, DataType>, bool)> {
    let source = &named.spec;
    let location = match (&source.table, &source.path) {
        (Some(table), None) => Location::Table(table.value.clone()),
        (None, Some(path)) => {
            let format = source.format.as_ref().map(|format| format.value).or_else(|| from_extension(&path.value));
            let Some(format) = format else {
                findings.add(
                    Finding::error("E112", "the format of these files is not known")
                        .at(path.span)
                        .help("write `format: csv`, `ndjson`, `parquet` or `delta`"),
                );
                return None;
            };
            let delimiter = source.delimiter.as_ref().and_then(|text| match text.value.as_str() {
                "\\t" | "tab" => Some(b'\t'),
                one if one.len() == 1 => Some(one.as_bytes()[0]),
                _ => {
                    findings.add(Finding::error("E102", "a delimiter is one character").at(text.span));
                    None
                }
            });
            Location::Files { path: path.value.clone(), format, delimiter }
        }
        _ => {
            let message = format!("the source `{}` needs either `table` or `path`", named.name);
            findings.add(Finding::error("E112", message).at(named.span).help(
                "`table: raw/orders` is a Delta table under the warehouse's root, `path: data/orders.csv` are files",
            ));
            return None;
        }
    };
    let mut declared = BTreeMap::new();
    for (name, column) in source.columns.iter() {
        let TextOr::Other(column) = column else { continue };
        if column.sql.is_some() {
            continue;
        }
        let stored = column.from.as_ref().map_or(&name.value, |from| &from.value);
        let data_type = match column.kind.as_ref().map(|kind| kind.value) {
            _ if column.parse.is_some() => DataType::Text,
            Some(ColumnType::Integer) => DataType::Integer,
            Some(ColumnType::Number) => DataType::Number,
            Some(ColumnType::Decimal) => DataType::Decimal,
            Some(ColumnType::Boolean) => DataType::Boolean,
            Some(ColumnType::Date | ColumnType::Timestamp | ColumnType::BirthDate) | None => continue,
            Some(_) => DataType::Text,
        };
        declared.insert(stored.clone(), data_type);
    }
    let wants_row = source.key.iter().any(|key| key.value == "_row");
    Some((location, declared, wants_row))
}

fn from_extension(path: &str) -> Option<Format> {
    let path = path.strip_suffix(".gz").unwrap_or(path).to_ascii_lowercase();
    [
        (".csv", Format::Csv),
        (".tsv", Format::Csv),
        (".ndjson", Format::Ndjson),
        (".jsonl", Format::Ndjson),
        (".parquet", Format::Parquet),
    ]
    .into_iter()
    .find(|(extension, _)| path.ends_with(extension))
    .map(|(_, format)| format)
}

struct Resolver<'a> {
    files: &'a Files,
    named: &'a Named<spec::Source>,
    raw: &'a [RawColumn],
    project: &'a Project,
    findings: &'a mut Findings,
}

impl Resolver<'_> {
    fn source(&mut self) -> Option<Source> {
        let spec = &self.named.spec;
        let (location, declared, wants_row) = location(self.named, &mut Findings::default())?;
        let timezone = match &spec.timezone {
            Some(name) => zone(&name.value, name.span, self.findings),
            None => self.project.settings.timezone,
        };
        let mut columns = self.columns(timezone);
        if spec.key.is_empty() {
            let message = format!("the source `{}` has no `key`", self.named.name);
            self.findings.add(Finding::error("E113", message).at(self.named.span).help("name the column or columns that identify a row; `key: _row` takes the place in the file, where rows have none"));
        }
        let key = spec.key.iter().filter_map(|name| self.known(&columns, name)).collect();
        let time = spec.time.as_ref().and_then(|name| self.instant(&mut columns, name, timezone));
        let updated_at = spec.updated_at.as_ref().and_then(|name| self.instant(&mut columns, name, timezone));
        if spec.versions.is_some() && spec.updated_at.is_none() {
            let message = format!("`versions: latest` in the source `{}` needs `updated_at`", self.named.name);
            self.findings.add(
                Finding::error("E113", message)
                    .at(spec.versions.as_ref().map_or(self.named.span, |versions| versions.span)),
            );
        }
        let scope = SourceScope { name: &self.named.name, columns: &columns, timezone };
        let truth = |text: &Option<Text>, findings: &mut Findings| {
            text.as_ref()
                .and_then(|text| bind(SqlText::new(self.files, text), &scope, Some(DataType::Boolean), findings))
        };
        let deleted = truth(&spec.deleted, self.findings);
        let filter = truth(&spec.filter, self.findings);
        let expect =
            spec.expect.iter().filter_map(|expectation| self.expectation(&columns, timezone, expectation)).collect();
        let event = spec.event.as_ref().and_then(|event| {
            let column = self.known(&columns, &event.column)?;
            Some((column, event.names.iter().map(|name| (name.value.clone(), name.span)).collect()))
        });
        let connection =
            spec.connection.as_ref().and_then(|name| known_connection(&self.project.connections, name, self.findings));
        Some(Source {
            name: self.named.name.clone(),
            span: self.named.span,
            location,
            declared,
            wants_row,
            stored: self.raw.iter().map(|raw| (raw.name.clone(), stored(raw, timezone))).collect(),
            columns,
            key,
            latest: spec.versions.is_some(),
            updated_at,
            deleted,
            filter,
            time,
            event,
            parents: Vec::new(),
            expect,
            connection,
        })
    }

    /// Stored columns as they are, then those that are declared, which replace them.
    fn columns(&mut self, timezone: Tz) -> IndexMap<String, SourceColumn> {
        let mut columns = IndexMap::new();
        for raw in self.raw {
            let plain = SourceColumn {
                sql: ident(&raw.name),
                data_type: raw.data_type,
                semantic: None,
                raw: None,
                reason: None,
            };
            columns.insert(raw.name.clone(), plain);
        }
        let raw_scope_columns = columns.clone();
        for (name, column) in self.named.spec.columns.iter() {
            let resolved = match column {
                // A text is short for the stored column of that name.
                TextOr::Text(from) => raw_scope_columns.get(from).cloned().or_else(|| {
                    self.missing(&raw_scope_columns, from, name.span);
                    None
                }),
                TextOr::Other(column) => match &column.sql {
                    Some(sql) => {
                        let scope = SourceScope { name: &self.named.name, columns: &raw_scope_columns, timezone };
                        bind(SqlText::new(self.files, sql), &scope, None, self.findings).map(|bound| {
                            let plain = SourceColumn {
                                sql: bound.sql,
                                data_type: bound.data_type,
                                semantic: None,
                                raw: None,
                                reason: None,
                            };
                            self.typed(plain, column, timezone, name.span)
                        })
                    }
                    None => {
                        let from = column.from.as_ref().map_or(&name.value, |from| &from.value);
                        let span = column.from.as_ref().map_or(name.span, |from| from.span);
                        match raw_scope_columns.get(from) {
                            Some(stored) => Some(self.typed(stored.clone(), column, timezone, name.span)),
                            None => {
                                self.missing(&raw_scope_columns, from, span);
                                None
                            }
                        }
                    }
                },
            };
            // A column that failed is there with an unknown type, so that its readers are not blamed, too.
            let unknown = || SourceColumn {
                sql: "null".into(),
                data_type: DataType::Unknown,
                semantic: None,
                raw: None,
                reason: None,
            };
            columns.insert(name.value.clone(), resolved.unwrap_or_else(unknown));
        }
        columns
    }

    /// Gives a column its declared meaning.
    fn typed(&mut self, column: SourceColumn, spec: &spec::Column, timezone: Tz, span: Span) -> SourceColumn {
        let timezone = match &spec.timezone {
            Some(name) => zone(&name.value, name.span, self.findings),
            None => timezone,
        };
        let kind = spec.kind.as_ref().map(|kind| kind.value).or_else(|| {
            spec.parse.as_ref().map(|format| {
                if format.value.contains("%H")
                    || format.value.contains("%I")
                    || format.value.contains("%T")
                    || format.value.contains("%s")
                {
                    ColumnType::Timestamp
                } else {
                    ColumnType::Date
                }
            })
        });
        let Some(kind) = kind else { return column };
        if let Some(format) = &spec.parse
            && chrono::format::StrftimeItems::new(&format.value).parse().is_err()
        {
            let message = format!("`{}` is no format of dates", format.value);
            let finding = Finding::error("E102", message).at(format.span);
            self.findings.add(finding.help("formats are written with strftime's letters, such as `%d/%m/%Y %H:%M`"));
        }
        let text = if column.data_type == DataType::Text {
            column.sql.clone()
        } else {
            format!("cast({} as varchar)", column.sql)
        };
        let format = spec.parse.as_ref().map_or("null".to_owned(), |format| text_literal(&format.value));
        let zone_text = text_literal(timezone.name());
        let semantic = |function: &str, arguments: String, data_type| SourceColumn {
            sql: format!("cohorte_{function}({text}{arguments})"),
            data_type,
            semantic: Some(kind),
            reason: Some(format!("cohorte_{function}_reason({text}{arguments})")),
            raw: Some(text.clone()),
        };
        let plain = |sql: String, data_type| SourceColumn { sql, data_type, semantic: None, raw: None, reason: None };
        let given = column.data_type;
        match kind {
            ColumnType::Email => semantic("email", String::new(), DataType::Text),
            ColumnType::GivenName => semantic("given_name", String::new(), DataType::Text),
            ColumnType::FamilyName => semantic("family_name", String::new(), DataType::Text),
            ColumnType::Phone => {
                let region = spec.region.as_ref().map_or("null".to_owned(), |region| text_literal(&region.value));
                semantic("phone", format!(", {region}"), DataType::Text)
            }
            ColumnType::BirthDate => semantic("birth_date", format!(", {format}"), DataType::Date),
            ColumnType::Text => plain(text, DataType::Text),
            ColumnType::Date if given == DataType::Date => plain(column.sql, DataType::Date),
            ColumnType::Date if given == DataType::Timestamp => {
                plain(format!("cohorte_local_date({}, {zone_text})", column.sql), DataType::Date)
            }
            ColumnType::Date => plain(format!("cohorte_date({text}, {format})"), DataType::Date),
            ColumnType::Timestamp if given == DataType::Timestamp => plain(column.sql, DataType::Timestamp),
            ColumnType::Timestamp if given == DataType::Date => {
                plain(format!("cohorte_zoned(cast({} as timestamp), {zone_text})", column.sql), DataType::Timestamp)
            }
            ColumnType::Timestamp => {
                plain(format!("cohorte_timestamp({text}, {format}, {zone_text})"), DataType::Timestamp)
            }
            ColumnType::Integer if given == DataType::Integer => plain(column.sql, given),
            ColumnType::Number if given == DataType::Number => plain(column.sql, given),
            ColumnType::Decimal if given == DataType::Decimal => plain(column.sql, given),
            ColumnType::Boolean if given == DataType::Boolean => plain(column.sql, given),
            ColumnType::Decimal if given == DataType::Text || given.is_number() => {
                plain(format!("try_cast({} as decimal(38, 9))", column.sql), DataType::Decimal)
            }
            ColumnType::Integer if given == DataType::Text || given.is_number() => {
                plain(format!("try_cast({} as bigint)", column.sql), DataType::Integer)
            }
            ColumnType::Number if given == DataType::Text || given.is_number() => {
                plain(format!("try_cast({} as double)", column.sql), DataType::Number)
            }
            ColumnType::Boolean if given == DataType::Text => {
                plain(format!("try_cast({} as boolean)", column.sql), DataType::Boolean)
            }
            _ => {
                self.findings.add(Finding::error("E204", format!("{given} cannot be read as this type")).at(span));
                column
            }
        }
    }

    /// A column that must be an instant; text in ISO 8601 is read as one.
    fn instant(&mut self, columns: &mut IndexMap<String, SourceColumn>, name: &Text, timezone: Tz) -> Option<String> {
        let known = self.known(columns, name)?;
        let column = columns.get_mut(&known)?;
        let zone_text = text_literal(timezone.name());
        match column.data_type {
            DataType::Timestamp | DataType::Unknown => {}
            DataType::Date => column.sql = format!("cohorte_zoned(cast({} as timestamp), {zone_text})", column.sql),
            DataType::Text => column.sql = format!("cohorte_timestamp({}, null, {zone_text})", column.sql),
            other => {
                let message = format!("the column `{}` is {other}, a time is needed", name.value);
                self.findings.add(
                    Finding::error("E204", message)
                        .at(name.span)
                        .help("declare how it is read: `columns: {…: {type: timestamp, parse: \"%d/%m/%Y %H:%M\"}}`"),
                );
                return None;
            }
        }
        column.data_type = DataType::Timestamp;
        Some(known)
    }

    fn known(&mut self, columns: &IndexMap<String, SourceColumn>, name: &Text) -> Option<String> {
        if columns.contains_key(&name.value) {
            return Some(name.value.clone());
        }
        self.missing(columns, &name.value, name.span);
        None
    }

    fn missing(&mut self, columns: &IndexMap<String, SourceColumn>, name: &str, span: Span) {
        self.findings.add(unknown_column(&self.named.name, columns, name, span));
    }

    fn expectation(
        &mut self,
        columns: &IndexMap<String, SourceColumn>,
        timezone: Tz,
        written: &crate::text::Located<spec::Expectation>,
    ) -> Option<Expectation> {
        let names = |resolver: &mut Self, names: &[Text]| -> Vec<String> {
            names.iter().filter_map(|name| resolver.known(columns, name)).collect()
        };
        let expected = if !written.unique.is_empty() {
            Expected::Unique(names(self, &written.unique))
        } else if !written.not_null.is_empty() {
            Expected::NotNull(names(self, &written.not_null))
        } else if let Some(column) = &written.accepted {
            let values = written.values.iter().map(|value| match value {
                Constant::Text(text) => text_literal(text),
                Constant::Boolean(truth) => truth.to_string(),
                Constant::Integer(number) => number.to_string(),
                Constant::Number(number) => number.to_string(),
            });
            Expected::Accepted(self.known(columns, column)?, values.collect())
        } else if let Some(column) = &written.fresh {
            let Some(within) = &written.within else {
                self.findings
                    .add(Finding::error("E102", "`fresh` needs `within`, such as `within: 2d`").at(written.span));
                return None;
            };
            let known = self.known(columns, column)?;
            if !columns[&known].data_type.is_time() {
                self.findings.add(
                    Finding::error(
                        "E204",
                        format!("the column `{known}` is {}, a time is needed", columns[&known].data_type),
                    )
                    .at(column.span),
                );
                return None;
            }
            Expected::Fresh(known, within.value)
        } else if let Some(sql) = &written.sql {
            let scope = SourceScope { name: &self.named.name, columns, timezone };
            Expected::Sql(bind(SqlText::new(self.files, sql), &scope, Some(DataType::Boolean), self.findings)?)
        } else {
            self.findings.add(
                Finding::error("E102", "an expectation is one of `unique`, `not_null`, `accepted`, `fresh`, `sql`")
                    .at(written.span),
            );
            return None;
        };
        Some(Expectation { expected, warn: written.severity == Some(ExpectSeverity::Warn), span: written.span })
    }
}

fn stored(raw: &RawColumn, timezone: Tz) -> String {
    let name = ident(&raw.name);
    if raw.naive {
        return format!("cohorte_zoned({name}, {})", text_literal(timezone.name()));
    }
    if raw.data_type == DataType::Timestamp && raw.cast.is_some() {
        return format!("arrow_cast({name}, 'Timestamp(µs, \"UTC\")')");
    }
    match &raw.cast {
        Some(cast) => format!("cast({name} as {cast})"),
        None => name,
    }
}

fn unknown_column(source: &str, columns: &IndexMap<String, SourceColumn>, name: &str, span: Span) -> Finding {
    let finding =
        Finding::error("E202", format!("the source `{source}` has no `{name}`")).at(span).label("unknown column");
    match nearest(name, columns.keys().map(String::as_str)) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding
            .help(format!("it has {}", columns.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))),
    }
}

pub(super) fn known_connection(
    connections: &IndexMap<String, Connection>,
    name: &Text,
    findings: &mut Findings,
) -> Option<String> {
    if connections.contains_key(&name.value) {
        return Some(name.value.clone());
    }
    let help = match nearest(&name.value, connections.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "connections are declared in warehouse.yaml".into(),
    };
    findings.add(Finding::error("E202", format!("there is no connection `{}`", name.value)).at(name.span).help(help));
    None
}

/// The source of a name, or a finding. What is wrong with a source that did not resolve is said where it is written.
pub(super) fn known_source<'a>(
    project: &'a Project,
    name: &str,
    span: Span,
    findings: &mut Findings,
) -> Option<&'a Source> {
    let source = project.sources.get(name);
    if source.is_none() && !project.broken.contains(name) {
        let known = project.sources.keys().chain(&project.broken).map(String::as_str);
        let finding = Finding::error("E202", format!("there is no source `{name}`")).at(span).label("unknown source");
        findings.add(match nearest(name, known) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help("sources are declared under `sources:`"),
        });
    }
    source
}

/// A row inherits its parent's customer and time: the way up must end. Parents that close a circle are left out.
fn circles(spec: &Spec, project: &mut Project, findings: &mut Findings) {
    let needs = spec
        .sources
        .values()
        .map(|named| {
            let parents = named.spec.belongs_to.iter().map(|(parent, _)| parent.value.clone());
            (named.name.clone(), parents.collect())
        })
        .collect();
    let Err(circle) = sort(&needs) else { return };
    let place = |name: &str| spec.sources.get(name).map(|named| named.span);
    let message = format!("these sources belong to one another: {} → {}", circle.join(" → "), circle[0]);
    let mut finding = Finding::error("E129", message).help("break the circle: a row belongs to what it is a part of");
    finding.span = place(&circle[0]);
    for span in circle[1..].iter().filter_map(|name| place(name)) {
        finding = finding.also(span, "on the way round");
    }
    findings.add(finding);
    for name in circle {
        project.sources.shift_remove(&name);
        project.broken.insert(name);
    }
}

/// `belongs_to` needs every source to be known.
fn parents(files: &Files, spec: &Spec, project: &mut Project, findings: &mut Findings) {
    for named in spec.sources.values() {
        let mut parents = Vec::new();
        for (parent, on) in named.spec.belongs_to.iter() {
            let Some(other) = known_source(project, &parent.value, parent.span, findings) else { continue };
            let Some(own) = project.sources.get(&named.name) else { continue };
            let mut pairs = Vec::new();
            for (theirs, ours) in on.iter() {
                let Some(column) = other.columns.get(&theirs.value) else {
                    findings.add(unknown_column(&parent.value, &other.columns, &theirs.value, theirs.span));
                    continue;
                };
                let scope =
                    SourceScope { name: &named.name, columns: &own.columns, timezone: project.settings.timezone };
                if let Some(bound) = bind(SqlText::new(files, ours), &scope, None, findings) {
                    let ours_sql = match (bound.data_type, column.data_type) {
                        (left, right) if left == right => bound.sql,
                        _ => format!("cast({} as {})", bound.sql, sql_type(column.data_type)),
                    };
                    pairs.push((theirs.value.clone(), ours_sql));
                }
            }
            let keyed: Vec<&String> = pairs.iter().map(|(theirs, _)| theirs).collect();
            if !other.key.iter().all(|key| keyed.contains(&key)) {
                let message = format!("`{}` is found by its whole key: {}", parent.value, other.key.join(", "));
                findings.add(
                    Finding::error("E114", message)
                        .at(parent.span)
                        .help("a row belongs to one parent row, so that nothing is counted twice"),
                );
                continue;
            }
            parents.push(Parent { source: parent.value.clone(), on: pairs });
        }
        if let Some(source) = project.sources.get_mut(&named.name) {
            source.parents = parents;
        }
    }
}

/// The engine's name of a type.
#[must_use]
pub fn sql_type(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Integer => "bigint",
        DataType::Number => "double",
        DataType::Decimal => "decimal(38, 9)",
        DataType::Boolean => "boolean",
        DataType::Date => "date",
        DataType::Timestamp => "timestamptz",
        _ => "varchar",
    }
}

/// The columns of one source, for its own SQL.
pub(super) struct SourceScope<'a> {
    pub(super) name: &'a str,
    pub(super) columns: &'a IndexMap<String, SourceColumn>,
    pub(super) timezone: Tz,
}

impl Scope for SourceScope<'_> {
    fn column(&self, parts: &[&str]) -> Option<Column> {
        let [name] = parts else { return None };
        column_or_part(self.columns, name, "")
    }

    fn names(&self) -> Vec<String> {
        self.columns.keys().cloned().collect()
    }

    fn describe(&self) -> String {
        format!("the source `{}`", self.name)
    }

    fn timezone(&self) -> &str {
        self.timezone.name()
    }
}

/// A column, or `raw(c)`, `valid(c)`, `reason(c)` of one with a semantic type. They are columns of the source's relation.
pub(super) fn column_or_part(columns: &IndexMap<String, SourceColumn>, name: &str, alias: &str) -> Option<Column> {
    if let Some(column) = columns.get(name) {
        return Some(Column {
            sql: format!("{alias}{}", ident(name)),
            data_type: column.data_type,
            reads: name.to_owned(),
        });
    }
    let (part, inner) = name.strip_suffix(')')?.split_once('(')?;
    let column = columns.get(inner).filter(|column| column.semantic.is_some())?;
    let (sql, data_type) = match part {
        "raw" => (format!("{alias}{}", ident(&format!("_raw_{inner}"))), DataType::Text),
        "reason" => (format!("{alias}{}", ident(&format!("_reason_{inner}"))), DataType::Text),
        "valid" => (format!("({alias}{} is not null)", ident(inner)), DataType::Boolean),
        _ => return None,
    };
    let _ = column;
    Some(Column { sql, data_type, reads: inner.to_owned() })
}
