//! What a run did, for people and machines.

use std::collections::BTreeMap;

use serde::Serialize;

pub use crate::plan::Tally;
use crate::progress::Step;
use crate::state::NamedRelease;
use crate::verify::Verdict;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The release is live and its invalidations are complete.
    Deployed,
    /// It was so already; nothing was written.
    Unchanged,
    /// An earlier release is live again and its invalidations are complete.
    RolledBack,
    /// What no kept release needs was deleted.
    Pruned,
    /// Nothing changed, and edges were told to forget.
    Invalidated,
}

/// What a look at the live site after the switch came to, where nothing spoke against the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Files of the release that were looked at.
    pub looked_at: u64,
    /// Files of the release.
    pub files: u64,
    /// URLs that are as the release says.
    pub right: u64,
    /// URLs of which nothing could be seen.
    pub unseen: u64,
    /// Things that deserve a look.
    pub remarks: u64,
    /// Whether anybody can read the state area.
    pub state_area_readable: bool,
}

impl From<&Verdict> for Seen {
    fn from(verdict: &Verdict) -> Self {
        Self {
            looked_at: verdict.looked_at,
            files: verdict.files,
            right: verdict.right,
            unseen: verdict.unseen.len() as u64,
            remarks: verdict.remarks.len() as u64,
            state_area_readable: verdict.state_area_readable.is_some(),
        }
    }
}

/// A completed invalidation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvalidationReport {
    /// The distribution.
    pub distribution: String,
    /// The invalidation's id.
    pub id: String,
    /// What it covered.
    pub paths: Vec<String>,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How it ended.
    pub result: Outcome,
    /// The release that is live now; `None` if none is, where there was nothing to do.
    #[serde(flatten)]
    pub live: Option<NamedRelease>,
    /// Its build number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<u64>,
    /// The release that was live before, if another one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Files of the site that were written.
    pub uploaded: Tally,
    /// Files that were there already.
    pub unchanged: Tally,
    /// Files that were deleted.
    pub deleted: Tally,
    /// Objects under the prefix that no release knows. They are never touched.
    pub foreign: u64,
    /// Requests sent, by API operation, repeated ones included.
    pub requests: BTreeMap<&'static str, u64>,
    /// How many of these requests, to S3, were repetitions of failed ones.
    pub retries: u64,
    /// How many of these requests the store answered with the wish to slow down.
    pub throttled: u64,
    /// Invalidations that completed.
    pub invalidations: Vec<InvalidationReport>,
    /// What was seen of the live site; `None` where it was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// Seconds per step.
    pub seconds: BTreeMap<Step, f64>,
    /// What the reader should know.
    pub warnings: Vec<String>,
}
