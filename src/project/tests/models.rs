//! Traits, scores, segments, events and the sources that they read.

use super::base::{added, changed, check};

#[test]
fn sources_without_a_place_or_a_key() {
    added("sources:\n  s: {key: order_id}").only("E112", "s", "either `table` or `path`");
    added("sources:\n  s: {table: a, path: b.csv, key: order_id}").only("E112", "s", "either `table` or `path`");
    added("sources:\n  s: {path: a.dat, key: order_id}").only(
        "E112",
        "a.dat",
        "the format of these files is not known",
    );
    added("sources:\n  s: {table: s}").only("E113", "s", "`key: _row`");
    added("sources:\n  s: {table: s, key: order_id, versions: latest}").only("E113", "latest", "needs `updated_at`");
    added("sources:\n  s: {table: s, key: order_id, columns: {status: {type: [a]}}}").only("E102", "[a]", "");
    added("sources:\n  s: {table: s, key: order_id, columns: {ordered_at: {type: integer}}}").only(
        "E204",
        "ordered_at",
        "timestamp cannot be read as this type",
    );
    added("sources:\n  s: {table: s, key: order_id, time: amount}").only("E204", "amount", "a time is needed");
    added("sources:\n  s: {table: s, key: order_id, timezone: Paris}").only("E111", "Paris", "no time zone");
}

#[test]
fn parents() {
    added("sources:\n  s: {table: s, key: order_id, belongs_to: {order_lines: {order_id: order_id}}}").only(
        "E114",
        "order_lines",
        "its whole key: order_id, line_no",
    );
    let circle = added(concat!(
        "sources:\n",
        "  a: {table: a, key: order_id, belongs_to: {b: {order_id: order_id}}}\n",
        "  b: {table: b, key: order_id, belongs_to: {a: {order_id: order_id}}}\n",
        "traits:\n  n: {count: a}\n",
    ));
    circle.only("E129", "a", "a → b → a");
    assert_eq!(circle.findings[0].others.len(), 1);
}

#[test]
fn events() {
    let two = |columns: &str| added(&format!("events:\n  e: [{{source: orders{columns}}}, {{source: web_events}}]"));
    two(", columns: {shop: \"'web'\"}").only("E115", "shop", "is not given by every source");
    two(", columns: {name: \"1\"}").has("E204", "e", "has different types: integer and text");
    added("events:\n  e: [{source: orders, where: amount}]").only("E204", "amount", "boolean is needed here");
    added("events:\n  e: []\nsegments:\n  s: {when: {did: e}}").only("E102", "e", "names no source");
}

#[test]
fn traits_that_compute_nothing_or_too_much() {
    added("traits:\n  a: {}").only("E127", "a", "computes nothing");
    added("traits:\n  a: {count: orders, sum: orders.amount}").only("E127", "a", "several things at once");
    added("traits:\n  a: {max: orders.amount, sql: \"1\"}").only("E127", "a", "several things at once");
    added("scores:\n  a: {}").only("E127", "a", "either `points` or `rfm`");
    added("traits:\n  a: {sum: orders}").only("E116", "orders", "write `event.column`");
    added("traits:\n  a: {sum: orders.status}").only("E204", "orders.status", "is text, a number is needed");
    added("traits:\n  a: {avg: orders.ordered_at}").only("E204", "orders.ordered_at", "a number is needed");
}

#[test]
fn windows_need_a_time_and_rows_a_customer() {
    let untimed = "orders: {table: raw/orders, key: order_id, time: ordered_at}";
    let checked = changed(untimed, "orders: {table: raw/orders, key: order_id}");
    checked.has("E124", "90d", "`within` cannot be");
    checked.has("E124", "purchase", "recency cannot be");
    checked.has("E202", "purchase.time", "");
    added("sources:\n  s: {table: s, key: order_id}\nscores:\n  a: {points: [{did: crm, points: 1, half_life: 3d}]}")
        .only("E124", "3d", "`half_life` cannot be");
    added("segments:\n  a: {when: {did: products, where: \"category = 'x'\"}}").only(
        "E125",
        "\"category = 'x'\"",
        "the rows of `products` find no customer",
    );
    added("traits:\n  a: {max: products.sku}").only("E125", "products.sku", "under `identity.sources`");
}

#[test]
fn two_entities() {
    let other = "  company:\n    identity:\n      identifiers: {email: {type: email}}\n      sources: {crm: {role: record, ids: {email: email}}}\n";
    let checked = check(&[("models/more.yaml", &format!("entities:\n{other}"))]);
    checked.has("E126", "revenue", "say `of:`");
    checked.has("E126", "vip", "say `of:`");
    assert!(checked.findings.iter().all(|finding| finding.code == "E126"), "{}", checked.text());
}

#[test]
fn conditions_that_say_nothing_or_too_much() {
    let when = |condition: &str| added(&format!("segments:\n  a: {{when: {condition}}}"));
    when("{}").only("E123", "{}", "says nothing");
    when("{did: orders, in: vip}").only("E123", "{did: orders, in: vip}", "several things at once: did, in");
    when("{in: vip, within: 3d}").only("E123", "{in: vip, within: 3d}", "go with `did`, not with `in`");
    when("{all: []}").only("E123", "[]", "empty");
    when("{in: []}").only("E123", "{in: []}", "empty");
    when("{did: orders, count: {}}").only("E123", "{}", "`count` needs");
    when("{did: orders, count: {min: 3, max: 2}}").only("E123", "{min: 3, max: 2}", "`min` is not above `max`");
    // All parts of a condition are judged.
    let checked = when("{any: [\"x = 1\", {not: {did: nothing}}, {all: [\"y\"]}]}");
    assert_eq!(checked.findings.len(), 3, "{}", checked.text());
}

#[test]
fn circles() {
    let segments =
        added("segments:\n  a: {when: {in: b}}\n  b: {when: {not: {not_in: c}}}\n  c: {when: {any: [{in: a}]}}");
    segments.only("E128", "a", "a → b → c → a");
    assert_eq!(segments.findings[0].others.len(), 2);
    added("segments:\n  a: {when: {in: a}}").only("E128", "a", "a → a");
    let traits = added(concat!(
        "traits:\n  a: {sql: \"b + 1\"}\n  b: {sql: \"customer.a + revenue\"}\n",
        "segments:\n  s: {when: \"a > 1 and basket > 2\"}\n",
    ));
    traits.only("E128", "a", "these traits need one another: a → b → a");
}
