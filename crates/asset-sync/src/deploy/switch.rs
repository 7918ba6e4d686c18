//! The switch: entry files are replaced in order, each only if it is still what the plan saw.

use super::context::Context;
use super::lease::Session;
use super::upload::{Place, Uploader};
use crate::bucket::{
    Bucket as _, BucketError, BucketErrorKind, Condition, CopySource, ETag, MAX_SINGLE_REQUEST, ObjectSpec, read_all,
};
use crate::digest::Sha256;
use crate::error::{Error, Refusal};
use crate::plan::{Reason, Write};
use crate::progress::Event;
use crate::site::{Role, SiteFile};
use crate::state::{Manifest, ReleaseFile};

/// A file that is in place.
#[derive(Debug)]
pub(super) struct Written {
    /// Index into the desired manifest.
    pub(super) index: usize,
    pub(super) etag: ETag,
}

/// Where the bytes of a release come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// The site on disk, file by file as in the manifest.
    Site(&'a [SiteFile]),
    /// The archive in the state area.
    Archive,
}

/// Carries out `writes`: assets, other entries, pages, and the root document last; a group
/// begins when the one before it is in place.
pub(super) async fn switch(
    cx: &Context,
    desired: &Manifest,
    writes: &[&Write],
    source: Source<'_>,
    session: &Session,
    uploader: &Uploader,
) -> Result<Vec<Written>, Error> {
    let mut done = Vec::with_capacity(writes.len());
    for role in [Role::Fingerprinted, Role::Entry, Role::Html, Role::Root] {
        let group: Vec<&Write> = writes.iter().copied().filter(|w| desired.files[w.file].role == role).collect();
        let group = group.as_slice();
        let written = cx
            .each(group.len(), |index| async move {
                let write = group[index];
                let file = &desired.files[write.file];
                session.check()?;
                let etag = put_live(cx, file, write, source, uploader).await?;
                cx.tell(&Event::Written { key: file.key.to_string(), bytes: file.size, reason: write.reason });
                Ok(Written { index: write.file, etag })
            })
            .await?;
        done.extend(written);
    }
    Ok(done)
}

async fn put_live(
    cx: &Context,
    file: &ReleaseFile,
    write: &Write,
    source: Source<'_>,
    uploader: &Uploader,
) -> Result<ETag, Error> {
    let key = cx.key(file.key.as_str());
    let spec = ObjectSpec { key: &key, headers: &file.headers, sha256: file.sha256 };
    let small = uploader.is_small(file.size);
    match source {
        Source::Site(files) if small || file.role == Role::Fingerprinted => {
            uploader.send(&files[write.file], Place::Target, spec, &write.condition).await
        }
        // Only the headers change. S3 copies an object onto itself if they are replaced.
        Source::Archive if write.reason == Reason::Headers => {
            let etag = match &write.condition {
                Condition::IfMatch(etag) => Some(etag),
                Condition::Always | Condition::IfAbsent => None,
            };
            let source = CopySource { bucket: cx.bucket.name(), key: &key, etag };
            Ok(cx.bucket.copy(source, spec, &write.condition).await?)
        }
        Source::Archive if small => {
            let blob = cx.store.area.blob(&file.sha256);
            let (_, body) = read_all(&*cx.store.bucket, &blob, file.size).await?.ok_or_else(|| gone(&blob))?;
            if Sha256::of(&body) != file.sha256 {
                return Err(gone(&blob));
            }
            Ok(cx.bucket.put(spec, body, &write.condition).await?)
        }
        // The archive has it by now: one request, however large.
        Source::Site(_) | Source::Archive => {
            let blob = cx.store.area.blob(&file.sha256);
            let source = CopySource { bucket: cx.store.bucket.name(), key: &blob, etag: None };
            debug_assert!(file.size <= MAX_SINGLE_REQUEST);
            Ok(cx.bucket.copy(source, spec, &write.condition).await?)
        }
    }
}

fn gone(blob: &str) -> Error {
    Refusal::Incomplete { release: "this release".to_owned(), key: blob.to_owned(), more: 0 }.into()
}

/// Whether an error says that somebody else wrote meanwhile.
pub(super) fn is_overtaken(error: &Error) -> bool {
    matches!(error, Error::Bucket(BucketError { kind: BucketErrorKind::PreconditionFailed, .. }))
}
