//! `deploy run`: make the site live.
#![allow(clippy::doc_markdown, reason = "doc comments are help texts here")]

use clap::Args;

use super::{Looks, Task, Work};
use crate::args::{LocalArgs, SourceArgs};
use crate::session::Session;

/// Make the site live (the default command)
#[derive(Debug, Args)]
#[command(after_help = "\
Needs DEPLOY_SOURCE, DEPLOY_VERSION, DEPLOY_BUCKET and a region; with --local only the source.

Examples:
  deploy run --local --source dist
  DEPLOY_SOURCE=dist DEPLOY_VERSION=1.4.2 DEPLOY_BUCKET=webapp DEPLOY_REGION=eu-central-1 deploy run")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    local: LocalArgs,
}

impl Task for RunArgs {
    fn name(&self) -> &'static str {
        "run"
    }

    fn doing(&self) -> &'static str {
        "Deploying"
    }

    fn local(&self) -> Option<&LocalArgs> {
        Some(&self.local)
    }

    fn source(&self) -> Option<&SourceArgs> {
        Some(&self.source)
    }

    fn looks(&self) -> Looks {
        Looks::AsConfigured
    }

    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async move {
            let run = session.deployer.begin();
            let (site, info, seconds) = session.site().await?;
            session.done(run.deploy(&site, &info, session.signals.stop()).await, Some(seconds))
        })
    }
}
