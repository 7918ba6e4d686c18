//! The one object that changes: live release, lease and journal of a target.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::edges::{Edges, OwedInvalidation};
use super::lines::check_format;
use super::table;
use super::{Ended, FORMAT, KnownWarnings, READABLE_SINCE, ReleaseId, ReleaseRecord, StateError};
use crate::digest::Sha256;
use crate::verify::Observation;

/// Most observations against a release that are kept.
const MOST_EVIDENCE: usize = 5;

/// What a target's state says now. Replaced only by conditional writes, each with a new
/// [`generation`](Self::generation) and [`nonce`](Self::nonce), so that no two of its versions
/// have the same bytes and a stale writer always loses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// State format, see [`FORMAT`].
    pub format: u32,
    /// The first version of this program that reads that format, for the message of an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readable_since: Option<String>,
    /// Grows by one with every write of this object.
    pub generation: u64,
    /// Random, new with every write.
    pub nonce: String,
    /// Highest number ever given to a release of this target.
    pub sequence: u64,
    /// The release that is live.
    pub live: Option<ReleaseId>,
    /// Releases whose files are kept, in the order of their numbers.
    #[serde(with = "table")]
    pub releases: Vec<ReleaseRecord>,
    /// Generation of the inventory in force.
    pub inventory: Option<u64>,
    /// SHA-256 of that inventory, as stored. Format 1 had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory_sha256: Option<Sha256>,
    /// Releases whose files may be in the bucket without being in that inventory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrecorded: Vec<ReleaseId>,
    /// What edges may still hold of what is not served any more.
    #[serde(default, skip_serializing_if = "Edges::is_empty")]
    pub edges: Edges,
    /// What a run has begun and not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Who may write now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Fields that this version does not know: a later one of the same format wrote them, and they are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// What a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// A site is made live.
    Deploy,
    /// An earlier release is made live again.
    Rollback,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// New files are uploaded where nothing refers to them.
    Staging,
    /// The invalidation is owed, and entry files are being replaced.
    Switching,
    /// The new release is live; invalidation and deletes remain.
    Switched,
}

/// A run that has begun to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What it is about.
    pub operation: Operation,
    /// The release it makes live.
    pub release: ReleaseId,
    /// How far it has come.
    pub phase: Phase,
    /// Multipart uploads it has begun and not finished.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uploads: Vec<RecordedUpload>,
    /// The execution of a pipeline that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
    /// Whether a run for another release died in its switch before this one began: entry files of both that release and
    /// the live one may be served.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mixed: bool,
    /// Whether this is a rollback that a run began since it saw evidence against the live release.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_verification: bool,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A multipart upload on record, to be aborted if its run dies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedUpload {
    /// Whether it is in the state bucket rather than the target's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_state: bool,
    /// Full key.
    pub key: String,
    /// Upload id.
    pub id: String,
}

/// The right to write, for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it, for people.
    pub owner: String,
    /// Tells one holding from another.
    pub nonce: String,
    /// When it was taken, by the holder's clock. For people; nothing is decided by it.
    pub acquired_at: Timestamp,
    /// How long it is good after the last write of [`Current`].
    #[serde(with = "seconds")]
    pub duration: SignedDuration,
    /// How long a request of the holder may still be under way after that.
    #[serde(with = "seconds")]
    pub request_timeout: SignedDuration,
}

/// Whole seconds, rounded up: a lease is never read as shorter than it is.
mod seconds {
    use jiff::SignedDuration;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
        let up = i64::from(value.subsec_nanos() > 0);
        value.as_secs().saturating_add(up).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
        i64::deserialize(deserializer).map(SignedDuration::from_secs)
    }
}

impl Default for Current {
    /// The state of a target nothing was ever deployed to.
    fn default() -> Self {
        Self {
            format: FORMAT,
            readable_since: Some(READABLE_SINCE.to_owned()),
            generation: 0,
            nonce: String::new(),
            sequence: 0,
            live: None,
            releases: Vec::new(),
            inventory: None,
            inventory_sha256: None,
            unrecorded: Vec::new(),
            edges: Edges::default(),
            pending: None,
            lease: None,
            unknown: Map::new(),
        }
    }
}

impl Current {
    /// Reads what [`Current::encode`] wrote.
    ///
    /// # Errors
    /// [`StateError`] naming `key`.
    pub fn decode(key: &str, bytes: &[u8]) -> Result<Self, StateError> {
        check_format(key, bytes)?;
        let malformed = |e: serde_json::Error| StateError::Malformed { key: key.to_owned(), reason: e.to_string() };
        let mut current: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        // Format 1 had no record of the distributions that are fresh.
        if let Some(owed) = current.unknown.remove("debts") {
            let owed: Vec<OwedInvalidation> = serde_json::from_value(owed).map_err(malformed)?;
            current.edges = owed.into_iter().collect();
        }
        Ok(current)
    }

    /// The object it is stored as.
    pub fn encode(&self) -> Bytes {
        // Plain structs and strings always serialise.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// The next version of the object, in the format of this program.
    pub(crate) fn stamped(&self) -> Self {
        Self {
            format: FORMAT,
            readable_since: Some(READABLE_SINCE.to_owned()),
            generation: self.generation.saturating_add(1),
            nonce: uuid::Uuid::new_v4().simple().to_string(),
            ..self.clone()
        }
    }

    /// The record of a release.
    pub fn release(&self, id: &ReleaseId) -> Option<&ReleaseRecord> {
        self.releases.iter().find(|r| r.id == *id)
    }

    fn release_mut(&mut self, id: &ReleaseId) -> Option<&mut ReleaseRecord> {
        self.releases.iter_mut().find(|r| r.id == *id)
    }

    /// The record of the live release.
    pub fn live_release(&self) -> Option<&ReleaseRecord> {
        self.live.as_ref().and_then(|id| self.release(id))
    }

    /// Whether an earlier run left something to finish, for a run with these `distributions`.
    pub fn has_unfinished_work(&self, distributions: &[String]) -> bool {
        self.pending.is_some() || self.edges.is_unfinished(distributions)
    }

    /// A run begins to write `release` (known already, or new): from here on its files count as
    /// ours wherever they are found. `execution` is the one of a pipeline that it belongs to.
    pub fn begin(&mut self, operation: Operation, release: ReleaseRecord, execution: Option<&str>, now: Timestamp) {
        let abandoned = self.pending.take();
        let half_switched = |p: &Pending| p.phase == Phase::Switching || p.mixed;
        // Who tries the same again goes on where the one before stopped.
        let again = abandoned.as_ref().filter(|p| p.release == release.id && p.operation == operation);
        let phase = again.map_or(Phase::Staging, |p| p.phase.min(Phase::Switching));
        let mixed = match again {
            Some(pending) => pending.mixed,
            None => abandoned.as_ref().is_some_and(half_switched),
        };
        let by_verification = again.is_some_and(|p| p.by_verification);
        // What an unfinished run wrote stays on record, and keeps its files for the grace time.
        if let Some(abandoned) = abandoned
            && abandoned.release != release.id
            && self.live.as_ref() != Some(&abandoned.release)
            && let Some(record) = self.release_mut(&abandoned.release)
        {
            record.superseded_at = Some(now);
            // Half of it was visible, and a rollback took that down.
            if operation == Operation::Rollback && abandoned.phase >= Phase::Switching {
                record.rolled_back = true;
                record.ended = Some(Ended::RolledBackByHand);
            }
            if record.activated_at.is_none() {
                record.deployed_by = abandoned.execution;
            }
        }
        let id = release.id.clone();
        if self.release(&id).is_none() {
            self.sequence = self.sequence.saturating_add(1);
            self.releases.push(release);
        }
        // The pages of the release that is taken down must be known to whoever finishes this; a
        // rollback, which may be that, does not read the inventory.
        let replaced = self.live.clone();
        for id in replaced.into_iter().chain([id.clone()]) {
            if !self.unrecorded.contains(&id) {
                self.unrecorded.push(id);
            }
        }
        let execution = execution.map(str::to_owned);
        let (uploads, unknown) = (Vec::new(), Map::new());
        self.pending =
            Some(Pending { operation, release: id, phase, uploads, execution, mixed, by_verification, unknown });
    }

    /// The rollback that has just begun is the consequence of what a run saw of the live release.
    pub fn set_by_verification(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.by_verification = true;
        }
    }

    /// The first entry file is about to be replaced.
    pub fn begin_switch(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.phase = Phase::Switching;
        }
    }

    /// All entry files are those of the live release.
    pub fn end_switch(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.phase = Phase::Switched;
            pending.mixed = false;
        }
    }

    /// `id` is live from now on: by a deployment, or (`by_rollback`) taken back from a later release.
    pub fn activate(&mut self, id: &ReleaseId, by_rollback: bool, now: Timestamp) {
        if self.live.as_ref() == Some(id) {
            return;
        }
        let by_verification = self.pending.as_ref().is_some_and(|pending| pending.by_verification);
        let rolled_back = if by_verification { Ended::RolledBackByVerification } else { Ended::RolledBackByHand };
        let old = self.live.take();
        if let Some(record) = old.as_ref().and_then(|old| self.release_mut(old)) {
            record.superseded_at = Some(now);
            record.rolled_back = by_rollback;
            record.ended = by_rollback.then_some(rolled_back);
            // Only what is live is compared with what comes next.
            record.warnings = KnownWarnings::default();
        }
        if let Some(record) = self.release_mut(id) {
            record.activated_at = Some(now);
            record.superseded_at = None;
            record.rolled_back = false;
            record.ended = None;
            // Going back leaves it what it replaced then: the way back never leads forward.
            if !by_rollback && old.is_some() {
                record.replaced = old;
            }
        }
        self.live = Some(id.clone());
    }

    /// Records what stood in the bucket before the first deployment, in the place of the record `before`.
    pub fn record_adopted(&mut self, record: ReleaseRecord, before: Option<&ReleaseId>) {
        let id = record.id.clone();
        if let Some(before) = before {
            self.releases.retain(|r| r.id != *before);
            for other in self.releases.iter_mut().filter(|r| r.replaced.as_ref() == Some(before)) {
                other.replaced = Some(id.clone());
            }
        }
        if self.release(&id).is_none() {
            self.releases.insert(0, record);
        }
    }

    /// Records what speaks against a release; nothing where it was seen to be right.
    pub fn set_found_wrong(&mut self, id: &ReleaseId, evidence: &[Observation]) {
        if let Some(record) = self.release_mut(id) {
            record.found_wrong = evidence.iter().take(MOST_EVIDENCE).map(Observation::shortened).collect();
        }
    }

    /// Records the commit that a release is deployed from, where it is known.
    pub fn set_commit(&mut self, id: &ReleaseId, commit: Option<&str>) {
        if let (Some(record), Some(commit)) = (self.release_mut(id), commit) {
            record.commit = Some(commit.to_owned());
        }
    }

    /// Records which execution made a release live, and for which environment, where that has a name.
    pub fn set_deployed_by(&mut self, id: &ReleaseId, execution: Option<&str>, environment: Option<&str>) {
        if let Some(record) = self.release_mut(id) {
            record.deployed_by = execution.map(str::to_owned);
            if let Some(environment) = environment {
                record.environment = Some(environment.to_owned());
            }
        }
    }

    /// What was begun is done.
    pub fn finish(&mut self) {
        self.pending = None;
        for record in self.releases.iter_mut().filter(|r| self.live.as_ref() != Some(&r.id)) {
            record.found_wrong = Vec::new();
        }
    }
}
