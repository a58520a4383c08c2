//! Features: named, typed columns per customer, content-addressed, so that equal conditions are computed once (DESIGN §5.2).

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::facts::Relation;
use crate::spec::Duration;
use crate::sql::Aggregate;
use crate::sql::DataType;

/// One column per customer, computed from the rows of one relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its id: `f_` and a hash of all that follows.
    pub id: String,
    /// The entity.
    pub entity: String,
    /// What is read.
    pub relation: Relation,
    /// Which rows, over `e` and what is joined.
    pub filter: Option<String>,
    /// Parents that are joined; to the consents, attributes of the golden record.
    pub joins: BTreeSet<String>,
    /// The value that is reduced, and its type; none for counts.
    pub value: Option<(String, DataType)>,
    /// How rows are reduced.
    pub aggregate: Aggregate,
    /// How far back.
    pub within: Option<Duration>,
    /// Type of the column.
    pub data_type: DataType,
    /// Does a filter or value ask what time it is?
    pub uses_now: bool,
}

/// Every feature of a project, each once, in the order in which models first asked for them.
#[derive(Debug, Clone, Default)]
pub struct Features {
    by_id: IndexMap<String, Feature>,
}

impl Features {
    /// The id of a feature, which is added unless an equal one is there.
    pub fn intern(&mut self, mut feature: Feature) -> String {
        let content = format!(
            "{}\0{:?}\0{:?}\0{:?}\0{:?}\0{:?}\0{:?}",
            feature.entity,
            feature.relation,
            feature.filter,
            feature.joins,
            feature.value,
            feature.aggregate,
            feature.within
        );
        let hash = blake3::hash(content.as_bytes()).to_hex();
        let id = format!("f_{}", &hash.as_str()[..16]);
        feature.id.clone_from(&id);
        self.by_id.entry(id.clone()).or_insert(feature);
        id
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Feature> {
        self.by_id.values()
    }

    /// The feature of an id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Feature> {
        self.by_id.get(id)
    }
}
