//! Where the rows of a source are, and what its reader must know before the schema is known.

use std::collections::BTreeMap;

use crate::diag::{Finding, Findings};
use crate::spec::{self, ColumnType, Format, Named};
use crate::sql::DataType;
use crate::text::TextOr;

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

pub(super) fn from_extension(path: &str) -> Option<Format> {
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
