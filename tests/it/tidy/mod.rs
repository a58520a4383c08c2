//! The house is tidy: layers, sizes, error codes and their pages, forbidden words, generated files.
//!
//! Every test lists all that is wrong at once. `BLESS=1 cargo test --test it tidy` writes what can be generated.

mod codes;
mod generated;
mod layers;
mod source;

use source::{is_word, rust_files};

/// No file is longer, except generated ones.
const MOST_LINES: usize = 400;

/// Fails with everything that is wrong.
fn none(what: &str, violations: &[String]) {
    assert!(violations.is_empty(), "\n{} × {what}:\n  {}\n", violations.len(), violations.join("\n  "));
}

#[test]
fn rooms_use_only_rooms_below() {
    none("arrows that do not point down", &layers::violations(&rust_files("src")));
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut violations = Vec::new();
    for file in rust_files("src").into_iter().chain(rust_files("tests")) {
        if is_generated(&file.text) {
            continue;
        }
        let n_lines = file.text.lines().count();
        if n_lines > MOST_LINES {
            violations.push(format!("{}: {n_lines} lines, {MOST_LINES} are allowed", file.path));
        }
        if !file.text.starts_with("//! ") {
            violations.push(format!("{}: the first line is not a `//! ` that says what the file is", file.path));
        }
    }
    none("files that are too long or do not say what they are", &violations);
}

/// Generated files say so in one of their first lines.
fn is_generated(text: &str) -> bool {
    text.lines().take(3).any(|line| line.contains("@generated"))
}

#[test]
fn nothing_is_left_unfinished_and_only_the_command_line_prints() {
    const NOWHERE: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];
    const PRINTS: [&str; 4] = ["print!", "println!", "eprint!", "eprintln!"];
    let mut violations = Vec::new();
    for file in rust_files("src") {
        let may_print = file.path.starts_with("src/cli/") || file.path == "src/main.rs";
        for (index, line) in file.code.lines().enumerate() {
            let in_tests = index + 1 >= file.tests_from;
            let words = NOWHERE.iter().chain(PRINTS.iter().filter(|_| !may_print && !in_tests));
            for word in words.filter(|word| uses(line, word)) {
                violations.push(format!("{}:{}: `{word}`", file.path, index + 1));
            }
        }
    }
    none("macros that have no place here", &violations);
}

fn uses(line: &str, macro_name: &str) -> bool {
    line.match_indices(macro_name).any(|(index, _)| !line[..index].chars().next_back().is_some_and(is_word))
}
