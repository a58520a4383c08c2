//! `cohorte_record_<entity>`, `cohorte_tuple_<entity>`, `cohorte_holder_<entity>`: whose a row is, looked up in memory, as a place in
//! the [`Roster`].
//!
//! A join that finds the customers of a source's rows copies every column of every row to add one; these functions add one.
//! They are known to the session of a build alone: `compile` prints joins, which any engine runs, and a test wants the
//! same rows of both.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, UInt32Array, new_null_array};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;

use super::call::Text;
use super::json_value::Values;
use super::key::push_key;
use crate::engine::Held;
use crate::engine::digest::{Digest, Digests};
use crate::engine::roster::Roster;

/// (group, key) → place. Costs about 40 bytes per key.
#[derive(Debug, Default)]
pub struct Lookup {
    groups: BTreeMap<String, Digests>,
    /// The memory of it.
    held: Option<Held>,
}

impl Lookup {
    /// Of keys by group.
    pub(crate) fn of(groups: BTreeMap<String, Digests>) -> Self {
        Self { groups, held: None }
    }

    /// Counts its memory: 24 bytes per key that there is room for, and one to find it by.
    pub(crate) fn count(&mut self, session: &SessionContext) -> Result<()> {
        let size = self.groups.values().map(|keys| keys.capacity() * 25).sum();
        self.held = Some(Held::with(session, "whose each record is", size)?);
        Ok(())
    }

    /// Adds rows: the group, the key, the id; all of them texts. Those of whom the roster does not know are left out.
    pub fn add(&mut self, batch: &RecordBatch, roster: &Roster) -> Result<()> {
        let [groups, keys, ids] = batch.columns() else { return exec_err!("a lookup is made of three columns") };
        let (groups, keys, ids) = (Text::of(groups.as_ref())?, Text::of(keys.as_ref())?, Text::of(ids.as_ref())?);
        // Rows of a group follow one another.
        let mut open: Option<(String, Digests)> = None;
        for row in 0..batch.num_rows() {
            let place = ids.at(row).and_then(|id| id.parse().ok()).and_then(|id| roster.place(id));
            let (Some(group), Some(key), Some(place)) = (groups.at(row), keys.at(row), place) else { continue };
            if open.as_ref().is_none_or(|(name, _)| name != group) {
                self.groups.extend(open.take());
                open = Some((group.to_owned(), self.groups.remove(group).unwrap_or_default()));
            }
            if let Some((_, places)) = &mut open {
                places.insert(Digest::of(key), place);
            }
        }
        self.groups.extend(open);
        Ok(())
    }
}

/// Makes an entity's records, tuples of identifiers and holders of identifiers findable.
pub fn register(ctx: &SessionContext, entity: &str, records: Lookup, holders: Lookup) {
    let records = Arc::new(records);
    let functions = [
        ("record", By::Text, Arc::clone(&records)),
        ("tuple", By::Values, records),
        ("holder", By::Text, Arc::new(holders)),
    ];
    for (what, by, lookup) in functions {
        // Volatile, so that a filter on what is found is not pushed below: it would look everything up once more.
        let signature = match by {
            By::Text => Signature::any(2, Volatility::Volatile),
            By::Values => Signature::variadic_any(Volatility::Volatile),
        };
        let name = format!("cohorte_{what}_{entity}");
        ctx.register_udf(ScalarUDF::new_from_impl(Find { name, by, lookup, signature }));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum By {
    /// One text.
    Text,
    /// Several values, as `cohorte_key` spells them.
    Values,
}

#[derive(Debug)]
struct Find {
    name: String,
    by: By,
    lookup: Arc<Lookup>,
    signature: Signature,
}

/// One entity is looked up in one place.
impl PartialEq for Find {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.lookup, &other.lookup)
    }
}

impl Eq for Find {}

impl Hash for Find {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Find {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [ColumnarValue::Scalar(group), keys @ ..] = args.args.as_slice() else {
            return exec_err!("{} takes a group that is constant, and a key", self.name);
        };
        let Some(places) = group.try_as_str().flatten().and_then(|group| self.lookup.groups.get(group)) else {
            return Ok(ColumnarValue::Array(new_null_array(&DataType::UInt32, rows)));
        };
        let keys: Vec<ArrayRef> = keys.iter().map(|key| key.to_array(rows)).collect::<Result<_>>()?;
        // Digests first: nothing stands between the looks into the table then, and several wait for memory at once.
        let mut digests = Vec::with_capacity(rows);
        match (self.by, keys.as_slice()) {
            (By::Text, [keys]) => {
                let keys = Text::of(keys.as_ref())?;
                digests.extend((0..rows).map(|row| keys.at(row).map(Digest::of)));
            }
            (By::Text, _) => return exec_err!("{} takes one key", self.name),
            (By::Values, keys) => {
                let values = keys.iter().map(Values::new).collect::<Result<Vec<_>>>()?;
                let mut key = String::new();
                for row in 0..rows {
                    key.clear();
                    digests.push(push_key(&mut key, &values, row).then(|| Digest::of(&key)));
                }
            }
        }
        let found: UInt32Array =
            digests.into_iter().map(|digest| digest.and_then(|digest| places.get(&digest).copied())).collect();
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::StringArray;

    fn lookup(roster: &Roster, rows: &[(&str, &str, &str)]) -> Lookup {
        let column = |of: fn(&(&'static str, &'static str, &'static str)) -> &'static str, rows: &[_]| {
            Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
        };
        let rows: Vec<(&'static str, &'static str, &'static str)> = rows
            .iter()
            .map(|(group, key, id)| {
                (&*(*group).to_owned().leak(), &*(*key).to_owned().leak(), &*(*id).to_owned().leak())
            })
            .collect();
        let batch = RecordBatch::try_from_iter([
            ("group", column(|row| row.0, &rows)),
            ("key", column(|row| row.1, &rows)),
            ("id", column(|row| row.2, &rows)),
        ]);
        let mut lookup = Lookup::default();
        lookup.add(&batch.unwrap(), roster).unwrap();
        lookup
    }

    #[tokio::test]
    async fn rows_find_their_customers() {
        let ctx = SessionContext::new();
        super::super::register(&ctx);
        let (a, b) = ("c_0a000000000000000000", "c_0b000000000000000000");
        let roster = Arc::new(Roster::of([b, a, b].iter().map(|id| id.parse().unwrap()).collect()));
        let records = [
            ("crm", "1", a),
            ("web", r#"["d1","7"]"#, b),
            ("crm", "2", b),
            ("web", r#"["d2",null]"#, a),
            ("crm", "3", "c_0c000000000000000000"),
        ];
        let holders = lookup(&roster, &[("email", "a@x.fr", a)]);
        register(&ctx, "customer", lookup(&roster, &records), holders);
        super::super::place::register(&ctx, "customer", &roster);
        let sql = "select cohorte_record_customer('crm', k), cohorte_record_customer('web', k), cohorte_record_customer('none', k), \
                   cohorte_tuple_customer('web', d, n), cohorte_id_customer(cohorte_holder_customer('email', e)), cohorte_place_customer(cohorte_id_customer(cohorte_record_customer('crm', k))) \
                   from (values ('1', 'd1', 7, 'a@x.fr'), ('2', 'd2', null, 'b@x.fr'), ('3', null, null, null)) t(k, d, n, e)";
        let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
        let shown = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        let rows: Vec<String> =
            shown.lines().skip(3).filter(|line| line.starts_with('|')).map(|line| line.replace(' ', "")).collect();
        assert_eq!(rows, [format!("|0|||1|{a}|0|"), "|1|||0||1|".to_owned(), "|||||||".to_owned()]);
    }
}
