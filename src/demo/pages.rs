//! The rows of some people, as text ready to be written: what one shard costs in memory, about 2 kB per person.

use serde::Serialize;

/// The text files, in the order of [`Output::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Contacts,
    Accounts,
    WebEvents,
    Orders,
    OrderLines,
    Cards,
    EmailEvents,
    Support,
    Preferences,
    Staff,
    Records,
    People,
}

impl Output {
    pub(crate) const ALL: [Self; 12] = [
        Self::Contacts,
        Self::Accounts,
        Self::WebEvents,
        Self::Orders,
        Self::OrderLines,
        Self::Cards,
        Self::EmailEvents,
        Self::Support,
        Self::Preferences,
        Self::Staff,
        Self::Records,
        Self::People,
    ];
}

/// A ticket of a shop, for the Parquet file.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: String,
    pub(crate) shop: String,
    pub(crate) card: Option<String>,
    pub(crate) cents: i64,
    pub(crate) sold_at: i64,
}

/// Rows of some people.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    text: [Vec<u8>; Output::ALL.len()],
    rows: [u64; Output::ALL.len()],
    pub(crate) tickets: Vec<Ticket>,
}

impl Pages {
    /// Adds a row of CSV.
    pub(crate) fn csv(&mut self, output: Output, fields: &[&str]) {
        self.rows[output as usize] += 1;
        csv_line(&mut self.text[output as usize], fields);
    }

    /// Adds a line of JSON.
    pub(crate) fn json(&mut self, output: Output, row: &impl Serialize) {
        let text = &mut self.text[output as usize];
        // Writing plain fields to memory cannot fail.
        if serde_json::to_writer(&mut *text, row).is_ok() {
            text.push(b'\n');
            self.rows[output as usize] += 1;
        }
    }

    /// Says whose record that is.
    pub(crate) fn truth(&mut self, source: &str, record_key: &str, person: &str) {
        self.csv(Output::Records, &[source, record_key, person]);
    }

    /// The text so far.
    pub(crate) fn text(&self, output: Output) -> &[u8] {
        &self.text[output as usize]
    }

    /// How many rows that is.
    pub(crate) fn rows(&self, output: Output) -> u64 {
        self.rows[output as usize]
    }

    /// Starts again, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.text.iter_mut().for_each(Vec::clear);
        self.rows = Default::default();
        self.tickets.clear();
    }
}

/// One line of CSV; fields are quoted where they must be.
pub(crate) fn csv_line(text: &mut Vec<u8>, fields: &[&str]) {
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        if field.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
            text.push(b'"');
            text.extend_from_slice(field.replace('"', "\"\"").as_bytes());
            text.push(b'"');
        } else {
            text.extend_from_slice(field.as_bytes());
        }
    }
    text.push(b'\n');
}

/// The key of a distinct tuple of identifiers: a JSON array, as identity writes composite keys.
pub(crate) fn tuple_key(values: &[Option<&str>]) -> String {
    serde_json::to_string(values).unwrap_or_default()
}

/// Cents as `12.90`.
pub(crate) fn euros(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_quoted_where_it_must_be() {
        let mut text = Vec::new();
        csv_line(&mut text, &["a", "b,c", "say \"d\"", ""]);
        assert_eq!(text, b"a,\"b,c\",\"say \"\"d\"\"\",\n");
    }

    #[test]
    fn keys_and_prices() {
        assert_eq!(tuple_key(&[Some("a"), None]), r#"["a",null]"#);
        assert_eq!(euros(1205), "12.05");
    }
}
