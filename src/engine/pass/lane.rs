//! What a pass is computed of. A lane is a part of its features; each has what feeds it: rows, or what an earlier run remembers of
//! rows together with those of them that time has moved since. So features whose states are still good and features that are new go
//! into one result.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, Result, plan_err};
use datafusion::logical_expr::{Expr, cast};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::DataFrame;

use super::batch::BEFORE_TIMES;
use super::plan::{Plan, shape};
use super::udaf::coerced;
use crate::compile::pass::PassSpec;
use crate::compile::passes::PLACE;

/// The column that what is remembered of a customer's rows stands in.
pub const STATE: &str = "_state";

/// A part of the features of a pass.
pub struct Lane {
    /// Its features.
    pub spec: PassSpec,
    /// The bounds of each stream when its states were made; empty where there are none.
    pub was: Vec<Vec<i64>>,
    /// The number that each stream has in the whole pass.
    pub streams: Vec<usize>,
    /// What feeds it, in this order.
    pub feeds: Vec<Feed>,
}

/// What feeds a lane. The customer's place is always the first column.
pub enum Feed {
    /// What an earlier run remembers: the second column. Which stream of the lane each number in it is.
    States(DataFrame, Vec<Option<usize>>),
    /// Rows that were there when the states were made, at this moment; all of those that have moved since, at least.
    Before(DataFrame, i64),
    /// Rows that count: time, key, filters and values.
    Rows(DataFrame),
}

/// A lane that is planned.
pub(super) struct Laid {
    pub(super) plan: Arc<Plan>,
    pub(super) streams: Vec<usize>,
    /// Where each feature stands in the result.
    pub(super) features: Vec<usize>,
    pub(super) feeds: Vec<Fed>,
}

/// A feed that is planned.
#[derive(Clone)]
pub(super) struct Fed {
    pub(super) input: Arc<dyn ExecutionPlan>,
    pub(super) kind: Arc<Kind>,
}

/// What the rows of a feed are.
pub(super) enum Kind {
    States(Vec<Option<usize>>),
    Before(i64),
    Rows,
}

impl Lane {
    /// All features of a pass, of all rows.
    #[must_use]
    pub fn of_all(spec: &PassSpec, rows: DataFrame) -> Self {
        let streams = (0..spec.streams.len()).collect();
        Self { spec: spec.clone(), was: Vec::new(), streams, feeds: vec![Feed::Rows(rows)] }
    }

    /// Plans it; `whole` are all features of the pass.
    pub(super) async fn laid(self, whole: &PassSpec) -> Result<Laid> {
        let mut types = Vec::new();
        let mut feeds = Vec::with_capacity(self.feeds.len());
        for feed in self.feeds {
            let (frame, kind) = match feed {
                Feed::States(frame, own) => (frame, Kind::States(own)),
                Feed::Before(frame, moment) => (fed(frame, &mut types)?, Kind::Before(moment)),
                Feed::Rows(frame) => (fed(frame, &mut types)?, Kind::Rows),
            };
            let input = frame.create_physical_plan().await?;
            if input.schema().field(0).name() != PLACE {
                return plan_err!("a pass is fed places first");
            }
            feeds.push(Fed { input, kind: Arc::new(kind) });
        }
        let plan = Arc::new(Plan::after(&self.spec, &self.was, &types, &shape(&self.spec))?);
        let place = |name: &str| whole.features.iter().position(|feature| feature.name == name);
        let features = self.spec.features.iter().filter_map(|feature| place(&feature.name)).collect();
        Ok(Laid { plan, streams: self.streams, features, feeds })
    }
}

/// Rows in the types that states are made of.
fn fed(frame: DataFrame, types: &mut Vec<DataType>) -> Result<DataFrame> {
    types.clear();
    types.resize(BEFORE_TIMES, DataType::Null);
    let mut columns = Vec::new();
    for (place, field) in frame.schema().fields().iter().enumerate() {
        let column = Expr::Column(Column::from_name(field.name()));
        if place == 0 {
            columns.push(column);
            continue;
        }
        let wanted = coerced(types.len(), field.data_type());
        let same = wanted == *field.data_type();
        columns.push(if same { column } else { cast(column, wanted.clone()).alias(field.name()) });
        types.push(wanted);
    }
    frame.select(columns)
}

/// The columns of a result: the id, the features, and what is remembered where it is.
pub(super) fn columns(id: &str, whole: &PassSpec, remembers: bool) -> Result<Schema> {
    let DataType::Struct(features) = shape(whole) else { return plan_err!("a pass makes structs") };
    let mut fields = vec![Arc::new(Field::new(id, DataType::Utf8, true))];
    fields.extend(features.iter().cloned());
    if remembers {
        fields.push(Arc::new(Field::new(STATE, DataType::Binary, true)));
    }
    Ok(Schema::new(fields))
}
