//! How the S3 server behaves, changeable while it runs.

use std::sync::{
    Arc, RwLock,
    atomic::{AtomicBool, Ordering},
};

use crate::sync::{read, write};

/// The settings of the S3 server. Clones share them; a change holds from the next request on.
#[derive(Clone, Debug)]
pub struct S3Settings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    region: String,
    access_key: String,
    secret_key: String,
    missing_key_is_forbidden: AtomicBool,
    ignores_conditions: AtomicBool,
    denied: RwLock<Vec<Denial>>,
}

#[derive(Debug)]
struct Denial {
    action: String,
    /// Only keys that begin so; `None` for all requests of the action.
    prefix: Option<String>,
}

impl S3Settings {
    pub(crate) fn new(region: String, access_key: String, secret_key: String) -> Self {
        Self(Arc::new(Inner {
            region,
            access_key,
            secret_key,
            missing_key_is_forbidden: AtomicBool::new(false),
            ignores_conditions: AtomicBool::new(false),
            denied: RwLock::default(),
        }))
    }

    pub(crate) fn region(&self) -> &str {
        &self.0.region
    }

    pub(crate) fn access_key(&self) -> &str {
        &self.0.access_key
    }

    pub(crate) fn secret_key(&self) -> &str {
        &self.0.secret_key
    }

    pub(crate) fn secret_of(&self, access_key: &str) -> Option<&str> {
        (self.0.access_key == access_key).then_some(&self.0.secret_key)
    }

    /// Whether reading a key that does not exist answers 403 `AccessDenied` instead of 404, as S3
    /// does for a caller without the right to list the bucket.
    pub fn set_missing_key_is_forbidden(&self, forbidden: bool) {
        self.0.missing_key_is_forbidden.store(forbidden, Ordering::Relaxed);
    }

    pub(crate) fn missing_key_is_forbidden(&self) -> bool {
        self.0.missing_key_is_forbidden.load(Ordering::Relaxed)
    }

    /// Whether `If-Match` and `If-None-Match` of writes are silently ignored, as some storage
    /// servers do.
    pub fn set_ignores_conditions(&self, ignores: bool) {
        self.0.ignores_conditions.store(ignores, Ordering::Relaxed);
    }

    pub(crate) fn ignores_conditions(&self) -> bool {
        self.0.ignores_conditions.load(Ordering::Relaxed)
    }

    /// Denies an action with 403 `AccessDenied`: either an operation such as `UploadPart`, or an
    /// IAM action, which covers all operations that need it. `PutObject` denies every write of
    /// objects, copies and multipart uploads too; `DeleteObject` each key of `DeleteObjects`;
    /// `GetObject` also `HeadObject`, copying from, and `If-Match` on writes; `ListBucket`
    /// `ListObjectsV2` and `HeadBucket`.
    pub fn deny(&self, action: impl Into<String>) {
        write(&self.0.denied).push(Denial { action: action.into(), prefix: None });
    }

    /// Denies an action, as [`deny`](Self::deny) does, on keys that begin with `prefix`.
    pub fn deny_under(&self, action: impl Into<String>, prefix: impl Into<String>) {
        write(&self.0.denied).push(Denial { action: action.into(), prefix: Some(prefix.into()) });
    }

    /// Takes all denials back.
    pub fn allow_all(&self) {
        write(&self.0.denied).clear();
    }

    /// Whether any of these names of one action is denied on the key.
    pub(crate) fn denies(&self, names: &[&str], key: Option<&str>) -> bool {
        read(&self.0.denied).iter().any(|denial| {
            names.contains(&denial.action.as_str())
                && denial.prefix.as_ref().is_none_or(|prefix| key.is_some_and(|key| key.starts_with(prefix)))
        })
    }
}
