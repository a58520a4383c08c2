//! The statement of an operation: pure text from the table, the target and the operation.
//!
//! Every statement begins with the same `due` rows, numbered from 1, and answers with the numbers of the rows that were taken.

use super::table::{Column, Table, quoted};
use crate::sync::destination::{Operation, Target};

/// SQL and the columns that are its parameters, in order.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    pub(super) sql: String,
    pub(super) columns: Vec<&'a Column>,
}

/// The statement that does `operation` on `table`.
pub(super) fn of<'a>(table: &'a Table, target: &Target, operation: Operation) -> Statement<'a> {
    let is_key = |column: &Column| target.key.contains(&column.name);
    let keys_only = matches!(operation, Operation::Remove | Operation::Clear);
    let columns: Vec<&Column> = table.columns.iter().filter(|column| !keys_only || is_key(column)).collect();
    let keys: Vec<(usize, &Column)> = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| is_key(column))
        .map(|(place, column)| (place, *column))
        .collect();
    let name = &table.sql_name;
    let matches = keys.iter().map(|(place, key)| format!("t.{} = due.c{place}", quoted(&key.name)));
    let matches = matches.collect::<Vec<_>>().join(" and ");
    // A row that is all key has nothing to set; setting the key to itself still tells whether it is there.
    let set: Vec<(usize, &Column)> = {
        let others: Vec<_> = columns.iter().copied().enumerate().filter(|(_, column)| !is_key(column)).collect();
        if others.is_empty() { keys.clone() } else { others }
    };
    let put = match operation {
        Operation::Remove => {
            format!("delete from {name} as t using due where {matches} returning due.n")
        }
        Operation::Clear => {
            let cleared = target.clear.iter().filter(|field| !target.key.contains(field));
            let mut nulls: Vec<String> = cleared.map(|field| format!("{} = null", quoted(field))).collect();
            if nulls.is_empty() {
                nulls = keys.iter().map(|(place, key)| format!("{} = due.c{place}", quoted(&key.name))).collect();
            }
            format!("update {name} as t set {} from due where {matches} returning due.n", nulls.join(", "))
        }
        Operation::Add | Operation::Update if !target.may_create => {
            let values = set.iter().map(|(place, column)| {
                let (column, value) = (quoted(&column.name), format!("due.c{place}"));
                format!("{column} = {}", kept(target, &column, value))
            });
            let values = values.collect::<Vec<_>>().join(", ");
            format!("update {name} as t set {values} from due where {matches} returning due.n")
        }
        Operation::Add | Operation::Update => {
            let list =
                |columns: &[&Column]| columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
            let sources = (0..columns.len()).map(|place| format!("due.c{place}")).collect::<Vec<_>>().join(", ");
            let on_conflict = if target.may_update {
                let values = set.iter().map(|(_, column)| {
                    let column = quoted(&column.name);
                    format!("{column} = {}", kept(target, &column, format!("excluded.{column}")))
                });
                format!("do update set {}", values.collect::<Vec<_>>().join(", "))
            } else {
                "do nothing".to_owned()
            };
            let arbiter = list(&keys.iter().map(|(_, key)| *key).collect::<Vec<_>>());
            let returned = keys.iter().map(|(place, key)| format!("t.{} as k{place}", quoted(&key.name)));
            let returned = returned.collect::<Vec<_>>().join(", ");
            let same =
                keys.iter().map(|(place, _)| format!("put.k{place} = due.c{place}")).collect::<Vec<_>>().join(" and ");
            return Statement {
                sql: format!(
                    "with {due}, put as (insert into {name} as t ({names}) select {sources} from due order by due.n \
                     on conflict ({arbiter}) {on_conflict} returning {returned}) \
                     select due.n from due join put on {same}",
                    due = due(&columns),
                    names = list(&columns),
                ),
                columns,
            };
        }
    };
    Statement { sql: format!("with {}, put as ({put}) select n from put", due(&columns)), columns }
}

/// The value that a column is set to: where nulls are left out, its own stays in their place.
fn kept(target: &Target, column: &str, value: String) -> String {
    if target.omit_nulls { format!("coalesce({value}, t.{column})") } else { value }
}

/// The rows of the batch, cast to the types of the table's columns.
fn due(columns: &[&Column]) -> String {
    let casts = columns.iter().enumerate().map(|(place, column)| format!("u.c{place}::{} as c{place}", column.cast));
    let arrays = (1..=columns.len()).map(|number| format!("${number}::text[]"));
    let names = (0..columns.len()).map(|place| format!("c{place}"));
    format!(
        "due as materialized (select {}, u.n from unnest({}) with ordinality as u({}, n))",
        casts.collect::<Vec<_>>().join(", "),
        arrays.collect::<Vec<_>>().join(", "),
        names.collect::<Vec<_>>().join(", "),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn table() -> Table {
        let column = |name: &str, cast: &str| Column { name: name.into(), cast: cast.into(), category: "S".into() };
        Table {
            sql_name: "\"crm\".\"people\"".into(),
            shown: "crm.people".into(),
            columns: vec![column("email", "text"), column("odd\"name", "bigint")],
        }
    }

    fn target(may_create: bool, may_update: bool) -> Target {
        Target {
            sync: "s".into(),
            object: None,
            key: vec!["email".into()],
            schema: Arc::new(Schema::new(vec![
                Field::new("email", DataType::Utf8View, false),
                Field::new("odd\"name", DataType::Int64, true),
            ])),
            clear: vec!["odd\"name".into()],
            may_create,
            may_update,
            ours: 0,
            omit_nulls: false,
        }
    }

    const DUE: &str = "with due as materialized (select u.c0::text as c0, u.c1::bigint as c1, u.n \
                       from unnest($1::text[], $2::text[]) with ordinality as u(c0, c1, n))";
    const DUE_KEYS: &str = "with due as materialized (select u.c0::text as c0, u.n \
                            from unnest($1::text[]) with ordinality as u(c0, n))";

    #[test]
    fn where_nulls_are_left_out_the_column_keeps_its_value() {
        let omits = |may_create| Target { omit_nulls: true, ..target(may_create, true) };
        let kept = |value: &str| format!("set \"odd\"\"name\" = coalesce({value}, t.\"odd\"\"name\")");
        let upsert = of(&table(), &omits(true), Operation::Add).sql;
        assert!(upsert.contains(&kept("excluded.\"odd\"\"name\"")), "{upsert}");
        let update = of(&table(), &omits(false), Operation::Update).sql;
        assert!(update.contains(&kept("due.c1")), "{update}");
        let clear = of(&table(), &omits(true), Operation::Clear).sql;
        assert!(clear.contains("\"odd\"\"name\" = null"), "{clear}");
    }

    #[test]
    fn an_upsert_updates_all_but_the_key() {
        assert_eq!(
            of(&table(), &target(true, true), Operation::Add).sql,
            format!(
                "{DUE}, put as (insert into \"crm\".\"people\" as t (\"email\", \"odd\"\"name\") select due.c0, due.c1 \
                 from due order by due.n on conflict (\"email\") do update set \"odd\"\"name\" = excluded.\"odd\"\"name\" \
                 returning t.\"email\" as k0) select due.n from due join put on put.k0 = due.c0"
            )
        );
    }

    #[test]
    fn an_insert_never_updates_and_an_update_never_inserts() {
        let insert = of(&table(), &target(true, false), Operation::Update).sql;
        assert!(insert.contains("on conflict (\"email\") do nothing"), "{insert}");
        let update = of(&table(), &target(false, true), Operation::Add).sql;
        assert_eq!(
            update,
            format!(
                "{DUE}, put as (update \"crm\".\"people\" as t set \"odd\"\"name\" = due.c1 from due \
                 where t.\"email\" = due.c0 returning due.n) select n from put"
            )
        );
    }

    #[test]
    fn removals_and_clears_go_by_key_alone() {
        assert_eq!(
            of(&table(), &target(true, true), Operation::Remove).sql,
            format!(
                "{DUE_KEYS}, put as (delete from \"crm\".\"people\" as t using due where t.\"email\" = due.c0 returning due.n) \
                 select n from put"
            )
        );
        assert_eq!(
            of(&table(), &target(true, true), Operation::Clear).sql,
            format!(
                "{DUE_KEYS}, put as (update \"crm\".\"people\" as t set \"odd\"\"name\" = null from due \
                 where t.\"email\" = due.c0 returning due.n) select n from put"
            )
        );
    }
}
