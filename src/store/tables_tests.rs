//! The tables of the warehouse.

use std::collections::BTreeSet;

use super::*;
use crate::store::stored_schema;

fn all() -> Vec<TableSpec> {
    let mut all = entity_tables("customer");
    all.extend([segment_members(), segment_sizes(), score_values(), consents(), consent_ledger(), sync_state()]);
    all.extend([sync_runs(), sync_receipts(), sync_journal(), runs(), run_steps(), audit(), alerts()]);
    all
}

#[test]
fn specs_speak_of_their_own_columns_in_stored_types() {
    let mut names = BTreeSet::new();
    for spec in all() {
        assert!(names.insert(spec.name.clone()), "{} is there twice", spec.name);
        assert_eq!(stored_schema(&spec.schema), spec.schema, "{}", spec.name);
        for column in spec.partition_by.iter().chain(&spec.personal) {
            assert!(spec.schema.field_with_name(column).is_ok(), "{}.{column}", spec.name);
        }
        assert!(spec.partition_by.iter().all(|column| !spec.personal.contains(column)), "{}", spec.name);
    }
}

#[test]
fn an_entity_names_its_tables_and_its_id() {
    let names: Vec<String> = entity_tables("guest").into_iter().map(|spec| spec.name).collect();
    assert_eq!(
        names,
        ["guest_records", "guest_identifiers", "guest_links", "guest_contested", "guest_ids", "guest_nodes"]
    );
    assert!(records("guest").schema.field_with_name("guest_id").is_ok());
}
