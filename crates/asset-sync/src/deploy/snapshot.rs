//! Reading what there is: the state area, and a listing of the target.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use futures::try_join;

use super::context::Context;
use super::listing::{first_page, list_after};
use crate::bucket::{ETag, ListedObject};
use crate::error::Error;
use crate::plan::{Claims, NestedTargets};
use crate::site::Key;
use crate::state::{Current, Inventory, Manifest, ReleaseId};

/// Manifests held in memory at once.
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

/// Reads the state and lists the target, side by side.
pub(super) async fn snapshot(cx: &Context) -> Result<Snapshot, Error> {
    let state = async {
        let (mut current, mut etag) = cx.store.read_current().await?;
        loop {
            if let Some((inventory, claims)) = read_records(cx, &current).await? {
                return Ok::<_, Error>((current, etag, inventory, claims));
            }
            // Another run replaced the inventory between our two reads; or it is really gone.
            let (now, now_etag) = cx.store.read_current().await?;
            if now_etag == etag {
                cx.warn(format!(
                    "{} is missing: working out what is ours from the releases' manifests",
                    cx.store.area.inventory(now.inventory.unwrap_or_default())
                ));
                let everything = now.releases.iter().map(|r| r.id.clone()).collect();
                let (inventory, claims) = with_claims(cx, &now, everything, Inventory::default()).await?;
                return Ok((now, now_etag, inventory, claims));
            }
            (current, etag) = (now, now_etag);
        }
    };
    let ((current, etag, inventory, claims), first) = try_join!(state, first_page(&cx.bucket, cx.scope()))?;
    let expected: Vec<&Key> = inventory.keys().collect();
    let listed = list_after(&cx.bucket, cx.scope(), first, &expected).await?;
    drop(expected);
    let own_state = cx.store.area.current();
    let own_state = own_state.strip_prefix(&cx.target.prefix).filter(|_| cx.store.area.in_target);
    let nested = own_state.map(|key| NestedTargets::of(&listed, key)).unwrap_or_default();
    for prefix in nested.prefixes() {
        cx.warn(format!("another target lies within this one, at {}: its files are left alone", cx.key(prefix)));
    }
    let mut snapshot = Snapshot { current, etag, inventory, claims, listed, nested };
    snapshot.leave_out_nested();
    Ok(snapshot)
}

/// The inventory and what it does not cover; `None` if the inventory is not there.
async fn read_records(cx: &Context, current: &Current) -> Result<Option<(Inventory, Claims)>, Error> {
    match cx.store.read_inventory(current).await? {
        Some(inventory) => Ok(Some(with_claims(cx, current, current.unrecorded.clone(), inventory).await?)),
        None => Ok(None),
    }
}

/// Adds what these releases may have put into the bucket. Keys of one that was live are ours
/// whatever stands there; of one that never was, only what has the hash it would have written:
/// nobody knows how far it came, and somebody else may have been there.
async fn with_claims(
    cx: &Context,
    current: &Current,
    releases: Vec<ReleaseId>,
    mut inventory: Inventory,
) -> Result<(Inventory, Claims), Error> {
    let mut manifests = stream::iter(releases)
        .map(|id| async move {
            let was_live = current.release(&id).is_some_and(|r| r.activated_at.is_some());
            Ok::<_, Error>((was_live, read_manifest_if_sound(cx, &id).await?))
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

/// The manifest of a release, if there is one; none, with a warning, where it is damaged.
pub(super) async fn read_manifest_if_sound(cx: &Context, id: &ReleaseId) -> Result<Option<Manifest>, Error> {
    match cx.store.read_manifest_if_any(id).await {
        Err(Error::State(error)) if error.is_damage() => {
            cx.warn(format!("{error}. No rollback to release {id} is possible"));
            Ok(None)
        }
        read => read,
    }
}
