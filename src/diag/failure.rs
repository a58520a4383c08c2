//! Failures of the world: what was being done, on what, why it failed and what to do next.

use std::fmt;

/// The result of an act on the world.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// An act on the world that failed. Never carries a secret or a person's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable code with a page of its own, such as `W201`.
    pub code: &'static str,
    /// What was being done and on what: "reading the source `orders`".
    pub doing: String,
    /// Why it failed.
    pub cause: String,
    /// What to do next.
    pub help: String,
    /// Whose fault it is, which decides the exit code.
    pub fault: Fault,
}

/// Decides the exit code (DESIGN: 1 project or data, 2 world, 3 guard, 4 held warehouse).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The project or its data.
    Project,
    /// The world or cohorte itself.
    World,
    /// A guard tripped.
    Guard,
    /// Another run holds the warehouse.
    Held,
}

impl Failure {
    /// A failure of the world.
    pub fn world(code: &'static str, doing: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self { code, doing: doing.into(), cause: cause.to_string(), help: String::new(), fault: Fault::World }
    }

    /// A fault in the user's project or data.
    pub fn project(code: &'static str, doing: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self { fault: Fault::Project, ..Self::world(code, doing, cause) }
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// The exit code of the process that ends with this failure.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.fault {
            Fault::Project => 1,
            Fault::World => 2,
            Fault::Guard => 3,
            Fault::Held => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed: {}", self.doing, self.cause)
    }
}

impl std::error::Error for Failure {}
