//! A fingerprint of a relation's rows, whatever their order: a table whose rows are those that are published is not
//! written again.
//!
//! Each row has 128 bits of `cohorte_hash`, which tells lists, nulls and floats apart; the fingerprint is their sum, with
//! the number of rows, so that a row which is there twice counts twice.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;

use super::workspace::Workspace;
use crate::diag::Result;
use crate::sql::ident;
use crate::store::{TableSpec, failure_from, stored_schema};

/// Rows and their fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) count: u64,
    pub(super) fingerprint: String,
}

/// Reads what is about to be written to a table, once. Some columns say nothing about the row, such as which run wrote it.
pub(super) async fn of(workspace: &Workspace, spec: &TableSpec, from: &str, ignored: &[&str]) -> Result<Rows> {
    let doing = format!("comparing `{from}` with what is published");
    let stored = stored_schema(&spec.schema);
    let names = stored.fields().iter().map(|field| field.name().as_str()).filter(|name| !ignored.contains(name));
    let columns: Vec<String> = names.map(ident).collect();
    let sql = format!("select cohorte_hash({}) from {}", columns.join(", "), ident(from));
    let started = Instant::now();
    let stream = async {
        let frame = workspace.opened.session.sql(&sql).await?;
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await?;
        Ok((execute_stream(Arc::clone(&plan), context)?, plan))
    };
    let (mut stream, plan) = stream.await.map_err(|error| failure_from(doing.as_str(), &error))?;
    let (mut count, mut sum) = (0_u64, 0_u128);
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|error| failure_from(doing.as_str(), &error))?;
        let hashes =
            cast(batch.column(0), &DataType::Utf8View).map_err(|error| failure_from(doing.as_str(), &error.into()))?;
        count += hashes.len() as u64;
        for hash in hashes.as_string_view().iter().flatten() {
            sum = sum.wrapping_add(u128::from_str_radix(hash, 16).unwrap_or_default());
        }
    }
    workspace.stage.timings.note(doing, started, Some(count), Some(plan.as_ref()));
    // The table's own shape counts, too: columns, which are personal, how it lies.
    let types: Vec<_> = stored.fields().iter().map(|field| (field.name(), field.data_type())).collect();
    let shape = format!("{types:?}\0{:?}\0{:?}\0{}", spec.partition_by, spec.personal, spec.description);
    let shape = blake3::hash(shape.as_bytes()).to_hex();
    Ok(Rows { count, fingerprint: format!("{}-{count}-{sum:032x}", &shape.as_str()[..16]) })
}
