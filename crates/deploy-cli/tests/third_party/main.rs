//! The real program, on a site that nobody here wrote, against servers that nobody here wrote.
//!
//! - The site is the front end of Streamlit, a Vite build of about 160 files and 23 MB.
//! - `ministack` serves S3, CloudFront and IAM; the program has the keys of an IAM user whose policy
//!   is the one in `docs/iam.md`, so its signatures and its permissions are checked.
//! - `garage` is a real storage server. It ignores conditional writes, so it is refused first.
//! - The stand-ins of this project run the same scenario, so that the three can be compared.
//!
//! `scripts/test` installs what is needed and says where it is. Without it, what is absent is
//! skipped with a word on stderr; under `scripts/test`, and in CI, that is a failure instead.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends so")]

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

mod garage;
mod http;
mod keys;
mod large;
mod ministack;
mod permissions;
mod process;
mod program;
mod promotion;
mod proxy;
mod releases;
mod role;
mod rules;
mod site;
mod target;
mod visitor;

/// A value of the environment that is set and not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// What the environment, or else the folder where `scripts/test` keeps things, has at hand.
fn tool(name: &str, within_cache: &str) -> Option<PathBuf> {
    let cached = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-tools").join(within_cache);
    let path = variable(name).map_or_else(cached, PathBuf::from);
    path.exists().then_some(path)
}

/// Says that a test does not run, where it need not.
///
/// # Panics
/// Where it must: in CI, and under `scripts/test`.
fn skip(what: &str) {
    let required = env::var("CI").is_ok_and(|value| value == "true") || variable("MTRIBES_TEST_REQUIRED").is_some();
    assert!(!required, "{what} is absent, and this run must not go without it: see scripts/install-test-tools");
    skip_loudly(what);
}

/// Says that a test does not run.
fn skip_loudly(what: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test").to_owned();
    // Not `eprintln`, which a test that passes keeps to itself.
    drop(writeln!(io::stderr(), "SKIPPED: {test}: {what} is absent (scripts/install-test-tools)"));
}
