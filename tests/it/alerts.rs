//! Alerts by the executable: told once per change, again where it did not arrive.

use serde_json::{Value, json};

use crate::delivery::{MODELS, Person, cohorte, people, project, said};
use crate::fakes::faults::Faults;
use crate::fakes::http::{Asked, Reply};
use crate::fakes::mailchimp::Mailchimp;
use crate::fakes::server::{Fake, Vendor};
use crate::library::Folder;

/// Hears messages.
#[derive(Default)]
struct Desk {
    heard: Vec<Value>,
    is_away: bool,
}

impl Vendor for Desk {
    fn answer(&mut self, asked: &Asked, _: bool) -> Reply {
        if self.is_away {
            return Reply::json(400, &json!({"detail": "away"}));
        }
        self.heard.extend(asked.json()["rows"].as_array().cloned().unwrap_or_default());
        Reply::ok(&json!({}))
    }
}

fn heard(desk: &Fake<Desk>) -> Vec<String> {
    let mut state = desk.state();
    let shown = |row: Value| {
        let field = |name: &str| row["fields"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(field("project"), "shop");
        format!("{} {} {}: {}", field("subject"), field("condition"), field("state"), field("text"))
    };
    std::mem::take(&mut state.heard).into_iter().map(shown).collect()
}

const FEW: &[Person<'_>] = &[("1", "ann@x.fr", "Ann", "Lyon", true), ("2", "bob@x.fr", "Bob", "Lyon", true)];
const MORE: &[Person<'_>] = &[
    ("1", "ann@x.fr", "Ann", "Lyon", true),
    ("2", "bob@x.fr", "Bob", "Lyon", true),
    ("3", "bad1@x.fr", "Bad", "Lyon", true),
    ("4", "bad2@x.fr", "Bad", "Lyon", true),
];

fn with_alerts(mail: &str, desk: &str, alerts: &str) -> Folder {
    let models = MODELS.split("  tagged:").next().unwrap().replacen(
        "{email: {type: email}}",
        "{email: {type: email}, id: {type: integer}}",
        1,
    );
    let folder = project(mail, &models);
    let warehouse = std::fs::read_to_string(folder.path().join("warehouse.yaml")).unwrap();
    let desk = format!(
        "  desk: {{connector: webhook, url: \"{desk}\", deliver: true}}\n  folder: {{connector: files, path: ./out}}\n"
    );
    folder.write("warehouse.yaml", &format!("{warehouse}{desk}alerts:\n{alerts}"));
    folder
}

#[test]
fn what_changes_is_told_once() {
    let mail = Fake::start(Mailchimp::default(), Faults::none());
    let desk = Fake::start(Desk::default(), Faults::none());
    let alert = "  team: {to: desk, rejects: 40%, size: 50%}\n";
    let folder = with_alerts("http://127.0.0.1:9", &desk.url(), alert);
    people(&folder, FEW);
    let run = |day: u32| {
        let output = cohorte(&folder, &["run", "--retry", "--as-of", &format!("2026-06-{day:02}")], Some("key"));
        (output.status.code(), said(&output))
    };
    // The vendor is away: told once.
    let (code, text) = run(1);
    assert_eq!(code, Some(2), "{text}");
    let told = heard(&desk);
    assert_eq!(told.len(), 1, "{told:?} {text}");
    assert!(told[0].starts_with("sync:readers failure on: shop: the sync `readers` fails: W"), "{told:?}");
    run(2);
    assert_eq!(heard(&desk), [""; 0]);
    // It is back, and so is the sync; nothing is said of what stays well.
    let warehouse = std::fs::read_to_string(folder.path().join("warehouse.yaml")).unwrap();
    folder.write("warehouse.yaml", &warehouse.replace("http://127.0.0.1:9", &mail.url()));
    let (code, text) = run(3);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(heard(&desk), ["sync:readers failure off: shop: the sync `readers` works again"]);
    run(4);
    assert_eq!(heard(&desk), [""; 0]);
    // Twice as many are wanted, and those who came are refused. The desk is away, so it is said again.
    people(&folder, MORE);
    desk.state().is_away = true;
    let (code, text) = run(5);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("error[W611]: telling the alert `team` failed"), "{text}");
    desk.state().is_away = false;
    run(6);
    let told = heard(&desk);
    assert_eq!(
        told,
        [
            "sync:readers rejects on: shop: of the sync `readers` 2 of 2 rows were rejected (100 %), most often `ERROR_GENERIC`"
        ]
    );
    // A source that cannot be read: the build fails, is told once, and works again.
    let crm = std::fs::read_to_string(folder.path().join("crm.csv")).unwrap();
    folder.write("crm.csv", &format!("{crm}nine,x@x.fr,X,Lyon\n"));
    let (code, text) = run(7);
    assert_ne!(code, Some(0), "{text}");
    run(8);
    let told = heard(&desk);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("build failure on: shop: the build fails: E3"), "{told:?}");
    folder.write("crm.csv", &crm);
    people(&folder, FEW);
    run(9);
    let told = heard(&desk);
    assert_eq!(
        told,
        [
            "build failure off: shop: the build works again",
            "sync:readers size on: shop: the sync `readers` wants 2 rows, in the run before 4"
        ]
    );
    let output =
        cohorte(&folder, &["query", "select count(*) as n from alerts where state = 'on'", "--format", "json"], None);
    assert!(said(&output).contains("\"n\":\"4\"") || said(&output).contains("\"n\":4"), "{}", said(&output));
}

#[test]
fn a_connection_that_does_not_deliver_says_nothing_and_a_build_alone_is_told() {
    let mail = Fake::start(Mailchimp::default(), Faults::none());
    let desk = Fake::start(Desk::default(), Faults::none());
    let folder = with_alerts(&mail.url(), &desk.url(), "  team: {to: desk}\n");
    let warehouse = std::fs::read_to_string(folder.path().join("warehouse.yaml")).unwrap();
    let silent = warehouse.replace(&format!("\"{}\", deliver: true", desk.url()), &format!("\"{}\"", desk.url()));
    assert_ne!(silent, warehouse);
    folder.write("warehouse.yaml", &silent);
    people(&folder, FEW);
    let build = |day: u32| cohorte(&folder, &["build", "--as-of", &format!("2026-06-{day:02}")], Some("key"));
    assert!(build(1).status.success());
    let crm = std::fs::read_to_string(folder.path().join("crm.csv")).unwrap();
    folder.write("crm.csv", &format!("{crm}nine,x@x.fr,X,Lyon\n"));
    assert!(!build(2).status.success());
    assert_eq!(heard(&desk), [""; 0]);
    // Nobody has heard of it yet: it is said as soon as somebody can.
    folder.write("warehouse.yaml", &warehouse);
    assert!(!build(3).status.success());
    assert!(!build(4).status.success());
    let told = heard(&desk);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("build failure on: shop: the build fails: E3"), "{told:?}");
    folder.write("crm.csv", &crm);
    let output = build(5);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(heard(&desk), ["build failure off: shop: the build works again"]);
    assert!(build(6).status.success());
    assert_eq!(heard(&desk), [""; 0]);
}

#[test]
fn e158_alerts_that_cannot_be_delivered() {
    let alerts =
        "  a: {to: folder}\n  b: {to: desk, object: rwo}\n  c: {to: mail, object: member}\n  d: {to: nowhere}\n";
    let folder = with_alerts("http://127.0.0.1:9", "http://127.0.0.1:9", alerts);
    people(&folder, FEW);
    let text = said(&cohorte(&folder, &["check"], None));
    for expected in
        ["`folder` takes no messages", "did you mean `row`?", "`member` of `mail` cannot be a message", "nowhere"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert_eq!(text.matches("error[E158]").count(), 3, "{text}");
}
