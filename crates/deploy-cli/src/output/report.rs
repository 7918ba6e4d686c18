//! What a run that writes did: `run`, `rollback`, `prune`.
#![allow(clippy::format_push_string, reason = "plainer than `write!`, whose error cannot come, and once a run")]

use std::collections::BTreeMap;
use std::time::Duration;

use asset_sync::deploy::{InvalidationReport, NamedRelease, Outcome, Report, Seen, Tally};
use serde::Serialize;

use super::text::{count, files, looked_at, rounded, some};

/// Most invalidation paths that a summary names.
const PATHS_SHOWN: usize = 6;

/// Its part of the result object.
#[derive(Debug, Serialize)]
pub(crate) struct ReportDetails {
    #[serde(skip)]
    pub(super) live: Option<NamedRelease>,
    #[serde(skip)]
    pub(super) build: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    uploaded: Tally,
    unchanged: Tally,
    deleted: Tally,
    foreign: u64,
    requests: BTreeMap<&'static str, u64>,
    retries: u64,
    throttled: u64,
    invalidations: Vec<InvalidationReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<Seen>,
    seconds: BTreeMap<String, f64>,
    /// Joins those of the program.
    #[serde(skip)]
    pub(super) warnings: Vec<String>,
}

impl ReportDetails {
    /// `scan` is the time that reading the site took, where there was one.
    pub(crate) fn new(report: Report, scan: Option<f64>) -> Self {
        let steps = report.seconds.iter().map(|(step, seconds)| (step.to_string(), rounded(*seconds)));
        let scan = scan.map(|seconds| ("scan".to_owned(), rounded(seconds)));
        Self {
            seconds: steps.chain(scan).collect(),
            live: report.live,
            build: report.build,
            previous: report.previous,
            uploaded: report.uploaded,
            unchanged: report.unchanged,
            deleted: report.deleted,
            foreign: report.foreign,
            requests: report.requests,
            retries: report.retries,
            throttled: report.throttled,
            invalidations: report.invalidations,
            seen: report.seen,
            warnings: report.warnings,
        }
    }
}

/// The same for people. `deploys` says whether a site was compared with what is there.
pub(crate) fn text(report: &Report, deploys: bool, is_local: bool, elapsed: Duration) -> String {
    let Some(live) = &report.live else { return "Nothing to do: no release is live\n".to_owned() };
    let version = match report.build {
        Some(build) => format!("{} (build {build})", live.version),
        None => live.version.clone(),
    };
    let mut text = match report.result {
        Outcome::Deployed => format!("Version {version} is live"),
        Outcome::Unchanged => format!("Nothing to do: version {version} is live already"),
        Outcome::RolledBack => format!("Rolled back: version {version} is live"),
        Outcome::Pruned => format!("Pruned; version {version} is live"),
        Outcome::Invalidated => format!("Invalidated; version {version} is live"),
    };
    text.push_str(&format!(", as release {}\n", live.release));
    let mut row = |name: &str, value: String| text.push_str(&format!("  {name:12} {value}\n"));
    if report.result != Outcome::Unchanged {
        if let Some(previous) = &report.previous {
            row("before", previous.clone());
        }
        row("uploaded", files(report.uploaded));
    }
    if deploys {
        row("unchanged", files(report.unchanged));
    }
    if report.deleted.files > 0 {
        row("deleted", count(report.deleted.files, "file"));
    }
    if report.foreign > 0 {
        row("foreign", format!("{} that no release knows, left alone", count(report.foreign, "object")));
    }
    for done in &report.invalidations {
        row("invalidated", format!("{} on {} ({})", some(&done.paths, PATHS_SHOWN), done.distribution, done.id));
    }
    if let Some(seen) = &report.seen {
        let unseen = match seen.unseen {
            0 => String::new(),
            unseen => format!(", {unseen} could not be seen"),
        };
        let looked_at = looked_at(seen.looked_at, seen.files);
        row("verified", format!("{} as released{unseen}{looked_at}", count(seen.right, "URL")));
    }
    let requests: u64 = report.requests.values().sum();
    let again = match (report.retries, report.throttled) {
        (0, _) => String::new(),
        (retries, 0) => format!(", {retries} of them sent again"),
        (retries, throttled) => {
            format!(", {retries} of them sent again, since the store asked {throttled} times to slow down")
        }
    };
    row("took", format!("{:.1} s, {}{again}", elapsed.as_secs_f64(), count(requests, "request")));
    if is_local {
        text.push_str("Look at it with `deploy serve --local`.\n");
    }
    text
}
