//! Going back to an earlier release.

use tokio_util::sync::CancellationToken;

use super::acquire::take_lease;
use super::context::Context;
use super::frame::{Finish, close, guard, run_report, unchanged_report};
use super::look::{look_at_restored, look_at_suspect};
use super::report::{Outcome, Report};
use super::restore::{Extent, differs, go_back};
use super::stop::until;
use crate::error::{Error, Standing};
use crate::plan::{IfLive, RollbackTo, rollback_target};
use crate::progress::Step;
use crate::state::NamedRelease;

/// See [`Deployer::rollback`](super::Deployer::rollback).
pub(super) async fn run_rollback(
    cx: &Context,
    to: &RollbackTo,
    if_live: Option<&IfLive>,
    stop: &CancellationToken,
) -> Result<Report, Error> {
    let (current, etag) = until(stop, cx.store.read_current()).await?;
    cx.warn_of_mismatch(&current);
    let mut target = rollback_target(&current, to, if_live, &cx.options.distributions)?.cloned();
    if let (None, RollbackTo::Named(_), None, Some(live)) = (&target, to, if_live, current.live_release()) {
        // It is live already; somebody may have changed its files since.
        let differs = until(stop, cx.step(Step::Inspect, 0, 0, differs(cx, live))).await?;
        target = differs.then(|| live.clone());
    }
    let Some(target) = target else {
        // With a condition nothing is done where it is not met.
        let seen = if if_live.is_none() { until(stop, look_at_suspect(cx, &current)).await? } else { None };
        return Ok(Report { seen, ..unchanged_report(cx, &current) });
    };
    let lease = take_lease(cx, (current.clone(), etag), |_| {}, stop);
    let (session, as_seen) = cx.step(Step::Lease, 0, 0, lease).await?;
    let work = async {
        let now = session.current().await;
        let target = if as_seen || now.live.as_ref() == Some(&target.id) {
            Some(target)
        } else {
            rollback_target(&now, to, if_live, &cx.options.distributions)?.cloned()
        };
        match target {
            None => Ok((None, Finish::default())),
            Some(target) => {
                let stays = now.live.as_ref() == Some(&target.id);
                let extent = if stays { Extent::WhatThereIs } else { Extent::Whole };
                let mut finish = go_back(cx, &session, &now, &target, extent, false).await?;
                (finish.not_verified, finish.seen) = look_at_restored(cx, &session, &target).await?;
                Ok((Some(target), finish))
            }
        }
    };
    let done = guard(cx, &session, stop, Box::pin(work)).await;
    let (target, finish) = close(cx, session, done, stop, |(_, finish)| finish).await?;
    if let Some(lacking) = finish.lacking {
        let standing = Standing::Switched(target.as_ref().map(NamedRelease::from));
        return Err(Error::Unfinished { standing, source: Box::new(lacking.into()) });
    }
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
