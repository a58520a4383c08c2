//! Builds in part: what a failing source, or the selection, leaves out keeps what is published.

use cohorte::project::Kind;
use cohorte::run::{Built, Reason, Why};

use crate::library::Folder;
use crate::nasty::warehouse;

const MODELS: &str = r#"
sources:
  crm: {path: crm.csv, key: id, columns: {id: {type: text}, email: {type: email}, account: {type: text}}}
  accounts: {path: accounts.csv, key: id, columns: {id: {type: text}}}
  orders: {path: orders.csv, key: id, time: at, columns: {email: {type: email}, amount: {type: number}, at: {type: timestamp}}}
  products: {path: products.csv, key: sku, columns: {sku: {type: text}}}
  lines: {path: lines.csv, key: [order_id, n], columns: {sku: {type: text}}, belongs_to: {orders: {id: order_id}, products: {sku: sku}}}
  opens: {path: opens.csv, key: id, time: at, columns: {email: {type: email}, at: {type: timestamp}}}
  prefs: {path: prefs.csv, key: id, columns: {email: {type: email}, at: {type: timestamp}}}
entities:
  customer:
    identity:
      identifiers: {email: {type: email}}
      sources:
        crm: {role: record, ids: {email: email}}
        orders: {role: attach, ids: {email: email}}
        opens: {role: attach, ids: {email: email}}
    attributes: {name: {from: [crm.name]}, country: {from: [crm.country]}}
  household:
    identity:
      identifiers: {account: {}}
      sources: {accounts: {role: record, ids: {account: id}}}
    attributes: {place: {from: [accounts.place]}}
traits:
  revenue: {of: customer, sum: orders.amount}
  opened: {of: customer, count: opens}
  half: {of: customer, sql: "opened / 2"}
  shoes: {of: customer, count: lines, where: "products.category = 'Shoes'"}
scores:
  warmth: {of: customer, points: [{did: opens, points: 2}]}
  worth: {of: customer, rfm: {event: orders, amount: amount, tiers: 2}}
purposes: {news: {channels: [email]}}
consents:
  prefs: {source: prefs, contact: email, purpose: {value: news}, channel: {value: email}, status: state, at: at}
segments:
  buyers: {of: customer, when: {did: orders}}
  readers: {of: customer, when: {did: opens}}
  keen: {of: customer, when: "half >= 1 and revenue > 10"}
  french: {of: customer, when: "country = 'FR'"}
  writable: {of: customer, when: {consent: {purpose: news}}}
  rural: {of: household, when: "place = 'Ger'"}
"#;

const FIRST: &str = "2026-06-01T12:00:00Z";
const SECOND: &str = "2026-06-02T12:00:00Z";
const THIRD: &str = "2026-06-03T12:00:00Z";

fn shop() -> Folder {
    let folder = Folder::new();
    folder.write("warehouse.yaml", &warehouse(2));
    folder.write("models/shop.yaml", MODELS);
    folder.write("crm.csv", "id,email,name,country,account\n1,a@x.fr,Ana,FR,h1\n2,b@x.fr,Bo,FR,h1\n");
    folder.write("accounts.csv", "id,place\nh1,Ger\n");
    folder.write("orders.csv", "id,email,amount,at\n1,a@x.fr,20,2026-05-01T00:00:00Z\n");
    folder.write("products.csv", "sku,category\ns,Shoes\n");
    folder.write("lines.csv", "order_id,n,sku\n1,1,s\n");
    folder.write("opens.csv", "id,email,at\n1,a@x.fr,2026-05-01T00:00:00Z\n2,a@x.fr,2026-05-02T00:00:00Z\n");
    folder.write("prefs.csv", "id,email,state,at\n1,a@x.fr,granted,2026-05-01T00:00:00Z\n");
    folder
}

/// Everywhere something new: Bo left France and bought shoes, Cy came, opened and consented, the household moved.
fn grow(folder: &Folder) {
    folder
        .write("crm.csv", "id,email,name,country,account\n1,a@x.fr,Ana,FR,h1\n2,b@x.fr,Bo,DE,h1\n3,c@x.fr,Cy,FR,h1\n");
    folder.write("accounts.csv", "id,place\nh1,Pau\n");
    folder
        .write("orders.csv", "id,email,amount,at\n1,a@x.fr,20,2026-05-01T00:00:00Z\n2,b@x.fr,5,2026-06-02T00:00:00Z\n");
    folder.write("lines.csv", "order_id,n,sku\n1,1,s\n2,1,s\n");
    folder.write(
        "opens.csv",
        "id,email,at\n1,a@x.fr,2026-05-01T00:00:00Z\n2,a@x.fr,2026-05-02T00:00:00Z\n3,c@x.fr,2026-06-02T00:00:00Z\n",
    );
    folder.write(
        "prefs.csv",
        "id,email,state,at\n1,a@x.fr,granted,2026-05-01T00:00:00Z\n2,c@x.fr,granted,2026-06-02T00:00:00Z\n",
    );
}

/// Repeats the last row of a file: the key is unique no more. Gives back what the file was.
fn spoil(folder: &Folder, file: &str) -> String {
    let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
    folder.write(file, &format!("{text}{}\n", text.lines().last().unwrap()));
    text
}

async fn customers(folder: &Folder) -> Vec<String> {
    folder
        .query("select name, country, revenue, opened, half, shoes, warmth, worth, worth_recency, array_to_string(segments, ' ') from customer")
        .await
}

fn codes(built: &Built) -> Vec<&str> {
    built.findings.iter().map(|finding| finding.code).collect()
}

fn blocked(built: &Built) -> Vec<String> {
    built.kept.blocked().map(|(kind, name, source)| format!("{kind}:{name} {source}")).collect()
}

fn passes(built: &Built) -> Vec<(&str, usize)> {
    let passes = built.customers.iter().flat_map(|customers| &customers.passes);
    passes.map(|(name, features)| (name.as_str(), *features)).collect()
}

const WHOLE: [&str; 3] = [
    "Ana | FR | 20.0 | 2 | 1.0 | 1 | 4.0 | 122 | 1 | buyers french keen readers writable",
    "Bo | DE | 5.0 | 0 | 0.0 | 1 | 0.0 | 211 | 2 | buyers",
    "Cy | FR | 0.0 | 1 | 0.5 | 0 | 2.0 | ∅ | ∅ | french readers writable",
];

#[tokio::test(flavor = "multi_thread")]
async fn e402_facts_that_fail_stop_what_descends_from_them_alone() {
    let folder = shop();
    let built = folder.build(FIRST).await;
    assert!(built.kept.is_empty() && built.findings.is_empty());
    assert_eq!(passes(&built), [("lines", 1), ("opens", 1), ("orders", 3), ("consents", 1)]);
    assert_eq!(
        customers(&folder).await,
        [
            "Ana | FR | 20.0 | 2 | 1.0 | 1 | 4.0 | 111 | 1 | buyers french keen readers writable",
            "Bo | FR | 0.0 | 0 | 0.0 | 0 | 0.0 | ∅ | ∅ | french",
        ]
    );
    grow(&folder);
    let good = spoil(&folder, "opens.csv");
    let built = folder.build(SECOND).await;
    assert_eq!(codes(&built), ["E402"]);
    let wanted = [
        "source:opens opens",
        "trait:half opens",
        "trait:opened opens",
        "score:warmth opens",
        "segment:keen opens",
        "segment:readers opens",
    ];
    assert_eq!(blocked(&built), wanted);
    assert_eq!(passes(&built), [("lines", 1), ("orders", 3), ("consents", 1)]);
    // What hangs on the opens is what it was, null for who is new; all else moves.
    assert_eq!(
        customers(&folder).await,
        [
            "Ana | FR | 20.0 | 2 | 1.0 | 1 | 4.0 | 122 | 1 | buyers french keen readers writable",
            "Bo | DE | 5.0 | 0 | 0.0 | 1 | 0.0 | 211 | 2 | buyers",
            "Cy | FR | 0.0 | ∅ | ∅ | 0 | ∅ | ∅ | ∅ | french writable",
        ]
    );
    let steps = "select model, why from run_steps where outcome = 'blocked'";
    let mut told: Vec<String> = wanted.iter().map(|line| line.replace(' ', " | ")).collect();
    told.sort();
    assert_eq!(folder.query(steps).await, told);

    // Mended, at the same instant: only what was left has to be built, and it is.
    folder.write("opens.csv", &good);
    let built = folder.build(SECOND).await;
    assert_eq!(
        (&built.why, built.kept.is_empty()),
        (&Why::Changed { sources: vec!["opens".into()], models: vec![], otherwise: false }, true)
    );
    assert_eq!(customers(&folder).await, WHOLE);
    assert_eq!(folder.build(SECOND).await.why, Why::Nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expectation_of_time_that_is_met_again_builds_the_rest() {
    let folder = shop();
    folder.build(FIRST).await;
    let expect = |within: &str| {
        let models =
            MODELS.replace("opens: {path", &format!("opens: {{expect: [{{fresh: at, within: {within}}}], path"));
        folder.write("models/shop.yaml", &models);
    };
    expect("1d");
    let built = folder.build(FIRST).await;
    assert_eq!((codes(&built), blocked(&built).len()), (vec!["E401"], 6));
    let again = folder.build(FIRST).await;
    assert_eq!((codes(&again), &again.why), (vec!["E401"], &Why::Unfinished));
    expect("1y");
    assert!(folder.build(FIRST).await.kept.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_fails_stops_the_rows_that_belong_to_it() {
    let folder = shop();
    folder.build(FIRST).await;
    grow(&folder);
    spoil(&folder, "products.csv");
    let built = folder.build(SECOND).await;
    assert_eq!(blocked(&built), ["source:lines products", "source:products products", "trait:shoes products"]);
    let shoes = folder.query("select name, shoes, revenue from customer").await;
    assert_eq!(shoes, ["Ana | 1 | 20.0", "Bo | 0 | 5.0", "Cy | ∅ | 0.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_that_fails_leaves_the_entity_and_builds_the_other() {
    let folder = shop();
    let first = folder.build(FIRST).await;
    let before = customers(&folder).await;
    grow(&folder);
    let good = spoil(&folder, "crm.csv");
    let built = folder.build(SECOND).await;
    assert_eq!(built.customers.iter().map(|one| one.entity.as_str()).collect::<Vec<_>>(), ["household"]);
    assert_eq!(customers(&folder).await, before);
    for table in ["customer", "customer_records", "customer_nodes", "customer_ids"] {
        assert_eq!(built.workspace.published.version(table), first.workspace.published.version(table), "{table}");
    }
    assert_eq!(built.kept.reason(Kind::Segment, "french"), Some(&Reason::Blocked("crm".into())));
    assert_eq!(built.kept.reason(Kind::Segment, "rural"), None);
    let open = "select segment, count(*) from segment_members where exited_at is null group by segment";
    assert_eq!(folder.query(open).await, ["buyers | 1", "french | 2", "keen | 1", "readers | 1", "writable | 1"]);
    // Consents are read all the same: their points need no customer.
    let consents = "select contact_point, status from consents where status = 'granted'";
    assert_eq!(folder.query(consents).await, ["a@x.fr | granted", "c@x.fr | granted"]);

    folder.write("crm.csv", &good);
    folder.build(SECOND).await;
    assert_eq!(customers(&folder).await, WHOLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_that_was_never_built_waits_and_nothing_at_all_is_nothing() {
    let folder = shop();
    let good = spoil(&folder, "crm.csv");
    folder.build(FIRST).await;
    assert_eq!(folder.query("select place, segments from household").await, ["Ger | [rural]"]);
    assert!(folder.warehouse().version("customer").await.unwrap().is_none());
    folder.write("crm.csv", &good);
    folder.build(FIRST).await;
    assert_eq!(customers(&folder).await.len(), 2);

    let folder = shop();
    spoil(&folder, "crm.csv");
    spoil(&folder, "accounts.csv");
    let options = cohorte::run::BuildOptions::default();
    let stopped = cohorte::run::build(folder.open(FIRST).await, &options, &cohorte::report::NoProgress).await;
    assert!(matches!(stopped, Err(cohorte::run::Stopped::Findings(..))));
    assert_eq!(folder.query("select outcome, error from runs").await, ["failed | E402"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn consents_of_a_source_that_fails_stay_those_of_the_ledger() {
    let folder = shop();
    folder.build(FIRST).await;
    grow(&folder);
    let good = spoil(&folder, "prefs.csv");
    let built = folder.build(SECOND).await;
    assert_eq!(
        blocked(&built),
        ["source:prefs prefs", "consent:prefs prefs", "purpose:news prefs", "segment:writable prefs"]
    );
    let ledger = "select contact_point, status from consent_ledger";
    assert_eq!(folder.query(ledger).await, ["a@x.fr | granted"]);
    assert_eq!(folder.query("select contact_point, status from consents").await, ["a@x.fr | granted"]);
    folder.write("prefs.csv", &good);
    folder.build(SECOND).await;
    assert_eq!(folder.query(ledger).await, ["a@x.fr | granted", "c@x.fr | granted"]);
    assert_eq!(customers(&folder).await, WHOLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_selected_is_built_with_all_that_it_needs() {
    let folder = shop();
    folder.build(FIRST).await;
    grow(&folder);
    let built = folder.build_some(SECOND, &["keen"], &[]).await;
    // `half` over `opened`, and `revenue`: three traits of four, two features of six, one entity of two.
    assert_eq!(passes(&built), [("opens", 1), ("orders", 1)]);
    assert_eq!(built.kept.reason(Kind::Entity, "household"), Some(&Reason::NotSelected));
    assert_eq!(
        customers(&folder).await,
        [
            "Ana | FR | 20.0 | 2 | 1.0 | 1 | 4.0 | 111 | 1 | buyers french keen readers writable",
            "Bo | DE | 5.0 | 0 | 0.0 | 0 | 0.0 | ∅ | ∅ | french",
            "Cy | FR | 0.0 | 1 | 0.5 | ∅ | ∅ | ∅ | ∅ | ∅",
        ]
    );
    assert_eq!(folder.query("select place from household").await, ["Ger"]);
    // The rest is built later, although nothing else has changed, and says that it was the data.
    let built = folder.build(SECOND).await;
    assert!(matches!(&built.why, Why::Changed { models, .. } if models.is_empty()), "{:?}", built.why);
    assert_eq!(customers(&folder).await, WHOLE);
    let reasons = "select segment, entry_reason from segment_members where entry_reason <> 'definition'";
    let wanted = ["buyers | data", "french | data", "readers | data", "writable | data"];
    assert_eq!(folder.query(reasons).await, wanted);
    assert_eq!(folder.build(SECOND).await.why, Why::Nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_published_is_built_and_what_was_renamed_is_carried() {
    let folder = shop();
    folder.build(FIRST).await;
    grow(&folder);
    let models = MODELS
        .replace(
            "  opened: {of: customer, count: opens}",
            "  opened: {of: customer, count: orders}\n  seen: {was: opened, of: customer, count: opens}",
        )
        .replace("\"opened / 2\"", "\"seen / 2\"")
        .replace("  worth: {of", "  value: {was: worth, of");
    folder.write("models/shop.yaml", &models);
    let built = folder.build_some(SECOND, &["french"], &[]).await;
    // The name that another has taken over is new for whoever bears it now.
    assert_eq!(passes(&built), [("orders", 1)]);
    let rows = folder.query("select name, seen, half, opened, value, value_recency from customer").await;
    assert_eq!(rows, ["Ana | 2 | 1.0 | 1 | 111 | 1", "Bo | 0 | 0.0 | 1 | ∅ | ∅", "Cy | ∅ | ∅ | 0 | ∅ | ∅"]);
    folder.build(THIRD).await;
    let rows = folder.query("select name, seen, half, opened, value from customer").await;
    assert_eq!(rows, ["Ana | 2 | 1.0 | 1 | 122", "Bo | 0 | 0.0 | 1 | 211", "Cy | 1 | 0.5 | 0 | ∅"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_a_source_kept_are_not_written_again_where_nothing_changed() {
    let folder = shop();
    folder.build(FIRST).await;
    let good = spoil(&folder, "crm.csv");
    assert!(folder.build(SECOND).await.kept.has_entity("customer"));
    folder.write("crm.csv", &good);
    let built = folder.build(THIRD).await;
    let written = built.tables.iter().filter(|table| table.is_written && table.table.starts_with("customer"));
    assert_eq!(written.map(|table| table.table.as_str()).collect::<Vec<_>>(), ["customer_ids", "customer_golden"]);
}
