//! `image-tagger`: cut a deployment image of a webapp release.
#![allow(clippy::print_stderr, reason = "a command line tool talks to its user")]

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("image-tagger: not built yet");
    ExitCode::from(2)
}
