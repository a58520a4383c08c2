//! Committed files that the library generates: the JSON Schema and the reference.

use std::fs;

use cohorte::{cli, connector, diag, spec};

use super::none;
use super::source::{files_below, root};

const REFERENCE: &str = "docs/reference/";

/// Every generated file. A new one is added here and nowhere else.
fn generated() -> Vec<(String, String)> {
    vec![
        ("schema/cohorte.schema.json".to_owned(), spec::json_schema()),
        ("schema/connector.schema.json".to_owned(), spec::connector_json_schema()),
        (format!("{REFERENCE}cli.md"), cli::reference()),
        (format!("{REFERENCE}connectors.md"), connector::reference()),
        (format!("{REFERENCE}errors.md"), diag::codes::reference()),
    ]
}

#[test]
fn committed_files_equal_what_the_library_generates() {
    let bless = std::env::var_os("BLESS").is_some();
    let wanted = generated();
    let mut violations = Vec::new();
    for (path, text) in &wanted {
        let full = root().join(path);
        if bless {
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(&full, text).unwrap();
        } else if fs::read_to_string(&full).ok().as_ref() != Some(text) {
            violations.push(format!("{path}: write it anew with `BLESS=1 cargo test --test it tidy`"));
        }
    }
    for path in files_below(REFERENCE.trim_end_matches('/')) {
        if !wanted.iter().any(|(known, _)| *known == path) {
            violations.push(format!("{path}: nothing generates it"));
        }
    }
    none("generated files that are not up to date", &violations);
}
