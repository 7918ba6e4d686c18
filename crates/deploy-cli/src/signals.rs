//! SIGINT and SIGTERM: the first one stops the work in order, the second ends the program at once.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::failure::Failure;

const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;

/// Whether, and by what, the program was told to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    stop: CancellationToken,
    /// The first signal; 0 for none.
    first: Arc<AtomicU8>,
}

impl Signals {
    /// Listens from now on. `told` is called at the first signal. Needs a tokio runtime.
    pub(crate) fn listen(told: impl Fn(&'static str) + Send + 'static) -> io::Result<Self> {
        let signals = Self::default();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let listening = signals.clone();
        tokio::spawn(async move {
            loop {
                let (number, name) = tokio::select! {
                    _ = interrupt.recv() => (SIGINT, "SIGINT"),
                    _ = terminate.recv() => (SIGTERM, "SIGTERM"),
                };
                let first = listening.first.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst);
                if first.is_err() {
                    exit(i32::from(Exit::interrupted(Some(number)).code()));
                }
                told(name);
                listening.stop.cancel();
            }
        });
        Ok(signals)
    }

    /// Cancelled by the first signal.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// The number of the first signal.
    pub(crate) fn first(&self) -> Option<u8> {
        Some(self.first.load(Ordering::SeqCst)).filter(|number| *number != 0)
    }

    /// Waits for work that writes nothing, or for a signal.
    pub(crate) async fn or_stop<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Failure::interrupted(self.first())),
            done = work => Ok(done),
        }
    }
}
