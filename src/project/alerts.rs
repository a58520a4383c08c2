//! Alerts: who is told when something fails, works again, or does what it should not.

use indexmap::IndexMap;

use super::{Connector, Project};
use crate::connector::{Columns, Object};
use crate::diag::{Finding, Findings, nearest};
use crate::spec;
use crate::spec::Spec;

/// What a message may have beside its text.
const FIELDS: [&str; 6] = ["text", "project", "subject", "condition", "state", "at"];

/// Who is told what.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// The connection that messages go to.
    pub connection: String,
    /// The object there.
    pub object: String,
    /// The fields of a message that it takes.
    pub fields: Vec<&'static str>,
    /// The share of rejected rows from which on it is told.
    pub rejects: Option<f64>,
    /// The share by which the rows of a sync may differ from the run before.
    pub size: Option<f64>,
}

pub(super) fn resolve(spec: &Spec, project: &mut Project, findings: &mut Findings) {
    let Some(file) = &spec.warehouse else { return };
    let mut alerts = IndexMap::new();
    for (name, written) in file.alerts.iter() {
        if let Some((connection, object)) = place(project, written, findings) {
            let fields = FIELDS.into_iter().filter(|field| takes(&object.columns, field)).collect();
            let share =
                |percent: &Option<crate::text::Located<spec::Percent>>| percent.as_ref().map(|one| one.value.share());
            let alert = Alert {
                name: name.value.clone(),
                connection,
                object: object.name.clone(),
                fields,
                rejects: share(&written.rejects),
                size: share(&written.size),
            };
            alerts.insert(name.value.clone(), alert);
        }
    }
    project.alerts = alerts;
}

/// Where messages go, if they can.
fn place<'a>(project: &'a Project, written: &spec::Alert, findings: &mut Findings) -> Option<(String, &'a Object)> {
    let name = super::sources::known_connection(&project.connections, &written.to, findings)?;
    let mut cannot = |span, message: String, help: String| {
        findings.add(Finding::error("E158", message).at(span).help(help));
        None
    };
    let Connector::Http(connector) = &project.connections.get(&name)?.connector else {
        let help = "write a connection to `slack` or `webhook`, or to another HTTP API".to_owned();
        return cannot(written.to.span, format!("`{name}` takes no messages"), help);
    };
    let names = || connector.objects.iter().map(|object| object.name.as_str());
    let found = match &written.object {
        Some(text) => connector.objects.iter().find(|object| object.name == text.value),
        None if connector.objects.len() == 1 => connector.objects.first(),
        None => None,
    };
    let Some(object) = found else {
        let span = written.object.as_ref().map_or(written.to.span, |object| object.span);
        let all = names().collect::<Vec<_>>().join("`, `");
        let help = written.object.as_ref().and_then(|object| nearest(&object.value, names()));
        let help =
            help.map_or_else(|| format!("`object:` is one of `{all}`"), |near| format!("did you mean `{near}`?"));
        return cannot(span, format!("it is not clear what a message is at `{name}`"), help);
    };
    let needs = object.columns.fields.iter().find(|field| field.required && !FIELDS.contains(&field.name.as_str()));
    if object.upsert.is_none() && object.create.is_none() || object.columns.keys.is_some() || needs.is_some() {
        let help = "messages have no key of the destination's, and no fields but `text` and the like".to_owned();
        return cannot(written.to.span, format!("`{}` of `{name}` cannot be a message", object.name), help);
    }
    if !takes(&object.columns, "text") {
        let help = "a message needs the field `text`".to_owned();
        return cannot(written.to.span, format!("`{}` of `{name}` cannot be a message", object.name), help);
    }
    Some((name, object))
}

fn takes(columns: &Columns, field: &str) -> bool {
    columns.custom || columns.fields.iter().any(|known| known.name == field)
}
