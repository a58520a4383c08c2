//! What stays of runs: their rows in `runs`, the versions of tables, and who passed which guard.

use cohorte::compile::Clock;
use cohorte::engine::{Limits, session};
use cohorte::run::Why;
use cohorte::store::{Lease, LeaseOptions};
use datafusion::prelude::SessionContext;

use crate::library::{Folder, texts};
use crate::nasty::warehouse;

const MODELS: &str = r#"
sources:
  crm: {path: crm.csv, key: id, columns: {id: {type: text}, email: {type: email}}}
  orders: {path: orders.csv, key: id, time: at, columns: {email: {type: email}, at: {type: timestamp}}}
entities:
  customer:
    identity:
      identifiers: {email: {type: email}}
      sources: {crm: {role: record, ids: {email: email}}, orders: {role: attach, ids: {email: email}}}
    attributes: {name: {from: [crm.name]}}
segments:
  all: {when: "name is not null", guard: {max: 2}}
  buyers: {when: {did: orders}}
"#;

const FIRST: &str = "2026-06-01T12:00:00Z";
const SECOND: &str = "2026-06-02T12:00:00Z";

const CRM: &str = "id,email,name\n1,a@x.fr,Ana\n2,b@x.fr,Bo\n";

fn shop() -> Folder {
    let folder = Folder::new();
    folder.write("warehouse.yaml", &warehouse(2));
    folder.write("models/shop.yaml", MODELS);
    folder.write("crm.csv", CRM);
    folder.write("orders.csv", "id,email,at\n1,a@x.fr,2026-05-01T00:00:00Z\n");
    folder
}

const RUNS: &str = "select seq, command, outcome, error, published is not null from runs";

#[tokio::test(flavor = "multi_thread")]
async fn every_run_is_recorded_however_it_ended() {
    let folder = shop();
    folder.build(FIRST).await;
    assert_eq!(folder.build(FIRST).await.why, Why::Nothing);
    folder.compute(FIRST).await;
    // One is killed: it never gives its lease back.
    let lease = LeaseOptions::new("cohorte build", FIRST.parse().unwrap()).of_run("r-killed");
    drop(Lease::acquire(&folder.warehouse(), lease).await.unwrap());
    // One fails: history is not rewritten.
    let early = folder.open("2026-05-31T12:00:00Z").await;
    let options = cohorte::run::BuildOptions { command: "run".into(), ..cohorte::run::BuildOptions::default() };
    assert!(cohorte::run::build(early, &options, &cohorte::report::NoProgress).await.is_err());
    folder.build(SECOND).await;
    let wanted = [
        "1 | build | done | ∅ | true",
        "2 | build | unchanged | ∅ | false",
        "3 | build | killed | ∅ | false",
        "4 | run | failed | W003 | false",
        "5 | build | done | ∅ | true",
    ];
    assert_eq!(folder.query(RUNS).await, wanted);
    assert_eq!(folder.query("select run_id from runs where seq = 3").await, ["r-killed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ended_but_for_its_lease_was_not_killed() {
    let folder = shop();
    let built = folder.build(FIRST).await;
    let lease = LeaseOptions::new("cohorte build", FIRST.parse().unwrap()).of_run(&built.workspace.run_id);
    drop(Lease::acquire(&folder.warehouse(), lease).await.unwrap());
    folder.build(SECOND).await;
    assert_eq!(folder.query("select outcome from runs").await, ["done", "done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_rows_did_not_change_keeps_its_version() {
    let folder = shop();
    let first = folder.build(FIRST).await;
    folder.write("orders.csv", "id,email,at\n1,a@x.fr,2026-05-01T00:00:00Z\n2,b@x.fr,2026-06-02T00:00:00Z\n");
    let second = folder.build(SECOND).await;
    let versions = |table: &str| [&first, &second].map(|built| built.workspace.published.version(table).unwrap());
    for table in ["customer", "segment_members"] {
        let [before, after] = versions(table);
        assert!(after > before, "{table}");
    }
    let same = ["records", "identifiers", "links", "nodes", "contested"].map(|table| format!("customer_{table}"));
    for table in same.iter().map(String::as_str).chain(["consents"]) {
        let [before, after] = versions(table);
        assert_eq!(after, before, "{table}");
        assert_eq!(folder.warehouse().version(table).await.unwrap(), Some(before), "{table}");
    }
    let skipped = folder.query("select count(*) from run_steps where outcome = 'unchanged'").await;
    // Those, the ids and the golden record.
    assert_eq!(skipped, ["8"]);

    // One value of one row, a row that is there twice, a null: each is another table.
    let anew = second.workspace.published.version("customer_identifiers");
    folder.write("crm.csv", "id,email,name\n1,a@x.fr,Ana\n2,,Bo\n");
    let third = folder.build(SECOND).await;
    assert!(third.workspace.published.version("customer_identifiers") > anew);
    // A full refresh writes all of them.
    let opened = folder.open(SECOND).await;
    let options = cohorte::run::BuildOptions { full_refresh: true, ..cohorte::run::BuildOptions::default() };
    let Ok(fourth) = cohorte::run::build(opened, &options, &cohorte::report::NoProgress).await else { panic!() };
    assert!(fourth.tables.iter().all(|table| table.is_written));
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_a_guard_is_audited_in_a_chain_that_shows_tampering() {
    let folder = shop();
    folder.build(FIRST).await;
    for (n, as_of) in [(3, SECOND), (4, "2026-06-03T12:00:00Z")] {
        let more: String = (3..=n).map(|id| format!("{id},p{id}@x.fr,P{id}\n")).collect();
        folder.write("crm.csv", &format!("{CRM}{more}"));
        assert!(folder.build(as_of).await.segments.iter().any(cohorte::run::SegmentChange::is_held));
        folder.build_some(as_of, &[], &["all"]).await;
    }
    let acts = folder.query("select what, subject, why, who is not null from audit").await;
    assert_eq!(
        acts,
        [
            "accept | segment:all | 3 members, at most 2 are expected | true",
            "accept | segment:all | 4 members, at most 2 are expected | true",
        ]
    );
    assert_eq!(faults(&folder, "select * from stored").await, (0, 0));
    let tampered = "select audit_id, who, what, subject, replace(why, '3', '2') as why, at, run_id, previous_hash, hash from stored";
    assert_eq!(faults(&folder, tampered).await, (1, 0));
    let taken_out = "select * from stored where previous_hash is not null";
    assert_eq!(faults(&folder, taken_out).await, (0, 1));
}

/// Computed from members that are refused, a segment would have members who are not in the one that it needs.
#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_segment_that_a_guard_holds_is_held_too() {
    let folder = shop();
    folder.write(
        "models/shop.yaml",
        &format!("{MODELS}  named: {{when: {{in: all}}}}\n  unnamed: {{when: {{not_in: named}}}}\n"),
    );
    folder.build(FIRST).await;
    folder.write("crm.csv", &format!("{CRM}3,c@x.fr,Cy\n4,d@x.fr,\n"));
    let held = |built: cohorte::run::Built| -> Vec<String> {
        built.segments.into_iter().filter(cohorte::run::SegmentChange::is_held).map(|change| change.segment).collect()
    };
    let built = folder.build(SECOND).await;
    // What to do names the guard, whoever is held by it.
    let failures: Vec<_> = built.segments.iter().filter_map(cohorte::run::SegmentChange::failure).collect();
    assert_eq!(failures.len(), 3);
    assert!(failures.iter().all(|failure| failure.help.contains("`--accept all`")), "{failures:?}");
    assert_eq!(held(built), ["all", "named", "unnamed"]);
    let members = "select segment, count(*) from segment_members where exited_at is null group by segment";
    assert_eq!(folder.query(members).await, ["all | 2", "buyers | 1", "named | 2"]);
    assert_eq!(folder.query("select name from customer where array_has(segments, 'unnamed')").await, [""; 0]);
    // The name of who needs it passes nothing.
    assert_eq!(held(folder.build_some(SECOND, &[], &["named"]).await), ["all", "named", "unnamed"]);
    assert_eq!(held(folder.build_some(SECOND, &[], &["all"]).await), [""; 0]);
    assert_eq!(folder.query(members).await, ["all | 3", "buyers | 1", "named | 3", "unnamed | 1"]);
}

/// Rows of the chain that do not have their hash, and rows whose predecessor is not there.
async fn faults(folder: &Folder, audit: &str) -> (usize, usize) {
    let clock = Clock { as_of: SECOND.parse().unwrap(), timezone: chrono_tz::UTC };
    let session: SessionContext = session(Limits::of(None, None), &clock).unwrap();
    let stored = folder.warehouse().provider("audit", None).await.unwrap().unwrap();
    session.register_table("stored", stored).unwrap();
    let audit = session.sql(audit).await.unwrap().into_view();
    session.register_table("audit", audit).unwrap();
    let count = async |sql: &str| texts(&session.sql(sql).await.unwrap().collect().await.unwrap()).len();
    let own =
        "select 1 from audit where hash <> cohorte_hash(audit_id, who, what, subject, why, at, run_id, previous_hash)";
    let before =
        "select 1 from audit where previous_hash is not null and previous_hash not in (select hash from audit)";
    (count(own).await, count(before).await)
}
