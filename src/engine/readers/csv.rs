//! CSV: any of four delimiters, quotes, a header; every row is checked against it.

use std::collections::BTreeSet;
use std::io::{BufRead, Chain, Cursor, Read};

use csv::{ByteRecord, ReaderBuilder};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;

use super::failures::{column_name, empty, encoding, ragged, unreadable};
use super::files::SourceFile;
use super::layout::{Layout, More, Rows, Sample};
use crate::diag::Result;

/// How far the delimiter is looked for.
const HEADER: u64 = 1 << 16;
/// Names of columns beyond this are a file without a header, or no CSV at all.
const LONGEST_NAME: usize = 1024;

type Reader = csv::Reader<Chain<Cursor<Vec<u8>>, Box<dyn BufRead + Send>>>;

/// One file, its header read.
struct Open {
    reader: Reader,
    header: Vec<String>,
}

fn open(source: &str, file: &SourceFile, delimiter: Option<u8>) -> Result<Open> {
    let unreadable = |error: &dyn std::fmt::Display| unreadable(source, &file.name, error);
    let mut text = file.text().map_err(|error| unreadable(&error))?;
    let mut start = Vec::new();
    let first = text.by_ref().take(HEADER).read_until(b'\n', &mut start).map_err(|error| unreadable(&error))?;
    if first == 0 {
        return Err(empty(source, &file.name));
    }
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return Err(encoding(source, &file.name, 1, None));
    }
    let delimiter = delimiter.unwrap_or_else(|| sniff(&start));
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(1 << 17)
        .from_reader(Cursor::new(start).chain(text));
    let mut record = ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(|error| unreadable(&error))? {
        return Err(empty(source, &file.name));
    }
    let mut header = Vec::with_capacity(record.len());
    let mut seen = BTreeSet::new();
    for (index, name) in record.iter().enumerate() {
        let name = std::str::from_utf8(name).map_err(|_| encoding(source, &file.name, 1, None))?.trim();
        if name.len() > LONGEST_NAME {
            let problem = format!("the name of the column number {} has {} bytes", index + 1, name.len());
            return Err(column_name(source, &file.name, &problem));
        }
        if name.is_empty() {
            return Err(column_name(source, &file.name, &format!("the column number {} has no name", index + 1)));
        }
        if !seen.insert(name.to_owned()) {
            return Err(column_name(source, &file.name, &format!("two columns are called `{name}`")));
        }
        header.push(name.to_owned());
    }
    Ok(Open { reader, header })
}

/// The delimiter that the header has most of, outside of quotes.
fn sniff(header: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in header {
        if *byte == b'"' {
            quoted = !quoted;
        } else if !quoted {
            counts.iter_mut().filter(|(delimiter, _)| delimiter == byte).for_each(|(_, count)| *count += 1);
        }
    }
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

impl Open {
    /// The next row and its line; checked to have a cell for each column.
    fn next<'r>(
        &mut self,
        source: &str,
        file: &SourceFile,
        record: &'r mut ByteRecord,
    ) -> Result<Option<(&'r ByteRecord, u64)>> {
        let more = self.reader.read_byte_record(record).map_err(|error| unreadable(source, &file.name, error))?;
        if !more {
            return Ok(None);
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != self.header.len() {
            return Err(ragged(source, &file.name, line, record.len(), self.header.len()));
        }
        Ok(Some((record, line)))
    }
}

/// Looks at the first rows of a file.
pub(super) fn sample(
    source: &str,
    file: &SourceFile,
    delimiter: Option<u8>,
    rows: usize,
    into: &mut Sample,
) -> Result<()> {
    let mut open = open(source, file, delimiter)?;
    for name in &open.header {
        into.column(name);
    }
    let mut record = ByteRecord::new();
    for _ in 0..rows {
        // A row that is broken is said here: types judged by the rows before it would only blame the models.
        let Some((record, line)) = open.next(source, file, &mut record)? else { break };
        into.rows += 1;
        for (index, cell) in record.iter().enumerate() {
            if let Ok(cell) = std::str::from_utf8(cell) {
                into.cell(&open.header[index], cell, &file.name, line);
            }
        }
    }
    Ok(())
}

/// Reads a file.
pub(super) fn read(
    file: &SourceFile,
    delimiter: Option<u8>,
    layout: &Layout,
    schema: SchemaRef,
    wanted: &[usize],
    emit: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<More> {
    let source = &layout.source;
    let mut open = open(source, file, delimiter)?;
    // Where each wanted column is in this file; a column that this file lacks is null.
    let at: Vec<Option<usize>> =
        wanted.iter().map(|index| open.header.iter().position(|name| *name == layout.columns[*index].0)).collect();
    let mut rows = Rows::new(layout, &file.name, schema, wanted, emit);
    let mut record = ByteRecord::new();
    let mut number = 0;
    while let Some((record, line)) = open.next(source, file, &mut record)? {
        number += 1;
        for (position, at) in at.iter().enumerate() {
            match at {
                Some(at) => {
                    let cell = std::str::from_utf8(&record[*at])
                        .map_err(|_| encoding(source, &file.name, line, Some(&layout.columns[wanted[position]].0)))?;
                    rows.columns[position].text(cell).map_err(|error| rows.unfit(position, line, error))?;
                }
                None if layout.is_row(wanted[position]) => {}
                None => rows.columns[position].null(),
            }
        }
        rows.name_row(number);
        if rows.end_row()? == More::No {
            return Ok(More::No);
        }
    }
    rows.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_found_outside_of_quotes() {
        assert_eq!(sniff(b"a,b\n"), b',');
        assert_eq!(sniff(b"a;\"b,c,d\";e\n"), b';');
        assert_eq!(sniff(b"a\tb\n"), b'\t');
        assert_eq!(sniff(b"a|b|c,d\n"), b'|');
        assert_eq!(sniff(b"single\n"), b',');
    }
}
