//! How models are computed: the physical plans of what `compile` prints, over what is published.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::physical_plan::displayable;
use datafusion::prelude::DataFrame;

use super::compile::compile;
use super::customers;
use super::identity;
use super::opened::Opened;
use super::query::readable;
use super::workspace::Workspace;
use crate::compile::{Part, consents, customer, passes, syncs};
use crate::diag::{Failure, Result};
use crate::engine::PassExec;
use crate::project::{Entity, Kind};
use crate::store::failure_from;
use crate::sync::tables::STATE;

/// What each plan gives, and the plan: the physical plans of the selected models. The features of an entity are those of the fused
/// passes that a build runs, where they look the customers of rows up. Nothing is computed; what was never built cannot be planned.
pub async fn plans(opened: Opened, selectors: &[String]) -> Result<Vec<(String, String)>> {
    let compiled = compile(&opened, selectors)?;
    let workspace = readable(opened).await?;
    if workspace.published.run.is_none() {
        let cause = "models read each other's tables, and nothing was built yet";
        return Err(Failure::project("E143", "planning models", cause).help("`cohorte build`, then ask again"));
    }
    // What syncs read beside the tables.
    customers::published_consents(&workspace).await?;
    let project = &workspace.opened.project;
    workspace.view(syncs::CONSENTS, &consents::state_at(project, &workspace.opened.present)).await?;
    workspace.stage.hold(&workspace.opened.session, "_sync_state_open", SchemaRef::clone(&STATE), Vec::new())?;
    // What a build knows of identity, it looks up.
    let building = workspace.apart().await?;
    identity::look_up_nobody(&building).await?;
    let mut plans = Vec::new();
    for model in compiled {
        let of_model = |what: &str| format!("{} {}: {what}", model.kind, model.name);
        let entity = project.entities.get(&model.name).filter(|_| model.kind == Kind::Entity);
        for (what, sql) in &model.statements {
            // Later statements of a model read those before by the name that their descriptions begin with.
            let name = what.split_once(": ").map(|(name, _)| name).filter(|name| !name.contains(' '));
            let is_pass = entity.is_some_and(|entity| name.is_some_and(|name| is_pass(&workspace, entity, name)));
            if !is_pass {
                let what = of_model(what);
                let plan = of_sql(&workspace, &what, sql).await?;
                plans.push((what, plan));
            }
            if let Some(name) = name {
                workspace.view(name, sql).await?;
            }
            if name == Some("_sync_rows") {
                workspace.view("_sync_rows_open", "select * from _sync_rows").await?;
            }
        }
        if let Some(entity) = entity {
            for pass in all_passes(&workspace, entity) {
                let what = format!("{}: the features of {}, fused", customer::pass_table(&pass), pass.name);
                let session = &building.opened.session;
                let plan = PassExec::of(session, &pass, Arc::default(), &entity.id()).await;
                let plan = plan.map_err(|error| failure_from(format!("planning {what}"), &error))?;
                plans.push((of_model(&what), displayable(&plan).indent(false).to_string()));
            }
        }
    }
    Ok(plans)
}

fn all_passes(workspace: &Workspace, entity: &Entity) -> Vec<passes::Pass> {
    passes::passes(&workspace.opened.project, entity, &workspace.opened.clock, &Part::default())
}

fn is_pass(workspace: &Workspace, entity: &Entity, name: &str) -> bool {
    all_passes(workspace, entity).iter().any(|pass| customer::pass_table(pass) == name)
}

async fn of_sql(workspace: &Workspace, what: &str, sql: &str) -> Result<String> {
    let frame = workspace.opened.session.sql(sql).await;
    shown(what, frame.map_err(|error| failure_from(format!("planning {what}"), &error))?).await
}

async fn shown(what: &str, frame: DataFrame) -> Result<String> {
    let plan = frame.create_physical_plan().await.map_err(|error| failure_from(format!("planning {what}"), &error))?;
    Ok(displayable(plan.as_ref()).indent(false).to_string())
}
