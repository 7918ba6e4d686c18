//! Looking at the live site after the switch, and drawing the consequence.

use async_trait::async_trait;
use bytes::Bytes;

use super::decide::Decision;
use super::publish::Finish;
use super::report::{NamedRelease, Seen};
use super::session::Session;
use super::{Deployer, Options};
use crate::bucket::read_all;
use crate::error::{Error, ErrorClass, NotVerified};
use crate::plan::{Consequence, consequence, previous};
use crate::progress::Step;
use crate::state::{Current, Manifest, Operation, ReleaseFile, ReleaseId, ReleaseRecord};
use crate::verify::{Contents, Expected, Fault, Observation, OnFailure, Verdict, Verifier};

/// How many observations of a kind are told one by one.
const SHOWN: usize = 5;

/// What came of looking.
#[derive(Debug)]
pub(super) enum Looked {
    /// The release stays live; with what is wrong all the same, and what was seen where that was
    /// looked for.
    Stays(Option<NotVerified>, Option<Seen>),
    /// The release before it is live again.
    RolledBack(Finish),
}

/// The entry files of the live release, which its deployment archived.
struct ArchivedEntries<'a>(&'a Deployer);

#[async_trait]
impl Contents for ArchivedEntries<'_> {
    async fn read(&self, file: &ReleaseFile) -> Option<Bytes> {
        let read = read_all(&*self.0.state, &self.0.area.blob(&file.sha256), file.size).await;
        Some(read.ok()??.1)
    }
}

/// The release that edges may still serve: the last one that the live release took the place of, with
/// other content.
fn superseded_last(current: &Current) -> Option<&ReleaseRecord> {
    let live = current.live_release()?;
    let past = current.releases.iter().filter(|r| r.activated_at.is_some() && r.tree != live.tree);
    past.max_by_key(|r| r.superseded_at)
}

impl Deployer {
    /// Compares the live release with what `verifier` can fetch of it.
    ///
    /// # Errors
    /// [`Error::NoSuchRelease`] where nothing is live; else what reading the state can give.
    pub async fn verify(&self, verifier: &dyn Verifier) -> Result<Verdict, Error> {
        let (current, _) = self.read_current().await?;
        self.warn_of_other_environment(&current);
        let nothing_live = || Error::NoSuchRelease("no release is live on this target".to_owned());
        let live = current.live.as_ref().ok_or_else(nothing_live)?;
        let manifest = self.read_manifest(live).await?;
        Ok(self.look_at(verifier, &current, &manifest).await)
    }

    async fn look_at(&self, verifier: &dyn Verifier, current: &Current, manifest: &Manifest) -> Verdict {
        let previous = match superseded_last(current) {
            // Without it a stale edge cannot be told, and the rest can.
            Some(before) => self.read_manifest(&before.id).await.ok(),
            None => None,
        };
        let key = self.area.current();
        let state_path = key.strip_prefix(&self.target.prefix).filter(|_| self.area.in_target);
        let contents = ArchivedEntries(self);
        let expected = Expected { manifest, previous: previous.as_ref(), state_path, contents: Some(&contents) };
        verifier.verify(expected).await
    }

    async fn look_once(
        &self,
        verifier: &dyn Verifier,
        current: &Current,
        manifest: &Manifest,
    ) -> Result<Verdict, Error> {
        let work = async { Ok(self.look_at(verifier, current, manifest).await) };
        self.step(Step::Verify, manifest.files.len() as u64, 0, work).await
    }

    /// Warns of all that a look showed but wrong content; gives what counts most.
    fn judge(&self, verdict: &Verdict, release: &ReleaseRecord) -> Option<NotVerified> {
        self.warn_some(&verdict.remarks, "");
        self.warn_some(verdict.state_area_readable.as_slice(), "");
        self.warn_some(&verdict.unseen, "could not be looked at: ");
        Some(NotVerified {
            release: NamedRelease::from(release),
            fault: verdict.fault()?,
            observations: verdict.evidence(),
            rolled_back_to: None,
            rollback_failed: None,
        })
    }

    fn warn_some(&self, observations: &[Observation], what: &str) {
        for observation in observations.iter().take(SHOWN) {
            self.warn(format!("{what}{observation}"));
        }
        if observations.len() > SHOWN {
            self.warn(format!("{what}{} more: see `verify`", observations.len() - SHOWN));
        }
    }

    /// Where the site must be seen to be right, also where nothing had to be switched: the run
    /// before may have ended because it was not.
    pub(super) async fn look_if_required(&self, decision: &Decision) -> Result<Option<Seen>, Error> {
        let Some(verifier) = self.options.verifier.as_ref().filter(|_| self.options.verification_required) else {
            return Ok(None);
        };
        let verdict = self.look_once(&**verifier, &decision.snapshot.current, &decision.desired).await?;
        match self.judge(&verdict, &decision.release) {
            Some(failed) => Err(failed.into()),
            None => Ok(Some(Seen::from(&verdict))),
        }
    }

    /// Looks at a release that a rollback made live. It stays, whatever is seen: there is no better one to go to.
    pub(super) async fn look_at_restored(
        &self,
        session: &Session,
        release: &ReleaseRecord,
    ) -> Result<(Option<NotVerified>, Option<Seen>), Error> {
        let before = session.current().await;
        let (failed, seen) = self.look_at_record(&before, release).await?;
        let evidence = failed.as_ref().filter(|f| is_against(f.fault)).map(|f| f.observations.clone());
        self.record_evidence(session, &before, &release.id, &evidence.unwrap_or_default()).await?;
        Ok((failed, seen))
    }

    /// Looks again at the live release where an earlier run saw that it is wrong.
    pub(super) async fn look_at_suspect(&self, current: &Current) -> Result<Option<Seen>, Error> {
        match current.live_release().filter(|live| !live.found_wrong.is_empty()) {
            None => Ok(None),
            Some(live) => match self.look_at_record(current, live).await? {
                (Some(failed), _) => Err(failed.into()),
                (None, seen) => Ok(seen),
            },
        }
    }

    /// Looks at a release on record; gives what makes the run fail.
    async fn look_at_record(
        &self,
        current: &Current,
        release: &ReleaseRecord,
    ) -> Result<(Option<NotVerified>, Option<Seen>), Error> {
        let Some(verifier) = &self.options.verifier else { return Ok((None, None)) };
        let manifest = self.read_manifest(&release.id).await?;
        let verdict = self.look_once(&**verifier, current, &manifest).await?;
        let failed = self.judge(&verdict, release);
        let fails = consequence(verdict.fault(), self.options.verification_required, OnFailure::Keep, None);
        Ok((failed.filter(|_| fails == Consequence::Fail), Some(Seen::from(&verdict))))
    }

    /// Puts on record what speaks against a release, or that nothing does any more.
    async fn record_evidence(
        &self,
        session: &Session,
        before: &Current,
        id: &ReleaseId,
        evidence: &[Observation],
    ) -> Result<(), Error> {
        let is_known = before.release(id).is_some_and(|release| !release.found_wrong.is_empty());
        if self.options.verifier.is_some() && (is_known || !evidence.is_empty()) {
            session.update(|current| current.set_found_wrong(id, evidence)).await?;
        }
        Ok(())
    }

    /// Looks at the release that has just gone live; rolls back where there is positive evidence
    /// against it and something to go back to.
    pub(super) async fn look_at_release(&self, session: &Session, decision: &Decision) -> Result<Looked, Error> {
        let id = &decision.release.id;
        let Some(verifier) = &self.options.verifier else {
            let known = session.current().await.release(id).map(|r| r.found_wrong.clone()).unwrap_or_default();
            self.warn_some(&known, "seen to be wrong by an earlier run, and not looked at now: ");
            return Ok(Looked::Stays(None, None));
        };
        let before = session.current().await;
        let verdict = self.look_once(&**verifier, &before, &decision.desired).await?;
        let seen = Some(Seen::from(&verdict));
        let failed = self.judge(&verdict, &decision.release);
        let evidence = if verdict.fault().is_some_and(is_against) { verdict.evidence() } else { Vec::new() };
        self.record_evidence(session, &before, id, &evidence).await?;
        let before = session.current().await;
        let Options { verification_required, on_failure, .. } = self.options;
        match (consequence(verdict.fault(), verification_required, on_failure, previous(&before)), failed) {
            (Consequence::GoBack(target), Some(failed)) => {
                let target = target.clone();
                self.warn(format!("{failed}. Rolling back to {}", target.id));
                self.retreat(session, &before, &target, failed).await.map(|looked| looked.with_seen(seen))
            }
            (Consequence::Fail, failed) => Ok(Looked::Stays(failed, seen)),
            (Consequence::Accept | Consequence::GoBack(_), _) => Ok(Looked::Stays(None, seen)),
        }
    }

    /// Goes on with an automatic rollback that an earlier run began, for what that run saw.
    pub(super) async fn finish_retreat(
        &self,
        session: &Session,
        release: &ReleaseRecord,
        target: &ReleaseRecord,
    ) -> Result<Finish, Error> {
        let failed = NotVerified {
            release: NamedRelease::from(release),
            fault: Fault::Wrong,
            observations: release.found_wrong.clone(),
            rolled_back_to: None,
            rollback_failed: None,
        };
        let before = session.current().await;
        match self.retreat(session, &before, target, failed).await? {
            Looked::RolledBack(finish) => Ok(finish),
            // It began, so that it cannot but be gone on with.
            Looked::Stays(failed, _) => {
                Err(failed.map_or_else(|| Error::Internal("no verdict".to_owned()), Error::from))
            }
        }
    }

    /// Makes `target` live again in the place of a release that failed. Where that is impossible the verdict is what is
    /// told, with the reason.
    async fn retreat(
        &self,
        session: &Session,
        before: &Current,
        target: &ReleaseRecord,
        mut failed: NotVerified,
    ) -> Result<Looked, Error> {
        match self.go_back(session, before, target).await {
            Ok(mut finish) => {
                failed.rolled_back_to = Some(NamedRelease::from(target));
                finish.not_verified = Some(failed);
                Ok(Looked::RolledBack(finish))
            }
            Err(error) if matches!(error.class(), ErrorClass::Transient | ErrorClass::Interrupted) => Err(error),
            Err(error) => {
                failed.rollback_failed = Some(error.to_string());
                let pending = session.current().await.pending;
                if pending.is_some_and(|p| p.operation == Operation::Rollback) {
                    // It is half done: the journal stays, and the next run goes on with it.
                    return Err(failed.into());
                }
                Ok(Looked::Stays(Some(failed), None))
            }
        }
    }
}

/// Whether a later run of the same release must look again.
fn is_against(fault: Fault) -> bool {
    matches!(fault, Fault::Wrong | Fault::Stale)
}

impl Looked {
    fn with_seen(self, seen: Option<Seen>) -> Self {
        match self {
            Self::Stays(failed, _) => Self::Stays(failed, seen),
            Self::RolledBack(finish) => Self::RolledBack(Finish { seen, ..finish }),
        }
    }
}
