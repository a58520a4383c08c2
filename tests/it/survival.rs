//! The real executable, killed at any moment while vendors fail: in the end they have exactly what is desired, nothing was called
//! delivered that a vendor did not take, and nothing was done twice that may be done once. COHORTE_KILL_SEEDS says how many runs.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::delivery::{MODELS, Person, cohorte, people, project, said};
use crate::fakes::faults::{Faults, draw};
use crate::fakes::http::{Asked, Reply};
use crate::fakes::mailchimp::Mailchimp;
use crate::fakes::server::{Fake, Vendor};
use crate::library::Folder;

/// Keeps entries; what is said twice is there twice.
#[derive(Default)]
struct Till {
    entries: BTreeMap<String, u64>,
    is_broken: bool,
}

impl Vendor for Till {
    fn answer(&mut self, asked: &Asked, upset: bool) -> Reply {
        if self.is_broken {
            return Reply::json(500, &json!({"detail": "sorry"}));
        }
        if upset {
            return Reply::json(503, &json!({}));
        }
        for row in asked.json()["rows"].as_array().into_iter().flatten() {
            *self.entries.entry(row["id"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        Reply::ok(&json!({}))
    }
}

const TILL: &str = r#"
connector: till
description: a till that writes down whatever it is told
docs: https://till.invalid
checked: 2026-11
objects:
  entry:
    description: an entry
    keys: {id: {}}
    fields: {city: {}}
    create:
      request: {method: POST, path: /entries, json: {rows: "{{ rows }}"}}
      row: {id: "{{ row.key.id }}", city: "{{ row.fields.city }}"}
      batch: {rows: 2}
      idempotent: false
      result: none
"#;

const ENTRIES: &str = r#"
  entries:
    from: {segment: here}
    to: {connection: till, object: entry}
    mode: insert
    key: [{id: email}]
    fields: {city: city}
    consent: {none: "a till writes to nobody"}
    first_run: send
"#;

struct Shop {
    folder: Folder,
    mail: Fake<Mailchimp>,
    till: Fake<Till>,
}

impl Shop {
    fn new() -> Self {
        let (mail, till) =
            (Fake::start(Mailchimp::default(), Faults::none()), Fake::start(Till::default(), Faults::none()));
        let folder = project(&mail.url(), &format!("{}{ENTRIES}", MODELS.trim_end()));
        let warehouse = std::fs::read_to_string(folder.path().join("warehouse.yaml")).unwrap();
        folder.write(
            "warehouse.yaml",
            &format!("{warehouse}  till: {{connector: till, url: \"{}\", deliver: true}}\n", till.url()),
        );
        folder.write("connectors/till.yaml", TILL);
        Self { folder, mail, till }
    }

    fn start(&self, as_of: &str, environment: &[(&str, String)]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
        command.args(["run", "--retry", "--as-of", as_of]).current_dir(self.folder.path());
        command.env("MAIL_KEY", "key").env("COHORTE_USER", "tester").envs(environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn fail(&self, seed: u64, percent: u64) {
        self.mail.fail(Faults::seeded(seed, percent));
        self.till.fail(Faults::seeded(seed + 1, percent));
    }

    /// Runs until nothing is left to do.
    fn finish(&self, as_of: &str, seed: u64) {
        self.fail(0, 0);
        for _ in 0..8 {
            let output = cohorte(&self.folder, &["run", "--retry", "--as-of", as_of, "--format", "json"], Some("key"));
            let text = said(&output);
            let syncs: Vec<serde_json::Value> = String::from_utf8_lossy(&output.stdout)
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .filter(|line: &serde_json::Value| line["kind"] == "sync")
                .collect();
            assert_eq!(syncs.len(), 3, "seed {seed}: {text}");
            let sent = ["added", "updated", "removed", "withdrawn", "retry"];
            if syncs.iter().all(|sync| sync["outcome"] == "done" && sent.iter().all(|what| sync[*what] == 0)) {
                return;
            }
        }
        panic!("seed {seed}: it does not end");
    }

    fn query(&self, sql: &str) -> Vec<serde_json::Value> {
        let output = cohorte(&self.folder, &["query", sql, "--format", "json"], None);
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8_lossy(&output.stdout).lines().map(row).collect()
    }

    /// What is there is what is desired; what was said once was said once.
    fn is_right(&self, history: &[Person<'_>], seed: u64) {
        let desired: BTreeMap<&str, &str> = history
            .iter()
            .filter(|(.., city, granted)| *city == "Lyon" && *granted)
            .map(|(_, email, name, ..)| (*email, *name))
            .collect();
        let mail = self.mail.state();
        let there: BTreeMap<&str, &str> = mail
            .members
            .iter()
            .map(|(email, member)| (email.as_str(), member.merge_fields["FNAME"].as_str().unwrap_or_default()))
            .collect();
        assert_eq!(there, desired, "seed {seed}");
        let tagged: Vec<&str> = mail.tags[0].1.iter().map(String::as_str).collect();
        assert_eq!(tagged, desired.keys().copied().collect::<Vec<_>>(), "seed {seed}");

        let entries = &self.till.state().entries;
        assert!(entries.values().all(|count| *count == 1), "seed {seed}: {entries:?}");
        let state = self.query("select key, status from sync_state where sync = 'entries'");
        let status = |email: &str| {
            let key = json!({"id": email}).to_string();
            state.iter().find(|row| row["key"] == key.as_str()).and_then(|row| row["status"].as_str()).unwrap_or("none")
        };
        for (_, email, _, city, _) in history.iter().filter(|person| person.3 == "Lyon") {
            match status(email) {
                "delivered" => assert_eq!(entries.get(*email), Some(&1), "seed {seed}: {email} {city}"),
                // Nobody can tell, so it is not said again.
                "unknown" => {}
                other => panic!("seed {seed}: {email} is {other}"),
            }
        }
    }
}

/// A row of a result, of its line.
fn row(line: &str) -> serde_json::Value {
    serde_json::from_str::<serde_json::Value>(line).unwrap()["row"].take()
}

/// A run that is paused in the midst of a sync is replaced by one that waited; when it goes on it neither commits nor sends.
#[test]
fn a_run_that_was_paused_neither_commits_nor_sends_after_another_took_over() {
    let shop = Shop::new();
    let crowd: Vec<(String, String)> = (0..60).map(|n| (n.to_string(), format!("p{n:02}@x.fr"))).collect();
    let crowd: Vec<Person<'_>> =
        crowd.iter().map(|(id, email)| (id.as_str(), email.as_str(), "P", "Lyon", true)).collect();
    people(&shop.folder, &crowd);
    shop.till.fail(Faults::slow());
    let as_of = "2026-06-01T00:00:00Z";
    let mut paused = shop.start(as_of, &[]);
    let started = Instant::now();
    while shop.till.state().entries.len() < 10 {
        assert!(started.elapsed() < Duration::from_mins(1) && paused.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &paused.id().to_string()]).status().unwrap().success());
    };
    signal("-STOP");
    // What was under way arrives.
    std::thread::sleep(Duration::from_millis(300));
    let sent = shop.till.state().entries.len();
    assert!(sent < crowd.len(), "it was paused in the midst");
    let run = |more: &[&str]| {
        let arguments = [["run", "--as-of", as_of].as_slice(), more].concat();
        let output = cohorte(&shop.folder, &arguments, Some("key"));
        (output.status.code(), said(&output))
    };
    let (code, text) = run(&[]);
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("W406") && text.contains("holds it since"), "{text}");
    // Its period is two minutes; here it had said half a second.
    let lease = shop.folder.path().join("lake/cdp/_cohorte/lease");
    let newest = std::fs::read_dir(&lease).unwrap().map(|file| file.unwrap().path()).max().unwrap();
    let mut claim: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&newest).unwrap()).unwrap();
    claim["period_ms"] = json!(500);
    std::fs::write(&newest, claim.to_string()).unwrap();
    let (code, text) = run(&["--wait", "30s"]);
    assert_eq!(code, Some(0), "{text}");
    let tables = |shop: &Shop| shop.query("select sync, key, status, deliveries from sync_state order by sync, key");
    let (entries, before) = (shop.till.state().entries.clone(), tables(&shop));
    let runs = shop.query("select run_id, outcome from runs order by seq");

    signal("-CONT");
    let ended = paused.wait().unwrap();
    assert_eq!(ended.code(), Some(4), "it says that it was replaced");
    assert_eq!(shop.till.state().entries, entries);
    assert_eq!(tables(&shop), before);
    assert_eq!(shop.query("select run_id, outcome from runs order by seq"), runs);
    assert!(entries.values().all(|count| *count == 1), "{entries:?}");
    // Of the rows that were intended when it was paused nobody can tell; the others went.
    assert_eq!(before.iter().filter(|row| row["sync"] == "entries" && row["status"] == "unknown").count(), crowd.len());
    assert_eq!(shop.mail.state().members.len(), crowd.len());
}

/// W612: what was not taken, or of which nobody knows, is no success.
#[test]
fn w612_rows_that_are_not_taken_end_with_2_and_a_reason() {
    let shop = Shop::new();
    people(&shop.folder, HISTORIES[0]);
    shop.till.state().is_broken = true;
    let run = |more: &[&str]| {
        let output = cohorte(&shop.folder, &[&["run", "--as-of", "2026-06-01"], more].concat(), Some("key"));
        (output.status.code(), said(&output))
    };
    let (code, text) = run(&[]);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("error[W612]") && text.contains("4 rows were not taken") && text.contains("most often `500`"),
        "{text}"
    );
    // The others are unharmed; what nobody knows is not said twice, and is no news in the next run.
    assert_eq!(shop.mail.state().members.len(), 3);
    shop.till.state().is_broken = false;
    let (code, text) = run(&["--retry"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(shop.till.state().entries.is_empty(), "{text}");
}

const HISTORIES: [&[Person<'static>]; 2] = [
    &[
        ("1", "ann@x.fr", "Ann", "Lyon", true),
        ("2", "bob@x.fr", "Bob", "Lyon", true),
        ("3", "cid@x.fr", "Cid", "Paris", true),
        ("4", "dan@x.fr", "Dan", "Lyon", false),
        ("5", "eve@x.fr", "Eve", "Lyon", true),
    ],
    &[
        ("1", "ann@x.fr", "Anna", "Lyon", true),
        ("2", "bob@x.fr", "Bob", "Paris", true),
        ("3", "cid@x.fr", "Cid", "Lyon", true),
        ("4", "dan@x.fr", "Dan", "Lyon", false),
        ("5", "eve@x.fr", "Eve", "Lyon", false),
    ],
];

/// One history: killed and run again, under faults. Gives how often it was killed.
fn survives(seed: u64) -> u64 {
    let shop = Shop::new();
    let (mut state, mut killed) = (seed, 0);
    for (round, history) in HISTORIES.into_iter().enumerate() {
        people(&shop.folder, history);
        let as_of = format!("2026-06-0{}T00:00:00Z", round + 1);
        for _ in 0..=draw(&mut state, 3) {
            shop.fail(draw(&mut state, u64::MAX), 25);
            let at_boundary = draw(&mut state, 2) == 0;
            let environment = at_boundary.then(|| ("COHORTE_DIE_AT", (1 + draw(&mut state, 80)).to_string()));
            let mut child = shop.start(&as_of, environment.as_slice());
            let patience = Duration::from_millis(if at_boundary { 8_000 } else { draw(&mut state, 1_500) });
            let started = Instant::now();
            while child.try_wait().unwrap().is_none() && started.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = child.kill();
            killed += u64::from(child.wait().unwrap().code().is_none());
        }
        shop.finish(&as_of, seed);
        shop.is_right(history, seed);
    }
    killed
}

#[test]
fn killed_anywhere_while_vendors_fail_all_ends_as_desired() {
    let seeds: u64 = std::env::var("COHORTE_KILL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(12);
    let (next, killed) = (AtomicU64::new(0), AtomicU64::new(0));
    // Most of the time is spent waiting for vendors to recover.
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::SeqCst)).filter(|seed| *seed < seeds) {
                    killed.fetch_add(survives(seed), Ordering::SeqCst);
                }
            });
        }
    });
    let killed = killed.into_inner();
    eprintln!("{seeds} histories, killed {killed} times");
    assert!(killed >= seeds, "only {killed} runs were killed");
}
