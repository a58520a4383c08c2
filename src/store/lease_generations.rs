//! The files of the lease: numbered generations, of which each can be created once.

use chrono::{DateTime, Utc};
use deltalake::{ObjectStore, ObjectStoreError, Path};
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, PutMode, PutPayload};
use serde::{Deserialize, Serialize};

use super::lease_process::Process;
use super::refusal::refusal;
use crate::diag::{Failure, Result};

/// Generations that are kept behind the greatest.
const KEPT: u64 = 3;

/// One generation, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) holder: String,
    pub(super) since: DateTime<Utc>,
    /// Distinguishes two claims of equal text.
    pub(super) token: String,
    pub(super) process: Process,
    pub(super) period_ms: u64,
    pub(super) released: bool,
    #[serde(default)]
    pub(super) run: Option<String>,
}

/// Creates a generation. False where somebody else has it, or where it turns out not to be the greatest.
pub(super) async fn claim_generation(store: &dyn ObjectStore, generation: u64, claim: &Claim) -> Result<bool> {
    let json = serde_json::to_vec(claim).map_err(|error| broken(&error))?;
    match store.put_opts(&name(generation), PutPayload::from(json), PutMode::Create.into()).await {
        Ok(_) => {}
        // An attempt whose answer was lost may have succeeded: then the file is ours.
        Err(error) if taken(&error) && read(store, generation).await?.as_ref() == Some(claim) => {}
        Err(error) if taken(&error) => return Ok(false),
        Err(error) => return Err(broken(&error)),
    }
    let all = generations(store).await?;
    if all.last() != Some(&generation) {
        // A name from long ago, created again: it must not be taken for a claim.
        discard(store, &name(generation)).await?;
        return Ok(false);
    }
    for old in all.into_iter().filter(|old| old + KEPT < generation) {
        discard(store, &name(old)).await?;
    }
    Ok(true)
}

async fn discard(store: &dyn ObjectStore, path: &Path) -> Result<()> {
    match store.delete(path).await {
        Ok(()) | Err(ObjectStoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(broken(&error)),
    }
}

/// The greatest generation and who made it.
pub(super) async fn greatest(store: &dyn ObjectStore) -> Result<Option<(u64, Claim)>> {
    loop {
        let Some(generation) = generations(store).await?.pop() else { return Ok(None) };
        // It may be deleted by a later one between the listing and the reading.
        if let Some(claim) = read(store, generation).await? {
            return Ok(Some((generation, claim)));
        }
    }
}

async fn read(store: &dyn ObjectStore, generation: u64) -> Result<Option<Claim>> {
    let bytes = match store.get(&name(generation)).await {
        Ok(found) => found.bytes().await.map_err(|error| broken(&error))?,
        Err(ObjectStoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(broken(&error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| broken(&error))
}

fn taken(error: &ObjectStoreError) -> bool {
    matches!(error, ObjectStoreError::AlreadyExists { .. } | ObjectStoreError::Precondition { .. })
}

async fn generations(store: &dyn ObjectStore) -> Result<Vec<u64>> {
    let files: Vec<_> = match store.list(None).try_collect().await {
        Ok(files) => files,
        Err(ObjectStoreError::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(broken(&error)),
    };
    let mut all: Vec<u64> =
        files.iter().filter_map(|file| file.location.filename()?.strip_suffix(".json")?.parse().ok()).collect();
    // Nobody gets that far: such a name is no generation of ours.
    all.retain(|generation| *generation < u64::MAX / 2);
    all.sort_unstable();
    Ok(all)
}

fn name(generation: u64) -> Path {
    Path::from(format!("{generation:020}.json"))
}

fn broken(error: &(dyn std::error::Error + 'static)) -> Failure {
    let doing = "reaching the warehouse's lease";
    refusal(doing, error).unwrap_or_else(|| {
        Failure::world("W412", doing, error).help(
            "check that the warehouse is a folder, or a store, that may be read and written and has room; the lease is in \
             `_cohorte/lease` of its schema",
        )
    })
}

/// Refuses a store on which the lease would not exclude anybody.
pub(super) async fn probe(store: &dyn ObjectStore) -> Result<()> {
    let path = Path::from(format!("probe-{}", uuid::Uuid::new_v4()));
    let create = || store.put_opts(&path, PutPayload::from_static(b"{}"), PutMode::Create.into());
    match create().await {
        Ok(_) => {}
        Err(ObjectStoreError::NotImplemented { .. } | ObjectStoreError::NotSupported { .. }) => return Err(careless()),
        Err(error) => return Err(broken(&error)),
    }
    let second = create().await;
    discard(store, &path).await?;
    match second {
        Err(error) if taken(&error) => Ok(()),
        Ok(_) => Err(careless()),
        Err(error) => Err(broken(&error)),
    }
}

fn careless() -> Failure {
    let cause = "this store lets two writers create the same file, so nothing keeps them apart";
    Failure::world("W408", "taking the warehouse's lease", cause)
        .help("use a store with conditional writes: S3, GCS, Azure or a local disk (some S3 look-alikes lack them)")
}
