//! What goes where: data to stdout, talk to stderr, and how much of it.

use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use super::Format;
use super::bars::Bars;
use super::colour::ColourChoice;
use crate::diag::render::{self, Look};
use crate::diag::{Failure, Finding, Result};
use crate::report::{NoProgress, Progress};
use crate::text::Files;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Nothing: the exit code speaks.
    Silent,
    /// Findings, failures, and the data that was asked for.
    Quiet,
    /// Also what is done and was done, and progress on a terminal.
    Normal,
    /// Also how and why.
    Verbose,
}

/// Prints, so that lines and progress bars never mix.
#[derive(Debug)]
pub struct Printer {
    format: Format,
    verbosity: Verbosity,
    /// Of text on stderr.
    look: Look,
    /// Of data on stdout.
    data_look: Look,
    bars: MultiProgress,
    /// The reader of stdout is gone; nothing more is written there.
    closed: AtomicBool,
}

impl Printer {
    /// Looks at the terminal and the environment once.
    #[must_use]
    pub fn new(format: Format, verbosity: Verbosity, colour: ColourChoice) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let terminal = io::stderr().is_terminal();
        let width = if terminal { console_width() } else { Look::default().width };
        let progress = terminal && format == Format::Human && verbosity >= Verbosity::Normal;
        let target = if progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            format,
            verbosity,
            look: Look { colour: colour.decide(terminal, variable), width },
            data_look: Look { colour: colour.decide(io::stdout().is_terminal(), variable), width },
            bars: MultiProgress::with_draw_target(target),
            closed: AtomicBool::new(false),
        }
    }

    /// What the output is for.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// May data on stdout be coloured?
    #[must_use]
    pub fn coloured_data(&self) -> bool {
        self.data_look.colour
    }

    /// Tells on stdout what a verb did, to whom it matters: unlike data it is not what was asked for.
    pub fn report(&self, text: &str) -> Result<()> {
        if self.verbosity >= Verbosity::Normal { self.data(text) } else { Ok(()) }
    }

    /// Prints data to stdout as it is; a newline at the end is the caller's. A reader that went away is no failure.
    pub fn data(&self, text: &str) -> Result<()> {
        if self.verbosity == Verbosity::Silent || self.closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let written = self.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        });
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(Failure::world("W001", "writing the output", error)
                .help("check that the disk is not full, or write the output elsewhere")),
            Ok(()) => Ok(()),
        }
    }

    /// Has the reader of stdout gone away? Long output may stop.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Prints one JSON object as a line of data.
    pub fn object(&self, object: &impl Serialize) -> Result<()> {
        let line =
            serde_json::to_string(object).map_err(|error| Failure::world("W001", "writing the output", error))?;
        self.data(&format!("{line}\n"))
    }

    /// Says what is done, to people only.
    pub fn talk(&self, text: &str) {
        if self.verbosity >= Verbosity::Normal && self.format == Format::Human {
            self.stderr(text);
        }
    }

    /// Says how and why, to people who asked for it.
    pub fn detail(&self, text: &str) {
        if self.verbosity >= Verbosity::Verbose && self.format == Format::Human {
            self.stderr(text);
        }
    }

    /// Shows findings: text on stderr with a summary at the end, or JSON lines on stdout.
    pub fn findings(&self, files: &Files, findings: &[Finding]) -> Result<()> {
        match self.format {
            Format::Json => findings.iter().try_for_each(|finding| self.object(&render::finding_json(files, finding))),
            Format::Human if self.verbosity == Verbosity::Silent || findings.is_empty() => Ok(()),
            Format::Human => {
                self.stderr(render::findings_text(files, findings, self.look).trim_end());
                if let Some(first) = findings.first() {
                    self.talk(&format!("`cohorte explain {}` says more about the first", first.code));
                }
                Ok(())
            }
        }
    }

    /// Shows a failure: on stderr, as text or as one line of JSON.
    pub fn failure(&self, failure: &Failure) {
        match self.format {
            _ if self.verbosity == Verbosity::Silent => {}
            Format::Json => self.stderr(&render::failure_json(failure).to_string()),
            Format::Human => self.stderr(&render::failure_text(failure, self.look)),
        }
    }

    /// The progress of long work: bars on a terminal, nothing in a log.
    #[must_use]
    pub fn progress(&self) -> Box<dyn Progress> {
        if self.bars.is_hidden() { Box::new(NoProgress) } else { Box::new(Bars::new(self.bars.clone())) }
    }

    fn stderr(&self, text: &str) {
        // Nobody is left to tell when stderr itself fails.
        let _ = self.bars.suspend(|| writeln!(io::stderr().lock(), "{text}"));
    }
}

/// The width that the terminal says it has. Very narrow ones are written to as if they were wider.
fn console_width() -> usize {
    terminal_size::terminal_size_of(io::stderr())
        .map_or(Look::default().width, |(width, _)| usize::from(width.0).max(40))
}
