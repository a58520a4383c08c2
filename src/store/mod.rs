//! The warehouse: Delta tables under one root, their history, the set of versions that readers see, and the lease that
//! keeps writers apart.
//!
//! Only this room writes tables. A write is one atomic Delta commit whose input streams, so memory does not grow with
//! the number of rows.

mod adopt;
mod changes;
mod clouds;
mod compact;
mod entity_tables;
mod failpoint;
mod failures;
mod file_statistics;
mod lease;
mod lease_generations;
mod lease_process;
mod published;
mod refusal;
mod statistics;
mod stored_types;
mod table;
pub mod tables;
#[cfg(test)]
mod testing;
mod warehouse;
mod write;

pub use adopt::DataFile;
pub use changes::Since;
pub(crate) use clouds::object_store;
pub use failures::{failure_from, held, value_fault};
pub use lease::{Abandoned, Lease, LeaseOptions, Watch};
pub use published::{Published, PublishedTable};
pub(crate) use refusal::refusal;
pub use statistics::writer_properties;
pub use stored_types::{conform, stored_schema};
pub use table::{StoredFile, StoredTable};
pub use tables::{
    audit, consent_ledger, consents, contested, entity_tables, identifiers, ids, links, nodes, records, run_steps,
    runs, score_values, seen, segment_members, segment_sizes, sync_journal, sync_receipts, sync_runs, sync_state,
};
pub use warehouse::Warehouse;
pub(crate) use warehouse::locate;
pub use write::{Commit, Input, TableSpec, Written};
