//! `cohorte_now` and `cohorte_today`: the moment that a run is about, the same in every query of it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::SessionContext;

use super::call::UTC;
use super::zone::local_day;

/// Registers `cohorte_now()`, the instant that the run is as of, to the microsecond, and `cohorte_today()`, the day on
/// calendars of the project's zone at that instant. Registering again replaces them.
pub fn register_clock(ctx: &SessionContext, as_of: DateTime<Utc>, timezone: Tz) {
    let micros = as_of.timestamp_micros();
    let now = ScalarValue::TimestampMicrosecond(Some(micros), Some(UTC.into()));
    let today = ScalarValue::Date32(local_day(micros, timezone));
    for (name, value) in [("cohorte_now", now), ("cohorte_today", today)] {
        let signature = Signature::nullary(Volatility::Immutable);
        ctx.register_udf(ScalarUDF::new_from_impl(Constant { name, value, signature }));
    }
}

/// A function without arguments that gives one value. Two with other values are not equal: a plan kept from one run is
/// not taken for another's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    value: ScalarValue,
    signature: Signature,
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name, self.value.data_type(), self.value.is_null())))
    }

    // A literal prunes files and row groups; a call would not.
    fn simplify(&self, _args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(self.value.clone(), None)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::display::array_value_to_string;

    use super::*;

    fn session(as_of: &str, timezone: Tz) -> SessionContext {
        let ctx = SessionContext::new();
        super::super::register(&ctx);
        register_clock(&ctx, as_of.parse().unwrap(), timezone);
        ctx
    }

    async fn row(ctx: &SessionContext, sql: &str) -> Vec<String> {
        let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
        batches[0].columns().iter().map(|column| array_value_to_string(column, 0).unwrap()).collect()
    }

    #[tokio::test]
    async fn the_day_is_the_zones_own() {
        let sql = "select cohorte_now(), cohorte_today(), arrow_typeof(cohorte_now()), arrow_typeof(cohorte_today())";
        let paris = session("2025-12-31T23:30:00.1234567Z", Tz::Europe__Paris);
        assert_eq!(
            row(&paris, sql).await,
            ["2025-12-31T23:30:00.123456Z", "2026-01-01", "Timestamp(µs, \"UTC\")", "Date32"]
        );
        let utc = session("2025-12-31T23:30:00Z", Tz::UTC);
        assert_eq!(row(&utc, sql).await[..2], ["2025-12-31T23:30:00Z", "2025-12-31"]);
        // The clock of a session can be set again.
        register_clock(&utc, "2026-07-01T00:00:00Z".parse().unwrap(), Tz::America__New_York);
        assert_eq!(row(&utc, sql).await[..2], ["2026-07-01T00:00:00Z", "2026-06-30"]);
    }

    #[tokio::test]
    async fn plans_hold_literals() {
        let ctx = session("2026-01-15T10:00:00Z", Tz::Europe__Paris);
        let sql = "select d from (values (date '2026-01-01')) v(d) where d < cohorte_today() \
                   and cohorte_zoned(cast(d as timestamp), 'Europe/Paris') <= cohorte_now() - interval '3 days' \
                   and cohorte_days_until_anniversary(d, cohorte_today()) > 300";
        let plan = ctx.sql(sql).await.unwrap().into_optimized_plan().unwrap().to_string();
        assert!(!plan.contains("cohorte_now") && !plan.contains("cohorte_today"), "{plan}");
        assert_eq!(row(&ctx, sql).await, ["2026-01-01"]);
        let days = "select (cast(cast(cohorte_today() as int) as bigint) \
                    - cast(cast(cohorte_local_date(cohorte_now(), 'Europe/Paris') as int) as bigint)) as days, \
                    count(*) filter (where cohorte_today() = date '2026-01-15') from (values (1)) v(x)";
        assert_eq!(row(&ctx, days).await, ["0", "1"]);
    }

    #[test]
    fn clocks_that_differ_are_not_equal() {
        let of = |as_of: &str| {
            let ctx = session(as_of, Tz::UTC);
            let functions = ["cohorte_now", "cohorte_today"];
            functions.map(|name| ctx.state().scalar_functions().get(name).cloned().unwrap())
        };
        let [now, today] = of("2026-01-15T10:00:00Z");
        let [later, same_day] = of("2026-01-15T11:00:00Z");
        let [_, next_day] = of("2026-01-16T11:00:00Z");
        assert_ne!(now, later);
        assert_eq!(today, same_day);
        assert_ne!(today, next_day);
        assert_ne!(now, today);
    }
}
