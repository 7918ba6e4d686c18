//! Making the edges forget, when nothing else is to be done.

use tokio_util::sync::CancellationToken;

use super::acquire::take_lease;
use super::context::Context;
use super::edges::{owe, pay};
use super::frame::{Finish, close, guard, run_report};
use super::report::{Outcome, Report};
use super::stop::until;
use crate::error::Error;
use crate::plan::requested_paths;
use crate::progress::Step;

/// What is invalidated besides what is pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalidate {
    /// Nothing.
    Pending,
    /// Paths of URLs, with the URL prefix, as CloudFront takes them: a `*` at the end stands for anything.
    Paths(Vec<String>),
    /// Everything under the URL prefix.
    All,
}

/// See [`Deployer::invalidate`](super::Deployer::invalidate).
pub(super) async fn run_invalidate(cx: &Context, what: &Invalidate, stop: &CancellationToken) -> Result<Report, Error> {
    if cx.options.distributions.is_empty() {
        return Err(Error::NoDistribution);
    }
    let paths = match what {
        Invalidate::Pending => Vec::new(),
        Invalidate::Paths(paths) => requested_paths(paths, &cx.options.addressing)?,
        Invalidate::All => vec![cx.options.addressing.everything()],
    };
    let seen = until(stop, cx.store.read_current()).await?;
    cx.warn_of_mismatch(&seen.0);
    let live = seen.0.live_release().cloned();
    if live.is_none() && seen.0.pending.is_none() {
        return Err(Error::NoSuchRelease("no release is live on this target, so that no edge can hold one".to_owned()));
    }
    if paths.is_empty() && !seen.0.edges.is_unfinished(&cx.options.distributions) {
        return Ok(run_report(cx, Outcome::Unchanged, live.as_ref(), None, Vec::new()));
    }
    let owed = |current: &mut crate::state::Current| owe(cx, current, &paths);
    let (session, as_seen) = cx.step(Step::Lease, 0, 0, take_lease(cx, seen, owed, stop)).await?;
    let work = async {
        if !as_seen {
            session.update(owed).await?;
        }
        let invalidations = pay(cx, &session).await?;
        Ok((Finish { invalidations, ..Finish::default() }, session.current().await.live_release().cloned()))
    };
    let done = guard(cx, &session, stop, work).await;
    let (finish, live) = close(cx, session, done, stop, |(finish, _)| finish).await?;
    Ok(run_report(cx, Outcome::Invalidated, live.as_ref(), None, finish.invalidations))
}
