//! Writing Delta tables: replaced, added to, refused, without statistics of personal columns.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::common::ScalarValue;
use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
use datafusion::prelude::SessionContext;

use super::*;
use crate::store::testing::{lake, people, read, rows};

fn log(folder: &Path, table: &str) -> String {
    let log = folder.join(format!("lake/cdp/{table}/_delta_log"));
    let mut files: Vec<_> = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

fn data_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            data_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_appended_to_replaced_in_part_and_overwritten() {
    let (_folder, lake) = lake();
    let session = SessionContext::new();
    let commit = Commit::of_run("r1");
    let spec = people();
    let first = lake.append(&spec, rows(&[("FR", "a@x.fr", 1), ("DE", "b@x.de", 2)]), &commit, &session).await.unwrap();
    assert_eq!((first.version, first.rows), (0, 2));
    let second = lake.append(&spec, rows(&[("FR", "c@x.fr", 3)]), &commit, &session).await.unwrap();
    assert_eq!((second.version, second.rows), (1, 1));
    assert_eq!(read(&lake, "people", None).await, ["DE b@x.de 2", "FR a@x.fr 1", "FR c@x.fr 3"]);

    let france = ScalarValue::from("FR");
    let part = rows(&[("FR", "d@x.fr", 4)]);
    let third = lake.replace_where(&spec, "country", &[france.clone()], part, &commit, &session).await.unwrap();
    assert_eq!(third.version, 2);
    assert_eq!(read(&lake, "people", None).await, ["DE b@x.de 2", "FR d@x.fr 4"]);
    let stray =
        lake.replace_where(&spec, "country", &[france.clone()], rows(&[("IT", "e", 5)]), &commit, &session).await;
    assert_eq!(stray.unwrap_err().code, "W403", "rows beyond the replaced partition are refused");
    lake.replace_where(&spec, "country", &[france], rows(&[]), &commit, &session).await.unwrap();
    assert_eq!(read(&lake, "people", None).await, ["DE b@x.de 2"]);
    assert_eq!(read(&lake, "people", Some(1)).await.len(), 3, "older versions stay readable");

    let other = TableSpec {
        schema: columns([("country", DataType::Utf8), ("n", DataType::Float64)]),
        personal: vec![],
        partition_by: vec![],
        ..spec
    };
    let fourth = lake.overwrite(&other, rows(&[("IT", "e", 5)]), &commit, &session).await.unwrap();
    assert_eq!(read(&lake, "people", Some(fourth.version)).await, ["IT 5.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_values_reach_neither_log_nor_footer() {
    let (folder, lake) = lake();
    let session = SessionContext::new();
    let spec = people();
    let written =
        lake.append(&spec, rows(&[("FR", "secret@x.fr", 17)]), &Commit::of_run("r42"), &session).await.unwrap();
    assert_eq!(written.version, 0, "one commit");
    let text = log(folder.path(), "people");
    assert!(!text.contains("secret"), "{text}");
    assert!(text.contains("17") && text.contains("minValues"), "other columns keep theirs");
    assert!(text.contains("\"cohorte_run\":\"r42\""));
    assert!(text.contains("\"delta.dataSkippingStatsColumns\":\"n\""));

    let mut files = Vec::new();
    data_files(&folder.path().join("lake/cdp/people"), &mut files);
    assert_eq!(files.len(), 1);
    let reader = SerializedFileReader::new(std::fs::File::open(&files[0]).unwrap()).unwrap();
    for column in reader.metadata().row_group(0).columns() {
        let has = column.statistics().is_some_and(|statistics| statistics.min_bytes_opt().is_some());
        assert_eq!(has, column.column_path().string() != "email", "{}", column.column_path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_becomes_personal_loses_its_statistics() {
    let (folder, lake) = lake();
    let session = SessionContext::new();
    let mut spec = people();
    spec.personal.clear();
    lake.overwrite(&spec, rows(&[("FR", "old", 1)]), &Commit::default(), &session).await.unwrap();
    spec.personal = vec!["email".into(), "n".into()];
    lake.overwrite(&spec, rows(&[("FR", "fresh", 2)]), &Commit::default(), &session).await.unwrap();
    let text = log(folder.path(), "people");
    assert!(!text.contains("fresh"));
    assert!(text.contains("\"delta.dataSkippingNumIndexedCols\":\"0\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_stream_under_the_sessions_memory() {
    let (_folder, lake) = lake();
    let session = SessionContext::new();
    let plan = session
        .sql("select 'FR' country, cast(value as varchar) email, value n from generate_series(1, 50000)")
        .await
        .unwrap()
        .into_optimized_plan()
        .unwrap();
    let written = lake.overwrite(&people(), plan, &Commit::default(), &session).await.unwrap();
    assert_eq!(written.rows, 50_000);
    let table = lake.table("people", None).await.unwrap().unwrap();
    assert_eq!(table.rows().unwrap(), Some(50_000));
    let types: Vec<String> =
        table.schema().unwrap().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Utf8View", "Utf8View", "Int64"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn w404_a_table_that_another_program_gave_another_schema() {
    let (_folder, lake) = lake();
    let session = SessionContext::new();
    let foreign = TableSpec { schema: columns([("n", DataType::Utf8), ("x", DataType::Int64)]), ..people() };
    let foreign = TableSpec { partition_by: vec![], personal: vec![], ..foreign };
    let batch = RecordBatch::try_from_iter([
        ("n", Arc::new(StringArray::from(vec!["1"])) as ArrayRef),
        ("x", Arc::new(StringArray::from(vec!["2"])) as ArrayRef),
    ]);
    lake.append(&foreign, batch.unwrap(), &Commit::default(), &session).await.unwrap();
    let failure = lake.append(&people(), rows(&[("FR", "a", 1)]), &Commit::default(), &session).await.unwrap_err();
    assert_eq!(failure.code, "W404");
    assert!(failure.cause.contains("`n` is Utf8") && failure.cause.contains("`x`"), "{}", failure.cause);
    assert!(failure.doing.contains("people"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_table_gains_the_columns_of_a_newer_version() {
    let (_folder, lake) = lake();
    let session = SessionContext::new();
    let mut old = people();
    old.schema = columns([("country", DataType::Utf8), ("n", DataType::Int64)]);
    old.personal.clear();
    lake.append(&old, rows(&[("FR", "", 1)]), &Commit::default(), &session).await.unwrap();
    lake.append(&people(), rows(&[("FR", "a@x", 2)]), &Commit::default(), &session).await.unwrap();
    let table = lake.table("people", None).await.unwrap().unwrap();
    assert!(table.schema().unwrap().field_with_name("email").is_ok());
    let found = read(&lake, "people", None).await;
    assert!(found.len() == 2 && found[1].contains("a@x"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_input_leaves_the_table_as_it_was() {
    let (_folder, lake) = lake();
    let session = SessionContext::new();
    lake.append(&people(), rows(&[("FR", "a", 1)]), &Commit::default(), &session).await.unwrap();
    let plan = session
        .sql("select 'FR' country, 'b' email, 1 / (value - 5000) n from generate_series(1, 9000)")
        .await
        .unwrap()
        .into_optimized_plan()
        .unwrap();
    let failure = lake.append(&people(), plan, &Commit::default(), &session).await.unwrap_err();
    assert_eq!(failure.code, "W409", "{failure}");
    assert_eq!(lake.version("people").await.unwrap(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_found_again() {
    let (_folder, lake) = lake();
    let session = SessionContext::new();
    let commit = Commit { run: None, transactions: vec!["file-1".into()] };
    lake.append(&people(), rows(&[("FR", "a", 1)]), &commit, &session).await.unwrap();
    let table = lake.table("people", None).await.unwrap().unwrap();
    assert!(table.has_transaction("file-1").await.unwrap());
    assert!(!table.has_transaction("file-2").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_are_put_together_and_a_version_can_be_taken_back() {
    let (folder, lake) = lake();
    let session = SessionContext::new();
    let spec = TableSpec { partition_by: vec![], ..people() };
    assert!(lake.compact(&spec, &Commit::default(), &session).await.unwrap().is_none());
    for n in 0..66 {
        lake.append(&spec, rows(&[("FR", &format!("secret{n}"), n)]), &Commit::default(), &session).await.unwrap();
    }
    let compacted = lake.compact(&spec, &Commit::default(), &session).await.unwrap().unwrap();
    assert_eq!((compacted.version, compacted.files), (66, 1));
    assert_eq!(read(&lake, "people", None).await.len(), 66);
    assert!(!log(folder.path(), "people").contains("secret"));

    assert_eq!(lake.roll_back("people", Some(66), &Commit::default()).await.unwrap(), None);
    assert_eq!(lake.roll_back("people", Some(9), &Commit::default()).await.unwrap(), Some(67));
    assert_eq!(read(&lake, "people", None).await.len(), 10);
    lake.roll_back("people", None, &Commit::default()).await.unwrap();
    assert_eq!(read(&lake, "people", None).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_nobody_reads_any_more_go() {
    let (folder, lake) = lake();
    let (session, commit) = (SessionContext::new(), Commit::of_run("r"));
    let spec = TableSpec { partition_by: vec![], ..people() };
    for n in 0..4 {
        lake.overwrite(&spec, rows(&[("FR", "a", n)]), &commit, &session).await.unwrap();
    }
    let orphan = folder.path().join("lake/cdp/people/part-orphan.parquet");
    std::fs::write(&orphan, "of a run that was killed").unwrap();
    let files = || {
        let names = std::fs::read_dir(folder.path().join("lake/cdp/people")).unwrap();
        names.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "parquet")).count()
    };
    assert_eq!(lake.vacuum("people", 3, chrono::TimeDelta::days(7), &commit).await.unwrap(), None);
    assert_eq!(files(), 5);
    let version = lake.vacuum("people", 2, chrono::TimeDelta::zero(), &commit).await.unwrap().unwrap();
    assert_eq!((files(), orphan.exists()), (2, false));
    for version in [2, 3, version] {
        assert_eq!(read(&lake, "people", Some(version)).await, [format!("FR a {}", version.min(3))]);
    }
    let table = lake.table("people", None).await.unwrap().unwrap();
    assert_eq!(table.commits_of_others(version as usize + 1).await.unwrap(), 0);
    assert_eq!(lake.vacuum("people", 2, chrono::TimeDelta::zero(), &commit).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_put_together_now_and_then() {
    let (folder, lake) = lake();
    for n in 0..21 {
        lake.append(&people(), rows(&[("FR", "a", n)]), &Commit::default(), &SessionContext::new()).await.unwrap();
    }
    let mut names: Vec<String> = std::fs::read_dir(folder.path().join("lake/cdp/people/_delta_log"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name.contains("checkpoint"));
    names.sort();
    assert_eq!(names, ["00000000000000000019.checkpoint.parquet", "_last_checkpoint"]);
    assert!(!log(folder.path(), "people").contains("@"), "no personal data");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_column_names_lists_and_decimals_are_written_and_overwritten() {
    let (folder, lake) = lake();
    let session = SessionContext::new();
    let texts = DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true)));
    let spec = TableSpec {
        schema: columns([
            ("Prénom x", DataType::Utf8View),
            ("d", DataType::Decimal128(38, 9)),
            ("emails", texts),
            ("odd one", DataType::Int64),
        ]),
        partition_by: vec![],
        personal: vec!["emails".into(), "Prénom x".into()],
        ..people()
    };
    let sql = "select 'secret' \"Prénom x\", arrow_cast(1.5, 'Decimal128(38, 9)') d, make_array('secret') emails, 7 \"odd one\"";
    for version in 0..2 {
        let plan = session.sql(sql).await.unwrap().into_optimized_plan().unwrap();
        let written = lake.overwrite(&spec, plan, &Commit::default(), &session).await.unwrap();
        assert_eq!(written.version, version, "nothing changed but the rows");
    }
    assert_eq!(read(&lake, "people", None).await, ["secret 1.500000000 [secret] 7"]);
    let text = log(folder.path(), "people");
    assert!(!text.contains("secret"));
    assert!(text.contains("\"delta.dataSkippingStatsColumns\":\"`odd one`\""), "{text}");
}
