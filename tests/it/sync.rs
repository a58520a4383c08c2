//! Syncs from the sources to the outbox, by the real executable: build and deliver, run after run.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const WAREHOUSE: &str = "
name: shop
warehouse: {root: ./lake}
timezone: Europe/Paris
connections:
  drop: {connector: files, path: ./outbox, deliver: true}
";

const MODELS: &str = r#"
sources:
  crm: {path: crm.csv, format: csv, key: id, columns: {email: {type: email}, phone: {type: phone, region: FR}}}
  prefs: {path: prefs.csv, format: csv, key: id, columns: {email: {type: email}}}
entities:
  customer:
    identity:
      identifiers: {email: {type: email}, phone: {type: phone}}
      sources: {crm: {role: record, ids: {email: email, phone: phone}}}
    attributes:
      email: {from: [crm.email]}
      name: {from: [crm.name]}
      city: {from: [crm.city]}
segments:
  here: {when: "city = 'Lyon'"}
purposes:
  news: {channels: [email], basis: consent}
consents:
  prefs: {source: prefs, contact: email, purpose: {value: news}, channel: {value: email}, status: state, at: at}
syncs:
  letter:
    from: {segment: here}
    to: {connection: drop}
    mode: mirror
    on_remove: delete
    on_withdraw: delete
    key: email
    fields: {email: email, name: name}
    consent: {purpose: news, channel: email}
    guard: {max_removed: 40%}
"#;

struct Shop {
    folder: tempfile::TempDir,
    seen: BTreeSet<PathBuf>,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("models")).unwrap();
        fs::write(folder.path().join("warehouse.yaml"), WAREHOUSE).unwrap();
        fs::write(folder.path().join("models/shop.yaml"), MODELS).unwrap();
        Self { folder, seen: BTreeSet::new() }
    }

    fn crm(&self, rows: &[&str]) {
        fs::write(self.folder.path().join("crm.csv"), format!("id,email,phone,name,city\n{}\n", rows.join("\n")))
            .unwrap();
    }

    fn prefs(&self, rows: &[&str]) {
        fs::write(self.folder.path().join("prefs.csv"), format!("id,email,state,at\n{}\n", rows.join("\n"))).unwrap();
    }

    fn cohorte(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
        command.args(arguments).args(["--format", "json"]).current_dir(self.folder.path()).env_remove("RUST_BACKTRACE");
        command.env("COHORTE_USER", "tester");
        command.output().unwrap()
    }

    /// What a verb that succeeds says.
    fn said(&self, arguments: &[&str]) -> String {
        let output = self.cohorte(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the main job; gives the exit code and what went to the outbox, sorted.
    fn run(&mut self, arguments: &[&str]) -> (i32, Vec<String>) {
        let output = self.cohorte(arguments);
        let code = output.status.code().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!([0, 1, 3].contains(&code), "{code}: {talk}");
        let mut sent = Vec::new();
        for entry in fs::read_dir(self.folder.path().join("outbox/letter")).into_iter().flatten() {
            let path = entry.unwrap().path();
            if self.seen.insert(path.clone()) {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                let operation = name.split('.').nth(1).unwrap();
                let text = fs::read_to_string(&path).unwrap();
                sent.extend(text.lines().map(|line| format!("{operation} {line}")));
            }
        }
        sent.sort();
        (code, sent)
    }
}

const ANN: &str = "1,Ann@x.fr,,Ann,Lyon";
const BOB: &str = "2,bob@x.fr,0612345678,Bob,Lyon";
const CYD: &str = "3,cyd@x.fr,,Cyd,Lyon";
const GRANTS: [&str; 3] = [
    "1,ann@x.fr,granted,2025-01-01T00:00:00Z",
    "2,bob@x.fr,granted,2025-01-01T00:00:00Z",
    "3,cyd@x.fr,granted,2025-01-01T00:00:00Z",
];

fn nothing() -> (i32, Vec<String>) {
    (0, Vec::new())
}

fn row(operation: &str, email: &str, name: &str) -> String {
    format!("{operation} {{\"email\":\"{email}\",\"name\":\"{name}\"}}")
}

fn removed(email: &str) -> String {
    format!("removed {{\"email\":\"{email}\"}}")
}

#[test]
fn from_the_sources_to_the_outbox_and_back_again() {
    let mut shop = Shop::new();
    shop.crm(&[ANN, BOB, CYD, "4,dan@x.fr,,Dan,Nice"]);
    shop.prefs(&GRANTS);
    let (code, sent) = shop.run(&["run"]);
    assert_eq!(
        (code, sent),
        (0, vec![row("added", "ann@x.fr", "Ann"), row("added", "bob@x.fr", "Bob"), row("added", "cyd@x.fr", "Cyd")])
    );
    assert_eq!(shop.run(&["run"]), nothing());
    assert_eq!(shop.run(&["sync"]), nothing());

    // A changed field, and a member who moved away.
    shop.crm(&[ANN, &BOB.replace("Bob", "Bert"), &CYD.replace("Lyon", "Nice")]);
    assert_eq!(shop.run(&["plan"]), nothing());
    assert_eq!(shop.run(&["run"]), (0, vec![removed("cyd@x.fr"), row("updated", "bob@x.fr", "Bert")]));
    assert_eq!(shop.run(&["run"]), nothing());

    // A withdrawal is read when the sync starts, built or not.
    shop.crm(&[ANN, &BOB.replace("Bob", "Bert"), CYD]);
    assert_eq!(shop.run(&["run"]), (0, vec![row("added", "cyd@x.fr", "Cyd")]));
    shop.prefs(&[GRANTS[0], GRANTS[1], GRANTS[2], "9,ann@x.fr,withdrawn,2025-06-01T00:00:00Z"]);
    assert_eq!(shop.run(&["sync"]), (0, vec![removed("ann@x.fr")]));
    assert_eq!(shop.run(&["run"]), nothing());
}

#[test]
fn customers_that_merge_and_keys_that_change_leave_nobody_behind() {
    let mut shop = Shop::new();
    shop.crm(&[ANN, BOB, CYD]);
    shop.prefs(&[GRANTS[0], GRANTS[1], GRANTS[2], "4,ann@y.fr,granted,2025-01-01T00:00:00Z"]);
    assert_eq!(shop.run(&["run"]).1.len(), 3);
    // Bob's phone shows that Cyd is he: one customer, one row, whichever address survives.
    shop.crm(&[ANN, BOB, "3,cyd@x.fr,0612345678,Cyd,Lyon"]);
    let (code, merged) = shop.run(&["run", "--accept", "letter"]);
    assert_eq!(code, 0);
    assert_eq!(merged.iter().filter(|line| line.starts_with("removed")).count(), 1, "{merged:?}");
    assert!(merged.iter().all(|line| !line.starts_with("added")), "{merged:?}");
    assert_eq!(shop.run(&["run"]), nothing());
    // Ann has another address: the new row comes, the old one goes, guard or not.
    shop.crm(&["1,ann@y.fr,,Ann,Lyon", BOB, "3,cyd@x.fr,0612345678,Cyd,Lyon"]);
    assert_eq!(shop.run(&["run"]), (0, vec![row("added", "ann@y.fr", "Ann"), removed("ann@x.fr")]));
}

#[test]
fn g601_a_guard_ends_with_3_and_lets_withdrawals_pass() {
    let mut shop = Shop::new();
    shop.crm(&[ANN, BOB, CYD]);
    shop.prefs(&GRANTS);
    assert_eq!(shop.run(&["run"]).1.len(), 3);
    shop.crm(&[ANN, &BOB.replace("Lyon", "Nice"), &CYD.replace("Lyon", "Nice")]);
    shop.prefs(&[GRANTS[0], GRANTS[1], GRANTS[2], "9,ann@x.fr,withdrawn,2025-06-01T00:00:00Z"]);
    assert_eq!(shop.run(&["run"]), (3, vec![removed("ann@x.fr")]));
    assert_eq!(shop.run(&["sync"]), (3, Vec::new()));
    assert_eq!(shop.run(&["sync", "--accept", "letter"]), (0, vec![removed("bob@x.fr"), removed("cyd@x.fr")]));
    assert_eq!(shop.run(&["run"]), nothing());
    // Who let it pass is written down, and stays when the next run publishes.
    let audit = shop.said(&["query", "select who, what, subject, why, previous_hash is null as is_first from audit"]);
    for part in ["\"tester\"", "\"accept\"", "\"sync:letter\"", "2 of 2 rows would leave", "\"is_first\":true"] {
        assert!(audit.contains(part), "{part}: {audit}");
    }
}

#[test]
fn e605_a_source_that_fails_holds_back_what_hangs_on_it_and_lets_withdrawals_pass() {
    let mut shop = Shop::new();
    shop.crm(&[ANN, BOB]);
    shop.prefs(&GRANTS);
    assert_eq!(shop.run(&["run"]).1.len(), 2);
    let withdrawn = "9,ann@x.fr,withdrawn,2025-06-01T00:00:00Z";
    let bert = &BOB.replace("Bob", "Bert");
    // One key is there twice: who the customers are is not known, but what Ann said is.
    shop.crm(&[ANN, bert, bert, CYD]);
    shop.prefs(&[GRANTS[0], GRANTS[1], GRANTS[2], withdrawn]);
    let plan = shop.cohorte(&["plan"]);
    assert_eq!(plan.status.code(), Some(1));
    let plan = String::from_utf8(plan.stdout).unwrap();
    assert!(plan.contains(r#"{"kind":"blocked","model":"sync:letter","source":"crm"}"#), "{plan}");
    assert!(plan.contains("`entity:customer` was not built: `crm` is not as expected"), "{plan}");
    assert_eq!(shop.run(&["run"]), (1, vec![removed("ann@x.fr")]));
    // No guard has tripped: there is nothing to accept.
    assert_eq!(shop.run(&["sync", "--accept", "letter"]), (1, Vec::new()));
    shop.crm(&[ANN, bert, CYD]);
    assert_eq!(shop.run(&["run"]), (0, vec![row("added", "cyd@x.fr", "Cyd"), row("updated", "bob@x.fr", "Bert")]));

    // Consents that cannot be relied on: nobody is added or changed, built or not.
    shop.crm(&[ANN, BOB, CYD, "4,dan@x.fr,,Dan,Lyon"]);
    let all = [GRANTS[0], GRANTS[1], GRANTS[2], withdrawn, "4,dan@x.fr,granted,2025-01-01T00:00:00Z"];
    shop.prefs(&[&all[..], &all[4..]].concat());
    assert_eq!(shop.run(&["run"]), (1, Vec::new()));
    assert_eq!(shop.run(&["sync"]), (1, Vec::new()));
    shop.prefs(&all);
    assert_eq!(shop.run(&["run"]), (0, vec![row("added", "dan@x.fr", "Dan"), row("updated", "bob@x.fr", "Bob")]));
    let runs = shop.said(&["runs"]);
    assert_eq!(runs.lines().filter(|line| line.contains(r#""outcome":"done""#)).count(), 5, "{runs}");
}

#[test]
fn a_segment_that_a_build_holds_is_held_by_the_sync_that_follows() {
    let mut shop = Shop::new();
    let models = MODELS
        .replace(
            "{when: \"city = 'Lyon'\"}",
            "{when: \"city = 'Lyon'\", guard: {max_change: 50%}}\n  there: {when: \"city = 'Nice'\"}",
        )
        .replace("    guard: {max_removed: 40%}\n", "");
    fs::write(shop.folder.path().join("models/shop.yaml"), models).unwrap();
    shop.crm(&[ANN, BOB, CYD]);
    shop.prefs(&GRANTS);
    assert_eq!(shop.run(&["run"]).1.len(), 3);
    // Two of three have moved away, which nobody believes; Ann has another name, and one of the others says no.
    shop.crm(&[&ANN.replace("Ann,", "Anne,"), &BOB.replace("Lyon", "Nice"), &CYD.replace("Lyon", "Nice")]);
    assert_eq!(shop.run(&["build"]), (3, Vec::new()));
    assert_eq!(shop.run(&["sync"]), (3, Vec::new()));
    // A build of something else says nothing about it.
    assert_eq!(shop.run(&["build", "--select", "there"]), nothing());
    assert_eq!(shop.run(&["sync"]), (3, Vec::new()));
    shop.prefs(&[GRANTS[0], GRANTS[1], GRANTS[2], "9,cyd@x.fr,withdrawn,2025-06-01T00:00:00Z"]);
    assert_eq!(shop.run(&["sync"]), (3, vec![removed("cyd@x.fr")]));
    assert_eq!(shop.run(&["sync"]), (3, Vec::new()));
    // Said to be right: the members change, and what is due since then is sent.
    assert_eq!(shop.run(&["build", "--accept", "here"]), nothing());
    assert_eq!(shop.run(&["sync"]), (0, vec![removed("bob@x.fr"), row("updated", "ann@x.fr", "Anne")]));
    assert_eq!(shop.run(&["run"]), nothing());
}
