//! The table that a sync delivers to: made when it is missing, else mapped and checked before anything is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::Field;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::connect::Address;
use super::types;
use crate::diag::Failure;
use crate::sync::destination::Target;

/// The server cuts longer names off without a word.
const MAX_NAME: usize = 63;

/// A table that is ready.
#[derive(Debug)]
pub(super) struct Table {
    /// Quoted, as it stands in statements.
    pub(super) sql_name: String,
    /// As people write it.
    pub(super) shown: String,
    /// The columns that are sent, in the order of the target's schema.
    pub(super) columns: Vec<Column>,
}

/// A column that is sent.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type that a text is cast to. Lengths of texts are left out: an explicit cast would cut silently what assignment refuses.
    pub(super) cast: String,
    /// `pg_type.typcategory`.
    pub(super) category: String,
}

/// A column as it is in the catalogue.
struct Found {
    shown_type: String,
    cast: String,
    category: String,
    type_name: String,
    not_null: bool,
    filled: bool,
    generated: bool,
}

/// `"a""b"`.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Makes the table or checks it.
pub(super) async fn prepare(client: &Client, address: &Address, target: &Target) -> Result<Table, Failure> {
    let shown = target.object.clone().unwrap_or_else(|| target.sync.clone());
    let unfit = Unfit { address, sync: &target.sync, shown: &shown };
    let sql_name =
        qualified(&shown).map_err(|cause| unfit.because(&cause, "name the table as `table` or `schema.table`"))?;
    check_names(target).map_err(|cause| unfit.because(&cause, "rename the field"))?;

    let failed = |error: tokio_postgres::Error| address.failed(&shown, &error);
    if find(client, &sql_name).await.map_err(failed)?.is_none() {
        let created = client.batch_execute(&creation(&sql_name, target)).await;
        match created {
            Ok(()) => {}
            // Somebody else was faster: theirs is checked like any other.
            Err(error)
                if error.code() == Some(&SqlState::DUPLICATE_TABLE)
                    || error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {}
            Err(error) if error.code() == Some(&SqlState::INVALID_SCHEMA_NAME) => {
                return Err(
                    unfit.because("its schema does not exist", "create the schema, or name another in `object:`")
                );
            }
            Err(error) => return Err(failed(error)),
        }
    }
    let Some((oid, relation)) = find(client, &sql_name).await.map_err(failed)? else {
        return Err(unfit.because("it vanished while it was being looked at", "run the sync again"));
    };
    if !matches!(relation.as_str(), "r" | "p") {
        return Err(
            unfit.because("it is not a table but a view, a sequence or a foreign table", "name a table in `object:`")
        );
    }
    let found = columns(client, oid).await.map_err(failed)?;
    let columns = mapped(&found, target).map_err(|(cause, help)| unfit.because(&cause, &help))?;
    if target.may_create && !has_unique_key(client, oid, &target.key).await.map_err(failed)? {
        let names = target.key.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(", ");
        return Err(unfit.because(
            &format!(
                "no unique constraint or index is on exactly the key ({}), so rows cannot be told from one another",
                target.key.join(", ")
            ),
            &format!(
                "run `create unique index on {sql_name} ({names})` (not deferrable, not partial), or use `mode: update`"
            ),
        ));
    }
    let missing = missing_privileges(client, oid, target).await.map_err(failed)?;
    if !missing.is_empty() {
        return Err(unfit.because(
            &format!("the connection's user may not {} there", missing.join(", ")),
            &format!("run `grant {} on {sql_name} to …` as the table's owner", missing.join(", ")),
        ));
    }
    Ok(Table { sql_name, shown, columns })
}

/// The table as it is made where it is missing.
pub(super) fn as_made(target: &Target) -> Result<Table, String> {
    let shown = target.object.clone().unwrap_or_else(|| target.sync.clone());
    let column = |field: &Arc<Field>| Column {
        name: field.name().clone(),
        cast: types::created(field.data_type()),
        category: String::new(),
    };
    Ok(Table { sql_name: qualified(&shown)?, shown, columns: target.schema.fields().iter().map(column).collect() })
}

/// Says which table of which database does not fit, and why.
struct Unfit<'a> {
    address: &'a Address,
    sync: &'a str,
    shown: &'a str,
}

impl Unfit<'_> {
    fn because(&self, cause: &str, help: &str) -> Failure {
        let doing = format!("preparing the table `{}` for the sync `{}` in", self.shown, self.sync);
        Failure::project("E604", self.address.doing(&doing), cause).help(help)
    }
}

/// `schema.table` or `table`; a part with a dot in it is written in double quotes.
fn qualified(name: &str) -> Result<String, String> {
    let mut parts = vec![String::new()];
    let mut inside = false;
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if inside && letters.peek() == Some(&'"') => {
                letters.next();
                parts.last_mut().into_iter().for_each(|part| part.push('"'));
            }
            '"' => inside = !inside,
            '.' if !inside => parts.push(String::new()),
            other => parts.last_mut().into_iter().for_each(|part| part.push(other)),
        }
    }
    if inside || parts.len() > 2 || parts.iter().any(String::is_empty) {
        return Err(format!("`{name}` is not the name of a table"));
    }
    if let Some(part) = parts.iter().find(|part| part.len() > MAX_NAME || part.contains('\0')) {
        return Err(format!("`{part}` is longer than the {MAX_NAME} bytes that PostgreSQL gives a name"));
    }
    Ok(parts.iter().map(|part| quoted(part)).collect::<Vec<_>>().join("."))
}

fn check_names(target: &Target) -> Result<(), String> {
    match target.schema.fields().iter().find(|field| field.name().len() > MAX_NAME || field.name().is_empty()) {
        Some(field) => Err(format!(
            "the field `{}` is longer than the {MAX_NAME} bytes that PostgreSQL gives a name, or empty",
            field.name()
        )),
        None => Ok(()),
    }
}

/// Our own table: types after Arrow's, the key as primary key, and a comment for whoever finds it. Sent as one message, so both
/// statements are one transaction.
fn creation(sql_name: &str, target: &Target) -> String {
    let columns = target.schema.fields().iter().map(|field| {
        let not_null = if target.key.contains(field.name()) { " not null" } else { "" };
        format!("{} {}{not_null}", quoted(field.name()), types::created(field.data_type()))
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    let key = target.key.iter().map(|key| quoted(key)).collect::<Vec<_>>().join(", ");
    let comment = format!("Written by the cohorte sync {}", target.sync).replace('\'', "''");
    format!(
        "create table {sql_name} ({columns}, primary key ({key})); comment on table {sql_name} is E'{}'",
        comment.replace('\\', "\\\\")
    )
}

async fn find(client: &Client, sql_name: &str) -> Result<Option<(u32, String)>, tokio_postgres::Error> {
    let sql = "select c.oid, c.relkind::text from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($1)";
    let row = client.query_typed_opt(sql, &[(&sql_name, Type::TEXT)]).await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

async fn columns(client: &Client, oid: u32) -> Result<BTreeMap<String, Found>, tokio_postgres::Error> {
    // A domain is cast as the type below it; storing checks the domain. Numbers are cast with their scale, so that what is stored
    // equals what was sent; texts and arrays without their length.
    let sql = "select a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), \
               pg_catalog.format_type(coalesce(b.oid, t.oid), case when t.typcategory in ('N', 'D') and b.oid is null then a.atttypmod else -1 end), \
               t.typcategory::text, coalesce(b.typname, t.typname)::text, a.attnotnull, \
               a.atthasdef or a.attidentity <> '', a.attgenerated <> '' or a.attidentity = 'a' \
               from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid \
               left join pg_catalog.pg_type b on b.oid = t.typbasetype and t.typtype = 'd' \
               where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped";
    let rows = client.query_typed(sql, &[(&oid, Type::OID)]).await?;
    rows.iter()
        .map(|row| {
            let found = Found {
                shown_type: row.try_get(1)?,
                cast: row.try_get(2)?,
                category: row.try_get(3)?,
                type_name: row.try_get(4)?,
                not_null: row.try_get(5)?,
                filled: row.try_get(6)?,
                generated: row.try_get(7)?,
            };
            Ok((row.try_get(0)?, found))
        })
        .collect()
}

/// Every field's column, or everything that stands in the way, and what to do about it.
fn mapped(found: &BTreeMap<String, Found>, target: &Target) -> Result<Vec<Column>, (String, String)> {
    let mut wrong = Vec::new();
    let mut todo = Vec::new();
    let mut columns = Vec::new();
    for field in target.schema.fields() {
        let (name, kind) = (field.name(), field.data_type());
        let Some(column) = found.get(name) else {
            let near = found.keys().find(|other| other.eq_ignore_ascii_case(name));
            wrong.push(near.map_or_else(
                || format!("it has no column `{name}`"),
                |near| format!("it has no column `{name}` (but `{near}`)"),
            ));
            todo.push(format!("`alter table … add column {} {}`", quoted(name), types::created(kind)));
            continue;
        };
        if column.generated {
            wrong.push(format!("the column `{name}` is computed by the database"));
            todo.push(format!("leave the field `{name}` out"));
        } else if !types::fits(kind, &column.category, &column.type_name) {
            wrong.push(format!(
                "the column `{name}` is `{}`, which does not take `{}`",
                column.shown_type,
                types::created(kind)
            ));
            todo.push(format!("cast the field `{name}` in its SQL or change the column's type"));
        } else if column.not_null && target.clear.contains(name) {
            wrong.push(format!("the column `{name}` is `not null` but is to be cleared"));
            todo.push("drop its `not null`, or use `on_remove: delete`".to_owned());
        }
        columns.push(Column { name: name.clone(), cast: column.cast.clone(), category: column.category.clone() });
    }
    if target.may_create {
        for (name, column) in found {
            if column.not_null && !column.filled && !column.generated && target.schema.field_with_name(name).is_err() {
                wrong.push(format!("the column `{name}` is `not null` without a default and no field fills it"));
                todo.push(format!("add the field `{name}`, or give the column a default"));
            }
        }
    }
    if wrong.is_empty() { Ok(columns) } else { Err((wrong.join("; "), todo.join("; "))) }
}

/// Is there a unique index on exactly these columns that `on conflict` can use?
async fn has_unique_key(client: &Client, oid: u32, key: &[String]) -> Result<bool, tokio_postgres::Error> {
    let sql = "select exists (select 1 from pg_catalog.pg_index i where i.indrelid = $1 and i.indisunique and i.indimmediate \
               and i.indisvalid and i.indpred is null and i.indexprs is null and i.indnkeyatts = cardinality($2) \
               and (select array_agg(a.attname::text order by a.attname::text) from pg_catalog.pg_attribute a \
                    where a.attrelid = i.indrelid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])) \
                 = (select array_agg(k order by k) from unnest($2) k))";
    let row = client.query_typed_one(sql, &[(&oid, Type::OID), (&key, Type::TEXT_ARRAY)]).await?;
    row.try_get(0)
}

async fn missing_privileges(client: &Client, oid: u32, target: &Target) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut needed = vec![
        ("select", true),
        ("insert", target.may_create),
        ("update", target.may_update || !target.clear.is_empty()),
    ];
    needed.retain(|(_, needed)| *needed);
    let needed: Vec<&str> = needed.into_iter().map(|(name, _)| name).collect();
    let sql = "select p from unnest($2) with ordinality as n(p, o) where not pg_catalog.has_any_column_privilege($1, p) order by o";
    let rows = client.query_typed(sql, &[(&oid, Type::OID), (&needed, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Schema};

    use super::*;

    fn target() -> Target {
        Target {
            sync: "it's".into(),
            object: None,
            key: vec!["Email".into()],
            schema: Arc::new(Schema::new(vec![
                Field::new("Email", DataType::Utf8View, false),
                Field::new("n", DataType::Int64, true),
            ])),
            clear: vec!["n".into()],
            may_create: true,
            may_update: true,
            ours: 0,
            omit_nulls: false,
        }
    }

    fn found(entries: &[(&str, &str, &str, bool, bool)]) -> BTreeMap<String, Found> {
        let one = |&(name, category, type_name, not_null, filled): &(&str, &str, &str, bool, bool)| {
            let found = Found {
                shown_type: type_name.into(),
                cast: type_name.into(),
                category: category.into(),
                type_name: type_name.into(),
                not_null,
                filled,
                generated: false,
            };
            (name.to_owned(), found)
        };
        entries.iter().map(one).collect()
    }

    #[test]
    fn names_are_quoted_part_by_part() {
        assert_eq!(qualified("people").unwrap(), "\"people\"");
        assert_eq!(qualified("crm.People").unwrap(), "\"crm\".\"People\"");
        assert_eq!(qualified("\"a.b\".\"c\"\"d\"").unwrap(), "\"a.b\".\"c\"\"d\"");
        assert_eq!(qualified("x\"; drop table y; --\"").unwrap(), "\"x; drop table y; --\"");
        for wrong in ["", "a.", ".b", "a.b.c", "\"open", &"x".repeat(64)] {
            assert!(qualified(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn our_own_table_has_the_key_as_primary_key_and_says_whose_it_is() {
        assert_eq!(
            creation("\"t\"", &target()),
            "create table \"t\" (\"Email\" text not null, \"n\" bigint, primary key (\"Email\")); \
             comment on table \"t\" is E'Written by the cohorte sync it''s'"
        );
    }

    #[test]
    fn everything_that_does_not_fit_is_told_at_once() {
        let table = found(&[("email", "S", "text", true, false), ("n", "B", "bool", false, false)]);
        let (cause, help) = mapped(&table, &target()).unwrap_err();
        assert!(cause.contains("no column `Email` (but `email`)"), "{cause}");
        assert!(cause.contains("`n` is `bool`, which does not take `bigint`"), "{cause}");
        assert!(cause.contains("`email` is `not null` without a default"), "{cause}");
        assert!(help.contains("add column \"Email\" text"), "{help}");
    }

    #[test]
    fn a_column_that_must_be_cleared_must_be_nullable() {
        let table = found(&[("Email", "S", "text", true, false), ("n", "N", "int8", true, true)]);
        assert!(mapped(&table, &target()).unwrap_err().0.contains("to be cleared"));
    }

    #[test]
    fn other_columns_may_be_there_where_they_fill_themselves() {
        let table = found(&[
            ("Email", "S", "text", true, false),
            ("n", "N", "int8", false, false),
            ("id", "N", "int8", true, true),
        ]);
        assert_eq!(mapped(&table, &target()).unwrap().len(), 2);
    }
}
