//! From what was read to what will be done: still nothing written.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::snapshot::Snapshot;
use super::{Deployer, ReleaseInfo};
use crate::bucket::{ListedObject, MAX_SINGLE_REQUEST};
use crate::error::{Conflict, Error, Refusal};
use crate::plan::{
    Adopt, CacheControl, Claims, Diff, DiffInput, HashedName, Inspection, OrderedRelease, Ordering, Reason, Write,
    compare, covering_paths, demote, promote, unfinished_retreat,
};
use crate::progress::{Event, Step};
use crate::site::fingerprint::parts;
use crate::site::{CACHE_FINGERPRINTED, Fingerprint, Key, Role, Site, report};
use crate::state::{
    Current, Inventory, KnownWarnings, Manifest, Operation, Pending, ReleaseFile, ReleaseId, ReleaseRecord,
};

/// How often the bucket may change while it is looked at.
const ROUNDS: usize = 4;

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

    /// Nothing has to be written, not even who is live, nor for which environment.
    pub(super) fn is_nothing(&self) -> bool {
        self.is_relabel() && !self.is_taken_over && self.snapshot.current.live.as_ref() == Some(&self.release.id)
    }

    /// The files are as they should be; at most the live release gets another name.
    pub(super) fn is_relabel(&self) -> bool {
        let current = &self.snapshot.current;
        self.diff.writes.is_empty()
            && self.diff.adopted.is_empty()
            && removed_pages(&self.diff).next().is_none()
            && !current.has_unfinished_work()
            && !self.is_suspect
            && current.live_release().is_some_and(|live| live.tree == self.release.tree)
    }
}

impl Deployer {
    /// Decides how `site` becomes live.
    pub(super) async fn decide(&self, snapshot: Snapshot, site: &Site, info: &ReleaseInfo) -> Result<Decision, Error> {
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
        let promoted = self.promote(&mut desired, site, &snapshot);
        let demoted = demote(&mut desired, &snapshot.inventory, &snapshot.claims, &self.options.revalidate);
        let (release, known) = self.name_release(&snapshot.current, &desired, site, info);
        if let Some(target) = unfinished_retreat(&snapshot.current, &release).cloned() {
            self.warn(format!(
                "{} was seen to be wrong, and the rollback to {} that an earlier run began is not finished: going on with that",
                release.id, target.id
            ));
            return Ok(Decision::to_retreat(snapshot, desired, release, target));
        }
        self.check_environment(&snapshot.current)?;
        self.check_order(&snapshot.current, &release)?;
        self.check_size(&snapshot.current, &desired)?;
        let mut snapshot = snapshot;
        let (diff, inspected) =
            self.settle(&desired, &snapshot.inventory, &snapshot.claims, &mut snapshot.listed).await?;
        check_nested(&snapshot, &desired, &diff)?;
        self.check_obstacles(&desired, &diff)?;
        check_switchable(&desired, &diff)?;
        let paths = self.stale_paths(&desired, &diff);
        let removed_paths = covering_paths(removed_pages(&diff), &self.options.url_prefix, self.options.invalidation);
        let previous = match snapshot.current.live_release() {
            Some(live) if live.id == release.id => live.replaced.clone(),
            live => live.map(|live| live.id.clone()),
        };
        let found_wrong = snapshot.current.live_release().is_some_and(|live| !live.found_wrong.is_empty());
        Ok(Decision {
            is_taken_over: self.other_environment(&snapshot.current).is_some(),
            is_suspect: found_wrong && self.options.verifier.is_some(),
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
    fn promote(&self, desired: &mut Manifest, site: &Site, snapshot: &Snapshot) -> Vec<Key> {
        let looks_hashed = site.files.iter().enumerate().filter(|(_, f)| f.fingerprint != Fingerprint::No);
        let names: Vec<HashedName<'_>> = looks_hashed
            .filter_map(|(index, file)| {
                let undecided = file.fingerprint == Fingerprint::Likely;
                Some(HashedName { file: index, parts: parts(file.key.as_str())?, undecided })
            })
            .collect();
        let cache_control = CacheControl { entry: &self.options.revalidate, fingerprinted: CACHE_FINGERPRINTED };
        promote(desired, &names, &snapshot.inventory, &snapshot.claims, cache_control)
    }

    /// Warns of what the pre-flight found: line by line of what is new since the live release, and with
    /// one line of the rest.
    pub(super) fn warn_of_findings(&self, site: &Site, current: &Current) {
        let warnings = &site.findings.warnings;
        let shown = self.options.findings_shown;
        let unknown = KnownWarnings::default();
        let known = current.live_release().map_or(&unknown, |live| &live.warnings);
        let (new, same) = if shown == usize::MAX { (warnings.iter().collect(), 0) } else { known.split(warnings) };
        for line in report(&new.into_iter().cloned().collect::<Vec<_>>(), shown) {
            self.warn(line);
        }
        match same {
            0 => {}
            1 => self.warn("1 warning about the build that the live release had too (`deploy plan --all` lists it)"),
            n => self.warn(format!(
                "{n} warnings about the build that the live release had too (`deploy plan --all` lists them)"
            )),
        }
    }

    /// Diffs and looks at what needs looking at, until nothing is left open.
    pub(super) async fn settle(
        &self,
        desired: &Manifest,
        inventory: &Inventory,
        claims: &Claims,
        listed: &mut Vec<ListedObject>,
    ) -> Result<(Diff, HashMap<String, Inspection>), Error> {
        let mut inspected = HashMap::new();
        for _ in 0..ROUNDS {
            let diff = Diff::new(DiffInput {
                desired,
                inventory,
                claims,
                listed,
                inspected: &inspected,
                adopt: self.options.adopt,
            });
            if diff.inspect.is_empty() {
                return Ok((diff, inspected));
            }
            let count = diff.inspect.len();
            let found = self.step(Step::Inspect, count as u64, 0, self.inspect(&diff.inspect)).await?;
            let vanished = found.len() < count;
            inspected.extend(found);
            if vanished {
                *listed = self.list_target(&inventory.keys().collect::<Vec<_>>()).await?;
            }
        }
        Err(Error::Unsettled { what: "objects vanished while they were looked at".to_owned() })
    }

    /// Paths whose cached answers the switch makes wrong. A new fingerprinted file was never asked
    /// for; one that is put back may have been, and its absence cached.
    pub(super) fn stale_paths(&self, desired: &Manifest, diff: &Diff) -> Vec<String> {
        let changed = diff.writes.iter().filter(|w| !is_staged(desired, w)).map(|w| &desired.files[w.file].key);
        covering_paths(changed, &self.options.url_prefix, self.options.invalidation)
    }

    /// The release's record: one of the history if it is the same release, else a new one.
    fn name_release(
        &self,
        current: &Current,
        desired: &Manifest,
        site: &Site,
        info: &ReleaseInfo,
    ) -> (ReleaseRecord, bool) {
        let tree = desired.tree();
        let same = |r: &&ReleaseRecord| r.tree == tree && r.version == info.version && r.build == info.build;
        let live = current.live_release().filter(|r| same(r));
        if let Some(known) = live.or_else(|| current.releases.iter().rev().find(same)) {
            // One that was begun and never live may have died before its manifest was stored.
            return (known.clone(), known.activated_at.is_some());
        }
        let record = ReleaseRecord {
            build: info.build,
            environment: self.options.environment.clone(),
            warnings: KnownWarnings::of(&site.findings.warnings),
            ..ReleaseRecord::new(current.sequence.saturating_add(1), &info.version, desired, self.now())
        };
        (record, false)
    }

    /// Refuses to take a target over for another environment: the address of a bucket is easily confused.
    fn check_environment(&self, current: &Current) -> Result<(), Error> {
        let Some((wanted, live)) = self.other_environment(current) else { return Ok(()) };
        if self.options.allow_environment_change {
            return Ok(());
        }
        Err(Refusal::OtherEnvironment { wanted, live }.into())
    }

    /// This run's environment and that of the live release, where both have a name and they differ.
    fn other_environment(&self, current: &Current) -> Option<(String, String)> {
        let wanted = self.options.environment.clone()?;
        let live = current.live_release()?.environment.clone()?;
        (wanted != live).then_some((wanted, live))
    }

    /// Warns where the live release was deployed to another environment than this run is for.
    pub(super) fn warn_of_other_environment(&self, current: &Current) {
        if let Some((wanted, live)) = self.other_environment(current) {
            self.warn(format!(
                "this run is for environment {wanted:?}, and the live release was deployed to {live:?}: check which target is meant"
            ));
        }
    }

    fn check_order(&self, current: &Current, release: &ReleaseRecord) -> Result<(), Error> {
        if self.options.allow_older {
            return Ok(());
        }
        let named = |r: &ReleaseRecord| ReleaseInfo { version: r.version.clone(), build: r.build }.to_string();
        // A rollback away from it may have begun, and not have ended.
        let retreats = |p: &Pending| p.operation == Operation::Rollback && p.release != release.id;
        let is_left = current.live.as_ref() == Some(&release.id) && current.pending.as_ref().is_some_and(retreats);
        if release.rolled_back || is_left {
            return Err(Conflict::RolledBack { new: named(release) }.into());
        }
        let Some(live) = current.live_release().filter(|l| l.id != release.id && !l.adopted) else { return Ok(()) };
        let ordered = |r: &'_ ReleaseRecord| (r.version.clone(), r.build);
        let (new, old) = (ordered(release), ordered(live));
        match compare(
            OrderedRelease { version: &new.0, build: new.1 },
            OrderedRelease { version: &old.0, build: old.1 },
        ) {
            Ordering::NotOlder => Ok(()),
            Ordering::Older { by } => Err(Conflict::Older { new: named(release), live: named(live), by }.into()),
            Ordering::Unknown => {
                self.warn(format!(
                    "cannot tell whether {} is newer than the live {}: neither both have a build number nor are both versions SemVer",
                    named(release),
                    named(live)
                ));
                Ok(())
            }
        }
    }

    fn check_size(&self, current: &Current, desired: &Manifest) -> Result<(), Error> {
        let Some(live) = current.live_release() else { return Ok(()) };
        match self.options.max_shrink.check(live.files, desired.files.len() as u64) {
            Some(shrink) => Err(Refusal::Shrunk(shrink).into()),
            None => Ok(()),
        }
    }

    pub(super) fn check_obstacles(&self, desired: &Manifest, diff: &Diff) -> Result<(), Error> {
        if diff.obstacles.is_empty() || self.options.adopt == Adopt::Take {
            return Ok(());
        }
        let keys = diff.obstacles.iter().map(|o| desired.files[o.file].key.to_string()).collect();
        Err(Refusal::Foreign { keys }.into())
    }

    /// Runs a step, telling when it begins and ends.
    pub(super) async fn step<T>(
        &self,
        step: Step,
        objects: u64,
        bytes: u64,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let progress = &self.options.progress;
        progress.event(&Event::StepStarted { step, objects, bytes });
        let started = std::time::Instant::now();
        let done = self.telling_of_failures(work).await?;
        progress.event(&Event::StepFinished { step, elapsed: started.elapsed() });
        Ok(done)
    }
}

impl Deployer {
    /// Does the work; says from time to time that the store fails, where it does: requests may be tried
    /// again for minutes, and nobody should have to guess why nothing happens.
    async fn telling_of_failures<T>(&self, work: impl Future<Output = T>) -> T {
        const FIRST: Duration = Duration::from_secs(3);
        const TELL_EVERY: Duration = Duration::from_secs(15);
        let counts = self.bucket.counts();
        let mut known = counts.retries();
        let mut ticks = tokio::time::interval_at(Instant::now() + FIRST, TELL_EVERY);
        let mut work = Box::pin(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = ticks.tick() => {
                    let retries = counts.retries();
                    if let Some(failure) = counts.last_failure().filter(|_| retries > known) {
                        self.options.progress.event(&Event::Retrying { failure, retries });
                    }
                    known = retries;
                }
            }
        }
    }
}

/// Refuses to write where another target lies.
pub(super) fn check_nested(snapshot: &Snapshot, desired: &Manifest, diff: &Diff) -> Result<(), Error> {
    // An object that is taken is both.
    let changed: BTreeSet<usize> =
        diff.writes.iter().map(|w| w.file).chain(diff.obstacles.iter().map(|o| o.file)).collect();
    let mut inside = changed
        .into_iter()
        .map(|file| &desired.files[file].key)
        .filter_map(|key| Some((snapshot.nested.owner(key)?, key)));
    match inside.next() {
        Some((prefix, key)) => {
            let (prefix, key, more) = (prefix.to_owned(), key.to_string(), inside.count());
            Err(Refusal::NestedTarget { prefix, key, more }.into())
        }
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
