//! The right to write, and the journal: every change of [`Current`] under one lease.

use std::sync::Arc;
use std::time::Duration;

use futures::join;
use jiff::SignedDuration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::publish::{CLEAN_UP, until};
use super::{ConditionalWrites, Deployer};
use crate::bucket::{Bucket as _, BucketError, BucketErrorKind, Condition, ETag, ObjectSpec, Resilient};
use crate::digest::Sha256;
use crate::error::{Error, ErrorClass, Refusal};
use crate::headers::Headers;
use crate::progress::Event;
use crate::state::{Current, Lease, RecordedUpload, StateArea};

/// How often a waiter says that it waits.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// The longest pause between two looks at another's lease.
const LOOK_EVERY: Duration = Duration::from_secs(2);
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
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
    journal: Arc<Resilient>,
    area: StateArea,
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

/// Headers of state objects: never to be cached, should an edge ever get at them.
pub(super) fn state_headers() -> Headers {
    Headers {
        content_type: "application/json".to_owned(),
        cache_control: Some("no-store".to_owned()),
        ..Headers::default()
    }
}

/// Replaces `current` by `next` if it still is what `etag` says.
async fn write_current(
    journal: &Resilient,
    area: &StateArea,
    next: &Current,
    etag: Option<&ETag>,
) -> Result<ETag, BucketError> {
    let body = next.encode();
    let key = area.current();
    let spec = ObjectSpec { key: &key, headers: &state_headers(), sha256: Sha256::of(&body) };
    let condition = etag.map_or(Condition::IfAbsent, |etag| Condition::IfMatch(etag.clone()));
    journal.put(spec, body, &condition).await
}

/// Makes `current` again what it was before this run first wrote it, without a lease.
fn undo(current: &mut Current, before: &Current) {
    let Current { generation, ref nonce, .. } = *current;
    *current = Current { generation, nonce: nonce.clone(), lease: None, ..before.clone() };
}

fn stamp(current: &mut Current) {
    current.advance(uuid::Uuid::new_v4().simple().to_string());
}

impl Deployer {
    /// Learns by one request that writes nothing whether the state's store checks conditions:
    /// writing under a tag that no object has must fail.
    pub(super) async fn probe_conditional_writes(&self) -> Result<(), Error> {
        let body = bytes::Bytes::from_static(b"written by a store that ignores If-Match\n");
        let key = self.area.probe();
        let spec = ObjectSpec { key: &key, headers: &state_headers(), sha256: Sha256::of(&body) };
        let nobody = Condition::IfMatch(ETag::from("\"00000000000000000000000000000000\""));
        match self.state.put(spec, body, &nobody).await {
            Err(error) if error.kind == BucketErrorKind::PreconditionFailed => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) if self.options.conditional_writes == ConditionalWrites::Unprotected => {
                self.warn("the store ignores conditional writes: nothing keeps two deployments of this target apart");
                Ok(())
            }
            Ok(_) => Err(Refusal::NoConditionalWrites { bucket: self.state.name().to_owned() }.into()),
        }
    }

    /// Replaces `current` without a lease, where nobody holds one; `false` if somebody was faster.
    pub(super) async fn write_unleased(&self, current: &Current, etag: Option<&ETag>) -> Result<bool, Error> {
        let mut next = current.clone();
        stamp(&mut next);
        match write_current(&self.journal, &self.area, &next, etag).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind == BucketErrorKind::PreconditionFailed => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the lease of a store that checks conditions, waiting for another holder to end or to
    /// expire. Tells whether `current` is still what the caller saw; if so, `begin` was applied to
    /// it in the same write.
    pub(super) async fn take_lease(
        &self,
        seen: (Current, Option<ETag>),
        begin: impl Fn(&mut Current) + Send + Sync,
        stop: &CancellationToken,
    ) -> Result<(Session, bool), Error> {
        let probe = until(stop, self.probe_conditional_writes());
        if seen.1.is_none() {
            // Nobody has shown yet that it does, so nothing is written before.
            probe.await?;
            return self.acquire(seen, begin, stop).await;
        }
        let before = seen.0.clone();
        let refused = stop.child_token();
        let probe = async {
            let probed = probe.await;
            if probed.is_err() {
                refused.cancel();
            }
            probed
        };
        let (probed, taken) = join!(probe, self.acquire(seen, begin, &refused));
        let Err(error) = probed else { return taken };
        if let Ok((session, as_seen)) = taken {
            let undo = session.release(|current| {
                if as_seen {
                    undo(current, &before);
                }
            });
            // Where this fails, the lease expires, and the next run finds a release that was begun.
            drop(tokio::time::timeout(CLEAN_UP, undo).await);
        }
        Err(error)
    }

    /// As [`Deployer::take_lease`], of any store.
    async fn acquire(
        &self,
        seen: (Current, Option<ETag>),
        begin: impl Fn(&mut Current) + Send + Sync,
        stop: &CancellationToken,
    ) -> Result<(Session, bool), Error> {
        let started = Instant::now();
        let first_seen = seen.1.clone();
        let (mut current, mut etag) = seen;
        // Expiry is judged by how long the tag stayed the same on this machine's monotonic clock:
        // no two clocks are compared.
        let mut unchanged_since = Instant::now();
        let mut told: Option<Instant> = None;
        loop {
            let expired = current.lease.as_ref().is_none_or(|lease| {
                let patience = lease.duration.saturating_add(lease.request_timeout);
                unchanged_since.elapsed() > patience.unsigned_abs()
            });
            if expired {
                let unchanged = etag == first_seen;
                let mut next = current.clone();
                if unchanged {
                    begin(&mut next);
                }
                let nonce = uuid::Uuid::new_v4().simple().to_string();
                let taken = tokio::select! {
                    biased;
                    () = stop.cancelled() => {
                        self.give_back(&nonce, &current).await;
                        return Err(Error::Interrupted);
                    }
                    taken = self.try_take(next, etag.as_ref(), &nonce) => taken?,
                };
                if let Some(session) = taken {
                    return Ok((session, unchanged));
                }
            } else {
                let owner = current.lease.as_ref().map(|l| l.owner.clone()).unwrap_or_default();
                let waited = started.elapsed();
                if waited >= self.options.lease_wait {
                    return Err(Error::Busy { owner, waited });
                }
                if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
                    self.options.progress.event(&Event::Waiting { owner, waited });
                    told = Some(Instant::now());
                }
                tokio::select! {
                    () = stop.cancelled() => return Err(Error::Interrupted),
                    () = tokio::time::sleep(LOOK_EVERY.min(self.options.lease / 10)) => {}
                }
            }
            let (now, now_etag) = until(stop, self.read_current()).await?;
            if now_etag != etag {
                unchanged_since = Instant::now();
            }
            (current, etag) = (now, now_etag);
        }
    }

    /// Gives back a lease whose taking was cut off, if it was taken after all: all is as `before` then.
    async fn give_back(&self, nonce: &str, before: &Current) {
        let work = async {
            let (mut current, etag) = self.read_current().await?;
            if current.lease.take_if(|lease| lease.nonce == nonce).is_some() {
                undo(&mut current, before);
                self.write_unleased(&current, etag.as_ref()).await?;
            }
            Ok::<(), Error>(())
        };
        // Where this fails too, the lease expires by itself.
        drop(tokio::time::timeout(CLEAN_UP, work).await);
    }

    /// Replaces what `etag` names by `next` with the lease; `None` if somebody was faster.
    async fn try_take(&self, mut next: Current, etag: Option<&ETag>, nonce: &str) -> Result<Option<Session>, Error> {
        stamp(&mut next);
        next.lease = Some(Lease {
            owner: self.options.owner.clone(),
            nonce: nonce.to_owned(),
            acquired_at: self.now(),
            duration: signed(self.options.lease),
            request_timeout: signed(self.options.request_timeout),
        });
        let begun = Instant::now();
        let etag = match write_current(&self.journal, &self.area, &next, etag).await {
            Ok(etag) => etag,
            Err(error) if error.kind == BucketErrorKind::PreconditionFailed => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let held = Arc::new(Held {
            journal: Arc::clone(&self.journal),
            area: self.area.clone(),
            nonce: nonce.to_owned(),
            duration: self.options.lease,
            inner: Mutex::new(Inner { current: next, etag: Some(etag), begun: Vec::new() }),
            deadline: std::sync::Mutex::new(begun + self.options.lease),
        });
        let lost = CancellationToken::new();
        let stop = CancellationToken::new();
        tokio::spawn(renew(Arc::clone(&held), stop.clone(), lost.clone()));
        Ok(Some(Session {
            hold: Hold { held, lost, uploads: Arc::default() },
            renewal: stop.clone(),
            _renewal_ends: stop.drop_guard(),
        }))
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
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
        *self.deadline.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
            stamp(&mut next);
            let begun = Instant::now();
            inner.begun.push(next.nonce.clone());
            match write_current(&self.journal, &self.area, &next, inner.etag.as_ref()).await {
                Ok(etag) => {
                    *self.deadline.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = begun + self.duration;
                    *inner = Inner { current: next.clone(), etag: Some(etag), begun: Vec::new() };
                    return Ok(next);
                }
                Err(error) if error.kind == BucketErrorKind::PreconditionFailed => {
                    // A write of our own that was abandoned half-way may have taken place.
                    let (now, etag) = self.read().await?;
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

    async fn read(&self) -> Result<(Current, Option<ETag>), Error> {
        let key = self.area.current();
        match crate::bucket::read_all(&*self.journal, &key, 1 << 30).await? {
            Some((info, bytes)) => Ok((Current::decode(&key, &bytes)?, Some(info.etag))),
            None => Ok((Current::default(), None)),
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
