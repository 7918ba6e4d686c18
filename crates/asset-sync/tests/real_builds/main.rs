//! Real front-end builds: what is fingerprinted in them, what the pre-flight refuses, and what it lets through.
//!
//! Nothing here asks the code under test what is right. Two versions of a site show which names change with their
//! content, `scripts/real-builds.tsv` says which builds are complete, and small readers of this folder find the files that
//! a page cannot work without.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "tests: what is skipped and which seed was taken is printed, and the names are known"
)]

mod breakage;
mod builds;
mod extracts;
mod measure;
mod names;
mod page;
mod results;
mod table;
