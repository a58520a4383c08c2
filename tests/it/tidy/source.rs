//! A Rust file cut into what runs, what is said in strings, and what is only for tests. Just enough of the language.

use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file of this package.
pub(super) struct RustFile {
    /// Path from the root of the package, with `/`.
    pub(super) path: String,
    /// The whole text.
    pub(super) text: String,
    /// The text with comments and the insides of strings blanked; lines are where they were.
    pub(super) code: String,
    /// Strings with the line of their beginning, counted from 1.
    pub(super) strings: Vec<(usize, String)>,
    /// From this line on, all is for tests. Beyond the last line where nothing is.
    pub(super) tests_from: usize,
}

/// Every Rust file below a folder of the package, by path.
pub(super) fn rust_files(folder: &str) -> Vec<RustFile> {
    let mut files: Vec<RustFile> = files_below(folder)
        .into_iter()
        .filter(|path| path.ends_with(".rs"))
        .map(|path| {
            let text = read(&path);
            let (code, strings) = cut(&text);
            let tests_from = first_line_of_tests(&code);
            RustFile { path, text, code, strings, tests_from }
        })
        .collect();
    let for_tests: Vec<String> = files.iter().flat_map(modules_for_tests).collect();
    for file in &mut files {
        let module = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let below = |test: &String| {
            module.strip_prefix(test.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if file.path.starts_with("tests/") || for_tests.iter().any(below) {
            file.tests_from = 1;
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Every file below a folder of the package, as paths from its root.
pub(super) fn files_below(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                found.push(path.to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// The folder of `Cargo.toml`.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the package.
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The modules in files of their own that a file declares with `#[cfg(test)] mod name;`, as paths without `.rs`.
fn modules_for_tests(file: &RustFile) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or_default();
    let own = match name.trim_end_matches(".rs") {
        "mod" | "lib" | "main" => folder.to_owned(),
        stem => format!("{folder}/{stem}"),
    };
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let mut modules = Vec::new();
    for index in (0..lines.len()).filter(|index| lines[*index] == "#[cfg(test)]") {
        let mut rest = lines[index + 1..].iter();
        let mut line = rest.next().copied().unwrap_or_default();
        let path = line.strip_prefix("#[path = \"").and_then(|line| line.strip_suffix(".rs\"]"));
        if path.is_some() {
            line = rest.next().copied().unwrap_or_default();
        }
        let Some((_, name)) = line.strip_suffix(';').and_then(|line| line.split_once("mod ")) else { continue };
        modules.push(path.map_or_else(|| format!("{own}/{name}"), |path| format!("{folder}/{path}")));
    }
    modules
}

/// The line of `#[cfg(test)]` before a module with a body.
fn first_line_of_tests(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let body = |index: usize| lines.get(index + 1).is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
    lines.iter().enumerate().position(|(index, line)| *line == "#[cfg(test)]" && body(index)).unwrap_or(lines.len()) + 1
}

/// Blanks comments and strings, and gives the strings.
fn cut(text: &str) -> (String, Vec<(usize, String)>) {
    let characters: Vec<char> = text.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut strings = Vec::new();
    let (mut index, mut line) = (0, 1);
    while index < characters.len() {
        let start = index;
        let previous = if index == 0 { ' ' } else { at(index - 1) };
        match at(index) {
            '/' if at(index + 1) == '/' => {
                while index < characters.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            '/' if at(index + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(index), at(index + 1)) {
                        ('/', '*') => (depth, index) = (depth + 1, index + 2),
                        ('*', '/') => (depth, index) = (depth - 1, index + 2),
                        _ => index += 1,
                    }
                    if depth == 0 || index >= characters.len() {
                        break;
                    }
                }
            }
            'r' if !is_word(previous) || previous == 'b' => {
                let hashes = (index + 1..).take_while(|next| at(*next) == '#').count();
                if at(index + 1 + hashes) == '"' {
                    let inside = index + 2 + hashes;
                    let closes = |end: usize| at(end) == '"' && (1..=hashes).all(|next| at(end + next) == '#');
                    let end = (inside..characters.len()).find(|end| closes(*end)).unwrap_or(characters.len());
                    strings.push((line, characters[inside.min(end)..end].iter().collect()));
                    index = end + 1 + hashes;
                }
            }
            '"' => {
                index += 1;
                while index < characters.len() && at(index) != '"' {
                    index += if at(index) == '\\' { 2 } else { 1 };
                }
                let end = index.min(characters.len());
                strings.push((line, characters[(start + 1).min(end)..end].iter().collect()));
                index += 1;
            }
            // A character; a lifetime has no second quote.
            '\'' if at(index + 1) == '\\' => {
                index += 3;
                while index < characters.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            }
            '\'' if at(index + 2) == '\'' => index += 3,
            _ => {}
        }
        let end = index.min(characters.len());
        for character in &characters[start..end] {
            line += usize::from(*character == '\n');
            code.push(if *character == '\n' { '\n' } else { ' ' });
        }
        if index == start {
            line += usize::from(at(index) == '\n');
            code.push(at(index));
            index += 1;
        }
    }
    (code, strings)
}

pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[test]
fn a_file_is_cut_into_code_and_strings() {
    let text = "use a; // \"no\"\nlet b = 'c'; /* x /* y */ \"no\" */ let d: &'static str = \"E\\\"1\";\nr#\"raw \"E2\"\"#; '\\''; b\"by\"";
    let (code, strings) = cut(text);
    assert_eq!(strings, [(2, "E\\\"1".to_owned()), (3, "raw \"E2\"".to_owned()), (3, "by".to_owned())]);
    assert_eq!(code.chars().count(), text.chars().count());
    assert!(code.contains("let d: &'static str =") && !code.contains("no") && !code.contains("raw"));
}

#[test]
fn modules_for_tests_are_found_where_they_are_declared() {
    let file = |path: &str, text: &str| RustFile {
        path: path.to_owned(),
        text: text.to_owned(),
        code: String::new(),
        strings: Vec::new(),
        tests_from: 9,
    };
    let room =
        file("src/store/mod.rs", "mod lease;\n#[cfg(test)]\npub(crate) mod testing;\n#[cfg(test)]\nuse a;\nmod b;");
    assert_eq!(modules_for_tests(&room), ["src/store/testing"]);
    let lease = file("src/store/lease.rs", "#[cfg(test)]\n#[path = \"lease_tests.rs\"]\nmod tests;");
    assert_eq!(modules_for_tests(&lease), ["src/store/lease_tests"]);
    let write = file("src/store/write.rs", "#[cfg(test)]\nmod tests;");
    assert_eq!(modules_for_tests(&write), ["src/store/write/tests"]);
}
