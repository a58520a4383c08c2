//! What is wrong with a source's files: which file, which line, which column, and what to do. Never a value.

use std::fmt;

use crate::diag::Failure;

fn reading(code: &'static str, source: &str, cause: impl fmt::Display) -> Failure {
    Failure::project(code, format!("reading the source `{source}`"), cause)
}

pub(super) fn not_found(source: &str, location: &str) -> Failure {
    reading("E301", source, format!("there is no file at `{location}`")).help(
        "check `path:`; a relative path starts at the project's folder, and globs such as `data/*.csv` may be used",
    )
}

pub(super) fn empty(source: &str, file: &str) -> Failure {
    reading("E302", source, format!("`{file}` is empty: it has no columns"))
        .help("a source without rows still has a header line; an export that failed often leaves an empty file")
}

pub(super) fn ragged(source: &str, file: &str, line: u64, found: usize, expected: usize) -> Failure {
    let values = if found == 1 { "value" } else { "values" };
    let cause = format!("`{file}`, line {line}, has {found} {values} where the header has {expected} columns");
    reading("E303", source, cause).help(
        "put quotes around values that hold the delimiter, a quote or a line break, and double the quotes in them",
    )
}

pub(super) fn encoding(source: &str, file: &str, line: u64, column: Option<&str>) -> Failure {
    let place = column.map_or_else(String::new, |column| format!(", in the column `{column}`"));
    reading("E304", source, format!("`{file}`, line {line}{place}, is not UTF-8"))
        .help("convert the file first, for example: iconv -f WINDOWS-1252 -t UTF-8 old.csv > new.csv")
}

/// A value that does not fit is often a neighbour's, out of its place: whatever the column, it may be personal.
pub(super) fn unfit(
    source: &str,
    file: &str,
    line: u64,
    column: &str,
    expected: impl fmt::Display,
    declared: Option<&str>,
) -> Failure {
    let cause = format!("`{file}`, line {line}, column `{column}`: the value is no {expected}");
    reading("E305", source, cause).help(match declared {
        Some(place) => format!("mend the file, or the type that {place} declares: `{column}: {{type: text}}`"),
        None => {
            format!("mend the file, or declare the column under `columns:` of the source: `{column}: {{type: text}}`")
        }
    })
}

pub(super) fn unknown_column(source: &str, column: &str, known: &[String]) -> Failure {
    let near = known
        .iter()
        .map(|name| (strsim::jaro_winkler(name, column), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)));
    let help = match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("it has: {}", known.join(", ")),
    };
    reading("E306", source, format!("it has no column `{column}`")).help(help)
}

pub(super) fn column_name(source: &str, file: &str, problem: &str) -> Failure {
    reading("E307", source, format!("the header of `{file}`: {problem}"))
        .help("give each column a name of its own in the file, or in the query that exports it")
}

pub(super) fn malformed(source: &str, file: &str, line: u64, cause: impl fmt::Display) -> Failure {
    reading("E308", source, format!("`{file}`, line {line}, {cause}"))
        .help("each line must be one JSON object (or the whole file one array of objects)")
}

pub(super) fn disagreeing(
    source: &str,
    file: &str,
    column: &str,
    found: impl fmt::Display,
    first: impl fmt::Display,
) -> Failure {
    let cause = format!("the column `{column}` is {found} in `{file}` and {first} in the files before it");
    reading("E309", source, cause)
        .help("write the files with one type, or keep those that differ in a source of their own")
}

pub(super) fn unreadable(source: &str, file: &str, cause: impl fmt::Display) -> Failure {
    reading("E310", source, format!("`{file}` cannot be read: {cause}"))
        .help("check that the file is whole, that it is of the format that the source names, and that it may be read")
}

pub(super) fn no_table(source: &str, path: &str) -> Failure {
    reading("E311", source, format!("there is no Delta table at `{path}`"))
        .help("check `table:`; it starts at the warehouse's root. `cohorte load SOURCE FILE…` makes one from files")
}
