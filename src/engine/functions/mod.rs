//! The scalar SQL functions of Cohorte: normalised values, times, and keys that stay the same for ever.
//!
//! One function (with its `_reason` twin, where there is one) per file. Each is a plain Rust function over one value,
//! wrapped by [`call`] for columns. All are immutable: no randomness, no session state, and no clock but the one that
//! [`register_clock`] sets for a run.

mod anniversary;
pub(crate) mod call;
mod clock;
mod dates;
mod decay;
mod email;
pub mod find;
mod hash;
mod json_object;
mod json_text;
pub(crate) mod json_value;
pub(crate) mod key;
pub mod member;
mod name;
mod name_case;
mod name_key;
mod names;
mod phone;
pub mod place;
pub mod since;
mod timestamp;
mod zone;

#[cfg(test)]
mod calls_tests;

use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;

pub use anniversary::{days_until_anniversary, years_between};
pub use clock::register_clock;
pub use dates::{parse_birth_date, parse_date};
pub use decay::decay_weight;
pub use email::normalise_email;
pub use hash::sum_of_rows;
pub use name::{normalise_family_name, normalise_given_name};
pub use name_key::name_key;
pub use phone::normalise_phone;
pub use timestamp::{Format, parse_timestamp};
pub use zone::{local_day, to_instant};

/// Why a value is not valid: a few words, without the value.
pub type Reason = &'static str;

/// Nothing but blanks.
pub(crate) const EMPTY: Reason = "empty";
/// What people type when a form insists: `n/a`, `xxx`, `inconnu`.
pub(crate) const PLACEHOLDER: Reason = "placeholder";

/// Registers every function with the session, but those of a run's clock: see [`register_clock`].
pub fn register(ctx: &SessionContext) {
    for function in all() {
        ctx.register_udf(function);
    }
}

/// Every function, as an engine elsewhere would register it.
#[must_use]
pub fn all() -> Vec<ScalarUDF> {
    [
        email::functions(),
        phone::functions(),
        name::functions(),
        dates::functions(),
        timestamp::functions(),
        zone::functions(),
        anniversary::functions(),
        decay::functions(),
        json_text::functions(),
        json_object::functions(),
        key::functions(),
        name_key::functions(),
        names::functions(),
        hash::functions(),
    ]
    .into_iter()
    .flatten()
    .map(ScalarUDF::new_from_impl)
    .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use datafusion::arrow::util::display::array_value_to_string;
    use datafusion::prelude::SessionContext;

    /// The first row of a query as text, with the functions registered.
    pub(crate) async fn row(sql: &str) -> Vec<String> {
        let ctx = SessionContext::new();
        super::register(&ctx);
        let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
        let batch = batches.iter().find(|batch| batch.num_rows() > 0).unwrap();
        batch.columns().iter().map(|column| array_value_to_string(column, 0).unwrap()).collect()
    }

    #[tokio::test]
    async fn functions_take_columns_literals_and_every_kind_of_string() {
        let sql = "select cohorte_email(arrow_cast(t.e, 'Utf8View')), cohorte_email(arrow_cast(t.e, 'LargeUtf8')), \
                   cohorte_email(t.e), cohorte_email('X@Y.fr'), cohorte_phone(612345678, 'FR'), cohorte_email(null) \
                   from (values ('A@B.fr'), ('C@D.fr')) t(e) order by t.e";
        assert_eq!(row(sql).await, ["a@b.fr", "a@b.fr", "a@b.fr", "x@y.fr", "+33612345678", ""]);
    }

    #[tokio::test]
    async fn a_wrong_number_of_arguments_is_refused_when_planning() {
        let ctx = SessionContext::new();
        super::register(&ctx);
        let error = ctx.sql("select cohorte_email('a', 'b')").await.unwrap_err().to_string();
        assert!(error.contains("cohorte_email"), "{error}");
    }
}
