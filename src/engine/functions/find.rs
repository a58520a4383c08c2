//! `cohorte_record_<entity>`, `cohorte_tuple_<entity>`, `cohorte_holder_<entity>`: whose a row is, looked up in memory.
//!
//! A join that finds the customers of a source's rows copies every column of every row to add one; these functions add one.
//! They are known to the session of a build alone: `compile` prints joins, which any engine runs, and a test wants the
//! same rows of both.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringViewArray, StringViewBuilder, UInt32Array, new_null_array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;

use super::call::Text;
use super::json_value::Values;
use super::key::push_key;
use crate::engine::digest::{Digest, Digests};

/// (group, key) → customer. Costs about 40 bytes per key, and the text of every id.
#[derive(Debug, Default)]
pub struct Lookup {
    groups: BTreeMap<String, Digests>,
    ids: Option<StringViewArray>,
}

/// A lookup in the making.
#[derive(Default)]
pub struct LookupBuilder {
    groups: BTreeMap<String, Digests>,
    places: Digests,
    ids: StringViewBuilder,
}

impl LookupBuilder {
    /// Adds rows: the group, the key, the id; all of them texts.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let [groups, keys, ids] = batch.columns() else { return exec_err!("a lookup is made of three columns") };
        let (groups, keys, ids) = (Text::of(groups.as_ref())?, Text::of(keys.as_ref())?, Text::of(ids.as_ref())?);
        // Digests first: nothing stands between the looks into the tables then, and several wait for memory at once.
        let digests = |texts: &Text<'_>| -> Vec<Option<Digest>> {
            (0..batch.num_rows()).map(|row| texts.at(row).map(Digest::of)).collect()
        };
        let known = digests(&ids);
        let mut numbers = Vec::with_capacity(batch.num_rows());
        for (row, id) in known.into_iter().enumerate() {
            let next = self.places.len() as u32;
            numbers.push(id.map(|id| {
                *self.places.entry(id).or_insert_with(|| {
                    self.ids.append_option(ids.at(row));
                    next
                })
            }));
        }
        // Rows of a group follow one another.
        let mut open: Option<(String, Digests)> = None;
        for (row, (key, number)) in digests(&keys).into_iter().zip(numbers).enumerate() {
            let (Some(group), Some(key), Some(number)) = (groups.at(row), key, number) else { continue };
            if open.as_ref().is_none_or(|(name, _)| name != group) {
                self.close(open.take());
                open = Some((group.to_owned(), self.groups.remove(group).unwrap_or_default()));
            }
            if let Some((_, places)) = &mut open {
                places.insert(key, number);
            }
        }
        self.close(open);
        Ok(())
    }

    fn close(&mut self, open: Option<(String, Digests)>) {
        self.groups.extend(open);
    }

    /// All of them.
    #[must_use]
    pub fn build(mut self) -> Lookup {
        Lookup { groups: self.groups, ids: Some(self.ids.finish()) }
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
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [ColumnarValue::Scalar(group), keys @ ..] = args.args.as_slice() else {
            return exec_err!("{} takes a group that is constant, and a key", self.name);
        };
        let places = group.try_as_str().flatten().and_then(|group| self.lookup.groups.get(group));
        let (Some(places), Some(ids)) = (places, &self.lookup.ids) else {
            return Ok(ColumnarValue::Array(new_null_array(&DataType::Utf8View, rows)));
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
        Ok(ColumnarValue::Array(take(ids, &found, None)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::StringArray;

    fn lookup(rows: &[(&str, &str, &str)]) -> Lookup {
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
        let mut builder = LookupBuilder::default();
        builder.add(&batch.unwrap()).unwrap();
        builder.build()
    }

    #[tokio::test]
    async fn rows_find_their_customers() {
        let ctx = SessionContext::new();
        super::super::register(&ctx);
        let records = lookup(&[
            ("crm", "1", "c_a"),
            ("web", r#"["d1","7"]"#, "c_b"),
            ("crm", "2", "c_b"),
            ("web", r#"["d2",null]"#, "c_a"),
        ]);
        register(&ctx, "customer", records, lookup(&[("email", "a@x.fr", "c_a")]));
        let sql = "select cohorte_record_customer('crm', k), cohorte_record_customer('web', k), cohorte_record_customer('none', k), \
                   cohorte_tuple_customer('web', d, n), cohorte_holder_customer('email', e) \
                   from (values ('1', 'd1', 7, 'a@x.fr'), ('2', 'd2', null, 'b@x.fr'), (null, null, null, null)) t(k, d, n, e)";
        let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
        let shown = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        let rows: Vec<String> =
            shown.lines().skip(3).filter(|line| line.starts_with('|')).map(|line| line.replace(' ', "")).collect();
        assert_eq!(rows, ["|c_a|||c_b|c_a|", "|c_b|||c_a||", "||||||"]);
    }
}
