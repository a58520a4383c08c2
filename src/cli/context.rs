//! What every verb is given: the global options and the printer.

use std::path::Path;
use std::sync::Arc;

use super::{Exit, Global, Printer};
use crate::diag::Result;
use crate::run::{Request, Stopped};

/// What every verb is given.
#[derive(Debug)]
pub struct Context {
    /// The global options, as they were typed.
    pub global: Global,
    /// Where everything is printed.
    pub printer: Printer,
}

impl Context {
    /// Looks at the terminal and the environment once.
    #[must_use]
    pub fn new(global: Global) -> Self {
        let printer = Printer::new(global.format, global.verbosity(), global.color);
        Self { global, printer }
    }

    /// What a use-case is asked for; the clock and the environment are read here and nowhere else.
    #[must_use]
    pub fn request(&self) -> Request {
        let as_of = self.global.as_of.map(|as_of| -> Arc<dyn Fn(chrono_tz::Tz) -> _ + Send + Sync> {
            Arc::new(move |zone| as_of.resolve(zone))
        });
        Request {
            project: self.global.project.clone(),
            target: self.global.target.clone(),
            vars: self.global.vars.iter().cloned().collect(),
            // Variables that are no Unicode cannot be named in YAML either.
            env: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            as_of,
            now: chrono::Utc::now(),
            accept: self.global.accept.clone(),
            select: self.global.select.clone(),
            wait: self.global.wait,
        }
    }

    /// A command line with a verb and those of the options that were given which say what is meant.
    #[must_use]
    pub fn command(&self, verb: &str) -> String {
        let global = &self.global;
        let mut words = vec!["cohorte".to_owned(), verb.to_owned()];
        let mut add = |option: &str, value: &str| words.extend([option.to_owned(), quoted(value)]);
        if global.project != Path::new(".") {
            add("--project", &global.project.display().to_string());
        }
        global.target.iter().for_each(|target| add("--target", target));
        global.select.iter().for_each(|models| add("--select", models));
        global.as_of.iter().for_each(|as_of| add("--as-of", &as_of.to_string()));
        global.accept.iter().for_each(|name| add("--accept", name));
        global.vars.iter().for_each(|(name, value)| add("--var", &format!("{name}={value}")));
        words.join(" ")
    }

    /// Shows why a use-case ended before its end.
    pub fn stopped(&self, stopped: Stopped) -> Result<Exit> {
        match stopped {
            Stopped::Findings(files, findings) => {
                self.printer.findings(&files, &findings)?;
                Ok(Exit::Project)
            }
            Stopped::Failure(failure) => Err(failure),
        }
    }
}

/// As a shell takes it.
#[must_use]
pub(super) fn quoted(text: &str) -> String {
    if !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "/._-:=@,".contains(c)) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("shops/été-1"), "shops/été-1");
        assert_eq!(quoted("Jo's shop"), r"'Jo'\''s shop'");
        assert_eq!(quoted("tag:x"), "tag:x");
        assert_eq!(quoted("segments:*"), "'segments:*'");
        assert_eq!(quoted(""), "''");
    }
}
