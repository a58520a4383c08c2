//! `cohorte_repeats`: how many values came before, fast.
//!
//! `count(x) - count(distinct x)` keeps every value. This keeps 8 bytes of each value's digest, sorts them, and counts neighbours that
//! are alike: two different values may be (of 20 million, with odds of 1 in 10⁵), so whoever gets more than zero asks again, exactly.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, LargeListArray, UInt64Array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use xxhash_rust::xxh3::xxh3_64;

use super::functions::call::Text;

/// The function, of one text.
#[must_use]
pub(super) fn udaf() -> AggregateUDF {
    let text = vec![DataType::Utf8View];
    AggregateUDF::new_from_impl(Repeats { signature: Signature::exact(text, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Repeats {
    signature: Signature,
}

impl AggregateUDFImpl for Repeats {
    fn name(&self) -> &'static str {
        "cohorte_repeats"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Digests::default()))
    }

    fn state_fields(&self, _: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new("digests", DataType::LargeList(item()), true))])
    }
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::UInt64, false))
}

/// 8 bytes per value.
#[derive(Debug, Default)]
struct Digests(Vec<u64>);

impl Accumulator for Digests {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let texts = Text::of(values[0].as_ref())?;
        self.0.extend((0..values[0].len()).filter_map(|row| texts.at(row)).map(|text| xxh3_64(text.as_bytes())));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i64>();
        for list in lists.iter().flatten() {
            self.0.extend_from_slice(list.as_primitive::<UInt64Type>().values());
        }
        Ok(())
    }

    /// Sorted, so that the work is done where the rows are: what is merged consists of few runs.
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut digests = std::mem::take(&mut self.0);
        digests.sort_unstable();
        let offsets = OffsetBuffer::from_lengths([digests.len()]);
        let list = LargeListArray::try_new(item(), offsets, Arc::new(UInt64Array::from(digests)), None)?;
        Ok(vec![ScalarValue::LargeList(Arc::new(list))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // The unstable sort would not make use of the runs that are there.
        #[allow(clippy::stable_sort_primitive)]
        self.0.sort();
        let repeats = self.0.windows(2).filter(|pair| pair[0] == pair[1]).count();
        Ok(ScalarValue::Int64(Some(repeats as i64)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.0.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    #[tokio::test]
    async fn what_came_before_is_counted_however_rows_are_split() {
        for partitions in [1, 4] {
            let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(partitions));
            ctx.register_udaf(udaf());
            let sql = "select cohorte_repeats(cast(nullif(value % 700, 5) as varchar)), cohorte_repeats(cast(value as varchar)) \
                       from generate_series(1, 1000)";
            let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
            let counts: Vec<i64> =
                batches[0].columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect();
            assert_eq!(counts, [299, 0], "{partitions}");
        }
    }
}
