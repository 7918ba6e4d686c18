//! What the target's bucket was last seen to hold of ours.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lines::{self, Decoder};
use super::{Manifest, ReleaseFile, StateError};
use crate::bucket::{ETag, ListedObject};
use crate::digest::Sha256;
use crate::headers::Headers;
use crate::site::{Key, Role};

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The records.
    pub records: Vec<Record>,
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
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    etag: Option<ETag>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    last_modified: Option<Timestamp>,
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
            seen: self.etag.zip(self.last_modified),
        })
    }
}

impl Inventory {
    /// The object it is stored as.
    pub fn encode(&self) -> Bytes {
        lines::encode(
            KIND,
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
        Ok(Self::of(Decoder::<Line>::decode(key, KIND, bytes)?))
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
        Ok(Self::of(decoder.items()?))
    }

    fn of(mut records: Vec<Record>) -> Self {
        records.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Self { records }
    }

    /// Adds the files of a release that was live and that this inventory does not have, as not seen.
    pub fn add_unseen(&mut self, manifest: &Manifest) {
        let unknown: Vec<Record> =
            manifest.files.iter().filter(|f| self.get(&f.key).is_none()).map(Record::unseen).collect();
        self.records.extend(unknown);
        self.records.sort_by(|a, b| a.key.cmp(&b.key));
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
