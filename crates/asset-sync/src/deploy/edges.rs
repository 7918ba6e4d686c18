//! Invalidations: on record before anything is replaced, made and waited for after all is in place.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, interval_at, sleep};

use super::context::Context;
use super::lease::Session;
use super::report::InvalidationReport;
use crate::cdn::{CdnError, CdnErrorKind, InvalidationStatus};
use crate::digest::Hasher;
use crate::error::Error;
use crate::plan::{coarser, joined_paths};
use crate::progress::{Event, Step};
use crate::state::Current;

/// How many paths a warning shows.
const SHOWN: usize = 5;

/// No pause between two looks is longer than this many poll intervals.
const SLOWEST: u32 = 5;

/// Records that `paths` go out of date. With none, what is pending stays as it is, so that asking again is still the same
/// invalidation; with some, it gets a new reference, since an invalidation that was made before does not cover what
/// comes now.
pub(super) fn owe(cx: &Context, current: &mut Current, paths: &[String]) {
    let reference = new_reference(cx, current);
    current.edges.enlist(&cx.options.distributions, reference);
    if !paths.is_empty() {
        let stale = joined_paths(&current.edges.stale, paths, &cx.options.addressing);
        let reference = new_reference(cx, current);
        current.edges.go_stale(stale, reference);
    }
}

/// Takes in the distributions that are configured now; gives those that are forgotten with something pending.
fn settle_distributions(cx: &Context, current: &mut Current) -> Vec<String> {
    let reference = new_reference(cx, current);
    current.edges.settle(&cx.options.distributions, reference)
}

/// Unique to this moment of this target.
fn new_reference(cx: &Context, current: &Current) -> String {
    let mut hasher = Hasher::default();
    // `nonce` is that of the version before this one.
    for part in [&cx.target.bucket, &cx.target.prefix, &current.nonce] {
        hasher.update(part.as_bytes());
        hasher.update(b"\0");
    }
    format!("deploy-{}-{}", current.generation + 1, hasher.finish().short())
}

/// Makes every invalidation that is pending at the distributions that are configured, and waits until each is complete.
pub(super) async fn pay(cx: &Context, session: &Session) -> Result<Vec<InvalidationReport>, Error> {
    let configured = &cx.options.distributions;
    let before = session.current().await;
    if !before.edges.is_unfinished(configured) {
        return Ok(Vec::new());
    }
    let mut settled = before.clone();
    for id in settle_distributions(cx, &mut settled) {
        cx.warn(format!(
            "an invalidation was pending at distribution {id}, which is not configured any more: it is dropped. If visitors still reach the site through {id}, configure it again"
        ));
    }
    if settled.edges != before.edges {
        session.update(|current| drop(settle_distributions(cx, current))).await?;
    }
    let edges = session.current().await.edges;
    let pending = edges.pending(configured, &cx.options.addressing.everything());
    let pay = |(id, paths)| pay_one(cx, session, id, paths, &edges.reference);
    // One that cannot be invalidated is not in the way of the others.
    let work = async { join_all(pending.into_iter().map(pay)).await.into_iter().collect::<Result<Vec<_>, Error>>() };
    cx.step(Step::Invalidate, configured.len() as u64, 0, work).await
}

/// Makes one invalidation and waits until it is complete, saying from time to time how it stands.
async fn pay_one(
    cx: &Context,
    session: &Session,
    distribution: String,
    paths: Vec<String>,
    reference: &str,
) -> Result<InvalidationReport, Error> {
    const TELL_EVERY: Duration = Duration::from_secs(15);
    let seen = Mutex::new(Seen { id: None, failure: None });
    let started = Instant::now();
    let work = complete(cx, &distribution, paths, reference, &seen);
    tokio::pin!(work);
    let mut ticks = interval_at(started + TELL_EVERY, TELL_EVERY);
    let paths = loop {
        tokio::select! {
            biased;
            done = &mut work => break done?,
            _ = ticks.tick() => {
                let Seen { id, failure } = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
                cx.tell(&Event::Invalidating { distribution: distribution.clone(), id, waited: started.elapsed(), failure });
            }
        }
    };
    session.update(|current| current.edges.refreshed(&distribution, reference)).await?;
    let id = seen.lock().unwrap_or_else(PoisonError::into_inner).id.clone().unwrap_or_default();
    Ok(InvalidationReport { id, distribution: distribution.clone(), paths })
}

/// What a distribution last said of an invalidation.
#[derive(Debug, Clone)]
struct Seen {
    id: Option<String>,
    failure: Option<String>,
}

/// Gives the paths that were invalidated.
async fn complete(
    cx: &Context,
    distribution: &str,
    mut paths: Vec<String>,
    reference: &str,
    seen: &Mutex<Seen>,
) -> Result<Vec<String>, Error> {
    let started = Instant::now();
    let poll = cx.options.invalidation_poll;
    let mut pause = poll;
    let mut id: Option<String> = None;
    loop {
        let looked = match &id {
            None => {
                cx.recorder.request("CreateInvalidation");
                let made = cx.cdn.create_invalidation(distribution, &caller_reference(reference, &paths), &paths).await;
                made.map(|(made, status)| {
                    cx.tell(&Event::Invalidation {
                        distribution: distribution.to_owned(),
                        id: made.clone(),
                        paths: paths.len() as u64,
                    });
                    id = Some(made);
                    Some(status)
                })
            }
            Some(id) => {
                cx.recorder.request("GetInvalidation");
                cx.cdn.invalidation(distribution, id).await
            }
        };
        *seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Seen { id: id.clone(), failure: looked.as_ref().err().map(ToString::to_string) };
        match looked {
            Ok(Some(InvalidationStatus::Completed)) => return Ok(paths),
            Ok(Some(InvalidationStatus::InProgress)) => {}
            // It is on record there for a long time; if it is gone nonetheless, make it again.
            Ok(None) => id = None,
            Err(error) if is_worth_waiting(&error) && started.elapsed() < cx.options.invalidation_timeout => {}
            Err(error) if id.is_none() && error.kind == CdnErrorKind::Invalid => {
                // Which path it is that it does not like, it does not say.
                let Some(wider) = coarser(&paths, &cx.options.addressing) else { return Err(error.into()) };
                let named = if wider.len() <= SHOWN { wider.join(" ") } else { format!("{} wider ones", wider.len()) };
                cx.warn(format!("{error}: {} paths were refused; invalidating {named} instead", paths.len()));
                paths = wider;
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        if started.elapsed() >= cx.options.invalidation_timeout {
            return Err(Error::InvalidationTimeout {
                distribution: distribution.to_owned(),
                id: id.unwrap_or_else(|| "not yet accepted".to_owned()),
                waited: started.elapsed(),
            });
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(poll * SLOWEST);
    }
}

/// A reference stands for its paths: with others it is refused.
fn caller_reference(reference: &str, paths: &[String]) -> String {
    let mut hasher = Hasher::default();
    for path in paths {
        hasher.update(path.as_bytes());
        hasher.update(b"\0");
    }
    format!("{reference}-{}", hasher.finish().short())
}

fn is_worth_waiting(error: &CdnError) -> bool {
    matches!(error.kind, CdnErrorKind::TooManyInProgress | CdnErrorKind::Throttled | CdnErrorKind::Transient)
}

/// What is still to be invalidated, per distribution.
pub(super) fn pending_paths(cx: &Context, current: &Current) -> BTreeMap<String, Vec<String>> {
    // Before the first release there is nothing that an edge could hold.
    let configured: &[String] = if current.live.is_some() { &cx.options.distributions } else { &[] };
    current.edges.pending(configured, &cx.options.addressing.everything())
}
