//! Commands and flags.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use deploy_config::variables::{IMAGE_BASE, IMAGE_LOG, IMAGE_REPOSITORY, IMAGE_SITE, IMAGE_VERSION};
use deploy_config::{Environment, ImageRequirements, Log};

/// Cuts the deployment image of a webapp release, and pushes it straight to the registry.
///
/// Configured by environment variables: `image-tagger config` lists them. Exit codes: 0 done, 1 a
/// bug, 2 usage or configuration, 3 not permitted, 4 the tag is another image's, 5 worth a retry,
/// 7 refused for safety, 130 and 143 interrupted.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How progress and results are written: auto, text or json [`IMAGE_LOG`]
    #[arg(long, global = true)]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put a built site on the base image, and push and tag the result
    Cut {
        /// The directory of built files [`IMAGE_SITE`]
        #[arg(long)]
        site: Option<PathBuf>,
        /// The base image [`IMAGE_BASE`]
        #[arg(long)]
        base: Option<String>,
        #[command(flatten)]
        naming: Naming,
    },
    /// Print the tag that the image of this build gets, for those who build it with docker
    Tags {
        #[command(flatten)]
        naming: Naming,
    },
    /// Tag an image that is already in the repository, without pulling it
    Tag {
        /// The image, as repository:tag or repository@digest
        source: String,
        #[command(flatten)]
        naming: Naming,
    },
    /// Show version, commit, build, base and the site's files of an image
    Inspect {
        /// The image, as repository:tag or repository@digest
        image: String,
    },
    /// Show every variable with its value and where that is from
    Config {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Naming {
    /// The repository of the deployment images [`IMAGE_REPOSITORY`]
    #[arg(long)]
    repository: Option<String>,
    /// The version of the release [`IMAGE_VERSION`]
    #[arg(long)]
    release: Option<String>,
}

impl Args {
    /// What the command cannot do without.
    pub(crate) fn requirements(&self) -> ImageRequirements {
        match self.command {
            Command::Cut { .. } => ImageRequirements::Cut,
            Command::Tag { .. } => ImageRequirements::Tag,
            Command::Tags { .. } | Command::Inspect { .. } | Command::Config { .. } => ImageRequirements::Nothing,
        }
    }

    /// The environment with the flags put over it.
    pub(crate) fn environment(&self, mut environment: Environment) -> Environment {
        if let Some(log) = &self.log {
            environment = environment.flag(&IMAGE_LOG, "--log", log);
        }
        if let Command::Cut { site, base, .. } = &self.command {
            if let Some(site) = site {
                environment = environment.flag(&IMAGE_SITE, "--site", site);
            }
            if let Some(base) = base {
                environment = environment.flag(&IMAGE_BASE, "--base", base);
            }
        }
        if let Command::Cut { naming, .. } | Command::Tags { naming } | Command::Tag { naming, .. } = &self.command {
            if let Some(repository) = &naming.repository {
                environment = environment.flag(&IMAGE_REPOSITORY, "--repository", repository);
            }
            if let Some(release) = &naming.release {
                environment = environment.flag(&IMAGE_VERSION, "--release", release);
            }
        }
        environment
    }

    /// How to write, before the settings are known to be good.
    pub(crate) fn log_if_known(&self) -> Log {
        let wanted = self.log.clone().or_else(|| std::env::var(IMAGE_LOG.name).ok());
        if wanted.is_some_and(|wanted| wanted.trim().eq_ignore_ascii_case("json")) { Log::Json } else { Log::Text }
    }
}
