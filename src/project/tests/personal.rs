//! Personal data, through the lineage.

use super::base::changed_all;
use crate::project::SyncFrom;

#[test]
fn what_feeds_a_personal_column_and_what_is_computed_of_it_is_personal() {
    let checked = changed_all(&[
        (
            "      first_name: {type: given_name}\n",
            "      first_name: {type: given_name}\n      born: {type: birth_date, from: born_on}\n      mobile: {type: phone, sql: \"props ->> 'tel'\"}\n      \
             initial: {sql: \"left(first_name, 1)\"}\n      has_mobile: {sql: \"props ->> 'tel' is not null\"}\n      land: country\n",
        ),
        (
            "  purchase: [{source: orders, where: \"status = 'paid'\"}]\n",
            "  purchase: [{source: orders, where: \"status = 'paid'\"}]\n  contact: [{source: crm, columns: {domain: \"split_part(email, '@', 2)\", known: \"email is not null\"}}]\n",
        ),
        (
            "      country: {from: [crm.country]}\n",
            "      country: {from: [crm.country]}\n      initial: {from: [crm.initial]}\n",
        ),
        (
            "  orders_90d: {count: purchase, within: 90d}\n",
            "  orders_90d: {count: purchase, within: 90d}\n  last_domain: {last: contact.domain}\n  domains: {count_distinct: contact.domain}\n  \
             last_known: {last: contact.known}\n  last_born: {max: crm.born_on}\n  age: {sql: \"last_born\"}\n  old: {sql: \"last_born is null\"}\n",
        ),
        ("vip: true}", "vip: true, i: initial, d: last_domain, n: domains}"),
    ]);
    let project = checked.project.as_ref().unwrap();
    assert!(project.syncs["vips"].from == SyncFrom::Segment("vip".into()), "{}", checked.text());
    let personal: Vec<&str> = project.sources["crm"].personal.iter().map(String::as_str).collect();
    assert_eq!(personal, ["born", "born_on", "email", "first_name", "initial", "mobile", "props"]);
    assert!(project.sources["order_lines"].personal.is_empty());
    let traits = project.traits.values().filter(|one| one.personal).map(|one| one.name.as_str());
    let mut traits: Vec<&str> = traits.collect();
    traits.sort_unstable();
    assert_eq!(traits, ["age", "last_born", "last_domain"]);
    let entity = &project.entities["customer"];
    let attributes: Vec<&str> =
        entity.attributes.values().filter(|one| one.personal).map(|one| one.name.as_str()).collect();
    assert_eq!(attributes, ["email", "first_name", "initial", "born_on"]);
    let fields: Vec<&str> =
        project.syncs["vips"].fields.iter().filter(|field| field.personal).map(|field| field.name.as_str()).collect();
    assert_eq!(fields, ["email", "first_name", "i", "d"]);
}
