//! Looking at the live site after the switch, and drawing the consequence.

use super::Deployer;
use super::decide::Decision;
use super::publish::Finish;
use super::report::{NamedRelease, Seen};
use super::session::Session;
use crate::error::{Error, NotVerified};
use crate::progress::Step;
use crate::state::Manifest;
use crate::verify::{Fault, Observation, OnFailure, Verdict, Verifier};

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

impl Deployer {
    /// Compares the live release with what `verifier` can fetch of it.
    ///
    /// # Errors
    /// [`Error::NoSuchRelease`] where nothing is live; else what reading the state can give.
    pub async fn verify(&self, verifier: &dyn Verifier) -> Result<Verdict, Error> {
        let (current, _) = self.read_current().await?;
        let nothing_live = || Error::NoSuchRelease("no release is live on this target".to_owned());
        let live = current.live.ok_or_else(nothing_live)?;
        let manifest = self.read_manifest(&live).await?;
        Ok(self.look_at(verifier, &manifest).await)
    }

    async fn look_at(&self, verifier: &dyn Verifier, manifest: &Manifest) -> Verdict {
        let current = self.area.current();
        let state_path = current.strip_prefix(&self.target.prefix).filter(|_| self.area.in_target);
        verifier.verify(manifest, state_path).await
    }

    async fn look_once(&self, verifier: &dyn Verifier, decision: &Decision) -> Result<Verdict, Error> {
        let work = async { Ok(self.look_at(verifier, &decision.desired).await) };
        self.step(Step::Verify, decision.desired.files.len() as u64, 0, work).await
    }

    /// Warns of all that a look showed but wrong content; gives what counts most.
    fn judge(&self, verdict: &Verdict, decision: &Decision) -> Option<NotVerified> {
        self.warn_some(&verdict.remarks, "");
        self.warn_some(verdict.state_area_readable.as_slice(), "");
        self.warn_some(&verdict.unseen, "could not be looked at: ");
        Some(NotVerified {
            release: NamedRelease::from(&decision.release),
            fault: verdict.fault()?,
            observations: verdict.evidence(),
            rolled_back_to: None,
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
        let verdict = self.look_once(&**verifier, decision).await?;
        match self.judge(&verdict, decision) {
            Some(failed) => Err(failed.into()),
            None => Ok(Some(Seen::from(&verdict))),
        }
    }

    /// Looks at the release that has just gone live; rolls back where there is positive evidence
    /// against it and something to go back to.
    pub(super) async fn look_at_release(&self, session: &Session, decision: &Decision) -> Result<Looked, Error> {
        let Some(verifier) = &self.options.verifier else { return Ok(Looked::Stays(None, None)) };
        let verdict = self.look_once(&**verifier, decision).await?;
        let seen = Some(Seen::from(&verdict));
        let Some(mut failed) = self.judge(&verdict, decision) else { return Ok(Looked::Stays(None, seen)) };
        if failed.fault != Fault::Wrong {
            // The release is not at fault: taking it down would mend nothing.
            return Ok(Looked::Stays(self.options.verification_required.then_some(failed), seen));
        }
        let before = session.current().await;
        let previous = decision.previous.as_ref().filter(|id| **id != decision.release.id);
        let target = previous.and_then(|id| before.release(id)).cloned();
        let Some(target) = target.filter(|_| self.options.on_failure == OnFailure::RollBack) else {
            return Ok(Looked::Stays(Some(failed), seen));
        };
        self.warn(format!("{failed}. Rolling back to {}", target.id));
        let mut finish = self.go_back(session, &before, &target).await?;
        failed.rolled_back_to = Some(NamedRelease::from(&target));
        finish.not_verified = Some(failed);
        Ok(Looked::RolledBack(finish))
    }
}
