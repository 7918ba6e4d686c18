//! Looking at the live site as a visitor does, through its CDN.
//!
//! Only positive evidence counts against a release: a page of it was served right, and a file of it is
//! answered at its own address with other content, another type or "not found", while that page is
//! still served. Whatever something in front of the site can cause tells nothing about the release.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::state::{Manifest, ReleaseFile};

#[cfg(feature = "verify")]
mod answer;
#[cfg(feature = "verify")]
mod evidence;
#[cfg(feature = "verify")]
mod http;
#[cfg(feature = "verify")]
mod run;
#[cfg(feature = "verify")]
mod selection;

#[cfg(feature = "verify")]
pub use http::{HttpVerifier, InvalidVerifier, VerifierOptions};

/// One thing found by looking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The URL.
    pub url: String,
    /// What was seen there, and what should have been, in a sentence.
    pub what: String,
}

impl Observation {
    /// The same, cut to what a record of it may take.
    pub(crate) fn shortened(&self) -> Self {
        const LONGEST: usize = 300;
        let cut = |text: &String| text.chars().take(LONGEST).collect();
        Self { url: cut(&self.url), what: cut(&self.what) }
    }
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
    /// Files that were looked at.
    pub looked_at: u64,
    /// Files of the release.
    pub files: u64,
    /// Positive evidence against the release.
    pub wrong: Vec<Observation>,
    /// Where the release before is served: an edge that did not take notice of its invalidation.
    pub stale: Vec<Observation>,
    /// What could not be seen: no connection, a login, an error of the edge.
    pub unseen: Vec<Observation>,
    /// What deserves a look and is no fault, such as a header that the CDN replaces, or a page that is
    /// rewritten on the way.
    pub remarks: Vec<Observation>,
    /// An object of the state area that could be fetched like a page. A mistake of the set-up, and
    /// no evidence against the release: another one would be served no better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_area_readable: Option<Observation>,
}

/// What of a [`Verdict`] speaks loudest. The order of the variants is the order in which they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Something else than the release is served: the only one that speaks against the release.
    Wrong,
    /// The release before is still served. Another release would be served no better.
    Stale,
    /// Anybody can read the state area.
    StateAreaReadable,
    /// Nothing of the site could be seen.
    Unreachable,
    /// A part of the site could not be seen.
    Unseen,
}

impl Verdict {
    /// What speaks loudest; nothing where all that was looked at is as it should be.
    pub fn fault(&self) -> Option<Fault> {
        if !self.wrong.is_empty() {
            Some(Fault::Wrong)
        } else if !self.stale.is_empty() {
            Some(Fault::Stale)
        } else if self.state_area_readable.is_some() {
            Some(Fault::StateAreaReadable)
        } else if self.unseen.is_empty() {
            None
        } else if self.right == 0 {
            Some(Fault::Unreachable)
        } else {
            Some(Fault::Unseen)
        }
    }

    /// The observations that [`fault`](Self::fault) is about.
    pub fn evidence(&self) -> Vec<Observation> {
        match self.fault() {
            Some(Fault::Wrong) => self.wrong.clone(),
            Some(Fault::Stale) => self.stale.clone(),
            Some(Fault::StateAreaReadable) => self.state_area_readable.iter().cloned().collect(),
            Some(Fault::Unreachable | Fault::Unseen) => self.unseen.clone(),
            None => Vec::new(),
        }
    }
}

/// What should be served, and what an answer that differs is compared with.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The files of the release that should be served.
    pub manifest: &'a Manifest,
    /// The entry files of the release that was live before, where there is one with other content.
    pub previous: Option<&'a Manifest>,
    /// The site-relative path of an object of the state area, where that lies within the site: nobody
    /// should be able to fetch it.
    pub state_path: Option<&'a str>,
    /// Reads pages of the release, to compare their references with those of a page that differs.
    pub contents: Option<&'a dyn Contents>,
}

impl fmt::Debug for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected").field("state_path", &self.state_path).finish_non_exhaustive()
    }
}

/// Reads the stored bytes of files of the release.
#[async_trait]
pub trait Contents: Send + Sync {
    /// The bytes of an entry file as they are stored; `None` if they cannot be read.
    async fn read(&self, file: &ReleaseFile) -> Option<Bytes>;
}

/// Looks at the live site.
#[async_trait]
pub trait Verifier: Send + Sync {
    /// Compares what is served with what is expected.
    async fn verify(&self, expected: Expected<'_>) -> Verdict;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(right: u64, wrong: usize, stale: usize, unseen: usize, exposed: usize) -> Verdict {
        let some = |n, what: &str| vec![Observation { url: "https://x/".into(), what: what.into() }; n];
        Verdict {
            right,
            wrong: some(wrong, "wrong"),
            stale: some(stale, "stale"),
            unseen: some(unseen, "unseen"),
            remarks: some(2, "remark"),
            state_area_readable: some(exposed, "exposed").pop(),
            ..Verdict::default()
        }
    }

    #[test]
    fn the_loudest_fault_is_told_with_its_evidence() {
        let cases = [
            (seen(3, 0, 0, 0, 0), None, ""),
            (seen(3, 0, 0, 1, 0), Some(Fault::Unseen), "unseen"),
            (seen(0, 0, 0, 1, 0), Some(Fault::Unreachable), "unseen"),
            (seen(3, 0, 0, 1, 1), Some(Fault::StateAreaReadable), "exposed"),
            (seen(0, 0, 1, 1, 1), Some(Fault::Stale), "stale"),
            (seen(3, 1, 1, 1, 1), Some(Fault::Wrong), "wrong"),
        ];
        for (verdict, fault, what) in cases {
            assert_eq!(verdict.fault(), fault, "{verdict:?}");
            let evidence = verdict.evidence();
            assert_eq!(evidence.first().map_or("", |o| o.what.as_str()), what, "{verdict:?}");
            assert_eq!(evidence.is_empty(), fault.is_none());
        }
    }
}
