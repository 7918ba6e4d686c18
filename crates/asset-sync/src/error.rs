//! Why a deployment failed, by meaning.

use std::path::PathBuf;
use std::time::Duration;

use crate::bucket::{BucketError, BucketErrorKind};
use crate::cdn::{CdnError, CdnErrorKind};
use crate::plan::Shrink;
use crate::site::ScanError;
use crate::state::NamedRelease;
use crate::state::StateError;
use crate::verify::{Fault, Observation};

/// A deployment that did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The site cannot be deployed as it is on disk.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A request to a bucket failed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// A request to the CDN failed.
    #[error(transparent)]
    Cdn(#[from] CdnError),
    /// Distributions cannot be used, and nothing was written.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Distributions(Vec<CdnError>),
    /// No distribution is configured, and one is needed.
    #[error("no distribution is configured, so there is none to invalidate at")]
    NoDistribution,
    /// A path that is to be invalidated is none.
    #[error("{path:?} is no path to invalidate: {reason}")]
    InvalidPath {
        /// As it was given.
        path: String,
        /// What is wrong with it, and how it should be.
        reason: &'static str,
    },
    /// The target's state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Going on would put the site at risk.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another release stands in the way; trying again does not help.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Another run holds the lease.
    #[error("the lease of this target is held by {owner}, still after waiting {} s: let that run finish and try again", waited.as_secs())]
    Busy {
        /// Who holds it.
        owner: String,
        /// How long this run waited.
        waited: Duration,
    },
    /// This run lost its lease; another may have gone on in its place.
    #[error(
        "lost the lease of this target: its renewal failed or another run took it over. The journal is kept, and the next run finishes what this one began{}", .last_failure.as_ref().map(|f| format!(". The store's last failure: {f}")).unwrap_or_default()
    )]
    LeaseLost {
        /// The last request that failed in a way that might have passed, with its request id.
        last_failure: Option<String>,
    },
    /// Others kept writing to the target while this run did.
    #[error("the bucket kept changing under this run: {what}. Find out who else writes to the target, then run again")]
    Unsettled {
        /// What was found changed.
        what: String,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it was when it was scanned.
    #[error("{} changed while it was being deployed: build into another directory, or deploy after the build has ended", path.display())]
    SourceChanged {
        /// The file.
        path: PathBuf,
    },
    /// A file is not what the manifest beside the site says.
    #[error(
        "{} is not what the manifest {} says, which was written when the image was cut: the image was changed since. Use it as it was cut, or deploy without the manifest",
        path.display(), manifest.display()
    )]
    NotAsCut {
        /// The file.
        path: PathBuf,
        /// The manifest.
        manifest: PathBuf,
    },
    /// The CDN did not complete an invalidation in time. It stays on record.
    #[error("invalidation {id} of distribution {distribution} was not completed within {} s; it stays on record, and the next run waits for it", waited.as_secs())]
    InvalidationTimeout {
        /// The distribution.
        distribution: String,
        /// The invalidation's id, or `not yet accepted`.
        id: String,
        /// How long this run waited.
        waited: Duration,
    },
    /// The run had begun to write when another error ended it.
    #[error("{standing}: {source}")]
    Unfinished {
        /// How the site stands.
        standing: Standing,
        /// What ended the run.
        source: Box<Error>,
    },
    /// The live site is not what the release says.
    #[error(transparent)]
    NotVerified(#[from] NotVerified),
    /// No such release.
    #[error("{0}")]
    NoSuchRelease(String),
    /// The run was told to stop.
    #[error("interrupted; the journal is kept, and the next run finishes what this one began")]
    Interrupted,
    /// A bug in this program.
    #[error("internal error: {0}. This is a bug")]
    Internal(String),
}

/// How a site stands after a run that had written and did not finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The run changed nothing that visitors see. What is live, if anything is.
    AsBefore(Option<NamedRelease>),
    /// Entry files were being replaced.
    Switching {
        /// What was live before, if anything was.
        from: Option<NamedRelease>,
        /// What was to be live.
        to: Option<NamedRelease>,
    },
    /// The release is live; what follows the switch is not done.
    Switched(Option<NamedRelease>),
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |release: &Option<NamedRelease>| match release {
            Some(release) => format!("version {} (release {})", release.version, release.release),
            None => "no release".to_owned(),
        };
        match self {
            Self::AsBefore(live) => write!(f, "{} is live, as before", name(live)),
            Self::Switching { from, to } => {
                write!(f, "{} is live in part, and {} in the rest: the switch is not done", name(to), name(from))
            }
            Self::Switched(live) => write!(f, "{} is live, and not finished", name(live)),
        }
    }
}

/// Why a run stopped for the site's safety, before anything visible was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Objects that no release recorded stand where files of the site must go.
    #[error("{} object(s) in the bucket that no release recorded differ from the site's files of the same name: {}. To archive and replace them, adopt them (`take`); to keep them, change the prefix or remove these files from the site", keys.len(), listing(keys))]
    Foreign {
        /// Their keys, relative to the prefix.
        keys: Vec<String>,
    },
    /// The site has far fewer files than the live release.
    #[error("the site has {} files and the live release {}: more are gone than allowed. If that is meant, raise the largest allowed shrinkage for this run", .0.site, .0.live)]
    Shrunk(Shrink),
    /// The store does not check conditions on writes.
    #[error(
        "the store of bucket {bucket} ignores conditional writes (If-Match), so nothing can keep two deployments apart. Use a store that honours them, or state explicitly that this target never has two deployments at once"
    )]
    NoConditionalWrites {
        /// The bucket.
        bucket: String,
    },
    /// A file that must be switched by a copy is larger than S3 copies.
    #[error(
        "{key} is larger than 5 GiB and has no content hash in its name: S3 cannot switch such an object in one request. Give it a fingerprinted name"
    )]
    TooLargeToSwitch {
        /// Its key.
        key: String,
    },
    /// The build itself is at fault.
    #[error("the build is broken, so nothing was written:\n{}", crate::site::report(findings, *shown).join("\n"))]
    Preflight {
        /// What was found, in the order in which people should read it.
        findings: Vec<crate::site::Finding>,
        /// How many lines of each kind the message shows.
        shown: usize,
    },
    /// A deployment or rollback is half done.
    #[error("a deployment or rollback of this target is not finished: run it again, or roll back, before pruning")]
    Unfinished,
    /// Another target lies where files of the site must go.
    #[error(
        "{key}{} of the site would go where another target lies, at {prefix} within this one. Leave these files out of this site, or deploy them to that target", if *.more == 0 { String::new() } else { format!(" and {more} other file(s)") }
    )]
    NestedTarget {
        /// The place of that target, relative to this one.
        prefix: String,
        /// The first of the files.
        key: String,
        /// How many more there are.
        more: usize,
    },
    /// The target is another environment's.
    #[error(
        "this run deploys to environment {wanted:?}, and the live release of this target was deployed to {live:?}. Check which bucket and prefix are meant; to take the target over, allow the change of environment for one run"
    )]
    OtherEnvironment {
        /// The environment of this run.
        wanted: String,
        /// The environment of the live release.
        live: String,
    },
    /// A release to go back to lacks files.
    #[error("{release} cannot be restored: {key}{} missing from the bucket. Deploy a build of that version again", if *more == 0 { " is".to_owned() } else { format!(" and {more} more are") })]
    Incomplete {
        /// The release.
        release: String,
        /// The first missing object.
        key: String,
        /// How many more are missing.
        more: usize,
    },
}

/// Why a release may not take another's place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// The live release is newer.
    #[error(
        "{new} is older than the live release {live} (by {by}): not deployed. To deploy it all the same, allow older releases or use rollback"
    )]
    Older {
        /// What was to be deployed.
        new: String,
        /// What is live.
        live: String,
        /// By which number.
        by: &'static str,
    },
    /// A version names several releases, and only one may be meant.
    #[error(
        "version {version} is that of {} releases on record ({}), so nothing was changed: give the id of one, or the execution that deployed it", ids.len(), ids.join(", ")
    )]
    Ambiguous {
        /// The version.
        version: String,
        /// The releases' ids.
        ids: Vec<String>,
    },
    /// A rollback took it down, and this is the same release again.
    #[error(
        "{new} was rolled back on this target: a mere retry does not make it live again. Deploy a new build, or allow older releases"
    )]
    RolledBack {
        /// What was to be deployed.
        new: String,
    },
}

/// What was seen of the live site, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{release} {}{}{}. Seen: {}", what(*.fault), .rolled_back_to.as_ref().map(|r| format!(". Rolled back: {r} is live again")).unwrap_or_default(), .rollback_failed.as_ref().map(|why| format!(". It is still live, since going back failed: {why}")).unwrap_or_default(), observed(.observations))]
pub struct NotVerified {
    /// The release that was deployed.
    pub release: NamedRelease,
    /// What counted. Only [`Fault::Wrong`] is evidence against the release, and leads to a rollback.
    pub fault: Fault,
    /// What was seen, by URL.
    pub observations: Vec<Observation>,
    /// The release that is live again; `None` where the deployed one stays live.
    pub rolled_back_to: Option<NamedRelease>,
    /// Why the release before could not be made live again, where that was tried.
    pub rollback_failed: Option<String>,
}

fn what(fault: Fault) -> &'static str {
    match fault {
        Fault::Wrong => "is not what is served",
        Fault::Stale => {
            "is live, and the edge still serves the release before it; `deploy invalidate --all` clears its cache"
        }
        Fault::StateAreaReadable => "is live, and the state area can be read by anybody",
        Fault::Unreachable => "could not be looked at",
        Fault::Unseen => "could not be looked at in all its parts",
    }
}

fn observed(observations: &[Observation]) -> String {
    const SHOWN: usize = 5;
    let text = observations.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match observations.len().checked_sub(SHOWN) {
        None | Some(0) => text,
        Some(more) => format!("{text}; and {more} more"),
    }
}

fn listing(keys: &[String]) -> String {
    const SHOWN: usize = 10;
    let text = keys.iter().take(SHOWN).map(|k| format!("{k:?}")).collect::<Vec<_>>().join(", ");
    match keys.len().checked_sub(SHOWN) {
        None | Some(0) => text,
        Some(more) => format!("{text} and {more} more"),
    }
}

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// A bug in this program.
    Bug,
    /// The input or the configuration is wrong.
    Usage,
    /// The credentials or the permissions do not suffice.
    NotPermitted,
    /// Another release is in the way; no retry cures that.
    Conflict,
    /// It may work later.
    Transient,
    /// Stopped for safety before anything visible changed.
    Refused,
    /// Begun and not finished, most of all live already, and no retry cures it. The message says what is live.
    Unfinished,
    /// The live site is not what was deployed, or could not be looked at.
    Verification,
    /// Told to stop.
    Interrupted,
}

impl ErrorClass {
    /// The exit code of a program that ends for this: one for each class, so that a Job's policy can tell them apart. Of
    /// [`ErrorClass::Interrupted`] it is that of SIGINT; who knows the signal says 128 and its number, as shells do.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Bug => 1,
            Self::Usage => 2,
            Self::NotPermitted => 3,
            Self::Conflict => 4,
            Self::Transient => 5,
            Self::Verification => 6,
            Self::Refused => 7,
            Self::Unfinished => 8,
            Self::Interrupted => 130,
        }
    }

    /// Its name where a result is written as JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bug => "bug",
            Self::Usage => "usage",
            Self::NotPermitted => "not-permitted",
            Self::Conflict => "conflict",
            Self::Transient => "transient",
            Self::Verification => "verification",
            Self::Refused => "refused",
            Self::Unfinished => "unfinished",
            Self::Interrupted => "interrupted",
        }
    }
}

fn cdn_class(error: &CdnError) -> ErrorClass {
    match error.kind {
        CdnErrorKind::NoSuchDistribution | CdnErrorKind::Invalid => ErrorClass::Usage,
        CdnErrorKind::Denied | CdnErrorKind::Credentials | CdnErrorKind::WrongClock => ErrorClass::NotPermitted,
        CdnErrorKind::ReferenceReused
        | CdnErrorKind::TooManyInProgress
        | CdnErrorKind::Throttled
        | CdnErrorKind::Transient => ErrorClass::Transient,
    }
}

impl Error {
    /// What went wrong, however the site stands after it.
    pub fn cause(&self) -> &Self {
        match self {
            Self::Unfinished { source, .. } => source.cause(),
            other => other,
        }
    }

    /// Its class.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Scan(_)
            | Self::Read { .. }
            | Self::NotAsCut { .. }
            | Self::State(_)
            | Self::NoDistribution
            | Self::InvalidPath { .. }
            | Self::NoSuchRelease(_) => ErrorClass::Usage,
            Self::Bucket(error) => match error.kind {
                BucketErrorKind::NoSuchBucket | BucketErrorKind::WrongRegion | BucketErrorKind::Invalid => {
                    ErrorClass::Usage
                }
                BucketErrorKind::Denied | BucketErrorKind::Credentials | BucketErrorKind::WrongClock => {
                    ErrorClass::NotPermitted
                }
                BucketErrorKind::NotFound
                | BucketErrorKind::PreconditionFailed
                | BucketErrorKind::ContentMismatch
                | BucketErrorKind::Throttled
                | BucketErrorKind::LateCredentials
                | BucketErrorKind::Transient => ErrorClass::Transient,
            },
            Self::Cdn(error) => cdn_class(error),
            // What does not exist comes first: rights to it say nothing.
            Self::Distributions(errors) => {
                errors.iter().map(cdn_class).min_by_key(|class| class.exit_code()).unwrap_or(ErrorClass::Bug)
            }
            Self::Refused(_) => ErrorClass::Refused,
            Self::Conflict(_) => ErrorClass::Conflict,
            Self::Busy { .. }
            | Self::LeaseLost { .. }
            | Self::Unsettled { .. }
            | Self::SourceChanged { .. }
            | Self::InvalidationTimeout { .. } => ErrorClass::Transient,
            Self::Unfinished { standing, source } => {
                let class = source.class();
                let may_pass =
                    matches!(class, ErrorClass::Transient | ErrorClass::Interrupted | ErrorClass::Verification);
                let changed_nothing = matches!(standing, Standing::AsBefore(_));
                // Who sees "usage" takes it that nothing was written.
                let says_enough = may_pass || changed_nothing && class != ErrorClass::Usage;
                if says_enough { class } else { ErrorClass::Unfinished }
            }
            Self::NotVerified(_) => ErrorClass::Verification,
            Self::Interrupted => ErrorClass::Interrupted,
            Self::Internal(_) => ErrorClass::Bug,
        }
    }
}
