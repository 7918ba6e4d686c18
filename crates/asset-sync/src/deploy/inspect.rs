//! Looking at objects that the listing and the inventory do not explain.

use std::collections::HashMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Deployer;
use crate::bucket::{Bucket as _, BucketError, BucketErrorKind, Resilient};
use crate::digest::{Hasher, Sha256};
use crate::error::Error;
use crate::plan::{Inspection, ToInspect};

/// How often an object is read for its hash before a body that breaks off is an error.
const READS: usize = 5;

impl Deployer {
    /// Looks at each; one that is gone meanwhile is left out.
    pub(super) async fn inspect(&self, wanted: &[ToInspect]) -> Result<HashMap<String, Inspection>, Error> {
        stream::iter(wanted)
            .map(|one| async move {
                let found = self.inspect_one(one).await?;
                Ok::<_, Error>(found.map(|inspection| (one.key.as_str().to_owned(), inspection)))
            })
            .buffer_unordered(self.options.retry.concurrency.max(1))
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await
    }

    async fn inspect_one(&self, wanted: &ToInspect) -> Result<Option<Inspection>, Error> {
        let key = self.key(wanted.key.as_str());
        let Some(info) = self.bucket.head(&key).await? else { return Ok(None) };
        let mut found = Inspection { etag: info.etag, size: info.size, headers: info.headers, sha256: info.sha256 };
        if wanted.needs_hash && !info.sha256_is_computed {
            let Some((etag, sha256)) = hash_object(&self.bucket, &key).await? else { return Ok(None) };
            (found.etag, found.sha256) = (etag, Some(sha256));
        }
        Ok(Some(found))
    }
}

/// Reads an object for the hash of its content.
pub(super) async fn hash_object(bucket: &Resilient, key: &str) -> Result<Option<(crate::bucket::ETag, Sha256)>, Error> {
    let mut last: Option<BucketError> = None;
    for _ in 0..READS {
        let Some(mut object) = bucket.get(key).await? else { return Ok(None) };
        let mut hasher = Hasher::default();
        let mut length = 0;
        let mut broken = None;
        while let Some(piece) = object.stream.next().await {
            match piece {
                Ok(bytes) => {
                    length += bytes.len() as u64;
                    hasher.update(&bytes);
                }
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        match broken {
            None if length == object.info.size => return Ok(Some((object.info.etag, hasher.finish()))),
            Some(error) if !error.is_transient() => return Err(error.into()),
            other => {
                last = Some(other.unwrap_or_else(|| BucketError {
                    kind: BucketErrorKind::Transient,
                    operation: "GetObject",
                    bucket: bucket.name().to_owned(),
                    key: Some(key.to_owned()),
                    message: format!("the body ended after {length} of {} bytes", object.info.size),
                    request_id: None,
                    source: None,
                }));
            }
        }
    }
    Err(last.map_or_else(|| Error::Internal("no attempt to read an object was made".into()), Error::Bucket))
}
