//! Carrying out a plan: the only code that writes.
//!
//! A deployment reads, decides, takes the lease, stages what is new where nothing refers to it,
//! records the invalidation it will owe, switches the entry files in order, lists again to see
//! that all is as it wrote it, invalidates and waits, deletes what no kept release needs, and
//! records the outcome. Each step is recorded in [`Current`](crate::state::Current) before it
//! begins, so that the next run finishes what a dead one began.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::bucket::{Bucket, Resilient};
use crate::cdn::Cdn;
use crate::error::Error;
use crate::site::Site;
use crate::state::{StateArea, Target};
use crate::verify::{Verdict, Verifier};
use context::Context;
use recorder::Recorder;
use snapshot::Snapshot;
use store::StateStore;

mod acquire;
mod adopt;
mod audit;
mod context;
mod decide;
mod delete;
mod diff;
mod distributions;
mod edges;
mod frame;
mod history;
mod inspect;
mod invalidate;
mod lease;
mod listing;
mod look;
mod options;
mod plan_report;
mod prune;
mod publish;
mod recorder;
mod report;
mod restore;
mod retreat;
mod rollback;
mod run;
mod settle;
mod situation;
mod snapshot;
mod stage;
mod status;
mod stop;
mod store;
mod switch;
mod upload;

pub use crate::plan::{IfLive, ReleaseDiff, RollbackTo};
pub use crate::state::{Ended, NamedRelease};
pub use audit::{Audit, Damage, Depth, Difference};
pub use history::{History, PastRelease};
pub use invalidate::Invalidate;
pub use options::{ConditionalWrites, Options, ReleaseInfo};
pub use plan_report::{FingerprintedGroup, PlanReport, PlannedContent, PlannedDelete, PlannedWrite};
pub use report::{InvalidationReport, Outcome, Report, Seen, Tally};
pub use situation::Situation;
pub use status::{LeaseStatus, ReleaseStatus, Status};

/// Deploys sites to one target.
#[derive(Clone)]
pub struct Deployer {
    context: Context,
}

impl fmt::Debug for Deployer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Context { target, store, .. } = &self.context;
        f.debug_struct("Deployer").field("target", target).field("area", &store.area).finish_non_exhaustive()
    }
}

/// A deployment, or the plan of one, that reads the target already: see [`Deployer::begin`].
pub struct Run {
    context: Context,
    reading: AbortOnDropHandle<Result<Snapshot, Error>>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("target", &self.context.target).finish_non_exhaustive()
    }
}

impl Run {
    /// As [`Deployer::plan`], by what has been read since [`Deployer::begin`].
    ///
    /// # Errors
    /// As [`Deployer::plan`].
    pub async fn plan(self, site: &Site, info: &ReleaseInfo) -> Result<PlanReport, Error> {
        let Self { context, reading } = self;
        site.findings.check(context.options.findings_shown)?;
        let work = async {
            let decision = run::decide_by(&context, reading, site, info).await?;
            distributions::look_for_distributions(&context).await?;
            Ok(plan_report::report(&context, &decision, site))
        };
        context.telling_of_failures(Box::pin(work)).await
    }

    /// As [`Deployer::deploy`], by what has been read since [`Deployer::begin`].
    ///
    /// # Errors
    /// As [`Deployer::deploy`].
    pub async fn deploy(self, site: &Site, info: &ReleaseInfo, stop: &CancellationToken) -> Result<Report, Error> {
        let Self { context, reading } = self;
        site.findings.check(context.options.findings_shown)?;
        let work = Box::pin(run::run_deploy(&context, reading, site, info, stop));
        context.telling_of_failures(work).await
    }
}

impl Deployer {
    /// A deployer for `prefix` (empty, or ending in `/`) of `bucket`, whose state is in `area`.
    /// `state` is the bucket of that area where it is not the target's own.
    pub fn new(
        prefix: &str,
        bucket: Arc<dyn Bucket>,
        area: StateArea,
        state: Option<Arc<dyn Bucket>>,
        cdn: Arc<dyn Cdn>,
        options: Options,
    ) -> Self {
        let target = Target { bucket: bucket.name().to_owned(), prefix: prefix.to_owned() };
        let bucket = Arc::new(Resilient::new(bucket, options.retry.clone()));
        let state = match state {
            Some(state) => Arc::new(bucket.alongside(state)),
            None => Arc::clone(&bucket),
        };
        let journal = Arc::new(state.ahead(options.lease / lease::PAUSES_IN_A_LEASE));
        let store = StateStore::new(area, state, journal);
        let recorder = Arc::new(Recorder::new(bucket.counts(), Arc::clone(&options.progress)));
        Self { context: Context { target, bucket, store, cdn, options, recorder } }
    }

    /// Begins to read what the target holds. It goes on in the background while the caller scans the
    /// site; dropping the [`Run`] ends it. Nothing is written before [`Run::deploy`].
    ///
    /// Call it within a tokio runtime.
    pub fn begin(&self) -> Run {
        let context = self.context.for_one_run();
        let reader = context.clone();
        let reading = AbortOnDropHandle::new(tokio::spawn(async move { snapshot::snapshot(&reader).await }));
        Run { context, reading }
    }

    /// What a deployment of `site` would do now. Writes nothing.
    ///
    /// # Errors
    /// As [`Deployer::deploy`], for all that can be known without writing.
    pub async fn plan(&self, site: &Site, info: &ReleaseInfo) -> Result<PlanReport, Error> {
        self.begin().plan(site, info).await
    }

    /// Makes `site` live. Cancelling `stop` ends it soon: unfinished uploads are aborted, the lease
    /// is released, and the journal is kept for the next run.
    ///
    /// # Errors
    /// [`Error`]; see [`Error::class`] for what can be done about each.
    pub async fn deploy(&self, site: &Site, info: &ReleaseInfo, stop: &CancellationToken) -> Result<Report, Error> {
        self.begin().deploy(site, info, stop).await
    }

    /// Makes an earlier (or later) release of the history live again, and looks at it where there is a verifier. With
    /// `if_live`: only if that one is live, or was half switched to; otherwise nothing is done, which is a success.
    ///
    /// # Errors
    /// [`Error::NoSuchRelease`] if there is none to go to; [`Conflict::Ambiguous`](crate::error::Conflict::Ambiguous) if
    /// `if_live` names several; [`Error::NotVerified`] if the restored release is not what is served; else as
    /// [`Deployer::deploy`].
    pub async fn rollback(
        &self,
        to: &RollbackTo,
        if_live: Option<&IfLive>,
        stop: &CancellationToken,
    ) -> Result<Report, Error> {
        let context = self.context.for_one_run();
        context.telling_of_failures(Box::pin(rollback::run_rollback(&context, to, if_live, stop))).await
    }

    /// Deletes what only expired releases have, without deploying anything. Also pays an
    /// invalidation that an earlier run still owes.
    ///
    /// # Errors
    /// [`Refusal::Unfinished`](crate::error::Refusal::Unfinished) while a deployment or rollback is half done; else as
    /// [`Deployer::deploy`].
    pub async fn prune(&self, stop: &CancellationToken) -> Result<Report, Error> {
        let context = self.context.for_one_run();
        context.telling_of_failures(Box::pin(prune::run_prune(&context, stop))).await
    }

    /// Completes the invalidations that are pending, and makes one for more, under the lease. Changes nothing else, and
    /// works whatever else is left to do.
    ///
    /// # Errors
    /// [`Error::NoDistribution`]; [`Error::InvalidPath`]; [`Error::NoSuchRelease`] where nothing is live; else as
    /// [`Deployer::deploy`].
    pub async fn invalidate(&self, what: &Invalidate, stop: &CancellationToken) -> Result<Report, Error> {
        let context = self.context.for_one_run();
        context.telling_of_failures(Box::pin(invalidate::run_invalidate(&context, what, stop))).await
    }

    /// Compares the live release with what `verifier` can fetch of it.
    ///
    /// # Errors
    /// [`Error::NoSuchRelease`] where nothing is live; else what reading the state can give.
    pub async fn verify(&self, verifier: &dyn Verifier) -> Result<Verdict, Error> {
        self.context.telling_of_failures(look::verify(&self.context, verifier)).await
    }

    /// Compares the bucket with the records: every file of the live release, and what the kept ones need to be gone back to.
    /// One request for each object at least, and no writes.
    ///
    /// # Errors
    /// [`Error::NoSuchRelease`] where nothing is live; else what reading can give. What differs is no error.
    pub async fn audit(&self, depth: Depth) -> Result<Audit, Error> {
        let context = self.context.for_one_run();
        context.telling_of_failures(Box::pin(audit::audit(&context, depth))).await
    }

    /// What is live and what was. Two reads at most, and no writes; where nothing is on record also a listing.
    ///
    /// # Errors
    /// [`Error`] if the state cannot be read.
    pub async fn status(&self) -> Result<Status, Error> {
        self.context.telling_of_failures(status::status(&self.context)).await
    }

    /// How the target stands, by what this deployer and its clones last saw or wrote. Sends no request; `None` before the state
    /// was read.
    pub fn situation(&self) -> Option<Situation> {
        situation::situation(&self.context)
    }

    /// All releases that are on record, live or not, also the last hundred whose files are gone. Two reads, and no writes.
    ///
    /// # Errors
    /// [`Error`] if the state cannot be read. Where only the record of pruned releases cannot, a warning says so.
    pub async fn history(&self) -> Result<History, Error> {
        history::history(&self.context).await
    }

    /// Compares two releases, by what their manifests say: `from` and `to` are each an id, a version, `live` or `previous`
    /// (the one that a rollback would go to). Five reads, and no writes.
    ///
    /// # Errors
    /// [`Error::NoSuchRelease`] if there is none of that name, or it was pruned;
    /// [`Conflict::Ambiguous`](crate::error::Conflict::Ambiguous) if several have that version and their files differ;
    /// else what reading the state can give.
    pub async fn diff(&self, from: &str, to: &str) -> Result<ReleaseDiff, Error> {
        diff::diff(&self.context, from, to).await
    }

    /// Takes the lease away from whoever holds it; gives whose it was. That run, should it still
    /// live, notices at its next write to the state and stops.
    ///
    /// # Errors
    /// [`Error`] if the state cannot be read or written.
    pub async fn break_lease(&self) -> Result<Option<LeaseStatus>, Error> {
        self.context.telling_of_failures(status::break_lease(&self.context)).await
    }
}
