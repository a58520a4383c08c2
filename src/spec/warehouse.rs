//! `warehouse.yaml`: where the tables live, which engine, which connections.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Percent, Text};
use crate::text::{Constant, Located, Section};

/// The project's settings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct WarehouseFile {
    /// The project's name.
    pub name: Text,
    /// Where the tables live.
    pub warehouse: Warehouse,
    /// Zone of calendar days and naive timestamps; by default UTC.
    pub timezone: Option<Text>,
    /// Limits of the engine.
    pub engine: Option<Engine>,
    /// Values for `${vars.name}`.
    #[serde(default)]
    pub vars: Section<Constant>,
    /// Are audiences sent? Without, `sync` acts as `--dry-run`.
    pub deliver: Option<bool>,
    /// Overrides, chosen with `--target`.
    #[serde(default)]
    pub targets: Section<Target>,
    /// Accounts at destinations.
    #[serde(default)]
    pub connections: Section<Connection>,
    /// Who is told when a sync or a build fails, works again, or does what it should not.
    #[serde(default)]
    pub alerts: Section<Alert>,
}

/// Where the tables live.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Warehouse {
    /// A folder relative to the project, or an object store URL.
    pub root: Text,
    /// The folder of the tables that are written; by default `cdp`.
    pub schema: Option<Text>,
}

/// Limits of the engine.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Engine {
    /// Memory, such as `4GiB`; by default 70 % of the machine's.
    pub memory: Option<Text>,
    /// Threads; by default all cores.
    pub threads: Option<Located<u32>>,
}

/// Overrides of a target: the same keys as the file, merged into it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Target {
    /// Where the tables live.
    #[serde(rename = "warehouse")]
    pub _warehouse: Option<TargetWarehouse>,
    /// Zone of calendar days.
    #[serde(rename = "timezone")]
    pub _timezone: Option<String>,
    /// Limits of the engine.
    #[serde(rename = "engine")]
    pub _engine: Option<Engine>,
    /// Values for `${vars.name}`.
    #[serde(default, rename = "vars")]
    pub _vars: Section<Constant>,
    /// Are audiences sent?
    #[serde(rename = "deliver")]
    pub _deliver: Option<bool>,
    /// Accounts at destinations.
    #[serde(default, rename = "connections")]
    pub _connections: Section<Connection>,
}

/// Where a target's tables live.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TargetWarehouse {
    /// A folder relative to the project, or an object store URL.
    #[serde(rename = "root")]
    pub _root: Option<Text>,
    /// The folder of the tables that are written.
    #[serde(rename = "schema")]
    pub _schema: Option<Text>,
}

/// Who is told what. Failures and recoveries are always told, once per change.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Alert {
    /// The connection that the message goes to: `slack`, `webhook`, or another HTTP API with an object that has a field `text`.
    pub to: Text,
    /// The object there; needed where it has several.
    pub object: Option<Text>,
    /// Also tell of a sync when so many of the rows that it attempted are rejected, such as `5%`.
    pub rejects: Option<Located<Percent>>,
    /// Also tell of a sync when the rows that it wants differ by so much from the run before, such as `50%`.
    pub size: Option<Located<Percent>>,
}

/// An account at a destination.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Connection {
    /// What it is, for people.
    pub description: Option<String>,
    /// The connector: `files`, `postgres`, `hubspot` …; `cohorte connector list` shows them.
    pub connector: Option<Text>,
    /// The account's name at the destination: quotas and state belong to it.
    pub account: Option<Text>,
    /// Folder of `files`: below the project's, or the URL of a place in an object store (`s3://`, `gs://`, `abfss://`).
    pub path: Option<Text>,
    /// URL of `postgres`, or of an HTTP API where the connector's own is not meant; usually `${env.NAME}`.
    pub url: Option<Text>,
    /// Secrets of an HTTP API, by reference: `{token: "${env.HUBSPOT_TOKEN}"}`.
    #[serde(default)]
    pub auth: Section<Text>,
    /// What else the connector wants to know.
    #[serde(default)]
    pub settings: Section<Text>,
    /// Does this connection send, whatever the target says?
    pub deliver: Option<bool>,
}
