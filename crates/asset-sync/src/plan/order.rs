//! How releases are named, and which of two is newer.

use std::fmt;

use semver::Version;

use crate::digest::Sha256;
use crate::error::Conflict;
use crate::state::{Current, Operation, ReleaseRecord};

/// What a release is called by people; its order is judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReleaseName<'a> {
    /// Its version.
    pub(crate) version: &'a str,
    /// Its build number, where it has one.
    pub(crate) build: Option<u64>,
}

impl fmt::Display for ReleaseName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {}", self.version)?;
        self.build.map_or(Ok(()), |build| write!(f, " (build {build})"))
    }
}

impl<'a> From<&'a ReleaseRecord> for ReleaseName<'a> {
    fn from(record: &'a ReleaseRecord) -> Self {
        Self { version: &record.version, build: record.build }
    }
}

/// How a release compares to the live one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ordering {
    /// It is the same or newer.
    NotOlder,
    /// It is older; with the kind of number that says so.
    Older {
        /// `build number` or `version`.
        by: &'static str,
    },
    /// Neither both have a build number nor are both versions SemVer: nobody can tell.
    Unknown,
}

/// Compares `new` to `live`: by build number where both have one, else by SemVer precedence.
fn compare(new: ReleaseName<'_>, live: ReleaseName<'_>) -> Ordering {
    if let (Some(new), Some(live)) = (new.build, live.build) {
        return if new < live { Ordering::Older { by: "build number" } } else { Ordering::NotOlder };
    }
    match (semver(new.version), semver(live.version)) {
        (Some(new), Some(live)) if new.cmp_precedence(&live).is_lt() => Ordering::Older { by: "version" },
        (Some(_), Some(_)) => Ordering::NotOlder,
        _ => Ordering::Unknown,
    }
}

/// The record of the release with this name and content: the live one, or else the last one. The same version with other
/// content is a release of its own, and so is the same content under another name.
pub(crate) fn recorded_release<'a>(
    current: &'a Current,
    tree: &Sha256,
    name: ReleaseName<'_>,
) -> Option<&'a ReleaseRecord> {
    let is_it = |r: &&ReleaseRecord| r.tree == *tree && ReleaseName::from(*r) == name;
    current.live_release().filter(is_it).or_else(|| current.releases.iter().rev().find(is_it))
}

/// Whether `release` may take the place of the live one; with a warning where nobody can tell which is newer.
///
/// # Errors
/// [`Conflict::Older`] if it is older; [`Conflict::RolledBack`] if a rollback took it down, or began to.
pub(crate) fn check_order(current: &Current, release: &ReleaseRecord) -> Result<Option<String>, Conflict> {
    let new = ReleaseName::from(release);
    // A rollback away from it may have begun, and not have ended.
    let pending = current.pending.as_ref();
    let retreats = pending.is_some_and(|p| p.operation == Operation::Rollback && p.release != release.id);
    if release.rolled_back || (retreats && current.live.as_ref() == Some(&release.id)) {
        return Err(Conflict::RolledBack { new: new.to_string() });
    }
    let Some(live) = current.live_release().filter(|l| l.id != release.id && !l.adopted) else { return Ok(None) };
    let live = ReleaseName::from(live);
    match compare(new, live) {
        Ordering::NotOlder => Ok(None),
        Ordering::Older { by } => Err(Conflict::Older { new: new.to_string(), live: live.to_string(), by }),
        Ordering::Unknown => Ok(Some(format!(
            "cannot tell whether {new} is newer than the live {live}: neither both have a build number nor are both versions SemVer"
        ))),
    }
}

fn semver(text: &str) -> Option<Version> {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::site::{Key, Role};
    use crate::state::{Manifest, ReleaseFile};

    fn release(version: &str, build: Option<u64>) -> ReleaseName<'_> {
        ReleaseName { version, build }
    }

    #[test]
    fn build_numbers_decide_where_both_have_one() {
        let older = Ordering::Older { by: "build number" };
        assert_eq!(compare(release("2.0.0", Some(7)), release("1.0.0", Some(8))), older);
        assert_eq!(compare(release("1.0.0", Some(8)), release("2.0.0", Some(8))), Ordering::NotOlder);
    }

    #[test]
    fn else_semver_precedence_decides() {
        let older = Ordering::Older { by: "version" };
        assert_eq!(compare(release("v1.9.0", None), release("1.10.0", Some(8))), older);
        assert_eq!(compare(release("1.0.0-rc.1", None), release("1.0.0", None)), older);
        assert_eq!(compare(release("1.0.0+b2", None), release("1.0.0+b3", None)), Ordering::NotOlder);
    }

    #[test]
    fn else_nobody_can_tell() {
        assert_eq!(compare(release("blue", None), release("1.0.0", Some(1))), Ordering::Unknown);
    }

    fn record(number: u64, version: &str, content: &[u8]) -> ReleaseRecord {
        let file = ReleaseFile {
            key: Key::new("index.html").unwrap(),
            sha256: Sha256::of(content),
            size: content.len() as u64,
            headers: Arc::default(),
            role: Role::Root,
            demoted: false,
        };
        ReleaseRecord::new(number, version, &Manifest { files: vec![file] }, Timestamp::UNIX_EPOCH)
    }

    fn target(releases: &[&ReleaseRecord], live: Option<&ReleaseRecord>) -> Current {
        let releases = releases.iter().map(|r| (*r).clone()).collect();
        Current { releases, live: live.map(|r| r.id.clone()), ..Current::default() }
    }

    #[test]
    fn a_release_is_its_content_under_its_name() {
        let (one, again, other) = (record(1, "1", b"a"), record(2, "1", b"a"), record(3, "1", b"b"));
        let name = release("1", None);
        let found = |current: &Current| recorded_release(current, &one.tree, name).map(|r| r.id.clone());
        assert_eq!(found(&target(&[&one, &again, &other], None)), Some(again.id.clone()), "the last one");
        assert_eq!(found(&target(&[&one, &again, &other], Some(&one))), Some(one.id.clone()), "the live one first");
        assert_eq!(found(&target(&[&other], None)), None, "other content");
        let current = target(&[&one], None);
        assert_eq!(recorded_release(&current, &one.tree, release("1", Some(7))), None, "another build");
        assert_eq!(recorded_release(&current, &one.tree, release("2", None)), None, "another version");
    }

    #[test]
    fn what_was_taken_down_does_not_return_by_itself() {
        let (old, new) = (record(1, "1.0.0", b"a"), record(2, "2.0.0", b"b"));
        let down = ReleaseRecord { rolled_back: true, ..new.clone() };
        let refused = check_order(&target(&[&old, &down], Some(&old)), &down);
        assert!(matches!(refused, Err(Conflict::RolledBack { .. })), "{refused:?}");
        // While the rollback away from it is under way, it is live still.
        let mut current = target(&[&old, &new], Some(&new));
        assert_eq!(check_order(&current, &new).unwrap(), None);
        current.begin(Operation::Rollback, old.clone(), None, Timestamp::UNIX_EPOCH);
        let refused = check_order(&current, &new);
        assert!(matches!(refused, Err(Conflict::RolledBack { .. })), "{refused:?}");
        assert_eq!(check_order(&current, &record(3, "3.0.0", b"c")).unwrap(), None, "the next one may go live");
    }

    #[test]
    fn only_a_newer_one_takes_the_place_of_the_live_one() {
        let (old, new, blue) = (record(1, "1.0.0", b"a"), record(2, "2.0.0", b"b"), record(3, "blue", b"c"));
        let current = target(&[&old, &new], Some(&new));
        let refused = check_order(&current, &old).unwrap_err().to_string();
        assert!(refused.contains("version 1.0.0") && refused.contains("version 2.0.0"), "{refused}");
        assert!(check_order(&current, &blue).unwrap().unwrap().contains("cannot tell whether version blue"));
        let adopted = ReleaseRecord { adopted: true, ..record(0, "adopted", b"z") };
        assert_eq!(
            check_order(&target(&[&adopted], Some(&adopted)), &old).unwrap(),
            None,
            "what was there has no version"
        );
    }
}
