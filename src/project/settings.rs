//! Settings and connections, checked.

use chrono_tz::Tz;
use indexmap::IndexMap;

use crate::diag::{self, Failure, Finding, Findings, nearest};
use crate::spec::Spec;
use crate::text::Span;

/// The project's settings with their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The project's name.
    pub name: String,
    /// Root of the warehouse: a folder or a URL.
    pub root: String,
    /// Folder of our tables.
    pub schema: String,
    /// Zone of calendar days.
    pub timezone: Tz,
    /// Memory in bytes, where it is limited.
    pub memory: Option<u64>,
    /// Threads, where they are limited.
    pub threads: Option<usize>,
    /// Are audiences sent?
    pub deliver: bool,
}

/// Destinations that are no HTTP API: a small closed set (DESIGN §5.6). Those that are come as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connector {
    /// A folder.
    Files,
    /// A PostgreSQL database.
    Postgres,
}

impl Connector {
    /// As a connection names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Postgres => "postgres",
        }
    }
}

/// An account at a destination.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub span: Span,
    /// What speaks to it.
    pub connector: Connector,
    /// The account's name at the destination; by default the connection's.
    pub account: String,
    /// Folder of `files`.
    pub path: Option<String>,
    /// URL of `postgres`: a secret.
    pub url: Option<String>,
    /// Does it send?
    pub deliver: bool,
}

impl Connection {
    /// Fails where the connection refers to an environment variable that is not set: for those who are about to use it.
    pub fn ready(&self) -> diag::Result<()> {
        let written = [&self.url, &self.path].into_iter().flatten().chain([&self.account]);
        for text in written {
            let reference = text.split_once("${env.").and_then(|(_, rest)| rest.split_once('}'));
            if let Some((variable, _)) = reference {
                let doing = format!("using the connection `{}`", self.name);
                let cause = format!("the environment variable `{variable}` is not set");
                return Err(Failure::project("E109", doing, cause).help("set it before running"));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Connection {
    /// Without the URL, which holds a password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("name", &self.name)
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

pub(super) fn resolve(spec: &Spec, findings: &mut Findings) -> Option<(Settings, IndexMap<String, Connection>)> {
    let file = spec.warehouse.as_ref()?;
    let timezone = match &file.timezone {
        Some(name) => zone(&name.value, name.span, findings),
        None => Tz::UTC,
    };
    let memory = file.engine.as_ref().and_then(|engine| engine.memory.as_ref()).and_then(|text| {
        let bytes = bytes(&text.value);
        if bytes.is_none() {
            findings.add(Finding::error("E102", "an amount of memory is written `4GiB` or `500MiB`").at(text.span));
        }
        bytes
    });
    let deliver = file.deliver.unwrap_or(false);
    let settings = Settings {
        name: file.name.value.clone(),
        root: file.warehouse.root.value.clone(),
        schema: file.warehouse.schema.as_ref().map_or_else(|| "cdp".into(), |schema| schema.value.clone()),
        timezone,
        memory,
        threads: file
            .engine
            .as_ref()
            .and_then(|engine| engine.threads.as_ref())
            .map(|threads| threads.value.max(1) as usize),
        deliver,
    };
    let mut connections = IndexMap::new();
    for (name, connection) in file.connections.iter() {
        let Some(written) = &connection.connector else {
            findings.add(
                Finding::error("E102", format!("`connector` is missing in the connection `{}`", name.value))
                    .at(name.span),
            );
            continue;
        };
        let connector = match written.value.as_str() {
            "files" => Connector::Files,
            "postgres" => Connector::Postgres,
            other => {
                let help = nearest(other, ["files", "postgres"].into_iter());
                let help =
                    help.map_or("`cohorte connector list` shows them".into(), |near| format!("did you mean `{near}`?"));
                findings.add(
                    Finding::error("E106", format!("there is no connector `{other}`")).at(written.span).help(help),
                );
                continue;
            }
        };
        let needed = match connector {
            Connector::Files => ("path", connection.path.is_some()),
            Connector::Postgres => ("url", connection.url.is_some()),
        };
        if !needed.1 {
            let message = format!("the connection `{}` has no `{}`", name.value, needed.0);
            findings.add(
                Finding::error("E110", message)
                    .at(name.span)
                    .help("secrets are given by reference: `url: \"${env.CRM_DATABASE_URL}\"`"),
            );
        }
        connections.insert(
            name.value.clone(),
            Connection {
                name: name.value.clone(),
                span: name.span,
                connector,
                account: connection
                    .account
                    .as_ref()
                    .map_or_else(|| name.value.clone(), |account| account.value.clone()),
                path: connection.path.as_ref().map(|path| path.value.clone()),
                url: connection.url.as_ref().map(|url| url.value.clone()),
                deliver: connection.deliver.unwrap_or(deliver),
            },
        );
    }
    Some((settings, connections))
}

/// An IANA zone.
pub(super) fn zone(name: &str, span: Span, findings: &mut Findings) -> Tz {
    name.parse().unwrap_or_else(|_| {
        let near = nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let help = near.map_or("zones are named as `Europe/Paris`".into(), |near| format!("did you mean `{near}`?"));
        findings.add(Finding::error("E111", format!("`{name}` is no time zone")).at(span).help(help));
        Tz::UTC
    })
}

/// The memory that a run may use, where the settings say so.
#[must_use]
pub fn memory(file: &crate::spec::WarehouseFile) -> Option<u64> {
    bytes(&file.engine.as_ref()?.memory.as_ref()?.value)
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|character: char| !character.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let factor: u64 = match unit.trim() {
        "B" => 1,
        "KiB" | "KB" => 1 << 10,
        "MiB" | "MB" => 1 << 20,
        "GiB" | "GB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn amounts_of_memory() {
        assert_eq!(bytes("4GiB"), Some(4 << 30));
        assert_eq!(bytes("500 MiB"), Some(500 << 20));
        assert_eq!(bytes("4"), None);
        assert_eq!(bytes("0MiB"), None);
        assert_eq!(bytes("99999999999999999999GiB"), None);
    }
}
