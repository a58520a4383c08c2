//! The pass inside the engine's plans, against the same features as plain SQL.

use std::sync::Arc;

use datafusion::arrow::array::{
    BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType as ArrowType, Field, Schema, TimeUnit};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext, col};

use super::{call, udaf};
use crate::compile::pass::{PassFeature, PassSpec, Stream};
use crate::sql::{Aggregate, DataType};

const PARTITIONS: usize = 4;
const ALL: i64 = i64::MIN;

/// Events of customers, the same each time, a quarter in each partition.
pub(super) fn events(customers: i64, rows: i64) -> MemTable {
    let utc = ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Arc::new(Schema::new(vec![
        Field::new("customer", ArrowType::Int64, false),
        Field::new("at", utc, false),
        Field::new("id", ArrowType::Utf8, false),
        Field::new("bought", ArrowType::Boolean, true),
        Field::new("amount", ArrowType::Decimal128(38, 9), true),
        Field::new("shop", ArrowType::Utf8, true),
    ]));
    let partition = |partition: i64| -> Vec<RecordBatch> {
        let rows: Vec<i64> = (0..rows).filter(|row| row % PARTITIONS as i64 == partition).collect();
        let batch = |rows: &[i64]| {
            let shops = rows.iter().map(|row| (row % 7 > 0).then(|| format!("shop {}", noise(*row, 3).rem_euclid(9))));
            let amounts = rows.iter().map(|row| (row % 5 > 0).then(|| i128::from(noise(*row, 4)) * 12_345));
            let times = rows.iter().map(|row| Some(noise(*row, 2).rem_euclid(1000)));
            RecordBatch::try_new(
                Arc::clone(&schema),
                vec![
                    Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| noise(*row, 1).rem_euclid(customers)))),
                    Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
                    Arc::new(rows.iter().map(|row| Some(format!("{row:09}"))).collect::<StringArray>()),
                    Arc::new(rows.iter().map(|row| (row % 11 > 0).then_some(row % 3 == 0)).collect::<BooleanArray>()),
                    Arc::new(amounts.collect::<Decimal128Array>().with_precision_and_scale(38, 9).unwrap()),
                    Arc::new(shops.collect::<StringArray>()),
                ],
            )
            .unwrap()
        };
        rows.chunks(1000).map(batch).collect()
    };
    MemTable::try_new(Arc::clone(&schema), (0..PARTITIONS as i64).map(partition).collect()).unwrap()
}

/// A deterministic scramble, of 31 bits.
fn noise(row: i64, salt: i64) -> i64 {
    let mixed = (row * 8 + salt).wrapping_mul(-7_046_029_254_386_353_131);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(-4_658_895_280_553_007_687);
    (mixed ^ (mixed >> 27)) >> 33
}

pub(super) fn features() -> PassSpec {
    let stream = |filter, value, aggregate, since: &[i64]| Stream {
        filter,
        value,
        order: None,
        aggregate,
        since: since.to_vec(),
    };
    let feature = |name: &str, stream, window, data_type| PassFeature { name: name.into(), stream, window, data_type };
    PassSpec {
        n_filters: 2,
        streams: vec![
            stream(None, None, Aggregate::Count, &[ALL]),
            stream(Some(0), None, Aggregate::Count, &[900, 500, ALL]),
            stream(Some(0), Some(0), Aggregate::Sum, &[900, 500, ALL]),
            stream(Some(0), Some(0), Aggregate::Avg, &[500]),
            stream(Some(0), Some(1), Aggregate::CountDistinct, &[500, ALL]),
            stream(Some(1), Some(1), Aggregate::Last, &[500, ALL]),
            stream(None, Some(2), Aggregate::Min, &[900, ALL]),
            stream(None, Some(1), Aggregate::Max, &[ALL]),
            stream(None, Some(0), Aggregate::First, &[ALL]),
        ],
        features: vec![
            feature("n", 0, 0, DataType::Integer),
            feature("bought_900", 1, 0, DataType::Integer),
            feature("bought_500", 1, 1, DataType::Integer),
            feature("bought", 1, 2, DataType::Integer),
            feature("revenue_500", 2, 1, DataType::Number),
            feature("revenue", 2, 2, DataType::Number),
            feature("basket_500", 3, 0, DataType::Number),
            feature("shops_500", 4, 0, DataType::Integer),
            feature("shops", 4, 1, DataType::Integer),
            feature("last_shop", 5, 1, DataType::Text),
            feature("first_900", 6, 0, DataType::Timestamp),
            feature("first_at", 6, 1, DataType::Timestamp),
            feature("greatest_shop", 7, 0, DataType::Text),
            feature("first_amount", 8, 0, DataType::Decimal),
        ],
    }
}

/// The same features as aggregates with `FILTER`; sums as whole billionths, which are exact in both.
const PLAIN: &str = "
    select customer, count(*) as n,
      count(*) filter (where bought and at >= to_timestamp_micros(900)) as bought_900,
      count(*) filter (where bought and at >= to_timestamp_micros(500)) as bought_500,
      count(*) filter (where bought) as bought,
      coalesce(sum(amount) filter (where bought and at >= to_timestamp_micros(500)), 0)::double as revenue_500,
      coalesce(sum(amount) filter (where bought), 0)::double as revenue,
      (count(amount) filter (where bought and at >= to_timestamp_micros(500))) as baskets_500,
      count(distinct shop) filter (where bought and at >= to_timestamp_micros(500)) as shops_500,
      count(distinct shop) filter (where bought) as shops,
      last_value(shop order by at, id) filter (where amount is null and shop is not null) as last_shop,
      min(at) filter (where at >= to_timestamp_micros(900)) as first_900, min(at) as first_at,
      max(shop) as greatest_shop,
      first_value(amount order by at, id) filter (where amount is not null) as first_amount
    from events group by customer";

fn aggregate(frame: DataFrame) -> DataFrame {
    let filters = vec![col("bought"), col("amount").is_null()];
    let values = vec![col("amount"), col("shop"), col("at")];
    let pass = call(&features(), col("at"), col("id"), filters, values).unwrap().alias("pass");
    frame.aggregate(vec![col("customer")], vec![pass]).unwrap()
}

fn session(config: SessionConfig) -> SessionContext {
    let ctx = SessionContext::new_with_config(config.with_target_partitions(PARTITIONS));
    ctx.register_udaf(udaf());
    ctx
}

/// The figures of each customer as text, in order, and the plan that gave them.
async fn rows(ctx: &SessionContext, pass: DataFrame) -> (String, Arc<dyn ExecutionPlan>) {
    let plan = pass.clone().create_physical_plan().await.unwrap();
    let batches = collect(Arc::clone(&plan), ctx.task_ctx()).await.unwrap();
    let schema = plan.schema();
    // The figures are sorted elsewhere, with all the memory that takes.
    let wide = SessionContext::new();
    wide.register_table("passed", Arc::new(MemTable::try_new(schema, vec![batches]).unwrap())).unwrap();
    (rows_of(wide.table("passed").await.unwrap(), |name| format!("pass['{name}']")).await, plan)
}

/// The same of a table with a figure in each `column`.
pub(super) async fn rows_of(passed: DataFrame, column: fn(&str) -> String) -> String {
    let ctx = SessionContext::new();
    ctx.register_table("passed", passed.into_view()).unwrap();
    let names = features().features;
    // Plain SQL rounds an average twice.
    let field = |name: &str| match name {
        "basket_500" => format!("round({}, 3) as basket_500", column(name)),
        _ => format!("{} as {name}", column(name)),
    };
    let fields: Vec<String> = names.iter().map(|feature| field(&feature.name)).collect();
    let sql = format!("select customer, {} from passed order by customer", fields.join(", "));
    let batches = ctx.sql(&sql).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

pub(super) async fn plain(customers: i64, count: i64) -> String {
    let ctx = SessionContext::new();
    ctx.register_table("events", Arc::new(events(customers, count))).unwrap();
    let sql = format!(
        "select customer, n, bought_900, bought_500, bought, revenue_500, revenue, \
         case when baskets_500 > 0 then round(revenue_500 / baskets_500, 3) end as basket_500, shops_500, shops, last_shop, \
         first_900, first_at, greatest_shop, first_amount from ({PLAIN}) order by customer"
    );
    let batches = ctx.sql(&sql).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

pub(super) fn same(one: &str, other: &str) {
    for (one, other) in one.lines().zip(other.lines()) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

fn shown(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(plan.as_ref()).indent(false).to_string()
}

#[tokio::test]
async fn partial_and_final_aggregation_give_what_sql_gives() {
    let ctx = session(SessionConfig::new());
    let frame = ctx.read_table(Arc::new(events(300, 20_000))).unwrap();
    let (passed, plan) = rows(&ctx, aggregate(frame)).await;
    assert!(
        shown(&plan).contains("mode=Partial") && shown(&plan).contains("mode=FinalPartitioned"),
        "{}",
        shown(&plan)
    );
    same(&passed, &plain(300, 20_000).await);
}

#[tokio::test]
async fn skipped_partial_aggregation_gives_the_same() {
    let mut config = SessionConfig::new().with_batch_size(500);
    config.options_mut().execution.skip_partial_aggregation_probe_rows_threshold = 1;
    config.options_mut().execution.skip_partial_aggregation_probe_ratio_threshold = 0.0;
    let ctx = session(config);
    let frame = ctx.read_table(Arc::new(events(5000, 20_000))).unwrap();
    let (passed, plan) = rows(&ctx, aggregate(frame)).await;
    assert!(skipped(&plan) > 0, "{}", shown(&plan));
    same(&passed, &plain(5000, 20_000).await);
}

/// 20,000 customers in four megabytes: their states take more.
#[tokio::test]
async fn a_final_aggregation_that_spills_gives_the_same() {
    let pool = Arc::new(FairSpillPool::new(4 << 20));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
    let config = SessionConfig::new().with_target_partitions(2).with_batch_size(256);
    let ctx = SessionContext::new_with_config_rt(config, runtime);
    let frame = ctx.read_table(Arc::new(events(20_000, 60_000))).unwrap();
    let (passed, plan) = rows(&ctx, aggregate(frame)).await;
    assert!(spills(&plan) > 0, "{}", shown(&plan));
    same(&passed, &plain(20_000, 60_000).await);
}

/// How often a plan spilled.
fn spills(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let own = plan.metrics().and_then(|metrics| metrics.spill_count()).unwrap_or(0);
    own + plan.children().into_iter().map(spills).sum::<usize>()
}

/// How many rows a plan turned into states without aggregating them.
fn skipped(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let metrics = plan.metrics().and_then(|metrics| metrics.sum_by_name("skipped_aggregation_rows"));
    metrics.map_or(0, |rows| rows.as_usize()) + plan.children().into_iter().map(skipped).sum::<usize>()
}

#[tokio::test]
async fn without_groups_and_without_rows_counts_are_zero() {
    let ctx = session(SessionConfig::new());
    ctx.register_table("events", Arc::new(events(3, 100))).unwrap();
    let spec = r#"{"streams": [{"filter": 0, "value": null, "aggregate": "count", "since": [-9223372036854775808]}],
        "features": [{"name": "n", "stream": 0, "window": 0, "data_type": "integer"}], "n_filters": 1}"#;
    for (condition, wanted) in [("id < '000000010'", "10"), ("false", "0")] {
        let sql = format!(
            "select cohorte_pass('{spec}', arrow_cast(null, 'Struct(\"n\": Int64)'), at, id, true)['n'] as n \
             from events where {condition}"
        );
        let batches = ctx.sql(&sql).await.unwrap().collect().await.unwrap();
        let shown = pretty_format_batches(&batches).unwrap().to_string();
        assert!(shown.contains(&format!("| {wanted} ")), "{shown}");
    }
    let sql = "select cohorte_pass('{}', arrow_cast(null, 'Struct(\"n\": Int64)'), at, id) from events";
    let error = ctx.sql(sql).await.unwrap().collect().await.unwrap_err().to_string();
    assert!(error.contains("the specification of cohorte_pass cannot be read"), "{error}");
}
