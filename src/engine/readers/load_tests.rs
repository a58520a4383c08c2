//! Loading files into a Delta table and reading them from there.

use datafusion::arrow::array::Int64Array;

use super::super::testing::{Project, parquet_bytes, project};
use super::*;

async fn load_into(project: &Project, files: &[&str]) -> Result<Loaded> {
    let types = BTreeMap::new();
    let request = Load {
        warehouse: &project.warehouse,
        session: &project.session,
        base: project.folder.path(),
        source: "orders",
        table: "raw/orders",
        types: &types,
        timezone: None,
        run: None,
    };
    load(&request, &files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_loaded_once_whatever_they_are_called() {
    let more = parquet_bytes(vec![("id", Arc::new(Int64Array::from(vec![9])))]);
    let project = project(&[
        ("a.csv", b"id,zip\n1,01000\n2,02000\n"),
        ("copy.csv", b"id,zip\n1,01000\n2,02000\n"),
        ("b.ndjson", b"{\"id\": 3, \"city\": \"Lyon\"}\n"),
        ("c.parquet", &more),
        ("d.csv", b"id\nx\n"),
    ]);
    let first = load_into(&project, &["a.csv", "copy.csv"]).await.unwrap();
    assert_eq!(first, Loaded { version: 0, rows: 2, files: 1, skipped: 1 });
    assert_eq!(load_into(&project, &["copy.csv"]).await.unwrap(), Loaded { version: 0, rows: 0, files: 0, skipped: 1 });
    let second = load_into(&project, &["a.csv", "b.ndjson", "c.parquet"]).await.unwrap();
    assert_eq!((second.version, second.rows, second.files, second.skipped), (1, 2, 2, 1));
    let spec = ReaderSpec::new("s", Format::Delta, Location::Table("raw/orders".into()));
    assert_eq!(project.rows(&spec).await.unwrap(), ["1|01000|", "2|02000|", "3||Lyon", "9||"]);
    let failure = load_into(&project, &["d.csv"]).await.unwrap_err();
    assert_eq!(failure.code, "E305", "the table's types hold for later files: {failure}");
    assert_eq!(load_into(&project, &["none.csv"]).await.unwrap_err().code, "E301");
}

#[tokio::test(flavor = "multi_thread")]
async fn e311_a_table_that_is_not_there_and_one_that_is() {
    let project = project(&[("a.csv", b"id\n1\n")]);
    let spec = ReaderSpec::new("s", Format::Delta, Location::Table("raw/orders".into()));
    let failure = project.failure(&spec).await;
    assert_eq!(failure.code, "E311");
    assert!(failure.help.contains("cohorte load"));
    load_into(&project, &["a.csv"]).await.unwrap();
    assert_eq!(project.rows(&spec).await.unwrap(), ["1"]);
    let elsewhere = ReaderSpec { location: Location::Path("lake/raw/orders".into()), ..spec.clone() };
    assert_eq!(project.rows(&elsewhere).await.unwrap(), ["1"]);
    assert!(project.open(&spec).await.unwrap().fingerprint.ends_with(":0"));
}
