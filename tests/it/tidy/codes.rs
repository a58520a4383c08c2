//! Error codes: each has a page, each page a code that uses it and a test that triggers it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::none;
use super::source::{files_below, read, root, rust_files};

const PAGES: &str = "src/diag/codes/";
const TABLE: &str = "src/diag/codes.rs";
const BEGINS: &str = "    // The table begins.\n";
const ENDS: &str = "    // The table ends.\n";

#[test]
fn every_code_has_a_page_and_a_test() {
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    let mut tests = String::new();
    for file in rust_files("src") {
        for (line, string) in &file.strings {
            if *line < file.tests_from && is_code(string) && file.path != TABLE {
                used.entry(string.clone()).or_insert_with(|| format!("{}:{line}", file.path));
            }
        }
        tests.extend(file.text.lines().skip(file.tests_from - 1).flat_map(|line| [line, "\n"]));
    }
    for path in files_below("tests").into_iter().filter(|path| !path.starts_with("tests/it/tidy")) {
        tests.push_str(&fs::read_to_string(root().join(path)).unwrap_or_default());
    }
    let pages = pages();
    let mut violations = Vec::new();
    for (code, place) in &used {
        if !pages.contains(code) {
            violations.push(format!("{place}: `{code}` has no page {PAGES}{code}.md"));
        }
    }
    for code in &pages {
        violations.extend(faults_of_page(code).into_iter().map(|fault| format!("{PAGES}{code}.md: {fault}")));
        if !used.contains_key(code) {
            violations.push(format!("{PAGES}{code}.md: no code in src uses \"{code}\""));
        }
        if !tests.contains(code.as_str()) {
            violations.push(format!("{PAGES}{code}.md: no test mentions {code}"));
        }
    }
    none("error codes without a page, a use or a test", &violations);
}

#[test]
fn the_table_of_codes_equals_the_folder_of_pages() {
    let text = read(TABLE);
    let (head, rest) = text.split_once(BEGINS).expect("the table has a beginning");
    let (_, tail) = rest.split_once(ENDS).expect("the table has an end");
    let rows: String =
        pages().iter().map(|code| format!("    (\"{code}\", include_str!(\"codes/{code}.md\")),\n")).collect();
    let wanted = format!("{head}{BEGINS}{rows}{ENDS}{tail}");
    if std::env::var_os("BLESS").is_some() {
        fs::write(root().join(TABLE), wanted).unwrap();
    } else {
        assert!(
            text == wanted,
            "{TABLE} is not what is in {PAGES}: write it anew with `BLESS=1 cargo test --test it tidy`"
        );
    }
}

fn pages() -> BTreeSet<String> {
    files_below(PAGES.trim_end_matches('/'))
        .into_iter()
        .filter_map(|path| path.strip_prefix(PAGES)?.strip_suffix(".md").map(str::to_owned))
        .collect()
}

fn faults_of_page(code: &str) -> Vec<String> {
    let text = read(&format!("{PAGES}{code}.md"));
    let mut faults = Vec::new();
    if !is_code(code) {
        faults.push("is not named after a code".to_owned());
    }
    if !text.starts_with(&format!("# {code}: ")) {
        faults.push(format!("the first line is not `# {code}: short title`"));
    }
    for heading in ["## What it means", "## Example", "## What to do"] {
        if !text.lines().any(|line| line == heading) {
            faults.push(format!("`{heading}` is missing"));
        }
    }
    faults
}

/// `E`, `W` or `G` and three digits.
fn is_code(text: &str) -> bool {
    text.len() == 4 && text.starts_with(['E', 'W', 'G']) && text[1..].bytes().all(|byte| byte.is_ascii_digit())
}
