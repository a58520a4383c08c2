//! Syncs as relations: what every customer's row would be, whether the gate lets it pass, and what is due.

mod due;

pub use due::due;

use crate::project::{Contact, Entity, Gate, Project, Sync, SyncFrom};
use crate::spec::{Basis, Nulls};
use crate::sql::{Select, ident, indent, text_literal};

/// Nothing that is sent is a contact point.
const NO_CONTACT_POINT: &str = "no contact point";

/// The consent came from the account that it would be sent to.
pub const ECHO: &str = "came from there";

/// Reasons of the gate: a delivered row that has one is withdrawn. The others are `no key`, `duplicate key` and [`ECHO`].
pub const CONSENT_REASONS: [&str; 4] = ["no consent", "consent withdrawn", "consent expired", NO_CONTACT_POINT];

/// The columns that are sent: those of the key that are no fields, then the fields.
#[must_use]
pub fn columns(sync: &Sync) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in sync.keys.iter().flat_map(|key| &key.columns) {
        if !names.contains(name) && !sync.fields.iter().any(|field| field.name == *name) {
            names.push(name.clone());
        }
    }
    names.extend(sync.fields.iter().map(|field| field.name.clone()));
    names
}

/// The columns of the key, each once.
#[must_use]
pub fn key_columns(sync: &Sync) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in sync.keys.iter().flat_map(|key| &key.columns) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The column of a sent value inside the statements: prefixed, so that no field hides a column of ours.
#[must_use]
pub fn value_column(name: &str) -> String {
    format!("v_{name}")
}

/// One row per customer (for consents: per consent): `entity_id`, `key`, `is_member`, `creates` (may it make a row at the
/// destination?), `withheld` (a reason or null), `hash`, and a column per sent value. The hash is that of the row, and of a
/// gated one each contact point's behind it. Reads `<entity>`, `segment_members`, `consents`.
#[must_use]
pub fn rows(project: &Project, sync: &Sync) -> String {
    let entity = &project.entities[&sync.entity];
    let is_consents = matches!(sync.from, SyncFrom::Consents(_));
    let id = ident(&entity.id());
    let member = match &sync.filter {
        Some(filter) => format!("_is_member and coalesce({filter}, false)"),
        None => "_is_member".to_owned(),
    };
    let mut people = Select::from(people(project, sync, entity))
        .column(format!("p.{id}"), "_entity")
        .column(member, "_member")
        .column(if is_consents { "coalesce(p.status = 'granted', false)" } else { "true" }, "_creates")
        .column(if is_consents { "_is_echo" } else { "false" }, "_echo");
    // The first alternative whose columns are all there is the key.
    let mut chosen = "case".to_owned();
    let mut key = "case _alternative".to_owned();
    for (index, alternative) in sync.keys.iter().enumerate() {
        let there: Vec<String> = alternative.columns.iter().map(|(_, sql)| format!("({sql}) is not null")).collect();
        chosen.push_str(&format!(" when {} then {index}", there.join(" and ")));
        let part =
            |(name, _): &(String, String)| format!("{}, {}", text_literal(name), ident(&format!("_k{index}_{name}")));
        let parts: Vec<String> = alternative.columns.iter().map(part).collect();
        key.push_str(&format!(" when {index} then cohorte_json_object({})", parts.join(", ")));
        for (name, sql) in &alternative.columns {
            people = people.column(sql, &format!("_k{index}_{name}"));
        }
    }
    people = people.column(chosen + " end", "_alternative");
    for field in &sync.fields {
        people = people.column(&field.sql, &value_column(&field.name));
    }
    let gates = match &sync.gate {
        Gate::Consent { contacts, .. } => contacts.as_slice(),
        Gate::None(_) => &[],
    };
    for (index, Contact { sql }) in gates.iter().enumerate() {
        people = people.column(format!("cast({sql} as varchar)"), &format!("_contact_{index}"));
    }
    let mut gated = Select::from(format!("(\n{}\n) as r", indent(&people.to_string())));
    for index in 0..gates.len() {
        let granted = granted(sync);
        gated = gated.join(format!("left join {granted} as c_{index} on c_{index}.contact_point = r._contact_{index}"));
    }
    gated = gated
        .column("r._entity", "entity_id")
        .column(key + " end", "key")
        .column("r._member", "is_member")
        .column("r._creates", "creates")
        .column(reason(project, sync, gates.len()), "reason");
    for index in 0..gates.len() {
        gated = gated.column(format!("r._contact_{index}"), &format!("_contact_{index}"));
    }
    for name in columns(sync) {
        gated = gated.column(value(sync, &name), &value_column(&name));
    }
    let values: Vec<String> = columns(sync).iter().map(|name| ident(&value_column(name))).collect();
    let mut hash = format!("cohorte_hash(key, {})", values.join(", "));
    if !gates.is_empty() {
        let points = (0..gates.len()).map(|index| {
            format!(", ':', case when _contact_{index} is null then '' else cohorte_hash(_contact_{index}) end")
        });
        hash = format!("concat({hash}{})", points.collect::<String>());
    }
    let mut hashed = Select::from(format!("(\n{}\n) as g", indent(&gated.to_string())));
    for name in ["entity_id", "key", "is_member", "creates", "reason"] {
        hashed = hashed.column(ident(name), name);
    }
    hashed = hashed.column(hash, "hash").column(values.join(",\n  "), "");
    // A destination has one row per key: of two with one key a consent that was withdrawn goes first, then the first by id.
    Select::from(format!("(\n{}\n) as h", indent(&hashed.to_string())))
        .column(ident("entity_id"), "entity_id")
        .column(ident("key"), "key")
        .column(ident("is_member"), "is_member")
        .column(ident("creates"), "creates")
        .column(
            "case when key is null then 'no key' when reason is not null then reason \
             when is_member and row_number() over (partition by key, is_member and reason is null order by creates, entity_id, hash) > 1 then 'duplicate key' end",
            "withheld",
        )
        .column(ident("hash"), "hash")
        .column(values.join(",\n  "), "")
        .to_string()
}

/// The customers that may be concerned, with `_is_member`. Everyone is looked at, not the members alone: a row that was
/// delivered must be found again when its customer left.
fn people(project: &Project, sync: &Sync, entity: &Entity) -> String {
    let id = ident(&entity.id());
    let table = ident(&entity.name);
    match &sync.from {
        SyncFrom::Segment(segment) => format!(
            "(\n  select c.*, m.entity_id is not null as _is_member\n  from {table} as c\n  left join (select entity_id from segment_members where segment = {} and exited_at is null group by entity_id) as m on m.entity_id = c.{id}\n) as p",
            text_literal(segment)
        ),
        SyncFrom::Entity => format!("(select *, is_known as _is_member from {table}) as p"),
        SyncFrom::Consents(purposes) => {
            let names: Vec<String> = purposes.iter().map(|purpose| text_literal(purpose)).collect();
            // The customer's own columns of such a name give way to those of the consent.
            let known = super::customer::columns(project, entity);
            let hidden: Vec<String> = CONSENT_COLUMNS
                .iter()
                .filter(|name| known.iter().any(|known| known == *name))
                .map(|name| ident(name))
                .collect();
            let customer =
                if hidden.is_empty() { "c.*".to_owned() } else { format!("c.* except ({})", hidden.join(", ")) };
            let own: Vec<String> = CONSENT_COLUMNS.iter().map(|name| format!("s.{}", ident(name))).collect();
            let echoes = echoes(project, sync);
            let echo = if echoes.is_empty() {
                "false".to_owned()
            } else {
                format!("coalesce(s.source in ({}) and s.status <> 'expired', false)", echoes.join(", "))
            };
            format!(
                "(\n  select {customer}, {}, true as _is_member, {echo} as _is_echo\n  from consents as s\n  join {table} as c on c.{id} = s.customer_id\n  where s.purpose in ({})\n) as p",
                own.join(", "),
                names.join(", ")
            )
        }
        SyncFrom::Sql(sql) => format!(
            "(\n  select c.*, m.{id} is not null and c.is_known as _is_member\n  from {table} as c\n  left join (\n    select distinct {id} from (\n{}\n    ) as q\n  ) as m on m.{id} = c.{id}\n) as p",
            indent(&indent(&indent(sql)))
        ),
    }
}

/// What a sync of consents may send of each.
const CONSENT_COLUMNS: [&str; 9] =
    ["contact_point", "purpose", "channel", "scope", "status", "basis", "source", "proof", "since"];

/// The consents that the sync's own account tells, as literals: what came from there is not sent back.
fn echoes(project: &Project, sync: &Sync) -> Vec<String> {
    let Some(there) = project.connections.get(&sync.connection) else { return Vec::new() };
    let same_account = |name: &String| {
        project.connections.get(name).is_some_and(|from| {
            from.name == there.name || (from.connector == there.connector && from.account == there.account)
        })
    };
    let from_there = |source: &str| {
        project.sources.get(source).and_then(|source| source.connection.as_ref()).is_some_and(same_account)
    };
    let consents = project.consents.values().filter(|consent| from_there(&consent.source));
    consents.map(|consent| text_literal(&consent.name)).collect()
}

/// Contact points and what they consented to, for the gate's purpose and channel. Across scopes the most restrictive counts.
fn granted(sync: &Sync) -> String {
    let Gate::Consent { purpose, channel, .. } = &sync.gate else { return String::new() };
    format!(
        "(\n  select contact_point, bool_or(status = 'granted') as _granted, bool_or(status = 'withdrawn') as _withdrawn, bool_or(status = 'expired') as _expired\n  \
         from consents where purpose = {} and channel = {} group by contact_point\n)",
        text_literal(purpose),
        text_literal(channel)
    )
}

fn needs_grant(project: &Project, purpose: &str) -> bool {
    project.purposes.get(purpose).is_none_or(|purpose| purpose.basis == Basis::Consent)
}

fn reason(project: &Project, sync: &Sync, n_contacts: usize) -> String {
    let Gate::Consent { purpose, .. } = &sync.gate else {
        return format!("case when r._echo then {} end", text_literal(ECHO));
    };
    let none: Vec<String> = (0..n_contacts).map(|index| format!("r._contact_{index} is null")).collect();
    let mut sql = format!("case when {} then {}", none.join(" and "), text_literal(NO_CONTACT_POINT));
    for index in 0..n_contacts {
        sql.push_str(&format!(" when coalesce(c_{index}._withdrawn, false) then 'consent withdrawn'"));
    }
    if needs_grant(project, purpose) {
        for index in 0..n_contacts {
            sql.push_str(&format!(
                " when r._contact_{index} is not null and not coalesce(c_{index}._granted, false) then case when c_{index}._expired then 'consent expired' else 'no consent' end"
            ));
        }
    }
    sql + " end"
}

/// A sent value: the chosen key's, where it belongs to the key.
fn value(sync: &Sync, name: &str) -> String {
    let mut sql = "case r._alternative".to_owned();
    let mut in_key = false;
    for (index, alternative) in sync.keys.iter().enumerate() {
        if alternative.columns.iter().any(|(column, _)| column == name) {
            sql.push_str(&format!(" when {index} then r.{}", ident(&format!("_k{index}_{name}"))));
            in_key = true;
        }
    }
    let field = sync.fields.iter().any(|field| field.name == name).then(|| format!("r.{}", ident(&value_column(name))));
    match (in_key, field) {
        (false, Some(field)) => field,
        (true, Some(field)) => format!("coalesce({sql} end, {field})"),
        _ => sql + " end",
    }
}

/// Are nulls left out of what is sent?
#[must_use]
pub fn omits_nulls(sync: &Sync) -> bool {
    sync.nulls == Nulls::Omit
}
