//! What a deployment is told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::bucket::RetryPolicy;
use crate::plan::{Addressing, Adopt, MaxShrink};
use crate::progress::{Progress, Silent};
use crate::verify::{OnFailure, Verifier};

/// What is said of a release besides its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseInfo {
    /// Its version.
    pub version: String,
    /// A number that grows from build to build, where there is one.
    pub build: Option<u64>,
}

impl fmt::Display for ReleaseInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {}", self.version)?;
        self.build.map_or(Ok(()), |build| write!(f, " (build {build})"))
    }
}

/// What to do where the store ignores conditions on writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConditionalWrites {
    /// Refuse to deploy.
    #[default]
    Require,
    /// Deploy with a warning: the caller sees to it that no two deployments run at once.
    Unprotected,
}

/// How to deploy. Made with [`Options::default`] and struct update.
#[derive(Clone)]
pub struct Options {
    /// CloudFront distributions in front of the target; may be empty.
    pub distributions: Vec<String>,
    /// Which addresses the files have, and which paths are invalidated.
    pub addressing: Addressing,
    /// How long to wait for an invalidation to be accepted and completed.
    pub invalidation_timeout: Duration,
    /// Pause between two looks at an invalidation.
    pub invalidation_poll: Duration,
    /// What to do with foreign objects in the way.
    pub adopt: Adopt,
    /// How many findings of one kind a report shows line by line; `usize::MAX` for all.
    pub findings_shown: usize,
    /// Largest share of files that may go in one deployment.
    pub max_shrink: MaxShrink,
    /// Whether a release may replace a newer one, or one that was rolled back may return.
    pub allow_older: bool,
    /// Releases kept besides the live one.
    pub keep_releases: usize,
    /// How long files are kept after they were superseded.
    pub grace: SignedDuration,
    /// How long the lease is good without renewal.
    pub lease: Duration,
    /// How long to wait for another holder's lease.
    pub lease_wait: Duration,
    /// How long one small request may take; a takeover waits this long for the last holder's.
    pub request_timeout: Duration,
    /// Who holds the lease, for people.
    pub owner: String,
    /// The name of the environment, recorded with each new release. A deployment is refused where the live release was
    /// deployed for another one.
    pub environment: Option<String>,
    /// Whether a deployment may take the target over for another environment.
    pub allow_environment_change: bool,
    /// The execution of the pipeline that this run belongs to, recorded with what it makes live; a rollback with
    /// [`IfLive`](crate::plan::IfLive) undoes only what it names.
    pub execution: Option<String>,
    /// The commit that the site was built from, recorded with the release. Decides nothing.
    pub commit: Option<String>,
    /// See [`ConditionalWrites`].
    pub conditional_writes: ConditionalWrites,
    /// Cache-Control of a file that turns out not to be immutable.
    pub revalidate: String,
    /// Bytes of file content held in memory at once.
    pub buffer: u64,
    /// Length of a part of a large file; S3 limits: at least 5 MiB. Files up to twice as long go
    /// in one request.
    pub part_size: u64,
    /// Retries, and requests in flight.
    pub retry: RetryPolicy,
    /// Looks at the site after the switch; `None` to look at nothing.
    pub verifier: Option<Arc<dyn Verifier>>,
    /// Whether a site that cannot be looked at is a failure (without a rollback).
    pub verification_required: bool,
    /// What to do when the site shows positive evidence against the release.
    pub on_failure: OnFailure,
    /// The wall clock.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Told what happens.
    pub progress: Arc<dyn Progress>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("distributions", &self.distributions).finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            distributions: Vec::new(),
            addressing: Addressing::default(),
            invalidation_timeout: Duration::from_mins(15),
            invalidation_poll: Duration::from_secs(2),
            adopt: Adopt::default(),
            findings_shown: 5,
            max_shrink: MaxShrink(0.5),
            allow_older: false,
            keep_releases: 5,
            grace: SignedDuration::from_hours(7 * 24),
            lease: Duration::from_mins(1),
            lease_wait: Duration::from_mins(3),
            request_timeout: Duration::from_secs(30),
            owner: "unknown".to_owned(),
            environment: None,
            allow_environment_change: false,
            execution: None,
            commit: None,
            conditional_writes: ConditionalWrites::default(),
            revalidate: "public, max-age=0, must-revalidate".to_owned(),
            buffer: 64 * 1024 * 1024,
            part_size: 8 * 1024 * 1024,
            retry: RetryPolicy::default(),
            verifier: None,
            verification_required: false,
            on_failure: OnFailure::default(),
            clock: Arc::new(Timestamp::now),
            progress: Arc::new(Silent),
        }
    }
}
