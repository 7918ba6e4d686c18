//! The site as a layer: a tar archive, compressed, the same bytes for the same site.
//!
//! Entries are in a fixed order, with fixed owner, mode and time, so that only names and contents
//! count. The compression is `flate2`'s Rust implementation at a fixed level; a test pins the digest
//! of a known layer, so that a new version of it cannot change layers unseen. Were it to change
//! them, releases would still be known again: their identity is made from the files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use asset_sync::site::PACKED_MTIME;
use asset_sync::{Hasher, Sha256};
use flate2::{Compression, GzBuilder};

use crate::Error;
use crate::reference::Digest;
use crate::site::{DIRECTORY, MANIFEST, RULES, Site};

/// gzip's own default: 9 costs twice the time for a percent.
const LEVEL: u32 = 6;
/// gzip's code for an unknown operating system (RFC 1952).
const UNKNOWN_SYSTEM: u8 = 255;

/// A packed layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The digest of the compressed bytes, by which the registry knows it.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// The digest of the archive before compression, which the image's configuration lists.
    pub diff_id: Digest,
}

/// Packs `site` into the file `into`. This blocks.
///
/// The site's manifest comes first, so that it can be read without the rest.
///
/// # Errors
/// A file that cannot be read, or is not what the site's manifest says of it.
pub fn pack(site: &Site, into: &Path) -> Result<Layer, Error> {
    let write_failed = |source| Error::Write { path: into.to_owned(), source };
    let out = File::create(into).map_err(write_failed)?;
    let compressed = HashingWriter::new(BufWriter::new(out));
    let gzip = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM).write(compressed, Compression::new(LEVEL));
    let mut archive = tar::Builder::new(HashingWriter::new(gzip));

    let manifest = serde_json::to_vec(&site.manifest).map_err(|error| Error::Internal(error.to_string()))?;
    append(&mut archive, MANIFEST, manifest.len() as u64, manifest.as_slice()).map_err(write_failed)?;
    if let Some(rules) = &site.rules {
        append(&mut archive, RULES, rules.len() as u64, rules.as_slice()).map_err(write_failed)?;
    }
    let mut directories = BTreeSet::new();
    append_directory(&mut archive, DIRECTORY).map_err(write_failed)?;
    for (file, path) in site.manifest.files.iter().zip(&site.paths) {
        let key = file.key.as_str();
        for (at, _) in key.match_indices('/') {
            if directories.insert(&key[..at]) {
                append_directory(&mut archive, &format!("{DIRECTORY}/{}", &key[..at])).map_err(write_failed)?;
            }
        }
        let read_failed = |source| Error::Read { path: path.clone(), source };
        let mut source = Checked::new(File::open(path).map_err(read_failed)?, file.size);
        let packed = append(&mut archive, &format!("{DIRECTORY}/{}", file.key), file.size, &mut source);
        // One error comes from either end of the copy.
        if let Some(error) = source.failed.take() {
            return Err(read_failed(error));
        }
        packed.map_err(write_failed)?;
        let whole = source.left == 0 && source.at_end().map_err(read_failed)?;
        if !whole || source.hasher.finish() != file.sha256 {
            return Err(Error::SiteChanged { path: path.clone() });
        }
    }

    let (gzip, diff_id, _) = archive.into_inner().map_err(write_failed)?.finish();
    let (file, digest, written) = gzip.finish().map_err(write_failed)?.finish();
    file.into_inner().map_err(|error| write_failed(error.into_error()))?;
    Ok(Layer { digest: digest.into(), size: written, diff_id: diff_id.into() })
}

/// Reads a file from the start of the packed layer in `from`; none where another comes first.
///
/// # Errors
/// The layer is not a compressed archive.
pub fn first_file(from: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(io::BufReader::new(File::open(from)?)));
    let Some(entry) = archive.entries()?.next() else {
        return Ok(None);
    };
    let mut entry = entry?;
    if entry.path()? != Path::new(name.trim_start_matches('/')) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn append<W: Write>(archive: &mut tar::Builder<W>, name: &str, size: u64, bytes: impl Read) -> io::Result<()> {
    let mut header = header(tar::EntryType::Regular, 0o644);
    header.set_size(size);
    archive.append_data(&mut header, name.trim_start_matches('/'), bytes)
}

fn append_directory<W: Write>(archive: &mut tar::Builder<W>, name: &str) -> io::Result<()> {
    let mut header = header(tar::EntryType::Directory, 0o755);
    header.set_size(0);
    archive.append_data(&mut header, format!("{}/", name.trim_start_matches('/')), io::empty())
}

/// A header with all that must not depend on the machine.
fn header(entry: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(entry);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(PACKED_MTIME);
    header
}

/// Hashes and counts what is written through it.
pub(crate) struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
    written: u64,
}

impl<W: Write> HashingWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::default(), written: 0 }
    }

    pub(crate) fn finish(self) -> (W, Sha256, u64) {
        (self.inner, self.hasher.finish(), self.written)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads a file up to its expected size, hashing it; where it ends early it gives zeros, so that the
/// archive stays whole until the hash tells.
struct Checked {
    file: File,
    hasher: Hasher,
    left: u64,
    failed: Option<io::Error>,
    early_end: bool,
}

impl Checked {
    fn new(file: File, size: u64) -> Self {
        Self { file, hasher: Hasher::default(), left: size, failed: None, early_end: false }
    }

    /// Whether the file ends where it should.
    fn at_end(&mut self) -> io::Result<bool> {
        Ok(!self.early_end && self.file.read(&mut [0])? == 0)
    }
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..most];
        let n = match self.file.read(buffer) {
            Ok(0) if !buffer.is_empty() => {
                self.early_end = true;
                buffer.fill(0);
                buffer.len()
            }
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let copy = io::Error::new(error.kind(), error.to_string());
                self.failed = Some(error);
                return Err(copy);
            }
        };
        self.hasher.update(&buffer[..n]);
        self.left -= n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::site;

    fn site_in(dir: &Path) -> Site {
        fs::create_dir_all(dir.join("assets/deep")).unwrap();
        fs::write(dir.join("index.html"), "<!doctype html><script src=/assets/app.js></script>").unwrap();
        fs::write(dir.join("assets/app.js"), "console.log(1)".repeat(1000)).unwrap();
        fs::write(dir.join(format!("assets/deep/{}.js", "long".repeat(40))), "").unwrap();
        site::read(dir, None).unwrap()
    }

    #[test]
    fn the_bytes_of_a_layer_stand() {
        let dir = tempfile::tempdir().unwrap();
        let out = tempfile::tempdir().unwrap();
        let layer = pack(&site_in(dir.path()), &out.path().join("layer")).unwrap();
        assert_eq!(layer.digest, Digest::of(&fs::read(out.path().join("layer")).unwrap()));
        // Changed by a new version of flate2, tar or the media types: then say so in the changelog.
        insta::assert_snapshot!(format!("{} {}", layer.diff_id, layer.digest), @"sha256:24432b1aeea46262164e775c0c7593590be30b86e2b1479ba05c9f20a2dbb604 sha256:f3c88b1aad3ab9024842182f992a843526b99c4957255b506429c38f5526d81c");
    }

    #[test]
    #[cfg(unix)]
    fn dates_and_modes_do_not_count_and_contents_do() {
        use std::os::unix::fs::PermissionsExt as _;
        let out = tempfile::tempdir().unwrap();
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let layer = pack(&site_in(first.path()), &out.path().join("1")).unwrap();
        let site = site_in(second.path());
        let page = second.path().join("index.html");
        fs::set_permissions(&page, fs::Permissions::from_mode(0o700)).unwrap();
        File::options().append(true).open(&page).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(pack(&site, &out.path().join("2")).unwrap(), layer);
        fs::write(&page, "<!doctype html>").unwrap();
        let site = site::read(second.path(), None).unwrap();
        assert_ne!(pack(&site, &out.path().join("2")).unwrap(), layer);
    }

    #[test]
    fn the_archive_holds_the_files_and_their_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let out = tempfile::NamedTempFile::new().unwrap();
        let site = site_in(dir.path());
        pack(&site, out.path()).unwrap();
        let manifest = first_file(out.path(), MANIFEST).unwrap().unwrap();
        assert_eq!(asset_sync::site::SiteManifest::parse(&manifest).unwrap(), site.manifest);
        let unpacked = tempfile::tempdir().unwrap();
        let file = File::open(out.path()).unwrap();
        tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(unpacked.path()).unwrap();
        for (file, path) in site.manifest.files.iter().zip(&site.paths) {
            let there = fs::read(unpacked.path().join("site").join(file.key.as_str())).unwrap();
            assert_eq!(there, fs::read(path).unwrap(), "{}", file.key);
        }
    }

    #[test]
    fn a_file_that_changes_is_noticed() {
        for text in ["", "<!doctype html>", "<!doctype html><script src=/assets/app.JS></script>", &"long".repeat(1000)]
        {
            let dir = tempfile::tempdir().unwrap();
            let out = tempfile::NamedTempFile::new().unwrap();
            let site = site_in(dir.path());
            fs::write(dir.path().join("index.html"), text).unwrap();
            let error = pack(&site, out.path()).unwrap_err();
            assert!(matches!(&error, Error::SiteChanged { path } if path.ends_with("index.html")), "{error}");
        }
    }
}
