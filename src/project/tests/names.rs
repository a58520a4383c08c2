//! Names: of models, of columns, and of what they refer to.

use super::base::{added, changed, check};

#[test]
fn names_that_are_no_names() {
    added("segments:\n  Hot-Ones: {when: \"true\"}").only("E105", "Hot-Ones", "lower case letters");
    added("segments:\n  1st: {when: \"true\"}").only("E105", "1st", "is no name for a segment");
    let long = "a".repeat(64);
    added(&format!("traits:\n  {long}: {{count: orders}}")).only("E105", &long, "63 at most");
}

#[test]
fn names_that_are_taken() {
    let twice = check(&[
        ("models/a.yaml", "segments:\n  twice: {when: \"true\"}"),
        ("models/b.yaml", "segments:\n  twice: {when: \"false\"}"),
    ]);
    twice.only("E104", "twice", "the segment `twice` is defined twice");
    assert!(twice.text().contains("models/a.yaml") && twice.text().contains("models/b.yaml"));
    added("traits:\n  country: {count: orders}").only("E104", "country", "share one namespace");
    added("scores:\n  revenue: {points: [{did: orders, points: 1}]}").only("E104", "revenue", "share one namespace");
    added("events:\n  orders: [{source: orders}]").only("E104", "orders", "`did:` must be clear");
    added("traits:\n  last_seen_at: {max: orders.time}").only("E117", "last_seen_at", "every customer has");
    added("traits:\n  customer_id: {max: orders.time}").only("E117", "customer_id", "every customer has");
    changed("country: {from", "segments: {from").has("E117", "segments", "every customer has");
    changed("entities:\n  customer:", "entities:\n  runs:").has("E117", "runs", "a table that cohorte keeps");
    changed("entities:\n  customer:", "entities:\n  pass_x:").has("E117", "pass_x", "a table that cohorte keeps");
}

#[test]
fn names_that_are_not_known() {
    for (text, underlined, help) in [
        ("segments:\n  a: {when: \"revenu > 1\"}", "revenu", "did you mean `revenue`?"),
        ("segments:\n  a: {when: {did: page_view}}", "page_view", "did you mean `page_viewed`?"),
        ("segments:\n  a: {when: {did: horses}}", "horses", "events are declared under `events:`"),
        ("segments:\n  a: {when: {in: vips}}", "vips", "did you mean `vip`?"),
        ("segments:\n  a: {when: {not_in: [vip, staff]}}", "staff", "segments are declared"),
        ("segments:\n  a: {of: custmer, when: \"true\"}", "custmer", "did you mean `customer`?"),
        ("segments:\n  a: {when: {consent: {purpose: newsleter}}}", "newsleter", "did you mean `newsletter`?"),
        ("segments:\n  a: {when: {consent: {purpose: newsletter, channel: sms}}}", "sms", "it has email"),
        ("segments:\n  a: {when: {did: orders, where: \"statuss = 'x'\"}}", "statuss", "did you mean `status`?"),
        ("segments:\n  a: {when: {did: order_lines, where: \"orders.stat = 'x'\"}}", "orders.stat", "no `orders.stat`"),
        ("segments:\n  a: {when: 'country = \"FR\"'}", "\"FR\"", "text is in single quotes: 'FR'"),
        ("traits:\n  a: {sum: orders.amont}", "orders.amont", "did you mean `orders.amount`?"),
        ("traits:\n  a: {sum: order.amount}", "order.amount", "did you mean `orders`?"),
        ("scores:\n  a: {rfm: {event: purchase, amount: amounts}}", "amounts", "did you mean `purchase.amount`?"),
        ("events:\n  a: [{source: order}]", "order", "did you mean `orders`?"),
        ("sources:\n  a: {table: a, key: orderid}", "orderid", "did you mean `order_id`?"),
        ("sources:\n  a: {table: a, key: order_id, time: at}", "at", "it has `order_id`, `email`"),
        ("sources:\n  a: {table: a, key: order_id, connection: dropp}", "dropp", "did you mean `drop`?"),
        ("sources:\n  a: {table: a, key: order_id, columns: {x: {from: emial}}}", "emial", "did you mean `email`?"),
        ("sources:\n  a: {table: a, key: order_id, belongs_to: {orderz: {order_id: order_id}}}", "orderz", "`orders`"),
        (
            "sources:\n  a: {table: a, key: order_id, belongs_to: {orders: {id: order_id}, products: {sku: status}}}",
            "id",
            "",
        ),
    ] {
        added(text).has("E202", underlined, help);
    }
}

#[test]
fn names_in_the_identity() {
    changed("ids: {email: email}}\n        orders", "ids: {emial: email}}\n        orders").has(
        "E202",
        "emial",
        "did you mean `email`?",
    );
    changed("{anonymous_id: anonymous_id,", "{anonymous_id: anonymous,").has("E202", "anonymous", "`anonymous_id`");
    changed("        crm: {role", "        crn: {role").has("E202", "crn", "did you mean `crm`?");
    changed("[crm.country]", "[crm.contry]").only("E202", "crm.contry", "did you mean `crm.country`?");
    changed("[crm.country]", "[cmr.country]").only("E202", "cmr.country", "did you mean `crm`?");
    changed("    attributes:", "      never_across: [brand]\n    attributes:").only(
        "E202",
        "brand",
        "no source of the identity",
    );
    changed("[crm.country]", "[crm]").only("E116", "crm", "write `source.column`");
    changed("[crm.country]", "[products.category]").only("E121", "products.category", "takes no part in the identity");
    changed("[crm.country]", "[crm.country, crm.born_on]").only("E204", "crm.born_on", "is date, the others are text");
    changed("crm: {role: record", "crm: {role: link").only("E119", "customer", "no source of `customer` has the role");
    changed("orders: {role: link, ids: {email: email}}", "orders: {role: link, ids: {}}").only(
        "E120",
        "orders",
        "carries no",
    );
}

#[test]
fn a_project_without_entities() {
    let checked = check(&[("models/base.yaml", "sources:\n  orders: {table: o, key: order_id}")]);
    checked.only("E118", "maison", "`entities: {customer");
}

#[test]
fn what_did_not_resolve_is_reported_once() {
    // A trait, an attribute, a source and an event that are wrong do not make their readers wrong.
    let checked = check(&[(
        "models/more.yaml",
        concat!(
            "traits:\n  a: {sum: orders.amont}\n  b: {sql: \"a * 2\"}\n  c: {sql: \"lowr(email)\"}\n",
            "segments:\n  d: {when: \"a > 1 and b > 1 and c = 'x'\"}\n  e: {when: {did: broken}}\n  f: {when: {did: gone, within: 3d}}\n",
            "events:\n  broken: [{source: orders, where: \"statu = 'x'\"}]\n",
            "sources:\n  gone: {key: order_id}\n",
        ),
    )]);
    let codes: Vec<&str> = checked.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["E202", "E205", "E202", "E112"], "{}", checked.text());
}
