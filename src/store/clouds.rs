//! Object stores: S3, Google Cloud Storage and Azure, by URL. Credentials and options come from the environment, under the
//! names that the `object_store` crate reads (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
//!
//! Delta's own packages for these stores bring the vendors' development kits along. Nothing of them is needed: commits are
//! files that are created once, which these stores do by themselves.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use deltalake::logstore::{
    LogStore, LogStoreFactory, ObjectStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories,
    object_store_factories,
};
use deltalake::{DeltaResult, DeltaTableError, ObjectStoreError, Path};
use object_store::RetryConfig;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use url::Url;

use crate::diag::{Failure, Result};

/// How URLs of these stores begin.
pub(crate) const SCHEMES: [&str; 8] = ["s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss"];

/// What to do about a store that cannot be opened.
const HELP: &str = "settings of the store are read from the environment: `cohorte explain W413`";

/// Requests are repeated for this long, and the last may then take as long as one may take (half a minute): less than the
/// period of a lease, or a writer that waits for its store would be taken for dead.
const PATIENCE: Duration = Duration::from_mins(1);

/// The store of a URL, and the path in it. One store is made for all that is in one place: its connections and its
/// credentials are shared.
pub(crate) fn object_store(url: &Url) -> Result<(ObjectStoreRef, Path)> {
    static STORES: Mutex<BTreeMap<String, (String, ObjectStoreRef)>> = Mutex::new(BTreeMap::new());
    let doing = || format!("opening the store of `{url}`");
    let path = Path::from_url_path(url.path()).map_err(|error| Failure::project("W401", doing(), error))?;
    // The engine tells stores apart by this, and by nothing more.
    let place = format!("{}://{}", url.scheme(), &url[url::Position::BeforeHost..url::Position::AfterPort]);
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((container, store)) = stores.get(&place) {
        if container != url.username() {
            let cause = format!("`{container}` of the same account is read already, and one can be");
            return Err(Failure::project("W401", doing(), cause)
                .help("write both as `az://CONTAINER/…`, and name the account in AZURE_STORAGE_ACCOUNT_NAME"));
        }
        return Ok((Arc::clone(store), path));
    }
    let store = build(url).map_err(|error| {
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Failure::world("W413", doing(), cause).help(HELP)
    })?;
    stores.insert(place, (url.username().to_owned(), Arc::clone(&store)));
    Ok((store, path))
}

fn build(url: &Url) -> Result<ObjectStoreRef, ObjectStoreError> {
    let retry = RetryConfig { retry_timeout: PATIENCE, ..RetryConfig::default() };
    Ok(match url.scheme() {
        "s3" | "s3a" => Arc::new(AmazonS3Builder::from_env().with_url(url.as_str()).with_retry(retry).build()?),
        "gs" => Arc::new(GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).with_retry(retry).build()?),
        _ => Arc::new(MicrosoftAzureBuilder::from_env().with_url(url.as_str()).with_retry(retry).build()?),
    })
}

/// Lets Delta tables be opened by the URLs of these stores.
pub(super) fn register() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        for scheme in SCHEMES {
            if let Ok(url) = Url::parse(&format!("{scheme}://")) {
                object_store_factories().insert(url.clone(), Arc::new(Clouds));
                logstore_factories().insert(url, Arc::new(Clouds));
            }
        }
    });
}

/// Makes what Delta tables are read and written through.
struct Clouds;

impl ObjectStoreFactory for Clouds {
    fn parse_url_opts(&self, url: &Url, _: &StorageConfig) -> DeltaResult<(ObjectStoreRef, Path)> {
        object_store(url).map_err(|failure| DeltaTableError::GenericError { source: Box::new(failure) })
    }
}

impl LogStoreFactory for Clouds {
    fn with_options(
        &self,
        prefixed: ObjectStoreRef,
        root: ObjectStoreRef,
        location: &Url,
        options: &StorageConfig,
    ) -> DeltaResult<Arc<dyn LogStore>> {
        Ok(default_logstore(prefixed, root, location, options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn what_is_in_one_place_shares_a_store() {
        let (one, path) = object_store(&url("s3://lake/raw/a%20b/")).unwrap();
        assert_eq!(path.as_ref(), "raw/a b");
        let (same, _) = object_store(&url("s3://lake/cdp/")).unwrap();
        let (other, _) = object_store(&url("s3://pond/")).unwrap();
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn w401_containers_that_the_engine_could_not_tell_apart() {
        object_store(&url("abfss://raw@lake.dfs.core.windows.net/")).unwrap();
        let failure = object_store(&url("abfss://cdp@lake.dfs.core.windows.net/")).unwrap_err();
        assert_eq!(failure.code, "W401");
        assert!(failure.help.contains("az://"), "{failure:?}");
    }

    #[test]
    fn a_delta_table_opens_through_it() {
        register();
        deltalake::DeltaTableBuilder::from_url(url("gs://lake/cdp/customer")).unwrap();
        let failure = object_store(&url("abfss://raw@lake.example.com/")).unwrap_err();
        assert_eq!(failure.code, "W413", "{failure:?}");
    }
}
