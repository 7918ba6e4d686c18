//! Ending soon when told to.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// The time that each of the three parts of cleaning up may take: waiting for uploads that are being
/// begun, aborting uploads, and giving the lease back. Together they are well within the 30 s that
/// Kubernetes leaves a process after SIGTERM.
pub(super) const CLEAN_UP: Duration = Duration::from_secs(5);

/// Runs `work` unless told to stop first.
pub(super) async fn until<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::Interrupted),
        done = work => done,
    }
}
