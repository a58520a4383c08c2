//! What the tests of this room share: a shop with one sync, whose customers, members and consents are given row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use tempfile::TempDir;

use super::deliver::deliver_to;
use super::{How, Order, Preview, Report, deliver, preview};
use crate::diag::{Failure, Result};
use crate::project::{Connection, Sync};
use crate::report::NoProgress;
use crate::run::{Opened, Request, Stopped, Workspace, open};
use crate::store::{Lease, LeaseOptions};
use crate::sync::clock::{Cancel, Clock};
use crate::sync::destination::{Batch, Destination, Operation, Sent, Target};
use crate::sync::http::Accounts;

const WAREHOUSE: &str = r#"
name: shop
warehouse: {root: ./lake}
deliver: true
connections:
  drop: {connector: files, path: ./outbox}
  quiet: {connector: files, path: ./outbox, deliver: false}
  dwh: {connector: postgres, url: "${env.SHOP_DATABASE_URL}"}
"#;

const MODELS: &str = r#"
sources:
  crm:
    {path: crm.csv, format: csv, key: id, columns: {email: {type: email}, phone: {type: phone, region: FR}}}
  prefs: {path: prefs.csv, format: csv, key: id, connection: drop, columns: {email: {type: email}}}
entities:
  customer:
    identity:
      identifiers: {email: {type: email}}
      sources: {crm: {role: record, ids: {email: email}}}
    attributes:
      email: {from: [crm.email]}
      phone: {from: [crm.phone]}
      name: {from: [crm.name]}
      city: {from: [crm.city]}
segments:
  vip: {when: "city is not null"}
purposes:
  news: {channels: [email], basis: consent}
consents:
  their_own: {source: prefs, contact: email, purpose: {value: news}, channel: {value: email}, status: state, at: at}
"#;

/// A customer: `id`, `email`, `phone`, `name`, `city`, each perhaps empty.
pub(super) type Person = [&'static str; 5];

/// A shop in a folder.
pub(super) struct Shop {
    pub(super) folder: TempDir,
    pub(super) people: Vec<Person>,
    /// Ids.
    pub(super) members: BTreeSet<&'static str>,
    /// Contact point, status and source.
    pub(super) consents: Vec<(&'static str, &'static str, &'static str)>,
    /// When the destination's own account spoke of a contact point: microseconds.
    pub(super) told: Vec<(&'static str, i64)>,
    pub(super) now: DateTime<Utc>,
    pub(super) env: BTreeMap<String, String>,
    seen: BTreeSet<String>,
}

/// The clock of a test stands still, and skips what it should wait for.
struct Still(DateTime<Utc>);

#[async_trait]
impl Clock for Still {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    async fn sleep(&self, _: std::time::Duration) {}
}

impl Shop {
    /// With a sync `out`, whose definition is given as flow YAML.
    pub(super) fn with(sync: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("warehouse.yaml", WAREHOUSE);
        write("crm.csv", "id,email,phone,name,city\n1,a@x.fr,,Ann,Lyon\n");
        write("prefs.csv", "id,email,state,at\n1,a@x.fr,granted,2025-01-01T00:00:00Z\n");
        fs::create_dir(folder.path().join("models")).unwrap();
        write("models/shop.yaml", &format!("{MODELS}\nsyncs:\n  out: {{{sync}}}\n"));
        Self {
            folder,
            people: Vec::new(),
            members: BTreeSet::new(),
            consents: Vec::new(),
            told: Vec::new(),
            now: "2026-01-15T09:00:00Z".parse().unwrap(),
            env: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Adds a member whose e-mail address has a grant.
    pub(super) fn add(&mut self, id: &'static str, email: &'static str, name: &'static str) {
        self.people.push([id, email, "", name, "Lyon"]);
        self.members.insert(id);
        self.consents.push((email, "granted", "desk"));
    }

    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut Person)) {
        change(self.people.iter_mut().find(|person| person[0] == id).unwrap());
    }

    pub(super) fn consent(&mut self, email: &str, status: &'static str) {
        self.consents.iter_mut().filter(|consent| consent.0 == email).for_each(|consent| consent.1 = status);
    }

    pub(super) async fn workspace(&self) -> Workspace {
        let request = Request {
            project: self.folder.path().to_owned(),
            target: None,
            vars: BTreeMap::new(),
            env: self.env.clone(),
            as_of: None,
            now: self.now,
            accept: Vec::new(),
            select: Vec::new(),
            wait: None,
        };
        let opened: Opened = match open(&request).await {
            Ok(opened) => opened,
            Err(Stopped::Findings(_, findings)) => panic!("{findings:?}"),
            Err(Stopped::Failure(failure)) => panic!("{failure:?}"),
        };
        let workspace = Workspace::new(opened).await.unwrap();
        for (name, batch) in [
            ("customer", self.customer()),
            ("segment_members", self.stays()),
            ("consents", self.states()),
            ("consent_history", self.history()),
        ] {
            let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
            workspace.opened.session.register_table(TableReference::bare(name), Arc::new(table)).unwrap();
        }
        workspace
    }

    fn customer(&self) -> RecordBatch {
        let column = |place: usize| texts(self.people.iter().map(move |person| person[place]));
        let known: BooleanArray = self.people.iter().map(|_| Some(true)).collect();
        RecordBatch::try_from_iter_with_nullable([
            ("customer_id", column(0), true),
            ("email", column(1), true),
            ("phone", column(2), true),
            ("name", column(3), true),
            ("city", column(4), true),
            ("is_known", Arc::new(known) as ArrayRef, true),
        ])
        .unwrap()
    }

    fn stays(&self) -> RecordBatch {
        let n = self.members.len();
        let exited: TimestampMicrosecondArray = (0..n).map(|_| None::<i64>).collect();
        RecordBatch::try_from_iter_with_nullable([
            ("segment", texts(self.members.iter().map(|_| "vip")), true),
            ("entity", texts(self.members.iter().map(|_| "customer")), true),
            ("entity_id", texts(self.members.iter().copied()), true),
            ("exited_at", Arc::new(exited.with_timezone("UTC")) as ArrayRef, true),
        ])
        .unwrap()
    }

    fn states(&self) -> RecordBatch {
        let owner = |email: &str| self.people.iter().find(|person| person[1] == email).map_or("", |person| person[0]);
        let all = |text: &'static str| texts(self.consents.iter().map(move |_| text));
        let since: TimestampMicrosecondArray = self.consents.iter().map(|_| Some(0)).collect();
        RecordBatch::try_from_iter_with_nullable([
            ("entity", all("customer"), true),
            ("customer_id", texts(self.consents.iter().map(|(email, ..)| owner(email))), true),
            ("contact_point", texts(self.consents.iter().map(|consent| consent.0)), true),
            ("purpose", all("news"), true),
            ("channel", all("email"), true),
            ("scope", all(""), true),
            ("status", texts(self.consents.iter().map(|consent| consent.1)), true),
            ("basis", all("consent"), true),
            ("source", texts(self.consents.iter().map(|consent| consent.2)), true),
            ("proof", all(""), true),
            ("since", Arc::new(since.with_timezone("UTC")) as ArrayRef, true),
        ])
        .unwrap()
    }

    fn history(&self) -> RecordBatch {
        let all = |text: &'static str| texts(self.told.iter().map(move |_| text));
        let at: TimestampMicrosecondArray = self.told.iter().map(|(_, at)| Some(*at)).collect();
        RecordBatch::try_from_iter_with_nullable([
            ("contact_point", texts(self.told.iter().map(|(email, _)| *email)), true),
            ("purpose", all("news"), true),
            ("channel", all("email"), true),
            ("scope", all(""), true),
            ("source", all("their_own"), true),
            ("at", Arc::new(at.with_timezone("UTC")) as ArrayRef, true),
        ])
        .unwrap()
    }

    pub(super) fn sync(workspace: &Workspace) -> Sync {
        workspace.opened.project.syncs["out"].clone()
    }

    fn connection(workspace: &Workspace) -> &Connection {
        &workspace.opened.project.connections[&Self::sync(workspace).connection]
    }

    pub(super) async fn lease(workspace: &Workspace) -> Lease {
        let options = LeaseOptions::new("a test", Utc::now());
        Lease::acquire(&workspace.opened.warehouse, options).await.unwrap()
    }

    /// A day later.
    fn pass_time(&mut self) {
        self.now += TimeDelta::days(1);
    }

    /// Delivers, in a process of its own as it were; a day passes.
    pub(super) async fn deliver(&mut self, accept: bool) -> Report {
        let workspace = self.workspace().await;
        let clock = Still(self.now);
        let lease = Self::lease(&workspace).await;
        let how = How {
            hold: None,
            retry: false,
            accept,
            lease: Some(&lease),
            clock: Arc::new(clock),
            cancel: &Cancel::default(),
            accounts: &Accounts::default(),
            progress: &NoProgress,
        };
        let sync = Self::sync(&workspace);
        let order = Order::of([(&sync, Self::connection(&workspace))]);
        let turn = order.turn(&sync, Self::connection(&workspace));
        let report = deliver(&workspace, &sync, &how, turn).await.unwrap();
        self.pass_time();
        report
    }

    pub(super) async fn try_deliver(&self, dry_run: bool) -> Result<Report> {
        let workspace = self.workspace().await;
        let clock = Still(self.now);
        let lease = Self::lease(&workspace).await;
        let how = How {
            hold: None,
            retry: false,
            accept: false,
            lease: Some(&lease).filter(|_| !dry_run),
            clock: Arc::new(clock),
            cancel: &Cancel::default(),
            accounts: &Accounts::default(),
            progress: &NoProgress,
        };
        let sync = Self::sync(&workspace);
        let order = Order::of([(&sync, Self::connection(&workspace))]);
        deliver(&workspace, &sync, &how, order.turn(&sync, Self::connection(&workspace))).await
    }

    /// Delivers to a destination of the test's own.
    pub(super) async fn deliver_to(&mut self, destination: &mut dyn Destination) -> Report {
        let workspace = self.workspace().await;
        let clock = Still(self.now);
        let lease = Self::lease(&workspace).await;
        let how = How {
            hold: None,
            retry: false,
            accept: false,
            lease: Some(&lease),
            clock: Arc::new(clock),
            cancel: &Cancel::default(),
            accounts: &Accounts::default(),
            progress: &NoProgress,
        };
        let sync = Self::sync(&workspace);
        let connection = Self::connection(&workspace);
        let order = Order::of([(&sync, connection)]);
        let turn = &mut order.turn(&sync, connection);
        let report = deliver_to(&workspace, &sync, connection, destination, &lease, &how, turn).await.unwrap();
        self.pass_time();
        report
    }

    pub(super) async fn preview(&self) -> Preview {
        let workspace = self.workspace().await;
        preview(&workspace, &Self::sync(&workspace)).await.unwrap()
    }

    /// What was written to the outbox since the last look: `added {"email":…}`, sorted.
    pub(super) fn sent(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let Ok(folder) = fs::read_dir(self.folder.path().join("outbox/out")) else { return lines };
        for entry in folder {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if self.seen.insert(name.clone()) {
                let operation = name.split('.').nth(1).unwrap();
                let text = fs::read_to_string(self.folder.path().join("outbox/out").join(&name)).unwrap();
                lines.extend(text.lines().map(|line| format!("{operation} {line}")));
            }
        }
        lines.sort();
        lines
    }

    /// Delivers, and tells what was sent.
    pub(super) async fn deliver_and_look(&mut self) -> Vec<String> {
        let report = self.deliver(false).await;
        assert_eq!(report.failure(), None);
        self.sent()
    }

    /// The rows of a query over `sync_…` tables as text, sorted.
    pub(super) async fn ask(&self, table: &str, columns: &str) -> Vec<String> {
        let workspace = self.workspace().await;
        let Some(provider) = workspace.opened.warehouse.provider(table, None).await.unwrap() else { return Vec::new() };
        workspace.opened.session.register_table(TableReference::bare("asked"), provider).unwrap();
        let sql = format!("select concat_ws(' ', {columns}) as line from asked order by line");
        let mut lines = Vec::new();
        for batch in workspace.collect("asking", &sql).await.unwrap() {
            lines.extend(super::remembered::texts(&batch, "line").unwrap().iter().flatten().map(str::to_owned));
        }
        lines
    }
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(values.map(|value| (!value.is_empty()).then_some(value)).collect::<StringViewArray>())
}

/// Never answers: whoever waits for it is dropped.
pub(super) struct Silent;

#[async_trait]
impl Destination for Silent {
    async fn prepare(&mut self, _: &Target) -> Result<(), Failure> {
        Ok(())
    }

    async fn send(&self, _: &Target, _: &Batch) -> Result<Sent, Failure> {
        std::future::pending().await
    }

    async fn delivered(&self, _: &Target, _: &str) -> Result<Option<bool>, Failure> {
        Ok(None)
    }

    fn may_resend(&self, _: Operation) -> bool {
        true
    }

    fn max_rows(&self) -> usize {
        100
    }
}
