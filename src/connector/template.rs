//! Expressions, texts around expressions, and trees of both: compiled once, with what they may name checked, and evaluated per row.
//!
//! A tree is written as bytes of JSON, never pasted together as text, so that no value can break out of its place.

use std::sync::OnceLock;

use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use super::filters;
use crate::diag::{Finding, Findings, nearest};
use crate::spec::connector::{Tree as Written, TreeValue};
use crate::text::{Located, Span};

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

    fn is(&self, name: &str) -> bool {
        matches!(&self.kind, Kind::Path(path) if path.len() == 1 && path[0] == name)
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

fn unknown(name: &str, known: Known<'_>) -> Option<Finding> {
    let mut parts = name.split('.');
    let root = parts.next().unwrap_or_default();
    let Some((_, below)) = known.iter().find(|(known, _)| *known == root) else {
        let help = nearest(root, known.iter().map(|(name, _)| *name)).map_or_else(
            || {
                format!(
                    "here are known {}",
                    known.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
                )
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
                        .ok_or_else(|| Broken { cause: format!("`{}` is null", expression.text) })?;
                    match place {
                        Place::Path if matches!(value.as_str(), "" | "." | "..") => {
                            return Err(Broken { cause: format!("`{}` is no part of a path", expression.text) });
                        }
                        Place::Path => text.extend(utf8_percent_encode(&value, UNRESERVED)),
                        Place::Header if value.contains(|letter: char| letter.is_control()) => {
                            return Err(Broken { cause: format!("`{}` has control characters", expression.text) });
                        }
                        Place::Header | Place::Text => text.push_str(&value),
                    }
                }
            }
        }
        Ok(text)
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
        match self {
            Self::Literal(_) | Self::Text(_) => false,
            Self::Expression(expression) => expression.is("rows"),
            Self::List(items) => items.iter().any(Self::names_rows),
            Self::Map(entries) => entries.iter().any(|(_, value)| value.names_rows()),
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
            Self::Expression(expression) => match &expression.kind {
                Kind::Path(path) => match walk(scope, path) {
                    Some(value) => json(value, out),
                    None => return Ok(false),
                },
                Kind::Compiled(..) => match expression.value(scope)? {
                    Some(value) => json(&value, out),
                    None => return Ok(false),
                },
            },
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
    pub(super) fn value(&self, scope: &Scope<'_>) -> Result<Option<Json>, Broken> {
        let mut out = Vec::new();
        if !self.write(scope, &[], &mut out)? {
            return Ok(None);
        }
        serde_json::from_slice(&out).map(Some).map_err(|_| Broken { cause: "a value is no JSON".to_owned() })
    }
}

fn json(value: &Json, out: &mut Vec<u8>) {
    // Writing to memory does not fail, and JSON values have JSON keys.
    let _ = serde_json::to_writer(&mut *out, value);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known() -> Vec<(&'static str, Vec<String>)> {
        vec![("row", vec!["key".to_owned(), "fields".to_owned()]), ("rows", Vec::new()), ("settings", Vec::new())]
    }

    fn tree(yaml: &str) -> Result<Tree, Vec<String>> {
        let mut files = crate::text::Files::default();
        let file = files.add("t.yaml", yaml);
        let root = crate::text::parse(file, yaml).unwrap().root;
        let written: Written = crate::text::decode(&root, &std::cell::RefCell::new(Vec::new())).unwrap();
        let mut findings = Findings::default();
        let tree = Tree::compile(&written, &known(), &mut findings);
        tree.ok_or_else(|| {
            let shown = |finding: Finding| format!("{} ({})", finding.message, finding.help.unwrap_or_default());
            findings.sorted().into_iter().map(shown).collect()
        })
    }

    fn written(yaml: &str) -> String {
        let row = json!({"key": {"email": "a\"b@x.fr"}, "fields": {"n": 3, "none": null, "list": [1, "é"], "day": "2026-01-02"}});
        let scope = Scope::of("row", &row);
        let mut out = Vec::new();
        match tree(yaml).unwrap().write(&scope, &[b"{\"a\":1}".to_vec(), b"2".to_vec()], &mut out) {
            Ok(_) => String::from_utf8(out).unwrap(),
            Err(broken) => broken.cause,
        }
    }

    #[test]
    fn values_keep_their_types_and_cannot_break_out() {
        assert_eq!(
            written(r#"{a: "{{ row.fields.n }}", b: "n{{ row.fields.n }}", c: 1.5, d: true, e: null}"#),
            r#"{"a":3,"b":"n3","c":1.5,"d":true,"e":null}"#
        );
        assert_eq!(
            written(r#"["{{ row.key.email }}", "{{ row.fields.list }}", "<{{ row.key.email }}>"]"#),
            r#"["a\"b@x.fr",[1,"é"],"<a\"b@x.fr>"]"#
        );
        assert_eq!(written(r#"{members: "{{ rows }}"}"#), r#"{"members":[{"a":1},2]}"#);
    }

    #[test]
    fn what_is_undefined_is_left_out_and_null_stays() {
        assert_eq!(
            written(
                r#"{a: "{{ row.fields.other }}", b: "{{ row.fields.none }}", c: "{{ row.fields.none | or_omit }}", d: 1}"#
            ),
            r#"{"b":null,"d":1}"#
        );
        assert_eq!(written(r#"["{{ row.fields.other }}", 1]"#), "[1]");
        assert_eq!(written(r#"["x{{ row.fields.other }}"]"#), "`row.fields.other` is null");
    }

    #[test]
    fn expressions_compute() {
        assert_eq!(
            written(
                r#"["{{ row.fields.day | epoch_ms }}", "{{ row.key.email | upper | lower }}", "{{ {'a': {'b': row.fields.n}} }}"]"#
            ),
            r#"[1767312000000,"a\"b@x.fr",{"a":{"b":3}}]"#
        );
        assert_eq!(
            written(r#"["{{ row.key.email | number }}"]"#),
            "`row.key.email | number` could not be evaluated: its values do not fit"
        );
        assert_eq!(written(r#"["{{ 'yes' if row.fields.n > 2 else 'no' }}"]"#), r#"["yes"]"#);
    }

    #[test]
    fn e151_expressions_that_mean_nothing() {
        let errors = |yaml: &str| tree(yaml).err().unwrap_or_default().join("; ");
        assert_eq!(errors(r#"["{{ rwo.key }}"]"#), "`rwo` refers to nothing here (did you mean `row`?)");
        assert_eq!(errors(r#"["{{ row.keys.email }}"]"#), "`row` has no `keys` (did you mean `row.key`?)");
        assert_eq!(errors(r#"["{{ row.key.email | lowr }}"]"#), "there is no filter `lowr` (did you mean `lower`?)");
        assert_eq!(errors(r#"["{{ row.key"]"#), "`{{` has no `}}` ()");
        assert!(errors(r#"["{{ row.key. }}"]"#).starts_with("the expression `row.key.` cannot be read"));
    }

    #[test]
    fn texts_are_written_for_their_place() {
        let mut findings = Findings::default();
        let text = Located::new("/lists/{{ settings.list }}/x".to_owned(), Span::default());
        let template = Template::compile(&text, &known(), &mut findings).unwrap();
        let told = |value: Json, place| {
            let settings = json!({"list": value});
            template.text(&Scope::of("settings", &settings), place).map_err(|broken| broken.cause)
        };
        assert_eq!(told(json!("a/b c?"), Place::Path), Ok("/lists/a%2Fb%20c%3F/x".to_owned()));
        assert_eq!(told(json!(".."), Place::Path), Err("`settings.list` is no part of a path".to_owned()));
        assert_eq!(told(json!("a\r\nb"), Place::Header), Err("`settings.list` has control characters".to_owned()));
        assert_eq!(told(Json::Null, Place::Text), Err("`settings.list` is null".to_owned()));
    }
}
