//! The objects, shared by the S3 server, the edges and the tests.

mod checksum;
mod content;
mod error;
mod folder;
mod multipart;
mod object;

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::Path,
    sync::{Arc, Mutex},
    time::SystemTime,
};

pub(crate) use self::{checksum::md5, multipart::MAX_PART_NUMBER};
pub use self::{
    checksum::{Checksum, ChecksumAlgorithm, ChecksumKind},
    content::Content,
    error::StoreError,
    multipart::{CompletedPart, NewUpload, Part, UnfinishedUpload},
    object::{Conditions, EtagMatch, NewObject, Object, ObjectHeaders},
};
use self::{
    folder::{BlobId, Folder},
    multipart::Upload,
};
use crate::{clock::Clock, sync::lock};

/// Buckets of objects in memory, optionally written through to a folder. Clones share them.
///
/// Every method is one atomic step, so conditional writes never race. The methods are the state
/// itself, past signatures, denied actions and faults: a test uses them to prepare a bucket, to
/// edit it "from outside", and to look at what is there.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    folder: Option<Folder>,
    buckets: Mutex<Buckets>,
}

type Buckets = BTreeMap<String, Bucket>;

#[derive(Debug)]
struct Bucket {
    created: SystemTime,
    objects: BTreeMap<String, Entry>,
    /// By upload id.
    uploads: BTreeMap<String, Upload>,
}

#[derive(Debug)]
struct Entry {
    object: Arc<Object>,
    /// Where the bytes are kept on disk.
    blob: Option<BlobId>,
}

/// Which objects a listing is about.
#[derive(Clone, Debug, Default)]
pub struct ListQuery<'a> {
    /// Only keys that begin so.
    pub prefix: &'a str,
    /// Only keys after this one, which need not exist.
    pub after: Option<&'a str>,
    /// Roll keys up at the first occurrence of this after the prefix.
    pub delimiter: Option<&'a str>,
    /// At most so many keys and common prefixes together.
    pub limit: usize,
}

/// One page of a listing, in the order of the keys' bytes.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Keys and their objects.
    pub objects: Vec<(String, Arc<Object>)>,
    /// Rolled-up prefixes.
    pub prefixes: Vec<String>,
    /// Where the next page starts: the last key or prefix of this one. `None` on the last page.
    pub next: Option<String>,
}

impl Store {
    /// An empty store in memory.
    pub fn in_memory(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, folder: None, buckets: Mutex::default() }))
    }

    /// The store kept in `folder`, which is created if absent. Every write is on disk before it
    /// is answered; a file is replaced by renaming, so that a crash leaves the old or the new.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::NotAStore`] or [`StoreError::Io`].
    pub fn in_folder(folder: &Path, clock: Clock) -> Result<Self, StoreError> {
        let (folder, buckets) = Folder::open(folder)?;
        Ok(Self(Arc::new(Inner { clock, folder: Some(folder), buckets: Mutex::new(buckets) })))
    }

    /// The clock that stamps writes.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Creates a bucket.
    ///
    /// # Errors
    /// [`StoreError::BucketExists`], [`StoreError::Io`].
    pub fn create_bucket(&self, bucket: &str) -> Result<(), StoreError> {
        let mut buckets = lock(&self.0.buckets);
        if buckets.contains_key(bucket) {
            return Err(StoreError::BucketExists { bucket: bucket.to_owned() });
        }
        let created = self.0.clock.now_in_seconds();
        if let Some(folder) = &self.0.folder {
            folder.write_bucket(bucket, created)?;
        }
        buckets.insert(bucket.to_owned(), Bucket::new(created));
        Ok(())
    }

    /// Names of all buckets and when they were created.
    pub fn buckets(&self) -> Vec<(String, SystemTime)> {
        lock(&self.0.buckets).iter().map(|(name, bucket)| (name.clone(), bucket.created)).collect()
    }

    /// Whether the bucket exists.
    pub fn has_bucket(&self, bucket: &str) -> bool {
        lock(&self.0.buckets).contains_key(bucket)
    }

    /// All objects of a bucket by key; none where there is no bucket. The bytes are shared, not
    /// copied.
    pub fn snapshot(&self, bucket: &str) -> BTreeMap<String, Arc<Object>> {
        lock(&self.0.buckets)
            .get(bucket)
            .map(|bucket| bucket.objects.iter().map(|(key, entry)| (key.clone(), Arc::clone(&entry.object))).collect())
            .unwrap_or_default()
    }

    /// The object under a key.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`].
    pub fn get(&self, bucket: &str, key: &str) -> Result<Arc<Object>, StoreError> {
        let mut buckets = lock(&self.0.buckets);
        bucket_of(&mut buckets, bucket)?
            .objects
            .get(key)
            .map(|entry| Arc::clone(&entry.object))
            .ok_or_else(|| no_such_key(key))
    }

    /// Puts an object, new or in place of another.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], those of `conditions`, [`StoreError::Io`].
    pub fn put(
        &self,
        bucket: &str,
        key: &str,
        object: NewObject,
        conditions: &Conditions,
    ) -> Result<Arc<Object>, StoreError> {
        self.place(bucket, key, object.into_object(), conditions)
    }

    /// Changes headers and metadata of an object in place, as a change from outside would: the
    /// date becomes now, bytes and ETag stay.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`], [`StoreError::Io`].
    pub fn edit(
        &self,
        bucket: &str,
        key: &str,
        change: impl FnOnce(&mut ObjectHeaders, &mut BTreeMap<String, String>),
    ) -> Result<Arc<Object>, StoreError> {
        let mut object = Object::clone(&*self.get(bucket, key)?);
        let etag = object.etag.clone();
        change(&mut object.headers, &mut object.metadata);
        let unchanged = Conditions { if_match: Some(EtagMatch::Etag(etag)), ..Conditions::none() };
        self.place(bucket, key, object, &unchanged)
    }

    /// Deletes an object. Without conditions an absent key is a success, as in S3.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], those of `conditions`, [`StoreError::Io`].
    pub fn delete(&self, bucket: &str, key: &str, conditions: &Conditions) -> Result<(), StoreError> {
        let mut buckets = lock(&self.0.buckets);
        let contents = bucket_of(&mut buckets, bucket)?;
        conditions.check(key, contents.objects.get(key).map(|e| &*e.object))?;
        if !contents.objects.contains_key(key) {
            return Ok(());
        }
        if let Some(folder) = &self.0.folder {
            folder.remove_object(bucket, key)?;
        }
        let removed = contents.objects.remove(key);
        drop(buckets);
        self.forget_blobs(removed.and_then(|entry| entry.blob));
        Ok(())
    }

    /// One page of a listing.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub fn list(&self, bucket: &str, query: &ListQuery<'_>) -> Result<Page, StoreError> {
        let mut buckets = lock(&self.0.buckets);
        let objects = &bucket_of(&mut buckets, bucket)?.objects;
        let start = match query.after {
            Some(after) if after >= query.prefix => Bound::Excluded(after),
            _ => Bound::Included(query.prefix),
        };
        let mut page = Page::default();
        let mut last: Option<&str> = None;
        // A page that ended in a common prefix is followed by what is not under it.
        let mut rolled_up: Option<&str> =
            query.after.filter(|after| query.delimiter.is_some_and(|d| after.ends_with(d)));
        for (key, entry) in objects.range::<str, _>((start, Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(query.prefix) else {
                break;
            };
            if rolled_up.is_some_and(|prefix| key.starts_with(prefix)) {
                continue;
            }
            if page.objects.len() + page.prefixes.len() >= query.limit {
                page.next = last.map(str::to_owned);
                break;
            }
            let rolled = query.delimiter.and_then(|d| Some(rest.find(d)? + d.len()));
            if let Some(end) = rolled {
                let prefix = &key[..query.prefix.len() + end];
                page.prefixes.push(prefix.to_owned());
                rolled_up = Some(prefix);
                last = Some(prefix);
            } else {
                page.objects.push((key.clone(), Arc::clone(&entry.object)));
                last = Some(key);
            }
        }
        Ok(page)
    }

    /// Stamps and places an object: bytes on disk first, then the record and the map under the
    /// lock, so that both always agree on who won.
    fn place(
        &self,
        bucket: &str,
        key: &str,
        mut object: Object,
        conditions: &Conditions,
    ) -> Result<Arc<Object>, StoreError> {
        let blob = self.keep_bytes(&object.content)?;
        let placed = (|| {
            let mut buckets = lock(&self.0.buckets);
            let contents = bucket_of(&mut buckets, bucket)?;
            conditions.check(key, contents.objects.get(key).map(|e| &*e.object))?;
            object.last_modified = self.0.clock.now_in_seconds();
            if let (Some(folder), Some(blob)) = (&self.0.folder, &blob) {
                folder.write_object(bucket, key, &object, blob)?;
            }
            let object = Arc::new(object);
            let entry = Entry { object: Arc::clone(&object), blob: blob.clone() };
            let replaced = contents.objects.insert(key.to_owned(), entry);
            Ok((object, replaced.and_then(|entry| entry.blob)))
        })();
        match placed {
            Ok((object, replaced)) => {
                self.forget_blobs(replaced);
                Ok(object)
            }
            Err(error) => {
                self.forget_blobs(blob);
                Err(error)
            }
        }
    }

    fn keep_bytes(&self, content: &Content) -> Result<Option<BlobId>, StoreError> {
        self.0.folder.as_ref().map(|folder| folder.write_blob(content)).transpose()
    }

    /// A file left behind is swept when the folder is next opened, so a failure is of no account.
    fn forget_blobs(&self, blobs: impl IntoIterator<Item = BlobId>) {
        if let Some(folder) = &self.0.folder {
            for blob in blobs {
                folder.remove_blob(&blob);
            }
        }
    }
}

impl Bucket {
    fn new(created: SystemTime) -> Self {
        Self { created, objects: BTreeMap::new(), uploads: BTreeMap::new() }
    }
}

fn bucket_of<'a>(buckets: &'a mut Buckets, bucket: &str) -> Result<&'a mut Bucket, StoreError> {
    buckets.get_mut(bucket).ok_or_else(|| StoreError::NoSuchBucket { bucket: bucket.to_owned() })
}

fn no_such_key(key: &str) -> StoreError {
    StoreError::NoSuchKey { key: key.to_owned() }
}
