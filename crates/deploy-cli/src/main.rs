//! `deploy`: put a built web site live on S3 and CloudFront.
#![allow(clippy::print_stderr, reason = "a command line tool talks to its user")]

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("deploy: not built yet; the library `asset-sync` does the work already");
    ExitCode::from(2)
}
