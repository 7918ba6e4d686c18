//! `deploy config`: the environment variables, with the values in effect.

use clap::Args;
use deploy_config::{Environment, Program, Requirements};

use super::{Done, Task, Work};
use crate::args::LocalArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;

/// Show every environment variable with the value in effect; sends no request
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Print a JSON array of variables
    #[arg(long)]
    json: bool,
}

impl Task for ConfigArgs {
    fn name(&self) -> &'static str {
        "config"
    }

    fn local(&self) -> Option<&LocalArgs> {
        None
    }

    fn wants_json(&self) -> Option<bool> {
        Some(self.json)
    }

    fn at_once(&self, environment: &Environment, output: &Output) -> Option<Result<Done, Failure>> {
        match environment.settings(Requirements::Target) {
            Ok((_, warnings)) => warnings.iter().for_each(|warning| output.warning(&warning.to_string())),
            Err(problems) => problems.iter().for_each(|problem| output.warning(&problem.to_string())),
        }
        let table = environment.table(Program::Deploy);
        Some(Ok(Done::document(table.to_string(), &table)))
    }

    fn execute<'a>(&'a self, _session: &'a Session<'a>) -> Work<'a> {
        Box::pin(async { Err(Failure::bug("`deploy config` needs no target")) })
    }
}
