//! What can go wrong with a bucket, by meaning.

use std::error::Error as StdError;

/// The meaning of a [`BucketError`]: what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketErrorKind {
    /// The bucket does not exist.
    NoSuchBucket,
    /// The object or the upload does not exist.
    NotFound,
    /// The caller may not do this (403 `AccessDenied` and the like).
    Denied,
    /// The credentials are missing, wrong or expired.
    Credentials,
    /// The source of the credentials did not answer, or answered 5xx or with throttling.
    LateCredentials,
    /// The request was refused for the time it was signed at: this machine's clock is wrong.
    WrongClock,
    /// The bucket is in another region than the one asked.
    WrongRegion,
    /// A condition did not hold (412): somebody else wrote.
    PreconditionFailed,
    /// The store refused bytes that did not have the stated hash.
    ContentMismatch,
    /// The store asks to slow down (503 `SlowDown`, 429).
    Throttled,
    /// A failure that may pass: 500, 409 `ConditionalRequestConflict`, resets, time-outs.
    Transient,
    /// The request itself is wrong in the store's eyes; trying again does not help.
    Invalid,
}

/// A failed request to a bucket.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on {bucket}{}{}: {message}{}", if key.is_some() { "/" } else { "" }, key.as_deref().unwrap_or_default(), request_suffix(request_id.as_deref()))]
pub struct BucketError {
    /// Its meaning.
    pub kind: BucketErrorKind,
    /// The S3 API operation, such as `PutObject`.
    pub operation: &'static str,
    /// The bucket.
    pub bucket: String,
    /// The full key, where the operation has one.
    pub key: Option<String>,
    /// What the store said, in one line.
    pub message: String,
    /// The store's request id (and extended id), for its support.
    pub request_id: Option<String>,
    /// The cause, where there is one.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

fn request_suffix(id: Option<&str>) -> String {
    id.map(|id| format!(" (request {id})")).unwrap_or_default()
}

impl BucketError {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, BucketErrorKind::Throttled | BucketErrorKind::Transient | BucketErrorKind::LateCredentials)
    }
}
