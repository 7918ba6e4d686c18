//! Which warnings about a build are new.

use serde::{Deserialize, Serialize};

use crate::digest::Hasher;
use crate::site::Finding;

/// Hexadecimal digits of one warning's identity: two of 2,000 are the same by chance once in 2,000 releases.
const DIGITS: usize = 8;
/// Most warnings that are remembered for a release: they are part of an object that each run reads and writes.
const MOST: usize = 2000;

/// The warnings that a release was deployed with, as hashes: enough to tell new ones from known ones.
///
/// The identity of a warning is its kind, its file and what is missing, without the content hashes in
/// their names, which differ in each build. Of more than 2,000 the first are remembered, in the order of
/// the report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KnownWarnings(String);

impl KnownWarnings {
    /// Those of a build.
    pub fn of(warnings: &[Finding]) -> Self {
        let mut identities: Vec<String> = warnings.iter().take(MOST).map(identity).collect();
        identities.sort_unstable();
        identities.dedup();
        Self(identities.concat())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The warnings that are not among these, and the number of those that are.
    pub fn split<'a>(&self, warnings: &'a [Finding]) -> (Vec<&'a Finding>, usize) {
        let known: std::collections::HashSet<&[u8]> = self.0.as_bytes().chunks(DIGITS).collect();
        let new: Vec<&Finding> =
            warnings.iter().filter(|warning| !known.contains(identity(warning).as_bytes())).collect();
        let known = warnings.len() - new.len();
        (new, known)
    }
}

fn identity(finding: &Finding) -> String {
    let mut hasher = Hasher::default();
    let missing = finding.target.as_deref().unwrap_or(&finding.reference);
    for text in [finding.kind.name(), &without_hashes(finding.file.as_str()), &without_hashes(missing)] {
        hasher.update(text.as_bytes());
        hasher.update(b"\0");
    }
    hasher.finish().to_string()[..DIGITS].to_owned()
}

/// The name without its parts of seven and more characters that have a figure or both cases in them.
fn without_hashes(name: &str) -> String {
    let is_hash = |part: &&str| {
        let has = |test: fn(&u8) -> bool| part.as_bytes().iter().any(test);
        part.len() >= 7 && (has(u8::is_ascii_digit) || (has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase)))
    };
    name.split_inclusive(['/', '.', '-', '_', '\"'])
        .filter(|part| !is_hash(&part.trim_end_matches(['/', '.', '-', '_', '\"'])))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{FindingKind, Key};

    fn warning(file: &str, target: &str) -> Finding {
        Finding {
            file: Key::new(file).unwrap(),
            line: Some(1),
            kind: FindingKind::MissingReference,
            reference: format!("{target:?}"),
            target: Some(target.to_owned()),
            instead: None,
        }
    }

    #[test]
    fn a_warning_is_known_by_its_file_and_target_whatever_their_hashes() {
        let known = KnownWarnings::of(&[warning("assets/app-3f2a9c0d.js", "logo.png"), warning("a.html", "b.html")]);
        let now = [
            warning("assets/app-BHKSl2Cm.js", "logo.png"),
            Finding { line: Some(7), ..warning("a.html", "b.html") },
            warning("a.html", "c.html"),
            warning("overview.html", "b.html"),
        ];
        let (new, same) = known.split(&now);
        assert_eq!((new, same), (vec![&now[2], &now[3]], 2));
        assert_eq!(KnownWarnings::default().split(&now).1, 0);
    }

    #[test]
    fn many_warnings_take_little_room() {
        let many: Vec<Finding> = (0..MOST + 500).map(|n| warning(&format!("{n}.html"), "gone.html")).collect();
        let known = KnownWarnings::of(&many);
        assert!(known.0.len() <= MOST * DIGITS);
        assert_eq!(known.split(&many[..MOST]).1, MOST);
    }
}
