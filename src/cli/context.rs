//! What every verb is given: the global options and the printer.

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
