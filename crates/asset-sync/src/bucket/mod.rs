//! A bucket: the few object-store operations a deployment needs, behind one object-safe trait.
//!
//! [`S3Bucket`] is the real one, [`MemoryBucket`] one for tests that fails on demand. [`Resilient`]
//! wraps either with retries, a limit of requests in flight that yields to throttling, and a count
//! of what was asked.
#![allow(clippy::result_large_err, reason = "an error ends the work; its size costs nothing against a request")]

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;

use crate::digest::Sha256;
use crate::headers::Headers;

mod error;
mod etag;
mod memory;
mod read;
mod resilient;
#[cfg(feature = "aws")]
pub(crate) mod s3;

pub use error::{BucketError, BucketErrorKind};
pub use etag::ETag;
pub use memory::{MemoryBucket, MemoryCall, MemoryFault, MemoryObject, MemoryStore};
pub use read::read_all;
pub(crate) use read::{Sink, hash_object, read_into};
pub use resilient::{RequestCounts, Resilient, RetryPolicy};
#[cfg(feature = "aws")]
pub use s3::{Encryption, S3Bucket, S3Options};

/// S3 limits: a part is at least this long, the last one excepted.
pub const MIN_PART_SIZE: u64 = 5 * 1024 * 1024;
/// S3 limits: an upload has at most this many parts.
pub const MAX_PARTS: u64 = 10_000;
/// S3 limits: one PutObject or `CopyObject` moves at most this many bytes.
pub const MAX_SINGLE_REQUEST: u64 = 5 * 1024 * 1024 * 1024;
/// S3 limits: keys in one `DeleteObjects` or ListObjectsV2 request.
pub const MAX_BATCH: usize = 1_000;

/// The name of the user metadata entry (`x-amz-meta-sha256`) under which every object written by
/// this crate carries its content's SHA-256: a multipart object has no other full-content hash.
pub const SHA256_METADATA: &str = "sha256";

/// One object in a listing. `key` is the full key in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Full key.
    pub key: Arc<str>,
    /// Length in bytes.
    pub size: u64,
    /// Entity tag.
    pub etag: ETag,
    /// When the store last wrote it, by the store's clock, in whole seconds.
    pub last_modified: Timestamp,
}

/// A page of a listing, in the byte order of the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// At most [`MAX_BATCH`] objects.
    pub objects: Vec<ListedObject>,
    /// Whether there are more objects after the last one here.
    pub truncated: bool,
}

/// What a store says of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Length in bytes.
    pub size: u64,
    /// Entity tag.
    pub etag: ETag,
    /// When the store last wrote it.
    pub last_modified: Option<Timestamp>,
    /// Headers it is served with.
    pub headers: Headers,
    /// SHA-256 of its content: as the store checked it on upload, or as our own metadata says
    /// ([`SHA256_METADATA`]). `None` for an object that others wrote without one.
    pub sha256: Option<Sha256>,
    /// The store computed `sha256` from the content. Otherwise it comes from metadata, which a tool that rewrites
    /// an object may have kept.
    pub sha256_is_computed: bool,
}

/// An object that is being read.
pub struct ObjectBody {
    /// What the store says of it.
    pub info: ObjectInfo,
    /// Its content, piece by piece.
    pub stream: BoxStream<'static, Result<Bytes, BucketError>>,
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBody").field("info", &self.info).finish_non_exhaustive()
    }
}

/// The state an object must be in for a write to take place; checked by the store, atomically.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    /// Whatever is there.
    #[default]
    Always,
    /// Nothing is there (`If-None-Match: *`).
    IfAbsent,
    /// What is there still has this entity tag (`If-Match`).
    IfMatch(ETag),
}

/// What a written object is to be.
#[derive(Debug, Clone, Copy)]
pub struct ObjectSpec<'a> {
    /// Full key.
    pub key: &'a str,
    /// Headers it is served with.
    pub headers: &'a Headers,
    /// SHA-256 of its content; sent as a checksum that the store verifies, and kept as metadata.
    pub sha256: Sha256,
}

/// Where a copy comes from.
#[derive(Debug, Clone, Copy)]
pub struct CopySource<'a> {
    /// Bucket; may be another than the destination's.
    pub bucket: &'a str,
    /// Full key.
    pub key: &'a str,
    /// The copy takes place only while the source has this entity tag.
    pub etag: Option<&'a ETag>,
}

/// A finished part of a multipart upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedPart {
    /// From 1 to [`MAX_PARTS`].
    pub number: i32,
    /// Entity tag of the part.
    pub etag: ETag,
    /// SHA-256 of the part.
    pub sha256: Sha256,
}

/// A bucket of an object store.
///
/// Every method is one request, and fails with a [`BucketError`] that names the operation, the
/// bucket and the key. Dropping a future abandons the request; whether a write took effect is then
/// unknown.
#[async_trait]
pub trait Bucket: Send + Sync + fmt::Debug {
    /// The bucket's name.
    fn name(&self) -> &str;

    /// One page of the keys that start with `prefix` and sort after `start_after`.
    async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<ListPage, BucketError>;

    /// What is known of `key`; `None` if nothing is there.
    ///
    /// Without the right to list, S3 answers 403 for an absent key: that is
    /// [`BucketErrorKind::Denied`] here, and a listing tells the two apart.
    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, BucketError>;

    /// The content of `key`; `None` if nothing is there. See [`Bucket::head`] on absent keys.
    async fn get(&self, key: &str) -> Result<Option<ObjectBody>, BucketError>;

    /// Writes `body` (at most [`MAX_SINGLE_REQUEST`] bytes) if `condition` holds.
    ///
    /// The store refuses bytes whose SHA-256 is not `spec.sha256`
    /// ([`BucketErrorKind::ContentMismatch`]). A condition that does not hold is
    /// [`BucketErrorKind::PreconditionFailed`], also when `IfMatch` meets an absent key.
    async fn put(&self, spec: ObjectSpec<'_>, body: Bytes, condition: &Condition) -> Result<ETag, BucketError>;

    /// Copies an object of at most [`MAX_SINGLE_REQUEST`] bytes, replacing all its metadata by
    /// that of `spec`. A source that is absent or has another entity tag is
    /// [`BucketErrorKind::NotFound`] or [`BucketErrorKind::PreconditionFailed`].
    async fn copy(
        &self,
        source: CopySource<'_>,
        spec: ObjectSpec<'_>,
        condition: &Condition,
    ) -> Result<ETag, BucketError>;

    /// Starts a multipart upload; gives its id.
    async fn create_multipart(&self, spec: ObjectSpec<'_>) -> Result<String, BucketError>;

    /// Uploads one part, whose SHA-256 the store verifies.
    async fn upload_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        body: Bytes,
        sha256: Sha256,
    ) -> Result<UploadedPart, BucketError>;

    /// Makes the object out of `parts` (in ascending order) if `condition` holds.
    async fn complete_multipart(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[UploadedPart],
        condition: &Condition,
    ) -> Result<ETag, BucketError>;

    /// Gives up an upload and frees its parts. One that no longer exists is not an error.
    async fn abort_multipart(&self, key: &str, upload_id: &str) -> Result<(), BucketError>;

    /// Deletes up to [`MAX_BATCH`] keys, each only while it has the entity tag given with it.
    /// One result per key, in the same order; a key that is absent already is a success.
    async fn delete(&self, keys: &[(String, Option<ETag>)]) -> Result<Vec<Result<(), BucketError>>, BucketError>;
}
