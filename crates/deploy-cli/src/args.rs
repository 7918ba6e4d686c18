//! The command line: what is common to the commands. Their own arguments are in [`commands`](crate::commands).
#![allow(clippy::doc_markdown, reason = "doc comments are help texts here")]

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Parser};

use crate::commands::{Command, RunArgs};

/// Put a built web site live on S3 and CloudFront.
#[derive(Debug, Parser)]
#[command(
    name = "deploy",
    version,
    about = "Put a built web site live on S3 and CloudFront",
    long_about = "Put a built web site live on S3 and CloudFront.\n\n\
        Uploads what changed, switches the entry files in an order in which no visitor meets a \
        broken page, invalidates what edges may hold, waits for that, and keeps earlier releases \
        to roll back to. Without a command it does what `deploy run` does.\n\n\
        Everything is configured by environment variables; `deploy config` lists them with the \
        values in effect.",
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

const AFTER_HELP: &str = "\
Examples:
  deploy run --local --source dist    deploy to an S3 and CloudFront within this process
  deploy serve --local                look at it in a browser
  deploy plan                         see what a deployment would do; writes nothing
  deploy                              deploy, as the environment says
  deploy rollback --if-live 1.4.2     take 1.4.2 down, if it is what is live

Exit codes:
  0  done, or nothing had to be done    5  may pass: worth a retry
  1  a bug in this program              6  verification failed
  2  usage or configuration             7  refused, for the site's safety
  3  not permitted                      8  live or begun, not finished: no retry cures it
  4  conflict that no retry cures       130, 143  interrupted (SIGINT, SIGTERM)";

impl Args {
    /// What is to be done.
    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}

/// The target within this process.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct LocalArgs {
    /// Use an S3, a CloudFront and an edge within this process, kept in a folder; bucket, region,
    /// distributions and credentials of the environment are not looked at
    #[arg(long)]
    local: bool,
    /// The folder in which --local keeps the bucket between runs
    #[arg(long, value_name = "DIR", default_value = ".deploy-local", requires = "local")]
    local_dir: PathBuf,
}

impl LocalArgs {
    /// Where it is kept, if that is what is asked for.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.local.then_some(&self.local_dir)
    }
}

/// The site.
#[derive(Debug, ClapArgs)]
pub(crate) struct SourceArgs {
    /// The directory of built files; wins over DEPLOY_SOURCE
    #[arg(long, value_name = "DIR")]
    pub(crate) source: Option<PathBuf>,
}

/// How a document is printed.
#[derive(Debug, ClapArgs)]
pub(crate) struct JsonArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn no_command_is_run() {
        let args = Args::try_parse_from(["deploy", "--local", "--source", "dist"]).unwrap();
        let command = args.into_command();
        let task = command.task();
        assert_eq!(task.name(), "run");
        assert_eq!(task.source().and_then(|args| args.source.as_deref()), Some(Path::new("dist")));
        assert_eq!(task.local().and_then(LocalArgs::folder), Some(Path::new(".deploy-local")));
    }
}
