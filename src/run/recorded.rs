//! What the last published run recorded of its models, and which of them take over a name's memory now.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::{AsArray, RecordBatch, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;

use super::workspace::Workspace;
use crate::compile::renames::{Named, Renames};
use crate::diag::Result;
use crate::sql::{ident, text_literal};
use crate::store::{failure_from, tables};

/// The outcome of a segment's step whose guard tripped.
pub(super) const HELD: &str = "held";

/// The steps of one kind of model.
pub(super) struct Recorded {
    steps: BTreeMap<String, Step>,
}

struct Step {
    fingerprint: String,
    why: String,
    outcome: String,
}

/// What a step says of a model that had another name: once it stands there, the name's memory has been taken over.
pub(super) fn why(was: Option<&String>) -> String {
    was.map(|was| format!("was: {was}")).unwrap_or_default()
}

impl Recorded {
    /// Of the last published run.
    pub(super) async fn load(workspace: &Workspace, kind: &str) -> Result<Self> {
        let mut steps = BTreeMap::new();
        let Some(run) = workspace.published.run.clone() else { return Ok(Self { steps }) };
        workspace.before(&tables::run_steps(), "before_run_steps").await?;
        let prefix = format!("{kind}:");
        let sql = format!(
            "select model, fingerprint, why, outcome from before_run_steps where run_id = {} and starts_with(model, {})",
            text_literal(&run),
            text_literal(&prefix)
        );
        let doing = "reading the last run's steps";
        for batch in workspace.collect(doing, &sql).await? {
            let columns = [column(&batch, 0, doing)?, column(&batch, 1, doing)?, column(&batch, 2, doing)?];
            let outcomes = column(&batch, 3, doing)?;
            for row in 0..batch.num_rows() {
                let [name, fingerprint, why] = columns.each_ref().map(|column| column.value(row).to_owned());
                let step = Step { fingerprint, why, outcome: outcomes.value(row).to_owned() };
                steps.insert(name.strip_prefix(&prefix).unwrap_or(&name).to_owned(), step);
            }
        }
        Ok(Self { steps })
    }

    /// The hash of a model's definition.
    pub(super) fn fingerprint(&self, name: &str) -> Option<&String> {
        self.steps.get(name).map(|step| &step.fingerprint)
    }

    /// The models that a guard held back.
    pub(super) fn held(self) -> Vec<String> {
        self.steps.into_iter().filter(|(_, step)| step.outcome == HELD).map(|(name, _)| name).collect()
    }

    /// Of these models (entity, name, old name) those that take over now what `table` remembers in `column`.
    pub(super) async fn renames<'a>(
        &self,
        workspace: &Workspace,
        table: &str,
        name_column: &str,
        models: impl Iterator<Item = (&'a String, &'a String, Option<&'a String>)>,
    ) -> Result<Renames> {
        let is_done = |name: &str, was: &String| self.steps.get(name).is_some_and(|step| step.why == why(Some(was)));
        let models = models.filter_map(|(entity, name, was)| Some((entity, name, was?)));
        let waiting: Vec<Named<'a>> = models
            .filter(|(_, name, was)| !is_done(name, was))
            .map(|(entity, name, was)| Named { entity, name, was })
            .collect();
        if waiting.is_empty() {
            return Ok(Renames::default());
        }
        let doing = format!("reading what is remembered in `{table}`");
        let sql = format!("select distinct entity, {} from {}", ident(name_column), ident(table));
        let mut pasts = BTreeSet::new();
        for batch in workspace.collect(&doing, &sql).await? {
            let (entities, names) = (column(&batch, 0, &doing)?, column(&batch, 1, &doing)?);
            pasts
                .extend((0..batch.num_rows()).map(|row| (entities.value(row).to_owned(), names.value(row).to_owned())));
        }
        Ok(Renames::due(waiting, |entity, name| pasts.contains(&(entity.to_owned(), name.to_owned()))))
    }
}

fn column(batch: &RecordBatch, index: usize, doing: &str) -> Result<StringViewArray> {
    let column = cast(batch.column(index), &DataType::Utf8View).map_err(|error| failure_from(doing, &error.into()))?;
    Ok(column.as_string_view().clone())
}
