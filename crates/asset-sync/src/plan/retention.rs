//! What is kept and what expires, and what kept releases need, which may therefore not be deleted.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::digest::Sha256;
use crate::site::Key;
use crate::state::{Current, Inventory, Manifest, Record, ReleaseId, ReleaseRecord};

/// Most names of one content that are kept: a build that is released again under another name every hour has as many.
const NAMES: usize = 10;

/// Releases that may go: their content is neither live, nor begun, nor among the `keep` contents that were live last before
/// the live one, and was superseded at least `grace` ago. Releases with the same content are one here: what was kept under
/// the name of one is there under the names of all.
pub(crate) fn expired(current: &Current, keep: usize, grace: SignedDuration, now: Timestamp) -> Vec<ReleaseId> {
    let pending = current.pending.as_ref().map(|p| &p.release);
    let is_in_use = |r: &ReleaseRecord| current.live.as_ref() == Some(&r.id) || pending == Some(&r.id);
    let mut contents: HashMap<Sha256, Vec<&ReleaseRecord>> = HashMap::new();
    for release in &current.releases {
        contents.entry(release.tree).or_default().push(release);
    }
    let mut past: Vec<Vec<&ReleaseRecord>> =
        contents.into_values().filter(|c| !c.iter().any(|r| is_in_use(r))).collect();
    let was_live_until = |c: &[&ReleaseRecord]| c.iter().filter_map(|r| r.activated_at.and(r.superseded_at)).max();
    let number = |c: &[&ReleaseRecord]| c.iter().map(|r| r.id.number()).max();
    past.sort_by_key(|c| Reverse((was_live_until(c), number(c))));
    let mut kept = 0;
    let mut expired = Vec::new();
    for content in past {
        if was_live_until(&content).is_some() && kept < keep {
            kept += 1;
        } else if content.iter().all(|r| r.superseded_at.is_none_or(|at| now.duration_since(at) >= grace)) {
            expired.extend(content.iter().map(|r| r.id.clone()));
        }
    }
    expired
}

/// Releases of which nothing goes but the name: older names of a content that has many. Their files are those of the
/// others.
pub(crate) fn surplus_names(current: &Current) -> Vec<ReleaseId> {
    let pending = current.pending.as_ref().map(|p| &p.release);
    let mut names: HashMap<Sha256, usize> = HashMap::new();
    let newest_first = current.releases.iter().rev();
    newest_first
        .filter(|r| {
            let newer = names.entry(r.tree).or_default();
            *newer += 1;
            let is_in_use = current.live.as_ref() == Some(&r.id) || pending == Some(&r.id);
            *newer > NAMES && !is_in_use && !current.unrecorded.contains(&r.id)
        })
        .map(|r| r.id.clone())
        .collect()
}

/// What the kept releases need, by what is on record of them: no manifest of theirs is read.
#[derive(Debug)]
pub(crate) struct Needed {
    /// Numbers of the releases that are kept besides the live one.
    kept: BTreeSet<u64>,
    /// Number of the last release.
    last: u64,
    /// Content of releases whose manifest was read: the live one, and what was adopted, which has no number of its own.
    blobs: HashSet<Sha256>,
    keys: HashSet<Key>,
}

impl Needed {
    /// What is needed when the releases `expired` are gone.
    pub(crate) fn new(current: &Current, expired: &[ReleaseId]) -> Self {
        let kept = current.releases.iter().filter(|r| current.live.as_ref() != Some(&r.id) && !expired.contains(&r.id));
        let live = current.live_release().map(|live| live.stored_as().number());
        let kept = kept.map(|r| r.stored_as().number()).filter(|number| Some(*number) != live).collect();
        Self { kept, last: current.sequence, blobs: HashSet::new(), keys: HashSet::new() }
    }

    /// Adds what a manifest says: each of its keys, and the archived bytes of each of its files, if there are any. Role
    /// does not matter: bytes of a fingerprinted file are in the archive only if something else took its name.
    pub(crate) fn add(&mut self, manifest: &Manifest) {
        for file in &manifest.files {
            self.keys.insert(file.key.clone());
            self.blobs.insert(file.sha256);
        }
    }

    /// Whether a kept release may have a file of this name.
    fn record(&self, record: &Record) -> bool {
        record.releases.until(self.last).has_any(&self.kept)
    }

    /// Whether an object that the live release does not have may be needed by a kept one.
    pub(crate) fn key(&self, inventory: &Inventory, key: &Key) -> bool {
        self.keys.contains(key) || inventory.get(key).is_some_and(|record| self.record(record))
    }

    /// The archived content that a kept release may need.
    pub(crate) fn blobs(mut self, inventory: &Inventory) -> HashSet<Sha256> {
        let mut blobs = std::mem::take(&mut self.blobs);
        blobs.extend(inventory.records.iter().filter(|r| self.record(r)).map(|r| r.sha256));
        let archived = inventory.archived.iter().flatten().filter(|(_, releases)| releases.has_any(&self.kept));
        blobs.extend(archived.map(|(sha256, _)| *sha256));
        blobs
    }
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
