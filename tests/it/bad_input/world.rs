//! A world that does not play along: other programs' tables, other runs, disks, databases, secrets, guards.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};

use cohorte::store::{Commit, Input, Lease, LeaseOptions, TableSpec, Warehouse, tables};
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::prelude::SessionContext;
use std::sync::Arc;

use super::shop::{Said, Shop, end};

/// A table of cohorte's name, made by somebody else.
async fn foreign(shop: &Shop, name: &str) {
    let warehouse = Warehouse::open("warehouse", &shop.path(""), "cdp").unwrap();
    let rows =
        RecordBatch::try_from_iter([("something_else", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    let spec = TableSpec {
        name: name.to_owned(),
        schema: rows.schema(),
        partition_by: Vec::new(),
        personal: Vec::new(),
        description: "Somebody else's".to_owned(),
    };
    let session = SessionContext::new();
    let input = session.read_batch(rows).unwrap().into_unoptimized_plan();
    warehouse.overwrite(&spec, Input::from(input), &Commit::default(), &session).await.unwrap();
}

#[tokio::test]
async fn tables_that_another_program_has_given_another_schema() {
    for name in [
        "customer",
        "consents",
        "runs",
        "run_steps",
        "segment_members",
        "segment_sizes",
        "score_values",
        "consent_ledger",
        "customer_ids",
        "customer_nodes",
        "sync_state",
        "sync_receipts",
        "sync_runs",
    ] {
        let shop = Shop::new();
        foreign(&shop, name).await;
        let said = shop.run(&["run"]);
        assert!(matches!(said.code, Some(1 | 2)), "{name}: {said}");
        let known = name != "sync_receipts"; // It is read before it is written.
        assert!(said.err.contains("error[W4") && (said.err.contains(name) || !known), "{name}: {said}");
        // Nothing of it was touched.
        let warehouse = Warehouse::open("warehouse", &shop.path(""), "cdp").unwrap();
        assert_eq!(warehouse.version(name).await.unwrap(), Some(0), "{name}");
    }
}

#[test]
fn files_in_the_place_of_tables() {
    let shop = Shop::new().write("warehouse/cdp/customer", "a file");
    let said = shop.run(&["build"]);
    said.ends_with(2, &["customer"]);
    let shop = Shop::new().write("warehouse", "a file");
    let said = shop.run(&["build"]);
    assert!(matches!(said.code, Some(1 | 2)) && said.err.contains("warehouse"), "{said}");
    // A log that is damaged.
    let shop = Shop::new();
    shop.run(&["build"]).ends_with(0, &[]);
    let log = shop.path("warehouse/cdp/runs/_delta_log/00000000000000000000.json");
    fs::write(&log, "{\"add\": nonsense\n").unwrap();
    let said = shop.run(&["build"]);
    said.ends_with(2, &["runs"]);
}

#[tokio::test]
async fn w414_a_table_that_another_program_has_written_to() {
    let shop = Shop::new();
    shop.run(&["build", "--as-of", "2025-03-01"]).ends_with(0, &[]);
    let count = |shop: &Shop| shop.run(&["query", "select count(*) as n from consents", "--format", "csv"]).out;
    let before = count(&shop);
    let (warehouse, spec) = (Warehouse::open("warehouse", &shop.path(""), "cdp").unwrap(), tables::consents());
    let nothing = RecordBatch::new_empty(Arc::clone(&spec.schema));
    warehouse.overwrite(&spec, nothing, &Commit::default(), &SessionContext::new()).await.unwrap();
    let shop = shop.append("data/orders.csv", "9,dagobert.quux@mailbox.test,1.0,2025-02-01T00:00:00Z\n");
    let said = shop.run(&["build", "--as-of", "2025-03-02"]);
    said.ends_with(0, &["warning[W414]", "`consents`", "version 1 "]);
    assert_eq!(count(&shop), before);
    let again = shop.run(&["build", "--as-of", "2025-03-03"]);
    assert!(!again.ends_with(0, &[]).err.contains("W414"), "{again}");
}

#[test]
fn data_of_the_warehouse_that_is_gone() {
    let shop = Shop::new();
    shop.run(&["build"]).ends_with(0, &[]);
    for entry in fs::read_dir(shop.path("warehouse/cdp/customer_nodes")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    let shop = shop.append("data/orders.csv", "9,dagobert.quux@mailbox.test,1.0,2025-02-01T00:00:00Z\n");
    let said = shop.run(&["build"]);
    assert!(matches!(said.code, Some(2)) && said.err.contains("customer_nodes"), "{said}");
}

#[test]
fn a_warehouse_that_may_not_be_written() {
    let shop = Shop::new();
    let folder = shop.path("warehouse");
    fs::create_dir(&folder).unwrap();
    let mut permissions = fs::metadata(&folder).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&folder, permissions).unwrap();
    // The administrator may write everywhere but where nobody may.
    let shop = if fs::create_dir(folder.join("probe")).is_ok() {
        shop.change("warehouse.yaml", "./warehouse", "/proc/warehouse")
    } else {
        shop
    };
    let said = shop.run(&["build"]);
    said.ends_with(2, &["error[W", "help"]);
}

#[tokio::test]
async fn two_runs_at_once() {
    let shop = Shop::new();
    let warehouse = Warehouse::open("warehouse", &shop.path(""), "cdp").unwrap();
    let lease = Lease::acquire(&warehouse, LeaseOptions::new("a run of the test", chrono::Utc::now())).await.unwrap();
    shop.run(&["build"]).ends_with(4, &["W406", "a run of the test"]);
    shop.run(&["check"]).ends_with(0, &[]);
    lease.release().await.unwrap();

    let started: Vec<_> = (0..3).map(|_| shop.start(&["build"])).collect();
    let mut ends: HashMap<Option<i32>, usize> = HashMap::new();
    for child in started {
        let said = end(child);
        assert!(matches!(said.code, Some(0 | 4)), "{said}");
        *ends.entry(said.code).or_default() += 1;
    }
    assert!(ends.contains_key(&Some(0)), "nobody built: {ends:?}");
    shop.run(&["build"]).ends_with(0, &[]);
}

#[test]
fn a_time_before_what_is_published() {
    let shop = Shop::new();
    shop.run(&["build", "--as-of", "2025-03-01"]).ends_with(0, &[]);
    shop.run(&["build", "--as-of", "2025-02-01"]).ends_with(1, &["W003", "2025-03-01", "--as-of"]);
    shop.run(&["plan", "--as-of", "2025-02-01"]).ends_with(0, &[]);
    shop.run(&["build", "--as-of", "2025-04-01"]).ends_with(0, &[]);
}

#[test]
fn a_connection_without_its_secret() {
    let shop = Shop::new()
        .change(
            "warehouse.yaml",
            "drop: {connector: files, path: ./outbox, deliver: true}",
            "drop: {connector: postgres, url: \"${env.SHOP_DATABASE}\", deliver: true}",
        )
        .models("key: [{email: email}]", "first_run: send\n    key: [{email: email}]");
    // Only those who send need it.
    shop.run(&["check"]).ends_with(0, &[]);
    shop.run(&["build"]).ends_with(0, &[]);
    for arguments in [&["sync"] as &[&str], &["connector", "check"]] {
        shop.run(arguments).ends_with(1, &["error[E110]", "drop", "SHOP_DATABASE"]);
    }

    // A secret is never told.
    for (url, code, word) in [
        ("postgres://u:geheim@127.0.0.1:1/db", 2, "W602"),
        ("postgres://u:geheim@nowhere.invalid/db", 2, "W602"),
        ("mysql://u:geheim@127.0.0.1/db", 1, "E603"),
        ("geheim", 1, "E603"),
    ] {
        let mut command = shop.command(&["sync"]);
        command.env("SHOP_DATABASE", url).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let said = end(command.spawn().unwrap());
        said.ends_with(code, &[word, "drop"]);
        assert!(!said.err.contains("geheim") && !said.out.contains("geheim"), "{said}");
    }
}

#[test]
fn a_sync_before_anything_was_built_and_one_that_is_not_there() {
    let shop = Shop::new();
    shop.run(&["sync"]).ends_with(1, &["W004", "cohorte build"]);
    shop.run(&["build"]).ends_with(0, &[]);
    shop.run(&["sync", "buyer_out"]).ends_with(1, &["W005", "did you mean `buyers_out`?"]);
}

#[test]
fn an_outbox_that_may_not_be_written() {
    let shop = Shop::new().write("outbox", "a file");
    shop.run(&["run"]).ends_with(2, &["W601", "outbox"]);
    let shop = Shop::new().models("object: buyers", "object: ../../buyers");
    shop.run(&["run"]).ends_with(1, &["E602"]);
}

#[test]
fn guards_that_trip() {
    // Of a segment: the members stay as they were, until it is accepted.
    let shop = Shop::new().models("{when: {did: orders}}", "{when: {did: orders}, guard: {max_change: 30%}}");
    shop.run(&["run"]).ends_with(0, &[]);
    let shop = shop.write(
        "data/orders.csv",
        "order_id,email,amount,ordered_at\n1,aurelia.quux@mailbox.test,59.90,2025-01-10T10:02:00Z\n",
    );
    let said = shop.run(&["run"]);
    said.ends_with(3, &["buyers", "GUARD", "--accept buyers"]);
    shop.run(&["run", "--accept", "buyers"]).ends_with(0, &[]);

    // Of a sync: G601.
    let shop = Shop::new().models("mode: mirror", "mode: mirror\n    guard: {max_removed: 20%}");
    shop.run(&["run"]).ends_with(0, &[]);
    let shop = shop.write(
        "data/orders.csv",
        "order_id,email,amount,ordered_at\n1,aurelia.quux@mailbox.test,59.90,2025-01-10T10:02:00Z\n",
    );
    shop.run(&["run"]).ends_with(3, &["buyers_out", "max_removed"]);
    shop.run(&["run", "--accept", "buyers_out"]).ends_with(0, &[]);
}

/// Runs the executable where the folder `small` of the shop is a disk of this size.
fn on_a_small_disk(shop: &Shop, size: &str, arguments: &str) -> Option<Said> {
    fs::create_dir_all(shop.path("small")).unwrap();
    let inside = format!(
        "mount -t tmpfs -o {size} tmpfs small && export TMPDIR=${{SMALL_TMP:-/tmp}} && exec {} {arguments}",
        env!("CARGO_BIN_EXE_cohorte")
    );
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &inside]).current_dir(shop.path(""));
    let allowed = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        println!("NOT TESTED: this machine allows no mounts of one's own");
        return None;
    }
    command.env_remove("RUST_BACKTRACE").stdout(Stdio::piped()).stderr(Stdio::piped());
    if arguments.contains("build") {
        command.env("SMALL_TMP", shop.path("small"));
    }
    Some(end(command.spawn().unwrap()))
}

#[test]
fn disks_that_are_full() {
    // Of the warehouse, of intermediate results, of what is delivered.
    let shop = Shop::new().change("warehouse.yaml", "./warehouse", "./small");
    let Some(said) = on_a_small_disk(&shop, "size=60k", "run") else { return };
    said.ends_with(2, &["error[W4", "No space left", "has room"]);
    let shop = Shop::new();
    let said = on_a_small_disk(&shop, "size=8k", "build").unwrap();
    said.ends_with(2, &["W001", "No space left", "TMPDIR"]);
    let shop = Shop::new().change("warehouse.yaml", "./outbox", "./small");
    let said = on_a_small_disk(&shop, "nr_inodes=2", "run").unwrap();
    said.ends_with(2, &["error[W601", "No space left", "to try again"]);
    shop.run(&["sync"]).ends_with(0, &[]);
}
