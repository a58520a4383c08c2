//! `cohorte_is_same(key, hash)`: rows that are on both sides of a difference, so that only the others are joined.
//!
//! Of millions of rows that were delivered, most are desired as they are. Whether a row is among them takes 24 bytes of it;
//! to join it takes all of its columns.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::digest::{AsIs, Digest};
use super::functions::call::Text;

/// Is the row on the other side, too? Costs 24 bytes each, and as much again before it grows.
type Rows = HashMap<Digest, bool, BuildHasherDefault<AsIs>>;

/// Compares two statements of two texts each, a key and a hash, and makes `cohorte_is_same` known to the session: true of the pairs that
/// both have. Gives how many these are.
pub async fn compare(session: &SessionContext, one: &str, other: &str) -> Result<u64> {
    let mut rows = Rows::default();
    each(session, one, |digest| {
        rows.insert(digest, false);
    })
    .await?;
    if !rows.is_empty() {
        each(session, other, |digest| {
            if let Some(both) = rows.get_mut(&digest) {
                *both = true;
            }
        })
        .await?;
    }
    let same = rows.values().filter(|both| **both).count() as u64;
    let function = IsSame { rows: Arc::new(rows), signature: Signature::any(2, Volatility::Stable) };
    session.register_udf(ScalarUDF::new_from_impl(function));
    Ok(same)
}

async fn each(session: &SessionContext, sql: &str, mut take: impl FnMut(Digest)) -> Result<()> {
    let mut stream = session.sql(sql).await?.execute_stream().await?;
    while let Some(batch) = stream.next().await {
        let batch: RecordBatch = batch?;
        let [keys, hashes] = batch.columns() else { return exec_err!("a key and a hash were expected") };
        let (keys, hashes) = (Text::of(keys.as_ref())?, Text::of(hashes.as_ref())?);
        (0..batch.num_rows()).filter_map(|row| digest(&keys, &hashes, row)).for_each(&mut take);
    }
    Ok(())
}

fn digest(keys: &Text<'_>, hashes: &Text<'_>, row: usize) -> Option<Digest> {
    Some(Digest::of_pair(keys.at(row)?, hashes.at(row)?))
}

#[derive(Debug)]
struct IsSame {
    rows: Arc<Rows>,
    signature: Signature,
}

impl PartialEq for IsSame {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rows, &other.rows)
    }
}

impl Eq for IsSame {}

impl Hash for IsSame {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for IsSame {
    fn name(&self) -> &'static str {
        "cohorte_is_same"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    /// Never null.
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [keys, hashes] = arrays.as_slice() else { return exec_err!("a key and a hash were expected") };
        let (keys, hashes) = (Text::of(keys.as_ref())?, Text::of(hashes.as_ref())?);
        let is_same = |row| digest(&keys, &hashes, row).is_some_and(|one| self.rows.get(&one) == Some(&true));
        let rows = arrays[0].len();
        Ok(ColumnarValue::Array(Arc::new((0..rows).map(|row| Some(is_same(row))).collect::<BooleanArray>())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pairs_that_both_have() {
        let session = SessionContext::new();
        let one = "select * from (values ('a', '1'), ('b', '1'), ('c', null), ('d', '4')) as t(k, h)";
        let other = "select * from (values ('b', '1'), ('a', '2'), ('c', null), ('d', '4'), ('e', '5')) as t(k, h)";
        assert_eq!(compare(&session, one, other).await.unwrap(), 2);
        let sql = format!("select k from ({other}) as o where not cohorte_is_same(k, h) order by k");
        let batches = session.sql(&sql).await.unwrap().collect().await.unwrap();
        let shown = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        let keys: Vec<&str> = shown.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        assert_eq!(keys, ["| a |", "| c |", "| e |"]);
    }
}
