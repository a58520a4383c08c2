//! The tables of one entity (DESIGN §4): what identity resolution makes, and what it remembers.

use super::tables::{NUMBER, TEXT, TRUTH, WHOLE, instant, table, texts};
use super::write::TableSpec;

/// The tables of one entity, in the order in which they are written: records, identifiers, links, contested, ids, nodes.
#[must_use]
pub fn entity_tables(entity: &str) -> Vec<TableSpec> {
    vec![records(entity), identifiers(entity), links(entity), contested(entity), ids(entity), nodes(entity)]
}

/// `<entity>_records`: one row per node, a record or a distinct identifier tuple of a link source.
#[must_use]
pub fn records(entity: &str) -> TableSpec {
    table(
        format!("{entity}_records"),
        "One row per record, or per distinct identifier tuple of a link source, with its customer",
        [
            ("source", TEXT),
            ("record_key", TEXT),
            ("role", TEXT),
            (&*format!("{entity}_id"), TEXT),
            ("first_seen_at", instant()),
            ("last_seen_at", instant()),
            ("run_id", TEXT),
        ],
        &[],
        &["record_key"],
    )
}

/// `<entity>_identifiers`: one row per customer and identifier. A value that several customers have is at home with one of
/// them: there rows belong that carry nothing else.
#[must_use]
pub fn identifiers(entity: &str) -> TableSpec {
    table(
        format!("{entity}_identifiers"),
        "One row per customer and identifier",
        [
            (&*format!("{entity}_id"), TEXT),
            ("type", TEXT),
            ("value", TEXT),
            ("first_seen_at", instant()),
            ("last_seen_at", instant()),
            ("sources", texts()),
            ("is_home", TRUTH),
        ],
        &[],
        &["value"],
    )
}

/// `<entity>_links`: one row per link between two records, or a record and a value; `right_source` is `type:<identifier>`
/// and `right_key` the value for the latter.
#[must_use]
pub fn links(entity: &str) -> TableSpec {
    table(
        format!("{entity}_links"),
        "One row per link between two records, or between a record and an identifier: kept, or cut and why",
        [
            ("left_source", TEXT),
            ("left_key", TEXT),
            ("right_source", TEXT),
            ("right_key", TEXT),
            ("rule", TEXT),
            ("probability", NUMBER),
            ("evidence", TEXT),
            ("kept", TRUTH),
            ("reason", TEXT),
        ],
        &[],
        &["left_key", "right_key", "evidence"],
    )
}

/// `<entity>_contested`: what shared devices are settled by. One row per node of a link source whose values all ended with
/// several customers, with the first of them (`settles` is false), and one per such value and node of a link source that
/// has a better identifier of its own (`settles` is true). `owner` is the node's customer.
#[must_use]
pub fn contested(entity: &str) -> TableSpec {
    table(
        format!("{entity}_contested"),
        "One row per identifier tuple with a value that several customers have: does it settle whose rows they are?",
        [("source", TEXT), ("record_key", TEXT), ("type", TEXT), ("value", TEXT), ("settles", TRUTH), ("owner", TEXT)],
        &[],
        &["record_key", "value"],
    )
}

/// `<entity>_ids`, remembered: one row per event in the life of an id.
///
/// * `minted`: `source` and `record_key` are the node that minted it, `ordinal` how often that node had minted before,
///   `sequence` the place in the order of all mintings, from 0.
/// * `merged`: it means `into` from now on, for ever.
/// * `split`: some of its nodes have the new id `into` now.
/// * `retired`: none of its nodes exists any more. `returned`: one of them does again.
#[must_use]
pub fn ids(entity: &str) -> TableSpec {
    table(
        format!("{entity}_ids"),
        "One row per event in the life of an id: minted, merged, split, retired, returned",
        [
            (&*format!("{entity}_id"), TEXT),
            ("event", TEXT),
            ("into", TEXT),
            ("source", TEXT),
            ("record_key", TEXT),
            ("ordinal", WHOLE),
            ("sequence", WHOLE),
            ("at", instant()),
            ("run_id", TEXT),
        ],
        &[],
        &["record_key"],
    )
}

/// `<entity>_seen`: one row per customer, with a digest of what is published of it, so that the next run knows who has changed.
#[must_use]
pub fn seen(entity: &str) -> TableSpec {
    table(
        format!("{entity}_seen"),
        "One row per customer: a digest of what is published of it, and since when it has been so",
        [(&*format!("{entity}_id"), TEXT), ("_digest", WHOLE), ("updated_at", instant())],
        &[],
        &["_digest"],
    )
}

/// `<entity>_nodes`, remembered: one row per node that ever was, with its last id and how often it has minted. Those that
/// are gone stay, so that a record that comes back finds its customer.
#[must_use]
pub fn nodes(entity: &str) -> TableSpec {
    table(
        format!("{entity}_nodes"),
        "One row per node that ever was: the last id of its customer, and how often it has minted one",
        [
            ("source", TEXT),
            ("record_key", TEXT),
            (&*format!("{entity}_id"), TEXT),
            ("mints", WHOLE),
            ("present", TRUTH),
        ],
        &[],
        &["record_key"],
    )
}
