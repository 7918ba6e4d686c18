//! How often and how long a failed request is tried again.

use std::time::Duration;

/// How a [`Resilient`](super::Resilient) bucket retries, and how many requests it lets run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often one request is sent at most, the first time included. At least 1. A throttled attempt
    /// does not count if another request got through since the one before.
    pub max_attempts: u32,
    /// The longest wait before the second attempt; it doubles with each further one.
    pub base_delay: Duration,
    /// No wait is longer than this.
    pub max_delay: Duration,
    /// No further attempt of a request begins this long after its first. Not counted are the time spent
    /// waiting for its turn, and attempts that failed since bodies shared a slow line. An attempt under
    /// way is not cut off by it.
    pub give_up_after: Duration,
    /// The most requests in flight at once. Fewer after the store asked to slow down.
    pub concurrency: usize,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            // So many that time decides, unless the delays are shortened.
            max_attempts: 40,
            base_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(20),
            give_up_after: Duration::from_mins(3),
            concurrency: 64,
        }
    }
}

impl RetryPolicy {
    /// The wait after `attempts` failed ones: anything from nothing to a bound that doubles each
    /// time ("full jitter"), so that clients that failed together do not come back together.
    pub(super) fn delay(&self, attempts: u32) -> Duration {
        self.longest_delay(attempts).mul_f64(fastrand::f64())
    }

    fn longest_delay(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        self.base_delay.saturating_mul(1 << doublings).min(self.max_delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_delay_doubles_up_to_a_bound() {
        let policy = RetryPolicy {
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(1),
            ..RetryPolicy::default()
        };
        let delays: Vec<u128> = (1..=6).map(|attempts| policy.longest_delay(attempts).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(policy.longest_delay(u32::MAX), policy.max_delay);
    }

    #[test]
    fn a_delay_is_within_its_bound() {
        let policy = RetryPolicy::default();
        for attempts in 1..50 {
            assert!(policy.delay(attempts) <= policy.longest_delay(attempts));
        }
    }
}
