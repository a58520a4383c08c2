//! The published set: the versions of tables that belong together, as the last run that published lists them.
//!
//! A run writes many tables, and `runs` last. So a crash leaves the set as it was, and readers never see half a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::prelude::{Expr, SessionContext, coalesce, col, lit};

use super::failures::failure_from;
use super::warehouse::Warehouse;
use crate::diag::{Failure, Result};

/// A table of the published set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedTable {
    /// Name.
    pub name: String,
    /// The version that readers see.
    pub version: u64,
}

/// What readers see. Empty before the first run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// The run that published it.
    pub run: Option<String>,
    /// The instant as of which it is, in microseconds since the epoch.
    pub as_of: Option<i64>,
    /// When the run had done so, by the clock on the wall, in microseconds since the epoch.
    pub finished_at: Option<i64>,
    /// Versions by table.
    pub tables: BTreeMap<String, u64>,
    /// What was read, by source: a version or a fingerprint.
    pub inputs: BTreeMap<String, String>,
}

impl Published {
    /// Reads the last row of `runs` that published something: the greatest (`seq`, `finished_at`, `run_id`) whose
    /// `published` is not null. Rows from before runs were counted have no `seq`, which is 0.
    pub async fn load(warehouse: &Warehouse, session: &SessionContext) -> Result<Self> {
        let Some(provider) = warehouse.provider("runs", None).await? else { return Ok(Self::default()) };
        let doing = "reading the table `runs`";
        let seq = seq(&provider);
        let last = async {
            session
                .read_table(provider)?
                .filter(col("published").is_not_null())?
                .select(vec![col("run_id"), col("as_of"), col("published"), col("inputs"), col("finished_at"), seq])?
                .sort(["seq", "finished_at", "run_id"].map(|column| col(column).sort(false, false)).to_vec())?
                .limit(0, Some(1))?
                .collect()
                .await
        };
        let batches = last.await.map_err(|error| failure_from(doing, &error))?;
        let Some(batch) = batches.into_iter().find(|batch| batch.num_rows() > 0) else { return Ok(Self::default()) };
        Ok(Self {
            run: text(&batch, "run_id"),
            as_of: instant(&batch, "as_of"),
            finished_at: instant(&batch, "finished_at"),
            tables: parse(&text(&batch, "published").unwrap_or_default())?,
            inputs: text(&batch, "inputs").map(|inputs| parse(&inputs)).transpose()?.unwrap_or_default(),
        })
    }

    /// The greatest `seq` of any run: who writes the next, and holds the lease, adds one. The clock may be set back.
    pub async fn last_seq(warehouse: &Warehouse, session: &SessionContext) -> Result<i64> {
        let Some(provider) = warehouse.provider("runs", None).await? else { return Ok(0) };
        let seq = seq(&provider);
        let last = async {
            let runs = session.read_table(provider)?.select(vec![seq])?;
            runs.aggregate(vec![], vec![max(col("seq")).alias("seq")])?.collect().await
        };
        let batches = last.await.map_err(|error| failure_from("reading the table `runs`", &error))?;
        let last = batches.iter().find(|batch| batch.num_rows() > 0).and_then(|batch| {
            let column = batch.column(0).as_primitive_opt::<Int64Type>()?;
            column.is_valid(0).then(|| column.value(0))
        });
        Ok(last.unwrap_or(0))
    }

    /// The tables of the set, by name.
    pub fn list(&self) -> impl Iterator<Item = PublishedTable> + '_ {
        self.tables.iter().map(|(name, version)| PublishedTable { name: name.clone(), version: *version })
    }

    /// The version of a table that readers see.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<u64> {
        self.tables.get(name).copied()
    }

    /// What a query scans for a table of the set; `None` where the set has no such table.
    pub async fn provider(&self, warehouse: &Warehouse, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.version(name) {
            Some(version) => warehouse.provider(name, Some(version)).await,
            None => Ok(None),
        }
    }

    /// The column `published` of `runs`.
    #[must_use]
    pub fn tables_json(&self) -> String {
        serde_json::to_string(&self.tables).unwrap_or_default()
    }

    /// The column `inputs` of `runs`.
    #[must_use]
    pub fn inputs_json(&self) -> String {
        serde_json::to_string(&self.inputs).unwrap_or_default()
    }
}

/// The order of runs; 0 where the table has none.
fn seq(provider: &Arc<dyn TableProvider>) -> Expr {
    let found = provider.schema().field_with_name("seq").is_ok();
    let seq = if found { coalesce(vec![col("seq"), lit(0_i64)]) } else { lit(0_i64) };
    seq.alias("seq")
}

fn instant(batch: &RecordBatch, column: &str) -> Option<i64> {
    let column = batch.column_by_name(column)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    column.is_valid(0).then(|| column.value(0))
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| {
        Failure::world("W411", "reading the published set from the table `runs`", error)
            .help("the last row of `runs` was written by another program: restore the table to its version before")
    })
}

fn text(batch: &RecordBatch, column: &str) -> Option<String> {
    let column = batch.column_by_name(column)?;
    if column.is_null(0) {
        return None;
    }
    match column.as_string_view_opt() {
        Some(view) => Some(view.value(0).to_owned()),
        None => column.as_string_opt::<i32>().map(|plain| plain.value(0).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;
    use crate::store::testing::lake;
    use crate::store::{Commit, TableSpec, runs};

    fn run(id: &str, finished: i64, published: Option<&str>, seq: Option<i64>) -> RecordBatch {
        let text = |value: Option<&str>| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        let number = |value: Option<i64>| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
        RecordBatch::try_from_iter_with_nullable([
            ("run_id", text(Some(id)), true),
            ("started_at", number(Some(finished)), true),
            ("as_of", number(Some(finished - 1)), true),
            ("finished_at", number(Some(finished)), true),
            ("command", text(Some("run")), true),
            ("outcome", text(Some("succeeded")), true),
            ("published", text(published), true),
            ("inputs", text(Some("{\"orders\":\"7\"}")), true),
            ("cohorte_version", text(None), true),
            ("seq", number(seq), true),
            ("error", text(None), true),
        ])
        .unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_last_run_that_published_says_what_readers_see() {
        let (_folder, lake) = lake();
        let session = SessionContext::new();
        assert_eq!(Published::load(&lake, &session).await.unwrap(), Published::default());
        for (id, finished, published) in
            [("a", 10, Some("{\"customer\":1}")), ("b", 30, Some("{\"customer\":4}")), ("c", 20, None), ("d", 40, None)]
        {
            lake.append(&runs(), run(id, finished, published, None), &Commit::of_run(id), &session).await.unwrap();
        }
        let published = Published::load(&lake, &session).await.unwrap();
        assert_eq!((published.run.as_deref(), published.as_of), (Some("b"), Some(29)));
        assert_eq!(published.version("customer"), Some(4));
        assert_eq!(published.version("other"), None);
        assert_eq!(published.inputs["orders"], "7");
        assert_eq!(published.tables_json(), "{\"customer\":4}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_clock_that_is_set_back_does_not_hide_what_came_later() {
        let (_folder, lake) = lake();
        let session = SessionContext::new();
        assert_eq!(Published::last_seq(&lake, &session).await.unwrap(), 0);
        // As an older version wrote it.
        let first_columns: Vec<usize> = (0..9).collect();
        let uncounted = TableSpec { schema: Arc::new(runs().schema.project(&first_columns).unwrap()), ..runs() };
        let old = run("old", 90, Some("{\"customer\":1}"), None).project(&first_columns).unwrap();
        lake.append(&uncounted, old, &Commit::default(), &session).await.unwrap();
        assert_eq!(Published::load(&lake, &session).await.unwrap().run.as_deref(), Some("old"));
        assert_eq!(Published::last_seq(&lake, &session).await.unwrap(), 0);
        // Each is later than the one before, by the clock each is earlier; the last one published nothing.
        for (seq, id, finished, published) in
            [(1, "b", 50, Some("{\"customer\":2}")), (2, "a", 20, Some("{\"customer\":3}")), (3, "c", 10, None)]
        {
            let row = run(id, finished, published, Some(seq));
            lake.append(&runs(), row, &Commit::default(), &session).await.unwrap();
        }
        let published = Published::load(&lake, &session).await.unwrap();
        assert_eq!((published.run.as_deref(), published.version("customer")), (Some("a"), Some(3)));
        assert_eq!(Published::last_seq(&lake, &session).await.unwrap(), 3);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn w411_a_set_that_cannot_be_read() {
        let (_folder, lake) = lake();
        let session = SessionContext::new();
        lake.append(&runs(), run("a", 10, Some("what"), None), &Commit::default(), &session).await.unwrap();
        assert_eq!(Published::load(&lake, &session).await.unwrap_err().code, "W411");
    }
}
