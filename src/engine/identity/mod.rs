//! Identity resolution on plain arrays: cluster under constraints, then name the clusters (DESIGN §5.4).
//!
//! Nodes and values are dense indexes whose order is the total order of §5.4: nodes ascend by (source, record key),
//! values by (priority of their type, name of the type, value). So the partition is a pure function of the data.
//!
//! [`EvidenceBuilder`] turns raw nodes, in any order and any batches, into [`Evidence`]; [`cluster`] makes the
//! partition and records every union that it refused; [`name()`] gives each cluster its id from the ledger, and the
//! ledger its events.

mod claims;
mod cluster;
#[cfg(test)]
mod cluster_oracle;
mod clusters;
mod evidence;
mod id;
mod ids;
mod ignore;
mod intern;
mod seen;
mod table;

pub use cluster::{Clustering, Contested, Reason, Refused, cluster};
pub use evidence::{Built, Dropped, EvidenceBuilder, IdentifierRule, Junk, RawNode};
pub use id::{CustomerId, IdText, NotAnId};
pub use ids::{Former, LedgerEvent, Memory, Names, State, name};
pub use table::{Search, Table};

/// "None" in every array of indexes here: a null scope, a value that nobody carries, a node without a former id.
pub const NONE: u32 = u32::MAX;

/// A type of identifier, in order of (priority, name).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierType {
    /// Name, such as `email`.
    pub name: String,
    /// How many distinct values one customer may have; `None` = any number.
    pub per_customer: Option<u32>,
}

/// Everything that clustering looks at. Costs 8 bytes per occurrence, 2 per value, and 4 per node and scope.
///
/// Every index is below the length of what it points into, and occurrences, values and scope values together are fewer
/// than 2^32: [`EvidenceBuilder`] sees to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Number of nodes.
    pub n_nodes: u32,
    /// Identifier types.
    pub types: Vec<IdentifierType>,
    /// Type of each value, ascending.
    pub type_of_value: Vec<u16>,
    /// (value, node), ascending and distinct: the node carries the value. Junk is not in here.
    pub occurrences: Vec<(u32, u32)>,
    /// One vector per `never_across` column: the node's value in it as a dense index, [`NONE`] where null.
    pub scopes: Vec<Vec<u32>>,
}
