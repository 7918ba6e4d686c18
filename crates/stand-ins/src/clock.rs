//! The time that every stand-in reads, so that a test moves it instead of sleeping.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use crate::sync::lock;

/// A clock shared by clones: the system's, or one that stands still until it is advanced.
///
/// It stamps `LastModified`, decides when a cached answer is too old and when an invalidation is
/// complete. Network latency and stalls do not go through it.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// `None`: the system's time.
    standing_at: Option<SystemTime>,
    ahead: Mutex<Duration>,
}

impl Clock {
    /// The system's time.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `start` until [`advance`](Self::advance) moves it.
    pub fn manual(start: SystemTime) -> Self {
        Self(Arc::new(State { standing_at: Some(start), ahead: Mutex::default() }))
    }

    /// The time now.
    pub fn now(&self) -> SystemTime {
        self.0.standing_at.unwrap_or_else(SystemTime::now) + *lock(&self.0.ahead)
    }

    /// The time now in whole seconds, the precision of S3's `LastModified`.
    pub fn now_in_seconds(&self) -> SystemTime {
        whole_seconds(self.now())
    }

    /// Moves the clock forward for every holder; the system clock runs ahead by as much.
    pub fn advance(&self, by: Duration) {
        *lock(&self.0.ahead) += by;
    }
}

/// Cuts the fraction of a second off a time after 1970; an earlier one becomes 1970.
pub(crate) fn whole_seconds(time: SystemTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds_since_epoch(time))
}

/// Whole seconds since 1970, 0 for an earlier time.
pub(crate) fn seconds_since_epoch(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_advanced_and_for_every_clone() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let clock = Clock::manual(start);
        let clone = clock.clone();
        assert_eq!(clock.now(), start);
        clone.advance(Duration::from_secs(10));
        assert_eq!(clock.now(), start + Duration::from_secs(10));
        assert_eq!(clock.now_in_seconds(), SystemTime::UNIX_EPOCH + Duration::from_secs(11));
    }

    #[test]
    fn the_system_clock_can_run_ahead() {
        let clock = Clock::system();
        clock.advance(Duration::from_hours(1));
        assert!(clock.now() > SystemTime::now() + Duration::from_mins(50));
    }
}
