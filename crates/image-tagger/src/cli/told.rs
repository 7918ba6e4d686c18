//! Progress: bars at a terminal, lines elsewhere, objects where JSON is asked for. All on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use deploy_config::Log;
use image_tagger::progress::{Event, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

/// Who tells the user.
pub(crate) fn progress(log: Log) -> Arc<dyn Progress> {
    match log {
        Log::Json => Arc::new(Json),
        Log::Auto if std::io::stderr().is_terminal() => Arc::new(Bar::new()),
        Log::Auto | Log::Text => Arc::new(Lines),
    }
}

/// One bar of bytes under a line that names the step.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let template = "{msg:20} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::new(0).with_style(style))
    }
}

impl Progress for Bar {
    fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Step(step) => self.0.set_message((*step).to_owned()),
            Event::Sending(bytes) => self.0.inc_length(*bytes),
            Event::Sent(bytes) => self.0.inc(*bytes),
            Event::Retry { .. } | Event::Warning(_) => self.0.suspend(|| Lines.tell(event)),
            _ => {}
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
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
