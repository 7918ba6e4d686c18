//! What is live, what was, and who is writing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::context::Context;
use super::edges::pending_paths;
use super::listing::list_scope;
use crate::error::Error;
use crate::state::{Current, Lease, Phase, ReleaseRecord};

/// One release in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseStatus {
    /// Its id.
    pub release: String,
    /// Its version.
    pub version: String,
    /// Its build number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<u64>,
    /// The environment it was deployed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Whether it is live.
    pub live: bool,
    /// Whether a rollback took it down.
    pub rolled_back: bool,
    /// Number of its files.
    pub files: u64,
    /// Number of their bytes.
    pub bytes: u64,
    /// When it last went live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Timestamp>,
    /// When it last ceased to be live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_at: Option<Timestamp>,
}

/// Who may write now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseStatus {
    /// Who holds it.
    pub owner: String,
    /// When it was taken, by the holder's clock.
    pub acquired_at: Timestamp,
    /// How long it is good after its last renewal, in seconds.
    pub seconds: i64,
}

/// A target as its state tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The bucket.
    pub bucket: String,
    /// The prefix.
    pub prefix: String,
    /// Releases whose files are kept, the newest first.
    pub releases: Vec<ReleaseStatus>,
    /// Grows with every change of the state; 0 for a target nothing was deployed to.
    pub generation: u64,
    /// Objects under the prefix, the state area left out, where no release is on record: those of another tool, or of a
    /// target whose state was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrecorded_objects: Option<u64>,
    /// A run that began and did not finish: what it is about and how far it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
    /// Distributions at which something is still to be invalidated.
    pub owed_invalidations: Vec<String>,
    /// Paths that are still to be invalidated, by distribution.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pending: BTreeMap<String, Vec<String>>,
    /// The lease, if somebody holds it (or held it and died).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseStatus>,
}

impl From<&Lease> for LeaseStatus {
    fn from(lease: &Lease) -> Self {
        Self { owner: lease.owner.clone(), acquired_at: lease.acquired_at, seconds: lease.duration.as_secs() }
    }
}

/// What is live and what was. Two reads at most, and no writes.
///
/// # Errors
/// [`Error`] if the state cannot be read.
pub(super) async fn status(cx: &Context) -> Result<Status, Error> {
    let (current, _) = cx.store.read_current().await?;
    cx.warn_of_mismatch(&current);
    let pending = pending_paths(cx, &current);
    let unrecorded_objects = if current.releases.is_empty() {
        Some(list_scope(&cx.bucket, cx.scope(), &[]).await?.len() as u64)
    } else {
        None
    };
    Ok(Status {
        bucket: cx.target.bucket.clone(),
        prefix: cx.target.prefix.clone(),
        releases: current.releases.iter().rev().map(|r| release_status(r, &current)).collect(),
        generation: current.generation,
        unrecorded_objects,
        unfinished: current.pending.as_ref().map(|pending| {
            let release = format!(" of {}", pending.release);
            let operation = format!("{:?}", pending.operation).to_lowercase();
            match pending.phase {
                Phase::Staging => format!("{operation}{release}: uploading, nothing visible changed"),
                Phase::Switching => format!("{operation}{release}: entry files are being replaced"),
                Phase::Switched => format!("{operation}{release}: live, invalidation or deletes remain"),
            }
        }),
        owed_invalidations: pending.keys().cloned().collect(),
        pending,
        lease: current.lease.as_ref().map(LeaseStatus::from),
    })
}

/// Takes the lease away from whoever holds it; gives whose it was. That run, should it still
/// live, notices at its next write to the state and stops.
///
/// # Errors
/// [`Error`] if the state cannot be read or written.
pub(super) async fn break_lease(cx: &Context) -> Result<Option<LeaseStatus>, Error> {
    loop {
        let (mut current, etag) = cx.store.read_current().await?;
        let Some(lease) = current.lease.take() else { return Ok(None) };
        if cx.store.write_unleased(&current, etag.as_ref()).await? {
            return Ok(Some(LeaseStatus::from(&lease)));
        }
    }
}

fn release_status(record: &ReleaseRecord, current: &Current) -> ReleaseStatus {
    ReleaseStatus {
        release: record.id.to_string(),
        version: record.version.clone(),
        build: record.build,
        environment: record.environment.clone(),
        live: current.live.as_ref() == Some(&record.id),
        rolled_back: record.rolled_back,
        files: record.files,
        bytes: record.bytes,
        activated_at: record.activated_at,
        superseded_at: record.superseded_at,
    }
}
