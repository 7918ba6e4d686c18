//! How far the step at hand has come.

use std::time::{Duration, Instant};

use asset_sync::progress::{Event, Step};

/// How far the step at hand has come.
#[derive(Debug, Default)]
pub(super) struct Counter {
    pub(super) step: Option<Step>,
    /// Objects and bytes to do; 0 where nobody knows.
    pub(super) objects: u64,
    pub(super) bytes: u64,
    /// Objects and bytes done.
    pub(super) objects_done: u64,
    pub(super) bytes_done: u64,
    /// Requests with content: one a file, or one a part of a large file.
    pub(super) requests: u64,
    /// Paths of invalidations.
    pub(super) paths: u64,
    /// How often a wait for the lease was told of.
    pub(super) waits: u64,
    told: Option<Instant>,
}

impl Counter {
    pub(super) fn count(&mut self, event: &Event, now: Instant) {
        match event {
            Event::StepStarted { step, objects, bytes } => {
                *self =
                    Self { step: Some(*step), objects: *objects, bytes: *bytes, told: Some(now), ..Self::default() };
            }
            // A switch may be a copy within the store, which sends nothing.
            Event::Sent { .. } if self.step == Some(Step::Switch) => {}
            Event::Sent { bytes } => {
                self.bytes_done += bytes;
                self.requests += 1;
            }
            Event::Written { bytes, .. } => {
                self.objects_done += 1;
                if self.step == Some(Step::Switch) {
                    self.bytes_done += bytes;
                }
            }
            Event::Deleted { .. } => self.objects_done += 1,
            Event::Invalidation { paths, .. } => self.paths += paths,
            Event::Waiting { .. } => self.waits += 1,
            Event::StepFinished { .. }
            | Event::Retrying { .. }
            | Event::Invalidating { .. }
            | Event::Warning { .. } => {}
        }
    }

    /// Whether it is time to tell again, at most once in `interval`.
    pub(super) fn is_due(&mut self, interval: Duration, now: Instant) -> bool {
        let due = self.told.is_none_or(|told| now.duration_since(told) >= interval);
        if due {
            self.told = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_starts_from_nothing_and_is_told_of_at_intervals() {
        let start = Instant::now();
        let mut counter = Counter::default();
        counter.count(&Event::Sent { bytes: 9 }, start);
        counter.count(&Event::StepStarted { step: Step::Stage, objects: 2, bytes: 10 }, start);
        assert_eq!((counter.bytes_done, counter.objects, counter.bytes), (0, 2, 10));
        counter.count(&Event::Sent { bytes: 4 }, start);
        counter.count(&Event::Deleted { key: "a".into(), bytes: 1 }, start);
        assert_eq!((counter.bytes_done, counter.objects_done), (4, 1));
        let interval = Duration::from_secs(10);
        assert!(!counter.is_due(interval, start + Duration::from_secs(9)));
        assert!(counter.is_due(interval, start + Duration::from_secs(10)));
        assert!(!counter.is_due(interval, start + Duration::from_secs(19)));
    }
}
