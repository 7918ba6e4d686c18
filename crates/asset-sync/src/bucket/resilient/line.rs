//! How many bytes of request bodies may be under way: as many as the line carries in 20 seconds.
//!
//! Bodies that are sent at once share the line, and each takes as long as all of them together. On a slow
//! line a fixed number of large bodies therefore takes longer than any timeout allows
//! (aws/aws-sdk-js#1162 is an example). So each body measures the line: if `b` bytes were under way when
//! it began and it took `t`, the line carries `b / t`. A body that took at most [`SPAN`] may raise the
//! window, to twice what it was when that body began; one that took longer lowers it. A body larger than
//! the window is sent asmall.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The window is what the line carries in this time.
const SPAN: Duration = Duration::from_secs(20);

/// The window at first and at the least, in bytes: nothing is gained by sending small bodies one by one.
const FLOOR: u64 = 1024 * 1024;

/// With fewer bytes under way, the time of a body is that of a request and says little of the line.
const LEAST_SAMPLE: u64 = FLOOR / 2;

#[derive(Debug, Default)]
pub(super) struct Line {
    state: Mutex<State>,
    /// Held by the body whose turn is next. Fair: first come, first served.
    turn: tokio::sync::Mutex<()>,
    /// Room was made, for the body whose turn is next.
    freed: Notify,
    /// Held by the upload in parts that begins on a line that nothing has measured yet.
    first: tokio::sync::Mutex<()>,
    measured: Notify,
}

#[derive(Debug)]
struct State {
    /// Bytes that the line carries in `SPAN`; `None` until a body measured it.
    carries: Option<u64>,
    /// How many bytes may be under way.
    window: u64,
    /// Bytes of bodies that have room in the window.
    reserved: u64,
    /// Bytes of bodies being sent.
    under_way: u64,
}

impl Default for State {
    fn default() -> Self {
        Self { carries: None, window: FLOOR, reserved: 0, under_way: 0 }
    }
}

/// The size of the parts of an upload, to be kept until its parts were sent.
#[derive(Debug)]
pub(crate) struct PartSize<'a> {
    pub(crate) bytes: u64,
    _first: Option<tokio::sync::MutexGuard<'a, ()>>,
}

/// Room in the window for one body, given back on drop.
#[derive(Debug)]
pub(super) struct Room<'a> {
    line: &'a Line,
    bytes: u64,
}

/// A body being sent.
#[derive(Debug)]
pub(super) struct Sending<'a> {
    room: Room<'a>,
    began: Instant,
    /// Bytes under way when it began, its own included.
    among: u64,
    /// The window that this body may lead to at the most: bytes that were nearly sent when it began count
    /// as well, so it may measure too much.
    most: u64,
}

impl Line {
    /// Waits until a body of so many bytes fits into the window, or no other is under way.
    pub(super) async fn reserve(&self, bytes: u64) -> Room<'_> {
        let _turn = self.turn.lock().await;
        loop {
            {
                let mut state = self.state();
                if state.reserved == 0 || state.reserved.saturating_add(bytes) <= state.window {
                    state.reserved += bytes;
                    return Room { line: self, bytes };
                }
            }
            self.freed.notified().await;
        }
    }

    /// The size of parts for an upload that begins now: smaller than `preferred`, and not below `least`, on a
    /// line that was seen to be slow, so that less is lost when a part fails.
    ///
    /// Of uploads that begin before anything was measured, one goes first and the others wait until it has
    /// measured the line or [`PartSize`] is dropped.
    pub(super) async fn part_size(&self, preferred: u64, least: u64) -> PartSize<'_> {
        let mut measured = pin!(self.measured.notified());
        measured.as_mut().enable();
        let known = |carries: u64| PartSize { bytes: preferred.min(carries.max(least)), _first: None };
        if let Some(carries) = self.state().carries {
            return known(carries);
        }
        let first = tokio::select! {
            biased;
            () = measured => None,
            first = self.first.lock() => Some(first),
        };
        match self.state().carries {
            Some(carries) => known(carries),
            None => PartSize { bytes: preferred, _first: first },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Room<'a> {
    /// To be called when the request is sent, which may be later than there was room.
    pub(super) fn send(self) -> Sending<'a> {
        let mut state = self.line.state();
        state.under_way += self.bytes;
        let among = state.under_way;
        let most = state.window.max(among).saturating_mul(2);
        drop(state);
        Sending { room: self, began: Instant::now(), among, most }
    }
}

impl Sending<'_> {
    /// The request ended, with an answer to a body that `arrived` or with a failure. Tells whether it failed
    /// because too much was under way: the line was shared, and the body took longer than the window allows.
    pub(super) fn ended(self, arrived: bool) -> bool {
        let took = self.began.elapsed();
        let mut state = self.room.line.state();
        let slow = took > SPAN;
        // Bodies that began at once are all under way until the first of them ends.
        let among = if slow { self.among.max(state.under_way) } else { self.among };
        if among >= LEAST_SAMPLE && (arrived || slow) {
            let seconds = took.as_secs_f64().max(f64::EPSILON);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
            let measured = (among as f64 * SPAN.as_secs_f64() / seconds) as u64;
            let carries = state.carries.unwrap_or(measured);
            if slow {
                state.carries = Some(carries.min(measured));
                state.window = state.window.min(measured.max(FLOOR));
            } else {
                state.carries = Some(carries.max(measured));
                state.window = state.window.max(measured.min(self.most));
            }
            self.room.line.measured.notify_waiters();
        }
        slow && !arrived && among > self.room.bytes.max(FLOOR)
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.room.line.state().under_way -= self.room.bytes;
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.line.state().reserved -= self.bytes;
        self.line.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    const MIB: u64 = 1024 * 1024;

    fn send(line: &Line, bytes: u64) -> Option<Sending<'_>> {
        line.reserve(bytes).now_or_never().map(Room::send)
    }

    /// Sends as many bodies at once as the line lets; each takes `took`. Tells how many they were.
    async fn round(line: &Line, bytes: u64, took: Duration) -> usize {
        let sent: Vec<_> = std::iter::from_fn(|| send(line, bytes)).take(100).collect();
        tokio::time::advance(took).await;
        let count = sent.len();
        for sending in sent {
            assert!(!sending.ended(true));
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn small_bodies_do_not_wait() {
        let line = Line::default();
        assert_eq!(round(&line, 10_000, Duration::from_secs(5)).await, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_doubles_up_to_what_the_line_carries_in_20_seconds() {
        let line = Line::default();
        let mut rounds = Vec::new();
        for took in [1, 1, 1, 4, 8, 16, 20, 20] {
            rounds.push(round(&line, MIB, Duration::from_secs(took)).await);
        }
        assert_eq!(rounds, [1, 2, 4, 8, 16, 32, 40, 40]);
        assert_eq!(line.part_size(64 * MIB, 5 * MIB).await.bytes, 64 * MIB);
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_go_one_by_one_on_a_slow_line() {
        let line = Line::default();
        for _ in 0..5 {
            assert_eq!(round(&line, 8 * MIB, Duration::from_secs(70)).await, 1);
        }
        assert_eq!(line.part_size(8 * MIB, 5 * MIB).await.bytes, 5 * MIB);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_became_slow_gets_less_and_recovers() {
        let line = Line::default();
        for _ in 0..6 {
            round(&line, MIB, Duration::from_millis(10)).await;
        }
        assert_eq!(round(&line, 8 * MIB, Duration::from_secs(500)).await, 8);
        assert_eq!(round(&line, MIB / 2, Duration::from_secs(5)).await, 3, "of 2.5 MiB at the most");
        assert_eq!(round(&line, MIB / 2, Duration::from_secs(5)).await, 6);
        assert_eq!(round(&line, MIB / 2, Duration::from_secs(5)).await, 12);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_its_time_says_nothing_of_the_line() {
        let line = Line::default();
        round(&line, MIB, Duration::from_secs(1)).await;
        let small = send(&line, 1_000).unwrap();
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(!small.ended(true));
        assert_eq!(round(&line, MIB, Duration::from_secs(1)).await, 2);
        assert_eq!(line.part_size(8 * MIB, 5 * MIB).await.bytes, 8 * MIB);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_does_not_raise_the_window() {
        let line = Line::default();
        for _ in 0..3 {
            let reset = send(&line, MIB).unwrap();
            tokio::time::advance(Duration::from_millis(10)).await;
            assert!(!reset.ended(false));
        }
        assert_eq!(round(&line, MIB, Duration::from_secs(1)).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_after_long_lowers_it_and_is_told_if_the_line_was_shared() {
        let line = Line::default();
        for _ in 0..4 {
            round(&line, MIB, Duration::from_millis(10)).await;
        }
        let cut: Vec<_> = (0..2).map(|_| send(&line, 8 * MIB).unwrap()).collect();
        tokio::time::advance(Duration::from_secs(200)).await;
        for sending in cut {
            assert!(sending.ended(false), "the other was under way as well");
        }
        assert_eq!(round(&line, MIB / 2, Duration::from_secs(30)).await, 3, "16 MiB in 200 s");
        let asmall = send(&line, 8 * MIB).unwrap();
        tokio::time::advance(Duration::from_secs(200)).await;
        assert!(!asmall.ended(false));
    }

    #[test]
    fn parts_are_as_preferred_unless_the_line_is_slow() {
        let line = Line::default();
        for (carries, preferred, expected) in [(20, 64, 20), (20, 8, 8), (0, 8, 5)] {
            line.state().carries = Some(carries * MIB);
            let size = line.part_size(preferred * MIB, 5 * MIB).now_or_never();
            assert_eq!(size.map(|size| size.bytes), Some(expected * MIB));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_upload_begins_before_the_line_was_measured() {
        let line = Line::default();
        let first = line.part_size(8 * MIB, 5 * MIB).await;
        assert_eq!(first.bytes, 8 * MIB);
        let mut second = Box::pin(line.part_size(8 * MIB, 5 * MIB));
        let mut third = Box::pin(line.part_size(8 * MIB, 5 * MIB));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        // It was given up.
        drop(first);
        let second = second.now_or_never();
        assert_eq!(second.as_ref().map(|size| size.bytes), Some(8 * MIB));
        assert!(third.as_mut().now_or_never().is_none());
        round(&line, 8 * MIB, Duration::from_secs(70)).await;
        assert_eq!(third.now_or_never().map(|size| size.bytes), Some(5 * MIB));
        drop(second);
    }

    #[test]
    fn an_abandoned_wait_passes_the_turn_on() {
        let line = Line::default();
        let held = send(&line, 8 * MIB);
        let mut first = Box::pin(line.reserve(MIB));
        let mut second = Box::pin(line.reserve(MIB));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        drop(held);
        drop(first);
        assert!(second.as_mut().now_or_never().is_some());
    }
}
