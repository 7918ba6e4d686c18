//! Taking over what stood in the bucket before the first deployment.

use super::context::Context;
use super::lease::Session;
use crate::bucket::Bucket as _;
use crate::error::Error;
use crate::state::{Manifest, ReleaseRecord};

/// Records what is about to be replaced as a release of its own; what an earlier run recorded of the same adoption, or
/// of another one, is part of it: there is one state before the first deployment, and it is restored whole.
pub(super) async fn record_adopted(cx: &Context, session: &Session, found: Manifest) -> Result<(), Error> {
    let current = session.current().await;
    let mergeable = |r: &&ReleaseRecord| r.adopted && current.live.as_ref() != Some(&r.id);
    let mut before = None;
    for record in current.releases.iter().filter(mergeable) {
        let earlier = match cx.store.read_manifest(record).await {
            Ok(earlier) => earlier,
            // Nothing to be added to.
            Err(Error::State(_)) => continue,
            Err(error) => return Err(error),
        };
        if let Some(manifest) = found.merged(&earlier) {
            before = Some((record.id.clone(), manifest));
            break;
        }
    }
    let (before, manifest) = before.map_or((None, found), |(id, manifest)| (Some(id), manifest));
    let now = cx.now();
    let record = ReleaseRecord {
        activated_at: Some(now),
        superseded_at: Some(now),
        adopted: true,
        ..ReleaseRecord::new(0, "adopted", &manifest, now)
    };
    if before.as_ref() == Some(&record.id) {
        return Ok(());
    }
    cx.store.store_manifest(&record.id, &manifest).await?;
    session.update(|current| current.record_adopted(record.clone(), before.as_ref())).await?;
    if let Some(before) = before {
        // Left behind it does no harm.
        let keys = [cx.store.area.release_entries(&before), cx.store.area.release_assets(&before)];
        cx.store.bucket.delete(&keys.map(|key| (key, None))).await.ok();
    }
    Ok(())
}
