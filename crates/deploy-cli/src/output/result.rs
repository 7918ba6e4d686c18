//! The result object: what machines read of a run. Its fields are a promise; new ones may come.

use std::time::Duration;

use asset_sync::NotVerified;
use asset_sync::deploy::{LeaseStatus, NamedRelease, Outcome};
use asset_sync::verify::Observation;
use serde::Serialize;

use super::text::rounded;
use super::{Heading, ReportDetails};
use crate::commands::LookedDetails;
use crate::failure::Failure;

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
    details: &'a Details,
    #[serde(flatten)]
    failure: Option<FailureDetails<'a>>,
    total_seconds: f64,
    warnings: Vec<&'a str>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ended {
    Deployed,
    Unchanged,
    RolledBack,
    Pruned,
    Invalidated,
    Verified,
    /// `unlock` without `--force`.
    Shown,
    /// `unlock --force`.
    Unlocked,
    #[cfg_attr(not(feature = "local"), expect(dead_code, reason = "only `--local` serves"))]
    Served,
    Failed,
}

/// What only some commands say.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Details {
    Report(ReportDetails),
    Looked(LookedDetails),
    Lease { lease: Option<LeaseStatus> },
    None {},
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

/// What a result object is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) command: &'static str,
    pub(super) heading: Option<&'a Heading>,
    pub(super) ended: Ended,
    pub(super) details: &'a Details,
    pub(super) failure: Option<&'a Failure>,
    pub(super) warnings: &'a [String],
    pub(super) elapsed: Duration,
}

impl<'a> ResultObject<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Self {
        let reported = if let Details::Report(report) = parts.details { report.warnings.as_slice() } else { &[] };
        Self {
            result: parts.ended,
            command: parts.command,
            exit_code: parts.failure.map_or(0, |failure| failure.exit.code()),
            program: concat!("deploy ", env!("CARGO_PKG_VERSION")),
            heading: parts.heading,
            details: parts.details,
            failure: parts.failure.map(FailureDetails::new),
            total_seconds: rounded(parts.elapsed.as_secs_f64()),
            warnings: parts.warnings.iter().chain(reported).map(String::as_str).collect(),
        }
    }
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Deployed => Self::Deployed,
            Outcome::Unchanged => Self::Unchanged,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::Pruned => Self::Pruned,
            Outcome::Invalidated => Self::Invalidated,
        }
    }
}

impl<'a> FailureDetails<'a> {
    fn new(failure: &'a Failure) -> Self {
        let error =
            ErrorDetails { class: failure.exit.name(), message: &failure.message, hint: failure.hint.as_deref() };
        Self { error, not_verified: failure.not_verified.as_deref().map(NotVerifiedDetails::new) }
    }
}

impl<'a> NotVerifiedDetails<'a> {
    fn new(seen: &'a NotVerified) -> Self {
        Self {
            release: &seen.release.release,
            version: &seen.release.version,
            observations: &seen.observations,
            rolled_back_to: seen.rolled_back_to.as_ref(),
            rollback_failed: seen.rollback_failed.as_deref(),
        }
    }
}
