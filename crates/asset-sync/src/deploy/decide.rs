//! From what was read to what will be done: still nothing written.

use std::collections::HashMap;

use super::context::Context;
use super::options::ReleaseInfo;
use super::report::Tally;
use super::settle::{check_nested, check_obstacles, settle};
use super::snapshot::Snapshot;
use crate::bucket::MAX_SINGLE_REQUEST;
use crate::error::{Error, Refusal};
use crate::plan::{
    Adopt, CacheControl, Diff, DiffInput, HashedName, Inspection, Reason, ReleaseName, Write, check_order,
    covering_paths, demote, promote, recorded_release, unfinished_retreat,
};
use crate::site::fingerprint::parts;
use crate::site::{CACHE_FINGERPRINTED, Fingerprint, Key, Role, Site, report};
use crate::state::{Current, KnownWarnings, Manifest, ReleaseFile, ReleaseId, ReleaseRecord};

/// What is to be done, all of it.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) snapshot: Snapshot,
    pub(super) desired: Manifest,
    /// The release to be made live. Its id is final unless another run takes its number first.
    pub(super) release: ReleaseRecord,
    /// The release is in the history already, its manifest with it.
    pub(super) known: bool,
    pub(super) diff: Diff,
    /// What objects that stand in the way were found to be.
    pub(super) inspected: HashMap<String, Inspection>,
    /// Files that only the target's history shows to be fingerprinted.
    pub(super) promoted: Vec<Key>,
    pub(super) demoted: Vec<Key>,
    /// What the release takes the place of, or took it when an earlier run made it live.
    pub(super) previous: Option<ReleaseId>,
    /// Where an automatic rollback away from this release goes that an earlier run began and did not finish. It is
    /// finished, and nothing else of this decision is carried out.
    pub(super) retreat: Option<ReleaseRecord>,
    /// Whether the live release was seen to be wrong and must be looked at again.
    pub(super) is_suspect: bool,
    /// Whether the live release is another environment's, which this run is allowed to change.
    pub(super) is_taken_over: bool,
    /// Paths that the switch makes stale.
    pub(super) paths: Vec<String>,
    /// Paths of pages that go away.
    pub(super) removed_paths: Vec<String>,
}

/// Whether a write goes where no page can refer to yet.
pub(super) fn is_staged(desired: &Manifest, write: &Write) -> bool {
    write.reason == Reason::New && desired.files[write.file].role == Role::Fingerprinted
}

/// Pages that the release no longer has, and their data.
pub(super) fn removed_pages(diff: &Diff) -> impl Iterator<Item = &Key> {
    diff.obsolete.iter().filter(|o| o.with_switch).map(|o| &o.key)
}

impl Decision {
    /// Nothing of the release is to be done but to go back to `target`.
    fn to_retreat(snapshot: Snapshot, desired: Manifest, release: ReleaseRecord, target: ReleaseRecord) -> Self {
        Self {
            snapshot,
            desired,
            previous: Some(release.id.clone()),
            release,
            known: true,
            diff: Diff::default(),
            inspected: HashMap::new(),
            promoted: Vec::new(),
            demoted: Vec::new(),
            paths: Vec::new(),
            removed_paths: Vec::new(),
            retreat: Some(target),
            is_suspect: true,
            is_taken_over: false,
        }
    }

    /// What `diff` was made from.
    pub(super) fn diff_input(&self) -> DiffInput<'_> {
        DiffInput {
            desired: &self.desired,
            inventory: &self.snapshot.inventory,
            claims: &self.snapshot.claims,
            listed: &self.snapshot.listed,
            inspected: &self.inspected,
            // Decides about foreign objects only, which are no obstacle any more.
            adopt: Adopt::Refuse,
        }
    }

    /// The files that are there already.
    pub(super) fn unchanged(&self) -> Tally {
        let there = self.diff.unchanged.iter().chain(&self.diff.adopted);
        Tally::of(there.map(|index| self.desired.files[*index].size))
    }

    /// Nothing has to be written, not even who is live, nor for which environment.
    pub(super) fn is_nothing(&self, cx: &Context) -> bool {
        self.is_relabel(cx) && !self.is_taken_over && self.snapshot.current.live.as_ref() == Some(&self.release.id)
    }

    /// The files are as they should be; at most the live release gets another name.
    pub(super) fn is_relabel(&self, cx: &Context) -> bool {
        let current = &self.snapshot.current;
        self.diff.writes.is_empty()
            && self.diff.adopted.is_empty()
            && removed_pages(&self.diff).next().is_none()
            && !current.has_unfinished_work(&cx.options.distributions)
            && !self.is_suspect
            && current.live_release().is_some_and(|live| live.tree == self.release.tree)
    }
}

/// Decides how `site` becomes live.
pub(super) async fn decide(
    cx: &Context,
    snapshot: Snapshot,
    site: &Site,
    info: &ReleaseInfo,
) -> Result<Decision, Error> {
    let mut desired = Manifest {
        files: site
            .files
            .iter()
            .map(|file| ReleaseFile {
                key: file.key.clone(),
                sha256: file.sha256,
                size: file.size,
                headers: std::sync::Arc::clone(&file.headers),
                role: file.role,
                demoted: false,
            })
            .collect(),
    };
    let promoted = promoted(cx, &mut desired, site, &snapshot);
    let demoted = demote(&mut desired, &snapshot.inventory, &snapshot.claims, &cx.options.revalidate);
    let named = ReleaseName { version: &info.version, build: info.build };
    let (release, known) = match recorded_release(&snapshot.current, &desired.tree(), named) {
        // One that was begun and never live may have died before its manifest was stored.
        Some(known) => (known.clone(), known.activated_at.is_some()),
        None => (new_release(cx, &snapshot.current, &desired, site, info), false),
    };
    if let Some(target) = unfinished_retreat(&snapshot.current, &release).cloned() {
        cx.warn(format!(
            "{} was seen to be wrong, and the rollback to {} that an earlier run began is not finished: going on with that",
            release.id, target.id
        ));
        return Ok(Decision::to_retreat(snapshot, desired, release, target));
    }
    check_environment(cx, &snapshot.current)?;
    if !cx.options.allow_older
        && let Some(unknown) = check_order(&snapshot.current, &release)?
    {
        cx.warn(unknown);
    }
    check_size(cx, &snapshot.current, &desired)?;
    let mut snapshot = snapshot;
    let (diff, inspected) = settle(cx, &desired, &snapshot.inventory, &snapshot.claims, &mut snapshot.listed).await?;
    check_nested(&snapshot, &desired, &diff)?;
    check_obstacles(cx, &desired, &diff)?;
    check_switchable(&desired, &diff)?;
    let paths = stale_paths(cx, &desired, &diff);
    let removed_paths = covering_paths(removed_pages(&diff), &cx.options.addressing);
    let previous = match snapshot.current.live_release() {
        Some(live) if live.id == release.id => live.replaced.clone(),
        live => live.map(|live| live.id.clone()),
    };
    let found_wrong = snapshot.current.live_release().is_some_and(|live| !live.found_wrong.is_empty());
    Ok(Decision {
        is_taken_over: cx.other_environment(&snapshot.current).is_some(),
        is_suspect: found_wrong && cx.options.verifier.is_some(),
        snapshot,
        desired,
        release,
        known,
        diff,
        inspected,
        promoted,
        demoted,
        previous,
        paths,
        removed_paths,
        retreat: None,
    })
}

/// Lets the target's history decide what the scan could not.
fn promoted(cx: &Context, desired: &mut Manifest, site: &Site, snapshot: &Snapshot) -> Vec<Key> {
    let looks_hashed = site.files.iter().enumerate().filter(|(_, f)| f.fingerprint != Fingerprint::No);
    let names: Vec<HashedName<'_>> = looks_hashed
        .filter_map(|(index, file)| {
            let undecided = file.fingerprint == Fingerprint::Likely;
            Some(HashedName { file: index, parts: parts(file.key.as_str())?, undecided })
        })
        .collect();
    let cache_control = CacheControl { entry: &cx.options.revalidate, fingerprinted: CACHE_FINGERPRINTED };
    promote(desired, &names, &snapshot.inventory, &snapshot.claims, cache_control)
}

/// Warns of what the pre-flight found: line by line of what is new since the live release, and with
/// one line of the rest.
pub(super) fn warn_of_findings(cx: &Context, site: &Site, current: &Current) {
    let warnings = &site.findings.warnings;
    let shown = cx.options.findings_shown;
    let unknown = KnownWarnings::default();
    let known = current.live_release().map_or(&unknown, |live| &live.warnings);
    let (new, same) = if shown == usize::MAX { (warnings.iter().collect(), 0) } else { known.split(warnings) };
    for line in report(&new.into_iter().cloned().collect::<Vec<_>>(), shown) {
        cx.warn(line);
    }
    match same {
        0 => {}
        1 => cx.warn("1 warning about the build that the live release had too (`deploy plan --all` lists it)"),
        n => cx.warn(format!(
            "{n} warnings about the build that the live release had too (`deploy plan --all` lists them)"
        )),
    }
}

/// Paths whose cached answers the switch makes wrong. A new fingerprinted file was never asked
/// for; one that is put back may have been, and its absence cached.
pub(super) fn stale_paths(cx: &Context, desired: &Manifest, diff: &Diff) -> Vec<String> {
    let changed = diff.writes.iter().filter(|w| !is_staged(desired, w)).map(|w| &desired.files[w.file].key);
    covering_paths(changed, &cx.options.addressing)
}

/// The record of a release that is not in the history.
fn new_release(cx: &Context, current: &Current, desired: &Manifest, site: &Site, info: &ReleaseInfo) -> ReleaseRecord {
    let record = ReleaseRecord::new(current.sequence.saturating_add(1), &info.version, desired, cx.now());
    let live = current.live_release().filter(|live| live.tree == record.tree);
    ReleaseRecord {
        build: info.build,
        commit: cx.options.commit.clone(),
        files_of: live.map(|live| live.stored_as().clone()),
        environment: cx.options.environment.clone(),
        warnings: KnownWarnings::of(&site.findings.warnings),
        ..record
    }
}

/// Refuses to take a target over for another environment: the address of a bucket is easily confused.
fn check_environment(cx: &Context, current: &Current) -> Result<(), Error> {
    let Some((wanted, live)) = cx.other_environment(current) else { return Ok(()) };
    if cx.options.allow_environment_change {
        return Ok(());
    }
    Err(Refusal::OtherEnvironment { wanted, live }.into())
}

fn check_size(cx: &Context, current: &Current, desired: &Manifest) -> Result<(), Error> {
    let Some(live) = current.live_release() else { return Ok(()) };
    match cx.options.max_shrink.check(live.files, desired.files.len() as u64) {
        Some(shrink) => Err(Refusal::Shrunk(shrink).into()),
        None => Ok(()),
    }
}

fn check_switchable(desired: &Manifest, diff: &Diff) -> Result<(), Error> {
    let too_large = diff
        .writes
        .iter()
        .map(|w| &desired.files[w.file])
        .find(|f| f.role != Role::Fingerprinted && f.size > MAX_SINGLE_REQUEST);
    match too_large {
        Some(file) => Err(Refusal::TooLargeToSwitch { key: file.key.to_string() }.into()),
        None => Ok(()),
    }
}
