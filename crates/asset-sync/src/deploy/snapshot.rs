//! Reading what there is: the state area, and a listing of the target.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use futures::try_join;

use super::context::Context;
use super::listing::{first_page, list_after};
use crate::bucket::{ETag, ListedObject};
use crate::error::Error;
use crate::plan::{Claims, NestedTargets};
use crate::site::Key;
use crate::state::{Current, Inventory, Manifest, ReleaseRecord};

/// Manifests read at once.
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
            let damage = match cx.store.read_inventory(&current).await {
                Ok(inventory) => {
                    let (inventory, claims) = with_claims(cx, &current, Some(inventory)).await?;
                    return Ok::<_, Error>((current, etag, inventory, claims));
                }
                Err(Error::State(error)) if error.is_damage() => error,
                Err(error) => return Err(error),
            };
            // Another run replaced the inventory between our two reads; or it is really gone.
            let (now, now_etag) = cx.store.read_current().await?;
            if now_etag == etag {
                cx.warn(format!("{damage}: working out what is ours from the releases' manifests"));
                let (inventory, claims) = with_claims(cx, &now, None).await?;
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

/// Adds what releases that the inventory does not cover may have put into the bucket: all releases, where it is lost. Keys
/// of one that was live are ours whatever stands there; of one that never was, only what has the hash it would have
/// written: nobody knows how far it came, and somebody else may have been there. An inventory of format 1 learns from the
/// manifests of the others what they need.
async fn with_claims(
    cx: &Context,
    current: &Current,
    inventory: Option<Inventory>,
) -> Result<(Inventory, Claims), Error> {
    let is_covered = |r: &ReleaseRecord| inventory.is_some() && !current.unrecorded.contains(&r.id);
    let is_known = inventory.as_ref().is_some_and(|inventory| inventory.archived.is_some());
    let releases = current.releases.iter().filter(|r| !(is_known && is_covered(r)));
    let releases: Vec<(&ReleaseRecord, bool)> = releases.map(|r| (r, is_covered(r))).collect();
    let manifests = read_manifests(cx, &releases).await?;
    let mut inventory = inventory.unwrap_or_default();
    if !is_known {
        inventory.learn_needs(manifests.iter().map(|(release, _, manifest)| (release.stored_as().number(), manifest)));
    }
    let mut claims = Claims::new();
    for (release, is_covered, manifest) in manifests {
        if is_covered {
            continue;
        }
        if release.activated_at.is_some() {
            inventory.add_release(&manifest, release.stored_as().number());
        }
        for file in manifest.files {
            claims.entry(file.key.clone()).or_default().push(file);
        }
    }
    Ok((inventory, claims))
}

/// The manifests of those releases that have a sound one.
async fn read_manifests<'a>(
    cx: &Context,
    releases: &'a [(&'a ReleaseRecord, bool)],
) -> Result<Vec<(&'a ReleaseRecord, bool, Manifest)>, Error> {
    let read = stream::iter(0..releases.len())
        .map(|index| read_manifest_if_sound(cx, releases[index].0))
        .buffered(MANIFESTS_AT_ONCE);
    let manifests: Vec<Option<Manifest>> = read.try_collect().await?;
    let read = releases.iter().zip(manifests);
    Ok(read.filter_map(|((release, is_covered), manifest)| Some((*release, *is_covered, manifest?))).collect())
}

/// The manifest of a release, if there is one; none, with a warning, where it is damaged.
pub(super) async fn read_manifest_if_sound(cx: &Context, release: &ReleaseRecord) -> Result<Option<Manifest>, Error> {
    match cx.store.read_manifest_if_any(release).await {
        Err(Error::State(error)) if error.is_damage() => {
            cx.warn(format!("{error}. No rollback to release {} is possible", release.id));
            Ok(None)
        }
        read => read,
    }
}
