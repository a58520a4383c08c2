//! The `files` destination: what each operation writes, formats, and failures.

use std::fs::{self, File};

use datafusion::arrow::array::{Int64Array, StringViewArray};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("email", DataType::Utf8View, false),
        Field::new("orders", DataType::Int64, true),
        Field::new("city", DataType::Utf8View, true),
    ]))
}

fn target(object: Option<&str>) -> Target {
    Target {
        sync: "prospects".to_owned(),
        object: object.map(str::to_owned),
        key: vec!["email".to_owned()],
        schema: schema(),
        clear: vec!["city".to_owned()],
        may_create: true,
        may_update: true,
        ours: 0,
        omit_nulls: false,
    }
}

fn batch(operation: Operation, id: &str) -> Batch {
    let rows = RecordBatch::try_new(
        schema(),
        vec![
            Arc::new(StringViewArray::from(vec!["a@x.fr", "b@x.fr"])),
            Arc::new(Int64Array::from(vec![Some(3), None])),
            Arc::new(StringViewArray::from(vec![Some("Nîmes, \"sud\""), Some("")])),
        ],
    )
    .unwrap();
    Batch { operation, id: id.to_owned(), ids: vec![None; rows.num_rows()], rows }
}

fn local(path: &Path) -> Folder {
    Folder::Local(path.to_owned())
}

async fn sent(files: &mut Files, target: &Target, batch: &Batch) -> Vec<Outcome> {
    files.prepare(target).await.unwrap();
    files.send(target, batch).await.unwrap().outcomes
}

#[tokio::test]
async fn each_operation_writes_what_it_carries() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(local(folder.path()), Format::Ndjson);
    let target = target(None);
    let read = |name: &str| fs::read_to_string(folder.path().join("prospects").join(name)).unwrap();

    let outcomes = sent(&mut files, &target, &batch(Operation::Add, "b1")).await;
    assert_eq!(outcomes, vec![Outcome::Accepted { destination_id: None }; 2]);
    assert_eq!(
        read("b1.added.ndjson"),
        "{\"email\":\"a@x.fr\",\"orders\":3,\"city\":\"Nîmes, \\\"sud\\\"\"}\n{\"email\":\"b@x.fr\",\"orders\":null,\"city\":\"\"}\n"
    );
    sent(&mut files, &target, &batch(Operation::Remove, "b2")).await;
    assert_eq!(read("b2.removed.ndjson"), "{\"email\":\"a@x.fr\"}\n{\"email\":\"b@x.fr\"}\n");
    sent(&mut files, &target, &batch(Operation::Clear, "b3")).await;
    assert_eq!(
        read("b3.cleared.ndjson"),
        "{\"email\":\"a@x.fr\",\"city\":null}\n{\"email\":\"b@x.fr\",\"city\":null}\n"
    );
}

#[tokio::test]
async fn csv_quotes_and_parquet_round_trips() {
    let folder = tempfile::tempdir().unwrap();
    let target = target(Some("out/daily"));
    sent(&mut Files::new(local(folder.path()), Format::Csv), &target, &batch(Operation::Update, "b")).await;
    let text = fs::read_to_string(folder.path().join("out/daily/b.updated.csv")).unwrap();
    assert_eq!(text, "email,orders,city\na@x.fr,3,\"Nîmes, \"\"sud\"\"\"\nb@x.fr,,\n");

    sent(&mut Files::new(local(folder.path()), Format::Parquet), &target, &batch(Operation::Update, "b")).await;
    let file = File::open(folder.path().join("out/daily/b.updated.parquet")).unwrap();
    let read: Vec<_> =
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect();
    assert_eq!(read, [batch(Operation::Update, "b").rows]);
}

#[tokio::test]
async fn a_batch_is_delivered_when_its_file_is_there_and_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(local(folder.path()), Format::Ndjson);
    let target = target(None);
    files.prepare(&target).await.unwrap();
    // What a crash in the middle of a write leaves is not a delivery.
    fs::write(folder.path().join("prospects/.b1.added.ndjson.partial"), "{\"em").unwrap();
    assert_eq!(files.delivered(&target, "b1").await.unwrap(), Some(false));
    sent(&mut files, &target, &batch(Operation::Add, "b1")).await;
    sent(&mut files, &target, &batch(Operation::Add, "b1")).await;
    assert_eq!(files.delivered(&target, "b1").await.unwrap(), Some(true));
    let names: Vec<_> =
        fs::read_dir(folder.path().join("prospects")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["b1.added.ndjson"]);
}

#[tokio::test]
async fn objects_that_lead_out_of_the_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(local(&folder.path().join("in")), Format::Ndjson);
    for name in ["../out", "/tmp/out", "a/../../b", ""] {
        let failure = files.prepare(&target(Some(name))).await.unwrap_err();
        assert_eq!((failure.code, failure.exit_code()), ("E602", 1), "{name}");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_failure_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let occupied = folder.path().join("occupied");
    fs::write(&occupied, "").unwrap();
    let failure = Files::new(local(&occupied), Format::Ndjson).prepare(&target(None)).await.unwrap_err();
    assert_eq!((failure.code, failure.exit_code()), ("W601", 2));
    assert!(failure.help.contains("path:"));
}

#[test]
fn an_unknown_format_is_refused() {
    assert_eq!(Format::named("parquet"), Ok(Format::Parquet));
    assert_eq!(Format::named("xlsx").unwrap_err().code, "E601");
}
