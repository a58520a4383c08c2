//! YAML text → a tree of nodes with their spans. Serde's own YAML readers forget the places, which every finding needs.

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::span::{FileId, Span};

/// A node of a YAML document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it is written.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// A key of a map, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it is written.
    pub span: Span,
    /// Its text.
    pub text: String,
}

impl Node {
    /// A hash of what it says: places, comments and layout are no part of it.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        self.feed(&mut hasher);
        hasher.finalize().to_hex().as_str()[..32].to_owned()
    }

    fn feed(&self, hasher: &mut blake3::Hasher) {
        match &self.value {
            Value::List(items) => {
                hasher.update(format!("list {}\0", items.len()).as_bytes());
                for item in items {
                    item.feed(hasher);
                }
            }
            Value::Map(entries) => {
                hasher.update(format!("map {}\0", entries.len()).as_bytes());
                for (key, item) in entries {
                    hasher.update(format!("{:?}\0", key.text).as_bytes());
                    item.feed(hasher);
                }
            }
            scalar => {
                hasher.update(format!("{scalar:?}\0").as_bytes());
            }
        }
    }
}

/// The kinds of node.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true`, `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// Everything else that is a scalar.
    Text(String),
    /// `- a`, `[a]`.
    List(Vec<Node>),
    /// `k: v`, `{k: v}`, in the order as written; keys are distinct.
    Map(Vec<(Key, Node)>),
}

impl Value {
    /// The kind of node, in words for findings.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "a whole number",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Node {
    /// The value under a key, where this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(name, _)| name.text == key).map(|(_, node)| node),
            _ => None,
        }
    }
}

/// What kept a file from becoming a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    /// Where.
    pub span: Span,
    /// What.
    pub message: String,
}

/// A key that its map has already; the first counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated {
    /// Where it is written again.
    pub span: Span,
    /// Its text.
    pub text: String,
    /// Where it is written first.
    pub first: Span,
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// Its outermost node.
    pub root: Node,
    /// Keys that are written twice: a mistake, but no reason not to read the rest.
    pub repeated: Vec<Repeated>,
}

/// How deep nodes may nest: enough for any model, too little to exhaust the stack.
const MAX_DEPTH: usize = 64;

/// Parses one document. An empty file is an empty map.
pub fn parse(file: FileId, text: &str) -> Result<Tree, YamlError> {
    // The parser takes it for the end.
    if let Some(at) = text.find('\0') {
        let at = at as u32;
        return Err(failed(Span { file, start: at, end: at + 1 }, "a NUL character, which no text holds"));
    }
    let offsets = Offsets::new(text);
    let mut reader = Reader { parser: Parser::new_from_str(text), offsets, file, repeated: Vec::new() };
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::StreamEnd | Event::DocumentEnd => {
                return Ok(Tree { root: Node { span, value: Value::Map(Vec::new()) }, repeated: Vec::new() });
            }
            event => {
                let root = reader.node(event, span, 0)?;
                let root = reader.only_document(root)?;
                return Ok(Tree { root, repeated: reader.repeated });
            }
        }
    }
}

struct Reader<'text> {
    parser: Parser<'text, saphyr_parser::StrInput<'text>>,
    offsets: Offsets,
    file: FileId,
    repeated: Vec<Repeated>,
}

impl<'text> Reader<'text> {
    fn next(&mut self) -> Result<(Event<'text>, Span), YamlError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let span = self.span(span.start.index(), span.end.index());
                Ok((event, span))
            }
            Some(Err(error)) => {
                let at = error.marker().index();
                Err(failed(self.span(at, at + 1), error.info().to_owned()))
            }
            None => Ok((Event::StreamEnd, self.span(usize::MAX, usize::MAX))),
        }
    }

    fn node(&mut self, event: Event<'text>, span: Span, depth: usize) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(failed(span, "this is nested too deep"));
        }
        match event {
            Event::Scalar(text, style, 0, _) => Ok(Node { span, value: scalar(&text, style) }),
            Event::SequenceStart(0, _) => {
                let mut items = Vec::new();
                loop {
                    let (event, item_span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        let span = Span { end: item_span.end.max(span.start), ..span };
                        return Ok(Node { span, value: Value::List(items) });
                    }
                    items.push(self.node(event, item_span, depth + 1)?);
                }
            }
            Event::MappingStart(0, _) => {
                let mut entries: Vec<(Key, Node)> = Vec::new();
                loop {
                    let (event, key_span) = self.next()?;
                    let text = match event {
                        Event::MappingEnd => {
                            let end = entries.last().map_or(key_span.end, |(_, node)| node.span.end.max(key_span.end));
                            return Ok(Node { span: Span { end, ..span }, value: Value::Map(entries) });
                        }
                        Event::Scalar(text, _, 0, _) => text.into_owned(),
                        _ => return Err(failed(key_span, "a key must be plain text")),
                    };
                    let (event, value_span) = self.next()?;
                    let value = self.node(event, value_span, depth + 1)?;
                    match entries.iter().find(|(key, _)| key.text == text).map(|(key, _)| key.span) {
                        Some(first) => self.repeated.push(Repeated { span: key_span, text, first }),
                        None => entries.push((Key { span: key_span, text }, value)),
                    }
                }
            }
            Event::Alias(_) | Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                Err(failed(span, "anchors and aliases (`&name`, `*name`) are not read: write the value out"))
            }
            _ => Err(failed(span, "a value is expected here")),
        }
    }

    fn only_document(&mut self, root: Node) -> Result<Node, YamlError> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(_), span) => {
                    return Err(failed(span, "a second document begins here; one file holds one"));
                }
                _ => {}
            }
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span { file: self.file, start: self.offsets.byte(start), end: self.offsets.byte(end) }
    }
}

fn failed(span: Span, message: impl Into<String>) -> YamlError {
    YamlError { span, message: message.into() }
}

/// The core schema's scalars, where they are written plain.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Boolean(true),
        "false" | "False" | "FALSE" => return Value::Boolean(false),
        _ => {}
    }
    // A number may not be spelt as an identifier would be (`inf`, `nan`), nor lose digits that may matter (`007`, `+33…`).
    let digits = text.strip_prefix('-').unwrap_or(text);
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if digits.starts_with(|first: char| first.is_ascii_digit()) && !padded {
        if let Ok(number) = text.parse::<i64>() {
            return Value::Integer(number);
        }
        if let Ok(number) = text.parse::<f64>()
            && number.is_finite()
        {
            return Value::Number(number);
        }
    }
    Value::Text(text.to_owned())
}

/// Characters → bytes; the parser counts characters.
struct Offsets {
    /// One byte offset per character; empty where text is ASCII.
    of_character: Vec<u32>,
    len: u32,
}

impl Offsets {
    fn new(text: &str) -> Self {
        let of_character =
            if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at as u32).collect() };
        Self { of_character, len: text.len() as u32 }
    }

    fn byte(&self, character: usize) -> u32 {
        if self.of_character.is_empty() {
            (character.min(self.len as usize)) as u32
        } else {
            self.of_character.get(character).copied().unwrap_or(self.len)
        }
    }
}

/// Lays `over` on `under`: maps are merged key by key, everything else is replaced.
pub fn merge(under: &mut Node, over: &Node) {
    match (&mut under.value, &over.value) {
        (Value::Map(entries), Value::Map(others)) => {
            for (key, node) in others {
                match entries.iter_mut().find(|(name, _)| name.text == key.text) {
                    Some((_, present)) => merge(present, node),
                    None => entries.push((key.clone(), node.clone())),
                }
            }
        }
        _ => *under = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        parse(FileId(0), text).unwrap().root
    }

    #[test]
    fn scalars_take_their_types() {
        let root = tree("a: 1\nb: 1.5\nc: '1'\nd: yes\ne: true\nf:\ng: 007\nh: 90d");
        let values: Vec<&Value> =
            ["a", "b", "c", "d", "e", "f", "g", "h"].map(|key| &root.get(key).unwrap().value).to_vec();
        assert_eq!(values[0], &Value::Integer(1));
        assert_eq!(values[1], &Value::Number(1.5));
        assert_eq!(values[2], &Value::Text("1".into()));
        assert_eq!(values[3], &Value::Text("yes".into()));
        assert_eq!(values[4], &Value::Boolean(true));
        assert_eq!(values[5], &Value::Null);
        assert_eq!(values[6], &Value::Text("007".into()));
        assert_eq!(values[7], &Value::Text("90d".into()));
    }

    #[test]
    fn spans_count_bytes() {
        let text = "é: \"à la\"\nb: [x, yé]";
        let root = tree(text);
        let list = root.get("b").unwrap();
        let Value::List(items) = &list.value else { panic!("a list") };
        let span = items[1].span;
        assert_eq!(&text[span.start as usize..span.end as usize], "yé");
    }

    #[test]
    fn equal_keys_are_told_and_the_first_counts() {
        let tree = parse(FileId(0), "a: 1\nb: {c: 2, c: 3}\na: 4").unwrap();
        assert_eq!(tree.root.get("a").unwrap().value, Value::Integer(1));
        let repeated: Vec<(&str, u32, u32)> =
            tree.repeated.iter().map(|key| (key.text.as_str(), key.first.start, key.span.start)).collect();
        assert_eq!(repeated, [("c", 9, 15), ("a", 0, 21)]);
    }

    #[test]
    fn aliases_and_what_does_not_end_are_refused() {
        assert!(parse(FileId(0), "a: &x 1\nb: *x").is_err());
        assert!(parse(FileId(0), "a: [1").is_err());
        assert!(parse(FileId(0), &"[".repeat(1000)).is_err());
    }

    #[test]
    fn maps_merge_deeply() {
        let mut under = tree("w: {root: a, schema: cdp}\nd: false");
        merge(&mut under, &tree("w: {root: b}\nd: true"));
        assert_eq!(under.get("w").unwrap().get("root").unwrap().value, Value::Text("b".into()));
        assert_eq!(under.get("w").unwrap().get("schema").unwrap().value, Value::Text("cdp".into()));
        assert_eq!(under.get("d").unwrap().value, Value::Boolean(true));
    }
}
