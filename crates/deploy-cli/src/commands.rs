//! The commands: each calls the library and says what came of it.

use std::sync::Arc;
use std::time::Instant;

use asset_sync::Deployer;
use asset_sync::deploy::{LeaseStatus, PlanReport, ReleaseInfo, Report, RollbackTo, Status};
use asset_sync::site::{Site, scan};
use deploy_config::{Environment, Program, Requirements, Settings, Table};
use tokio::runtime;
use tokio::task::spawn_blocking;

use crate::args::Command;
use crate::connect::{self, Clients};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::hint::Surroundings;
use crate::output::{Heading, Output};
use crate::signals::Signals;

/// What came of a command.
#[derive(Debug)]
pub(crate) enum Done {
    /// `run`, `rollback` or `prune`; with the seconds the scan took, where there was one.
    Report(Box<Report>, Option<f64>),
    /// `plan`.
    Plan(Box<PlanReport>),
    /// `status`.
    Status(Box<Status>),
    /// `config`.
    Config(Table),
    /// `unlock`: whose lease it is, or was until now.
    Lease(Option<LeaseStatus>),
    /// `serve`, after it was told to stop.
    #[cfg_attr(not(feature = "local"), expect(dead_code, reason = "only `--local` serves"))]
    Served,
}

/// Does what is asked for.
pub(crate) fn execute(command: &Command, environment: &Environment, output: &Output) -> Result<Done, Failure> {
    if matches!(command, Command::Config(_)) {
        return Ok(config(environment, output));
    }
    if !cfg!(feature = "local") && command.local().is_some() {
        return Err(Failure::usage("--local: the target within this process is not in this build")
            .hinted("It was built without the feature `local`, as the container image is. Build with it: cargo install --path crates/deploy-cli"));
    }
    if matches!(command, Command::Serve(_)) && command.local().is_none() {
        return Err(Failure::usage("deploy serve: serves the --local target only").hinted("Use `deploy serve --local`"));
    }
    let (settings, warnings) = connect::settings(command, environment)?;
    for warning in warnings {
        output.warning(&warning.to_string());
    }
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| Failure {
        exit: Exit::Transient,
        message: format!("cannot start threads: {error}"),
        hint: None,
    })?;
    let done = runtime.block_on(connected(command, environment, &settings, output));
    // A scan that was interrupted goes on in its thread; nobody waits for it.
    runtime.shutdown_background();
    done
}

fn config(environment: &Environment, output: &Output) -> Done {
    match environment.settings(Requirements::Target) {
        Ok((_, warnings)) => warnings.iter().for_each(|warning| output.warning(&warning.to_string())),
        Err(problems) => problems.iter().for_each(|problem| output.warning(&problem.to_string())),
    }
    Done::Config(environment.table(Program::Deploy))
}

async fn connected(
    command: &Command,
    environment: &Environment,
    settings: &Settings,
    output: &Output,
) -> Result<Done, Failure> {
    let log = output.log();
    let signals = Signals::listen(move |name| log.stopping(name)).map_err(|error| Failure {
        exit: Exit::Transient,
        message: format!("cannot listen to signals: {error}"),
        hint: None,
    })?;
    let surroundings = connect::surroundings(settings, environment);
    #[cfg(feature = "local")]
    if let Some(folder) = command.local() {
        let port = if let Command::Serve(args) = command { args.port } else { 0 };
        let local = crate::local::Local::start(folder, settings, port).await?;
        let clients = Clients::local(&local, settings);
        let run = Run { command, settings, output, signals, surroundings };
        let done = if matches!(command, Command::Serve(_)) {
            run.serve(&local, clients).await
        } else {
            run.with(clients, true).await
        };
        local.shutdown().await;
        return done;
    }
    let clients = Clients::connect(settings).await;
    Run { command, settings, output, signals, surroundings }.with(clients, false).await
}

/// One run of a command that needs the target.
struct Run<'a> {
    command: &'a Command,
    settings: &'a Settings,
    output: &'a Output,
    signals: Signals,
    surroundings: Surroundings,
}

impl Run<'_> {
    async fn with(&self, clients: Clients, is_local: bool) -> Result<Done, Failure> {
        let deployer = clients.deployer(self.settings, is_local, self.output.progress());
        self.output.begin(Heading::new(self.command, self.settings, &self.surroundings));
        match self.command {
            Command::Plan(_) => self.plan(&deployer).await,
            Command::Status(_) => {
                let status = self.read(deployer.status()).await?;
                Ok(Done::Status(Box::new(status)))
            }
            Command::Rollback(args) => {
                let to = args.to.clone().map_or(RollbackTo::Previous, RollbackTo::Named);
                let rollback = deployer.rollback(&to, args.if_live.as_deref(), self.signals.stop());
                self.report(rollback.await, None)
            }
            Command::Prune(_) => self.report(deployer.prune(self.signals.stop()).await, None),
            Command::Unlock(args) if args.force => {
                let broken = deployer.break_lease().await;
                Ok(Done::Lease(broken.map_err(|error| self.failure(&error))?))
            }
            Command::Unlock(_) => Ok(Done::Lease(self.read(deployer.status()).await?.lease)),
            Command::Run(_) | Command::Config(_) | Command::Serve(_) => self.deploy(&deployer).await,
        }
    }

    async fn deploy(&self, deployer: &Deployer) -> Result<Done, Failure> {
        let (site, info, seconds) = self.site().await?;
        self.report(deployer.deploy(&site, &info, self.signals.stop()).await, Some(seconds))
    }

    async fn plan(&self, deployer: &Deployer) -> Result<Done, Failure> {
        let (site, info, _) = self.site().await?;
        let plan = self.read(deployer.plan(&site, &info)).await?;
        Ok(Done::Plan(Box::new(plan)))
    }

    /// Scans the site, and says what of it is odd. Gives the seconds that took, too.
    async fn site(&self) -> Result<(Site, ReleaseInfo, f64), Failure> {
        let publication = self.settings.publication().map_err(|problems| Failure::configuration(&problems))?;
        let log = self.output.log();
        let counting = Arc::clone(&log);
        let options = connect::scan_options(self.settings, Arc::new(move |bytes| counting.scanned(bytes)))?;
        let source = publication.source.to_owned();
        let started = Instant::now();
        log.scan_started();
        let scanning = spawn_blocking(move || scan(&source, &options));
        let site = self
            .signals
            .or_stop(scanning)
            .await?
            .map_err(|error| Failure::bug(&error.to_string()))?
            .map_err(|error| self.failure(&error.into()))?;
        let elapsed = started.elapsed();
        log.scan_finished(&site, elapsed);
        for rule in &site.unmatched_rules {
            self.output.warning(&format!("DEPLOY_RULES: {rule} matches no file of the site"));
        }
        let info = ReleaseInfo { version: publication.version.to_owned(), build: self.settings.build };
        Ok((site, info, elapsed.as_secs_f64()))
    }

    #[cfg(feature = "local")]
    async fn serve(&self, local: &crate::local::Local, clients: Clients) -> Result<Done, Failure> {
        let deployer = clients.deployer(self.settings, true, self.output.progress());
        let status = self.read(deployer.status()).await?;
        let Some(live) = status.releases.iter().find(|release| release.live) else {
            return Err(Failure::usage("nothing is live on the local target")
                .hinted("Deploy something first: deploy run --local --source DIR"));
        };
        let url = local.url().ok_or_else(|| Failure::bug("the local distribution has no edge"))?;
        self.output.serving(&format!("{url}{}", self.settings.url_prefix), &live.version);
        self.signals.stop().cancelled().await;
        Ok(Done::Served)
    }

    async fn read<T>(&self, work: impl Future<Output = Result<T, asset_sync::Error>>) -> Result<T, Failure> {
        self.signals.or_stop(work).await?.map_err(|error| self.failure(&error))
    }

    fn report(&self, report: Result<Report, asset_sync::Error>, scan: Option<f64>) -> Result<Done, Failure> {
        report.map(|report| Done::Report(Box::new(report), scan)).map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &asset_sync::Error) -> Failure {
        Failure::of(error, &self.surroundings, self.signals.first())
    }
}
