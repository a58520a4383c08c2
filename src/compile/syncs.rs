//! Syncs as relations: what every customer's row would be, whether the gate lets it pass, and what is due.

mod consents;
mod due;
mod gate;

pub use consents::ECHO;
pub use due::due;
pub use gate::CONSENT_REASONS;

use crate::project::{Entity, Project, Sync, SyncFrom};
use crate::spec::Nulls;
use crate::sql::{Select, ident, indent, text_literal};

/// What the gate of a sync and a sync of consents read: the consents as they are when it is sent.
pub const CONSENTS: &str = "_sync_consents";

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
/// gated one each contact point's behind it. Reads `<entity>`, `segment_members`, [`CONSENTS`], and for echoes
/// `consent_history`.
#[must_use]
pub fn rows(project: &Project, sync: &Sync) -> String {
    numbered(sync, &format!("(\n{}\n) as h", indent(&candidates(project, sync))))
}

/// The same rows of `_sync_candidates`, where the keys are known that may be there more than once: no other is numbered.
#[must_use]
pub fn rows_of_candidates(sync: &Sync, are_keys_repeated: bool) -> String {
    let once =
        |candidates: &str| withheld(sync, candidates, &format!("{NO_KEY} when reason is not null then reason end"));
    if !are_keys_repeated {
        return once("_sync_candidates");
    }
    let part = |which: &str| format!("(select * from _sync_candidates where {which}) as h");
    let (one, several) = (part("not cohorte_is_repeated(key)"), part("cohorte_is_repeated(key)"));
    format!("{}\nunion all\n{}", once(&one), numbered(sync, &several))
}

const NO_KEY: &str = "case when key is null then 'no key'";

/// A destination has one row per key: of two with one key a consent that was withdrawn goes first, then the first by id.
fn numbered(sync: &Sync, candidates: &str) -> String {
    let reason = format!(
        "{NO_KEY} when reason is not null then reason \
         when is_member and row_number() over (partition by key, is_member and reason is null order by creates, entity_id, hash) > 1 then 'duplicate key' end"
    );
    withheld(sync, candidates, &reason)
}

fn withheld(sync: &Sync, candidates: &str, reason: &str) -> String {
    let values: Vec<String> = columns(sync).iter().map(|name| ident(&value_column(name))).collect();
    Select::from(candidates)
        .column(ident("entity_id"), "entity_id")
        .column(ident("key"), "key")
        .column(ident("is_member"), "is_member")
        .column(ident("creates"), "creates")
        .column(reason, "withheld")
        .column(ident("hash"), "hash")
        .column(values.join(",\n  "), "")
        .to_string()
}

/// As [`rows`], before it is asked whether a key is there twice: `reason` is what else withholds a row.
#[must_use]
pub fn candidates(project: &Project, sync: &Sync) -> String {
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
        .column(if is_consents { "coalesce(p.status = 'granted', false)" } else { "true" }, "_creates");
    if is_consents {
        people = people.column("_is_echo", "_echo").column("_told_at", "_told");
    }
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
    people = gate::points(people, sync);
    let mut gated = gate::joined(Select::from(format!("(\n{}\n) as r", indent(&people.to_string()))), sync);
    let reason = if is_consents {
        format!("case when r._echo then {} end", text_literal(ECHO))
    } else {
        gate::reason(project, sync)
    };
    gated = gated
        .column("r._entity", "entity_id")
        .column(key + " end", "key")
        .column("r._member", "is_member")
        .column("r._creates", "creates")
        .column(reason, "reason");
    for name in columns(sync) {
        gated = gated.column(value(sync, &name), &value_column(&name));
    }
    let values: Vec<String> = columns(sync).iter().map(|name| ident(&value_column(name))).collect();
    let mut hash = format!("cohorte_hash(key, {})", values.join(", "));
    if is_consents {
        gated = gated.column("r._told", "_told");
        hash = format!("cohorte_hash(key, {}, _told)", values.join(", "));
    }
    if let Some(points) = gate::hashes(sync) {
        gated = gated.column(points, "_points");
        hash = format!("concat({hash}, _points)");
    }
    let mut hashed = Select::from(format!("(\n{}\n) as g", indent(&gated.to_string())));
    for name in ["entity_id", "key", "is_member", "creates", "reason"] {
        hashed = hashed.column(ident(name), name);
    }
    hashed.column(hash, "hash").column(values.join(",\n  "), "").to_string()
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
        SyncFrom::Consents(purposes) => consents::states(project, sync, entity, purposes),
        SyncFrom::Sql(sql) => format!(
            "(\n  select c.*, m.{id} is not null and c.is_known as _is_member\n  from {table} as c\n  left join (\n    select distinct {id} from (\n{}\n    ) as q\n  ) as m on m.{id} = c.{id}\n) as p",
            indent(&indent(&indent(sql)))
        ),
    }
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
