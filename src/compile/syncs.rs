//! Syncs as relations: what every customer's row would be, whether the gate lets it pass, and what is due.

use std::collections::BTreeSet;

use crate::project::{Contact, Entity, Gate, Project, Sync, SyncFrom, Withdraw};
use crate::spec::{Basis, Mode, Nulls};
use crate::sql::{DataType, Select, ident, indent, text_literal};

/// Reasons for which a row is withheld; those of consent come first in [`CONSENT_REASONS`].
pub const CONSENT_REASONS: [&str; 3] = ["no consent", "consent withdrawn", "consent expired"];

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

/// One row per customer: `entity_id`, `key`, `contact_point`, `is_member`, `withheld` (a reason or null), `hash`, and a
/// column per sent value. Reads `<entity>`, `segment_members`, `consents`.
#[must_use]
pub fn rows(project: &Project, sync: &Sync) -> String {
    let entity = &project.entities[&sync.entity];
    let id = ident(&entity.id());
    let mut people =
        Select::from(people(sync, entity)).column(format!("p.{id}"), "entity_id").column("_is_member", "_member");
    // The first alternative whose columns are all there is the key.
    let mut chosen = "case".to_owned();
    let mut key = "case _alternative".to_owned();
    for (index, alternative) in sync.keys.iter().enumerate() {
        let there: Vec<String> = alternative.columns.iter().map(|(_, sql)| format!("{sql} is not null")).collect();
        chosen.push_str(&format!(" when {} then {index}", there.join(" and ")));
        let parts: Vec<String> = alternative
            .columns
            .iter()
            .map(|(name, _)| format!("{}, {}", text_literal(name), ident(&format!("_k{index}_{name}"))))
            .collect();
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
        people = people.column(sql, &format!("_contact_{index}"));
    }
    if let Some(filter) = &sync.filter {
        let index = people.columns.iter().position(|(_, alias)| alias == "_member").unwrap_or(0);
        people.columns[index].0 = format!("_is_member and coalesce({filter}, false)");
    }
    let mut gated = Select::from(format!("(\n{}\n) as r", indent(&people.to_string())));
    for index in 0..gates.len() {
        gated = gated
            .join(format!("left join {} as c_{index} on c_{index}.contact_point = r._contact_{index}", granted(sync)));
    }
    gated = gated
        .column("r.entity_id", "entity_id")
        .column(key + " end", "key")
        .column(if gates.len() == 1 { "r._contact_0" } else { "cast(null as varchar)" }, "contact_point")
        .column("r._member", "is_member")
        .column(reason(project, sync, gates.len()), "reason");
    for name in columns(sync) {
        gated = gated.column(value(sync, &name), &value_column(&name));
    }
    let values: Vec<String> = columns(sync).iter().map(|name| ident(&value_column(name))).collect();
    // Of two customers with one key the first by id is sent: a destination has one row per key.
    Select::from(format!("(\n{}\n) as g", indent(&gated.to_string())))
        .column("entity_id", "entity_id")
        .column("key", "key")
        .column("contact_point", "contact_point")
        .column("is_member", "is_member")
        .column(
            "case when key is null then 'no key' when reason is not null then reason \
             when is_member and row_number() over (partition by key, is_member and reason is null order by entity_id) > 1 then 'duplicate key' end",
            "withheld",
        )
        .column(format!("cohorte_hash(key, {})", values.join(", ")), "hash")
        .column(values.join(",\n  "), "")
        .to_string()
}

/// The customers that may be concerned, with `_is_member`. Everyone is looked at, not the members alone: a row that was
/// delivered must be found again when its customer left.
fn people(sync: &Sync, entity: &Entity) -> String {
    let id = ident(&entity.id());
    let table = ident(&entity.name);
    match &sync.from {
        SyncFrom::Segment(segment) => format!(
            "(\n  select c.*, m.entity_id is not null as _is_member\n  from {table} as c\n  left join (select entity_id from segment_members where segment = {} and exited_at is null) as m on m.entity_id = c.{id}\n) as p",
            text_literal(segment)
        ),
        SyncFrom::Entity => format!("(select *, is_known as _is_member from {table}) as p"),
        SyncFrom::Consents(purposes) => {
            let names: Vec<String> = purposes.iter().map(|purpose| text_literal(purpose)).collect();
            format!(
                "(\n  select c.*, s.contact_point, s.purpose, s.channel, s.scope, s.status, s.basis, s.source, s.proof, s.since, true as _is_member\n  \
                 from consents as s\n  join {table} as c on c.{id} = s.{id}\n  where s.purpose in ({})\n) as p",
                names.join(", ")
            )
        }
        SyncFrom::Sql(sql) => format!(
            "(\n  select c.*, m.{id} is not null as _is_member\n  from {table} as c\n  left join (\n    select distinct {id} from (\n{}\n    ) as q\n  ) as m on m.{id} = c.{id}\n) as p",
            indent(&indent(&indent(sql)))
        ),
    }
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

fn reason(project: &Project, sync: &Sync, n_contacts: usize) -> String {
    let Gate::Consent { purpose, .. } = &sync.gate else { return "cast(null as varchar)".into() };
    let none: Vec<String> = (0..n_contacts).map(|index| format!("r._contact_{index} is null")).collect();
    let mut sql = format!("case when {} then 'no contact point'", none.join(" and "));
    let needs_grant = project.purposes.get(purpose).is_none_or(|purpose| purpose.basis == Basis::Consent);
    for index in 0..n_contacts {
        sql.push_str(&format!(" when coalesce(c_{index}._withdrawn, false) then 'consent withdrawn'"));
    }
    if needs_grant {
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

/// What is due: `queue` (0 withdrawals, 1 removals, 2 the rest), `action`, `customer_id`, `key`, `contact_point`,
/// `desired_hash`, and a column per sent value. Reads `sync_rows` (the result of [`rows`]), `state` (this sync's rows of
/// `sync_state`) and `consents`.
#[must_use]
pub fn due(project: &Project, sync: &Sync) -> String {
    let wanted = "(select * from sync_rows where is_member and withheld is null) as w";
    let mut select = Select::from(wanted).join("full join (select * from state) as s on s.key = w.key");
    // What the gate says of the row that was delivered: of its customer's row if it still has that key, and of the contact
    // point that was sent.
    let consent_reasons: Vec<String> =
        CONSENT_REASONS.iter().chain(&["no contact point"]).map(|reason| text_literal(reason)).collect();
    let mut lost = format!("b.withheld in ({})", consent_reasons.join(", "));
    select = select.join("left join (select key, min(withheld) as withheld from sync_rows where withheld is not null and withheld <> 'duplicate key' group by key) as b on b.key = s.key");
    if let Gate::Consent { purpose, .. } = &sync.gate {
        select = select.join(format!("left join {} as g on g.contact_point = s.contact_point", granted(sync)));
        let needs_grant = project.purposes.get(purpose).is_none_or(|purpose| purpose.basis == Basis::Consent);
        let fails = if needs_grant {
            "not coalesce(g._granted and not g._withdrawn, false)"
        } else {
            "coalesce(g._withdrawn, false)"
        };
        lost = format!("({lost} or (s.contact_point is not null and {fails}))");
    }
    let delivered = "(s.delivered_hash is not null or s.in_doubt_hash is not null)";
    let waits = "(s.next_attempt_at > cohorte_now() and s.attempted_hash is not distinct from w.hash)";
    let mut action = "case".to_owned();
    action.push_str(&format!(
        " when w.key is null and {delivered} and coalesce({lost}, false) then {}",
        going(&sync.on_withdraw)
    ));
    if sync.mode == Mode::Mirror {
        action.push_str(&format!(" when w.key is null and {delivered} then {}", going(&sync.on_remove)));
    }
    action.push_str(&format!(" when w.key is null or {waits} then null"));
    let (add, update) = match sync.mode {
        Mode::Update => ("'update'", "'update'"),
        Mode::Insert => ("'add'", "null"),
        Mode::Upsert | Mode::Mirror => ("'add'", "'update'"),
    };
    action.push_str(&format!(" when s.in_doubt_hash is not null then coalesce({update}, 'add')"));
    action.push_str(&format!(" when s.delivered_hash is null then {add}"));
    action.push_str(&format!(" when s.delivered_hash <> w.hash then {update} end"));
    let queue =
        format!("case when w.key is null and coalesce({lost}, false) then 0 when w.key is null then 1 else 2 end");
    select = select
        .column(queue, "queue")
        .column(action, "action")
        .column("coalesce(w.entity_id, s.customer_id)", "customer_id")
        .column("coalesce(w.key, s.key)", "key")
        .column("coalesce(w.contact_point, s.contact_point)", "contact_point")
        .column("w.hash", "desired_hash");
    let keys: BTreeSet<String> = key_columns(sync).into_iter().collect();
    for name in columns(sync) {
        let column = format!("w.{}", ident(&value_column(&name)));
        let value = if keys.contains(&name) {
            // A row that goes is found by the key that was sent.
            format!(
                "coalesce({column}, try_cast(cohorte_json_text(s.key, {}) as {}))",
                text_literal(&name),
                crate::project::sql_type(type_of(project, sync, &name))
            )
        } else {
            column
        };
        select = select.column(value, &value_column(&name));
    }
    format!("select * from (\n{}\n) as due\nwhere action is not null\norder by queue, key", indent(&select.to_string()))
}

fn going(what: &Withdraw) -> &'static str {
    match what {
        Withdraw::Delete => "'remove'",
        Withdraw::Clear(_) => "'clear'",
        Withdraw::Nothing => "null",
    }
}

/// The type of a sent value.
fn type_of(project: &Project, sync: &Sync, name: &str) -> DataType {
    if let Some(field) = sync.fields.iter().find(|field| field.name == name) {
        return field.data_type;
    }
    let sql =
        sync.keys.iter().flat_map(|key| &key.columns).find(|(column, _)| column == name).map(|(_, sql)| sql.as_str());
    let entity = &project.entities[&sync.entity];
    let attribute = entity.attributes.values().find(|attribute| sql == Some(ident(&attribute.name).as_str()));
    let one = project.traits.values().find(|one| sql == Some(ident(&one.name).as_str()));
    attribute.map(|attribute| attribute.data_type).or(one.map(|one| one.data_type)).unwrap_or(DataType::Text)
}

/// Are nulls left out of what is sent?
#[must_use]
pub fn omits_nulls(sync: &Sync) -> bool {
    sync.nulls == Nulls::Omit
}
