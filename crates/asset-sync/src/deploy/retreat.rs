//! Drawing the consequence of what was seen of a release that has just gone live.

use super::context::Context;
use super::decide::Decision;
use super::frame::Finish;
use super::lease::Session;
use super::look::{is_against, judge, look_once, record_evidence, warn_some};
use super::options::Options;
use super::report::Seen;
use super::restore::{Extent, go_back};
use crate::error::{Error, ErrorClass, NotVerified};
use crate::plan::{Consequence, consequence, previous};
use crate::state::{Current, NamedRelease, Operation, ReleaseRecord};
use crate::verify::Fault;

/// What came of looking.
#[derive(Debug)]
pub(super) enum Looked {
    /// The release stays live; with what is wrong all the same, and what was seen where that was
    /// looked for.
    Stays(Option<NotVerified>, Option<Seen>),
    /// The release before it is live again.
    RolledBack(Finish),
}

/// Looks at the release that has just gone live; rolls back where there is positive evidence
/// against it and something to go back to.
pub(super) async fn look_at_release(cx: &Context, session: &Session, decision: &Decision) -> Result<Looked, Error> {
    let id = &decision.release.id;
    let Some(verifier) = &cx.options.verifier else {
        let known = session.current().await.release(id).map(|r| r.found_wrong.clone()).unwrap_or_default();
        warn_some(cx, &known, "seen to be wrong by an earlier run, and not looked at now: ");
        return Ok(Looked::Stays(None, None));
    };
    let before = session.current().await;
    let verdict = look_once(cx, &**verifier, &before, &decision.desired).await?;
    let seen = Some(Seen::from(&verdict));
    let failed = judge(cx, &verdict, &decision.release);
    let evidence = if verdict.fault().is_some_and(is_against) { verdict.evidence() } else { Vec::new() };
    record_evidence(cx, session, &before, id, &evidence).await?;
    let before = session.current().await;
    let Options { verification_required, on_failure, .. } = cx.options;
    match (consequence(verdict.fault(), verification_required, on_failure, previous(&before)), failed) {
        (Consequence::GoBack(target), Some(failed)) => {
            let target = target.clone();
            cx.warn(format!("{failed}. Rolling back to {}", target.id));
            retreat(cx, session, &before, &target, failed, true).await.map(|looked| looked.with_seen(seen))
        }
        (Consequence::Fail, failed) => Ok(Looked::Stays(failed, seen)),
        (Consequence::Accept | Consequence::GoBack(_), _) => Ok(Looked::Stays(None, seen)),
    }
}

/// Goes on with an automatic rollback that an earlier run began, for what that run saw.
pub(super) async fn finish_retreat(
    cx: &Context,
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
    match retreat(cx, session, &before, target, failed, false).await? {
        Looked::RolledBack(finish) => Ok(finish),
        // It began, so that it cannot but be gone on with.
        Looked::Stays(failed, _) => Err(failed.map_or_else(|| Error::Internal("no verdict".to_owned()), Error::from)),
    }
}

/// Makes `target` live again in the place of a release that failed. Where that is impossible the verdict is what is
/// told, with the reason.
async fn retreat(
    cx: &Context,
    session: &Session,
    before: &Current,
    target: &ReleaseRecord,
    mut failed: NotVerified,
    by_verification: bool,
) -> Result<Looked, Error> {
    match go_back(cx, session, before, target, Extent::Whole, by_verification).await {
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

impl Looked {
    fn with_seen(self, seen: Option<Seen>) -> Self {
        match self {
            Self::Stays(failed, _) => Self::Stays(failed, seen),
            Self::RolledBack(finish) => Self::RolledBack(Finish { seen, ..finish }),
        }
    }
}
