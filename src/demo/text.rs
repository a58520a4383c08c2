//! Rows as text ready to be written, as CSV and as JSON: what one shard costs in memory, about 2 kB per person.

use std::io::Write;

use super::cells::{Cells, Value};
use super::clock::{local, utc};
use super::rows::Row;

/// Adds a row as a line of CSV.
pub(crate) fn csv_row<R: Row>(text: &mut Vec<u8>, row: &R) {
    row.put(R::SOURCE.name(), &mut Csv { text, is_first: true });
    text.push(b'\n');
}

/// Adds a row as a line of JSON.
pub(crate) fn json_row<R: Row>(text: &mut Vec<u8>, row: &R) {
    row.put(R::SOURCE.name(), &mut Json { text, depth: 0, is_first: true });
    text.push(b'\n');
}

/// One line of CSV. Groups lie flat.
struct Csv<'a> {
    text: &'a mut Vec<u8>,
    is_first: bool,
}

impl Cells for Csv<'_> {
    fn cell(&mut self, _: &'static str, value: Value) {
        if !std::mem::take(&mut self.is_first) {
            self.text.push(b',');
        }
        match value {
            Value::Null => {}
            Value::Text(text) => quoted(self.text, text),
            other => plain(self.text, other),
        }
    }
}

/// One object of JSON. In groups within the row, what is null is left out.
struct Json<'a> {
    text: &'a mut Vec<u8>,
    depth: usize,
    is_first: bool,
}

impl Json<'_> {
    /// The name of what follows; the row itself has none.
    fn name(&mut self, name: &'static str) {
        if !std::mem::take(&mut self.is_first) {
            self.text.push(b',');
        }
        if self.depth > 0 {
            for part in ["\"", name, "\":"] {
                self.text.extend_from_slice(part.as_bytes());
            }
        }
    }
}

impl Cells for Json<'_> {
    fn open(&mut self, name: &'static str) {
        self.name(name);
        self.text.push(b'{');
        self.depth += 1;
        self.is_first = true;
    }

    fn cell(&mut self, name: &'static str, value: Value) {
        match value {
            Value::Null if self.depth > 1 => {}
            Value::Null => {
                self.name(name);
                self.text.extend_from_slice(b"null");
            }
            Value::Text(text) => {
                self.name(name);
                // Writing text to memory cannot fail.
                let _ = serde_json::to_writer(&mut *self.text, text);
            }
            Value::Cents(_) | Value::Count(_) | Value::Flag(_) => {
                self.name(name);
                plain(self.text, value);
            }
            Value::Serial(_) | Value::Utc(_) | Value::Local(_) | Value::Day(_) => {
                self.name(name);
                self.text.push(b'"');
                plain(self.text, value);
                self.text.push(b'"');
            }
        }
    }

    fn close(&mut self) {
        self.text.push(b'}');
        self.depth -= 1;
        self.is_first = false;
    }
}

/// A value in whose text nothing is special. Writing to memory cannot fail.
fn plain(text: &mut Vec<u8>, value: Value) {
    let _ = match value {
        Value::Null => Ok(()),
        Value::Text(value) => text.write_all(value.as_bytes()),
        Value::Serial(value) => write!(text, "{value}"),
        Value::Utc(time) => text.write_all(utc(time).as_bytes()),
        Value::Local(time) => text.write_all(local(time).as_bytes()),
        Value::Day(day) => write!(text, "{day}"),
        Value::Cents(cents) => write!(text, "{}.{:02}", cents / 100, cents % 100),
        Value::Count(count) => write!(text, "{count}"),
        Value::Flag(flag) => write!(text, "{flag}"),
    };
}

/// A field of CSV, in quotes where it must be.
fn quoted(text: &mut Vec<u8>, field: &str) {
    if field.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        text.push(b'"');
        text.extend_from_slice(field.replace('"', "\"\"").as_bytes());
        text.push(b'"');
    } else {
        text.extend_from_slice(field.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::cells::{Cents, Serial, Utc};
    use crate::demo::ids::{Kind, code};
    use crate::demo::rows::{ProductRow, Props, WebEventRow};

    #[test]
    fn csv_is_quoted_where_it_must_be() {
        let mut text = Vec::new();
        csv_row(&mut text, &ProductRow { sku: "a", name: "b,c", category: "say \"d\"", brand: "", price: Cents(1205) });
        assert_eq!(text, b"a,\"b,c\",\"say \"\"d\"\"\",,12.05\n");
    }

    #[test]
    fn json_leaves_out_properties_that_are_not_there() {
        let mut row = WebEventRow {
            event_id: Serial(7),
            anonymous_id: code(1, Kind::Device, 1),
            user_id: None,
            name: "search",
            path: "/\"",
            props: Props { sku: None, category: None, cart_id: None, items: None, query: None, brochure: None },
            occurred_at: Utc(0),
        };
        let device = row.anonymous_id.as_str().to_owned();
        let line = |row: &WebEventRow| {
            let mut text = Vec::new();
            json_row(&mut text, row);
            String::from_utf8(text).unwrap().replace(&device, "-")
        };
        let head = r#"{"event_id":"7","anonymous_id":"-","user_id":null,"name":"search","path":"/\"","props":"#;
        let tail = r#","occurred_at":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(line(&row), format!("{head}{{}}{tail}\n"));
        row.props.items = Some(2);
        row.props.query = Some("lampe");
        assert_eq!(line(&row), format!("{head}{{\"items\":2,\"query\":\"lampe\"}}{tail}\n"));
    }
}
