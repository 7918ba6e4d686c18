//! How many requests may be in flight: fewer when the store asks to slow down.
//!
//! Additive increase, multiplicative decrease, as TCP does: the limit halves when a request is
//! throttled, and grows by one after as many successes as it is high. Requests that were under way
//! when the limit was last halved say nothing about the new limit, so only a throttled request that
//! began after that halves it again.
//!
//! Where the store throttles at the same limit again and again, that limit is more than it takes. It is
//! then tried more and more rarely, so that the run stays below it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{RwLock, RwLockWriteGuard, Semaphore};

/// How many rounds of successes it takes at most until a limit that was too high is tried again.
const MOST_PATIENCE: usize = 16;

#[derive(Debug)]
pub(super) struct Limiter {
    /// One permit for each request that may begin now. Fair: first come, first served.
    free: Semaphore,
    /// Locked for writing while no request may begin.
    open: RwLock<()>,
    got_through: AtomicU64,
    state: Mutex<State>,
    max: usize,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Permits that are out and will not come back, since the limit was lowered meanwhile.
    debt: usize,
    /// Successes of the current epoch since the limit last changed.
    successes: usize,
    /// How often the limit was halved.
    epoch: u64,
    /// The limit at which the store throttled last.
    ceiling: usize,
    /// How many rounds of successes it takes to try `ceiling` again.
    patience: usize,
}

/// The right to one request in flight, given back on drop.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    limiter: &'a Limiter,
    epoch: u64,
}

impl Limiter {
    /// Starts at `max` requests, which is also the most there will ever be; at least one.
    pub(super) fn new(max: usize) -> Self {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        let state = State { limit: max, debt: 0, successes: 0, epoch: 0, ceiling: usize::MAX, patience: 1 };
        Self {
            free: Semaphore::new(max),
            open: RwLock::new(()),
            got_through: AtomicU64::new(0),
            state: Mutex::new(state),
            max,
        }
    }

    /// Waits for the right to begin a request.
    pub(super) async fn acquire(&self) -> Permit<'_> {
        // The semaphore is never closed, and only a closed one gives an error.
        if let Ok(permit) = self.free.acquire().await {
            permit.forget();
        }
        // Given back if this future is dropped while it waits.
        let mut permit = Permit { limiter: self, epoch: 0 };
        drop(self.open.read().await);
        permit.epoch = self.state().epoch;
        permit
    }

    /// How many requests were answered so far, and not with a wish to slow down or a failure.
    pub(super) fn got_through(&self) -> u64 {
        self.got_through.load(Ordering::Relaxed)
    }

    pub(super) fn add_got_through(&self) {
        self.got_through.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets no further request begin until the guard is dropped.
    pub(super) async fn hold_back(&self) -> RwLockWriteGuard<'_, ()> {
        self.open.write().await
    }

    /// The limit now.
    pub(super) fn limit(&self) -> usize {
        self.state().limit
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free_one(&self, state: &mut State) {
        if state.debt > 0 {
            state.debt -= 1;
        } else {
            self.free.add_permits(1);
        }
    }
}

impl Permit<'_> {
    /// The request was answered, and not with a request to slow down.
    pub(super) fn succeeded(&self) {
        let mut state = self.limiter.state();
        if state.limit == self.limiter.max || self.epoch != state.epoch {
            return;
        }
        state.successes += 1;
        let rounds = if state.limit + 1 == state.ceiling { state.patience } else { 1 };
        if state.successes >= state.limit * rounds {
            state.successes = 0;
            state.limit += 1;
            if state.limit > state.ceiling {
                (state.ceiling, state.patience) = (usize::MAX, 1);
            }
            self.limiter.free_one(&mut state);
        }
    }

    /// The store asked to slow down.
    pub(super) fn throttled(&self) {
        let mut state = self.limiter.state();
        if self.epoch != state.epoch {
            return;
        }
        // One request at once is never too many: a renewal of the lease was in flight as well.
        if state.limit > 1 {
            state.patience = if state.limit == state.ceiling { (state.patience * 2).min(MOST_PATIENCE) } else { 1 };
            state.ceiling = state.limit;
        }
        let limit = (state.limit / 2).max(1);
        let fewer = state.limit - limit;
        state.limit = limit;
        state.epoch += 1;
        state.successes = 0;
        state.debt += fewer - self.limiter.free.forget_permits(fewer);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.limiter.free_one(&mut self.limiter.state());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn take(limiter: &Limiter, wanted: usize) -> Vec<Permit<'_>> {
        (0..wanted).map_while(|_| limiter.acquire().now_or_never()).collect()
    }

    #[test]
    fn no_more_permits_than_the_limit() {
        let limiter = Limiter::new(3);
        let held = take(&limiter, 10);
        assert_eq!(held.len(), 3);
        drop(held);
        assert_eq!(take(&limiter, 10).len(), 3);
    }

    #[test]
    fn a_limit_of_nothing_is_one() {
        assert_eq!(take(&Limiter::new(0), 10).len(), 1);
    }

    #[test]
    fn halves_once_for_all_requests_of_one_round() {
        let limiter = Limiter::new(8);
        let round = take(&limiter, 8);
        for permit in &round {
            permit.throttled();
        }
        assert_eq!(limiter.limit(), 4);
        assert!(limiter.acquire().now_or_never().is_none(), "eight are still in flight");
        drop(round);
        let next = take(&limiter, 10);
        assert_eq!(next.len(), 4);
        next[0].throttled();
        next[1].throttled();
        assert_eq!(limiter.limit(), 2);
    }

    #[test]
    fn halving_takes_free_permits_first() {
        let limiter = Limiter::new(8);
        let held = take(&limiter, 2);
        held[0].throttled();
        assert_eq!(take(&limiter, 10).len(), 2, "a limit of four, two of them in flight");
        drop(held);
        assert_eq!(take(&limiter, 10).len(), 4);
    }

    #[test]
    fn never_below_one() {
        let limiter = Limiter::new(2);
        for _ in 0..5 {
            take(&limiter, 1)[0].throttled();
        }
        assert_eq!(limiter.limit(), 1);
        assert_eq!(take(&limiter, 10).len(), 1);
    }

    #[test]
    fn grows_by_one_for_a_round_of_successes_up_to_the_maximum() {
        let limiter = Limiter::new(4);
        take(&limiter, 1)[0].throttled();
        assert_eq!(limiter.limit(), 2);
        let succeed = |times: usize| (0..times).for_each(|_| take(&limiter, 1)[0].succeeded());
        succeed(1);
        assert_eq!(limiter.limit(), 2);
        succeed(1);
        assert_eq!(limiter.limit(), 3);
        succeed(3);
        assert_eq!(limiter.limit(), 4);
        succeed(100);
        assert_eq!(limiter.limit(), 4);
        assert_eq!(take(&limiter, 10).len(), 4);
    }

    #[test]
    fn successes_of_requests_from_before_a_halving_do_not_count() {
        let limiter = Limiter::new(4);
        let held = take(&limiter, 4);
        held[0].throttled();
        for permit in &held[1..] {
            permit.succeeded();
        }
        assert_eq!(limiter.limit(), 2);
    }

    #[test]
    fn a_limit_that_was_too_high_is_tried_more_and_more_rarely() {
        let limiter = Limiter::new(2);
        let mut successes = Vec::new();
        for _ in 0..7 {
            take(&limiter, 1)[0].throttled();
            let mut needed = 0;
            while limiter.limit() == 1 {
                take(&limiter, 1)[0].succeeded();
                needed += 1;
            }
            successes.push(needed);
        }
        assert_eq!(successes, [1, 2, 4, 8, 16, 16, 16]);
    }

    #[test]
    fn a_limit_that_held_for_a_round_is_no_longer_too_high() {
        let limiter = Limiter::new(4);
        let succeed = |times: usize| (0..times).for_each(|_| take(&limiter, 1)[0].succeeded());
        take(&limiter, 1)[0].throttled();
        take(&limiter, 1)[0].throttled();
        assert_eq!(limiter.limit(), 1);
        succeed(1 + 2);
        take(&limiter, 1)[0].throttled();
        assert_eq!(limiter.limit(), 1);
        succeed(1 + 2 + 3);
        assert_eq!(limiter.limit(), 4);
    }

    #[test]
    fn held_back_requests_begin_when_the_guard_is_dropped() {
        let limiter = Limiter::new(2);
        let guard = limiter.hold_back().now_or_never();
        assert!(guard.is_some());
        let mut waiting = Box::pin(limiter.acquire());
        assert!(waiting.as_mut().now_or_never().is_none());
        let abandoned = Box::pin(limiter.acquire()).now_or_never();
        assert!(abandoned.is_none());
        drop(guard);
        assert!(waiting.as_mut().now_or_never().is_some());
        drop(waiting);
        assert_eq!(take(&limiter, 10).len(), 2, "no permit was lost");
    }

    #[test]
    fn an_abandoned_wait_loses_no_permit() {
        let limiter = Limiter::new(1);
        let held = take(&limiter, 1);
        let mut waiting = Box::pin(limiter.acquire());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(held);
        drop(waiting);
        assert_eq!(take(&limiter, 10).len(), 1);
    }
}
