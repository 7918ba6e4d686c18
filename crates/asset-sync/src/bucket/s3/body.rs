//! A request body that shows whether it moves.
//!
//! A slow line that many bodies share may need longer for one than any fixed time, so the time for an answer
//! begins anew whenever the connection takes a piece. The SDK's stalled stream protection does not serve: it
//! takes a body that the connection does not ask for within its grace period for one that stands still
//! (awslabs/aws-sdk-rust#1146), though megabytes of it may be on their way in the socket's buffer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// How much the connection is given at once. It asks for more as soon as less than some 400 kB wait to be written.
pub(super) const PIECE: usize = 64 * 1024;

/// How far a body got.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) length: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    taken: usize,
    /// When the time for an answer began.
    since: Instant,
}

impl Progress {
    /// Of a request that is sent now, with a body of `length` bytes.
    pub(super) fn new(length: usize) -> Self {
        Self { length, state: Arc::new(Mutex::new(State { taken: 0, since: Instant::now() })) }
    }

    /// How many bytes the connection took.
    pub(super) fn taken(&self) -> usize {
        self.state().taken
    }

    /// When the connection last took a piece, other than the first one: a body of one piece must be answered
    /// within the time that others reckon with when they take over its sender's lease.
    pub(super) fn since(&self) -> Instant {
        self.state().since
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Pieces {
    left: Bytes,
    progress: Progress,
}

/// A request body that keeps `progress`.
pub(super) fn watched(body: Bytes, progress: &Progress) -> ByteStream {
    ByteStream::new(SdkBody::from_body_1_x(Pieces { left: body, progress: progress.clone() }))
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.left.len().min(PIECE);
        let piece = self.left.split_to(length);
        let mut state = self.progress.state();
        if state.taken > 0 {
            state.since = Instant::now();
        }
        state.taken += length;
        drop(state);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
