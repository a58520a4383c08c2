//! `cohorte_is_member_<entity>(segment, id)`: is a customer in a segment now?

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;

use super::call::Text;
use crate::engine::members::Members;

/// Registers it for an entity.
pub fn register(ctx: &SessionContext, entity: &str, members: Members) {
    let (name, members) = (format!("cohorte_is_member_{entity}"), Arc::new(members));
    let signature = Signature::any(2, Volatility::Immutable);
    ctx.register_udf(ScalarUDF::new_from_impl(IsMember { name, members, signature }));
}

#[derive(Debug)]
struct IsMember {
    name: String,
    members: Arc<Members>,
    signature: Signature,
}

impl PartialEq for IsMember {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.members, &other.members)
    }
}

impl Eq for IsMember {}

impl Hash for IsMember {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for IsMember {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [segments, ids] = args.args.as_slice() else { return exec_err!("{} takes a segment and an id", self.name) };
        let (segments, ids) = (segments.to_array(rows)?, ids.to_array(rows)?);
        let (segments, ids) = (Text::of(segments.as_ref())?, Text::of(ids.as_ref())?);
        let is_member = |row: usize| self.members.has(segments.at(row).unwrap_or_default(), ids.at(row));
        Ok(ColumnarValue::Array(Arc::new((0..rows).map(|row| Some(is_member(row))).collect::<BooleanArray>())))
    }
}
