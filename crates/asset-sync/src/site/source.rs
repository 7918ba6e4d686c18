//! Where a file's bytes come from.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SiteFile;
use super::values::{Filling, Kind};
use crate::Error;

/// How much of a file that the build compressed is decoded to look into it, in bytes.
const MAX_DECODED: u64 = 64 * 1024 * 1024;

/// Where the bytes of a file come from, before content encoding. `Debug` shows none of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) enum Source {
    /// The file on disk as it is.
    #[default]
    Disk,
    /// The file on disk as it is, unread so far: its digest is from the manifest at this path.
    Baked(Arc<Path>),
    /// The file on disk, its placeholders filled in as it is opened.
    Template(Arc<Filling>, Kind),
    /// Made by the scan; there is no file on disk.
    Generated(Arc<[u8]>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "Disk",
            Self::Baked(_) => "Baked",
            Self::Template(..) => "Template",
            Self::Generated(_) => "Generated",
        })
    }
}

impl SiteFile {
    /// The file on disk. Its bytes are those that are served only where no environment values and
    /// no encoding are involved: read them through [`SiteFile::open`]. For a generated file, where
    /// it would be; there is nothing there.
    pub fn path(&self) -> PathBuf {
        self.root.join(self.key.as_str())
    }

    /// The bytes that are served: with environment values, encoded as they are read.
    ///
    /// Memory is bounded by the encoder's window, whatever the file's size; a file with
    /// placeholders is held whole (at most 16 MiB).
    ///
    /// # Errors
    /// Those of the file system; `InvalidData` if a template can no longer be filled in, since it
    /// changed after the scan.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(self.encoding.encode(self.plain()?))
    }

    /// Whether environment values are part of its bytes.
    pub fn has_values(&self) -> bool {
        matches!(self.source, Source::Template(..) | Source::Generated(_))
    }

    /// The error where its bytes are not those that were scanned.
    pub(crate) fn changed(&self) -> Error {
        let path = self.path();
        match &self.source {
            Source::Baked(manifest) => Error::NotAsCut { path, manifest: manifest.to_path_buf() },
            _ => Error::SourceChanged { path },
        }
    }

    /// The bytes before encoding.
    pub(super) fn plain(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match &self.source {
            Source::Disk | Source::Baked(_) => Box::new(File::open(self.path())?),
            Source::Generated(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
            Source::Template(..) => Box::new(Cursor::new(self.content()?.bytes.into_owned())),
        })
    }

    /// The file on disk, decoded where the build compressed it: then at most 64 MiB, and what cannot be decoded is
    /// not there.
    pub(super) fn decoded(&self) -> io::Result<Box<dyn Read + Send>> {
        let file = File::open(self.path())?;
        Ok(match self.precompressed {
            None => Box::new(file),
            Some(encoding) => match encoding.decode(file) {
                Some(decoded) => Box::new(decoded.take(MAX_DECODED)),
                None => Box::new(io::empty()),
            },
        })
    }

    /// The bytes before any encoding, by this program or by the build, all at once.
    pub(super) fn content(&self) -> io::Result<FileContent<'_>> {
        if let Source::Generated(bytes) = &self.source {
            let whole = 0..bytes.len();
            return Ok(FileContent { bytes: Cow::Borrowed(bytes), values: vec![whole] });
        }
        let mut source = Vec::new();
        self.decoded()?.read_to_end(&mut source)?;
        let Source::Template(filling, kind) = &self.source else {
            return Ok(FileContent { bytes: Cow::Owned(source), values: Vec::new() });
        };
        let changed = |_| io::Error::new(io::ErrorKind::InvalidData, "changed after it was scanned");
        let filled = filling.fill(*kind, &source).map_err(changed)?;
        Ok(FileContent { values: filled.inserted, bytes: Cow::Owned(filled.bytes.into_owned()) })
    }
}

/// A file's bytes before encoding.
pub(super) struct FileContent<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Where values of the environment stand, in order.
    pub(super) values: Vec<Range<usize>>,
}
