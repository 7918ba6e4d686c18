//! How a target stands when a run ends, however it ends.

use std::collections::BTreeMap;

use super::context::Context;
use super::edges::pending_paths;
use crate::error::{Error, ErrorClass, Standing};
use crate::state::{Current, NamedRelease, Phase, ReleaseId};

/// How a target stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// What is live: `None` where that is not known, since the answer to a write did not come; `Some(None)` where nothing is.
    pub live: Option<Option<NamedRelease>>,
    /// How far a run has come that began and did not finish, if there is one.
    pub phase: Option<Phase>,
    /// Paths that are still to be invalidated, by distribution.
    pub pending: BTreeMap<String, Vec<String>>,
}

pub(super) fn situation(cx: &Context) -> Option<Situation> {
    let (current, is_certain) = cx.store.last_known()?;
    Some(Situation {
        live: is_certain.then(|| current.live_release().map(NamedRelease::from)),
        phase: current.pending.as_ref().map(|pending| pending.phase),
        pending: pending_paths(cx, &current),
    })
}

/// An error of a run that had written, with how the site stands.
pub(super) fn with_standing(cx: &Context, error: Error) -> Error {
    match cx.store.last_known() {
        Some((current, _)) => explained(error, standing(&current)),
        None => error,
    }
}

/// An error of a run that had not written, where an earlier one had begun to make the same release live.
pub(super) fn with_earlier_standing(current: &Current, release: &ReleaseId, error: Error) -> Error {
    match &current.pending {
        Some(pending) if pending.release == *release => explained(error, standing(current)),
        _ => error,
    }
}

fn explained(error: Error, standing: Option<Standing>) -> Error {
    let Some(standing) = standing else { return error };
    match &error {
        // What another run makes of the target is not known; the others say themselves what is live.
        Error::LeaseLost { .. } | Error::NotVerified(_) | Error::Unfinished { .. } => error,
        // What is wrong says enough where nothing changed.
        _ if matches!(standing, Standing::AsBefore(_)) && error.class() != ErrorClass::Usage => error,
        _ => Error::Unfinished { standing, source: Box::new(error) },
    }
}

/// `None` where nothing is begun: the lease alone is no change.
fn standing(current: &Current) -> Option<Standing> {
    let live = current.live_release().map(NamedRelease::from);
    let pending = current.pending.as_ref()?;
    Some(match pending.phase {
        Phase::Staging => Standing::AsBefore(live),
        Phase::Switching => {
            Standing::Switching { from: live, to: current.release(&pending.release).map(NamedRelease::from) }
        }
        Phase::Switched => Standing::Switched(live),
    })
}
