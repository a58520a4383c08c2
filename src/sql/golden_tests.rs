//! What expressions become: canonical SQL and its type, or what is said of them.

use crate::diag::Findings;
use crate::sql::{Bound, Column, DataType, Scope, SqlText, bind, ident};
use crate::text::{Files, Located, Span};

/// One column of each type, named after it; `email` has its parts.
struct Table;

impl Scope for Table {
    fn column(&self, parts: &[&str]) -> Option<Column> {
        let [name] = parts else { return None };
        let (name, data_type) = match *name {
            "t" | "email" | "raw(email)" | "reason(email)" => (*name, DataType::Text),
            "i" => ("i", DataType::Integer),
            "n" => ("n", DataType::Number),
            "x" => ("x", DataType::Decimal),
            "b" | "valid(email)" => (*name, DataType::Boolean),
            "d" => ("d", DataType::Date),
            "ts" => ("ts", DataType::Timestamp),
            "l" => ("l", DataType::TextList),
            "j" => ("j", DataType::Json),
            "Odd Name" => ("Odd Name", DataType::Text),
            _ => return None,
        };
        Some(Column { sql: ident(name), data_type, reads: name.to_owned() })
    }
    fn names(&self) -> Vec<String> {
        ["t", "i", "n", "x", "b", "d", "ts", "l", "j", "email"].map(String::from).to_vec()
    }
    fn describe(&self) -> String {
        "the table".into()
    }
    fn timezone(&self) -> &'static str {
        "Europe/Paris"
    }
}

fn bound(sql: &str) -> Result<Bound, String> {
    let mut files = Files::default();
    let file = files.add("a.yaml", sql);
    let text = Located::new(sql.to_owned(), Span { file, start: 0, end: sql.len() as u32 });
    let mut findings = Findings::default();
    let bound = bind(SqlText::new(&files, &text), &Table, None, &mut findings);
    let said: Vec<String> =
        findings.sorted().into_iter().map(|finding| format!("{} {}", finding.code, finding.message)).collect();
    bound.filter(|_| said.is_empty()).ok_or_else(|| said.join("; "))
}

#[test]
fn expressions_have_one_form_and_a_type() {
    let expressions = [
        // Names and literals.
        "t",
        "\"Odd Name\"",
        "null",
        "'it''s'",
        "E'a\\tb'",
        "true",
        "1",
        "1.50",
        "-1",
        "+n",
        "date '2026-01-31'",
        "timestamp '2026-01-31 09:00'",
        "timestamp '2026-01-31T09:00:00Z'",
        "timestamp '2026-01-31 09:00:00.5+02:00'",
        "timestamp '31/01/2026'",
        "interval '30' day",
        "interval '2 hours'",
        "interval 'soon'",
        // Logic.
        "b and not b or b",
        "(b)",
        "((b or b))",
        "b is true",
        "b is not false",
        "t is null",
        "i is not null",
        "not i",
        "i = 1 and null",
        "t is distinct from null",
        // Comparisons, and time.
        "i <> 1",
        "i != 1",
        "i >= n",
        "x > 1.5",
        "t = 'a'",
        "t > 1",
        "d = '2026-01-31'",
        "'2026-01-31' <= d",
        "d = 'x'",
        "ts > '2026-01-31'",
        "ts > '2026-01-31 10:00:00'",
        "ts > 'x'",
        "ts >= d",
        "d < ts",
        "ts > date '2026-01-31'",
        "d = now()",
        "ts > now() - interval '3 days'",
        "d > current_date - interval '1' month",
        "ts between d and now()",
        "d between '2026-01-01' and '2026-01-31'",
        "n not between 1 and 2",
        "d is distinct from ts",
        // Arithmetic.
        "i + 1",
        "i * n",
        "x * 2",
        "i / 2",
        "n / i",
        "i % 2",
        "-(i + 1)",
        "t || 'x'",
        "i || t",
        "i || i",
        "t + 1",
        "ts - d",
        "d + interval '1 day'",
        "interval '1 day' + ts",
        "1 - null",
        // Lists and patterns.
        "t in ('a', 'b')",
        "i not in (1, 2, null)",
        "d in ('2026-01-31', current_date)",
        "ts in ('2026-01-31', d)",
        "d in (ts)",
        "t in (1)",
        "t like 'a%'",
        "t not like '%b'",
        "t ilike 'A%'",
        "i like 'a'",
        "array_has(l, 'a')",
        // Case and casts.
        "case when b then 1 else n end",
        "case t when 'a' then 1 when 'b' then 2 end",
        "case when b then d else ts end",
        "case when b then 1 else 'x' end",
        "coalesce(ts, d)",
        "coalesce(i, 0)",
        "nullif(t, '')",
        "greatest(d, ts)",
        "cast(t as integer)",
        "t::double precision",
        "try_cast(n as text)",
        "cast(ts as date)",
        "cast(d as timestamp)",
        "cast(t as timestamp)",
        "cast(t as date)",
        "cast(i as numeric)",
        "cast(l as text)",
        "cast(t as bytea)",
        // Functions.
        "lower(t)",
        "LOWER(t)",
        "round(n, 2)",
        "round(i)",
        "abs(i)",
        "length(t)",
        "substring(t from 2 for 3)",
        "position('a' in t)",
        "trim(t)",
        "ceil(n)",
        "concat_ws(' ', t, i)",
        "days_between(d, ts)",
        "years_between(d, now())",
        "days_until_anniversary(d)",
        "local_date(ts)",
        "date_trunc('month', ts)",
        "date_trunc('month', d)",
        "extract(year from ts)",
        "date_part('dow', d)",
        "date_part('hour', ts)",
        "extract(century from ts)",
        // JSON, and parts of a semantic column.
        "j ->> 'city'",
        "t ->> 'city'",
        "i ->> 'city'",
        "j -> 'city'",
        "raw(email)",
        "valid(email)",
        "reason(email)",
        "raw(t)",
        "random()",
        "sum(i)",
        "lag(i) over (order by d)",
        "(select 1)",
        "lowr(t)",
        "now()",
        "today()",
    ];
    let mut table = String::new();
    for sql in expressions {
        let line = match bound(sql) {
            Ok(bound) => format!("{sql:<45} {:<10} {}\n", bound.data_type.to_string(), bound.sql),
            Err(said) => format!("{sql:<45} ! {said}\n"),
        };
        table.push_str(&line);
    }
    insta::assert_snapshot!(table);
}

#[test]
fn what_is_bound_is_bound_again_to_the_same() {
    for sql in
        ["b and not b or b", "i + n > 3", "t in ('a', 'it''s')", "t like 'a%'", "coalesce(t, 'x') = 'y'", "-i < 3"]
    {
        let once = bound(sql).unwrap();
        assert_eq!(bound(&once.sql).unwrap().sql, once.sql, "{sql}");
    }
}

#[test]
fn reads_and_clocks_are_noted() {
    let one = bound("case when t = 'a' then i else n end > 3 and ts < now()").unwrap();
    assert_eq!(one.reads.into_iter().collect::<Vec<_>>(), ["i", "n", "t", "ts"]);
    assert!(one.uses_now);
    assert!(bound("d = current_date").unwrap().uses_now && !bound("d = '2026-01-31'").unwrap().uses_now);
}
