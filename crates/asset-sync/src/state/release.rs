//! What is remembered of a release besides its files.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{KnownWarnings, Manifest, ReleaseId};
use crate::digest::Sha256;
use crate::verify::Observation;

/// One release in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRecord {
    /// Its id.
    pub id: ReleaseId,
    /// The version it was deployed as.
    pub version: String,
    /// The build number, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<u64>,
    /// Hash of all its content, see [`Manifest::tree`](super::Manifest::tree).
    pub tree: Sha256,
    /// Number of its files.
    pub files: u64,
    /// Number of their bytes.
    pub bytes: u64,
    /// When it was first begun.
    pub created_at: Timestamp,
    /// When it last went live; `None` if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Timestamp>,
    /// When it last ceased to be live, or was given up before it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_at: Option<Timestamp>,
    /// It was live and a rollback took its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
    /// It is what stood in the bucket before the first deployment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// The release whose files these are too: the same content under another name. It has one manifest and one place in
    /// the inventory, those of the release that was deployed with it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_of: Option<ReleaseId>,
    /// The release that was live before a deployment made this one live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<ReleaseId>,
    /// The execution of a pipeline that made it live, or finished doing so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed_by: Option<String>,
    /// What was seen of it that speaks against it, a few observations. Empty once it was seen to be right, and for
    /// releases that are not live any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found_wrong: Vec<Observation>,
    /// The environment it was deployed in, where that has a name. A deployment for another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The warnings about its build, so that the next deployment can tell which are new. Decides nothing.
    #[serde(default, skip_serializing_if = "KnownWarnings::is_empty")]
    pub warnings: KnownWarnings,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl ReleaseRecord {
    /// The record of a release that was never live.
    pub fn new(number: u64, version: &str, manifest: &Manifest, now: Timestamp) -> Self {
        let tree = manifest.tree();
        Self {
            id: ReleaseId::new(number, &tree),
            version: version.to_owned(),
            build: None,
            tree,
            files: manifest.files.len() as u64,
            bytes: manifest.total_bytes(),
            created_at: now,
            activated_at: None,
            superseded_at: None,
            rolled_back: false,
            adopted: false,
            files_of: None,
            replaced: None,
            deployed_by: None,
            found_wrong: Vec::new(),
            environment: None,
            warnings: KnownWarnings::default(),
            unknown: Map::new(),
        }
    }

    /// The release under whose id the manifest is stored and the inventory knows the files.
    pub fn stored_as(&self) -> &ReleaseId {
        self.files_of.as_ref().unwrap_or(&self.id)
    }
}

/// A release as people know it and as the state does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedRelease {
    /// Its id.
    pub release: String,
    /// Its version.
    pub version: String,
}

impl From<&ReleaseRecord> for NamedRelease {
    fn from(record: &ReleaseRecord) -> Self {
        Self { release: record.id.to_string(), version: record.version.clone() }
    }
}

impl fmt::Display for NamedRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {} ({})", self.version, self.release)
    }
}
