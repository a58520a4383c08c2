//! Sources: every column with its type and the SQL that reads it from what is stored.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use indexmap::IndexMap;

use super::location::{Location, location};
use super::parents::{circles, parents};
use super::schemas::{RawColumn, Schemas};
use super::settings::zone;
use super::source_scope::SourceScope;
use super::{Connection, Project, personal};
use crate::diag::{Finding, Findings, nearest};
use crate::spec::{self, ColumnType, Duration, ExpectSeverity, Named, Spec, Text};
use crate::sql::{Bound, DataType, SqlText, bind, ident, text_literal};
use crate::text::{Constant, Files, Span};

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
    /// Those that hold personal data.
    pub personal: BTreeSet<String>,
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
    /// Does a column hold personal data?
    #[must_use]
    pub fn is_personal(&self, column: &str) -> bool {
        self.personal.contains(column)
    }

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
        let source =
            schemas.get(&named.name).and_then(|raw| Resolver { files, named, raw, project, findings }.source());
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

pub(super) struct Resolver<'a> {
    pub(super) files: &'a Files,
    pub(super) named: &'a Named<spec::Source>,
    pub(super) raw: &'a [RawColumn],
    pub(super) project: &'a Project,
    pub(super) findings: &'a mut Findings,
}

impl Resolver<'_> {
    pub(super) fn source(&mut self) -> Option<Source> {
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
        let personal = personal::of_source(self.files, spec, &columns);
        Some(Source {
            name: self.named.name.clone(),
            span: self.named.span,
            location,
            declared,
            wants_row,
            stored: self.raw.iter().map(|raw| (raw.name.clone(), stored(raw, timezone))).collect(),
            columns,
            personal,
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

    pub(super) fn known(&mut self, columns: &IndexMap<String, SourceColumn>, name: &Text) -> Option<String> {
        if columns.contains_key(&name.value) {
            return Some(name.value.clone());
        }
        self.missing(columns, &name.value, name.span);
        None
    }

    pub(super) fn missing(&mut self, columns: &IndexMap<String, SourceColumn>, name: &str, span: Span) {
        self.findings.add(unknown_column(&self.named.name, columns, name, span));
    }

    pub(super) fn expectation(
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

pub(super) fn unknown_column(
    source: &str,
    columns: &IndexMap<String, SourceColumn>,
    name: &str,
    span: Span,
) -> Finding {
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
