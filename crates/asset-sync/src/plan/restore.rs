//! What a write replaces, and what a rollback writes: both compare a release with what the bucket holds.

use crate::bucket::{Condition, ETag, MAX_SINGLE_REQUEST};
use crate::digest::Sha256;
use crate::plan::{Diff, DiffInput, Reason, Write};
use crate::site::Key;

/// Recorded bytes that a write replaces. They are archived first, since a kept release may need them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overwritten {
    pub(crate) key: Key,
    /// Entity tag of the object that is copied to the archive.
    pub(crate) etag: ETag,
    pub(crate) sha256: Sha256,
    pub(crate) size: u64,
}

/// The recorded bytes that `writes` replace by other bytes, whatever the role of the file was or is. What somebody
/// else wrote over them is no part of a release and not among them.
pub(crate) fn overwritten(input: &DiffInput<'_>, writes: &[Write]) -> Vec<Overwritten> {
    let replaced = |write: &Write| {
        let Condition::IfMatch(etag) = &write.condition else { return None };
        let file = input.desired.files.get(write.file)?;
        let record = input.inventory.get(&file.key);
        let claims = input.claims.get(&file.key).map(Vec::as_slice).unwrap_or_default();
        let inspected = input.inspected.get(file.key.as_str()).filter(|found| found.etag == *etag);
        let (sha256, size) = match inspected {
            Some(found) => (found.sha256?, found.size),
            // Not looked at, since the listing confirmed the record.
            None => record.map(|r| (r.sha256, r.size))?,
        };
        let is_recorded = record.is_some_and(|r| r.sha256 == sha256 && r.size == size)
            || claims.iter().any(|f| f.sha256 == sha256 && f.size == size);
        let is_replaced = is_recorded && sha256 != file.sha256;
        is_replaced.then(|| Overwritten { key: file.key.clone(), etag: etag.clone(), sha256, size })
    };
    writes.iter().filter_map(replaced).collect()
}

/// The writes that restore a release. Those with [`Reason::Headers`] take the bytes from the object itself, all others
/// from the archive.
///
/// S3 limit: an object of more than 5 GiB cannot be copied in one request, so its headers stay as they are.
pub(crate) fn restoring_writes(input: &DiffInput<'_>, diff: &Diff) -> Vec<Write> {
    let restored = |write: &Write| {
        let file = input.desired.files.get(write.file)?;
        let same_content = write.reason == Reason::Headers
            || input.inspected.get(file.key.as_str()).is_some_and(|found| {
                found.is(file.sha256, file.size) && write.condition == Condition::IfMatch(found.etag.clone())
            });
        match same_content {
            true if file.size > MAX_SINGLE_REQUEST => None,
            true => Some(Write { reason: Reason::Headers, ..write.clone() }),
            false => Some(write.clone()),
        }
    };
    diff.writes.iter().filter_map(restored).collect()
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
