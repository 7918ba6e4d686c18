//! The result object: what machines read of a run. Its fields are a promise; new ones may come.

use std::collections::BTreeMap;
use std::time::Duration;

use asset_sync::deploy::{InvalidationReport, LeaseStatus, NamedRelease, Outcome, Report, Seen, Tally};
use asset_sync::verify::{Observation, Verdict};
use serde::Serialize;

use super::Heading;
use super::text::rounded;
use crate::args::Command;
use crate::commands::Done;
use crate::failure::Failure;
use crate::verification::Looked;

/// The last line on stdout.
#[derive(Debug, Serialize)]
pub(super) struct ResultObject<'a> {
    /// How it ended: an outcome, or `failed`.
    result: Ended,
    command: &'static str,
    exit_code: u8,
    /// Which program wrote this.
    program: &'static str,
    #[serde(flatten)]
    heading: Option<&'a Heading>,
    #[serde(flatten)]
    details: Details<'a>,
    total_seconds: f64,
    warnings: Vec<&'a str>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Ended {
    Deployed,
    Unchanged,
    RolledBack,
    Pruned,
    Verified,
    /// `unlock` without `--force`.
    Shown,
    /// `unlock --force`.
    Unlocked,
    Served,
    Failed,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Details<'a> {
    Report(ReportDetails<'a>),
    Looked(LookedDetails<'a>),
    Lease { lease: Option<&'a LeaseStatus> },
    Failure(FailureDetails<'a>),
    None {},
}

#[derive(Debug, Serialize)]
struct ReportDetails<'a> {
    #[serde(flatten)]
    live: Option<&'a NamedRelease>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'a str>,
    uploaded: Tally,
    unchanged: Tally,
    deleted: Tally,
    foreign: u64,
    requests: &'a BTreeMap<&'static str, u64>,
    retries: u64,
    throttled: u64,
    invalidations: &'a [InvalidationReport],
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<Seen>,
    seconds: BTreeMap<String, f64>,
}

#[derive(Debug, Serialize)]
struct LookedDetails<'a> {
    public_url: &'a str,
    #[serde(flatten)]
    verdict: &'a Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDetails<'a>>,
}

#[derive(Debug, Serialize)]
struct FailureDetails<'a> {
    error: ErrorDetails<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    not_verified: Option<NotVerifiedDetails<'a>>,
}

/// What became of a release that does not show on the live site.
#[derive(Debug, Serialize)]
struct NotVerifiedDetails<'a> {
    release: &'a str,
    version: &'a str,
    observations: &'a [Observation],
    /// What is live instead; `null` where the release stays live.
    rolled_back_to: Option<&'a NamedRelease>,
    /// Why nothing else could be made live, where that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback_failed: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ErrorDetails<'a> {
    class: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> ResultObject<'a> {
    pub(super) fn new(
        command: &Command,
        heading: Option<&'a Heading>,
        end: &'a Result<Done, Failure>,
        warnings: &'a [String],
        elapsed: Duration,
    ) -> Self {
        let mut warnings: Vec<&str> = warnings.iter().map(String::as_str).collect();
        let (result, exit_code, details) = match end {
            Ok(Done::Report(report, scan)) => {
                warnings.extend(report.warnings.iter().map(String::as_str));
                (ended(report.result), 0, Details::Report(ReportDetails::new(report, *scan)))
            }
            Ok(Done::Looked(looked)) => {
                let Looked { verdict, url, failure } = &**looked;
                let error = failure.as_ref().map(ErrorDetails::new);
                let (ended, code) = failure.as_ref().map_or((Ended::Verified, 0), |f| (Ended::Failed, f.exit.code()));
                (ended, code, Details::Looked(LookedDetails { public_url: url, verdict, error }))
            }
            Ok(Done::Lease(lease)) => {
                let forced = matches!(command, Command::Unlock(args) if args.force);
                let ended = if forced { Ended::Unlocked } else { Ended::Shown };
                (ended, 0, Details::Lease { lease: lease.as_ref() })
            }
            Ok(Done::Served | Done::Plan(_) | Done::Status(_) | Done::Config(_)) => {
                (Ended::Served, 0, Details::None {})
            }
            Err(failure) => (Ended::Failed, failure.exit.code(), Details::Failure(FailureDetails::new(failure))),
        };
        Self {
            result,
            command: command.name(),
            exit_code,
            program: concat!("deploy ", env!("CARGO_PKG_VERSION")),
            heading,
            details,
            total_seconds: rounded(elapsed.as_secs_f64()),
            warnings,
        }
    }
}

fn ended(outcome: Outcome) -> Ended {
    match outcome {
        Outcome::Deployed => Ended::Deployed,
        Outcome::Unchanged => Ended::Unchanged,
        Outcome::RolledBack => Ended::RolledBack,
        Outcome::Pruned => Ended::Pruned,
    }
}

impl<'a> ErrorDetails<'a> {
    fn new(failure: &'a Failure) -> Self {
        Self { class: failure.exit.name(), message: &failure.message, hint: failure.hint.as_deref() }
    }
}

impl<'a> FailureDetails<'a> {
    fn new(failure: &'a Failure) -> Self {
        let not_verified = failure.not_verified.as_deref().map(|seen| NotVerifiedDetails {
            release: &seen.release.release,
            version: &seen.release.version,
            observations: &seen.observations,
            rolled_back_to: seen.rolled_back_to.as_ref(),
            rollback_failed: seen.rollback_failed.as_deref(),
        });
        Self { error: ErrorDetails::new(failure), not_verified }
    }
}

impl<'a> ReportDetails<'a> {
    fn new(report: &'a Report, scan: Option<f64>) -> Self {
        let steps = report.seconds.iter().map(|(step, seconds)| (step.to_string(), rounded(*seconds)));
        let scan = scan.map(|seconds| ("scan".to_owned(), rounded(seconds)));
        Self {
            live: report.live.as_ref(),
            build: report.build,
            previous: report.previous.as_deref(),
            uploaded: report.uploaded,
            unchanged: report.unchanged,
            deleted: report.deleted,
            foreign: report.foreign,
            requests: &report.requests,
            retries: report.retries,
            throttled: report.throttled,
            invalidations: &report.invalidations,
            seen: report.seen,
            seconds: steps.chain(scan).collect(),
        }
    }
}
