//! Taking over what stood in the bucket before the first deployment.

use super::context::Context;
use super::lease::Session;
use crate::bucket::Bucket as _;
use crate::error::Error;
use crate::plan::{Adoption, adoption, earlier_adoptions};
use crate::state::Manifest;

/// Records what is about to be replaced as a release of its own, or as part of what was adopted before.
pub(super) async fn record_adopted(cx: &Context, session: &Session, found: Manifest) -> Result<(), Error> {
    let current = session.current().await;
    let mut earlier = Vec::new();
    for record in earlier_adoptions(&current) {
        match cx.store.read_manifest(record).await {
            Ok(manifest) => earlier.push((record.id.clone(), manifest)),
            // Nothing to be added to.
            Err(Error::State(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let Some(Adoption { record, manifest, instead_of }) = adoption(found, &earlier, cx.now()) else { return Ok(()) };
    cx.store.store_manifest(&record.id, &manifest).await?;
    session.update(|current| current.record_adopted(record.clone(), instead_of.as_ref())).await?;
    if let Some(before) = instead_of {
        // Left behind it does no harm.
        let keys = [cx.store.area.release_entries(&before), cx.store.area.release_assets(&before)];
        cx.store.bucket.delete(&keys.map(|key| (key, None))).await.ok();
    }
    Ok(())
}
