//! Another attempt where one may help.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Blob, Registry, RegistryError};
use crate::image::{Descriptor, Manifest};
use crate::progress::{Event, Progress};
use crate::reference::{Digest, Reference, Repository};

/// How often and how soon to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// The longest wait after the first failure; doubled after each further one.
    pub base: Duration,
    /// The longest wait ever, also where the registry asks for more.
    pub cap: Duration,
}

impl Default for Policy {
    /// Six attempts over about 15 to 30 seconds.
    fn default() -> Self {
        Self { attempts: 6, base: Duration::from_secs(1), cap: Duration::from_mins(1) }
    }
}

impl Policy {
    /// The wait after the `failed`th failure, counted from 1. Random, so that pipelines that failed
    /// together do not come back together.
    fn delay(&self, failed: u32, asked: Option<Duration>) -> Duration {
        let longest = self.base.saturating_mul(1_u32 << (failed - 1).min(16));
        let delay = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        delay.max(asked.unwrap_or_default()).min(self.cap)
    }
}

/// A registry whose transient failures are tried again.
pub struct Retrying<R> {
    inner: R,
    policy: Policy,
    progress: Arc<dyn Progress>,
}

impl<R: Registry> Retrying<R> {
    /// Wraps `inner`.
    pub fn new(inner: R, policy: Policy, progress: Arc<dyn Progress>) -> Self {
        Self { inner, policy, progress }
    }

    /// The registry within.
    pub fn inner(&self) -> &R {
        &self.inner
    }

    async fn attempt<T, F>(&self, mut operation: impl FnMut(u32) -> F) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let mut failed = 0;
        loop {
            match operation(failed).await {
                Err(error) if error.kind.is_transient() && failed + 1 < self.policy.attempts => {
                    failed += 1;
                    let delay = self.policy.delay(failed, error.retry_after);
                    self.progress.tell(&Event::Retry { error: &error.to_string(), delay });
                    tokio::time::sleep(delay).await;
                }
                Err(mut error) if failed > 0 => {
                    error.message = format!("{} (attempt {} of {})", error.message, failed + 1, self.policy.attempts);
                    return Err(error);
                }
                result => return result,
            }
        }
    }
}

#[async_trait]
impl<R: Registry> Registry for Retrying<R> {
    async fn manifest(&self, image: &Reference) -> Result<Option<Manifest>, RegistryError> {
        self.attempt(|_| self.inner.manifest(image)).await
    }

    async fn put_manifest(&self, image: &Reference, manifest: &Manifest) -> Result<(), RegistryError> {
        self.attempt(|_| self.inner.put_manifest(image, manifest)).await
    }

    async fn has_blob(&self, repository: &Repository, digest: Digest) -> Result<bool, RegistryError> {
        self.attempt(|_| self.inner.has_blob(repository, digest)).await
    }

    async fn mount_blob(&self, to: &Repository, from: &Repository, digest: Digest) -> Result<bool, RegistryError> {
        self.attempt(|_| self.inner.mount_blob(to, from, digest)).await
    }

    async fn pull_blob(&self, repository: &Repository, blob: Descriptor, into: &Path) -> Result<(), RegistryError> {
        self.attempt(|_| self.inner.pull_blob(repository, blob, into)).await
    }

    async fn push_blob(&self, repository: &Repository, blob: &Blob) -> Result<(), RegistryError> {
        self.attempt(|failed| async move {
            // The answer may have been lost, not the blob.
            if failed > 0 && self.inner.has_blob(repository, blob.descriptor.digest).await? {
                return Ok(());
            }
            self.inner.push_blob(repository, blob).await
        })
        .await
    }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
