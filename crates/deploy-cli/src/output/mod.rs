//! What is told, to whom: progress and messages on stderr, what came of it on stdout.
//!
//! For people that is text, with bars where stderr is a terminal. For machines stderr gets one
//! JSON object per line, and stdout one: the result.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use asset_sync::progress::Progress;
use asset_sync::site::Site;
use deploy_config::{Environment, Program};
use serde::Serialize;

use crate::args::Command;
use crate::commands::Done;
use crate::failure::Failure;

mod counter;
mod heading;
mod json_lines;
mod plain;
mod plan;
mod result;
mod terminal;
mod termination;
mod text;

pub(crate) use heading::Heading;
pub(crate) use termination::usage_failed;

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
    heading: OnceLock<Heading>,
    warnings: Mutex<Vec<String>>,
    started: Instant,
}

impl Output {
    /// As `DEPLOY_LOG` and the command say. An unreadable `DEPLOY_LOG` counts as `auto` here; it is
    /// reported with the other problems of the configuration.
    pub(crate) fn new(command: &Command, environment: &Environment) -> Self {
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
        let is_document =
            matches!(command, Command::Plan(_) | Command::Status(_) | Command::Config(_) | Command::Verify(_));
        let document = match asked.as_str() {
            _ if command.wants_json() => Format::Json,
            "json" => Format::Json,
            _ if is_document => Format::Text,
            _ => format,
        };
        let log: Arc<dyn Log> = match format {
            Format::Json => Arc::new(json_lines::JsonLines::default()),
            Format::Text if at_terminal => Arc::new(terminal::Terminal::default()),
            Format::Text => Arc::new(plain::Plain::default()),
        };
        let termination_log = termination::file(environment);
        let heading = OnceLock::new();
        Self { log, document, termination_log, heading, warnings: Mutex::default(), started: Instant::now() }
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

    /// Says what came of it.
    pub(crate) fn end(&self, command: &Command, end: &Result<Done, Failure>) -> ExitCode {
        self.log.finish();
        let failure = match end {
            Ok(Done::Looked(looked)) => looked.failure.as_ref(),
            Ok(_) => None,
            Err(failure) => Some(failure),
        };
        if let (Some(file), Some(line)) = (&self.termination_log, self.one_line(command, end, failure))
            && let Err(error) = termination::write(file, &line)
        {
            self.warning(&format!("DEPLOY_TERMINATION_LOG: cannot write {}: {error}", file.display()));
        }
        if let Some(failure) = failure {
            self.log.failure(failure);
        }
        let code = failure.map_or(0, |failure| failure.exit.code());
        let text = match self.document {
            Format::Text => self.text(command, end),
            Format::Json => self.json(command, end),
        };
        // Nobody is left to be told that nobody listens.
        drop(io::stdout().lock().write_all(text.as_bytes()));
        ExitCode::from(code)
    }

    /// The result for the termination log; none of what is a mere question.
    fn one_line(&self, command: &Command, end: &Result<Done, Failure>, failure: Option<&Failure>) -> Option<String> {
        if let Some(failure) = failure {
            return Some(termination::failed(failure));
        }
        match end {
            Ok(Done::Report(_, _) | Done::Plan(_) | Done::Looked(_) | Done::Lease(_)) => {
                self.text(command, end).lines().next().map(str::to_owned)
            }
            _ => None,
        }
    }

    fn text(&self, command: &Command, end: &Result<Done, Failure>) -> String {
        match end {
            Err(_) | Ok(Done::Served) => String::new(),
            Ok(Done::Report(report, _)) => text::report(report, command, self.started.elapsed()),
            Ok(Done::Plan(plan)) => plan::text(plan, matches!(command, Command::Plan(args) if args.all)),
            Ok(Done::Status(status)) => text::status(status),
            Ok(Done::Looked(looked)) => text::looked(looked),
            Ok(Done::Config(table)) => table.to_string(),
            Ok(Done::Lease(lease)) => text::lease(lease.as_ref(), command),
        }
    }

    fn json(&self, command: &Command, end: &Result<Done, Failure>) -> String {
        match end {
            Ok(Done::Plan(plan)) => line(plan),
            Ok(Done::Status(status)) => line(status),
            Ok(Done::Config(table)) => line(table),
            end => {
                let warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
                line(&result::ResultObject::new(command, self.heading.get(), end, &warnings, self.started.elapsed()))
            }
        }
    }
}

/// One line of JSON.
fn line(value: &impl Serialize) -> String {
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
