//! When two images are the same release.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::reference::Digest;

/// The version (OCI image specification, pre-defined annotations).
pub const VERSION: &str = "org.opencontainers.image.version";
/// The commit (the same).
pub const REVISION: &str = "org.opencontainers.image.revision";
/// When it was made, as RFC 3339 (the same).
pub const CREATED: &str = "org.opencontainers.image.created";
/// The git repository's address (the same).
pub const SOURCE: &str = "org.opencontainers.image.source";
/// The base image's name (the same).
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The base image's digest (the same).
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// The digest of the site's files, whatever tool packed them: see [`crate::site::Site::digest`].
pub const SITE_DIGEST: &str = "com.mtribes.deploy.site.digest";
/// The number of the pipeline run that cut the image.
pub const BUILD: &str = "com.mtribes.deploy.build";
/// On the layer that holds the site: `site`.
pub const LAYER: &str = "com.mtribes.deploy.layer";

/// What makes an image the release it is. A build number is no part of it: a pipeline that runs
/// again has a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The digest of the site's files.
    pub site: Digest,
    /// The digest of the base image.
    pub base: Digest,
    /// The version.
    pub version: String,
    /// The commit, in hexadecimal digits.
    pub commit: Option<String>,
}

impl Identity {
    /// As annotations.
    pub fn annotations(&self) -> BTreeMap<&'static str, String> {
        let mut annotations = BTreeMap::from([
            (SITE_DIGEST, self.site.to_string()),
            (BASE_DIGEST, self.base.to_string()),
            (VERSION, self.version.clone()),
        ]);
        if let Some(commit) = &self.commit {
            annotations.insert(REVISION, commit.clone());
        }
        annotations
    }

    /// From annotations or labels; none where they are not an image's of ours.
    pub fn from_annotations(annotations: &serde_json::Value) -> Option<Self> {
        let text = |key| annotations.get(key)?.as_str();
        Some(Self {
            site: text(SITE_DIGEST)?.parse().ok()?,
            base: text(BASE_DIGEST)?.parse().ok()?,
            version: text(VERSION)?.to_owned(),
            commit: text(REVISION).map(str::to_owned),
        })
    }

    /// What is not the same in `other`, as words; empty only where all is.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        // Named one by one, so that a new field cannot be forgotten.
        let Self { site, base, version, commit } = other;
        [
            (self.site != *site, "site"),
            (self.base != *base, "base image"),
            (self.version != *version, "version"),
            (self.commit != *commit, "commit"),
        ]
        .into_iter()
        .filter_map(|(differs, what)| differs.then_some(what))
        .collect()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = self.commit.as_deref().unwrap_or("unknown");
        write!(f, "version {}, commit {commit}, site {}, base {}", self.version, self.site, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_annotations() {
        for commit in [None, Some("7f2c0a9".to_owned())] {
            let identity = Identity {
                site: Digest::of(b"site"),
                base: Digest::of(b"base"),
                version: "1.0.0+7".to_owned(),
                commit,
            };
            let annotations = serde_json::to_value(identity.annotations()).unwrap();
            assert_eq!(Identity::from_annotations(&annotations), Some(identity));
        }
        assert_eq!(Identity::from_annotations(&serde_json::json!({VERSION: "1.0.0"})), None);
        assert_eq!(Identity::from_annotations(&serde_json::Value::Null), None);
    }

    #[test]
    fn differences_are_named() {
        let a = Identity { site: Digest::of(b"a"), base: Digest::of(b"b"), version: "1.0.0".to_owned(), commit: None };
        assert!(a.differences(&a).is_empty());
        let b = Identity { site: Digest::of(b"b"), commit: Some("7f2c0a9".to_owned()), ..a.clone() };
        assert_eq!(a.differences(&b), ["site", "commit"]);
    }
}
