//! What is told while it runs.

use std::time::Duration;

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step begins.
    Step(&'a str),
    /// A blob is to be sent, of this many bytes.
    Sending(u64),
    /// This many bytes more were sent.
    Sent(u64),
    /// A request failed and will be made again.
    Retry {
        /// What failed, and why.
        error: &'a str,
        /// How long it waits first.
        delay: Duration,
    },
    /// Something odd that stops nothing.
    Warning(&'a str),
}

/// Who is told.
pub trait Progress: Send + Sync {
    /// Tells `event`.
    fn tell(&self, event: &Event<'_>);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn tell(&self, _: &Event<'_>) {}
}
