//! NDJSON, one object per line, and JSON, one array of objects. What is nested comes out as JSON text, so that a shape
//! that drifts inside of it breaks nothing.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, Read};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::columns::{Column, Unfit};
use super::failures::{empty, encoding, malformed, unreadable};
use super::files::SourceFile;
use super::layout::{Layout, More, Rows, Sample};
use crate::diag::{Failure, Result};

/// A line may not be longer: a file without line breaks would have to be held in memory.
const LONGEST: u64 = 64 << 20;

/// Calls `each` with every object of a file and its line (its number, in an array) until that ends it.
fn objects(source: &str, file: &SourceFile, each: &mut dyn FnMut(Row<'_>, u64) -> Result<More>) -> Result<More> {
    let unreadable = |error: &dyn fmt::Display| unreadable(source, &file.name, error);
    let mut text = file.text().map_err(|error| unreadable(&error))?;
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        number += 1;
        let length = text.by_ref().take(LONGEST).read_until(b'\n', &mut line).map_err(|error| unreadable(&error))?;
        if length == 0 {
            return Ok(More::Yes);
        }
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() {
            continue;
        }
        if number == 1 && (trimmed.starts_with(&[0xff, 0xfe]) || trimmed.starts_with(&[0xfe, 0xff])) {
            return Err(encoding(source, &file.name, 1, None));
        }
        if trimmed[0] == b'[' {
            let rest = std::mem::take(&mut line);
            return array(source, file, number, std::io::Cursor::new(rest).chain(text), each);
        }
        if length as u64 == LONGEST {
            return Err(malformed(source, &file.name, number, "is longer than 64 MiB"));
        }
        let trimmed = std::str::from_utf8(trimmed).map_err(|_| encoding(source, &file.name, number, None))?;
        if each(Row::Line(trimmed), number)? == More::No {
            return Ok(More::No);
        }
    }
}

fn array(
    source: &str,
    file: &SourceFile,
    line: u64,
    text: impl BufRead,
    each: &mut dyn FnMut(Row<'_>, u64) -> Result<More>,
) -> Result<More> {
    let mut deserializer = serde_json::Deserializer::from_reader(text);
    let mut outcome = Ok(More::Yes);
    let read = deserializer.deserialize_seq(Elements { each, outcome: &mut outcome });
    match read {
        _ if !matches!(outcome, Ok(More::Yes)) => outcome,
        Ok(()) => Ok(More::Yes),
        Err(error) => Err(malformed(source, &file.name, line + error.line() as u64 - 1, said(&error))),
    }
}

/// One object: the text of a line, or an element of an array.
enum Row<'a> {
    Line(&'a str),
    Element(Value),
}

struct Elements<'a> {
    each: &'a mut dyn FnMut(Row<'_>, u64) -> Result<More>,
    outcome: &'a mut Result<More>,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> std::result::Result<(), A::Error> {
        let mut number = 0;
        while let Some(element) = elements.next_element::<Value>()? {
            number += 1;
            *self.outcome = (self.each)(Row::Element(element), number);
            if !matches!(self.outcome, Ok(More::Yes)) {
                return Err(A::Error::custom("ended"));
            }
        }
        Ok(())
    }
}

/// What a parser says, without what it saw.
fn said(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "ends in the middle of a JSON value",
        serde_json::error::Category::Data => "is no JSON object",
        _ => "is no valid JSON",
    }
}

/// Looks at the first objects of a file. Did it have any?
pub(super) fn sample(source: &str, file: &SourceFile, rows: usize, into: &mut Sample) -> Result<bool> {
    if file.size == 0 {
        return Ok(false);
    }
    let mut left = rows;
    let mut any = false;
    objects(source, file, &mut |row, number| {
        any = true;
        let fields: serde_json::Map<String, Value> = match row {
            Row::Line(line) => match serde_json::from_str(line) {
                Ok(fields) => fields,
                Err(error) => return Err(malformed(source, &file.name, number, said(&error))),
            },
            Row::Element(Value::Object(fields)) => fields,
            Row::Element(_) => return Err(malformed(source, &file.name, number, "is no JSON object")),
        };
        for (name, value) in &fields {
            let seen = into.column(name);
            match value {
                Value::Null => {}
                Value::Bool(_) => seen.boolean(),
                Value::Number(number) if number.is_i64() => seen.integer(),
                Value::Number(_) => seen.number(),
                Value::String(text) => seen.string(text),
                Value::Array(_) | Value::Object(_) => seen.nested(),
            }
        }
        left -= 1;
        Ok(if left == 0 { More::No } else { More::Yes })
    })?;
    Ok(any)
}

/// The failure for a source all of whose files are empty.
pub(super) fn nothing(source: &str, file: &SourceFile) -> Failure {
    empty(source, &file.name)
}

/// Reads a file.
pub(super) fn read(
    file: &SourceFile,
    layout: &Layout,
    schema: SchemaRef,
    wanted: &[usize],
    emit: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<More> {
    let source = &layout.source;
    let at: HashMap<&str, usize> = wanted
        .iter()
        .enumerate()
        .filter(|(_, index)| !layout.is_row(**index))
        .map(|(position, index)| (layout.columns[*index].0.as_str(), position))
        .collect();
    let mut rows = Rows::new(layout, &file.name, schema, wanted, emit);
    let mut cells: Vec<Value> = vec![Value::Null; wanted.len()];
    let mut count = 0;
    let ended = objects(source, file, &mut |row, line| {
        count += 1;
        cells.fill(Value::Null);
        match row {
            Row::Line(text) => {
                let mut deserializer = serde_json::Deserializer::from_str(text);
                Fields { at: &at, cells: &mut cells }
                    .deserialize(&mut deserializer)
                    .and_then(|()| deserializer.end())
                    .map_err(|error| malformed(source, &file.name, line, said(&error)))?;
            }
            Row::Element(Value::Object(fields)) => {
                for (name, value) in fields {
                    if let Some(position) = at.get(name.as_str()) {
                        cells[*position] = value;
                    }
                }
            }
            Row::Element(_) => return Err(malformed(source, &file.name, line, "is no JSON object")),
        }
        for (position, cell) in cells.iter_mut().enumerate() {
            if !layout.is_row(wanted[position]) {
                put(&mut rows.columns[position], cell.take()).map_err(|error| rows.unfit(position, line, error))?;
            }
        }
        rows.name_row(count);
        rows.end_row()
    })?;
    if ended == More::No { Ok(More::No) } else { rows.flush() }
}

fn put(column: &mut Column, value: Value) -> std::result::Result<(), Unfit> {
    match value {
        Value::Null => column.null(),
        Value::Bool(value) => return column.json_boolean(value),
        Value::Number(value) => return column.json_number(&value),
        Value::String(text) if text.is_empty() => return column.text_or_empty(&text),
        Value::String(text) => return column.string(&text),
        Value::Array(items) if matches!(column, Column::TextList(_)) => {
            let text = |item: Value| match item {
                Value::Null => Ok(None),
                Value::String(text) => Ok(Some(text)),
                Value::Array(_) | Value::Object(_) => Err(Unfit),
                other => Ok(Some(other.to_string())),
            };
            return column.list(items.into_iter().map(text).collect::<std::result::Result<_, _>>()?);
        }
        nested => return column.nested(&nested.to_string()),
    }
    Ok(())
}

/// Reads the wanted fields of an object, and skips the others without building them.
struct Fields<'a> {
    at: &'a HashMap<&'a str, usize>,
    cells: &'a mut [Value],
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> std::result::Result<(), A::Error> {
        while let Some(position) = fields.next_key_seed(Name(self.at))? {
            match position {
                Some(position) => self.cells[position] = fields.next_value()?,
                None => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Finds the column of a key without keeping the key.
struct Name<'a>(&'a HashMap<&'a str, usize>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> std::result::Result<Self::Value, E> {
        Ok(self.0.get(key).copied())
    }
}
