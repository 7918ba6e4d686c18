//! Deleting what no kept release needs: only what a release of ours recorded, and only as recorded.

use std::collections::{HashMap, HashSet};

use futures::stream::{self, StreamExt as _};

use tokio_util::sync::CancellationToken;

use super::Deployer;
use super::listing::list_all;
use super::publish::{Finish, until};
use super::report::{InvalidationReport, Outcome, Report};
use super::session::Session;
use crate::bucket::{Bucket as _, BucketErrorKind, ETag, MAX_BATCH};
use crate::error::{Error, Refusal};
use crate::plan::{Adopt, Claims, Diff, DiffInput, Needed, Obsolete, ToInspect, covering_paths};
use crate::progress::{Event, Step};
use crate::site::{Key, Role};
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

impl Deployer {
    /// Deletes what only expired releases have, without deploying anything. Also pays an
    /// invalidation that an earlier run still owes.
    ///
    /// # Errors
    /// [`Refusal::Unfinished`] while a deployment or rollback is half done; else as
    /// [`Deployer::deploy`].
    pub async fn prune(&self, stop: &CancellationToken) -> Result<Report, Error> {
        Box::pin(self.for_one_run().run_prune(stop)).await
    }

    async fn run_prune(&self, stop: &CancellationToken) -> Result<Report, Error> {
        let seen = until(stop, self.read_current()).await?;
        self.warn_of_other_environment(&seen.0);
        check_finished(&seen.0)?;
        let expired = seen.0.expired(self.options.keep_releases, self.options.grace, self.now());
        if expired.is_empty() && seen.0.debts.is_empty() {
            let live = seen.0.live_release().ok_or_else(nothing_live)?;
            return Ok(self.run_report(Outcome::Unchanged, Some(live), None, Vec::new()));
        }
        let (session, _) = self.step(Step::Lease, 0, 0, self.take_lease(seen, |_| {}, stop)).await?;
        let work = async {
            let snapshot = self.step(Step::Read, 0, 0, self.snapshot()).await?;
            check_finished(&snapshot.current)?;
            let live = snapshot.current.live_release().ok_or_else(nothing_live)?.clone();
            let desired = self.read_manifest(&live.id).await?;
            let diff = Diff::new(DiffInput {
                desired: &desired,
                inventory: &snapshot.inventory,
                claims: &snapshot.claims,
                listed: &snapshot.listed,
                inspected: &HashMap::new(),
                adopt: Adopt::Refuse,
            });
            let mut invalidations = self.pay(&session).await?;
            let pruned =
                Pruned { live: &live.id, desired: &desired, inventory: snapshot.inventory, claims: &snapshot.claims };
            let (mut finish, inventory, more) = self.prune_after(&session, pruned, &diff.obsolete).await?;
            invalidations.extend(more);
            let generation = session.current().await.generation + 1;
            self.put_state(&self.area.inventory(generation), inventory.encode()).await?;
            finish.done = true;
            finish.inventory = Some(generation);
            finish.keep_unrecorded = true;
            finish.invalidations = invalidations;
            Ok((finish, snapshot.current, live))
        };
        let done = self.guard(&session, stop, work).await;
        let (finish, before, live) = self.close(session, done, stop, |(finish, _, _)| finish).await?;
        self.forget_superseded(&before, &finish, stop).await;
        Ok(self.run_report(Outcome::Pruned, Some(&live), None, finish.invalidations))
    }

    /// Deletes, after a switch whose invalidation is complete: pages the live release does not
    /// have, with their data, and whatever only expired releases had. Removes what is gone from the inventory.
    pub(super) async fn prune_after(
        &self,
        session: &Session,
        after: Pruned<'_>,
        obsolete: &[Obsolete],
    ) -> Result<(Finish, Inventory, Vec<InvalidationReport>), Error> {
        let Pruned { live, desired, mut inventory, claims } = after;
        let current = session.current().await;
        let mut expired = current.expired(self.options.keep_releases, self.options.grace, self.now());
        let (pages, others): (Vec<&Obsolete>, Vec<&Obsolete>) = obsolete.iter().partition(|o| o.with_switch);
        let kept: Vec<ReleaseRecord> =
            current.releases.iter().filter(|r| r.id != *live && !expired.contains(&r.id)).cloned().collect();
        let mut doomed = pages;
        let mut needed = None;
        if !expired.is_empty() {
            needed = self.needed(desired, kept).await?;
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
                        for file in self.read_manifest_if_sound(id).await?.into_iter().flat_map(|m| m.files) {
                            known.entry(file.key.clone()).or_default().push(file);
                        }
                    }
                }
                let doomed = self.confirm(doomed, &inventory, &known).await?;
                // Edges may hold them; a page that is gone must not go on being served.
                let paths = covering_paths(
                    doomed.iter().filter(|d| d.role >= Role::Entry).map(|d| &d.key),
                    &self.options.url_prefix,
                    self.options.invalidation,
                );
                if !paths.is_empty() {
                    session.update(|current| self.owe(current, &paths)).await?;
                }
                self.delete(session, &doomed).await
            };
            let gone = self.step(Step::Prune, obsolete.len() as u64, 0, work).await?;
            // That a name was demoted is remembered: see `take_stock`.
            inventory.records.retain(|r| r.demoted || !gone.contains(&r.key));
            invalidations = self.pay(session).await?;
        }
        if let Some(needed) = needed {
            self.sweep_blobs(session, &needed).await?;
        }
        Ok((Finish { expired, ..Finish::default() }, inventory, invalidations))
    }

    /// What the live release and those that are kept need; `None`, with a warning, if a manifest of a kept one is
    /// damaged or lost.
    async fn needed(&self, live: &Manifest, kept: Vec<ReleaseRecord>) -> Result<Option<Needed>, Error> {
        let mut needed = Needed::default();
        needed.add(live);
        let mut manifests = stream::iter(kept)
            .map(|release| async move {
                let manifest = if release.activated_at.is_some() {
                    self.read_manifest(&release.id).await.map(Some)
                } else {
                    // Given up, perhaps half switched: whoever saw its pages still needs its files.
                    self.read_manifest_if_any(&release.id).await
                };
                (release.id, manifest)
            })
            .buffer_unordered(MANIFESTS_AT_ONCE);
        while let Some((id, manifest)) = manifests.next().await {
            match manifest {
                Ok(manifest) => manifest.iter().for_each(|manifest| needed.add(manifest)),
                Err(Error::State(error)) if error.is_damage() => {
                    self.warn(format!(
                        "{error}. Nothing is pruned until release {id} expires, since what it needs is unknown; no rollback to it is possible"
                    ));
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(needed))
    }

    /// Leaves out objects that somebody else has replaced since we wrote them.
    pub(super) async fn confirm<'a>(
        &self,
        doomed: Vec<&'a Obsolete>,
        inventory: &Inventory,
        claims: &Claims,
    ) -> Result<Vec<&'a Obsolete>, Error> {
        let unsure: Vec<ToInspect> = doomed
            .iter()
            .filter(|o| !o.confirmed)
            .map(|o| ToInspect { key: o.key.clone(), needs_hash: true })
            .collect();
        if unsure.is_empty() {
            return Ok(doomed);
        }
        let found = self.inspect(&unsure).await?;
        Ok(doomed
            .into_iter()
            .filter(|o| {
                let Some(sha256) = found.get(o.key.as_str()).and_then(|f| f.sha256) else { return o.confirmed };
                let ours = inventory.get(&o.key).is_some_and(|r| r.sha256 == sha256)
                    || claims.get(&o.key).is_some_and(|c| c.iter().any(|f| f.sha256 == sha256));
                if !ours {
                    self.warn(format!("{} is not what was deployed there any more: left alone", o.key));
                }
                ours
            })
            .collect())
    }

    /// Deletes objects as long as they are what was listed; gives the keys that are gone.
    pub(super) async fn delete(&self, session: &Session, doomed: &[&Obsolete]) -> Result<HashSet<Key>, Error> {
        let mut gone = HashSet::new();
        for batch in doomed.chunks(MAX_BATCH) {
            session.check()?;
            let keys: Vec<(String, Option<ETag>)> =
                batch.iter().map(|o| (self.key(o.key.as_str()), Some(o.etag.clone()))).collect();
            let results = self.bucket.delete(&keys).await?;
            for (obsolete, result) in batch.iter().zip(results) {
                match result {
                    Ok(()) => {
                        self.options
                            .progress
                            .event(&Event::Deleted { key: obsolete.key.to_string(), bytes: obsolete.size });
                        gone.insert(obsolete.key.clone());
                    }
                    Err(error) if error.kind == BucketErrorKind::PreconditionFailed => {
                        self.warn(format!("{} changed just now: left alone", obsolete.key));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(gone)
    }

    /// Deletes archived bytes that no kept release has. Under the lease: a later run must not find
    /// them listed and rely on them meanwhile.
    async fn sweep_blobs(&self, session: &Session, needed: &Needed) -> Result<(), Error> {
        let prefix = self.area.blobs();
        let listed: HashMap<String, ETag> =
            list_all(&self.state, &prefix).await?.into_iter().map(|o| (o.key.to_string(), o.etag)).collect();
        let doomed: Vec<(String, Option<ETag>)> = listed
            .into_iter()
            .filter(|(key, _)| {
                key.strip_prefix(&prefix).and_then(|name| name.parse().ok()).is_some_and(|sha| !needed.blob(&sha))
            })
            .map(|(key, etag)| (key, Some(etag)))
            .collect();
        for batch in doomed.chunks(MAX_BATCH) {
            session.check()?;
            for result in self.state.delete(batch).await? {
                match result {
                    // Somebody wrote it anew, and so needs it.
                    Err(error) if error.kind == BucketErrorKind::PreconditionFailed => {}
                    deleted => deleted?,
                }
            }
        }
        Ok(())
    }
}

fn nothing_live() -> Error {
    Error::NoSuchRelease("no release is live on this target".to_owned())
}
