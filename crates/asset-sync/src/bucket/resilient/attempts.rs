//! The attempts of one request.

use std::time::Duration;

use tokio::time::Instant;

use super::limiter::Permit;
use super::line::Sending;
use crate::bucket::BucketError;

/// A request that failed for good.
pub(super) struct Failed {
    pub(super) error: BucketError,
    /// Whether an earlier attempt failed, so that its effect may have taken place.
    pub(super) retried: bool,
}

/// What a request holds until it is answered.
#[derive(Default)]
pub(super) struct InFlight<'a> {
    pub(super) permit: Option<Permit<'a>>,
    /// Of a request with a body.
    pub(super) sending: Option<Sending<'a>>,
}

/// The attempts of one request so far.
pub(super) struct Attempts {
    /// When the first attempt began, moved on by the time that does not count.
    pub(super) since: Instant,
    pub(super) number: u32,
    /// How many of them count towards the most that are allowed.
    pub(super) counted: u32,
    /// How many requests of all had got through at the end of the last attempt.
    pub(super) got_through: u64,
}

impl Attempts {
    pub(super) fn new(got_through: u64) -> Self {
        Self { since: Instant::now(), number: 0, counted: 0, got_through }
    }

    /// The last error of a request that was given up.
    pub(super) fn exhausted(&self, mut error: BucketError) -> BucketError {
        let attempts = if self.number == 1 { "attempt" } else { "attempts" };
        let time = self.since.elapsed().max(Duration::from_millis(100)).as_secs_f64();
        error.message = format!("{}; gave up after {} {attempts} over {time:.1} s", error.message, self.number);
        error
    }
}
