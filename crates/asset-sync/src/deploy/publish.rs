//! Making a release live: stage, switch, confirm, and what follows.

use futures::try_join;

use super::adopt::record_adopted;
use super::context::Context;
use super::decide::{Decision, is_staged, stale_paths};
use super::edges::{owe, pay};
use super::frame::{Finish, abort_recorded_uploads};
use super::lease::Session;
use super::listing::list_scope;
use super::options::Options;
use super::prune::{Pruned, prune_after};
use super::retreat::{Looked, look_at_release};
use super::settle::{check_nested, check_obstacles, settle};
use super::snapshot::snapshot;
use super::stage::stage;
use super::store::Archived;
use super::switch::{Source, Written, is_overtaken, switch};
use super::upload::Uploader;
use crate::error::Error;
use crate::plan::{Numbers, Write, adopted_release, expected_keys, reconcile};
use crate::progress::Step;
use crate::site::{Site, SiteFile};
use crate::state::{Current, Operation, ReleaseId};

/// How often a run starts over because the bucket changed under it.
const ROUNDS: usize = 4;

pub(super) async fn publish(
    cx: &Context,
    session: &Session,
    mut decision: Decision,
    site: &Site,
    recorded: bool,
) -> Result<(Finish, Decision), Error> {
    if !recorded {
        abort_recorded_uploads(cx, session).await;
        session.update(|current| begin_release(cx, current, &decision)).await?;
    }
    let mut archived =
        if decision.known { None } else { Some(try_join!(store_manifest(cx, &decision), cx.store.archived_keys())?.1) };
    for key in &decision.demoted {
        cx.warn(format!(
            "{key} has a fingerprinted name and yet its content changed: it is served as an entry file from now on, not as immutable"
        ));
    }
    let uploader = Uploader::new(cx, session);
    for _ in 0..ROUNDS {
        let archived = match archived.take() {
            Some(archived) => archived,
            None => cx.store.archived_keys().await?,
        };
        let written = match bring_in(cx, session, &decision, &site.files, archived, &uploader).await {
            Err(error) if is_overtaken(&error) => {
                decision = decide_again(cx, decision).await?;
                continue;
            }
            done => done?,
        };
        let now = cx.now();
        let live = session.update(|current| go_live(current, &decision.release.id, &cx.options, now));
        // Listed after the last write of a file, which is what counts.
        let expected = expected_keys(&decision.desired, &decision.snapshot.inventory);
        let list = cx.step(Step::Confirm, 0, 0, list_scope(&cx.bucket, cx.scope(), &expected));
        let (_, listed) = try_join!(live, list)?;
        let written = written.iter().map(|w| (w.index, &w.etag)).collect();
        let numbers = Numbers::of(&session.current().await, &decision.release);
        let (inventory, unconfirmed) =
            reconcile(&decision.diff_input(), &decision.diff, &written, &listed, &numbers, cx.now());
        drop(listed);
        if unconfirmed == 0 {
            decision.snapshot.inventory = inventory;
            return wind_up(cx, session, decision).await;
        }
        decision = decide_again(cx, decision).await?;
    }
    Err(Error::Unsettled { what: "objects were replaced or deleted as soon as they were written".to_owned() })
}

/// Stages and switches: the release's files are in place afterwards.
async fn bring_in(
    cx: &Context,
    session: &Session,
    decision: &Decision,
    files: &[SiteFile],
    archived: Archived,
    uploader: &Uploader,
) -> Result<Vec<Written>, Error> {
    let mut written = stage(cx, decision, files, archived, uploader).await?;
    if let Some(adopted) = adopted_release(&decision.diff_input(), &decision.diff) {
        record_adopted(cx, session, adopted).await?;
    }
    let writes: Vec<&Write> = decision.diff.writes.iter().filter(|w| !is_staged(&decision.desired, w)).collect();
    if !writes.is_empty() {
        session
            .update(|current| {
                owe(cx, current, &decision.paths);
                current.begin_switch();
            })
            .await?;
        let bytes = writes.iter().map(|w| decision.desired.files[w.file].size).sum();
        let switch = switch(cx, &decision.desired, &writes, Source::Site(files), session, uploader);
        written.extend(cx.step(Step::Switch, writes.len() as u64, bytes, switch).await?);
    }
    Ok(written)
}

/// The same release once more, against what the bucket holds now.
async fn decide_again(cx: &Context, before: Decision) -> Result<Decision, Error> {
    let mut snapshot = cx.step(Step::Read, 0, 0, snapshot(cx)).await?;
    let (diff, inspected) =
        settle(cx, &before.desired, &snapshot.inventory, &snapshot.claims, &mut snapshot.listed).await?;
    check_nested(&snapshot, &before.desired, &diff)?;
    check_obstacles(cx, &before.desired, &diff)?;
    let paths = stale_paths(cx, &before.desired, &diff);
    Ok(Decision { snapshot, diff, inspected, paths, known: true, ..before })
}

/// Everything is in place: invalidate, delete, and write down what the bucket holds.
async fn wind_up(cx: &Context, session: &Session, mut decision: Decision) -> Result<(Finish, Decision), Error> {
    let mut invalidations = pay(cx, session).await?;
    let (not_verified, seen) = match look_at_release(cx, session, &decision).await? {
        Looked::RolledBack(finish) => return Ok((finish, decision)),
        Looked::Stays(not_verified, seen) => (not_verified, seen),
    };
    let pruned = Pruned {
        desired: &decision.desired,
        inventory: std::mem::take(&mut decision.snapshot.inventory),
        claims: &decision.snapshot.claims,
        obsolete: &decision.diff.obsolete,
        has_orphans: decision.snapshot.current.pending.is_some(),
    };
    let (mut finish, inventory, more) = prune_after(cx, session, pruned).await?;
    invalidations.extend(more);
    let record = async {
        let generation = session.current().await.generation + 1;
        cx.store.store_inventory(generation, &inventory).await
    };
    finish.done = true;
    finish.inventory = Some(cx.step(Step::Record, 0, 0, record).await?);
    finish.invalidations = invalidations;
    finish.not_verified = not_verified;
    finish.seen = seen;
    Ok((finish, decision))
}

/// Stores the manifest of the release, where it has one of its own.
pub(super) async fn store_manifest(cx: &Context, decision: &Decision) -> Result<(), Error> {
    if decision.release.files_of.is_some() {
        return Ok(());
    }
    cx.store.store_manifest(&decision.release.id, &decision.desired).await
}

/// Records that this run makes the release live; nothing where it ends what an earlier run began to take back.
pub(super) fn begin_release(cx: &Context, current: &mut Current, decision: &Decision) {
    if decision.retreat.is_none() {
        let execution = cx.options.execution.as_deref();
        current.begin(Operation::Deploy, decision.release.clone(), execution, cx.now());
    }
}

/// The switch to a deployed release is done, by a run with these `options`: what it finishes belongs to its execution.
pub(super) fn go_live(current: &mut Current, id: &ReleaseId, options: &Options, now: jiff::Timestamp) {
    current.activate(id, false, now);
    current.set_commit(id, options.commit.as_deref());
    current.set_deployed_by(id, options.execution.as_deref(), options.environment.as_deref());
    current.end_switch();
}
