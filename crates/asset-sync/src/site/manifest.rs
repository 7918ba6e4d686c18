//! The manifest that lies beside the site in a deployment image: what its files are, worked out once, when
//! the image is cut.
//!
//! A scan that is given it does not open a file that is still as it was cut: of the size that is listed, and of the
//! time that every file has in the image's layer. Whatever changes a file leaves it another time, so that a file
//! that was changed by accident is read, and told. Who sets the time back as well is not found out by the scan,
//! but by the upload, which hashes the bytes it sends. Files that take environment values or are compressed on their
//! way are read in any case.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::hash::BUFFER;
use super::values::WordSearch;
use super::{Key, Precompressed, ScanError, ScanProblem, Site, SiteFile, parallel};
use crate::digest::{Hasher, Sha256};

/// The modification time of every file of the site in the image, in seconds since 1970.
pub const PACKED_MTIME: u64 = 0;

/// The files of a site as they lie in the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteManifest {
    /// The format's number. A reader refuses one it does not know.
    pub format: u32,
    /// The files, sorted by key, no key twice.
    pub files: Vec<SiteManifestFile>,
}

/// One file of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteManifestFile {
    /// Its path in the site, with `/` between segments.
    pub key: Key,
    /// SHA-256 of its bytes as they lie in the image.
    pub sha256: Sha256,
    /// Number of those bytes.
    pub size: u64,
    /// The content type it is served with by the rules of the image.
    pub content_type: String,
    /// How the names begin that could be placeholders in it, up to their first `_`: `WEBAPP` for
    /// `__WEBAPP_API_URL__`. Sorted; most files have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placeholders: Vec<String>,
    /// The encoding that its first bytes show; most files have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded: Option<Precompressed>,
}

/// A site's manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteManifestError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// It is of a later version of these programs.
    #[error("has format {format}, and this version knows {known}: use a newer version", known = SiteManifest::FORMAT)]
    Format {
        /// Its format.
        format: u64,
    },
    /// It says no format.
    #[error("is not the manifest of a site: it says no format")]
    NoFormat,
    /// It is not JSON, or lacks something.
    #[error("is broken: {0}")]
    Broken(#[source] serde_json::Error),
    /// A key that is not after the one before it.
    #[error("is broken: {key:?} stands there twice, or out of order")]
    Order {
        /// The key.
        key: Key,
    },
}

impl SiteManifest {
    /// The format that is written.
    pub const FORMAT: u32 = 1;

    /// The manifest of a scanned site as it lies on disk, before values and encodings. Reads every file once more. This
    /// blocks.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn of(site: &Site) -> Result<Self, ScanError> {
        let entries = parallel::for_each(
            site.files.len(),
            0,
            || vec![0; BUFFER],
            |buffer, index| SiteManifestFile::of(&site.files[index], buffer),
        );
        let mut files = Vec::with_capacity(entries.len());
        let mut problems = Vec::new();
        for (entry, file) in entries.into_iter().zip(&site.files) {
            match entry {
                Ok(entry) => files.push(entry),
                Err(source) => problems.push(ScanProblem::Unreadable { path: file.key.as_str().into(), source }),
            }
        }
        if problems.is_empty() { Ok(Self { format: Self::FORMAT, files }) } else { Err(ScanError::Problems(problems)) }
    }

    /// Reads a manifest of a known format.
    ///
    /// # Errors
    /// It is of another format, or broken.
    pub fn parse(bytes: &[u8]) -> Result<Self, SiteManifestError> {
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(SiteManifestError::Broken)?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(Self::FORMAT) => {}
            Some(format) => return Err(SiteManifestError::Format { format }),
            None => return Err(SiteManifestError::NoFormat),
        }
        let manifest: Self = serde_json::from_value(value).map_err(SiteManifestError::Broken)?;
        let unsorted = manifest.files.windows(2).find(|pair| pair[0].key >= pair[1].key);
        match unsorted {
            Some(pair) => Err(SiteManifestError::Order { key: pair[1].key.clone() }),
            None => Ok(manifest),
        }
    }

    /// Number of bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    fn entry(&self, key: &Key) -> Option<&SiteManifestFile> {
        self.files.binary_search_by(|file| file.key.cmp(key)).ok().map(|index| &self.files[index])
    }
}

impl SiteManifestFile {
    fn of(file: &SiteFile, buffer: &mut [u8]) -> io::Result<Self> {
        let mut source = File::open(file.path())?;
        let (mut hasher, mut size, mut search) = (Hasher::default(), 0, WordSearch::default());
        let mut encoded = None;
        loop {
            match source.read(buffer) {
                Ok(0) => break,
                Ok(n) => {
                    if size == 0 {
                        encoded = Precompressed::of_bytes(&buffer[..n]);
                    }
                    hasher.update(&buffer[..n]);
                    search.block(&buffer[..n]);
                    size += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if file.precompressed.is_some() {
            // Its placeholders are seen only in what it holds.
            let mut decoded = file.decoded()?;
            loop {
                match decoded.read(buffer) {
                    Ok(0) => break,
                    Ok(n) => search.block(&buffer[..n]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Self {
            key: file.key.clone(),
            sha256: hasher.finish(),
            size,
            content_type: file.headers.content_type.clone(),
            placeholders: search.found().into_iter().collect(),
            encoded,
        })
    }

    /// Whether the file could hold a placeholder of a variable with this prefix.
    pub(super) fn may_take(&self, prefix: &str) -> bool {
        let word = prefix.split('_').next().unwrap_or_default();
        self.placeholders.iter().any(|known| known == word)
    }

    /// Whether what the file system says of the file is what it was when the image was cut.
    pub(super) fn is_as_packed(&self, metadata: &Metadata) -> bool {
        let packed = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(PACKED_MTIME);
        metadata.len() == self.size && metadata.modified().is_ok_and(|modified| modified == packed)
    }
}

/// The manifest of a site, from a file.
#[derive(Debug, Clone)]
pub struct BakedManifest {
    pub(super) path: Arc<Path>,
    manifest: SiteManifest,
}

impl BakedManifest {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// It cannot be read, is of another format, or is broken.
    pub fn read(path: &Path) -> Result<Self, SiteManifestError> {
        let bytes = fs::read(path).map_err(SiteManifestError::Unreadable)?;
        Ok(Self { path: path.into(), manifest: SiteManifest::parse(&bytes)? })
    }

    /// What it says of the file of this key.
    pub(super) fn entry(&self, key: &Key) -> Option<&SiteManifestFile> {
        self.manifest.entry(key)
    }

    /// Files of the site that it does not list, and files it lists that are not below `root`. `found`, sorted, are
    /// those that rules do not leave out.
    pub(super) fn differences<'a>(&self, root: &Path, found: impl Iterator<Item = &'a Key>) -> Vec<ScanProblem> {
        let found: BTreeSet<&Key> = found.collect();
        let unlisted = found.iter().filter(|key| self.entry(key).is_none());
        let mut problems: Vec<_> = unlisted.map(|key| self.problem(key, Difference::Unlisted)).collect();
        let absent = self.manifest.files.iter().filter(|file| !found.contains(&file.key));
        let missing = absent.filter(|file| {
            let there = fs::symlink_metadata(root.join(file.key.as_str()));
            there.is_err_and(|error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
        });
        problems.extend(missing.map(|file| self.problem(&file.key, Difference::Missing)));
        problems
    }

    pub(super) fn problem(&self, key: &Key, difference: Difference) -> ScanProblem {
        let manifest = self.path.to_path_buf();
        ScanProblem::NotAsCut { path: PathBuf::from(key.as_str()), manifest, difference }
    }
}

/// How a file differs from what the manifest beside the site says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// It does not list the file.
    #[error("is not listed")]
    Unlisted,
    /// The file is not there.
    #[error("is missing")]
    Missing,
    /// The file has another size.
    #[error("has {size} bytes in place of {listed}")]
    Size {
        /// Its size.
        size: u64,
        /// The size that is listed.
        listed: u64,
    },
    /// The file has another content of the same size.
    #[error("has another content")]
    Content,
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
