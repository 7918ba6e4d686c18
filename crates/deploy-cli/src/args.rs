//! The command line.
#![allow(clippy::doc_markdown, reason = "doc comments are help texts here")]

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

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
  3  not permitted                      130, 143  interrupted (SIGINT, SIGTERM)
  4  conflict that no retry cures";

impl Args {
    /// What is to be done.
    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Run(self.run))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the site live (the default command)
    #[command(after_help = "\
Needs DEPLOY_SOURCE, DEPLOY_VERSION, DEPLOY_BUCKET and a region; with --local only the source.

Examples:
  deploy run --local --source dist
  DEPLOY_SOURCE=dist DEPLOY_VERSION=1.4.2 DEPLOY_BUCKET=webapp DEPLOY_REGION=eu-central-1 deploy run")]
    Run(RunArgs),
    /// Show what `deploy run` would do now; writes nothing
    #[command(after_help = "\
The exit code is 0 whether there is something to do or not.

Examples:
  deploy plan
  deploy plan --json | jq .writes")]
    Plan(PlanArgs),
    /// Show what is live, the releases to roll back to, and who is deploying
    Status(StatusArgs),
    /// Show every environment variable with the value in effect; sends no request
    Config(ConfigArgs),
    /// Make an earlier release live again; needs no site directory
    #[command(after_help = "\
Examples:
  deploy rollback                     to the release before the live one
  deploy rollback --to 1.4.1
  deploy rollback --if-live 1.4.2     undo 1.4.2, and nothing else: a pipeline's rollback step")]
    Rollback(RollbackArgs),
    /// Compare what visitors are served with the live release, through the CDN
    #[command(after_help = "\
Needs DEPLOY_PUBLIC_URL, but with --local. The exit code is 6 if anything is not what was deployed, if
the state area can be read, or if nothing could be looked at; with DEPLOY_VERIFY=required also if
anything could not be.

Examples:
  DEPLOY_PUBLIC_URL=https://www.example.com/ deploy verify
  deploy verify --json | jq .wrong")]
    Verify(VerifyArgs),
    /// Delete files that no retained release needs any more
    Prune(TargetArgs),
    /// Show who holds the lease of the target; with --force, take it away
    #[command(after_help = "\
A deployment that was killed leaves its lease behind, and the next one waits until it has expired.
Taking it away is for when nobody can wait. A holder that still lives notices, and stops.")]
    Unlock(UnlockArgs),
    /// Serve what is live on the --local target to a browser, until Ctrl-C
    Serve(ServeArgs),
}

/// The target within this process.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct LocalArgs {
    /// Use an S3, a CloudFront and an edge within this process, kept in a folder; bucket, region,
    /// distributions and credentials of the environment are not looked at
    #[arg(long)]
    pub(crate) local: bool,
    /// The folder in which --local keeps the bucket between runs
    #[arg(long, value_name = "DIR", default_value = ".deploy-local", requires = "local")]
    pub(crate) local_dir: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SourceArgs {
    /// The directory of built files; wins over DEPLOY_SOURCE
    #[arg(long, value_name = "DIR")]
    pub(crate) source: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Print the whole plan as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// List every file and every finding, however many there are
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StatusArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConfigArgs {
    /// Print a JSON array of variables
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RollbackArgs {
    /// The release or version to go to, backward or forward [default: the one live before]
    #[arg(long, value_name = "RELEASE|VERSION")]
    pub(crate) to: Option<String>,
    /// Do nothing, successfully, unless this release or version is what is live, made so by
    /// DEPLOY_EXECUTION where that is set
    #[arg(long, value_name = "RELEASE|VERSION")]
    pub(crate) if_live: Option<String>,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TargetArgs {
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct UnlockArgs {
    /// Take the lease away from whoever holds it
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) local: LocalArgs,
}

impl Command {
    /// Its name on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Plan(_) => "plan",
            Self::Status(_) => "status",
            Self::Config(_) => "config",
            Self::Rollback(_) => "rollback",
            Self::Verify(_) => "verify",
            Self::Prune(_) => "prune",
            Self::Unlock(_) => "unlock",
            Self::Serve(_) => "serve",
        }
    }

    /// The directory given as a flag.
    pub(crate) fn source(&self) -> Option<&PathBuf> {
        match self {
            Self::Run(args) => args.source.source.as_ref(),
            Self::Plan(args) => args.source.source.as_ref(),
            _ => None,
        }
    }

    /// Where the target within this process is kept, if that is what is asked for.
    pub(crate) fn local(&self) -> Option<&PathBuf> {
        let local = match self {
            Self::Run(args) => &args.local,
            Self::Plan(args) => &args.local,
            Self::Status(args) => &args.local,
            Self::Rollback(args) => &args.local,
            Self::Verify(args) => &args.local,
            Self::Prune(args) => &args.local,
            Self::Unlock(args) => &args.local,
            Self::Serve(args) => &args.local,
            Self::Config(_) => return None,
        };
        local.local.then_some(&local.local_dir)
    }

    /// How many findings of one kind to show line by line.
    pub(crate) fn findings_shown(&self) -> usize {
        const SHOWN: usize = 5;
        if matches!(self, Self::Plan(args) if args.all) { usize::MAX } else { SHOWN }
    }

    /// Whether a JSON document was asked for by a flag.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Plan(args) => args.json,
            Self::Status(args) => args.json,
            Self::Verify(args) => args.json,
            Self::Config(args) => args.json,
            _ => false,
        }
    }
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
        assert_eq!(command.name(), "run");
        assert_eq!(command.source().unwrap(), "dist");
        assert_eq!(command.local().unwrap(), ".deploy-local");
    }
}
