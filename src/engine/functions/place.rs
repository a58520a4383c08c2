//! `cohorte_id_<entity>` and `cohorte_place_<entity>`: from a customer's place in the [`Roster`] to its id, and back.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, UInt32Array};
use datafusion::arrow::datatypes::{DataType, UInt32Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::SessionContext;

use super::call::Text;
use crate::engine::roster::Roster;

/// Registers both for an entity.
pub fn register(ctx: &SessionContext, entity: &str, roster: &Arc<Roster>) {
    for (what, to) in [("id", To::Id), ("place", To::Place)] {
        let (name, signature) = (format!("cohorte_{what}_{entity}"), Signature::any(1, Volatility::Immutable));
        ctx.register_udf(ScalarUDF::new_from_impl(Turn { name, to, roster: Arc::clone(roster), signature }));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Id,
    Place,
}

#[derive(Debug)]
struct Turn {
    name: String,
    to: To,
    roster: Arc<Roster>,
    signature: Signature,
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.roster, &other.roster)
    }
}

impl Eq for Turn {}

impl Hash for Turn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Turn {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.to {
            To::Id => DataType::Utf8,
            To::Place => DataType::UInt32,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [given] = args.args.as_slice() else { return exec_err!("{} takes one value", self.name) };
        let given = given.to_array(rows)?;
        if self.to == To::Id {
            let Some(places) = given.as_primitive_opt::<UInt32Type>() else {
                return exec_err!("{} takes a place, not a {}", self.name, given.data_type());
            };
            return Ok(ColumnarValue::Array(self.roster.spelt(places)));
        }
        let ids = Text::of(given.as_ref())?;
        let place = |row: usize| ids.at(row).and_then(|id| id.parse().ok()).and_then(|id| self.roster.place(id));
        Ok(ColumnarValue::Array(Arc::new((0..rows).map(place).collect::<UInt32Array>())))
    }
}
