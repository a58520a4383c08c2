//! What syncs would do and what they did, worth reading.

use std::time::Duration;

use serde_json::json;

use super::summary_requests::{rehearsal, rehearsal_json};
use super::{Context, Exit, Format};
use crate::diag::{Failure, Result};
use crate::report::{Table, count, counted};
use crate::run::Workspace;
use crate::run::sync::{Outcome, Preview, Report};
use crate::sync::journal::{Action, Verdict};

/// What each sync would do, what it withholds and why, and one masked row of each.
pub(super) fn previews(previews: &[Preview]) -> String {
    if previews.is_empty() {
        return String::new();
    }
    let mut table = Table::new()
        .left("sync")
        .left("to")
        .right("add")
        .right("update")
        .right("remove")
        .right("clear")
        .right("withdraw")
        .right("unchanged")
        .left("");
    for preview in previews {
        table.row([
            preview.sync.as_str(),
            &preview.connection,
            &count(preview.adds),
            &count(preview.updates),
            &count(preview.removes),
            &count(preview.clears),
            &count(preview.withdrawals),
            &count(preview.unchanged),
            &notes(preview),
        ]);
    }
    let mut text = format!("\n{}", table.text());
    for preview in previews {
        for (reason, n) in &preview.withheld {
            text.push_str(&format!("  {}: {} withheld, {reason}\n", preview.sync, count(*n)));
        }
    }
    let samples: Vec<String> = previews
        .iter()
        // Where the requests are shown, the rows are in them.
        .filter(|preview| preview.rehearsal.is_empty())
        .filter_map(|preview| {
            let sample = preview.samples.first()?;
            let values: Vec<String> = sample
                .values
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.as_deref().unwrap_or("null")))
                .collect();
            Some(format!("  {} would {} {{{}}}\n", preview.sync, sample.action, values.join(", ")))
        })
        .collect();
    if !samples.is_empty() {
        text.push_str("\none row of each, personal values masked:\n");
        text.push_str(&samples.concat());
    }
    if previews.iter().any(|preview| !preview.rehearsal.is_empty()) {
        text.push_str("\nwhat would be sent, in this order; personal values are masked, secrets are left out:\n");
        text.extend(previews.iter().map(rehearsal));
    }
    text
}

fn notes(preview: &Preview) -> String {
    let mut notes = Vec::new();
    if !preview.delivers {
        notes.push("would not be sent: `deliver: true` is not set".to_owned());
    }
    if preview.is_baseline {
        notes.push("first run: taken as delivered".to_owned());
    }
    if preview.batches > 0 {
        notes.push(counted(preview.batches, "batch", "batches"));
    }
    notes.extend(preview.hold.iter().map(|hold| format!("HELD BACK: {hold}; only withdrawals go")));
    notes.extend(preview.tripped.iter().map(|tripped| format!("GUARD: {tripped}")));
    notes.join("; ")
}

/// The same for programs.
pub(super) fn preview_json(preview: &Preview) -> serde_json::Value {
    json!({
        "kind": "sync_preview", "sync": preview.sync, "connection": preview.connection, "delivers": preview.delivers,
        "desired": preview.desired, "add": preview.adds, "update": preview.updates, "remove": preview.removes,
        "clear": preview.clears, "withdraw": preview.withdrawals, "unchanged": preview.unchanged, "withheld": preview.withheld,
        "held": preview.hold.as_ref().map(ToString::to_string), "batches": preview.batches, "guards": preview.tripped.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// What became of a sync, by its name.
type Delivery = (String, Result<Report, Failure>);

/// Tells what was sent where, what was withheld and why, and what to look at next.
pub(super) fn delivered(
    context: &Context,
    workspace: &Workspace,
    syncs: &[Delivery],
    exit: Exit,
    whole_job: bool,
) -> Result<Exit> {
    let printer = &context.printer;
    let mut exit = exit;
    for (_, report) in syncs {
        let failure = match report {
            Ok(report) => report.failure(),
            Err(failure) => Some(failure.clone()),
        };
        if let Some(failure) = failure {
            printer.failure(&failure);
            exit = worse(exit, Exit::of(&failure));
        }
    }
    if printer.format() == Format::Json {
        for (name, report) in syncs {
            printer.object(&report_json(name, report))?;
            let steps = report.iter().flat_map(|report| rehearsal_json(&report.preview));
            steps.into_iter().try_for_each(|step| printer.object(&step))?;
        }
        return Ok(exit);
    }
    // Where nothing was sent, what would be is what people came for.
    let is_unsent = |report: &Report| matches!(report.outcome, Outcome::DryRun | Outcome::NotDelivering);
    let (unsent, sent): (Vec<&Delivery>, Vec<&Delivery>) =
        syncs.iter().partition(|(_, report)| report.as_ref().is_ok_and(is_unsent));
    let mut text = table(&sent);
    let unsent: Vec<(&String, &Report)> =
        unsent.iter().filter_map(|(name, report)| Some((name, report.as_ref().ok()?))).collect();
    text.push_str(&previews(&unsent.iter().map(|(_, report)| report.preview.clone()).collect::<Vec<_>>()));
    text.extend(unsent.iter().map(|(name, report)| reasons(name, report)));
    if unsent.iter().any(|(_, report)| matches!(report.outcome, Outcome::DryRun)) {
        text.push_str("\nnothing was sent: this was a dry run\n");
    }
    if whole_job {
        let project = &workspace.opened.project;
        let entity = project.entities.keys().next().map_or("customer", String::as_str);
        let place = workspace.opened.warehouse.place(entity);
        let folder = place.strip_suffix(entity).unwrap_or(&place).trim_end_matches('/');
        text.push_str(&format!(
            "\nThe tables are in {folder}\nNext: `cohorte show {}`, `cohorte query \"select * from {entity} limit 5\"`, `cohorte receipts`\n",
            project.segments.keys().next().map_or(entity, String::as_str)
        ));
    }
    printer.report(&text)?;
    Ok(exit)
}

/// What became of syncs that were sent, and why rows were not.
fn table(syncs: &[&Delivery]) -> String {
    if syncs.is_empty() {
        return String::new();
    }
    let mut table = Table::new()
        .left("sync")
        .left("to")
        .right("added")
        .right("updated")
        .right("removed")
        .right("cleared")
        .right("withdrawn")
        .right("unchanged")
        .right("withheld")
        .left("");
    for (name, report) in syncs.iter().copied() {
        match report {
            Ok(report) => {
                let withheld: u64 = report.preview.withheld.values().sum();
                table.row([
                    name.as_str(),
                    &report.preview.connection,
                    &count(report.done(Action::Add)),
                    &count(report.done(Action::Update)),
                    &count(report.done(Action::Remove)),
                    &count(report.done(Action::Clear)),
                    &count(report.done(Action::Withdraw)),
                    &count(report.preview.unchanged),
                    &count(withheld),
                    &outcome(report),
                ]);
            }
            Err(_) => table.row([name.as_str(), "", "", "", "", "", "", "", "", "could not begin, see above"]),
        }
    }
    let mut text = format!("\n{}", table.text());
    for (name, report) in syncs.iter().copied() {
        let Ok(report) = report else { continue };
        for (reason, n) in &report.preview.withheld {
            text.push_str(&format!("  {name}: {} withheld, {reason}\n", count(*n)));
        }
        text.push_str(&reasons(name, report));
    }
    text
}

/// Why rows are not where they should be, each reason with a customer or two.
fn reasons(name: &str, report: &Report) -> String {
    let mut text = String::new();
    for ((verdict, code), reason) in &report.reasons {
        let word = match verdict {
            Verdict::Rejected => "rejected",
            Verdict::Retry => "to try again",
            Verdict::Unknown => "unknown",
            _ => continue,
        };
        let customers = reason.customers.join(", ");
        let more = if reason.rows > reason.customers.len() as u64 { ", …" } else { "" };
        let said = if reason.message.is_empty() { String::new() } else { format!(": {}", reason.message) };
        text.push_str(&format!("  {name}: {} {word}, {code}{said} ({customers}{more})\n", count(reason.rows)));
    }
    if report.preview.waiting > 0 {
        text.push_str(&format!(
            "  {name}: {} not attempted: failed before, in doubt, or not for this mode; `--retry` attempts what failed\n",
            count(report.preview.waiting)
        ));
    }
    text
}

fn outcome(report: &Report) -> String {
    let mut notes = match &report.outcome {
        // What was not sent is told as a plan tells it.
        Outcome::Done | Outcome::DryRun | Outcome::NotDelivering => Vec::new(),
        Outcome::Baseline => vec![format!("{} taken as delivered", count(report.preview.desired))],
        Outcome::Guarded => match &report.preview.hold {
            Some(hold) => vec![format!("held back: {hold}")],
            None => vec!["held back by a guard".to_owned()],
        },
        Outcome::Cancelled => vec!["stopped; the rest stays due".to_owned()],
        Outcome::Failed(_) => vec!["failed, see above; the rest stays due".to_owned()],
    };
    for (verdict, word) in [
        (Verdict::Rejected, "rejected"),
        (Verdict::Retry, "to try again"),
        (Verdict::NotSent, "not sent"),
        (Verdict::Unknown, "unknown"),
    ] {
        let n = report.count(verdict);
        if n > 0 {
            notes.push(format!("{} {word}", count(n)));
        }
    }
    if report.waited >= Duration::from_secs(1) {
        notes.push(format!("held {} s by the quota", report.waited.as_secs()));
    }
    if report.guard_accepted {
        notes.push("guard passed".to_owned());
    }
    notes.join("; ")
}

fn report_json(name: &str, report: &Result<Report, Failure>) -> serde_json::Value {
    match report {
        Ok(report) => json!({
            "kind": "sync", "sync": name, "outcome": report.outcome.name(), "connection": report.preview.connection,
            "desired": report.preview.desired, "added": report.done(Action::Add), "updated": report.done(Action::Update),
            "removed": report.done(Action::Remove), "cleared": report.done(Action::Clear), "withdrawn": report.done(Action::Withdraw),
            "unchanged": report.preview.unchanged, "withheld": report.preview.withheld, "rejected": report.count(Verdict::Rejected),
            "retry": report.count(Verdict::Retry), "unknown": report.count(Verdict::Unknown), "waiting": report.preview.waiting,
            "quota_seconds": report.waited.as_secs_f64(), "reasons": report.reasons.iter().map(|((verdict, code), reason)| json!({
                "outcome": verdict.name(), "code": code, "rows": reason.rows, "message": reason.message, "customers": reason.customers,
            })).collect::<Vec<_>>(),
        }),
        Err(failure) => {
            json!({"kind": "sync", "sync": name, "outcome": "failed", "code": failure.code, "cause": failure.cause})
        }
    }
}

/// The exit that says more: the world's faults before the project's, a guard before success.
fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit: &Exit| match exit {
        Exit::Done => 0,
        Exit::Guard => 1,
        Exit::Held => 2,
        Exit::Project => 3,
        Exit::World => 4,
    };
    if rank(&other) > rank(&one) { other } else { one }
}
