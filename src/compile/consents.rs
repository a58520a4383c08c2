//! Consents: events of every source into the ledger, and the state that holds now (DESIGN §5.7).

use super::Clock;
use super::moment::SAID;
use super::passes::instant;
use super::resolved::finds_customer;
use crate::project::{Consent, Entity, Project, Source};
use crate::spec::{Basis, ColumnType};
use crate::sql::{Select, ident, indent, text_literal};

/// Events where no source records any.
pub const NO_EVENTS: &str =
    "select event_id, contact_point, purpose, channel, scope, status, source, proof, at from ledger where false";

/// Events as the sources record them, with the columns of the ledger. Contact points that an event does not name are
/// spelt out: a grant covers those of its record, a withdrawal all of its owner's, in each entity that finds one.
#[must_use]
pub fn events(project: &Project) -> Option<String> {
    let parts: Vec<String> = project.consents.values().flat_map(|consent| parts(project, consent)).collect();
    if parts.is_empty() {
        return None;
    }
    let all = parts.join("\nunion all\n");
    let hashed = "source, contact_point, purpose, channel, scope, status, at, proof";
    let select = Select::from(format!("(\n{}\n) as e", indent(&all)))
        .column(format!("cohorte_hash({hashed})"), "event_id")
        .column("contact_point", "contact_point")
        .column("purpose", "purpose")
        .column("channel", "channel")
        .column("scope", "scope")
        .column("status", "status")
        .column("source", "source")
        .column("proof", "proof")
        .column("at", "at")
        .filter("contact_point is not null")
        .filter("status in ('granted', 'confirmed', 'withdrawn', 'pending')")
        .filter("purpose is not null")
        .filter("channel is not null")
        // A grant needs a time that has come. A withdrawal counts whenever it was made, also after `as_of`: a run of the
        // past must not send to whom has said no since; one of unknown time is the oldest of events.
        .filter(SAID);
    let mut distinct = select.to_string();
    distinct.replace_range(..6, "select distinct");
    Some(distinct)
}

fn parts(project: &Project, consent: &Consent) -> Vec<String> {
    let source = &project.sources[&consent.source];
    let named = |contact: &str| part(consent, ident(&source.name), contact, &[]);
    let mut parts = Vec::new();
    if let Some(contact) = &consent.contact {
        parts.push(named(contact).filter(format!("({contact}) is not null")).to_string());
    }
    let nameless = consent.contact.as_ref().map(|contact| format!("({contact}) is null"));
    for (column, found) in &source.columns {
        let kind = match found.semantic {
            Some(ColumnType::Email) => "email",
            Some(ColumnType::Phone) => "phone",
            _ => continue,
        };
        let own = ident(column);
        // A withdrawal covers the record's own points whatever identity made of them; a grant only where none was written.
        let mut select = named(&own).filter(fits(&consent.channel, kind));
        select.filters.extend(nameless.clone());
        if let Some(unwritten) = unwritten(source, consent) {
            select = select.filter(format!("(({}) = 'withdrawn' or {unwritten})", consent.status));
        }
        // Where the contact point is this very column, there is none to fall back to.
        if consent.contact.as_deref() != Some(own.as_str()) {
            parts.push(select.to_string());
        }
    }
    let owned = project.entities.values().filter_map(|entity| owners_points(project, entity, consent));
    parts.extend(owned.map(|mut select| {
        select.filters.extend(nameless.clone());
        select.to_string()
    }));
    parts
}

/// What a withdrawal covers that names no contact point: every one of the customer that its row belongs to.
fn owners_points(project: &Project, entity: &Entity, consent: &Consent) -> Option<Select> {
    if !finds_customer(project, &consent.source, &entity.name) {
        return None;
    }
    let kinds = entity
        .identifiers
        .iter()
        .filter_map(|identifier| match identifier.kind {
            Some(ColumnType::Email) => Some((identifier.name.as_str(), "email")),
            Some(ColumnType::Phone) => Some((identifier.name.as_str(), "phone")),
            _ => None,
        })
        .map(|(name, kind)| format!("(_type = {} and {})", text_literal(name), fits(&consent.channel, kind)));
    let kinds: Vec<String> = kinds.collect();
    if kinds.is_empty() {
        return None;
    }
    let join = format!(
        "join (select {} as _owner, \"type\" as _type, \"value\" as _value from {}) as i on i._owner = s.{}",
        ident(&entity.id()),
        ident(&format!("{}_identifiers", entity.name)),
        ident(&entity.resolved_id())
    );
    let from = format!("{} as s", ident(&format!("{}_resolved", consent.source)));
    let select = part(consent, from, "_value", &[join])
        .filter(format!("({}) = 'withdrawn'", consent.status))
        .filter(format!("({})", kinds.join(" or ")));
    Some(select)
}

/// A contact point as the gate compares it: columns with a semantic type and values of identity are normalised already.
fn normalised(contact: &str) -> String {
    format!(
        "coalesce(cohorte_email(cast({contact} as varchar)), cohorte_phone(cast({contact} as varchar), null), btrim(cast({contact} as varchar)))"
    )
}

/// An address that was written and cannot be one names somebody all the same: a grant for it covers no other point.
fn unwritten(source: &Source, consent: &Consent) -> Option<String> {
    let contact = consent.contact.as_ref()?;
    let (name, _) = source.columns.iter().find(|(name, column)| column.raw.is_some() && ident(name) == *contact)?;
    Some(format!("nullif(btrim({}), '') is null", ident(&format!("_raw_{name}"))))
}

fn part(consent: &Consent, from: String, contact: &str, joins: &[String]) -> Select {
    let null = "cast(null as varchar)".to_owned();
    let mut select = Select::from(from)
        .column(normalised(contact), "contact_point")
        .column(format!("cast({} as varchar)", consent.purpose), "purpose")
        .column(format!("cast({} as varchar)", consent.channel), "channel")
        .column(consent.scope.as_ref().map_or(null.clone(), |scope| format!("cast({scope} as varchar)")), "scope")
        .column(&consent.status, "status")
        .column(text_literal(&consent.name), "source")
        .column(consent.proof.as_ref().map_or(null, |proof| format!("cast({proof} as varchar)")), "proof")
        .column(&consent.at, "at");
    select.joins.extend(joins.iter().cloned());
    if let Some(filter) = &consent.filter {
        select = select.filter(filter);
    }
    select
}

/// Is a kind of contact point reached by a channel? Ads and unknown channels are reached by both.
fn fits(channel: &str, kind: &str) -> String {
    let others = if kind == "email" { "('sms', 'phone', 'whatsapp', 'call')" } else { "('email')" };
    format!("(({channel}) not in {others})")
}

/// Every event that counts by now: the ledger's, and those of the sources that it lacks. Where consent is given per scope, a
/// withdrawal without one stands in every scope of which something was said. Reads `ledger` and `events`.
#[must_use]
pub fn history(project: &Project) -> String {
    let columns = "event_id, contact_point, purpose, channel, scope, status, source, proof, at";
    let all = format!(
        "select {columns} from ledger where at <= cohorte_now() or status = 'withdrawn'\nunion\nselect {columns} from events"
    );
    let scoped = project.purposes.values().filter(|purpose| !purpose.by.is_empty());
    let scoped: Vec<String> = scoped.map(|purpose| text_literal(&purpose.name)).collect();
    if scoped.is_empty() {
        return all;
    }
    let same = "s.contact_point = e.contact_point and s.purpose = e.purpose and s.channel = e.channel";
    let spread = Select::from("every_event as e")
        .join(format!(
            "join (select distinct contact_point, purpose, channel, scope from every_event where scope is not null) as s on {same}"
        ))
        .column(columns.replace(", ", ",\n  e.").replace("e.scope", "s.scope").replacen("event_id", "e.event_id", 1), "")
        .filter(format!("e.purpose in ({})", scoped.join(", ")))
        .filter("e.scope is null")
        .filter("e.status = 'withdrawn'");
    format!("with every_event as (\n{}\n)\nselect {columns} from every_event\nunion all\n{spread}", indent(&all))
}

/// The state of each contact point, purpose, channel and scope, once for each entity that owns the point: the latest
/// event; at the same instant the more restrictive. A grant that needs a second step is pending until that confirms it.
/// Reads `consent_history` and each `<entity>_identifiers`.
#[must_use]
pub fn state(project: &Project, clock: &Clock) -> String {
    let restrictive = "case status when 'withdrawn' then 0 when 'pending' then 1 when 'confirmed' then 2 else 3 end";
    let ranked = format!(
        "select *, {} as _status, row_number() over (\n  partition by contact_point, purpose, channel, scope\n  \
         order by at desc nulls last, {restrictive}, event_id\n) as _rank\nfrom consent_history",
        said(project)
    );
    let mut basis = "case purpose".to_owned();
    for purpose in project.purposes.values() {
        basis.push_str(&format!(
            " when {} then {}",
            text_literal(&purpose.name),
            text_literal(basis_name(purpose.basis))
        ));
    }
    let basis = if project.purposes.is_empty() { "cast(null as varchar)".to_owned() } else { basis + " end" };
    Select::from(format!("(\n{}\n) as c", indent(&ranked)))
        .join(format!("left join (\n{}\n) as o on o._value = c.contact_point", indent(&owners(project))))
        .column(format!("coalesce(o._entity, {})", first_entity(project)), "entity")
        .column("o._owner", "customer_id")
        .column("contact_point", "contact_point")
        .column("purpose", "purpose")
        .column("channel", "channel")
        .column("scope", "scope")
        .column(lapsing(project, clock, "_status", "at"), "status")
        .column(basis, "basis")
        .column("source", "source")
        .column("proof", "proof")
        .column("at", "since")
        .filter("_rank = 1")
        .to_string()
}

/// The same states at a later instant: what was granted may have lapsed by then. Reads `consents`.
#[must_use]
pub fn state_at(project: &Project, clock: &Clock) -> String {
    let mut select = Select::from("consents");
    for name in STATE {
        let sql = if name == "status" { lapsing(project, clock, "status", "since") } else { ident(name) };
        select = select.column(sql, name);
    }
    select.to_string()
}

/// The columns of a state.
const STATE: [&str; 11] = [
    "entity",
    "customer_id",
    "contact_point",
    "purpose",
    "channel",
    "scope",
    "status",
    "basis",
    "source",
    "proof",
    "since",
];

/// What an event's status makes of its contact point.
fn said(project: &Project) -> String {
    let twice = project.purposes.values().filter(|purpose| purpose.double_opt_in);
    let twice: Vec<String> = twice.map(|purpose| text_literal(&purpose.name)).collect();
    if twice.is_empty() {
        return "case status when 'confirmed' then 'granted' else status end".to_owned();
    }
    format!(
        "case when status = 'confirmed' then 'granted' when status = 'granted' and purpose in ({}) then 'pending' else status end",
        twice.join(", ")
    )
}

/// A status, or `expired` where it is a grant that has lapsed.
fn lapsing(project: &Project, clock: &Clock, status: &str, at: &str) -> String {
    let mut sql = "case".to_owned();
    for purpose in project.purposes.values() {
        if let Some(valid_for) = purpose.valid_for {
            sql.push_str(&format!(
                " when {status} = 'granted' and purpose = {} and {at} <= {} then 'expired'",
                text_literal(&purpose.name),
                instant(clock.before(valid_for))
            ));
        }
    }
    if sql == "case" { status.to_owned() } else { format!("{sql} else {status} end") }
}

/// Whose each contact point is, once per entity that has it.
fn owners(project: &Project) -> String {
    let of = |(place, entity): (usize, &Entity)| {
        format!(
            "select {place} as _place, {} as _entity, \"value\" as _value, min({}) as _owner from {} where is_home group by \"value\"",
            text_literal(&entity.name),
            ident(&entity.id()),
            ident(&format!("{}_identifiers", entity.name))
        )
    };
    project.entities.values().enumerate().map(of).collect::<Vec<_>>().join("\nunion all\n")
}

/// The entity under which points stand that nobody owns.
fn first_entity(project: &Project) -> String {
    text_literal(project.entities.keys().next().map_or("", String::as_str))
}

fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::Consent => "consent",
        Basis::LegitimateInterest => "legitimate_interest",
        Basis::Contract => "contract",
    }
}

/// Events that the ledger does not have yet, in the ledger's columns; with the owner in the first entity that has the point.
/// Reads `events`, `ledger` and each `<entity>_identifiers`.
#[must_use]
pub fn new_events(project: &Project, run_id: &str) -> String {
    let owners = format!(
        "select _value, first_value(_entity order by _place) as _entity, first_value(_owner order by _place) as _owner\nfrom (\n{}\n) as every_owner group by _value",
        indent(&owners(project))
    );
    Select::from("events as e")
        .join("left anti join ledger on ledger.event_id = e.event_id")
        .join(format!("left join (\n{}\n) as o on o._value = e.contact_point", indent(&owners)))
        .column(format!("coalesce(o._entity, {})", first_entity(project)), "entity")
        .column("o._owner", "customer_id")
        .column("e.contact_point", "contact_point")
        .column("e.purpose", "purpose")
        .column("e.channel", "channel")
        .column("e.scope", "scope")
        .column("e.status", "status")
        .column("cast(null as varchar)", "basis")
        .column("e.source", "source")
        .column("e.proof", "proof")
        .column("e.at", "at")
        .column("cohorte_now()", "recorded_at")
        .column("e.event_id", "event_id")
        .column(text_literal(run_id), "run_id")
        .to_string()
}
