//! Deleting what no kept release needs: only what a release of ours recorded, and only as recorded.

use std::collections::HashMap;

use futures::stream::{self, StreamExt as _};

use tokio_util::sync::CancellationToken;

use super::acquire::take_lease;
use super::context::Context;
use super::delete::{confirm, delete};
use super::frame::{Finish, close, forget_superseded, guard, run_report};
use super::invalidate::{owe, pay};
use super::lease::Session;
use super::report::{InvalidationReport, Outcome, Report};
use super::snapshot::{read_manifest_if_sound, snapshot};
use super::stop::until;
use crate::error::{Error, Refusal};
use crate::plan::{Adopt, Claims, Diff, DiffInput, Needed, Obsolete, covering_paths};
use crate::progress::Step;
use crate::site::Role;
use crate::state::{Current, Inventory, Manifest, ReleaseId, ReleaseRecord};

/// Manifests of kept releases held in memory at once.
const MANIFESTS_AT_ONCE: usize = 4;

/// What is live when something is deleted.
#[derive(Debug)]
pub(super) struct Pruned<'a> {
    pub(super) live: &'a ReleaseId,
    pub(super) desired: &'a Manifest,
    pub(super) inventory: Inventory,
    pub(super) claims: &'a Claims,
}

fn check_finished(current: &Current) -> Result<(), Error> {
    if current.pending.is_some() { Err(Refusal::Unfinished.into()) } else { Ok(()) }
}

pub(super) async fn run_prune(cx: &Context, stop: &CancellationToken) -> Result<Report, Error> {
    let seen = until(stop, cx.store.read_current()).await?;
    cx.warn_of_other_environment(&seen.0);
    check_finished(&seen.0)?;
    let expired = seen.0.expired(cx.options.keep_releases, cx.options.grace, cx.now());
    if expired.is_empty() && seen.0.debts.is_empty() {
        let live = seen.0.live_release().ok_or_else(nothing_live)?;
        return Ok(run_report(cx, Outcome::Unchanged, Some(live), None, Vec::new()));
    }
    let (session, _) = cx.step(Step::Lease, 0, 0, take_lease(cx, seen, |_| {}, stop)).await?;
    let work = async {
        let snapshot = cx.step(Step::Read, 0, 0, snapshot(cx)).await?;
        check_finished(&snapshot.current)?;
        let live = snapshot.current.live_release().ok_or_else(nothing_live)?.clone();
        let desired = cx.store.read_manifest(&live.id).await?;
        let diff = Diff::new(DiffInput {
            desired: &desired,
            inventory: &snapshot.inventory,
            claims: &snapshot.claims,
            listed: &snapshot.listed,
            inspected: &HashMap::new(),
            adopt: Adopt::Refuse,
        });
        let mut invalidations = pay(cx, &session).await?;
        let pruned =
            Pruned { live: &live.id, desired: &desired, inventory: snapshot.inventory, claims: &snapshot.claims };
        let (mut finish, inventory, more) = prune_after(cx, &session, pruned, &diff.obsolete).await?;
        invalidations.extend(more);
        let generation = session.current().await.generation + 1;
        cx.store.store_inventory(generation, &inventory).await?;
        finish.done = true;
        finish.inventory = Some(generation);
        finish.keep_unrecorded = true;
        finish.invalidations = invalidations;
        Ok((finish, snapshot.current, live))
    };
    let done = guard(cx, &session, stop, work).await;
    let (finish, before, live) = close(cx, session, done, stop, |(finish, _, _)| finish).await?;
    forget_superseded(cx, &before, &finish, stop).await;
    Ok(run_report(cx, Outcome::Pruned, Some(&live), None, finish.invalidations))
}

/// Deletes, after a switch whose invalidation is complete: pages the live release does not
/// have, with their data, and whatever only expired releases had. Removes what is gone from the inventory.
pub(super) async fn prune_after(
    cx: &Context,
    session: &Session,
    after: Pruned<'_>,
    obsolete: &[Obsolete],
) -> Result<(Finish, Inventory, Vec<InvalidationReport>), Error> {
    let Pruned { live, desired, mut inventory, claims } = after;
    let current = session.current().await;
    let mut expired = current.expired(cx.options.keep_releases, cx.options.grace, cx.now());
    let (pages, others): (Vec<&Obsolete>, Vec<&Obsolete>) = obsolete.iter().partition(|o| o.with_switch);
    let kept: Vec<ReleaseRecord> =
        current.releases.iter().filter(|r| r.id != *live && !expired.contains(&r.id)).cloned().collect();
    let mut doomed = pages;
    let mut needed = None;
    if !expired.is_empty() {
        needed = needed_by(cx, desired, kept).await?;
        match &needed {
            Some(needed) => doomed.extend(others.into_iter().filter(|o| !needed.key(&o.key))),
            // Another time: what they have is on record as long as they are.
            None => expired.clear(),
        }
    }
    let mut invalidations = Vec::new();
    if !doomed.is_empty() {
        let work = async {
            // After a rollback the inventory may tell of another release's bytes than those there.
            let mut known = claims.clone();
            if doomed.iter().any(|o| !o.confirmed) {
                for id in &expired {
                    for file in read_manifest_if_sound(cx, id).await?.into_iter().flat_map(|m| m.files) {
                        known.entry(file.key.clone()).or_default().push(file);
                    }
                }
            }
            let doomed = confirm(cx, doomed, &inventory, &known).await?;
            // Edges may hold them; a page that is gone must not go on being served.
            let paths = covering_paths(
                doomed.iter().filter(|d| d.role >= Role::Entry).map(|d| &d.key),
                &cx.options.url_prefix,
                cx.options.invalidation,
            );
            if !paths.is_empty() {
                session.update(|current| owe(cx, current, &paths)).await?;
            }
            delete(cx, session, &doomed).await
        };
        let gone = cx.step(Step::Prune, obsolete.len() as u64, 0, work).await?;
        // That a name was demoted is remembered: see `take_stock`.
        inventory.records.retain(|r| r.demoted || !gone.contains(&r.key));
        invalidations = pay(cx, session).await?;
    }
    if let Some(needed) = needed {
        sweep_blobs(cx, session, &needed).await?;
    }
    Ok((Finish { expired, ..Finish::default() }, inventory, invalidations))
}

/// What the live release and those that are kept need; `None`, with a warning, if a manifest of a kept one is
/// damaged or lost.
async fn needed_by(cx: &Context, live: &Manifest, kept: Vec<ReleaseRecord>) -> Result<Option<Needed>, Error> {
    let mut needed = Needed::default();
    needed.add(live);
    let mut manifests = stream::iter(kept)
        .map(|release| async move {
            let manifest = if release.activated_at.is_some() {
                cx.store.read_manifest(&release.id).await.map(Some)
            } else {
                // Given up, perhaps half switched: whoever saw its pages still needs its files.
                cx.store.read_manifest_if_any(&release.id).await
            };
            (release.id, manifest)
        })
        .buffer_unordered(MANIFESTS_AT_ONCE);
    while let Some((id, manifest)) = manifests.next().await {
        match manifest {
            Ok(manifest) => manifest.iter().for_each(|manifest| needed.add(manifest)),
            Err(Error::State(error)) if error.is_damage() => {
                cx.warn(format!(
                    "{error}. Nothing is pruned until release {id} expires, since what it needs is unknown; no rollback to it is possible"
                ));
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(needed))
}

/// Deletes archived bytes that no kept release has. Under the lease: a later run must not find
/// them listed and rely on them meanwhile.
async fn sweep_blobs(cx: &Context, session: &Session, needed: &Needed) -> Result<(), Error> {
    let prefix = cx.store.area.blobs();
    let is_needed = |key: &str| {
        let sha256 = key.strip_prefix(&prefix).and_then(|name| name.parse().ok());
        sha256.is_none_or(|sha256| needed.blob(&sha256))
    };
    let listed = cx.store.archived().await?;
    let doomed = listed.into_iter().filter(|object| !is_needed(&object.key));
    let doomed: Vec<_> = doomed.map(|object| (object.key.to_string(), Some(object.etag))).collect();
    cx.store.delete(&doomed, || session.check()).await
}

fn nothing_live() -> Error {
    Error::NoSuchRelease("no release is live on this target".to_owned())
}
