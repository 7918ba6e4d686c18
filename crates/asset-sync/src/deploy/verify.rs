//! Looking at the live site after the switch, and drawing the consequence.

use super::Deployer;
use super::decide::Decision;
use super::publish::Finish;
use super::session::Session;
use crate::error::{Error, NotVerified};
use crate::progress::Step;
use crate::state::Manifest;
use crate::verify::{OnFailure, Verdict, Verifier};

/// How many remarks are told one by one.
const REMARKS: usize = 5;

/// What came of looking.
#[derive(Debug)]
pub(super) enum Looked {
    /// The release stays live; with what is wrong with it all the same.
    Stays(Option<NotVerified>),
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

    /// Looks at the release that has just gone live; rolls back where there is positive evidence
    /// against it and something to go back to.
    pub(super) async fn look_at_release(&self, session: &Session, decision: &Decision) -> Result<Looked, Error> {
        let Some(verifier) = &self.options.verifier else { return Ok(Looked::Stays(None)) };
        let work = async { Ok(self.look_at(&**verifier, &decision.desired).await) };
        let verdict = self.step(Step::Verify, decision.desired.files.len() as u64, 0, work).await?;
        for remark in verdict.remarks.iter().take(REMARKS) {
            self.warn(remark.to_string());
        }
        if verdict.remarks.len() > REMARKS {
            self.warn(format!("{} more remarks on what is served: see `verify`", verdict.remarks.len() - REMARKS));
        }
        let mut failed = NotVerified {
            release: decision.release.id.to_string(),
            wrong: !verdict.wrong.is_empty(),
            observations: verdict.wrong,
            rolled_back_to: None,
        };
        if !failed.wrong {
            for unseen in verdict.unseen.iter().take(REMARKS) {
                self.warn(format!("could not be looked at: {unseen}"));
            }
            failed.observations = verdict.unseen;
            let counts = self.options.verification_required && !failed.observations.is_empty();
            return Ok(Looked::Stays(counts.then_some(failed)));
        }
        let before = session.current().await;
        let previous = decision.previous.as_ref().filter(|id| **id != decision.release.id);
        let target = previous.and_then(|id| before.release(id)).cloned();
        let Some(target) = target.filter(|_| self.options.on_failure == OnFailure::RollBack) else {
            return Ok(Looked::Stays(Some(failed)));
        };
        self.warn(format!("{failed}. Rolling back to {}", target.id));
        let mut finish = self.go_back(session, &before, &target).await?;
        failed.rolled_back_to = Some(target.id.to_string());
        finish.not_verified = Some(failed);
        Ok(Looked::RolledBack(finish))
    }
}
