//! For people who read a log: lines of text, no bars.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use asset_sync::progress::{Event, Progress};
use asset_sync::site::Site;

use super::counter::Counter;
use super::{Heading, Log, say, text};
use crate::failure::Failure;

/// How often at most a long step is told of.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lines of text on stderr.
#[derive(Debug, Default)]
pub(super) struct Plain {
    counter: Mutex<Counter>,
}

impl Progress for Plain {
    fn event(&self, event: &Event) {
        let now = Instant::now();
        let mut counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
        counter.count(event, now);
        match event {
            Event::StepFinished { step, elapsed } => {
                if let Some(line) = text::step(*step, &counter, *elapsed) {
                    say(&line);
                }
            }
            Event::Retrying { failure, .. } => say(&text::retrying(failure)),
            Event::Warning { message } => say(&format!("warning: {message}")),
            Event::Waiting { owner, waited, expires_in } => {
                if counter.waits == 1 || counter.is_due(INTERVAL, now) {
                    say(&text::waiting(owner, *waited, *expires_in));
                }
            }
            Event::Invalidating { distribution, waited, failure, .. } => {
                say(&text::invalidating(distribution, *waited, failure.as_deref()));
            }
            Event::Sent { .. } | Event::Written { .. } | Event::Deleted { .. } => {
                if counter.is_due(INTERVAL, now) {
                    say(&text::so_far(&counter));
                }
            }
            Event::StepStarted { .. } | Event::Invalidation { .. } => {}
        }
    }
}

impl Log for Plain {
    fn begin(&self, heading: &Heading) {
        say(&text::heading(heading));
    }

    fn scan_started(&self) {}

    fn scanned(&self, _: u64) {}

    fn scan_finished(&self, site: &Site, elapsed: Duration) {
        say(&text::scanned(site, elapsed));
    }

    fn warning(&self, message: &str) {
        say(&format!("warning: {message}"));
    }

    fn stopping(&self, signal: &str) {
        say(&text::stopping(signal));
    }

    fn serving(&self, url: &str, version: &str) {
        say(&text::serving(url, version));
    }

    fn failure(&self, failure: &Failure) {
        say(&text::failure(failure));
    }

    fn finish(&self) {}
}
