//! A connection of the project becomes a destination, and a sync a target there.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use url::Url;

use super::super::workspace::Workspace;
use super::How;
use crate::compile::syncs;
use crate::connector::{self, Peer};
use crate::diag::{Failure, Result};
use crate::project::{Connection, Connector, Remote, Sync, Withdraw};
use crate::spec::Mode;
use crate::store::{Lease, locate, object_store, refusal};
use crate::sync::destination::{Destination, Operation, Target};
use crate::sync::files::{self, Files, Folder, Format};
use crate::sync::http::{self, Account, Accounts, Http, what};
use crate::sync::postgres::{self, Postgres};

/// The sync's connection.
pub(super) fn connection<'a>(workspace: &'a Workspace, sync: &Sync) -> Result<&'a Connection> {
    workspace.opened.project.connections.get(&sync.connection).ok_or_else(|| {
        Failure::project(
            "E110",
            format!("delivering the sync `{}`", sync.name),
            format!("there is no connection `{}`", sync.connection),
        )
        .help("declare it in warehouse.yaml")
    })
}

/// Something that speaks to the connection. Nothing is connected yet.
pub(super) fn open(
    workspace: &Workspace,
    sync: &Sync,
    connection: &Connection,
    lease: &Lease,
    how: &How<'_>,
) -> Result<Box<dyn Destination>> {
    Ok(match &connection.connector {
        Connector::Files => {
            let place = folder(connection, &workspace.opened.folder)?;
            Box::new(Files::new(place, Format::named(&sync.format)?))
        }
        Connector::Postgres => {
            Box::new(Postgres::new(&connection.name, given(connection, "url", connection.url.as_ref())?)?)
        }
        Connector::Http(_) => {
            let remote = remote(sync, connection)?;
            let account = shared_account(how.accounts, connection)?;
            let permit = Arc::new(lease.watch());
            Box::new(Http::new(account, remote, Arc::clone(&how.clock), how.cancel.clone(), Some(permit)))
        }
    })
}

/// Where the files of a connection go. Nothing is asked yet.
pub(in crate::run) fn folder(connection: &Connection, project: &Path) -> Result<Folder> {
    let url = place(connection, given(connection, "path", connection.path.as_ref())?, project)?;
    if let Ok(path) = url.to_file_path() {
        // A file is no folder, whether or not its name ends with a slash.
        return Ok(Folder::Local(path.components().collect()));
    }
    let (store, path) = object_store(&url)?;
    Ok(Folder::Store { url, store, path, refused })
}

/// A folder below the project's, unless it says otherwise, as a URL.
pub(super) fn place(connection: &Connection, path: &str, project: &Path) -> Result<Url> {
    locate(path, project).map_err(|failure| {
        lacks(connection, failure.cause)
            .help("set `path:` to a folder or to a URL that starts with s3://, gs:// or abfss://")
    })
}

fn refused(doing: String, error: &object_store::Error) -> Failure {
    refusal(doing.clone(), error).unwrap_or_else(|| {
        Failure::world("W601", doing, error)
            .help("check that the connection's `path:` is a place that may be written to")
    })
}

/// The account of a connection to an HTTP API. The same account behind two connections has one quota.
pub(in crate::run) fn shared_account(accounts: &Accounts, connection: &Connection) -> Result<Arc<Account>> {
    let Connector::Http(http) = &connection.connector else {
        return Err(lacks(connection, format!("`{}` is no HTTP API", connection.connector.name())));
    };
    accounts.of(&account_key(connection), || account(connection, http))
}

/// Names the account that a connection leads to.
pub(super) fn account_key(connection: &Connection) -> String {
    let url = connection.url.as_deref().unwrap_or_default();
    format!("{} {url} {}", connection.connector.name(), connection.account)
}

/// What the sync's rows are at an HTTP API.
pub(super) fn remote(sync: &Sync, connection: &Connection) -> Result<Remote> {
    sync.remote.clone().ok_or_else(|| lacks(connection, "the sync names no object of it"))
}

/// The account of a connection to an HTTP API; nothing is asked yet.
pub(in crate::run) fn account(connection: &Connection, http: &Arc<connector::Connector>) -> Result<Account> {
    connection.ready()?;
    let peer = Peer::new(Arc::clone(http), &connection.said()).map_err(|(key, cause)| {
        lacks(connection, format!("`{key}`: {cause}")).help("mend the connection in warehouse.yaml")
    })?;
    Account::new(&connection.name, peer)
}

/// The account of a connection for requests that are only shown: neither secrets nor variables of the environment need be there.
pub(in crate::run) fn veiled_account(connection: &Connection, http: &Arc<connector::Connector>) -> Result<Account> {
    let peer = Peer::veiled(Arc::clone(http), &connection.said()).map_err(|(key, cause)| {
        lacks(connection, format!("`{key}`: {cause}")).help("mend the connection in warehouse.yaml")
    })?;
    Account::new(&connection.name, peer)
}

/// What a connection says under a key; a reference to a variable that is not set is only missed here, by who needs it.
pub(in crate::run) fn given<'a>(connection: &Connection, what: &str, value: Option<&'a String>) -> Result<&'a str> {
    let value = value.ok_or_else(|| {
        lacks(connection, format!("it has no `{what}`")).help(format!("write `{what}` in warehouse.yaml"))
    })?;
    match unset(value) {
        None => Ok(value),
        Some(name) => Err(lacks(connection, format!("the environment variable `{name}` in its `{what}` is not set"))
            .help(format!("set `{name}` before running; `cohorte plan` and `--dry-run` work without"))),
    }
}

fn lacks(connection: &Connection, cause: impl std::fmt::Display) -> Failure {
    Failure::project("E110", format!("opening the connection `{}`", connection.name), cause)
}

/// The variable of a reference that was left as it is.
pub(super) fn unset(text: &str) -> Option<&str> {
    text.split_once("${env.")?.1.split_once('}').map(|(name, _)| name)
}

/// The most rows of a file, a transaction or a request there.
pub(super) fn rows_per_request(connection: &Connection, sync: &Sync) -> u64 {
    (match &connection.connector {
        Connector::Files => files::MAX_ROWS,
        Connector::Postgres => postgres::MAX_ROWS,
        Connector::Http(http) => {
            sync.remote.as_ref().and_then(|remote| what(http, remote)).map_or(1, |what| http::rows_per_request(&what))
        }
    }) as u64
}

/// May a batch be sent twice there? So it is with everything that sets values or deletes by key.
pub(super) fn may_resend(connection: &Connection, sync: &Sync) -> bool {
    match &connection.connector {
        Connector::Files | Connector::Postgres => true,
        Connector::Http(http) => {
            let what = sync.remote.as_ref().and_then(|remote| what(http, remote));
            what.is_some_and(|what| {
                [Operation::Add, Operation::Remove].into_iter().all(|operation| http::may_resend(&what, operation))
            })
        }
    }
}

/// The target of a sync whose rows have this schema.
pub(super) fn target(sync: &Sync, rows: &Schema) -> Result<Target> {
    let fields = syncs::columns(sync).into_iter().map(|name| {
        let column = rows.field_with_name(&syncs::value_column(&name)).map_err(|error| {
            Failure::world("W604", format!("reading the rows of the sync `{}`", sync.name), error)
                .help("this is a defect of cohorte, nothing was sent: report it with the sync's definition")
        })?;
        // A leaver's fields are null, and so are the columns of a key that was not chosen.
        Ok(Field::new(name, column.data_type().clone(), true))
    });
    Ok(Target {
        sync: sync.name.clone(),
        object: sync.object.clone(),
        key: syncs::key_columns(sync),
        schema: Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)),
        clear: cleared(&sync.on_remove),
        may_create: sync.mode != Mode::Update,
        may_update: sync.mode != Mode::Insert,
        ours: 0,
        omit_nulls: syncs::omits_nulls(sync),
    })
}

/// The same for one of the passes of [`syncs::due`].
pub(super) fn target_of_pass(sync: &Sync, target: &Target, pass: usize) -> Target {
    match pass {
        0 => Target { clear: cleared(&sync.on_withdraw), ..target.clone() },
        1 => Target { may_create: false, ..target.clone() },
        _ => target.clone(),
    }
}

/// The fields that are set to null.
pub(super) fn cleared(what: &Withdraw) -> Vec<String> {
    match what {
        Withdraw::Clear(fields) => fields.clone(),
        Withdraw::Delete | Withdraw::Nothing => Vec::new(),
    }
}

/// What a withdrawal does.
pub(super) fn withdrawal(sync: &Sync) -> Operation {
    match sync.on_withdraw {
        Withdraw::Clear(_) => Operation::Clear,
        Withdraw::Delete | Withdraw::Nothing => Operation::Remove,
    }
}

/// The SQL type of a sent column, to read a key back that was written as JSON.
pub(super) fn sql_type(target: &Target, name: &str) -> String {
    let Ok(field) = target.schema.field_with_name(name) else { return "varchar".to_owned() };
    match field.data_type() {
        kind if kind.is_integer() => "bigint".to_owned(),
        kind if kind.is_floating() => "double".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision}, {scale})"),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(..) => "timestamptz".to_owned(),
        _ => "varchar".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::unset;

    #[test]
    fn a_reference_that_was_left_is_found() {
        assert_eq!(unset("postgres://u:${env.CRM_PASSWORD}@h/d"), Some("CRM_PASSWORD"));
        assert_eq!(unset("postgres://u:p@h/d"), None);
    }
}
