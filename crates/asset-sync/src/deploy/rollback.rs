//! Going back to an earlier release.

use tokio_util::sync::CancellationToken;

use super::acquire::take_lease;
use super::context::Context;
use super::frame::{Finish, close, guard, run_report, unchanged_report};
use super::look::{look_at_restored, look_at_suspect};
use super::report::{Outcome, Report};
use super::restore::go_back;
use super::stop::until;
use crate::error::Error;
use crate::plan::{IfLive, RollbackTo, rollback_target};
use crate::progress::Step;

/// See [`Deployer::rollback`](super::Deployer::rollback).
pub(super) async fn run_rollback(
    cx: &Context,
    to: &RollbackTo,
    if_live: Option<&IfLive>,
    stop: &CancellationToken,
) -> Result<Report, Error> {
    let (current, etag) = until(stop, cx.store.read_current()).await?;
    cx.warn_of_mismatch(&current);
    let Some(target) = rollback_target(&current, to, if_live, &cx.options.distributions)?.cloned() else {
        // With a condition nothing is done where it is not met.
        let seen = if if_live.is_none() { until(stop, look_at_suspect(cx, &current)).await? } else { None };
        return Ok(Report { seen, ..unchanged_report(cx, &current) });
    };
    let lease = take_lease(cx, (current.clone(), etag), |_| {}, stop);
    let (session, as_seen) = cx.step(Step::Lease, 0, 0, lease).await?;
    let work = async {
        let now = session.current().await;
        let target = if as_seen {
            Some(target)
        } else {
            rollback_target(&now, to, if_live, &cx.options.distributions)?.cloned()
        };
        match target {
            None => Ok((None, Finish::default())),
            Some(target) => {
                let mut finish = go_back(cx, &session, &now, &target).await?;
                (finish.not_verified, finish.seen) = look_at_restored(cx, &session, &target).await?;
                Ok((Some(target), finish))
            }
        }
    };
    let done = guard(cx, &session, stop, Box::pin(work)).await;
    let (target, finish) = close(cx, session, done, stop, |(_, finish)| finish).await?;
    if let Some(failed) = finish.not_verified {
        return Err(failed.into());
    }
    match target {
        None => Ok(unchanged_report(cx, &cx.store.read_current().await?.0)),
        Some(target) => {
            let previous = current.live.as_ref().map(ToString::to_string);
            let report = run_report(cx, Outcome::RolledBack, Some(&target), previous, finish.invalidations);
            Ok(Report { seen: finish.seen, ..report })
        }
    }
}
