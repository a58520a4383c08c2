//! A schema of its own on the server, looked at through a second connection; and rows to send to it.

use std::sync::Arc;

use cohorte::sync::destination::{Batch, Operation, Outcome, Target};
use cohorte::sync::postgres::Postgres;
use datafusion::arrow::array::{Int64Array, StringViewArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use tokio_postgres::{Client, NoTls};

pub(super) fn url() -> String {
    std::env::var("COHORTE_TEST_POSTGRES_URL")
        .expect("these tests need a server: export COHORTE_TEST_POSTGRES_URL=$(tests/postgres/start)")
}

/// A second connection, which looks at what was done, in a schema of its own.
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) schema: &'static str,
}

impl Server {
    pub(super) async fn with_schema(schema: &'static str) -> Self {
        let (client, connection) = tokio_postgres::connect(&url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("drop schema if exists {schema} cascade; create schema {schema}")).await.unwrap();
        Self { client, schema }
    }

    pub(super) async fn run(&self, sql: &str) {
        self.client.batch_execute(&sql.replace("SCHEMA", self.schema)).await.unwrap();
    }

    /// The single text that a query answers.
    pub(super) async fn ask(&self, sql: &str) -> String {
        let sql = sql.replace("SCHEMA", self.schema);
        self.client.query_one(&sql, &[]).await.unwrap().get::<_, Option<String>>(0).unwrap_or_default()
    }

    /// All rows of `people`, by key.
    pub(super) async fn people(&self) -> String {
        self.ask("select string_agg(p::text, ' ' order by p.email) from SCHEMA.people p").await
    }

    pub(super) fn target(&self) -> Target {
        Target {
            sync: "people".to_owned(),
            object: Some(format!("{}.people", self.schema)),
            key: vec!["email".to_owned()],
            schema: people(&[]).schema(),
            clear: vec!["orders".to_owned()],
            may_create: true,
            may_update: true,
            ours: 0,
            omit_nulls: false,
        }
    }
}

pub(super) fn destination() -> Postgres {
    Postgres::new("dwh", &url()).unwrap()
}

pub(super) fn people(rows: &[(Option<&str>, Option<i64>)]) -> RecordBatch {
    let schema =
        Schema::new(vec![Field::new("email", DataType::Utf8View, true), Field::new("orders", DataType::Int64, true)]);
    let emails: StringViewArray = rows.iter().map(|row| row.0).collect();
    let orders: Int64Array = rows.iter().map(|row| row.1).collect();
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(emails), Arc::new(orders)]).unwrap()
}

pub(super) fn batch(operation: Operation, rows: &[(&str, Option<i64>)]) -> Batch {
    let rows: Vec<_> = rows.iter().map(|&(email, orders)| (Some(email), orders)).collect();
    Batch { operation, id: "b".to_owned(), ids: vec![None; rows.len()], rows: people(&rows) }
}

pub(super) fn accepted() -> Outcome {
    Outcome::Accepted { destination_id: None }
}

/// The code of a rejected row.
pub(super) fn code(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Rejected { code, .. } => code,
        other => panic!("not rejected: {other:?}"),
    }
}
