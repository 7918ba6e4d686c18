//! For a person at a terminal: a bar for the step at hand, a line for each that is done.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use asset_sync::progress::{Event, Progress, Step};
use asset_sync::site::Site;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::counter::Counter;
use super::{Heading, Log, say, text};
use crate::failure::Failure;

const WRITING: &str = "  {msg:12} [{bar:24}] {prefix}, {eta} left";
const OBJECTS: &str = "  {msg:12} [{bar:28}] {pos} of {len}, {eta} left";
const READING: &str = "  {msg:12} {spinner} {bytes}, {bytes_per_sec}";
/// What a file costs beside its bytes, in bytes: many small ones take longer than their bytes say,
/// and the time left would be far off.
const PER_FILE: u64 = 32 * 1024;
const WAITING: &str = "  {msg:12} {spinner} {elapsed}";

/// Bars and lines on stderr.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counter: Counter,
    bar: Option<ProgressBar>,
}

impl State {
    fn show(&mut self, template: &str, length: Option<u64>, message: String) {
        self.clear();
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        bar.set_prefix("starting");
        // Our own templates; a default bar is no harm if one were wrong.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(100));
        self.bar = Some(bar);
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }

    fn start(&mut self, step: Step, objects: u64, bytes: u64) {
        let doing = text::doing(step).to_owned();
        match (objects, bytes) {
            // Nobody knows how far an invalidation has come, or a look at the site.
            _ if matches!(step, Step::Invalidate | Step::Verify) => self.show(WAITING, None, doing),
            (_, 1..) => self.show(WRITING, Some(bytes + objects * PER_FILE), doing),
            (1.., 0) => self.show(OBJECTS, Some(objects), doing),
            (0, 0) => self.show(WAITING, None, doing),
        }
    }

    fn advance(&self) {
        let (Some(bar), counter) = (&self.bar, &self.counter) else { return };
        if counter.bytes > 0 {
            let files = counter.objects_done.max(counter.requests).min(counter.objects);
            bar.set_position(counter.bytes_done + files * PER_FILE);
            bar.set_prefix(text::written(counter, bar.elapsed()));
        } else if counter.objects > 0 {
            bar.set_position(counter.objects_done);
        }
    }
}

impl Terminal {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Progress for Terminal {
    fn event(&self, event: &Event) {
        self.with(|state| {
            state.counter.count(event, Instant::now());
            match event {
                Event::StepStarted { step, objects, bytes } => state.start(*step, *objects, *bytes),
                Event::StepFinished { step, elapsed } => {
                    state.clear();
                    if let Some(line) = text::step(*step, &state.counter, *elapsed) {
                        say(&line);
                    }
                }
                Event::Sent { .. } | Event::Written { .. } | Event::Deleted { .. } => state.advance(),
                Event::Waiting { owner, expires_in, .. } => {
                    if let Some(bar) = &state.bar {
                        let seconds = expires_in.as_secs();
                        bar.set_message(format!(
                            "waiting for {owner}, whose lease expires in {seconds} s unless renewed"
                        ));
                    }
                }
                Event::Invalidating { distribution, waited, failure, .. } => {
                    state.say(&text::invalidating(distribution, *waited, failure.as_deref()));
                }
                Event::Retrying { failure, .. } => state.say(&text::retrying(failure)),
                Event::Warning { message } => state.say(&format!("warning: {message}")),
                Event::Invalidation { .. } => {}
            }
        });
    }
}

impl Log for Terminal {
    fn begin(&self, heading: &Heading) {
        self.with(|state| state.say(&text::heading(heading)));
    }

    fn scan_started(&self) {
        self.with(|state| state.show(READING, None, "scanning".to_owned()));
    }

    fn scanned(&self, bytes: u64) {
        self.with(|state| {
            if let Some(bar) = &state.bar {
                bar.inc(bytes);
            }
        });
    }

    fn scan_finished(&self, site: &Site, elapsed: Duration) {
        self.with(|state| {
            state.clear();
            say(&text::scanned(site, elapsed));
        });
    }

    fn warning(&self, message: &str) {
        self.with(|state| state.say(&format!("warning: {message}")));
    }

    fn stopping(&self, signal: &str) {
        self.with(|state| state.say(&text::stopping(signal)));
    }

    fn serving(&self, url: &str, version: &str) {
        self.with(|state| state.say(&text::serving(url, version)));
    }

    fn failure(&self, failure: &Failure) {
        self.with(|state| state.say(&text::failure(failure)));
    }

    fn finish(&self) {
        self.with(State::clear);
    }
}
