//! What every step of a run needs.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use tokio::time::Instant;

use super::listing::Scope;
use super::options::Options;
use super::recorder::Recorder;
use super::store::StateStore;
use crate::bucket::Resilient;
use crate::cdn::Cdn;
use crate::error::Error;
use crate::progress::{Event, Progress, Step};
use crate::state::{Current, Target};

/// One target, how to reach it, and what a run was told. Steps are functions of it; it knows none of them.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) target: Target,
    pub(super) bucket: Arc<Resilient>,
    pub(super) store: StateStore,
    pub(super) cdn: Arc<dyn Cdn>,
    pub(super) options: Options,
    pub(super) recorder: Arc<Recorder>,
}

impl Context {
    /// The same target for one run, with a record of its own.
    pub(super) fn for_one_run(&self) -> Self {
        let recorder = Arc::new(Recorder::new(self.bucket.counts(), Arc::clone(&self.options.progress)));
        let options = Options { progress: Arc::clone(&recorder) as Arc<dyn Progress>, ..self.options.clone() };
        Self { options, recorder, ..self.clone() }
    }

    /// The time, in whole seconds as the state has it.
    pub(super) fn now(&self) -> Timestamp {
        let now = (self.options.clock)();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    /// The full key of a file of the site.
    pub(super) fn key(&self, relative: &str) -> String {
        format!("{}{relative}", self.target.prefix)
    }

    /// The keys of the site: those under the prefix that are not the state's.
    pub(super) fn scope(&self) -> Scope<'_> {
        let area = &self.store.area;
        Scope { prefix: &self.target.prefix, skip: area.in_target.then_some(area.root.as_str()) }
    }

    /// How many requests a step has in flight.
    pub(super) fn at_once(&self) -> usize {
        self.options.retry.concurrency.max(1)
    }

    /// Does `work` for each index below `count`, side by side; gives the results in no order. (Of indices, since with
    /// references the compiler cannot tell that the future is [`Send`]: rust-lang/rust#102211.)
    pub(super) async fn each<T, F>(&self, count: usize, work: impl Fn(usize) -> F) -> Result<Vec<T>, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        stream::iter(0..count).map(work).buffer_unordered(self.at_once()).try_collect().await
    }

    pub(super) fn tell(&self, event: &Event) {
        self.options.progress.event(event);
    }

    pub(super) fn warn(&self, message: impl Into<String>) {
        self.tell(&Event::Warning { message: message.into() });
    }

    /// This run's environment and that of the live release, where both have a name and they differ.
    pub(super) fn other_environment(&self, current: &Current) -> Option<(String, String)> {
        let wanted = self.options.environment.clone()?;
        let live = current.live_release()?.environment.clone()?;
        (wanted != live).then_some((wanted, live))
    }

    /// Warns where the target is not what this run's configuration lets expect.
    pub(super) fn warn_of_mismatch(&self, current: &Current) {
        self.warn_of_missing_distributions(current);
        if let Some((wanted, live)) = self.other_environment(current) {
            self.warn(format!(
                "this run is for environment {wanted:?}, and the live release was deployed to {live:?}: check which target is meant"
            ));
        }
    }

    /// Warns where earlier releases were invalidated, and this run has no distribution.
    pub(super) fn warn_of_missing_distributions(&self, current: &Current) {
        let known = &current.edges.distributions;
        if self.options.distributions.is_empty() && !known.is_empty() {
            let ids = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            self.warn(format!(
                "no distribution is configured, and earlier releases were invalidated at {ids}: its edges may go on serving an earlier release, until a run with a distribution invalidates what is pending"
            ));
        }
    }

    /// Runs a step, telling when it begins and ends.
    pub(super) async fn step<T>(
        &self,
        step: Step,
        objects: u64,
        bytes: u64,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.tell(&Event::StepStarted { step, objects, bytes });
        let started = std::time::Instant::now();
        let done = work.await?;
        self.tell(&Event::StepFinished { step, elapsed: started.elapsed() });
        Ok(done)
    }

    /// Does the work; says from time to time that the store fails, where it does: requests may be tried
    /// again for minutes, and nobody should have to guess why nothing happens.
    pub(super) async fn telling_of_failures<T>(&self, work: impl Future<Output = T>) -> T {
        const FIRST: Duration = Duration::from_secs(3);
        const TELL_EVERY: Duration = Duration::from_secs(15);
        let counts = self.bucket.counts();
        let mut known = (counts.retries(), self.recorder.told());
        let mut ticks = tokio::time::interval_at(Instant::now() + FIRST, TELL_EVERY);
        let mut work = Box::pin(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = ticks.tick() => {
                    let retries = counts.retries();
                    // Also a single attempt may take long: as long as nothing else is told, that is still what there is to tell.
                    let is_news = retries > known.0 || retries > 0 && self.recorder.told() == known.1;
                    if let Some(failure) = counts.last_failure().filter(|_| is_news) {
                        self.tell(&Event::Retrying { failure, retries });
                    }
                    known = (retries, self.recorder.told());
                }
            }
        }
    }
}
