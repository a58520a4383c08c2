//! Who holds a lease: a process on a machine, told apart from later ones with the same number.

use serde::{Deserialize, Serialize};

/// A process, as far as the system tells. Where it does not, the fields are empty and nobody is taken for gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// The machine's id of its last start.
    boot: String,
    /// The space of process numbers (a container has its own).
    space: String,
    /// The process number.
    pub(super) id: u32,
    /// When the process started, in ticks since the machine did: a number may be used again.
    started: String,
}

impl Process {
    /// The process that runs this.
    pub(super) fn this() -> Self {
        let id = std::process::id();
        Self { boot: boot(), space: space(), id, started: started(id).unwrap_or_default() }
    }

    /// Did it run on this machine, and has it ended?
    pub(super) fn is_gone(&self) -> bool {
        self.is_known()
            && self.boot == boot()
            && self.space == space()
            && started(self.id).as_ref() != Some(&self.started)
    }

    /// Is it the process that asks?
    pub(super) fn is_this(&self) -> bool {
        self.is_known() && *self == Self::this()
    }

    fn is_known(&self) -> bool {
        !self.boot.is_empty() && !self.space.is_empty() && !self.started.is_empty()
    }

    #[cfg(test)]
    pub(super) fn of(id: u32) -> Self {
        Self { id, started: started(id).unwrap_or_default(), ..Self::this() }
    }
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

fn space() -> String {
    std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default()
}

/// `None` where there is no such process, or only what is left of one that was not yet waited for.
fn started(id: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the fields after it are counted.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}
