//! Relations side by side, however they lie in files.

use datafusion::arrow::array::{Int64Array, StringViewArray};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use super::*;

/// Rows whose number is `times` their place, in files that end at these places, in small groups.
fn files(folder: &std::path::Path, column: &str, times: i64, ends: &[i64], group: usize) -> InOrder {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8View, true),
        Field::new(column, DataType::Int64, true),
    ]));
    let mut start = 0;
    let file = |end: &i64| {
        let path = folder.join(format!("{column}-{start:05}.parquet"));
        let ids: StringViewArray = (start..*end).map(|place| Some(place.to_string())).collect();
        let numbers = Int64Array::from_iter_values((start..*end).map(|place| place * times));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(ids), Arc::new(numbers)]).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
        let out = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(out, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        start = *end;
        let size = std::fs::metadata(&path).unwrap().len();
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
        let path = object_store::path::Path::from_absolute_path(path).unwrap();
        RowFile { store, path, size, rows: batch.num_rows() }
    };
    let files: Vec<RowFile> = ends.iter().map(file).collect();
    InOrder::files(Arc::clone(&schema), files)
}

#[tokio::test]
async fn rows_stand_beside_those_of_the_same_place_however_they_lie_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let one = files(folder.path(), "one", 1, &[20_000], 7_000);
    let two = files(folder.path(), "two", 2, &[1, 8_191, 8_193, 20_000], 3_000);
    let three = files(folder.path(), "three", 3, &[10_000, 20_000], 65_536);
    for threads in [1, 2, 3, 7] {
        let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(threads));
        let zipped = Zipped::of(vec![one.clone(), two.clone(), three.clone()]).unwrap();
        assert_eq!(zipped.schema().fields().len(), 4, "an id of each is one");
        ctx.register_table("zipped", Arc::new(zipped)).unwrap();
        let sql = "select count(*), count(distinct id), sum(one), bool_and(two = 2 * one and three = 3 * one and \
                   id = cast(one as varchar)) from zipped";
        let rows = ctx.sql(sql).await.unwrap().collect().await.unwrap();
        let shown = pretty_format_batches(&rows).unwrap().to_string();
        assert!(shown.contains("| 20000    | 20000"), "{shown}");
        assert!(shown.contains("199990000") && shown.contains("true"), "{shown}");
        // A column alone, and none at all.
        for sql in ["select max(three) from zipped", "select 3 * (count(*) - 1) from zipped"] {
            let rows = ctx.sql(sql).await.unwrap().collect().await.unwrap();
            assert!(pretty_format_batches(&rows).unwrap().to_string().contains("59997"), "{sql}");
        }
    }
}

#[tokio::test]
async fn relations_of_other_customers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (files(folder.path(), "one", 1, &[5], 10), files(folder.path(), "two", 1, &[6], 10));
    assert!(Zipped::of(vec![one.clone(), two]).unwrap_err().to_string().contains("[5, 6] rows"));
    // A file that lost rows is no shorter table.
    let From::Files(mut files) = one.from else { panic!() };
    files[0].rows = 7;
    let short = Zipped::of(vec![InOrder::files(one.columns, files)]).unwrap();
    let ctx = SessionContext::new();
    ctx.register_table("short", Arc::new(short)).unwrap();
    let error = ctx.sql("select one from short").await.unwrap().collect().await.unwrap_err().to_string();
    assert!(error.contains("fewer rows"), "{error}");
}
