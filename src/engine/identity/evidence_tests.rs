//! Evidence: the total order of nodes and values, junk, and that neither order nor split of the rows matters.

use proptest::prelude::*;

use super::super::{NONE, cluster};
use super::*;

/// A raw node that owns its texts.
#[derive(Debug, Clone)]
struct Owned {
    source: &'static str,
    key: String,
    name: Option<&'static str>,
    scope: Option<&'static str>,
    identifiers: Vec<(u16, String)>,
}

impl Owned {
    fn new(key: &str, name: Option<&'static str>, identifiers: &[(u16, &str)]) -> Self {
        let identifiers = identifiers.iter().map(|(rule, value)| (*rule, (*value).to_owned())).collect();
        Self { source: "crm", key: key.into(), name, scope: None, identifiers }
    }
}

fn rule(name: &str, priority: u32) -> IdentifierRule {
    IdentifierRule { name: name.into(), priority, per_customer: None, shared_by: None, ignore: Vec::new() }
}

/// Rule 0 is `phone`, rule 1 `email`, rule 2 `account`, which goes first.
fn rules() -> Vec<IdentifierRule> {
    let email = IdentifierRule {
        shared_by: Some(1),
        per_customer: Some(2),
        ignore: vec!["*@example.com".into()],
        ..rule("email", NONE)
    };
    vec![rule("phone", NONE), email, IdentifierRule { per_customer: Some(1), ..rule("account", 1) }]
}

fn build(nodes: &[Owned]) -> Built {
    let mut builder = EvidenceBuilder::new(rules(), 1);
    builder.compact_at = 4;
    for node in nodes {
        let identifiers: Vec<(u16, &str)> =
            node.identifiers.iter().map(|(rule, value)| (*rule, value.as_str())).collect();
        let (source, key, name) = (node.source, node.key.as_str(), node.name);
        builder.add(&RawNode { source, key, name, scopes: &[node.scope], identifiers: &identifiers }).unwrap();
    }
    builder.build()
}

fn pairs(table: &Table) -> Vec<(String, String)> {
    table.iter().map(|(group, text)| (group.to_owned(), text.to_owned())).collect()
}

#[test]
fn nodes_and_values_are_in_the_total_order() {
    let mut web = Owned::new("10", None, &[(0, "+33"), (1, "b@x.fr")]);
    web.source = "app";
    web.scope = Some("north");
    let mut crm = Owned::new("9", None, &[(2, "a1"), (1, "a@x.fr"), (1, "b@x.fr"), (1, "b@x.fr")]);
    crm.scope = Some("east");
    let built = build(&[crm.clone(), web, crm]);
    let owned = |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    assert_eq!(pairs(&built.nodes), owned(&[("app", "10"), ("crm", "9")]));
    assert_eq!(
        pairs(&built.values),
        owned(&[("account", "a1"), ("email", "a@x.fr"), ("email", "b@x.fr"), ("phone", "+33")])
    );
    assert_eq!(built.evidence.occurrences, vec![(0, 1), (1, 1), (2, 0), (2, 1), (3, 0)]);
    assert_eq!(built.evidence.type_of_value, vec![0, 1, 1, 2]);
    assert_eq!(built.evidence.scopes, vec![vec![1, 0]]);
    assert_eq!(built.evidence.types[0], IdentifierType { name: "account".into(), per_customer: Some(1) });
    assert_eq!(
        (built.nodes.find("crm", "9"), built.nodes.find("crm", "10"), built.nodes.find("x", "9")),
        (Some(1), None, None)
    );
    assert_eq!(built.values.find("email", "b@x.fr"), Some(2));
    assert_eq!(built.node_of, vec![1, 0], "the first that came is the second in order");
    assert!(built.dropped.is_empty() && built.junk.is_empty());
}

#[test]
fn junk_is_dropped_with_its_reason() {
    let built = build(&[
        Owned::new("1", Some("ann"), &[(1, "shop@x.fr"), (1, "  "), (1, "Ann@Example.com"), (0, "+33")]),
        Owned::new("2", Some("bob"), &[(1, "shop@x.fr"), (1, ""), (0, "+33")]),
        Owned::new("3", Some("ann"), &[(1, "ann@x.fr")]),
        Owned::new("4", Some("ann"), &[(1, "ann@x.fr")]),
        Owned::new("5", None, &[(1, "ann@x.fr")]),
    ]);
    let dropped: Vec<_> =
        built.dropped.iter().map(|d| (built.values.text(d.value), d.kind, d.reason, d.nodes)).collect();
    let expected =
        [("", 1, Junk::Empty, 2), ("Ann@Example.com", 1, Junk::Ignored(0), 1), ("shop@x.fr", 1, Junk::Shared, 2)];
    assert_eq!(dropped, expected);
    assert_eq!(built.junk, vec![(0, 0), (0, 1), (1, 0), (3, 0), (3, 1)]);
    let clustering = cluster(&built.evidence);
    assert_eq!(clustering.cluster_of, vec![0, 0, 2, 2, 2], "the telephone has no `shared_by`");
    assert_eq!(clustering.home_of_value, vec![NONE, NONE, 2, NONE, 0]);
}

#[test]
fn a_node_that_comes_twice_keeps_what_both_say() {
    let mut named = Owned::new("1", Some("ann"), &[(0, "1")]);
    named.scope = Some("b");
    let mut other = Owned::new("1", None, &[(0, "2")]);
    other.scope = Some("a");
    let forth = build(&[named.clone(), other.clone()]);
    let back = build(&[other, named]);
    assert_eq!(forth.evidence, back.evidence);
    assert_eq!(forth.evidence.occurrences, vec![(0, 0), (1, 0)]);
}

#[test]
fn too_many_to_number_is_e701() {
    let mut builder = EvidenceBuilder::new(rules(), 1);
    builder.limit = 3;
    let add = |builder: &mut EvidenceBuilder, key| {
        builder.add(&RawNode { source: "crm", key, name: None, scopes: &[None], identifiers: &[] })
    };
    assert!(add(&mut builder, "1").and_then(|_| add(&mut builder, "2")).is_ok());
    assert_eq!(add(&mut builder, "3").unwrap_err().code, "E701");
}

fn raw_nodes() -> impl Strategy<Value = Vec<Owned>> {
    let identifier = (0..3_u16, 0..6_u8).prop_map(|(rule, value)| match value {
        0 => (rule, " ".to_owned()),
        1 => (rule, "x@example.com".to_owned()),
        _ => (rule, format!("v{value}")),
    });
    let node = (
        prop::sample::select(vec!["web", "crm", "app"]),
        0..9_u8,
        prop::option::of(prop::sample::select(vec!["ann", "bob", "eve"])),
        prop::option::of(prop::sample::select(vec!["north", "south"])),
        prop::collection::vec(identifier, 0..4),
    );
    let node = node.prop_map(|(source, key, name, scope, identifiers)| Owned {
        source,
        key: key.to_string(),
        name,
        scope,
        identifiers,
    });
    prop::collection::vec(node, 0..24)
}

/// The same nodes, shuffled, some cut in two and some said twice.
fn shuffled(nodes: Vec<Owned>) -> impl Strategy<Value = (Vec<Owned>, Vec<Owned>)> {
    let cuts = prop::collection::vec((0..3_u8, 0..4_usize), nodes.len());
    cuts.prop_flat_map(move |cuts| {
        let mut pieces = Vec::new();
        for (node, (how, at)) in nodes.iter().zip(cuts) {
            match how {
                0 => pieces.push(node.clone()),
                1 => pieces.extend([node.clone(), node.clone()]),
                _ => {
                    let (left, right) = node.identifiers.split_at(at.min(node.identifiers.len()));
                    pieces.push(Owned { identifiers: left.to_vec(), name: None, ..node.clone() });
                    pieces.push(Owned { identifiers: right.to_vec(), scope: None, ..node.clone() });
                }
            }
        }
        (Just(nodes.clone()), Just(pieces).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn order_and_split_do_not_matter((nodes, pieces) in raw_nodes().prop_flat_map(shuffled)) {
        let (whole, split) = (build(&nodes), build(&pieces));
        prop_assert_eq!(pairs(&whole.nodes), pairs(&split.nodes));
        prop_assert_eq!(pairs(&whole.values), pairs(&split.values));
        prop_assert_eq!(&whole.evidence, &split.evidence);
        prop_assert_eq!((whole.dropped, whole.junk), (split.dropped, split.junk));
        prop_assert_eq!(cluster(&whole.evidence), cluster(&split.evidence));
    }
}
