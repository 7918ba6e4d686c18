//! `deploy`: put a built web site live on S3 and CloudFront.
//!
//! This program takes its configuration from the environment (`deploy-config`), hands the work to
//! the library (`asset-sync`), and tells what came of it: to a person at a terminal, or as JSON
//! lines and one result object to a machine. What it can do is said by `deploy --help`.

use std::process::ExitCode;

use clap::Parser as _;
use deploy_config::Environment;

mod args;
mod commands;
mod connect;
mod exit;
mod failure;
mod hint;
#[cfg(feature = "local")]
mod local;
mod output;
mod session;
mod signals;
mod site;
mod verification;

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let command = match args::Args::try_parse() {
        Ok(args) => args.into_command(),
        Err(error) => {
            if error.use_stderr() {
                output::usage_failed(&error.render().to_string(), &Environment::from_process());
            }
            error.exit()
        }
    };
    let task = command.task();
    let environment = connect::environment(task);
    let output = output::Output::new(task, &environment);
    let end = exit::catching_panics(|| commands::execute(task, &environment, &output));
    output.end(task, &end)
}
