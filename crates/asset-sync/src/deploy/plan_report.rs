//! What a deployment would do, for people and machines.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::context::Context;
use super::decide::{Decision, is_staged, removed_pages};
use super::edges::{owe, pending_paths};
use super::report::Tally;
use crate::digest::{Hasher, Sha256};
use crate::plan::Reason;
use crate::site::{Evidence, Fingerprint, Key, Role, Site, SiteFile};

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
    /// What is invalidated at the distributions, with what is pending from earlier runs. One that was never invalidated
    /// before drops everything.
    pub invalidation_paths: Vec<String>,
    /// The distributions.
    pub distributions: Vec<String>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

/// What carrying out `decision` would do.
pub(super) fn report(cx: &Context, decision: &Decision, site: &Site) -> PlanReport {
    let file = |index: usize| &decision.desired.files[index];
    let mut writes: Vec<PlannedWrite> = decision
        .diff
        .writes
        .iter()
        .map(|write| PlannedWrite {
            key: file(write.file).key.to_string(),
            bytes: file(write.file).size,
            reason: write.reason,
            role: file(write.file).role,
            staged: is_staged(&decision.desired, write),
            evidence: (file(write.file).role == Role::Fingerprinted)
                .then(|| evidence(&site.files[write.file], &decision.promoted))
                .flatten(),
        })
        .collect();
    writes.sort_by(|a, b| (!a.staged, a.role, &a.key).cmp(&(!b.staged, b.role, &b.key)));
    let pages: std::collections::HashSet<_> = removed_pages(&decision.diff).collect();
    PlanReport {
        unchanged: decision.is_nothing(cx),
        release: decision.release.id.to_string(),
        version: decision.release.version.clone(),
        build: decision.release.build,
        live: decision.snapshot.current.live.as_ref().map(ToString::to_string),
        unfinished: decision.snapshot.current.has_unfinished_work(&cx.options.distributions),
        writes,
        adopted: decision.diff.adopted.iter().map(|i| file(*i).key.to_string()).collect(),
        taken: decision.diff.obstacles.iter().map(|o| file(o.file).key.to_string()).collect(),
        content: PlannedContent::of(site),
        fingerprinted: FingerprintedGroup::all(site, &decision.promoted),
        unchanged_files: Tally::of(decision.diff.unchanged.iter().map(|i| file(*i).size)),
        obsolete: decision
            .diff
            .obsolete
            .iter()
            .map(|o| PlannedDelete { key: o.key.to_string(), bytes: o.size, now: pages.contains(&o.key) })
            .collect(),
        foreign: decision.diff.foreign,
        foreign_sample: decision.diff.foreign_sample.clone(),
        invalidation_paths: invalidation_paths(cx, decision),
        distributions: cx.options.distributions.clone(),
        warnings: cx.recorder.sums().warnings,
    }
}

/// What the run will invalidate, at whichever distribution.
fn invalidation_paths(cx: &Context, decision: &Decision) -> Vec<String> {
    let paths: BTreeSet<String> = decision.paths.iter().chain(&decision.removed_paths).cloned().collect();
    let paths: Vec<String> = paths.into_iter().collect();
    if cx.options.distributions.is_empty() {
        return paths;
    }
    let mut current = decision.snapshot.current.clone();
    current.live = Some(decision.release.id.clone());
    owe(cx, &mut current, &paths);
    pending_paths(cx, &current).into_values().flatten().collect::<BTreeSet<_>>().into_iter().collect()
}
