//! Where the database is and how it is reached. The URL holds a password: it is never shown, only host, port and database are.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::refusal::{Kind, kind};
use crate::diag::Failure;

/// A database that was named, but is not connected to yet.
pub(super) struct Address {
    /// The connection's name in the project.
    connection: String,
    /// Host, port and database, for messages.
    shown: String,
    config: Config,
    /// Present when the URL asks for TLS. The server's certificate is always checked.
    tls: Option<Arc<ClientConfig>>,
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`.
    ///
    /// `require`, `verify-ca` and `verify-full` all mean TLS with a certificate that is checked, against `sslrootcert` (a PEM file)
    /// or else the public authorities; without `sslmode` there is no TLS.
    pub(super) fn parse(connection: &str, url: &str) -> Result<Self, Failure> {
        let wrong = |cause: &str| {
            Failure::project("E603", format!("reading the URL of the connection `{connection}`"), cause)
                .help("write `url: postgres://user:password@host:5432/database`, with `?sslmode=require` for TLS; special characters are written as %XX")
        };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(wrong("it does not begin with `postgres://`"));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut kept = Vec::new();
        let (mut encrypted, mut roots) = (false, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
            match decoded.as_ref().map(|(name, value)| (name.as_ref(), value.as_ref())) {
                Some(("sslmode", "disable" | "allow" | "prefer")) => encrypted = false,
                Some(("sslmode", "require" | "verify-ca" | "verify-full")) => encrypted = true,
                Some(("sslmode", _)) => {
                    return Err(wrong("its `sslmode` is none of disable, prefer, require, verify-full"));
                }
                Some(("sslrootcert", path)) => roots = Some(path.to_owned()),
                _ => kept.push(pair),
            }
        }
        let plain = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
        // The parser's error may quote the URL.
        let mut config = Config::from_str(&plain).map_err(|_| wrong("it is not a valid PostgreSQL URL"))?;
        if config.get_hosts().is_empty() {
            return Err(wrong("it names no host"));
        }
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_mins(1));
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        if config.get_application_name().is_none() {
            config.application_name("cohorte");
        }
        let tls =
            if encrypted { Some(Arc::new(trust(roots.as_deref()).map_err(|cause| wrong(&cause))?)) } else { None };
        Ok(Self { connection: connection.to_owned(), shown: show(&config), config, tls })
    }

    /// Connects. The task that drives the connection ends with the client.
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        let failed = |error: tokio_postgres::Error| self.unreachable(&error);
        if let Some(tls) = &self.tls {
            let connector = MakeRustlsConnect::new(tls.as_ref().clone());
            let (client, connection) = self.config.connect(connector).await.map_err(failed)?;
            tokio::spawn(connection);
            Ok(client)
        } else {
            let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
            tokio::spawn(connection);
            Ok(client)
        }
    }

    fn unreachable(&self, error: &tokio_postgres::Error) -> Failure {
        let help = match error.as_db_error().map(|error| error.code().code()) {
            Some("28P01" | "28000") => {
                "check the user and the password in the connection's `url:`, and the server's pg_hba.conf"
            }
            Some("3D000") => "create the database, or correct its name at the end of the connection's `url:`",
            Some("53300") => "the server has no free connection: raise `max_connections` or try later",
            _ => {
                "check that the server runs, that host and port in the connection's `url:` are right, and that this machine may reach it"
            }
        };
        Failure::world("W602", self.doing("connecting to"), describe(error)).help(help)
    }

    /// The connection is gone; nothing of the batch was done.
    pub(super) fn lost(&self, cause: impl std::fmt::Display) -> Failure {
        Failure::world("W602", self.doing("talking to"), cause)
            .help("run the sync again: nothing of this batch was done, and what was done before is recorded")
    }

    /// The server refused a statement as a whole.
    pub(super) fn refused(&self, table: &str, cause: impl std::fmt::Display) -> Failure {
        Failure::world("W603", format!("{} into {table}", self.doing("writing")), cause)
            .help("mend what the server says, or its settings, and run the sync again: nothing of this batch was done")
    }

    /// Sorts an error of a statement into the two above.
    pub(super) fn failed(&self, table: &str, error: &tokio_postgres::Error) -> Failure {
        match error.as_db_error() {
            Some(told) if kind(told.code()) != Kind::Connection => self.refused(table, describe(error)),
            _ => self.lost(describe(error)),
        }
    }

    /// "connecting to the database of `dwh` (host:5432/db)".
    pub(super) fn doing(&self, verb: &str) -> String {
        format!("{verb} the database of the connection `{}` ({})", self.connection, self.shown)
    }
}

/// An error and its causes. Of the server's answer only the message, which tells of rows only where a row is at fault.
fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(told) = error.as_db_error() {
        return format!("{} ({})", told.message(), told.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn show(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("{host}:{port}/{}", config.get_dbname().or(config.get_user()).unwrap_or_default())
}

fn trust(roots: Option<&str>) -> Result<ClientConfig, String> {
    let mut store = RootCertStore::empty();
    if let Some(path) = roots {
        let unreadable = |error: &dyn std::fmt::Display| format!("`sslrootcert` {path} cannot be read: {error}");
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            store.add(certificate).map_err(|error| unreadable(&error))?;
        }
    } else {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address::parse("dwh", url).unwrap_or_else(|failure| panic!("{failure}"))
    }

    #[test]
    fn tls_is_spoken_where_the_url_asks_for_it() {
        assert!(address("postgres://u:p@h/db").tls.is_none());
        assert!(address("postgres://u:p@h/db?sslmode=disable").tls.is_none());
        let full = address("postgresql://u:p@h:6543/db?application_name=x&sslmode=verify-full");
        assert!(full.tls.is_some());
        assert_eq!(full.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(full.config.get_application_name(), Some("x"));
        assert_eq!(full.shown, "h:6543/db");
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_shown() {
        for url in [
            "mysql://u:hunter2@h/db",
            "postgres://u:hunter2@h:port/db",
            "postgres://u:hunter2@h/db?sslmode=maybe",
            "postgres://u:hunter2@h/db?hunter2=1",
            "postgres://u:hunter2@h/db?sslmode=require&sslrootcert=/nowhere.pem",
        ] {
            let failure = Address::parse("dwh", url).err().unwrap_or_else(|| panic!("{url} was taken"));
            assert_eq!((failure.code, failure.exit_code()), ("E603", 1));
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        }
    }

    #[tokio::test]
    async fn an_unreachable_database_is_a_failure_of_the_world_without_the_password() {
        // Port 1 of this machine: refused at once.
        let failure = address("postgres://u:hunter2@127.0.0.1:1/db").connect().await.err().unwrap();
        assert_eq!((failure.code, failure.exit_code()), ("W602", 2));
        assert!(failure.doing.contains("127.0.0.1:1/db"));
        assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        assert!(!failure.help.is_empty());
    }
}
