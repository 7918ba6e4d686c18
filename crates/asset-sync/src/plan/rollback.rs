//! Which release a rollback goes to, and what a verdict about the live one leads to.

use std::collections::HashSet;

use super::naming::{is_named, no_such_release, was_live};
use crate::error::{Conflict, Error};
use crate::state::{Current, Operation, Phase, ReleaseId, ReleaseRecord};
use crate::verify::{Fault, OnFailure};

/// Which release a rollback goes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RollbackTo {
    /// The one that was live before the live one, with other content, and was not itself rolled back. After a
    /// deployment that died in the switch: the one that was live before it.
    #[default]
    Previous,
    /// The one with this id, or the latest that was live under this version.
    Named(String),
}

/// What must be live for a rollback to do anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfLive {
    /// The id of a release, or its version.
    pub name: String,
    /// The execution of a pipeline that made it live. Without it a version must be that of one release only.
    pub execution: Option<String>,
}

/// The release that was live before the live one and differs from it: what it replaced, and what that replaced, until one
/// has other content and was not rolled back. Never one that was gone back from.
pub(crate) fn previous(current: &Current) -> Option<&ReleaseRecord> {
    let Some(live) = current.live_release() else {
        // The first deployment died in its switch: at most what it replaced is on record.
        return current
            .releases
            .iter()
            .filter(|r| was_live(r))
            .filter(|r| !r.rolled_back)
            .max_by_key(|r| r.superseded_at);
    };
    let fits = |r: &ReleaseRecord| was_live(r) && !r.rolled_back && r.tree != live.tree;
    if let Some(release) = replaced_by(current, &live.id).find(|r| fits(r)) {
        return Some(release);
    }
    // What it replaced is not on record: by format 1, or since it expired. Those with lower numbers came before it.
    let earlier = current.releases.iter().take_while(|r| r.id != live.id);
    earlier.filter(|r| fits(r)).max_by_key(|r| r.superseded_at)
}

/// Whether a rollback from the live release to `target` goes back, so that the live one is not to return by itself: to an
/// older release, or to one that the live one replaced, directly or not. An older release that is deployed again replaces
/// a newer one.
pub(crate) fn goes_back(current: &Current, target: &ReleaseId) -> bool {
    let position = |id: &ReleaseId| current.releases.iter().position(|r| r.id == *id);
    let Some(live) = &current.live else { return false };
    position(target) < position(live) || replaced_by(current, live).any(|release| release.id == *target)
}

/// What a release replaced, and what that replaced, as far as it is on record; each once.
fn replaced_by<'a>(current: &'a Current, id: &'a ReleaseId) -> impl Iterator<Item = &'a ReleaseRecord> {
    let mut seen = HashSet::from([id]);
    let mut at = current.release(id);
    std::iter::from_fn(move || {
        at = at?.replaced.as_ref().filter(|id| seen.insert(*id)).and_then(|id| current.release(id));
        at
    })
}

/// The release to go to; `None` if there is nothing to do, for a run with these `distributions`.
///
/// # Errors
/// [`Error::NoSuchRelease`] if there is none to go to; [`Conflict::Ambiguous`] if `if_live` names several.
pub(crate) fn rollback_target<'a>(
    current: &'a Current,
    to: &RollbackTo,
    if_live: Option<&IfLive>,
    distributions: &[String],
) -> Result<Option<&'a ReleaseRecord>, Error> {
    let pending = current.pending.as_ref();
    // A deployment that died in the switch has made its release visible, in part.
    let half = pending.filter(|p| p.phase == Phase::Switching && current.live.as_ref() != Some(&p.release));
    // A rollback that died is finished first: to choose anew would go one release too far.
    let begun = pending.filter(|p| p.operation == Operation::Rollback);
    if let Some(if_live) = if_live {
        let is_own = match (&if_live.execution, begun) {
            (Some(execution), Some(begun)) => begun.execution.as_ref() == Some(execution),
            (None, Some(begun)) => current.release(&begun.release).is_some(),
            (_, None) => false,
        };
        if !is_own
            && !is_visible(current, half.filter(|p| p.operation == Operation::Deploy).map(|p| &p.release), if_live)?
        {
            return Ok(None);
        }
    }
    if let Some(target) = begun.and_then(|p| current.release(&p.release)) {
        let meant = match to {
            RollbackTo::Previous => true,
            RollbackTo::Named(name) => is_named(target, name),
        };
        if meant {
            return Ok(Some(target));
        }
    }
    let is_mixed = half.is_some() || pending.is_some_and(|p| p.mixed);
    let target = match to {
        RollbackTo::Named(name) => {
            let named = current.releases.iter().filter(|r| was_live(r)).filter(|r| is_named(r, name));
            named.max_by_key(|r| r.activated_at).ok_or_else(|| no_such_release(current, name))?
        }
        RollbackTo::Previous => {
            let live = current.live_release();
            let replaced = || live?.replaced.as_ref().and_then(|id| current.release(id));
            let target = match live {
                Some(live) if is_mixed => Some(live),
                // What one run made live is undone, and nothing else, also where it was another name only.
                _ if if_live.is_some() => replaced().or_else(|| previous(current)),
                _ => previous(current),
            };
            target.ok_or_else(|| Error::NoSuchRelease("there is no earlier release to roll back to".to_owned()))?
        }
    };
    let is_there = current.live.as_ref() == Some(&target.id) && !current.has_unfinished_work(distributions);
    Ok((!is_there).then_some(target))
}

/// Whether the live release, or the one that was half switched to, is the one that is meant.
fn is_visible(current: &Current, half: Option<&ReleaseId>, if_live: &IfLive) -> Result<bool, Error> {
    let name = &if_live.name;
    let Some(release) = half.or(current.live.as_ref()).and_then(|id| current.release(id)) else { return Ok(false) };
    if let Some(execution) = &if_live.execution {
        let by = match half {
            Some(_) => current.pending.as_ref().and_then(|p| p.execution.as_ref()),
            None => release.deployed_by.as_ref(),
        };
        return Ok(is_named(release, name) && by == Some(execution));
    }
    let named: Vec<&ReleaseRecord> = current.releases.iter().filter(|r| is_named(r, name)).collect();
    if named.len() > 1 && !named.iter().any(|r| r.id.as_str() == name) {
        let ids = named.iter().map(|r| r.id.to_string()).collect();
        return Err(Conflict::Ambiguous { version: name.clone(), ids }.into());
    }
    Ok(is_named(release, name))
}

/// Where an automatic rollback away from `release` goes that was begun and not finished. It began since the release was
/// seen to be wrong.
pub(crate) fn unfinished_retreat<'a>(current: &'a Current, release: &ReleaseRecord) -> Option<&'a ReleaseRecord> {
    let pending = current.pending.as_ref().filter(|p| p.operation == Operation::Rollback)?;
    (!release.found_wrong.is_empty() && pending.release != release.id).then(|| current.release(&pending.release))?
}

/// What a look at a release that was made live leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consequence<'a> {
    /// It stays, and the run succeeds.
    Accept,
    /// It stays, and the run fails.
    Fail,
    /// This one is made live again, and the run fails.
    GoBack(&'a ReleaseRecord),
}

/// What follows from `fault`, where `previous` is the release to go back to. Only what speaks against the release itself
/// is a reason to take it down; the rest is one to fail where it must be seen to be right (`required`).
pub(crate) fn consequence(
    fault: Option<Fault>,
    required: bool,
    on_failure: OnFailure,
    previous: Option<&ReleaseRecord>,
) -> Consequence<'_> {
    match (fault, on_failure, previous) {
        (Some(Fault::Wrong), OnFailure::RollBack, Some(previous)) => Consequence::GoBack(previous),
        // An edge that serves the release before serves it whatever is in the bucket.
        (Some(Fault::Wrong | Fault::Stale), ..) => Consequence::Fail,
        (Some(_), ..) if required => Consequence::Fail,
        (Some(_) | None, ..) => Consequence::Accept,
    }
}

#[cfg(test)]
#[path = "rollback_tests.rs"]
mod tests;
