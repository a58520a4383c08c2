//! What is known of the tables before any row is read.

use std::collections::BTreeMap;

use crate::sql::DataType;

/// A column as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawColumn {
    /// Its name.
    pub name: String,
    /// Its type, as models see it.
    pub data_type: DataType,
    /// A timestamp without a zone: the source's zone is meant.
    pub naive: bool,
    /// The SQL type to cast to, where the stored one is narrower or has another unit (`bigint` for 32 bits).
    pub cast: Option<String>,
}

/// Columns by source. A source that could not be read is absent.
pub type Schemas = BTreeMap<String, Vec<RawColumn>>;
