//! The reference page of the command line, from the same definitions as `--help`.

use std::fmt::Write as _;

use clap::CommandFactory as _;

use super::Args;

/// The page in Markdown. The tidy test keeps `docs/reference/cli.md` equal to it.
#[must_use]
pub fn reference() -> String {
    let mut root = Args::command().term_width(100);
    root.build();
    let mut page =
        "# The command line\n\nGlobal options stand before or after the verb. Data goes to stdout, talk to stderr.\n"
            .to_owned();
    section(&mut page, &mut root, "cohorte");
    page
}

fn section(page: &mut String, command: &mut clap::Command, path: &str) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    // Writing to a string cannot fail.
    let _ = write!(page, "\n## `{path}`\n\n```text\n{}\n```\n", without_global_options(&lines, path).join("\n"));
    for verb in command.get_subcommands_mut() {
        let path = format!("{path} {}", verb.get_name());
        section(page, verb, &path);
    }
}

/// The global options are the same everywhere and stand under `cohorte` alone.
fn without_global_options<'a>(lines: &[&'a str], path: &str) -> Vec<&'a str> {
    let end = lines.iter().position(|line| path != "cohorte" && line.starts_with("Global options:"));
    let mut kept = lines[..end.unwrap_or(lines.len())].to_vec();
    while kept.last().is_some_and(|line| line.is_empty()) {
        kept.pop();
    }
    kept
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_verb_has_a_section_and_global_options_stand_once() {
        let page = super::reference();
        for heading in ["## `cohorte`", "## `cohorte plan`", "## `cohorte connector list`"] {
            assert!(page.lines().any(|line| line == heading), "{heading}\n{page}");
        }
        assert_eq!(page.matches("--as-of <TIME>").count(), 1);
        assert!(page.contains("--exit-code"));
        assert!(!page.contains('\u{1b}'));
    }
}
