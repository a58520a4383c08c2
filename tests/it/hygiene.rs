//! What tables gather in time is put in order by builds: small files, and those that nobody reads any more.

use std::fs;
use std::time::{Duration, SystemTime};

use cohorte::store::{Commit, TableSpec, tables};
use datafusion::arrow::array::RecordBatch;
use datafusion::prelude::SessionContext;

use crate::library::Folder;
use crate::nasty::warehouse;

const SHOP: &str = r#"
sources:
  crm: {path: crm.csv, key: id, columns: {id: {type: text}, email: {type: email}}}
entities:
  customer:
    identity:
      identifiers: {email: {type: email}}
      sources: {crm: {role: record, ids: {email: email}}}
    attributes: {name: {from: [crm.name]}}
segments:
  named: {when: "name is not null"}
"#;

fn shop() -> Folder {
    let folder = Folder::new();
    folder.write("warehouse.yaml", &warehouse(2));
    folder.write("models/shop.yaml", SHOP);
    folder.write("crm.csv", "id,email,name\n1,a@x.fr,Ana\n");
    folder
}

/// Lets the runs so far have been a day ago.
async fn a_day_later(folder: &Folder) {
    let (store, spec) = (folder.warehouse(), tables::runs());
    let session = SessionContext::new();
    session.register_table("runs", store.provider("runs", None).await.unwrap().unwrap()).unwrap();
    let columns: Vec<String> = spec
        .schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "finished_at" => "finished_at - interval '1 day' as finished_at".to_owned(),
            name => name.to_owned(),
        })
        .collect();
    let frame = session.sql(&format!("select {} from runs", columns.join(", "))).await.unwrap();
    let batches = frame.collect().await.unwrap();
    let schema = batches[0].schema();
    let rows = datafusion::arrow::compute::concat_batches(&schema, &batches).unwrap();
    store.overwrite(&spec, rows, &Commit::of_run("later"), &SessionContext::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_the_first_of_a_day_removes_what_nobody_reads() {
    let folder = shop();
    folder.build("2026-06-01T10:00:00Z").await;
    let orphans = ["old", "young"].map(|name| folder.path().join(format!("warehouse/cdp/customer/{name}.parquet")));
    for orphan in &orphans {
        fs::write(orphan, "of a run that was killed").unwrap();
    }
    let long_ago = SystemTime::now() - Duration::from_secs(8 * 86_400);
    fs::File::options().write(true).open(&orphans[0]).unwrap().set_modified(long_ago).unwrap();
    let are_there = || orphans.each_ref().map(|orphan| orphan.exists());

    folder.write("crm.csv", "id,email,name\n1,a@x.fr,Ana\n2,b@x.fr,Bo\n");
    folder.build("2026-06-01T11:00:00Z").await;
    assert_eq!(are_there(), [true, true], "once a day is enough");
    a_day_later(&folder).await;
    folder.write("crm.csv", "id,email,name\n1,a@x.fr,Ana\n2,b@x.fr,Bob\n");
    let built = folder.build("2026-06-01T12:00:00Z").await;
    assert_eq!(are_there(), [false, true]);
    assert!(built.findings.is_empty(), "{:?}", built.findings);
    assert_eq!(folder.query("select name from customer").await, ["Ana", "Bob"]);
    // What was removed is no other program's doing.
    folder.write("crm.csv", "id,email,name\n1,a@x.fr,Ana\n");
    let built = folder.build("2026-06-01T13:00:00Z").await;
    assert!(built.findings.is_empty(), "{:?}", built.findings);
    assert_eq!(folder.query("select name from customer").await, ["Ana"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_are_put_together() {
    let folder = shop();
    folder.build("2026-06-01T10:00:00Z").await;
    let files = async |name: &str| folder.warehouse().table(name, None).await.unwrap().unwrap().files().unwrap();
    let add = async |spec: TableSpec, run: &str| {
        let rows = RecordBatch::new_empty(spec.schema.clone());
        let session = SessionContext::new();
        for _ in 0..66 {
            let filled = datafusion::arrow::array::new_null_array;
            let columns = rows.schema().fields().iter().map(|field| filled(field.data_type(), 1)).collect();
            let one = RecordBatch::try_new(spec.schema.clone(), columns).unwrap();
            folder.warehouse().append(&spec, one, &Commit::of_run(run), &session).await.unwrap();
        }
    };
    add(tables::runs(), "r").await;
    add(tables::alerts(), "r").await;
    assert!(files("runs").await > 66 && files("alerts").await == 66);
    folder.write("crm.csv", "id,email,name\n1,a@x.fr,Anna\n");
    folder.build("2026-06-01T11:00:00Z").await;
    // The run's own row comes after.
    assert_eq!((files("runs").await, files("alerts").await), (2, 1));
    assert_eq!(folder.query("select name from customer").await, ["Anna"]);
}
