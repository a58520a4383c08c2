//! Consents: events of every source into the ledger, and the state that holds now (DESIGN §5.7).

use super::Clock;
use super::passes::instant;
use crate::project::{Consent, Entity, Project, Source};
use crate::spec::{Basis, ColumnType};
use crate::sql::{Select, ident, indent, text_literal};

/// Events as the sources record them, with the columns of the ledger. Contact points that an event does not name are
/// spelt out: a grant covers those of its record, a withdrawal all of the customer's.
#[must_use]
pub fn events(project: &Project, entity: &Entity) -> Option<String> {
    let parts: Vec<String> = project.consents.values().flat_map(|consent| parts(project, entity, consent)).collect();
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
        .filter("status in ('granted', 'withdrawn', 'pending')")
        .filter("purpose is not null")
        .filter("channel is not null")
        // A grant needs a time that has come. A withdrawal counts whenever it was made, also after `as_of`: a run of the
        // past must not send to whom has said no since; one of unknown time is the oldest of events.
        .filter("(at <= cohorte_now() or status = 'withdrawn')");
    let mut distinct = select.to_string();
    distinct.replace_range(..6, "select distinct");
    Some(distinct)
}

fn parts(project: &Project, entity: &Entity, consent: &Consent) -> Vec<String> {
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
    let id = ident(&entity.id());
    let resolved = entity.source(&source.name).is_some();
    if resolved {
        let table = ident(&format!("{}_identifiers", entity.name));
        let join = format!(
            "join (select {id} as _owner, \"type\" as _type, \"value\" as _value from {table}) as i on i._owner = s.{}",
            ident(&entity.resolved_id())
        );
        let from = format!("{} as s", ident(&format!("{}_resolved", source.name)));
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
        if !kinds.is_empty() {
            let mut select = part(consent, from, "_value", &[join])
                .filter(format!("({}) = 'withdrawn'", consent.status))
                .filter(format!("({})", kinds.join(" or ")));
            select.filters.extend(nameless);
            parts.push(select.to_string());
        }
    }
    parts
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

/// The state of each contact point, purpose, channel and scope: the latest event; at the same instant the more
/// restrictive. Reads `ledger` (what was recorded before) and `events`.
#[must_use]
pub fn state(project: &Project, entity: &Entity, clock: &Clock) -> String {
    let id = ident(&entity.id());
    let columns = "event_id, contact_point, purpose, channel, scope, status, source, proof, at";
    let ranked = format!(
        "select *, row_number() over (\n  partition by contact_point, purpose, channel, scope\n  \
         order by at desc nulls last, case status when 'withdrawn' then 0 when 'pending' then 1 else 2 end, event_id\n) as _rank\n\
         from (\n  select {columns} from ledger where at <= cohorte_now() or status = 'withdrawn'\n  union\n  select {columns} from events\n) as every_event"
    );
    let mut status = "case".to_owned();
    let mut basis = "case purpose".to_owned();
    for purpose in project.purposes.values() {
        let name = text_literal(&purpose.name);
        if let Some(valid_for) = purpose.valid_for {
            status.push_str(&format!(
                " when status = 'granted' and purpose = {name} and at <= {} then 'expired'",
                instant(clock.before(valid_for))
            ));
        }
        basis.push_str(&format!(" when {name} then {}", text_literal(basis_name(purpose.basis))));
    }
    let status = if status == "case" { "status".to_owned() } else { status + " else status end" };
    let basis = if project.purposes.is_empty() { "cast(null as varchar)".to_owned() } else { basis + " end" };
    let owners = format!(
        "(select \"value\" as _value, min({id}) as {id} from {} where is_home group by \"value\") as o",
        ident(&format!("{}_identifiers", entity.name))
    );
    Select::from(format!("(\n{}\n) as c", indent(&ranked)))
        .join(format!("left join {owners} on o._value = c.contact_point"))
        .column(format!("o.{id}"), "customer_id")
        .column("contact_point", "contact_point")
        .column("purpose", "purpose")
        .column("channel", "channel")
        .column("scope", "scope")
        .column(status, "status")
        .column(basis, "basis")
        .column("source", "source")
        .column("proof", "proof")
        .column("at", "since")
        .filter("_rank = 1")
        .to_string()
}

fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::Consent => "consent",
        Basis::LegitimateInterest => "legitimate_interest",
        Basis::Contract => "contract",
    }
}

/// Events that the ledger does not have yet, in the ledger's columns.
#[must_use]
pub fn new_events(entity: &Entity, run_id: &str) -> String {
    let id = ident(&entity.id());
    let owners = format!(
        "(select \"value\" as _value, min({id}) as _owner from {} where is_home group by \"value\") as o",
        ident(&format!("{}_identifiers", entity.name))
    );
    Select::from("events as e")
        .join("left anti join ledger on ledger.event_id = e.event_id")
        .join(format!("left join {owners} on o._value = e.contact_point"))
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
