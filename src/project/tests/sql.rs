//! SQL that is wrong or not allowed, and what it is about.

use super::base::added;

fn when(sql: &str) -> super::base::Checked {
    added(&format!("segments:\n  a:\n    when: {sql}\n"))
}

#[test]
fn sql_that_cannot_be_parsed() {
    when("revenue >").only("E201", "revenue >", "this is not valid SQL");
    when("revenue > > 3").only("E201", ">", "this is not valid SQL");
    when("revenue > 3 country").only("E201", "c", "`country` was not expected here");
    when("country = 'FR").has("E201", "'", "this is not valid SQL");
    when("\"\"").has("E201", "\"\"", "this is not valid SQL");
    let nested = when(&format!("{}1{} > 0", "(".repeat(300), ")".repeat(300)));
    assert!(nested.lines()[0].contains("it is nested too deep"), "{}", nested.text());
    assert!(when(&format!("revenue > {}", vec!["1"; 390].join("+"))).findings.is_empty());
    when(&vec!["revenue > 1"; 300].join(" or ")).only("E201", ">", "many values are a list");
    when(&format!("revenue > {}", vec!["1"; 30_000].join("+"))).only("E201", "+", "too long");
    when(&format!("revenue > 1{}", "::int".repeat(30_000))).only("E201", ":", "too long");
    when(&format!("{} true", "not ".repeat(30_000))).only("E201", "n", "too long");
    let many = vec!["'FR'"; 5_000].join(", ");
    assert!(when(&format!("country in ({many})")).findings.is_empty());
}

#[test]
fn forms_that_are_not_allowed() {
    when("revenue in (select 1)").only("E203", "revenue in (select 1", "a query inside an expression");
    when("exists (select 1)").has("E203", "select 1", "a query inside an expression");
    when("revenue > (select max(amount) from orders)").has(
        "E203",
        "select max(amount) from orders",
        "a query inside an expression",
    );
    when("row_number() over (order by revenue) < 3").has("E203", "row_number", "declare a trait");
    when("last_order_at - first_seen_at > interval '3 days'").has(
        "E203",
        "last_order_at - first_seen_at",
        "days_between",
    );
    when("born_on < date '2001-13-01'").has("E203", "", "a date is written");
    when("last_order_at > 'yesterday'").only("E203", "'yesterday'", "an instant is written");
    when("born_on in ('tomorrow')").only("E203", "'tomorrow'", "a date is written");
    when("born_on in (last_order_at)").only("E203", "last_order_at", "`local_date(…)`");
    when("last_order_at > now() - interval 'some time'").has("E203", "", "an interval is written");
    when("cast(country as bytea) is null").has("E203", "", "a cast to `BYTEA`");
    when("lower(country, 'x') = 'fr'").has("E203", "lower(country, 'x'", "`lower` takes 1 arguments, not 2");
    when("date_part('aeon', last_order_at) = 1").has("E203", "", "is not a part of a time");
    when("revenue > 99999999999999999999").only("E203", "99999999999999999999", "too large");
    when("revenue > 1e999").only("E203", "1e999", "too large");
    when("date_trunc('fortnight', last_order_at) = last_order_at").has("E203", "", "`date_trunc` takes a unit");
    when("raw(country) = 'x'").has("E203", "", "takes a column with a semantic type");
    when("country = $1").only("E203", "$1", "this form of literal");
}

#[test]
fn types_that_do_not_fit() {
    when("country > 3").only("E204", "country > 3", "text cannot be compared with integer");
    when("revenue").only("E204", "revenue", "boolean is needed here, this is number");
    when("revenue + country > 3").only("E204", "revenue + country", "`+` does not take number and text");
    when("not revenue").only("E204", "revenue", "boolean is needed here");
    when("revenue like 'x'").only("E204", "revenue", "text is needed here");
    when("country in ('FR', 3)").only("E204", "3", "text is needed here, `3` is integer");
    when("upper(revenue) = 'X'").only("E204", "revenue", "text is needed here");
    when("coalesce(country, 3) = 'X'").only("E204", "3", "");
    when("case when revenue then true end").only("E204", "revenue", "boolean is needed here");
    when("case when true then 1 else 'x' end = 1").has("E204", "'x'", "integer is needed here");
    when("revenue between 'a' and 3").only("E204", "revenue between 'a' and 3", "number cannot be compared with text");
}

#[test]
fn functions_that_are_not_known_or_refused() {
    when("lowr(country) = 'fr'").only("E205", "lowr(country", "did you mean `lower`?");
    when("count(country) > 3").only("E205", "count(country", "aggregates are declared as traits");
    when("evil(country)").only("E205", "evil(country", "is not known");
    when("pg_read_file('/etc/passwd') = 'x'").only("E205", "pg_read_file('/etc/passwd'", "is not known");
    when("'\"random\"() < 3'").only("E205", "\"random\"", "is not known");
    for refused in ["random()", "uuid()", "gen_random_uuid()", "read_csv('x')", "clock_timestamp()", "pg_sleep(3)"] {
        let name = refused.split('(').next().unwrap();
        let checked = when(&format!("{refused} is not null"));
        assert_eq!(checked.findings[0].code, "E206", "{}", checked.text());
        assert!(checked.underlined(&checked.findings[0]).starts_with(name));
    }
    for allowed in ["last_order_at > now()", "born_on = current_date", "last_order_at < current_timestamp"] {
        assert!(when(allowed).findings.is_empty(), "{allowed}");
    }
}

#[test]
fn every_finding_of_an_expression_is_told() {
    let checked = when("contry = 'FR' and revenu > 1 and random() > lowr('x')");
    let codes: Vec<&str> = checked.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["E202", "E202", "E206", "E205"], "{}", checked.text());
}
