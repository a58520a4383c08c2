//! What the tests of this stage share: a project of a few sources in memory, run after run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use super::{Finder, Now, Remembered, Resolved, resolve};
use crate::compile::resolved::{self, Finding};
use crate::compile::{Clock, customer, sources};
use crate::diag::{Findings, Result};
use crate::engine::lookup::{self, Whose};
use crate::engine::made::Made;
use crate::engine::{Limits, session};
use crate::project::{self, Project, RawColumn};
use crate::sql::DataType;
use crate::store::tables;
use crate::text::Files;

pub(super) const CRM: &str = "id account email phone brand name at";
pub(super) const WEB: &str = "id anon account at";

const MODELS: &str = r#"
sources:
  crm:
    table: raw/crm
    key: id
    updated_at: at
    columns: {name: {type: given_name}}
  web: {table: raw/web, key: id, time: at}
  mails: {table: raw/mails, key: id}
  opens: {table: raw/opens, key: id, time: at, belongs_to: {mails: {id: mail}}}
entities:
  customer:
    identity:
      identifiers:
        account_id: {priority: 1, per_customer: 1}
        email: {type: email, priority: 2, ignore: ["noreply@*"]}
        phone: {priority: 3, shared_by: 1}
        anonymous_id: {priority: 9}
      sources:
        crm: {role: record, ids: {account_id: account, email: email, phone: phone}}
        web: {role: link, ids: {anonymous_id: anon, account_id: account}}
        mails: {role: attach, ids: {email: email, phone: phone}}
      never_across: [brand]
"#;

pub(super) struct World {
    pub(super) session: SessionContext,
    project: Project,
    pub(super) remembered: Remembered,
    finder: Option<Finder>,
    ids: Vec<RecordBatch>,
    runs: u32,
}

fn columns_of(source: &str) -> &'static str {
    match source {
        "crm" => CRM,
        "web" => WEB,
        "opens" => "id mail at",
        _ => "id email phone",
    }
}

/// Rows are texts, cells are cut at `|`, and blank ones are null; `at` is minutes of one day.
fn batch(source: &str, rows: &[&str]) -> RecordBatch {
    let names: Vec<&str> = columns_of(source).split(' ').collect();
    let cells: Vec<Vec<Option<&str>>> = rows
        .iter()
        .map(|row| row.split('|').map(str::trim).map(|cell| (!cell.is_empty()).then_some(cell)).collect())
        .collect();
    let columns = names.iter().enumerate().map(|(place, &name)| {
        let column = cells.iter().map(|row: &Vec<Option<&str>>| row.get(place).copied().flatten());
        let array: ArrayRef = if name == "at" {
            Arc::new(column.map(|at| at.map(minute)).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        } else {
            Arc::new(column.collect::<StringArray>())
        };
        (name, array, true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn minute(at: &str) -> i64 {
    as_of().timestamp_micros() - 86_400_000_000 + at.parse::<i64>().unwrap() * 60_000_000
}

pub(super) fn as_of() -> DateTime<Utc> {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

impl World {
    pub(super) async fn new(crm: &[&str], web: &[&str]) -> Self {
        let mut files = Files::default();
        let warehouse = files.add("warehouse.yaml", "name: t\nwarehouse: {root: lake}\ntimezone: UTC\n");
        let models = files.add("models/m.yaml", MODELS);
        let mut findings = Findings::default();
        let spec =
            crate::spec::read(&files, warehouse, &[models], None, crate::spec::Variables::default(), &mut findings);
        let schemas = ["crm", "web", "mails", "opens"].map(|source| {
            let columns = columns_of(source).split(' ').map(|name| RawColumn {
                name: name.to_owned(),
                data_type: if name == "at" { DataType::Timestamp } else { DataType::Text },
                naive: false,
                cast: None,
            });
            (source.to_owned(), columns.collect::<Vec<_>>())
        });
        let project = project::resolve(&files, &spec, &BTreeMap::from(schemas), &mut findings).unwrap();
        assert!(!findings.has_errors(), "{:?}", findings.sorted());
        let clock = Clock { as_of: as_of(), timezone: project.settings.timezone };
        let session = session(Limits { memory: 1 << 28, threads: 2 }, &clock).unwrap();
        let mut world =
            Self { session, project, remembered: Remembered::default(), finder: None, ids: Vec::new(), runs: 0 };
        world.set("crm", &[crm]).await;
        world.set("web", &[web]).await;
        world.set("mails", &[&[]]).await;
        world.set("opens", &[&[]]).await;
        world
    }

    /// The rows of a source from now on, in batches of two partitions.
    pub(super) async fn set(&mut self, source: &str, batches: &[&[&str]]) {
        let schema = batch(source, &[]).schema();
        let mut partitions = vec![Vec::new(), Vec::new()];
        for (place, rows) in batches.iter().enumerate() {
            partitions[place % 2].push(batch(source, rows));
        }
        let raw = TableReference::partial("raw", source);
        self.session.deregister_table(raw.clone()).unwrap();
        self.session.register_table(raw, Arc::new(MemTable::try_new(schema, partitions).unwrap())).unwrap();
        self.view(source, &sources::relation(&self.project.sources[source])).await;
    }

    async fn view(&self, name: &str, sql: &str) {
        let view = self.session.sql(sql).await.unwrap_or_else(|error| panic!("{error}\n{sql}")).into_view();
        self.session.deregister_table(TableReference::bare(name)).unwrap();
        self.session.register_table(TableReference::bare(name), view).unwrap();
    }

    pub(super) fn hold(&self, name: &str, schema: SchemaRef, batches: Vec<RecordBatch>) {
        self.session.deregister_table(TableReference::bare(name)).unwrap();
        let table = MemTable::try_new(schema, vec![batches]).unwrap();
        self.session.register_table(TableReference::bare(name), Arc::new(table)).unwrap();
    }

    pub(super) async fn try_run(&mut self) -> Result<Resolved> {
        self.runs += 1;
        let entity = self.project.entities["customer"].clone();
        let timings = crate::engine::Timings::default();
        let now = Now { run_id: &format!("run{}", self.runs), as_of: as_of(), timings: &timings };
        resolve(&self.session, &self.project, &entity, &self.remembered, &now).await
    }

    /// Resolves, and remembers.
    pub(super) async fn run(&mut self) -> Resolved {
        let found = self.try_run().await.unwrap();
        self.finder = Some(found.finder.clone());
        self.ids.extend(found.events.batches());
        self.hold("before_ids", tables::ids("customer").schema, self.ids.clone());
        self.hold("before_nodes", tables::nodes("customer").schema, found.nodes.batches());
        self.remembered =
            Remembered { ids: Some("before_ids".into()), nodes: Some("before_nodes".into()), ..Remembered::default() };
        let made = [
            ("customer_records", &found.records),
            ("customer_identifiers", &found.identifiers),
            ("customer_links", &found.links),
            ("customer_contested", &found.contested),
            ("customer_merged", &found.merged),
        ];
        for (name, rows) in made {
            self.session.deregister_table(TableReference::bare(name)).unwrap();
            self.session.register_table(TableReference::bare(name), Arc::new(rows.clone())).unwrap();
        }
        // What is made of the numbers is what the statement makes of the tables.
        let entity = &self.project.entities["customer"];
        let base = self.query(&format!("select * from ({}) as b order by 1", customer::base(entity))).await;
        let mut made = all(&found.base);
        made.sort();
        assert_eq!(made, base);
        found
    }

    /// Rows of a query, cells joined by blanks, in the query's order.
    pub(super) async fn query(&self, sql: &str) -> Vec<String> {
        let batches = self.session.sql(sql).await.unwrap().collect().await.unwrap();
        batches.iter().flat_map(rows).collect()
    }

    /// `<source>_resolved`: key and customer, found by functions and by joins alike.
    pub(super) async fn resolved(&self, source: &str) -> BTreeMap<String, String> {
        let in_tables = Whose::Tables("select distinct customer_id from customer_records".into());
        let mut looked_up = Vec::new();
        for whose in [in_tables, Whose::Resolved(self.finder.clone().unwrap())] {
            let whose = BTreeMap::from([("customer".to_owned(), whose)]);
            let rosters = lookup::rosters(&self.session, &self.project, &whose).await.unwrap();
            let shared = lookup::register(&self.session, &self.project, &whose, &rosters).await.unwrap();
            looked_up.push(self.found_by_parents(source, Finding::Functions(&shared)).await);
        }
        let joined = self.found_by_parents(source, Finding::Joins).await;
        assert_eq!(looked_up, [joined.clone(), joined.clone()]);
        joined
    }

    /// Those that its rows belong to find theirs in the same way.
    async fn found_by_parents(&self, source: &str, finding: Finding<'_>) -> BTreeMap<String, String> {
        for parent in &self.project.sources[source].parents {
            self.found(&parent.source, finding).await;
        }
        self.found(source, finding).await
    }

    async fn found(&self, source: &str, finding: Finding<'_>) -> BTreeMap<String, String> {
        for (name, sql) in resolved::devices(&self.project, &self.project.sources[source], finding) {
            self.view(&name, &sql).await;
        }
        let sql = resolved::relation(&self.project, &self.project.sources[source], finding).unwrap();
        let name = format!("{source}_resolved");
        self.view(&name, &sql).await;
        let rows = self.query(&format!("select _key, _customer_id from {name}")).await;
        let n = rows.len();
        let found: BTreeMap<_, _> =
            rows.iter().map(|row| row.split_once(' ').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        assert_eq!(found.len(), n, "rows stay single");
        found
    }
}

/// The rows of a batch, cells joined by blanks.
pub(super) fn rows(batch: &RecordBatch) -> Vec<String> {
    let cell = |column: &ArrayRef, row| array_value_to_string(column, row).unwrap();
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join(" "))
        .collect()
}

/// All rows, in order.
pub(super) fn all(table: &Made) -> Vec<String> {
    table.batches().iter().flat_map(rows).collect()
}

/// The customer of each node, by `source key`.
pub(super) fn customers(found: &Resolved) -> BTreeMap<String, String> {
    let rows = all(&found.records);
    let cells = rows.iter().map(|row| row.split(' ').collect::<Vec<_>>());
    cells.map(|cells| (format!("{} {}", cells[0], cells[1]), cells[3].to_owned())).collect()
}

/// The nodes of each customer.
pub(super) fn groups(found: &Resolved) -> BTreeSet<Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (node, customer) in customers(found) {
        groups.entry(customer).or_default().push(node);
    }
    groups.into_values().collect()
}
