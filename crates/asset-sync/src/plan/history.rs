//! What earlier releases of a target say about names that look hashed.
//!
//! The name of a file that carries a hash of its content changes whenever the content does, and only then. Two releases
//! show it: a name is gone, and one that differs from it in the hash alone has come, with another content. A name that
//! stayed the same proves nothing, and a name whose content changed disproves it for all names of its style.
//!
//! One such replacement is not enough. A name that holds the hash of something else (a symbol, a record) is replaced too
//! where what it stands for is removed and a like thing is added. So two files must have been replaced, each the only one
//! of its stem, by names with two different tokens, each unlike the one it replaces. Two files that share a token may be
//! named by the one thing they belong to. A file whose predecessor was fingerprinted needs no second one: its style was
//! shown to be that of hashes before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Claims;
use crate::headers::Headers;
use crate::site::fingerprint::{NameParts, parts};
use crate::site::{Key, Role};
use crate::state::{Inventory, Manifest, Record};

/// Files that must have been replaced in a style.
const REPLACED: usize = 2;

/// Files whose names are no evidence and are never promoted: pages, data and documents, which tools name by hashes of
/// what they are about.
const DOCUMENTS: [&str; 10] =
    [".html", ".htm", ".xhtml", ".json", ".webmanifest", ".md", ".csv", ".xml", ".txt", ".pdf"];

/// A file of the desired release whose name looks hashed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HashedName<'a> {
    /// Index into the desired manifest's files.
    pub(crate) file: usize,
    /// Its name.
    pub(crate) parts: NameParts<'a>,
    /// Whether only history can decide. The others are fingerprinted by other evidence, and count as evidence here.
    pub(crate) undecided: bool,
}

/// What the caches of a file are told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CacheControl<'a> {
    /// Of an entry file.
    pub(crate) entry: &'a str,
    /// Of a fingerprinted file.
    pub(crate) fingerprinted: &'a str,
}

/// All that names of one file have in common from release to release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Stem<'a> {
    style: Style<'a>,
    name: &'a str,
    endings: &'a str,
}

/// Names that are taken to be written by one tool. Source maps are apart from the scripts they belong to: many tools
/// give them the hash of the script, so that their content may change under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Style<'a> {
    directory: &'a str,
    separator: Option<char>,
    length: usize,
    map: bool,
}

impl<'a> Stem<'a> {
    fn of(parts: &NameParts<'a>) -> Self {
        let NameParts { directory, stem, separator, token, endings } = *parts;
        let map = endings.rsplit('.').next() == Some("map");
        let style = Style { directory, separator, length: token.len(), map };
        Self { style, name: stem, endings }
    }
}

/// What is known about the names of one stem.
#[derive(Debug, Default)]
struct Names<'a> {
    /// In the desired release.
    desired: Vec<HashedName<'a>>,
    /// In earlier releases, and not in the desired one.
    gone: Vec<(&'a Record, &'a str)>,
}

/// Makes fingerprinted files of those undecided ones whose history shows that their names change with their content,
/// and of those that were fingerprinted in an earlier release and have the same content still. Gives their keys, in the
/// order of the manifest. Goes before [`demote`](super::demote).
///
/// A name that any earlier release had with another content is never promoted, nor one that was demoted.
pub(crate) fn promote<'a>(
    desired: &mut Manifest,
    names: &[HashedName<'a>],
    inventory: &'a Inventory,
    claims: &Claims,
    cache_control: CacheControl<'_>,
) -> Vec<Key> {
    if names.iter().all(|name| !name.undecided) {
        return Vec::new();
    }
    let history = History::new(Releases { desired, inventory, claims }, names);
    let mut promoted: Vec<usize> = names
        .iter()
        .filter(|name| name.undecided && !is_document(name.parts.endings))
        .filter(|name| history.says_fingerprinted(name))
        .map(|name| name.file)
        .collect();
    promoted.sort_unstable();
    for index in &promoted {
        let file = &mut desired.files[*index];
        file.role = Role::Fingerprinted;
        if file.headers.cache_control.as_deref() == Some(cache_control.entry) {
            let cache_control = Some(cache_control.fingerprinted.to_owned());
            file.headers = Arc::new(Headers { cache_control, ..(*file.headers).clone() });
        }
    }
    promoted.into_iter().map(|index| desired.files[index].key.clone()).collect()
}

/// Whether a file is a page, data or a document, encoded or not.
fn is_document(endings: &str) -> bool {
    let plain = [".gz", ".br", ".zst"].iter().find_map(|ending| endings.strip_suffix(ending)).unwrap_or(endings);
    DOCUMENTS.iter().any(|ending| plain.ends_with(ending))
}

/// The desired release and what is on record of earlier ones.
struct Releases<'a, 'd> {
    desired: &'d Manifest,
    inventory: &'a Inventory,
    claims: &'d Claims,
}

impl Releases<'_, '_> {
    /// Whether earlier releases had another content under this name.
    fn changed(&self, name: &HashedName<'_>) -> bool {
        let file = &self.desired.files[name.file];
        let claimed = self.claims.get(&file.key).map(Vec::as_slice).unwrap_or_default();
        self.inventory.get(&file.key).is_some_and(|r| r.demoted || r.sha256 != file.sha256)
            || claimed.iter().any(|c| c.demoted || c.sha256 != file.sha256)
    }

    /// The name that took the place of others with other tokens and other content, where it is the only one of its stem.
    fn replacement<'n>(&self, names: &Names<'n>) -> Option<HashedName<'n>> {
        let [name] = names.desired[..] else { return None };
        let file = &self.desired.files[name.file];
        let replaces =
            |(record, token): &(&Record, &str)| record.sha256 != file.sha256 && are_unrelated(token, name.parts.token);
        let is_new = self.inventory.get(&file.key).is_none();
        (is_new && !names.gone.is_empty() && names.gone.iter().all(replaces)).then_some(name)
    }
}

struct History<'a, 'd> {
    releases: Releases<'a, 'd>,
    stems: HashMap<Stem<'a>, Names<'a>>,
    /// Styles of which a name had more than one content.
    disproved: HashSet<Style<'a>>,
    /// Tokens of the files that replaced others, by style.
    replaced: HashMap<Style<'a>, HashSet<&'a str>>,
}

impl<'a, 'd> History<'a, 'd> {
    fn new(releases: Releases<'a, 'd>, names: &[HashedName<'a>]) -> Self {
        let mut stems: HashMap<Stem<'a>, Names<'a>> = HashMap::new();
        for name in names {
            stems.entry(Stem::of(&name.parts)).or_default().desired.push(*name);
        }
        for record in &releases.inventory.records {
            if releases.desired.get(&record.key).is_none()
                && let Some(parts) = parts(record.key.as_str())
                && let Some(names) = stems.get_mut(&Stem::of(&parts))
            {
                names.gone.push((record, parts.token));
            }
        }
        let mut disproved = HashSet::new();
        let mut replaced: HashMap<Style<'a>, HashSet<&'a str>> = HashMap::new();
        for (stem, names) in &stems {
            let demoted = names.gone.iter().any(|(record, _)| record.demoted);
            if demoted || names.desired.iter().any(|name| releases.changed(name)) {
                disproved.insert(stem.style);
            }
            if !is_document(stem.endings)
                && let Some(name) = releases.replacement(names)
            {
                replaced.entry(stem.style).or_default().insert(name.parts.token);
            }
        }
        Self { releases, stems, disproved, replaced }
    }

    fn says_fingerprinted(&self, name: &HashedName<'a>) -> bool {
        if self.releases.changed(name) {
            return false;
        }
        let key = &self.releases.desired.files[name.file].key;
        if let Some(record) = self.releases.inventory.get(key) {
            return record.role == Role::Fingerprinted;
        }
        let stem = Stem::of(&name.parts);
        let Some(names) = self.stems.get(&stem) else { return false };
        if self.disproved.contains(&stem.style) || self.releases.replacement(names).is_none() {
            return false;
        }
        let tokens = self.replaced.get(&stem.style).map(HashSet::len).unwrap_or_default();
        tokens >= REPLACED || names.gone.iter().any(|(record, _)| record.role == Role::Fingerprinted)
    }
}

/// Whether two tokens of one length could be hashes of different contents: written in the same case, and alike in less
/// than half of their places. Names that were edited, counted up or dated anew are alike; of hexadecimal hashes of
/// eight digits one pair in a thousand is.
fn are_unrelated(one: &str, other: &str) -> bool {
    let alike = one.bytes().zip(other.bytes()).filter(|(a, b)| a == b).count();
    let has = |test: fn(&u8) -> bool| move |token: &str| token.as_bytes().iter().any(test);
    let (lower, upper) = (has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
    let cases_differ = |a: &str, b: &str| (lower(a) && !upper(a)) && (upper(b) && !lower(b));
    one.len() == other.len() && alike * 2 < one.len() && !cases_differ(one, other) && !cases_differ(other, one)
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
