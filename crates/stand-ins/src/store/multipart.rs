//! Multipart uploads that are not completed yet.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::{
    BlobId, Checksum, ChecksumAlgorithm, ChecksumKind, Conditions, Content, Entry, Object, ObjectHeaders, Store,
    StoreError, bucket_of, checksum::md5,
};
use crate::sync::lock;

/// S3 limits: parts are numbered from 1 to 10,000.
pub(crate) const MAX_PART_NUMBER: u16 = 10_000;
/// S3 limits: every part but the last has at least 5 MiB.
const MIN_PART_SIZE: u64 = 5 << 20;

/// What a multipart upload is created with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewUpload {
    /// Headers of the object to be.
    pub headers: ObjectHeaders,
    /// User-defined metadata of the object to be.
    pub metadata: BTreeMap<String, String>,
    /// The checksum that each part must carry, and what that of the object covers.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

#[derive(Debug)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) initiated: SystemTime,
    pub(super) new: NewUpload,
    pub(super) parts: BTreeMap<u16, (Part, Option<BlobId>)>,
}

/// An uploaded part.
#[derive(Clone, Debug)]
pub struct Part {
    /// The bytes.
    pub content: Content,
    /// MD5 in hex, without quotes.
    pub etag: String,
    /// The checksum sent with it, verified.
    pub checksum: Option<Checksum>,
    /// When it was uploaded, in whole seconds.
    pub last_modified: SystemTime,
}

/// A multipart upload that was neither completed nor aborted.
#[derive(Clone, Debug)]
pub struct UnfinishedUpload {
    /// The key it is for.
    pub key: String,
    /// Its id.
    pub id: String,
    /// When it was created, in whole seconds.
    pub initiated: SystemTime,
    /// The checksum named on creation.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// The parts so far, by number.
    pub parts: BTreeMap<u16, Part>,
}

/// A part as a completion names it.
#[derive(Clone, Debug)]
pub struct CompletedPart {
    /// The part number.
    pub number: u16,
    /// Its ETag, without quotes.
    pub etag: String,
    /// Its checksums: the algorithm and the base64 of the digest.
    pub checksums: Vec<(ChecksumAlgorithm, String)>,
}

impl Store {
    /// Unfinished multipart uploads of a bucket, by key, then id.
    pub fn uploads(&self, bucket: &str) -> Vec<UnfinishedUpload> {
        let buckets = lock(&self.0.buckets);
        let Some(contents) = buckets.get(bucket) else {
            return Vec::new();
        };
        let mut uploads: Vec<_> = contents.uploads.iter().map(|(id, upload)| upload.describe(id)).collect();
        uploads.sort_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
        uploads
    }

    /// One unfinished upload.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`].
    pub fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<UnfinishedUpload, StoreError> {
        let mut buckets = lock(&self.0.buckets);
        let uploads = &mut bucket_of(&mut buckets, bucket)?.uploads;
        Ok(upload_of(uploads, key, id)?.describe(id))
    }

    /// Begins a multipart upload and returns its id.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::Io`].
    pub fn create_upload(&self, bucket: &str, key: &str, new: NewUpload) -> Result<String, StoreError> {
        let mut buckets = lock(&self.0.buckets);
        let contents = bucket_of(&mut buckets, bucket)?;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let upload =
            Upload { key: key.to_owned(), initiated: self.0.clock.now_in_seconds(), new, parts: BTreeMap::new() };
        if let Some(folder) = &self.0.folder {
            folder.write_upload(bucket, &id, &upload)?;
        }
        contents.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    /// Keeps a part, in place of an earlier one of the same number. `checksum` was verified.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`], [`StoreError::Io`].
    pub fn put_part(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: u16,
        content: Content,
        checksum: Option<Checksum>,
    ) -> Result<Part, StoreError> {
        let etag = hex::encode(md5(&content));
        let blob = self.keep_bytes(&content)?;
        let placed = (|| {
            let mut buckets = lock(&self.0.buckets);
            let uploads = &mut bucket_of(&mut buckets, bucket)?.uploads;
            let upload = upload_of(uploads, key, id)?;
            let part = Part { content, etag, checksum, last_modified: self.0.clock.now_in_seconds() };
            if let (Some(folder), Some(blob)) = (&self.0.folder, &blob) {
                folder.write_part(bucket, id, number, &part, blob)?;
            }
            let replaced = upload.parts.insert(number, (part.clone(), blob.clone()));
            Ok((part, replaced.and_then(|(_, blob)| blob)))
        })();
        match placed {
            Ok((part, replaced)) => {
                self.forget_blobs(replaced);
                Ok(part)
            }
            Err(error) => {
                self.forget_blobs(blob);
                Err(error)
            }
        }
    }

    /// Makes an object of the named parts; others that were uploaded are thrown away. On an error
    /// the upload stays as it was. `expected` is the checksum the completion gives for the whole.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`], [`StoreError::InvalidPart`],
    /// [`StoreError::InvalidPartOrder`], [`StoreError::PartTooSmall`],
    /// [`StoreError::InvalidRequest`], [`StoreError::BadDigest`], those of `conditions`,
    /// [`StoreError::Io`].
    pub fn complete_upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        named: &[CompletedPart],
        expected: &[(ChecksumAlgorithm, String)],
        conditions: &Conditions,
    ) -> Result<Arc<Object>, StoreError> {
        let upload = self.upload(bucket, key, id)?;
        let (headers, metadata) = {
            let mut buckets = lock(&self.0.buckets);
            let uploads = &mut bucket_of(&mut buckets, bucket)?.uploads;
            let new = &upload_of(uploads, key, id)?.new;
            (new.headers.clone(), new.metadata.clone())
        };
        let parts = chosen_parts(&upload, named)?;
        let content = Content::from_segments(parts.iter().flat_map(|part| part.content.segments().iter().cloned()));
        let checksum = whole_checksum(&upload, &parts, &content)?;
        for (algorithm, value) in expected {
            if let Some(own) = checksum.as_ref().filter(|own| own.algorithm == *algorithm)
                // A composite value may be given with or without its number of parts.
                && own.value != *value
                && own.value.split('-').next() != Some(value.as_str())
            {
                return Err(StoreError::BadDigest { key: key.to_owned(), algorithm: algorithm.as_str() });
            }
        }
        let mut object = Object {
            etag: multipart_etag(&parts),
            part_sizes: parts.iter().map(|part| part.content.len()).collect(),
            content,
            headers,
            metadata,
            last_modified: SystemTime::UNIX_EPOCH,
            checksum,
        };

        let blob = self.keep_bytes(&object.content)?;
        let placed = (|| {
            let mut buckets = lock(&self.0.buckets);
            let contents = bucket_of(&mut buckets, bucket)?;
            upload_of(&mut contents.uploads, key, id)?;
            conditions.check(key, contents.objects.get(key).map(|e| &*e.object))?;
            object.last_modified = self.0.clock.now_in_seconds();
            if let (Some(folder), Some(blob)) = (&self.0.folder, &blob) {
                folder.write_object(bucket, key, &object, blob)?;
                folder.remove_upload(bucket, id)?;
            }
            let object = Arc::new(object);
            let entry = Entry { object: Arc::clone(&object), blob: blob.clone() };
            let replaced = contents.objects.insert(key.to_owned(), entry);
            let upload = contents.uploads.remove(id);
            Ok((object, replaced, upload))
        })();
        match placed {
            Ok((object, replaced, upload)) => {
                self.forget_blobs(replaced.and_then(|entry| entry.blob));
                self.forget_upload(upload);
                Ok(object)
            }
            Err(error) => {
                self.forget_blobs(blob);
                Err(error)
            }
        }
    }

    /// Throws an unfinished upload and its parts away.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`], [`StoreError::Io`].
    pub fn abort_upload(&self, bucket: &str, key: &str, id: &str) -> Result<(), StoreError> {
        let mut buckets = lock(&self.0.buckets);
        let uploads = &mut bucket_of(&mut buckets, bucket)?.uploads;
        upload_of(uploads, key, id)?;
        if let Some(folder) = &self.0.folder {
            folder.remove_upload(bucket, id)?;
        }
        let upload = uploads.remove(id);
        drop(buckets);
        self.forget_upload(upload);
        Ok(())
    }

    fn forget_upload(&self, upload: Option<Upload>) {
        self.forget_blobs(
            upload.into_iter().flat_map(|upload| upload.parts.into_values()).filter_map(|(_, blob)| blob),
        );
    }
}

impl Upload {
    fn describe(&self, id: &str) -> UnfinishedUpload {
        UnfinishedUpload {
            key: self.key.clone(),
            id: id.to_owned(),
            initiated: self.initiated,
            checksum: self.new.checksum,
            parts: self.parts.iter().map(|(number, (part, _))| (*number, part.clone())).collect(),
        }
    }
}

fn upload_of<'a>(uploads: &'a mut BTreeMap<String, Upload>, key: &str, id: &str) -> Result<&'a mut Upload, StoreError> {
    uploads
        .get_mut(id)
        .filter(|upload| upload.key == key)
        .ok_or_else(|| StoreError::NoSuchUpload { key: key.to_owned(), id: id.to_owned() })
}

fn chosen_parts<'a>(upload: &'a UnfinishedUpload, named: &[CompletedPart]) -> Result<Vec<&'a Part>, StoreError> {
    let key = || upload.key.clone();
    if !named.is_sorted_by(|a, b| a.number < b.number) {
        return Err(StoreError::InvalidPartOrder { key: key() });
    }
    let mut parts = Vec::with_capacity(named.len());
    for (index, name) in named.iter().enumerate() {
        let invalid = || StoreError::InvalidPart { key: key(), number: name.number };
        let part = upload.parts.get(&name.number).ok_or_else(invalid)?;
        if part.etag != name.etag {
            return Err(invalid());
        }
        if let Some((algorithm, ChecksumKind::Composite)) = upload.checksum {
            let given = name.checksums.iter().find(|(a, _)| *a == algorithm);
            let (_, value) = given.ok_or_else(|| StoreError::InvalidRequest {
                reason: format!(
                    "the upload was created using a {} checksum, which the completion must name for \
                     each part; it is missing for part {}",
                    algorithm.as_str(),
                    name.number
                ),
            })?;
            if part.checksum.as_ref().map(|own| &own.value) != Some(value) {
                return Err(invalid());
            }
        }
        if index + 1 < named.len() && part.content.len() < MIN_PART_SIZE {
            return Err(StoreError::PartTooSmall { key: key(), number: name.number, size: part.content.len() });
        }
        parts.push(part);
    }
    Ok(parts)
}

fn whole_checksum(
    upload: &UnfinishedUpload,
    parts: &[&Part],
    content: &Content,
) -> Result<Option<Checksum>, StoreError> {
    match upload.checksum {
        None => Ok(None),
        Some((algorithm, ChecksumKind::FullObject)) => Ok(Some(algorithm.of(content))),
        Some((algorithm, ChecksumKind::Composite)) => {
            let values: Option<Vec<&str>> =
                parts.iter().map(|part| part.checksum.as_ref().map(|own| own.value.as_str())).collect();
            values.and_then(|values| algorithm.composite(values)).map(Some).ok_or_else(|| StoreError::InvalidRequest {
                reason: format!("a part of {:?} has no {} checksum", upload.key, algorithm.as_str()),
            })
        }
    }
}

/// MD5 of the parts' MD5s and the number of parts, as S3 forms the ETag of a multipart object.
fn multipart_etag(parts: &[&Part]) -> String {
    let digests: Vec<u8> = parts.iter().flat_map(|part| hex::decode(&part.etag).unwrap_or_default()).collect();
    format!("{}-{}", hex::encode(md5(&digests.into())), parts.len())
}
