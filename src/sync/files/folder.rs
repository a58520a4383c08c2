//! Where files go: a folder of this machine, or a place in an object store.
//!
//! Both show a whole file or none. On the disk a file is written under a hidden name in the same folder, flushed and renamed; an object
//! store puts what it got whole.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::error::ArrowError;
use futures::StreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutPayload};
use url::Url;

use crate::diag::Failure;

/// Where files go.
#[derive(Debug, Clone)]
pub enum Folder {
    /// A folder, absolute. It is made where there is none.
    Local(PathBuf),
    /// What begins with a path in an object store.
    Store {
        /// What people call it.
        url: Url,
        /// The store.
        store: Arc<dyn ObjectStore>,
        /// The path in it.
        path: ObjectPath,
        /// Says what was being done and what the store answered: requests may hold a signature, which nobody should read.
        refused: fn(String, &StoreError) -> Failure,
    },
}

impl Folder {
    /// Makes a folder below it, if it is a thing that is made.
    pub(super) async fn prepare(&self, folder: &str) -> Result<(), Failure> {
        let Self::Local(path) = self else { return Ok(()) };
        let path = path.join(folder);
        self.on_disk(folder, move || fs::create_dir_all(path)).await
    }

    /// Writes a file below a folder, in place of one of that name. The inner failure says that nobody knows whether the
    /// file is there, or stays.
    pub(super) async fn put(
        &self,
        folder: &str,
        name: &str,
        write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), ArrowError> + Send + 'static,
    ) -> Result<Result<(), Failure>, Failure> {
        match self {
            Self::Local(path) => {
                let parent = path.join(folder);
                let (partial, whole) = (parent.join(format!(".{name}.partial")), parent.join(name));
                let written = move || {
                    let result = written(&partial, write).and_then(|()| fs::rename(&partial, &whole));
                    if result.is_err() {
                        // Best effort: a hidden leftover harms nobody and the next attempt overwrites it.
                        let _ = fs::remove_file(&partial);
                    }
                    result
                };
                self.on_disk(folder, written).await?;
                Ok(self.on_disk(folder, move || flush_folder(&parent)).await)
            }
            Self::Store { store, refused, .. } => {
                let made = move || {
                    let mut bytes = Vec::new();
                    write(&mut bytes).map_err(io::Error::other)?;
                    Ok(bytes)
                };
                let bytes = self.on_disk(folder, made).await?;
                let Err(error) = store.put(&self.object(folder, name), PutPayload::from(bytes)).await else {
                    return Ok(Ok(()));
                };
                let failure = refused(self.doing(folder), &error);
                match error {
                    // The store has answered, and written nothing.
                    StoreError::NotFound { .. }
                    | StoreError::PermissionDenied { .. }
                    | StoreError::Unauthenticated { .. } => Err(failure),
                    // An answer may have been lost after it had.
                    _ => Ok(Err(failure)),
                }
            }
        }
    }

    /// Is there a file of this name below a folder?
    pub(super) async fn has(&self, folder: &str, name: &str) -> Result<bool, Failure> {
        match self {
            Self::Local(path) => {
                let file = path.join(folder).join(name);
                self.on_disk(folder, move || file.try_exists()).await
            }
            Self::Store { store, refused, .. } => match store.head(&self.object(folder, name)).await {
                Ok(_) => Ok(true),
                Err(StoreError::NotFound { .. }) => Ok(false),
                Err(error) => Err(refused(self.doing(folder), &error)),
            },
        }
    }

    /// Can it be written to? Looking leaves nothing behind.
    pub async fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Local(path) => {
                let path = path.clone();
                self.on_disk("", move || can_write(path)).await
            }
            Self::Store { store, path, refused, .. } => {
                let probe = self.object("", &format!(".cohorte-{}", uuid::Uuid::new_v4().simple()));
                let written = async {
                    store.put(&probe, PutPayload::new()).await?;
                    store.delete(&probe).await?;
                    store.list(Some(path)).next().await.transpose()
                };
                written.await.map(|_| ()).map_err(|error| refused(self.doing(""), &error))
            }
        }
    }

    fn object(&self, folder: &str, name: &str) -> ObjectPath {
        let Self::Store { path, .. } = self else { return ObjectPath::default() };
        folder.split('/').filter(|part| !part.is_empty()).chain([name]).fold(path.clone(), ObjectPath::join)
    }

    /// Runs a piece of blocking work beside the runtime.
    async fn on_disk<T: Send + 'static>(
        &self,
        folder: &str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result.map_err(|error| self.cannot_write(folder, &error)),
            Err(error) => Err(self.cannot_write(folder, &error)),
        }
    }

    fn doing(&self, folder: &str) -> String {
        let place = match self {
            Self::Local(path) => path.join(folder).display().to_string(),
            Self::Store { url, .. } => format!("{}/{folder}", url.as_str().trim_end_matches('/')),
        };
        format!("writing files to `{}`", place.trim_end_matches('/'))
    }

    pub(super) fn cannot_write(&self, folder: &str, error: &dyn Display) -> Failure {
        Failure::world("W601", self.doing(folder), error).help(
            "check that the connection's `path:` is a folder that this user may write to, and that the disk has room",
        )
    }
}

/// Writes a whole file and flushes it to the disk.
fn written(path: &Path, write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), ArrowError>) -> io::Result<()> {
    let file = File::create(path)?;
    let mut out = BufWriter::new(&file);
    write(&mut out).map_err(io::Error::other)?;
    out.flush()?;
    drop(out);
    file.sync_all()
}

/// Makes a rename survive a power cut. Only Unix can open a folder to flush it.
fn flush_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// A folder that may be written, or could be made.
fn can_write(mut folder: PathBuf) -> io::Result<()> {
    while !folder.exists() {
        if !folder.pop() {
            break;
        }
    }
    if !folder.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    tempfile::Builder::new().prefix(".cohorte-").tempfile_in(&folder).map(|_| ())
}
