//! Going back to an earlier release, without the site: its entry files are in the archive, its assets are still in the
//! bucket or, where something else took their names, in the archive.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio_util::sync::CancellationToken;

use super::Deployer;
use super::publish::{Finish, end_switch, until};
use super::report::{InvalidationReport, Outcome, Report};
use super::session::Session;
use super::switch::{Source, is_overtaken};
use super::upload::Uploader;
use crate::error::{Error, Refusal};
use crate::plan::{
    Adopt, DiffInput, IfLive, Obsolete, Overwritten, Reason, RollbackTo, Write, covering_paths, overwritten,
    restoring_writes, rollback_target,
};
use crate::progress::Step;
use crate::site::Role;
use crate::state::{Current, Manifest, Operation, Phase, ReleaseId, ReleaseRecord};

/// How often a rollback starts over because the bucket changed under it.
const ROUNDS: usize = 4;

/// What a rollback changes, by one comparison of the release with what the bucket holds.
#[derive(Debug, Default)]
struct Changes {
    /// Files of the release that are not as it had them.
    writes: Vec<Write>,
    /// Recorded bytes that the writes replace.
    overwritten: Vec<Overwritten>,
    /// Pages that the release does not have, with their data; none as long as there are writes.
    pages: Vec<Obsolete>,
}

impl Deployer {
    /// Makes an earlier (or later) release of the history live again, and looks at it where there is a verifier. With
    /// `if_live`: only if that one is live, or was half switched to; otherwise nothing is done, which is a success.
    ///
    /// # Errors
    /// [`Error::NoSuchRelease`] if there is none to go to; [`Conflict::Ambiguous`](crate::error::Conflict::Ambiguous) if
    /// `if_live` names several; [`Error::NotVerified`] if the restored release is not what is served; else as
    /// [`Deployer::deploy`].
    pub async fn rollback(
        &self,
        to: &RollbackTo,
        if_live: Option<&IfLive>,
        stop: &CancellationToken,
    ) -> Result<Report, Error> {
        Box::pin(self.for_one_run().run_rollback(to, if_live, stop)).await
    }

    async fn run_rollback(
        &self,
        to: &RollbackTo,
        if_live: Option<&IfLive>,
        stop: &CancellationToken,
    ) -> Result<Report, Error> {
        let (current, etag) = until(stop, self.read_current()).await?;
        self.warn_of_other_environment(&current);
        let Some(target) = rollback_target(&current, to, if_live)?.cloned() else {
            // With a condition nothing is done where it is not met.
            let seen = if if_live.is_none() { until(stop, self.look_at_suspect(&current)).await? } else { None };
            return Ok(Report { seen, ..self.unchanged_report(&current) });
        };
        let lease = self.take_lease((current.clone(), etag), |_| {}, stop);
        let (session, as_seen) = self.step(Step::Lease, 0, 0, lease).await?;
        let work = async {
            let now = session.current().await;
            let target = if as_seen { Some(target) } else { rollback_target(&now, to, if_live)?.cloned() };
            match target {
                None => Ok((None, Finish::default())),
                Some(target) => {
                    let mut finish = self.go_back(&session, &now, &target).await?;
                    (finish.not_verified, finish.seen) = self.look_at_restored(&session, &target).await?;
                    Ok((Some(target), finish))
                }
            }
        };
        let done = self.guard(&session, stop, Box::pin(work)).await;
        let (target, finish) = self.close(session, done, stop, |(_, finish)| finish).await?;
        if let Some(failed) = finish.not_verified {
            return Err(failed.into());
        }
        match target {
            None => Ok(self.unchanged_report(&self.read_current().await?.0)),
            Some(target) => {
                let previous = current.live.as_ref().map(ToString::to_string);
                let report = self.run_report(Outcome::RolledBack, Some(&target), previous, finish.invalidations);
                Ok(Report { seen: finish.seen, ..report })
            }
        }
    }

    fn unchanged_report(&self, current: &Current) -> Report {
        self.run_report(Outcome::Unchanged, current.live_release(), None, Vec::new())
    }

    pub(super) async fn go_back(
        &self,
        session: &Session,
        before: &Current,
        target: &ReleaseRecord,
    ) -> Result<Finish, Error> {
        self.abort_recorded_uploads(session).await;
        let desired = self.read_manifest(&target.id).await?;
        // A release that cannot be restored is refused before anything is begun.
        let mut compared = Some(self.step(Step::Inspect, 0, 0, Box::pin(self.compare(target, &desired))).await?);
        let now = self.now();
        let execution = self.options.execution.as_deref();
        session.update(|current| current.begin(Operation::Rollback, target.clone(), execution, now)).await?;
        let uploader = Uploader::new(self, session);
        for _ in 0..ROUNDS {
            let changes = match compared.take() {
                Some(changes) => changes,
                None => self.step(Step::Inspect, 0, 0, Box::pin(self.compare(target, &desired))).await?,
            };
            let writes: Vec<&Write> = changes.writes.iter().collect();
            if !writes.is_empty() {
                let paths = covering_paths(
                    writes.iter().map(|w| &desired.files[w.file].key),
                    &self.options.url_prefix,
                    self.options.invalidation,
                );
                session
                    .update(|current| {
                        self.owe(current, &paths);
                        if let Some(pending) = &mut current.pending {
                            pending.phase = Phase::Switching;
                        }
                    })
                    .await?;
                match self.archive_overwritten(&changes.overwritten, &uploader).await {
                    Err(error) if is_overtaken(&error) => continue,
                    archived => archived?,
                }
                let bytes = writes.iter().map(|w| desired.files[w.file].size).sum();
                let switch = self.switch(&desired, &writes, Source::Archive, session, &uploader);
                match self.step(Step::Switch, writes.len() as u64, bytes, switch).await {
                    Err(error) if is_overtaken(&error) => continue,
                    written => written?,
                };
                // Look again: a late write of another run may have come in between.
                continue;
            }
            let now = self.now();
            let position = |id: &ReleaseId| before.releases.iter().position(|r| r.id == *id);
            let back = before.live.as_ref().is_some_and(|live| position(&target.id) < position(live));
            session
                .update(|current| {
                    current.activate(&target.id, back, now);
                    end_switch(current);
                })
                .await?;
            let mut invalidations = self.pay(session).await?;
            invalidations.extend(self.take_down(session, &changes.pages).await?);
            return Ok(Finish { done: true, invalidations, ..Finish::default() });
        }
        Err(Error::Unsettled { what: "entry files were replaced as soon as they were written".to_owned() })
    }

    /// Deletes pages that the release does not have.
    async fn take_down(&self, session: &Session, pages: &[Obsolete]) -> Result<Vec<InvalidationReport>, Error> {
        if pages.is_empty() {
            return Ok(Vec::new());
        }
        let keys = pages.iter().map(|p| &p.key);
        let paths = covering_paths(keys, &self.options.url_prefix, self.options.invalidation);
        session.update(|current| self.owe(current, &paths)).await?;
        let doomed: Vec<&Obsolete> = pages.iter().collect();
        self.step(Step::Prune, pages.len() as u64, 0, self.delete(session, &doomed)).await?;
        self.pay(session).await
    }

    /// Compares the release with what the bucket holds, as a deployment of it would, and plans the changes. The number
    /// of requests depends on what differs, not on the number of releases.
    async fn compare(&self, target: &ReleaseRecord, desired: &Manifest) -> Result<Changes, Error> {
        let mut snapshot = self.snapshot().await?;
        // What it had is ours, whatever stands there.
        snapshot.inventory.add_unseen(desired);
        snapshot.leave_out_nested();
        let (diff, inspected) =
            self.settle(desired, &snapshot.inventory, &snapshot.claims, &mut snapshot.listed).await?;
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
        let overwritten = overwritten(&input, &writes);
        self.check_archive(target, desired, &writes).await?;
        // Pages are deleted when nothing is left to write.
        let pages = diff.obsolete.iter().filter(|o| o.with_switch && writes.is_empty()).collect();
        let pages = self.confirm(pages, &snapshot.inventory, &snapshot.claims).await?.into_iter().cloned().collect();
        Ok(Changes { writes, overwritten, pages })
    }

    /// Nothing is replaced unless everything can be.
    async fn check_archive(&self, target: &ReleaseRecord, desired: &Manifest, writes: &[Write]) -> Result<(), Error> {
        let from_archive = writes.iter().filter(|w| w.reason != Reason::Headers).map(|w| &desired.files[w.file]);
        stream::iter(from_archive)
            .map(|file| async move {
                if self.is_archived(&file.sha256, file.size).await? {
                    return Ok(());
                }
                let key = match file.role {
                    // Its bytes were never in the archive, so what is missing is the file.
                    Role::Fingerprinted => self.key(file.key.as_str()),
                    Role::Entry | Role::Html | Role::Root => self.area.blob(&file.sha256),
                };
                Err(Error::from(Refusal::Incomplete { release: format!("release {}", target.id), key }))
            })
            .buffer_unordered(self.options.retry.concurrency.max(1))
            .try_collect()
            .await
    }
}
