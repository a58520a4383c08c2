//! A real Tryton on SQLite. Its database is prepared once per version; every test has a copy of it, and a server of its own.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fakes::http::{Reply, exchange};

/// Of the user who looks at what is there.
const ADMIN: &str = "geheim-admin-1";
/// Of the user that syncs sign in with: no output may hold it.
pub(super) const SECRET: &str = "geheim-cohorte-1";

/// The program `trytond`, or one that lies beside it.
fn program(name: &str) -> PathBuf {
    let trytond = std::env::var("COHORTE_TEST_TRYTON").expect(
        "these tests need COHORTE_TEST_TRYTON: the program trytond, with tests/tryton/requirements.txt; tests/run installs it",
    );
    Path::new(&trytond).with_file_name(name)
}

/// A server; it ends when it is dropped.
pub(super) struct Tryton {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
    session: String,
}

impl Tryton {
    /// Starts one on a copy of the prepared database: a list for e-mail (its id is 1), and nobody in it.
    pub(super) fn start() -> Self {
        static PREPARED: OnceLock<PathBuf> = OnceLock::new();
        let folder = tempfile::tempdir().unwrap();
        // SQLite keeps what it wrote last in files beside the database.
        for file in fs::read_dir(PREPARED.get_or_init(prepared)).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        Self::on(folder)
    }

    fn on(folder: TempDir) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut tryton = Self { folder, port, process: None, session: String::new() };
        tryton.start_again();
        tryton.session = tryton.sign_in("admin", ADMIN);
        tryton
    }

    /// On the same port, with what it had.
    pub(super) fn start_again(&mut self) {
        let log = File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(program("trytond"));
        command.arg("-c").arg(configuration(self.folder.path(), self.port)).args(["-d", "crm"]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("trytond starts");
        let process = self.process.insert(process);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(process.try_wait().unwrap().is_none(), "trytond has ended: {}", log());
            assert!(started.elapsed() < Duration::from_mins(2), "trytond does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills it. Its database stays.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What `Authorization` then says.
    fn sign_in(&self, user: &str, password: &str) -> String {
        let answer = self.rpc("", "common.db.login", &json!([user, {"password": password}, "en"]));
        let (id, key) = (&answer["result"][0], answer["result"][1].as_str().expect("a session"));
        format!("Session {}", BASE64_STANDARD.encode(format!("{user}:{id}:{key}")))
    }

    fn rpc(&self, session: &str, method: &str, params: &Value) -> Value {
        let reply = self.ask(session, json!({"id": 1, "method": method, "params": params}).to_string().as_bytes());
        let reply = reply.expect("trytond answers");
        assert_eq!(reply.status, 200, "{method}");
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// Hands a request on; none where nobody answers.
    pub(super) fn ask(&self, session: &str, body: &[u8]) -> Option<Reply> {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if !session.is_empty() {
            headers.push(("authorization".to_owned(), session.to_owned()));
        }
        exchange("POST", &format!("{}/crm/rpc/", self.url()), &headers, body).ok()
    }

    /// Asks as the administrator.
    pub(super) fn call(&self, method: &str, params: &Value) -> Value {
        let mut answer = self.rpc(&self.session, method, params);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Ends a session, where it has not ended.
    pub(super) fn sign_out(&self, session: &str) {
        let body = json!({"id": 1, "method": "common.db.logout", "params": []}).to_string();
        self.ask(session, body.as_bytes()).expect("trytond answers");
    }

    /// Everybody's name, addresses, and whether the party was put away, in the order in which they were made.
    pub(super) fn parties(&self) -> Vec<String> {
        let everybody = json!({"active_test": false});
        let found = self.call(
            "model.party.party.search_read",
            &json!([[], 0, null, [["id", "ASC"]], ["name", "active", "contact_mechanisms.value"], everybody]),
        );
        let shown = |party: &Value| {
            let values = party["contact_mechanisms."].as_array().unwrap().iter();
            let addresses: Vec<&str> = values.map(|mechanism| mechanism["value"].as_str().unwrap()).collect();
            let away = if is_true(&party["active"]) { "" } else { " (away)" };
            format!("{} {}{away}", party["name"].as_str().unwrap_or("-"), addresses.join("+"))
        };
        found.as_array().unwrap().iter().map(shown).collect()
    }

    /// Every address on the list, sorted, and whether it was unsubscribed.
    pub(super) fn subscriptions(&self) -> Vec<String> {
        let found = self.call(
            "model.marketing.email.search_read",
            &json!([[["list_", "=", 1]], 0, null, [["email", "ASC"]], ["email", "active"], {"active_test": false}]),
        );
        let shown = |one: &Value| {
            let off = if is_true(&one["active"]) { "" } else { " (off)" };
            format!("{}{off}", one["email"].as_str().unwrap())
        };
        found.as_array().unwrap().iter().map(shown).collect()
    }
}

impl Drop for Tryton {
    fn drop(&mut self) {
        self.kill();
    }
}

/// SQLite gives numbers.
fn is_true(value: &Value) -> bool {
    *value == json!(true) || *value == json!(1)
}

fn configuration(folder: &Path, port: u16) -> PathBuf {
    let path = folder.join("trytond.conf");
    let text = format!(
        "[database]\nuri = sqlite://\npath = {}\n[web]\nlisten = 127.0.0.1:{port}\n[session]\nauthentications = password\n",
        folder.display()
    );
    fs::write(&path, text).unwrap();
    path
}

/// The database that tests copy. It is kept under the version's name, and appears whole or not at all.
fn prepared() -> PathBuf {
    let version = Command::new(program("trytond")).arg("--version").output().expect("trytond starts");
    let version = String::from_utf8(version.stdout).unwrap().trim().replace(' ', "-");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(version);
    if path.exists() {
        return path;
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    File::create(folder.path().join("crm.sqlite")).unwrap();
    fs::write(folder.path().join("password"), ADMIN).unwrap();
    let mut command = Command::new(program("trytond-admin"));
    command.arg("-c").arg(configuration(folder.path(), 0)).env("TRYTONPASSFILE", folder.path().join("password"));
    command.args(["-d", "crm", "-u", "party", "marketing_email", "--activate-dependencies"]);
    let made = command.args(["--email", "admin@example.com"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let mut tryton = Tryton::on(folder);
    tryton.call("model.marketing.email.list.create", &json!([[{"name": "News"}], {}]));
    let groups = tryton.call("model.res.group.search", &json!([[], 0, null, null, {}]));
    let user = json!({"name": "Cohorte", "login": "cohorte", "password": SECRET, "groups": [["add", groups]]});
    tryton.call("model.res.user.create", &json!([[user], {}]));
    tryton.kill();
    let renamed = fs::rename(tryton.folder.path(), &path);
    assert!(renamed.is_ok() || path.exists(), "{renamed:?}");
    path
}
