//! `image-tagger`: cuts the deployment image of a webapp release.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::run()
}
