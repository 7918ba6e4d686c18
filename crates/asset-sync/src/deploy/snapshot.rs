//! Reading what there is: the state area, and a listing of the target.

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use futures::try_join;

use super::Deployer;
use crate::bucket::{Bucket as _, BucketErrorKind, ETag, ListedObject, Sink, read_into};
use crate::error::Error;
use crate::plan::{Claims, NestedTargets};
use crate::site::Key;
use crate::state::{Current, Inventory, Manifest, ReleaseId, StateError};

/// More than the state of a target with ten million files: a bound against reading what is not ours.
const LARGEST_STATE_OBJECT: u64 = 4 * 1024 * 1024 * 1024;

const MANIFESTS_AT_ONCE: usize = 16;

/// What was found at one time.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) current: Current,
    /// Entity tag of `current`; `None` if it does not exist.
    pub(super) etag: Option<ETag>,
    pub(super) inventory: Inventory,
    pub(super) claims: Claims,
    /// Objects under the prefix, keys relative to it, sorted, without the state area.
    pub(super) listed: Vec<ListedObject>,
    /// Targets below this one. What is theirs is neither in the inventory nor claimed.
    pub(super) nested: NestedTargets,
}

impl Snapshot {
    /// Forgets what belongs to targets below this one.
    pub(super) fn leave_out_nested(&mut self) {
        let Self { nested, inventory, claims, .. } = self;
        if !nested.prefixes().is_empty() {
            inventory.records.retain(|record| nested.owner(&record.key).is_none());
            claims.retain(|key, _| nested.owner(key).is_none());
        }
    }
}

impl Deployer {
    /// Reads the state and lists the target, side by side.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, Error> {
        let state = async {
            let (mut current, mut etag) = self.read_current().await?;
            loop {
                if let Some((inventory, claims)) = self.read_records(&current).await? {
                    return Ok::<_, Error>((current, etag, inventory, claims));
                }
                // Another run replaced the inventory between our two reads; or it is really gone.
                let (now, now_etag) = self.read_current().await?;
                if now_etag == etag {
                    self.warn(format!(
                        "{} is missing: working out what is ours from the releases' manifests",
                        self.area.inventory(now.inventory.unwrap_or_default())
                    ));
                    let everything = now.releases.iter().map(|r| r.id.clone()).collect();
                    let (inventory, claims) = self.with_claims(&now, everything, Inventory::default()).await?;
                    return Ok((now, now_etag, inventory, claims));
                }
                (current, etag) = (now, now_etag);
            }
        };
        let ((current, etag, inventory, claims), first) = try_join!(state, self.first_page())?;
        let expected: Vec<&Key> = inventory.keys().collect();
        let listed = self.list_after(first, &expected).await?;
        drop(expected);
        let own_state = self.area.current();
        let own_state = own_state.strip_prefix(&self.target.prefix).filter(|_| self.area.in_target);
        let nested = own_state.map(|key| NestedTargets::of(&listed, key)).unwrap_or_default();
        for prefix in nested.prefixes() {
            self.warn(format!(
                "another target lies within this one, at {}: its files are left alone",
                self.key(prefix)
            ));
        }
        let mut snapshot = Snapshot { current, etag, inventory, claims, listed, nested };
        snapshot.leave_out_nested();
        Ok(snapshot)
    }

    /// The `current` object; the default where there is none.
    pub(super) async fn read_current(&self) -> Result<(Current, Option<ETag>), Error> {
        let key = self.area.current();
        match self.read_state(&key).await? {
            Some((bytes, etag)) => Ok((Current::decode(&key, &bytes)?, Some(etag))),
            None => Ok((Current::default(), None)),
        }
    }

    /// A state object, `None` if it is not there. A store may answer 403 for an absent key, so a
    /// refusal is believed only if a listing shows the key.
    async fn read_state(&self, key: &str) -> Result<Option<(Bytes, ETag)>, Error> {
        let new = |size| BytesMut::with_capacity(usize::try_from(size).unwrap_or_default());
        Ok(self.read_state_into(key, new).await?.map(|(bytes, etag)| (bytes.freeze(), etag)))
    }

    /// The same, into what `new` makes of the object's length.
    async fn read_state_into<S: Sink>(
        &self,
        key: &str,
        new: impl Fn(u64) -> S + Send + Sync,
    ) -> Result<Option<(S, ETag)>, Error> {
        let refused = match read_into(&*self.state, key, LARGEST_STATE_OBJECT, new).await {
            Ok(found) => return Ok(found.map(|(info, content)| (content, info.etag))),
            Err(error) if error.kind == BucketErrorKind::Denied => error,
            Err(error) => return Err(error.into()),
        };
        match self.state.list(key, None).await {
            Ok(page) if page.objects.iter().all(|o| *o.key != *key) => Ok(None),
            _ => Err(refused.into()),
        }
    }

    /// The inventory and what it does not cover; `None` if the inventory is not there.
    async fn read_records(&self, current: &Current) -> Result<Option<(Inventory, Claims)>, Error> {
        let inventory = async {
            let Some(generation) = current.inventory else { return Ok(Some(Inventory::default())) };
            let key = self.area.inventory(generation);
            let found = self.read_state_into(&key, |size| Inventory::decoder(&key, size)).await?;
            Ok::<_, Error>(found.map(|(read, _)| Inventory::decoded(read)).transpose()?)
        };
        match inventory.await? {
            Some(inventory) => Ok(Some(self.with_claims(current, current.unrecorded.clone(), inventory).await?)),
            None => Ok(None),
        }
    }

    /// Adds what these releases may have put into the bucket. Keys of one that was live are ours
    /// whatever stands there; of one that never was, only what has the hash it would have written:
    /// nobody knows how far it came, and somebody else may have been there.
    async fn with_claims(
        &self,
        current: &Current,
        releases: Vec<ReleaseId>,
        mut inventory: Inventory,
    ) -> Result<(Inventory, Claims), Error> {
        let mut manifests = stream::iter(releases)
            .map(|id| async move {
                let was_live = current.release(&id).is_some_and(|r| r.activated_at.is_some());
                Ok::<_, Error>((was_live, self.read_manifest_if_sound(&id).await?))
            })
            .buffered(MANIFESTS_AT_ONCE);
        let mut claims = Claims::new();
        while let Some((was_live, manifest)) = manifests.try_next().await? {
            let Some(manifest) = manifest else { continue };
            if was_live {
                inventory.add_unseen(&manifest);
            }
            for file in manifest.files {
                claims.entry(file.key.clone()).or_default().push(file);
            }
        }
        Ok((inventory, claims))
    }

    /// The manifest of a release; `None` for one that was begun and never came to storing it.
    pub(super) async fn read_manifest_if_any(&self, id: &ReleaseId) -> Result<Option<Manifest>, Error> {
        let (entries_key, assets_key) = (self.area.release_entries(id), self.area.release_assets(id));
        let (entries, assets) = try_join!(self.read_state(&entries_key), self.read_state(&assets_key))?;
        // The assets' part is written last.
        match (entries, assets) {
            (Some(entries), Some(assets)) => {
                Ok(Some(Manifest::decode((&entries_key, &entries.0), (&assets_key, &assets.0))?))
            }
            _ => Ok(None),
        }
    }

    /// The same, with a warning for one that is damaged.
    pub(super) async fn read_manifest_if_sound(&self, id: &ReleaseId) -> Result<Option<Manifest>, Error> {
        match self.read_manifest_if_any(id).await {
            Err(Error::State(error)) if error.is_damage() => {
                self.warn(format!("{error}. No rollback to release {id} is possible"));
                Ok(None)
            }
            read => read,
        }
    }

    /// The manifest of a release that was live.
    pub(super) async fn read_manifest(&self, id: &ReleaseId) -> Result<Manifest, Error> {
        let missing = || StateError::Missing { key: self.area.release_assets(id) };
        Ok(self.read_manifest_if_any(id).await?.ok_or_else(missing)?)
    }
}
