//! Calls as compiled SQL writes them: untyped nulls for what is not set, and times in whatever unit a table has them.

use super::tests::row;

#[tokio::test]
async fn an_untyped_null_is_an_argument_that_is_not_set() {
    let sql = "select cohorte_phone(p, null), cohorte_phone_reason(p, null), cohorte_phone('0612345678', null), \
               cohorte_timestamp(t, null, 'Europe/Paris'), cohorte_timestamp(t, null, null), \
               cohorte_timestamp_reason(t, null, 'Europe/Paris'), cohorte_timestamp('2026-07-15', null, 'Europe/Paris'), \
               cohorte_date(t, null), cohorte_date_reason(t, null), cohorte_date('2026-07-15', null), \
               cohorte_birth_date(d, null), cohorte_birth_date_reason(d, null), cohorte_birth_date(t, null), \
               cohorte_birth_date(d, null, null), cohorte_birth_date(null, null), cohorte_local_date(i, null), \
               cohorte_zoned(i, null) \
               from (values ('+33612345678', '2026-07-15', date '1980-07-15', timestamp '2026-07-15 10:00:00')) v(p, t, d, i)";
    assert_eq!(
        row(sql).await,
        [
            "+33612345678",
            "",
            "",
            "2026-07-14T22:00:00Z",
            "2026-07-15T00:00:00Z",
            "",
            "2026-07-14T22:00:00Z",
            "2026-07-15",
            "",
            "2026-07-15",
            "1980-07-15",
            "",
            "2026-07-15",
            "1980-07-15",
            "",
            "2026-07-15",
            "2026-07-15T10:00:00Z",
        ]
    );
}

#[tokio::test]
async fn every_function_takes_nothing_but_nulls() {
    for function in super::all() {
        let name = function.name();
        let counts = (1..=3).filter(|count| {
            let nulls = vec![datafusion::arrow::datatypes::DataType::Null; *count];
            // Functions of any types have no types to coerce to; names of an object are not null.
            name != "cohorte_json_object" && (function.coerce_types(&nulls).is_ok() || name == "cohorte_key")
        });
        for count in counts {
            let nulls = vec!["null"; count].join(", ");
            let answer =
                row(&format!("select {name}({nulls}) as a, {name}({nulls}) as b from (values (1), (2)) v(x)")).await;
            // Nulls are values, too.
            if !["cohorte_hash", "cohorte_digest"].contains(&name) {
                assert_eq!(answer, ["", ""], "{name} of {count}");
            }
        }
    }
}

#[tokio::test]
async fn clocks_and_instants_may_be_of_every_unit() {
    for unit in ["Second", "Millisecond", "Microsecond", "Nanosecond"] {
        let naive = format!("arrow_cast(t, 'Timestamp({unit}, None)')");
        let instant = format!("arrow_cast(t, 'Timestamp({unit}, Some(\"UTC\"))')");
        let offset = format!("arrow_cast({instant}, 'Timestamp({unit}, Some(\"+02:00\"))')");
        let sql = format!(
            "select cohorte_zoned({naive}, 'Europe/Paris'), cohorte_zoned({instant}, 'Europe/Paris'), \
             cohorte_zoned({offset}, 'Europe/Paris'), cohorte_local_date({naive}, 'Europe/Paris'), \
             cohorte_local_date({instant}, 'Europe/Paris'), cohorte_local_date({offset}, 'UTC'), \
             arrow_typeof(cohorte_zoned({naive}, 'UTC')), arrow_typeof(cohorte_zoned({offset}, 'UTC')) \
             from (values (timestamp '2025-12-31 23:30:00')) v(t)"
        );
        let micros = "Timestamp(µs, \"UTC\")";
        let wanted = [
            "2025-12-31T22:30:00Z",
            "2025-12-31T23:30:00Z",
            "2025-12-31T23:30:00Z",
            "2026-01-01",
            "2026-01-01",
            "2025-12-31",
            micros,
            micros,
        ];
        assert_eq!(row(&sql).await, wanted, "{unit}");
    }
}

#[tokio::test]
async fn casts_and_truncations_give_clocks() {
    let sql = "select arrow_typeof(cast(d as timestamp)), arrow_typeof(date_trunc('month', cast(d as timestamp))), \
               cohorte_zoned(cast(d as timestamp), 'Europe/Paris'), \
               cohorte_zoned(date_trunc('month', cast(d as timestamp)), 'Europe/Paris'), \
               cohorte_zoned(cast(null as timestamp), 'Europe/Paris'), cohorte_zoned(d, 'Europe/Paris') as of_day, \
               cohorte_local_date(cast(d as timestamp), 'Europe/Paris'), \
               cohorte_zoned(cast('2026-07-15 10:00:00' as timestamp), 'Europe/Paris') \
               from (values (date '2026-07-15')) v(d)";
    assert_eq!(
        row(sql).await,
        [
            "Timestamp(ns)",
            "Timestamp(ns)",
            "2026-07-14T22:00:00Z",
            "2026-06-30T22:00:00Z",
            "",
            "2026-07-14T22:00:00Z",
            "2026-07-15",
            "2026-07-15T08:00:00Z",
        ]
    );
}

/// An instant is cut on its zone's clock by `to_local_time`: a cast to a timestamp without a zone gives the clock of UTC.
#[tokio::test]
async fn an_instant_is_cut_on_its_zones_clock() {
    let sql = "select cohorte_zoned(date_trunc('month', to_local_time(i at time zone 'Europe/Paris')), 'Europe/Paris'), \
               cohorte_zoned(to_local_time(i at time zone 'Europe/Paris'), 'Europe/Paris') as back, \
               date_part('day', i at time zone 'Europe/Paris') \
               from (select cohorte_timestamp(t, null, null) as i from (values ('2026-06-30T22:30:00Z')) v(t))";
    assert_eq!(row(sql).await, ["2026-06-30T22:00:00Z", "2026-06-30T22:30:00Z", "1"]);
}
