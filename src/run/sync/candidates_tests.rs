//! Numbering only the keys that may be there twice gives the rows that numbering all of them gives.

use datafusion::arrow::util::pretty::pretty_format_batches;

use super::difference::Wanted;
use super::testing::Shop;
use crate::compile::syncs;
use crate::run::Workspace;

async fn sorted(workspace: &Workspace, sql: &str) -> Vec<String> {
    let batches = workspace.collect("comparing", sql).await.unwrap();
    let shown = pretty_format_batches(&batches).unwrap().to_string();
    let mut all: Vec<String> = shown.lines().filter(|line| line.starts_with("| ")).skip(1).map(str::to_owned).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_there_twice_and_keys_that_are_not() {
    let mut shop = Shop::with(
        "from: {segment: vip}, to: {connection: drop}, key: [{email: email}, {phone: phone}], fields: {name: name}, mode: upsert, on_withdraw: delete, consent: {purpose: news, channel: email}",
    );
    for twice in [false, true] {
        let (first, other) = if twice { ("a@x.fr", "a@x.fr") } else { ("a@x.fr", "b@x.fr") };
        shop.people = vec![
            ["1", first, "", "Ann", "Lyon"],
            ["2", other, "", "Bob", "Lyon"],
            ["3", "c@x.fr", "", "Cyd", "Lyon"],
            ["4", "", "", "Dan", "Lyon"],
            ["5", "d@x.fr", "", "Eve", "Lyon"],
            // No member has that key first.
            ["0", first, "", "Fay", "Lyon"],
        ];
        shop.members = ["1", "2", "3", "4", "5"].into();
        shop.consents =
            vec![("a@x.fr", "granted", "desk"), ("b@x.fr", "granted", "desk"), ("c@x.fr", "granted", "desk")];
        let workspace = shop.workspace().await;
        let sync = Shop::sync(&workspace);
        let _ = Wanted::stage(&workspace, &sync).await.unwrap();
        let all = sorted(&workspace, &syncs::rows(&workspace.opened.project, &sync)).await;
        assert_eq!(sorted(&workspace, "select * from _sync_rows").await, all);
        assert_eq!(all.iter().filter(|row| row.contains("duplicate key")).count(), usize::from(twice), "{all:?}");
        assert!(all.iter().any(|row| row.contains("no key")) && all.iter().any(|row| row.contains("no consent")));
    }
}
