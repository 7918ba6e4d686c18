//! A bucket in memory with the semantics of S3, for tests of programs that use this crate.

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;

use super::{
    Bucket, BucketError, BucketErrorKind, Condition, CopySource, ETag, ListPage, ObjectBody, ObjectInfo, ObjectSpec,
    UploadedPart,
};
use crate::digest::Sha256;

mod state;
mod store;

pub use store::{MemoryCall, MemoryFault, MemoryObject, MemoryStore};

/// How many bytes a piece of a body that is read has at most.
const PIECE: usize = 64 * 1024;

/// One bucket of a [`MemoryStore`], as the rest of this crate sees it.
///
/// It yields to other tasks once per request, so that requests that run at once interleave; each
/// takes effect at one instant. What it does as S3 does: the order of listings, entity tags that
/// depend on content and on the division into parts alone, conditions checked with the write,
/// dates in whole seconds, copies that take nothing along but the bytes and their checksum.
#[derive(Debug, Clone)]
pub struct MemoryBucket {
    store: MemoryStore,
    name: String,
}

/// A request that was not refused by a fault beforehand.
struct Admitted {
    operation: &'static str,
    key: Option<String>,
    fault: Option<MemoryFault>,
}

impl MemoryBucket {
    pub(super) fn new(store: MemoryStore, name: String) -> Self {
        Self { store, name }
    }

    /// The store this bucket is in.
    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn error(&self, operation: &'static str, key: Option<String>, kind: BucketErrorKind, message: &str) -> BucketError {
        BucketError {
            kind,
            operation,
            bucket: self.name.clone(),
            key,
            message: message.to_owned(),
            request_id: None,
            source: None,
        }
    }

    /// Records the request and lets the fault hook refuse it.
    async fn admit(&self, operation: &'static str, key: Option<&str>) -> Result<Admitted, BucketError> {
        tokio::task::yield_now().await;
        let fault = self.store.record(&self.name, operation, key);
        let key = key.map(str::to_owned);
        match fault {
            Some(MemoryFault::Before(kind)) => Err(self.error(operation, key, kind, "fault before the effect")),
            fault => Ok(Admitted { operation, key, fault }),
        }
    }

    /// Turns the outcome into the answer, unless the answer is to be lost.
    fn answer<T>(&self, admitted: Admitted, outcome: state::Outcome<T>) -> Result<T, BucketError> {
        let Admitted { operation, key, fault } = admitted;
        match (outcome, fault) {
            (Err(refusal), _) => Err(self.error(operation, key, refusal.kind, refusal.message)),
            (Ok(_), Some(MemoryFault::After(kind))) => Err(self.error(operation, key, kind, "fault after the effect")),
            (Ok(value), _) => Ok(value),
        }
    }
}

#[async_trait]
impl Bucket for MemoryBucket {
    fn name(&self) -> &str {
        &self.name
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<ListPage, BucketError> {
        let admitted = self.admit("ListObjectsV2", Some(prefix)).await?;
        let outcome = self.store.state().list(&self.name, prefix, start_after);
        self.answer(admitted, outcome)
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, BucketError> {
        let admitted = self.admit("HeadObject", Some(key)).await?;
        let outcome = self.store.state().object(&self.name, key).map(|found| found.map(MemoryObject::info));
        self.answer(admitted, outcome)
    }

    async fn get(&self, key: &str) -> Result<Option<ObjectBody>, BucketError> {
        let admitted = self.admit("GetObject", Some(key)).await?;
        let intact = match admitted.fault {
            Some(MemoryFault::BreakBody(length)) => Some(length),
            _ => None,
        };
        let outcome = self
            .store
            .state()
            .object(&self.name, key)
            .map(|found| found.map(|object| (object.info(), object.body.clone())));
        let Some((info, body)) = self.answer(admitted, outcome)? else {
            return Ok(None);
        };

        let sent = body.slice(..intact.unwrap_or(usize::MAX).min(body.len()));
        let mut pieces: Vec<Result<Bytes, BucketError>> =
            (0..sent.len()).step_by(PIECE).map(|at| Ok(sent.slice(at..sent.len().min(at + PIECE)))).collect();
        if intact.is_some() {
            let key = Some(key.to_owned());
            pieces.push(Err(self.error("GetObject", key, BucketErrorKind::Transient, "fault within the body")));
        }
        Ok(Some(ObjectBody { info, stream: futures::stream::iter(pieces).boxed() }))
    }

    async fn put(&self, spec: ObjectSpec<'_>, body: Bytes, condition: &Condition) -> Result<ETag, BucketError> {
        let admitted = self.admit("PutObject", Some(spec.key)).await?;
        let outcome = self.store.state().put(&self.name, spec, body, condition);
        self.answer(admitted, outcome)
    }

    async fn copy(
        &self,
        source: CopySource<'_>,
        spec: ObjectSpec<'_>,
        condition: &Condition,
    ) -> Result<ETag, BucketError> {
        let admitted = self.admit("CopyObject", Some(spec.key)).await?;
        let outcome = self.store.state().copy(&self.name, source, spec, condition);
        self.answer(admitted, outcome)
    }

    async fn create_multipart(&self, spec: ObjectSpec<'_>) -> Result<String, BucketError> {
        let admitted = self.admit("CreateMultipartUpload", Some(spec.key)).await?;
        let outcome = self.store.state().create_upload(&self.name, spec);
        self.answer(admitted, outcome)
    }

    async fn upload_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        body: Bytes,
        sha256: Sha256,
    ) -> Result<UploadedPart, BucketError> {
        let admitted = self.admit("UploadPart", Some(key)).await?;
        let outcome = self.store.state().upload_part(&self.name, key, upload_id, number, body, sha256);
        self.answer(admitted, outcome)
    }

    async fn complete_multipart(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[UploadedPart],
        condition: &Condition,
    ) -> Result<ETag, BucketError> {
        let admitted = self.admit("CompleteMultipartUpload", Some(key)).await?;
        let outcome = self.store.state().complete_upload(&self.name, key, upload_id, parts, condition);
        self.answer(admitted, outcome)
    }

    async fn abort_multipart(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        let admitted = self.admit("AbortMultipartUpload", Some(key)).await?;
        let outcome = self.store.state().abort_upload(&self.name, key, upload_id);
        self.answer(admitted, outcome)
    }

    async fn delete(&self, keys: &[(String, Option<ETag>)]) -> Result<Vec<Result<(), BucketError>>, BucketError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let admitted = self.admit("DeleteObjects", None).await?;
        let request = self.store.state().check_batch(&self.name, keys.len());
        if request.is_err() {
            return self.answer(admitted, request.map(|()| Vec::new()));
        }
        let results = keys
            .iter()
            .map(|(key, etag)| {
                let one = |kind, message| self.error("DeleteObjects", Some(key.clone()), kind, message);
                let fault = self.store.key_fault(&self.name, "DeleteObjects", key);
                if let Some(MemoryFault::Before(kind)) = fault {
                    return Err(one(kind, "fault before the effect"));
                }
                let outcome = self.store.state().delete(&self.name, key, etag.as_ref());
                match (outcome, fault) {
                    (Err(refusal), _) => Err(one(refusal.kind, refusal.message)),
                    (Ok(()), Some(MemoryFault::After(kind))) => Err(one(kind, "fault after the effect")),
                    (Ok(()), _) => Ok(()),
                }
            })
            .collect();
        self.answer(admitted, Ok(results))
    }
}
