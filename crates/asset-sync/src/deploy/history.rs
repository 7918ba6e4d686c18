//! All releases that are on record, also those whose files are gone.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::Serialize;

use super::context::Context;
use crate::error::Error;
use crate::state::{Current, Ended, ReleaseRecord};

/// A release of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastRelease {
    /// Its id.
    pub release: String,
    /// Its version.
    pub version: String,
    /// Its build number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<u64>,
    /// The commit it was built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The execution of a pipeline that made it live, or began to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
    /// The environment it was deployed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// When it was first begun.
    pub created_at: Timestamp,
    /// When it last went live; `None` if it never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Timestamp>,
    /// When it last ceased to be live, or was given up before it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it is not live any more; `None` while it is live, or a run that makes it live is not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Whether it is live.
    pub live: bool,
    /// Whether a rollback can go to it: it was live, and its files are kept.
    pub restorable: bool,
    /// Number of its files.
    pub files: u64,
    /// Number of their bytes.
    pub bytes: u64,
}

/// The releases of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct History {
    /// The bucket.
    pub bucket: String,
    /// The prefix.
    pub prefix: String,
    /// All kept releases and the last hundred that were pruned. The first is the one that went live last, or was begun last
    /// where it never did.
    pub releases: Vec<PastRelease>,
}

/// See [`Deployer::history`](super::Deployer::history).
pub(super) async fn history(cx: &Context) -> Result<History, Error> {
    let (mut current, mut etag) = cx.store.read_current().await?;
    let pruned = loop {
        let damage = match cx.store.read_inventory(&current).await {
            Ok(inventory) => break inventory.pruned,
            Err(Error::State(error)) if error.is_damage() => error,
            Err(error) => return Err(error),
        };
        // A run may have replaced the inventory between the two reads.
        let (now, now_etag) = cx.store.read_current().await?;
        if now_etag == etag {
            cx.warn(format!("{damage}. Releases that were pruned are not listed"));
            break Vec::new();
        }
        (current, etag) = (now, now_etag);
    };
    cx.warn_of_mismatch(&current);
    let (bucket, prefix) = (cx.target.bucket.clone(), cx.target.prefix.clone());
    Ok(History { bucket, prefix, releases: newest_first(&current, &pruned) })
}

fn newest_first(current: &Current, pruned: &[ReleaseRecord]) -> Vec<PastRelease> {
    let kept = current.releases.iter().map(|record| past_release(record, Some(current)));
    let gone = pruned.iter().map(|record| past_release(record, None));
    let mut releases: Vec<(u64, PastRelease)> = gone.chain(kept).collect();
    // What is rolled back at once went live in the same second as the release that is live now.
    let place =
        |number, release: &PastRelease| (release.activated_at.unwrap_or(release.created_at), release.live, number);
    releases.sort_by_key(|(number, release)| Reverse(place(*number, release)));
    releases.into_iter().map(|(_, release)| release).collect()
}

/// The number of a release and what is told of it; `kept` is the state whose rollbacks can go to it.
fn past_release(record: &ReleaseRecord, kept: Option<&Current>) -> (u64, PastRelease) {
    let pending = kept.and_then(|current| current.pending.as_ref()).filter(|pending| pending.release == record.id);
    let is_begun = pending.is_some() && record.activated_at.is_none();
    let execution = if is_begun { pending.and_then(|p| p.execution.clone()) } else { record.deployed_by.clone() };
    let release = PastRelease {
        release: record.id.to_string(),
        version: record.version.clone(),
        build: record.build,
        commit: record.commit.clone(),
        execution,
        environment: record.environment.clone(),
        created_at: record.created_at,
        activated_at: record.activated_at,
        ended_at: record.superseded_at.filter(|_| !is_begun),
        ended: record.why_ended().filter(|_| !is_begun),
        live: kept.is_some_and(|current| current.live.as_ref() == Some(&record.id)),
        restorable: kept.is_some() && record.activated_at.is_some(),
        files: record.files,
        bytes: record.bytes,
    };
    (record.id.number(), release)
}
