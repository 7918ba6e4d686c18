//! `deploy serve`: the local target for a browser.

use clap::Args;
use deploy_config::Environment;

use super::{Done, Task, Work};
use crate::args::LocalArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;

/// Serve what is live on the --local target to a browser, until Ctrl-C
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    #[command(flatten)]
    local: LocalArgs,
}

impl Task for ServeArgs {
    fn name(&self) -> &'static str {
        "serve"
    }

    fn local(&self) -> Option<&LocalArgs> {
        Some(&self.local)
    }

    #[cfg(feature = "local")]
    fn port(&self) -> u16 {
        self.port
    }

    fn at_once(&self, _environment: &Environment, _output: &Output) -> Option<Result<Done, Failure>> {
        let failure =
            || Failure::usage("deploy serve: serves the --local target only").hinted("Use `deploy serve --local`");
        self.local.folder().is_none().then(|| Err(failure()))
    }

    #[cfg(feature = "local")]
    fn execute<'a>(&'a self, session: &'a Session<'a>) -> Work<'a> {
        use crate::output::{Details, Ended};

        Box::pin(async move {
            let status = session.read(session.deployer.status()).await?;
            let Some(live) = status.releases.iter().find(|release| release.live) else {
                return Err(Failure::usage("nothing is live on the local target")
                    .hinted("Deploy something first: deploy run --local --source DIR"));
            };
            let url = session.local.as_ref().and_then(crate::local::Local::url);
            let url = url.ok_or_else(|| Failure::bug("the local distribution has no edge"))?;
            session.output.serving(&format!("{url}{}", session.settings.url_prefix), &live.version);
            session.signals.stop().cancelled().await;
            Ok(Done { is_noted: false, ..Done::new(String::new(), Ended::Served, Details::None {}) })
        })
    }

    #[cfg(not(feature = "local"))]
    fn execute<'a>(&'a self, _session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async { Err(Failure::bug("`deploy serve` without a local target")) })
    }
}
