//! Staging: everything new goes where no page refers to it.

use std::collections::HashSet;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Deployer;
use super::decide::{Decision, is_staged};
use super::snapshot::list_all;
use super::switch::Written;
use super::upload::{Place, Uploader};
use crate::bucket::{Bucket as _, Condition, CopySource, ObjectSpec};
use crate::digest::Sha256;
use crate::error::Error;
use crate::headers::Headers;
use crate::plan::Reason;
use crate::progress::{Event, Step};
use crate::site::{Role, SiteFile};
use crate::state::{Manifest, ReleaseFile, ReleaseId};

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
    Asset { index: usize, file: &'a SiteFile, condition: &'a Condition },
    /// An entry file's bytes, to the archive.
    Entry(&'a SiteFile),
    /// Bytes that will be overwritten and are not in the archive: what stands there now.
    Overwritten { key: &'a str, etag: &'a crate::bucket::ETag, sha256: Sha256, size: u64 },
}

impl Task<'_> {
    fn size(&self) -> u64 {
        match self {
            Self::Asset { file, .. } | Self::Entry(file) => file.size,
            Self::Overwritten { size, .. } => *size,
        }
    }
}

impl Deployer {
    /// Stores the manifest of a release: the part that is read alone first, so that whoever finds
    /// the second finds both.
    pub(super) async fn store_manifest(&self, id: &ReleaseId, manifest: &Manifest) -> Result<(), Error> {
        let (entries, assets) = manifest.encode();
        for (key, body) in [(self.area.release_entries(id), entries), (self.area.release_assets(id), assets)] {
            self.put_state(&key, body).await?;
        }
        Ok(())
    }

    /// Writes a state object that has its name for itself.
    pub(super) async fn put_state(&self, key: &str, body: bytes::Bytes) -> Result<(), Error> {
        let headers = super::session::state_headers();
        let spec = ObjectSpec { key, headers: &headers, sha256: Sha256::of(&body) };
        self.state.put(spec, body, &Condition::Always).await?;
        Ok(())
    }

    /// Uploads new assets, and archives the bytes of entry files and of what will be overwritten.
    pub(super) async fn stage(
        &self,
        decision: &Decision,
        files: &[SiteFile],
        uploader: &Uploader<'_>,
    ) -> Result<Vec<Written>, Error> {
        let archived: HashSet<String> =
            list_all(&self.state, &self.area.blobs(), None).await?.into_iter().map(|object| object.key).collect();
        let mut queued: HashSet<Sha256> = HashSet::new();
        let mut missing = |sha: &Sha256| !archived.contains(&self.area.blob(sha)) && queued.insert(*sha);
        let mut tasks = Vec::new();
        for (file, wanted) in files.iter().zip(&decision.desired.files) {
            if wanted.role != Role::Fingerprinted && missing(&file.sha256) {
                tasks.push(Task::Entry(file));
            }
        }
        for write in decision.diff.writes.iter().filter(|w| is_staged(&decision.desired, w)) {
            let file = &files[write.file];
            tasks.push(Task::Asset { index: write.file, file, condition: &write.condition });
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
        for key in &decision.demoted {
            // What was looked at is known better than what was once recorded.
            let looked_at = decision.inspected.get(key.as_str());
            let found = looked_at.and_then(|found| Some((&found.etag, found.sha256?, found.size)));
            let recorded = || {
                let record = decision.snapshot.inventory.get(key)?;
                let listed = &decision.snapshot.listed;
                let object = &listed[listed.binary_search_by(|o| o.key.as_str().cmp(key.as_str())).ok()?];
                // Somebody may have deleted or edited it: then what was recorded is lost.
                let (etag, _) = record.seen.as_ref().filter(|(etag, _)| *etag == object.etag)?;
                Some((etag, record.sha256, record.size))
            };
            if let Some((etag, sha256, size)) = found.or_else(recorded)
                && missing(&sha256)
            {
                tasks.push(Task::Overwritten { key: key.as_str(), etag, sha256, size });
            }
        }
        let bytes = tasks.iter().map(Task::size).sum();
        let count = tasks.len() as u64;
        let work = stream::iter(tasks)
            .map(|task| self.stage_one(task, decision, uploader))
            .buffer_unordered(self.options.retry.concurrency.max(1))
            .try_filter_map(|written| async move { Ok(written) })
            .try_collect();
        self.step(Step::Stage, count, bytes, work).await
    }

    async fn stage_one(
        &self,
        task: Task<'_>,
        decision: &Decision,
        uploader: &Uploader<'_>,
    ) -> Result<Option<Written>, Error> {
        let written = |key: &str, bytes| Event::Written { key: key.to_owned(), bytes, reason: Reason::New };
        match task {
            Task::Asset { index, file, condition } => {
                let key = self.key(file.key.as_str());
                let headers = &decision.desired.files[index].headers;
                let spec = ObjectSpec { key: &key, headers, sha256: file.sha256 };
                let etag = uploader.send(file, Place::Target, spec, condition).await?;
                self.options.progress.event(&written(file.key.as_str(), file.size));
                Ok(Some(Written { index, etag }))
            }
            Task::Entry(file) => {
                let key = self.area.blob(&file.sha256);
                let spec = ObjectSpec { key: &key, headers: &blob_headers(), sha256: file.sha256 };
                uploader.send(file, Place::State, spec, &Condition::Always).await?;
                Ok(None)
            }
            Task::Overwritten { key, etag, sha256, .. } => {
                let (from, to) = (self.key(key), self.area.blob(&sha256));
                let source = CopySource { bucket: &self.target.bucket, key: &from, etag: Some(etag) };
                let spec = ObjectSpec { key: &to, headers: &blob_headers(), sha256 };
                self.state.copy(source, spec, &Condition::Always).await?;
                Ok(None)
            }
        }
    }
}

/// What stood in the bucket before the first deployment, as a release that can be restored:
/// the objects that are replaced, archived by now, and those that are kept as they are.
pub(super) fn adopted_release(decision: &Decision) -> Option<Manifest> {
    let diff = &decision.diff;
    if diff.obstacles.is_empty() {
        return None;
    }
    let file = |index: usize| &decision.desired.files[index];
    let replaced = diff.obstacles.iter().filter_map(|obstacle| {
        let found = obstacle.found.as_ref()?;
        let wanted = file(obstacle.file);
        Some(ReleaseFile {
            key: wanted.key.clone(),
            sha256: found.sha256?,
            size: found.size,
            headers: found.headers.clone().into(),
            // From the archive, so that a rollback finds it there.
            role: wanted.role.max(Role::Entry),
            demoted: wanted.role == Role::Fingerprinted,
        })
    });
    let kept = diff.adopted.iter().map(|index| {
        let wanted = file(*index);
        let found = decision.inspected.get(wanted.key.as_str());
        ReleaseFile {
            headers: found.map_or_else(|| wanted.headers.clone(), |f| f.headers.clone().into()),
            ..wanted.clone()
        }
    });
    let mut files: Vec<ReleaseFile> = replaced.chain(kept).collect();
    files.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Some(Manifest { files })
}
