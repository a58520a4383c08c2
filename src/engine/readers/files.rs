//! The files of a source: found by path, folder or glob, locally or in an object store; opened as text whether or not they
//! are compressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use deltalake::{ObjectStore, Path as ObjectPath};
use flate2::bufread::MultiGzDecoder;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use tokio::runtime::Handle;
use url::Url;

use super::Format;
use super::failures::{not_found, unreadable};
use crate::diag::{Failure, Result};
use crate::store::{object_store, refusal};

/// One file.
#[derive(Debug, Clone)]
pub(super) struct SourceFile {
    /// Relative to the folder before the first wildcard: names the file in messages and in `_row`.
    pub(super) name: String,
    /// Where it is.
    pub(super) url: Url,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: ObjectPath,
    pub(super) size: u64,
    /// Changes when the content does: the time of the last change, or the store's tag.
    stamp: String,
    local: Option<std::path::PathBuf>,
}

/// A digest of the list of files: equal as long as no file has come, gone or changed.
pub(super) fn fingerprint(files: &[SourceFile]) -> String {
    let mut digest = blake3::Hasher::new();
    for file in files {
        digest.update(file.called().as_bytes());
        digest.update(b"\0");
    }
    format!("files:{}", digest.finalize().to_hex())
}

/// All files at a location, in the order of their names.
pub(super) async fn find(source: &str, location: &str, base: &Path, format: Format) -> Result<Vec<SourceFile>> {
    let mut files = match location.strip_prefix("file://") {
        Some(path) => find_local(source, path, base, format)?,
        None if location.contains("://") => find_remote(source, location, base, format).await?,
        None => find_local(source, location, base, format)?,
    };
    if files.is_empty() {
        return Err(not_found(source, location));
    }
    files.sort_by(|a, b| a.url.cmp(&b.url));
    Ok(files)
}

fn find_local(source: &str, location: &str, base: &Path, format: Format) -> Result<Vec<SourceFile>> {
    let absolute = std::path::absolute(base.join(location)).map_err(|error| unreadable(source, location, error))?;
    let (folder, pattern) = if absolute.is_file() {
        return Ok(vec![local(source, &absolute, absolute.parent().unwrap_or(&absolute))?]);
    } else if absolute.is_dir() {
        (absolute.clone(), format!("{}/*", glob::Pattern::escape(&absolute.to_string_lossy())))
    } else {
        let wild = |part: &std::path::Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
        let fixed: std::path::PathBuf = absolute.components().take_while(|part| !wild(part)).collect();
        (fixed, absolute.to_string_lossy().into_owned())
    };
    let found = glob::glob(&pattern).map_err(|error| unreadable(source, location, error))?;
    let mut files = Vec::new();
    for path in found {
        let path = path.map_err(|error| unreadable(source, location, error.error()))?;
        let wanted = !absolute.is_dir() || format.extension(&path.to_string_lossy());
        if path.is_file() && wanted {
            files.push(local(source, &path, &folder)?);
        }
    }
    Ok(files)
}

fn local(source: &str, path: &Path, folder: &Path) -> Result<SourceFile> {
    let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let unreadable = |error: &dyn std::fmt::Display| unreadable(source, &name, error);
    let metadata = path.metadata().map_err(|error| unreadable(&error))?;
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let url = Url::from_file_path(path).map_err(|()| unreadable(&"its path is not absolute"))?;
    Ok(SourceFile {
        path: ObjectPath::from_absolute_path(path).map_err(|error| unreadable(&error))?,
        store: Arc::new(object_store::local::LocalFileSystem::new()),
        url,
        size: metadata.len(),
        stamp: changed.map_or_else(String::new, |time| time.as_nanos().to_string()),
        local: Some(path.to_owned()),
        name,
    })
}

async fn find_remote(source: &str, location: &str, base: &Path, format: Format) -> Result<Vec<SourceFile>> {
    let doing = format!("reading the source `{source}`");
    let refused = |error: object_store::Error| match refusal(&*doing, &error) {
        Some(failure) => failure,
        None => unreadable(source, location, error),
    };
    // Says which stores there are; a glob's characters are no matter here.
    crate::store::locate(location, base).map_err(|failure| Failure { doing: doing.clone(), ..failure })?;
    let wild = location.find(['*', '?', '[']).unwrap_or(location.len());
    let fixed = &location[..location[..wild].rfind('/').map_or(wild, |slash| slash + 1)];
    let single = wild == location.len() && !location.ends_with('/');
    let url = Url::parse(if single { location } else { fixed }).map_err(|error| unreadable(source, location, error))?;
    let (store, prefix) = object_store(&url).map_err(|failure| Failure { doing: doing.clone(), ..failure })?;
    let mut found = Vec::new();
    if single && let Ok(one) = store.head(&prefix).await {
        found.push(one);
    } else {
        let listed: std::result::Result<Vec<_>, _> = store.list(Some(&prefix)).try_collect().await;
        found.extend(listed.map_err(refused)?);
        let rest = if single { "" } else { &location[fixed.len()..] };
        let pattern = (!rest.is_empty()).then(|| glob::Pattern::new(rest)).transpose();
        let pattern = pattern.map_err(|error| unreadable(source, location, error))?;
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
        found.retain(|file| {
            let name = below(&file.location, &prefix);
            match &pattern {
                Some(pattern) => pattern.matches_with(&name, options),
                None => format.extension(&name) && !name.contains('/'),
            }
        });
    }
    found
        .into_iter()
        .map(|file| {
            let name = match below(&file.location, &prefix) {
                name if name.is_empty() => file.location.filename().unwrap_or_default().to_owned(),
                name => name,
            };
            let mut url = url.clone();
            url.set_path("");
            if let Ok(mut path) = url.path_segments_mut() {
                path.extend(file.location.parts().map(|part| part.as_ref().to_owned()));
            }
            Ok(SourceFile {
                url,
                store: Arc::clone(&store),
                size: file.size,
                stamp: file.e_tag.unwrap_or_else(|| file.last_modified.timestamp_micros().to_string()),
                path: file.location,
                local: None,
                name,
            })
        })
        .collect()
}

fn below(path: &ObjectPath, prefix: &ObjectPath) -> String {
    let path = path.as_ref();
    path.strip_prefix(prefix.as_ref()).unwrap_or(path).trim_start_matches('/').to_owned()
}

impl SourceFile {
    /// The file's bytes as they are. Blocks: only from a thread that may.
    pub(super) fn raw(&self) -> io::Result<Box<dyn BufRead + Send>> {
        if let Some(path) = &self.local {
            return Ok(Box::new(BufReader::with_capacity(1 << 18, File::open(path)?)));
        }
        let handle = Handle::current();
        let answer = handle.block_on(self.store.get(&self.path))?;
        let stream = answer.into_stream().map_ok(|chunk| chunk.to_vec()).boxed();
        Ok(Box::new(BufReader::with_capacity(1 << 18, Download { stream, handle, chunk: Cursor::default() })))
    }

    /// The file's text: decompressed where it is compressed (by its first bytes, not its name), without a byte order
    /// mark. Blocks.
    pub(super) fn text(&self) -> io::Result<Box<dyn BufRead + Send>> {
        let mut raw = self.raw()?;
        let mut text: Box<dyn BufRead + Send> = if raw.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
            Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(raw)))
        } else {
            raw
        };
        if text.fill_buf()?.starts_with(&[0xef, 0xbb, 0xbf]) {
            text.consume(3);
        }
        Ok(text)
    }

    /// What tells it from any other file, and from what it was before it was changed.
    pub(super) fn called(&self) -> String {
        format!("{}\0{}\0{}", self.url, self.size, self.stamp)
    }

    /// The path, for people.
    pub(super) fn place(&self) -> String {
        self.local.as_ref().map_or_else(|| self.url.to_string(), |path| path.display().to_string())
    }
}

/// Reads an object's stream from a thread that may block.
struct Download {
    stream: BoxStream<'static, object_store::Result<Vec<u8>>>,
    handle: Handle,
    chunk: Cursor<Vec<u8>>,
}

impl Read for Download {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.chunk.read(into)?;
            if length > 0 || into.is_empty() {
                return Ok(length);
            }
            match self.handle.block_on(self.stream.next()) {
                None => return Ok(0),
                Some(chunk) => self.chunk = Cursor::new(chunk?),
            }
        }
    }
}
