//! Readers of files of every format: what they read, and what they refuse.

use datafusion::arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};

use super::testing::{csv, gzip, ndjson, parquet, parquet_bytes, project, typed, types};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn csv_types_are_judged_and_declared_ones_win() {
    let text = b"id,zip,amount,at,ok,day,code\n1,01000,2.5,2026-01-31T09:00:00Z,true,2026-01-31,7\n2,,3,2026-02-01 10:00,FALSE,,8\n";
    let project = project(&[("a.csv", text)]);
    let spec = typed(csv("a.csv"), &[("code", DataType::Text), ("amount", DataType::Decimal)]);
    let opened = project.open(&spec).await.unwrap();
    let micros = "Timestamp(µs, \"UTC\")";
    assert_eq!(types(&opened), ["Int64", "Utf8View", "Decimal128(38, 9)", micros, "Boolean", "Date32", "Utf8View"]);
    assert_eq!(
        project.rows(&spec).await.unwrap(),
        ["1|01000|2.500000000|2026-01-31T09:00:00Z|true|2026-01-31|7", "2||3.000000000|2026-02-01T10:00:00Z|false||8"]
    );
    let paris = ReaderSpec { timezone: Some(chrono_tz::Europe::Paris), ..spec };
    assert!(project.rows(&paris).await.unwrap()[1].contains("2026-02-01T09:00:00Z"));
    assert_eq!(project.query(&opened, "select count(*) from t").await.unwrap(), ["2"]);
    assert_eq!(project.query(&opened, "select code, id from t where id = 2").await.unwrap(), ["8|2"]);
    assert_eq!(project.query(&opened, "select id from t limit 1").await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_with_mark_semicolons_carriage_returns_and_quoted_line_breaks() {
    let text = "\u{feff}name;note\r\n\"Ann; B\";\"one\r\ntwo\"\r\nBob;\"say \"\"hi\"\"\"\r\n";
    let project = project(&[("a.csv", text.as_bytes())]);
    let opened = project.open(&csv("a.csv")).await.unwrap();
    let found = project.query(&opened, "select name, replace(replace(note, chr(13), ''), chr(10), '/') from t").await;
    assert_eq!(found.unwrap(), ["Ann; B|one/two", "Bob|say \"hi\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn globs_folders_and_gzip_are_read_and_rows_are_named() {
    let two = gzip(b"id,extra\n2,x\n3,y\n");
    let project = project(&[("data/a/1.csv", b"id\n1\n"), ("data/b/2.csv.gz", &two), ("data/b/note.md", b"no")]);
    let mut spec = csv("data/*/*.csv*");
    assert_eq!(project.rows(&spec).await.unwrap(), ["1|", "2|x", "3|y"], "columns are united by name");
    spec.want_row = true;
    assert_eq!(project.rows(&spec).await.unwrap(), ["1||a/1.csv:1", "2|x|b/2.csv.gz:1", "3|y|b/2.csv.gz:2"]);
    assert_eq!(project.rows(&csv("data/b")).await.unwrap(), ["2|x", "3|y"], "a folder's files of the format");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fingerprint_changes_with_the_files() {
    let project = project(&[("a.csv", b"id\n1\n"), ("b.csv", b"id\n2\n")]);
    let first = project.open(&csv("*.csv")).await.unwrap();
    assert_eq!(first.fingerprint, project.open(&csv("*.csv")).await.unwrap().fingerprint);
    assert_eq!(first.paths.len(), 2);
    std::fs::write(project.folder.path().join("b.csv"), "id\n22\n").unwrap();
    assert_ne!(first.fingerprint, project.open(&csv("*.csv")).await.unwrap().fingerprint);
}

#[tokio::test(flavor = "multi_thread")]
async fn e301_a_file_that_is_missing_or_a_glob_that_finds_nothing() {
    let project = project(&[]);
    for path in ["a.csv", "data/*.csv"] {
        let failure = project.failure(&csv(path)).await;
        assert_eq!(failure.code, "E301");
        assert!(failure.cause.contains(path));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e302_an_empty_file_but_a_header_alone_is_an_empty_source() {
    let project =
        project(&[("zero.csv", b""), ("head.csv", b"id,name\n"), ("zero.ndjson", b""), ("zero.parquet", b"")]);
    assert_eq!(project.failure(&csv("zero.csv")).await.code, "E302");
    assert_eq!(project.failure(&ndjson("zero.ndjson")).await.code, "E302");
    assert_eq!(project.failure(&parquet("zero.parquet")).await.code, "E302");
    assert_eq!(project.rows(&csv("head.csv")).await.unwrap().len(), 0);
    assert_eq!(types(&project.open(&csv("head.csv")).await.unwrap()), ["Utf8View", "Utf8View"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn e303_a_ragged_line() {
    let project = project(&[("a.csv", b"id,name\n1,\"x\ny\"\n2,secret,z\n")]);
    let failure = project.failure(&csv("a.csv")).await;
    assert_eq!(failure.code, "E303");
    assert_eq!(failure.cause, "`a.csv`, line 4, has 3 values where the header has 2 columns");
}

#[tokio::test(flavor = "multi_thread")]
async fn e304_another_encoding() {
    let utf16: Vec<u8> = "\u{feff}id\n1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let project =
        project(&[("a.csv", b"id,name\n1,ok\n2,Andr\xe9\n"), ("b.csv", &utf16), ("c.ndjson", b"{\"a\":\"\xe9\"}\n")]);
    let failure = project.failure(&csv("a.csv")).await;
    assert_eq!(failure.code, "E304");
    assert_eq!(failure.cause, "`a.csv`, line 3, in the column `name`, is not UTF-8");
    assert_eq!(project.failure(&csv("b.csv")).await.code, "E304");
    assert_eq!(project.failure(&ndjson("c.ndjson")).await.code, "E304");
}

#[tokio::test(flavor = "multi_thread")]
async fn e305_a_type_that_changes_half_way() {
    let mut text = String::from("id,price\n");
    for id in 0..(2 * SAMPLE_ROWS) {
        text.push_str(&format!("{id},{}\n", if id == SAMPLE_ROWS + 10 { "secret" } else { "7" }));
    }
    let project = project(&[("a.csv", text.as_bytes()), ("b.csv", b"n\n7\n"), ("c.ndjson", b"{\"n\":\"x\"}\n")]);
    let failure = project.failure(&csv("a.csv")).await;
    assert_eq!(failure.code, "E305");
    assert_eq!(failure.cause, format!("`a.csv`, line {}, column `price`: the value is no integer", SAMPLE_ROWS + 12));
    assert!(failure.help.contains("`price: {type: text}`") && !failure.to_string().contains("secret"));
    let text = typed(csv("a.csv"), &[("price", DataType::Text)]);
    assert_eq!(project.rows(&text).await.unwrap().len(), 2 * SAMPLE_ROWS);
    let date = typed(csv("b.csv"), &[("n", DataType::Date)]);
    assert_eq!(project.failure(&date).await.code, "E305");
    assert_eq!(project.failure(&typed(ndjson("c.ndjson"), &[("n", DataType::Integer)])).await.code, "E305");
}

#[tokio::test(flavor = "multi_thread")]
async fn e306_a_declared_column_that_is_not_there() {
    let bytes = parquet_bytes(vec![("id", Arc::new(Int64Array::from(vec![1])))]);
    let project = project(&[("a.csv", b"customer_id,name\n1,x\n"), ("a.parquet", &bytes)]);
    let failure = project.failure(&typed(csv("a.csv"), &[("custmer_id", DataType::Text)])).await;
    assert_eq!((failure.code, failure.help.as_str()), ("E306", "did you mean `customer_id`?"));
    assert_eq!(project.failure(&typed(parquet("a.parquet"), &[("zzz", DataType::Text)])).await.help, "it has: id");
}

#[tokio::test(flavor = "multi_thread")]
async fn e307_column_names_that_are_missing_twice_there_or_ours() {
    let project = project(&[("a.csv", b"id,id\n1,2\n"), ("b.csv", b"id,,x\n1,2,3\n"), ("c.csv", b"_row\n1\n")]);
    assert!(project.failure(&csv("a.csv")).await.cause.contains("two columns are called `id`"));
    assert!(project.failure(&csv("b.csv")).await.cause.contains("the column number 2 has no name"));
    let ours = ReaderSpec { want_row: true, ..csv("c.csv") };
    assert_eq!(project.failure(&ours).await.code, "E307");
}

#[tokio::test(flavor = "multi_thread")]
async fn ndjson_nested_values_become_text_and_shapes_may_drift() {
    let text = concat!(
        "{\"id\":1,\"at\":\"2026-01-31T09:00:00+01:00\",\"props\":{\"a\":[1,2]},\"tags\":[\"x\",null],\"n\":1}\n",
        "\n",
        "{\"id\":2,\"props\":\"plain\",\"tags\":[],\"n\":2.5,\"extra\":true,\"e\":\"\"}\n",
    );
    let project = project(&[("a.ndjson", text.as_bytes())]);
    let spec = typed(ndjson("a.ndjson"), &[("tags", DataType::TextList), ("later", DataType::Date)]);
    let opened = project.open(&spec).await.unwrap();
    assert_eq!(opened.schema.fields().len(), 8, "the declared column is there");
    let sql = "select id, at, props, tags, n, extra, later, e = '' from t";
    assert_eq!(
        project.query(&opened, sql).await.unwrap(),
        ["1|2026-01-31T08:00:00Z|{\"a\":[1,2]}|[x, ]|1.0|||", "2||plain|[]|2.5|true||true"]
    );
    let row = ReaderSpec { want_row: true, ..ndjson("a.ndjson") };
    let opened = project.open(&row).await.unwrap();
    assert_eq!(project.query(&opened, "select _row from t").await.unwrap(), ["a.ndjson:1", "a.ndjson:2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_array_is_read_like_lines_and_empty_files_among_others_are_fine() {
    let project = project(&[("a.json", b"[\n {\"id\": 1},\n {\"id\": 2, \"x\": null}\n]"), ("b.json", b"")]);
    assert_eq!(project.rows(&ndjson("*.json")).await.unwrap(), ["1|", "2|"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn e308_lines_that_are_no_objects() {
    let first = b"{\"id\":1}\n{\"id\":\n";
    let project = project(&[
        ("a.ndjson", first),
        ("b.ndjson", b"7\n"),
        ("c.json", b"[{\"id\":1}, 7]"),
        ("d.json", b"[{\"id\":1}, "),
    ]);
    let failure = project.failure(&ndjson("a.ndjson")).await;
    assert_eq!(failure.code, "E308");
    assert_eq!(failure.cause, "`a.ndjson`, line 2, ends in the middle of a JSON value");
    for path in ["b.ndjson", "c.json", "d.json"] {
        assert_eq!(project.failure(&ndjson(path)).await.code, "E308", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_is_united_by_name_and_rows_are_named() {
    let one = parquet_bytes(vec![("id", Arc::new(Int64Array::from(vec![1, 2])))]);
    let two = parquet_bytes(vec![
        ("name", Arc::new(StringArray::from(vec!["x"]))),
        ("id", Arc::new(Int64Array::from(vec![3]))),
    ]);
    let project = project(&[("p q/1.parquet", &one), ("p q/2.parquet", &two)]);
    let spec = parquet("p q/*.parquet");
    assert_eq!(types(&project.open(&spec).await.unwrap()), ["Int64", "Utf8View"]);
    assert_eq!(project.rows(&spec).await.unwrap(), ["1|", "2|", "3|x"]);
    let spec = ReaderSpec { want_row: true, ..spec };
    assert_eq!(project.rows(&spec).await.unwrap(), ["1||1.parquet:1", "2||1.parquet:2", "3|x|2.parquet:1"]);
    let opened = project.open(&spec).await.unwrap();
    assert_eq!(project.query(&opened, "select _row from t where id = 3").await.unwrap(), ["2.parquet:1"]);
    assert_eq!(project.query(&opened, "select count(*) from t").await.unwrap(), ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn e309_parquet_files_that_disagree() {
    let one = parquet_bytes(vec![("id", Arc::new(Int64Array::from(vec![1])))]);
    let two = parquet_bytes(vec![("id", Arc::new(StringArray::from(vec!["x"])))]);
    let project = project(&[("1.parquet", &one), ("2.parquet", &two)]);
    let failure = project.failure(&parquet("*.parquet")).await;
    assert_eq!(failure.code, "E309");
    assert_eq!(failure.cause, "the column `id` is Utf8View in `2.parquet` and Int64 in the files before it");
}

#[tokio::test(flavor = "multi_thread")]
async fn e310_files_that_are_not_what_they_seem() {
    let mut broken = gzip(&b"id\n".repeat(1000));
    broken.truncate(20);
    let project = project(&[("a.parquet", b"no parquet at all"), ("b.csv.gz", &broken)]);
    assert_eq!(project.failure(&parquet("a.parquet")).await.code, "E310");
    assert_eq!(project.failure(&csv("b.csv.gz")).await.code, "E310");
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_are_read_like_paths() {
    let one = parquet_bytes(vec![("id", Arc::new(Int64Array::from(vec![1])))]);
    let zipped = gzip(b"id\n3\n");
    let project = project(&[
        ("d/1.csv", b"id\n1\n2\n"),
        ("d/2.csv.gz", &zipped),
        ("d/e/4.csv", b"id\n4\n"),
        ("d/x.parquet", &one),
        ("d/y.ndjson", b"{\"id\":5}\n"),
    ]);
    let root = url::Url::from_directory_path(project.folder.path()).unwrap();
    for (path, rows) in [
        ("d/1.csv", vec!["1|1.csv:1", "2|1.csv:2"]),
        ("d/", vec!["1|1.csv:1", "2|1.csv:2", "3|2.csv.gz:1"]),
        ("d/*/*.csv", vec!["4|e/4.csv:1"]),
        ("d/?.csv.gz", vec!["3|2.csv.gz:1"]),
    ] {
        let spec = ReaderSpec { want_row: true, ..csv(&format!("{root}{path}")) };
        assert_eq!(project.rows(&spec).await.unwrap(), rows, "{path}");
    }
    assert_eq!(project.rows(&ndjson(&format!("{root}d/y.ndjson"))).await.unwrap(), ["5"]);
    for want_row in [false, true] {
        let spec = ReaderSpec { want_row, ..parquet(&format!("{root}d/*.parquet")) };
        assert_eq!(project.rows(&spec).await.unwrap(), [if want_row { "1|x.parquet:1" } else { "1" }]);
    }
    assert_eq!(project.failure(&csv(&format!("{root}d/none.csv"))).await.code, "E301");
    assert_eq!(project.failure(&csv("ftp://host/a.csv")).await.code, "W401");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    /// Whatever is in a cell comes out as it went in, for every delimiter and either line end; an empty cell is null.
    #[test]
    fn cells_survive(
        rows in proptest::collection::vec(("\\PC{0,8}|[,;\t|\"\r\n ]{0,6}", "[a-z,;\"\n]{0,6}"), 1..20),
        delimiter in proptest::sample::select(vec![b',', b';', b'\t', b'|']),
        crlf: bool,
    ) {
        let terminator = if crlf { ::csv::Terminator::CRLF } else { ::csv::Terminator::Any(b'\n') };
        let mut writer = ::csv::WriterBuilder::new().delimiter(delimiter).terminator(terminator).from_writer(Vec::new());
        writer.write_record(["first", "second"]).unwrap();
        for (first, second) in &rows {
            writer.write_record([first, second]).unwrap();
        }
        let project = project(&[("a.csv", &writer.into_inner().unwrap())]);
        let spec = typed(csv("a.csv"), &[("first", DataType::Text), ("second", DataType::Text)]);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let found: Vec<(String, String)> = runtime.block_on(async {
            let opened = project.open(&spec).await.unwrap();
            let batches = project.session.read_table(opened.provider).unwrap().collect().await.unwrap();
            let text = |batch: &RecordBatch, column: usize, row: usize| {
                let column = batch.column(column).as_string_view();
                if column.is_null(row) { String::new() } else { column.value(row).to_owned() }
            };
            batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| (text(batch, 0, row), text(batch, 1, row)))).collect()
        });
        proptest::prop_assert_eq!(found, rows);
    }
}
