//! Files that look secret.
//!
//! A site that is refused for a harmless text teaches people to switch the check off. So a secret is
//! known by its exact shape and, where the format has one, its checksum. `table.rs` lists them.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};

mod check;
mod shape;
mod table;

use table::{SECRETS, Secret};

/// What a file of this key is, if its name says that it is secret. The names of hidden files are
/// the scan's to judge.
pub(super) fn by_name(key: &str) -> Option<&'static str> {
    let name = key.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let (_, extension) = name.rsplit_once('.')?;
    match extension {
        "env" => Some("is a file of environment settings"),
        "p12" | "pfx" | "jks" | "keystore" | "ppk" => Some("is a store of private keys"),
        "kdbx" => Some("is a store of passwords"),
        "tfstate" | "tfvars" => Some("is a file of Terraform, which may hold secrets"),
        _ => None,
    }
}

/// Whether a file whose content type does not say so is text worth a look.
pub(super) fn is_text_name(key: &str) -> bool {
    let extension = key.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["env", "ini", "conf", "cfg", "properties", "pem", "key", "map"].contains(&extension)
}

/// The search for all secrets of the table.
#[derive(Debug)]
pub(super) struct Patterns {
    /// By signs of less than four characters and by longer ones: a single short sign makes the whole
    /// search twice as slow.
    searches: [Search; 2],
}

/// The search for some signs.
#[derive(Debug)]
struct Search {
    /// None where it could not be built, which fixed patterns do not lead to.
    signs: Option<AhoCorasick>,
    /// For each sign the secrets that have it.
    secrets: Vec<Vec<&'static Secret>>,
}

impl Patterns {
    pub(super) fn new() -> Self {
        let mut by_sign: BTreeMap<&str, Vec<&Secret>> = BTreeMap::new();
        for secret in SECRETS {
            for sign in secret.signs() {
                by_sign.entry(sign).or_default().push(secret);
            }
        }
        let (short, long) = by_sign.into_iter().partition::<Vec<_>, _>(|(sign, _)| sign.len() < 4);
        Self { searches: [Search::new(&short), Search::new(&long)] }
    }

    /// What looks secret in `source`: the offset and name of each, the first of its name only.
    pub(super) fn find(&self, source: &[u8]) -> Vec<(usize, &'static str)> {
        let mut found: Vec<(usize, &'static str)> = Vec::new();
        for search in &self.searches {
            let Some(signs) = &search.signs else { continue };
            for hit in signs.find_iter(source) {
                for secret in &search.secrets[hit.pattern().as_usize()] {
                    if !found.iter().any(|(_, name)| *name == secret.name)
                        && let Some(candidate) = shape::candidate(secret.parts, source, hit.start())
                        && secret.check.passes(&candidate)
                    {
                        found.push((candidate.span.start, secret.name));
                    }
                }
            }
        }
        found
    }
}

impl Search {
    fn new(sorted: &[(&str, Vec<&'static Secret>)]) -> Self {
        // aho-corasick deals more than 32 texts out to 16 buckets, one by one, and compares 16 bytes
        // at a time with each bucket. Where texts of a bucket are alike, it stops four times less often.
        let step = sorted.len().div_ceil(16).max(1);
        let dealt = || (0..step).flat_map(|first| sorted.iter().skip(first).step_by(step));
        // Leftmost, since only then is the search vectorized.
        let signs = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(dealt().map(|(sign, _)| sign));
        Self { signs: signs.ok(), secrets: dealt().map(|(_, secrets)| secrets.clone()).collect() }
    }
}

#[cfg(test)]
mod tests;
