//! Progress: a line that changes at a terminal, lines elsewhere, objects where JSON is asked for. All on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use deploy_config::Log;
use image_tagger::progress::{Event, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

/// How often the sign of life moves.
const TICK: Duration = Duration::from_millis(100);

/// Who tells the user.
pub(crate) struct Told {
    progress: Arc<dyn Progress>,
    bar: Option<ProgressBar>,
}

impl Told {
    pub(crate) fn new(log: Log) -> Self {
        match log {
            Log::Json => Self { progress: Arc::new(Json), bar: None },
            Log::Auto if std::io::stderr().is_terminal() => {
                let bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg}"));
                bar.enable_steady_tick(TICK);
                Self { progress: Arc::new(Bar(bar.clone())), bar: Some(bar) }
            }
            Log::Auto | Log::Text => Self { progress: Arc::new(Lines), bar: None },
        }
    }

    pub(crate) fn progress(&self) -> Arc<dyn Progress> {
        Arc::clone(&self.progress)
    }

    /// Leaves the terminal to what comes next, whoever still has something to tell.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// One line: the step, and a bar while there are bytes to send.
struct Bar(ProgressBar);

impl Progress for Bar {
    fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Step(step) => {
                self.0.set_style(style("{spinner} {msg}"));
                self.0.set_message((*step).to_owned());
            }
            Event::Sending(bytes) => {
                if self.0.length().is_none() {
                    // The rate is that of sending.
                    self.0.reset_elapsed();
                    self.0.set_length(0);
                }
                self.0.set_style(style("{spinner} {msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec}"));
                self.0.inc_length(*bytes);
            }
            // With what was sent in vain it may be more than there is.
            Event::Sent(bytes) => self.0.set_position((self.0.position() + bytes).min(self.0.length().unwrap_or(0))),
            Event::Retry { .. } | Event::Warning(_) => self.0.suspend(|| Lines.tell(event)),
            _ => {}
        }
    }
}

struct Lines;

impl Progress for Lines {
    fn tell(&self, event: &Event<'_>) {
        let mut stderr = std::io::stderr().lock();
        let _ = match event {
            Event::Step(step) => writeln!(stderr, "{step}"),
            Event::Retry { error, delay } => writeln!(stderr, "{error}; trying again in {:.1} s", delay.as_secs_f64()),
            Event::Warning(text) => writeln!(stderr, "warning: {text}"),
            _ => Ok(()),
        };
    }
}

struct Json;

impl Progress for Json {
    fn tell(&self, event: &Event<'_>) {
        let object = match event {
            Event::Step(step) => json!({"event": "step", "step": step}),
            Event::Sending(bytes) => json!({"event": "sending", "bytes": bytes}),
            Event::Retry { error, delay } => json!({"event": "retry", "error": error, "seconds": delay.as_secs_f64()}),
            Event::Warning(text) => json!({"event": "warning", "message": text}),
            _ => return,
        };
        let _ = writeln!(std::io::stderr().lock(), "{object}");
    }
}
