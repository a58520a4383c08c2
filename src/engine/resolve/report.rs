//! What a run says of identity resolution: counts, no values.

use std::collections::BTreeMap;

/// Values of one type that were dropped for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedValues {
    /// The type of identifier.
    pub identifier: String,
    /// `ignored` or `shared`.
    pub reason: String,
    /// Distinct values.
    pub values: u64,
    /// Links between them and nodes.
    pub links: u64,
}

/// Counts for the summary of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Nodes of each source that has any, by name.
    pub nodes: BTreeMap<String, u64>,
    /// Customers.
    pub customers: u64,
    /// Customers with a record.
    pub known: u64,
    /// Refused links by reason, such as `per_customer account_id`.
    pub refused: BTreeMap<String, u64>,
    /// Values that identify nobody, by type and reason.
    pub dropped: Vec<DroppedValues>,
    /// New ids.
    pub minted: u64,
    /// Ids that were merged into others.
    pub merged: u64,
    /// New ids whose nodes had another one before, counted per former id.
    pub split: u64,
    /// Ids whose nodes are all gone.
    pub retired: u64,
    /// Retired ids that are back.
    pub returned: u64,
}
