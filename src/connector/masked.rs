//! Requests that may be shown: built by the code that builds those that are sent, of rows whose personal values were masked before. So
//! nothing that a template makes of a value, a digest or a part of a longer text, can tell it.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::exchange::Exchange;
use super::expression::{Broken, Scope};
use super::request::Request;
use super::rows::Row;
use super::speak::Wire;
use super::template::Tree;
use crate::spec::connector::Method;

/// `jane@x.fr` → `j***@***`, `Jane` → `J***`.
#[must_use]
pub fn mask(text: &str) -> String {
    let first: String = text.chars().take(1).collect();
    if text.contains('@') { format!("{first}***@***") } else { format!("{first}***") }
}

/// Every value masked; what is null stays.
pub(super) fn mask_all(value: &Json) -> Json {
    match value {
        Json::Null => Json::Null,
        Json::String(text) => Json::String(mask(text)),
        Json::Bool(_) | Json::Number(_) => Json::String("***".to_owned()),
        Json::Array(items) => Json::Array(items.iter().map(mask_all).collect()),
        Json::Object(entries) => {
            Json::Object(entries.iter().map(|(name, value)| (name.clone(), mask_all(value))).collect())
        }
    }
}

impl Row {
    /// The row with these of its columns masked.
    pub(super) fn masked(&self, personal: &BTreeSet<String>) -> Self {
        let masked = |columns: &Map<String, Json>| {
            let column = |(name, value): (&String, &Json)| {
                (name.clone(), if personal.contains(name) { mask_all(value) } else { value.clone() })
            };
            columns.iter().map(column).collect()
        };
        Self { key: masked(&self.key), fields: masked(&self.fields), ..self.clone() }
    }
}

impl<W: Wire> Exchange<'_, W> {
    /// A row as it may be shown.
    pub(super) fn masked_row(&self, row: usize) -> Row {
        let shown = self.masked.as_ref().map_or_else(Row::default, |masked| masked[row].clone());
        Row { id: self.rows[row].id.clone(), ..shown }
    }

    /// A request as it may be shown: built by the same code, of masked rows.
    pub(super) fn masked(
        &self,
        part: &[usize],
        tree: Option<&Tree>,
        outer: &Scope<'_>,
        build: impl FnOnce(&Scope<'_>, &[Vec<u8>]) -> Result<Request, Broken>,
    ) -> Option<Box<Request>> {
        self.masked.as_ref()?;
        let scopes: Vec<Json> = part.iter().map(|&row| self.masked_row(row).clone().scoped(Json::clone)).collect();
        let written = scopes.iter().map(|row| {
            let mut bytes = Vec::new();
            let is_there = tree.map_or(Ok(false), |tree| tree.write(&outer.with("row", row), &[], &mut bytes))?;
            Ok(if is_there { bytes } else { Vec::new() })
        });
        let row = if let [only] = scopes.as_slice() { only } else { &Json::Null };
        let built = written.collect::<Result<Vec<_>, Broken>>().and_then(|rows| build(&outer.with("row", row), &rows));
        Some(Box::new(built.unwrap_or_else(|broken| Request::unshown(&broken.cause))))
    }
}

impl Request {
    /// Stands for one that cannot be built of masked values, since it computes with them.
    fn unshown(cause: &str) -> Self {
        Self {
            operation: String::new(),
            id: String::new(),
            method: Method::Post,
            url: String::new(),
            headers: Vec::new(),
            body: format!("(it cannot be shown masked: {cause})").into_bytes(),
            whom: None,
            masked: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn masks_leave_one_letter() {
        assert_eq!(mask("jane@x.fr"), "j***@***");
        assert_eq!(mask("Élodie"), "É***");
        assert_eq!(mask(""), "***");
    }
}
