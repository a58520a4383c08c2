//! What identity resolution reads of each source: keys, names, scopes and identifier values.

use super::moment::happened;
use crate::project::{Entity, IdentitySource, Source};
use crate::spec::Role;
use crate::sql::{Select, ident};

/// SQL of a link node's key: its tuple of identifiers.
#[must_use]
pub fn tuple_key(source: &IdentitySource) -> String {
    // Values are expressions over the source's columns, which are unambiguous behind an alias-free relation.
    let values: Vec<&str> = source.ids.iter().map(|(_, sql)| sql.as_str()).collect();
    format!("cohorte_key({})", values.join(", "))
}

/// The rows of a `link` source, whose distinct tuples are its nodes: `scope_0…`, `id_0…`, `seen_at`. A build makes them distinct
/// itself, as [`nodes`] says in SQL.
#[must_use]
pub fn tuples(source: &Source, identity: &IdentitySource) -> String {
    seen_rows(source, identity, Select::from(ident(&source.name))).to_string()
}

/// The rows that have been seen by `as_of`, with their scopes and identifiers.
fn seen_rows(source: &Source, identity: &IdentitySource, mut rows: Select) -> Select {
    let seen = source
        .updated_at
        .as_ref()
        .or(source.time.as_ref())
        .map_or("arrow_cast(null, 'Timestamp(µs, \"UTC\")')".to_owned(), |column| ident(column));
    for (index, scope) in identity.scopes.iter().enumerate() {
        rows = rows.column(scope, &format!("scope_{index}"));
    }
    for (index, (_, sql)) in identity.ids.iter().enumerate() {
        rows = rows.column(sql, &format!("id_{index}"));
    }
    rows = rows.column(seen, "seen_at");
    if source.time.is_some() { rows.filter(happened("")) } else { rows }
}

/// The nodes of a `record` or `link` source: `key`, `name`, `scope_0…`, `id_0…`, `first_seen_at`, `last_seen_at`. `None`
/// for `attach` sources, which have none. Rows after `as_of` are not seen.
#[must_use]
pub fn nodes(entity: &Entity, source: &Source, identity: &IdentitySource) -> Option<String> {
    let mut rows = Select::from(ident(&source.name));
    match identity.role {
        Role::Record => {
            rows = rows
                .column("_key", "key")
                .column(identity.name_key.as_deref().unwrap_or("cast(null as varchar)"), "name");
        }
        Role::Link => rows = rows.column(tuple_key(identity), "key").column("cast(null as varchar)", "name"),
        Role::Attach => return None,
    }
    rows = seen_rows(source, identity, rows);
    if identity.role == Role::Record {
        let select = Select::from(format!("(\n{}\n) as n", crate::sql::indent(&rows.to_string())));
        let mut select = columns(select, entity, identity);
        select = select.column("seen_at", "first_seen_at").column("seen_at", "last_seen_at").filter("key is not null");
        return Some(select.to_string());
    }
    let mut select =
        columns(Select::from(format!("(\n{}\n) as n", crate::sql::indent(&rows.to_string()))), entity, identity);
    select.group_by = select.columns.iter().map(|(sql, _)| sql.clone()).collect();
    select =
        select.column("min(seen_at)", "first_seen_at").column("max(seen_at)", "last_seen_at").filter("key is not null");
    Some(select.to_string())
}

fn columns(mut select: Select, entity: &Entity, identity: &IdentitySource) -> Select {
    select = select.column("key", "key").column("name", "name");
    for index in 0..entity.never_across.len() {
        select = select.column(format!("scope_{index}"), &format!("scope_{index}"));
    }
    for index in 0..identity.ids.len() {
        select = select.column(format!("id_{index}"), &format!("id_{index}"));
    }
    select
}
