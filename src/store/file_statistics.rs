//! What the log says of a file that was written elsewhere: how many rows it has, and between which values they lie, as its footer
//! tells. Of columns without statistics, which are those with personal data, it says nothing.

use std::fs::File;
use std::path::Path;

use chrono::DateTime;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{max, max_string, min, min_string};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int16Type, Int32Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use datafusion::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::metadata::RowGroupMetaData;
use serde_json::{Map, Value, json};

use super::statistics::open_columns;
use super::stored_types::stored_schema;
use super::write::TableSpec;

/// The statistics of a file, as a table's log has them
/// (<https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics>).
pub(super) fn of_file(path: &Path, spec: &TableSpec) -> Result<String> {
    let metadata = ArrowReaderMetadata::load(&File::open(path)?, ArrowReaderOptions::default())?;
    let groups = metadata.metadata().row_groups();
    let rows: i64 = groups.iter().map(RowGroupMetaData::num_rows).sum();
    let schema: SchemaRef = stored_schema(&spec.schema);
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    for name in open_columns(spec) {
        let Ok(converter) = StatisticsConverter::try_new(&name, &schema, metadata.parquet_schema()) else { continue };
        let (mins, maxes) = (converter.row_group_mins(groups)?, converter.row_group_maxes(groups)?);
        // A group of which nothing is known may hold anything.
        if mins.null_count() == 0
            && maxes.null_count() == 0
            && let Some((low, high)) = bound(&mins, false).zip(bound(&maxes, true))
        {
            least.insert(name.clone(), low);
            greatest.insert(name.clone(), high);
        }
        let counts = converter.row_group_null_counts(groups)?;
        if counts.null_count() == 0 {
            nulls.insert(name, json!(counts.iter().flatten().sum::<u64>()));
        }
    }
    let all = json!({"numRecords": rows, "minValues": least, "maxValues": greatest, "nullCount": nulls});
    Ok(all.to_string())
}

/// The least value, or the greatest; none where the log has no form for it.
fn bound(values: &ArrayRef, upper: bool) -> Option<Value> {
    macro_rules! number {
        ($kind:ty) => {{
            let values = values.as_primitive::<$kind>();
            if upper { max(values) } else { min(values) }
        }};
    }
    match values.data_type() {
        DataType::Int16 => number!(Int16Type).map(Value::from),
        DataType::Int32 => number!(Int32Type).map(Value::from),
        DataType::Int64 => number!(Int64Type).map(Value::from),
        DataType::Float64 => number!(Float64Type).filter(|number| number.is_finite()).map(Value::from),
        DataType::Utf8 => {
            let values = values.as_string::<i32>();
            (if upper { max_string(values) } else { min_string(values) }).map(Value::from)
        }
        DataType::Date32 => {
            let day = DateTime::from_timestamp(i64::from(number!(Date32Type)?) * 86_400, 0)?;
            Some(day.format("%Y-%m-%d").to_string().into())
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let micros = number!(TimestampMicrosecondType)?;
            // The log has milliseconds: what is between must lie within.
            let millis = if upper { micros.checked_add(999)?.div_euclid(1000) } else { micros.div_euclid(1000) };
            Some(DateTime::from_timestamp_millis(millis)?.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    };
    use datafusion::parquet::arrow::ArrowWriter;

    use super::*;
    use crate::store::statistics::writer_properties;

    #[test]
    fn bounds_hold_all_values_and_personal_ones_have_none() {
        let times = TimestampMicrosecondArray::from(vec![Some(1_500), Some(2_000_001), None]).with_timezone("UTC");
        let batch = RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(vec![Some(3), None, Some(-1)])) as ArrayRef),
            ("x", Arc::new(Float64Array::from(vec![1.5, 0.5, 2.5]))),
            ("name", Arc::new(StringArray::from(vec!["b", "a", "c"]))),
            ("email", Arc::new(StringArray::from(vec!["secret@x.fr", "a@x.fr", "b@x.fr"]))),
            ("day", Arc::new(Date32Array::from(vec![0, 365, 1]))),
            ("at", Arc::new(times)),
            ("nothing", Arc::new(Int64Array::from(vec![None, None, None]))),
        ])
        .unwrap();
        let schema = stored_schema(&batch.schema());
        let spec = TableSpec {
            name: "t".into(),
            schema: Arc::clone(&schema),
            partition_by: Vec::new(),
            personal: vec!["email".into()],
            description: String::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let out = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(writer_properties(&spec))).unwrap();
        writer.write(&crate::store::conform("t", &batch, &schema).unwrap()).unwrap();
        writer.close().unwrap();
        let found: Value = serde_json::from_str(&of_file(&path, &spec).unwrap()).unwrap();
        let wanted = json!({
            "numRecords": 3,
            "minValues": {"n": -1, "x": 0.5, "name": "a", "day": "1970-01-01", "at": "1970-01-01T00:00:00.001Z"},
            "maxValues": {"n": 3, "x": 2.5, "name": "c", "day": "1971-01-01", "at": "1970-01-01T00:00:02.001Z"},
            "nullCount": {"n": 1, "x": 0, "name": 0, "day": 0, "at": 1, "nothing": 3},
        });
        assert_eq!(found, wanted);
    }
}
