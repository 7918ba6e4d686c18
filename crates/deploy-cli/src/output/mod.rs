//! What is told, to whom: progress and messages on stderr, what came of it on stdout.
//!
//! For people that is text, with bars where stderr is a terminal. For machines stderr gets one
//! JSON object per line, and stdout one: the result.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use asset_sync::deploy::Situation;
use asset_sync::progress::Progress;
use asset_sync::site::Site;
use deploy_config::{Environment, Program};
use jiff::Timestamp;
use serde::Serialize;

use crate::commands::{Answer, Done, Task};
use crate::failure::Failure;

mod counter;
mod heading;
mod identity;
mod json_lines;
mod plain;
mod report;
mod result;
mod terminal;
mod termination;
mod text;

pub(crate) use heading::Heading;
use identity::Identity;
pub(crate) use report::{ReportDetails, text as report_text};
pub(crate) use result::{Details, Ended};
use result::{Parts, ResultObject};
pub(crate) use termination::usage_failed;
pub(crate) use text::{count, files, holder, looked_at, some, to_seconds};

/// Told what happens while it happens. Writes to stderr.
pub(crate) trait Log: Progress {
    /// What is about to be done, and where.
    fn begin(&self, heading: &Heading);
    /// The site is being read.
    fn scan_started(&self);
    /// So many bytes of it were.
    fn scanned(&self, bytes: u64);
    /// All of it was.
    fn scan_finished(&self, site: &Site, elapsed: Duration);
    /// Something odd that stops nothing.
    fn warning(&self, message: &str);
    /// A signal of this name came in.
    fn stopping(&self, signal: &str);
    /// What is served where.
    #[cfg_attr(not(feature = "local"), expect(dead_code, reason = "only `--local` serves"))]
    fn serving(&self, url: &str, version: &str);
    /// How it failed.
    fn failure(&self, failure: &Failure);
    /// Nothing more is told.
    fn finish(&self);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// Where a program's words go.
pub(crate) struct Output {
    log: Arc<dyn Log>,
    /// Of what is on stdout.
    document: Format,
    /// The file for the result in one line.
    termination_log: Option<PathBuf>,
    identity: Identity,
    heading: OnceLock<Heading>,
    /// Where a target within this process is served.
    url: OnceLock<String>,
    situation: OnceLock<Situation>,
    warnings: Mutex<Vec<String>>,
    started: (Timestamp, Instant),
}

impl Output {
    /// As `DEPLOY_LOG` and the command say. An unreadable `DEPLOY_LOG` counts as `auto` here; it is
    /// reported with the other problems of the configuration.
    pub(crate) fn new(task: &dyn Task, environment: &Environment) -> Self {
        let table = environment.table(Program::Deploy);
        let row = table.rows.iter().find(|row| row.variable == "DEPLOY_LOG");
        let asked = row.and_then(|row| row.value.as_deref()).unwrap_or_default().to_ascii_lowercase();
        let at_terminal = io::stderr().is_terminal();
        let format = match asked.as_str() {
            "json" => Format::Json,
            "text" => Format::Text,
            _ if at_terminal => Format::Text,
            _ => Format::Json,
        };
        // Documents are for whoever reads stdout: people, unless JSON was asked for by name.
        let document = match (task.wants_json(), asked.as_str()) {
            (Some(true), _) | (_, "json") => Format::Json,
            (Some(false), _) => Format::Text,
            (None, _) => format,
        };
        let log: Arc<dyn Log> = match format {
            Format::Json => Arc::new(json_lines::JsonLines::default()),
            Format::Text if at_terminal => Arc::new(terminal::Terminal::default()),
            Format::Text => Arc::new(plain::Plain::default()),
        };
        let termination_log = termination::file(environment);
        Self {
            log,
            document,
            termination_log,
            identity: Identity::of(task, environment),
            heading: OnceLock::new(),
            url: OnceLock::new(),
            situation: OnceLock::new(),
            warnings: Mutex::default(),
            started: (Timestamp::now(), Instant::now()),
        }
    }

    /// Where to tell what happens.
    pub(crate) fn log(&self) -> Arc<dyn Log> {
        Arc::clone(&self.log)
    }

    /// The same, for the library.
    pub(crate) fn progress(&self) -> Arc<dyn Progress> {
        self.log()
    }

    /// Says what is about to be done, and where.
    pub(crate) fn begin(&self, heading: Heading) {
        self.log.begin(self.heading.get_or_init(|| heading));
    }

    /// Says how the target stands at the end, as far as that is known.
    pub(crate) fn situation(&self, situation: Option<Situation>) {
        if let Some(situation) = situation {
            self.situation.get_or_init(|| situation);
        }
    }

    /// Says where a target within this process is served.
    #[cfg(feature = "local")]
    pub(crate) fn url(&self, url: &str) {
        self.url.get_or_init(|| url.to_owned());
    }

    /// Warns, now and in the result.
    pub(crate) fn warning(&self, message: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
        self.log.warning(message);
    }

    /// The warnings so far.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what is served where.
    #[cfg(feature = "local")]
    pub(crate) fn serving(&self, url: &str, version: &str) {
        self.log.serving(url, version);
    }

    /// How long it took so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.1.elapsed()
    }

    /// Says what came of it.
    pub(crate) fn end(&self, task: &dyn Task, end: &Result<Done, Failure>) -> ExitCode {
        self.log.finish();
        let failure = end.as_ref().map_or_else(Some, |done| done.failure.as_ref());
        // None of what is a mere answer to a question.
        let noted = end.as_ref().ok().filter(|done| done.is_noted).and_then(|done| done.text.lines().next());
        if let Some(file) = &self.termination_log
            && let Some(line) = failure.map(termination::failed).or_else(|| noted.map(str::to_owned))
            && let Err(error) = termination::write(file, &line)
        {
            self.warning(&format!("DEPLOY_TERMINATION_LOG: cannot write {}: {error}", file.display()));
        }
        if let Some(failure) = failure {
            self.log.failure(failure);
        }
        let code = failure.map_or(0, |failure| failure.exit.code());
        let text = match (self.document, end) {
            (Format::Text, Ok(done)) => done.text.clone(),
            (Format::Text, Err(_)) => String::new(),
            (Format::Json, Ok(Done { answer: Answer::Document(document), .. })) => document.clone(),
            (Format::Json, Ok(Done { answer: Answer::Result(ended, details), .. })) => {
                self.result(task, *ended, details, failure)
            }
            (Format::Json, Err(_)) => self.result(task, Ended::Failed, &Details::None {}, failure),
        };
        // Nobody is left to be told that nobody listens.
        drop(io::stdout().lock().write_all(text.as_bytes()));
        ExitCode::from(code)
    }

    fn result(&self, task: &dyn Task, ended: Ended, details: &Details, failure: Option<&Failure>) -> String {
        document(&ResultObject::new(Parts {
            command: task.name(),
            identity: &self.identity,
            heading: self.heading.get(),
            situation: self.situation.get(),
            ended,
            details,
            failure,
            warnings: &self.warnings(),
            url: self.url.get().map(String::as_str),
            started: self.started.0,
            elapsed: self.elapsed(),
        }))
    }
}

/// One line of JSON.
pub(crate) fn document(value: &impl Serialize) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text + "\n",
        // Not reached by our types: their maps have text for keys.
        Err(error) => format!("{{\"result\":\"failed\",\"error\":{{\"message\":{:?}}}}}\n", error.to_string()),
    }
}

/// Writes a line to stderr.
fn say(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}
