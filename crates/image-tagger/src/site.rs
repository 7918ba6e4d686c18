//! The site that goes into the image, and the manifest that goes with it.

use std::path::{Path, PathBuf};

use asset_sync::site::{ContentEncoding, Rules, ScanOptions, scan};
use asset_sync::{Hasher, Sha256};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::reference::Digest;

/// Where the site lies in the image; `DEPLOY_SOURCE` there.
pub const DIRECTORY: &str = "/site";
/// Where the site's manifest lies in the image: the site's path and `.manifest.json`.
pub const MANIFEST: &str = "/site.manifest.json";
/// Where the file of rules lies in the image; `DEPLOY_RULES` there.
pub const RULES: &str = "/site-rules.toml";
/// The format of [`SiteManifest`] that this program writes.
pub const FORMAT: u32 = 1;

/// The site's files as they lie in the image. A reader may trust an entry for a file whose size is
/// the one recorded, and must still check what it uploads.
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
    pub key: String,
    /// SHA-256 of its bytes as they lie in the image.
    pub sha256: Sha256,
    /// Number of those bytes.
    pub size: u64,
    /// The content type it will be served with.
    pub content_type: String,
}

impl SiteManifest {
    /// Number of bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// A site ready to be packed.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its manifest.
    pub manifest: SiteManifest,
    /// Where each of the manifest's files lies on disk, in the same order.
    pub paths: Vec<PathBuf>,
    /// The file of rules that goes with it.
    pub rules: Option<Vec<u8>>,
    /// The digest of its files' names and contents and of the rules. It depends on nothing else: not
    /// on dates and modes, nor on how the files are packed or typed.
    pub digest: Digest,
    /// Rules that matched no file, by number and globs: most often a misspelt glob.
    pub unmatched_rules: Vec<String>,
}

/// Scans and hashes the directory `root`. This blocks.
///
/// # Errors
/// Whatever `deploy` would refuse of the site, and problems of the rules.
pub fn read(root: &Path, rules: Option<&Path>) -> Result<Site, Error> {
    let rules_text = match rules {
        Some(path) => {
            let read = std::fs::read_to_string(path);
            Some(read.map_err(|source| Error::Read { path: path.to_owned(), source })?)
        }
        None => None,
    };
    let parsed = match (&rules_text, rules) {
        (Some(text), Some(path)) => {
            Rules::parse(text).map_err(|source| Error::Rules { path: path.to_owned(), source })?
        }
        _ => Rules::default(),
    };
    let scanned = scan(root, &ScanOptions { rules: parsed, ..ScanOptions::default() })?;

    let mut files = Vec::with_capacity(scanned.files.len());
    let mut paths = Vec::with_capacity(scanned.files.len());
    for file in scanned.files {
        // What is compressed on its way to the bucket was hashed compressed, and is packed plain.
        let (sha256, size) = match file.encoding {
            ContentEncoding::Identity => (file.sha256, file.size),
            _ => hash(&file.path)?,
        };
        let content_type = file.headers.content_type.clone();
        files.push(SiteManifestFile { key: file.key.as_str().to_owned(), sha256, size, content_type });
        paths.push(file.path);
    }
    let rules = rules_text.map(String::into_bytes);
    let digest = digest(&files, rules.as_deref());
    let unmatched_rules =
        scanned.unmatched_rules.iter().map(|rule| format!("rule {} ({})", rule.number, rule.globs.join(", ")));
    Ok(Site {
        unmatched_rules: unmatched_rules.collect(),
        manifest: SiteManifest { format: FORMAT, files },
        paths,
        rules,
        digest,
    })
}

/// The digest of a site, which is a part of what a release is known by: never to be changed.
fn digest(files: &[SiteManifestFile], rules: Option<&[u8]>) -> Digest {
    let mut hasher = Hasher::default();
    let mut line = |text: String| hasher.update(text.as_bytes());
    line("site 1\n".to_owned());
    for file in files {
        // Keys hold no control characters, so a line cannot be forged by one.
        line(format!("{} {} {}\n", file.sha256, file.size, file.key));
    }
    if let Some(rules) = rules {
        line(format!("rules {}\n", Sha256::of(rules)));
    }
    hasher.finish().into()
}

fn hash(path: &Path) -> Result<(Sha256, u64), Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut sink = crate::layer::HashingWriter::new(std::io::sink());
    let mut file = std::fs::File::open(path).map_err(failed)?;
    std::io::copy(&mut file, &mut sink).map_err(failed)?;
    let (_, sha256, size) = sink.finish();
    Ok((sha256, size))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn the_digest_of_a_site_stands_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("index.html", "<!doctype html>"), ("assets/app.js", "1"), (".hidden", "x")]);
        let site = read(dir.path(), None).unwrap();
        let keys: Vec<_> = site.manifest.files.iter().map(|file| file.key.as_str()).collect();
        assert_eq!(keys, ["assets/app.js", "index.html"]);
        assert_eq!(site.manifest.files[1].content_type, "text/html; charset=utf-8");
        insta::assert_snapshot!(site.digest, @"sha256:46371035560a3910511d37ede26b5a066bc7a60228276a52ebaefe94697b76df");
    }

    #[test]
    fn rules_are_a_part_of_it_and_hashes_are_of_the_plain_bytes() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("index.html", "<!doctype html>"), ("a.txt", "text")]);
        let plain = read(dir.path(), None).unwrap();
        let rules = tempfile::NamedTempFile::new().unwrap();
        fs::write(rules.path(), "[[rule]]\nglob = \"*.txt\"\ncontent-encoding = \"gzip\"\n").unwrap();
        let with_rules = read(dir.path(), Some(rules.path())).unwrap();
        assert_ne!(with_rules.digest, plain.digest);
        assert_eq!(with_rules.manifest.files[0].sha256, Sha256::of(b"text"));
        assert_eq!(with_rules.manifest.files[0].size, 4);
    }

    #[test]
    fn what_deploy_would_refuse_is_refused_here() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("index.html", ""), ("id_rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\n")]);
        assert!(matches!(read(dir.path(), None), Err(Error::Scan(_))));
    }
}
