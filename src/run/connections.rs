//! Connections: are they valid, and are they there? Nothing is sent.

use std::path::{Path, PathBuf};

use super::stored::Stored;
use super::sync::given;
use crate::diag::{Failure, Result, nearest};
use crate::project::{Connection, Connector};
use crate::sync::postgres::Postgres;

/// What became of a connection's check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The connection.
    pub connection: String,
    /// What speaks to it.
    pub connector: Connector,
    /// Does it deliver?
    pub deliver: bool,
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
        let failure = match connection.connector {
            Connector::Files => folder(connection, &stored.folder).err(),
            Connector::Postgres => database(connection).await.err(),
        };
        checked.push(Checked {
            connection: connection.name.clone(),
            connector: connection.connector,
            deliver: connection.deliver,
            failure,
        });
    }
    Ok(checked)
}

async fn database(connection: &Connection) -> Result<()> {
    Postgres::new(&connection.name, given(connection, "url", connection.url.as_ref())?)?.check().await
}

/// A folder that may be written, or could be made: looking creates nothing that stays.
fn folder(connection: &Connection, project: &Path) -> Result<()> {
    let path = project.join(given(connection, "path", connection.path.as_ref())?);
    let mut there: PathBuf = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
    while !there.exists() {
        if !there.pop() {
            break;
        }
    }
    let refused = |error: std::io::Error| {
        Failure::world(
            "W601",
            format!("checking the folder `{}` of the connection `{}`", path.display(), connection.name),
            error,
        )
        .help("check that it is a folder, and that you may write there")
    };
    if !there.is_dir() {
        return Err(refused(std::io::Error::from(std::io::ErrorKind::NotADirectory)));
    }
    tempfile::Builder::new().prefix(".cohorte-").tempfile_in(&there).map(|_| ()).map_err(refused)
}
