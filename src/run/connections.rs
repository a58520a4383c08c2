//! Connections: are they valid, and are they there? Nothing is sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::stored::Stored;
use super::sync::{account, folder, given};
use crate::connector;
use crate::diag::{Failure, Finding, Findings, Result, nearest};
use crate::project::{Connection, Connector};
use crate::sync::clock::{Cancel, SystemClock};
use crate::sync::postgres::Postgres;
use crate::text::Files;

/// What became of a connection's check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The connection.
    pub connection: String,
    /// What speaks to it.
    pub connector: Connector,
    /// Does it deliver?
    pub deliver: bool,
    /// Was anybody asked? An API is, where its connector says how to tell whose account it is.
    pub asked: bool,
    /// What is wrong with it, if anything.
    pub failure: Option<Failure>,
}

/// Checks the connections of these names, or all.
pub async fn check_connections(stored: &Stored, names: &[String]) -> Result<Vec<Checked>> {
    for name in names {
        if !stored.connections.contains_key(name) {
            let near = nearest(name, stored.connections.keys().map(String::as_str));
            let help =
                near.map_or("connections are in warehouse.yaml".to_owned(), |near| format!("did you mean `{near}`?"));
            return Err(Failure::project(
                "E140",
                format!("checking `{name}`"),
                format!("there is no connection `{name}`"),
            )
            .help(help));
        }
    }
    let mut checked = Vec::new();
    for connection in stored.connections.values().filter(|one| names.is_empty() || names.contains(&one.name)) {
        let failure = match &connection.connector {
            Connector::Files => files(connection, &stored.folder).await.err(),
            Connector::Postgres => database(connection).await.err(),
            Connector::Http(http) => api(connection, http).await.err(),
        };
        checked.push(Checked {
            connection: connection.name.clone(),
            connector: connection.connector.clone(),
            deliver: connection.deliver,
            asked: match &connection.connector {
                Connector::Files | Connector::Postgres => true,
                Connector::Http(http) => http.tells_account(),
            },
            failure,
        });
    }
    Ok(checked)
}

/// A connector's file, checked.
pub struct CheckedFile {
    /// The file.
    pub files: Files,
    /// Everything that is wrong in it, and every test that fails.
    pub findings: Vec<Finding>,
    /// The connector's name and how many tests it has; none where the file cannot be read as one.
    pub connector: Option<(String, usize)>,
}

/// Checks a connector's file and runs its tests; nothing is asked of anybody.
pub fn check_file(path: &Path) -> Result<CheckedFile> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::project("W002", format!("reading `{}`", path.display()), error)
            .help("name a connector's file, such as `connectors/crm.yaml`")
    })?;
    let mut files = Files::default();
    let file = files.add(path.display().to_string(), text);
    let mut findings = Findings::default();
    let read = connector::read(&files, file, &mut findings).map(Arc::new);
    let connector = read.map(|read| (read.name.clone(), connector::run_examples(&read, &mut findings)));
    Ok(CheckedFile { files, findings: findings.sorted(), connector })
}

/// The files of the project's own connectors.
#[must_use]
pub fn own_connectors(stored: &Stored) -> Vec<PathBuf> {
    stored.spec.connectors.values().map(|file| stored.folder.join(&stored.files.get(*file).path)).collect()
}

/// Does the API let us in, and is it the account that is declared? Where the connector cannot tell, what is written is checked alone.
async fn api(connection: &Connection, http: &Arc<connector::Connector>) -> Result<()> {
    let account = account(connection, http)?;
    account.check(&SystemClock, &Cancel::default()).await
}

async fn database(connection: &Connection) -> Result<()> {
    Postgres::new(&connection.name, given(connection, "url", connection.url.as_ref())?)?.check().await
}

async fn files(connection: &Connection, project: &Path) -> Result<()> {
    folder(connection, project)?.check().await
}
