//! Identity resolution on plain arrays: cluster under constraints, then name the clusters (DESIGN §5.4).
//!
//! Nodes and values are dense indexes whose order is the total order of §5.4: nodes ascend by (source, record key),
//! values by (priority of their type, name of the type, value). So the partition is a pure function of the data.

/// A type of identifier, in order of (priority, name).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierType {
    /// Name, such as `email`.
    pub name: String,
    /// How many distinct values one customer may have; `None` = any number.
    pub per_customer: Option<u32>,
}

/// Everything that clustering looks at. Costs 8 bytes per occurrence, 4 per value, and 4 per node and scope.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Number of nodes.
    pub n_nodes: u32,
    /// Identifier types.
    pub types: Vec<IdentifierType>,
    /// Type of each value, ascending.
    pub type_of_value: Vec<u16>,
    /// (value, node), ascending and distinct: the node carries the value. Junk is not in here.
    pub occurrences: Vec<(u32, u32)>,
    /// One vector per `never_across` column: the node's value in it as a dense index, `u32::MAX` where null.
    pub scopes: Vec<Vec<u32>>,
}
