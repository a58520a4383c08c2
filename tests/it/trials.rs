//! What would be sent, shown exactly; one row, tried; audiences that are not there. By the real executable.

use serde_json::Value;

use crate::delivery::{MODELS, cohorte, people, project, said};
use crate::fakes::faults::Faults;
use crate::fakes::mailchimp::Mailchimp;
use crate::fakes::server::Fake;
use crate::library::Folder;

const KEY: Option<&str> = Some("secret-key-us1");

/// Names are personal data here.
fn models() -> String {
    let crm = "crm: {path: crm.csv, format: csv, key: id, columns: {email: {type: email}";
    assert!(MODELS.contains(crm));
    MODELS.replace(crm, &format!("{crm}, name: {{type: given_name}}"))
}

/// A shop whose tables are built and whose mail goes to a server; nothing is sent so far.
fn shop() -> (Fake<Mailchimp>, Folder) {
    let vendor = Fake::start(Mailchimp::default(), Faults::none());
    let folder = project(&vendor.url(), &models());
    people(
        &folder,
        &[
            ("1", "ann@x.fr", "Annabel", "Lyon", true),
            ("2", "bob@x.fr", "Bob", "Lyon", true),
            ("3", "cid@x.fr", "Cid", "Lyon", false),
        ],
    );
    let output = cohorte(&folder, &["build", "--as-of", "2026-06-01"], None);
    assert!(output.status.success(), "{}", said(&output));
    (vendor, folder)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_dry_run_shows_the_exact_requests_without_secrets_or_people() {
    let (vendor, folder) = shop();
    let output = cohorte(&folder, &["sync", "--dry-run"], None);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("POST http://127.0.0.1:") && told.contains("(member.upsert)"), "{told}");
    assert!(told.contains("\"email_address\": \"a***@***\"") && told.contains("authorization: ***"), "{told}");
    assert!(told.contains("(tag.find)") && told.contains("(tag.create, for what is not there)"), "{told}");
    assert!(told.contains("/segments/‹id from tag.find›"), "{told}");
    assert!(!told.contains("ann@x.fr") && !told.contains("Annabel"), "{told}");
    assert!(vendor.state().members.is_empty() && vendor.state().tags.is_empty());

    let output = cohorte(&folder, &["--format", "json", "sync", "--dry-run", "readers"], None);
    let lines = lines(&String::from_utf8_lossy(&output.stdout));
    let requests: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "request").collect();
    let operations: Vec<&str> = requests.iter().filter_map(|line| line["operation"].as_str()).collect();
    assert_eq!(operations, ["account", "member.upsert"], "{lines:?}");
    assert_eq!(requests[1]["body"]["members"].as_array().unwrap().len(), 2);
    assert_eq!(requests[1]["body"]["members"][1]["merge_fields"]["FNAME"], "B***");
    let all = lines.iter().find(|line| line["kind"] == "requests").unwrap();
    assert_eq!((&all["action"], &all["rows"], &all["more"]), (&"add".into(), &2.into(), &0.into()));
}

#[test]
fn a_dry_run_needs_no_variable_to_say_where_files_would_go() {
    let (_vendor, folder) = shop();
    let warehouse = std::fs::read_to_string(folder.path().join("warehouse.yaml")).unwrap();
    let files = "  drop: {connector: files, path: \"s3://${env.COHORTE_NO_SUCH_BUCKET}/out\"}\n  mail: {";
    folder.write("warehouse.yaml", &warehouse.replacen("  mail: {", files, 1));
    let models = format!(
        "{}  dropped:\n    from: {{entity: customer}}\n    to: {{connection: drop}}\n    mode: upsert\n    key: [{{customer_id: customer_id}}]\n    fields: {{city: city}}\n    consent: {{none: \"no people\"}}\n    first_run: send\n",
        models()
    );
    folder.write("models/shop.yaml", &models);
    let output = cohorte(&folder, &["sync", "--dry-run", "dropped"], None);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("s3://${env.COHORTE_NO_SUCH_BUCKET}/out/dropped/"), "{told}");
}

#[test]
fn a_row_that_is_tried_stays_due() {
    let (vendor, folder) = shop();
    let attempt = ["connector", "try", "mail", "--sync", "readers", "--key", "bob@x.fr"];
    let output = cohorte(&folder, &attempt, KEY);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    assert_eq!(vendor.state().members.keys().collect::<Vec<_>>(), ["bob@x.fr"]);
    assert!(told.contains("sending to `mail` (mailchimp, account `mail`): add one row of member"), "{told}");
    assert!(told.contains("answered 200") && told.contains("\"error_count\": 0"), "{told}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("\naccepted\n"), "{told}");
    assert!(!told.contains("bob@x.fr") && !told.contains("secret-key"), "{told}");
    let output = cohorte(&folder, &["--format", "json", "sync", "--dry-run", "readers"], None);
    let lines = lines(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(lines[0]["outcome"], "dry_run");
    assert_eq!(lines.iter().find(|line| line["kind"] == "requests").unwrap()["rows"], 2);

    // A row of one's own; what the vendor says is shown, scrubbed.
    let row = r#"{"email": "bad1@x.fr", "FNAME": "Bad"}"#;
    let output = cohorte(&folder, &["connector", "try", "mail", "--object", "member", "--row", row], KEY);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("rejected: ") && !told.contains("Bad") && !told.contains("bad1@x.fr"), "{told}");

    // A target that does not deliver shows, needs no secret, and sends nothing.
    let warehouse = std::fs::read_to_string(folder.path().join("warehouse.yaml")).unwrap();
    folder.write("warehouse.yaml", &warehouse.replace(", deliver: true", ""));
    let row = r#"{"email": "eve@x.fr"}"#;
    let output = cohorte(&folder, &["connector", "try", "mail", "--object", "member", "--row", row], None);
    let told = said(&output);
    assert!(output.status.success() && told.contains("not_delivering") && told.contains("e***@***"), "{told}");
    assert!(!vendor.state().members.contains_key("eve@x.fr"));
}

#[test]
fn e156_e157_what_cannot_be_tried() {
    let (vendor, folder) = shop();
    let wrong = |arguments: &[&str], code: &str, says: &str| {
        let all: Vec<&str> = ["connector", "try"].iter().chain(arguments).copied().collect();
        let output = cohorte(&folder, &all, KEY);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(code) && told.contains(says), "{says}: {told}");
    };
    wrong(&["mial", "--object", "member", "--row", "{}"], "E140", "did you mean `mail`?");
    wrong(&["mail", "--object", "membre", "--row", "{}"], "E156", "did you mean `member`?");
    wrong(&["mail", "--row", "{}"], "E156", "it has `member`");
    wrong(&["mail", "--object", "member", "--row", "{email: 1}"], "E156", "the row is no JSON: ");
    wrong(&["mail", "--object", "member", "--row", "[]"], "E156", "no JSON object");
    wrong(&["mail", "--object", "member", "--row", r#"{"mail": "a"}"#], "E156", "identified by `email`");
    wrong(&["mail", "--object", "tag", "--row", r#"{"email": "a@x.fr"}"#], "E156", "--audience NAME");
    wrong(&["mail", "--object", "consent", "--row", r#"{"email": "a@x.fr"}"#], "E156", "which way the consent goes");
    wrong(&["mail", "--sync", "reader"], "W005", "did you mean `readers`?");
    wrong(&["mail", "--sync", "readers", "--key", "cid@x.fr"], "E157", "the row is withheld: ");
    wrong(&["mail", "--sync", "readers", "--key", "nobody@x.fr"], "E157", "no row that the sync sends");
    assert!(vendor.state().members.is_empty());
}

#[test]
fn w610_an_audience_that_vanished_is_not_made_anew_behind_our_back() {
    let (vendor, folder) = shop();
    let run = || cohorte(&folder, &["run", "--as-of", "2026-06-01"], KEY);
    assert!(run().status.success());
    assert_eq!(vendor.state().tags[0].1.len(), 2);
    vendor.state().tags.clear();
    // Who leaves has left: nothing is made for that.
    people(&folder, &[("1", "ann@x.fr", "Annabel", "Lyon", true), ("2", "bob@x.fr", "Bob", "Paris", true)]);
    let output = run();
    assert!(output.status.success(), "{}", said(&output));
    assert!(vendor.state().tags.is_empty());
    // Who comes finds it gone, with who was in it.
    people(&folder, &[("1", "ann@x.fr", "Annabel", "Lyon", true), ("5", "eve@x.fr", "Eve", "Lyon", true)]);
    let output = run();
    let told = said(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("W610") && told.contains("the tag `Lyon` is gone, with 1 rows"), "{told}");
    assert!(vendor.state().tags.is_empty(), "nothing is sent to an empty audience");
    // Under another name all are sent anew.
    folder.write("models/shop.yaml", &models().replace("name: Lyon", "name: Lyonnais"));
    let output = run();
    assert!(output.status.success(), "{}", said(&output));
    let members: Vec<String> = vendor.state().tags[0].1.iter().cloned().collect();
    assert_eq!(members, ["ann@x.fr", "eve@x.fr"]);
}
