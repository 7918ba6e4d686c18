//! Deleting objects of ours, each only as long as it is what was listed.

use std::collections::HashSet;

use super::context::Context;
use super::edges::{owe, pay};
use super::inspect::inspect;
use super::lease::Session;
use super::report::InvalidationReport;
use crate::bucket::{Bucket as _, BucketErrorKind, ETag, MAX_BATCH};
use crate::error::Error;
use crate::plan::{Claims, Obsolete, ToInspect, covering_paths};
use crate::progress::{Event, Step};
use crate::site::Key;
use crate::state::Inventory;

/// Leaves out objects that somebody else has replaced since we wrote them.
pub(super) async fn confirm<'a>(
    cx: &Context,
    doomed: Vec<&'a Obsolete>,
    inventory: &Inventory,
    claims: &Claims,
) -> Result<Vec<&'a Obsolete>, Error> {
    let unsure: Vec<ToInspect> =
        doomed.iter().filter(|o| !o.confirmed).map(|o| ToInspect { key: o.key.clone(), needs_hash: true }).collect();
    if unsure.is_empty() {
        return Ok(doomed);
    }
    let found = inspect(cx, &unsure).await?;
    Ok(doomed
        .into_iter()
        .filter(|o| {
            let Some(sha256) = found.get(o.key.as_str()).and_then(|f| f.sha256) else { return o.confirmed };
            let ours = inventory.get(&o.key).is_some_and(|r| r.sha256 == sha256)
                || claims.get(&o.key).is_some_and(|c| c.iter().any(|f| f.sha256 == sha256));
            if !ours {
                cx.warn(format!("{} is not what was deployed there any more: left alone", o.key));
            }
            ours
        })
        .collect())
}

/// Deletes objects as long as they are what was listed; gives the keys that are gone.
pub(super) async fn delete(cx: &Context, session: &Session, doomed: &[&Obsolete]) -> Result<HashSet<Key>, Error> {
    let mut gone = HashSet::new();
    for batch in doomed.chunks(MAX_BATCH) {
        session.check()?;
        let keys: Vec<(String, Option<ETag>)> =
            batch.iter().map(|o| (cx.key(o.key.as_str()), Some(o.etag.clone()))).collect();
        let results = cx.bucket.delete(&keys).await?;
        for (obsolete, result) in batch.iter().zip(results) {
            match result {
                Ok(()) => {
                    cx.tell(&Event::Deleted { key: obsolete.key.to_string(), bytes: obsolete.size });
                    gone.insert(obsolete.key.clone());
                }
                Err(error) if error.kind == BucketErrorKind::PreconditionFailed => {
                    cx.warn(format!("{} changed just now: left alone", obsolete.key));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(gone)
}

/// Deletes pages that the release does not have.
pub(super) async fn take_down(
    cx: &Context,
    session: &Session,
    pages: &[Obsolete],
) -> Result<Vec<InvalidationReport>, Error> {
    if pages.is_empty() {
        return Ok(Vec::new());
    }
    let keys = pages.iter().map(|p| &p.key);
    let paths = covering_paths(keys, &cx.options.addressing);
    session.update(|current| owe(cx, current, &paths)).await?;
    let doomed: Vec<&Obsolete> = pages.iter().collect();
    cx.step(Step::Prune, pages.len() as u64, 0, delete(cx, session, &doomed)).await?;
    pay(cx, session).await
}
