//! The state area of a target as it is read and written.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::try_join;

use super::listing::list_all;
use crate::bucket::{
    Bucket as _, BucketError, BucketErrorKind, Condition, ETag, ListedObject, MAX_BATCH, ObjectSpec, Resilient, Sink,
    hash_object, read_into,
};
use crate::digest::{Hasher, Sha256};
use crate::error::Error;
use crate::headers::Headers;
use crate::state::{Current, Inventory, Manifest, ReleaseId, ReleaseRecord, StateArea, StateError};

/// More than the state of a target with ten million files: a bound against reading what is not ours.
const LARGEST_STATE_OBJECT: u64 = 4 * 1024 * 1024 * 1024;

/// Full keys of all archived bytes.
pub(super) type Archived = HashSet<Arc<str>>;

/// Reads and writes the objects of a state area. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct StateStore {
    pub(super) area: StateArea,
    pub(super) bucket: Arc<Resilient>,
    /// The same bucket for writes of `current`, which have right of way.
    pub(super) journal: Arc<Resilient>,
    known: Arc<Mutex<Known>>,
}

/// What is known of `current` without asking.
#[derive(Debug, Default)]
struct Known {
    /// As it was last read, or written.
    current: Option<Current>,
    /// Whether a write changed who is live whose answer did not come.
    in_doubt: bool,
}

/// Headers of state objects: never to be cached, should an edge ever get at them.
fn headers() -> Headers {
    Headers {
        content_type: "application/json".to_owned(),
        cache_control: Some("no-store".to_owned()),
        ..Headers::default()
    }
}

/// Content as it is read, and its hash.
struct Hashed<S> {
    hasher: Hasher,
    content: S,
}

impl<S: Sink> Sink for Hashed<S> {
    fn take(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        self.content.take(piece);
    }
}

impl StateStore {
    /// The state `area` in `bucket`, whose `journal` is for writes of `current`.
    pub(super) fn new(area: StateArea, bucket: Arc<Resilient>, journal: Arc<Resilient>) -> Self {
        Self { area, bucket, journal, known: Arc::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `current` as this process last saw or wrote it, and whether that is certain of who is live.
    pub(super) fn last_known(&self) -> Option<(Current, bool)> {
        let known = self.known();
        let current = known.current.clone()?;
        Some((current, !known.in_doubt))
    }

    /// The `current` object; the default where there is none.
    pub(super) async fn read_current(&self) -> Result<(Current, Option<ETag>), Error> {
        let key = self.area.current();
        let (current, etag) = match self.read(&key).await? {
            Some((bytes, etag)) => (Current::decode(&key, &bytes)?, Some(etag)),
            None => (Current::default(), None),
        };
        *self.known() = Known { current: Some(current.clone()), in_doubt: false };
        Ok((current, etag))
    }

    /// Replaces `current` by `next` if it still is what `etag` says.
    pub(super) async fn write_current(&self, next: &Current, etag: Option<&ETag>) -> Result<ETag, BucketError> {
        let body = next.encode();
        let key = self.area.current();
        let spec = ObjectSpec { key: &key, headers: &headers(), sha256: Sha256::of(&body) };
        let condition = etag.map_or(Condition::IfAbsent, |etag| Condition::IfMatch(etag.clone()));
        {
            let mut known = self.known();
            known.in_doubt |= known.current.as_ref().is_some_and(|current| current.live != next.live);
        }
        let written = self.journal.put(spec, body, &condition).await;
        if written.is_ok() {
            *self.known() = Known { current: Some(next.clone()), in_doubt: false };
        }
        written
    }

    /// Replaces `current` without a lease, where nobody holds one; `false` if somebody was faster.
    pub(super) async fn write_unleased(&self, current: &Current, etag: Option<&ETag>) -> Result<bool, Error> {
        let next = current.stamped();
        match self.write_current(&next, etag).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind == BucketErrorKind::PreconditionFailed => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Learns by one request that writes nothing whether the store checks conditions: writing under a tag that no
    /// object has must fail.
    pub(super) async fn checks_conditions(&self) -> Result<bool, Error> {
        let body = Bytes::from_static(b"written by a store that ignores If-Match\n");
        let key = self.area.probe();
        let spec = ObjectSpec { key: &key, headers: &headers(), sha256: Sha256::of(&body) };
        let nobody = Condition::IfMatch(ETag::from("\"00000000000000000000000000000000\""));
        match self.bucket.put(spec, body, &nobody).await {
            Ok(_) => Ok(false),
            Err(error) if error.kind == BucketErrorKind::PreconditionFailed => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// A state object, `None` if it is not there. A store may answer 403 for an absent key, so a
    /// refusal is believed only if a listing shows the key.
    async fn read(&self, key: &str) -> Result<Option<(Bytes, ETag)>, Error> {
        let new = |size| BytesMut::with_capacity(usize::try_from(size).unwrap_or_default());
        Ok(self.read_into(key, new).await?.map(|(bytes, etag)| (bytes.freeze(), etag)))
    }

    /// The same, into what `new` makes of the object's length.
    async fn read_into<S: Sink>(
        &self,
        key: &str,
        new: impl Fn(u64) -> S + Send + Sync,
    ) -> Result<Option<(S, ETag)>, Error> {
        let refused = match read_into(&*self.bucket, key, LARGEST_STATE_OBJECT, new).await {
            Ok(found) => return Ok(found.map(|(info, content)| (content, info.etag))),
            Err(error) if error.kind == BucketErrorKind::Denied => error,
            Err(error) => return Err(error.into()),
        };
        match self.bucket.list(key, None).await {
            Ok(page) if page.objects.iter().all(|o| *o.key != *key) => Ok(None),
            _ => Err(refused.into()),
        }
    }

    /// The inventory in force, empty where there was none yet.
    ///
    /// # Errors
    /// [`StateError`] if it is lost, or not the one that `current` names; else what reading it can give.
    pub(super) async fn read_inventory(&self, current: &Current) -> Result<Inventory, Error> {
        let Some(generation) = current.inventory else { return Ok(Inventory::default()) };
        let key = self.area.inventory(generation);
        let new = |size| Hashed { hasher: Hasher::default(), content: Inventory::decoder(&key, size) };
        let Some((read, _)) = self.read_into(&key, new).await? else { return Err(StateError::Missing { key }.into()) };
        let inventory = Inventory::decoded(read.content)?;
        if current.inventory_sha256.is_some_and(|sha256| sha256 != read.hasher.finish()) {
            return Err(StateError::malformed(&key, "its content is not the one on record").into());
        }
        Ok(inventory)
    }

    /// The manifest of a release; `None` for one that was begun and never came to storing it.
    pub(super) async fn read_manifest_if_any(&self, release: &ReleaseRecord) -> Result<Option<Manifest>, Error> {
        let id = release.stored_as();
        let (entries_key, assets_key) = (self.area.release_entries(id), self.area.release_assets(id));
        let (entries, assets) = try_join!(self.read(&entries_key), self.read(&assets_key))?;
        // The assets' part is written last.
        let (Some(entries), Some(assets)) = (entries, assets) else { return Ok(None) };
        let manifest = Manifest::decode((&entries_key, &entries.0), (&assets_key, &assets.0))?;
        if manifest.tree() != release.tree {
            let key = format!("{entries_key} (or its `assets`)");
            return Err(StateError::malformed(&key, "it does not list the content on record").into());
        }
        Ok(Some(manifest))
    }

    /// The manifest of a release that was live.
    pub(super) async fn read_manifest(&self, release: &ReleaseRecord) -> Result<Manifest, Error> {
        let missing = || StateError::Missing { key: self.area.release_assets(release.stored_as()) };
        Ok(self.read_manifest_if_any(release).await?.ok_or_else(missing)?)
    }

    /// Stores the manifest of a release, both parts. The part that is read alone is read only of
    /// releases that were live, whose manifest was stored whole.
    pub(super) async fn store_manifest(&self, id: &ReleaseId, manifest: &Manifest) -> Result<(), Error> {
        let (entries, assets) = manifest.encode();
        let (entries_key, assets_key) = (self.area.release_entries(id), self.area.release_assets(id));
        try_join!(self.put(&entries_key, entries), self.put(&assets_key, assets))?;
        Ok(())
    }

    /// Stores the inventory as of `generation`; gives what `current` says of it.
    pub(super) async fn store_inventory(&self, generation: u64, inventory: &Inventory) -> Result<(u64, Sha256), Error> {
        let body = inventory.encode();
        let sha256 = Sha256::of(&body);
        self.put(&self.area.inventory(generation), body).await?;
        Ok((generation, sha256))
    }

    /// Inventories and manifests that nothing refers to: runs that died have left them. To be asked under the lease
    /// by who deletes them, since others may be writing theirs.
    pub(super) async fn orphans(&self, current: &Current) -> Result<Vec<ListedObject>, Error> {
        let (inventories, manifests) = (self.area.inventories(), self.area.releases());
        let (inventories, manifests) =
            try_join!(list_all(&self.bucket, &inventories), list_all(&self.bucket, &manifests))?;
        let in_force = current.inventory.map(|generation| self.area.inventory(generation));
        let stored = current.releases.iter().map(ReleaseRecord::stored_as);
        let known = stored.flat_map(|id| [self.area.release_entries(id), self.area.release_assets(id)]);
        let known: HashSet<String> = known.chain(in_force).collect();
        let listed = inventories.into_iter().chain(manifests);
        Ok(listed.filter(|object| !known.contains(&*object.key)).collect())
    }

    /// Writes a state object that has its name for itself.
    async fn put(&self, key: &str, body: Bytes) -> Result<(), Error> {
        let spec = ObjectSpec { key, headers: &headers(), sha256: Sha256::of(&body) };
        self.bucket.put(spec, body, &Condition::Always).await?;
        Ok(())
    }

    /// What the archive holds.
    pub(super) async fn archived(&self) -> Result<Vec<ListedObject>, Error> {
        Ok(list_all(&self.bucket, &self.area.blobs()).await?)
    }

    /// The full keys of what the archive holds.
    pub(super) async fn archived_keys(&self) -> Result<Archived, Error> {
        Ok(self.archived().await?.into_iter().map(|object| object.key).collect())
    }

    /// Whether the archive holds this content. What the store did not compute the hash of is read.
    pub(super) async fn is_archived(&self, sha256: &Sha256, size: u64) -> Result<bool, Error> {
        let blob = self.area.blob(sha256);
        let found = match self.bucket.head(&blob).await? {
            Some(info) if info.size != size => None,
            Some(info) if info.sha256_is_computed => info.sha256,
            Some(_) => hash_object(&*self.bucket, &blob).await?.map(|(_, sha256)| sha256),
            None => None,
        };
        Ok(found == Some(*sha256))
    }

    /// Deletes objects that nothing refers to any more, each where it still is what its tag says; one that is not was
    /// written anew, and so is needed. `may_go_on` is asked before each request.
    pub(super) async fn delete(
        &self,
        doomed: &[(String, Option<ETag>)],
        may_go_on: impl Fn() -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        for batch in doomed.chunks(MAX_BATCH) {
            may_go_on()?;
            for result in self.bucket.delete(batch).await? {
                match result {
                    Err(error) if error.kind == BucketErrorKind::PreconditionFailed => {}
                    deleted => deleted?,
                }
            }
        }
        Ok(())
    }
}
