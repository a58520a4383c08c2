//! The gate: the contact point that is sent must have the consent, in its scope where consent is given by one.

use super::CONSENTS;
use crate::project::{Contact, Gate, Project, Sync};
use crate::spec::Basis;
use crate::sql::{Select, indent, text_literal};

/// Nothing that is sent is a contact point.
const NO_CONTACT_POINT: &str = "no contact point";

/// Consent is given per scope, and the row has none.
const NO_SCOPE: &str = "no scope";

/// Reasons of the gate: a delivered row that has one is withdrawn. The others are `no key`, `duplicate key` and
/// [`super::ECHO`].
pub const CONSENT_REASONS: [&str; 5] =
    ["no consent", "consent withdrawn", "consent expired", NO_CONTACT_POINT, NO_SCOPE];

fn contacts(sync: &Sync) -> (&[Contact], Option<&String>) {
    match &sync.gate {
        Gate::Consent { contacts, scope, .. } => (contacts, scope.as_ref()),
        Gate::None(_) => (&[], None),
    }
}

/// Adds the contact points that are sent, and the scope, to the customers.
pub(super) fn points(mut people: Select, sync: &Sync) -> Select {
    let (contacts, scope) = contacts(sync);
    for (index, Contact { sql }) in contacts.iter().enumerate() {
        people = people.column(format!("cast({sql} as varchar)"), &format!("_contact_{index}"));
    }
    match scope {
        Some(scope) => people.column(scope, "_scope"),
        None => people,
    }
}

/// Looks up what each contact point of `r` consented to: `c_…`, and `n_…` without a scope.
pub(super) fn joined(mut rows: Select, sync: &Sync) -> Select {
    let (contacts, scope) = contacts(sync);
    for index in 0..contacts.len() {
        let said = said(sync);
        let on = format!("c_{index}.contact_point = r._contact_{index}");
        if scope.is_none() {
            rows = rows.join(format!("left join {said} as c_{index} on {on}"));
            continue;
        }
        let everywhere = format!("n_{index}.contact_point = r._contact_{index}");
        rows = rows
            .join(format!("left join {said} as c_{index} on {on} and c_{index}.scope = r._scope"))
            .join(format!("left join (select * from {said} as g where scope is null) as n_{index} on {everywhere}"));
    }
    rows
}

/// Contact points and what they consented to, for the gate's purpose and channel. Where consent is given once for all, the
/// most restrictive of all scopes counts.
fn said(sync: &Sync) -> String {
    let Gate::Consent { purpose, channel, scope, .. } = &sync.gate else { return String::new() };
    let by = if scope.is_some() { "contact_point, scope" } else { "contact_point" };
    format!(
        "(\n  select {by}, bool_or(status = 'granted') as _granted, bool_or(status = 'withdrawn') as _withdrawn, bool_or(status = 'expired') as _expired\n  \
         from {CONSENTS} where purpose = {} and channel = {} group by {by}\n)",
        text_literal(purpose),
        text_literal(channel)
    )
}

fn needs_grant(project: &Project, purpose: &str) -> bool {
    project.purposes.get(purpose).is_none_or(|purpose| purpose.basis == Basis::Consent)
}

/// Why a row of `r` may not be sent; null where it may.
pub(super) fn reason(project: &Project, sync: &Sync) -> String {
    let Gate::Consent { purpose, contacts, scope, .. } = &sync.gate else { return "cast(null as varchar)".to_owned() };
    let none: Vec<String> = (0..contacts.len()).map(|index| format!("r._contact_{index} is null")).collect();
    let mut sql = format!("case when {} then {}", none.join(" and "), text_literal(NO_CONTACT_POINT));
    for index in 0..contacts.len() {
        // A withdrawal without a scope covers those of which nothing else was said.
        let everywhere = if scope.is_some() { format!("n_{index}._withdrawn, ") } else { String::new() };
        sql.push_str(&format!(" when coalesce(c_{index}._withdrawn, {everywhere}false) then 'consent withdrawn'"));
    }
    if scope.is_some() {
        sql.push_str(&format!(" when r._scope is null then {}", text_literal(NO_SCOPE)));
    }
    if needs_grant(project, purpose) {
        for index in 0..contacts.len() {
            sql.push_str(&format!(
                " when r._contact_{index} is not null and not coalesce(c_{index}._granted, false) then case when c_{index}._expired then 'consent expired' else 'no consent' end"
            ));
        }
    }
    sql + " end"
}

/// What stands behind the hash of a gated row of `r`: after a colon each, the hash of a contact point (32 digits), and of the
/// scope.
pub(super) fn hashes(sync: &Sync) -> Option<String> {
    let (contacts, scope) = contacts(sync);
    let scope = if scope.is_some() { ", cohorte_hash(r._scope)" } else { "" };
    let points = (0..contacts.len()).map(|index| {
        format!(
            "':', case when r._contact_{index} is null then '' else concat(cohorte_hash(r._contact_{index}){scope}) end"
        )
    });
    let points: Vec<String> = points.collect();
    (!points.is_empty()).then(|| format!("concat({})", points.join(", ")))
}

/// The keys with which a contact point was sent that has no consent now, whoever's it is: known by the hashes that stand
/// behind that of the row.
pub(super) fn lost_points(project: &Project, sync: &Sync) -> Option<String> {
    let Gate::Consent { purpose, scope, .. } = &sync.gate else { return None };
    let hashes = "select key, delivered_hash as hash from _sync_state_open where delivered_at is not null\nunion all\nselect key, in_doubt_hash as hash from _sync_state_open";
    let each = format!(
        "select key, unnest(string_to_array(substr(hash, 34), ':')) as hash from (\n{}\n) as h where length(hash) > 33",
        indent(hashes)
    );
    let points = format!(
        "select key, substr(hash, 1, 32) as point, substr(hash, 33) as scope from (\n{}\n) as e where hash <> ''",
        indent(&each)
    );
    let hashed = if scope.is_some() { ", cohorte_hash(scope) as scope" } else { "" };
    let said = format!(
        "select cohorte_hash(cast(contact_point as varchar)) as point{hashed}, _granted, _withdrawn from {} as g",
        said(sync)
    );
    let mut lost =
        Select::from(format!("(\n{}\n) as p", indent(&points))).column("p.key", "key").column("true", "is_lost");
    let on = "o.point = p.point";
    let mut withdrawn = "coalesce(o._withdrawn, false)";
    lost = if scope.is_some() {
        withdrawn = "coalesce(o._withdrawn, n._withdrawn, false)";
        lost.join(format!("left join (\n{}\n) as o on {on} and o.scope = p.scope", indent(&said)))
            .join(format!("left join (\n{}\n  where scope is null\n) as n on n.point = p.point", indent(&said)))
    } else {
        lost.join(format!("left join (\n{}\n) as o on {on}", indent(&said)))
    };
    let ungranted = if needs_grant(project, purpose) { "not coalesce(o._granted, false) or " } else { "" };
    Some(lost.filter(format!("({ungranted}{withdrawn})")).group("p.key").to_string())
}
