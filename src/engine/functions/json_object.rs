//! `cohorte_json_object`: a row as JSON, the key that a delivered row is remembered by.

use std::sync::Arc;

use datafusion::arrow::array::StringViewBuilder;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};

use super::call::{Arguments, Function, Takes, Text};
use super::json_value::{Values, push_string};

/// A JSON object of names and values, in the order given, without those that are null: `{"email":"a@b.fr","n":3}`.
/// Delivered rows are remembered by it, so this is a promise as [`json_value`](super::json_value) is one.
pub(super) fn functions() -> Vec<Function> {
    vec![Function::new("cohorte_json_object", Takes::Pairs, DataType::Utf8View, |arguments| {
        let fields = fields(arguments)?;
        let mut builder = StringViewBuilder::with_capacity(arguments.rows);
        let mut object = String::new();
        for row in 0..arguments.rows {
            object.clear();
            object.push('{');
            for (name, values) in fields.iter().filter(|(_, values)| !values.is_null(row)) {
                if object.len() > 1 {
                    object.push(',');
                }
                object.push_str(name);
                values.push_json(&mut object, row);
            }
            object.push('}');
            builder.append_value(&object);
        }
        Ok(Arc::new(builder.finish()))
    })]
}

/// Each name, as `"name":`, and its values.
fn fields(arguments: &Arguments<'_>) -> Result<Vec<(String, Values)>> {
    let columns = arguments.columns()?;
    let mut fields: Vec<(String, Values)> = Vec::with_capacity(columns.len() / 2);
    for place in (0..columns.len()).step_by(2) {
        let Text::Constant(Some(name)) = arguments.text(place)? else {
            return exec_err!("the names of cohorte_json_object are text literals");
        };
        let mut prefix = String::with_capacity(name.len() + 3);
        push_string(&mut prefix, name);
        prefix.push(':');
        if fields.iter().any(|(other, _)| *other == prefix) {
            return exec_err!("cohorte_json_object was given the name '{name}' twice");
        }
        fields.push((prefix, Values::new(&columns[place + 1])?));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use crate::engine::functions::tests::row;

    #[tokio::test]
    async fn the_spelling_is_a_promise() {
        // These texts may never change.
        let sql = "select cohorte_json_object('z', a, 'b', n, 'c', f, 'd', n > 2, 'e', null, 'f', missing), \
                   cohorte_json_object('day', date '2026-01-05', 'at', cohorte_zoned(timestamp '2026-01-05 10:00:00', 'Europe/Paris'), \
                   'amount', arrow_cast(12.5, 'Decimal128(38, 9)'), 'list', ['a', null, 'c'], 'ns', make_array(1, 2)), \
                   cohorte_json_object('e', null), cohorte_json_object('a \"b\"', '\n'), \
                   cohorte_json_object('n', cast('NaN' as double), 'big', 9007199254740993), arrow_typeof(cohorte_json_object('a', 1)) \
                   from (values ('A12', 3, 1.0::double, null::bigint)) v(a, n, f, missing)";
        assert_eq!(
            row(sql).await,
            [
                r#"{"z":"A12","b":3,"c":1,"d":true}"#,
                r#"{"day":"2026-01-05","at":"2026-01-05T09:00:00Z","amount":12.5,"list":["a",null,"c"],"ns":[1,2]}"#,
                "{}",
                r#"{"a \"b\"":"\n"}"#,
                r#"{"n":"NaN","big":9007199254740993}"#,
                "Utf8View",
            ]
        );
    }

    #[tokio::test]
    async fn every_row_has_its_own_object() {
        let ctx = datafusion::prelude::SessionContext::new();
        crate::engine::functions::register(&ctx);
        let sql = "select cohorte_json_object('e', e, 'l', array_agg(p)) as k from \
                   (values ('a', 'x'), ('b', 'y'), (null, 'z')) v(e, p) group by e order by e";
        let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
        let shown = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        for wanted in [r#" {"e":"a","l":["x"]} "#, r#" {"e":"b","l":["y"]} "#, r#" {"l":["z"]} "#] {
            assert!(shown.contains(wanted), "{shown}");
        }
    }

    #[tokio::test]
    async fn wrong_calls_are_errors() {
        let ctx = datafusion::prelude::SessionContext::new();
        crate::engine::functions::register(&ctx);
        for sql in ["select cohorte_json_object()", "select cohorte_json_object('a')"] {
            assert!(ctx.sql(sql).await.unwrap_err().to_string().contains("pairs"), "{sql}");
        }
        for sql in [
            "select cohorte_json_object('a', 1, 'a', x) from (values (1)) v(x)",
            "select cohorte_json_object(x, 1) from (values ('a')) v(x)",
            "select cohorte_json_object('a', map(['k'], [x])) from (values (1)) v(x)",
        ] {
            let answer = match ctx.sql(sql).await {
                Ok(frame) => frame.collect().await.map(drop),
                Err(error) => Err(error),
            };
            assert!(answer.is_err(), "{sql}");
        }
    }
}
