//! The right to write, and the journal: every change of [`Current`] under one lease.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::store::StateStore;
use crate::bucket::{BucketErrorKind, ETag};
use crate::error::{Error, ErrorClass};
use crate::state::{Current, RecordedUpload};

/// How often the lease is renewed within its duration. An outage that begins just before a renewal may
/// last for four fifths of the lease.
const RENEWALS_IN_A_LEASE: u32 = 5;
/// The longest pause before a write of `current` is tried again, as a part of the lease: most of the
/// lease must be left for the attempts themselves.
pub(super) const PAUSES_IN_A_LEASE: u32 = 20;

/// The lease while it is held. Renewed in the background; given back by [`Session::release`].
///
/// Dropped without that, it simply is not renewed any more, and expires.
#[derive(Debug)]
pub(super) struct Session {
    hold: Hold,
    renewal: CancellationToken,
    _renewal_ends: DropGuard,
}

/// The lease as whoever writes under it sees it. Clones share it, and keep nothing of it alive.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    held: Arc<Held>,
    lost: CancellationToken,
    uploads: Arc<OpenUploads>,
}

/// Multipart uploads that this run began and neither completed nor aborted.
#[derive(Debug, Default)]
pub(super) struct OpenUploads {
    open: std::sync::Mutex<Vec<RecordedUpload>>,
    /// Uploads being begun.
    pub(super) tasks: TaskTracker,
}

impl OpenUploads {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<RecordedUpload>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, upload: RecordedUpload) {
        self.lock().push(upload);
    }

    pub(super) fn remove(&self, upload: &RecordedUpload) {
        self.lock().retain(|u| u != upload);
    }

    pub(super) fn list(&self) -> Vec<RecordedUpload> {
        self.lock().clone()
    }
}

#[derive(Debug)]
struct Held {
    store: StateStore,
    nonce: String,
    duration: Duration,
    inner: Mutex<Inner>,
    /// When the lease ends, by this machine's monotonic clock, unless it is renewed.
    deadline: std::sync::Mutex<Instant>,
}

#[derive(Debug)]
struct Inner {
    current: Current,
    etag: Option<ETag>,
    /// Nonces of writes that were begun since, whose answers did not come.
    begun: Vec<String>,
}

/// Renews several times within the lease's duration; cancels `lost` when the lease is lost.
async fn renew(held: Arc<Held>, stop: CancellationToken, lost: CancellationToken) {
    let renew_for_ever = async {
        loop {
            tokio::time::sleep(held.duration / RENEWALS_IN_A_LEASE).await;
            if held.renew_once().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = renew_for_ever => lost.cancel(),
    }
}

impl Held {
    fn deadline(&self) -> Instant {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the lease, trying until it ends.
    async fn renew_once(&self) -> Result<(), Error> {
        let attempts = async {
            loop {
                match self.update(|_| {}).await {
                    Err(error)
                        if error.class() == ErrorClass::Transient && !matches!(error, Error::LeaseLost { .. }) =>
                    {
                        tokio::time::sleep(self.duration / PAUSES_IN_A_LEASE).await;
                    }
                    renewed => return renewed.map(drop),
                }
            }
        };
        let lost = |_| Error::LeaseLost { last_failure: None };
        tokio::time::timeout_at(self.deadline(), attempts).await.map_err(lost)?
    }

    async fn update(&self, change: impl Fn(&mut Current) + Send + Sync) -> Result<Current, Error> {
        let mut inner = self.inner.lock().await;
        loop {
            let mut next = inner.current.clone();
            change(&mut next);
            let next = next.stamped();
            let begun = Instant::now();
            inner.begun.push(next.nonce.clone());
            match self.store.write_current(&next, inner.etag.as_ref()).await {
                Ok(etag) => {
                    *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = begun + self.duration;
                    *inner = Inner { current: next.clone(), etag: Some(etag), begun: Vec::new() };
                    return Ok(next);
                }
                Err(error) if error.kind == BucketErrorKind::PreconditionFailed => {
                    // A write of our own that was abandoned half-way may have taken place.
                    let (now, etag) = self.store.read_current().await?;
                    if now.lease.is_none() && inner.begun.contains(&now.nonce) {
                        // It was the one that gave the lease back: nothing remains to be said.
                        return Ok(now);
                    }
                    if now.lease.as_ref().is_none_or(|l| l.nonce != self.nonce) || inner.etag == etag {
                        return Err(Error::LeaseLost { last_failure: None });
                    }
                    *inner = Inner { current: now, etag, begun: Vec::new() };
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl std::ops::Deref for Session {
    type Target = Hold;

    fn deref(&self) -> &Hold {
        &self.hold
    }
}

impl Hold {
    /// Changes `current`; gives it as it is then. `change` may be called again after a write of
    /// this session that was cut off.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if another run took the lease.
    pub(super) async fn update(&self, change: impl Fn(&mut Current) + Send + Sync) -> Result<Current, Error> {
        self.held.update(change).await
    }

    /// `current` as this session last wrote it.
    pub(super) async fn current(&self) -> Current {
        self.held.inner.lock().await.current.clone()
    }

    /// Fails once the lease can no longer be counted on. To be asked before each visible write, since
    /// a process that was suspended does not know how long.
    pub(super) fn check(&self) -> Result<(), Error> {
        let alive = !self.lost.is_cancelled() && Instant::now() < self.held.deadline();
        if alive { Ok(()) } else { Err(Error::LeaseLost { last_failure: None }) }
    }

    /// The multipart uploads of this run.
    pub(super) fn uploads(&self) -> &Arc<OpenUploads> {
        &self.uploads
    }

    /// Ends when the lease is lost.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Session {
    /// The session of who has just written `current`, by a request begun at `since`, with a lease named `nonce`.
    pub(super) fn begin(
        store: StateStore,
        current: Current,
        etag: ETag,
        nonce: &str,
        (since, duration): (Instant, Duration),
    ) -> Self {
        let held = Arc::new(Held {
            store,
            nonce: nonce.to_owned(),
            duration,
            inner: Mutex::new(Inner { current, etag: Some(etag), begun: Vec::new() }),
            deadline: std::sync::Mutex::new(since + duration),
        });
        let (lost, stop) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(renew(Arc::clone(&held), stop.clone(), lost.clone()));
        Self {
            hold: Hold { held, lost, uploads: Arc::default() },
            renewal: stop.clone(),
            _renewal_ends: stop.drop_guard(),
        }
    }

    /// Gives the lease back, with a last change: overwritten, never deleted. May be done again where it
    /// was cut off.
    pub(super) async fn release(&self, change: impl Fn(&mut Current) + Send + Sync) -> Result<Current, Error> {
        self.renewal.cancel();
        self.hold
            .held
            .update(|current| {
                change(current);
                current.lease = None;
            })
            .await
    }
}
