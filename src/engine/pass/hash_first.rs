//! Rows to their partitions first, then one aggregation: for many customers that is as fast as aggregating twice and
//! needs half the memory, because partial aggregation finds few rows of one customer together.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning, PhysicalExpr};

/// Turns partial and final aggregations of `cohorte_pass` into single ones over hashed rows. Comes after the
/// engine's own rules, which drop repartitionings that they did not ask for.
#[derive(Debug, Default)]
pub struct HashFirst;

impl PhysicalOptimizerRule for HashFirst {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let turned = plan.transform_up(|plan| match single(&plan)? {
            Some(single) => Ok(Transformed::yes(single)),
            None => Ok(Transformed::no(plan)),
        });
        turned.map(|turned| turned.data)
    }

    fn name(&self) -> &'static str {
        "cohorte_hash_first"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The rows by their groups. What makes them wider, a filter per condition, is computed after they were dealt out.
fn dealt_out(
    rows: &Arc<dyn ExecutionPlan>,
    groups: Vec<Arc<dyn PhysicalExpr>>,
    partitions: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(projection) = rows.downcast_ref::<ProjectionExec>()
        && projection.expr().len() > projection.input().schema().fields().len()
        && let Some(groups) = below(projection, &groups)
    {
        let input = dealt_out(projection.input(), groups, partitions)?;
        return Ok(Arc::new(ProjectionExec::try_new(projection.expr().to_vec(), input)?));
    }
    let partitioning = Partitioning::Hash(groups, partitions);
    Ok(Arc::new(RepartitionExec::try_new(Arc::clone(rows), partitioning)?))
}

/// The groups as columns below a projection; none where it computes them.
fn below(projection: &ProjectionExec, groups: &[Arc<dyn PhysicalExpr>]) -> Option<Vec<Arc<dyn PhysicalExpr>>> {
    let below = groups.iter().map(|group| {
        let column = group.downcast_ref::<Column>()?;
        let computed = &projection.expr().get(column.index())?.expr;
        computed.downcast_ref::<Column>().map(|_| Arc::clone(computed))
    });
    below.collect()
}

fn single(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(last) = plan.downcast_ref::<AggregateExec>() else { return Ok(None) };
    let Some(hashed) = last.input().downcast_ref::<RepartitionExec>() else { return Ok(None) };
    let Some(first) = hashed.input().downcast_ref::<AggregateExec>() else { return Ok(None) };
    let passes = first.aggr_expr().iter().all(|function| function.fun().name() == "cohorte_pass");
    let simple = first.group_expr().is_single() && first.limit_options().is_none() && last.limit_options().is_none();
    let modes = (*last.mode(), *first.mode()) == (AggregateMode::FinalPartitioned, AggregateMode::Partial);
    if !(passes && simple && modes) || first.aggr_expr().is_empty() {
        return Ok(None);
    }
    let groups = first.group_expr().input_exprs();
    let rows = dealt_out(first.input(), groups, hashed.partitioning().partition_count())?;
    let single = AggregateExec::try_new(
        AggregateMode::SinglePartitioned,
        first.group_expr().clone(),
        first.aggr_expr().to_vec(),
        first.filter_expr().to_vec(),
        rows,
        first.input_schema(),
    )?;
    Ok(Some(Arc::new(single)))
}
