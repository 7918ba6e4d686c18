//! Staging: everything new goes where no page refers to it.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::context::Context;
use super::decide::{Decision, is_staged};
use super::store::Archived;
use super::switch::Written;
use super::upload::{Place, Uploader};
use crate::bucket::{Bucket as _, Condition, CopySource, ETag, ObjectSpec};
use crate::digest::Sha256;
use crate::error::Error;
use crate::headers::Headers;
use crate::plan::{Overwritten, Reason, overwritten};
use crate::progress::{Event, Step};
use crate::site::{Role, SiteFile};

/// Headers of archived bytes. Those they are served with are in the manifests.
fn blob_headers() -> Headers {
    Headers {
        content_type: "application/octet-stream".to_owned(),
        cache_control: Some("no-store".to_owned()),
        ..Headers::default()
    }
}

/// One thing to stage.
enum Task<'a> {
    /// A new fingerprinted file, to its own key.
    Asset { index: usize, file: &'a SiteFile, headers: &'a Arc<Headers>, condition: &'a Condition },
    /// An entry file's bytes, to the archive.
    Entry(&'a SiteFile),
    /// Bytes that will be overwritten and are not in the archive: what stands there now.
    Overwritten { key: &'a str, etag: &'a ETag, sha256: Sha256, size: u64 },
}

/// The same, on its own.
enum OwnTask {
    Asset { index: usize, file: SiteFile, key: String, headers: Arc<Headers>, condition: Condition },
    Entry { file: SiteFile, key: String },
    Overwritten { bucket: String, from: String, etag: ETag, sha256: Sha256, to: String },
}

impl Task<'_> {
    fn size(&self) -> u64 {
        match self {
            Self::Asset { file, .. } | Self::Entry(file) => file.size,
            Self::Overwritten { size, .. } => *size,
        }
    }

    fn own(&self, cx: &Context) -> OwnTask {
        match *self {
            Self::Asset { index, file, headers, condition } => OwnTask::Asset {
                index,
                file: file.clone(),
                key: cx.key(file.key.as_str()),
                headers: Arc::clone(headers),
                condition: condition.clone(),
            },
            Self::Entry(file) => OwnTask::Entry { file: file.clone(), key: cx.store.area.blob(&file.sha256) },
            Self::Overwritten { key, etag, sha256, .. } => OwnTask::Overwritten {
                bucket: cx.target.bucket.clone(),
                from: cx.key(key),
                etag: etag.clone(),
                sha256,
                to: cx.store.area.blob(&sha256),
            },
        }
    }
}

/// Uploads new assets, and archives the bytes of entry files and of what will be overwritten.
pub(super) async fn stage(
    cx: &Context,
    decision: &Decision,
    files: &[SiteFile],
    archived: Archived,
    uploader: &Uploader,
) -> Result<Vec<Written>, Error> {
    let overwritten = overwritten(&decision.diff_input(), &decision.diff.writes);
    let mut queued: HashSet<Sha256> = HashSet::new();
    let mut missing = |sha: &Sha256| !archived.contains(cx.store.area.blob(sha).as_str()) && queued.insert(*sha);
    let mut tasks = Vec::new();
    for (file, wanted) in files.iter().zip(&decision.desired.files) {
        if wanted.role != Role::Fingerprinted && missing(&file.sha256) {
            tasks.push(Task::Entry(file));
        }
    }
    for write in decision.diff.writes.iter().filter(|w| is_staged(&decision.desired, w)) {
        let file = &files[write.file];
        let headers = &decision.desired.files[write.file].headers;
        tasks.push(Task::Asset { index: write.file, file, headers, condition: &write.condition });
    }
    for obstacle in &decision.diff.obstacles {
        if let Some(found) = &obstacle.found
            && let Some(sha256) = found.sha256
            && missing(&sha256)
        {
            let key = decision.desired.files[obstacle.file].key.as_str();
            tasks.push(Task::Overwritten { key, etag: &found.etag, sha256, size: found.size });
        }
    }
    for Overwritten { key, etag, sha256, size } in &overwritten {
        if missing(sha256) {
            tasks.push(Task::Overwritten { key: key.as_str(), etag, sha256: *sha256, size: *size });
        }
    }
    let bytes = tasks.iter().map(Task::size).sum();
    let count = tasks.len() as u64;
    let work = async {
        let at_once = cx.at_once();
        let mut rest = tasks.as_slice();
        let mut in_flight = JoinSet::new();
        let mut written = Vec::new();
        loop {
            while in_flight.len() < at_once && !rest.is_empty() {
                let (now, later) = rest.split_at(share(rest.len(), at_once));
                rest = later;
                // A task of its own, since small files are work enough for several cores.
                let own: Vec<OwnTask> = now.iter().map(|task| task.own(cx)).collect();
                in_flight.spawn(stage_each(own, uploader.clone()));
            }
            let Some(done) = in_flight.join_next().await else { return Ok(written) };
            written.append(&mut done.map_err(|e| Error::Internal(format!("an upload failed: {e}")))??);
        }
    };
    cx.step(Step::Stage, count, bytes, work).await
}

/// Copies recorded bytes that a rollback will overwrite to the archive, unless they are there.
pub(super) async fn archive_overwritten(
    cx: &Context,
    overwritten: &[Overwritten],
    uploader: &Uploader,
) -> Result<(), Error> {
    let copied = cx.each(overwritten.len(), |index| async move {
        let Overwritten { key, etag, sha256, size } = &overwritten[index];
        if cx.store.is_archived(sha256, *size).await? {
            return Ok(());
        }
        let task = Task::Overwritten { key: key.as_str(), etag, sha256: *sha256, size: *size };
        stage_one(task.own(cx), uploader).await.map(drop)
    });
    copied.await.map(drop)
}

/// How many of `left` files to give to one of `at_once` tasks: several, since whoever hands them out is
/// woken for each share; few towards the end, since all should end together.
fn share(left: usize, at_once: usize) -> usize {
    const LARGEST: usize = 32;
    (left / (at_once * 4)).clamp(1, LARGEST).min(left)
}

/// Stages one after the other.
async fn stage_each(tasks: Vec<OwnTask>, uploader: Uploader) -> Result<Vec<Written>, Error> {
    let mut written = Vec::with_capacity(tasks.len());
    for task in tasks {
        written.extend(stage_one(task, &uploader).await?);
    }
    Ok(written)
}

async fn stage_one(task: OwnTask, uploader: &Uploader) -> Result<Option<Written>, Error> {
    match task {
        OwnTask::Asset { index, file, key, headers, condition } => {
            let spec = ObjectSpec { key: &key, headers: &headers, sha256: file.sha256 };
            let etag = uploader.send(&file, Place::Target, spec, &condition).await?;
            uploader.tell(&Event::Written { key: file.key.to_string(), bytes: file.size, reason: Reason::New });
            Ok(Some(Written { index, etag }))
        }
        OwnTask::Entry { file, key } => {
            let spec = ObjectSpec { key: &key, headers: &blob_headers(), sha256: file.sha256 };
            uploader.send(&file, Place::State, spec, &Condition::Always).await?;
            Ok(None)
        }
        OwnTask::Overwritten { bucket, from, etag, sha256, to } => {
            let source = CopySource { bucket: &bucket, key: &from, etag: Some(&etag) };
            let spec = ObjectSpec { key: &to, headers: &blob_headers(), sha256 };
            uploader.bucket(Place::State).copy(source, spec, &Condition::Always).await?;
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::share;

    proptest! {
        #[test]
        fn shares_leave_nothing_out_and_end_small(files in 1..100_000_usize, at_once in 1..200_usize) {
            let (mut left, mut last) = (files, usize::MAX);
            while left > 0 {
                let now = share(left, at_once);
                prop_assert!((1..=left).contains(&now) && now <= last);
                prop_assert!(now == 1 || now * at_once <= left, "the others would wait for {now} of {left}");
                (left, last) = (left - now, now);
            }
        }
    }
}
