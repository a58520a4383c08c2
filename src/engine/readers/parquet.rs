//! Parquet: scanned by the engine. The columns of several files are united by name; one that changes its type is a failure.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::SessionContext;
use object_store::ObjectStoreExt;

use super::failures::{column_name, disagreeing, empty, unreadable};
use super::file_table::FileTable;
use super::files::{SourceFile, fingerprint};
use super::layout::ROW;
use super::{Opened, Pieces, ReaderSpec, check_declared};
use crate::diag::Result;

pub(super) async fn open(spec: &ReaderSpec, files: Vec<SourceFile>, session: &SessionContext) -> Result<Opened> {
    let state = session.state();
    let format = Arc::new(ParquetFormat::default().with_options(state.table_options().parquet.clone()));
    let mut fields: Vec<FieldRef> = Vec::new();
    for file in &files {
        let broken = |error: &dyn std::fmt::Display| unreadable(&spec.name, &file.name, error);
        if file.size == 0 {
            return Err(empty(&spec.name, &file.name));
        }
        if file.url.scheme() != "file" {
            session.register_object_store(&file.url, Arc::clone(&file.store));
        }
        let object = file.store.head(&file.path).await.map_err(|error| broken(&error))?;
        let schema = format
            .infer_schema(&state, &file.store, &[object])
            .await
            .map_err(|error| broken(&error.strip_backtrace()))?;
        for field in schema.fields() {
            match fields.iter().find(|known| known.name() == field.name()) {
                None => fields.push(Arc::new(Field::new(field.name(), field.data_type().clone(), true))),
                Some(known) if known.data_type() != field.data_type() => {
                    let (found, first) = (field.data_type(), known.data_type());
                    return Err(disagreeing(&spec.name, &file.name, field.name(), found, first));
                }
                Some(_) => {}
            }
        }
    }
    let mut schema = Arc::new(Schema::new(fields.clone()));
    check_declared(spec, &schema)?;
    let paths = files.iter().map(SourceFile::place).collect();
    let fingerprint = fingerprint(&files);
    if spec.want_row {
        if schema.field_with_name(ROW).is_ok() {
            return Err(column_name(&spec.name, &spec.name, "`_row` is the name of cohorte's own row number"));
        }
        fields.push(Arc::new(Field::new(ROW, DataType::Utf8View, true)));
        schema = Arc::new(Schema::new(fields));
    }
    let called: Vec<String> = files.iter().map(SourceFile::called).collect();
    let (spec, columns) = (spec.clone(), Arc::clone(&schema));
    let pieces = Pieces::files(Arc::clone(&schema), called.into_iter(), move |places| {
        let some = places.iter().map(|place| files[*place].clone()).collect();
        provider(&spec, &format, &columns, some)
    });
    Ok(Opened { provider: pieces.all()?, schema, fingerprint, pieces, paths, is_blank: false, breaks: BTreeMap::new() })
}

/// Files with columns of this schema; where it ends with `_row`, their rows are numbered.
fn provider(
    spec: &ReaderSpec,
    format: &Arc<ParquetFormat>,
    schema: &SchemaRef,
    files: Vec<SourceFile>,
) -> Result<Arc<dyn TableProvider>> {
    if spec.want_row {
        return Ok(Arc::new(FileTable::numbered_parquet(spec, Arc::clone(schema), files)));
    }
    let listed = files
        .iter()
        .map(|file| ListingTableUrl::try_new(file.url.clone(), None))
        .collect::<datafusion::error::Result<Vec<_>>>()
        .and_then(|urls| {
            let options = ListingOptions::new(Arc::clone(format) as _).with_file_extension("");
            let config = ListingTableConfig::new_with_multi_paths(urls)
                .with_listing_options(options)
                .with_schema(Arc::clone(schema));
            ListingTable::try_new(config)
        });
    let table = listed.map_err(|error| unreadable(&spec.name, &spec.name, error.strip_backtrace()))?;
    Ok(Arc::new(table))
}
