//! Invalidations of one distribution, and CloudFront's limits on them.

use std::time::{Duration, SystemTime};

use crate::edge::{Cache, Pattern};

/// CloudFront quotas: paths in progress at once per distribution, wildcards not counted.
const MAX_PATHS_IN_PROGRESS: usize = 3_000;
/// CloudFront quotas: wildcard paths in progress at once per distribution.
const MAX_WILDCARDS_IN_PROGRESS: usize = 15;

/// An invalidation as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// The id CloudFront gave it.
    pub id: String,
    /// The reference its creator gave it.
    pub caller_reference: String,
    /// Its paths as they were sent.
    pub paths: Vec<String>,
    /// When it was created.
    pub created: SystemTime,
    /// Whether every edge has it; else it is in progress.
    pub completed: bool,
}

/// When invalidations complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// So many `GetInvalidation` requests are answered with `InProgress` first; the next one after
    /// `after` completes it. With 0 it completes by time alone, seen by whoever looks next.
    pub polls: u32,
    /// So much time passes first, by the stand-ins' clock; [`Duration::MAX`] for never.
    pub after: Duration,
}

impl Default for Completion {
    /// In progress when first asked about, completed at the second time.
    fn default() -> Self {
        Self { polls: 1, after: Duration::ZERO }
    }
}

impl Completion {
    /// In progress for ever.
    pub fn never() -> Self {
        Self { polls: 0, after: Duration::MAX }
    }
}

/// Why an invalidation was not created.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A path is malformed.
    InvalidPath(String),
    /// The reference was used with other paths.
    BatchAlreadyExists,
    /// Too many paths would be in progress.
    TooManyPaths,
    /// Too many wildcards would be in progress.
    TooManyWildcards,
}

#[derive(Debug, Default)]
pub(crate) struct Invalidations {
    pub(crate) completion: Completion,
    all: Vec<Tracked>,
}

#[derive(Debug)]
struct Tracked {
    invalidation: Invalidation,
    patterns: Vec<Pattern>,
    polls: u32,
}

impl Invalidations {
    pub(crate) fn new(completion: Completion) -> Self {
        Self { completion, all: Vec::new() }
    }

    /// Newest first, as CloudFront lists them.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Invalidation> {
        self.all.iter().rev().map(|tracked| &tracked.invalidation)
    }

    pub(crate) fn create(
        &mut self,
        caller_reference: String,
        paths: Vec<String>,
        now: SystemTime,
    ) -> Result<Invalidation, Refusal> {
        let same = self
            .all
            .iter()
            .map(|tracked| &tracked.invalidation)
            .find(|invalidation| invalidation.caller_reference == caller_reference);
        if let Some(first) = same {
            return if first.paths == paths { Ok(first.clone()) } else { Err(Refusal::BatchAlreadyExists) };
        }
        let patterns: Vec<Pattern> =
            paths.iter().map(|path| Pattern::parse(path).map_err(Refusal::InvalidPath)).collect::<Result<_, _>>()?;
        let in_progress =
            self.all.iter().filter(|tracked| !tracked.invalidation.completed).flat_map(|tracked| &tracked.patterns);
        let (wildcards, exact): (Vec<_>, Vec<_>) = in_progress.chain(&patterns).partition(|p| p.is_wildcard());
        if wildcards.len() > MAX_WILDCARDS_IN_PROGRESS {
            return Err(Refusal::TooManyWildcards);
        }
        if exact.len() > MAX_PATHS_IN_PROGRESS {
            return Err(Refusal::TooManyPaths);
        }
        let id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
        let invalidation =
            Invalidation { id: format!("I{}", &id[..13]), caller_reference, paths, created: now, completed: false };
        self.all.push(Tracked { invalidation: invalidation.clone(), patterns, polls: 0 });
        Ok(invalidation)
    }

    /// The invalidation as a `GetInvalidation` request sees it. The request counts, and completes
    /// it if enough were answered before and it is old enough.
    pub(crate) fn poll(&mut self, id: &str, now: SystemTime, cache: &mut Cache) -> Option<Invalidation> {
        let completion = self.completion;
        let tracked = self.all.iter_mut().find(|t| t.invalidation.id == id)?;
        if tracked.polls >= completion.polls {
            tracked.complete_if_old_enough(completion, now, cache);
        }
        tracked.polls = tracked.polls.saturating_add(1);
        Some(tracked.invalidation.clone())
    }

    /// Completes those that need no request for it and are old enough.
    pub(crate) fn complete_due(&mut self, now: SystemTime, cache: &mut Cache) {
        let completion = self.completion;
        if completion.polls == 0 {
            for tracked in &mut self.all {
                tracked.complete_if_old_enough(completion, now, cache);
            }
        }
    }
}

impl Tracked {
    fn complete_if_old_enough(&mut self, completion: Completion, now: SystemTime, cache: &mut Cache) {
        let due = self.invalidation.created.checked_add(completion.after);
        if !self.invalidation.completed && due.is_some_and(|due| due <= now) {
            self.invalidation.completed = true;
            cache.invalidate(&self.patterns);
        }
    }
}
