//! A deployment from beginning to end.

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::acquire::{probe_conditional_writes, take_lease};
use super::context::Context;
use super::decide::{Decision, decide, warn_of_findings};
use super::distributions::check_distributions;
use super::frame::{Finish, close, forget_superseded, guard, run_report};
use super::look::look_if_required;
use super::options::ReleaseInfo;
use super::publish::{begin_release, go_live, publish, store_manifest};
use super::report::{InvalidationReport, Outcome, Report};
use super::retreat::finish_retreat;
use super::situation::with_earlier_standing;
use super::snapshot::{Snapshot, snapshot};
use super::stop::until;
use crate::error::Error;
use crate::plan::{expired, surplus_names};
use crate::progress::Step;
use crate::site::Site;
use crate::state::Current;

pub(super) async fn run_deploy(
    cx: &Context,
    reading: AbortOnDropHandle<Result<Snapshot, Error>>,
    site: &Site,
    info: &ReleaseInfo,
    stop: &CancellationToken,
) -> Result<Report, Error> {
    let mut decision = until(stop, decide_by(cx, reading, site, info)).await?;
    loop {
        if decision.is_nothing(cx) {
            let seen = until(stop, look_if_required(cx, &decision)).await?;
            return Ok(Report { seen, ..deploy_report(cx, Outcome::Unchanged, &decision, Vec::new()) });
        }
        let current = &decision.snapshot.current;
        let is_to_prune = || !expired(current, cx.options.keep_releases, cx.options.grace, cx.now()).is_empty();
        if !decision.is_relabel(cx) || current.lease.is_some() || is_to_prune() {
            break;
        }
        until(stop, check_distributions(cx)).await?;
        until(stop, probe_conditional_writes(cx)).await?;
        if until(stop, relabel(cx, &decision)).await? {
            let seen = until(stop, look_if_required(cx, &decision)).await?;
            return Ok(Report { seen, ..deploy_report(cx, Outcome::Deployed, &decision, Vec::new()) });
        }
        decision = until(stop, read_and_decide(cx, site, info)).await?;
    }
    let current = decision.snapshot.current.clone();
    // They are aborted before their record is written over.
    let has_uploads = current.pending.as_ref().is_some_and(|pending| !pending.uploads.is_empty());
    let begin = |current: &mut Current| {
        if !has_uploads {
            begin_release(cx, current, &decision);
        }
    };
    let seen = (current, decision.snapshot.etag.clone());
    let taken = cx.step(Step::Lease, 0, 0, take_lease(cx, seen, begin, stop)).await;
    let (session, as_seen) =
        taken.map_err(|error| with_earlier_standing(&decision.snapshot.current, &decision.release.id, error))?;
    let recorded = as_seen && !has_uploads;
    let work = async {
        if !as_seen {
            decision = read_and_decide(cx, site, info).await?;
        }
        if decision.is_nothing(cx) {
            return Ok((Outcome::Unchanged, Finish::default(), decision));
        }
        if let Some(target) = decision.retreat.take() {
            let finish = finish_retreat(cx, &session, &decision.release, &target).await?;
            return Ok((Outcome::RolledBack, finish, decision));
        }
        let (finish, decision) = publish(cx, &session, decision, site, recorded).await?;
        Ok((Outcome::Deployed, finish, decision))
    };
    let done = guard(cx, &session, stop, Box::pin(work)).await;
    let (outcome, finish, decision) = close(cx, session, done, stop, |(_, finish, _)| finish).await?;
    forget_superseded(cx, &decision.snapshot.current, &finish, stop).await;
    if let Some(failed) = finish.not_verified {
        return Err(failed.into());
    }
    Ok(Report { seen: finish.seen, ..deploy_report(cx, outcome, &decision, finish.invalidations) })
}

/// Decides how `site` becomes live, once `reading` is done.
pub(super) async fn decide_by(
    cx: &Context,
    reading: AbortOnDropHandle<Result<Snapshot, Error>>,
    site: &Site,
    info: &ReleaseInfo,
) -> Result<Decision, Error> {
    let read = async { reading.await.map_err(|e| Error::Internal(format!("reading the target failed: {e}")))? };
    let snapshot = cx.step(Step::Read, 0, 0, read).await?;
    warn_of_findings(cx, site, &snapshot.current);
    cx.warn_of_missing_distributions(&snapshot.current);
    decide(cx, snapshot, site, info).await
}

/// Reads what there is and decides how `site` becomes live.
async fn read_and_decide(cx: &Context, site: &Site, info: &ReleaseInfo) -> Result<Decision, Error> {
    let snapshot = cx.step(Step::Read, 0, 0, snapshot(cx)).await?;
    decide(cx, snapshot, site, info).await
}

/// The same files under another version or build: another name on record, no lease needed. `false` if somebody else was
/// faster.
async fn relabel(cx: &Context, decision: &Decision) -> Result<bool, Error> {
    let id = &decision.release.id;
    if !decision.known {
        store_manifest(cx, decision).await?;
    }
    let mut next = decision.snapshot.current.clone();
    begin_release(cx, &mut next, decision);
    go_live(&mut next, id, &cx.options, cx.now());
    next.finish();
    // All its files are in the inventory: they are those of the release before.
    next.unrecorded.clone_from(&decision.snapshot.current.unrecorded);
    let surplus = surplus_names(&next);
    next.releases.retain(|release| !surplus.contains(&release.id));
    cx.store.write_unleased(&next, decision.snapshot.etag.as_ref()).await
}

fn deploy_report(cx: &Context, result: Outcome, decision: &Decision, invalidations: Vec<InvalidationReport>) -> Report {
    let previous = decision.previous.as_ref().map(ToString::to_string);
    Report {
        unchanged: decision.unchanged(),
        foreign: decision.diff.foreign,
        ..run_report(cx, result, Some(&decision.release), previous, invalidations)
    }
}
