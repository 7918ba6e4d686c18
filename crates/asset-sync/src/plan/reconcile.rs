//! What the bucket holds of ours after the switch, by a listing.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::{Diff, DiffInput};
use crate::bucket::{ETag, ListedObject};
use crate::site::{Key, Role};
use crate::state::{Current, Inventory, Manifest, Record, ReleaseRecord, Span};

/// How long caches were told to keep a file that was immutable: the time to remember that its name is not to be trusted.
const IMMUTABLE: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Numbers of releases, by which an inventory says who has what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    /// Of the release that is live now.
    live: u64,
    /// Of the last release before it.
    last: u64,
    /// Of those that were begun and never live, whose files may be among the claims.
    given_up: Span,
}

impl Numbers {
    /// Those at the moment when `live` has gone live.
    pub(crate) fn of(current: &Current, live: &ReleaseRecord) -> Self {
        let last =
            if live.id.number() == current.sequence { current.sequence.saturating_sub(1) } else { current.sequence };
        let given_up = current.releases.iter().filter(|r| r.activated_at.is_none() && r.id != live.id);
        let given_up = given_up.map(|r| Span::of(r.id.number())).reduce(Span::with).unwrap_or(Span::of(last));
        Self { live: live.stored_as().number(), last, given_up }
    }
}

/// The keys that should be in the bucket after the switch, ascending.
pub(crate) fn expected_keys<'a>(desired: &'a Manifest, inventory: &'a Inventory) -> Vec<&'a Key> {
    let mut keys: Vec<&Key> = desired.files.iter().map(|f| &f.key).chain(inventory.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The new inventory: what the bucket holds of ours by `listed`, a listing made after the last write, ascending. With the
/// number of files that are neither what this run wrote (`written`: by index, the entity tag) nor what it found confirmed
/// before (`before`, what the diff was made from).
pub(crate) fn reconcile(
    before: &DiffInput<'_>,
    diff: &Diff,
    written: &HashMap<usize, &ETag>,
    listed: &[ListedObject],
    numbers: &Numbers,
    now: Timestamp,
) -> (Inventory, usize) {
    let find = |key: &str| listed.binary_search_by(|o| (*o.key).cmp(key)).ok().map(|i| &listed[i]);
    let desired = before.desired;
    let mut unconfirmed = 0;
    let mut records = Vec::with_capacity(desired.files.len() + diff.obsolete.len());
    for (index, file) in desired.files.iter().enumerate() {
        let object = find(file.key.as_str()).filter(|object| match written.get(&index) {
            Some(etag) => object.etag == **etag,
            None => match before.inspected.get(file.key.as_str()) {
                Some(inspection) => object.etag == inspection.etag,
                None => before.inventory.get(&file.key).is_some_and(|r| r.is_confirmed_by(object)),
            },
        });
        let seen = object.filter(|o| o.size == file.size).map(|o| (o.etag.clone(), o.last_modified));
        unconfirmed += usize::from(seen.is_none());
        let known = before.inventory.get(&file.key).map(|r| r.releases);
        let first = known.map_or(numbers.live, |known| known.first.min(numbers.live));
        records.push(Record { seen, releases: Span { first, last: None }, ..Record::unseen(file) });
    }
    for obsolete in &diff.obsolete {
        if find(obsolete.key.as_str()).is_none() {
            continue;
        }
        let claimed = || before.claims.get(&obsolete.key).and_then(|c| c.last());
        let record = match before.inventory.get(&obsolete.key) {
            // A run that died may have written other content under a fingerprinted name.
            Some(record) => {
                let claims = before.claims.get(&obsolete.key).map(Vec::as_slice).unwrap_or_default();
                let demoted = record.demoted || claims.iter().any(|f| f.demoted);
                Record { demoted, releases: record.releases.until(numbers.last), ..record.clone() }
            }
            None => match claimed() {
                Some(file) => Record { releases: numbers.given_up, ..Record::unseen(file) },
                None => continue,
            },
        };
        records.push(record);
    }
    // Browsers may hold what a demoted name had when it was immutable, long after the file is deleted.
    let remembered: Vec<&Record> = before
        .inventory
        .records
        .iter()
        .filter(|r| r.demoted && find(r.key.as_str()).is_none() && desired.get(&r.key).is_none())
        .filter(|r| r.seen.as_ref().is_some_and(|(_, at)| now.duration_since(*at) < IMMUTABLE))
        .collect();
    let closed = |r: &&Record| Record { releases: r.releases.until(numbers.last), ..(*r).clone() };
    records.extend(remembered.iter().map(closed));
    let remembered: HashSet<&Key> = remembered.into_iter().map(|r| &r.key).collect();
    // A run that was given up may have a write under way that lands after this listing, where no
    // other file stands. Should it, it is ours to take down.
    for file in before.claims.values().filter_map(|c| c.last()).filter(|f| f.role != Role::Fingerprinted) {
        let is_absent = find(file.key.as_str()).is_none() && desired.get(&file.key).is_none();
        if is_absent && !remembered.contains(&file.key) {
            let known = before.inventory.get(&file.key).map(|r| r.releases.until(numbers.last));
            records.push(Record { releases: known.unwrap_or(numbers.given_up), ..Record::unseen(file) });
        }
    }
    records.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let mut inventory =
        Inventory { records, archived: before.inventory.archived.clone(), pruned: before.inventory.pruned.clone() };
    for record in &before.inventory.records {
        if inventory.get(&record.key).is_none_or(|now| now.sha256 != record.sha256) {
            inventory.add_archived(record.sha256, record.releases.until(numbers.last));
        }
    }
    (inventory, unconfirmed)
}
