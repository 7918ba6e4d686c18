//! `deploy prune`: delete what no retained release needs.

use clap::Args;

use super::{Task, Work};
use crate::args::LocalArgs;
use crate::session::Session;

/// Delete files that no retained release needs any more
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    local: LocalArgs,
}

impl Task for PruneArgs {
    fn name(&self) -> &'static str {
        "prune"
    }

    fn doing(&self) -> &'static str {
        "Pruning"
    }

    fn local(&self) -> Option<&LocalArgs> {
        Some(&self.local)
    }

    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async move { session.done(session.deployer.prune(session.signals.stop()).await, None) })
    }
}
