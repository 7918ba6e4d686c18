//! The frame of every run that writes: it works under the lease, ends early where it must, and puts the outcome on
//! record.

use futures::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::lease::Session;
use super::report::{InvalidationReport, Outcome, Report, Seen, Tally};
use super::situation::with_standing;
use super::stop::{CLEAN_UP, until};
use crate::bucket::Bucket as _;
use crate::digest::Sha256;
use crate::error::{Error, NotVerified, Refusal};
use crate::state::{Current, NamedRelease, RecordedUpload, ReleaseId, ReleaseRecord};

/// What remains to be recorded when everything else is done.
#[derive(Debug, Default)]
pub(super) struct Finish {
    /// What was begun is done; otherwise nothing was begun, and the journal stays as it is.
    pub(super) done: bool,
    /// Generation of a new inventory, and its hash.
    pub(super) inventory: Option<(u64, Sha256)>,
    /// That inventory does not cover the releases that the one before did not either.
    pub(super) keep_unrecorded: bool,
    /// Releases that are gone.
    pub(super) expired: Vec<ReleaseId>,
    /// Manifests that nothing refers to when they are.
    pub(super) manifests: Vec<ReleaseId>,
    pub(super) invalidations: Vec<InvalidationReport>,
    /// All is on record, and yet the site is not what it should be.
    pub(super) not_verified: Option<NotVerified>,
    /// What was seen of the site.
    pub(super) seen: Option<Seen>,
    /// All is on record, and yet files are missing that only a run with the site can restore.
    pub(super) lacking: Option<Refusal>,
}

/// Runs work that needs the lease, until it is done, the lease is lost, or the run is told to stop.
pub(super) async fn guard<T>(
    cx: &Context,
    session: &Session,
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let done = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::Interrupted),
        () = session.lost() => Err(Error::LeaseLost { last_failure: None }),
        done = work => done,
    };
    // A store that failed for too long is the most likely reason.
    let with_reason = |error| match error {
        Error::LeaseLost { last_failure: None } => Error::LeaseLost { last_failure: cx.bucket.counts().last_failure() },
        other => other,
    };
    done.map_err(with_reason)
}

/// Ends a session: with the outcome on record, or after a failure with unfinished uploads
/// aborted and the journal kept. The lease is given back either way.
pub(super) async fn close<T>(
    cx: &Context,
    session: Session,
    done: Result<T, Error>,
    stop: &CancellationToken,
    finish: impl Fn(&T) -> &Finish,
) -> Result<T, Error> {
    match done {
        Ok(value) => {
            let end = finish(&value);
            let record = |current: &mut Current| {
                if end.done {
                    current.finish();
                }
                if let Some((generation, sha256)) = end.inventory {
                    current.inventory = Some(generation);
                    current.inventory_sha256 = Some(sha256);
                    current.unrecorded.retain(|id| end.keep_unrecorded && !end.expired.contains(id));
                }
                current.releases.retain(|r| !end.expired.contains(&r.id));
            };
            tokio::select! {
                biased;
                released = session.release(record) => released?,
                () = stop.cancelled() => {
                    // All is done but to say so: once more, in the time that is left.
                    let again = timeout(CLEAN_UP, session.release(record)).await;
                    again.unwrap_or(Err(Error::Interrupted))?
                }
            };
            Ok(value)
        }
        Err(lost @ Error::LeaseLost { .. }) => Err(lost),
        Err(error) => {
            let error = with_standing(cx, error);
            // The first error is the one to tell; what cannot be cleaned up now is on record.
            // Each for itself: where the store does not answer to one, it may to the others.
            session.uploads().tasks.close();
            timeout(CLEAN_UP, session.uploads().tasks.wait()).await.ok();
            let aborts = session.uploads().list().into_iter().map(|upload| async {
                let aborted = timeout(CLEAN_UP, abort(cx, &upload)).await;
                if matches!(aborted, Ok(Ok(()))) { None } else { Some(upload) }
            });
            let left: Vec<RecordedUpload> = join_all(aborts).await.into_iter().flatten().collect();
            let release = session.release(|current| {
                if let Some(pending) = &mut current.pending {
                    pending.uploads.clone_from(&left);
                }
            });
            timeout(CLEAN_UP, release).await.ok();
            Err(error)
        }
    }
}

async fn abort(cx: &Context, upload: &RecordedUpload) -> Result<(), Error> {
    let bucket = if upload.in_state { &cx.store.bucket } else { &cx.bucket };
    Ok(bucket.abort_multipart(&upload.key, &upload.id).await?)
}

/// Aborts what an earlier run left unfinished; only what it recorded.
pub(super) async fn abort_recorded_uploads(cx: &Context, session: &Session) {
    let current = session.current().await;
    for upload in current.pending.iter().flat_map(|p| &p.uploads) {
        if let Err(error) = abort(cx, upload).await {
            cx.warn(format!("an unfinished upload of an earlier run could not be aborted: {error}"));
        }
    }
}

/// Deletes state objects nothing refers to any more. Left behind they do no harm.
pub(super) async fn forget_superseded(cx: &Context, before: &Current, finish: &Finish, stop: &CancellationToken) {
    let mut keys = Vec::new();
    if let (Some(_), Some(old)) = (finish.inventory, before.inventory) {
        keys.push((cx.store.area.inventory(old), None));
    }
    for id in &finish.manifests {
        keys.push((cx.store.area.release_entries(id), None));
        keys.push((cx.store.area.release_assets(id), None));
    }
    for batch in keys.chunks(crate::bucket::MAX_BATCH) {
        until(stop, async { Ok(cx.store.bucket.delete(batch).await?) }).await.ok();
    }
}

/// The report of a run that ends here.
pub(super) fn run_report(
    cx: &Context,
    result: Outcome,
    live: Option<&ReleaseRecord>,
    previous: Option<String>,
    invalidations: Vec<InvalidationReport>,
) -> Report {
    let sums = cx.recorder.sums();
    let (retries, throttled) = cx.recorder.failures();
    Report {
        result,
        live: live.map(NamedRelease::from),
        build: live.and_then(|release| release.build),
        previous: previous.filter(|p| live.is_none_or(|release| p != release.id.as_str())),
        uploaded: sums.written,
        unchanged: Tally::default(),
        deleted: sums.deleted,
        foreign: 0,
        requests: cx.recorder.requests(),
        retries,
        throttled,
        invalidations,
        seen: None,
        seconds: sums.seconds,
        warnings: sums.warnings,
    }
}

pub(super) fn unchanged_report(cx: &Context, current: &Current) -> Report {
    run_report(cx, Outcome::Unchanged, current.live_release(), None, Vec::new())
}
