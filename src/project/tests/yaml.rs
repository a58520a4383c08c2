//! Files that are no YAML, or not of the shape that is expected.

use super::base::{WAREHOUSE, added, changed, check, run, run_with};

#[test]
fn yaml_that_cannot_be_read() {
    added("segments:\n  a: {when: [1, 2}\n").has("E101", "}", "this is not valid YAML");
    added("segments:\n\ta: 1\n").has("E101", "a", "this is not valid YAML");
    added("segments:\n  a: {when: \"x\"\n").findings.iter().for_each(|finding| assert_eq!(finding.code, "E101"));
    added("segments: {}\nsegments: {}\n").only("E104", "segments", "written twice");
    added("traits: &t {}\nscores: *t\n").only("E101", "&t {", "anchors and aliases");
    added("traits: {}\n---\ntraits: {}\n").only("E101", "---", "second document");
    let deep = format!("traits: {}", "[".repeat(500));
    assert_eq!(added(&deep).findings[0].code, "E101");
}

#[test]
fn what_cannot_be_read_hides_nothing_else() {
    // A file that is no YAML, and a section that is misspelt, may hold any of their words; all other names are looked up.
    let models = concat!(
        "traits:\n  mean: {avg: purchase.amont}\n  trips: {count: voyages}\n  stays: {count: hotels}\n",
        "segments:\n  travellers: {when: \"trips > 3 and miles > 5 and countri = 'FR'\"}\n  keen: {when: {in: travelers}}\n",
    );
    let checked = check(&[
        ("models/a.yaml", models),
        ("models/b.yaml", "sources:\n  voyages: {table: raw/voyages, key: [voyage_id}\n"),
        ("models/c.yaml", "trats:\n  miles: {sum: voyages.miles}\n"),
    ]);
    let found: Vec<(&str, &str)> = checked.findings.iter().map(|one| (one.code, checked.underlined(one))).collect();
    let expected = [
        ("E202", "purchase.amont"),
        ("E202", "hotels"),
        ("E202", "countri"),
        ("E202", "travelers"),
        ("E101", "}"),
        ("E103", "trats"),
    ];
    assert_eq!(found, expected, "{}", checked.text());
}

#[test]
fn values_of_the_wrong_shape() {
    added("segments: [a]").only("E102", "[a]", "a map of names is expected here, a list was found");
    added("- a").only("E102", "- a", "a model file is a map of sections");
    added("segments:\n  a: {when: 3}").only("E102", "3", "text or a map is expected here, a whole number was found");
    added("segments:\n  a: {}").only("E102", "{}", "`when` is missing");
    added("traits:\n  a: {count: [orders]}").only("E102", "[orders]", "text is expected here, a list was found");
    added("segments:\n  a: {when: \"true\", guard: {min: -1}}").only(
        "E102",
        "-1",
        "a whole number that is not negative",
    );
    added("segments:\n  a: {when: \"true\", guard: {min: many}}").only(
        "E102",
        "many",
        "a whole number is expected here",
    );
    added("segments:\n  a: {when: \"true\", guard: {max_change: 30}}").only(
        "E102",
        "30",
        "a percentage is expected here",
    );
    added("segments:\n  a: {when: \"true\", include: anonymos}").only("E102", "anonymos", "did you mean `anonymous`?");
    changed("role: record", "role: recrod").has("E102", "recrod", "did you mean `record`?");
    changed("points: 1,", "points: .inf,").has("E102", ".inf", "a number is expected here");
    changed("amount: amount}", "amount: amount, tiers: 1}").has("E102", "1", "`tiers` is from 2 to 9");
    changed("{channels: [email]}", "{channels: []}").has("E102", "newsletter", "has no channel");
    changed("{channels: [email]}", "{channels: [email, sms]}").has(
        "E102",
        "{purpose: newsletter}",
        "`channel` is missing",
    );
}

#[test]
fn expectations_and_formats_of_dates() {
    let source = |rest: &str| added(&format!("sources:\n  s: {{table: s, key: order_id, {rest}}}"));
    source("expect: [{fresh: ordered_at}]").only("E102", "{fresh: ordered_at}", "`fresh` needs `within`");
    source("expect: [{severity: warn}]").only("E102", "{severity: warn}", "an expectation is one of");
    source("expect: [{fresh: status, within: 2d}]").only("E204", "status", "a time is needed");
    source("expect: [{unique: order_ids}]").only("E202", "order_ids", "did you mean `order_id`?");
    source("columns: {status: {parse: \"%d/%Q\"}}").only("E102", "\"%d/%Q\"", "is no format of dates");
    added("sources:\n  s: {path: a.csv, key: order_id, delimiter: ab}").only("E102", "ab", "one character");
}

#[test]
fn durations() {
    for wrong in ["90", "d", "1.5d", "-3d", "0d", "3m", "90 days", "99999999d", "''"] {
        added(&format!("traits:\n  a: {{count: orders, within: {wrong}}}")).only("E102", wrong, "a duration is");
    }
}

#[test]
fn unknown_keys_and_sections() {
    added("segmants:\n  a: {when: \"true\"}").only("E103", "segmants", "did you mean `segments`?");
    added("horses: {}").only("E103", "horses", "the sections are sources, events");
    added("segments:\n  a: {when: \"true\", onwer: me}").only("E103", "onwer", "did you mean `owner`?");
    added("segments:\n  a: {when: {did: orders, wher: \"true\"}}").only("E103", "wher", "did you mean `where`?");
    // All of them, and those of other files, in one go.
    let checked = check(&[
        ("models/a.yaml", "segments:\n  a: {whn: 1, when: \"true\"}\n  b: {when: \"true\", zzz: 1, tgas: [x]}\n"),
        ("models/b.yaml", "traits:\n  c: {cuont: orders, count: orders}\n"),
        ("models/c.yaml", "traits: ["),
        ("warehouse.yaml", &format!("{WAREHOUSE}timezones: UTC\n")),
    ]);
    for (code, underlined) in
        [("E103", "whn"), ("E103", "zzz"), ("E103", "tgas"), ("E103", "cuont"), ("E103", "timezones"), ("E101", "")]
    {
        checked.has(code, underlined, "");
    }
    assert_eq!(checked.findings.len(), 6, "{}", checked.text());
    assert!(checked.text().contains("models/b.yaml:2:7"), "{}", checked.text());
    assert!(checked.text().ends_with("6 errors\n"));
}

#[test]
fn settings() {
    let with = |from: &str, to: &str| check(&[("warehouse.yaml", &WAREHOUSE.replacen(from, to, 1))]);
    with("Europe/Paris", "Europe/Pari").only("E111", "Europe/Pari", "did you mean `Europe/Paris`?");
    with("Europe/Paris", "CEST").only("E111", "CEST", "no time zone");
    with("connector: files", "connector: file").has("E106", "file", "did you mean `files`?");
    with("connector: files, ", "").has("E102", "drop", "`connector` is missing");
    with(", url: \"${env.DWH_URL}\"", "").only("E110", "dwh", "has no `url`");
    with(", path: ./outbox", "").only("E110", "drop", "has no `path`");
    with("timezone:", "engine: {memory: much}\ntimezone:").only("E102", "much", "`4GiB`");
    with("prod: {deliver: true}", "prod: {delivr: true}").only("E103", "delivr", "did you mean `deliver`?");
    with("./warehouse", "\"${env.LAKE}\"").only("E109", "\"${env.LAKE}\"", "`LAKE` is not set");
    with("name: maison", "").only("E102", &WAREHOUSE.replacen("name: maison", "", 1)[2..], "`name` is missing");
}

#[test]
fn a_secret_that_is_not_set_is_missed_when_it_is_used() {
    let checked = check(&[]);
    let project = checked.project.as_ref().unwrap();
    let failure = project.connections["dwh"].ready().unwrap_err();
    assert_eq!((failure.code, failure.cause.as_str()), ("E109", "the environment variable `DWH_URL` is not set"));
    assert!(project.connections["drop"].ready().is_ok());
}

#[test]
fn targets_and_variables() {
    let texts = [("warehouse.yaml", WAREHOUSE)];
    assert!(run(&texts, Some("prod")).findings.iter().all(|finding| finding.code == "E118"));
    run(&texts, Some("prodd")).has("E107", "", "did you mean `prod`? The targets are prod");
    let none = run(&[("warehouse.yaml", "name: m\nwarehouse: {root: w}")], Some("x"));
    none.only("E107", "", "`targets:`");
    assert_eq!(none.findings[0].span, None, "it was written on the command line");
    let set = |name: &str| run_with(&texts, None, &[(name, "x")]);
    set("brnad").has("E108", "", "did you mean `brand`?");
    assert!(!set("brand").text().contains("E108"));
    added("segments:\n  a: {when: \"country = '${vars.brnad}'\"}").has(
        "E108",
        "\"country = '${vars.brnad}'\"",
        "did you mean `${vars.brand}`?",
    );
    added("segments:\n  a: {description: \"${env.X}\", when: \"true\"}").only(
        "E108",
        "\"${env.X}\"",
        "warehouse.yaml only",
    );
    added("segments:\n  a: {description: \"${x}\", when: \"true\"}").only("E108", "\"${x}\"", "refers to nothing");
    let open = added("segments:\n  a: {description: \"a ${vars.brand\", when: \"true\"}");
    assert!(open.findings.is_empty(), "{}", open.text());
}
