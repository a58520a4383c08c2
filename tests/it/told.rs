//! What verbs tell people of what they did and would do, by the real executable.

use std::process::{Command, Output};

use super::library::Folder;

const WAREHOUSE: &str = "
name: shop
warehouse: {root: ./lake}
timezone: Europe/Paris
vars: {town: Lyon}
targets: {prod: {deliver: true}}
connections:
  drop: {connector: files, path: ./outbox, deliver: true}
";

const MODELS: &str = r#"
sources:
  crm: {path: crm.csv, format: csv, key: id, columns: {id: {type: integer}, email: {type: email}}}
  orders: {path: orders.csv, format: csv, key: id, time: at, columns: {id: {type: integer}, amount: {type: number}, at: {type: timestamp}}}
entities:
  customer:
    identity:
      identifiers: {email: {type: email}}
      sources: {crm: {role: record, ids: {email: email}}, orders: {role: link, ids: {email: email}}}
    attributes:
      email: {from: [crm.email]}
      name: {from: [crm.name]}
      city: {from: [crm.city]}
traits:
  revenue: {sum: orders.amount}
segments:
  here: {when: "city = '${vars.town}'"}
  rich: {when: "revenue > 100"}
syncs:
  letter:
    from: {segment: here}
    to: {connection: drop}
    mode: mirror
    on_remove: {clear: [mark]}
    key: email
    fields: {name: name, city: city, mark: true}
    consent: {none: a test}
"#;

const EVERYONE: &str = "1,ann@x.fr,Ann,Lyon\n2,bob@x.fr,Bob,Lyon\n3,cyd@x.fr,Cyd,Nice\n";
const NOW: &str = "2026-03-01";

struct Shop(Folder);

impl Shop {
    fn new() -> Self {
        let shop = Self(Folder::new());
        shop.0.write("warehouse.yaml", WAREHOUSE);
        shop.0.write("models/shop.yaml", MODELS);
        shop.crm(EVERYONE);
        shop.0.write("orders.csv", "id,email,amount,at\n1,ann@x.fr,120,2026-01-01T00:00:00Z\n");
        shop
    }

    fn crm(&self, rows: &str) {
        self.0.write("crm.csv", &format!("id,email,name,city\n{rows}"));
    }

    fn models(&self, from: &str, to: &str) {
        assert!(MODELS.contains(from), "{from}");
        self.0.write("models/shop.yaml", &MODELS.replace(from, to));
    }

    fn cohorte(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        command.args(arguments).args(["--as-of", NOW]).current_dir(self.0.path()).output().unwrap()
    }

    /// Exit code, stdout and stderr.
    fn all(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.cohorte(arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// What a verb that succeeds prints on stdout.
    fn said(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.all(arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}{err}");
        out
    }

    /// The figures that a table has for a model, by their headings.
    fn figures(text: &str, model: &str) -> Vec<(String, String)> {
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|line| line.starts_with(&format!("{model} "))).expect("a row of the model");
        let head = lines[..at].iter().rposition(|line| line.starts_with("---")).expect("a head") - 1;
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        words(lines[head]).into_iter().zip(words(lines[at])).collect()
    }
}

#[test]
fn why_something_is_built_is_said_by_name() {
    let shop = Shop::new();
    let why = |arguments: &[&str]| shop.said(arguments).lines().next().unwrap().split_once(": ").unwrap().1.to_owned();
    assert_eq!(why(&["plan"]), "nothing was built before, everything would be");
    shop.said(&["run"]);
    assert_eq!(why(&["plan"]), "nothing has changed, nothing would be built");
    assert!(!shop.said(&["plan"]).contains("nothing was written"), "nothing is left to be done");
    // A full refresh builds although nothing has changed.
    assert_eq!(why(&["build", "--full-refresh"]), "built anew, as `--full-refresh` asks");

    // Places and comments are no part of a definition; rows that are gone are data.
    shop.models("\nsources:\n", "\n# Our sources.\nsources:\n");
    assert_eq!(why(&["plan"]), "nothing has changed, nothing would be built");
    shop.0.write("orders.csv", "id,email,amount,at\n1,ann@x.fr,130,2026-01-01T00:00:00Z\n");
    assert_eq!(why(&["plan"]), "would be built, because of changed data in orders");
    let json = shop.said(&["plan", "--format", "json"]);
    assert!(json.contains(r#""why":"would be built, because of changed data in orders""#), "{json}");
    shop.said(&["run"]);
    let json = shop.said(&["plan", "--format", "json"]);
    assert!(json.contains(r#""why":"nothing has changed, nothing would be built""#), "{json}");

    let more: String = (1..=7).map(|n| format!("  s{n}: {{when: \"revenue > {n}\"}}\n")).collect();
    shop.models("  rich: {when: \"revenue > 100\"}\n", &more);
    assert_eq!(
        why(&["plan"]),
        "would be built, because of the new segment s1, segment s2, segment s3, segment s4, segment s5 and 2 more; the removed segment rich"
    );
    shop.models("revenue > 100", "revenue > 10");
    shop.crm("1,ann@x.fr,Ann,Lyon\n");
    let wanted = "built, because of changed definitions of segment rich; changed data in crm";
    assert_eq!(why(&["build"]), wanted);
    shop.models("revenue > 100", "revenue > 10");
    shop.0.write("warehouse.yaml", &WAREHOUSE.replace("Paris", "Madrid"));
    assert!(why(&["plan"]).contains("other settings"));
}

#[test]
fn rows_that_go_show_what_is_sent_of_them_and_are_counted_alike() {
    let shop = Shop::new();
    let plan = shop.said(&["plan"]);
    assert!(plan.contains("letter would add {email: a***@***, name: Ann, city: Lyon, mark: true}"), "{plan}");
    assert!(plan.contains("1 batch\n"), "{plan}");
    // What a dry run would do is told once, as a plan tells it.
    let dry = shop.said(&["run", "--dry-run"]);
    assert_eq!(dry.lines().filter(|line| line.starts_with("letter  ")).count(), 1, "{dry}");
    assert_eq!(Shop::figures(&dry, "letter"), Shop::figures(&plan, "letter"));
    assert!(dry.contains("\nnothing was sent: this was a dry run\n"), "{dry}");
    shop.said(&["run"]);
    shop.crm(&EVERYONE.replace("Ann,Lyon", "Ann,Nice"));
    let plan = shop.said(&["plan"]);
    assert!(plan.contains("letter would clear {email: a***@***, mark: null}\n"), "{plan}");
    let planned = Shop::figures(&plan, "letter");
    assert!(planned.contains(&("clear".to_owned(), "1".to_owned())), "{planned:?}");
    let ran = Shop::figures(&shop.said(&["run"]), "letter");
    for figure in [("removed", "0"), ("cleared", "1"), ("unchanged", "1")] {
        assert!(ran.contains(&(figure.0.to_owned(), figure.1.to_owned())), "{ran:?}");
    }
    let shown = shop.said(&["show", "sync:letter"]);
    assert!(shown.contains("cleared") && !shown.contains("unchanged"), "{shown}");

    // Removed: the key alone.
    shop.models("{clear: [mark]}", "delete");
    shop.crm(&EVERYONE.replace("Lyon", "Nice"));
    let plan = shop.said(&["plan"]);
    assert!(plan.contains("letter would remove {email: a***@***}\n"), "{plan}");
}

#[test]
fn quiet_is_quiet() {
    let shop = Shop::new();
    for verb in [&["run", "-q"][..], &["plan", "-q"], &["build", "--full-refresh", "-q"], &["sync", "-q"]] {
        assert_eq!(shop.all(verb), (0, String::new(), String::new()), "{verb:?}");
    }
    // What was asked for is no report.
    for verb in [
        &["query", "select 1"][..],
        &["show", "rich"],
        &["receipts"],
        &["runs"],
        &["plan", "--format", "json"],
        &["run", "--format", "json"],
    ] {
        assert!(!shop.said(&[verb, &["-q"]].concat()).is_empty(), "{verb:?}");
        assert_eq!(shop.all(&[verb, &["-qq"]].concat()), (0, String::new(), String::new()), "{verb:?}");
    }
    shop.0.write("orders.csv", "id,email,amount,at\n");
    let (code, out, err) = shop.all(&["run", "-q", "--accept", "orders"]);
    assert!(code == 0 && out.is_empty() && err.contains("E403") && !err.contains("cohorte explain"), "{err}");
    shop.0.write("crm.csv", "id\n");
    assert_eq!(shop.all(&["run", "-qq"]), (1, String::new(), String::new()));
    assert_eq!(shop.all(&["run", "-qq", "--format", "json"]), (1, String::new(), String::new()));
}

#[test]
fn g601_the_guard_of_a_segment_is_told_by_a_build() {
    let shop = Shop::new();
    shop.models("when: \"revenue > 100\"", "guard: {min: 1}, when: \"revenue > 100\"");
    shop.said(&["build"]);
    shop.0.write("orders.csv", "id,email,amount,at\n1,ann@x.fr,1,2026-01-01T00:00:00Z\n");
    let (code, _, err) = shop.all(&["build", "-q"]);
    assert_eq!(code, 3);
    for words in ["error[G601]: publishing the segment `rich` failed", "0 members", "--accept rich"] {
        assert!(err.contains(words), "{err}");
    }
    let (code, _, err) = shop.all(&["build", "--format", "json"]);
    assert!(code == 3 && err.starts_with(r#"{"kind":"failure","code":"G601""#), "{err}");
    assert_eq!(shop.all(&["build", "-q", "--accept", "rich"]), (0, String::new(), String::new()));
}

#[test]
fn a_plan_names_the_command_that_does_it_and_lists_what_is_meant() {
    let shop = Shop::new();
    let wanted =
        "nothing was written; `cohorte run --target prod --as-of 2026-03-01 --var 'town=Saint Malo'` does it\n";
    let plan = shop.said(&["plan", "--target", "prod", "--var", "town=Saint Malo"]);
    assert!(plan.ends_with(wanted), "{plan}");
    shop.said(&["run"]);
    shop.0.write("orders.csv", "id,email,amount,at\n1,bob@x.fr,120,2026-01-01T00:00:00Z\n");
    let plan = shop.said(&["plan", "--select", "rich"]);
    assert!(plan.contains("\nrich ") && !plan.contains("\nhere "), "{plan}");
    assert!(plan.contains("\nnot selected: 1 segment\n") && plan.contains("--select rich --as-of"), "{plan}");
}

#[test]
fn a_run_took_as_long_as_its_syncs() {
    let shop = Shop::new();
    shop.said(&["run"]);
    let run: serde_json::Value = serde_json::from_str(&shop.said(&["runs", "--format", "json"])).unwrap();
    let at = |name: &str| run["run"][name].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(at("started_at") < at("finished_at") && at("finished_at") < at("synced_at"), "{run}");
    let took = at("synced_at") - at("started_at");
    let shown = cohorte::report::duration(took.to_std().unwrap());
    assert!(shop.said(&["runs"]).contains(&shown), "{shown}: {}", shop.said(&["runs"]));
}

#[test]
fn e107_e108_slips_on_the_command_line_are_told() {
    let shop = Shop::new();
    let (code, _, err) = shop.all(&["plan", "--var", "twon=Nice"]);
    assert!(code == 1 && err.contains("error[E108]") && err.contains("did you mean `town`?"), "{err}");
    let (code, _, err) = shop.all(&["run", "--target", "prd"]);
    assert!(code == 1 && err.contains("error[E107]") && err.contains("did you mean `prod`?"), "{err}");
    assert!(!err.contains("deliver: true"), "nothing of the file is underlined: {err}");
}

#[test]
fn e305_a_value_that_does_not_fit_names_the_declaration() {
    let shop = Shop::new();
    shop.0.write("orders.csv", "id,email,amount,at\n1,ann@x.fr,Jane,2026-01-01T00:00:00Z\n");
    let (code, _, err) = shop.all(&["run"]);
    for words in ["error[E305]", "`orders.csv`, line 2, column `amount`", "`models/shop.yaml`, line 4, declares"] {
        assert!(code == 1 && err.contains(words), "{err}");
    }
    assert!(!err.contains("Jane"), "whose it is, is not known: {err}");
}
