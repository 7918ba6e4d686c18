//! `deploy unlock`: who holds the lease.

use asset_sync::deploy::LeaseStatus;
use clap::Args;

use super::{Done, Task, Work};
use crate::args::LocalArgs;
use crate::output::{Details, Ended, holder};
use crate::session::Session;

/// Show who holds the lease of the target; with --force, take it away
#[derive(Debug, Args)]
#[command(after_help = "\
A deployment that was killed leaves its lease behind, and the next one waits until it has expired.
Taking it away is for when nobody can wait. A holder that still lives notices, and stops.")]
pub(crate) struct UnlockArgs {
    /// Take the lease away from whoever holds it
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    local: LocalArgs,
}

impl Task for UnlockArgs {
    fn name(&self) -> &'static str {
        "unlock"
    }

    fn local(&self) -> Option<&LocalArgs> {
        Some(&self.local)
    }

    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async move {
            let (ended, lease) = if self.force {
                let broken = session.deployer.break_lease().await;
                (Ended::Unlocked, broken.map_err(|error| session.failure(&error))?)
            } else {
                (Ended::Shown, session.read(session.deployer.status()).await?.lease)
            };
            Ok(Done::new(text(lease.as_ref(), self.force), ended, Details::Lease { lease }))
        })
    }
}

fn text(lease: Option<&LeaseStatus>, taken: bool) -> String {
    match lease {
        None => "Nobody holds the lease.\n".to_owned(),
        Some(lease) if taken => format!("Took the lease from {}.\n", lease.owner),
        Some(lease) => format!("{}\nIf that run is dead and you cannot wait: deploy unlock --force\n", holder(lease)),
    }
}
