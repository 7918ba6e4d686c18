//! Taking the lease.

use std::time::Duration;

use futures::join;
use jiff::SignedDuration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::distributions::check_distributions;
use super::lease::Session;
use super::options::ConditionalWrites;
use super::stop::{CLEAN_UP, until};
use crate::bucket::{Bucket as _, BucketErrorKind, ETag};
use crate::error::{Error, Refusal};
use crate::progress::Event;
use crate::state::{Current, Lease};

/// How often a waiter says that it waits.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// The longest pause between two looks at another's lease.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Refuses a store that ignores conditions, unless the caller sees to it that no two runs meet.
pub(super) async fn probe_conditional_writes(cx: &Context) -> Result<(), Error> {
    if cx.store.checks_conditions().await? {
        return Ok(());
    }
    if cx.options.conditional_writes == ConditionalWrites::Unprotected {
        cx.warn("the store ignores conditional writes: nothing keeps two deployments of this target apart");
        return Ok(());
    }
    Err(Refusal::NoConditionalWrites { bucket: cx.store.bucket.name().to_owned() }.into())
}

/// Makes `current` again what it was before this run first wrote it, without a lease.
fn undo(current: &mut Current, before: &Current) {
    let Current { generation, ref nonce, .. } = *current;
    *current = Current { generation, nonce: nonce.clone(), lease: None, ..before.clone() };
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Takes the lease of a store that checks conditions, waiting for another holder to end or to
/// expire. Tells whether `current` is still what the caller saw; if so, `begin` was applied to
/// it in the same write.
pub(super) async fn take_lease(
    cx: &Context,
    seen: (Current, Option<ETag>),
    begin: impl Fn(&mut Current) + Send + Sync,
    stop: &CancellationToken,
) -> Result<(Session, bool), Error> {
    until(stop, check_distributions(cx)).await?;
    let probe = until(stop, probe_conditional_writes(cx));
    if seen.1.is_none() {
        // Nobody has shown yet that it does, so nothing is written before.
        probe.await?;
        return acquire(cx, seen, begin, stop).await;
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
    let (probed, taken) = join!(probe, acquire(cx, seen, begin, &refused));
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

/// As [`take_lease`], of any store.
async fn acquire(
    cx: &Context,
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
        // Nothing once it has expired.
        let expires_in = current.lease.as_ref().and_then(|lease| {
            let patience = lease.duration.saturating_add(lease.request_timeout);
            patience.unsigned_abs().checked_sub(unchanged_since.elapsed())
        });
        if expires_in.is_none() {
            let unchanged = etag == first_seen;
            let mut next = current.clone();
            if unchanged {
                begin(&mut next);
            }
            let nonce = uuid::Uuid::new_v4().simple().to_string();
            let taken = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    give_back(cx, &nonce, &current).await;
                    return Err(Error::Interrupted);
                }
                taken = try_take(cx, next, etag.as_ref(), &nonce) => taken?,
            };
            if let Some(session) = taken {
                return Ok((session, unchanged));
            }
        } else {
            let owner = current.lease.as_ref().map(|l| l.owner.clone()).unwrap_or_default();
            let waited = started.elapsed();
            if waited >= cx.options.lease_wait {
                return Err(Error::Busy { owner, waited });
            }
            if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
                cx.tell(&Event::Waiting { owner, waited, expires_in: expires_in.unwrap_or_default() });
                told = Some(Instant::now());
            }
            tokio::select! {
                () = stop.cancelled() => return Err(Error::Interrupted),
                () = tokio::time::sleep(LOOK_EVERY.min(cx.options.lease / 10)) => {}
            }
        }
        let (now, now_etag) = until(stop, cx.store.read_current()).await?;
        if now_etag != etag {
            unchanged_since = Instant::now();
        }
        (current, etag) = (now, now_etag);
    }
}

/// Gives back a lease whose taking was cut off, if it was taken after all: all is as `before` then.
async fn give_back(cx: &Context, nonce: &str, before: &Current) {
    let work = async {
        let (mut current, etag) = cx.store.read_current().await?;
        if current.lease.take_if(|lease| lease.nonce == nonce).is_some() {
            undo(&mut current, before);
            cx.store.write_unleased(&current, etag.as_ref()).await?;
        }
        Ok::<(), Error>(())
    };
    // Where this fails too, the lease expires by itself.
    drop(tokio::time::timeout(CLEAN_UP, work).await);
}

/// Replaces what `etag` names by `next` with the lease; `None` if somebody was faster.
async fn try_take(cx: &Context, mut next: Current, etag: Option<&ETag>, nonce: &str) -> Result<Option<Session>, Error> {
    next = next.stamped();
    next.lease = Some(Lease {
        owner: cx.options.owner.clone(),
        nonce: nonce.to_owned(),
        acquired_at: cx.now(),
        duration: signed(cx.options.lease),
        request_timeout: signed(cx.options.request_timeout),
    });
    let begun = Instant::now();
    match cx.store.write_current(&next, etag).await {
        Ok(etag) => {
            let term = (begun, cx.options.lease);
            Ok(Some(Session::begin(cx.store.clone(), next, etag, nonce, term)))
        }
        Err(error) if error.kind == BucketErrorKind::PreconditionFailed => Ok(None),
        Err(error) => Err(error.into()),
    }
}
