//! stub
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::datatypes::{SchemaRef, Schema};
pub struct Remembered { pub ids: Option<String>, pub nodes: Option<String> }
#[derive(Debug, Clone, Default)]
pub struct Report;
pub struct Resolved { pub records: Vec<RecordBatch>, pub identifiers: Vec<RecordBatch>, pub links: Vec<RecordBatch>, pub nodes: Vec<RecordBatch>, pub events: Vec<RecordBatch>, pub merged: Vec<RecordBatch>, pub contested: Vec<RecordBatch>, pub report: Report }
pub async fn resolve(_: &datafusion::prelude::SessionContext, _: &crate::project::Project, _: &crate::project::Entity, _: &Remembered, _: &str, _: chrono::DateTime<chrono::Utc>) -> crate::diag::Result<Resolved> { Err(crate::diag::Failure::world("W001","x","y")) }
pub fn merged_schema() -> SchemaRef { Schema::empty().into() }
pub fn contested_schema() -> SchemaRef { Schema::empty().into() }
