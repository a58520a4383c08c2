//! Which room may use which: arrows point down only (DESIGN §6).

use super::source::{RustFile, is_word};

/// Every room with the rooms that it may use. `*` = all that stand before it in this table.
const ROOMS: &[(&str, &[&str])] = &[
    // Files and spans; findings and how they are shown. They make one floor: findings point into texts, texts give findings.
    ("text", &["diag"]),
    ("diag", &["text"]),
    // The YAML as written, and SQL as trees.
    ("sql", &["text", "diag"]),
    ("spec", &["text", "diag"]),
    ("connector", &["spec", "text", "diag"]),
    // A sync is checked against what its connector can do.
    ("project", &["connector", "spec", "sql", "text", "diag"]),
    ("compile", &["project", "connector", "spec", "sql", "text", "diag"]),
    ("sync", &["connector", "project", "spec", "sql", "text", "diag"]),
    ("store", &["compile", "connector", "project", "spec", "sql", "text", "diag"]),
    // Above the store: readers of Delta sources need its access to tables.
    ("engine", &["store", "compile", "connector", "project", "spec", "sql", "text", "diag"]),
    ("report", &["compile", "connector", "project", "spec", "sql", "text", "diag"]),
    // Data for demonstrations: knows nothing of the product.
    ("demo", &["diag"]),
    ("run", &["*"]),
    ("cli", &["*"]),
];

/// Everything in `files` that breaks the table.
pub(super) fn violations(files: &[RustFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let inside = file.path.trim_start_matches("src/");
        if matches!(inside, "lib.rs" | "main.rs") {
            continue;
        }
        let room = inside.split(['/', '.']).next().unwrap_or_default();
        let Some(place) = ROOMS.iter().position(|(name, _)| *name == room) else {
            found.push(format!("{}: the room `{room}` is not in the table of tests/it/tidy/layers.rs", file.path));
            continue;
        };
        let allowed = ROOMS[place].1;
        let all_before = allowed.contains(&"*");
        for (line, used) in used_rooms(&file.code) {
            let known = ROOMS.iter().position(|(name, _)| *name == used);
            let fine = used == room
                || allowed.contains(&used.as_str())
                || all_before && known.is_some_and(|other| other < place);
            if !fine {
                let path = &file.path;
                found.push(match known {
                    Some(_) => format!("{path}:{line}: `{room}` must not use `{used}`"),
                    None => format!("{path}:{line}: `crate::{used}` is in no room"),
                });
            }
        }
    }
    found
}

/// The rooms named by `crate::room` and `crate::{room, …}`, with their lines.
fn used_rooms(code: &str) -> Vec<(usize, String)> {
    let mut used = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("crate::") {
        let start = from + found;
        from = start + "crate::".len();
        if code[..start].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let line = code[..start].matches('\n').count() + 1;
        let rest = code[from..].trim_start();
        let names = match rest.strip_prefix('{') {
            Some(group) => heads(group),
            None => vec![word(rest)],
        };
        used.extend(names.into_iter().filter(|name| !name.is_empty()).map(|name| (line, name)));
    }
    used
}

/// The first word of each part of `a::b, c::{d, e}}…`, up to the closing brace.
fn heads(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut part_begins = true;
    for (index, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => part_begins = true,
            _ if part_begins && is_word(character) => {
                names.push(word(&group[index..]));
                part_begins = false;
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|character| is_word(*character)).collect()
}

#[test]
fn rooms_are_found_in_paths_and_groups() {
    let code = "use crate::diag::{Finding, codes};\nuse crate::{text::Files, sql::{parse, print},\n spec};\nmycrate::x(); crate::plan::y()";
    let used: Vec<String> = used_rooms(code).into_iter().map(|(line, name)| format!("{line} {name}")).collect();
    assert_eq!(used, ["1 diag", "2 text", "2 sql", "2 spec", "4 plan"]);
}

#[test]
fn upward_arrows_are_found() {
    let file = |path: &str, code: &str| RustFile {
        path: path.to_owned(),
        text: String::new(),
        code: code.to_owned(),
        strings: Vec::new(),
        tests_from: 9,
    };
    let files = [
        file("src/spec/mod.rs", "use crate::text::Span;\nuse crate::engine::Stage;"),
        file("src/run/mod.rs", "use crate::{engine, cli};"),
        file("src/utils.rs", ""),
        file("src/compile/mod.rs", "use crate::helper;"),
    ];
    assert_eq!(
        violations(&files),
        [
            "src/spec/mod.rs:2: `spec` must not use `engine`",
            "src/run/mod.rs:1: `run` must not use `cli`",
            "src/utils.rs: the room `utils` is not in the table of tests/it/tidy/layers.rs",
            "src/compile/mod.rs:1: `crate::helper` is in no room",
        ]
    );
}
