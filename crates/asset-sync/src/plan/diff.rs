//! What a site has to write to a bucket, by content.

use std::collections::HashMap;
use std::sync::Arc;

use crate::bucket::{Condition, ETag, ListedObject};
use crate::digest::Sha256;
use crate::headers::Headers;
use crate::plan::RemovedPages;
use crate::site::{Key, Role};
use crate::state::{Inventory, Manifest, Record, ReleaseFile};

/// What to do with an object that no release of ours recorded and that stands where one of our
/// files must go, with other content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Adopt {
    /// Stop before anything is written.
    #[default]
    Refuse,
    /// Archive it so that it can be restored, then replace it.
    Take,
}

/// What runs that did not finish may have written, by key: ours, but not in the inventory.
pub type Claims = HashMap<Key, Vec<ReleaseFile>>;

/// What was learnt by looking at one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Entity tag at the time.
    pub etag: ETag,
    /// Length in bytes.
    pub size: u64,
    /// Headers it is served with.
    pub headers: Headers,
    /// SHA-256 of its content, where known.
    pub sha256: Option<Sha256>,
}

impl Inspection {
    /// Whether it is this content. A hash in metadata is not believed of an object with another length.
    pub(crate) fn is(&self, sha256: Sha256, size: u64) -> bool {
        self.sha256 == Some(sha256) && self.size == size
    }
}

/// All a diff is made from.
#[derive(Debug, Clone, Copy)]
pub struct DiffInput<'a> {
    /// The release to be made live.
    pub desired: &'a Manifest,
    /// What the bucket was last seen to hold of ours.
    pub inventory: &'a Inventory,
    /// What unfinished runs may have changed since.
    pub claims: &'a Claims,
    /// What the bucket holds now: keys relative to the prefix, sorted, without the state area.
    pub listed: &'a [ListedObject],
    /// What was learnt of objects that earlier rounds asked for.
    pub inspected: &'a HashMap<String, Inspection>,
    /// What to do with foreign objects in the way.
    pub adopt: Adopt,
}

/// Why a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Nothing is there, and nothing of ours was.
    New,
    /// Its content changed.
    Content,
    /// Only its headers changed.
    Headers,
    /// It was there and somebody deleted it.
    Missing,
    /// Somebody changed it.
    EditedOutside,
    /// A foreign object is archived and replaced.
    Taken,
}

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Index into the desired manifest's files.
    pub file: usize,
    /// What must still be there for the write to take place.
    pub condition: Condition,
    /// Why.
    pub reason: Reason,
}

/// An object to look at before the diff can be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToInspect {
    /// Key relative to the prefix.
    pub key: Key,
    /// The hash of its content is needed even if it takes reading it. One that only metadata states is not enough.
    pub needs_hash: bool,
}

/// A foreign object in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// Index into the desired manifest's files.
    pub file: usize,
    /// What it is, if it was looked at.
    pub found: Option<Inspection>,
}

/// An object of ours that the desired release does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obsolete {
    /// Key relative to the prefix.
    pub key: Key,
    /// Its entity tag in the listing.
    pub etag: ETag,
    /// Its length in the listing.
    pub size: u64,
    /// Its place in the switch, when it had one.
    pub role: Role,
    /// Whether it is certainly what we wrote.
    pub confirmed: bool,
    /// Whether it is deleted right after the switch: a page, or the data of a page, that the release no longer has.
    /// Other files wait until the releases that have them expire.
    pub with_switch: bool,
}

/// The difference between a release and a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Files to write, in the order of their keys.
    pub writes: Vec<Write>,
    /// Files that are there, content and headers, as indices into the desired manifest.
    pub unchanged: Vec<usize>,
    /// Foreign objects that have the desired content: ours from now on.
    pub adopted: Vec<usize>,
    /// Look at these and diff again. While it is not empty the rest is provisional.
    pub inspect: Vec<ToInspect>,
    /// Foreign objects with other content: refused, or (with [`Adopt::Take`]) to be archived.
    pub obstacles: Vec<Obstacle>,
    /// Objects of ours that the release no longer has.
    pub obsolete: Vec<Obsolete>,
    /// Number of objects that are not ours and not in the way.
    pub foreign: u64,
    /// Some of those, for people: the first in key order.
    pub foreign_sample: Vec<String>,
}

const SAMPLE: usize = 10;

impl Diff {
    /// Compares by one walk through the sorted lists.
    pub fn new(input: DiffInput<'_>) -> Self {
        let mut diff = Self::default();
        let mut listed = input.listed.iter().peekable();
        let mut records = input.inventory.records.iter().peekable();
        for (index, file) in input.desired.files.iter().enumerate() {
            while let Some(object) = listed.next_if(|o| *o.key < *file.key.as_str()) {
                diff.leftover(&input, object, next_record(&mut records, &object.key));
            }
            let record = next_record(&mut records, file.key.as_str());
            if let Some(object) = listed.next_if(|o| *o.key == *file.key.as_str()) {
                diff.present(&input, index, object, record);
            } else {
                let reason = if record.is_some() { Reason::Missing } else { Reason::New };
                diff.writes.push(Write { file: index, condition: Condition::IfAbsent, reason });
            }
        }
        for object in listed {
            diff.leftover(&input, object, next_record(&mut records, &object.key));
        }
        if !diff.obsolete.is_empty() {
            let removed = removed_pages(&input);
            for obsolete in &mut diff.obsolete {
                obsolete.with_switch = removed.include(&obsolete.key, obsolete.role);
            }
        }
        diff
    }

    /// A desired file whose key holds something.
    fn present(&mut self, input: &DiffInput<'_>, index: usize, object: &ListedObject, record: Option<&Record>) {
        let file = &input.desired.files[index];
        let claims = input.claims.get(&file.key);
        // A rewrite with other headers alone, within the second in which it was listed, would not show.
        let undisputed = claims
            .is_none_or(|c| record.is_some_and(|r| c.iter().all(|f| f.sha256 == r.sha256 && f.headers == r.headers)));
        if let Some(record) = record.filter(|r| undisputed && r.is_confirmed_by(object)) {
            let same_content = record.sha256 == file.sha256;
            if same_content && record.headers == file.headers {
                self.unchanged.push(index);
            } else {
                let reason = if same_content { Reason::Headers } else { Reason::Content };
                self.writes.push(Write { file: index, condition: Condition::IfMatch(object.etag.clone()), reason });
            }
            return;
        }
        let on_record = record.is_some();
        let worth_hashing = !on_record && (object.size == file.size || input.adopt == Adopt::Take);
        // Tools that rewrite an object may keep its metadata (s3fs does, and CopyObject unless told otherwise), and with
        // it the hash of what it was.
        let was_rewritten = record.and_then(|r| r.seen.as_ref()).is_some_and(|(etag, _)| *etag != object.etag);
        let Some(found) = input.inspected.get(&*object.key) else {
            if on_record || claims.is_some() || worth_hashing {
                self.inspect.push(ToInspect { key: file.key.clone(), needs_hash: worth_hashing || was_rewritten });
            } else {
                self.obstacles.push(Obstacle { file: index, found: None });
            }
            return;
        };
        // A run that did not finish may have written this, or somebody else meanwhile: the hash tells.
        let ours = on_record || claims.is_some_and(|c| c.iter().any(|f| found.is(f.sha256, f.size)));
        let same_content = found.is(file.sha256, file.size);
        let same_headers = found.headers == *file.headers;
        let condition = Condition::IfMatch(found.etag.clone());
        if ours {
            if same_content && same_headers {
                self.unchanged.push(index);
                return;
            }
            let as_we_wrote = record.is_some_and(|r| found.is(r.sha256, r.size) && *r.headers == found.headers)
                || claims.is_some_and(|c| c.iter().any(|f| found.is(f.sha256, f.size) && *f.headers == found.headers));
            let reason = match (as_we_wrote, same_content) {
                (false, _) => Reason::EditedOutside,
                (true, true) => Reason::Headers,
                (true, false) => Reason::Content,
            };
            self.writes.push(Write { file: index, condition, reason });
        } else if same_content {
            self.adopted.push(index);
            if !same_headers {
                self.writes.push(Write { file: index, condition, reason: Reason::Headers });
            }
        } else {
            self.obstacles.push(Obstacle { file: index, found: Some(found.clone()) });
            if input.adopt == Adopt::Take {
                self.writes.push(Write { file: index, condition, reason: Reason::Taken });
            }
        }
    }

    /// An object under a key that the release does not have.
    fn leftover(&mut self, input: &DiffInput<'_>, object: &ListedObject, record: Option<&Record>) {
        let claimed = Key::new(&object.key).ok().and_then(|key| Some((input.claims.get(&key)?.last()?, key)));
        let (key, role) = match (record, &claimed) {
            (Some(record), _) => (record.key.clone(), record.role),
            (None, Some((file, key))) => (key.clone(), file.role),
            (None, None) => {
                self.foreign += 1;
                if self.foreign_sample.len() < SAMPLE {
                    self.foreign_sample.push(object.key.to_string());
                }
                return;
            }
        };
        let confirmed = claimed.is_none() && record.is_some_and(|r| r.is_confirmed_by(object));
        let (etag, size) = (object.etag.clone(), object.size);
        self.obsolete.push(Obsolete { key, etag, size, role, confirmed, with_switch: false });
    }
}

/// The pages on record that the desired release does not have. Those that are deleted already count too: a run that
/// died may have deleted a page and not its data.
fn removed_pages(input: &DiffInput<'_>) -> RemovedPages {
    let recorded = input.inventory.records.iter().map(|r| (&r.key, r.role));
    let claimed = input.claims.values().flatten().map(|f| (&f.key, f.role));
    let before = recorded.chain(claimed).filter(|(key, role)| *role >= Role::Html && input.desired.get(key).is_none());
    let live = input.desired.files.iter().filter(|f| f.role >= Role::Html).map(|f| &f.key);
    RemovedPages::new(before.map(|(key, _)| key), live)
}

/// The record of `key`, passing over those before it.
fn next_record<'a>(records: &mut std::iter::Peekable<std::slice::Iter<'a, Record>>, key: &str) -> Option<&'a Record> {
    while records.next_if(|r| r.key.as_str() < key).is_some() {}
    records.next_if(|r| r.key.as_str() == key)
}

/// Makes entry files of those fingerprinted ones whose content is not what was recorded under the
/// same name: switched, invalidated and archived like any entry, and not immutable. Real builds
/// have them, source maps mostly. Gives the keys that are new in this, for a warning.
///
/// A file that is no longer taken for fingerprinted, and was in an earlier release, is demoted too where its content
/// changed: the earlier bytes are not in the archive yet.
///
/// Once demoted a name stays so while it is on record, which is at least as long as caches may hold what they were told.
pub fn demote(desired: &mut Manifest, inventory: &Inventory, claims: &Claims, cache_control: &str) -> Vec<Key> {
    let mut fresh = Vec::new();
    let mut records = inventory.records.iter().peekable();
    for file in &mut desired.files {
        let record = next_record(&mut records, file.key.as_str());
        let claimed = claims.get(&file.key).map(Vec::as_slice).unwrap_or_default();
        let settled = record.is_some_and(|r| r.demoted);
        let known = settled || claimed.iter().any(|c| c.demoted);
        // A rule that compresses what was not compressed changes the bytes, not what they say.
        let same_encoding = |headers: &Headers| headers.content_encoding == file.headers.content_encoding;
        let changed = record.is_some_and(|r| r.sha256 != file.sha256 && same_encoding(&r.headers))
            || claimed.iter().any(|c| c.sha256 != file.sha256 && same_encoding(&c.headers));
        let was_fingerprinted = record.is_some_and(|r| r.role == Role::Fingerprinted)
            || claimed.iter().any(|c| c.role == Role::Fingerprinted);
        let matters = file.role == Role::Fingerprinted || was_fingerprinted;
        if !(known || changed && matters) {
            continue;
        }
        if !settled {
            fresh.push(file.key.clone());
        }
        file.demoted = true;
        if file.role != Role::Fingerprinted {
            continue;
        }
        file.role = Role::Entry;
        file.headers = Arc::new(Headers { cache_control: Some(cache_control.to_owned()), ..(*file.headers).clone() });
    }
    fresh
}
