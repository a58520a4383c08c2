//! What a build and its syncs did, worth reading.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Context, Exit, Format, summary_syncs, timings};
use crate::diag::{Finding, Result, Severity};
use crate::engine::peak_memory;
use crate::project::Kind;
use crate::report::{Table, change, count, counted};
use crate::run::{Built, Customers, Edit, Planned, Reason, SegmentChange, Why};

/// Tells what a build did.
pub(super) fn built(context: &Context, built: &Built) -> Result<Exit> {
    let printer = &context.printer;
    printer.findings(&built.workspace.opened.files, &built.findings)?;
    built.segments.iter().filter_map(SegmentChange::failure).for_each(|failure| printer.failure(&failure));
    if printer.format() == Format::Json {
        return as_json(context, built, &why(&built.why));
    }
    let mut text = String::new();
    let clock = &built.workspace.opened.clock;
    let as_of = clock.as_of.with_timezone(&clock.timezone).format("%Y-%m-%d %H:%M %Z");
    text.push_str(&format!("{} as of {as_of}: {}\n", built.workspace.opened.project.settings.name, why(&built.why)));
    for customers in &built.customers {
        text.push('\n');
        text.push_str(&identity(customers));
    }
    text.push_str(&segments(built));
    text.push_str(&blocked(built));
    text.push_str(&work(built));
    printer.report(&text)?;
    Ok(exit(built))
}

/// What was computed and written.
fn work(built: &Built) -> String {
    if built.customers.is_empty() {
        return String::new();
    }
    let project = &built.workspace.opened.project;
    let passes: usize = built.customers.iter().map(|customers| customers.passes.len()).sum();
    let features: usize =
        built.customers.iter().flat_map(|customers| &customers.passes).map(|(_, features)| features).sum();
    let written = || built.tables.iter().filter(|table| table.is_written);
    let rows: u64 = written().map(|table| table.rows).sum();
    let unchanged = match built.tables.len() - written().count() {
        0 => String::new(),
        n => format!(", {}", counted(n as u64, "table is as it was", "tables are as they were")),
    };
    format!(
        "\n{}, {} and {} from {}: {} in {}; {} in {}{unchanged}, {:.1} s{}\n",
        counted(project.traits.len() as u64, "trait", "traits"),
        counted(project.scores.len() as u64, "score", "scores"),
        counted(project.segments.len() as u64, "segment", "segments"),
        counted(project.sources.len() as u64, "source", "sources"),
        counted(features as u64, "feature", "features"),
        counted(passes as u64, "pass", "passes"),
        counted(rows, "row", "rows"),
        counted(written().count() as u64, "table", "tables"),
        built.seconds,
        timings::memory()
    )
}

/// Each segment with its size and change.
fn segments(built: &Built) -> String {
    let mut text = String::new();
    if !built.segments.is_empty() {
        let mut table = Table::new().left("segment").right("members").right("entered").right("left").left("");
        let (others, meant): (Vec<&SegmentChange>, Vec<&SegmentChange>) =
            built.segments.iter().partition(|segment| segment.kept == Some(Reason::NotSelected));
        for segment in meant {
            let note = match (&segment.tripped, segment.accepted) {
                (Some(tripped), true) => format!("guard passed: {}", tripped.reason),
                (Some(tripped), false) => format!(
                    "GUARD: {}; the members stay as they were (--accept {} lets it pass once)",
                    tripped.reason, tripped.segment
                ),
                (None, _) if segment.kept.is_some() => "not built".to_owned(),
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
        if !table.is_empty() {
            text.push_str(&format!("\n{}", table.text()));
        }
        if !others.is_empty() {
            let others = counted(others.len() as u64, "segment", "segments");
            text.push_str(&format!("\nnot selected: {others}\n"));
        }
    }
    text
}

/// What was not built, and because of which source.
fn blocked(built: &Built) -> String {
    let mut by_source: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (kind, name, source) in built.kept.blocked() {
        if !matches!(kind, Kind::Source | Kind::Event) {
            by_source.entry(source).or_default().push(format!("{kind} {name}"));
        }
    }
    let mut text = String::new();
    for (source, models) in by_source {
        text.push_str(&format!(
            "\nnot built, since `{source}` is not as expected: {}; what is published of them stays, only withdrawals are sent\n",
            models.join(", ")
        ));
    }
    text
}

/// How a verb ends that has these to tell and did its work all the same.
pub(super) fn of_findings(findings: &[Finding]) -> Exit {
    if findings.iter().any(|finding| finding.severity == Severity::Error) { Exit::Project } else { Exit::Done }
}

/// Sources at fault, and a guard that tripped, are told by the exit code.
fn exit(built: &Built) -> Exit {
    if of_findings(&built.findings) == Exit::Project {
        Exit::Project
    } else if built.segments.iter().any(|segment| segment.tripped.is_some() && !segment.accepted) {
        Exit::Guard
    } else {
        Exit::Done
    }
}

fn why(why: &Why) -> String {
    match why {
        Why::New => "built for the first time".to_owned(),
        Why::Changed { sources, models, otherwise } => {
            let of = |edit: Edit| {
                models.iter().filter(move |(one, _)| *one == edit).map(|(_, model)| model.replacen(':', " ", 1))
            };
            let mut reasons: Vec<String> = [
                ("changed definitions of ", of(Edit::Changed).collect::<Vec<_>>()),
                ("the new ", of(Edit::New).collect()),
                ("the removed ", of(Edit::Removed).collect()),
                ("changed data in ", sources.clone()),
            ]
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what}{}", some(names)))
            .collect();
            if *otherwise {
                reasons.push("other settings, another order of the models or another version of cohorte".to_owned());
            }
            format!("built, because of {}", reasons.join("; "))
        }
        Why::Unfinished => "built, because the last run left models as they were".to_owned(),
        Why::Time => "built, because time has passed".to_owned(),
        Why::Refresh => "built anew, as `--full-refresh` asks".to_owned(),
        Why::Nothing => "nothing has changed, nothing was built".to_owned(),
    }
}

/// A handful of names.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {} more", names[..SHOWN].join(", "), count(more as u64)),
    }
}

fn as_json(context: &Context, built: &Built, why: &str) -> Result<Exit> {
    let workspace = &built.workspace;
    context.printer.object(&json!({
        "kind": "build", "run_id": workspace.run_id, "as_of": workspace.opened.clock.as_of.to_rfc3339(),
        "why": why, "seconds": built.seconds, "peak_memory": peak_memory(),
    }))?;
    for segment in &built.segments {
        context.printer.object(&json!({
            "kind": "segment", "segment": segment.segment, "members": segment.members, "entered": segment.entered,
            "exited": segment.exited, "kept": segment.kept.is_some(), "guard": segment.tripped.as_ref().map(|tripped| &tripped.reason), "accepted": segment.accepted,
        }))?;
    }
    for (kind, name, source) in built.kept.blocked() {
        context.printer.object(&json!({"kind": "blocked", "model": kind.id(name), "source": source}))?;
    }
    for table in &built.tables {
        context.printer.object(&json!({
            "kind": "table", "table": table.table, "rows": table.rows, "version": table.version, "written": table.is_written,
        }))?;
    }
    Ok(exit(built))
}

/// From how many records how many customers, and what was set aside on the way.
fn identity(customers: &Customers) -> String {
    let entity = customers.entity.as_str();
    let Some(report) = &customers.identity else {
        return format!("{}, as they were\n", counted(customers.count, entity, &format!("{entity}s")));
    };
    let records: u64 = report.nodes.values().sum();
    let mut text = format!(
        "{} {}, {} of them known\n",
        counted(records, "record or visit is", "records and visits are"),
        counted(report.customers, entity, &format!("{entity}s")),
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
        text.push_str(&format!("  {} refused: {reason}\n", counted(*n, "link", "links")));
    }
    for dropped in &report.dropped {
        text.push_str(&format!(
            "  {} of {} {} nobody: {}\n",
            counted(dropped.values, "value", "values"),
            dropped.identifier,
            if dropped.values == 1 { "identifies" } else { "identify" },
            dropped.reason
        ));
    }
    text
}

/// Tells what a plan found. Are there changes, and how does it end?
pub(super) fn planned(context: &Context, planned: &Planned) -> Result<(bool, Exit)> {
    let (printer, built) = (&context.printer, &planned.built);
    printer.findings(&built.workspace.opened.files, &built.findings)?;
    let moved = built.segments.iter().any(|segment| segment.entered + segment.exited > 0);
    let due = planned.syncs.iter().any(|preview| preview.due() > 0);
    let changes = matches!(built.why, Why::New | Why::Changed { .. } | Why::Unfinished) || moved || due;
    if printer.format() == Format::Json {
        as_json(context, built, &would(&built.why))?;
        for preview in &planned.syncs {
            printer.object(&summary_syncs::preview_json(preview))?;
        }
        return Ok((changes, of_findings(&built.findings)));
    }
    let clock = &built.workspace.opened.clock;
    let as_of = clock.as_of.with_timezone(&clock.timezone).format("%Y-%m-%d %H:%M %Z");
    let mut text =
        format!("{} as of {as_of}, as a plan: {}\n", built.workspace.opened.project.settings.name, would(&built.why));
    for customers in &built.customers {
        text.push('\n');
        text.push_str(&identity(customers));
    }
    text.push_str(&segments(built));
    text.push_str(&blocked(built));
    text.push_str(&summary_syncs::previews(&planned.syncs));
    if changes || built.why != Why::Nothing {
        text.push_str(&format!("\nnothing was written; `{}` does it\n", context.command("run")));
    }
    printer.report(&text)?;
    Ok((changes, of_findings(&built.findings)))
}

fn would(why: &Why) -> String {
    match why {
        Why::New => "nothing was built before, everything would be".to_owned(),
        Why::Nothing => "nothing has changed, nothing would be built".to_owned(),
        other => self::why(other).replacen("built", "would be built", 1),
    }
}
