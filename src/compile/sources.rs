//! A source as models see it: typed, parsed, normalised, one row per key.

use crate::project::{Expected, Source};
use crate::sql::{Select, ident, indent, text_literal};

/// The relation `"<source>"`: its columns, `_raw_…` and `_reason_…` of those with a semantic type, `_key` and `_time`.
#[must_use]
pub fn relation(source: &Source) -> String {
    let mut stored = Select::from(format!("raw.{}", ident(&source.name)));
    for (name, sql) in &source.stored {
        stored = stored.column(sql, name);
    }
    let mut typed = Select::from(format!("(\n{}\n) as stored", indent(&stored.to_string())));
    for (name, column) in &source.columns {
        typed = typed.column(&column.sql, name);
    }
    for (name, column) in &source.columns {
        if let (Some(raw), Some(reason)) = (&column.raw, &column.reason) {
            typed = typed.column(raw, &format!("_raw_{name}")).column(reason, &format!("_reason_{name}"));
        }
    }
    let mut rows = format!("(\n{}\n) as typed", indent(&typed.to_string()));
    if let (true, Some(updated_at)) = (source.latest, &source.updated_at) {
        rows = latest(source, updated_at, &rows);
    }
    let mut relation = Select::from(rows);
    for name in all_columns(source) {
        relation = relation.column(ident(&name), &name);
    }
    let time =
        source.time.as_ref().map_or("arrow_cast(null, 'Timestamp(µs, \"UTC\")')".to_owned(), |time| ident(time));
    relation = relation.column(source.key_sql(""), "_key").column(time, "_time");
    for parent in &source.parents {
        for (index, (_, ours)) in parent.on.iter().enumerate() {
            relation = relation.column(ours, &on_column(&parent.source, index));
        }
    }
    if let Some(deleted) = &source.deleted {
        relation = relation.filter(format!("coalesce({}, false) = false", deleted.sql));
    }
    if let Some(filter) = &source.filter {
        relation = relation.filter(format!("coalesce({}, false)", filter.sql));
    }
    relation.to_string()
}

/// The column that finds a parent's key column, by its position.
#[must_use]
pub fn on_column(parent: &str, index: usize) -> String {
    format!("_on_{parent}_{index}")
}

/// The columns of the relation but `_key` and `_time`.
fn all_columns(source: &Source) -> Vec<String> {
    let mut names: Vec<String> = source.columns.keys().cloned().collect();
    for (name, column) in &source.columns {
        if column.raw.is_some() {
            names.push(format!("_raw_{name}"));
            names.push(format!("_reason_{name}"));
        }
    }
    names
}

/// The latest row of each key; equal times are settled by the rows' contents, so that the order of files does not matter.
fn latest(source: &Source, updated_at: &str, rows: &str) -> String {
    let keys: Vec<String> = source.key.iter().map(|key| ident(key)).collect();
    let contents: Vec<String> = source.columns.keys().map(|name| ident(name)).collect();
    let ranked = format!(
        "select *, row_number() over (partition by {} order by {} desc nulls last, cohorte_hash({})) as _version\nfrom {rows}",
        keys.join(", "),
        ident(updated_at),
        contents.join(", ")
    );
    format!("(\n  select * from (\n{}\n  ) as ranked where _version = 1\n) as current", indent(&indent(&ranked)))
}

/// The columns whose values are read from text.
#[must_use]
pub fn read_from_text(source: &Source) -> Vec<&String> {
    source.columns.iter().filter(|(_, column)| column.raw.is_some()).map(|(name, _)| name).collect()
}

/// A statement that yields one row: how many rows break each expectation, in order; per column of [`read_from_text`] how many
/// texts there are and how many of them have no value; then keys that are there twice, keys that are null, rows, and rows
/// without a time.
#[must_use]
pub fn expectations(source: &Source) -> String {
    looked_at(source).to_string()
}

fn looked_at(source: &Source) -> Select {
    let mut select = Select::from(format!("{} as e", ident(&source.name)));
    for (index, expectation) in source.expect.iter().enumerate() {
        let broken = match &expectation.expected {
            Expected::Unique(columns) => {
                let columns: Vec<String> = columns.iter().map(|column| ident(column)).collect();
                let each = if columns.len() == 1 {
                    columns[0].clone()
                } else {
                    format!("cohorte_hash({})", columns.join(", "))
                };
                format!("count({each}) - count(distinct {each})")
            }
            Expected::NotNull(columns) => {
                let nulls: Vec<String> = columns.iter().map(|column| format!("{} is null", ident(column))).collect();
                count_if(&nulls.join(" or "))
            }
            Expected::Accepted(column, values) => {
                let column = ident(column);
                count_if(&format!("{column} is not null and not ({column} in ({}))", values.join(", ")))
            }
            Expected::Fresh(column, within) => {
                let newest = format!("max({})", ident(column));
                format!(
                    "case when {newest} >= cohorte_now() - interval {} then 0 else 1 end",
                    text_literal(&interval(*within))
                )
            }
            Expected::Sql(bound) => count_if(&format!("not coalesce({}, false)", bound.sql)),
        };
        select = select.column(format!("cast({broken} as bigint)"), &format!("broken_{index}"));
    }
    for name in read_from_text(source) {
        let written = format!("nullif(btrim(cast({} as varchar)), '') is not null", ident(&format!("_raw_{name}")));
        select = select
            .column(count_if(&written), &format!("written_{name}"))
            .column(count_if(&format!("{written} and {} is null", ident(name))), &format!("unread_{name}"));
    }
    select
        // May be too many by a hair: see [`duplicates`].
        .column("cohorte_repeats(cast(_key as varchar))", "duplicate_keys")
        .column(count_if("_key is null"), "null_keys")
        .column("cast(count(*) as bigint)", "n_rows")
        .column(
            if source.time.is_some() { count_if("_time is null") } else { "cast(0 as bigint)".into() },
            "null_times",
        )
}

/// Microseconds that stand for no moment at all.
pub const NEVER: i64 = i64::MAX;

/// [`expectations`], and when the first row happens that has not happened yet, in microseconds; [`NEVER`] where none does.
#[must_use]
pub fn checks(source: &Source) -> String {
    let next = format!("coalesce(arrow_cast(min(_time) filter (where _time > cohorte_now()), 'Int64'), {NEVER})");
    looked_at(source).column(next, "next_at").to_string()
}

/// A statement that yields how many rows repeat a key, exactly.
#[must_use]
pub fn duplicates(source: &Source) -> String {
    format!("select cast(count(_key) - count(distinct _key) as bigint) from {}", ident(&source.name))
}

fn count_if(condition: &str) -> String {
    format!("cast(count(*) filter (where {condition}) as bigint)")
}

fn interval(within: crate::spec::Duration) -> String {
    use crate::spec::Unit;
    let unit = match within.unit {
        Unit::Second => "seconds",
        Unit::Minute => "minutes",
        Unit::Hour => "hours",
        Unit::Day => "days",
        Unit::Week => "weeks",
        Unit::Month => "months",
        Unit::Year => "years",
    };
    format!("{} {unit}", within.count)
}
