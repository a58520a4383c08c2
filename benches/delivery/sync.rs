//! The syncer at work: a project whose customers are a Parquet file of the benchmark's own.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use cohorte::report::NoProgress;
use cohorte::run::sync::{self, How, Order, Outcome};
use cohorte::run::{Request, Workspace, open};
use cohorte::store::{Lease, LeaseOptions, tables};
use cohorte::sync::clock::{Cancel, Clock as _, SystemClock};
use cohorte::sync::http::Accounts;
use datafusion::arrow::array::{BooleanArray, Float64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::ParquetReadOptions;

use crate::Figures;

const MODELS: &str = r#"
sources:
  crm: {path: crm.csv, format: csv, key: id, columns: {spent: {sql: "1.5"}}}
entities:
  customer:
    identity:
      identifiers: {email: {}}
      sources: {crm: {role: record, ids: {email: email}}}
    attributes:
      email: {from: [crm.email]}
      name: {from: [crm.name]}
      city: {from: [crm.city]}
      spent: {from: [crm.spent]}
syncs:
  out:
    from: {entity: customer}
    to: {connection: there}
    mode: upsert
    key: [{customer_id: customer_id}]
    fields: {email: email, name: name, city: city, spent: spent}
    consent: {none: "a benchmark"}
    first_run: FIRST
"#;

/// Memory for queries, unless `MEMORY` says otherwise: what is sorted and joined spills beyond.
const MEMORY: &str = "1GiB";

/// Id, address, name, city, revenue.
pub(crate) fn customer(n: u64) -> (String, String, String, &'static str, f64) {
    let city = ["Lyon", "Paris", "Nantes", "Madrid"][n as usize % 4];
    // Ids are hashes, in no order.
    let id = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (format!("{id:016x}{n:08x}"), format!("p{n}@example.com"), format!("Person {n}"), city, (n % 1_000) as f64 + 0.5)
}

/// Delivers all rows to a URL.
pub(crate) async fn deliver(folder: &Path, url: &str, rows: u64) -> Figures {
    let there = format!("{{connector: webhook, url: \"{url}\", deliver: true}}");
    let workspace = workspace(folder, &there, "send", rows, 0).await;
    timed(&workspace, rows, Outcome::Done).await
}

/// Takes all rows as delivered.
pub(crate) async fn baseline(folder: &Path, rows: u64) -> Figures {
    let workspace = workspace(folder, "{connector: files, path: ./out, deliver: true}", "baseline", rows, 0).await;
    timed(&workspace, rows, Outcome::Baseline).await
}

/// Compares all rows with those that were taken as delivered; one in a hundred has changed.
pub(crate) async fn difference(folder: &Path, rows: u64) -> Figures {
    let there = "{connector: files, path: ./out, deliver: true}";
    let workspace = workspace(folder, there, "baseline", rows, 100).await;
    let started = Instant::now();
    let preview = sync::preview(&workspace, &workspace.opened.project.syncs["out"]).await.unwrap();
    let seconds = started.elapsed().as_secs_f64();
    crate::steps(&workspace.stage.timings);
    assert_eq!((preview.adds, preview.updates), (0, rows.div_ceil(100)));
    Figures { rows, seconds }
}

async fn timed(workspace: &Workspace, rows: u64, expected: Outcome) -> Figures {
    let lease = LeaseOptions::new("a benchmark", SystemClock.now());
    let lease = Lease::acquire(&workspace.opened.warehouse, lease).await.unwrap();
    let how = How {
        accept: false,
        hold: None,
        lease: Some(&lease),
        retry: false,
        clock: Arc::new(SystemClock),
        cancel: &Cancel::default(),
        accounts: &Accounts::default(),
        progress: &NoProgress,
    };
    let started = Instant::now();
    let project = &workspace.opened.project;
    let (sync, connection) = (&project.syncs["out"], &project.connections["there"]);
    let order = Order::of([(sync, connection)]);
    let report = sync::deliver(workspace, sync, &how, order.turn(sync, connection)).await.unwrap();
    let seconds = started.elapsed().as_secs_f64();
    lease.release().await.unwrap();
    crate::steps(&workspace.stage.timings);
    assert_eq!(report.outcome, expected);
    Figures { rows, seconds }
}

/// A project with so many customers; every so many of them have another name.
async fn workspace(folder: &Path, there: &str, first_run: &str, rows: u64, changed: u64) -> Workspace {
    let write = |path: &str, text: &str| std::fs::write(folder.join(path), text).unwrap();
    std::fs::create_dir_all(folder.join("models")).unwrap();
    let memory = std::env::var("MEMORY").unwrap_or_else(|_| MEMORY.to_owned());
    let engine = format!("engine: {{memory: {memory}, threads: 2}}");
    write(
        "warehouse.yaml",
        &format!("name: bench\nwarehouse: {{root: ./lake}}\n{engine}\nconnections:\n  there: {there}\n"),
    );
    write("models/bench.yaml", &MODELS.replace("FIRST", first_run));
    write("crm.csv", "id,email,name,city\n1,a@example.com,A,Lyon\n");
    customers(&folder.join("customers.parquet"), rows, changed);
    let request = Request {
        project: folder.to_owned(),
        target: None,
        vars: BTreeMap::new(),
        env: BTreeMap::new(),
        as_of: None,
        now: Utc::now(),
        accept: Vec::new(),
        select: Vec::new(),
        wait: None,
    };
    let opened = open(&request).await.unwrap_or_else(|_| panic!("the project of the benchmark does not open"));
    let workspace = Workspace::new(opened).await.unwrap();
    // The same table as a build publishes; nobody has consented to anything.
    assert!(!workspace.before(&tables::consents(), "consents").await.unwrap());
    let path = folder.join("customers.parquet").display().to_string();
    workspace.opened.session.register_parquet("customer", path, ParquetReadOptions::default()).await.unwrap();
    workspace
}

fn customers(path: &Path, rows: u64, changed: u64) {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let schema = Arc::new(Schema::new(vec![
        text("customer_id"),
        text("email"),
        text("name"),
        text("city"),
        Field::new("spent", DataType::Float64, true),
        Field::new("is_known", DataType::Boolean, true),
    ]));
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), Arc::clone(&schema), None).unwrap();
    for first in (0..rows).step_by(65_536) {
        let part = first..rows.min(first + 65_536);
        let all: Vec<_> = part.clone().map(customer).collect();
        let names = part.zip(&all).map(|(n, one)| {
            if changed > 0 && n.is_multiple_of(changed) { format!("{} Jr", one.2) } else { one.2.clone() }
        });
        let columns: Vec<datafusion::arrow::array::ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(all.iter().map(|one| &one.0))),
            Arc::new(StringArray::from_iter_values(all.iter().map(|one| &one.1))),
            Arc::new(StringArray::from_iter_values(names)),
            Arc::new(StringArray::from_iter_values(all.iter().map(|one| one.3))),
            Arc::new(Float64Array::from_iter_values(all.iter().map(|one| one.4))),
            Arc::new(BooleanArray::from(vec![true; all.len()])),
        ];
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()).unwrap();
    }
    writer.close().unwrap();
}
