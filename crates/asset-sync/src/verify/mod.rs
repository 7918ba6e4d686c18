//! Looking at the live site as a visitor does, through its CDN.
//!
//! Only positive evidence counts against a release: a listed file that is answered with other
//! content, another type or "not found", while the site itself can be reached. A site that cannot
//! be reached, or asks for a login, tells nothing about the release.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use crate::state::Manifest;

#[cfg(feature = "verify")]
mod answer;
#[cfg(feature = "verify")]
mod http;

#[cfg(feature = "verify")]
pub use http::{HttpVerifier, InvalidVerifier, VerifierOptions};

/// One thing found by looking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Observation {
    /// The URL.
    pub url: String,
    /// What was seen there, and what should have been, in a sentence.
    pub what: String,
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.what)
    }
}

/// What was seen of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// URLs that were fetched and are as the release says.
    pub right: u64,
    /// Positive evidence against the release.
    pub wrong: Vec<Observation>,
    /// What could not be seen: no connection, a login, an error of the edge.
    pub unseen: Vec<Observation>,
    /// Right content with something about it that deserves a look, such as a header that the CDN
    /// replaces, or a state area that anybody can read.
    pub remarks: Vec<Observation>,
}

/// Looks at the live site.
#[async_trait]
pub trait Verifier: Send + Sync {
    /// Compares what is served with what `manifest` lists. `state_path` is the site-relative path
    /// of an object of the state area, where that lies within the site: nobody should be able to
    /// fetch it.
    async fn verify(&self, manifest: &Manifest, state_path: Option<&str>) -> Verdict;
}

/// What to do when the live site shows positive evidence against the release just deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// Make the release that was live before live again.
    #[default]
    RollBack,
    /// Leave the new release live.
    Keep,
}
