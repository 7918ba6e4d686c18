//! Looking at objects that the listing and the inventory do not explain.

use std::collections::HashMap;

use super::context::Context;
use crate::bucket::{Bucket as _, hash_object};
use crate::error::Error;
use crate::plan::{Inspection, ToInspect};

/// Looks at each; one that is gone meanwhile is left out.
pub(super) async fn inspect(cx: &Context, wanted: &[ToInspect]) -> Result<HashMap<String, Inspection>, Error> {
    let found = cx.each(wanted.len(), |index| async move {
        let one = &wanted[index];
        let found = inspect_one(cx, one).await?;
        Ok(found.map(|inspection| (one.key.as_str().to_owned(), inspection)))
    });
    Ok(found.await?.into_iter().flatten().collect())
}

async fn inspect_one(cx: &Context, wanted: &ToInspect) -> Result<Option<Inspection>, Error> {
    let key = cx.key(wanted.key.as_str());
    let Some(info) = cx.bucket.head(&key).await? else { return Ok(None) };
    let mut found = Inspection { etag: info.etag, size: info.size, headers: info.headers, sha256: info.sha256 };
    if wanted.needs_hash && !info.sha256_is_computed {
        let Some((etag, sha256)) = hash_object(&*cx.bucket, &key).await? else { return Ok(None) };
        (found.etag, found.sha256) = (etag, Some(sha256));
    }
    Ok(Some(found))
}
