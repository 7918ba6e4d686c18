//! What is remembered of a release besides its files.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{KnownWarnings, Manifest, ReleaseId};
use crate::digest::Sha256;
use crate::verify::Observation;

/// Why a release is not live any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Another release was deployed, or gone forward to.
    Superseded,
    /// Somebody, or a step of a pipeline, went back from it.
    RolledBackByHand,
    /// A run went back from what it had deployed, since it saw positive evidence against it.
    RolledBackByVerification,
    /// A rollback took its place, and its record is too old to say which kind.
    RolledBack,
    /// It was begun and never wholly live.
    GivenUp,
    /// It is what stood in the bucket before the first deployment, and was not live since.
    Adopted,
    /// A reason of a later version of this program.
    #[serde(untagged)]
    Unknown(Value),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Superseded => "superseded",
            Self::RolledBackByHand => "rolled back by hand",
            Self::RolledBackByVerification => "rolled back by verification",
            Self::RolledBack => "rolled back",
            Self::GivenUp => "given up",
            Self::Adopted => "adopted",
            Self::Unknown(Value::String(reason)) => reason,
            Self::Unknown(_) => "unknown",
        })
    }
}

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
    /// The commit it was built from, as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
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
    /// Why it is not live any more, where the other fields do not say it: see [`Self::why_ended`]. Decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
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
    /// The execution of a pipeline that made it live, or finished doing so. Of one that was never live: that began it.
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
            commit: None,
            tree,
            files: manifest.files.len() as u64,
            bytes: manifest.total_bytes(),
            created_at: now,
            activated_at: None,
            superseded_at: None,
            rolled_back: false,
            ended: None,
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

    /// Why it is not live any more; `None` while it is, or is begun.
    pub fn why_ended(&self) -> Option<Ended> {
        self.superseded_at?;
        let implied = match (self.rolled_back, self.activated_at) {
            (true, _) => Ended::RolledBack,
            (false, None) => Ended::GivenUp,
            (false, Some(_)) => Ended::Superseded,
        };
        Some(self.ended.clone().unwrap_or(implied))
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
