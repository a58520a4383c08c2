//! The main job, killed at any moment and run again, ends as an undisturbed one does: the same tables, every row delivered.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const AS_OF: &str = "2026-11-01T00:00:00Z";

/// Ids are functions of the data and segments are entered at `as_of`, so two warehouses compare as text.
const TABLES: [&str; 6] = [
    "select * from customer order by customer_id",
    "select source, record_key, customer_id from customer_records order by source, record_key",
    "select customer_id, event, source, record_key from customer_ids order by customer_id, event",
    "select segment, entity_id, entered_at, exited_at from segment_members order by segment, entity_id",
    "select contact_point, purpose, channel, status from consents order by contact_point, purpose, channel",
    "select segment, members, entered, exited from segment_sizes order by segment",
];

fn cohorte(project: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cohorte"));
    command.args(["--project"]).arg(project).args(arguments).stdin(Stdio::null());
    command
}

fn new_project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_cohorte")).arg("init").arg(dir.path().join("shop")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    dir
}

fn finish(project: &Path) {
    let output = cohorte(project, &["run", "--as-of", AS_OF]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn tables(project: &Path) -> Vec<String> {
    let read = |sql: &&str| {
        let output = cohorte(project, &["query", sql, "--format", "json"]).output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    TABLES.iter().map(read).collect()
}

/// Lines of every file that was delivered: the same row may be delivered twice, none may be missing.
fn delivered(folder: &Path, into: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.path().is_dir() {
            delivered(&entry.path(), into);
        } else {
            into.extend(std::fs::read_to_string(entry.path()).unwrap_or_default().lines().map(str::to_owned));
        }
    }
}

/// With debug assertions the executable dies at a boundary whose number is given: before and after each commit and each send.
#[test]
fn a_job_killed_at_every_boundary_of_an_effect_and_run_again_ends_as_an_undisturbed_one() {
    let calm = new_project();
    let calm = calm.path().join("shop");
    finish(&calm);
    let (expected, mut rows) = (tables(&calm), BTreeSet::new());
    delivered(&calm.join("outbox"), &mut rows);
    for boundary in 1.. {
        let project = new_project();
        let project = project.path().join("shop");
        let mut command = cohorte(&project, &["run", "--as-of", AS_OF]);
        let died = command.env("COHORTE_DIE_AT", boundary.to_string()).output().unwrap();
        if died.status.success() {
            assert!(boundary > 40, "it died at {boundary} boundaries only");
            return;
        }
        assert_eq!(died.status.code(), None, "{}", String::from_utf8_lossy(&died.stderr));
        finish(&project);
        assert_eq!(tables(&project), expected, "died at boundary {boundary}");
        let mut found = BTreeSet::new();
        delivered(&project.join("outbox"), &mut found);
        assert_eq!(found, rows, "died at boundary {boundary}");
    }
}

#[test]
fn a_job_killed_at_any_moment_and_run_again_ends_as_an_undisturbed_one() {
    let calm = new_project();
    let calm = calm.path().join("shop");
    let started = std::time::Instant::now();
    finish(&calm);
    let whole = started.elapsed();
    let (expected, mut rows) = (tables(&calm), BTreeSet::new());
    delivered(&calm.join("outbox"), &mut rows);
    assert!(!rows.is_empty(), "something was delivered");

    let kills = 12;
    for kill in 1..=kills {
        let project = new_project();
        let project = project.path().join("shop");
        let mut child =
            cohorte(&project, &["run", "--as-of", AS_OF]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * kill / kills + Duration::from_millis(u64::from(kill) * 7 % 13));
        // It may have ended by itself: then there is nothing to kill, and nothing may be sent twice either.
        let _ = child.kill();
        child.wait().unwrap();
        finish(&project);
        assert_eq!(tables(&project), expected, "killed after {kill}/{kills} of its time");
        let mut found = BTreeSet::new();
        delivered(&project.join("outbox"), &mut found);
        assert_eq!(found, rows, "killed after {kill}/{kills} of its time");
    }
}
