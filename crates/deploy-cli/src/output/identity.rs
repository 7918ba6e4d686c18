//! What a run is about, as far as the environment says, whatever else is wrong with it.

use deploy_config::{Environment, Program, Source};

use crate::commands::Task;

/// What a run is about.
#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) environment: Option<String>,
    /// What is deployed, where something is.
    pub(super) version: Option<String>,
    pub(super) build: Option<u64>,
    pub(super) execution: Option<String>,
    /// The commit that the site was built from.
    pub(super) commit: Option<String>,
    /// Where visitors find the site.
    pub(super) url: Option<String>,
}

impl Identity {
    pub(super) fn of(task: &dyn Task, environment: &Environment) -> Self {
        let table = environment.table(Program::Deploy);
        let value = |name: &str| {
            let row = table.rows.iter().find(|row| row.variable == name && row.source != Source::NotSet)?;
            // An expression that Harness left is no value.
            row.value.clone().filter(|value| !value.is_empty() && value != "null" && !value.contains("<+"))
        };
        let publishes = task.source().is_some();
        Self {
            environment: value("DEPLOY_ENVIRONMENT"),
            version: value("DEPLOY_VERSION").filter(|_| publishes),
            build: value("DEPLOY_BUILD").and_then(|build| build.parse().ok()).filter(|_| publishes),
            execution: value("DEPLOY_EXECUTION"),
            commit: value("DEPLOY_COMMIT").filter(|_| publishes),
            // One with a login in it is refused, and not shown.
            url: value("DEPLOY_PUBLIC_URL").filter(|url| !url.contains(['@', '?', '#'])),
        }
    }
}
