//! `deploy invalidate`: make the edges forget.
#![allow(clippy::doc_markdown, reason = "doc comments are help texts here")]

use asset_sync::deploy::Invalidate;
use clap::Args;

use super::{Task, Work};
use crate::args::LocalArgs;
use crate::session::Session;

/// Complete invalidations that are pending, and make edges forget more
#[derive(Debug, Args)]
#[command(after_help = "\
Works when nothing else is left to do, and needs no site directory. Without a path it completes what
earlier runs left pending (`deploy status` shows that). Waits until every edge has forgotten.

Examples:
  deploy invalidate                   what is pending
  deploy invalidate --all             everything, at each of DEPLOY_DISTRIBUTION_IDS
  deploy invalidate /about/ '/blog/*'")]
pub(crate) struct InvalidateArgs {
    /// The path of a URL, from the slash after the host on; a * at its end stands for anything
    #[arg(value_name = "PATH", conflicts_with = "all")]
    paths: Vec<String>,
    /// Everything under DEPLOY_URL_PREFIX
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    local: LocalArgs,
}

impl Task for InvalidateArgs {
    fn name(&self) -> &'static str {
        "invalidate"
    }

    fn doing(&self) -> &'static str {
        "Invalidating"
    }

    fn local(&self) -> Option<&LocalArgs> {
        Some(&self.local)
    }

    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async move {
            let what = match self.paths.as_slice() {
                _ if self.all => Invalidate::All,
                [] => Invalidate::Pending,
                paths => Invalidate::Paths(paths.to_vec()),
            };
            session.done(session.deployer.invalidate(&what, session.signals.stop()).await, None)
        })
    }
}
