//! Bringing bytes into a bucket: small files in one request, large ones in parts.

use std::io::Read;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::OptionFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::context::Context;
use super::lease::{Hold, Session};
use super::options::Options;
use crate::bucket::{Bucket, Condition, ETag, MAX_PARTS, MIN_PART_SIZE, ObjectSpec, Resilient, UploadedPart};
use crate::digest::{Hasher, Sha256};
use crate::error::Error;
use crate::progress::{Event, Progress};
use crate::site::SiteFile;
use crate::state::RecordedUpload;

/// The budget is counted in these: a semaphore holds at most 2^32 permits.
const UNIT: u64 = 1024;

/// Files up to this many bytes are read where they are sent: the scan has just read them, and a
/// thread for each would cost as much as the request.
const READ_AT_ONCE: u64 = 64 * 1024;

/// Where an object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Under the target's prefix.
    Target,
    /// In the state area.
    State,
}

/// Uploads files of one run under one budget of memory. Clones are the same one.
#[derive(Clone)]
pub(super) struct Uploader(Arc<Inner>);

struct Inner {
    bucket: Arc<Resilient>,
    state: Arc<Resilient>,
    hold: Hold,
    progress: Arc<dyn Progress>,
    part_size: u64,
    budget: Arc<Semaphore>,
    units: u32,
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX)
}

impl Uploader {
    pub(super) fn new(cx: &Context, session: &Session) -> Self {
        let Options { buffer, part_size, progress, .. } = &cx.options;
        let units = units(*buffer).min(Semaphore::MAX_PERMITS.try_into().unwrap_or(u32::MAX));
        Self(Arc::new(Inner {
            bucket: Arc::clone(&cx.bucket),
            state: Arc::clone(&cx.store.bucket),
            hold: Hold::clone(session),
            progress: Arc::clone(progress),
            part_size: (*part_size).max(MIN_PART_SIZE),
            budget: Arc::new(Semaphore::new(units as usize)),
            units,
        }))
    }

    /// Room for `bytes` in memory; for more than there is in all, all of it.
    async fn reserve(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.0.budget)
            .acquire_many_owned(units(bytes).min(self.0.units))
            .await
            .map_err(|_| Error::Internal("the memory budget was closed".to_owned()))
    }

    pub(super) fn bucket(&self, place: Place) -> &Arc<Resilient> {
        match place {
            Place::Target => &self.0.bucket,
            Place::State => &self.0.state,
        }
    }

    /// Whether a file of `size` bytes goes in one request.
    pub(super) fn is_small(&self, size: u64) -> bool {
        size <= self.0.part_size * 2
    }

    /// Uploads a file as the object that `spec` describes, if `condition` holds.
    ///
    /// # Errors
    /// [`Error::SourceChanged`] or [`Error::NotAsCut`] if the file is not what was scanned; nothing is written then.
    pub(super) async fn send(
        &self,
        file: &SiteFile,
        place: Place,
        spec: ObjectSpec<'_>,
        condition: &Condition,
    ) -> Result<ETag, Error> {
        if self.is_small(file.size) {
            let (body, _room) = self.read_small(file).await?;
            let etag = self.bucket(place).put(spec, body, condition).await?;
            self.sent(file.size);
            Ok(etag)
        } else {
            self.send_large(file, place, spec, condition).await
        }
    }

    fn sent(&self, bytes: u64) {
        self.tell(&Event::Sent { bytes });
    }

    pub(super) fn tell(&self, event: &Event) {
        self.0.progress.event(event);
    }

    /// A small file's served bytes, checked against what was scanned.
    pub(super) async fn read_small(&self, file: &SiteFile) -> Result<(Bytes, OwnedSemaphorePermit), Error> {
        let room = self.reserve(file.size).await?;
        let (bytes, sha256) = if file.size <= READ_AT_ONCE {
            read_whole(file).map_err(|source| Error::Read { path: file.path(), source })?
        } else {
            let source = file.clone();
            blocking(tokio::task::spawn_blocking(move || read_whole(&source)), &file.path()).await?
        };
        if sha256 != file.sha256 {
            return Err(file.changed());
        }
        Ok((bytes, room))
    }

    async fn send_large(
        &self,
        file: &SiteFile,
        place: Place,
        spec: ObjectSpec<'_>,
        condition: &Condition,
    ) -> Result<ETag, Error> {
        let bucket = self.bucket(place);
        let preferred = bucket.part_size(self.0.part_size).await;
        // The same for all parts but the last, as Cloudflare R2 demands
        // (developers.cloudflare.com/r2/objects/multipart-objects). S3 limits: 10,000 parts, so a very large
        // file has larger ones.
        let part_size = preferred.bytes.max(file.size.div_ceil(MAX_PARTS));
        let upload = self.open(place, spec).await?;
        let id = upload.id.clone();
        let outcome = async {
            self.journal_uploads().await?;
            let parts = self.send_parts(file, bucket, spec.key, &id, part_size).await?;
            if place == Place::Target {
                self.0.hold.check()?;
            }
            Ok(bucket.complete_multipart(spec.key, &id, &parts, condition).await?)
        }
        .await;
        if outcome.is_err() {
            // The first error is the one to tell; what cannot be aborted stays on record.
            if bucket.abort_multipart(spec.key, &id).await.is_ok() {
                self.0.hold.uploads().remove(&upload);
            }
            return outcome;
        }
        self.0.hold.uploads().remove(&upload);
        outcome
    }

    /// Begins a multipart upload. In a task of its own: if this run is told to stop meanwhile, the
    /// upload's id is known all the same, and it can be aborted.
    async fn open(&self, place: Place, spec: ObjectSpec<'_>) -> Result<RecordedUpload, Error> {
        let bucket = Arc::clone(self.bucket(place));
        let (key, headers, sha256) = (spec.key.to_owned(), spec.headers.clone(), spec.sha256);
        let uploads = Arc::clone(self.0.hold.uploads());
        let create = async move {
            let id = bucket.create_multipart(ObjectSpec { key: &key, headers: &headers, sha256 }).await?;
            let upload = RecordedUpload { in_state: place == Place::State, key, id };
            uploads.add(upload.clone());
            Ok::<_, Error>(upload)
        };
        let created = self.0.hold.uploads().tasks.spawn(create).await;
        created.map_err(|e| Error::Internal(format!("starting an upload failed: {e}")))?
    }

    /// Brings the journal's list of unfinished uploads up to date.
    async fn journal_uploads(&self) -> Result<(), Error> {
        let open = self.0.hold.uploads().list();
        self.0
            .hold
            .update(|current| {
                if let Some(pending) = &mut current.pending {
                    pending.uploads.clone_from(&open);
                }
            })
            .await?;
        Ok(())
    }

    /// Reads the file once, front to back, and sends its parts side by side as memory allows.
    async fn send_parts(
        &self,
        file: &SiteFile,
        bucket: &Resilient,
        key: &str,
        id: &str,
        part_size: u64,
    ) -> Result<Vec<UploadedPart>, Error> {
        let reader =
            PartReader { file: file.clone(), source: None, whole: Hasher::default(), left: file.size, number: 0 };
        let mut next = pin!(OptionFuture::from(Some(self.read_part(reader, part_size))));
        let mut in_flight = FuturesUnordered::new();
        let mut parts: Vec<UploadedPart> = Vec::new();
        loop {
            tokio::select! {
                biased;
                Some(sent) = in_flight.next() => parts.push(sent?),
                Some(read) = &mut next => if let Some((part, reader)) = read? {
                    in_flight.push(self.send_part(bucket, key, id, part));
                    next.set(Some(self.read_part(reader, part_size)).into());
                } else {
                    next.set(None.into());
                },
                else => break,
            }
        }
        parts.sort_unstable_by_key(|p| p.number);
        Ok(parts)
    }

    /// Reads the next part, if there is one, as soon as there is room for it.
    async fn read_part(&self, reader: PartReader, part_size: u64) -> Result<Option<(PartRead, PartReader)>, Error> {
        if reader.left == 0 {
            return Ok(None);
        }
        let room = self.reserve(part_size).await?;
        let file = reader.file.clone();
        let (reader, body) =
            blocking(tokio::task::spawn_blocking(move || reader.read(part_size)), &file.path()).await?;
        let Some(body) = body else { return Err(file.changed()) };
        Ok(Some((PartRead { number: reader.number, body, room }, reader)))
    }

    async fn send_part(&self, bucket: &Resilient, key: &str, id: &str, part: PartRead) -> Result<UploadedPart, Error> {
        let PartRead { number, body, room } = part;
        let length = body.len() as u64;
        // Not by the reader, which makes the hash of the whole: the next part is read meanwhile.
        let hashing = tokio::task::spawn_blocking(move || (Sha256::of(&body), body));
        let (sha256, body) = hashing.await.map_err(|e| Error::Internal(format!("hashing a part failed: {e}")))?;
        let uploaded = bucket.upload_part(key, id, number, body, sha256).await?;
        drop(room);
        self.sent(length);
        Ok(uploaded)
    }
}

/// A file's served bytes and their hash. Of one that grew only one byte more than expected.
fn read_whole(file: &SiteFile) -> std::io::Result<(Bytes, Sha256)> {
    let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or_default() + 1);
    file.open()?.take(file.size + 1).read_to_end(&mut bytes)?;
    let sha256 = Sha256::of(&bytes);
    Ok((bytes.into(), sha256))
}

/// A part in memory, with the room it takes.
#[derive(Debug)]
struct PartRead {
    number: i32,
    body: Bytes,
    room: OwnedSemaphorePermit,
}

/// Reads a file part by part. Each part is a blocking task of its own, so that no thread waits for room.
struct PartReader {
    file: SiteFile,
    /// Open once the first part was read.
    source: Option<Box<dyn Read + Send>>,
    whole: Hasher,
    left: u64,
    /// Of the part that was read last, from 1.
    number: i32,
}

impl PartReader {
    /// The next part, or `None` if the file is not the one that was scanned. A file that grew, or whose
    /// content changed, shows at its last part.
    fn read(mut self, part_size: u64) -> std::io::Result<(Self, Option<Bytes>)> {
        let source = match &mut self.source {
            Some(source) => source,
            none => none.insert(self.file.open()?),
        };
        let length = self.left.min(part_size);
        let mut body = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        Read::take(&mut *source, length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            return Ok((self, None));
        }
        self.whole.update(&body);
        self.left -= length;
        self.number += 1;
        if self.left == 0 {
            let grew = source.read(&mut [0])? > 0;
            if grew || std::mem::take(&mut self.whole).finish() != self.file.sha256 {
                return Ok((self, None));
            }
        }
        Ok((self, Some(body.into())))
    }
}

async fn blocking<T>(task: tokio::task::JoinHandle<std::io::Result<T>>, path: &Path) -> Result<T, Error> {
    match task.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(Error::Read { path: path.to_owned(), source }),
        Err(panicked) => Err(Error::Internal(format!("reading {} failed: {panicked}", path.display()))),
    }
}
