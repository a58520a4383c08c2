//! What each step of a build cost, where `--timings` asks for it.

use serde_json::json;

use super::{Format, Printer};
use crate::diag::Result;
use crate::engine::{Step, peak_memory};
use crate::report::{Table, bytes, count, duration};
use crate::run::Built;

/// Prints every step in the order in which they ended.
pub(super) fn steps(printer: &Printer, built: &Built) -> Result<()> {
    let steps = built.workspace.stage.timings.steps();
    if printer.format() == Format::Json {
        return steps.iter().try_for_each(|step| {
            printer.object(&json!({
                "kind": "step", "step": step.name, "seconds": step.took.as_secs_f64(), "rows": step.rows,
                "bytes_read": step.bytes_read, "bytes_spilled": step.bytes_spilled,
            }))
        });
    }
    let mut table = Table::new().left("step").right("time").right("rows").right("read").right("spilled");
    let size = |size: u64| if size == 0 { String::new() } else { bytes(size) };
    for Step { name, took, rows, bytes_read, bytes_spilled } in steps {
        let rows = rows.map(count).unwrap_or_default();
        table.row([name, duration(took), rows, size(bytes_read), size(bytes_spilled)]);
    }
    printer.report(&format!("\n{}", table.text()))
}

/// `, at most 310.4 MB of memory`, where the system says so.
pub(super) fn memory() -> String {
    peak_memory().map_or_else(String::new, |peak| format!(", at most {} of memory", bytes(peak)))
}
