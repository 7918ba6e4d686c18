//! The store on disk, so that a local site outlives the process.
//!
//! ```text
//! format.json                         what this is, and its version
//! lock                                held while a process uses the folder
//! blobs/<uuid>                        bytes of an object or part, written once
//! buckets/<hash>/bucket.json          the bucket's name
//! buckets/<hash>/objects/<hash>.json  one object: key, headers, date, ETag, its blob
//! buckets/<hash>/uploads/<id>/upload.json, part-<n>.json
//! ```
//!
//! `<hash>` is the SHA-256 of a name in hex, since a key may hold what no file name can. A blob is
//! complete before a record names it, and a record is replaced by renaming; blobs that no record
//! names are swept when the folder is opened.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use s3s::crypto::{Checksum as _, Sha256};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Bucket, Buckets, Checksum, ChecksumAlgorithm, Content, Entry, NewUpload, Object, ObjectHeaders, Part, StoreError,
    Upload,
};
use crate::clock::seconds_since_epoch;

const FORMAT: &str = "stand-ins object store";
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct FormatRecord {
    format: String,
    version: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct BucketRecord {
    name: String,
    created: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct ObjectRecord {
    key: String,
    bytes: BytesRecord,
    headers: ObjectHeaders,
    metadata: BTreeMap<String, String>,
    etag: String,
    last_modified: u64,
    checksum: Option<Checksum>,
    part_sizes: Vec<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct UploadRecord {
    key: String,
    initiated: u64,
    new: NewUpload,
}

#[derive(Debug, Serialize, Deserialize)]
struct PartRecord {
    bytes: BytesRecord,
    etag: String,
    last_modified: u64,
    checksum: Option<Checksum>,
}

/// Where bytes are, and what they must be.
#[derive(Debug, Serialize, Deserialize)]
struct BytesRecord {
    blob: BlobId,
    size: u64,
    crc64nvme: String,
}

/// The name of a file of bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct BlobId(String);

#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
}

impl Folder {
    /// Opens or creates the folder and loads what it holds.
    pub(super) fn open(root: &Path) -> Result<(Self, Buckets), StoreError> {
        let marker = root.join("format.json");
        if !marker.exists() && has_entries(root)? {
            return Err(StoreError::NotAStore {
                path: root.to_owned(),
                reason: "it is not empty and has no format.json".to_owned(),
            });
        }
        create_dir(root)?;
        let lock = lock_folder(root)?;
        let folder = Self { root: root.to_owned(), _lock: lock };
        if marker.exists() {
            let found: FormatRecord = read_record(&marker)?;
            if found.format != FORMAT || found.version != VERSION {
                return Err(StoreError::NotAStore {
                    path: marker,
                    reason: format!(
                        "it says {:?} version {}, not {FORMAT:?} version {VERSION}",
                        found.format, found.version
                    ),
                });
            }
        } else {
            let format = FormatRecord { format: FORMAT.to_owned(), version: VERSION };
            folder.write_record(&marker, &format)?;
        }
        create_dir(&folder.blobs())?;
        create_dir(&root.join("buckets"))?;
        let buckets = folder.load()?;
        folder.sweep(&buckets)?;
        Ok((folder, buckets))
    }

    pub(super) fn write_bucket(&self, name: &str, created: SystemTime) -> Result<(), StoreError> {
        let folder = self.bucket(name);
        create_dir(&folder.join("objects"))?;
        create_dir(&folder.join("uploads"))?;
        let record = BucketRecord { name: name.to_owned(), created: seconds_since_epoch(created) };
        self.write_record(&folder.join("bucket.json"), &record)
    }

    pub(super) fn write_blob(&self, content: &Content) -> Result<BlobId, StoreError> {
        let id = BlobId(uuid::Uuid::new_v4().simple().to_string());
        let path = self.blobs().join(&id.0);
        let written = File::create_new(&path)
            .and_then(|mut file| content.segments().iter().try_for_each(|segment| file.write_all(segment)));
        match written {
            Ok(()) => Ok(id),
            Err(source) => {
                self.remove_blob(&id);
                Err(StoreError::Io { path, source })
            }
        }
    }

    pub(super) fn remove_blob(&self, id: &BlobId) {
        // Swept on the next start if this fails.
        drop(fs::remove_file(self.blobs().join(&id.0)));
    }

    pub(super) fn write_object(
        &self,
        bucket: &str,
        key: &str,
        object: &Object,
        blob: &BlobId,
    ) -> Result<(), StoreError> {
        let record = ObjectRecord {
            key: key.to_owned(),
            bytes: BytesRecord::of(&object.content, blob),
            headers: object.headers.clone(),
            metadata: object.metadata.clone(),
            etag: object.etag.clone(),
            last_modified: seconds_since_epoch(object.last_modified),
            checksum: object.checksum.clone(),
            part_sizes: object.part_sizes.clone(),
        };
        self.write_record(&self.object(bucket, key), &record)
    }

    pub(super) fn remove_object(&self, bucket: &str, key: &str) -> Result<(), StoreError> {
        let path = self.object(bucket, key);
        fs::remove_file(&path).map_err(|source| StoreError::Io { path, source })
    }

    pub(super) fn write_upload(&self, bucket: &str, id: &str, upload: &Upload) -> Result<(), StoreError> {
        let folder = self.upload(bucket, id);
        create_dir(&folder)?;
        let record = UploadRecord {
            key: upload.key.clone(),
            initiated: seconds_since_epoch(upload.initiated),
            new: upload.new.clone(),
        };
        self.write_record(&folder.join("upload.json"), &record)
    }

    pub(super) fn write_part(
        &self,
        bucket: &str,
        id: &str,
        number: u16,
        part: &Part,
        blob: &BlobId,
    ) -> Result<(), StoreError> {
        let record = PartRecord {
            bytes: BytesRecord::of(&part.content, blob),
            etag: part.etag.clone(),
            last_modified: seconds_since_epoch(part.last_modified),
            checksum: part.checksum.clone(),
        };
        let path = self.upload(bucket, id).join(format!("part-{number}.json"));
        self.write_record(&path, &record)
    }

    pub(super) fn remove_upload(&self, bucket: &str, id: &str) -> Result<(), StoreError> {
        let path = self.upload(bucket, id);
        fs::remove_dir_all(&path).map_err(|source| StoreError::Io { path, source })
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    fn bucket(&self, name: &str) -> PathBuf {
        self.root.join("buckets").join(hashed(name))
    }

    fn object(&self, bucket: &str, key: &str) -> PathBuf {
        self.bucket(bucket).join("objects").join(format!("{}.json", hashed(key)))
    }

    fn upload(&self, bucket: &str, id: &str) -> PathBuf {
        self.bucket(bucket).join("uploads").join(id)
    }

    fn write_record(&self, path: &Path, record: &impl Serialize) -> Result<(), StoreError> {
        let temporary = self.root.join(format!("new-{}", uuid::Uuid::new_v4().simple()));
        let written = serde_json::to_vec(record)
            .map_err(io::Error::from)
            .and_then(|json| fs::write(&temporary, json))
            .and_then(|()| fs::rename(&temporary, path));
        written.map_err(|source| {
            drop(fs::remove_file(&temporary));
            StoreError::Io { path: path.to_owned(), source }
        })
    }

    fn load(&self) -> Result<Buckets, StoreError> {
        let mut buckets = Buckets::new();
        for folder in entries(&self.root.join("buckets"))? {
            let marker = folder.join("bucket.json");
            if !marker.exists() {
                // Died between making the folder and recording the bucket.
                continue;
            }
            let record: BucketRecord = read_record(&marker)?;
            let mut bucket = Bucket::new(time(record.created));
            for path in entries(&folder.join("objects"))? {
                let (key, entry) = self.load_object(&path)?;
                bucket.objects.insert(key, entry);
            }
            for path in entries(&folder.join("uploads"))? {
                if let Some((id, upload)) = self.load_upload(&path)? {
                    bucket.uploads.insert(id, upload);
                }
            }
            buckets.insert(record.name, bucket);
        }
        Ok(buckets)
    }

    fn load_object(&self, path: &Path) -> Result<(String, Entry), StoreError> {
        let record: ObjectRecord = read_record(path)?;
        let object = Object {
            content: self.read_bytes(&record.bytes, path)?,
            headers: record.headers,
            metadata: record.metadata,
            etag: record.etag,
            last_modified: time(record.last_modified),
            checksum: record.checksum,
            part_sizes: record.part_sizes,
        };
        let entry = Entry { object: Arc::new(object), blob: Some(record.bytes.blob) };
        Ok((record.key, entry))
    }

    fn load_upload(&self, folder: &Path) -> Result<Option<(String, Upload)>, StoreError> {
        let marker = folder.join("upload.json");
        let Some(id) = folder.file_name().and_then(|name| name.to_str()) else {
            return Ok(None);
        };
        if !marker.exists() {
            // Died while creating or removing it; nobody was told of it, or nobody wants it.
            return Ok(None);
        }
        let record: UploadRecord = read_record(&marker)?;
        let mut parts = BTreeMap::new();
        for path in entries(folder)? {
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .and_then(|stem| stem.strip_prefix("part-"))
                .and_then(|number| number.parse().ok());
            let Some(number) = number else { continue };
            let record: PartRecord = read_record(&path)?;
            let part = Part {
                content: self.read_bytes(&record.bytes, &path)?,
                etag: record.etag,
                checksum: record.checksum,
                last_modified: time(record.last_modified),
            };
            parts.insert(number, (part, Some(record.bytes.blob)));
        }
        let upload = Upload { key: record.key, initiated: time(record.initiated), new: record.new, parts };
        Ok(Some((id.to_owned(), upload)))
    }

    fn read_bytes(&self, record: &BytesRecord, named_by: &Path) -> Result<Content, StoreError> {
        let path = self.blobs().join(&record.blob.0);
        let content = match fs::read(&path) {
            Ok(bytes) => Content::from(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NotAStore {
                    path,
                    reason: format!("the file is missing that {} names", named_by.display()),
                });
            }
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        if content.len() != record.size || ChecksumAlgorithm::Crc64Nvme.value_of(&content) != record.crc64nvme {
            return Err(StoreError::NotAStore { path, reason: "its bytes are not those that were written".to_owned() });
        }
        Ok(content)
    }

    /// Removes blobs and temporary files that a crash left behind.
    fn sweep(&self, buckets: &Buckets) -> Result<(), StoreError> {
        let objects = buckets.values().flat_map(|b| b.objects.values());
        let uploads = buckets.values().flat_map(|b| b.uploads.values());
        let named: HashSet<&str> = objects
            .filter_map(|entry| entry.blob.as_ref())
            .chain(uploads.flat_map(|upload| upload.parts.values()).filter_map(|(_, blob)| blob.as_ref()))
            .map(|blob| blob.0.as_str())
            .collect();
        for path in entries(&self.blobs())? {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| !named.contains(name)) {
                fs::remove_file(&path).map_err(|source| StoreError::Io { path, source })?;
            }
        }
        for path in entries(&self.root)? {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with("new-")) {
                fs::remove_file(&path).map_err(|source| StoreError::Io { path, source })?;
            }
        }
        Ok(())
    }
}

impl BytesRecord {
    fn of(content: &Content, blob: &BlobId) -> Self {
        Self { blob: blob.clone(), size: content.len(), crc64nvme: ChecksumAlgorithm::Crc64Nvme.value_of(content) }
    }
}

fn lock_folder(root: &Path) -> Result<File, StoreError> {
    let path = root.join("lock");
    let file = File::create(&path).map_err(|source| StoreError::Io { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: root.to_owned() }),
        Err(TryLockError::Error(source)) => Err(StoreError::Io { path, source }),
    }
}

fn hashed(name: &str) -> String {
    hex::encode(Sha256::checksum(name.as_bytes()))
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn create_dir(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let list = || -> io::Result<Vec<PathBuf>> { fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect() };
    list().map_err(|source| StoreError::Io { path: folder.to_owned(), source })
}

fn has_entries(folder: &Path) -> Result<bool, StoreError> {
    match fs::read_dir(folder) {
        // A process that is just creating the store has its lock there first.
        Ok(mut list) => Ok(list.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "lock"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(StoreError::Io { path: folder.to_owned(), source }),
    }
}

fn read_record<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let json = fs::read(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&json).map_err(|error| StoreError::NotAStore {
        path: path.to_owned(),
        reason: format!("it does not read as a record of this store ({error})"),
    })
}
