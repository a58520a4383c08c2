//! `cohorte_key`: several columns as one key.

use std::sync::Arc;

use datafusion::arrow::array::StringViewBuilder;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};

use super::call::{Function, Takes};
use super::json_value::Values;

/// A JSON array of the values as text: `["A12","3"]`; null where all of them are. Keys are remembered, so this is a
/// promise as [`json_value`](super::json_value) is one.
pub(super) fn functions() -> Vec<Function> {
    vec![Function::new("cohorte_key", Takes::Anything, DataType::Utf8View, |arguments| {
        let columns = arguments.columns()?;
        if let Some(nested) = columns.iter().find(|column| column.data_type().is_nested()) {
            return exec_err!("values of type {} cannot be part of a key", nested.data_type());
        }
        let columns = columns.iter().map(Values::new).collect::<Result<Vec<_>>>()?;
        let mut builder = StringViewBuilder::with_capacity(arguments.rows);
        let mut key = String::new();
        for row in 0..arguments.rows {
            key.clear();
            let is_there = push_key(&mut key, &columns, row);
            builder.append_option(is_there.then_some(&key));
        }
        Ok(Arc::new(builder.finish()))
    })]
}

/// Writes the key of a row; false where all values are null: there is none.
pub(crate) fn push_key(out: &mut String, columns: &[Values], row: usize) -> bool {
    if columns.iter().all(|values| values.is_null(row)) {
        return false;
    }
    for (place, values) in columns.iter().enumerate() {
        out.push(if place == 0 { '[' } else { ',' });
        values.push_text(out, row);
    }
    out.push(']');
    true
}

#[cfg(test)]
mod tests {
    use crate::engine::functions::tests::row;

    #[tokio::test]
    async fn the_spelling_is_a_promise() {
        // These texts may never change.
        let sql = "select cohorte_key(a, b), cohorte_key(a, null), cohorte_key(null, null), \
                   cohorte_key(arrow_cast(null, 'Int64'), c), cohorte_key(true, false), \
                   cohorte_key(date '2026-01-05', time '10:05:00.25'), \
                   cohorte_key('é \"x\" \\ / \u{1}', ''), cohorte_key(1.50, 2.0, -0.05), \
                   cohorte_key(arrow_cast('ab', 'Binary'), arrow_cast('x', 'Dictionary(Int32, Utf8)')) \
                   from (values ('A12', 3, null::varchar)) v(a, b, c)";
        assert_eq!(
            row(sql).await,
            [
                r#"["A12","3"]"#,
                r#"["A12",null]"#,
                "",
                "",
                r#"["true","false"]"#,
                r#"["2026-01-05","10:05:00.25"]"#,
                r#"["é \"x\" \\ / \u0001",""]"#,
                r#"["1.5","2","-0.05"]"#,
                r#"["6162","x"]"#,
            ]
        );
    }

    #[tokio::test]
    async fn instants_have_one_spelling() {
        let sql = "select cohorte_key(t, arrow_cast(t, 'Timestamp(Second, None)'), arrow_cast(t, 'Timestamp(Microsecond, None)')), \
                   cohorte_key(arrow_cast(t, 'Timestamp(Millisecond, Some(\"UTC\"))')), \
                   cohorte_key(cohorte_zoned(t, 'Europe/Paris')), \
                   cohorte_key(cohorte_zoned(t, 'Europe/Paris') at time zone 'Asia/Tokyo') as tokyo, \
                   cohorte_key(arrow_cast(-1, 'Timestamp(Nanosecond, None)')), \
                   cohorte_key(arrow_cast(t, 'Date64')), \
                   cohorte_key(arrow_cast(9223372036854775807, 'Timestamp(Microsecond, None)')) \
                   from (values (timestamp '2026-07-15 10:00:00.1200009')) v(t)";
        assert_eq!(
            row(sql).await,
            [
                r#"["2026-07-15T10:00:00.12Z","2026-07-15T10:00:00Z","2026-07-15T10:00:00.12Z"]"#,
                r#"["2026-07-15T10:00:00.12Z"]"#,
                r#"["2026-07-15T08:00:00.12Z"]"#,
                r#"["2026-07-15T08:00:00.12Z"]"#,
                r#"["1969-12-31T23:59:59.999999Z"]"#,
                r#"["2026-07-15"]"#,
                r#"["9223372036854775807"]"#,
            ]
        );
    }

    #[tokio::test]
    async fn a_number_is_spelled_alike_whatever_it_is_stored_as() {
        for kind in [
            "Int8",
            "Int16",
            "Int32",
            "Int64",
            "UInt8",
            "UInt16",
            "UInt32",
            "UInt64",
            "Float32",
            "Float64",
            "Decimal32(5, 2)",
            "Decimal64(10, 2)",
            "Decimal128(38, 9)",
            "Decimal256(50, 0)",
        ] {
            let keys = row(&format!(
                "select cohorte_key(arrow_cast(100, '{kind}'), 'x'), cohorte_key(0, arrow_cast(0, '{kind}'))"
            ))
            .await;
            assert_eq!(keys, [r#"["100","x"]"#, r#"["0","0"]"#], "{kind}");
        }
        let wide = "select cohorte_key(9223372036854775807, arrow_cast(18446744073709551615, 'UInt64')), \
                    cohorte_key(cast('NaN' as double), cast('-inf' as double), arrow_cast(0.5, 'Float16'))";
        assert_eq!(
            row(wide).await,
            [r#"["9223372036854775807","18446744073709551615"]"#, r#"["NaN","-Infinity","0.5"]"#]
        );
    }

    #[tokio::test]
    async fn what_cannot_be_a_key_is_an_error() {
        let ctx = datafusion::prelude::SessionContext::new();
        crate::engine::functions::register(&ctx);
        for sql in [
            "select cohorte_key()",
            "select cohorte_key(['a'])",
            "select cohorte_key(named_struct('a', 1))",
            "select cohorte_key(interval '1 day')",
        ] {
            let answer = match ctx.sql(sql).await {
                Ok(frame) => frame.collect().await.map(drop),
                Err(error) => Err(error),
            };
            assert!(answer.is_err(), "{sql}");
        }
    }
}
