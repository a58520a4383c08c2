//! Projects that tests write into a folder and run through the library.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use cohorte::report::NoProgress;
use cohorte::run::{BuildOptions, Built, Opened, Request, Selection, Stopped, build, open};
use cohorte::store::{Published, Warehouse};
use datafusion::arrow::array::Array;
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::{DataFrame, SessionContext};
use tempfile::TempDir;

/// A project's folder.
pub(crate) struct Folder {
    folder: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and the folders that it is in.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn request(&self, as_of: &str) -> Request {
        let instant: DateTime<Utc> = as_of.parse().unwrap();
        Request {
            project: self.path().to_owned(),
            target: None,
            vars: BTreeMap::new(),
            env: BTreeMap::new(),
            as_of: Some(Arc::new(move |_| instant)),
            now: instant,
            accept: Vec::new(),
            select: Vec::new(),
            wait: None,
        }
    }

    pub(crate) async fn open(&self, as_of: &str) -> Opened {
        open(&self.request(as_of)).await.unwrap_or_else(|stopped| panic!("{}", told(&stopped)))
    }

    /// Builds and publishes.
    pub(crate) async fn build(&self, as_of: &str) -> Built {
        self.run(as_of, false).await
    }

    /// Computes everything and publishes nothing.
    pub(crate) async fn compute(&self, as_of: &str) -> Built {
        self.run(as_of, true).await
    }

    /// Builds what is selected, and passes these guards.
    pub(crate) async fn build_some(&self, as_of: &str, select: &[&str], accept: &[&str]) -> Built {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let opened = self.open(as_of).await;
        let selection = Selection::of(&opened, &own(select), &own(accept)).unwrap();
        let options =
            BuildOptions { command: "build".into(), selection, accept: own(accept), ..BuildOptions::default() };
        let built = build(opened, &options, &NoProgress).await;
        built.unwrap_or_else(|stopped| panic!("{}", told(&stopped)))
    }

    async fn run(&self, as_of: &str, plan_only: bool) -> Built {
        let options = BuildOptions { command: "build".into(), plan_only, ..BuildOptions::default() };
        let built = build(self.open(as_of).await, &options, &NoProgress).await;
        built.unwrap_or_else(|stopped| panic!("{}", told(&stopped)))
    }

    /// The tables that cohorte wrote.
    pub(crate) fn warehouse(&self) -> Warehouse {
        Warehouse::open("./warehouse", self.path(), "cdp").unwrap()
    }

    /// The rows of a query over the published tables, and over those that are read at their latest, as text, sorted.
    pub(crate) async fn query(&self, sql: &str) -> Vec<String> {
        let warehouse = self.warehouse();
        let session = SessionContext::new();
        let published = Published::load(&warehouse, &session).await.unwrap();
        for name in ["runs", "audit"] {
            if let Some(provider) = warehouse.provider(name, None).await.unwrap() {
                session.register_table(name, provider).unwrap();
            }
        }
        for table in published.list().filter(|table| table.name != "audit") {
            let provider = published.provider(&warehouse, &table.name).await.unwrap().unwrap();
            session.register_table(table.name.as_str(), provider).unwrap();
        }
        let mut rows = texts(&session.sql(sql).await.unwrap().collect().await.unwrap());
        rows.sort();
        rows
    }
}

/// What stopped a run, in words.
pub(crate) fn told(stopped: &Stopped) -> String {
    match stopped {
        Stopped::Findings(_, findings) => {
            findings.iter().map(|finding| format!("{} {}\n", finding.code, finding.message)).collect()
        }
        Stopped::Failure(failure) => format!("{failure:?}"),
    }
}

/// Each row as text, its cells joined by ` | `; null is `∅`.
pub(crate) fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("∅");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | "));
        }
    }
    rows
}

/// Column by column, each row's value by the row's id. Floats are shown by their bits too, so that equal means equal.
pub(crate) async fn by_id(frame: DataFrame, id: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let batches = frame.collect().await.unwrap();
    let Some(first) = batches.first() else { return BTreeMap::new() };
    let whole = concat_batches(&first.schema(), &batches).unwrap();
    let ids = values(whole.column_by_name(id).unwrap().as_ref());
    let unique: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "an id has several rows");
    let schema = whole.schema();
    let columns = schema.fields().iter().zip(whole.columns()).filter(|(field, _)| field.name() != id);
    columns
        .map(|(field, column)| (field.name().clone(), ids.iter().cloned().zip(values(column.as_ref())).collect()))
        .collect()
}

fn values(column: &dyn Array) -> Vec<String> {
    let column = match column.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 => cast(column, &DataType::Utf8).unwrap(),
        _ => datafusion::arrow::array::make_array(column.to_data()),
    };
    if let Some(floats) = column.as_any().downcast_ref::<datafusion::arrow::array::Float64Array>() {
        return floats
            .iter()
            .map(|value| value.map_or("∅".into(), |value| format!("{value:?} {:x}", value.to_bits())))
            .collect();
    }
    let kind = column.data_type().clone();
    let options = FormatOptions::default().with_null("∅");
    let formatter = ArrayFormatter::try_new(&column, &options).unwrap();
    (0..column.len()).map(|row| format!("{} {kind}", formatter.value(row))).collect()
}
