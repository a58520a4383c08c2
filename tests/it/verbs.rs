//! The verbs that look: selection, SQL to read, tables, history, loading, connections; on the project that `init` writes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use insta::{assert_snapshot, with_settings};

fn cohorte(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
    command.args(arguments).args(["--as-of", "2026-11-01"]).current_dir(dir);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

fn stdout(dir: &Path, arguments: &[&str]) -> String {
    let output = cohorte(dir, arguments);
    assert!(output.status.success(), "{arguments:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The exit code and what stderr says.
fn refused(dir: &Path, arguments: &[&str]) -> String {
    let output = cohorte(dir, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A new project, called `shop`.
fn shop() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix(".tmp").tempdir_in("/tmp").unwrap();
    stdout(dir.path(), &["init", "shop", "-q"]);
    dir
}

fn filtered(run: impl FnOnce()) {
    with_settings!({filters => vec![
        (r"/tmp/\.tmp\w+", "[TMP]"),
        (r"c_[0-9a-f]{20}", "[ID]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "[TIME]"),
    ]}, { run() });
}

/// The SQL of `compile`, ready for `query`.
fn statement(printed: &str) -> String {
    let lines: Vec<&str> = printed.lines().filter(|line| !line.starts_with("-- ")).collect();
    lines.join("\n").trim_end_matches(';').to_owned()
}

#[test]
fn a_new_project_is_in_order_and_runs() {
    let shop = shop();
    let dir = shop.path().join("shop");
    let checked = cohorte(&dir, &["check"]);
    let checked = String::from_utf8(checked.stderr).unwrap();
    let counts = "shop is in order: 2 sources, 1 event, 1 entity, 1 consent, 1 purpose, 4 traits, 3 segments, 1 sync\n";
    assert!(checked.ends_with(counts), "{checked}");
    assert!(cohorte(&dir, &["run"]).status.success());
    assert_eq!(stdout(&dir, &["runs"]).lines().count(), 3);
    let receipts = stdout(&dir, &["receipts", "--format", "json", "--outcome", "accepted"]);
    assert_eq!(receipts.lines().count(), 3, "{receipts}");
    assert!(receipts.lines().all(|line| line.starts_with(r#"{"kind":"receipt","receipt":{"at":"2"#)), "{receipts}");
    assert!(stdout(&dir, &["receipts", "--outcome", "withheld"]).contains("consent withdrawn"));
    let runs = stdout(&dir, &["runs", "--format", "json", "--limit", "1"]);
    assert!(runs.contains(r#""command":"run","outcome":"done""#), "{runs}");

    // What `compile` prints gives the rows that the engine computed.
    for segment in ["regulars", "big_spenders", "never_bought"] {
        let sql = statement(&stdout(&dir, &["compile", &format!("segment:{segment}")]));
        let compiled = format!("select customer_id from ({sql}) as s order by customer_id");
        let members = format!(
            "select entity_id as customer_id from segment_members where segment = '{segment}' and exited_at is null order by entity_id"
        );
        let (printed, computed) = (stdout(&dir, &["query", &compiled]), stdout(&dir, &["query", &members]));
        assert!(printed.lines().count() > 3, "{printed}");
        assert_eq!(printed, computed, "{segment}");
    }
    for name in ["order_count", "revenue", "last_order_at", "average_basket"] {
        let sql = statement(&stdout(&dir, &["compile", &format!("trait:{name}")]));
        let (own, all) = (format!("select customer_id, {name} from"), "order by customer_id");
        let (printed, computed) = (
            stdout(&dir, &["query", &format!("{own} ({sql}) as t {all}")]),
            stdout(&dir, &["query", &format!("{own} customer {all}")]),
        );
        assert_eq!(printed, computed, "{name}");
    }

    filtered(|| {
        assert_snapshot!(stdout(&dir, &["show", "regulars"]), @r"
        segment regulars: Bought at least twice
          of           customer
          members      4
          first entry  2026-10-31T23:00:00Z
          last entry   2026-10-31T23:00:00Z

        sizes, the newest first:
        as of                 members  entered  exited
        --------------------  -------  -------  ------
        2026-10-31T23:00:00Z        4        4       0
        ");
        assert_snapshot!(stdout(&dir, &["show", "revenue"]), @r"
        trait revenue
          type             number
          customers        12
          without value    0
          distinct values  10
          min              0.0
          avg              104.4658
          max              310.0
        ");
        assert_snapshot!(stdout(&dir, &["show", "purchase"]), @r"
        event purchase
          sources           orders
          rows              14
          customers         9
          without customer  0
          first time        2025-01-10T10:02:00Z
          last time         2025-03-16T14:53:00Z
        ");
        assert_snapshot!(stdout(&dir, &["query", "select country, count(*) as n from customer group by 1 order by 2 desc, 1 limit 2"]), @r"
        country  n
        -------  -
        FR       8
        ES       2
        ");
    });
    for name in [
        "customer",
        "runs",
        "sync_receipts",
        "contacts",
        "newsletter",
        "sign_up",
        "regulars_to_outbox",
        "table:customer",
    ] {
        assert!(!stdout(&dir, &["show", name]).is_empty(), "{name}");
    }
    let rows =
        stdout(&dir, &["query", "select order_id, amount from orders_resolved order by 1 limit 1", "--format", "json"]);
    assert_eq!(rows, "{\"kind\":\"row\",\"row\":{\"order_id\":1001,\"amount\":59.9}}\n");
    assert!(refused(&dir, &["query", "select * from custmer"]).contains("did you mean `customer`?"), "E143");
    assert!(refused(&dir, &["query", "delete from customer"]).contains("E207"));
    assert!(refused(&dir, &["query", "select nothing from customer"]).contains("E143"));
    let text = refused(&dir, &["query", "select sum(customer_id) from customer"]);
    assert!(text.contains("`sum` takes") && text.contains("and not String"), "{text}");
    let near = refused(&dir, &["query", "select contry from customer"]);
    assert!(near.contains("there is no column `contry`") && near.contains("did you mean `country`?"), "{near}");
    let syntax = refused(&dir, &["query", "select 1 +"]);
    assert!(syntax.contains("E201") && syntax.contains("one SELECT") && !syntax.contains("WHERE clause"), "{syntax}");
}

#[test]
fn models_are_selected_and_drawn() {
    let shop = shop();
    let dir = shop.path().join("shop");
    assert_snapshot!(stdout(&dir, &["graph"]), @r"
    sources
    ├─ contacts
    └─ orders
    events
    └─ purchase ← orders
    entities
    └─ customer ← contacts, orders
    consents
    └─ sign_up ← contacts
    purposes
    └─ newsletter ← sign_up
    traits
    ├─ order_count ← purchase
    ├─ revenue ← purchase
    ├─ last_order_at ← purchase
    └─ average_basket ← order_count, revenue
    segments
    ├─ regulars ← purchase
    ├─ big_spenders ← revenue
    └─ never_bought ← purchase
    syncs
    └─ regulars_to_outbox ← newsletter, order_count, revenue, regulars
    ");
    assert_snapshot!(stdout(&dir, &["graph", "--mermaid", "-s", "purchase+"]).lines().take(3).collect::<Vec<_>>().join("\n"), @r#"
    flowchart LR
      m2["event purchase"]
      m6["trait order_count"]
    "#);
    let json = stdout(&dir, &["graph", "sync:regulars_to_outbox", "--format", "json"]);
    assert!(
        json.contains(
            r#""needs":["entity:customer","purpose:newsletter","trait:order_count","trait:revenue","segment:regulars"]"#
        ),
        "{json}"
    );
    assert_eq!(stdout(&dir, &["compile", "segments:*"]), stdout(&dir, &["compile", "segments:*"]));
    assert_eq!(
        stdout(&dir, &["compile", "--format", "json"])
            .lines()
            .filter(|line| line.contains("\"model\":\"segment:"))
            .count(),
        3
    );
    let failure = refused(&dir, &["compile", "regulrs"]);
    assert!(failure.contains("error[E140]") && failure.contains("did you mean `regulars`?"), "{failure}");
}

#[test]
fn what_was_not_built_is_said() {
    let shop = shop();
    let dir = shop.path().join("shop");
    assert!(refused(&dir, &["show", "regulars"]).contains("E145"));
    assert!(refused(&dir, &["show", "regularz"]).contains("E140"));
    assert!(refused(&dir, &["receipts", "--outcome", "reject"]).contains("E142"));
    assert!(refused(&dir, &["query", "select * from customer"]).contains("cohorte build"));
    assert_eq!(stdout(&dir, &["runs"]), "");
    let models = dir.join("models/customers.yaml");
    fs::write(&models, fs::read_to_string(&models).unwrap().replace("  revenue: {sum", "  orders: {sum")).unwrap();
    // Broken models do not hide the history.
    assert_eq!(stdout(&dir, &["runs", "-q"]), "");
}

#[test]
fn files_are_loaded_into_tables_once() {
    let shop = shop();
    let dir = shop.path().join("shop");
    let failure = refused(&dir, &["load", "orders", "data/orders.csv"]);
    assert!(failure.contains("E144"), "{failure}");
    assert!(refused(&dir, &["load", "ordres", "data/orders.csv"]).contains("did you mean `orders`?"));
    let models = dir.join("models/customers.yaml");
    let text = fs::read_to_string(&models).unwrap();
    fs::write(&models, text.replace("path: data/orders.csv\n    format: csv", "table: raw/orders")).unwrap();
    assert!(refused(&dir, &["check"]).contains("E311"));
    // Files are meant as the shell means them, wherever the project is.
    let load = ["load", "orders", "shop/data/orders.csv", "--project", "shop", "--format", "json"];
    let loaded = stdout(shop.path(), &load);
    assert_eq!(
        loaded,
        "{\"kind\":\"load\",\"source\":\"orders\",\"rows\":15,\"files\":1,\"skipped\":0,\"version\":0}\n"
    );
    assert!(stdout(shop.path(), &load).contains("\"rows\":0,\"files\":0,\"skipped\":1"));
    assert!(cohorte(&dir, &["check"]).status.success());
}

#[test]
fn how_models_are_computed_is_shown() {
    let shop = shop();
    let dir = shop.path().join("shop");
    assert!(refused(&dir, &["explain", "plan"]).contains("`cohorte build`"), "E143");
    stdout(&dir, &["build"]);
    let all = stdout(&dir, &["explain", "plan"]);
    let of = |what: &str| {
        let (_, rest) = all.split_once(what).unwrap_or_else(|| panic!("{what} is missing: {all}"));
        rest.split("\n-- ").next().unwrap().to_owned()
    };
    let fused = of("fused\n");
    assert!(fused.starts_with("PassExec: orders") && fused.contains("cohorte_tuple_customer("), "{fused}");
    assert!(of("customer_wide: every trait, score and segment\n").contains("HashJoinExec"));
    assert!(of("what is due").contains("join_type=Full"));
    let one = stdout(&dir, &["explain", "plan", "customer", "--format", "json"]);
    assert!(one.lines().all(|line| line.starts_with(r#"{"kind":"plan","of":"entity customer: "#)), "{one}");
}

#[test]
fn connections_are_checked_and_nothing_is_sent() {
    let shop = shop();
    let dir = shop.path().join("shop");
    assert_eq!(stdout(&dir, &["connector", "check"]), "outbox (files) is in order\n");
    assert!(!dir.join("outbox").exists());
    assert!(refused(&dir, &["connector", "check", "outbx"]).contains("did you mean `outbox`?"));
    fs::write(dir.join("outbox"), "a file").unwrap();
    let output = cohorte(&dir, &["connector", "check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("W601"));
    assert!(stdout(&dir, &["connector", "list"]).contains("postgres: a table"));
    let listed = stdout(&dir, &["connector", "list", "--format", "json"]);
    assert_eq!(listed.lines().count(), 2 + cohorte::connector::SHIPPED.len());
}

#[test]
fn the_demonstration_data_is_the_same_for_one_seed() {
    let dir = tempfile::tempdir().unwrap();
    let table = stdout(dir.path(), &["demo", "a", "--customers", "20"]);
    assert!(table.contains("truth/people.csv.gz"), "{table}");
    assert_eq!(table, stdout(dir.path(), &["demo", "b", "--customers", "20"]));
    let read = |folder: &str| fs::read(dir.path().join(folder).join("crm_contacts.csv")).unwrap();
    assert_eq!(read("a"), read("b"));
    let much = ["demo", "c", "--customers", "20", "--events", "2000", "--as", "parquet"];
    let table = stdout(dir.path(), &much);
    assert!(table.contains("web_events/part-*.parquet"), "{table}");
    assert!(dir.path().join("c/web_events/part-00000.parquet").exists());
    let lines = stdout(dir.path(), &["demo", "d", "--customers", "20", "--format", "json"]);
    assert!(lines.lines().any(|line| line.contains(r#""path":"crm_contacts.csv""#)), "{lines}");
}
