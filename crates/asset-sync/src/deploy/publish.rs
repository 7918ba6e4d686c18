//! A deployment from beginning to end.

use std::time::Duration;

use futures::future::join_all;
use futures::try_join;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::decide::{Decision, check_nested, is_staged};
use super::prune::Pruned;
use super::report::{InvalidationReport, Outcome, Report, Seen};
use super::session::Session;
use super::snapshot::Snapshot;
use super::stage::{Archived, adopted_release};
use super::stock::{expected, take_stock};
use super::switch::{Source, Written, is_overtaken};
use super::upload::Uploader;
use super::verify::Looked;
use super::{Deployer, Options, ReleaseInfo};
use crate::bucket::Bucket as _;
use crate::error::{Error, NotVerified};
use crate::plan::Write;
use crate::progress::Step;
use crate::site::{Site, SiteFile};
use crate::state::{Current, Manifest, Operation, Phase, RecordedUpload, ReleaseId, ReleaseRecord};

/// How often a run starts over because the bucket changed under it.
const ROUNDS: usize = 4;

/// The time that each of the three parts of cleaning up may take: waiting for uploads that are being
/// begun, aborting uploads, and giving the lease back. Together they are well within the 30 s that
/// Kubernetes leaves a process after SIGTERM.
pub(super) const CLEAN_UP: Duration = Duration::from_secs(5);

/// What remains to be recorded when everything else is done.
#[derive(Debug, Default)]
pub(super) struct Finish {
    /// What was begun is done; otherwise nothing was begun, and the journal stays as it is.
    pub(super) done: bool,
    /// Generation of a new inventory.
    pub(super) inventory: Option<u64>,
    /// That inventory does not cover the releases that the one before did not either.
    pub(super) keep_unrecorded: bool,
    /// Releases that are gone.
    pub(super) expired: Vec<ReleaseId>,
    pub(super) invalidations: Vec<InvalidationReport>,
    /// All is on record, and yet the site is not what it should be.
    pub(super) not_verified: Option<NotVerified>,
    /// What was seen of the site.
    pub(super) seen: Option<Seen>,
}

/// Runs `work` unless told to stop first.
pub(super) async fn until<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::Interrupted),
        done = work => done,
    }
}

impl Deployer {
    /// Decides how `site` becomes live, once `reading` is done.
    pub(super) async fn decide_by(
        &self,
        reading: AbortOnDropHandle<Result<Snapshot, Error>>,
        site: &Site,
        info: &ReleaseInfo,
    ) -> Result<Decision, Error> {
        let read = async { reading.await.map_err(|e| Error::Internal(format!("reading the target failed: {e}")))? };
        let snapshot = self.step(Step::Read, 0, 0, read).await?;
        self.warn_of_findings(site, &snapshot.current);
        self.decide(snapshot, site, info).await
    }

    /// Reads what there is and decides how `site` becomes live.
    async fn read_and_decide(&self, site: &Site, info: &ReleaseInfo) -> Result<Decision, Error> {
        let snapshot = self.step(Step::Read, 0, 0, self.snapshot()).await?;
        self.decide(snapshot, site, info).await
    }

    pub(super) async fn run_deploy(
        &self,
        reading: AbortOnDropHandle<Result<Snapshot, Error>>,
        site: &Site,
        info: &ReleaseInfo,
        stop: &CancellationToken,
    ) -> Result<Report, Error> {
        let mut decision = until(stop, self.decide_by(reading, site, info)).await?;
        loop {
            if decision.is_nothing() {
                let seen = until(stop, self.look_if_required(&decision)).await?;
                return Ok(Report { seen, ..self.deploy_report(Outcome::Unchanged, &decision, Vec::new()) });
            }
            if !decision.is_relabel() || decision.snapshot.current.lease.is_some() {
                break;
            }
            until(stop, self.probe_conditional_writes()).await?;
            if until(stop, self.relabel(&decision)).await? {
                let seen = until(stop, self.look_if_required(&decision)).await?;
                return Ok(Report { seen, ..self.deploy_report(Outcome::Deployed, &decision, Vec::new()) });
            }
            decision = until(stop, self.read_and_decide(site, info)).await?;
        }
        let current = decision.snapshot.current.clone();
        // They are aborted before their record is written over.
        let has_uploads = current.pending.as_ref().is_some_and(|pending| !pending.uploads.is_empty());
        let begin = |current: &mut Current| {
            if !has_uploads {
                self.begin_release(current, &decision);
            }
        };
        let seen = (current, decision.snapshot.etag.clone());
        let (session, as_seen) = self.step(Step::Lease, 0, 0, self.take_lease(seen, begin, stop)).await?;
        let recorded = as_seen && !has_uploads;
        let work = async {
            if !as_seen {
                decision = self.read_and_decide(site, info).await?;
            }
            if decision.is_nothing() {
                return Ok((Outcome::Unchanged, Finish::default(), decision));
            }
            if let Some(target) = decision.retreat.take() {
                let finish = self.finish_retreat(&session, &decision.release, &target).await?;
                return Ok((Outcome::RolledBack, finish, decision));
            }
            let (finish, decision) = self.publish(&session, decision, site, recorded).await?;
            Ok((Outcome::Deployed, finish, decision))
        };
        let done = self.guard(&session, stop, Box::pin(work)).await;
        let (outcome, finish, decision) = self.close(session, done, stop, |(_, finish, _)| finish).await?;
        self.forget_superseded(&decision.snapshot.current, &finish, stop).await;
        if let Some(failed) = finish.not_verified {
            return Err(failed.into());
        }
        Ok(Report { seen: finish.seen, ..self.deploy_report(outcome, &decision, finish.invalidations) })
    }

    /// Runs work that needs the lease, until it is done, the lease is lost, or the run is told to stop.
    pub(super) async fn guard<T>(
        &self,
        session: &Session,
        stop: &CancellationToken,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let done = tokio::select! {
            biased;
            () = stop.cancelled() => Err(Error::Interrupted),
            () = session.lost() => Err(Error::LeaseLost { last_failure: None }),
            done = work => done,
        };
        // A store that failed for too long is the most likely reason.
        let with_reason = |error| match error {
            Error::LeaseLost { last_failure: None } => {
                Error::LeaseLost { last_failure: self.bucket.counts().last_failure() }
            }
            other => other,
        };
        done.map_err(with_reason)
    }

    /// Ends a session: with the outcome on record, or after a failure with unfinished uploads
    /// aborted and the journal kept. The lease is given back either way.
    pub(super) async fn close<T>(
        &self,
        session: Session,
        done: Result<T, Error>,
        stop: &CancellationToken,
        finish: impl Fn(&T) -> &Finish,
    ) -> Result<T, Error> {
        match done {
            Ok(value) => {
                let end = finish(&value);
                let record = |current: &mut Current| {
                    if end.done {
                        current.finish();
                    }
                    if end.inventory.is_some() {
                        current.inventory = end.inventory;
                        current.unrecorded.retain(|id| end.keep_unrecorded && !end.expired.contains(id));
                    }
                    current.releases.retain(|r| !end.expired.contains(&r.id));
                };
                tokio::select! {
                    biased;
                    released = session.release(record) => released?,
                    () = stop.cancelled() => {
                        // All is done but to say so: once more, in the time that is left.
                        let again = timeout(CLEAN_UP, session.release(record)).await;
                        again.unwrap_or(Err(Error::Interrupted))?
                    }
                };
                Ok(value)
            }
            Err(lost @ Error::LeaseLost { .. }) => Err(lost),
            Err(error) => {
                // The first error is the one to tell; what cannot be cleaned up now is on record.
                // Each for itself: where the store does not answer to one, it may to the others.
                session.uploads().tasks.close();
                timeout(CLEAN_UP, session.uploads().tasks.wait()).await.ok();
                let aborts = session.uploads().list().into_iter().map(|upload| async {
                    let aborted = timeout(CLEAN_UP, self.abort(&upload)).await;
                    if matches!(aborted, Ok(Ok(()))) { None } else { Some(upload) }
                });
                let left: Vec<RecordedUpload> = join_all(aborts).await.into_iter().flatten().collect();
                let release = session.release(|current| {
                    if let Some(pending) = &mut current.pending {
                        pending.uploads.clone_from(&left);
                    }
                });
                timeout(CLEAN_UP, release).await.ok();
                Err(error)
            }
        }
    }

    async fn abort(&self, upload: &RecordedUpload) -> Result<(), Error> {
        let bucket = if upload.in_state { &self.state } else { &self.bucket };
        Ok(bucket.abort_multipart(&upload.key, &upload.id).await?)
    }

    /// Aborts what an earlier run left unfinished; only what it recorded.
    pub(super) async fn abort_recorded_uploads(&self, session: &Session) {
        let current = session.current().await;
        for upload in current.pending.iter().flat_map(|p| &p.uploads) {
            if let Err(error) = self.abort(upload).await {
                self.warn(format!("an unfinished upload of an earlier run could not be aborted: {error}"));
            }
        }
    }

    /// The same files under another version or build: a manifest and a pointer, no lease needed.
    /// `false` if somebody else was faster.
    async fn relabel(&self, decision: &Decision) -> Result<bool, Error> {
        let id = &decision.release.id;
        if !decision.known {
            self.store_manifest(id, &decision.desired).await?;
        }
        let mut next = decision.snapshot.current.clone();
        self.begin_release(&mut next, decision);
        go_live(&mut next, id, &self.options, self.now());
        next.finish();
        // All its files are in the inventory: they are those of the release before.
        next.unrecorded.clone_from(&decision.snapshot.current.unrecorded);
        self.write_unleased(&next, decision.snapshot.etag.as_ref()).await
    }

    /// Records that this run makes the release live; nothing where it ends what an earlier run began to take back.
    fn begin_release(&self, current: &mut Current, decision: &Decision) {
        if decision.retreat.is_none() {
            let execution = self.options.execution.as_deref();
            current.begin(Operation::Deploy, decision.release.clone(), execution, self.now());
        }
    }

    async fn publish(
        &self,
        session: &Session,
        mut decision: Decision,
        site: &Site,
        recorded: bool,
    ) -> Result<(Finish, Decision), Error> {
        if !recorded {
            self.abort_recorded_uploads(session).await;
            session.update(|current| self.begin_release(current, &decision)).await?;
        }
        let mut archived = if decision.known {
            None
        } else {
            let store = self.store_manifest(&decision.release.id, &decision.desired);
            Some(try_join!(store, self.archived())?.1)
        };
        for key in &decision.demoted {
            self.warn(format!(
                "{key} has a fingerprinted name and yet its content changed: it is served as an entry file from now on, not as immutable"
            ));
        }
        let uploader = Uploader::new(self, session);
        for _ in 0..ROUNDS {
            let archived = match archived.take() {
                Some(archived) => archived,
                None => self.archived().await?,
            };
            let written = match self.bring_in(session, &decision, &site.files, archived, &uploader).await {
                Err(error) if is_overtaken(&error) => {
                    decision = self.decide_again(decision).await?;
                    continue;
                }
                done => done?,
            };
            let now = self.now();
            let live = session.update(|current| go_live(current, &decision.release.id, &self.options, now));
            // Listed after the last write of a file, which is what counts.
            let expected = expected(&decision);
            let list = self.step(Step::Confirm, 0, 0, self.list_target(&expected));
            let (_, listed) = try_join!(live, list)?;
            let (inventory, doubtful) = take_stock(&decision, &written, &listed, self.now());
            drop(listed);
            if doubtful == 0 {
                decision.snapshot.inventory = inventory;
                return self.wind_up(session, decision).await;
            }
            decision = self.decide_again(decision).await?;
        }
        Err(Error::Unsettled { what: "objects were replaced or deleted as soon as they were written".to_owned() })
    }

    /// Stages and switches: the release's files are in place afterwards.
    async fn bring_in(
        &self,
        session: &Session,
        decision: &Decision,
        files: &[SiteFile],
        archived: Archived,
        uploader: &Uploader,
    ) -> Result<Vec<Written>, Error> {
        let mut written = self.stage(decision, files, archived, uploader).await?;
        if let Some(adopted) = adopted_release(decision) {
            self.record_adopted(session, adopted).await?;
        }
        let writes: Vec<&Write> = decision.diff.writes.iter().filter(|w| !is_staged(&decision.desired, w)).collect();
        if !writes.is_empty() {
            session
                .update(|current| {
                    self.owe(current, &decision.paths);
                    if let Some(pending) = &mut current.pending {
                        pending.phase = Phase::Switching;
                    }
                })
                .await?;
            let bytes = writes.iter().map(|w| decision.desired.files[w.file].size).sum();
            let switch = self.switch(&decision.desired, &writes, Source::Site(files), session, uploader);
            written.extend(self.step(Step::Switch, writes.len() as u64, bytes, switch).await?);
        }
        Ok(written)
    }

    /// The same release once more, against what the bucket holds now.
    async fn decide_again(&self, before: Decision) -> Result<Decision, Error> {
        let mut snapshot = self.step(Step::Read, 0, 0, self.snapshot()).await?;
        let (diff, inspected) =
            self.settle(&before.desired, &snapshot.inventory, &snapshot.claims, &mut snapshot.listed).await?;
        check_nested(&snapshot, &before.desired, &diff)?;
        self.check_obstacles(&before.desired, &diff)?;
        let paths = self.stale_paths(&before.desired, &diff);
        Ok(Decision { snapshot, diff, inspected, paths, known: true, ..before })
    }

    /// Records what is about to be replaced as a release of its own; what an earlier run recorded of the same adoption, or
    /// of another one, is part of it: there is one state before the first deployment, and it is restored whole.
    async fn record_adopted(&self, session: &Session, found: Manifest) -> Result<(), Error> {
        let current = session.current().await;
        let mergeable = |r: &&ReleaseRecord| r.adopted && current.live.as_ref() != Some(&r.id);
        let mut before = None;
        for record in current.releases.iter().filter(mergeable) {
            let earlier = match self.read_manifest(&record.id).await {
                Ok(earlier) => earlier,
                // Nothing to be added to.
                Err(Error::State(_)) => continue,
                Err(error) => return Err(error),
            };
            if let Some(manifest) = found.merged(&earlier) {
                before = Some((record.id.clone(), manifest));
                break;
            }
        }
        let (before, manifest) = before.map_or((None, found), |(id, manifest)| (Some(id), manifest));
        let now = self.now();
        let record = ReleaseRecord {
            activated_at: Some(now),
            superseded_at: Some(now),
            adopted: true,
            ..ReleaseRecord::new(0, "adopted", &manifest, now)
        };
        if before.as_ref() == Some(&record.id) {
            return Ok(());
        }
        self.store_manifest(&record.id, &manifest).await?;
        session.update(|current| current.record_adopted(record.clone(), before.as_ref())).await?;
        if let Some(before) = before {
            // Left behind it does no harm.
            let keys = [self.area.release_entries(&before), self.area.release_assets(&before)];
            self.state.delete(&keys.map(|key| (key, None))).await.ok();
        }
        Ok(())
    }

    /// Everything is in place: invalidate, delete, and write down what the bucket holds.
    async fn wind_up(&self, session: &Session, mut decision: Decision) -> Result<(Finish, Decision), Error> {
        let mut invalidations = self.pay(session).await?;
        let (not_verified, seen) = match self.look_at_release(session, &decision).await? {
            Looked::RolledBack(finish) => return Ok((finish, decision)),
            Looked::Stays(not_verified, seen) => (not_verified, seen),
        };
        let pruned = Pruned {
            live: &decision.release.id,
            desired: &decision.desired,
            inventory: std::mem::take(&mut decision.snapshot.inventory),
            claims: &decision.snapshot.claims,
        };
        let (mut finish, inventory, more) = self.prune_after(session, pruned, &decision.diff.obsolete).await?;
        invalidations.extend(more);
        let record = async {
            let generation = session.current().await.generation + 1;
            self.put_state(&self.area.inventory(generation), inventory.encode()).await?;
            Ok(generation)
        };
        finish.done = true;
        finish.inventory = Some(self.step(Step::Record, 0, 0, record).await?);
        finish.invalidations = invalidations;
        finish.not_verified = not_verified;
        finish.seen = seen;
        Ok((finish, decision))
    }

    /// Deletes state objects nothing refers to any more. Left behind they do no harm.
    pub(super) async fn forget_superseded(&self, before: &Current, finish: &Finish, stop: &CancellationToken) {
        let mut keys = Vec::new();
        if let (Some(_), Some(old)) = (finish.inventory, before.inventory) {
            keys.push((self.area.inventory(old), None));
        }
        for id in &finish.expired {
            keys.push((self.area.release_entries(id), None));
            keys.push((self.area.release_assets(id), None));
        }
        for batch in keys.chunks(crate::bucket::MAX_BATCH) {
            until(stop, async { Ok(self.state.delete(batch).await?) }).await.ok();
        }
    }

    fn deploy_report(&self, result: Outcome, decision: &Decision, invalidations: Vec<InvalidationReport>) -> Report {
        let previous = decision.previous.as_ref().map(ToString::to_string);
        Report {
            unchanged: decision.unchanged_tally(),
            foreign: decision.diff.foreign,
            ..self.run_report(result, Some(&decision.release), previous, invalidations)
        }
    }
}

/// The switch to a deployed release is done, by a run with these `options`: what it finishes belongs to its execution.
fn go_live(current: &mut Current, id: &ReleaseId, options: &Options, now: jiff::Timestamp) {
    current.activate(id, false, now);
    current.set_deployed_by(id, options.execution.as_deref(), options.environment.as_deref());
    end_switch(current);
}

/// All entry files are those of the live release.
pub(super) fn end_switch(current: &mut Current) {
    if let Some(pending) = &mut current.pending {
        pending.phase = Phase::Switched;
        pending.mixed = false;
    }
}
