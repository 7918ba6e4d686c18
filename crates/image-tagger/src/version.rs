//! The version rule: which version a build has, and which tag its image gets.
//!
//! Three kinds of tags, told apart by their form alone, so that a trigger can match one kind by a
//! regular expression ([`RELEASE_PATTERN`], [`PRE_RELEASE_PATTERN`]):
//!
//! | build of | version | tag |
//! |---|---|---|
//! | a git tag `1.4.2` or `v1.4.2` | `1.4.2` | `1.4.2` |
//! | a git tag `1.5.0-rc.1` | `1.5.0-rc.1` | `1.5.0-rc.1` |
//! | a git tag `1.4.2+build.7` | `1.4.2+build.7` | `1.4.2_build.7` |
//! | a branch `feature/login` | `1.4.2-branch.feature-login.g7f2c0a9d41be` | `branch-feature-login-7f2c0a9d41be` |
//!
//! Tags cannot hold `+`; `_` takes its place, which no SemVer version contains, so that two versions
//! never meet in one tag.

use std::fmt;

use semver::{BuildMetadata, Prerelease, Version};
use serde::Serialize;

use crate::reference::Tag;

/// What the tag of a release looks like, and no other tag: for the production trigger.
pub const RELEASE_PATTERN: &str = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(_[0-9A-Za-z.-]+)?$";
/// What the tag of a pre-release looks like, and no other tag: for a trigger of its own.
pub const PRE_RELEASE_PATTERN: &str =
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)-[0-9A-Za-z.-]+(_[0-9A-Za-z.-]+)?$";

/// Digits of a commit that a branch's tag carries.
const COMMIT_DIGITS: usize = 12;
/// Characters of a branch's name that its tag carries.
const BRANCH_CHARACTERS: usize = 60;

/// All that says which version is built.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The version that was asked for (`IMAGE_VERSION`).
    pub explicit: Option<String>,
    /// The git tag that is built.
    pub git_tag: Option<String>,
    /// The branch that is built.
    pub branch: Option<String>,
    /// The commit that is built, in hexadecimal digits.
    pub commit: Option<String>,
    /// The file `package.json` and its version, if it has one.
    pub package_json: Option<Stated>,
    /// The file the build left, and the version in it.
    pub stamp: Option<Stated>,
    /// The path at which `package.json` was looked for.
    pub package_json_path: String,
}

/// A version, and the file that states it.
#[derive(Debug, Clone)]
pub struct Stated {
    /// The file's path.
    pub file: String,
    /// The version; none where the file has none.
    pub version: Option<String>,
}

/// Who may want an image of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// A release, for production.
    Release,
    /// A pre-release.
    PreRelease,
    /// The state of a branch.
    Branch,
}

/// What a build is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseName {
    /// Its version.
    pub version: Version,
    /// The tag of its image.
    pub tag: Tag,
    /// Its kind.
    pub channel: Channel,
}

/// Why no version could be told; all reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", Lines(.0))]
pub struct VersionError(pub Vec<VersionProblem>);

struct Lines<'a>(&'a [VersionProblem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionProblem {
    /// Nothing says what is built.
    #[error("no version: set BITBUCKET_TAG (as a build of a git tag does), BITBUCKET_BRANCH or IMAGE_VERSION")]
    Nothing,
    /// A text is not a SemVer version.
    #[error("{from}: {text:?} is not a SemVer version ({reason}); write one such as 1.4.2 or 1.5.0-rc.1")]
    NotSemVer {
        /// Where it is from.
        from: String,
        /// The text.
        text: String,
        /// Why not.
        reason: String,
    },
    /// Two sources name different versions.
    #[error("{from} says version {version}, and {other} says {other_version}: make them agree")]
    Disagree {
        /// Where the version of the build is from.
        from: String,
        /// The version.
        version: String,
        /// What disagrees.
        other: String,
        /// Its version.
        other_version: String,
    },
    /// The build of a git tag without a `package.json` to compare with.
    #[error(
        "{path}: {what}, and the build of a git tag needs its version to compare with: set IMAGE_PACKAGE_JSON to the right file"
    )]
    NoPackageVersion {
        /// Where it was looked for.
        path: String,
        /// What is missing.
        what: &'static str,
    },
    /// The stamp has no version.
    #[error("{path}: has no version in it: let the build write one, or unset IMAGE_STAMP")]
    NoStampVersion {
        /// The file.
        path: String,
    },
    /// A branch build without a commit.
    #[error("BITBUCKET_COMMIT: is not set; the tag of a branch's image is made from it")]
    NoCommit,
    /// A version too long for a tag.
    #[error("version {version} is too long: a tag has at most 128 characters")]
    TooLong {
        /// The version.
        version: String,
    },
}

/// Tells the version and tag of a build.
///
/// # Errors
/// Every disagreement and everything missing.
pub fn decide(evidence: &Evidence) -> Result<ReleaseName, VersionError> {
    let mut problems = Vec::new();
    let mut parse = |from: String, text: &str, v_allowed: bool| {
        let bare = if v_allowed { text.strip_prefix('v').unwrap_or(text) } else { text };
        match Version::parse(bare) {
            Ok(version) => Some((from, version)),
            Err(error) => {
                let reason = error.to_string();
                problems.push(VersionProblem::NotSemVer { from, text: text.to_owned(), reason });
                None
            }
        }
    };
    let explicit = evidence.explicit.as_deref().and_then(|text| parse("IMAGE_VERSION".to_owned(), text, false));
    let tagged = evidence.git_tag.as_deref().and_then(|text| parse("BITBUCKET_TAG".to_owned(), text, true));
    let mut stated = |stated: &Option<Stated>| {
        let stated = stated.as_ref()?;
        parse(stated.file.clone(), stated.version.as_deref()?, false)
    };
    let package = stated(&evidence.package_json);
    let stamp = stated(&evidence.stamp);
    if let Some(Stated { file, version: None }) = &evidence.stamp {
        problems.push(VersionProblem::NoStampVersion { path: file.clone() });
    }

    if evidence.explicit.is_some() || evidence.git_tag.is_some() {
        if evidence.explicit.is_none() && evidence.package_json.as_ref().is_none_or(|stated| stated.version.is_none()) {
            let what = if evidence.package_json.is_some() { "has no `version`" } else { "is not there" };
            problems.push(VersionProblem::NoPackageVersion { path: evidence.package_json_path.clone(), what });
        }
        let sources: Vec<_> = [explicit, tagged, package, stamp].into_iter().flatten().collect();
        if let Some(((from, version), others)) = sources.split_first() {
            for (other, other_version) in others.iter().filter(|(_, other)| other != version) {
                problems.push(VersionProblem::Disagree {
                    from: from.clone(),
                    version: version.to_string(),
                    other: other.clone(),
                    other_version: other_version.to_string(),
                });
            }
            if problems.is_empty() {
                return name(version.clone()).map_err(|problem| VersionError(vec![problem]));
            }
        }
    } else if let Some(branch) = &evidence.branch {
        match (&package, &stamp) {
            (Some((from, version)), Some((other, other_version))) if version != other_version => {
                problems.push(VersionProblem::Disagree {
                    from: from.clone(),
                    version: version.to_string(),
                    other: other.clone(),
                    other_version: other_version.to_string(),
                });
            }
            _ => {}
        }
        let Some(commit) = &evidence.commit else {
            problems.push(VersionProblem::NoCommit);
            return Err(VersionError(problems));
        };
        if problems.is_empty() {
            let near = package.or(stamp).map_or(Version::new(0, 0, 0), |(_, version)| version);
            return name_branch(&near, branch, commit).map_err(|problem| VersionError(vec![problem]));
        }
    } else {
        problems.push(VersionProblem::Nothing);
    }
    Err(VersionError(problems))
}

/// The name of a release or pre-release.
fn name(version: Version) -> Result<ReleaseName, VersionProblem> {
    let tag = version.to_string().replace('+', "_").parse();
    let tag = tag.map_err(|_| VersionProblem::TooLong { version: version.to_string() })?;
    let channel = if version.pre.is_empty() { Channel::Release } else { Channel::PreRelease };
    Ok(ReleaseName { version, tag, channel })
}

/// The name of a branch's state. `near` is the version its sources have: the build is before it.
fn name_branch(near: &Version, branch: &str, commit: &str) -> Result<ReleaseName, VersionProblem> {
    let commit: String = commit.chars().take(COMMIT_DIGITS).collect();
    let slug = slug(branch);
    let tag = format!("branch-{slug}-{commit}");
    // The `g`, as `git describe` writes it: a number must not begin with 0 in a pre-release.
    let pre = format!("branch.{}.g{commit}", identifier(&slug));
    let failed = |_| VersionProblem::TooLong { version: tag.clone() };
    let pre = Prerelease::new(&pre).map_err(|error| failed(error.to_string()))?;
    let version = Version { pre, build: BuildMetadata::EMPTY, ..near.clone() };
    let tag = tag.parse().map_err(|_| failed(String::new()))?;
    Ok(ReleaseName { version, tag, channel: Channel::Branch })
}

/// A branch's name in lower-case letters, digits and single hyphens.
fn slug(branch: &str) -> String {
    let mut slug = String::new();
    for c in branch.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(BRANCH_CHARACTERS);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "unnamed".to_owned() } else { slug.to_owned() }
}

/// A slug as an identifier of a pre-release, where a number must not begin with 0.
fn identifier(slug: &str) -> String {
    if slug.bytes().all(|byte| byte.is_ascii_digit()) { format!("n{slug}") } else { slug.to_owned() }
}

#[cfg(test)]
#[path = "version_tests.rs"]
mod tests;
