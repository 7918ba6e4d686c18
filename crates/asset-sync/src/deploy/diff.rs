//! Comparing two releases on record.

use futures::try_join;

use super::context::Context;
use crate::error::Error;
use crate::plan::{ReleaseDiff, is_named, named_release};
use crate::state::{Current, Manifest, NamedRelease, ReleaseRecord};

/// See [`Deployer::diff`](super::Deployer::diff).
pub(super) async fn diff(cx: &Context, from: &str, to: &str) -> Result<ReleaseDiff, Error> {
    let (mut current, mut etag) = cx.store.read_current().await?;
    cx.warn_of_mismatch(&current);
    loop {
        let damage = match compare(cx, &current, from, to).await {
            Err(Error::State(error)) if error.is_damage() => error,
            done => return done,
        };
        // A run may have pruned one of the two between the reads.
        let (now, now_etag) = cx.store.read_current().await?;
        if now_etag == etag {
            return Err(damage.into());
        }
        (current, etag) = (now, now_etag);
    }
}

async fn compare(cx: &Context, current: &Current, from: &str, to: &str) -> Result<ReleaseDiff, Error> {
    let (from, to) = try_join!(find(cx, current, from), find(cx, current, to))?;
    let (old, new) = try_join!(read(cx, from), read(cx, to))?;
    Ok(ReleaseDiff::new((NamedRelease::from(from), &old), (NamedRelease::from(to), &new)))
}

/// The kept release of that name. Where there is none, the error says whether one was pruned.
async fn find<'a>(cx: &Context, current: &'a Current, name: &str) -> Result<&'a ReleaseRecord, Error> {
    let there_are = match named_release(current, name) {
        Err(Error::NoSuchRelease(there_are)) => there_are,
        found => return found,
    };
    // The answer is the same without the inventory, only shorter.
    let pruned = cx.store.read_inventory(current).await.map(|inventory| inventory.pruned).unwrap_or_default();
    Err(Error::NoSuchRelease(match pruned.iter().rev().find(|release| is_named(release, name)) {
        Some(release) => {
            format!("{} was pruned, and with it the list of its files: {there_are}", NamedRelease::from(release))
        }
        None => there_are,
    }))
}

async fn read(cx: &Context, release: &ReleaseRecord) -> Result<Manifest, Error> {
    if release.activated_at.is_some() {
        return cx.store.read_manifest(release).await;
    }
    let never_stored = || {
        Error::NoSuchRelease(format!(
            "{} was never live, and the run that began it did not store the list of its files",
            NamedRelease::from(release)
        ))
    };
    cx.store.read_manifest_if_any(release).await?.ok_or_else(never_stored)
}
