//! The site that goes into the image, and the manifest that goes with it.

use std::path::{Path, PathBuf};

use asset_sync::site::{Rules, ScanOptions, SiteManifest, SiteManifestFile, scan};
use asset_sync::{Hasher, Sha256};

use crate::Error;
use crate::reference::Digest;

/// Where the site lies in the image; `DEPLOY_SOURCE` there.
pub const DIRECTORY: &str = "/site";
/// Where the site's manifest lies in the image; `DEPLOY_SITE_MANIFEST` there.
pub const MANIFEST: &str = "/site.manifest.json";
/// Where the file of rules lies in the image; `DEPLOY_RULES` there.
pub const RULES: &str = "/site-rules.toml";

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

    let manifest = SiteManifest::of(&scanned)?;
    let paths = scanned.files.into_iter().map(|file| file.path()).collect();
    let rules = rules_text.map(String::into_bytes);
    let digest = digest(&manifest.files, rules.as_deref());
    let unmatched_rules =
        scanned.unmatched_rules.iter().map(|rule| format!("rule {} ({})", rule.number, rule.globs.join(", ")));
    Ok(Site { unmatched_rules: unmatched_rules.collect(), manifest, paths, rules, digest })
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
