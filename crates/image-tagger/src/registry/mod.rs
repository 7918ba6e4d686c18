//! A registry of images, as far as cutting one needs it.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::image::{Descriptor, Manifest};
use crate::reference::{Digest, Reference, Repository};

mod answer;
mod challenge;
mod http;
mod login;
mod retry;

pub use http::{HttpOptions, HttpRegistry, Requests};
pub use retry::{Policy, Retrying};

/// The registries, by the operations of the OCI distribution specification that are used here.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The manifest or index at `image`, whose bytes have the digest asked for; none where there is none.
    async fn manifest(&self, image: &Reference) -> Result<Option<Manifest>, RegistryError>;

    /// Stores a manifest whose blobs are there, under a digest or a tag. A tag moves, unless the
    /// registry forbids it.
    async fn put_manifest(&self, image: &Reference, manifest: &Manifest) -> Result<(), RegistryError>;

    /// Whether the repository has the blob.
    async fn has_blob(&self, repository: &Repository, digest: Digest) -> Result<bool, RegistryError>;

    /// Makes a blob of another repository of the same registry available in `to`, without moving
    /// bytes. `false` where the registry declines: then the blob must be sent.
    async fn mount_blob(&self, to: &Repository, from: &Repository, digest: Digest) -> Result<bool, RegistryError>;

    /// Writes a blob to the file `into`, checked against its digest and size.
    async fn pull_blob(
        &self,
        repository: &Repository,
        blob: Descriptor,
        into: &std::path::Path,
    ) -> Result<(), RegistryError>;

    /// Sends a blob.
    async fn push_blob(&self, repository: &Repository, blob: &Blob) -> Result<(), RegistryError>;
}

/// A blob to send.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its digest and size.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub content: Content,
}

/// Where a blob's bytes are.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// In a file that does not change.
    File(PathBuf),
}

impl Blob {
    /// A blob in memory.
    pub fn in_memory(bytes: Bytes) -> Self {
        Self {
            descriptor: Descriptor { digest: Digest::of(&bytes), size: bytes.len() as u64 },
            content: Content::Bytes(bytes),
        }
    }
}

/// A request to a registry that failed.
#[derive(Debug, thiserror::Error)]
#[error("{subject}: {operation} failed: {message}{}", Hint(*kind))]
pub struct RegistryError {
    /// What kind of failure it is.
    pub kind: RegistryErrorKind,
    /// What was asked for, as words: `pushing the manifest`.
    pub operation: &'static str,
    /// The repository, image or blob it was about.
    pub subject: String,
    /// What the registry or the network said.
    pub message: String,
    /// How long the registry asked to wait before another attempt.
    pub retry_after: Option<Duration>,
}

struct Hint(RegistryErrorKind);

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            RegistryErrorKind::Denied => ". Check the login for this registry (IMAGE_USERNAME and IMAGE_PASSWORD, docker's configuration, or the AWS role) and its rights",
            RegistryErrorKind::NotFound => ". Check that the repository exists: some registries do not make one on push",
            _ => "",
        })
    }
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryErrorKind {
    /// The login does not suffice (401, 403).
    Denied,
    /// No login could be had: a credential helper or AWS failed.
    Credentials,
    /// The repository, or what a request relied on, is not there (404).
    NotFound,
    /// The registry does not want it so (other 4xx): an immutable tag, for one.
    Rejected,
    /// Too many requests (429).
    Throttled,
    /// It may work later: 5xx, a reset, a timeout.
    Transient,
    /// What came is not what was asked for.
    Corrupt,
    /// Going on would show a password to whoever listens.
    Unsafe,
}

impl RegistryErrorKind {
    /// Whether the same request may succeed on another attempt.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Transient | Self::Corrupt)
    }
}
