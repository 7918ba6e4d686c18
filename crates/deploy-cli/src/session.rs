//! One run of a command that needs a target: what it can reach, and how it waits and fails.

use std::sync::Arc;
use std::time::Instant;

use asset_sync::deploy::{ReleaseInfo, Report};
use asset_sync::site::{Site, report};
use asset_sync::verify::HttpVerifier;
use asset_sync::{Deployer, Error, ErrorClass};
use deploy_config::{Environment, Settings};
use tokio::task::spawn_blocking;

use crate::args::LocalArgs;
use crate::commands::{Done, Task};
use crate::connect::{self, Clients};
use crate::failure::Failure;
use crate::hint::Surroundings;
#[cfg(feature = "local")]
use crate::local::Local;
use crate::output::{Details, Ended, Heading, Output, ReportDetails, report_text};
use crate::signals::Signals;
use crate::site::{self, Reading};
use crate::verification;

/// What the settings make possible, before any request.
pub(crate) struct Prepared {
    /// How the site is read, where a release is made.
    reading: Option<Arc<Reading>>,
    /// What looks at the live site, where that is asked for.
    verifier: Option<Arc<HttpVerifier>>,
    /// Where it looks.
    public_url: String,
}

impl Prepared {
    /// Finds all that is wrong with what the settings name.
    pub(crate) fn new(task: &dyn Task, settings: &Settings, output: &Output) -> Result<Self, Failure> {
        let reading = if task.source().is_some() {
            let publication = settings.publication().map_err(|problems| Failure::configuration(&problems, None))?;
            let log = output.log();
            Reading::new(settings, publication.source, Arc::new(move |bytes| log.scanned(bytes))).map(Some)
        } else {
            Ok(None)
        };
        // The edge within this process has no address yet.
        let is_local = task.local().and_then(LocalArgs::folder).is_some();
        let verifier = if is_local { Ok(None) } else { verification::verifier(task.looks(), settings) };
        let (reading, verifier) = Failure::both(reading, verifier)?;
        Ok(Self {
            reading: reading.map(Arc::new),
            verifier: verifier.map(Arc::new),
            public_url: settings.verification.public_url.clone().unwrap_or_default(),
        })
    }
}

/// One run of a command that needs the target.
pub(crate) struct Session<'a> {
    pub(crate) deployer: Deployer,
    pub(crate) settings: &'a Settings,
    pub(crate) output: &'a Output,
    pub(crate) signals: Signals,
    /// The target within this process, if that is what it is.
    #[cfg(feature = "local")]
    pub(crate) local: Option<Local>,
    prepared: Prepared,
    surroundings: Surroundings,
    shown: usize,
    is_local: bool,
}

impl<'a> Session<'a> {
    /// Connects to the target, and does what is asked for.
    pub(crate) async fn hold(
        task: &dyn Task,
        environment: &Environment,
        settings: &'a Settings,
        prepared: Prepared,
        output: &'a Output,
    ) -> Result<Done, Failure> {
        /// Most findings of one kind that are shown line by line.
        const SHOWN: usize = 5;
        let log = output.log();
        let signals = Signals::listen(move |name| log.stopping(name))
            .map_err(|error| Failure::new(ErrorClass::Transient, format!("cannot listen to signals: {error}")))?;
        let surroundings = connect::surroundings(settings, environment);
        let shown = if task.shows_all() { usize::MAX } else { SHOWN };
        let folder = task.local().and_then(LocalArgs::folder);
        let is_local = folder.is_some();
        output.begin(Heading::new(task, settings, &surroundings));
        #[cfg(feature = "local")]
        let (clients, local, prepared) = match folder {
            Some(folder) => {
                let local = Local::start(folder, settings, task.port()).await?;
                // The edge serves the whole bucket.
                let public_url = format!("{}/{}", local.url().unwrap_or_default(), settings.prefix);
                output.url(&public_url);
                let verifier = verification::local_verifier(task.looks(), settings, &public_url)?.map(Arc::new);
                (Clients::local(&local, settings), Some(local), Prepared { verifier, public_url, ..prepared })
            }
            None => (Clients::connect(settings, environment).await, None, prepared),
        };
        #[cfg(not(feature = "local"))]
        let clients = Clients::connect(settings, environment).await;
        let verifier = prepared.verifier.clone();
        let session = Session {
            deployer: clients.deployer(settings, is_local, verifier, output.progress(), shown),
            settings,
            output,
            signals,
            #[cfg(feature = "local")]
            local,
            prepared,
            surroundings,
            shown,
            is_local,
        };
        let done = task.execute(&session).await;
        output.situation(session.deployer.situation());
        #[cfg(feature = "local")]
        if let Some(local) = session.local {
            local.shutdown().await;
        }
        done
    }

    /// What looks at the site, and where.
    pub(crate) fn verifier(&self) -> Result<(&HttpVerifier, &str), Failure> {
        let verifier = self.prepared.verifier.as_deref();
        verifier
            .map(|verifier| (verifier, self.prepared.public_url.as_str()))
            .ok_or_else(|| Failure::bug("nothing to look at the site with"))
    }

    /// Reads the site, says what of it is odd, and refuses what must not go live. Gives the seconds
    /// that took, too.
    pub(crate) async fn site(&self) -> Result<(Site, ReleaseInfo, f64), Failure> {
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
        if let Err(refused) = site.findings.check(self.shown) {
            for warning in report(&site.findings.warnings, self.shown) {
                self.output.warning(&warning);
            }
            return Err(self.failure(&refused));
        }
        let info = ReleaseInfo { version: publication.version.to_owned(), build: self.settings.build };
        Ok((site, info, elapsed.as_secs_f64()))
    }

    /// Waits for work that only reads, which a signal may cut short.
    pub(crate) async fn read<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        self.signals.or_stop(work).await?.map_err(|error| self.failure(&error))
    }

    /// What a run that writes came to.
    pub(crate) fn done(&self, report: Result<Report, Error>, scan: Option<f64>) -> Result<Done, Failure> {
        let report = report.map_err(|error| self.failure(&error))?;
        let text = report_text(&report, scan.is_some(), self.is_local, self.output.elapsed());
        Ok(Done::new(text, Ended::from(report.result), Details::Report(ReportDetails::new(report, scan))))
    }

    /// An error of the library.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        Failure::of(error, &self.surroundings, self.signals.first())
    }
}
