//! What the target's bucket was last seen to hold of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lines::{self, Decoder, Extra};
use super::{KnownWarnings, Manifest, ReleaseFile, ReleaseRecord, StateError};
use crate::bucket::{ETag, ListedObject, Sink as _};
use crate::digest::Sha256;
use crate::headers::Headers;
use crate::site::{Key, Role};

/// The releases that had a name or a content, from the first to the last, by their numbers. Some in between may not have
/// had it: what it says of them is that it may be needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Number of the first release.
    pub first: u64,
    /// Number of the last one; `None` while the release that was live when the inventory was written has it.
    pub last: Option<u64>,
}

impl Span {
    /// Of no release.
    const NONE: Self = Self { first: u64::MAX, last: Some(0) };

    /// Of one release that is not live.
    pub fn of(number: u64) -> Self {
        Self { first: number, last: Some(number) }
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let last = self.last.zip(other.last).map(|(one, another)| one.max(another));
        Self { first: self.first.min(other.first), last }
    }

    /// The same where the release that had it is not live any more, and `last` is the last one it can have been.
    #[must_use]
    pub fn until(self, last: u64) -> Self {
        Self { last: self.last.or(Some(last)), ..self }
    }

    /// Whether one of the releases with these numbers may have it.
    pub fn has_any(&self, numbers: &BTreeSet<u64>) -> bool {
        let last = self.last.unwrap_or(u64::MAX);
        self.first <= last && numbers.range(self.first..=last).next().is_some()
    }
}

/// One object that some release of ours put under the target's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Key relative to the target's prefix.
    pub key: Key,
    /// SHA-256 of its content.
    pub sha256: Sha256,
    /// Length of its content in bytes.
    pub size: u64,
    /// Headers it was written with.
    pub headers: Arc<Headers>,
    /// Its place in the switch.
    pub role: Role,
    /// See [`ReleaseFile::demoted`](super::ReleaseFile::demoted).
    pub demoted: bool,
    /// The releases that have a file of this name. Format 1 did not say: from the first on.
    pub releases: Span,
    /// Entity tag and date that a listing showed after it was written; `None` if it was written
    /// (or was to be) by a run that did not come as far as to list.
    pub seen: Option<(ETag, Timestamp)>,
}

impl Record {
    /// Of a file that was, or was to be, written, and has not been listed since.
    pub fn unseen(file: &ReleaseFile) -> Self {
        Self {
            key: file.key.clone(),
            sha256: file.sha256,
            size: file.size,
            headers: file.headers.clone(),
            role: file.role,
            demoted: file.demoted,
            releases: Span::default(),
            seen: None,
        }
    }

    /// Whether the listing still shows what was recorded: entity tag, size and date. Only then is
    /// the recorded hash believed; a date alone gives away a change of headers.
    pub fn is_confirmed_by(&self, listed: &ListedObject) -> bool {
        self.size == listed.size
            && self.seen.as_ref().is_some_and(|(etag, date)| *etag == listed.etag && *date == listed.last_modified)
    }
}

/// All [`Record`]s of a target, in the order of their keys, no key twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The records.
    pub records: Vec<Record>,
    /// The releases that had a content under a name that has another content by now, or none: those that may need it in
    /// the archive. `None` if that is not known: format 1 did not say.
    pub archived: Option<BTreeMap<Sha256, Span>>,
    /// Releases whose files are not kept any more, in the order in which they were pruned; the latest hundred. They are
    /// here and not in `current`, which is rewritten again and again.
    pub pruned: Vec<ReleaseRecord>,
}

/// Most releases that are remembered when their files are gone: some 20 KiB of the inventory.
const MOST_PRUNED: usize = 100;

impl Default for Inventory {
    fn default() -> Self {
        Self { records: Vec::new(), archived: Some(BTreeMap::new()), pruned: Vec::new() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    #[serde(rename = "k")]
    key: Key,
    #[serde(rename = "s")]
    sha256: Sha256,
    #[serde(rename = "n")]
    size: u64,
    #[serde(rename = "h")]
    headers: usize,
    #[serde(rename = "r")]
    role: Role,
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    demoted: bool,
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    first: u64,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    etag: Option<ETag>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    last_modified: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

const KIND: &str = "inventory";

pub(crate) type InventoryDecoder = Decoder<Line>;

impl lines::Line for Line {
    type Item = Record;

    fn headers(&self) -> usize {
        self.headers
    }

    fn item(self, _: &str, headers: Arc<Headers>) -> Option<Record> {
        Some(Record {
            key: self.key,
            sha256: self.sha256,
            size: self.size,
            headers,
            role: self.role,
            demoted: self.demoted,
            releases: Span { first: self.first, last: self.last },
            seen: self.etag.zip(self.last_modified),
        })
    }
}

impl Inventory {
    /// The object it is stored as.
    pub fn encode(&self) -> Bytes {
        let archived = self
            .archived
            .as_ref()
            .map(|archived| archived.iter().map(|(sha, span)| (*sha, span.first, span.last)).collect());
        lines::encode(
            (KIND, Extra { archived, pruned: self.pruned.clone() }),
            self.records.iter(),
            |r| r.key.as_str(),
            |r| &r.headers,
            |r, headers| Line {
                key: r.key.clone(),
                sha256: r.sha256,
                size: r.size,
                headers,
                role: r.role,
                demoted: r.demoted,
                first: r.releases.first,
                last: r.releases.last,
                etag: r.seen.as_ref().map(|s| s.0.clone()),
                last_modified: r.seen.as_ref().map(|s| s.1),
            },
        )
    }

    /// Reads what [`Inventory::encode`] wrote.
    ///
    /// # Errors
    /// [`StateError`] naming `key`.
    pub fn decode(key: &str, bytes: &[u8]) -> Result<Self, StateError> {
        let mut decoder = Self::decoder(key, bytes.len() as u64);
        decoder.take(bytes);
        Self::decoded(decoder)
    }

    /// Reads the object `key` of `size` bytes as it comes in.
    pub(crate) fn decoder(key: &str, size: u64) -> InventoryDecoder {
        Decoder::new(key, KIND, size)
    }

    /// What a decoder has read.
    ///
    /// # Errors
    /// As [`Inventory::decode`].
    pub(crate) fn decoded(decoder: InventoryDecoder) -> Result<Self, StateError> {
        let (mut records, Extra { archived, pruned }) = decoder.finish()?;
        records.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let spans = |archived: lines::Archived| {
            archived.into_iter().map(|(sha256, first, last)| (sha256, Span { first, last })).collect()
        };
        Ok(Self { records, archived: archived.map(spans), pruned })
    }

    /// Adds what the release `number`, which was live, had: names that are not on record, as not seen, and what it needs.
    pub fn add_release(&mut self, manifest: &Manifest, number: u64) {
        self.add_needs(manifest, number);
        let unknown = manifest.files.iter().filter(|f| self.get(&f.key).is_none());
        let unknown = unknown.map(|file| Record { releases: Span::of(number), ..Record::unseen(file) });
        let unknown: Vec<Record> = unknown.collect();
        self.records.extend(unknown);
        self.records.sort_by(|a, b| a.key.cmp(&b.key));
    }

    /// Adds that the release `number` needs the names of its manifest, and content that is not the recorded one.
    fn add_needs(&mut self, manifest: &Manifest, number: u64) {
        let had = Span::of(number);
        for file in &manifest.files {
            let known = self.records.binary_search_by(|r| r.key.cmp(&file.key)).map(|index| &mut self.records[index]);
            if let Ok(record) = known {
                record.releases = record.releases.with(had);
                if record.sha256 == file.sha256 {
                    continue;
                }
            }
            self.add_archived(file.sha256, had);
        }
    }

    /// Learns what releases need from the manifests of all of them, by number, where the inventory does not say it.
    pub(crate) fn learn_needs<'a>(&mut self, manifests: impl IntoIterator<Item = (u64, &'a Manifest)>) {
        self.archived.get_or_insert_default();
        for record in &mut self.records {
            record.releases = Span::NONE;
        }
        for (number, manifest) in manifests {
            self.add_needs(manifest, number);
        }
        // Whose it is nobody knows: any release may need it.
        for record in self.records.iter_mut().filter(|r| r.releases == Span::NONE) {
            record.releases = Span::default();
        }
    }

    /// Records that these releases may need a content in the archive.
    pub(crate) fn add_archived(&mut self, sha256: Sha256, releases: Span) {
        let archived = self.archived.get_or_insert_default();
        archived.entry(sha256).and_modify(|known| *known = known.with(releases)).or_insert(releases);
    }

    /// Takes a record off. Releases until number `last` may need its content in the archive.
    pub(crate) fn forget(&mut self, gone: impl Fn(&Record) -> bool, last: u64) {
        let (gone, kept) = std::mem::take(&mut self.records).into_iter().partition(gone);
        self.records = kept;
        let gone: Vec<Record> = gone;
        for record in gone {
            self.add_archived(record.sha256, record.releases.until(last));
        }
    }

    /// Adds releases that are pruned to those that are remembered.
    pub(crate) fn add_pruned<'a>(&mut self, releases: impl IntoIterator<Item = &'a ReleaseRecord>) {
        self.pruned.extend(releases.into_iter().map(|release| ReleaseRecord {
            warnings: KnownWarnings::default(),
            found_wrong: Vec::new(),
            ..release.clone()
        }));
        self.pruned.drain(..self.pruned.len().saturating_sub(MOST_PRUNED));
    }

    /// The keys, ascending.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.records.iter().map(|record| &record.key)
    }

    /// The record of `key`.
    pub fn get(&self, key: &Key) -> Option<&Record> {
        self.records.binary_search_by(|r| r.key.cmp(key)).ok().map(|i| &self.records[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_hundred_of_those_that_were_pruned_are_remembered() {
        let release = |number| {
            let commit = Some("7f2c0a91b3d4e5f60718293a4b5c6d7e8f901a2b".to_owned());
            let record = ReleaseRecord::new(number, "2026.11.1234", &Manifest::default(), Timestamp::UNIX_EPOCH);
            ReleaseRecord { commit, activated_at: Some(Timestamp::UNIX_EPOCH), ..record }
        };
        let mut inventory = Inventory::default();
        inventory.add_pruned(&(1..=30).map(release).collect::<Vec<_>>());
        (31..=150).for_each(|number| inventory.add_pruned(&[release(number)]));
        let numbers: Vec<u64> = inventory.pruned.iter().map(|r| r.id.number()).collect();
        assert_eq!(numbers, (51..=150).collect::<Vec<_>>());
        let written = inventory.encode();
        assert!(written.len() <= 24 * 1024, "{} bytes", written.len());
        assert_eq!(Inventory::decode("inventory", &written).unwrap(), inventory);
    }
}
