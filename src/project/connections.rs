//! Connections: accounts at destinations, and what speaks to each.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::connector::{self, Said};
use crate::diag::{self, Failure, Finding, Findings, nearest};
use crate::spec::{self, Spec, Text};
use crate::text::{Files, Located, Section};

/// What speaks to a connection.
#[derive(Debug, Clone)]
pub enum Connector {
    /// A folder.
    Files,
    /// A PostgreSQL database.
    Postgres,
    /// An HTTP API, as its file says.
    Http(Arc<connector::Connector>),
}

impl Connector {
    /// As a connection names it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Files => "files",
            Self::Postgres => "postgres",
            Self::Http(connector) => &connector.name,
        }
    }
}

/// A connector is known by its name.
impl PartialEq for Connector {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Connector {}

/// An account at a destination.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: crate::text::Span,
    /// What speaks to it.
    pub connector: Connector,
    /// The account's name at the destination; by default the connection's.
    pub account: String,
    /// Was the account's name written?
    pub declares_account: bool,
    /// Folder of `files`, or the URL of one.
    pub path: Option<String>,
    /// URL of `postgres`, or of an HTTP API: may be a secret.
    pub url: Option<String>,
    /// Secrets of an HTTP API.
    pub auth: BTreeMap<String, String>,
    /// What else an HTTP API's connector wants to know.
    pub settings: BTreeMap<String, String>,
    /// Does it send?
    pub deliver: bool,
    /// Environment variables that it refers to and that are not set, each with its place in words.
    pub missing: Vec<(String, String)>,
}

impl Connection {
    /// Fails where the connection refers to environment variables that are not set: for those who are about to use it.
    pub fn ready(&self) -> diag::Result<()> {
        let Some(((first, _), rest)) = self.missing.split_first() else { return Ok(()) };
        let doing = format!("using the connection `{}`", self.name);
        let all = rest.iter().fold(format!("`{first}`"), |all, (variable, _)| format!("{all} and `{variable}`"));
        let what = if rest.is_empty() { "the environment variable" } else { "the environment variables" };
        let cause = format!("{what} {all} {} not set", if rest.is_empty() { "is" } else { "are" });
        let places: Vec<&str> = self.missing.iter().map(|(_, place)| place.as_str()).collect();
        Err(Failure::project("E109", doing, cause)
            .help(format!("set what {} refers to before running", places.join(" and "))))
    }

    /// What it says to an HTTP API's connector.
    #[must_use]
    pub fn said(&self) -> Said {
        Said {
            settings: self.settings.clone(),
            secrets: self.auth.clone(),
            url: self.url.clone(),
            account: self.declares_account.then(|| self.account.clone()),
        }
    }
}

impl std::fmt::Debug for Connection {
    /// Without URL and secrets.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Connection");
        shown.field("name", &self.name).field("connector", &self.connector.name()).finish_non_exhaustive()
    }
}

pub(super) fn resolve(
    files: &Files,
    spec: &Spec,
    deliver: bool,
    findings: &mut Findings,
) -> IndexMap<String, Connection> {
    let mut own: BTreeMap<&str, Option<Arc<connector::Connector>>> = BTreeMap::new();
    for (name, file) in &spec.connectors {
        own.insert(name, connector::read(files, *file, findings).map(Arc::new));
    }
    let mut connections = IndexMap::new();
    let Some(file) = &spec.warehouse else { return connections };
    for (name, written) in file.connections.iter() {
        let Some(connector) = &written.connector else {
            let message = format!("`connector` is missing in the connection `{}`", name.value);
            findings.add(Finding::error("E102", message).at(name.span));
            continue;
        };
        let Some(connector) = named(connector, &own, findings) else { continue };
        checked(name, written, &connector, findings);
        let texts = |section: &Section<Text>| {
            section.iter().map(|(name, text)| (name.value.clone(), text.value.clone())).collect()
        };
        connections.insert(
            name.value.clone(),
            Connection {
                name: name.value.clone(),
                span: name.span,
                connector,
                account: written.account.as_ref().map_or_else(|| name.value.clone(), |account| account.value.clone()),
                declares_account: written.account.is_some(),
                path: written.path.as_ref().map(|path| path.value.clone()),
                url: written.url.as_ref().map(|url| url.value.clone()),
                auth: texts(&written.auth),
                settings: texts(&written.settings),
                deliver: written.deliver.unwrap_or(deliver),
                missing: missing(files, written),
            },
        );
    }
    connections
}

/// References that were left as they are, since the variables are not set.
fn missing(files: &Files, written: &spec::Connection) -> Vec<(String, String)> {
    let alone = [&written.url, &written.path, &written.account].into_iter().flatten();
    let named = written.auth.iter().chain(written.settings.iter()).map(|(_, text)| text);
    let mut missing: Vec<(String, String)> = Vec::new();
    for text in alone.chain(named) {
        for part in text.value.split("${env.").skip(1) {
            let Some((variable, _)) = part.split_once('}') else { continue };
            if missing.iter().all(|(known, _)| known != variable) {
                let file = files.get(text.span.file);
                let (line, column) = file.line_column(text.span.start);
                missing.push((variable.to_owned(), format!("{}:{line}:{column}", file.path)));
            }
        }
    }
    missing
}

/// The connector of that name: built in, the project's own, or one that ships.
fn named(
    written: &Text,
    own: &BTreeMap<&str, Option<Arc<connector::Connector>>>,
    findings: &mut Findings,
) -> Option<Connector> {
    match written.value.as_str() {
        "files" => return Some(Connector::Files),
        "postgres" => return Some(Connector::Postgres),
        name => {
            if let Some(own) = own.get(name) {
                // What is wrong with it is said in its file.
                return own.clone().map(Connector::Http);
            }
            if let Some(shipped) = connector::shipped(name) {
                return Some(Connector::Http(Arc::new(shipped)));
            }
        }
    }
    let shipped = connector::SHIPPED.iter().map(|(name, _)| *name);
    let known = ["files", "postgres"].into_iter().chain(shipped).chain(own.keys().copied());
    let help = nearest(&written.value, known).map_or_else(
        || "`cohorte connector list` shows them; one of your own is a file in `connectors/`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    findings
        .add(Finding::error("E106", format!("there is no connector `{}`", written.value)).at(written.span).help(help));
    None
}

/// Does a connection say what its connector wants to know, and nothing else?
fn checked(name: &Located<String>, written: &spec::Connection, connector: &Connector, findings: &mut Findings) {
    let mut lacks = |what: &str, help: &str| {
        let message = format!("the connection `{}` has no `{what}`", name.value);
        findings.add(Finding::error("E110", message).at(name.span).help(help));
    };
    match connector {
        Connector::Files if written.path.is_none() => lacks("path", "write the folder: `path: ./outbox`"),
        Connector::Postgres if written.url.is_none() => {
            lacks("url", "secrets are given by reference: `url: \"${env.CRM_DATABASE_URL}\"`");
        }
        Connector::Http(http) if http.needs_url() && written.url.is_none() => {
            lacks("url", "write where the destination is: `url: \"${env.NAME}\"`");
        }
        _ => {}
    }
    let empty = (Vec::new(), Vec::new());
    let (settings, secrets) = match connector {
        Connector::Http(http) => (
            http.settings
                .iter()
                .map(|one| (one.name.as_str(), one.default.is_none() && !one.optional, &one.description))
                .collect(),
            http.secrets.iter().map(|one| (one.name.as_str(), !one.optional, &one.description)).collect(),
        ),
        _ => empty,
    };
    section(name, "settings", &written.settings, &settings, findings);
    section(name, "auth", &written.auth, &secrets, findings);
    if let Connector::Http(http) = connector {
        for setting in &http.settings {
            let Some(value) = written.settings.get(&setting.name).filter(|value| !value.value.contains("${")) else {
                continue;
            };
            if !setting.accepts(&value.value) {
                let message = format!("this is not what `{}` looks like: {}", setting.name, setting.description);
                findings.add(Finding::error("E110", message).at(value.span));
            }
        }
    }
}

/// Known keys: name, must it be there, what it is.
type KnownKey<'a> = (&'a str, bool, &'a String);

fn section(
    connection: &Located<String>,
    key: &str,
    written: &Section<Text>,
    known: &[KnownKey<'_>],
    findings: &mut Findings,
) {
    for (name, _) in written.iter() {
        if !known.iter().any(|(known, ..)| *known == name.value) {
            let help = nearest(&name.value, known.iter().map(|(known, ..)| *known)).map_or_else(
                || match known {
                    [] => format!("this connector knows no `{key}`"),
                    _ => format!(
                        "it knows {}",
                        known.iter().map(|(known, ..)| format!("`{known}`")).collect::<Vec<_>>().join(", ")
                    ),
                },
                |near| format!("did you mean `{near}`?"),
            );
            findings
                .add(Finding::error("E103", format!("`{}` is not known here", name.value)).at(name.span).help(help));
        }
    }
    for (name, _, description) in known.iter().filter(|(name, needed, _)| *needed && written.get(name).is_none()) {
        let message = format!("the connection `{}` has no `{key}.{name}`", connection.value);
        let help = format!("{description}: write `{key}: {{{name}: …}}`");
        findings.add(Finding::error("E110", message).at(connection.span).help(help));
    }
}
