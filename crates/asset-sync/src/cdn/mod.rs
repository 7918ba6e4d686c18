//! A content delivery network: invalidate paths, and learn when every edge has done so.

use std::error::Error as StdError;
use std::fmt;

use async_trait::async_trait;

#[cfg(feature = "aws")]
mod cloudfront;
mod memory;

#[cfg(feature = "aws")]
pub use cloudfront::CloudFront;
pub use memory::{MemoryCdn, MemoryCdnCall, MemoryCdnFault, MemoryInvalidation};

/// The meaning of a [`CdnError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CdnErrorKind {
    /// The distribution does not exist.
    NoSuchDistribution,
    /// The caller may not do this.
    Denied,
    /// The credentials are missing, wrong or expired.
    Credentials,
    /// The request was refused for the time it was signed at: this machine's clock is wrong.
    WrongClock,
    /// The same caller reference was used with other paths (`InvalidationBatchAlreadyExists`).
    ReferenceReused,
    /// Too many invalidations are in progress. CloudFront limits: 3,000 paths and 15 wildcards
    /// at once per distribution.
    TooManyInProgress,
    /// Asked to slow down.
    Throttled,
    /// A failure that may pass.
    Transient,
    /// The request itself is wrong; trying again does not help.
    Invalid,
}

/// A failed request to a CDN.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on distribution {distribution}: {message}{}", request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default())]
pub struct CdnError {
    /// Its meaning.
    pub kind: CdnErrorKind,
    /// The API operation, such as `CreateInvalidation`.
    pub operation: &'static str,
    /// The distribution's id.
    pub distribution: String,
    /// What the service said, in one line.
    pub message: String,
    /// The service's request id.
    pub request_id: Option<String>,
    /// The cause, where there is one.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

/// How far an invalidation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidationStatus {
    /// Some edges may still serve what was cached.
    InProgress,
    /// Every edge has dropped the paths.
    Completed,
}

/// A content delivery network. Every method is one request.
#[async_trait]
pub trait Cdn: Send + Sync + fmt::Debug {
    /// Asks `distribution` to drop `paths` (each starts with `/`; `*` only at the end); gives the
    /// invalidation's id and status. The same `caller_reference` with the same paths gives the
    /// invalidation made the first time.
    async fn create_invalidation(
        &self,
        distribution: &str,
        caller_reference: &str,
        paths: &[String],
    ) -> Result<(String, InvalidationStatus), CdnError>;

    /// How far the invalidation `id` has come; `None` if it does not exist.
    async fn invalidation(&self, distribution: &str, id: &str) -> Result<Option<InvalidationStatus>, CdnError>;
}
