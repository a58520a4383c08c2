//! What the engine runs and what `compile` prints agree; and every source is read once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cohorte::compile::customer::pass_table;
use cohorte::compile::passes::{Pass, passes};
use cohorte::compile::{Part, golden};
use cohorte::engine::PassExec;
use cohorte::engine::pass::STATE;
use cohorte::report::NoProgress;
use cohorte::run::{BuildOptions, Built, build};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, TableReference};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::{ExecutionPlan, displayable};

use crate::library::{Folder, by_id, told};
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
    let entity = &opened.project.entities["customer"];
    let passes = passes(&opened.project, entity, &opened.clock, &Part::default());
    passes.into_iter().chain(golden::pass(&opened.project, entity)).collect()
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
        let name = if pass.name.ends_with("_golden") { pass.name.clone() } else { pass_table(&pass) };
        let mut fused = by_id(session.table(name).await.unwrap(), "customer_id").await;
        // What is remembered for later runs is no feature. Rows of `crm` take each other's place.
        let remembers = !pass.sources.is_empty() && !pass.sources.contains(&"crm".to_owned());
        assert_eq!(fused.remove(STATE).is_some(), remembers, "{doing}: {}", pass.name);
        let readable = by_id(session.sql(&pass.readable).await.unwrap(), "customer_id").await;
        assert_eq!(fused.keys().collect::<Vec<_>>(), readable.keys().collect::<Vec<_>>(), "{doing}: {}", pass.name);
        // The pass has everybody, also those who have no rows at all.
        for (feature, rows) in &mut fused {
            let (with, without): (BTreeMap<_, _>, BTreeMap<_, _>) =
                std::mem::take(rows).into_iter().partition(|(id, _)| readable[feature].contains_key(id));
            let something = without
                .values()
                .find(|value| !value.starts_with("0 ") && !value.starts_with("0.0 ") && !value.starts_with('∅'));
            assert!(something.is_none(), "{doing}: {feature} of nothing is {something:?}");
            *rows = with;
        }
        for (feature, rows) in &fused {
            // Attributes are no features of the project.
            let model = built.workspace.opened.project.features.get(feature);
            assert!(!rows.is_empty(), "{doing}: {} has no rows", pass.name);
            let other = &readable[feature];
            let differs = rows.iter().find(|(id, value)| other.get(*id) != Some(value));
            if let Some((id, value)) = differs {
                differences.push(format!("{doing}: {id}: {value}, readable {:?}: {feature} {model:#?}", other.get(id)));
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
        for rows in sources(case as u64, 100) {
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

/// A source that counts how often it is scanned.
#[derive(Debug)]
struct Counted {
    source: Arc<dyn TableProvider>,
    scans: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl TableProvider for Counted {
    fn schema(&self) -> SchemaRef {
        self.source.schema()
    }

    fn table_type(&self) -> TableType {
        self.source.table_type()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.scans.fetch_add(1, Ordering::Relaxed);
        self.source.scan(session, projection, filters, limit).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.source.supports_filters_pushdown(filters)
    }
}

/// Fifty segments over the events of the site: other filters, windows and numbers, alone and joined, some of them equal.
fn fifty_segments() -> String {
    let mut text = "segments:\n".to_owned();
    for index in 0..50 {
        let (window, least) = (1 + index % 7, 1 + index % 3);
        let did = match index % 5 {
            0 => format!("{{did: viewed, within: {window}d, count: {{min: {least}}}}}"),
            1 => format!("{{did: cart, where: \"path like '/shoes%'\", within: {window}mo}}"),
            2 => format!("{{not: {{did: web_events, where: \"length(path) > {index}\"}}}}"),
            3 => format!("{{all: [{{did: viewed, within: {window}h}}, {{not: {{did: cart, within: {index}d}}}}]}}"),
            _ => format!("{{any: [{{did: viewed, within: 30d}}, {{in: segment_{}}}]}}", index - 1),
        };
        text.push_str(&format!("  segment_{index}: {{when: {did}}}\n"));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_segments_scan_their_source_once() {
    let folder = Folder::new();
    folder.write("warehouse.yaml", &warehouse(2));
    folder.write("models/base.yaml", MODELS);
    folder.write("models/segments.yaml", &fifty_segments());
    sources(1, 60).iter().for_each(|rows| rows.write(&folder, 3));
    let opened = folder.open(AS_OF[0]).await;
    assert_eq!(opened.project.segments.len(), 50);
    let name = TableReference::partial("raw", "web_events");
    let source = opened.session.deregister_table(name.clone()).unwrap().unwrap();
    let scans = Arc::new(AtomicUsize::new(0));
    opened.session.register_table(name, Arc::new(Counted { source, scans: Arc::clone(&scans) })).unwrap();
    let options = BuildOptions { command: "build".into(), plan_only: true, ..BuildOptions::default() };
    let built = build(opened, &options, &NoProgress).await.unwrap_or_else(|stopped| panic!("{}", told(&stopped)));
    // In a whole build: what is expected of it, its nodes, whose its devices are, and all that is computed of its rows.
    assert_eq!(scans.swap(0, Ordering::Relaxed), 4);
    let (mut aggregations, mut features) = (0, 0);
    for pass in the_passes(&built) {
        let session = &built.workspace.opened.session;
        let plan = PassExec::of(session, &pass, Arc::default(), "customer_id").await.unwrap();
        let shown = displayable(&plan).indent(true).to_string();
        if pass.name == "web_events" {
            assert_eq!(scans.load(Ordering::Relaxed), 1, "{shown}");
            aggregations += shown.lines().filter(|line| line.contains("PassExec")).count();
            features += pass.spec.features.len();
        }
    }
    assert_eq!((scans.load(Ordering::Relaxed), aggregations), (1, 1));
    // Equal conditions are one feature, others are not.
    assert!((40..60).contains(&features), "{features} features");
}
