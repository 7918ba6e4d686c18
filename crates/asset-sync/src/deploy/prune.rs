//! Deleting what no kept release needs: only what a release of ours recorded, and only as recorded.

use std::collections::{HashMap, HashSet};

use tokio_util::sync::CancellationToken;

use super::acquire::take_lease;
use super::context::Context;
use super::delete::{confirm, delete};
use super::edges::{owe, pay};
use super::frame::{Finish, close, forget_superseded, guard, run_report};
use super::lease::Session;
use super::report::{InvalidationReport, Outcome, Report};
use super::snapshot::{read_manifest_if_sound, snapshot};
use super::stop::until;
use crate::bucket::ListedObject;
use crate::error::{Error, Refusal};
use crate::plan::{Adopt, Claims, Diff, DiffInput, Needed, Obsolete, covering_paths, expired, surplus_names};
use crate::progress::Step;
use crate::site::Role;
use crate::state::{Current, Inventory, Manifest, ReleaseId, ReleaseRecord};

/// What is known when something is deleted.
#[derive(Debug)]
pub(super) struct Pruned<'a> {
    /// The live release.
    pub(super) desired: &'a Manifest,
    pub(super) inventory: Inventory,
    pub(super) claims: &'a Claims,
    /// Objects of ours that the live release does not have.
    pub(super) obsolete: &'a [Obsolete],
    /// Whether a run that died may have left state objects that nothing refers to.
    pub(super) has_orphans: bool,
}

fn check_finished(current: &Current) -> Result<(), Error> {
    if current.pending.is_some() { Err(Refusal::Unfinished.into()) } else { Ok(()) }
}

pub(super) async fn run_prune(cx: &Context, stop: &CancellationToken) -> Result<Report, Error> {
    let seen = until(stop, cx.store.read_current()).await?;
    cx.warn_of_mismatch(&seen.0);
    check_finished(&seen.0)?;
    let live = seen.0.live_release().ok_or_else(nothing_live)?;
    let expired = expired(&seen.0, cx.options.keep_releases, cx.options.grace, cx.now());
    let is_clean = expired.is_empty()
        && surplus_names(&seen.0).is_empty()
        && !seen.0.edges.is_unfinished(&cx.options.distributions);
    if is_clean && until(stop, cx.store.orphans(&seen.0)).await?.is_empty() {
        return Ok(run_report(cx, Outcome::Unchanged, Some(live), None, Vec::new()));
    }
    let (session, _) = cx.step(Step::Lease, 0, 0, take_lease(cx, seen, |_| {}, stop)).await?;
    let work = async {
        let snapshot = cx.step(Step::Read, 0, 0, snapshot(cx)).await?;
        check_finished(&snapshot.current)?;
        let live = snapshot.current.live_release().ok_or_else(nothing_live)?.clone();
        let desired = cx.store.read_manifest(&live).await?;
        let diff = Diff::new(DiffInput {
            desired: &desired,
            inventory: &snapshot.inventory,
            claims: &snapshot.claims,
            listed: &snapshot.listed,
            inspected: &HashMap::new(),
            adopt: Adopt::Refuse,
        });
        let mut invalidations = pay(cx, &session).await?;
        let pruned = Pruned {
            desired: &desired,
            inventory: snapshot.inventory,
            claims: &snapshot.claims,
            obsolete: &diff.obsolete,
            has_orphans: true,
        };
        let (mut finish, inventory, more) = prune_after(cx, &session, pruned).await?;
        invalidations.extend(more);
        let generation = session.current().await.generation + 1;
        finish.done = true;
        finish.inventory = Some(cx.store.store_inventory(generation, &inventory).await?);
        finish.keep_unrecorded = true;
        finish.invalidations = invalidations;
        Ok((finish, snapshot.current, live))
    };
    let done = guard(cx, &session, stop, work).await;
    let (finish, before, live) = close(cx, session, done, stop, |(finish, _, _)| finish).await?;
    forget_superseded(cx, &before, &finish, stop).await;
    Ok(run_report(cx, Outcome::Pruned, Some(&live), None, finish.invalidations))
}

/// Deletes, after a switch whose invalidation is complete: pages the live release does not have, with their data, and
/// whatever only expired releases had. Removes what is gone from the inventory. The number of requests depends on what
/// goes, not on how many releases are kept.
pub(super) async fn prune_after(
    cx: &Context,
    session: &Session,
    after: Pruned<'_>,
) -> Result<(Finish, Inventory, Vec<InvalidationReport>), Error> {
    let Pruned { desired, mut inventory, claims, obsolete, has_orphans } = after;
    let current = session.current().await;
    let mut expired = expired(&current, cx.options.keep_releases, cx.options.grace, cx.now());
    // Where nothing expired nobody asks what is needed.
    let needed = if expired.is_empty() { None } else { Some(needed(cx, &current, &expired, desired).await?) };
    let has_expired = |o: &Obsolete| needed.as_ref().is_some_and(|needed| !needed.key(&inventory, &o.key));
    let is_doomed = |o: &&Obsolete| o.with_switch || has_expired(o);
    let doomed: Vec<&Obsolete> = obsolete.iter().filter(is_doomed).collect();
    let mut invalidations = Vec::new();
    if !doomed.is_empty() {
        let work = async {
            // After a rollback the inventory may tell of another release's bytes than those there.
            let mut known = claims.clone();
            if doomed.iter().any(|o| !o.confirmed) {
                for release in current.releases.iter().filter(|r| expired.contains(&r.id)) {
                    for file in read_manifest_if_sound(cx, release).await?.into_iter().flat_map(|m| m.files) {
                        known.entry(file.key.clone()).or_default().push(file);
                    }
                }
            }
            let doomed = confirm(cx, doomed, &inventory, &known).await?;
            // Edges may hold them; a page that is gone must not go on being served.
            let paths =
                covering_paths(doomed.iter().filter(|d| d.role >= Role::Entry).map(|d| &d.key), &cx.options.addressing);
            if !paths.is_empty() {
                session.update(|current| owe(cx, current, &paths)).await?;
            }
            delete(cx, session, &doomed).await
        };
        let gone = cx.step(Step::Prune, obsolete.len() as u64, 0, work).await?;
        // That a name was demoted is remembered: see `reconcile`.
        inventory.forget(|r| !r.demoted && gone.contains(&r.key), current.sequence);
        invalidations = pay(cx, session).await?;
    }
    let mut doomed = Vec::new();
    if has_orphans || !expired.is_empty() {
        doomed = cx.store.orphans(&current).await?;
    }
    if let Some(needed) = needed {
        let blobs = needed.blobs(&inventory);
        if let Some(archived) = &mut inventory.archived {
            archived.retain(|sha256, _| blobs.contains(sha256));
        }
        let is_needed =
            |object: &ListedObject| cx.store.area.blob_of(&object.key).is_none_or(|sha| blobs.contains(&sha));
        doomed.extend(cx.store.archived().await?.into_iter().filter(|object| !is_needed(object)));
    }
    // Under the lease: a later run must not find archived bytes listed and rely on them meanwhile.
    let doomed: Vec<_> = doomed.into_iter().map(|object| (object.key.to_string(), Some(object.etag))).collect();
    cx.store.delete(&doomed, || session.check()).await?;
    expired.extend(surplus_names(&current));
    let (gone, kept): (Vec<&ReleaseRecord>, Vec<&ReleaseRecord>) =
        current.releases.iter().partition(|r| expired.contains(&r.id));
    inventory.add_pruned(gone.iter().copied());
    let kept: HashSet<&ReleaseId> = kept.into_iter().map(ReleaseRecord::stored_as).collect();
    let manifests = gone.into_iter().map(ReleaseRecord::stored_as).filter(|id| !kept.contains(id)).cloned().collect();
    Ok((Finish { expired, manifests, ..Finish::default() }, inventory, invalidations))
}

/// What stays needed when the releases `expired` are gone; `desired` is live.
async fn needed(cx: &Context, current: &Current, expired: &[ReleaseId], desired: &Manifest) -> Result<Needed, Error> {
    let mut needed = Needed::new(current, expired);
    needed.add(desired);
    // What was adopted has no number of its own.
    for adopted in current.releases.iter().filter(|r| r.adopted && !expired.contains(&r.id)) {
        read_manifest_if_sound(cx, adopted).await?.iter().for_each(|manifest| needed.add(manifest));
    }
    Ok(needed)
}

fn nothing_live() -> Error {
    Error::NoSuchRelease("no release is live on this target".to_owned())
}
