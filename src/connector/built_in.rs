//! What the destinations that are built in can do, for people who choose one. The code that does it is in `sync/`.

/// What a destination can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Its name: `connector: files`.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// What a connection says.
    pub settings: &'static [&'static str],
    /// Modes of syncs.
    pub modes: &'static [&'static str],
    /// How rows that leave can go.
    pub removes: &'static [&'static str],
    /// Formats that `to: {format: …}` may name.
    pub formats: &'static [&'static str],
    /// What keys are.
    pub keys: &'static str,
    /// Most rows of a batch.
    pub max_rows: usize,
    /// Is sending a batch twice harmless?
    pub repeatable: &'static str,
}

const MODES: &[&str] = &["upsert", "update", "insert", "mirror"];

/// Every destination that is built in.
pub const BUILT_IN: &[Capabilities] = &[
    Capabilities {
        name: "files",
        description: "a folder, here or in an object store; each batch is a file of what was added, updated or removed",
        settings: &["path", "deliver"],
        modes: MODES,
        removes: &["delete", "clear", "nothing"],
        formats: &["ndjson", "csv", "parquet"],
        keys: "any columns; several alternatives",
        max_rows: 50_000,
        repeatable: "yes: the same batch is the same file",
    },
    Capabilities {
        name: "postgres",
        description: "a table in a PostgreSQL database, made where there is none; each batch is a transaction",
        settings: &["url", "deliver"],
        modes: MODES,
        removes: &["delete", "clear", "nothing"],
        formats: &[],
        keys: "one key of any columns, with a unique index",
        max_rows: 5_000,
        repeatable: "yes: rows are set and deleted by their key",
    },
];
