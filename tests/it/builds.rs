//! Whole builds through the library: what does not matter changes nothing, what matters is recorded with its reason.

use std::collections::BTreeMap;

use crate::library::{Folder, told};
use crate::nasty::{AS_OF, Dice, MODELS, sources, warehouse};

pub(crate) const ON_TOP: &str = r#"
traits:
  orders_7d: {count: purchase, within: 7d}
  revenue: {sum: purchase.paid}
  mean: {avg: orders.price}
  last_shop: {last: purchase.shop}
  usual_shop: {mode: orders.shop}
  shoes: {sum: order_lines.amount, where: "products.category = 'Shoes'"}
  first_path: {first: viewed.path}
  basket: {sql: "revenue / nullif(orders_7d, 0)"}
scores:
  engagement: {points: [{did: viewed, points: 1, half_life: 30d}, {did: purchase, points: 3, half_life: 90d}]}
  rfm: {rfm: {event: purchase, amount: paid, tiers: 3}}
segments:
  buyers: {when: {did: purchase, within: 1y, count: {min: 2}}}
  viewers: {include: anonymous, when: {did: viewed}}
  quiet: {when: {all: [{not: {did: purchase, within: 1mo}}, {not_in: viewers}]}}
  may_write: {when: {consent: {purpose: newsletter}}}
  lively: {when: "engagement > 2 or basket > 100"}
"#;

/// Every table with what does not name a run.
pub(crate) const TABLES: [&str; 9] = [
    "select * from customer",
    "select source, record_key, role, customer_id, first_seen_at, last_seen_at from customer_records",
    "select * from customer_identifiers",
    "select * from customer_links",
    "select customer_id, event, \"into\", source, record_key, ordinal, sequence, at from customer_ids",
    "select * from segment_members",
    "select * from consents",
    "select event_id, customer_id, contact_point, purpose, channel, scope, status, source, proof, at from consent_ledger",
    "select score, entity_id, value, tier from score_values",
];

pub(crate) async fn tables(folder: &Folder) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for sql in TABLES {
        all.push(folder.query(sql).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn order_and_split_of_files_and_threads_change_nothing() {
    let mut cases = 0;
    for seed in 0..7_u64 {
        let as_of = AS_OF[seed as usize % AS_OF.len()];
        let mut data = sources(100 + seed, 24);
        let project = |threads: usize| {
            let folder = Folder::new();
            folder.write("warehouse.yaml", &warehouse(threads));
            folder.write("models/base.yaml", MODELS);
            folder.write("models/more.yaml", ON_TOP);
            folder
        };
        let straight = project(1);
        data.iter().for_each(|rows| rows.write(&straight, 1));
        straight.build(as_of).await;
        let wanted = tables(&straight).await;
        assert!(
            wanted.iter().all(|rows| !rows.is_empty()),
            "{as_of}: {:?}",
            wanted.iter().map(Vec::len).collect::<Vec<_>>()
        );
        for variant in 0..3 {
            let mut dice = Dice::new(seed * 10 + variant);
            let shuffled = project(1 + variant as usize);
            for rows in &mut data {
                dice.shuffle(&mut rows.rows);
                rows.write(&shuffled, 1 + dice.below(5) as usize);
            }
            shuffled.build(as_of).await;
            for ((wanted, found), sql) in wanted.iter().zip(tables(&shuffled).await).zip(TABLES) {
                let differs = wanted.iter().zip(&found).find(|(wanted, found)| wanted != found);
                assert!(
                    *wanted == found,
                    "seed {seed}, variant {variant}: {sql}: {differs:#?}, {} and {} rows",
                    wanted.len(),
                    found.len()
                );
            }
            cases += 1;
        }
    }
    assert!(cases >= 20);
}

const SHOP: &str = r#"
sources:
  crm:
    path: data/crm.csv
    key: contact_id
    versions: latest
    updated_at: modified_at
    columns: {email: {type: email}, modified_at: {type: timestamp}}
  accounts: {path: data/accounts.csv, key: id, columns: {id: {type: text}, email: {type: email}, joined_at: {type: timestamp}}, updated_at: joined_at}
  orders:
    path: data/orders.csv
    key: order_id
    time: ordered_at
    columns: {account_id: {type: text}, email: {type: email}, amount: {type: decimal}, ordered_at: {type: timestamp}}
entities:
  customer:
    identity:
      identifiers: {account_id: {}, email: {type: email}}
      sources:
        crm: {role: record, ids: {email: email}}
        accounts: {role: record, ids: {account_id: id}}
        orders: {role: link, ids: {account_id: account_id, email: email}}
    attributes:
      name: {from: [crm.name, accounts.name], pick: source_order}
      country: {from: [crm.country]}
traits:
  revenue: {sum: orders.amount}
segments:
  buyers: {when: {did: orders, within: 30d}}
  french: {when: "country = 'FR'"}
  good: {when: "revenue >= 100"}
"#;

const CRM: &str = "contact_id,name,email,country,modified_at\n\
    1,Ana,ana@mail.example.fr,FR,2026-05-01T00:00:00Z\n\
    2,Bo,bo@mail.example.fr,FR,2026-05-01T00:00:00Z\n\
    3,Cy,cy@mail.example.fr,FR,2026-05-01T00:00:00Z\n";
const ACCOUNTS: &str = "id,name,email,joined_at\nx9,Dee,,2026-05-02T00:00:00Z\n";
const ORDERS: &str = "order_id,account_id,email,amount,ordered_at\n\
    1,,ana@mail.example.fr,120,2026-05-20T10:00:00Z\n\
    2,,bo@mail.example.fr,50,2026-05-25T10:00:00Z\n\
    3,x9,,30,2026-05-26T10:00:00Z\n";

const FIRST: &str = "2026-06-01T12:00:00Z";
const SECOND: &str = "2026-06-02T12:00:00Z";
const THIRD: &str = "2026-06-22T12:00:00Z";

fn shop() -> Folder {
    let folder = Folder::new();
    folder.write("warehouse.yaml", &warehouse(2));
    folder.write("models/shop.yaml", SHOP);
    folder.write("data/crm.csv", CRM);
    folder.write("data/accounts.csv", ACCOUNTS);
    folder.write("data/orders.csv", ORDERS);
    folder
}

/// What happened on the second day: Bo moved, Eve is new, and Ana bought with the account that was Dee's.
fn grow(folder: &Folder) {
    folder.write(
        "data/crm.csv",
        &format!(
            "{CRM}2,Bo,bo@mail.example.fr,DE,2026-06-02T00:00:00Z\n4,Eve,eve@mail.example.fr,FR,2026-06-02T00:00:00Z\n"
        ),
    );
    folder.write("data/orders.csv", &format!("{ORDERS}4,x9,ana@mail.example.fr,1,2026-06-02T10:00:00Z\n"));
}

/// The ids of customers by what they are called; the id of who was merged stays known.
async fn ids(folder: &Folder) -> BTreeMap<String, String> {
    let rows = folder.query("select name, customer_id from customer").await;
    rows.iter().map(|row| row.split_once(" | ").unwrap()).map(|(name, id)| (name.into(), id.into())).collect()
}

/// Rows with the names of customers in place of their ids.
async fn named(folder: &Folder, names: &BTreeMap<String, String>, sql: &str) -> Vec<String> {
    let mut rows = folder.query(sql).await;
    for row in &mut rows {
        for (name, id) in names {
            *row = row.replace(id.as_str(), name);
        }
    }
    rows.sort();
    rows
}

const STAYS: &str = "select segment, entity_id, entry_reason, exit_reason, entered_at, exited_at from segment_members";

fn day(text: &str) -> String {
    text.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn grown_data_keeps_ids_and_says_why() {
    let folder = shop();
    folder.build(FIRST).await;
    let first = ids(&folder).await;
    assert_eq!(first.keys().collect::<Vec<_>>(), ["Ana", "Bo", "Cy", "Dee"]);
    let new = |segment: &str, name: &str| format!("{segment} | {name} | definition | ∅ | {FIRST} | ∅");
    let stays = [
        new("buyers", "Ana"),
        new("buyers", "Bo"),
        new("buyers", "Dee"),
        new("french", "Ana"),
        new("french", "Bo"),
        new("french", "Cy"),
        new("good", "Ana"),
    ];
    assert_eq!(named(&folder, &first, STAYS).await, stays);

    grow(&folder);
    let built = folder.build(SECOND).await;
    let second = ids(&folder).await;
    assert_eq!(second.keys().collect::<Vec<_>>(), ["Ana", "Bo", "Cy", "Eve"]);
    // Nobody is called otherwise than before; the older of the two that are one now stays.
    let (kept, gone) = if second["Ana"] == first["Ana"] { ("Ana", "Dee") } else { ("Dee", "Ana") };
    assert_eq!((&second["Bo"], &second["Cy"]), (&first["Bo"], &first["Cy"]));
    assert_eq!(second["Ana"], first[kept]);
    let mut names = first.clone();
    names.insert("Eve".into(), second["Eve"].clone());
    let mut stays = vec![
        format!("buyers | Bo | definition | ∅ | {FIRST} | ∅"),
        format!("buyers | {kept} | definition | ∅ | {FIRST} | ∅"),
        format!("buyers | {gone} | definition | merge | {FIRST} | {SECOND}"),
        format!("french | Bo | definition | data | {FIRST} | {SECOND}"),
        format!("french | Cy | definition | ∅ | {FIRST} | ∅"),
        format!("french | Eve | data | ∅ | {SECOND} | ∅"),
    ];
    if kept == "Ana" {
        stays.extend(["french", "good"].map(|segment| format!("{segment} | Ana | definition | ∅ | {FIRST} | ∅")));
    } else {
        for segment in ["french", "good"] {
            stays.push(format!("{segment} | Ana | definition | merge | {FIRST} | {SECOND}"));
            stays.push(format!("{segment} | Dee | merge | ∅ | {SECOND} | ∅"));
        }
    }
    stays.sort();
    assert_eq!(named(&folder, &names, STAYS).await, stays);
    let changes: Vec<String> = (built.segments.iter())
        .map(|change| {
            format!("{} {} {} {} {}", change.segment, change.before, change.members, change.entered, change.exited)
        })
        .collect();
    assert!(changes.contains(&"buyers 3 2 0 1".to_owned()), "{changes:?}");

    // `updated_at` moves for those alone of whom something changed: one moved, one was merged, one is new.
    let updated = named(&folder, &names, "select customer_id, updated_at from customer").await;
    let mut wanted = vec![
        format!("Bo | {SECOND}"),
        format!("Cy | {}", day(FIRST)),
        format!("Eve | {SECOND}"),
        format!("{kept} | {SECOND}"),
    ];
    wanted.sort();
    assert_eq!(updated, wanted);

    let ledger = named(&folder, &names, "select event, customer_id, \"into\", at from customer_ids").await;
    let mut wanted: Vec<String> =
        ["Ana", "Bo", "Cy", "Dee"].iter().map(|name| format!("minted | {name} | ∅ | {FIRST}")).collect();
    wanted.push(format!("minted | Eve | ∅ | {SECOND}"));
    wanted.push(format!("merged | {gone} | {kept} | {SECOND}"));
    wanted.sort();
    assert_eq!(ledger, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_alone_lets_people_leave() {
    let folder = shop();
    folder.build(FIRST).await;
    let names = ids(&folder).await;
    folder.build(THIRD).await;
    let left = named(&folder, &names, &format!("{STAYS} where exited_at is not null")).await;
    // The day of the order 30 days ago is within, that before it is not.
    assert_eq!(left, [format!("buyers | Ana | definition | time | {FIRST} | {THIRD}")]);
    let updated = named(&folder, &names, "select customer_id, updated_at from customer").await;
    assert_eq!(
        updated,
        [format!("Ana | {THIRD}"), format!("Bo | {FIRST}"), format!("Cy | {FIRST}"), format!("Dee | {FIRST}")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_segment_keeps_its_members_and_a_changed_one_says_so() {
    let folder = shop();
    folder.build(FIRST).await;
    let names = ids(&folder).await;
    let mut models =
        SHOP.replace("  french: {when", "  francais: {was: french, when").replace("revenue >= 100", "revenue >= 50");
    folder.write("models/shop.yaml", &models);
    folder.build(SECOND).await;
    let mut wanted: Vec<String> =
        ["Ana", "Bo", "Dee"].iter().map(|name| format!("buyers | {name} | definition | ∅ | {FIRST} | ∅")).collect();
    wanted.extend(["Ana", "Bo", "Cy"].map(|name| format!("francais | {name} | definition | ∅ | {FIRST} | ∅")));
    wanted.push(format!("good | Ana | definition | ∅ | {FIRST} | ∅"));
    wanted.push(format!("good | Bo | definition | ∅ | {SECOND} | ∅"));
    wanted.sort();
    assert_eq!(named(&folder, &names, STAYS).await, wanted);

    // Deeper: the segment's own text stays, the trait that it reads changes; and one segment is there no more.
    models = models.replace("{sum: orders.amount}", "{sum: orders.amount, where: \"amount > 60\"}");
    models = models.replace("  buyers: {when: {did: orders, within: 30d}}\n", "");
    folder.write("models/shop.yaml", &models);
    folder.build(THIRD).await;
    let left = named(&folder, &names, &format!("{STAYS} where exited_at is not null")).await;
    assert_eq!(
        left,
        [
            format!("buyers | Ana | definition | definition | {FIRST} | {THIRD}"),
            format!("buyers | Bo | definition | definition | {FIRST} | {THIRD}"),
            format!("buyers | Dee | definition | definition | {FIRST} | {THIRD}"),
            format!("good | Bo | definition | definition | {SECOND} | {THIRD}"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_segment_may_take_the_name_that_one_had() {
    let folder = shop();
    folder.build(FIRST).await;
    let names = ids(&folder).await;
    let renamed = SHOP.replace("  french: {when", "  francais: {was: french, when");
    let models = format!("{renamed}  french: {{when: \"country = 'FR' and revenue > 100\"}}\n");
    folder.write("models/shop.yaml", &models);
    let wanted = [
        format!("francais | Ana | definition | ∅ | {FIRST} | ∅"),
        format!("francais | Bo | definition | ∅ | {FIRST} | ∅"),
        format!("francais | Cy | definition | ∅ | {FIRST} | ∅"),
        format!("french | Ana | definition | ∅ | {SECOND} | ∅"),
    ];
    // The second time, the stays under the old name are those of the other segment.
    for as_of in [SECOND, THIRD] {
        folder.build(as_of).await;
        assert_eq!(named(&folder, &names, &format!("{STAYS} where segment like 'fr%'")).await, wanted, "{as_of}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entity_keeps_its_own_members() {
    let folder = shop();
    let other = "
  account:
    identity:
      identifiers: {account_id: {}}
      sources: {accounts: {role: record, ids: {account_id: id}}}
    attributes: {called: {from: [accounts.name]}}
traits:";
    let models = SHOP.replacen("\ntraits:", other, 1).replace("revenue: {sum", "revenue: {of: customer, sum");
    let models =
        models.replace(": {when", ": {of: customer, when") + "  dees: {of: account, when: \"called = 'Dee'\"}\n";
    folder.write("models/shop.yaml", &models);
    folder.build(FIRST).await;
    let sizes =
        "select entity, segment, count(*) from segment_members where exited_at is null group by entity, segment";
    let wanted = ["account | dees | 1", "customer | buyers | 3", "customer | french | 3", "customer | good | 1"];
    assert_eq!(folder.query(sizes).await, wanted);
    folder.build(SECOND).await;
    assert_eq!(folder.query(sizes).await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_segments_and_traits_hold_together() {
    let folder = shop();
    let mut models = "traits:\n".to_owned();
    for index in 0..500 {
        let line = match index % 5 {
            0 => format!("{{count: orders, where: \"amount > {index}\", within: {}d}}", 1 + index % 90),
            1 => format!(
                "{{sum: orders.amount, where: \"amount between {index} and {} and email like 'a%'\"}}",
                index * 2
            ),
            2 => "{max: orders.time}".to_owned(),
            3 => format!("{{last: orders.account_id, within: {index}d}}"),
            _ => format!("{{sql: \"coalesce(trait_{} / nullif(trait_{}, 0), {index})\"}}", index - 3, index - 4),
        };
        models.push_str(&format!("  trait_{index}: {line}\n"));
    }
    models.push_str("segments:\n");
    for index in 0..500 {
        let line = match index % 5 {
            0 => format!("{{did: orders, where: \"amount > {index}\", count: {{min: 2}}, within: 30d}}"),
            1 => format!("\"trait_{index} > {index} and country = 'FR' and name is not null\""),
            2 => format!(
                "{{all: [{{in: segment_{}}}, {{not: {{did: orders, within: {index}d}}}}, \"trait_{index} > now() - interval '3 days'\"]}}",
                index - 1
            ),
            3 => format!(
                "{{any: [\"trait_{index} = 'x'\", {{not_in: [segment_{}, segment_{}]}}]}}",
                index - 1,
                index - 2
            ),
            _ => format!("\"trait_{index} > 1 and revenue > 10\""),
        };
        models.push_str(&format!("  segment_{index}: {{when: {line}}}\n"));
    }
    folder.write("models/many.yaml", &models);
    let opened =
        cohorte::run::open(&folder.request(FIRST)).await.unwrap_or_else(|stopped| panic!("{}", told(&stopped)));
    assert!(opened.findings.is_empty());
    assert_eq!((opened.project.segments.len(), opened.project.traits.len()), (503, 501));
}
