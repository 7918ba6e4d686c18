//! What a run did, or would do, for people and machines.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Deployer;
use super::decide::{Decision, is_staged, removed_pages};
use crate::digest::{Hasher, Sha256};
use crate::plan::Reason;
use crate::progress::Step;
use crate::site::{Evidence, Fingerprint, Key, Role, Site, SiteFile};
use crate::state::ReleaseRecord;
use crate::verify::Verdict;

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Files.
    pub files: u64,
    /// Their bytes together.
    pub bytes: u64,
}

impl Tally {
    pub(super) fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    fn of(sizes: impl Iterator<Item = u64>) -> Self {
        let mut tally = Self::default();
        sizes.for_each(|bytes| tally.add(bytes));
        tally
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The release is live and its invalidations are complete.
    Deployed,
    /// It was so already; nothing was written.
    Unchanged,
    /// An earlier release is live again and its invalidations are complete.
    RolledBack,
    /// What no kept release needs was deleted.
    Pruned,
}

/// A release as people know it and as the state does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedRelease {
    /// Its id.
    pub release: String,
    /// Its version.
    pub version: String,
}

impl From<&ReleaseRecord> for NamedRelease {
    fn from(record: &ReleaseRecord) -> Self {
        Self { release: record.id.to_string(), version: record.version.clone() }
    }
}

impl fmt::Display for NamedRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {} ({})", self.version, self.release)
    }
}

/// What a look at the live site after the switch came to, where nothing spoke against the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Files of the release that were looked at.
    pub looked_at: u64,
    /// Files of the release.
    pub files: u64,
    /// URLs that are as the release says.
    pub right: u64,
    /// URLs of which nothing could be seen.
    pub unseen: u64,
    /// Things that deserve a look.
    pub remarks: u64,
    /// Whether anybody can read the state area.
    pub state_area_readable: bool,
}

impl From<&Verdict> for Seen {
    fn from(verdict: &Verdict) -> Self {
        Self {
            looked_at: verdict.looked_at,
            files: verdict.files,
            right: verdict.right,
            unseen: verdict.unseen.len() as u64,
            remarks: verdict.remarks.len() as u64,
            state_area_readable: verdict.state_area_readable.is_some(),
        }
    }
}

/// A completed invalidation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvalidationReport {
    /// The distribution.
    pub distribution: String,
    /// The invalidation's id.
    pub id: String,
    /// What it covered.
    pub paths: Vec<String>,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How it ended.
    pub result: Outcome,
    /// The release that is live now; `None` if none is, where there was nothing to do.
    #[serde(flatten)]
    pub live: Option<NamedRelease>,
    /// Its build number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<u64>,
    /// The release that was live before, if another one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Files of the site that were written.
    pub uploaded: Tally,
    /// Files that were there already.
    pub unchanged: Tally,
    /// Files that were deleted.
    pub deleted: Tally,
    /// Objects under the prefix that no release knows. They are never touched.
    pub foreign: u64,
    /// Requests sent, by API operation, repeated ones included.
    pub requests: BTreeMap<&'static str, u64>,
    /// How many of these requests, to S3, were repetitions of failed ones.
    pub retries: u64,
    /// How many of these requests the store answered with the wish to slow down.
    pub throttled: u64,
    /// Invalidations that completed.
    pub invalidations: Vec<InvalidationReport>,
    /// What was seen of the live site; `None` where it was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// Seconds per step.
    pub seconds: BTreeMap<Step, f64>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// One file that would be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedWrite {
    /// Key relative to the prefix.
    pub key: String,
    /// Its length.
    pub bytes: u64,
    /// Why.
    pub reason: Reason,
    /// Its place in the switch; `fingerprinted` files that are new are staged before it.
    pub role: Role,
    /// Whether it goes up before the switch, where nothing refers to it.
    pub staged: bool,
    /// Why it is treated as fingerprinted, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// Files of the site that are treated as fingerprinted for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FingerprintedGroup {
    /// The reason.
    pub evidence: String,
    /// Number of files.
    pub files: u64,
    /// Their bytes together.
    pub bytes: u64,
}

impl FingerprintedGroup {
    /// The groups of a site, the largest first.
    fn all(site: &Site, promoted: &[Key]) -> Vec<Self> {
        let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
        for file in &site.files {
            if let Some(evidence) = evidence(file, promoted) {
                tallies.entry(evidence).or_default().add(file.size);
            }
        }
        let mut groups: Vec<_> =
            tallies.into_iter().map(|(evidence, Tally { files, bytes })| Self { evidence, files, bytes }).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.files));
        groups
    }
}

/// Why the file is fingerprinted, if it is. `promoted`, sorted, are those that only history shows to be.
fn evidence(file: &SiteFile, promoted: &[Key]) -> Option<String> {
    match &file.fingerprint {
        Fingerprint::Certain(evidence) => Some(evidence.to_string()),
        _ => promoted.binary_search(&file.key).is_ok().then(|| Evidence::History.to_string()),
    }
}

/// One object that the release no longer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedDelete {
    /// Key relative to the prefix.
    pub key: String,
    /// Its length.
    pub bytes: u64,
    /// Deleted right after the switch (pages and their data), or kept until the releases that have it expire.
    pub now: bool,
}

/// What a site consists of: the same build has the same `shared` parts in every environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedContent {
    /// Files that hold no value of the environment.
    pub shared: Tally,
    /// One hash of the keys and bytes of all these files. Two plans that agree in it differ in
    /// `with_values` alone, whatever environments they are for.
    pub shared_sha256: Sha256,
    /// Keys of the files that hold values of the environment, filled in or generated.
    pub with_values: Vec<String>,
}

impl PlannedContent {
    fn of(site: &Site) -> Self {
        let (with_values, shared): (Vec<_>, Vec<_>) = site.files.iter().partition(|file| file.has_values());
        let mut hasher = Hasher::default();
        for file in &shared {
            // Keys hold no control characters, and a digest has one length: no two sites run together.
            hasher.update(format!("{}\0{}\n", file.key, file.sha256).as_bytes());
        }
        Self {
            shared: Tally::of(shared.iter().map(|file| file.size)),
            shared_sha256: hasher.finish(),
            with_values: with_values.iter().map(|file| file.key.to_string()).collect(),
        }
    }
}

/// What a deployment would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// Whether there is nothing at all to write.
    pub unchanged: bool,
    /// The release that would be live.
    pub release: String,
    /// Its version.
    pub version: String,
    /// Its build number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<u64>,
    /// The release that is live now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// An earlier run did not finish; this one would.
    pub unfinished: bool,
    /// Files to write, in the order in which they would be.
    pub writes: Vec<PlannedWrite>,
    /// Foreign objects with the same content: ours from then on.
    pub adopted: Vec<String>,
    /// Foreign objects that would be archived and replaced.
    pub taken: Vec<String>,
    /// What the site consists of, apart from where it goes.
    pub content: PlannedContent,
    /// Why files of the site are treated as fingerprinted: one entry for each reason, the most files first.
    pub fingerprinted: Vec<FingerprintedGroup>,
    /// Files that are there already.
    pub unchanged_files: Tally,
    /// Objects of ours that the release does not have.
    pub obsolete: Vec<PlannedDelete>,
    /// Objects under the prefix that no release knows. They are never touched.
    pub foreign: u64,
    /// The first of them.
    pub foreign_sample: Vec<String>,
    /// Invalidation paths for each distribution.
    pub invalidation_paths: Vec<String>,
    /// The distributions.
    pub distributions: Vec<String>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

impl Decision {
    pub(super) fn unchanged_tally(&self) -> Tally {
        let there = self.diff.unchanged.iter().chain(&self.diff.adopted);
        Tally::of(there.map(|index| self.desired.files[*index].size))
    }

    pub(super) fn report(&self, run: &Deployer, site: &Site) -> PlanReport {
        let file = |index: usize| &self.desired.files[index];
        let mut writes: Vec<PlannedWrite> = self
            .diff
            .writes
            .iter()
            .map(|write| PlannedWrite {
                key: file(write.file).key.to_string(),
                bytes: file(write.file).size,
                reason: write.reason,
                role: file(write.file).role,
                staged: is_staged(&self.desired, write),
                evidence: (file(write.file).role == Role::Fingerprinted)
                    .then(|| evidence(&site.files[write.file], &self.promoted))
                    .flatten(),
            })
            .collect();
        writes.sort_by(|a, b| (!a.staged, a.role, &a.key).cmp(&(!b.staged, b.role, &b.key)));
        let pages: std::collections::HashSet<_> = removed_pages(&self.diff).collect();
        let mut paths = self.paths.clone();
        paths.extend(self.removed_paths.iter().filter(|p| !self.paths.contains(p)).cloned());
        PlanReport {
            unchanged: self.is_nothing(),
            release: self.release.id.to_string(),
            version: self.release.version.clone(),
            build: self.release.build,
            live: self.snapshot.current.live.as_ref().map(ToString::to_string),
            unfinished: self.snapshot.current.has_unfinished_work(),
            writes,
            adopted: self.diff.adopted.iter().map(|i| file(*i).key.to_string()).collect(),
            taken: self.diff.obstacles.iter().map(|o| file(o.file).key.to_string()).collect(),
            content: PlannedContent::of(site),
            fingerprinted: FingerprintedGroup::all(site, &self.promoted),
            unchanged_files: Tally::of(self.diff.unchanged.iter().map(|i| file(*i).size)),
            obsolete: self
                .diff
                .obsolete
                .iter()
                .map(|o| PlannedDelete { key: o.key.to_string(), bytes: o.size, now: pages.contains(&o.key) })
                .collect(),
            foreign: self.diff.foreign,
            foreign_sample: self.diff.foreign_sample.clone(),
            invalidation_paths: paths,
            distributions: run.options.distributions.clone(),
            warnings: run.recorder.sums().warnings,
        }
    }
}

impl Deployer {
    /// The report of a run that ends here.
    pub(super) fn run_report(
        &self,
        result: Outcome,
        live: Option<&ReleaseRecord>,
        previous: Option<String>,
        invalidations: Vec<InvalidationReport>,
    ) -> Report {
        let sums = self.recorder.sums();
        let (retries, throttled) = self.recorder.failures();
        Report {
            result,
            live: live.map(NamedRelease::from),
            build: live.and_then(|release| release.build),
            previous: previous.filter(|p| live.is_none_or(|release| p != release.id.as_str())),
            uploaded: sums.written,
            unchanged: Tally::default(),
            deleted: sums.deleted,
            foreign: 0,
            requests: self.recorder.requests(),
            retries,
            throttled,
            invalidations,
            seen: None,
            seconds: sums.seconds,
            warnings: sums.warnings,
        }
    }
}
