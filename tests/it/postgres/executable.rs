//! From the sources to a table of a real server and out of it again, by the real executable.

use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::server::{Server, url};

const WAREHOUSE: &str = r#"
name: shop
warehouse: {root: ./lake}
connections:
  dwh: {connector: postgres, url: "${env.SHOP_DATABASE}", deliver: true}
  drop: {connector: files, path: ./outbox, deliver: true}
"#;

const MODELS: &str = r#"
sources:
  crm: {path: crm.csv, format: csv, key: id, columns: {email: {type: email}}}
  prefs: {path: prefs.csv, format: csv, key: id, columns: {email: {type: email}}}
entities:
  customer:
    identity:
      identifiers: {email: {type: email}}
      sources: {crm: {role: record, ids: {email: email}}}
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
  to_dwh: {from: {segment: here}, to: {connection: dwh, object: SCHEMA.people}, first_run: send, RULES}
  to_files: {from: {segment: here}, to: {connection: drop}, RULES}
"#;

const RULES: &str = "mode: mirror, on_remove: delete, on_withdraw: delete, key: email, \
                     fields: {email: email, name: name}, consent: {purpose: news, channel: email}";

struct Shop {
    folder: TempDir,
    database: String,
}

impl Shop {
    fn new(schema: &str) -> Self {
        let shop = Self { folder: tempfile::tempdir().unwrap(), database: url() };
        shop.write("warehouse.yaml", WAREHOUSE);
        shop.write("models/shop.yaml", &MODELS.replace("RULES", RULES).replace("SCHEMA", schema));
        shop
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Everybody: a name and a city; all have said yes.
    fn people(&self, people: &[(&str, &str)]) {
        let mut crm = "id,email,name,city\n".to_owned();
        let mut prefs = "id,email,state,at\n".to_owned();
        for (name, city) in people {
            writeln!(crm, "{name},{name}@x.fr,{name},{city}").unwrap();
            writeln!(prefs, "{name},{name}@x.fr,granted,2025-01-01T00:00:00Z").unwrap();
        }
        self.write("crm.csv", &crm);
        self.write("prefs.csv", &prefs);
    }

    fn withdraw(&self, name: &str) {
        let prefs = std::fs::read_to_string(self.folder.path().join("prefs.csv")).unwrap();
        self.write("prefs.csv", &format!("{prefs}w-{name},{name}@x.fr,withdrawn,2025-06-01T00:00:00Z\n"));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
        command.args(arguments).current_dir(self.folder.path()).env_remove("RUST_BACKTRACE");
        command.env("SHOP_DATABASE", &self.database).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn run(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let text = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(!text.contains(&self.database) && !text.contains("geheim"), "a secret: {text}");
        text
    }
}

#[tokio::test]
async fn rows_come_change_leave_and_are_withdrawn() {
    let server = Server::with_schema("t_executable").await;
    let shop = Shop::new(server.schema);
    shop.people(&[("ann", "Lyon"), ("bob", "Lyon"), ("cyd", "Lyon"), ("dan", "Nice")]);
    assert!(shop.run(0, &["connector", "check"]).contains("dwh (postgres) is in order"));
    shop.run(0, &["run"]);
    assert_eq!(server.people().await, "(ann@x.fr,ann) (bob@x.fr,bob) (cyd@x.fr,cyd)");
    // What others have put there stays theirs.
    server.run("insert into SCHEMA.people values ('zoe@x.fr', 'zoe')").await;

    shop.people(&[("ann", "Lyon"), ("bob", "Nice"), ("cyd", "Lyon"), ("dan", "Lyon")]);
    shop.write(
        "crm.csv",
        &std::fs::read_to_string(shop.folder.path().join("crm.csv")).unwrap().replace(",ann,", ",anne,"),
    );
    shop.withdraw("cyd");
    shop.run(0, &["run"]);
    assert_eq!(server.people().await, "(ann@x.fr,anne) (dan@x.fr,dan) (zoe@x.fr,zoe)");
    server.run("update SCHEMA.people set name = 'touched' where email = 'ann@x.fr'").await;
    shop.run(0, &["run"]);
    assert!(server.people().await.contains("touched"), "nothing was due");
}

#[tokio::test]
async fn w602_a_server_that_is_not_there_harms_no_other_sync() {
    let server = Server::with_schema("t_unreachable").await;
    let mut shop = Shop::new(server.schema);
    shop.people(&[("ann", "Lyon"), ("bob", "Lyon")]);
    let reachable = std::mem::replace(&mut shop.database, "postgres://shop:geheim@127.0.0.1:1/shop".to_owned());
    for arguments in [&["connector", "check"] as &[&str], &["run"], &["sync"]] {
        let text = shop.run(2, arguments);
        assert!(text.contains("W602") && text.contains("127.0.0.1:1") && text.contains("`url:`"), "{text}");
    }
    assert!(shop.run(2, &["connector", "check"]).contains("drop (files) is in order"));
    assert_eq!(std::fs::read_dir(shop.folder.path().join("outbox/to_files")).unwrap().count(), 1);

    shop.database = reachable;
    shop.run(0, &["sync"]);
    assert_eq!(server.people().await, "(ann@x.fr,ann) (bob@x.fr,bob)");
    assert_eq!(std::fs::read_dir(shop.folder.path().join("outbox/to_files")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_sync_that_is_killed_is_done_by_the_next() {
    let server = Server::with_schema("t_killed").await;
    let shop = Shop::new(server.schema);
    let names: Vec<String> = (0..6_000).map(|n| format!("p{n}")).collect();
    let people = |city: &dyn Fn(usize) -> &'static str| {
        let people: Vec<_> = names.iter().enumerate().map(|(n, name)| (name.as_str(), city(n))).collect();
        shop.people(&people);
    };
    let count = "select count(*)::text from SCHEMA.people";
    people(&|_| "Nice");
    shop.run(0, &["run"]);
    // First all come, then every other one leaves.
    for (round, step) in [1, 2].into_iter().enumerate() {
        people(&|n| if n % step == 0 { "Lyon" } else { "Nice" });
        shop.run(0, &["build"]);
        let mut interrupted = 0;
        for kill in 1..=12 {
            let mut child = shop.command(&["sync", "to_dwh"]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(40 * kill));
            interrupted += usize::from(child.try_wait().unwrap().is_none());
            let _ = child.kill();
            child.wait().unwrap();
        }
        assert!(interrupted > 2, "round {round}: only {interrupted} were killed");
        shop.run(0, &["sync", "to_dwh"]);
        assert_eq!(server.ask(count).await, (names.len() / step).to_string(), "round {round}");
    }
    let doubt = shop.run(0, &["query", "select count(*) as n from sync_state where in_doubt_hash is not null"]);
    assert!(doubt.contains('0'), "{doubt}");
}
