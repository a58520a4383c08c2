//! Sources and warehouses in object stores, by the real executable, against servers that speak S3 and Azure.

mod server;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use serde_json::Value;
use tempfile::TempDir;

use server::{Server, python, said};

const WAREHOUSE: &str = r#"
name: shop
warehouse: {root: "ROOT/a house"}
timezone: Europe/Paris
connections:
  drop: {connector: files, path: "ROOT/an outbox", deliver: true}
"#;

const MODELS: &str = r#"
sources:
  crm: {path: "ROOT/in/crm-*.csv", key: id, columns: {email: {type: email}}}
  prefs: {path: "ROOT/in/prefs.ndjson", key: id, columns: {email: {type: email}}}
  visits: {path: "ROOT/in/visits", format: parquet, key: id, time: at, columns: {at: {parse: "%Y-%m-%d"}}}
  orders: {table: raw/orders, key: id, time: at}
  again: {path: "ROOT/a house/raw/orders", format: delta, key: id, time: at}
entities:
  customer:
    identity:
      identifiers: {email: {type: email}}
      sources:
        crm: {role: record, ids: {email: email}}
        visits: {role: attach, ids: {email: email}}
        orders: {role: attach, ids: {email: email}}
        again: {role: attach, ids: {email: email}}
    attributes:
      email: {from: [crm.email]}
traits:
  visits: {count: visits}
  spent: {sum: orders.amount}
  spent_again: {sum: again.amount}
segments:
  visitors: {when: {did: visits}}
purposes:
  news: {channels: [email]}
consents:
  prefs: {source: prefs, contact: email, purpose: {value: news}, channel: {value: email}, status: state, at: at}
syncs:
  letter:
    from: {segment: visitors}
    to: {connection: drop}
    mode: mirror
    on_remove: delete
    on_withdraw: delete
    key: email
    fields: {visits: visits}
    consent: {purpose: news, channel: email}
"#;

/// Customers of the first file and, later, of the second.
const CUSTOMERS: usize = 40;

struct Shop<'a> {
    server: &'a Server,
    folder: TempDir,
}

impl<'a> Shop<'a> {
    fn new(server: &'a Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("models")).unwrap();
        let write = |path: &str, text: &str| {
            std::fs::write(folder.path().join(path), text.replace("ROOT", server.root)).unwrap();
        };
        write("warehouse.yaml", WAREHOUSE);
        write("models/shop.yaml", MODELS);
        let mut orders = "id,email,amount,at\n".to_owned();
        for n in 0..CUSTOMERS {
            writeln!(orders, "{n},p{n}@x.fr,{n},2025-05-01T00:00:00Z").unwrap();
        }
        write("orders.csv", &orders);
        Self { server, folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
        command.args(arguments).current_dir(self.folder.path()).env_remove("RUST_BACKTRACE");
        command.envs(self.server.environment.clone()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn cohorte(&self, arguments: &[&str]) -> (Option<i32>, String) {
        said(&self.command(arguments).output().unwrap())
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let (code, text) = self.cohorte(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        text
    }

    /// The one number that a query answers.
    fn number(&self, sql: &str) -> f64 {
        let text = self.done(&["query", sql, "--format", "json"]);
        let row: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        row["row"].as_object().unwrap().values().next().unwrap().as_f64().unwrap()
    }

    /// The keys that were delivered, and how many lines that took.
    fn delivered(&self) -> (BTreeSet<String>, usize) {
        let (mut keys, mut lines) = (BTreeSet::new(), 0);
        for file in self.server.list("an outbox") {
            for line in self.server.get(&file).lines() {
                let row: Value = serde_json::from_str(line).unwrap();
                keys.insert(row["email"].as_str().unwrap().to_owned());
                lines += 1;
            }
        }
        (keys, lines)
    }
}

/// Puts a range of customers into the store: a file of each kind.
fn customers(server: &Server, part: usize) {
    let numbers = part * CUSTOMERS..(part + 1) * CUSTOMERS;
    let lines = |row: &dyn Fn(usize) -> String| numbers.clone().map(row).collect::<String>();
    server.put(&format!("in/crm-{part}.csv"), format!("id,email\n{}", lines(&|n| format!("{n},p{n}@x.fr\n"))));
    let grants = (0..numbers.end).map(|n| {
        format!("{{\"id\": {n}, \"email\": \"p{n}@x.fr\", \"state\": \"granted\", \"at\": \"2025-04-01T00:00:00Z\"}}\n")
    });
    server.put("in/prefs.ndjson", grants.collect::<String>());
    let text = |value: &dyn Fn(usize) -> String| {
        Arc::new(numbers.clone().map(|n| Some(value(n))).collect::<StringArray>()) as ArrayRef
    };
    let rows = RecordBatch::try_from_iter([
        ("id", text(&|n| format!("v{n}"))),
        ("email", text(&|n| format!("p{n}@x.fr"))),
        ("at", text(&|_| "2025-05-02".to_owned())),
    ]);
    let rows = rows.unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    server.put(&format!("in/visits/part {part}.parquet"), writer.into_inner().unwrap());
}

fn a_warehouse_there(server: &Server) {
    let shop = Shop::new(server);
    customers(server, 0);
    shop.done(&["load", "orders", "orders.csv"]);
    shop.done(&["check"]);
    let checked = shop.done(&["connector", "check"]);
    assert!(checked.contains("drop (files) is in order"), "{checked}");
    assert!(server.list("an outbox").is_empty(), "looking leaves nothing behind");
    let first = shop.done(&["run", "--as-of", "2025-06-01"]);
    assert_eq!(shop.delivered(), ((0..CUSTOMERS).map(|n| format!("p{n}@x.fr")).collect(), CUSTOMERS), "{first}");
    let spent = (0..CUSTOMERS).sum::<usize>() as f64;
    assert!((shop.number("select sum(spent) from customer") - spent).abs() < 1e-9);
    assert!((shop.number("select sum(spent_again) from customer") - spent).abs() < 1e-9);
    shop.done(&["run", "--as-of", "2025-06-02"]);
    assert_eq!(shop.delivered().1, CUSTOMERS, "nothing is due any more");

    killed_and_run_again(&shop);
    held_by_another(&shop);
    read_from_outside(&shop);
    let (code, text) = shop.cohorte(&["plan", "--as-of", "2025-06-05", "--exit-code"]);
    assert_eq!(code, Some(0), "all is done: {text}");
}

fn killed_and_run_again(shop: &Shop<'_>) {
    customers(shop.server, 1);
    let started = Instant::now();
    shop.done(&["plan", "--as-of", "2025-06-03"]);
    let whole = started.elapsed() * 2;
    for kill in 1..=4 {
        let mut child = shop.command(&["run", "--as-of", "2025-06-03"]).spawn().unwrap();
        std::thread::sleep(whole * kill / 4);
        let _ = child.kill();
        said(&child.wait_with_output().unwrap());
    }
    shop.done(&["run", "--as-of", "2025-06-03"]);
    assert_eq!(shop.delivered().0, (0..2 * CUSTOMERS).map(|n| format!("p{n}@x.fr")).collect());
    assert!((shop.number("select count(*) from customer") - 2.0 * CUSTOMERS as f64).abs() < 0.1);
}

/// The first run is stopped while it holds the lease: the second is told so, and the first goes on when it may.
fn held_by_another(shop: &Shop<'_>) {
    let leases = || shop.server.list("a house/cdp/_cohorte/lease");
    let before: BTreeSet<_> = leases().into_iter().collect();
    let first = shop.command(&["run", "--as-of", "2025-06-04"]).spawn().unwrap();
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &first.id().to_string()]).status().unwrap().success());
    };
    let started = Instant::now();
    while !leases().iter().any(|file| !before.contains(file) && file.as_ref().ends_with(".json")) {
        assert!(started.elapsed() < Duration::from_mins(1), "no lease was taken");
    }
    signal("-STOP");
    let (code, text) = shop.cohorte(&["run", "--as-of", "2025-06-04"]);
    signal("-CONT");
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("W406"), "{text}");
    let (code, text) = said(&first.wait_with_output().unwrap());
    assert_eq!(code, Some(0), "{text}");
}

/// Others read as many rows as cohorte does.
fn read_from_outside(shop: &Shop<'_>) {
    for table in ["customer", "segment_members", "runs", "sync_state"] {
        let url = format!("{}/a house/cdp/{table}", shop.server.root);
        let mut command = Command::new(python());
        command.args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/remote.py"), &url]);
        let output = command.envs(shop.server.environment.clone()).output().unwrap();
        let (code, text) = said(&output);
        assert_eq!(code, Some(0), "{text}");
        let rows = shop.number(&format!("select count(*) from {table}"));
        assert_eq!(text.trim(), rows.to_string(), "{table}");
    }
}

#[test]
fn a_warehouse_on_s3() {
    a_warehouse_there(&Server::s3());
}

#[test]
fn a_warehouse_on_azure() {
    a_warehouse_there(&Server::azure());
}

#[test]
fn w413_stores_that_are_not_there_or_let_nobody_in() {
    let server = Server::s3();
    customers(&server, 0);
    let shop = Shop::new(&server);
    let path = shop.folder.path().join("warehouse.yaml");
    // A bucket that does not exist, for the warehouse and for a source.
    std::fs::write(&path, WAREHOUSE.replace("ROOT", "s3://pond")).unwrap();
    let (code, text) = shop.cohorte(&["load", "orders", "orders.csv"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("W413") && text.contains("NoSuchBucket") && text.contains("bucket"), "{text}");
    // Nor does the place of a connection's files.
    std::fs::write(&path, WAREHOUSE.replace("ROOT/an outbox", "s3://pond").replace("ROOT", "s3://lake")).unwrap();
    let (code, text) = shop.cohorte(&["connector", "check"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("W413") && text.contains("NoSuchBucket") && text.contains("s3://pond"), "{text}");
    std::fs::write(&path, WAREHOUSE.replace("ROOT/an outbox", "ftp://pond").replace("ROOT", "s3://lake")).unwrap();
    let (code, text) = shop.cohorte(&["connector", "check"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("E110") && text.contains("`ftp://` is not known") && text.contains("path:"), "{text}");
    // A server that is not there.
    let mut command = shop.command(&["check"]);
    let output = command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").output().unwrap();
    let (code, text) = said(&output);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("W413") && text.contains("refused") && text.contains("AWS_"), "{text}");
    // Commits that are not conditional would not exclude anybody.
    std::fs::write(&path, WAREHOUSE.replace("ROOT", "s3://lake")).unwrap();
    shop.done(&["load", "orders", "orders.csv"]);
    let mut command = shop.command(&["run"]);
    let output = command.env("AWS_CONDITIONAL_PUT", "disabled").output().unwrap();
    let (code, text) = said(&output);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("W408"), "{text}");
}
