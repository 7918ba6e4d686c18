//! What a deployment tells while it runs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::plan::Reason;

/// A step of a deployment, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Reading what is live, and listing the bucket.
    Read,
    /// Looking at objects the listing does not explain.
    Inspect,
    /// Waiting for and taking the lease.
    Lease,
    /// Uploading where nothing refers to it yet.
    Stage,
    /// Replacing entry files.
    Switch,
    /// Listing again, to see that what was written is what is there.
    Confirm,
    /// Invalidating, until every edge has done so.
    Invalidate,
    /// Looking at the live site as a visitor does.
    Verify,
    /// Deleting what no kept release needs.
    Prune,
    /// Recording the outcome.
    Record,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Inspect => "inspect",
            Self::Lease => "lease",
            Self::Stage => "stage",
            Self::Switch => "switch",
            Self::Confirm => "confirm",
            Self::Invalidate => "invalidate",
            Self::Verify => "verify",
            Self::Prune => "prune",
            Self::Record => "record",
        })
    }
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// A step begins; with what it will have to do, where known.
    StepStarted {
        /// The step.
        step: Step,
        /// Objects to write, look at or delete; 0 where that is not what it does.
        objects: u64,
        /// Bytes to write.
        bytes: u64,
    },
    /// A step ended well.
    StepFinished {
        /// The step.
        step: Step,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "as_seconds")]
        elapsed: Duration,
    },
    /// Bytes of a file or part were accepted by the store.
    Sent {
        /// How many.
        bytes: u64,
    },
    /// An object is in place.
    Written {
        /// Key relative to the target's prefix, or a state object's own.
        key: String,
        /// Its length.
        bytes: u64,
        /// Why it was written.
        reason: Reason,
    },
    /// An object was deleted.
    Deleted {
        /// Key relative to the target's prefix.
        key: String,
        /// Its length.
        bytes: u64,
    },
    /// The lease is held by somebody else.
    Waiting {
        /// Who holds it.
        owner: String,
        /// How long this run has waited.
        #[serde(rename = "seconds", serialize_with = "as_seconds")]
        waited: Duration,
        /// When the lease is free, unless it is renewed: counted from when this run saw it change last.
        #[serde(rename = "expires_in_seconds", serialize_with = "as_seconds")]
        expires_in: Duration,
    },
    /// The store fails, and requests are tried again. Told from time to time while that lasts.
    Retrying {
        /// The last failure, with its request id.
        failure: String,
        /// How many requests of the run were sent again so far.
        retries: u64,
    },
    /// An invalidation was made or found.
    Invalidation {
        /// The distribution.
        distribution: String,
        /// The invalidation's id.
        id: String,
        /// Number of its paths.
        paths: u64,
    },
    /// An invalidation is not complete yet. Told from time to time.
    Invalidating {
        /// The distribution.
        distribution: String,
        /// The invalidation's id, where it was accepted.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// How long this run has waited.
        #[serde(rename = "seconds", serialize_with = "as_seconds")]
        waited: Duration,
        /// Why it is not accepted, or its progress cannot be asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// Something the reader should know, in a sentence.
    Warning {
        /// The sentence.
        message: String,
    },
}

fn as_seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// Receives [`Event`]s. Called often and from several tasks: it must return quickly.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: &Event) {}
}
