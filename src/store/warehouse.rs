//! Where the tables are: a root folder or URL, and the schema (a folder in it) that cohorte writes.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError, ObjectStore};
use url::Url;

use super::clouds;
use super::failures::reading;
use super::table::StoredTable;
use crate::diag::{Failure, Result};

/// A root with tables below it. Cheap to clone; holds no connection and no state.
#[derive(Debug, Clone)]
pub struct Warehouse {
    root: Url,
    schema: String,
}

impl Warehouse {
    /// Names a warehouse; nothing is read or created. `root` is a folder (relative ones start at `base`) or a URL such as
    /// `s3://lake/prefix`; `schema` is the folder in it where cohorte's own tables are.
    pub fn open(root: &str, base: &Path, schema: &str) -> Result<Self> {
        let root = locate(root, base)?;
        if schema.is_empty() || schema.contains(['/', '\\']) || schema == "." || schema == ".." {
            return Err(unusable(schema, "`warehouse.schema` must be the name of one folder"));
        }
        clouds::register();
        Ok(Self { root, schema: schema.to_owned() })
    }

    /// The root, as a URL that ends with a slash.
    #[must_use]
    pub fn root(&self) -> &Url {
        &self.root
    }

    /// The folder of cohorte's tables below the root.
    #[must_use]
    pub fn schema_name(&self) -> &str {
        &self.schema
    }

    /// Where cohorte's table `name` is, for people: a path where it is local, else a URL.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        let joined = self.root.join(&format!("{}/{name}", self.schema)).unwrap_or_else(|_| self.root.clone());
        match joined.to_file_path() {
            Ok(path) => path.display().to_string(),
            Err(()) => joined.to_string(),
        }
    }

    /// The latest version of cohorte's table `name`; `None` where there is no such table.
    pub async fn version(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.table(name, None).await?.map(|table| table.version()))
    }

    /// Cohorte's table `name` at a version, or at its latest; `None` where there is no such table.
    pub async fn table(&self, name: &str, version: Option<u64>) -> Result<Option<StoredTable>> {
        self.table_at(&format!("{}/{name}", self.schema), version).await
    }

    /// What a query scans for cohorte's table `name`: strings are `Utf8View`, filters and projections are pushed down.
    pub async fn provider(&self, name: &str, version: Option<u64>) -> Result<Option<Arc<dyn TableProvider>>> {
        self.table(name, version).await?.map(|table| table.provider()).transpose()
    }

    /// The columns of cohorte's table `name`, as [`Self::provider`] gives them.
    pub async fn schema(&self, name: &str, version: Option<u64>) -> Result<Option<SchemaRef>> {
        Ok(self.provider(name, version).await?.map(|provider| provider.schema()))
    }

    /// The table at a path below the root, such as `raw/crm_contacts`, whoever wrote it.
    pub async fn table_at(&self, path: &str, version: Option<u64>) -> Result<Option<StoredTable>> {
        match self.load(path, version).await? {
            Ok(table) => Ok(Some(table)),
            Err(DeltaTableError::NotATable(_)) => Ok(None),
            Err(_) if !self.is_table(path).await? => Ok(None),
            // Missing at first and there a moment later: another writer has just made it.
            Err(_) => self.load(path, version).await?.map(Some).map_err(|error| reading(path, &error)),
        }
    }

    async fn load(&self, path: &str, version: Option<u64>) -> Result<Result<StoredTable, DeltaTableError>> {
        let mut table = self.handle(path)?;
        let loaded = match version {
            Some(version) => table.load_version(version).await,
            None => table.load().await,
        };
        Ok(loaded.map(|()| StoredTable::new(path, table)))
    }

    async fn is_table(&self, path: &str) -> Result<bool> {
        self.handle(path)?.verify_deltatable_existence().await.map_err(|error| reading(path, &error))
    }

    /// The table at a path below the root, not yet loaded.
    pub(crate) fn handle(&self, path: &str) -> Result<DeltaTable> {
        DeltaTableBuilder::from_url(self.url(path)?)
            .and_then(DeltaTableBuilder::build)
            .map_err(|error| reading(path, &error))
    }

    /// The URL of a table or folder below the root; paths may not climb out of it.
    pub(crate) fn url(&self, path: &str) -> Result<Url> {
        let mut url = self.root.clone();
        {
            let mut segments = url.path_segments_mut().map_err(|()| unusable(path, "the root cannot hold folders"))?;
            segments.pop_if_empty();
            for segment in path.split('/').filter(|segment| !segment.is_empty()) {
                if segment == "." || segment == ".." {
                    return Err(unusable(path, "the path of a table may not contain `.` or `..`"));
                }
                segments.push(segment);
            }
            segments.push("");
        }
        Ok(url)
    }

    /// Files below a folder of the root, for what is no table (leases). Paths are relative to that folder.
    pub(crate) fn files(&self, path: &str) -> Result<Arc<dyn ObjectStore>> {
        DeltaTableBuilder::from_url(self.url(path)?)
            .and_then(|builder| builder.build_storage())
            .map(|store| store.object_store(None))
            .map_err(|error| reading(path, &error))
    }
}

/// Turns a folder or a URL into a URL that ends with a slash.
pub(crate) fn locate(root: &str, base: &Path) -> Result<Url> {
    if root.trim().is_empty() {
        return Err(unusable(root, "it is empty"));
    }
    let Some((scheme, _)) = root.split_once("://") else {
        let path = plain(&base.join(expand_home(root)));
        let absolute = std::path::absolute(&path).map_err(|error| unusable(root, &error.to_string()))?;
        return Url::from_directory_path(plain(&absolute)).map_err(|()| unusable(root, "it is no usable folder"));
    };
    if scheme != "file" && !clouds::SCHEMES.contains(&scheme) {
        return Err(unusable(root, &format!("`{scheme}://` is not known"))
            .help("use a folder, or a URL that starts with s3://, gs:// or abfss://"));
    }
    let mut url = Url::parse(root).map_err(|error| unusable(root, &error.to_string()))?;
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn expand_home(root: &str) -> PathBuf {
    match (root.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(root),
    }
}

/// The path without `.` and `..`, which a URL would not keep either.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

fn unusable(root: &str, cause: &str) -> Failure {
    Failure::project("W401", format!("opening the warehouse `{root}`"), cause)
        .help("set `warehouse.root` in warehouse.yaml to a folder or to a URL")
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::store::testing::{lake, people, rows};
    use crate::store::{Commit, TableSpec};

    #[test]
    fn relative_roots_start_at_the_project() {
        let warehouse = Warehouse::open("./warehouse", Path::new("/srv/shop"), "cdp").unwrap();
        assert_eq!(warehouse.root().as_str(), "file:///srv/shop/warehouse/");
        assert_eq!(warehouse.place("customer"), "/srv/shop/warehouse/cdp/customer");
        assert_eq!(
            warehouse.url("raw/crm contacts").unwrap().as_str(),
            "file:///srv/shop/warehouse/raw/crm%20contacts/"
        );
        let above = Warehouse::open("../lake", Path::new("/srv/shop"), "cdp").unwrap();
        assert_eq!(above.root().as_str(), "file:///srv/lake/");
    }

    #[test]
    fn w401_roots_that_cannot_be_used() {
        let base = Path::new("/srv");
        for root in ["", "ftp://host/x", "https://host/x", "memory://x"] {
            assert_eq!(Warehouse::open(root, base, "cdp").unwrap_err().code, "W401", "{root}");
        }
        assert_eq!(Warehouse::open("lake", base, "a/b").unwrap_err().code, "W401");
        assert_eq!(Warehouse::open("lake", base, "cdp").unwrap().url("../etc").unwrap_err().code, "W401");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_table_that_is_not_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open("lake", folder.path(), "cdp").unwrap();
        assert_eq!(warehouse.version("customer").await.unwrap(), None);
        assert!(warehouse.provider("customer", None).await.unwrap().is_none());
        assert!(!folder.path().join("lake").exists(), "looking creates nothing");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_table_that_is_being_made_is_not_there_yet_or_whole() {
        let (_folder, warehouse) = lake();
        for n in 0..30 {
            let spec = TableSpec { name: format!("people_{n}"), ..people() };
            let (writing, name) = (warehouse.clone(), spec.name.clone());
            let write = tokio::spawn(async move {
                let (session, commit) = (SessionContext::new(), Commit::default());
                writing.append(&spec, rows(&[("a", "b", 1)]), &commit, &session).await.unwrap();
            });
            while warehouse.table(&name, None).await.unwrap().is_none() {
                tokio::task::yield_now().await;
            }
            write.await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn w402_a_broken_log_is_said_to_be_broken() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("cdp/customer/_delta_log");
        std::fs::create_dir_all(&log).unwrap();
        std::fs::write(log.join("00000000000000000000.json"), "not json\n").unwrap();
        let warehouse = Warehouse::open(".", folder.path(), "cdp").unwrap();
        assert_eq!(warehouse.version("customer").await.unwrap_err().code, "W402");
    }
}
