//! Why the store refused something.

use std::{io, path::PathBuf};

/// An error of the object store, by meaning; the S3 server gives each its S3 code and status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The bucket was never created (S3: `NoSuchBucket`, 404).
    #[error("there is no bucket {bucket:?}")]
    NoSuchBucket {
        /// Its name.
        bucket: String,
    },
    /// The bucket is there already (S3: `BucketAlreadyOwnedByYou`, 409).
    #[error("the bucket {bucket:?} exists already")]
    BucketExists {
        /// Its name.
        bucket: String,
    },
    /// There is no object under the key (S3: `NoSuchKey`, 404).
    #[error("there is no object {key:?}")]
    NoSuchKey {
        /// The key.
        key: String,
    },
    /// A condition of the request does not hold (S3: `PreconditionFailed`, 412).
    #[error("{header} does not hold for {key:?}")]
    PreconditionFailed {
        /// The key.
        key: String,
        /// The header that set the condition.
        header: &'static str,
    },
    /// The multipart upload never was, or was completed or aborted (S3: `NoSuchUpload`, 404).
    #[error("there is no multipart upload {id:?} of {key:?}")]
    NoSuchUpload {
        /// The key.
        key: String,
        /// The upload id.
        id: String,
    },
    /// A part named on completion was not uploaded, or with another ETag or checksum (S3:
    /// `InvalidPart`, 400).
    #[error("part {number} of {key:?} was not uploaded as the completion names it")]
    InvalidPart {
        /// The key.
        key: String,
        /// The part number.
        number: u16,
    },
    /// Part numbers do not ascend (S3: `InvalidPartOrder`, 400).
    #[error("the parts of {key:?} are not in ascending order")]
    InvalidPartOrder {
        /// The key.
        key: String,
    },
    /// A part that is not the last has less than 5 MiB (S3: `EntityTooSmall`, 400).
    #[error("part {number} of {key:?} has {size} bytes; all but the last need 5 MiB")]
    PartTooSmall {
        /// The key.
        key: String,
        /// The part number.
        number: u16,
        /// Its size in bytes.
        size: u64,
    },
    /// The request contradicts the upload or itself (S3: `InvalidRequest`, 400).
    #[error("{reason}")]
    InvalidRequest {
        /// What was wrong.
        reason: String,
    },
    /// Bytes and checksum differ (S3: `BadDigest`, 400).
    #[error("the {algorithm} given for {key:?} is not that of the bytes received")]
    BadDigest {
        /// The key.
        key: String,
        /// The algorithm's name.
        algorithm: &'static str,
    },
    /// The folder that keeps the store could not be read or written.
    #[error("cannot keep the local store in {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The folder holds something that this version did not write.
    #[error(
        "{} is no local store that this version can read: {reason}; delete the folder or name another",
        path.display()
    )]
    NotAStore {
        /// The offending file or folder.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Another process uses the folder.
    #[error("the local store in {} is in use by another process; end it or name another folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}
