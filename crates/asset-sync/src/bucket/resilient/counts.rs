//! How many requests were sent, by operation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bucket::BucketError;

/// The requests sent so far, each attempt counted. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct RequestCounts(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    by_operation: BTreeMap<&'static str, u64>,
    retries: u64,
    throttled: u64,
    last_failure: Option<String>,
}

impl RequestCounts {
    /// Requests by S3 API operation, such as `PutObject`. An operation never used is absent.
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.lock().by_operation.clone()
    }

    /// All requests.
    pub fn total(&self) -> u64 {
        self.lock().by_operation.values().sum()
    }

    /// How many of the requests were repetitions of failed ones.
    pub fn retries(&self) -> u64 {
        self.lock().retries
    }

    /// How many requests the store answered with the wish to slow down.
    pub fn throttled(&self) -> u64 {
        self.lock().throttled
    }

    pub(super) fn add(&self, operation: &'static str, retry: bool) {
        let mut counts = self.lock();
        *counts.by_operation.entry(operation).or_default() += 1;
        counts.retries += u64::from(retry);
    }

    /// The last failure that might have passed, with its request id. It may have passed since.
    pub fn last_failure(&self) -> Option<String> {
        self.lock().last_failure.clone()
    }

    pub(super) fn set_last_failure(&self, failure: &BucketError) {
        self.lock().last_failure = Some(failure.to_string());
    }

    pub(super) fn add_throttled(&self) {
        self.lock().throttled += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
