//! Faults and latency to order, and a log of every request: a layer around the S3 and CloudFront
//! servers.

mod layer;
mod log;
mod operation;
mod rule;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub(crate) use self::layer::{Layer, LayeredService};
use self::{log::Log, rule::ArmedRule};
pub use self::{
    log::LoggedRequest,
    operation::{RequestInfo, Service},
    rule::{Effect, Gate, Hook, Rule, When},
};
use crate::sync::lock;

/// The faults, the latency and the request log of one set of stand-ins. Clones share them.
///
/// Requests to S3 and CloudFront are numbered together from 1 in the order of their arrival, so
/// that "at request 17" means the same for a whole deploy. Requests to an edge are not counted.
#[derive(Clone, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The last number given.
    number: AtomicU64,
    /// Nanoseconds; 0 for none.
    latency: AtomicU64,
    rules: Mutex<Vec<ArmedRule>>,
    log: Mutex<Log>,
}

impl Faults {
    /// Adds a rule; rules are tried in the order in which they were added.
    ///
    /// All hooks, holds and delays of the rules that apply take place; of the effects that decide
    /// the answer the first one wins.
    pub fn add(&self, rule: Rule) {
        lock(&self.0.rules).push(ArmedRule::new(rule));
    }

    /// Applies `effect` to every request that `when` names.
    pub fn always(&self, when: When, effect: Effect) {
        self.add(Rule::new(when, effect));
    }

    /// Applies `effect` to the first request that `when` names, and then no more.
    pub fn once(&self, when: When, effect: Effect) {
        self.add(Rule::new(when, effect).times(1));
    }

    /// Removes all rules. Requests that are held stay so until their gate opens.
    pub fn clear(&self) {
        lock(&self.0.rules).clear();
    }

    /// Lets every request wait for so long before it is handled; zero for none.
    pub fn set_latency(&self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0.latency.store(nanos, Ordering::Relaxed);
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        lock(&self.0.log).requests()
    }

    /// Number of requests by operation.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        lock(&self.0.log).counts()
    }

    /// Number of requests of one operation, such as `PutObject`.
    pub fn count(&self, operation: &str) -> usize {
        self.counts().get(operation).copied().unwrap_or_default()
    }

    /// Number of all requests.
    pub fn total(&self) -> usize {
        lock(&self.0.log).len()
    }

    /// The most requests that were in flight at once.
    pub fn peak_in_flight(&self) -> usize {
        lock(&self.0.log).peak_in_flight()
    }

    /// Forgets the log and starts numbering from 1 again. Rules stay.
    pub fn reset_log(&self) {
        let mut log = lock(&self.0.log);
        log.clear();
        self.0.number.store(0, Ordering::Relaxed);
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("requests", &self.total())
            .field("rules", &lock(&self.0.rules).len())
            .finish_non_exhaustive()
    }
}
