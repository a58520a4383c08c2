//! `cohorte_since_<entity>(id, digest)`: since when a customer has been as this digest of it says; null where it was not so before.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;

use super::call::{Text, UTC};
use crate::engine::Held;
use crate::engine::roster::Roster;

/// What customers were, and since when. Costs 16 bytes each.
#[derive(Debug)]
pub struct Since {
    roster: Arc<Roster>,
    /// By place: the digest, and when it was new, in microseconds.
    known: Vec<Option<(i64, i64)>>,
    /// The memory of it.
    held: Option<Held>,
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

impl Since {
    /// Nothing is known of anybody.
    #[must_use]
    pub fn new(roster: Arc<Roster>) -> Self {
        Self { known: vec![None; roster.len()], roster, held: None }
    }

    /// Counts its memory, and that of the roster.
    pub fn count(&mut self, session: &SessionContext) -> Result<()> {
        let size = self.known.capacity() * size_of::<Option<(i64, i64)>>() + self.roster.len() * 10;
        self.held = Some(Held::with(session, "since when customers are as they are", size)?);
        Ok(())
    }

    /// Adds rows: id, digest, since when.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let [ids, digests, since] = batch.columns() else { return exec_err!("what customers were is three columns") };
        let (ids, digests, since) =
            (Text::of(ids.as_ref())?, cast(digests, &DataType::Int64)?, cast(since, &instant())?);
        let (digests, since) = (digests.as_primitive::<Int64Type>(), since.as_primitive::<TimestampMicrosecondType>());
        for row in (0..batch.num_rows()).filter(|row| digests.is_valid(*row) && since.is_valid(*row)) {
            let place = ids.at(row).and_then(|id| id.parse().ok()).and_then(|id| self.roster.place(id));
            if let Some(known) = place.and_then(|place| self.known.get_mut(place as usize)) {
                *known = Some((digests.value(row), since.value(row)));
            }
        }
        Ok(())
    }

    fn at(&self, id: Option<&str>, digest: i64) -> Option<i64> {
        let place = self.roster.place(id?.parse().ok()?)?;
        self.known.get(place as usize).copied().flatten().filter(|(known, _)| *known == digest).map(|(_, since)| since)
    }
}

/// Registers it for an entity.
pub fn register(ctx: &SessionContext, entity: &str, since: Since) {
    let (name, since) = (format!("cohorte_since_{entity}"), Arc::new(since));
    let signature = Signature::any(2, Volatility::Immutable);
    ctx.register_udf(ScalarUDF::new_from_impl(Asked { name, since, signature }));
}

#[derive(Debug)]
struct Asked {
    name: String,
    since: Arc<Since>,
    signature: Signature,
}

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.since, &other.since)
    }
}

impl Eq for Asked {}

impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Asked {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(instant())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [ids, digests] = args.args.as_slice() else { return exec_err!("{} takes an id and a digest", self.name) };
        let (ids, digests) = (ids.to_array(rows)?, digests.to_array(rows)?);
        let (ids, Some(digests)) = (Text::of(ids.as_ref())?, digests.as_primitive_opt::<Int64Type>()) else {
            return exec_err!("{} takes a digest, not a {}", self.name, digests.data_type());
        };
        let since = (0..rows).map(|row| self.since.at(ids.at(row), digests.value(row)));
        let since: ArrayRef = Arc::new(since.collect::<TimestampMicrosecondArray>().with_timezone(UTC));
        Ok(ColumnarValue::Array(since))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, StringArray};

    use super::*;

    #[tokio::test]
    async fn who_is_as_before_has_been_so_since() {
        let (a, b, c) = ("c_0a000000000000000000", "c_0b000000000000000000", "c_0c000000000000000000");
        let roster = Arc::new(Roster::of([a, b].iter().map(|id| id.parse().unwrap()).collect()));
        let mut since = Since::new(roster);
        let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![10, 20, 30]).with_timezone(UTC));
        let before = RecordBatch::try_from_iter([
            ("id", Arc::new(StringArray::from(vec![b, a, c])) as ArrayRef),
            ("digest", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            ("since", at),
        ]);
        since.add(&before.unwrap()).unwrap();
        let ctx = SessionContext::new();
        register(&ctx, "customer", since);
        let sql = format!(
            "select arrow_cast(cohorte_since_customer(id, d), 'Int64') from \
             (values ('{b}', 1), ('{a}', 1), ('{a}', 2), ('{c}', 3), (null, 1), ('x', 1)) v(id, d)"
        );
        let batches = ctx.sql(&sql).await.unwrap().collect().await.unwrap();
        let found: &Int64Array = batches[0].column(0).as_primitive();
        assert_eq!(found.iter().collect::<Vec<_>>(), [Some(10), None, Some(20), None, None, None]);
    }
}
