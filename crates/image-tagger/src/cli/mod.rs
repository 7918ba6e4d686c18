//! The command line: parse, call the library, print, exit code.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use deploy_config::{Environment, ImageRequirements, ImageSettings, Log, Program};
use image_tagger::auth::Chain;
use image_tagger::progress::Progress;
use image_tagger::reference::{Reference, Repository};
use image_tagger::registry::{HttpOptions, HttpRegistry, Policy, Requests, Retrying};
use image_tagger::version::{ReleaseName, decide};
use image_tagger::{Error, cut, evidence, inspect, tag};
use tokio::signal::unix::{SignalKind, signal};

mod args;
mod output;
mod told;

use args::{Args, Command};
use output::Output;
use told::Told;

/// Exit codes of a process that was told to stop: 128 and the signal's number.
const INTERRUPTED: u8 = 130;
const TERMINATED: u8 = 143;

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let environment = args.environment(Environment::from_process());
    if let Command::Config { json } = args.command {
        return config(&environment, json);
    }
    let (settings, warnings) = match environment.image_settings(args.requirements()) {
        Ok(read) => read,
        // The setting of the log may be among what is wrong.
        Err(problems) => return Output::new(args.log_if_known()).failed(&problems.into()),
    };
    let output = Output::new(settings.log);
    let told = Told::new(settings.log);
    let progress = told.progress();
    for warning in warnings {
        progress.tell(&image_tagger::progress::Event::Warning(&warning.to_string()));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.failed(&Error::Internal(error.to_string())),
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            done = execute(&args.command, &settings, progress) => Ok(done),
            code = stopped() => Err(code),
        }
    });
    // What still reads or packs files in a thread is not waited for.
    runtime.shutdown_background();
    told.end();
    match ended {
        Ok(Ok(done)) => output.done(&done, settings.repository.as_deref()),
        Ok(Err(error)) => output.failed(&error),
        Err(code) => output.interrupted(code),
    }
}

/// What came of a command.
enum Done {
    Cut(cut::Outcome, Requests),
    Name(ReleaseName),
    Tagged(tag::Outcome),
    Inspected(inspect::Inspection),
}

/// Waits for SIGINT or SIGTERM.
async fn stopped() -> u8 {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
            _ = interrupt.recv() => INTERRUPTED,
            _ = terminate.recv() => TERMINATED,
        },
        // Then the signals keep their default, which ends the process with the same codes.
        _ => std::future::pending().await,
    }
}

fn config(environment: &Environment, json: bool) -> ExitCode {
    let table = environment.table(Program::ImageTagger);
    let text = if json { serde_json::to_string_pretty(&table).unwrap_or_default() + "\n" } else { table.to_string() };
    let _ = std::io::stdout().write_all(text.as_bytes());
    match environment.image_settings(ImageRequirements::Cut) {
        Ok(_) => ExitCode::SUCCESS,
        Err(problems) => Output::new(Log::Text).failed(&problems.into()),
    }
}

async fn execute(command: &Command, settings: &ImageSettings, progress: Arc<dyn Progress>) -> Result<Done, Error> {
    match command {
        Command::Cut { .. } => {
            let name = name(settings)?;
            let request = request(settings, name)?;
            let registry = registry(settings, &request.repository, Arc::clone(&progress))?;
            let outcome = cut::cut(&registry, &request, progress.as_ref()).await?;
            output::variables(settings, &outcome.version, outcome.tag.as_str(), &outcome.digest, &outcome.reference)?;
            Ok(Done::Cut(outcome, registry.inner().requests()))
        }
        Command::Tags { .. } => Ok(Done::Name(name(settings)?)),
        Command::Tag { source, .. } => {
            let name = name(settings)?;
            let repository: Repository = settings.repository.as_deref().unwrap_or_default().parse()?;
            let source: Reference = source.parse()?;
            let registry = registry(settings, &repository, progress)?;
            let outcome = tag::tag(&registry, &source, &repository, &name).await?;
            output::variables(settings, &outcome.version, outcome.tag.as_str(), &outcome.digest, &outcome.reference)?;
            Ok(Done::Tagged(outcome))
        }
        Command::Inspect { image, .. } => {
            let image: Reference = image.parse()?;
            let registry = registry(settings, &image.repository, progress)?;
            Ok(Done::Inspected(inspect::inspect(&registry, &image).await?))
        }
        // Done before there are settings.
        Command::Config { .. } => Err(Error::Internal("`config` asked of a registry".to_owned())),
    }
}

fn name(settings: &ImageSettings) -> Result<ReleaseName, Error> {
    Ok(decide(&evidence::gather(settings)?)?)
}

fn request(settings: &ImageSettings, name: ReleaseName) -> Result<cut::Request, Error> {
    let pipeline = &settings.pipeline;
    Ok(cut::Request {
        site: settings.site_directory().to_owned(),
        rules: settings.rules.clone(),
        base: settings.base.as_deref().unwrap_or_default().parse()?,
        repository: settings.repository.as_deref().unwrap_or_default().parse()?,
        name,
        commit: pipeline.commit.clone(),
        build: pipeline.build,
        source: pipeline.repository.as_ref().map(|name| format!("https://bitbucket.org/{name}")),
        created: settings.source_date_epoch,
    })
}

/// The registries, with the login meant for the one of `repository`.
fn registry(
    settings: &ImageSettings,
    repository: &Repository,
    progress: Arc<dyn Progress>,
) -> Result<Retrying<HttpRegistry>, Error> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker"));
    let meant_for = match settings.repository.as_deref() {
        Some(text) => text.parse::<Repository>()?.registry().to_owned(),
        None => repository.registry().to_owned(),
    };
    let keychain = Chain {
        login: settings.login.clone().map(|login| (meant_for, login)),
        docker: settings.docker_config.clone().or_else(home),
        web_identity: settings.pipeline.web_identity.clone(),
    };
    let http = HttpRegistry::new(HttpOptions {
        keychain: Arc::new(keychain),
        insecure: settings.insecure_registries.clone(),
        timeout: settings.request_timeout,
        progress: Arc::clone(&progress),
    })?;
    Ok(Retrying::new(http, Policy::default(), progress))
}
