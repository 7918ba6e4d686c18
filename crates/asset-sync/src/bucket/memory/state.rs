//! What a memory store holds, and the effect of each request on it.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use jiff::Timestamp;
use uuid::Uuid;

use super::store::MemoryObject;
use crate::bucket::{
    BucketErrorKind, Condition, CopySource, ETag, ListPage, ListedObject, MAX_BATCH, MAX_PARTS, MIN_PART_SIZE,
    ObjectSpec, UploadedPart,
};
use crate::digest::{Hasher, Sha256};
use crate::headers::Headers;

/// Why a request was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) kind: BucketErrorKind,
    pub(super) message: &'static str,
}

pub(super) type Outcome<T> = Result<T, Refusal>;

fn refuse<T>(kind: BucketErrorKind, message: &'static str) -> Outcome<T> {
    Err(Refusal { kind, message })
}

struct Upload {
    bucket: String,
    key: String,
    headers: Headers,
    sha256: Sha256,
    parts: BTreeMap<i32, (Bytes, Sha256)>,
}

type Objects = BTreeMap<String, MemoryObject>;

pub(super) struct State {
    buckets: BTreeMap<String, Objects>,
    uploads: BTreeMap<String, Upload>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    pub(super) ignore_conditions: bool,
    pub(super) deny_absent: bool,
    pub(super) min_part_size: u64,
}

/// An entity tag that depends on the content alone, like S3's: 32 hexadecimal digits.
fn content_etag(sha256: Sha256) -> ETag {
    format!("\"{:.32}\"", sha256.to_string()).as_str().into()
}

/// S3 limits: a key is at least 1 and at most 1,024 bytes of UTF-8.
fn check_key(key: &str) -> Outcome<()> {
    match key.len() {
        0 => refuse(BucketErrorKind::Invalid, "the key is empty"),
        1..=1024 => Ok(()),
        _ => refuse(BucketErrorKind::Invalid, "KeyTooLongError: the key is longer than 1,024 bytes"),
    }
}

impl State {
    pub(super) fn new(clock: Box<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        Self {
            buckets: BTreeMap::new(),
            uploads: BTreeMap::new(),
            clock,
            ignore_conditions: false,
            deny_absent: false,
            min_part_size: MIN_PART_SIZE,
        }
    }

    /// The time in whole seconds.
    pub(super) fn now(&self) -> Timestamp {
        let now = (self.clock)();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    pub(super) fn create_bucket(&mut self, name: &str) {
        self.buckets.entry(name.to_owned()).or_default();
    }

    pub(super) fn bucket(&self, name: &str) -> Outcome<&Objects> {
        self.buckets.get(name).map_or_else(|| refuse(BucketErrorKind::NoSuchBucket, "the bucket does not exist"), Ok)
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> Outcome<&mut Objects> {
        self.buckets
            .get_mut(name)
            .map_or_else(|| refuse(BucketErrorKind::NoSuchBucket, "the bucket does not exist"), Ok)
    }

    pub(super) fn list(&self, bucket: &str, prefix: &str, start_after: Option<&str>) -> Outcome<ListPage> {
        let objects = self.bucket(bucket)?;
        let start = match start_after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut found = objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, object)| ListedObject {
                key: key.as_str().into(),
                size: object.body.len() as u64,
                etag: object.etag.clone(),
                last_modified: object.last_modified,
            });
        let objects = found.by_ref().take(MAX_BATCH).collect();
        Ok(ListPage { objects, truncated: found.next().is_some() })
    }

    pub(super) fn object(&self, bucket: &str, key: &str) -> Outcome<Option<&MemoryObject>> {
        match self.bucket(bucket)?.get(key) {
            None if self.deny_absent => refuse(BucketErrorKind::Denied, "AccessDenied"),
            found => Ok(found),
        }
    }

    fn check(&self, bucket: &str, key: &str, condition: &Condition) -> Outcome<()> {
        let there = self.bucket(bucket)?.get(key);
        let holds = match condition {
            Condition::Always => true,
            Condition::IfAbsent => there.is_none(),
            Condition::IfMatch(etag) => there.is_some_and(|object| object.etag == *etag),
        };
        if holds || self.ignore_conditions {
            Ok(())
        } else {
            refuse(BucketErrorKind::PreconditionFailed, "the condition did not hold")
        }
    }

    fn write(&mut self, bucket: &str, key: &str, object: MemoryObject) -> Outcome<ETag> {
        let etag = object.etag.clone();
        self.bucket_mut(bucket)?.insert(key.to_owned(), object);
        Ok(etag)
    }

    pub(super) fn insert(&mut self, bucket: &str, key: &str, body: Bytes, headers: Headers) -> ETag {
        let etag = content_etag(Sha256::of(&body));
        let object = MemoryObject {
            body,
            headers,
            etag: etag.clone(),
            last_modified: self.now(),
            checksum: None,
            metadata_sha256: None,
        };
        self.buckets.entry(bucket.to_owned()).or_default().insert(key.to_owned(), object);
        etag
    }

    pub(super) fn put(
        &mut self,
        bucket: &str,
        spec: ObjectSpec<'_>,
        body: Bytes,
        condition: &Condition,
    ) -> Outcome<ETag> {
        check_key(spec.key)?;
        self.check(bucket, spec.key, condition)?;
        if Sha256::of(&body) != spec.sha256 {
            return refuse(BucketErrorKind::ContentMismatch, "the content does not have the stated SHA-256");
        }
        let object = MemoryObject {
            body,
            headers: spec.headers.clone(),
            etag: content_etag(spec.sha256),
            last_modified: self.now(),
            checksum: Some(spec.sha256),
            metadata_sha256: Some(spec.sha256),
        };
        self.write(bucket, spec.key, object)
    }

    pub(super) fn copy(
        &mut self,
        bucket: &str,
        source: CopySource<'_>,
        spec: ObjectSpec<'_>,
        condition: &Condition,
    ) -> Outcome<ETag> {
        check_key(spec.key)?;
        let Some(from) = self.object(source.bucket, source.key)? else {
            return refuse(BucketErrorKind::NotFound, "NoSuchKey: the source does not exist");
        };
        if !self.ignore_conditions && source.etag.is_some_and(|etag| *etag != from.etag) {
            return refuse(BucketErrorKind::PreconditionFailed, "the source has another entity tag");
        }
        let body = from.body.clone();
        // The store computes the checksum of what it copies, whatever way the source was uploaded.
        let sha256 = Sha256::of(&body);
        self.check(bucket, spec.key, condition)?;
        let object = MemoryObject {
            body,
            headers: spec.headers.clone(),
            etag: content_etag(sha256),
            last_modified: self.now(),
            checksum: Some(sha256),
            metadata_sha256: Some(spec.sha256),
        };
        let etag = self.write(bucket, spec.key, object)?;
        if sha256 == spec.sha256 {
            Ok(etag)
        } else {
            refuse(BucketErrorKind::ContentMismatch, "the copied content does not have the stated SHA-256")
        }
    }

    pub(super) fn create_upload(&mut self, bucket: &str, spec: ObjectSpec<'_>) -> Outcome<String> {
        check_key(spec.key)?;
        self.bucket(bucket)?;
        let id = Uuid::new_v4().simple().to_string();
        let upload = Upload {
            bucket: bucket.to_owned(),
            key: spec.key.to_owned(),
            headers: spec.headers.clone(),
            sha256: spec.sha256,
            parts: BTreeMap::new(),
        };
        self.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    fn upload(&mut self, bucket: &str, key: &str, id: &str) -> Outcome<&mut Upload> {
        self.bucket(bucket)?;
        match self.uploads.get_mut(id) {
            Some(upload) if upload.bucket == bucket && upload.key == key => Ok(upload),
            _ => refuse(BucketErrorKind::NotFound, "NoSuchUpload: the upload does not exist"),
        }
    }

    pub(super) fn upload_part(
        &mut self,
        bucket: &str,
        key: &str,
        id: &str,
        number: i32,
        body: Bytes,
        sha256: Sha256,
    ) -> Outcome<UploadedPart> {
        if !u64::try_from(number).is_ok_and(|number| (1..=MAX_PARTS).contains(&number)) {
            return refuse(BucketErrorKind::Invalid, "the part number is not from 1 to 10,000");
        }
        let upload = self.upload(bucket, key, id)?;
        if Sha256::of(&body) != sha256 {
            return refuse(BucketErrorKind::ContentMismatch, "the part does not have the stated SHA-256");
        }
        upload.parts.insert(number, (body, sha256));
        Ok(UploadedPart { number, etag: content_etag(sha256), sha256 })
    }

    pub(super) fn complete_upload(
        &mut self,
        bucket: &str,
        key: &str,
        id: &str,
        parts: &[UploadedPart],
        condition: &Condition,
    ) -> Outcome<ETag> {
        let min_part_size = self.min_part_size;
        let upload = self.upload(bucket, key, id)?;
        if parts.is_empty() {
            return refuse(BucketErrorKind::Invalid, "MalformedXML: no parts");
        }
        if !parts.is_sorted_by(|a, b| a.number < b.number) {
            return refuse(BucketErrorKind::Invalid, "InvalidPartOrder: the parts are not in ascending order");
        }
        let mut body = Vec::new();
        let mut hashes = Hasher::default();
        for (index, part) in parts.iter().enumerate() {
            let Some((bytes, sha256)) = upload.parts.get(&part.number) else {
                return refuse(BucketErrorKind::Invalid, "InvalidPart: a part was not uploaded");
            };
            if part.etag != content_etag(*sha256) || part.sha256 != *sha256 {
                return refuse(BucketErrorKind::Invalid, "InvalidPart: a part has another entity tag or checksum");
            }
            if index + 1 < parts.len() && (bytes.len() as u64) < min_part_size {
                return refuse(BucketErrorKind::Invalid, "EntityTooSmall: a part that is not the last is too small");
            }
            body.extend_from_slice(bytes);
            hashes.update(sha256.to_string().as_bytes());
        }
        let (headers, sha256) = (upload.headers.clone(), upload.sha256);
        self.check(bucket, key, condition)?;
        let object = MemoryObject {
            body: body.into(),
            headers,
            etag: format!("\"{:.32}-{}\"", hashes.finish().to_string(), parts.len()).as_str().into(),
            last_modified: self.now(),
            checksum: None,
            metadata_sha256: Some(sha256),
        };
        self.uploads.remove(id);
        self.write(bucket, key, object)
    }

    pub(super) fn abort_upload(&mut self, bucket: &str, key: &str, id: &str) -> Outcome<()> {
        match self.upload(bucket, key, id) {
            Ok(_) => {
                self.uploads.remove(id);
                Ok(())
            }
            Err(refusal) if refusal.kind == BucketErrorKind::NotFound => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    pub(super) fn check_batch(&self, bucket: &str, keys: usize) -> Outcome<()> {
        self.bucket(bucket)?;
        if keys <= MAX_BATCH { Ok(()) } else { refuse(BucketErrorKind::Invalid, "MalformedXML: more than 1,000 keys") }
    }

    pub(super) fn delete(&mut self, bucket: &str, key: &str, etag: Option<&ETag>) -> Outcome<()> {
        let ignore_conditions = self.ignore_conditions;
        let objects = self.bucket_mut(bucket)?;
        let changed = objects.get(key).is_some_and(|object| etag.is_some_and(|etag| *etag != object.etag));
        if changed && !ignore_conditions {
            return refuse(BucketErrorKind::PreconditionFailed, "the object has another entity tag");
        }
        objects.remove(key);
        Ok(())
    }

    pub(super) fn uploads(&self, bucket: &str) -> Vec<(String, String)> {
        self.uploads
            .iter()
            .filter(|(_, upload)| upload.bucket == bucket)
            .map(|(id, upload)| (upload.key.clone(), id.clone()))
            .collect()
    }
}
