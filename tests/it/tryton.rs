//! Delivery to a real Tryton: what Tryton's own API then says is there. The fakes say what connectors should do; this, whether they do.

mod relay;
mod server;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use cohorte::connector::{Deed, Row, What};
use serde_json::json;

use crate::fakes::faults::Faults;
use crate::fakes::server::Fake;
use crate::fakes::wire::{Task, peer_with, row};
use crate::library::Folder;
use relay::{Harm, Relay};
use server::{SECRET, Tryton};

const MODELS: &str = r#"
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
      lang: {from: [crm.lang]}
segments:
  here: {when: "city = 'Lyon'"}
purposes:
  news: {channels: [email], basis: consent}
consents:
  prefs: {source: prefs, contact: email, purpose: {value: news}, channel: {value: email}, status: state, at: at}
syncs:
  people:
    from: {segment: here}
    to: {connection: crm, object: contact}
    mode: mirror
    on_remove: delete
    on_withdraw: delete
    key: [{email: email}]
    fields: {name: name, lang: lang}
    consent: {purpose: news, channel: email}
    first_run: send
  letters:
    from: {consents: [news]}
    to: {connection: crm}
    key: [{email: contact_point}]
    fields: {status: status}
    first_run: send
"#;

/// A person of the shop: id, address, name, city, language, and whether they may be written to.
type Person<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, bool);

struct Shop(Folder);

impl Shop {
    fn new(url: &str) -> Self {
        let folder = Folder::new();
        let warehouse = format!(
            "name: shop\nwarehouse: {{root: ./lake}}\nconnections:\n  crm: {{connector: tryton, url: \"{url}\", deliver: true, \
             auth: {{password: \"${{env.CRM_PASSWORD}}\"}}, settings: {{database: crm, user: cohorte, list: \"1\"}}}}\n"
        );
        folder.write("warehouse.yaml", &warehouse);
        folder.write("models/shop.yaml", MODELS);
        Self(folder)
    }

    fn people(&self, people: &[Person<'_>]) {
        let (mut crm, mut prefs) = ("id,email,name,city,lang\n".to_owned(), "id,email,state,at\n".to_owned());
        for (id, email, name, city, lang, granted) in people {
            crm += &format!("{id},{email},{name},{city},{lang}\n");
            let (state, day) = if *granted { ("granted", "2026-01-01") } else { ("withdrawn", "2026-01-02") };
            prefs += &format!("{id},{email},{state},{day}T00:00:00Z\n");
        }
        self.0.write("crm.csv", &crm);
        self.0.write("prefs.csv", &prefs);
    }

    fn command(&self, arguments: &[&str], password: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
        command.args(arguments).current_dir(self.0.path()).env_remove("RUST_BACKTRACE").env("CRM_PASSWORD", password);
        command
    }

    fn cohorte(&self, arguments: &[&str], password: &str) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.command(arguments, password).output().unwrap();
        let text = format!("{}\n{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(!text.contains("geheim") && !text.contains("panicked"), "{text}");
        (status.code(), text)
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let (code, text) = self.cohorte(arguments, SECRET);
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        text
    }
}

const RUN: [&str; 3] = ["run", "--as-of", "2026-06-01"];

#[test]
fn parties_and_subscriptions_come_change_and_go() {
    let tryton = Tryton::start();
    // Somebody is there already, in other letters and of nobody's making here.
    tryton.call(
        "model.party.party.create",
        &json!([[{"name": "F.", "contact_mechanisms": [["create", [{"type": "email", "value": "Fay@X.fr"}]]]}], {}]),
    );
    let shop = Shop::new(&tryton.url());
    shop.people(&[
        ("1", "ann@x.fr", "Ann", "Lyon", "", true),
        ("2", "bob@x.fr", "Bob", "Lyon", "", true),
        ("3", "cid@x.fr", "Cid", "Lyon", "", false),
        ("4", "dan@x.fr", "Dan", "Paris", "", true),
        ("5", "fay@x.fr", "Fay", "Lyon", "", true),
    ]);
    let told = shop.done(&RUN);
    assert_eq!(sorted(tryton.parties()), ["Ann ann@x.fr", "Bob bob@x.fr", "Fay Fay@X.fr"], "{told}");
    assert_eq!(tryton.subscriptions(), ["ann@x.fr", "bob@x.fr", "dan@x.fr", "fay@x.fr"]);

    // One changes, one leaves, one comes, one withdraws; and one speaks a language that Tryton does not know.
    shop.people(&[
        ("1", "ann@x.fr", "Anna", "Lyon", "", true),
        ("2", "bob@x.fr", "Bob", "Paris", "", true),
        ("4", "dan@x.fr", "Dan", "Paris", "", false),
        ("5", "fay@x.fr", "Fay", "Lyon", "", true),
        ("6", "eve@x.fr", "Eve", "Lyon", "", true),
        ("7", "gus@x.fr", "Gus", "Lyon", "xx", true),
    ]);
    let told = shop.done(&RUN);
    assert!(told.contains("1 rejected") && !told.contains("gus@x.fr"), "{told}");
    assert_eq!(sorted(tryton.parties()), ["Anna ann@x.fr", "Bob bob@x.fr (away)", "Eve eve@x.fr", "Fay Fay@X.fr"]);
    assert_eq!(tryton.subscriptions(), ["ann@x.fr", "bob@x.fr", "dan@x.fr (off)", "eve@x.fr", "fay@x.fr", "gus@x.fr"]);

    // One withdraws and is put away, one comes back as who they were, one has another address.
    shop.people(&[
        ("1", "ann@x.fr", "Anna", "Lyon", "", false),
        ("2", "bob@x.fr", "Bob", "Lyon", "", true),
        ("5", "fay@x.fr", "Fay", "Lyon", "", true),
        ("6", "eva@y.fr", "Eve", "Lyon", "", true),
    ]);
    shop.done(&RUN);
    assert_eq!(
        sorted(tryton.parties()),
        ["Anna ann@x.fr (away)", "Bob bob@x.fr", "Eve eva@y.fr", "Eve eve@x.fr (away)", "Fay Fay@X.fr"]
    );
    let subscribed = tryton.subscriptions();
    assert!(subscribed.contains(&"ann@x.fr (off)".to_owned()), "{subscribed:?}");
    assert!(subscribed.contains(&"eva@y.fr".to_owned()), "{subscribed:?}");
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

#[test]
fn w608_a_wrong_password_is_said_and_tried_once() {
    let relay = Fake::start(Relay::to(Tryton::start()), Faults::none());
    let shop = Shop::new(&relay.url());
    shop.people(&[("1", "ann@x.fr", "Ann", "Lyon", "", true)]);
    let (code, told) = shop.cohorte(&RUN, "geheim-but-wrong");
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("W608") && told.contains("the sign-in was answered with 401"), "{told}");
    // Tryton lets nobody in for a while after a few of them.
    assert_eq!(relay.state().asked, ["common.db.login"]);
    // Nothing is lost, and nothing waits for a later attempt.
    shop.done(&["sync"]);
    assert_eq!(relay.state().tryton.parties(), ["Ann ann@x.fr"]);
    assert_eq!(relay.state().tryton.subscriptions(), ["ann@x.fr"]);
}

#[test]
fn w609_a_user_who_may_not_do_it_ends_the_sync_and_blames_no_row() {
    let tryton = Tryton::start();
    let groups = tryton.call("model.res.group.search", &json!([[["name", "=", "Marketing"]], 0, null, null, {}]));
    let user = tryton.call("model.res.user.search", &json!([[["login", "=", "cohorte"]], 0, null, null, {}]));
    tryton.call("model.res.user.write", &json!([user, {"groups": [["remove", groups]]}, {}]));
    let shop = Shop::new(&tryton.url());
    shop.people(&[("1", "ann@x.fr", "Ann", "Lyon", "", true)]);
    let (code, told) = shop.cohorte(&RUN, SECRET);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("W609") && told.contains("give them the group that may"), "{told}");
    assert_eq!(tryton.parties(), ["Ann ann@x.fr"], "this they may do");
    assert_eq!(tryton.subscriptions().len(), 0);
}

/// Two hundred and fifty people: three batches.
fn crowd(shop: &Shop) -> Vec<String> {
    let names: Vec<(String, String)> = (100..350).map(|n| (format!("P{n}"), format!("p{n}@x.fr"))).collect();
    let people: Vec<Person<'_>> =
        names.iter().map(|(id, email)| (id.as_str(), email.as_str(), id.as_str(), "Lyon", "", true)).collect();
    shop.people(&people);
    names.iter().map(|(id, email)| format!("{id} {email}")).collect()
}

#[test]
fn a_session_that_ends_in_the_midst_is_opened_anew() {
    let relay = Fake::start(Relay::to(Tryton::start()), Faults::none());
    let shop = Shop::new(&relay.url());
    let everybody = crowd(&shop);
    relay.state().harm = Some(("party.create", Harm::Expires));
    let told = shop.done(&RUN);
    assert_eq!(sorted(relay.state().tryton.parties()), everybody, "{told}");
    assert_eq!(relay.state().tryton.subscriptions().len(), everybody.len());
    assert!(relay.state().harm.is_none() && relay.state().count("login") >= 2, "{:?}", relay.state().asked);
}

#[test]
fn a_server_that_dies_and_comes_back_is_waited_for() {
    let relay = Fake::start(Relay::to(Tryton::start()), Faults::none());
    let shop = Shop::new(&relay.url());
    let everybody = crowd(&shop);
    relay.state().harm = Some(("party.create", Harm::Dies));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until(|| relay.state().harm.is_none());
            relay.state().tryton.start_again();
        });
        shop.done(&RUN);
    });
    assert_eq!(sorted(relay.state().tryton.parties()), everybody, "what was made without an answer is not made again");
    assert_eq!(relay.state().tryton.subscriptions().len(), everybody.len());
}

#[test]
fn a_server_and_a_sync_that_die_together_go_on_where_they_were() {
    let relay = Fake::start(Relay::to(Tryton::start()), Faults::none());
    let shop = Shop::new(&relay.url());
    let everybody = crowd(&shop);
    relay.state().harm = Some(("party.create", Harm::Dies));
    let mut running = shop.command(&RUN, SECRET).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until(|| relay.state().harm.is_none());
    running.kill().unwrap();
    running.wait().unwrap();

    relay.state().tryton.start_again();
    // Which of the three comes first is not said: they are sent beside each other.
    let made = relay.state().tryton.parties().len();
    assert!(made == 100 || made == 50, "a batch was made, and nobody was told: {made}");
    shop.done(&["sync"]);
    assert_eq!(sorted(relay.state().tryton.parties()), everybody, "what was made without an answer is not made again");
    assert_eq!(relay.state().tryton.subscriptions().len(), everybody.len());
}

fn until(is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_mins(2), "it does not come to it");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whatever goes wrong on the way, in the end there is what should be, and nothing was called delivered that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn under_faults_a_real_one_ends_with_exactly_what_is_wanted() {
    for seed in 0..2 {
        let relay = Fake::start(Relay::to(Tryton::start()), Faults::seeded(seed, 30));
        let settings = [("database", "crm"), ("user", "cohorte"), ("list", "1")];
        let peer = peer_with("tryton", relay.url(), &settings, SECRET);
        let task = |what, deed| Task { peer: &peer, what, deed, audience: None };
        let contact = What::Object(&peer.connector.objects[0]);
        let consent = What::Consent(peer.connector.consent.as_ref().unwrap());
        let named = |name: &str, emails: &[&str]| -> Vec<Row> {
            emails.iter().map(|email| row(email, &json!({"name": name}))).collect()
        };
        let parties = || sorted(relay.state().tryton.parties());
        let email = |row: &Row| row.key["email"].as_str().unwrap().to_owned();
        let is_there = |row: &Row| parties().iter().any(|party| party.ends_with(&email(row)));
        let is_on = |row: &Row| relay.state().tryton.subscriptions().contains(&email(row));

        let all = ["ann@x.fr", "bob@x.fr", "cid@x.fr", "dan@x.fr", "eve@x.fr"];
        task(contact, Deed::Put).settle(&named("A", &all), is_there).await;
        task(contact, Deed::Put).settle(&named("B", &all[..4]), is_there).await;
        task(consent, Deed::Put).settle(&named("", &all), is_on).await;
        task(consent, Deed::Take).settle(&named("", &all[..2]), |row| !is_on(row)).await;
        task(contact, Deed::Take).settle(&named("", &all[1..3]), |row| !is_there(row)).await;
        let erase = What::Erase(peer.connector.erase.as_ref().unwrap());
        task(erase, Deed::Put).settle(&named("", &all[3..4]), |row| !is_there(row)).await;

        relay.fail(Faults::none());
        assert_eq!(parties(), ["A eve@x.fr", "B ann@x.fr", "B bob@x.fr (away)", "B cid@x.fr (away)"], "seed {seed}");
        assert_eq!(
            relay.state().tryton.subscriptions(),
            ["ann@x.fr (off)", "bob@x.fr (off)", "cid@x.fr", "dan@x.fr", "eve@x.fr"],
            "seed {seed}"
        );
    }
}
