//! What is kept of an object, and the conditions a write can set on it.

use std::{collections::BTreeMap, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::{
    Content, StoreError,
    checksum::{Checksum, md5},
};

/// The system-defined headers kept with an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectHeaders {
    /// `Content-Type`. S3 answers `binary/octet-stream` where none was given.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `x-amz-website-redirect-location`.
    pub website_redirect: Option<String>,
}

impl ObjectHeaders {
    /// Headers with nothing but a content type.
    pub fn with_content_type(content_type: impl Into<String>) -> Self {
        Self { content_type: Some(content_type.into()), ..Self::default() }
    }
}

/// An object as it stands in a bucket. It never changes; a write puts another in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The bytes.
    pub content: Content,
    /// System-defined headers.
    pub headers: ObjectHeaders,
    /// User-defined metadata, by name without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// The ETag without its quotes: MD5 in hex, or for a multipart object `md5(md5s)-parts`.
    pub etag: String,
    /// When it was written or its headers changed, in whole seconds as S3 tells it.
    pub last_modified: SystemTime,
    /// The checksum the writer sent, verified.
    pub checksum: Option<Checksum>,
    /// Sizes in bytes of the parts of a multipart object, in order; empty for one put at once.
    pub part_sizes: Vec<u64>,
}

/// An object about to be put.
#[derive(Clone, Debug, Default)]
pub struct NewObject {
    /// The bytes.
    pub content: Content,
    /// System-defined headers.
    pub headers: ObjectHeaders,
    /// User-defined metadata, by name without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// A checksum that was verified against the bytes.
    pub checksum: Option<Checksum>,
}

impl NewObject {
    /// An object of these bytes, with headers and no metadata.
    pub fn new(content: impl Into<Content>, headers: ObjectHeaders) -> Self {
        Self { content: content.into(), headers, ..Self::default() }
    }

    pub(super) fn into_object(self) -> Object {
        Object {
            etag: hex::encode(md5(&self.content)),
            content: self.content,
            headers: self.headers,
            metadata: self.metadata,
            last_modified: SystemTime::UNIX_EPOCH,
            checksum: self.checksum,
            part_sizes: Vec::new(),
        }
    }
}

/// What an `If-Match` or `If-None-Match` header names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EtagMatch {
    /// `*`: whatever is there.
    Any,
    /// One ETag, without its quotes.
    Etag(String),
}

impl EtagMatch {
    fn matches(&self, object: &Object) -> bool {
        match self {
            Self::Any => true,
            Self::Etag(etag) => *etag == object.etag,
        }
    }
}

/// The conditions of a conditional write or read. S3 checks them and writes in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The object must be there with this ETag.
    pub if_match: Option<EtagMatch>,
    /// No object with this ETag, or with `*` no object at all, may be there.
    pub if_none_match: Option<EtagMatch>,
}

impl Conditions {
    /// No conditions.
    pub fn none() -> Self {
        Self::default()
    }

    /// # Errors
    /// [`StoreError::NoSuchKey`] where `if_match` meets no object, else
    /// [`StoreError::PreconditionFailed`].
    pub(crate) fn check(&self, key: &str, existing: Option<&Object>) -> Result<(), StoreError> {
        let failed = |header| StoreError::PreconditionFailed { key: key.to_owned(), header };
        match (&self.if_match, existing) {
            (Some(_), None) => {
                return Err(StoreError::NoSuchKey { key: key.to_owned() });
            }
            (Some(condition), Some(object)) if !condition.matches(object) => {
                return Err(failed("If-Match"));
            }
            _ => {}
        }
        match (&self.if_none_match, existing) {
            (Some(condition), Some(object)) if condition.matches(object) => Err(failed("If-None-Match")),
            _ => Ok(()),
        }
    }
}
