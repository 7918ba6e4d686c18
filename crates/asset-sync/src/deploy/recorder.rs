//! What one run did, noted from its own events.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::report::Tally;
use crate::bucket::RequestCounts;
use crate::progress::{Event, Progress, Step};

/// Passes events on, and keeps the sums for the report.
pub(super) struct Recorder {
    next: Arc<dyn Progress>,
    counts: RequestCounts,
    before: BTreeMap<&'static str, u64>,
    /// Retries and throttled requests of earlier runs.
    failed_before: (u64, u64),
    sums: Mutex<Sums>,
    told: AtomicU64,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Sums {
    pub(super) written: Tally,
    pub(super) deleted: Tally,
    pub(super) seconds: BTreeMap<Step, f64>,
    pub(super) warnings: Vec<String>,
    cdn_requests: BTreeMap<&'static str, u64>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("sums", &self.sums).finish_non_exhaustive()
    }
}

impl Recorder {
    pub(super) fn new(counts: RequestCounts, next: Arc<dyn Progress>) -> Self {
        let (before, failed_before) = (counts.snapshot(), (counts.retries(), counts.throttled()));
        Self { next, counts, before, failed_before, sums: Mutex::default(), told: AtomicU64::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sums(&self) -> Sums {
        self.lock().clone()
    }

    /// How many events there were.
    pub(super) fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// A request to the CDN is about to be sent.
    pub(super) fn request(&self, operation: &'static str) {
        *self.lock().cdn_requests.entry(operation).or_default() += 1;
    }

    /// Requests sent since this run began, by operation.
    pub(super) fn requests(&self) -> BTreeMap<&'static str, u64> {
        let mut requests = self.counts.snapshot();
        for (operation, before) in &self.before {
            if let Some(count) = requests.get_mut(operation) {
                *count -= before;
            }
        }
        requests.extend(self.lock().cdn_requests.clone());
        requests.retain(|_, count| *count > 0);
        requests
    }

    /// How many requests since this run began were repetitions, and how many were told to slow down.
    pub(super) fn failures(&self) -> (u64, u64) {
        let (retries, throttled) = self.failed_before;
        (self.counts.retries() - retries, self.counts.throttled() - throttled)
    }
}

impl Progress for Recorder {
    fn event(&self, event: &Event) {
        {
            let mut sums = self.lock();
            match event {
                Event::Written { bytes, .. } => sums.written.add(*bytes),
                Event::Deleted { bytes, .. } => sums.deleted.add(*bytes),
                Event::StepFinished { step, elapsed } => {
                    *sums.seconds.entry(*step).or_default() += elapsed.as_secs_f64();
                }
                Event::Warning { message } => sums.warnings.push(message.clone()),
                _ => {}
            }
        }
        self.told.fetch_add(1, Ordering::Relaxed);
        self.next.event(event);
    }
}
