//! What the engine runs and what `compile` prints agree; and every source is read once.

use std::collections::BTreeMap;

use cohorte::compile::passes::{Pass, passes};
use cohorte::engine::fused;
use cohorte::run::Built;

use crate::library::{Folder, by_id};
use crate::nasty::{AS_OF, MODELS, sources, traits, warehouse};

const WINDOWS: [&str; 6] = ["", "2h", "1d", "7d", "1mo", "1y"];

/// Every aggregate over every type of value of a fact.
fn values(fact: &str, columns: &[&str], numbers: &[&str]) -> Vec<String> {
    let mut all = vec![format!("count: {fact}")];
    for column in columns {
        for aggregate in ["count_distinct", "min", "max", "first", "last", "mode"] {
            all.push(format!("{aggregate}: {fact}.{column}"));
        }
    }
    for column in numbers {
        all.extend(["sum", "avg"].map(|aggregate| format!("{aggregate}: {fact}.{column}")));
    }
    all
}

/// Every value through every window and filter, of which each of `n` cases takes its share.
fn share(case: usize, n: usize, windows: &[&str], filters: &[&str], values: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for (place, value) in values.iter().enumerate() {
        let mut combination = place;
        for window in windows {
            for filter in filters {
                if combination % n == case {
                    let mut line = format!("{{{value}");
                    if !filter.is_empty() {
                        line.push_str(&format!(", where: \"{filter}\""));
                    }
                    if !window.is_empty() {
                        line.push_str(&format!(", within: {window}"));
                    }
                    lines.push(line + "}");
                }
                combination += 1;
            }
        }
    }
    lines
}

fn lines(case: usize) -> Vec<String> {
    let filters = ["", "status = 'paid'", "amount < 0", "not (n > 2) or shop is null"];
    let columns = ["shop", "n", "price", "amount", "flag", "day", "ordered_at"];
    let mut all = share(case, 6, &WINDOWS, &filters, &values("orders", &columns, &["n", "price", "amount"]));
    let filters = ["", "paid > 20", "shop like 's%'"];
    all.extend(share(case, 6, &WINDOWS, &filters, &values("purchase", &["shop", "paid", "time"], &["paid"])));
    let filters = ["", "orders.status = 'paid' and products.category = 'Shoes'", "products.category is null"];
    all.extend(share(case, 6, &WINDOWS, &filters, &values("order_lines", &["sku", "amount"], &["amount"])));
    let filters = ["", "path like '/shoes%'"];
    all.extend(share(case, 6, &WINDOWS, &filters, &values("viewed", &["path"], &[])));
    all.extend(share(case, 6, &[""], &["", "op = 'U'"], &values("crm", &["country"], &[])));
    all
}

fn the_passes(built: &Built) -> Vec<Pass> {
    let opened = &built.workspace.opened;
    passes(&opened.project, &opened.project.entities["customer"], &opened.clock)
}

/// Rows of every feature by the fused pass, which must be those of the readable SQL.
async fn compared(
    built: &Built,
    doing: &str,
    differences: &mut Vec<String>,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let session = &built.workspace.opened.session;
    let mut all = BTreeMap::new();
    for pass in the_passes(built) {
        let fused = by_id(fused(session, &pass, "customer_id").await.unwrap(), "customer_id").await;
        let readable = by_id(session.sql(&pass.readable).await.unwrap(), "customer_id").await;
        assert_eq!(fused.keys().collect::<Vec<_>>(), readable.keys().collect::<Vec<_>>(), "{doing}: {}", pass.name);
        for (feature, rows) in &fused {
            let model = built.workspace.opened.project.features.get(feature).unwrap();
            assert!(!rows.is_empty(), "{doing}: {} has no rows", pass.name);
            let other = &readable[feature];
            let differs = rows.iter().find(|(id, value)| other.get(*id) != Some(value));
            if let Some((id, value)) = differs {
                differences.push(format!("{doing}: {id}: {value}, readable {:?}: {model:#?}", other.get(id)));
            } else if rows.len() != other.len() {
                differences.push(format!("{doing}: {} customers, readable {}: {model:#?}", rows.len(), other.len()));
            }
        }
        all.extend(fused);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pass_and_the_readable_sql_give_the_same_rows() {
    let mut features = 0;
    let mut differing = 0;
    let mut differences = Vec::new();
    for (case, as_of) in AS_OF.into_iter().enumerate() {
        let folder = Folder::new();
        folder.write("models/base.yaml", MODELS);
        folder.write("models/traits.yaml", &traits(&lines(case)));
        for rows in sources(case as u64, 150) {
            rows.write(&folder, 4);
        }
        let mut by_threads = Vec::new();
        for threads in [1, 4] {
            folder.write("warehouse.yaml", &warehouse(threads));
            let built = folder.compute(as_of).await;
            by_threads.push(compared(&built, &format!("as of {as_of} with {threads} threads"), &mut differences).await);
        }
        assert!(by_threads[0] == by_threads[1], "threads change the features as of {as_of}");
        features += by_threads[0].len();
        let distinct = |rows: &BTreeMap<String, String>| rows.values().collect::<std::collections::BTreeSet<_>>().len();
        differing += by_threads[0].values().filter(|rows| distinct(rows) > 1).count();
    }
    let first: Vec<&String> = differences.iter().take(12).collect();
    assert!(differences.is_empty(), "{} differences, such as {first:#?}", differences.len());
    // The data is such that the comparison means something.
    assert!(
        features > 1_200 && differing * 10 > features * 7,
        "{differing} of {features} features tell customers apart"
    );
}
