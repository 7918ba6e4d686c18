//! Staging: everything new goes where no page refers to it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

use futures::try_join;
use tokio::task::JoinSet;

use super::Deployer;
use super::decide::{Decision, is_staged};
use super::listing::list_all;
use super::switch::Written;
use super::upload::{Place, Uploader};
use crate::bucket::{Bucket as _, Condition, CopySource, ETag, ObjectSpec};
use crate::digest::Sha256;
use crate::error::Error;
use crate::headers::Headers;
use crate::plan::Reason;
use crate::progress::{Event, Step};
use crate::site::{Key, Role, SiteFile};
use crate::state::{Manifest, ReleaseFile, ReleaseId};

/// Headers of archived bytes. Those they are served with are in the manifests.
fn blob_headers() -> Headers {
    Headers {
        content_type: "application/octet-stream".to_owned(),
        cache_control: Some("no-store".to_owned()),
        ..Headers::default()
    }
}

/// Full keys of all archived bytes.
pub(super) type Archived = HashSet<Arc<str>>;

/// One thing to stage.
enum Task {
    /// A new fingerprinted file, to its own key.
    Asset { index: usize, file: SiteFile, headers: Arc<Headers>, condition: Condition },
    /// An entry file's bytes, to the archive.
    Entry(SiteFile),
    /// Bytes that will be overwritten and are not in the archive: what stands there now.
    Overwritten { key: Key, etag: ETag, sha256: Sha256, size: u64 },
}

impl Task {
    fn size(&self) -> u64 {
        match self {
            Self::Asset { file, .. } | Self::Entry(file) => file.size,
            Self::Overwritten { size, .. } => *size,
        }
    }
}

impl Deployer {
    /// Stores the manifest of a release, both parts. The part that is read alone is read only of
    /// releases that were live, whose manifest was stored whole.
    pub(super) async fn store_manifest(&self, id: &ReleaseId, manifest: &Manifest) -> Result<(), Error> {
        let (entries, assets) = manifest.encode();
        let (entries_key, assets_key) = (self.area.release_entries(id), self.area.release_assets(id));
        try_join!(self.put_state(&entries_key, entries), self.put_state(&assets_key, assets))?;
        Ok(())
    }

    /// Writes a state object that has its name for itself.
    pub(super) async fn put_state(&self, key: &str, body: bytes::Bytes) -> Result<(), Error> {
        let headers = super::session::state_headers();
        let spec = ObjectSpec { key, headers: &headers, sha256: Sha256::of(&body) };
        self.state.put(spec, body, &Condition::Always).await?;
        Ok(())
    }

    /// What the archive holds.
    pub(super) async fn archived(&self) -> Result<Archived, Error> {
        Ok(list_all(&self.state, &self.area.blobs()).await?.into_iter().map(|object| object.key).collect())
    }

    /// Uploads new assets, and archives the bytes of entry files and of what will be overwritten.
    pub(super) async fn stage(
        &self,
        decision: &Decision,
        files: &[SiteFile],
        archived: Archived,
        uploader: &Uploader,
    ) -> Result<Vec<Written>, Error> {
        let mut queued: HashSet<Sha256> = HashSet::new();
        let mut missing = |sha: &Sha256| !archived.contains(self.area.blob(sha).as_str()) && queued.insert(*sha);
        let mut tasks = Vec::new();
        for (file, wanted) in files.iter().zip(&decision.desired.files) {
            if wanted.role != Role::Fingerprinted && missing(&file.sha256) {
                tasks.push(Task::Entry(file.clone()));
            }
        }
        for write in decision.diff.writes.iter().filter(|w| is_staged(&decision.desired, w)) {
            tasks.push(Task::Asset {
                index: write.file,
                file: files[write.file].clone(),
                headers: Arc::clone(&decision.desired.files[write.file].headers),
                condition: write.condition.clone(),
            });
        }
        for obstacle in &decision.diff.obstacles {
            if let Some(found) = &obstacle.found
                && let Some(sha256) = found.sha256
                && missing(&sha256)
            {
                let key = decision.desired.files[obstacle.file].key.clone();
                tasks.push(Task::Overwritten { key, etag: found.etag.clone(), sha256, size: found.size });
            }
        }
        for key in &decision.demoted {
            // What was looked at is known better than what was once recorded.
            let looked_at = decision.inspected.get(key.as_str());
            let found = looked_at.and_then(|found| Some((&found.etag, found.sha256?, found.size)));
            let recorded = || {
                let record = decision.snapshot.inventory.get(key)?;
                let listed = &decision.snapshot.listed;
                let object = &listed[listed.binary_search_by(|o| (*o.key).cmp(key.as_str())).ok()?];
                // Somebody may have deleted or edited it: then what was recorded is lost.
                let (etag, _) = record.seen.as_ref().filter(|(etag, _)| *etag == object.etag)?;
                Some((etag, record.sha256, record.size))
            };
            if let Some((etag, sha256, size)) = found.or_else(recorded)
                && missing(&sha256)
            {
                tasks.push(Task::Overwritten { key: key.clone(), etag: etag.clone(), sha256, size });
            }
        }
        let bytes = tasks.iter().map(Task::size).sum();
        let count = tasks.len() as u64;
        let work = async {
            let in_flight = self.options.retry.concurrency.clamp(1, tasks.len().max(1));
            let tasks = Arc::new(Mutex::new(tasks.into_iter()));
            // Tasks of their own, since small files are work enough for several cores; and as few as are
            // in flight, since whoever waits for each file is woken for each.
            let mut workers = JoinSet::new();
            for _ in 0..in_flight {
                workers.spawn(stage_each(Arc::clone(&tasks), uploader.clone()));
            }
            let mut written = Vec::new();
            while let Some(done) = workers.join_next().await {
                written.append(&mut done.map_err(|e| Error::Internal(format!("an upload failed: {e}")))??);
            }
            Ok(written)
        };
        self.step(Step::Stage, count, bytes, work).await
    }
}

/// Stages one after the other, as long as there are any.
async fn stage_each(tasks: Arc<Mutex<vec::IntoIter<Task>>>, uploader: Uploader) -> Result<Vec<Written>, Error> {
    let mut written = Vec::new();
    loop {
        let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some(task) = next else { return Ok(written) };
        written.extend(stage_one(task, &uploader).await?);
    }
}

async fn stage_one(task: Task, uploader: &Uploader) -> Result<Option<Written>, Error> {
    match task {
        Task::Asset { index, file, headers, condition } => {
            let key = uploader.target_key(&file.key);
            let spec = ObjectSpec { key: &key, headers: &headers, sha256: file.sha256 };
            let etag = uploader.send(&file, Place::Target, spec, &condition).await?;
            uploader.tell(&Event::Written { key: file.key.to_string(), bytes: file.size, reason: Reason::New });
            Ok(Some(Written { index, etag }))
        }
        Task::Entry(file) => {
            let key = uploader.blob_key(&file.sha256);
            let spec = ObjectSpec { key: &key, headers: &blob_headers(), sha256: file.sha256 };
            uploader.send(&file, Place::State, spec, &Condition::Always).await?;
            Ok(None)
        }
        Task::Overwritten { key, etag, sha256, .. } => {
            let (from, to) = (uploader.target_key(&key), uploader.blob_key(&sha256));
            let source = CopySource { bucket: uploader.bucket(Place::Target).name(), key: &from, etag: Some(&etag) };
            let spec = ObjectSpec { key: &to, headers: &blob_headers(), sha256 };
            uploader.bucket(Place::State).copy(source, spec, &Condition::Always).await?;
            Ok(None)
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
