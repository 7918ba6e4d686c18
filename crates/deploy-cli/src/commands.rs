//! The commands: each calls the library and says what came of it.

use std::sync::Arc;
use std::time::Instant;

use asset_sync::deploy::{IfLive, LeaseStatus, PlanReport, ReleaseInfo, Report, RollbackTo, Status};
use asset_sync::site::{Site, report};
use asset_sync::verify::HttpVerifier;
use asset_sync::{Deployer, ErrorClass};
use deploy_config::{Environment, Program, Requirements, Settings, Table};
use tokio::runtime;
use tokio::task::spawn_blocking;

use crate::args::Command;
use crate::connect::{self, Clients};
use crate::failure::Failure;
use crate::hint::Surroundings;
use crate::output::{Heading, Output};
use crate::signals::Signals;
use crate::site::{self, Reading};
use crate::verification::{self, Looked};

/// What came of a command.
#[derive(Debug)]
pub(crate) enum Done {
    /// `run`, `rollback` or `prune`; with the seconds the scan took, where there was one.
    Report(Box<Report>, Option<f64>),
    /// `plan`.
    Plan(Box<PlanReport>),
    /// `status`.
    Status(Box<Status>),
    /// `verify`, whatever it saw.
    Looked(Box<Looked>),
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
    let prepared = Prepared::new(command, &settings, output)?;
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ErrorClass::Transient, format!("cannot start threads: {error}")))?;
    let done = runtime.block_on(connected(command, environment, &settings, prepared, output));
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

/// What the settings make possible, before any request.
struct Prepared {
    /// How the site is read, where a release is made.
    reading: Option<Arc<Reading>>,
    /// What looks at the live site, where that is asked for.
    verifier: Option<Arc<HttpVerifier>>,
    /// Where it looks.
    public_url: String,
}

impl Prepared {
    /// Finds all that is wrong with what the settings name.
    fn new(command: &Command, settings: &Settings, output: &Output) -> Result<Self, Failure> {
        let reading = match command {
            Command::Run(_) | Command::Plan(_) => {
                let publication = settings.publication().map_err(|problems| Failure::configuration(&problems, None))?;
                let log = output.log();
                Reading::new(settings, publication.source, Arc::new(move |bytes| log.scanned(bytes))).map(Some)
            }
            _ => Ok(None),
        };
        // The edge within this process has no address yet.
        let verifier = if command.local().is_some() { Ok(None) } else { verification::verifier(command, settings) };
        let (reading, verifier) = Failure::both(reading, verifier)?;
        Ok(Self {
            reading: reading.map(Arc::new),
            verifier: verifier.map(Arc::new),
            public_url: settings.verification.public_url.clone().unwrap_or_default(),
        })
    }
}

async fn connected(
    command: &Command,
    environment: &Environment,
    settings: &Settings,
    prepared: Prepared,
    output: &Output,
) -> Result<Done, Failure> {
    let log = output.log();
    let signals = Signals::listen(move |name| log.stopping(name))
        .map_err(|error| Failure::new(ErrorClass::Transient, format!("cannot listen to signals: {error}")))?;
    let surroundings = connect::surroundings(settings, environment);
    #[cfg(feature = "local")]
    if let Some(folder) = command.local() {
        let port = if let Command::Serve(args) = command { args.port } else { 0 };
        let local = crate::local::Local::start(folder, settings, port).await?;
        let clients = Clients::local(&local, settings);
        // The edge serves the whole bucket.
        let public_url = format!("{}/{}", local.url().unwrap_or_default(), settings.prefix);
        let verifier = verification::local_verifier(command, settings, &public_url)?.map(Arc::new);
        let prepared = Prepared { verifier, public_url, ..prepared };
        let run = Run { command, settings, prepared, output, signals, surroundings };
        let done = if matches!(command, Command::Serve(_)) {
            run.serve(&local, clients).await
        } else {
            run.with(clients, true).await
        };
        local.shutdown().await;
        return done;
    }
    let clients = Clients::connect(settings, environment).await;
    Run { command, settings, prepared, output, signals, surroundings }.with(clients, false).await
}

/// One run of a command that needs the target.
struct Run<'a> {
    command: &'a Command,
    settings: &'a Settings,
    prepared: Prepared,
    output: &'a Output,
    signals: Signals,
    surroundings: Surroundings,
}

impl Run<'_> {
    async fn with(&self, clients: Clients, is_local: bool) -> Result<Done, Failure> {
        let verifier = self.prepared.verifier.clone();
        let deployer =
            clients.deployer(self.settings, is_local, verifier, self.output.progress(), self.command.findings_shown());
        self.output.begin(Heading::new(self.command, self.settings, &self.surroundings));
        match self.command {
            Command::Plan(_) => self.plan(&deployer).await,
            Command::Status(_) => {
                let status = self.read(deployer.status()).await?;
                Ok(Done::Status(Box::new(status)))
            }
            Command::Rollback(args) => {
                let to = args.to.clone().map_or(RollbackTo::Previous, RollbackTo::Named);
                let execution = self.settings.execution.clone();
                let if_live = args.if_live.clone().map(|name| IfLive { name, execution });
                self.report(deployer.rollback(&to, if_live.as_ref(), self.signals.stop()).await, None)
            }
            Command::Verify(_) => self.look(&deployer).await,
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
        let run = deployer.begin();
        let (site, info, seconds) = self.site().await?;
        self.report(run.deploy(&site, &info, self.signals.stop()).await, Some(seconds))
    }

    async fn plan(&self, deployer: &Deployer) -> Result<Done, Failure> {
        let run = deployer.begin();
        let (site, info, _) = self.site().await?;
        let mut plan = self.read(run.plan(&site, &info)).await?;
        plan.warnings.splice(0..0, self.output.warnings());
        Ok(Done::Plan(Box::new(plan)))
    }

    async fn look(&self, deployer: &Deployer) -> Result<Done, Failure> {
        let Some(verifier) = &self.prepared.verifier else {
            return Err(Failure::bug("nothing to look at the site with"));
        };
        let url = self.prepared.public_url.clone();
        let looked = self.read(verification::look(deployer, verifier, self.settings, url)).await?;
        Ok(Done::Looked(Box::new(looked)))
    }

    /// Reads the site, says what of it is odd, and refuses what must not go live. Gives the seconds
    /// that took, too.
    async fn site(&self) -> Result<(Site, ReleaseInfo, f64), Failure> {
        let publication = self.settings.publication().map_err(|problems| Failure::configuration(&problems, None))?;
        let reading = self.prepared.reading.clone().ok_or_else(|| Failure::bug("no site to read"))?;
        let log = self.output.log();
        let started = Instant::now();
        log.scan_started();
        let reading = spawn_blocking(move || reading.read());
        let site = self
            .signals
            .or_stop(reading)
            .await?
            .map_err(|error| Failure::bug(&error.to_string()))?
            .map_err(|error| self.failure(&error))?;
        let elapsed = started.elapsed();
        log.scan_finished(&site, elapsed);
        for warning in site::warnings(&site) {
            self.output.warning(&warning);
        }
        let shown = self.command.findings_shown();
        if let Err(refused) = site.findings.check(shown) {
            for warning in report(&site.findings.warnings, shown) {
                self.output.warning(&warning);
            }
            return Err(self.failure(&refused));
        }
        let info = ReleaseInfo { version: publication.version.to_owned(), build: self.settings.build };
        Ok((site, info, elapsed.as_secs_f64()))
    }

    #[cfg(feature = "local")]
    async fn serve(&self, local: &crate::local::Local, clients: Clients) -> Result<Done, Failure> {
        let deployer =
            clients.deployer(self.settings, true, None, self.output.progress(), self.command.findings_shown());
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
