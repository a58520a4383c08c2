//! Columns of a source: as stored, and as they are declared to be read.

use chrono_tz::Tz;
use indexmap::IndexMap;

use super::settings::zone;
use super::source_scope::SourceScope;
use super::sources::{Resolver, SourceColumn};
use crate::diag::Finding;
use crate::spec::{self, ColumnType, Text};
use crate::sql::{DataType, SqlText, bind, ident, text_literal};
use crate::text::{Span, TextOr};

impl Resolver<'_> {
    /// Stored columns as they are, then those that are declared, which replace them.
    pub(super) fn columns(&mut self, timezone: Tz) -> IndexMap<String, SourceColumn> {
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
    pub(super) fn typed(
        &mut self,
        column: SourceColumn,
        spec: &spec::Column,
        timezone: Tz,
        span: Span,
    ) -> SourceColumn {
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
        let from_text = |function: &str, arguments: String, data_type| SourceColumn {
            semantic: None,
            ..semantic(function, arguments, data_type)
        };
        let plain = |sql: String, data_type| SourceColumn { sql, data_type, semantic: None, raw: None, reason: None };
        let given = match column.data_type {
            DataType::Unknown => DataType::Text,
            given => given,
        };
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
            ColumnType::Date => from_text("date", format!(", {format}"), DataType::Date),
            ColumnType::Timestamp if given == DataType::Timestamp => plain(column.sql, DataType::Timestamp),
            ColumnType::Timestamp if given == DataType::Date => {
                plain(format!("cohorte_zoned(cast({} as timestamp), {zone_text})", column.sql), DataType::Timestamp)
            }
            ColumnType::Timestamp => from_text("timestamp", format!(", {format}, {zone_text}"), DataType::Timestamp),
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
    pub(super) fn instant(
        &mut self,
        columns: &mut IndexMap<String, SourceColumn>,
        name: &Text,
        timezone: Tz,
    ) -> Option<String> {
        let known = self.known(columns, name)?;
        let column = columns.get_mut(&known)?;
        let zone_text = text_literal(timezone.name());
        match column.data_type {
            DataType::Timestamp => {}
            DataType::Date => column.sql = format!("cohorte_zoned(cast({} as timestamp), {zone_text})", column.sql),
            // A source without rows may hold any type; what it stores is text.
            DataType::Text | DataType::Unknown => {
                column.sql = format!("cohorte_timestamp({}, null, {zone_text})", column.sql);
            }
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
}
