//! Why a command failed, by meaning.

use std::io;
use std::path::PathBuf;

use asset_sync::ErrorClass;
use asset_sync::site::{RulesError, ScanError};
use deploy_config::Problems;

use crate::identity::Identity;
use crate::reference::{ParseError, Reference};
use crate::registry::{RegistryError, RegistryErrorKind};
use crate::version::VersionError;

/// A command that did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// A name on the command line is none.
    #[error(transparent)]
    Name(#[from] ParseError),
    /// The version cannot be told.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The site cannot be published as it is on disk.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The file of rules is wrong.
    #[error("{}: {source}", path.display())]
    Rules {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: RulesError,
    },
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the site is not what it was a moment ago.
    #[error("{}: changed while it was packed: run again once the build has finished", path.display())]
    SiteChanged {
        /// The file.
        path: PathBuf,
    },
    /// A registry did not do what it was asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// There is no such image.
    #[error("{0}: there is no such image, or this login may not see it")]
    NoSuchImage(Reference),
    /// An image that cannot be worked with.
    #[error("{image}: {reason}")]
    UnusableImage {
        /// The image.
        image: Reference,
        /// Why.
        reason: String,
    },
    /// The tag is another image's.
    #[error(transparent)]
    Taken(Box<Taken>),
    /// Another run moved the tag right after this one had set it.
    #[error(
        "{image} was moved by another run while this one was tagging it: it now names {now}, and not {digest}. One version was cut from two builds at once: find out which is meant, and give the other a version of its own"
    )]
    Moved {
        /// The image.
        image: Reference,
        /// The digest this run pushed.
        digest: crate::reference::Digest,
        /// The digest it has now.
        now: String,
    },
    /// The registry lost what it said it had stored.
    #[error("{0} was pushed, and cannot be pulled: the registry does not keep what it accepted. Nothing was tagged")]
    Lost(String),
    /// A bug in this program.
    #[error("internal error: {0}. This is a bug")]
    Internal(String),
}

/// A tag that is another image's.
#[derive(Debug, thiserror::Error)]
#[error("{image} exists and is another image: nothing was changed. There: {}. Here: {here}. Give this build a version of its own{}",
    .there.as_ref().map_or_else(|| "not made by image-tagger".to_owned(), ToString::to_string),
    Differing(.differing))]
pub struct Taken {
    /// The image that exists.
    pub image: Reference,
    /// What it is; none where it does not say.
    pub there: Option<Identity>,
    /// What was to be tagged.
    pub here: String,
    /// What differs.
    pub differing: Vec<&'static str>,
}

struct Differing<'a>(&'a [&'static str]);

impl std::fmt::Display for Differing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (differing: {})", self.0.join(", ")) }
    }
}

impl Error {
    /// Its class, the same as `deploy`'s: the exit code tells what can be done about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Configuration(_)
            | Self::Name(_)
            | Self::Version(_)
            | Self::Scan(_)
            | Self::Rules { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::SiteChanged { .. }
            | Self::NoSuchImage(_)
            | Self::UnusableImage { .. } => ErrorClass::Usage,
            Self::Taken(_) | Self::Moved { .. } => ErrorClass::Conflict,
            Self::Lost(_) => ErrorClass::Transient,
            Self::Registry(error) => match error.kind {
                RegistryErrorKind::Denied | RegistryErrorKind::Credentials => ErrorClass::NotPermitted,
                RegistryErrorKind::Unsafe => ErrorClass::Refused,
                RegistryErrorKind::NotFound | RegistryErrorKind::Rejected => ErrorClass::Usage,
                RegistryErrorKind::Throttled | RegistryErrorKind::Transient | RegistryErrorKind::Corrupt => {
                    ErrorClass::Transient
                }
            },
            Self::Internal(_) => ErrorClass::Bug,
        }
    }
}
