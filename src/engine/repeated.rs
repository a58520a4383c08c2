//! `cohorte_is_repeated(text)`: texts that may be there more than once, so that only their rows are ordered to find the first of each.
//!
//! Of millions of keys hardly any is there twice. To know which takes 8 bytes of each; to number the rows of each key takes a sort of them
//! all. What is kept is a digest: now and then it takes a text for repeated that is not, which costs time and changes nothing.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use xxhash_rust::xxh3::xxh3_64;

use super::functions::call::Text;

/// Reads a statement of one text, and makes `cohorte_is_repeated` known to the session. Gives how many texts may be there more than
/// once. Costs 8 bytes per row, and as much again while it grows.
pub async fn find(session: &SessionContext, sql: &str) -> Result<usize> {
    let mut digests = Vec::new();
    let mut stream = session.sql(sql).await?.execute_stream().await?;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let texts = Text::of(batch.column(0).as_ref())?;
        digests.extend((0..batch.num_rows()).filter_map(|row| digest(&texts, row)));
    }
    digests.sort_unstable();
    let mut repeated: Vec<u64> = digests.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    repeated.dedup();
    let count = repeated.len();
    let function = IsRepeated { repeated: Arc::from(repeated), signature: Signature::any(1, Volatility::Stable) };
    session.register_udf(ScalarUDF::new_from_impl(function));
    Ok(count)
}

fn digest(texts: &Text<'_>, row: usize) -> Option<u64> {
    texts.at(row).map(|text| xxh3_64(text.as_bytes()))
}

#[derive(Debug)]
struct IsRepeated {
    /// Sorted.
    repeated: Arc<[u64]>,
    signature: Signature,
}

impl PartialEq for IsRepeated {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.repeated, &other.repeated)
    }
}

impl Eq for IsRepeated {}

impl Hash for IsRepeated {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for IsRepeated {
    fn name(&self) -> &'static str {
        "cohorte_is_repeated"
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
        let [texts] = arrays.as_slice() else { return exec_err!("a text was expected") };
        let view = Text::of(texts.as_ref())?;
        let is_repeated = |row| digest(&view, row).is_some_and(|digest| self.repeated.binary_search(&digest).is_ok());
        let found = (0..texts.len()).map(|row| Some(is_repeated(row))).collect::<BooleanArray>();
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::pretty::pretty_format_batches;

    use super::*;

    #[tokio::test]
    async fn texts_that_are_there_more_than_once() {
        let session = SessionContext::new();
        let rows = "select * from (values ('a'), ('b'), ('a'), (null), (null), ('c'), ('b'), ('b')) as t(k)";
        assert_eq!(find(&session, rows).await.unwrap(), 2);
        let sql = format!("select k, cohorte_is_repeated(k) as r from ({rows}) as t group by k order by k");
        let batches = session.sql(&sql).await.unwrap().collect().await.unwrap();
        let shown = pretty_format_batches(&batches).unwrap().to_string();
        let shown: Vec<&str> = shown.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        assert_eq!(shown, ["| a | true  |", "| b | true  |", "| c | false |", "|   | false |"]);
    }
}
