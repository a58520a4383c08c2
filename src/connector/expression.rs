//! Expressions: compiled once, with what they may name checked, and evaluated per row.

use std::sync::OnceLock;

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use serde_json::Value as Json;

use super::filters;
use crate::diag::{Finding, Findings, nearest};
use crate::text::Span;

/// What a place knows: name → the names below it, none where they are open.
pub(super) type Known<'a> = &'a [(&'static str, Vec<String>)];

/// The names that have a value, innermost first.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    outer: Option<&'a Scope<'a>>,
    name: &'static str,
    value: &'a Json,
}

impl<'a> Scope<'a> {
    /// One name.
    pub(super) fn of(name: &'static str, value: &'a Json) -> Self {
        Self { outer: None, name, value }
    }

    /// One more name.
    pub(super) fn with(&'a self, name: &'static str, value: &'a Json) -> Self {
        Self { outer: Some(self), name, value }
    }

    fn get(&self, name: &str) -> Option<&'a Json> {
        if self.name == name { Some(self.value) } else { self.outer.and_then(|outer| outer.get(name)) }
    }
}

/// An expression that could not be evaluated for these values. Holds no value: those may be personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) cause: String,
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        // What an answer does not have is undefined all the way down, as what a row does not have.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        filters::register(&mut environment);
        environment
    })
}

/// One expression.
#[derive(Debug)]
pub(super) struct Expression {
    text: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// `row.key.email`: looked up without the machine, as most are.
    Path(Vec<String>),
    Compiled(minijinja::Expression<'static, 'static>, Vec<String>),
}

impl Expression {
    /// Compiles what stands between the braces; what it names must be known.
    pub(super) fn compile(text: &str, span: Span, known: Known<'_>, findings: &mut Findings) -> Option<Self> {
        let text = text.trim();
        let compiled = match environment().compile_expression_owned(text.to_owned()) {
            Ok(compiled) => compiled,
            Err(error) => {
                let cause = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
                let message = format!("the expression `{text}` cannot be read: {cause}");
                findings.add(Finding::error("E151", message).at(span).help(
                    "expressions are Jinja's: `row.key.email`, `row.fields.city | upper`, `body.errors | length > 0`",
                ));
                return None;
            }
        };
        let mut names: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
        names.sort();
        let mut is_known = true;
        for name in &names {
            if let Some(finding) = unknown(name, known) {
                findings.add(finding.at(span));
                is_known = false;
            }
        }
        // Filters are looked up when they are used: an unknown one must be found before.
        if let Some(filter) = unknown_filter(text) {
            let names = filters::NORMALISERS.iter().chain(filters::WRITERS).map(|(name, _)| head(name));
            let help = nearest(&filter, names.chain(BUILT_IN_FILTERS.iter().copied()))
                .map_or("`docs/connectors.md` lists the filters".to_owned(), |near| format!("did you mean `{near}`?"));
            findings.add(Finding::error("E151", format!("there is no filter `{filter}`")).at(span).help(help));
            is_known = false;
        }
        if !is_known {
            return None;
        }
        let is_path = text.split('.').all(|part| {
            part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        let is_path = is_path && !matches!(text, "true" | "false" | "none" | "null" | "True" | "False" | "None");
        let kind = if is_path {
            Kind::Path(text.split('.').map(str::to_owned).collect())
        } else {
            let mut roots: Vec<String> =
                names.iter().map(|name| name.split('.').next().unwrap_or_default().to_owned()).collect();
            roots.dedup();
            Kind::Compiled(compiled, roots)
        };
        Some(Self { text: text.to_owned(), kind })
    }

    /// Its value; none where it is undefined.
    pub(super) fn value(&self, scope: &Scope<'_>) -> Result<Option<Json>, Broken> {
        match &self.kind {
            Kind::Path(path) => Ok(walk(scope, path).cloned()),
            Kind::Compiled(compiled, roots) => {
                let known = |root: &String| Some((root.clone(), Value::from(Serde(scope.get(root)?))));
                let context = Value::from_pairs(roots.iter().filter_map(known));
                let value = compiled.eval(context).map_err(|error| self.broken(&error))?;
                if value.is_undefined() {
                    return Ok(None);
                }
                serde_json::to_value(&value)
                    .map(Some)
                    .map_err(|_| Broken { cause: format!("`{}` gives no JSON", self.text) })
            }
        }
    }

    /// Does it hold? What is undefined does not.
    pub(super) fn holds(&self, scope: &Scope<'_>) -> Result<bool, Broken> {
        Ok(match self.value(scope)? {
            None | Some(Json::Null) => false,
            Some(Json::Bool(truth)) => truth,
            Some(Json::Number(number)) => number.as_f64() != Some(0.0),
            Some(Json::String(text)) => !text.is_empty(),
            Some(Json::Array(items)) => !items.is_empty(),
            Some(Json::Object(entries)) => !entries.is_empty(),
        })
    }

    /// Its value as text: none where it is null or undefined.
    pub(super) fn text(&self, scope: &Scope<'_>) -> Result<Option<String>, Broken> {
        Ok(self.value(scope)?.and_then(plain))
    }

    /// Writes its value as JSON. False where it is undefined: then nothing was written.
    pub(super) fn write(&self, scope: &Scope<'_>, out: &mut Vec<u8>) -> Result<bool, Broken> {
        let computed;
        let value = match &self.kind {
            Kind::Path(path) => walk(scope, path),
            Kind::Compiled(..) => {
                computed = self.value(scope)?;
                computed.as_ref()
            }
        };
        if let Some(value) = value {
            json(value, out);
        }
        Ok(value.is_some())
    }

    /// As it is written in the file.
    pub(super) fn source(&self) -> &str {
        &self.text
    }

    pub(super) fn is(&self, name: &str) -> bool {
        matches!(&self.kind, Kind::Path(path) if path.len() == 1 && path[0] == name)
    }

    /// Does it need the value of that name?
    pub(super) fn reads(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Path(path) => path.first().is_some_and(|root| root == name),
            Kind::Compiled(_, roots) => roots.iter().any(|root| root == name),
        }
    }

    fn broken(&self, error: &minijinja::Error) -> Broken {
        let why = match error.kind() {
            // Details of these may quote values.
            ErrorKind::InvalidOperation | ErrorKind::BadSerialization => "its values do not fit".to_owned(),
            other => other.to_string(),
        };
        Broken { cause: format!("`{}` could not be evaluated: {why}", self.text) }
    }
}

fn walk<'a>(scope: &Scope<'a>, path: &[String]) -> Option<&'a Json> {
    let (root, rest) = path.split_first()?;
    rest.iter().try_fold(scope.get(root)?, |value, step| value.get(step))
}

/// Text of a scalar as it stands in paths, forms and headers; JSON of a list or a map.
pub(super) fn plain(value: Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

pub(super) fn json(value: &Json, out: &mut Vec<u8>) {
    // Writing to memory does not fail, and JSON values have JSON keys.
    let _ = serde_json::to_writer(&mut *out, value);
}

fn unknown(name: &str, known: Known<'_>) -> Option<Finding> {
    let mut parts = name.split('.');
    let root = parts.next().unwrap_or_default();
    let Some((_, below)) = known.iter().find(|(known, _)| *known == root) else {
        let help = nearest(root, known.iter().map(|(name, _)| *name)).map_or_else(
            || match known.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ") {
                names if names.is_empty() => "nothing is known here: write the value itself".to_owned(),
                names => format!("here are known {names}"),
            },
            |near| format!("did you mean `{near}`?"),
        );
        return Some(Finding::error("E151", format!("`{root}` refers to nothing here")).help(help));
    };
    let second = parts.next()?;
    if below.is_empty() || below.iter().any(|name| name == second) {
        return None;
    }
    let help = nearest(second, below.iter().map(String::as_str)).map_or_else(
        || format!("`{root}` has {}", below.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean `{root}.{near}`?"),
    );
    Some(Finding::error("E151", format!("`{root}` has no `{second}`")).help(help))
}

/// Jinja's own filters that make sense here.
const BUILT_IN_FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "groupby",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
    "zip",
    "chain",
    "safe",
    "indent",
    "format",
    "center",
    "striptags",
];

fn head(name: &str) -> &str {
    name.split('(').next().unwrap_or(name)
}

/// The first name behind a `|` outside of quotes that is no filter.
fn unknown_filter(text: &str) -> Option<String> {
    let mut quote = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), '\\') => drop(characters.next()),
            (None, '\'' | '"') => quote = Some(character),
            (None, '|') => {
                let rest = text[at + 1..].trim_start();
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                let name = &rest[..end];
                let own = filters::NORMALISERS.iter().chain(filters::WRITERS).any(|(known, _)| head(known) == name);
                if !own && !BUILT_IN_FILTERS.contains(&name) {
                    return Some(name.to_owned());
                }
            }
            _ => {}
        }
    }
    None
}
