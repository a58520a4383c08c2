//! `cohorte_pass` as the engine sees it.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::expr::AggregateFunctionParams;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, GroupsAccumulator, Signature, Volatility, lit,
    udaf_default_display_name, udaf_default_human_display, udaf_default_schema_name,
};
use datafusion::physical_expr::expressions::Literal;

use super::accumulator::PassAccumulator;
use super::batch::BEFORE_FILTERS;
use super::plan::{Plan, is_text, shape};
use super::row_accumulator::OneGroup;
use crate::compile::pass::PassSpec;

/// The aggregate function, to register with a session.
#[must_use]
pub fn udaf() -> AggregateUDF {
    AggregateUDF::new_from_impl(CohortePass { signature: Signature::user_defined(Volatility::Immutable) })
}

/// A call of the function: `time` an instant, `key` a text, a boolean per filter, an expression per value.
///
/// The shape is given as a null list of the result's struct: a null struct would be spelt out for every batch, with a
/// column of nulls per feature.
pub fn call(spec: &PassSpec, time: Expr, key: Expr, filters: Vec<Expr>, values: Vec<Expr>) -> Result<Expr> {
    let json = serde_json::to_string(spec).map_err(|error| exec_datafusion_err!("no JSON: {error}"))?;
    let list = DataType::new_list(shape(spec), true);
    let mut arguments = vec![lit(ScalarValue::Utf8View(Some(json))), lit(ScalarValue::try_from(&list)?), time, key];
    arguments.extend(filters);
    arguments.extend(values);
    Ok(udaf().call(arguments))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CohortePass {
    signature: Signature,
}

impl CohortePass {
    /// The layout that the literal arguments ask for.
    fn plan(arguments: &AccumulatorArgs<'_>) -> Result<Arc<Plan>> {
        let literal = arguments.exprs.first().and_then(|spec| spec.downcast_ref::<Literal>());
        let Some(json) = literal.and_then(|literal| literal.value().try_as_str().flatten()) else {
            return plan_err!("the first argument of cohorte_pass is a literal specification");
        };
        let spec: PassSpec = match serde_json::from_str(json) {
            Ok(spec) => spec,
            Err(error) => return plan_err!("the specification of cohorte_pass cannot be read: {error}"),
        };
        let types: Vec<DataType> = arguments.expr_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Plan::new(&spec, &types, arguments.return_type())?))
    }
}

/// The type that an argument is cast to.
pub(super) fn coerced(place: usize, given: &DataType) -> DataType {
    let instant = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    match (place, given) {
        // A view is repeated for each row without its text.
        (0, _) => DataType::Utf8View,
        (1, _) => given.clone(),
        (2, _) => instant(),
        (3, given) if !is_text(given) => DataType::Utf8View,
        (
            _,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32,
        ) => DataType::Int64,
        (_, DataType::Float16 | DataType::Float32) => DataType::Float64,
        (_, DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..)) => {
            DataType::Decimal128(38, 9)
        }
        (_, DataType::Timestamp(..)) => instant(),
        (_, DataType::Date64) => DataType::Date32,
        (_, DataType::Dictionary(_, value)) if is_text(value) => DataType::Utf8View,
        (_, DataType::Null) => DataType::Utf8View,
        (_, given) => given.clone(),
    }
}

/// A name for a call: the specification is too long to be part of a column's name, its fingerprint tells calls apart.
fn short(name: &str) -> String {
    format!("cohorte_pass({})", &blake3::hash(name.as_bytes()).to_hex()[..16])
}

impl AggregateUDFImpl for CohortePass {
    fn name(&self) -> &'static str {
        "cohorte_pass"
    }

    fn schema_name(&self, parameters: &AggregateFunctionParams) -> Result<String> {
        udaf_default_schema_name(self, parameters).map(|name| short(&name))
    }

    fn display_name(&self, parameters: &AggregateFunctionParams) -> Result<String> {
        udaf_default_display_name(self, parameters).map(|name| short(&name))
    }

    fn human_display(&self, parameters: &AggregateFunctionParams) -> Result<String> {
        udaf_default_human_display(self, parameters).map(|name| short(&name))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.get(1) {
            Some(DataType::List(item) | DataType::LargeList(item)) => Ok(item.data_type().clone()),
            Some(shape @ DataType::Struct(_)) => Ok(shape.clone()),
            other => plan_err!("the second argument of cohorte_pass is a null of the result's type, not {other:?}"),
        }
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        if arguments.len() < BEFORE_FILTERS {
            return plan_err!("cohorte_pass takes at least {BEFORE_FILTERS} arguments");
        }
        Ok(arguments.iter().enumerate().map(|(place, given)| coerced(place, given)).collect())
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        // Large offsets: a spill writes the states of all groups as one column.
        let name = format_state_name(arguments.name, "state");
        Ok(vec![Arc::new(Field::new(name, DataType::LargeBinary, true))])
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if arguments.is_distinct {
            return exec_err!("cohorte_pass takes no DISTINCT");
        }
        Ok(Box::new(OneGroup::new(Self::plan(&arguments)?)))
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        !arguments.is_distinct
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(PassAccumulator::new(Self::plan(&arguments)?)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
