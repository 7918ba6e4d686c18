//! Files that look secret.
//!
//! A site that is refused for a harmless text teaches people to switch the check off. So a secret is
//! known by its exact shape and, where the format has one, its checksum. `table.rs` lists them.

use aho_corasick::{AhoCorasick, MatchKind};

mod check;
mod shape;
mod table;

use table::{SECRETS, SIGNS, Secret};

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
    /// None where it could not be built, which fixed patterns do not lead to.
    signs: Option<AhoCorasick>,
    /// For each sign the secrets that have it.
    secrets: Vec<Vec<&'static Secret>>,
}

impl Patterns {
    pub(super) fn new() -> Self {
        let signs: Vec<&str> = (0..SIGNS[0].len()).flat_map(|column| SIGNS.map(|row| row[column])).collect();
        let secrets_of = |sign: &&str| SECRETS.iter().filter(|secret| secret.signs().any(|own| own == *sign)).collect();
        let secrets = signs.iter().map(secrets_of).collect();
        // Leftmost, since only then is the search vectorized.
        Self { signs: AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(signs).ok(), secrets }
    }

    /// What looks secret in `source`: the offset and name of each, the first of its name only.
    pub(super) fn find(&self, source: &[u8]) -> Vec<(usize, &'static str)> {
        let mut found: Vec<(usize, &'static str)> = Vec::new();
        let Some(signs) = &self.signs else { return found };
        for hit in signs.find_iter(source) {
            for secret in &self.secrets[hit.pattern().as_usize()] {
                if !found.iter().any(|(_, name)| *name == secret.name)
                    && let Some(candidate) = shape::candidate(secret.parts, source, hit.start())
                    && secret.check.passes(&candidate)
                {
                    found.push((candidate.span.start, secret.name));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
