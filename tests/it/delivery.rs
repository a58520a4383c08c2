//! Delivery to HTTP APIs, from the sources to what is really at the vendor: by the real executable, and under seeded faults by the
//! library with a clock of the test's own.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use cohorte::project::Sync;
use cohorte::report::NoProgress;
use cohorte::run::sync::{self, How, Order, Report};
use cohorte::store::{Lease, LeaseOptions, Warehouse};
use cohorte::sync::clock::{Cancel, Clock};
use cohorte::sync::http::Accounts;
use cohorte::sync::journal::Verdict;
use datafusion::prelude::SessionContext;
use futures::future::join_all;

use crate::fakes::faults::Faults;
use crate::fakes::mailchimp::Mailchimp;
use crate::fakes::server::Fake;
use crate::library::{Folder, texts};

pub(crate) const MODELS: &str = r#"
sources:
  crm: {path: crm.csv, format: csv, key: id, columns: {email: {type: email}}}
  prefs: {path: prefs.csv, format: csv, key: id, columns: {email: {type: email}}}
entities:
  customer:
    identity:
      identifiers: {id: {priority: 1, per_customer: 1}, email: {type: email}}
      sources: {crm: {role: record, ids: {id: id, email: email}}}
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
  readers:
    from: {segment: here}
    to: {connection: mail, object: member}
    mode: mirror
    on_remove: delete
    on_withdraw: delete
    key: [{email: email}]
    fields: {FNAME: name}
    consent: {purpose: news, channel: email}
    first_run: send
  tagged:
    from: {segment: here}
    to: {connection: mail, object: tag, name: Lyon}
    mode: mirror
    on_remove: delete
    on_withdraw: delete
    key: [{email: email}]
    consent: {purpose: news, channel: email}
    first_run: send
"#;

/// A project whose mail goes to a server.
pub(crate) fn project(url: &str, models: &str) -> Folder {
    let folder = Folder::new();
    let warehouse = format!(
        "name: shop\nwarehouse: {{root: ./lake}}\ntimezone: Europe/Paris\nconnections:\n  mail: {{connector: mailchimp, url: \"{url}\", \
         auth: {{api_key: \"${{env.MAIL_KEY}}\"}}, settings: {{server: us1, list: abc}}, deliver: true}}\n"
    );
    folder.write("warehouse.yaml", &warehouse);
    folder.write("models/shop.yaml", models);
    folder
}

/// (id, email, name, city, may be written to)
pub(crate) type Person<'a> = (&'a str, &'a str, &'a str, &'a str, bool);

pub(crate) fn people(folder: &Folder, people: &[Person<'_>]) {
    let crm: String = people.iter().map(|(id, email, name, city, _)| format!("{id},{email},{name},{city}\n")).collect();
    let prefs: String = people
        .iter()
        .map(|(id, email, .., granted)| {
            let (state, at) = if *granted { ("granted", "2026-01-01") } else { ("withdrawn", "2026-01-02") };
            format!("{id},{email},{state},{at}T00:00:00Z\n")
        })
        .collect();
    folder.write("crm.csv", &format!("id,email,name,city\n{crm}"));
    folder.write("prefs.csv", &format!("id,email,state,at\n{prefs}"));
}

pub(crate) fn cohorte(folder: &Folder, arguments: &[&str], key: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
    command.args(arguments).current_dir(folder.path()).env_remove("RUST_BACKTRACE").env_remove("MAIL_KEY");
    command.env("COHORTE_USER", "tester").envs(key.map(|key| ("MAIL_KEY", key)));
    command.output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn members(state: &Mailchimp) -> Vec<String> {
    let shown = |(email, member): (&String, &crate::fakes::mailchimp::Member)| {
        format!(
            "{email} {} {}",
            member.status,
            member.merge_fields.get("FNAME").and_then(|name| name.as_str()).unwrap_or("-")
        )
    };
    state.members.iter().map(shown).collect()
}

#[test]
fn members_and_tags_come_change_leave_and_are_withdrawn() {
    let vendor = Fake::start(Mailchimp::default(), Faults::none());
    let folder = project(&vendor.url(), MODELS);
    people(
        &folder,
        &[
            ("1", "ann@x.fr", "Ann", "Lyon", true),
            ("2", "bob@x.fr", "Bob", "Lyon", true),
            ("3", "cid@x.fr", "Cid", "Lyon", false),
            ("4", "bad1@x.fr", "Bad", "Lyon", true),
        ],
    );
    let run = || cohorte(&folder, &["run", "--as-of", "2026-06-01"], Some("secret-key-us1"));
    let output = run();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(members(&vendor.state()), ["ann@x.fr subscribed Ann", "bob@x.fr subscribed Bob"]);
    assert_eq!(vendor.state().tags[0].0, "Lyon");
    assert_eq!(vendor.state().tags[0].1.iter().collect::<Vec<_>>(), ["ann@x.fr", "bob@x.fr"]);
    let told = said(&output);
    assert!(
        told.contains("readers: 1 rejected, ERROR_GENERIC")
            && !told.contains("secret-key")
            && !told.contains("bad1@x.fr"),
        "{told}"
    );

    // One changes, one leaves, one withdraws.
    people(
        &folder,
        &[
            ("1", "ann@x.fr", "Anna", "Lyon", true),
            ("2", "bob@x.fr", "Bob", "Paris", true),
            ("5", "eve@x.fr", "Eve", "Lyon", true),
        ],
    );
    assert!(run().status.success());
    assert_eq!(members(&vendor.state()), ["ann@x.fr subscribed Anna", "eve@x.fr subscribed Eve"]);
    people(&folder, &[("1", "ann@x.fr", "Anna", "Lyon", false), ("5", "eve@x.fr", "Eve", "Lyon", true)]);
    // `sync` alone reads consents as fresh as they are.
    let output = cohorte(&folder, &["sync"], Some("secret-key-us1"));
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(members(&vendor.state()), ["eve@x.fr subscribed Eve"]);
    assert_eq!(vendor.state().tags[0].1.iter().collect::<Vec<_>>(), ["eve@x.fr"]);
}

#[test]
fn a_connection_says_what_is_wrong_with_it() {
    let vendor = Fake::start(Mailchimp::default(), Faults::none());
    let folder = project(&vendor.url(), MODELS);
    people(&folder, &[("1", "ann@x.fr", "Ann", "Lyon", true)]);
    // Without its secret the tables are built, and the syncs say what is missing.
    let output = cohorte(&folder, &["run", "--as-of", "2026-06-01"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("MAIL_KEY"), "{}", said(&output));
    assert!(vendor.state().members.is_empty());
    let output = cohorte(&folder, &["connector", "check"], Some("k"));
    assert_eq!(
        (output.status.code(), said(&output).contains("mail (mailchimp) is in order")),
        (Some(0), true),
        "{}",
        said(&output)
    );

    // E155: credentials of another account.
    let warehouse = std::fs::read_to_string(folder.path().join("warehouse.yaml")).unwrap();
    folder
        .write("warehouse.yaml", &warehouse.replace("connector: mailchimp,", "connector: mailchimp, account: other,"));
    let output = cohorte(&folder, &["sync"], Some("k"));
    assert!(said(&output).contains("E155") && output.status.code() == Some(1), "{}", said(&output));
    assert!(vendor.state().members.is_empty(), "nothing is sent to strangers");

    // W602/W609: nobody is there. The other destinations are not harmed: both syncs say so by themselves.
    folder.write("warehouse.yaml", &warehouse.replace(&vendor.url(), "http://127.0.0.1:9"));
    let output = cohorte(&folder, &["connector", "check", "mail"], Some("k"));
    assert!(said(&output).contains("W609") && output.status.code() == Some(2), "{}", said(&output));
}

#[test]
fn e154_a_sync_asks_what_its_destination_cannot_do() {
    let models = MODELS
        .replace("object: member", "object: membre")
        .replace("object: tag, name: Lyon", "object: label, name: Lyon");
    let folder = project("http://127.0.0.1:9", &models);
    people(&folder, &[]);
    let output = cohorte(&folder, &["check"], Some("k"));
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("E154") && told.contains("did you mean `member`?") && told.contains("object: tag"), "{told}");

    let models = MODELS.replace("key: [{email: email}]\n    fields", "key: [{mail: email}]\n    fields");
    let folder = project("http://127.0.0.1:9", &models);
    people(&folder, &[]);
    assert!(said(&cohorte(&folder, &["check"], Some("k"))).contains("`mail` is no key of the destination"));
}

#[test]
fn a_connector_of_the_projects_own_is_checked_and_used() {
    let folder = project("http://127.0.0.1:9", "");
    folder.write(
        "connectors/desk.yaml",
        "connector: desk\nurl: https://desk.example\nobjects:\n  ticket:\n    upsert: {request: {method: PUT, path: \"/t/{{ row.key.id }}\", json: {name: \"{{ row.fields.name | lowr }}\"}}, idempotent: true}\n\
         tests:\n  a ticket: {do: ticket.add, rows: [{key: {id: 7}, fields: {name: A}}], requests: [{method: PUT, path: /t/8}]}\n",
    );
    let check = |name: &str| cohorte(&folder, &["connector", "check", name], None);
    let output = check("connectors/desk.yaml");
    assert!(said(&output).contains("E151") && said(&output).contains("did you mean `lower`?"), "{}", said(&output));
    let text = std::fs::read_to_string(folder.path().join("connectors/desk.yaml")).unwrap().replace("lowr", "lower");
    folder.write("connectors/desk.yaml", &text);
    let output = check("connectors/desk.yaml");
    assert!(said(&output).contains("E153") && said(&output).contains("the path is `/t/7`"), "{}", said(&output));
    folder.write("connectors/desk.yaml", &text.replace("/t/8", "/t/7"));
    let output = check("connectors/desk.yaml");
    assert_eq!((output.status.code(), said(&output)), (Some(0), "desk is in order: 1 test passes\n".to_owned()));
    // Its connection has nobody to ask whose account it is, and says so.
    let warehouse = std::fs::read_to_string(folder.path().join("warehouse.yaml")).unwrap();
    folder.write("warehouse.yaml", &warehouse.replace("connections:\n", "connections:\n  help: {connector: desk}\n"));
    let output = check("help");
    let wanted = "help (desk) is in order; nobody was asked, since the connector declares no `account`";
    assert!(said(&output).contains(wanted) && output.status.success(), "{}", said(&output));
    // What a connector wants to know has a place of its own.
    let wrong = warehouse.replace("connections:\n", "connections:\n  help: {connector: desk, region: eu}\n");
    folder.write("warehouse.yaml", &wrong);
    let output = check("help");
    assert!(said(&output).contains("E103") && said(&output).contains("`settings: {region: …}`"), "{}", said(&output));
    folder.write("warehouse.yaml", &warehouse);
    // E152: a file of another name.
    folder.write("connectors/other.yaml", &text.replace("/t/8", "/t/7"));
    assert!(said(&check("connectors/other.yaml")).contains("E152"));
}

/// Moves when somebody waits on it.
struct Hands(Mutex<DateTime<Utc>>);

#[async_trait]
impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
    async fn sleep(&self, pause: Duration) {
        *self.0.lock().unwrap() += TimeDelta::from_std(pause).unwrap();
    }
}

/// What the state says is delivered, is there; what it says is removed, is gone.
async fn nothing_is_called_what_it_is_not(folder: &Folder, vendor: &Fake<Mailchimp>, seed: u64) {
    let (warehouse, session) = (Warehouse::open("./lake", folder.path(), "cdp").unwrap(), SessionContext::new());
    let Some(states) = warehouse.provider("sync_state", None).await.unwrap() else { return };
    session.register_table("sync_state", states).unwrap();
    let sql = "select concat(key, ' ', status) from sync_state where sync = 'readers'";
    for row in texts(&session.sql(sql).await.unwrap().collect().await.unwrap()) {
        let email = row.split('"').nth(3).unwrap_or_default();
        let is_there = vendor.state().members.contains_key(email);
        if row.ends_with(" delivered") {
            assert!(is_there, "seed {seed}: {row}, and it is not there");
        }
        if row.ends_with(" removed") {
            assert!(!is_there, "seed {seed}: {row}, and it is there");
        }
    }
}

/// Whatever goes wrong on the way, in the end the vendor has exactly the desired rows. COHORTE_FAULT_SEEDS says how many histories.
#[tokio::test(flavor = "multi_thread")]
async fn under_faults_the_destination_ends_with_exactly_what_is_desired() {
    let seeds = std::env::var("COHORTE_FAULT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(6);
    for seed in 0..seeds {
        let vendor = Fake::start(Mailchimp::default(), Faults::none());
        let folder = project(&vendor.url(), MODELS);
        folder.write(
            "warehouse.yaml",
            &std::fs::read_to_string(folder.path().join("warehouse.yaml")).unwrap().replace("${env.MAIL_KEY}", "key"),
        );
        let clock = Arc::new(Hands(Mutex::new("2026-06-01T00:00:00Z".parse().unwrap())));
        let histories: [&[Person<'_>]; 2] = [
            &[
                ("1", "ann@x.fr", "Ann", "Lyon", true),
                ("2", "bob@x.fr", "Bob", "Lyon", true),
                ("3", "cid@x.fr", "Cid", "Paris", true),
                ("4", "bad1@x.fr", "Bad", "Lyon", true),
                ("5", "eve@x.fr", "Eve", "Lyon", true),
            ],
            &[
                ("1", "ann@x.fr", "Anna", "Lyon", true),
                ("2", "bob@x.fr", "Bob", "Paris", true),
                ("3", "cid@x.fr", "Cid", "Lyon", true),
                ("5", "eve@x.fr", "Eve", "Lyon", false),
            ],
        ];
        for (round, history) in histories.into_iter().enumerate() {
            people(&folder, history);
            let as_of = format!("2026-06-0{}T00:00:00Z", round + 1);
            let desired: BTreeMap<String, &str> = history
                .iter()
                .filter(|(_, email, _, city, granted)| *city == "Lyon" && *granted && !email.starts_with("bad"))
                .map(|(_, email, name, ..)| ((*email).to_owned(), *name))
                .collect();
            let mut attempts = 0;
            loop {
                let built = folder.build(&as_of).await;
                let project = &built.workspace.opened.project;
                vendor.fail(Faults::seeded(seed * 1_000 + round as u64 * 100 + attempts, 45));
                let accounts = Accounts::default();
                let warehouse = &built.workspace.opened.warehouse;
                let lease = Lease::acquire(warehouse, LeaseOptions::new("a test", Utc::now())).await.unwrap();
                let connection = |sync: &Sync| &project.connections[&sync.connection];
                let order = Order::of(project.syncs.values().map(|sync| (sync, connection(sync))));
                let (cancel, progress) = (Cancel::default(), NoProgress);
                let all = project.syncs.values().map(|sync| {
                    let how = How {
                        retry: false,
                        accept: false,
                        hold: None,
                        lease: Some(&lease),
                        clock: Arc::<Hands>::clone(&clock),
                        cancel: &cancel,
                        accounts: &accounts,
                        progress: &progress,
                    };
                    let (turn, workspace) = (order.turn(sync, connection(sync)), built.workspace.apart());
                    async move { sync::deliver(&workspace.await.unwrap(), sync, &how, turn).await.unwrap() }
                });
                let reports: Vec<Report> = join_all(all).await;
                lease.release().await.unwrap();
                nothing_is_called_what_it_is_not(&folder, &vendor, seed).await;
                *clock.0.lock().unwrap() += TimeDelta::days(2);
                // Whom the vendor refuses is tried again later, and later still.
                let bad = history.iter().filter(|(_, email, ..)| email.starts_with("bad")).count() as u64;
                let is_done = reports.iter().all(|report| {
                    matches!(report.outcome, sync::Outcome::Done)
                        && report.count(Verdict::Rejected) + report.preview.waiting == bad
                        && [Verdict::Retry, Verdict::Unknown, Verdict::NotSent]
                            .into_iter()
                            .all(|verdict| report.count(verdict) == 0)
                });
                attempts += 1;
                if is_done {
                    break;
                }
                assert!(attempts < 40, "seed {seed}: it does not end: {reports:?}");
            }
            let there: BTreeMap<String, String> = vendor
                .state()
                .members
                .iter()
                .map(|(email, member)| {
                    (email.clone(), member.merge_fields["FNAME"].as_str().unwrap_or_default().to_owned())
                })
                .collect();
            let desired: BTreeMap<String, String> =
                desired.into_iter().map(|(email, name)| (email, name.to_owned())).collect();
            assert_eq!(there, desired, "seed {seed}, round {round}");
            let tagged: Vec<String> = vendor.state().tags[0].1.iter().cloned().collect();
            assert_eq!(tagged, desired.keys().cloned().collect::<Vec<_>>(), "seed {seed}, round {round}");
        }
    }
}
