//! Going back to an earlier release, without the site: its entry files are in the archive, its
//! assets are still there. What it takes is bounded by the number of entry files.

use std::collections::{BTreeMap, HashSet};

use tokio_util::sync::CancellationToken;

use super::Deployer;
use super::publish::{Finish, end_switch, until};
use super::report::{InvalidationReport, Outcome, Report};
use super::session::Session;
use super::switch::{Source, is_overtaken};
use super::upload::Uploader;
use crate::bucket::Condition;
use crate::error::{Error, Refusal};
use crate::plan::{
    IfLive, Obsolete, Reason, RemovedPages, RollbackTo, ToInspect, Write, covering_paths, rollback_target,
};
use crate::progress::Step;
use crate::site::{Key, Role};
use crate::state::{Current, Manifest, Operation, Phase, ReleaseFile, ReleaseId, ReleaseRecord};

/// How often a rollback starts over because the bucket changed under it.
const ROUNDS: usize = 4;

/// What a rollback changes.
#[derive(Debug, Default)]
struct Changes {
    /// The files to bring back, as a manifest of their own.
    desired: Manifest,
    writes: Vec<Write>,
    /// Pages that the target release does not have, with their data.
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
        self.for_one_run().run_rollback(to, if_live, stop).await
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
            return Ok(self.unchanged_report(&current));
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
        let done = self.guard(&session, stop, work).await;
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
        let wanted = self.wanted(before, target).await?;
        // A release that cannot be restored is refused before anything is begun.
        let mut looked = Some(self.step(Step::Inspect, 0, 0, self.look(&wanted)).await?);
        let now = self.now();
        let execution = self.options.execution.as_deref();
        session.update(|current| current.begin(Operation::Rollback, target.clone(), execution, now)).await?;
        let uploader = Uploader::new(self, session);
        for _ in 0..ROUNDS {
            let changes = match looked.take() {
                Some(changes) => changes,
                None => self.step(Step::Inspect, 0, 0, self.look(&wanted)).await?,
            };
            let writes: Vec<&Write> = changes.writes.iter().collect();
            if !writes.is_empty() {
                let paths = covering_paths(
                    writes.iter().map(|w| &changes.desired.files[w.file].key),
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
                let bytes = writes.iter().map(|w| changes.desired.files[w.file].size).sum();
                let switch = self.switch(&changes.desired, &writes, Source::Archive, session, &uploader);
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

    /// What differs between the target release and all that may stand in the bucket now.
    async fn wanted(&self, before: &Current, target: &ReleaseRecord) -> Result<Wanted, Error> {
        let entries = self.read_entries(&target.id).await?;
        let mut wanted = Wanted { target: target.id.to_string(), ..Wanted::default() };
        let mut others = Vec::new();
        for id in before.live.iter().chain(&before.unrecorded).filter(|id| **id != target.id) {
            match self.read_entries(id).await {
                Ok(manifest) => others.push(manifest),
                // Begun, and dead before its manifest was stored: it wrote nothing.
                Err(Error::State(crate::state::StateError::Missing { .. })) if before.live.as_ref() != Some(id) => {}
                Err(error) => return Err(error),
            }
        }
        // A rollback to what is live repairs after a dead deployment: nothing is taken for granted.
        let trusted = before.live.as_ref() != Some(&target.id) && before.pending.is_none();
        for file in &entries.files {
            let differs =
                |m: &Manifest| m.get(&file.key).is_none_or(|f| f.sha256 != file.sha256 || f.headers != file.headers);
            if !trusted || others.iter().any(differs) {
                wanted.files.insert(file.key.clone(), file.clone());
            }
        }
        let mut assets: Option<Manifest> = None;
        // The name may have changed its content under a release that is neither, live or half switched:
        // what stands there now is whose came last.
        let mut restless = Vec::new();
        for release in before.releases.iter().filter(|r| r.id != target.id) {
            match self.read_entries(&release.id).await {
                Ok(manifest) => restless.extend(manifest.files.into_iter().filter(|f| f.demoted)),
                Err(Error::State(crate::state::StateError::Missing { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        let others: Vec<&ReleaseFile> = others.iter().flat_map(|m| &m.files).chain(&restless).collect();
        let page = |f: &&ReleaseFile| f.role >= Role::Html;
        let before = others.iter().copied().filter(|f| page(f) && entries.get(&f.key).is_none());
        let removed = RemovedPages::new(before.map(|f| &f.key), entries.files.iter().filter(page).map(|f| &f.key));
        for other in others.into_iter().filter(|f| entries.get(&f.key).is_none()) {
            let goes = removed.include(&other.key, other.role);
            if !goes && !other.demoted {
                continue;
            }
            let whole = match assets.take() {
                Some(whole) => whole,
                None => self.read_manifest(&target.id).await?,
            };
            // The release may have it as a fingerprinted file. Where the content changed since, or the rule that made a
            // page one was removed, the bytes are in the archive.
            if let Some(file) = whole.get(&other.key) {
                wanted.files.insert(file.key.clone(), file.clone());
            } else if goes {
                wanted.pages.push(other.clone());
            }
            assets = Some(whole);
        }
        Ok(wanted)
    }

    /// Looks at everything a rollback may have to change, and plans the changes.
    async fn look(&self, wanted: &Wanted) -> Result<Changes, Error> {
        let keys: HashSet<&Key> = wanted.files.keys().chain(wanted.pages.iter().map(|p| &p.key)).collect();
        let questions: Vec<ToInspect> =
            keys.into_iter().map(|key| ToInspect { key: key.clone(), needs_hash: false }).collect();
        let found = self.inspect(&questions).await?;
        let mut changes = Changes::default();
        for file in wanted.files.values() {
            let condition = match found.get(file.key.as_str()) {
                Some(f) if f.sha256 == Some(file.sha256) && f.headers == *file.headers => continue,
                Some(f) => Condition::IfMatch(f.etag.clone()),
                None => Condition::IfAbsent,
            };
            changes.writes.push(Write { file: changes.desired.files.len(), condition, reason: Reason::Content });
            changes.desired.files.push(file.clone());
        }
        for page in &wanted.pages {
            let Some(f) = found.get(page.key.as_str()).filter(|f| f.sha256 == Some(page.sha256)) else { continue };
            changes.pages.push(Obsolete {
                key: page.key.clone(),
                etag: f.etag.clone(),
                size: f.size,
                role: page.role,
                confirmed: true,
                with_switch: true,
            });
        }
        self.check_archive(wanted, &changes.desired).await?;
        Ok(changes)
    }

    /// Nothing is replaced unless everything can be.
    async fn check_archive(&self, wanted: &Wanted, desired: &Manifest) -> Result<(), Error> {
        use crate::bucket::Bucket as _;
        use futures::stream::{self, StreamExt as _, TryStreamExt as _};
        stream::iter(&desired.files)
            .map(|file| async move {
                let blob = self.area.blob(&file.sha256);
                match self.state.head(&blob).await? {
                    Some(info) if info.size == file.size => Ok(()),
                    _ => Err(Error::from(Refusal::Incomplete {
                        release: format!("release {}", wanted.target),
                        key: blob,
                    })),
                }
            })
            .buffer_unordered(self.options.retry.concurrency.max(1))
            .try_collect()
            .await
    }
}

/// What a rollback may have to change.
#[derive(Debug, Default)]
struct Wanted {
    target: String,
    /// Files of the target release that may not be as it has them.
    files: BTreeMap<Key, ReleaseFile>,
    /// Pages of other releases that it does not have, with their data.
    pages: Vec<ReleaseFile>,
}
