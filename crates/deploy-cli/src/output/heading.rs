//! What is about to be done, and where.

use std::path::PathBuf;

use deploy_config::Settings;
use serde::Serialize;

use crate::args::LocalArgs;
use crate::commands::Task;
use crate::hint::Surroundings;

/// What is about to be done, and where. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Heading {
    #[serde(skip)]
    pub(crate) command: &'static str,
    /// `Rolling back`.
    #[serde(skip)]
    pub(crate) doing: &'static str,
    #[serde(skip)]
    pub(crate) environment: Option<String>,
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) region: String,
    pub(crate) distributions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_bucket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    /// The folder of a target within this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) local: Option<PathBuf>,
    #[serde(skip)]
    pub(crate) version: Option<String>,
    #[serde(skip)]
    pub(crate) build: Option<u64>,
    #[serde(skip)]
    pub(crate) source: Option<PathBuf>,
}

impl Heading {
    pub(crate) fn new(task: &dyn Task, settings: &Settings, surroundings: &Surroundings) -> Self {
        let publishes = task.source().is_some();
        Self {
            command: task.name(),
            doing: task.doing(),
            environment: settings.environment.clone(),
            bucket: settings.bucket.clone(),
            prefix: settings.prefix.clone(),
            region: settings.region.clone(),
            distributions: settings.distribution_ids.clone(),
            state_bucket: settings.state_bucket.clone(),
            endpoint: surroundings.endpoint.clone(),
            local: task.local().and_then(LocalArgs::folder).map(Into::into),
            version: settings.version.clone().filter(|_| publishes),
            build: settings.build.filter(|_| publishes),
            source: settings.source.clone().filter(|_| publishes),
        }
    }
}
