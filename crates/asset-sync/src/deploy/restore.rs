//! Bringing back the files of an earlier release, without the site: its entry files are in the archive, its assets are
//! still in the bucket or, where something else took their names, in the archive.

use super::context::Context;
use super::delete::{confirm, take_down};
use super::edges::{owe, pay};
use super::frame::{Finish, abort_recorded_uploads};
use super::lease::Session;
use super::settle::settle;
use super::snapshot::snapshot;
use super::stage::archive_overwritten;
use super::switch::{Source, is_overtaken, switch};
use super::upload::Uploader;
use crate::error::{Error, Refusal};
use crate::plan::{
    Adopt, DiffInput, Obsolete, Overwritten, Reason, Write, covering_paths, goes_back, overwritten, restoring_writes,
};
use crate::progress::Step;
use crate::site::Role;
use crate::state::{Current, Manifest, Operation, ReleaseFile, ReleaseRecord};

/// How often a rollback starts over because the bucket changed under it.
const ROUNDS: usize = 4;

/// How much of a release must be there to be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it: otherwise nothing is begun.
    Whole,
    /// What there is: the release is live, and better in part than not at all.
    WhatThereIs,
}

/// What a rollback changes, by one comparison of the release with what the bucket holds.
#[derive(Debug, Default)]
struct Changes {
    /// Files of the release that are not as it had them.
    writes: Vec<Write>,
    /// Recorded bytes that the writes replace.
    overwritten: Vec<Overwritten>,
    /// Pages that the release does not have, with their data; none as long as there are writes.
    pages: Vec<Obsolete>,
    /// What is missing, and cannot be restored.
    lacking: Option<Refusal>,
}

/// Whether something of a release that is live is not as it was deployed.
pub(super) async fn differs(cx: &Context, release: &ReleaseRecord) -> Result<bool, Error> {
    let desired = cx.store.read_manifest(release).await?;
    let changes = Box::pin(compare(cx, release, &desired, Extent::WhatThereIs)).await?;
    Ok(!changes.writes.is_empty() || !changes.pages.is_empty() || changes.lacking.is_some())
}

/// Makes `target` live again. `by_verification` goes on record where this begins a rollback; one that is gone on with
/// stays what it was begun as.
pub(super) async fn go_back(
    cx: &Context,
    session: &Session,
    before: &Current,
    target: &ReleaseRecord,
    extent: Extent,
    by_verification: bool,
) -> Result<Finish, Error> {
    abort_recorded_uploads(cx, session).await;
    let desired = cx.store.read_manifest(target).await?;
    // A release that cannot be restored is refused before anything is begun.
    let mut compared = Some(cx.step(Step::Inspect, 0, 0, Box::pin(compare(cx, target, &desired, extent))).await?);
    if let Some(Changes { writes, pages, lacking, .. }) = &mut compared
        && writes.is_empty()
        && pages.is_empty()
        && let Some(lacking) = lacking.take()
    {
        // Nothing of it can be restored.
        return Err(lacking.into());
    }
    let now = cx.now();
    let execution = cx.options.execution.as_deref();
    session
        .update(|current| {
            current.begin(Operation::Rollback, target.clone(), execution, now);
            if by_verification {
                current.set_by_verification();
            }
        })
        .await?;
    let uploader = Uploader::new(cx, session);
    for _ in 0..ROUNDS {
        let changes = match compared.take() {
            Some(changes) => changes,
            None => cx.step(Step::Inspect, 0, 0, Box::pin(compare(cx, target, &desired, extent))).await?,
        };
        let writes: Vec<&Write> = changes.writes.iter().collect();
        if !writes.is_empty() {
            let paths = covering_paths(writes.iter().map(|w| &desired.files[w.file].key), &cx.options.addressing);
            session
                .update(|current| {
                    owe(cx, current, &paths);
                    current.begin_switch();
                })
                .await?;
            match archive_overwritten(cx, &changes.overwritten, &uploader).await {
                Err(error) if is_overtaken(&error) => continue,
                archived => archived?,
            }
            let bytes = writes.iter().map(|w| desired.files[w.file].size).sum();
            let switch = switch(cx, &desired, &writes, Source::Archive, session, &uploader);
            match cx.step(Step::Switch, writes.len() as u64, bytes, switch).await {
                Err(error) if is_overtaken(&error) => continue,
                written => written?,
            };
            // Look again: a late write of another run may have come in between.
            continue;
        }
        let now = cx.now();
        let back = goes_back(before, &target.id);
        session
            .update(|current| {
                current.activate(&target.id, back, now);
                current.end_switch();
            })
            .await?;
        let mut invalidations = pay(cx, session).await?;
        invalidations.extend(take_down(cx, session, &changes.pages).await?);
        return Ok(Finish { done: true, invalidations, lacking: changes.lacking, ..Finish::default() });
    }
    Err(Error::Unsettled { what: "entry files were replaced as soon as they were written".to_owned() })
}

/// Compares the release with what the bucket holds, as a deployment of it would, and plans the changes. The number
/// of requests depends on what differs, not on the number of releases.
async fn compare(cx: &Context, target: &ReleaseRecord, desired: &Manifest, extent: Extent) -> Result<Changes, Error> {
    let mut snapshot = snapshot(cx).await?;
    // What it had is ours, whatever stands there.
    snapshot.inventory.add_release(desired, target.stored_as().number());
    snapshot.leave_out_nested();
    let (diff, inspected) = settle(cx, desired, &snapshot.inventory, &snapshot.claims, &mut snapshot.listed).await?;
    let input = DiffInput {
        desired,
        inventory: &snapshot.inventory,
        claims: &snapshot.claims,
        listed: &snapshot.listed,
        inspected: &inspected,
        adopt: Adopt::Refuse,
    };
    let mut writes = restoring_writes(&input, &diff);
    writes.retain(|write| snapshot.nested.owner(&desired.files[write.file].key).is_none());
    let missing = not_archived(cx, desired, &writes).await?;
    let mut lacking = None;
    if let Some((first, others)) = missing.split_first() {
        // Its bytes were never in the archive, so what is missing of a fingerprinted file is the file.
        let named = |file: &ReleaseFile| match file.role {
            Role::Fingerprinted => cx.key(file.key.as_str()),
            Role::Entry | Role::Html | Role::Root => cx.store.area.blob(&file.sha256),
        };
        let release = format!("release {}", target.id);
        let refusal = Refusal::Incomplete { release, key: named(&desired.files[*first]), more: others.len() };
        if extent == Extent::Whole {
            return Err(refusal.into());
        }
        writes.retain(|write| missing.binary_search(&write.file).is_err());
        lacking = Some(refusal);
    }
    let overwritten = overwritten(&input, &writes);
    // Pages are deleted when nothing is left to write.
    let pages = diff.obsolete.iter().filter(|o| o.with_switch && writes.is_empty()).collect();
    let pages = confirm(cx, pages, &snapshot.inventory, &snapshot.claims).await?.into_iter().cloned().collect();
    Ok(Changes { writes, overwritten, pages, lacking })
}

/// The files, by place in ascending order, that are to be restored from the archive and are not in it.
async fn not_archived(cx: &Context, desired: &Manifest, writes: &[Write]) -> Result<Vec<usize>, Error> {
    let from_archive = writes.iter().filter(|w| w.reason != Reason::Headers).map(|w| w.file);
    let from_archive: Vec<usize> = from_archive.collect();
    let from_archive = from_archive.as_slice();
    let checked = cx.each(from_archive.len(), |index| async move {
        let file = &desired.files[from_archive[index]];
        let is_archived = cx.store.is_archived(&file.sha256, file.size).await?;
        Ok((!is_archived).then_some(from_archive[index]))
    });
    let mut missing: Vec<usize> = checked.await?.into_iter().flatten().collect();
    missing.sort_unstable();
    Ok(missing)
}
