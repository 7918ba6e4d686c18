//! The switch: entry files are replaced in order, each only if it is still what the plan saw.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Deployer;
use super::session::Session;
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

impl Deployer {
    /// Carries out `writes`: assets, other entries, pages, and the root document last; a group
    /// begins when the one before it is in place.
    pub(super) async fn switch(
        &self,
        desired: &Manifest,
        writes: &[&Write],
        source: Source<'_>,
        session: &Session,
        uploader: &Uploader,
    ) -> Result<Vec<Written>, Error> {
        let mut done = Vec::with_capacity(writes.len());
        for role in [Role::Fingerprinted, Role::Entry, Role::Html, Role::Root] {
            let group = writes.iter().filter(|w| desired.files[w.file].role == role);
            let written: Vec<Written> = stream::iter(group)
                .map(|write| async move {
                    let file = &desired.files[write.file];
                    session.check()?;
                    let etag = self.put_live(file, write, source, uploader).await?;
                    self.options.progress.event(&Event::Written {
                        key: file.key.to_string(),
                        bytes: file.size,
                        reason: write.reason,
                    });
                    Ok::<_, Error>(Written { index: write.file, etag })
                })
                .buffer_unordered(self.options.retry.concurrency.max(1))
                .try_collect()
                .await?;
            done.extend(written);
        }
        Ok(done)
    }

    async fn put_live(
        &self,
        file: &ReleaseFile,
        write: &Write,
        source: Source<'_>,
        uploader: &Uploader,
    ) -> Result<ETag, Error> {
        let key = self.key(file.key.as_str());
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
                let source = CopySource { bucket: self.bucket.name(), key: &key, etag };
                Ok(self.bucket.copy(source, spec, &write.condition).await?)
            }
            Source::Archive if small => {
                let blob = self.area.blob(&file.sha256);
                let (_, body) = read_all(&*self.state, &blob, file.size).await?.ok_or_else(|| gone(&blob))?;
                if Sha256::of(&body) != file.sha256 {
                    return Err(gone(&blob));
                }
                Ok(self.bucket.put(spec, body, &write.condition).await?)
            }
            // The archive has it by now: one request, however large.
            Source::Site(_) | Source::Archive => {
                let blob = self.area.blob(&file.sha256);
                let source = CopySource { bucket: self.state.name(), key: &blob, etag: None };
                debug_assert!(file.size <= MAX_SINGLE_REQUEST);
                Ok(self.bucket.copy(source, spec, &write.condition).await?)
            }
        }
    }
}

fn gone(blob: &str) -> Error {
    Refusal::Incomplete { release: "this release".to_owned(), key: blob.to_owned() }.into()
}

/// Whether an error says that somebody else wrote meanwhile.
pub(super) fn is_overtaken(error: &Error) -> bool {
    matches!(error, Error::Bucket(BucketError { kind: BucketErrorKind::PreconditionFailed, .. }))
}
