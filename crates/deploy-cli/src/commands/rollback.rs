//! `deploy rollback`: make an earlier release live again.
#![allow(clippy::doc_markdown, reason = "doc comments are help texts here")]

use asset_sync::deploy::{IfLive, RollbackTo};
use clap::Args;

use super::{Looks, Task, Work};
use crate::args::LocalArgs;
use crate::session::Session;

/// Make an earlier release live again; needs no site directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  deploy rollback                     to the release before the live one
  deploy rollback --to 1.4.1
  deploy rollback --if-live 1.4.2     undo 1.4.2, and nothing else: a pipeline's rollback step")]
pub(crate) struct RollbackArgs {
    /// The release or version to go to, backward or forward [default: the one live before]
    #[arg(long, value_name = "RELEASE|VERSION")]
    to: Option<String>,
    /// Do nothing, successfully, unless this release or version is what is live, made so by
    /// DEPLOY_EXECUTION where that is set
    #[arg(long, value_name = "RELEASE|VERSION")]
    if_live: Option<String>,
    #[command(flatten)]
    local: LocalArgs,
}

impl Task for RollbackArgs {
    fn name(&self) -> &'static str {
        "rollback"
    }

    fn doing(&self) -> &'static str {
        "Rolling back"
    }

    fn local(&self) -> Option<&LocalArgs> {
        Some(&self.local)
    }

    fn looks(&self) -> Looks {
        Looks::AsConfigured
    }

    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async move {
            let to = self.to.clone().map_or(RollbackTo::Previous, RollbackTo::Named);
            let execution = session.settings.execution.clone();
            let if_live = self.if_live.clone().map(|name| IfLive { name, execution });
            session.done(session.deployer.rollback(&to, if_live.as_ref(), session.signals.stop()).await, None)
        })
    }
}
