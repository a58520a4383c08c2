//! What a run has come by: results that it has made, and those that it has found.

use std::sync::PoisonError;

use super::super::carried::Remembered;
use super::{DESCRIPTION, Results};
use crate::diag::Result;
use crate::store::{DataFile, TableSpec};

/// A result that a run has come by.
#[derive(Debug, Clone)]
pub(in crate::run) struct Made {
    pub(in crate::run) name: String,
    pub(in crate::run) basis: String,
    pub(in crate::run) rows: u64,
    /// Was it there already?
    pub(in crate::run) is_found: bool,
    /// Of what the states that it has are; none where it has none, or is as it was.
    pub(in crate::run) states: Option<String>,
}

/// Where a result is from.
pub(in crate::run) enum IsMade {
    /// An earlier run.
    Before,
    /// This one; it may remember what it is made of.
    Now(Option<Remembered>),
}

impl Results<'_> {
    /// What has no basis is of no use to later runs.
    pub(in crate::run) fn note(&self, name: &str, basis: Option<String>, rows: u64, made: IsMade) {
        let Some(basis) = basis else { return };
        let (is_found, states) = match made {
            IsMade::Before => (true, None),
            IsMade::Now(states) => (false, Some(states.map(|states| states.text()).unwrap_or_default())),
        };
        let made = Made { name: name.to_owned(), basis, rows, is_found, states };
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(made);
    }

    /// What the run has come by.
    pub(in crate::run) fn made(&self) -> Vec<Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The table of a result and its files; none where its columns are not of a kind that files hold as tables do.
    pub(in crate::run) async fn table(&self, made: &Made) -> Result<Option<(TableSpec, Vec<DataFile>)>> {
        let schema = self.workspace.schema(&made.name).await?;
        if schema.fields().iter().any(|field| field.data_type().is_nested()) {
            return Ok(None);
        }
        let personal = schema.fields().iter().map(|field| field.name().clone()).collect();
        let spec = TableSpec {
            name: made.name.clone(),
            schema,
            partition_by: Vec::new(),
            personal,
            description: DESCRIPTION.to_owned(),
        };
        Ok(Some((spec, self.workspace.stage.files(&made.name))))
    }
}
