//! The pass as a step of a plan, against the same features as plain SQL: with room for all states, and with room for few.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::concat_batches;
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;

use super::PassExec;
use super::sql_tests::{events, features, plain, rows_of, same};
use crate::compile::passes::Pass;
use crate::engine::identity::CustomerId;
use crate::engine::roster::Roster;

const PLACED: &str = "select arrow_cast(customer, 'UInt32') as _place, at as _time, id as _key, bought as filter_0, \
                      amount is null as filter_1, amount as value_0, shop as value_1, at as value_2 from events";

fn pass(placed: String) -> Pass {
    let (name, entity, input, readable) = ("events".into(), "customer".into(), String::new(), String::new());
    Pass { name, entity, sources: vec!["events".into()], input, placed, spec: features(), keys: Vec::new(), readable }
}

fn roster(customers: i64) -> Arc<Roster> {
    let ids = (0..customers).map(|n| CustomerId::minted("customer", "events", &n.to_string(), 0));
    Arc::new(Roster::of(ids.collect()))
}

fn session(memory: usize) -> SessionContext {
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)));
    SessionContext::new_with_config_rt(SessionConfig::new().with_target_partitions(3), runtime.build_arc().unwrap())
}

/// The rows of each part, in order.
async fn computed(session: &SessionContext, placed: &str, roster: &Arc<Roster>) -> Result<RecordBatch> {
    let plan = PassExec::of(session, &pass(placed.to_owned()), Arc::clone(roster), "customer_id").await?;
    // Nothing is computed until all parts have been asked for: they are given the same batches.
    let parts = 0..plan.properties().partitioning.partition_count();
    let parts = parts.map(|part| plan.execute(part, session.task_ctx())).collect::<Result<Vec<_>>>()?;
    let parts = parts.into_iter().map(|rows| tokio::spawn(rows.try_collect::<Vec<_>>()));
    let mut batches = Vec::new();
    for part in parts.collect::<Vec<_>>() {
        batches.extend(part.await.unwrap()?);
    }
    Ok(concat_batches(&plan.schema(), &batches)?)
}

/// Compares with plain SQL; customers are called by their places.
async fn as_sql_says(memory: usize, customers: i64, count: i64) {
    let (session, roster) = (session(memory), roster(customers));
    session.register_table("events", Arc::new(events(customers, count))).unwrap();
    let all = computed(&session, PLACED, &roster).await.unwrap();
    assert_eq!(all.num_rows() as i64, customers);
    let ids: &StringArray = all.column(0).as_string();
    assert!(ids.iter().flatten().is_sorted() && ids.null_count() == 0);
    let mut columns = vec![("customer", Arc::new(Int64Array::from_iter_values(0..customers)) as _)];
    let schema = all.schema();
    columns.extend(
        schema
            .fields()
            .iter()
            .zip(all.columns())
            .skip(1)
            .map(|(field, column)| (field.name().as_str(), Arc::clone(column))),
    );
    let numbered =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
            .unwrap();
    let table = MemTable::try_new(numbered.schema(), vec![vec![numbered]]).unwrap();
    let wide = SessionContext::new();
    wide.register_table("passed", Arc::new(table)).unwrap();
    let sql = "select * from passed where n > 0";
    same(&rows_of(wide.sql(sql).await.unwrap(), |name| name.to_owned()).await, &plain(customers, count).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_the_roster_give_what_sql_gives() {
    as_sql_says(1 << 30, 300, 20_000).await;
    as_sql_says(1 << 30, 5_000, 20_000).await;
    as_sql_says(1 << 30, 1, 100).await;
}

/// The states of 20,000 customers take some six megabytes.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_find_room_is_computed_in_another_round() {
    as_sql_says(1 << 20, 20_000, 60_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_does_not_find_room_is_said_to_be_too_large() {
    let (session, roster) = (session(100), roster(10));
    session.register_table("events", Arc::new(events(10, 1_000))).unwrap();
    let error = computed(&session, PLACED, &roster).await.unwrap_err().to_string();
    assert!(error.contains("the features of events"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_and_rows_of_nobody() {
    let session = session(1 << 30);
    session.register_table("events", Arc::new(events(10, 1_000))).unwrap();
    let none = computed(&session, PLACED, &Arc::new(Roster::default())).await.unwrap();
    assert_eq!(none.num_rows(), 0);
    // Of rows that belong to nobody, and of no rows, everybody has nothing.
    let nobody = PLACED.replace("arrow_cast(customer, 'UInt32')", "arrow_cast(null, 'UInt32')");
    for placed in [nobody, format!("{PLACED} where false")] {
        let all = computed(&session, &placed, &roster(10)).await.unwrap();
        let counts: &Int64Array = all.column_by_name("n").unwrap().as_primitive();
        assert_eq!(counts.values().to_vec(), [0; 10]);
        assert_eq!(all.column_by_name("last_shop").unwrap().null_count(), 10);
    }
    let error =
        computed(&session, &format!("{PLACED} where 1 / (amount - amount) > 0"), &roster(10)).await.unwrap_err();
    assert!(error.to_string().contains("zero"), "what goes wrong with rows is told: {error}");
}
