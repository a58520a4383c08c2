//! Runs of the identity stage, from rows of sources to rows of tables.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::testing::{World, all, customers, groups};
use super::*;
use crate::store::tables;

fn partition(groups: &[&[&str]]) -> BTreeSet<Vec<String>> {
    groups.iter().map(|group| group.iter().map(|&node| node.to_owned()).collect()).collect()
}

fn events(found: &Resolved) -> Vec<String> {
    all(&found.events).iter().filter_map(|row| row.split(' ').nth(1)).map(str::to_owned).collect()
}

#[tokio::test]
async fn an_anonymous_visitor_becomes_known() {
    let mut world = World::new(&["1|a1|ann@x.fr|||ann|5"], &["e1|c1||1", "e2|c1||3", "e3|c2||4"]).await;
    let before = world.run().await;
    assert_eq!((before.report.customers, before.report.known, before.report.minted), (3, 1, 3));
    let nodes: Vec<(&str, u64)> = before.report.nodes.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(nodes, [("crm", 1), ("web", 2)]);
    let seen = "select record_key, role, (last_seen_at - first_seen_at) = interval '2 minutes' from customer_records order by 1";
    assert_eq!(world.query(seen).await, ["1 record false", r#"[null,"c1"] link true"#, r#"[null,"c2"] link false"#]);

    world.set("web", &[&["e1|c1||1", "e2|c1||3", "e3|c2||4", "e4|c1|a1|6", "e5|c9|a1|2000"]]).await;
    let after = world.run().await;
    let expected = partition(&[&["crm 1", r#"web ["a1","c1"]"#, r#"web [null,"c1"]"#], &[r#"web [null,"c2"]"#]]);
    assert_eq!(groups(&after), expected, "what happens after the run's instant is not seen");
    assert_eq!((after.report.customers, after.report.known, after.report.merged, after.report.minted), (2, 1, 1, 0));
    assert_eq!(customers(&after)["crm 1"], customers(&before)["crm 1"], "the id that was minted first stays");
    assert_eq!(all(&after.merged).len(), 1);
    let identifiers = "select type, value, sources, is_home from customer_identifiers order by 1, 2";
    assert_eq!(
        world.query(identifiers).await,
        [
            "account_id a1 [crm, web] true",
            "anonymous_id c1 [web] true",
            "anonymous_id c2 [web] true",
            "email ann@x.fr [crm] true"
        ]
    );
}

#[tokio::test]
async fn two_accounts_on_one_address_stay_apart() {
    let mut world = World::new(&["1|a1|one@x.fr|||ann|", "2|a2|One@x.fr|07||ann|"], &[]).await;
    world.set("mails", &[&["m1|one@x.fr", "m2|nobody@x.fr", "m3|nobody@x.fr|07"]]).await;
    let found = world.run().await;
    assert_eq!(groups(&found), partition(&[&["crm 1"], &["crm 2"]]));
    assert_eq!(found.report.refused.get("per_customer account_id"), Some(&1));
    let cut = "select left_source, left_key, right_source, right_key, rule, probability, reason from customer_links where not kept";
    assert_eq!(world.query(cut).await, ["crm 2 type:email one@x.fr email 1.0 per_customer account_id"]);
    let homes = "select count(*), count(*) filter (where is_home) from customer_identifiers where value = 'one@x.fr'";
    assert_eq!(world.query(homes).await, ["2 1"]);
    let mails = world.resolved("mails").await;
    let (one, two) = (&customers(&found)["crm 1"], &customers(&found)["crm 2"]);
    assert_eq!((&mails["m1"], mails["m2"].as_str(), &mails["m3"]), (one, "", two));
    world.set("opens", &[&["o1|m1|5", "o2|m3|6", "o3|gone|7"]]).await;
    let opens = world.resolved("opens").await;
    assert_eq!((&opens["o1"], &opens["o2"], opens["o3"].as_str()), (one, two, ""));
}

#[tokio::test]
async fn a_shared_telephone_and_an_ignored_address_link_nothing() {
    let rows = ["1|||06|| ann|", "2|||06||bob|", "3||noreply@x.fr|||eve|", "4||NoReply@x.fr|07||eve|", "5|||07||eve|"];
    let mut world = World::new(&rows, &[]).await;
    let found = world.run().await;
    assert_eq!(groups(&found), partition(&[&["crm 1"], &["crm 2"], &["crm 3"], &["crm 4", "crm 5"]]));
    let dropped: Vec<_> =
        found.report.dropped.iter().map(|d| (&*d.identifier, &*d.reason, d.values, d.links)).collect();
    assert_eq!(dropped, [("email", "ignored", 1, 2), ("phone", "shared", 1, 2)]);
    let cut = "select left_key, right_key, reason from customer_links where not kept order by 1";
    assert_eq!(
        world.query(cut).await,
        ["1 06 shared", "2 06 shared", "3 noreply@x.fr ignored", "4 noreply@x.fr ignored"]
    );
    assert_eq!(world.query("select value from customer_identifiers").await, ["07"]);
}

#[tokio::test]
async fn brands_never_meet() {
    let mut world = World::new(&["1||ann@x.fr||north||", "2||ann@x.fr||south||", "3||ann@x.fr||||"], &[]).await;
    let found = world.run().await;
    assert_eq!(groups(&found), partition(&[&["crm 1", "crm 3"], &["crm 2"]]));
    assert_eq!(found.report.refused.get("never_across brand"), Some(&1));
}

#[tokio::test]
async fn ids_are_kept_merged_and_split() {
    let mut world = World::new(&["1||ann@x.fr||||", "2||bob@x.fr||||"], &[]).await;
    let first = world.run().await;
    assert_eq!(events(&first), ["minted", "minted"]);
    let again = world.run().await;
    assert!(again.events.batches().is_empty() && again.merged.batches().is_empty());
    assert_eq!(customers(&again), customers(&first));

    world.set("crm", &[&["1||ann@x.fr||||", "2||ann@x.fr||||"]]).await;
    let merged = world.run().await;
    let (one, two) = (&customers(&first)["crm 1"], &customers(&first)["crm 2"]);
    assert_eq!(all(&merged.merged), [format!("{two} {one}")]);
    assert_eq!(events(&merged), ["merged"]);
    assert!(world.run().await.events.batches().is_empty(), "a merge is told once");

    world.set("crm", &[&["1||ann@x.fr||||", "2||bob@x.fr||||"]]).await;
    let split = world.run().await;
    assert_eq!(events(&split), ["minted", "split"]);
    let new = &customers(&split)["crm 2"];
    assert_eq!((&customers(&split)["crm 1"], new == two), (one, false), "a merged id never names anybody again");
    let ledger =
        r#"select customer_id, "into", ordinal, sequence, run_id from before_ids where run_id = 'run5' order by event"#;
    assert_eq!(world.query(ledger).await, [format!("{new}  1 2 run5"), format!("{one} {new}   run5")]);
    assert!(world.run().await.events.batches().is_empty());
}

#[tokio::test]
async fn a_record_that_comes_back_finds_its_id() {
    let mut world = World::new(&["1||ann@x.fr||||", "2||bob@x.fr||||"], &[]).await;
    let first = world.run().await;
    world.set("crm", &[&["1||ann@x.fr||||"]]).await;
    let gone = world.run().await;
    assert_eq!(events(&gone), ["retired"]);
    let nodes = "select record_key, mints, present from before_nodes order by 1";
    assert_eq!(world.query(nodes).await, ["1 1 true", "2 1 false"]);
    assert!(world.run().await.events.batches().is_empty(), "it is retired once");
    world.set("crm", &[&["2||eve@x.fr||||", "1||ann@x.fr||||"]]).await;
    let back = world.run().await;
    assert_eq!((events(&back), back.report.returned), (vec!["returned".to_owned()], 1));
    assert_eq!(customers(&back), customers(&first));
    assert!(world.run().await.events.batches().is_empty());
}

#[tokio::test]
async fn a_shared_device_belongs_to_the_next_account_else_to_the_previous() {
    let rows = [
        "e1|c1||10",
        "e2|c1|a1|20",
        "e3|c1||30",
        "e4|c1|a2|40",
        "e5|c1||50",
        "e6|c2||60",
        "e7|c1|a1|2000",
        "e8|||70",
        "e9|c1||",
    ];
    let mut world = World::new(&["1|a1|||||", "2|a2|||||"], &rows).await;
    let found = world.run().await;
    let (one, two) = (&customers(&found)["crm 1"], &customers(&found)["crm 2"]);
    let web = world.resolved("web").await;
    let whose: Vec<&str> = web
        .values()
        .map(|customer| match customer {
            customer if customer == one => "a1",
            customer if customer == two => "a2",
            customer if customer.is_empty() => "nobody",
            _ => "other",
        })
        .collect();
    assert_eq!(whose, ["a1", "a1", "a2", "a2", "a2", "other", "a1", "nobody", "a2"]);
    let columns = world.query("select * except (_customer_id) from web_resolved where _key = 'e1'").await;
    assert_eq!(columns, ["e1 c1  2026-05-31T00:10:00Z e1 2026-05-31T00:10:00Z"], "helpers stay inside");
}

#[tokio::test]
async fn w701_remembered_tables_that_do_not_fit_together() {
    let mut world = World::new(&["1||ann@x.fr||||"], &[]).await;
    let found = world.run().await;
    let failure = async |world: &mut World| world.try_run().await.err().unwrap();
    world.hold("before_ids", tables::ids("customer").schema, Vec::new());
    let lost = failure(&mut world).await;
    assert_eq!((lost.code, lost.cause.as_str()), ("W701", "an id is named that was never minted"));
    let twice = [found.events.batches(), found.events.batches()].concat();
    world.hold("before_ids", tables::ids("customer").schema, twice);
    assert_eq!(failure(&mut world).await.code, "W701");
    world.remembered.ids = Some("nowhere".into());
    assert_eq!(failure(&mut world).await.code, "W409");
}

#[tokio::test]
async fn batches_have_the_schemas_of_their_tables() {
    let mut world = World::new(&["1|a1|||||", "2|a2|||||"], &["e1|c1||1", "e2|c1|a1|2", "e3|c1|a2|3"]).await;
    let found = world.run().await;
    let all = [&found.records, &found.identifiers, &found.links, &found.contested, &found.events, &found.nodes];
    for (spec, batches) in tables::entity_tables("customer").iter().zip(all.map(crate::engine::made::Made::batches)) {
        assert!(!batches.is_empty() && batches.iter().all(|batch| batch.schema() == spec.schema), "{}", spec.name);
    }
    assert_eq!(
        world.query("select record_key, type, value, settles from customer_contested order by 1").await,
        [
            r#"["a1","c1"] anonymous_id c1 true"#,
            r#"["a2","c1"] anonymous_id c1 true"#,
            r#"[null,"c1"] anonymous_id c1 false"#
        ]
    );
}

/// Every row of every table, as text.
fn everything(found: &Resolved) -> Vec<Vec<String>> {
    let tables = [
        &found.records,
        &found.identifiers,
        &found.links,
        &found.contested,
        &found.nodes,
        &found.events,
        &found.merged,
    ];
    tables.iter().map(|table| all(&table)).collect()
}

fn record() -> impl Strategy<Value = String> {
    let cell = |texts: &'static [&'static str]| prop::sample::select(texts);
    let ids =
        (cell(&["", "a1", "a2", "a3"]), cell(&["", "ann@x.fr", "bob@x.fr", "noreply@x.fr"]), cell(&["", "06", "07"]));
    (ids, cell(&["", "north", "south"]), cell(&["", "ann", "bob"]), 0..9_u8)
        .prop_map(|((account, email, phone), brand, name, at)| format!("{account}|{email}|{phone}|{brand}|{name}|{at}"))
}

fn event() -> impl Strategy<Value = String> {
    let cell = |texts: &'static [&'static str]| prop::sample::select(texts);
    (cell(&["", "c1", "c2"]), cell(&["", "a1", "a2"]), 0..9_u8)
        .prop_map(|(cookie, account, at)| format!("{cookie}|{account}|{at}"))
}

/// Rows with keys, and the same rows in another order with places to cut.
fn rows(row: impl Strategy<Value = String>) -> impl Strategy<Value = (Vec<String>, Vec<String>, usize)> {
    prop::collection::vec(row, 0..8).prop_flat_map(|rows| {
        let rows: Vec<String> = (0..).zip(rows).map(|(key, row): (u32, String)| format!("{key}|{row}")).collect();
        let cut = 0..=rows.len();
        (Just(rows.clone()), Just(rows).prop_shuffle(), cut)
    })
}

fn texts(rows: &[String]) -> Vec<&str> {
    rows.iter().map(String::as_str).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_and_the_split_of_rows_do_not_matter(
        (crm, shuffled_crm, cut) in rows(record()),
        (web, shuffled_web, cut_web) in rows(event()),
        (later, shuffled_later, cut_later) in rows(record()),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let mut whole = World::new(&texts(&crm), &texts(&web)).await;
            let mut split = World::new(&[], &[]).await;
            let (left, right) = shuffled_crm.split_at(cut);
            split.set("crm", &[&texts(left), &texts(right)]).await;
            let (left, right) = shuffled_web.split_at(cut_web);
            split.set("web", &[&texts(left), &[], &texts(right)]).await;
            let (first, other) = (whole.run().await, split.run().await);
            assert_eq!(everything(&first), everything(&other));
            assert_eq!(first.report, other.report);
            assert_eq!(whole.resolved("web").await, split.resolved("web").await);

            whole.set("crm", &[&texts(&later)]).await;
            let (left, right) = shuffled_later.split_at(cut_later);
            split.set("crm", &[&texts(left), &texts(right)]).await;
            let (second, other) = (whole.run().await, split.run().await);
            assert_eq!(everything(&second), everything(&other));
            let third = whole.run().await;
            assert!(third.events.batches().is_empty(), "nothing changed, nothing happened");
        });
    }
}
