//! Texts around expressions, and trees of both: compiled once, evaluated per row.
//!
//! A tree is written as bytes of JSON, never pasted together as text, so that no value can break out of its place.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use super::expression::{Broken, Expression, Known, Scope, json};
use crate::diag::{Finding, Findings};
use crate::spec::connector::{Tree as Written, TreeValue};
use crate::text::Located;

/// Text with expressions in it.
#[derive(Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Expression(Expression),
}

/// Where a text goes, which decides how what expressions give is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// As it is.
    Text,
    /// In the path of a URL: everything but letters, digits and `-._~` is escaped (RFC 3986).
    Path,
    /// In a header: no control characters.
    Header,
}

/// All that stands as it is in a part of a URL (RFC 3986, 2.3) stays; the rest is escaped.
pub(super) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Template {
    /// Compiles a text.
    pub(super) fn compile(text: &Located<String>, known: Known<'_>, findings: &mut Findings) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text.value.as_str();
        let mut is_whole = true;
        while let Some(start) = rest.find("{{") {
            if start > 0 {
                parts.push(Part::Text(rest[..start].to_owned()));
            }
            let Some(length) = closing(&rest[start + 2..]) else {
                findings.add(Finding::error("E151", "`{{` has no `}}`").at(text.span));
                return None;
            };
            match Expression::compile(&rest[start + 2..start + 2 + length], text.span, known, findings) {
                Some(expression) => parts.push(Part::Expression(expression)),
                None => is_whole = false,
            }
            rest = &rest[start + 2 + length + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        is_whole.then_some(Self { parts })
    }

    /// The text. What is null or undefined has no place in one.
    pub(super) fn text(&self, scope: &Scope<'_>, place: Place) -> Result<String, Broken> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Expression(expression) => {
                    let value = expression
                        .text(scope)?
                        .ok_or_else(|| Broken { cause: format!("`{}` is null", expression.source()) })?;
                    match place {
                        Place::Path if matches!(value.as_str(), "" | "." | "..") => {
                            return Err(Broken { cause: format!("`{}` is no part of a path", expression.source()) });
                        }
                        Place::Path => text.extend(utf8_percent_encode(&value, UNRESERVED)),
                        Place::Header if value.contains(|letter: char| letter.is_control()) => {
                            return Err(Broken { cause: format!("`{}` has control characters", expression.source()) });
                        }
                        Place::Header | Place::Text => text.push_str(&value),
                    }
                }
            }
        }
        Ok(text)
    }

    /// Does it need the value of that name?
    pub(super) fn reads(&self, name: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Expression(expression) if expression.reads(name)))
    }

    /// The text, or nothing where its only expression is null: optional secrets and headers.
    pub(super) fn optional(&self, scope: &Scope<'_>, place: Place) -> Result<Option<String>, Broken> {
        if let [Part::Expression(only)] = self.parts.as_slice()
            && only.text(scope)?.is_none()
        {
            return Ok(None);
        }
        self.text(scope, place).map(Some)
    }
}

/// Where the braces close: quotes inside do not count.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_u32;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), '\\') => drop(characters.next()),
            (None, '\'' | '"') => quote = Some(character),
            (None, '{') => depth += 1,
            (None, '}') if depth > 0 => depth -= 1,
            (None, '}') if text[at + 1..].starts_with('}') => return Some(at),
            _ => {}
        }
    }
    None
}

/// A tree, ready to be written.
#[derive(Debug)]
pub(super) enum Tree {
    Literal(Vec<u8>),
    Expression(Expression),
    Text(Template),
    List(Vec<Tree>),
    Map(Vec<(Vec<u8>, Tree)>),
}

impl Tree {
    /// Compiles a tree.
    pub(super) fn compile(written: &Written, known: Known<'_>, findings: &mut Findings) -> Option<Self> {
        let literal = |value: Json| Some(Self::Literal(value.to_string().into_bytes()));
        match &written.value {
            TreeValue::Null => literal(Json::Null),
            TreeValue::Boolean(truth) => literal(Json::Bool(*truth)),
            TreeValue::Integer(number) => literal(Json::from(*number)),
            TreeValue::Number(number) => literal(Json::from(*number)),
            TreeValue::Text(text) if !text.contains("{{") => literal(Json::String(text.clone())),
            TreeValue::Text(text) => {
                let template = Template::compile(&Located::new(text.clone(), written.span), known, findings)?;
                let mut parts = template.parts;
                match parts.as_slice() {
                    [Part::Expression(_)] => match parts.remove(0) {
                        Part::Expression(expression) => Some(Self::Expression(expression)),
                        Part::Text(_) => None,
                    },
                    _ => Some(Self::Text(Template { parts })),
                }
            }
            TreeValue::List(items) => {
                let items: Vec<_> = items.iter().map(|item| Self::compile(item, known, findings)).collect();
                items.into_iter().collect::<Option<Vec<_>>>().map(Self::List)
            }
            TreeValue::Map(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| {
                        let key = Json::String(key.value.clone()).to_string().into_bytes();
                        Self::compile(value, known, findings).map(|value| (key, value))
                    })
                    .collect();
                entries.into_iter().collect::<Option<Vec<_>>>().map(Self::Map)
            }
        }
    }

    /// Does it name the rows of a batch?
    pub(super) fn names_rows(&self) -> bool {
        self.any(&|expression| expression.reads("rows"))
    }

    /// Does it do anything with the rows of a batch but send them as they were written?
    pub(super) fn computes_rows(&self) -> bool {
        self.any(&|expression| expression.reads("rows") && !expression.is("rows"))
    }

    fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Text(template) => template.parts.iter().any(|part| match part {
                Part::Text(_) => false,
                // Inside a text they are a value like any other.
                Part::Expression(expression) => expression.reads("rows") || test(expression),
            }),
            Self::Expression(expression) => test(expression),
            Self::List(items) => items.iter().any(|item| item.any(test)),
            Self::Map(entries) => entries.iter().any(|(_, value)| value.any(test)),
        }
    }

    /// Writes it as JSON; `rows` are written already. False where it is undefined: then nothing was written, and it is left out.
    pub(super) fn write(&self, scope: &Scope<'_>, rows: &[Vec<u8>], out: &mut Vec<u8>) -> Result<bool, Broken> {
        match self {
            Self::Literal(literal) => out.extend_from_slice(literal),
            Self::Expression(expression) if expression.is("rows") => {
                out.push(b'[');
                for (index, row) in rows.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(row);
                }
                out.push(b']');
            }
            Self::Expression(expression) => return expression.write(scope, out),
            Self::Text(template) => json(&Json::String(template.text(scope, Place::Text)?), out),
            Self::List(items) => {
                out.push(b'[');
                let mut is_first = true;
                for item in items {
                    let before = out.len();
                    if !is_first {
                        out.push(b',');
                    }
                    if item.write(scope, rows, out)? {
                        is_first = false;
                    } else {
                        out.truncate(before);
                    }
                }
                out.push(b']');
            }
            Self::Map(entries) => {
                out.push(b'{');
                let mut is_first = true;
                for (key, value) in entries {
                    let before = out.len();
                    if !is_first {
                        out.push(b',');
                    }
                    out.extend_from_slice(key);
                    out.push(b':');
                    if value.write(scope, rows, out)? {
                        is_first = false;
                    } else {
                        out.truncate(before);
                    }
                }
                out.push(b'}');
            }
        }
        Ok(true)
    }

    /// Its value; none where it is undefined.
    pub(super) fn value(&self, scope: &Scope<'_>, rows: &[Vec<u8>]) -> Result<Option<Json>, Broken> {
        let mut out = Vec::new();
        if !self.write(scope, rows, &mut out)? {
            return Ok(None);
        }
        serde_json::from_slice(&out).map(Some).map_err(|_| Broken { cause: "a value is no JSON".to_owned() })
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
