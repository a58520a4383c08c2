//! What the tests of the readers share: projects of a few files, and their rows as text.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::SessionContext;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::{Format, Location, Opened, ReaderSpec, open};
use crate::diag::{Failure, Fault, Result};
use crate::sql::DataType;
use crate::store::{Warehouse, failure_from};

pub(super) struct Project {
    pub(super) folder: TempDir,
    pub(super) warehouse: Warehouse,
    pub(super) session: SessionContext,
}

pub(super) fn project(files: &[(&str, &[u8])]) -> Project {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let warehouse = Warehouse::open("lake", folder.path(), "cdp").unwrap();
    Project { folder, warehouse, session: SessionContext::new() }
}

impl Project {
    pub(super) async fn open(&self, spec: &ReaderSpec) -> Result<Opened> {
        open(spec, &self.warehouse, self.folder.path(), &self.session).await
    }

    /// The rows as text, in the order of the files.
    pub(super) async fn rows(&self, spec: &ReaderSpec) -> Result<Vec<String>> {
        let opened = self.open(spec).await?;
        self.query(&opened, "select * from t").await
    }

    pub(super) async fn query(&self, opened: &Opened, sql: &str) -> Result<Vec<String>> {
        let session = SessionContext::new();
        session.register_table("t", Arc::clone(&opened.provider)).unwrap();
        let batches = session.sql(sql).await.unwrap().collect().await;
        let batches = batches.map_err(|error| failure_from("reading", &error))?;
        let mut lines: Vec<String> = pretty_format_batches(&batches)
            .unwrap()
            .to_string()
            .lines()
            .filter(|line| line.starts_with('|'))
            .skip(1)
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join("|"))
            .collect();
        lines.sort();
        Ok(lines)
    }

    pub(super) async fn failure(&self, spec: &ReaderSpec) -> Failure {
        let failure = self.rows(spec).await.unwrap_err();
        assert_eq!(failure.fault, Fault::Project);
        assert!(!failure.help.is_empty());
        failure
    }
}

pub(super) fn csv(path: &str) -> ReaderSpec {
    ReaderSpec::new("s", Format::Csv, Location::Path(path.into()))
}

pub(super) fn ndjson(path: &str) -> ReaderSpec {
    ReaderSpec::new("s", Format::Ndjson, Location::Path(path.into()))
}

pub(super) fn parquet(path: &str) -> ReaderSpec {
    ReaderSpec::new("s", Format::Parquet, Location::Path(path.into()))
}

pub(super) fn typed(mut spec: ReaderSpec, types: &[(&str, DataType)]) -> ReaderSpec {
    spec.types = types.iter().map(|(name, data_type)| ((*name).to_owned(), *data_type)).collect();
    spec
}

pub(super) fn types(opened: &Opened) -> Vec<String> {
    opened.schema.fields().iter().map(|field| field.data_type().to_string()).collect()
}

pub(super) fn parquet_bytes(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
