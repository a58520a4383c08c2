//! Files → specs: every model of every file, each under its name, with all that is wrong in any of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::Deserialize;

use super::interpolate::{Variables, interpolate, referred};
use super::{ConsentSource, Entity, Event, Purpose, Score, Segment, Source, Sync, Trait, WarehouseFile};
use crate::diag::{Finding, Findings, nearest};
use crate::text::{Constant, FileId, Files, Key, Node, Section, Span, Value, decode, merge, parse};

/// The sections of a model file.
pub const MODEL_SECTIONS: &[&str] =
    &["sources", "events", "entities", "traits", "segments", "scores", "purposes", "consents", "syncs"];

/// A model and where its name is written.
#[derive(Debug, Clone)]
pub struct Named<T> {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// What is written.
    pub spec: T,
    /// A hash of what is written, whatever its place and layout.
    pub digest: String,
}

/// A project as written.
#[derive(Debug, Clone)]
pub struct Spec {
    /// `warehouse.yaml`, with the target laid over it.
    pub warehouse: Option<WarehouseFile>,
    /// Where `warehouse.yaml` begins.
    pub warehouse_span: Span,
    /// `sources:`
    pub sources: IndexMap<String, Named<Source>>,
    /// `events:`
    pub events: IndexMap<String, Named<Event>>,
    /// `entities:`
    pub entities: IndexMap<String, Named<Entity>>,
    /// `traits:`
    pub traits: IndexMap<String, Named<Trait>>,
    /// `segments:`
    pub segments: IndexMap<String, Named<Segment>>,
    /// `scores:`
    pub scores: IndexMap<String, Named<Score>>,
    /// `purposes:`
    pub purposes: IndexMap<String, Named<Purpose>>,
    /// `consents:`
    pub consents: IndexMap<String, Named<ConsentSource>>,
    /// `syncs:`
    pub syncs: IndexMap<String, Named<Sync>>,
    /// The files of the project's own connectors, by name: who needs one reads it.
    pub connectors: IndexMap<String, FileId>,
    /// Names of models that are written but could not be read, and every word of files and sections that could not: whoever
    /// names them is not to blame.
    pub broken: BTreeSet<String>,
}

/// Reads all files of a project: `warehouse` is one of them, `models` are the others in a fixed order. `variables` holds
/// the environment and what the command line sets; `target` is laid over the settings.
pub fn read(
    files: &Files,
    warehouse: FileId,
    models: &[FileId],
    target: Option<&str>,
    mut variables: Variables,
    findings: &mut Findings,
) -> Spec {
    let mut spec = Spec {
        warehouse: None,
        warehouse_span: Span { file: warehouse, ..Span::default() },
        sources: IndexMap::new(),
        events: IndexMap::new(),
        entities: IndexMap::new(),
        traits: IndexMap::new(),
        segments: IndexMap::new(),
        scores: IndexMap::new(),
        purposes: IndexMap::new(),
        consents: IndexMap::new(),
        syncs: IndexMap::new(),
        connectors: IndexMap::new(),
        broken: BTreeSet::new(),
    };
    let mut unread = false;
    let given: Vec<String> = variables.vars.keys().cloned().collect();
    let mut known = BTreeSet::new();
    match tree(files, warehouse, findings) {
        Some(node) => {
            referred(&node, &mut known);
            declared(&node, &mut known);
            spec.warehouse = settings(node, target, &mut variables, findings);
        }
        None => unread = true,
    }
    variables.env = None;
    for &file in models {
        let tree = tree(files, file, findings);
        let Some(mut node) = tree else {
            spec.broken.extend(words(&files.get(file).text));
            unread = true;
            continue;
        };
        // Without the variables of the settings a model is not what it will be.
        if unread && spec.warehouse.is_none() {
            continue;
        }
        referred(&node, &mut known);
        interpolate(&mut node, &variables, false, findings);
        let Value::Map(sections) = &node.value else {
            let message = format!("a model file is a map of sections, {} was found", node.value.kind());
            findings.add(Finding::error("E102", message).at(node.span));
            spec.broken.extend(words(&files.get(file).text));
            continue;
        };
        for (section, models) in sections {
            spec.section(files, section, models, findings);
        }
    }
    if !unread {
        unknown_variables(&given, &known, findings);
    }
    spec
}

/// The variables that the settings give a value, whatever the target.
fn declared(node: &Node, into: &mut BTreeSet<String>) {
    let entries = |node: Option<&Node>| match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.clone(),
        _ => Vec::new(),
    };
    let targets = entries(node.get("targets"));
    for node in targets.iter().map(|(_, target)| target).chain([node]) {
        into.extend(entries(node.get("vars")).into_iter().map(|(key, _)| key.text));
    }
}

/// A variable that is set by hand and that no file knows is a slip: what was meant keeps its old value.
fn unknown_variables(given: &[String], known: &BTreeSet<String>, findings: &mut Findings) {
    for name in given.iter().filter(|name| !known.contains(*name)) {
        let help = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "the project has no variables".to_owned(),
            None => format!("the variables are {}", known.iter().cloned().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("`--var {name}=…` sets a variable that no file declares or refers to");
        findings.add(Finding::error("E108", message).help(help));
    }
}

/// Reads a file that is one thing, such as a connector.
pub fn read_file<T: for<'de> Deserialize<'de>>(files: &Files, file: FileId, findings: &mut Findings) -> Option<T> {
    let node = tree(files, file, findings)?;
    decode_model(&node, findings)
}

impl Spec {
    fn section(&mut self, files: &Files, section: &Key, models: &Node, findings: &mut Findings) {
        let broken = &mut self.broken;
        let known = MODEL_SECTIONS.contains(&section.text.as_str());
        if !known || !matches!(models.value, Value::Map(_) | Value::Null) {
            broken.extend(words(files.text(models.span)));
        }
        match section.text.as_str() {
            "sources" => add(&mut self.sources, "source", models, broken, findings),
            "events" => add(&mut self.events, "event", &with_from(models), broken, findings),
            "entities" => add(&mut self.entities, "entity", models, broken, findings),
            "traits" => add(&mut self.traits, "trait", models, broken, findings),
            "segments" => add(&mut self.segments, "segment", models, broken, findings),
            "scores" => add(&mut self.scores, "score", models, broken, findings),
            "purposes" => add(&mut self.purposes, "purpose", models, broken, findings),
            "consents" => add(&mut self.consents, "consent", models, broken, findings),
            "syncs" => add(&mut self.syncs, "sync", models, broken, findings),
            other => {
                let help = match nearest(other, MODEL_SECTIONS.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the sections are {}", MODEL_SECTIONS.join(", ")),
                };
                let message = format!("`{other}` is no section of a model file");
                findings.add(Finding::error("E103", message).at(section.span).label("unknown section").help(help));
            }
        }
    }
}

/// The words of a text that could be names.
fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| is_name(word)).map(str::to_owned)
}

fn tree(files: &Files, file: FileId, findings: &mut Findings) -> Option<Node> {
    match parse(file, &files.get(file).text) {
        Ok(tree) => {
            for key in tree.repeated {
                let finding = Finding::error("E104", format!("the key `{}` is written twice", key.text))
                    .at(key.span)
                    .label("written again")
                    .also(key.first, "written here first");
                findings.add(finding);
            }
            Some(tree.root)
        }
        Err(error) => {
            let finding = Finding::error("E101", format!("this is not valid YAML: {}", error.message)).at(error.span);
            findings.add(finding.help(
                "look here and at the lines above: quotes and brackets are closed, spaces indent, SQL with `: ` or `#` is quoted",
            ));
            None
        }
    }
}

/// A list of sources is short for a map with the list under `from`.
fn with_from(models: &Node) -> Node {
    let Value::Map(entries) = &models.value else { return models.clone() };
    let entries = entries.iter().map(|(name, node)| {
        let node = match &node.value {
            Value::List(_) => {
                let from = Key { span: node.span, text: "from".into() };
                Node { span: node.span, value: Value::Map(vec![(from, node.clone())]) }
            }
            _ => node.clone(),
        };
        (name.clone(), node)
    });
    Node { span: models.span, value: Value::Map(entries.collect()) }
}

/// Decodes every model of a section; a model that fails is left out, the others are read.
fn add<T: for<'de> Deserialize<'de>>(
    into: &mut IndexMap<String, Named<T>>,
    kind: &str,
    models: &Node,
    broken: &mut BTreeSet<String>,
    findings: &mut Findings,
) {
    let entries = match &models.value {
        Value::Map(entries) => entries.as_slice(),
        Value::Null => &[],
        other => {
            let message = format!("a map of names is expected here, {} was found", other.kind());
            findings.add(Finding::error("E102", message).at(models.span));
            return;
        }
    };
    for (key, node) in entries {
        let name = key.text.clone();
        if !is_name(&name) {
            let message = format!("`{name}` is no name for a {kind}");
            findings.add(
                Finding::error("E105", message)
                    .at(key.span)
                    .help("names are lower case letters, digits and `_`, and begin with a letter; 63 at most"),
            );
            continue;
        }
        if let Some(first) = into.get(&name) {
            let finding = Finding::error("E104", format!("the {kind} `{name}` is defined twice"))
                .at(key.span)
                .label("defined again")
                .also(first.span, "defined here first")
                .help("a name is unique per section in the project");
            findings.add(finding);
            continue;
        }
        match decode_model(node, findings) {
            Some(spec) => drop(into.insert(name.clone(), Named { name, span: key.span, spec, digest: node.digest() })),
            None => drop(broken.insert(name)),
        }
    }
}

fn decode_model<T: for<'de> Deserialize<'de>>(node: &Node, findings: &mut Findings) -> Option<T> {
    let unknown = RefCell::new(Vec::new());
    let decoded = decode(node, &unknown);
    for unknown in unknown.into_inner() {
        let near = nearest(&unknown.key, unknown.known.iter().copied());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if is_connection(unknown.known) => format!(
                "what a connector wants to know goes under `settings:`, as in `settings: {{{}: …}}`; the keys here are {}",
                unknown.key,
                unknown.known.join(", ")
            ),
            None => format!("the keys here are {}", unknown.known.join(", ")),
        };
        let message = format!("`{}` is not known here", unknown.key);
        findings.add(Finding::error("E103", message).at(unknown.span).label("unknown key").help(help));
    }
    match decoded {
        Ok(model) => Some(model),
        Err((span, message)) => {
            findings.add(Finding::error("E102", message).at(span));
            None
        }
    }
}

/// Connections alone have settings of their connector's own.
fn is_connection(known: &[&str]) -> bool {
    ["connector", "settings", "deliver"].iter().all(|key| known.contains(key))
}

/// Names become columns and tables: they are kept to what every engine reads without quotes.
fn is_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The settings: the target is laid over the file, then references are replaced.
fn settings(
    mut node: Node,
    target: Option<&str>,
    variables: &mut Variables,
    findings: &mut Findings,
) -> Option<WarehouseFile> {
    // Targets are checked whole, whether chosen or not.
    let targets = node.get("targets").cloned();
    let _: Option<Section<super::Target>> = targets.as_ref().and_then(|targets| decode_model(targets, findings));
    if let Some(name) = target {
        let chosen = targets.as_ref().and_then(|targets| targets.get(name).cloned());
        match chosen {
            Some(over) => merge(&mut node, &over),
            None => {
                let known: Vec<&str> = match targets.as_ref().map(|targets| &targets.value) {
                    Some(Value::Map(entries)) => entries.iter().map(|(key, _)| key.text.as_str()).collect(),
                    _ => Vec::new(),
                };
                let help = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`? The targets are {}", known.join(", ")),
                    None if known.is_empty() => "targets are declared under `targets:`".into(),
                    None => format!("the targets are {}", known.join(", ")),
                };
                // What is wrong was written on the command line: no place in the file is.
                let message = format!("`--target {name}`: there is no such target in warehouse.yaml");
                findings.add(Finding::error("E107", message).help(help));
            }
        }
    }
    if let Some(vars) = node.get("vars")
        && let Some(vars) = decode_model::<Section<Constant>>(vars, findings)
    {
        let written: BTreeMap<String, String> =
            vars.iter().map(|(name, value)| (name.value.clone(), text_of(value))).collect();
        for (name, value) in written {
            variables.vars.entry(name).or_insert(value);
        }
    }
    if let Value::Map(entries) = &mut node.value {
        entries.retain(|(key, _)| key.text != "targets" && key.text != "vars");
        for (key, value) in entries {
            interpolate(value, variables, key.text == "connections", findings);
        }
    }
    decode_model(&node, findings)
}

fn text_of(constant: &Constant) -> String {
    match constant {
        Constant::Text(text) => text.clone(),
        Constant::Boolean(truth) => truth.to_string(),
        Constant::Integer(number) => number.to_string(),
        Constant::Number(number) => number.to_string(),
    }
}
