//! The commands, one file each: what it takes, what it needs, what it does and what it says.

use std::pin::Pin;

use asset_sync::ErrorClass;
use clap::Subcommand;
use deploy_config::Environment;
use serde::Serialize;
use tokio::runtime;

use crate::args::{LocalArgs, SourceArgs};
use crate::connect;
use crate::failure::Failure;
use crate::output::{Details, Ended, Output, document};
use crate::session::{Prepared, Session};

mod config;
mod diff;
mod history;
mod invalidate;
mod plan;
mod prune;
mod rollback;
mod run;
mod serve;
mod status;
mod unlock;
mod verify;

pub(crate) use run::RunArgs;
pub(crate) use verify::LookedDetails;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::RunArgs),
    Plan(plan::PlanArgs),
    Status(status::StatusArgs),
    History(history::HistoryArgs),
    Diff(diff::DiffArgs),
    Config(config::ConfigArgs),
    Rollback(rollback::RollbackArgs),
    Verify(verify::VerifyArgs),
    Invalidate(invalidate::InvalidateArgs),
    Prune(prune::PruneArgs),
    Unlock(unlock::UnlockArgs),
    Serve(serve::ServeArgs),
}

impl Command {
    pub(crate) fn task(&self) -> &dyn Task {
        match self {
            Self::Run(args) => args,
            Self::Plan(args) => args,
            Self::Status(args) => args,
            Self::History(args) => args,
            Self::Diff(args) => args,
            Self::Config(args) => args,
            Self::Rollback(args) => args,
            Self::Verify(args) => args,
            Self::Invalidate(args) => args,
            Self::Prune(args) => args,
            Self::Unlock(args) => args,
            Self::Serve(args) => args,
        }
    }
}

/// Whether a command looks at the live site through the CDN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looks {
    Never,
    /// Unless `DEPLOY_VERIFY` is `off`, where it knows an address.
    AsConfigured,
    /// It needs an address.
    Always,
}

/// Work in progress.
pub(crate) type Work<'a> = Pin<Box<dyn Future<Output = Result<Done, Failure>> + 'a>>;

/// A command with its arguments.
pub(crate) trait Task {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What it does to or with a target, for the heading: `Rolling back`.
    fn doing(&self) -> &'static str {
        "Looking at"
    }

    /// The target within this process, where it can have that.
    fn local(&self) -> Option<&LocalArgs>;

    /// The site, where it makes a release of one.
    fn source(&self) -> Option<&SourceArgs> {
        None
    }

    /// Whether it looks at the live site.
    fn looks(&self) -> Looks {
        Looks::Never
    }

    /// Whether JSON was asked for by a flag; nothing of a command whose result is not a document for whoever reads stdout.
    fn wants_json(&self) -> Option<bool> {
        None
    }

    /// Whether every finding is to be shown, however many there are.
    fn shows_all(&self) -> bool {
        false
    }

    /// What comes of it before any setting is read: all of its work, if that needs no target.
    fn at_once(&self, _environment: &Environment, _output: &Output) -> Option<Result<Done, Failure>> {
        None
    }

    /// The port of the local target's edge; 0 for a free one.
    #[cfg(feature = "local")]
    fn port(&self) -> u16 {
        0
    }

    /// Does it.
    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a>;
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Done {
    /// For people.
    pub(crate) text: String,
    /// For machines.
    pub(crate) answer: Answer,
    /// What is wrong with what a command found that did its work.
    pub(crate) failure: Option<Failure>,
    /// Whether the first line of the text goes to the termination log, being more than the answer to a question.
    pub(crate) is_noted: bool,
}

/// What machines are told.
#[derive(Debug)]
pub(crate) enum Answer {
    /// One line of JSON.
    Document(String),
    /// The command's part of the result object.
    Result(Ended, Box<Details>),
}

impl Done {
    /// A command whose answer is part of the result object.
    pub(crate) fn new(text: String, ended: Ended, details: Details) -> Self {
        Self { text, answer: Answer::Result(ended, Box::new(details)), failure: None, is_noted: true }
    }

    /// A command whose answer is a document of its own.
    pub(crate) fn document(text: String, value: &impl Serialize) -> Self {
        Self { text, answer: Answer::Document(document(value)), failure: None, is_noted: false }
    }
}

/// Does what is asked for.
pub(crate) fn execute(task: &dyn Task, environment: &Environment, output: &Output) -> Result<Done, Failure> {
    if !cfg!(feature = "local") && task.local().and_then(LocalArgs::folder).is_some() {
        return Err(Failure::usage("--local: the target within this process is not in this build")
            .hinted("It was built without the feature `local`, as the container image is. Build with it: cargo install --path crates/deploy-cli"));
    }
    if let Some(done) = task.at_once(environment, output) {
        return done;
    }
    let (settings, warnings) = connect::settings(task, environment)?;
    for warning in warnings {
        output.warning(&warning.to_string());
    }
    let prepared = Prepared::new(task, &settings, output)?;
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ErrorClass::Transient, format!("cannot start threads: {error}")))?;
    let done = runtime.block_on(Session::hold(task, environment, &settings, prepared, output));
    // A scan that was interrupted goes on in its thread; nobody waits for it.
    runtime.shutdown_background();
    done
}
