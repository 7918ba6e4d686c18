//! What two versions of a site show about its names.

use std::collections::{HashMap, HashSet};

use asset_sync::site::{Role, Site, SiteFile};

/// The fingerprints of a build, judged by other versions of it.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) hashed_files: usize,
    pub(crate) hashed_bytes: u64,
    /// Names that other versions replace by others of the same stem, and that were not taken to be fingerprinted.
    pub(crate) missed: Vec<(String, u64)>,
    /// Names that were taken to be fingerprinted, and have other content in another version.
    pub(crate) wrong: Vec<String>,
    /// Whether there is another version, whose content differs.
    pub(crate) is_compared: bool,
}

impl Names {
    pub(crate) fn missed_bytes(&self) -> u64 {
        self.missed.iter().map(|(_, size)| size).sum()
    }

    /// The missed part of the bytes that are hashed, in percent.
    pub(crate) fn missed_percent(&self) -> f64 {
        percent(self.missed_bytes(), self.hashed_bytes)
    }
}

/// The missed part of `missed` bytes and the `found` ones, in percent.
#[allow(clippy::cast_precision_loss, reason = "a percentage needs no 53 bits")]
pub(crate) fn percent(missed: u64, found: u64) -> f64 {
    missed as f64 * 100.0 / (missed + found).max(1) as f64
}

/// Judges the names of a site by other versions of it.
pub(crate) fn judge(site: &Site, others: &[&Site]) -> Names {
    let others: Vec<HashMap<&str, &SiteFile>> = others.iter().map(|other| by_name(other)).collect();
    let own = by_name(site);
    let is_hashed = |file: &&SiteFile| file.role == Role::Fingerprinted;
    let changed = |file: &SiteFile| {
        others.iter().any(|other| other.get(file.key.as_str()).is_some_and(|same| same.sha256 != file.sha256))
    };
    let came: HashSet<Shape<'_>> = others
        .iter()
        .flat_map(|other| other.keys())
        .filter(|name| !own.contains_key(*name))
        .filter_map(|name| shape(name))
        .collect();
    let is_replaced = |file: &&SiteFile| {
        let name = file.key.as_str();
        is_judged(name)
            && others.iter().all(|other| !other.contains_key(name))
            && shape(name).is_some_and(|shape| came.contains(&shape))
    };
    let hashed: Vec<&SiteFile> = site.files.iter().filter(is_hashed).collect();
    Names {
        hashed_files: hashed.len(),
        hashed_bytes: hashed.iter().map(|file| file.size).sum(),
        missed: site
            .files
            .iter()
            .filter(|file| !is_hashed(file) && is_replaced(file))
            .map(|file| (file.key.to_string(), file.size))
            .collect(),
        wrong: hashed.iter().filter(|file| changed(file)).map(|file| file.key.to_string()).collect(),
        is_compared: others.iter().any(|other| {
            site.files.iter().any(|file| other.get(file.key.as_str()).is_none_or(|same| same.sha256 != file.sha256))
        }),
    }
}

fn by_name(site: &Site) -> HashMap<&str, &SiteFile> {
    site.files.iter().map(|file| (file.key.as_str(), file)).collect()
}

/// Whether a hashed name of this ending may be immutable: not a page, and not a source map, which changes under the
/// hashed name of its script.
fn is_judged(name: &str) -> bool {
    ![".map", ".html", ".txt", ".md"].iter().any(|ending| name.ends_with(ending))
}

/// What stands before the last part of a name, the length of that part, and the endings.
type Shape<'a> = (&'a str, usize, &'a str);

/// Two names of one shape are two versions of one file: the same but for a part of at least seven characters before the
/// endings.
fn shape(key: &str) -> Option<Shape<'_>> {
    let name = key.rfind('/').map_or(0, |at| at + 1);
    // All endings but those of a version or a hash: the last dots whose text starts with a letter and is short.
    let is_ending = |text: &str| text.len() < 7 && text.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut stem = key;
    while let Some((rest, ending)) = stem.rsplit_once('.')
        && rest.len() > name
        && is_ending(ending)
    {
        stem = rest;
    }
    let last = stem[name..].rfind(['-', '.', '_']).map_or(name, |at| name + at + 1);
    let is_short = stem.len() - last < 7;
    // A hash may hold a dash or an underscore itself.
    let start = if is_short { stem.len().checked_sub(8).filter(|&at| at > name)? } else { last };
    stem.is_char_boundary(start).then(|| (&stem[..start], stem.len() - start, &key[stem.len()..]))
}

#[test]
fn versions_of_a_file_have_one_shape() {
    assert_eq!(shape("a/index-B03_NDQ-.js"), Some(("a/index-", 8, ".js")));
    assert_eq!(shape("a/main.0a1b2c3d.chunk.css"), Some(("a/main.", 8, ".chunk.css")));
    assert_eq!(shape("3ce6659.js"), Some(("", 7, ".js")));
    assert_eq!(shape("a/main.js"), None);
}
