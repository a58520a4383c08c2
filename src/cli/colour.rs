//! Whether a stream is coloured: what was asked for, then `NO_COLOR`, `CLICOLOR_FORCE` and `CLICOLOR`, then the terminal.

use clap::ValueEnum;

/// The argument of `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always, also into files and pipes.
    Always,
    /// Never.
    Never,
}

impl ColourChoice {
    /// Is a stream coloured? `variable` reads the environment.
    pub(super) fn decide(self, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if set("NO_COLOR").is_some() => false,
            Self::Auto if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            Self::Auto if set("CLICOLOR").is_some_and(|value| value == "0") => false,
            Self::Auto => terminal && set("TERM").is_none_or(|value| value != "dumb"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ColourChoice::{self, Always, Auto, Never};

    #[test]
    fn what_was_asked_for_then_the_environment_then_the_terminal() {
        type Case = (ColourChoice, bool, &'static [(&'static str, &'static str)], bool);
        let cases: &[Case] = &[
            (Auto, true, &[], true),
            (Auto, false, &[], false),
            (Always, false, &[("NO_COLOR", "1")], true),
            (Never, true, &[("CLICOLOR_FORCE", "1")], false),
            (Auto, true, &[("NO_COLOR", "1")], false),
            (Auto, true, &[("NO_COLOR", "")], true),
            (Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            (Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (Auto, true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (Auto, true, &[("CLICOLOR", "0")], false),
            (Auto, true, &[("TERM", "dumb")], false),
        ];
        for (choice, terminal, environment, expected) in cases {
            let variable =
                |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(choice.decide(*terminal, variable), *expected, "{choice:?} {terminal} {environment:?}");
        }
    }
}
