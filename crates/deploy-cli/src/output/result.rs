//! The result object: what machines read of a run, and what a chat message can be made of. Its fields are a promise; new
//! ones may come.

use std::collections::BTreeMap;
use std::time::Duration;

use asset_sync::NotVerified;
use asset_sync::deploy::{Audit, LeaseStatus, NamedRelease, Outcome, Situation};
use asset_sync::state::Phase;
use asset_sync::verify::Observation;
use jiff::Timestamp;
use serde::Serialize;

use super::identity::Identity;
use super::text::{rounded, to_millis};
use super::{Heading, ReportDetails};
use crate::commands::LookedDetails;
use crate::failure::Failure;

/// Version of the form. Fields may be added under the same one.
const SCHEMA: u32 = 1;

/// The last line on stdout.
#[derive(Debug, Serialize)]
pub(super) struct ResultObject<'a> {
    schema: u32,
    /// How it ended: an outcome, or `failed`.
    result: Ended,
    command: &'static str,
    exit_code: u8,
    /// Which program wrote this.
    program: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    /// What was to be live, or is by this command.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    /// Its id, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<&'a str>,
    /// The commit that the site was built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'a str>,
    /// What is live now; `null` if nothing is, absent if that is not known.
    #[expect(clippy::option_option, reason = "absent and null are two answers")]
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Option<&'a NamedRelease>>,
    phase: Reached,
    /// Paths that are still to be invalidated, by distribution.
    pending: BTreeMap<&'a str, &'a [String]>,
    /// Where visitors find the site, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    started: Timestamp,
    ended: Timestamp,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

/// How far the target has come, by this run or one before it that did not finish.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Reached {
    /// Nothing is begun.
    None,
    /// New files are uploaded where nothing refers to them.
    Staging,
    /// Entry files are being replaced: visitors may get pages of two releases.
    Switching,
    /// The release is live; invalidation, verification or deletes remain.
    Switched,
    /// All is done.
    Done,
}

/// What only some commands say.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Details {
    Report(ReportDetails),
    Looked(LookedDetails),
    Audit(Audit),
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
    pub(super) identity: &'a Identity,
    pub(super) heading: Option<&'a Heading>,
    pub(super) situation: Option<&'a Situation>,
    pub(super) ended: Ended,
    pub(super) details: &'a Details,
    pub(super) failure: Option<&'a Failure>,
    pub(super) warnings: &'a [String],
    pub(super) url: Option<&'a str>,
    pub(super) started: Timestamp,
    pub(super) elapsed: Duration,
}

impl<'a> ResultObject<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Self {
        let Parts { command, identity, heading, situation, ended, details, failure, .. } = parts;
        let report = if let Details::Report(report) = details { Some(report) } else { None };
        let not_verified = failure.and_then(|failure| failure.not_verified.as_deref());
        let release = report.and_then(|report| report.live.as_ref()).or(not_verified.map(|seen| &seen.release));
        let live = situation.and_then(|situation| situation.live.as_ref());
        // What a command is about that deploys nothing is what is live.
        let release = release.or_else(|| live.and_then(Option::as_ref).filter(|_| identity.version.is_none()));
        let phase = match situation.and_then(|situation| situation.phase) {
            Some(Phase::Staging) => Reached::Staging,
            Some(Phase::Switching) => Reached::Switching,
            Some(Phase::Switched) => Reached::Switched,
            None if failure.is_none() => Reached::Done,
            None => Reached::None,
        };
        let pending = situation.into_iter().flat_map(|situation| &situation.pending);
        Self {
            schema: SCHEMA,
            result: ended,
            command,
            exit_code: failure.map_or(0, |failure| failure.exit.code()),
            program: concat!("deploy ", env!("CARGO_PKG_VERSION")),
            environment: identity.environment.as_deref(),
            version: release.map(|release| release.version.as_str()).or(identity.version.as_deref()),
            release: release.map(|release| release.release.as_str()),
            build: report.and_then(|report| report.build).or(identity.build),
            execution: identity.execution.as_deref(),
            commit: identity.commit.as_deref(),
            live: live.map(Option::as_ref),
            phase,
            pending: pending.map(|(id, paths)| (id.as_str(), paths.as_slice())).collect(),
            url: parts.url.or(identity.url.as_deref()),
            started: to_millis(parts.started),
            ended: to_millis(parts.started.saturating_add(parts.elapsed).unwrap_or(parts.started)),
            heading,
            details,
            failure: failure.map(FailureDetails::new),
            total_seconds: rounded(parts.elapsed.as_secs_f64()),
            warnings: parts
                .warnings
                .iter()
                .chain(report.into_iter().flat_map(|report| &report.warnings))
                .map(String::as_str)
                .collect(),
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
            observations: &seen.observations,
            rolled_back_to: seen.rolled_back_to.as_ref(),
            rollback_failed: seen.rollback_failed.as_deref(),
        }
    }
}
