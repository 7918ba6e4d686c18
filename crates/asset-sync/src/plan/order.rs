//! Which of two releases is newer.

use semver::Version;

/// What the order of a release is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderedRelease<'a> {
    /// Its version.
    pub version: &'a str,
    /// Its build number, where it has one.
    pub build: Option<u64>,
}

/// How a release compares to the live one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
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
pub fn compare(new: OrderedRelease<'_>, live: OrderedRelease<'_>) -> Ordering {
    if let (Some(new), Some(live)) = (new.build, live.build) {
        return if new < live { Ordering::Older { by: "build number" } } else { Ordering::NotOlder };
    }
    match (semver(new.version), semver(live.version)) {
        (Some(new), Some(live)) if new.cmp_precedence(&live).is_lt() => Ordering::Older { by: "version" },
        (Some(_), Some(_)) => Ordering::NotOlder,
        _ => Ordering::Unknown,
    }
}

fn semver(text: &str) -> Option<Version> {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str, build: Option<u64>) -> OrderedRelease<'_> {
        OrderedRelease { version, build }
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
}
