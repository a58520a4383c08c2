//! How a command ended. Part of the interface: orchestrators decide by these codes.

use std::process::{ExitCode, Termination};

use crate::diag::{Failure, Fault};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: all is done.
    Done,
    /// 1: the project, its data or the command line is at fault; or `plan --exit-code` saw changes.
    Project,
    /// 2: the world or cohorte is at fault.
    World,
    /// 3: a guard tripped.
    Guard,
    /// 4: another run holds the warehouse.
    Held,
}

impl Exit {
    /// How a command ends that ends with this failure.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        match failure.fault {
            Fault::Project => Self::Project,
            Fault::World => Self::World,
            Fault::Guard => Self::Guard,
            Fault::Held => Self::Held,
        }
    }

    /// The exit code of the process.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Project => 1,
            Self::World => 2,
            Self::Guard => 3,
            Self::Held => 4,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_exits_agree_on_the_code() {
        for fault in [Fault::Project, Fault::World, Fault::Guard, Fault::Held] {
            let failure = Failure { fault, ..Failure::world("W001", "", "") };
            assert_eq!(Exit::of(&failure).code(), failure.exit_code());
        }
        assert_eq!(Exit::Done.code(), 0);
    }
}
