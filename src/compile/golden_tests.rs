//! The SQL that one compact project compiles to, to the byte. A change here is a change of what is computed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::renames::{Named, Renames};
use super::{Clock, Part, consents, customer, golden, identity, passes, resolved, segments, sources, zipped};
use crate::diag::Findings;
use crate::project::{Project, RawColumn, Schemas, resolve};
use crate::spec::{Variables, read};
use crate::sql::DataType;
use crate::text::Files;

const WAREHOUSE: &str = "name: maison\nwarehouse: {root: ./warehouse}\ntimezone: Europe/Paris\n";

const SOURCES: &str = r#"
sources:
  crm:                                   # versions, deletes, parsing, semantic and derived columns
    table: raw/crm
    key: contact_id
    versions: latest
    updated_at: modified_at
    deleted: "op = 'D'"
    where: "raw(email) not like 'test%'"
    columns:
      email: {type: email}
      phone: {type: phone, region: FR, from: tel}
      first_name: {type: given_name}
      born_on: {type: birth_date, parse: "%d/%m/%Y"}
      city: {sql: "props ->> 'city'"}
    expect:
      - {unique: contact_id}
      - {fresh: modified_at, within: 2d, severity: warn}
      - {accepted: op, values: [I, U, D]}
      - {sql: "reason(email) is null"}
  orders: {table: raw/orders, key: order_id, time: ordered_at, timezone: Europe/Madrid}
  order_lines:                           # a child: its customer and its time are its order's
    table: raw/order_lines
    key: [order_id, line_no]
    belongs_to: {orders: {order_id: order_id}, products: {sku: sku}}
  products: {table: raw/products, key: sku}
  web_events:
    table: raw/web_events
    key: event_id
    time: occurred_at
    event: {column: name, names: [page_viewed, cart_updated]}
  tickets: {table: raw/tickets, key: ticket_id, time: sold_at, columns: {email: {type: email}}}
  preferences: {table: raw/preferences, key: proof_id, columns: {email: {type: email}}}
"#;

const EVENTS: &str = r#"
events:
  purchase:
    - {source: orders, where: "status = 'paid'", columns: {paid: amount}}
    - {source: tickets, columns: {paid: total}}
"#;

const CUSTOMER: &str = r#"
entities:
  customer:
    identity:
      identifiers:
        crm_id: {priority: 1}
        email: {type: email, priority: 2, per_customer: 5, shared_by: 3, ignore: ["noreply@*"]}
        phone: {type: phone, priority: 3}
        anonymous_id: {priority: 4}
      sources:
        crm: {role: record, ids: {crm_id: contact_id, email: email, phone: phone}}
        orders: {role: link, ids: {email: email}}
        web_events: {role: link, ids: {anonymous_id: anonymous_id, email: email}}
        tickets: {role: attach, ids: {email: email}}
        preferences: {role: attach, ids: {email: email}}
    attributes:
      email: {from: [crm.email], pick: most_recent}
      first_name: {from: [crm.first_name], pick: source_order}
      born_on: {from: [crm.born_on], pick: most_frequent}
      city: {from: [crm.city]}
"#;

const MODELS: &str = r#"
traits:
  orders_90d: {count: purchase, within: 90d}
  orders: {count: purchase}
  revenue: {sum: purchase.paid}
  basket: {avg: orders.amount, where: "status = 'paid'"}
  last_order_at: {max: purchase.time}
  first_path: {first: page_viewed.path}
  usual_path: {mode: page_viewed.path, within: 30d}
  paths: {count_distinct: page_viewed.path}
  shoes: {sum: order_lines.amount, where: "orders.status = 'paid' and products.category = 'Shoes'"}
  value: {sql: "revenue / nullif(orders, 0)"}
  is_good: {sql: "value > 50"}
scores:
  engagement: {points: [{did: page_viewed, points: 1, half_life: 30d}, {did: purchase, points: 20, half_life: 90d}]}
  rfm: {rfm: {event: purchase, amount: paid, tiers: 5}}
segments:
  good: {when: "is_good and city = 'Paris'"}
  hot:
    was: warm
    when:
      all:
        - {did: page_viewed, where: "path like '/shoes%'", count: {min: 3}, within: 30d}
        - {any: [{not: {did: purchase, within: 365d}}, {in: good}, "engagement > 10"]}
        - {not_in: visitors}
        - {consent: {purpose: newsletter, channel: email}}
  visitors: {include: anonymous, when: {did: page_viewed, within: 2h, count: {min: 1, max: 5}}}
"#;

const CONSENTS: &str = r#"
purposes:
  newsletter: {channels: [email], valid_for: 3y}
  service: {channels: [email], basis: contract}
consents:
  centre:
    source: preferences
    contact: email
    purpose: purpose
    channel: {value: email}
    status: {column: state, map: {in: granted, out: withdrawn}}
    at: captured_at
    proof: proof_id
"#;

const FILES: [&str; 5] = [SOURCES, EVENTS, CUSTOMER, MODELS, CONSENTS];

fn schemas() -> Schemas {
    use DataType::{Decimal, Integer, Json, Text, Timestamp};
    let tables: [(&str, &[(&str, DataType)]); 7] = [
        (
            "crm",
            &[
                ("contact_id", Integer),
                ("email", Text),
                ("tel", Text),
                ("first_name", Text),
                ("born_on", Text),
                ("op", Text),
                ("props", Json),
                ("modified_at", Timestamp),
            ],
        ),
        (
            "orders",
            &[("order_id", Integer), ("email", Text), ("status", Text), ("amount", Decimal), ("ordered_at", Timestamp)],
        ),
        ("order_lines", &[("order_id", Integer), ("line_no", Integer), ("sku", Text), ("amount", Decimal)]),
        ("products", &[("sku", Text), ("category", Text)]),
        (
            "web_events",
            &[
                ("event_id", Text),
                ("anonymous_id", Text),
                ("email", Text),
                ("name", Text),
                ("path", Text),
                ("occurred_at", Timestamp),
            ],
        ),
        ("tickets", &[("ticket_id", Integer), ("email", Text), ("total", Decimal), ("sold_at", Timestamp)]),
        (
            "preferences",
            &[("proof_id", Text), ("email", Text), ("purpose", Text), ("state", Text), ("captured_at", Timestamp)],
        ),
    ];
    let column = |(name, data_type): &(&str, DataType)| RawColumn {
        name: (*name).to_owned(),
        data_type: *data_type,
        // Orders say when in the clock of their own country.
        naive: *name == "ordered_at",
        cast: None,
    };
    tables.iter().map(|(name, columns)| ((*name).to_owned(), columns.iter().map(column).collect())).collect()
}

fn project(models: &[&str]) -> Project {
    let mut files = Files::default();
    let warehouse = files.add("warehouse.yaml", WAREHOUSE);
    let models: Vec<_> =
        models.iter().enumerate().map(|(index, text)| files.add(format!("models/{index}.yaml"), *text)).collect();
    let mut findings = Findings::default();
    let variables = Variables { vars: BTreeMap::new(), env: Some(BTreeMap::new()) };
    let spec = read(&files, warehouse, &models, None, variables, &mut findings);
    let project = resolve(&files, &spec, &schemas(), &mut findings).unwrap();
    let said: Vec<String> =
        findings.sorted().into_iter().map(|finding| format!("{} {}", finding.code, finding.message)).collect();
    assert_eq!(said, Vec::<String>::new());
    project
}

fn clock() -> Clock {
    Clock { as_of: "2026-11-01T08:00:00Z".parse().unwrap(), timezone: "Europe/Paris".parse().unwrap() }
}

/// Every statement of a project, by name.
fn compiled(project: &Project) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let entity = &project.entities["customer"];
    for source in project.sources.values() {
        all.push((format!("source_{}", source.name), sources::relation(source)));
        all.push((format!("expectations_{}", source.name), sources::expectations(source)));
        if let Some(sql) = entity.source(&source.name).and_then(|identity| identity::nodes(entity, source, identity)) {
            all.push((format!("nodes_{}", source.name), sql));
        }
        for (name, sql) in resolved::devices(project, source, resolved::Finding::Joins) {
            all.push((format!("resolved_{}{name}", source.name), sql));
        }
        if let Some(sql) = resolved::relation(project, source, resolved::Finding::Joins) {
            all.push((format!("resolved_{}", source.name), sql));
        }
    }
    all.push(("golden".into(), golden::relation(project, entity).unwrap()));
    all.push(("golden_born_on".into(), golden::most_frequent(project, entity, &entity.attributes["born_on"])));
    let passes = passes::passes(project, entity, &clock(), &Part::default());
    for pass in &passes {
        all.push((format!("pass_{}_input", pass.name), pass.input.clone()));
        all.push((format!("pass_{}_spec", pass.name), serde_json::to_string_pretty(&pass.spec).unwrap()));
        all.push((format!("pass_{}_readable", pass.name), pass.readable.clone()));
    }
    all.push(("base".into(), customer::base(entity)));
    all.push(("wide".into(), customer::wide(project, entity, &passes, &Part::default())));
    all.push(("published".into(), customer::published(project, entity, false)));
    all.push(("published_kept".into(), customer::published(project, entity, true)));
    all.push(("wide_of_zipped".into(), zipped::wide(project, entity, &passes, &Part::default())));
    all.push(("wide_ranks".into(), zipped::ranks(project, entity, &project.scores["rfm"]).unwrap()));
    all.push(("consents_events".into(), consents::events(project).unwrap()));
    all.push(("consents_history".into(), consents::history(project)));
    all.push(("consents_state".into(), consents::state(project, &clock())));
    all.push(("consents_state_at".into(), consents::state_at(project, &clock())));
    all.push(("consents_new_events".into(), consents::new_events(project, "run-1")));
    let was = project
        .segments
        .values()
        .filter_map(|segment| Some(Named { entity: &segment.entity, name: &segment.name, was: segment.was.as_ref()? }));
    all.push(("segments_before".into(), segments::members_before(entity)));
    all.push(("segments_renamed".into(), segments::renamed(&Renames::due(was, |_, _| false))));
    all.push(("segments_stays".into(), segments::stays(entity)));
    all
}

fn shown(of: &str) -> String {
    let mut text = String::new();
    for (name, sql) in compiled(&project(&FILES)).iter().filter(|(name, _)| name.starts_with(of)) {
        let _ = writeln!(text, "-- {name}\n{sql}\n");
    }
    assert!(!text.is_empty(), "nothing is compiled to {of}");
    text
}

#[test]
fn sources_are_typed_parsed_and_have_one_row_per_key() {
    insta::assert_snapshot!("source_crm", shown("source_crm"));
    insta::assert_snapshot!("source_orders", shown("source_orders"));
    insta::assert_snapshot!("source_order_lines", shown("source_order_lines"));
    insta::assert_snapshot!("expectations_crm", shown("expectations_crm"));
}

#[test]
fn nodes_are_records_and_distinct_tuples() {
    insta::assert_snapshot!("nodes", shown("nodes_"));
}

#[test]
fn rows_find_their_customers_by_role() {
    insta::assert_snapshot!("resolved_record", shown("resolved_crm"));
    insta::assert_snapshot!("resolved_link", shown("resolved_orders"));
    insta::assert_snapshot!("resolved_link_of_devices", shown("resolved_web_events"));
    insta::assert_snapshot!("resolved_attach", shown("resolved_tickets"));
    insta::assert_snapshot!("resolved_child", shown("resolved_order_lines"));
    // A source that finds nobody is not resolved.
    assert!(!compiled(&project(&FILES)).iter().any(|(name, _)| name == "resolved_products"));
}

#[test]
fn three_ways_to_pick_a_value() {
    insta::assert_snapshot!("golden", shown("golden"));
}

#[test]
fn a_pass_per_relation() {
    insta::assert_snapshot!("pass_web_events", shown("pass_web_events"));
    insta::assert_snapshot!("pass_purchase", shown("pass_purchase"));
    insta::assert_snapshot!("pass_order_lines", shown("pass_order_lines"));
    insta::assert_snapshot!("pass_consents", shown("pass_consents"));
}

#[test]
fn traits_scores_and_segments_are_layers() {
    insta::assert_snapshot!("wide", shown("wide"));
    insta::assert_snapshot!("base", shown("base"));
    insta::assert_snapshot!("published", shown("published"));
}

#[test]
fn consents_are_events_and_a_state() {
    insta::assert_snapshot!("consents", shown("consents_"));
}

#[test]
fn segments_have_sizes_and_stays() {
    insta::assert_snapshot!("segments", shown("segments_"));
}

#[test]
fn compiled_twice_is_the_same_to_the_byte() {
    let (once, again) = (compiled(&project(&FILES)), compiled(&project(&FILES)));
    assert_eq!(once, again);
    assert!(once.len() > 40, "{} statements", once.len());
}

#[test]
fn the_order_of_files_changes_no_feature() {
    let ids =
        |project: &Project| -> BTreeSet<String> { project.features.iter().map(|feature| feature.id.clone()).collect() };
    let straight = project(&FILES);
    let mut files = FILES;
    files.reverse();
    let reversed = project(&files);
    assert_eq!(ids(&straight), ids(&reversed));
    assert!(ids(&straight).len() > 12);
    // Nor who is in a segment.
    for (name, segment) in &straight.segments {
        let other = &reversed.segments[name];
        assert_eq!(
            segments::definition_hash(&straight, segment),
            segments::definition_hash(&reversed, other),
            "{name}"
        );
    }
}

/// The hashes of the segments' definitions after some text of the models was replaced.
fn hashes(from: &str, to: &str) -> BTreeMap<String, String> {
    assert!(from.is_empty() || FILES.iter().any(|file| file.contains(from)), "no file has {from:?}");
    let files: Vec<String> = FILES
        .iter()
        .map(|file| if from.is_empty() { (*file).to_owned() } else { file.replacen(from, to, 1) })
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let project = project(&files);
    project.segments.iter().map(|(name, one)| (name.clone(), segments::definition_hash(&project, one))).collect()
}

#[test]
fn a_definition_is_all_that_members_hang_on() {
    let before = hashes("", "");
    let changed = |from: &str, to: &str| -> Vec<String> {
        let after = hashes(from, to);
        before.iter().filter(|(name, hash)| after.get(*name) != Some(hash)).map(|(name, _)| name.clone()).collect()
    };
    // Its own condition, and that of a segment that it names.
    assert_eq!(changed("city = 'Paris'", "city = 'Lyon'"), ["good", "hot"]);
    assert_eq!(changed("count: {min: 3}", "count: {min: 4}"), ["hot"]);
    // A trait behind a trait behind a trait; an event; a source; a score; a purpose.
    assert_eq!(changed("revenue: {sum: purchase.paid}", "revenue: {sum: purchase.paid, within: 1y}"), ["good", "hot"]);
    assert_eq!(changed("where: \"status = 'paid'\", columns", "where: \"status = 'sent'\", columns"), ["good", "hot"]);
    assert_eq!(changed("key: ticket_id,", "key: ticket_id, where: \"total > 0\","), ["good", "hot", "visitors"]);
    assert_eq!(changed("points: 20", "points: 30"), ["hot"]);
    assert_eq!(changed("valid_for: 3y", "valid_for: 2y"), ["hot"]);
    // Identity is behind everything.
    assert_eq!(changed("per_customer: 5", "per_customer: 6"), ["good", "hot", "visitors"]);
    // What it does not read, a name, a remark and the place in the file are not part of it.
    assert_eq!(changed("usual_path: {mode", "common_path: {mode"), [""; 0]);
    assert_eq!(changed("was: warm", "was: tepid"), [""; 0]);
    assert_eq!(changed("segments:", "# Who is in.\n\nsegments:"), [""; 0]);
}
