//! What a build and its syncs did, worth reading.

use serde_json::json;

use super::{Context, Exit, Format};
use crate::diag::Result;
use crate::report::{Table, change, count};
use crate::diag::Failure;
use crate::run::sync::{Outcome, Preview, Report};
use crate::run::{Built, Planned, Why, Workspace};
use crate::sync::journal::{Action, Verdict};

/// Tells what a build did.
pub(super) fn built(context: &Context, built: &Built) -> Result<Exit> {
    let printer = &context.printer;
    printer.findings(&built.workspace.opened.files, &built.findings)?;
    if printer.format() == Format::Json {
        return as_json(context, built);
    }
    let mut text = String::new();
    let clock = &built.workspace.opened.clock;
    let as_of = clock.as_of.with_timezone(&clock.timezone).format("%Y-%m-%d %H:%M %Z");
    text.push_str(&format!("{} as of {as_of}: {}\n", built.workspace.opened.project.settings.name, why(&built.why)));
    for customers in &built.customers {
        text.push('\n');
        text.push_str(&identity(&customers.entity, &customers.identity));
    }
    text.push_str(&segments(built));
    text.push_str(&work(built));
    printer.data(&text)?;
    Ok(exit(built))
}

/// What was computed and written.
fn work(built: &Built) -> String {
    if built.customers.is_empty() {
        return String::new();
    }
    let project = &built.workspace.opened.project;
    let passes: usize = built.customers.iter().map(|customers| customers.passes.len()).sum();
    let features: usize = built.customers.iter().flat_map(|customers| &customers.passes).map(|(_, features, _)| features).sum();
    let rows: u64 = built.tables.iter().map(|table| table.rows).sum();
    format!(
        "\n{} traits, {} scores and {} segments from {} sources: {} features in {} passes; {} rows in {} tables, {:.1} s\n",
        count(project.traits.len() as u64),
        count(project.scores.len() as u64),
        count(project.segments.len() as u64),
        count(project.sources.len() as u64),
        count(features as u64),
        count(passes as u64),
        count(rows),
        count(built.tables.len() as u64),
        built.seconds
    )
}

/// Each segment with its size and change.
fn segments(built: &Built) -> String {
    let mut text = String::new();
    if !built.segments.is_empty() {
        let mut table = Table::new().left("segment").right("members").right("entered").right("left").left("");
        for segment in &built.segments {
            let note = match (&segment.tripped, segment.accepted) {
                (Some(tripped), true) => format!("guard passed: {}", tripped.reason),
                (Some(tripped), false) => format!(
                    "GUARD: {}; the members stay as they were (--accept {} lets it pass once)",
                    tripped.reason, segment.segment
                ),
                (None, _) if segment.is_new => "new".to_owned(),
                (None, _) => String::new(),
            };
            table.row([
                segment.segment.as_str(),
                &count(segment.members),
                &change(segment.entered as i64),
                &change(-(segment.exited as i64)),
                &note,
            ]);
        }
        text.push('\n');
        text.push_str(&table.text());
    }
    text
}

/// A guard that tripped is told by the exit code.
fn exit(built: &Built) -> Exit {
    if built.segments.iter().any(|segment| segment.tripped.is_some() && !segment.accepted) {
        Exit::Guard
    } else {
        Exit::Done
    }
}

fn why(why: &Why) -> String {
    match why {
        Why::New => "built for the first time".to_owned(),
        Why::Changed { sources, definitions } => {
            let mut reasons = Vec::new();
            if *definitions {
                reasons.push("definitions changed".to_owned());
            }
            if !sources.is_empty() {
                reasons.push(format!("new data in {}", sources.join(", ")));
            }
            format!("built, because of {}", reasons.join(" and "))
        }
        Why::Time => "built, because time has passed".to_owned(),
        Why::Nothing => "nothing has changed, nothing was built".to_owned(),
    }
}

fn as_json(context: &Context, built: &Built) -> Result<Exit> {
    let workspace = &built.workspace;
    context.printer.object(&json!({
        "kind": "build", "run_id": workspace.run_id, "as_of": workspace.opened.clock.as_of.to_rfc3339(),
        "why": why(&built.why), "seconds": built.seconds,
    }))?;
    for segment in &built.segments {
        context.printer.object(&json!({
            "kind": "segment", "segment": segment.segment, "members": segment.members, "entered": segment.entered,
            "exited": segment.exited, "guard": segment.tripped.as_ref().map(|tripped| &tripped.reason), "accepted": segment.accepted,
        }))?;
    }
    for table in &built.tables {
        context
            .printer
            .object(&json!({"kind": "table", "table": table.table, "rows": table.rows, "version": table.version}))?;
    }
    Ok(exit(built))
}

/// From how many records how many customers, and what was set aside on the way.
fn identity(entity: &str, report: &crate::engine::resolve::Report) -> String {
    let records: u64 = report.nodes.values().sum();
    let mut text = format!(
        "{} records and visits are {} {entity}s, {} of them known\n",
        count(records),
        count(report.customers),
        count(report.known)
    );
    let events = [
        ("new", report.minted),
        ("merged", report.merged),
        ("split", report.split),
        ("retired", report.retired),
        ("returned", report.returned),
    ];
    let said: Vec<String> =
        events.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{} {what}", count(*n))).collect();
    if !said.is_empty() {
        text.push_str(&format!("  ids: {}\n", said.join(", ")));
    }
    for (reason, n) in &report.refused {
        text.push_str(&format!("  {} links refused: {reason}\n", count(*n)));
    }
    for dropped in &report.dropped {
        text.push_str(&format!(
            "  {} values of {} identify nobody: {}\n",
            count(dropped.values),
            dropped.identifier,
            dropped.reason
        ));
    }
    text
}

/// Tells what a plan found; are there changes?
pub(super) fn planned(context: &Context, planned: &Planned) -> Result<bool> {
    let (printer, built) = (&context.printer, &planned.built);
    printer.findings(&built.workspace.opened.files, &built.findings)?;
    let moved = built.segments.iter().any(|segment| segment.entered + segment.exited > 0);
    let due = planned.syncs.iter().any(|preview| preview.due() > 0);
    let changes = matches!(built.why, Why::New | Why::Changed { .. }) || moved || due;
    if printer.format() == Format::Json {
        as_json(context, built)?;
        for preview in &planned.syncs {
            printer.object(&preview_json(preview))?;
        }
        return Ok(changes);
    }
    let clock = &built.workspace.opened.clock;
    let as_of = clock.as_of.with_timezone(&clock.timezone).format("%Y-%m-%d %H:%M %Z");
    let mut text = format!("{} as of {as_of}, as a plan: {}\n", built.workspace.opened.project.settings.name, would(&built.why));
    for customers in &built.customers {
        text.push('\n');
        text.push_str(&identity(&customers.entity, &customers.identity));
    }
    text.push_str(&segments(built));
    text.push_str(&previews(&planned.syncs));
    text.push_str("\nnothing was written; `cohorte run` does it\n");
    printer.data(&text)?;
    Ok(changes)
}

fn would(why: &Why) -> String {
    match why {
        Why::New => "nothing was built before, everything would be".to_owned(),
        Why::Nothing => "nothing has changed, nothing would be built".to_owned(),
        other => self::why(other).replacen("built", "would be built", 1),
    }
}

fn previews(previews: &[Preview]) -> String {
    if previews.is_empty() {
        return String::new();
    }
    let mut table = Table::new().left("sync").left("to").right("add").right("update").right("remove").right("clear").right("withdraw").right("unchanged").left("");
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
        .filter_map(|preview| {
            let sample = preview.samples.first()?;
            let values: Vec<String> = sample.values.iter().map(|(name, value)| format!("{name}: {}", value.as_deref().unwrap_or("null"))).collect();
            Some(format!("  {} would {} {{{}}}\n", preview.sync, sample.action, values.join(", ")))
        })
        .collect();
    if !samples.is_empty() {
        text.push_str("\none row of each, personal values masked:\n");
        text.push_str(&samples.concat());
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
        notes.push(format!("{} batches", count(preview.batches)));
    }
    notes.extend(preview.tripped.iter().map(|tripped| format!("GUARD: {tripped}")));
    notes.join("; ")
}

fn preview_json(preview: &Preview) -> serde_json::Value {
    json!({
        "kind": "sync_preview", "sync": preview.sync, "connection": preview.connection, "delivers": preview.delivers,
        "desired": preview.desired, "add": preview.adds, "update": preview.updates, "remove": preview.removes,
        "clear": preview.clears, "withdraw": preview.withdrawals, "unchanged": preview.unchanged, "withheld": preview.withheld,
        "batches": preview.batches, "guards": preview.tripped.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// Tells what was sent where, what was withheld and why, and what to look at next.
pub(super) fn delivered(
    context: &Context,
    workspace: &Workspace,
    syncs: &[(String, Result<Report, Failure>)],
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
        }
        return Ok(exit);
    }
    let mut text = String::new();
    if !syncs.is_empty() {
        let mut table = Table::new().left("sync").left("to").right("added").right("updated").right("removed").right("withdrawn").right("unchanged").right("withheld").left("");
        for (name, report) in syncs {
            match report {
                Ok(report) => {
                    let removed = report.done(Action::Remove) + report.done(Action::Clear);
                    let withheld: u64 = report.preview.withheld.values().sum();
                    table.row([
                        name.as_str(),
                        &report.preview.connection,
                        &count(report.done(Action::Add)),
                        &count(report.done(Action::Update)),
                        &count(removed),
                        &count(report.done(Action::Withdraw)),
                        &count(report.preview.unchanged),
                        &count(withheld),
                        &outcome(report),
                    ]);
                }
                Err(_) => table.row([name.as_str(), "", "", "", "", "", "", "", "could not begin, see above"]),
            }
        }
        text.push_str(&format!("\n{}", table.text()));
        for (name, report) in syncs {
            let Ok(report) = report else { continue };
            for (reason, n) in &report.preview.withheld {
                text.push_str(&format!("  {name}: {} withheld, {reason}\n", count(*n)));
            }
        }
    }
    if whole_job {
        let place = workspace.opened.warehouse.place("customer");
        text.push_str(&format!(
            "\nThe tables are in {}\nNext: `cohorte show {}`, `cohorte query \"select * from customer limit 5\"`, `cohorte receipts`\n",
            place.trim_end_matches("/customer"),
            workspace.opened.project.segments.keys().next().map_or("customer", String::as_str)
        ));
    }
    printer.data(&text)?;
    Ok(exit)
}

fn outcome(report: &Report) -> String {
    let mut notes = match &report.outcome {
        Outcome::Done => Vec::new(),
        Outcome::DryRun => vec![format!("nothing sent (dry run): {} due", count(report.preview.due()))],
        Outcome::NotDelivering => vec![format!("nothing sent: {} due, but `deliver: true` is not set", count(report.preview.due()))],
        Outcome::Baseline => vec![format!("{} taken as delivered", count(report.preview.desired))],
        Outcome::Guarded => vec!["held back by a guard".to_owned()],
        Outcome::Cancelled => vec!["stopped; the rest stays due".to_owned()],
        Outcome::Failed(_) => vec!["failed, see above; the rest stays due".to_owned()],
    };
    for (verdict, word) in [(Verdict::Rejected, "rejected"), (Verdict::Retry, "to try again"), (Verdict::Unknown, "unknown")] {
        let n = report.count(verdict);
        if n > 0 {
            notes.push(format!("{} {word}", count(n)));
        }
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
            "retry": report.count(Verdict::Retry), "unknown": report.count(Verdict::Unknown),
        }),
        Err(failure) => json!({"kind": "sync", "sync": name, "outcome": "failed", "code": failure.code, "cause": failure.cause}),
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
