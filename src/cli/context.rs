//! What every verb is given: the global options and the printer.

use super::{Global, Printer};

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
}
