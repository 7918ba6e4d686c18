//! A CDN in memory with the semantics of CloudFront, for tests of programs that use this crate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Cdn, CdnError, CdnErrorKind, InvalidationStatus};

/// CloudFront limits: paths without a wildcard in progress at once, per distribution.
const MAX_PATHS: usize = 3_000;
/// CloudFront limits: paths with a wildcard in progress at once, per distribution.
const MAX_WILDCARDS: usize = 15;

/// A request to a [`MemoryCdn`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryCdnCall {
    /// Its place in the sequence of requests, from 1.
    pub number: u64,
    /// `CreateInvalidation` or `GetInvalidation`.
    pub operation: &'static str,
    /// The distribution's id.
    pub distribution: String,
    /// The paths of a `CreateInvalidation`.
    pub paths: Vec<String>,
}

/// How a request to a [`MemoryCdn`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryCdnFault {
    /// The request is answered with this error and has no effect.
    Before(CdnErrorKind),
    /// The request takes effect, and is answered with this error all the same.
    After(CdnErrorKind),
}

/// An invalidation that was made in a [`MemoryCdn`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryInvalidation {
    /// Its id.
    pub id: String,
    /// The distribution's id.
    pub distribution: String,
    /// The reference its maker gave.
    pub caller_reference: String,
    /// What is dropped from the caches.
    pub paths: Vec<String>,
    /// How far it has come.
    pub status: InvalidationStatus,
}

struct Invalidation {
    told: MemoryInvalidation,
    /// How many more polls are answered "in progress".
    polls_left: u32,
}

type FaultHook = Arc<dyn Fn(&MemoryCdnCall) -> Option<MemoryCdnFault> + Send + Sync>;

#[derive(Default)]
struct State {
    /// By distribution, in the order in which they were made.
    distributions: BTreeMap<String, Vec<Invalidation>>,
    polls: u32,
    made: usize,
    calls: Vec<MemoryCdnCall>,
    number: u64,
    hook: Option<FaultHook>,
}

/// A CDN in memory with any number of distributions, for tests.
///
/// As in CloudFront, a new invalidation is in progress; it completes after a number of polls of its
/// status ([`MemoryCdn::set_polls`]). While in progress it counts towards CloudFront's limits.
///
/// Clones share the same content.
#[derive(Clone, Default)]
pub struct MemoryCdn(Arc<Mutex<State>>);

impl fmt::Debug for MemoryCdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCdn").finish_non_exhaustive()
    }
}

impl MemoryCdn {
    /// A CDN without distributions, whose invalidations are complete at the first poll.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a distribution; one of that id stays as it is.
    pub fn create_distribution(&self, id: &str) {
        self.state().distributions.entry(id.to_owned()).or_default();
    }

    /// How many polls of each invalidation made from now on are answered "in progress".
    pub fn set_polls(&self, polls: u32) {
        self.state().polls = polls;
    }

    /// Asks `hook` at every request from now on whether and how it fails. It must not call the CDN.
    pub fn on_call(&self, hook: impl Fn(&MemoryCdnCall) -> Option<MemoryCdnFault> + Send + Sync + 'static) {
        self.state().hook = Some(Arc::new(hook));
    }

    /// No more faults.
    pub fn clear_faults(&self) {
        self.state().hook = None;
    }

    /// The requests so far, in order.
    pub fn calls(&self) -> Vec<MemoryCdnCall> {
        self.state().calls.clone()
    }

    /// The invalidations of a distribution in the order in which they were made. Not a request.
    pub fn invalidations(&self, distribution: &str) -> Vec<MemoryInvalidation> {
        self.state()
            .distributions
            .get(distribution)
            .map(|invalidations| invalidations.iter().map(|invalidation| invalidation.told.clone()).collect())
            .unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the request, lets the fault hook refuse it or lose its answer, and has its effect.
    async fn call<T>(
        &self,
        operation: &'static str,
        distribution: &str,
        paths: &[String],
        effect: impl FnOnce(&mut State) -> Result<T, (CdnErrorKind, &'static str)> + Send,
    ) -> Result<T, CdnError> {
        tokio::task::yield_now().await;
        let error = |kind, message: &str| CdnError {
            kind,
            operation,
            distribution: distribution.to_owned(),
            message: message.to_owned(),
            request_id: None,
            source: None,
        };
        let (call, hook) = {
            let mut state = self.state();
            state.number += 1;
            let (number, distribution, paths) = (state.number, distribution.to_owned(), paths.to_vec());
            let call = MemoryCdnCall { number, operation, distribution, paths };
            state.calls.push(call.clone());
            (call, state.hook.clone())
        };
        let fault = hook.and_then(|hook| hook(&call));
        if let Some(MemoryCdnFault::Before(kind)) = fault {
            return Err(error(kind, "fault before the effect"));
        }
        let outcome = effect(&mut self.state());
        match (outcome, fault) {
            (Err((kind, message)), _) => Err(error(kind, message)),
            (Ok(_), Some(MemoryCdnFault::After(kind))) => Err(error(kind, "fault after the effect")),
            (Ok(value), _) => Ok(value),
        }
    }
}

/// The refusal CloudFront gives for paths it does not understand.
fn check_paths(paths: &[String]) -> Result<(), (CdnErrorKind, &'static str)> {
    if paths.is_empty() {
        return Err((CdnErrorKind::Invalid, "InvalidArgument: no paths"));
    }
    if paths.iter().any(|path| !path.starts_with('/')) {
        return Err((CdnErrorKind::Invalid, "InvalidArgument: a path does not start with a slash"));
    }
    if paths.iter().any(|path| path.strip_suffix('*').unwrap_or(path).contains('*')) {
        return Err((CdnErrorKind::Invalid, "InvalidArgument: a wildcard is not at the end of its path"));
    }
    if paths.iter().any(|path| path.contains(['\'', '~', '@', '[', ']', '|', '\\', '^'])) {
        return Err((CdnErrorKind::Invalid, "InvalidArgument: one or more invalid invalidation paths"));
    }
    Ok(())
}

#[async_trait]
impl Cdn for MemoryCdn {
    async fn create_invalidation(
        &self,
        distribution: &str,
        caller_reference: &str,
        paths: &[String],
    ) -> Result<(String, InvalidationStatus), CdnError> {
        self.call("CreateInvalidation", distribution, paths, |state| {
            let State { distributions, polls, made, .. } = state;
            let Some(invalidations) = distributions.get_mut(distribution) else {
                return Err((CdnErrorKind::NoSuchDistribution, "the distribution does not exist"));
            };
            check_paths(paths)?;
            if let Some(Invalidation { told, .. }) =
                invalidations.iter().find(|known| known.told.caller_reference == caller_reference)
            {
                return if told.paths == paths {
                    Ok((told.id.clone(), told.status))
                } else {
                    Err((CdnErrorKind::ReferenceReused, "InvalidationBatchAlreadyExists: other paths"))
                };
            }
            let busy = invalidations.iter().filter(|known| known.told.status == InvalidationStatus::InProgress);
            let all = || busy.clone().flat_map(|known| &known.told.paths).chain(paths);
            let wildcards = all().filter(|path| path.ends_with('*')).count();
            if wildcards > MAX_WILDCARDS || all().count() - wildcards > MAX_PATHS {
                return Err((CdnErrorKind::TooManyInProgress, "TooManyInvalidationsInProgress"));
            }
            *made += 1;
            let told = MemoryInvalidation {
                id: format!("I{made}"),
                distribution: distribution.to_owned(),
                caller_reference: caller_reference.to_owned(),
                paths: paths.to_vec(),
                status: InvalidationStatus::InProgress,
            };
            let answer = (told.id.clone(), told.status);
            invalidations.push(Invalidation { told, polls_left: *polls });
            Ok(answer)
        })
        .await
    }

    async fn invalidation(&self, distribution: &str, id: &str) -> Result<Option<InvalidationStatus>, CdnError> {
        self.call("GetInvalidation", distribution, &[], |state| {
            let Some(invalidations) = state.distributions.get_mut(distribution) else {
                return Err((CdnErrorKind::NoSuchDistribution, "the distribution does not exist"));
            };
            Ok(invalidations.iter_mut().find(|known| known.told.id == id).map(|known| {
                match known.polls_left.checked_sub(1) {
                    Some(left) => known.polls_left = left,
                    None => known.told.status = InvalidationStatus::Completed,
                }
                known.told.status
            }))
        })
        .await
    }
}
