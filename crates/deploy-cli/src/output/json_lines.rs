//! For machines: one JSON object per line.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use asset_sync::progress::{Event, Progress, Step};
use asset_sync::site::Site;
use jiff::Timestamp;
use serde::Serialize;

use super::counter::Counter;
use super::text::{rounded, to_millis};
use super::{Heading, Log, document, say};
use crate::failure::Failure;

/// How often at most a long step is told of.
const INTERVAL: Duration = Duration::from_secs(10);

/// One JSON object per line, on stderr. Steps, not files: a site may have thousands of those.
#[derive(Debug, Default)]
pub(super) struct JsonLines {
    counter: Mutex<Counter>,
}

/// A line: the library's event, or one of ours.
#[derive(Serialize)]
struct Line<'a, T> {
    time: Timestamp,
    level: &'static str,
    #[serde(flatten)]
    event: &'a T,
}

/// What the library does not tell.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
enum Told<'a> {
    Started {
        command: &'static str,
        program: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        build: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<&'a Path>,
        #[serde(flatten)]
        heading: &'a Heading,
    },
    StepStarted {
        step: &'static str,
    },
    StepFinished {
        step: &'static str,
        seconds: f64,
        files: usize,
        bytes: u64,
        skipped: usize,
    },
    Progress {
        step: Option<Step>,
        objects: u64,
        objects_done: u64,
        bytes: u64,
        bytes_done: u64,
    },
    Warning {
        message: &'a str,
    },
    Stopping {
        signal: &'a str,
    },
    Serving {
        url: &'a str,
        version: &'a str,
    },
    Failed {
        class: &'static str,
        exit_code: u8,
        message: &'a str,
        hint: Option<&'a str>,
    },
}

fn tell(level: &'static str, event: &impl Serialize) {
    let time = to_millis(Timestamp::now());
    say(document(&Line { time, level, event }).trim_end());
}

impl Progress for JsonLines {
    fn event(&self, event: &Event) {
        let now = Instant::now();
        let mut counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
        counter.count(event, now);
        match event {
            Event::Warning { .. } | Event::Retrying { .. } | Event::Invalidating { failure: Some(_), .. } => {
                tell("warning", event);
            }
            Event::Sent { .. } | Event::Written { .. } | Event::Deleted { .. } => {
                if counter.is_due(INTERVAL, now) {
                    let Counter { step, objects, objects_done, bytes, bytes_done, .. } = *counter;
                    tell("info", &Told::Progress { step, objects, objects_done, bytes, bytes_done });
                }
            }
            Event::Waiting { .. } => {
                if counter.waits == 1 || counter.is_due(INTERVAL, now) {
                    tell("info", event);
                }
            }
            Event::StepStarted { .. }
            | Event::StepFinished { .. }
            | Event::Invalidation { .. }
            | Event::Invalidating { .. } => tell("info", event),
        }
    }
}

impl Log for JsonLines {
    fn begin(&self, heading: &Heading) {
        let started = Told::Started {
            command: heading.command,
            program: concat!("deploy ", env!("CARGO_PKG_VERSION")),
            version: heading.version.as_deref(),
            build: heading.build,
            source: heading.source.as_deref(),
            heading,
        };
        tell("info", &started);
    }

    fn scan_started(&self) {
        tell("info", &Told::StepStarted { step: "scan" });
    }

    fn scanned(&self, _: u64) {}

    fn scan_finished(&self, site: &Site, elapsed: Duration) {
        let finished = Told::StepFinished {
            step: "scan",
            seconds: rounded(elapsed.as_secs_f64()),
            files: site.files.len(),
            bytes: site.total_bytes(),
            skipped: site.skipped.len(),
        };
        tell("info", &finished);
    }

    fn warning(&self, message: &str) {
        tell("warning", &Told::Warning { message });
    }

    fn stopping(&self, signal: &str) {
        tell("warning", &Told::Stopping { signal });
    }

    fn serving(&self, url: &str, version: &str) {
        tell("info", &Told::Serving { url, version });
    }

    fn failure(&self, failure: &Failure) {
        let Failure { exit, message, hint, .. } = failure;
        let failed = Told::Failed { class: exit.name(), exit_code: exit.code(), message, hint: hint.as_deref() };
        tell("error", &failed);
    }

    fn finish(&self) {}
}
