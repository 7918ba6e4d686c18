//! Which files carry a hash of their content in their name, and how that is known.

mod evidence;
mod names;

use std::path::Path;

pub use evidence::{Alphabet, Evidence, Fingerprint};

use super::{Key, media_type};

/// What is known about the names of a site's files.
#[derive(Debug)]
pub(super) struct Fingerprints {
    judgements: Vec<Fingerprint>,
}

/// A file whose name is to be judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) key: &'a Key,
    pub(super) content_type: &'a str,
}

/// A file name cut at what may be a hash: `assets/`, `index`, `-`, `B03_NDQ-`, `.js`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameParts<'a> {
    /// The folder with its slash; empty at the top of the site.
    pub(crate) directory: &'a str,
    /// What stands before the separator; empty where the token is the whole stem.
    pub(crate) stem: &'a str,
    /// `.`, `-` or `_`; none where the token starts the name.
    pub(crate) separator: Option<char>,
    /// What may be a hash.
    pub(crate) token: &'a str,
    /// The rest, from its dot: `.js`, `.chunk.js.map`.
    pub(crate) endings: &'a str,
}

impl Fingerprints {
    /// Judges the files of the site in the directory `root`. Reads the manifests that build tools leave there, hidden
    /// ones too; those that are missing, broken or too large are ignored.
    pub(super) fn of(_root: &Path, files: &[Named<'_>]) -> Self {
        let looks_hashed = names::classify(&files.iter().map(|file| file.key).collect::<Vec<_>>());
        let judgements = files.iter().zip(looks_hashed).map(|(file, looks_hashed)| {
            let Some(parts) = parts(file.key.as_str()).filter(|_| looks_hashed) else { return Fingerprint::No };
            if media_type::is_html(file.content_type) {
                return Fingerprint::Likely;
            }
            Fingerprint::Certain(Evidence::Name {
                folder: parts.directory.into(),
                alphabet: Alphabet::Base64url,
                length: parts.token.len(),
                others: 0,
            })
        });
        Self { judgements: judgements.collect() }
    }

    /// The judgements of all files, in their order.
    pub(super) fn judgements(&self) -> &[Fingerprint] {
        &self.judgements
    }

    /// Whether the name of a file that is not in the site carries a hash: by its folder, by its shape, or by the style
    /// of the names in its folder. `path` is relative to the site.
    #[expect(clippy::unused_self, reason = "the styles of its folders come with the next change")]
    pub(super) fn carries_hash(&self, path: &str) -> bool {
        name_looks_hashed(path)
    }
}

/// Whether the shape of the name alone leaves no doubt that it carries a hash.
pub(crate) fn name_looks_hashed(key: &str) -> bool {
    Key::new(key).is_ok_and(|key| names::classify(&[&key]) == [true])
}

/// The parts of a name that may carry a hash.
pub(crate) fn parts(key: &str) -> Option<NameParts<'_>> {
    let at = key.rfind('/').map_or(0, |at| at + 1);
    let (directory, name) = key.split_at(at);
    let (_, token) = names::candidate(name)?;
    let start = name.rfind(token)?;
    let (before, rest) = name.split_at(start);
    let separator = before.chars().next_back();
    let stem = &before[..before.len() - separator.map_or(0, char::len_utf8)];
    Some(NameParts { directory, stem, separator, token, endings: &rest[token.len()..] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_at_its_token() {
        let parts = parts("a/b/index-B03_NDQ-.js.map").unwrap();
        assert_eq!((parts.directory, parts.stem, parts.separator), ("a/b/", "index", Some('-')));
        assert_eq!((parts.token, parts.endings), ("B03_NDQ-", ".js.map"));
    }

    #[test]
    fn names_outside_the_site_are_judged_too() {
        let fingerprints = Fingerprints::of(Path::new(""), &[]);
        assert!(fingerprints.carries_hash("assets/app-3f2a9c0d.js"));
        assert!(!fingerprints.carries_hash("assets/settings.js"));
    }
}
