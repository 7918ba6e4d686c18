//! Looking at the live site.

use async_trait::async_trait;
use bytes::Bytes;

use super::context::Context;
use super::decide::Decision;
use super::lease::Session;
use super::report::Seen;
use super::store::StateStore;
use crate::bucket::read_all;
use crate::error::{Error, NotVerified};
use crate::plan::{Consequence, consequence};
use crate::progress::Step;
use crate::state::{Current, Manifest, NamedRelease, ReleaseFile, ReleaseId, ReleaseRecord};
use crate::verify::{Contents, Expected, Fault, Observation, OnFailure, Verdict, Verifier};

/// How many observations of a kind are told one by one.
const SHOWN: usize = 5;

/// The entry files of the live release, which its deployment archived.
struct ArchivedEntries<'a>(&'a StateStore);

#[async_trait]
impl Contents for ArchivedEntries<'_> {
    async fn read(&self, file: &ReleaseFile) -> Option<Bytes> {
        let read = read_all(&*self.0.bucket, &self.0.area.blob(&file.sha256), file.size).await;
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

/// Compares the live release with what `verifier` can fetch of it.
///
/// # Errors
/// [`Error::NoSuchRelease`] where nothing is live; else what reading the state can give.
pub(super) async fn verify(cx: &Context, verifier: &dyn Verifier) -> Result<Verdict, Error> {
    let (current, _) = cx.store.read_current().await?;
    cx.warn_of_mismatch(&current);
    let nothing_live = || Error::NoSuchRelease("no release is live on this target".to_owned());
    let live = current.live_release().ok_or_else(nothing_live)?;
    let manifest = cx.store.read_manifest(live).await?;
    Ok(look_at(cx, verifier, &current, &manifest).await)
}

async fn look_at(cx: &Context, verifier: &dyn Verifier, current: &Current, manifest: &Manifest) -> Verdict {
    let previous = match superseded_last(current) {
        // Without it a stale edge cannot be told, and the rest can.
        Some(before) => cx.store.read_manifest(before).await.ok(),
        None => None,
    };
    let key = cx.store.area.current();
    let state_path = key.strip_prefix(&cx.target.prefix).filter(|_| cx.store.area.in_target);
    let contents = ArchivedEntries(&cx.store);
    let expected = Expected { manifest, previous: previous.as_ref(), state_path, contents: Some(&contents) };
    verifier.verify(expected).await
}

pub(super) async fn look_once(
    cx: &Context,
    verifier: &dyn Verifier,
    current: &Current,
    manifest: &Manifest,
) -> Result<Verdict, Error> {
    let work = async { Ok(look_at(cx, verifier, current, manifest).await) };
    cx.step(Step::Verify, manifest.files.len() as u64, 0, work).await
}

/// Warns of all that a look showed but wrong content; gives what counts most.
pub(super) fn judge(cx: &Context, verdict: &Verdict, release: &ReleaseRecord) -> Option<NotVerified> {
    warn_some(cx, &verdict.remarks, "");
    warn_some(cx, verdict.state_area_readable.as_slice(), "");
    warn_some(cx, &verdict.unseen, "could not be looked at: ");
    Some(NotVerified {
        release: NamedRelease::from(release),
        fault: verdict.fault()?,
        observations: verdict.evidence(),
        rolled_back_to: None,
        rollback_failed: None,
    })
}

pub(super) fn warn_some(cx: &Context, observations: &[Observation], what: &str) {
    for observation in observations.iter().take(SHOWN) {
        cx.warn(format!("{what}{observation}"));
    }
    if observations.len() > SHOWN {
        cx.warn(format!("{what}{} more: see `verify`", observations.len() - SHOWN));
    }
}

/// Where the site must be seen to be right, also where nothing had to be switched: the run
/// before may have ended because it was not.
pub(super) async fn look_if_required(cx: &Context, decision: &Decision) -> Result<Option<Seen>, Error> {
    let Some(verifier) = cx.options.verifier.as_ref().filter(|_| cx.options.verification_required) else {
        return Ok(None);
    };
    let verdict = look_once(cx, &**verifier, &decision.snapshot.current, &decision.desired).await?;
    match judge(cx, &verdict, &decision.release) {
        Some(failed) => Err(failed.into()),
        None => Ok(Some(Seen::from(&verdict))),
    }
}

/// Looks at a release that a rollback made live. It stays, whatever is seen: there is no better one to go to.
pub(super) async fn look_at_restored(
    cx: &Context,
    session: &Session,
    release: &ReleaseRecord,
) -> Result<(Option<NotVerified>, Option<Seen>), Error> {
    let before = session.current().await;
    let (failed, seen) = look_at_record(cx, &before, release).await?;
    let evidence = failed.as_ref().filter(|f| is_against(f.fault)).map(|f| f.observations.clone());
    record_evidence(cx, session, &before, &release.id, &evidence.unwrap_or_default()).await?;
    Ok((failed, seen))
}

/// Looks again at the live release where an earlier run saw that it is wrong.
pub(super) async fn look_at_suspect(cx: &Context, current: &Current) -> Result<Option<Seen>, Error> {
    match current.live_release().filter(|live| !live.found_wrong.is_empty()) {
        None => Ok(None),
        Some(live) => match look_at_record(cx, current, live).await? {
            (Some(failed), _) => Err(failed.into()),
            (None, seen) => Ok(seen),
        },
    }
}

/// Looks at a release on record; gives what makes the run fail.
async fn look_at_record(
    cx: &Context,
    current: &Current,
    release: &ReleaseRecord,
) -> Result<(Option<NotVerified>, Option<Seen>), Error> {
    let Some(verifier) = &cx.options.verifier else { return Ok((None, None)) };
    let manifest = cx.store.read_manifest(release).await?;
    let verdict = look_once(cx, &**verifier, current, &manifest).await?;
    let failed = judge(cx, &verdict, release);
    let fails = consequence(verdict.fault(), cx.options.verification_required, OnFailure::Keep, None);
    Ok((failed.filter(|_| fails == Consequence::Fail), Some(Seen::from(&verdict))))
}

/// Puts on record what speaks against a release, or that nothing does any more.
pub(super) async fn record_evidence(
    cx: &Context,
    session: &Session,
    before: &Current,
    id: &ReleaseId,
    evidence: &[Observation],
) -> Result<(), Error> {
    let is_known = before.release(id).is_some_and(|release| !release.found_wrong.is_empty());
    if cx.options.verifier.is_some() && (is_known || !evidence.is_empty()) {
        session.update(|current| current.set_found_wrong(id, evidence)).await?;
    }
    Ok(())
}

/// Whether a later run of the same release must look again.
pub(super) fn is_against(fault: Fault) -> bool {
    matches!(fault, Fault::Wrong | Fault::Stale)
}
