//! Invalidations: owed before anything is replaced, paid after all is in place.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use tokio::time::{Instant, sleep};

use super::context::Context;
use super::lease::Session;
use super::report::InvalidationReport;
use crate::cdn::{CdnError, CdnErrorKind, InvalidationStatus};
use crate::digest::Hasher;
use crate::error::Error;
use crate::plan::{MAX_PATHS, MAX_WILDCARDS, coarser};
use crate::progress::{Event, Step};
use crate::state::{Current, InvalidationDebt};

/// How many paths a warning shows.
const SHOWN: usize = 5;

/// No pause between two looks is longer than this many poll intervals.
const SLOWEST: u32 = 5;

/// Adds `paths` to what is owed to each distribution. With nothing to add, earlier debts stay
/// as they are, so that asking again is still the same invalidation; with something, they get a
/// new reference, since an invalidation that was made before does not cover what comes now.
pub(super) fn owe(cx: &Context, current: &mut Current, paths: &[String]) {
    if paths.is_empty() {
        return;
    }
    let generation = current.generation + 1;
    for distribution in &cx.options.distributions {
        let earlier = current.debts.iter().position(|d| d.distribution == *distribution);
        let earlier = earlier.map(|i| current.debts.remove(i).paths).unwrap_or_default();
        let all = merge(&earlier, paths);
        let mut hasher = Hasher::default();
        // `nonce` is that of the version before this one: unique to this moment of this target.
        for part in [&cx.target.bucket, &cx.target.prefix, &current.nonce].into_iter().chain(&all) {
            hasher.update(part.as_bytes());
            hasher.update(b"\0");
        }
        let caller_reference = format!("deploy-{generation}-{}", hasher.finish().short());
        current.debts.push(InvalidationDebt { distribution: distribution.clone(), caller_reference, paths: all });
    }
}

/// Makes every invalidation that is owed, waits until each is complete, and strikes it out.
pub(super) async fn pay(cx: &Context, session: &Session) -> Result<Vec<InvalidationReport>, Error> {
    let debts = session.current().await.debts;
    if debts.is_empty() {
        return Ok(Vec::new());
    }
    let work = try_join_all(debts.iter().map(|debt| pay_one(cx, debt, session)));
    Ok(cx.step(Step::Invalidate, debts.len() as u64, 0, work).await?.into_iter().flatten().collect())
}

/// Nothing where the distribution is gone, and no longer asked for.
async fn pay_one(
    cx: &Context,
    debt: &InvalidationDebt,
    session: &Session,
) -> Result<Option<InvalidationReport>, Error> {
    let started = Instant::now();
    let mut debt = debt.clone();
    let distribution = &debt.distribution.clone();
    let poll = cx.options.invalidation_poll;
    let mut pause = poll;
    let mut id: Option<String> = None;
    loop {
        let looked = match &id {
            None => {
                cx.recorder.request("CreateInvalidation");
                cx.cdn.create_invalidation(distribution, &debt.caller_reference, &debt.paths).await.map(
                    |(made, status)| {
                        cx.tell(&Event::Invalidation {
                            distribution: distribution.clone(),
                            id: made.clone(),
                            paths: debt.paths.len() as u64,
                        });
                        id = Some(made);
                        Some(status)
                    },
                )
            }
            Some(id) => {
                cx.recorder.request("GetInvalidation");
                cx.cdn.invalidation(distribution, id).await
            }
        };
        match looked {
            Ok(Some(InvalidationStatus::Completed)) => break,
            Ok(Some(InvalidationStatus::InProgress)) => {}
            // It is on record there for a long time; if it is gone nonetheless, make it again.
            Ok(None) => id = None,
            Err(error) if is_worth_waiting(&error) && started.elapsed() < cx.options.invalidation_timeout => {}
            Err(error) if id.is_none() && error.kind == CdnErrorKind::Invalid => {
                // Which path it is that it does not like, it does not say.
                let Some(paths) = coarser(&debt.paths, &cx.options.url_prefix) else { return Err(error.into()) };
                let wider = if paths.len() <= SHOWN { paths.join(" ") } else { format!("{} wider ones", paths.len()) };
                cx.warn(format!("{error}: {} paths were refused; invalidating {wider} instead", debt.paths.len()));
                debt = replace_paths(&debt, paths, session).await?;
                continue;
            }
            // Nobody visits what is gone, and nobody asks for it any more.
            Err(error) if is_given_up(cx, distribution, &error) => {
                cx.warn(format!(
                    "an earlier run owed an invalidation to the distribution {distribution}, which this run does not name and cannot invalidate ({error}): the debt is struck out"
                ));
                strike_out(&debt, session).await?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        if started.elapsed() >= cx.options.invalidation_timeout {
            return Err(Error::InvalidationTimeout {
                distribution: distribution.clone(),
                id: id.unwrap_or_else(|| "not yet accepted".to_owned()),
                waited: started.elapsed(),
            });
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(poll * SLOWEST);
    }
    strike_out(&debt, session).await?;
    let id = id.unwrap_or_default();
    Ok(Some(InvalidationReport { distribution: distribution.clone(), id, paths: debt.paths.clone() }))
}

fn is_given_up(cx: &Context, distribution: &String, error: &CdnError) -> bool {
    matches!(error.kind, CdnErrorKind::NoSuchDistribution | CdnErrorKind::Denied)
        && !cx.options.distributions.contains(distribution)
}

/// Owes other paths, which cover those of `debt`, in their place.
async fn replace_paths(
    debt: &InvalidationDebt,
    paths: Vec<String>,
    session: &Session,
) -> Result<InvalidationDebt, Error> {
    // A reference stands for its paths.
    let caller_reference = format!("{}-w", debt.caller_reference);
    let wider = InvalidationDebt { caller_reference, paths, ..debt.clone() };
    session
        .update(|current| {
            if let Some(owed) = current.debts.iter_mut().find(|owed| *owed == debt) {
                owed.clone_from(&wider);
            }
        })
        .await?;
    Ok(wider)
}

async fn strike_out(debt: &InvalidationDebt, session: &Session) -> Result<(), Error> {
    // Distributions that owe the same paths have the same reference.
    let is_it =
        |d: &InvalidationDebt| d.distribution == debt.distribution && d.caller_reference == debt.caller_reference;
    session.update(|current| current.debts.retain(|d| !is_it(d))).await?;
    Ok(())
}

fn is_worth_waiting(error: &CdnError) -> bool {
    matches!(error.kind, CdnErrorKind::TooManyInProgress | CdnErrorKind::Throttled | CdnErrorKind::Transient)
}

/// Both lists as one that covers both, within what a distribution takes at once.
fn merge(earlier: &[String], paths: &[String]) -> Vec<String> {
    let all: BTreeSet<&String> = earlier.iter().chain(paths).collect();
    let wildcards = all.iter().filter(|p| p.ends_with('*')).count();
    if wildcards > MAX_WILDCARDS || all.len() > MAX_PATHS {
        return vec!["/*".to_owned()];
    }
    all.into_iter().cloned().collect()
}
