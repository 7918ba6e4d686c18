//! The store around the buckets: who may look into it, what it records, how it fails on demand.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;

use super::MemoryBucket;
use super::state::State;
use crate::bucket::{BucketErrorKind, ETag, ObjectInfo};
use crate::digest::Sha256;
use crate::headers::Headers;

/// A request to a [`MemoryStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryCall {
    /// Its place in the sequence of requests to the whole store, from 1.
    pub number: u64,
    /// The bucket it was sent to.
    pub bucket: String,
    /// The S3 API operation, such as `PutObject`.
    pub operation: &'static str,
    /// The full key: of the destination for a copy; the prefix for a listing.
    ///
    /// `None` for a `DeleteObjects` request as a whole. The fault hook is then asked again for
    /// each key of the request, with the same number, so that single keys can fail.
    pub key: Option<String>,
}

/// How a request to a [`MemoryStore`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryFault {
    /// The request is answered with this error and has no effect.
    Before(BucketErrorKind),
    /// The request takes effect, and is answered with this error all the same.
    After(BucketErrorKind),
    /// The body of a `GetObject` breaks off with a transient error after so many bytes.
    BreakBody(usize),
}

/// An object in a [`MemoryStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryObject {
    /// Its content.
    pub body: Bytes,
    /// Headers it is served with.
    pub headers: Headers,
    /// Entity tag.
    pub etag: ETag,
    /// When it was last written, in whole seconds.
    pub last_modified: Timestamp,
    /// SHA-256 of the whole content as the store checked it; `None` after a multipart upload.
    pub checksum: Option<Sha256>,
    /// SHA-256 as the writer's metadata says it.
    pub metadata_sha256: Option<Sha256>,
}

impl MemoryObject {
    /// What a HEAD of the object tells.
    pub fn info(&self) -> ObjectInfo {
        ObjectInfo {
            size: self.body.len() as u64,
            etag: self.etag.clone(),
            last_modified: Some(self.last_modified),
            headers: self.headers.clone(),
            sha256: self.checksum.or(self.metadata_sha256),
            sha256_is_computed: self.checksum.is_some(),
        }
    }
}

type FaultHook = Arc<dyn Fn(&MemoryCall) -> Option<MemoryFault> + Send + Sync>;

#[derive(Default)]
struct Record {
    calls: Vec<MemoryCall>,
    number: u64,
    hook: Option<FaultHook>,
}

/// An object store in memory with any number of buckets, for tests.
///
/// Clones share the same content.
///
/// ```
/// use asset_sync::bucket::{Bucket as _, BucketErrorKind, MemoryFault, MemoryStore};
///
/// # tokio_test(async {
/// let store = MemoryStore::new();
/// store.create_bucket("site");
/// store.on_call(|call| (call.number == 2).then_some(MemoryFault::Before(BucketErrorKind::Throttled)));
/// let bucket = store.bucket("site");
/// assert!(bucket.head("index.html").await.unwrap().is_none());
/// assert_eq!(bucket.head("index.html").await.unwrap_err().kind, BucketErrorKind::Throttled);
/// # });
/// # fn tokio_test(test: impl Future<Output = ()>) {
/// #     tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    record: Arc<Mutex<Record>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// A store without buckets, dated by the system's clock.
    pub fn new() -> Self {
        Self::with_clock(Timestamp::now)
    }

    /// A store without buckets, dated by `clock` (cut to whole seconds).
    pub fn with_clock(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(Box::new(clock)))), record: Arc::default() }
    }

    /// Creates an empty bucket; one of that name stays as it is.
    pub fn create_bucket(&self, name: &str) {
        self.state().create_bucket(name);
    }

    /// A bucket to be used. It need not exist: requests then fail with
    /// [`BucketErrorKind::NoSuchBucket`].
    pub fn bucket(&self, name: &str) -> MemoryBucket {
        MemoryBucket::new(self.clone(), name.to_owned())
    }

    /// Asks `hook` at every request from now on whether and how it fails. It must not call the
    /// store.
    pub fn on_call(&self, hook: impl Fn(&MemoryCall) -> Option<MemoryFault> + Send + Sync + 'static) {
        self.lock_record().hook = Some(Arc::new(hook));
    }

    /// No more faults.
    pub fn clear_faults(&self) {
        self.lock_record().hook = None;
    }

    /// Whether conditions of writes and deletes are silently ignored, as some stores do.
    pub fn ignore_conditions(&self, ignore: bool) {
        self.state().ignore_conditions = ignore;
    }

    /// Whether reading an absent key is answered [`BucketErrorKind::Denied`], as S3 does where the
    /// right to list is missing.
    pub fn deny_absent(&self, deny: bool) {
        self.state().deny_absent = deny;
    }

    /// Sets the least length of a part that is not the last
    /// ([`MIN_PART_SIZE`](crate::bucket::MIN_PART_SIZE) at first), so that tests may use small ones.
    pub fn set_min_part_size(&self, bytes: u64) {
        self.state().min_part_size = bytes;
    }

    /// The requests so far, in order; a `DeleteObjects` is one, without its keys.
    pub fn calls(&self) -> Vec<MemoryCall> {
        self.lock_record().calls.clone()
    }

    /// Forgets the requests so far. Their numbers go on.
    pub fn clear_calls(&self) {
        self.lock_record().calls.clear();
    }

    /// All objects of a bucket; none if it does not exist. Not a request.
    pub fn snapshot(&self, bucket: &str) -> BTreeMap<String, MemoryObject> {
        self.state().bucket(bucket).cloned().unwrap_or_default()
    }

    /// Writes an object as somebody else would: without our metadata. Creates the bucket at need.
    pub fn insert(&self, bucket: &str, key: &str, body: impl Into<Bytes>, headers: Headers) -> ETag {
        self.state().insert(bucket, key, body.into(), headers)
    }

    /// Deletes an object as somebody else would. Tells whether it was there.
    pub fn remove(&self, bucket: &str, key: &str) -> bool {
        self.state().bucket_mut(bucket).is_ok_and(|objects| objects.remove(key).is_some())
    }

    /// Edits an object's headers as somebody else would: the date changes, the entity tag and our
    /// metadata do not. Tells whether the object was there.
    pub fn edit_headers(&self, bucket: &str, key: &str, edit: impl FnOnce(&mut Headers)) -> bool {
        let mut state = self.state();
        let now = state.now();
        let Some(object) = state.bucket_mut(bucket).ok().and_then(|objects| objects.get_mut(key)) else {
            return false;
        };
        edit(&mut object.headers);
        object.last_modified = now;
        true
    }

    /// The unfinished uploads of a bucket: key and upload id, in the order of their ids.
    pub fn uploads(&self, bucket: &str) -> Vec<(String, String)> {
        self.state().uploads(bucket)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request, and gives the fault it is to meet.
    pub(super) fn record(&self, bucket: &str, operation: &'static str, key: Option<&str>) -> Option<MemoryFault> {
        let (call, hook) = {
            let mut record = self.lock_record();
            record.number += 1;
            let call =
                MemoryCall { number: record.number, bucket: bucket.to_owned(), operation, key: key.map(str::to_owned) };
            record.calls.push(call.clone());
            (call, record.hook.clone())
        };
        hook.and_then(|hook| hook(&call))
    }

    /// The fault one key of the latest request is to meet.
    pub(super) fn key_fault(&self, bucket: &str, operation: &'static str, key: &str) -> Option<MemoryFault> {
        let (number, hook) = {
            let record = self.lock_record();
            (record.number, record.hook.clone()?)
        };
        hook(&MemoryCall { number, bucket: bucket.to_owned(), operation, key: Some(key.to_owned()) })
    }
}
