//! One target: how runs are carried out on it, and what is remembered of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use asset_sync::bucket::MemoryObject;
use asset_sync::deploy::{IfLive, Options, Report, RollbackTo};
use asset_sync::plan::{Addressing, MaxShrink, UrlPrefix};
use asset_sync::site::Site;
use asset_sync::state::Current;
use asset_sync::verify::{Expected, Observation, Verdict, Verifier};
use asset_sync::{Error, Headers, Sha256};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::sites::INNER;
use super::steps::{Look, Run};
use crate::world::{BUCKET, World, info};

pub(super) const KEEP: usize = 1;
pub(super) const GRACE: SignedDuration = SignedDuration::from_hours(24);

/// What can be fetched, by key relative to its target.
pub(super) type Objects = BTreeMap<String, (Vec<u8>, Headers)>;

/// A release that was live.
#[derive(Debug, Clone)]
pub(super) struct Release {
    pub(super) id: String,
    pub(super) version: String,
    /// Its place in the pool.
    pub(super) site: usize,
    pub(super) superseded: Option<Timestamp>,
    pub(super) rolled_back: bool,
    /// A run that was killed may have deleted its files: it was due.
    pub(super) maybe_gone: bool,
    /// What was live before a deployment made it live.
    pub(super) before: Option<String>,
    /// The execution that made it live, or finished doing so.
    pub(super) by: Option<String>,
}

/// A deployment that was tried.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    site: usize,
    version: String,
    execution: String,
}

/// A run whose choices are made.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Deploy { site: usize, version: String, forced: bool },
    RollBack,
    RollBackTo { name: String },
    Step { version: String },
    Prune,
}

#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) action: Action,
    pub(super) execution: Option<String>,
    pub(super) look: Look,
}

pub(super) struct Target {
    pub(super) prefix: &'static str,
    pub(super) distributions: &'static [&'static str],
    pub(super) sites: Vec<Site>,
    /// In the order in which they were first deployed. Of those that were begun and never live nothing is expected.
    pub(super) releases: Vec<Release>,
    pub(super) live: Option<String>,
    /// A run was killed, and none has finished since.
    pub(super) crashed: bool,
    /// Keys that somebody else edited or deleted, and that no run has put right since.
    pub(super) damaged: BTreeSet<String>,
    /// Keys that somebody else ever edited or deleted: the bytes of a release may be lost.
    pub(super) touched: BTreeSet<String>,
    attempts: Vec<Attempt>,
    /// Releases that were left by going back, since one was last chosen by name.
    pub(super) left: BTreeSet<String>,
    /// The content of each release that ever was on record.
    trees: BTreeMap<String, Sha256>,
    /// Its files, as they were when it was first seen to be live and whole.
    pub(super) served: BTreeMap<String, Objects>,
}

/// Sees the same wherever it looks.
struct Eye {
    look: Look,
    has_looked: Arc<AtomicBool>,
}

#[async_trait]
impl Verifier for Eye {
    async fn verify(&self, _: Expected<'_>) -> Verdict {
        self.has_looked.store(true, Ordering::SeqCst);
        let seen = |look| {
            let seen = Observation { url: "https://site.test/".into(), what: "seen".into() };
            if self.look == look { vec![seen] } else { Vec::new() }
        };
        let (wrong, stale, unseen) = (seen(Look::Wrong), seen(Look::Stale), seen(Look::Unseen));
        Verdict { right: 1, wrong, stale, unseen, ..Verdict::default() }
    }
}

pub(super) fn number(release: &str) -> u64 {
    release[1..].split('-').next().unwrap().parse().unwrap()
}

impl Target {
    pub(super) fn new(prefix: &'static str, distributions: &'static [&'static str], sites: &[Site]) -> Self {
        Self {
            prefix,
            distributions,
            sites: sites.to_vec(),
            releases: Vec::new(),
            live: None,
            crashed: false,
            damaged: BTreeSet::new(),
            touched: BTreeSet::new(),
            attempts: Vec::new(),
            left: BTreeSet::new(),
            trees: BTreeMap::new(),
            served: BTreeMap::new(),
        }
    }

    pub(super) fn options(&self, world: &World) -> Options {
        Options {
            keep_releases: KEEP,
            grace: GRACE,
            max_shrink: MaxShrink(1.0),
            distributions: self.distributions.iter().map(|&d| d.to_owned()).collect(),
            addressing: Addressing { prefix: UrlPrefix::new(self.prefix), ..Addressing::default() },
            ..world.options()
        }
    }

    /// What is on record, if anything is.
    pub(super) fn current(&self, world: &World) -> Option<Current> {
        let key = format!("{}.deploy/current", self.prefix);
        world.store.snapshot(BUCKET).get(&key).map(|object| Current::decode(&key, &object.body).unwrap())
    }

    /// The key relative to this target; `None` if it is not for this one's sites.
    fn relative<'k>(&self, bucket: &BTreeMap<String, MemoryObject>, key: &'k str) -> Option<&'k str> {
        let relative = key.strip_prefix(self.prefix)?;
        let is_nested = self.prefix != INNER && is_inner(bucket, key);
        (!relative.starts_with(".deploy/") && !is_nested).then_some(relative)
    }

    /// What can be fetched of this target, foreign objects included.
    pub(super) fn objects(&self, world: &World) -> Objects {
        let bucket = world.store.snapshot(BUCKET);
        let own = |(key, object): (&String, &MemoryObject)| {
            Some((self.relative(&bucket, key)?.to_owned(), (object.body.to_vec(), object.headers.clone())))
        };
        bucket.iter().filter_map(own).collect()
    }

    pub(super) fn release(&self, id: &str) -> Option<&Release> {
        self.releases.iter().find(|r| r.id == id)
    }

    pub(super) fn release_mut(&mut self, id: &str) -> Option<&mut Release> {
        self.releases.iter_mut().find(|r| r.id == id)
    }

    pub(super) fn live_release(&self) -> Option<&Release> {
        self.release(self.live.as_ref()?)
    }

    /// Makes the choices of a run.
    pub(super) fn command(&mut self, run: &Run) -> Command {
        let recent = |nth: usize| self.attempts.len().checked_sub(nth + 1).map(|at| self.attempts[at].clone());
        let new = format!("execution {}", self.attempts.len());
        let (action, execution, look) = match *run {
            Run::Deploy { site, look } => {
                let (site, version) = (site % self.sites.len(), format!("1.{}.0", self.attempts.len()));
                (Action::Deploy { site, version, forced: false }, Some(new), look)
            }
            Run::Retry { nth, same_execution, forced, look } => {
                let first = || Attempt { site: 0, version: "1.0.0".to_owned(), execution: new.clone() };
                let Attempt { site, version, execution } = recent(nth).unwrap_or_else(first);
                let execution = if same_execution { execution } else { new };
                (Action::Deploy { site, version, forced }, Some(execution), look)
            }
            Run::RollBack { look } => (Action::RollBack, None, look),
            Run::RollBackTo { nth } => {
                let named = (!self.releases.is_empty()).then(|| self.releases[nth % self.releases.len()].id.clone());
                (Action::RollBackTo { name: named.unwrap_or_else(|| "never".to_owned()) }, None, Look::None)
            }
            Run::Step { nth } => {
                let Some(Attempt { version, execution, .. }) = recent(nth) else {
                    return Command { action: Action::RollBack, execution: None, look: Look::None };
                };
                (Action::Step { version }, Some(execution), Look::None)
            }
            Run::Prune => (Action::Prune, None, Look::None),
        };
        if let (Action::Deploy { site, version, .. }, Some(execution)) = (&action, &execution) {
            self.attempts.push(Attempt { site: *site, version: version.clone(), execution: execution.clone() });
        }
        Command { action, execution, look }
    }

    /// Carries a run out; tells whether it looked at the site.
    pub(super) async fn carry_out(&self, world: &World, command: &Command) -> (Result<Report, Error>, bool) {
        let Command { action, execution, look } = command;
        let has_looked = Arc::new(AtomicBool::new(false));
        let eye = Eye { look: *look, has_looked: Arc::clone(&has_looked) };
        let options = Options {
            verifier: (*look != Look::None).then(|| Arc::new(eye) as Arc<dyn Verifier>),
            execution: execution.clone(),
            allow_older: matches!(action, Action::Deploy { forced: true, .. }),
            ..self.options(world)
        };
        let (deployer, stop) = (world.deployer_at(self.prefix, options), CancellationToken::new());
        let done = match action {
            Action::Deploy { site, version, .. } => deployer.deploy(&self.sites[*site], &info(version), &stop).await,
            Action::RollBack => deployer.rollback(&RollbackTo::Previous, None, &stop).await,
            Action::RollBackTo { name } => deployer.rollback(&RollbackTo::Named(name.clone()), None, &stop).await,
            Action::Step { version } => {
                let if_live = IfLive { name: version.clone(), execution: execution.clone() };
                deployer.rollback(&RollbackTo::Previous, Some(&if_live), &stop).await
            }
            Action::Prune => deployer.prune(&stop).await,
        };
        (done, has_looked.load(Ordering::SeqCst))
    }

    /// Remembers that a deployment made a release live.
    pub(super) fn deployed(&mut self, id: &str, site: usize, command: &Command, now: Timestamp) {
        if self.release(id).is_none() {
            let Action::Deploy { version, .. } = &command.action else { panic!("never live: {id}") };
            self.releases.push(Release {
                id: id.to_owned(),
                version: version.clone(),
                site,
                superseded: None,
                rolled_back: false,
                maybe_gone: false,
                before: None,
                by: None,
            });
        }
        self.activate(id, false, now);
        self.left.clear();
        if let Some(release) = self.release_mut(id) {
            release.by.clone_from(&command.execution);
        }
    }

    /// Remembers that a release is live, by a deployment or a rollback; in the latter case whether that went back.
    pub(super) fn activate(&mut self, id: &str, back: bool, now: Timestamp) {
        if self.live.as_deref() == Some(id) {
            return;
        }
        let old = self.live.replace(id.to_owned());
        if let Some(release) = old.as_ref().and_then(|old| self.release_mut(old)) {
            release.superseded = Some(now);
            release.rolled_back = back;
        }
        let release = self.release_mut(id).unwrap_or_else(|| panic!("never live: {id}"));
        release.superseded = None;
        release.rolled_back = false;
        if !back {
            release.before = old;
        }
    }

    /// Releases besides the live one that are kept, or whose time has not come.
    pub(super) fn retained(&self, now: Timestamp) -> Vec<&Release> {
        let mut past: Vec<&Release> = self.releases.iter().filter(|r| self.live.as_ref() != Some(&r.id)).collect();
        past.sort_by_key(|r| std::cmp::Reverse(r.superseded));
        let young = |r: &Release| r.superseded.is_some_and(|at| now.duration_since(at) < GRACE);
        past.into_iter().enumerate().filter(|(n, r)| *n < KEEP || young(r)).map(|(_, r)| r).collect()
    }

    /// Takes note of the releases on record.
    pub(super) fn learn(&mut self, current: &Current) {
        self.trees.extend(current.releases.iter().map(|r| (r.id.to_string(), r.tree)));
    }

    /// Whether two releases have the same content. One of the same site may have other headers, since a name is not
    /// trusted any more whose content changed.
    pub(super) fn are_same(&self, one: &str, other: &str) -> bool {
        self.trees[one] == self.trees[other]
    }

    pub(super) fn mark_expired(&mut self, now: Timestamp) {
        let kept: BTreeSet<String> =
            self.retained(now).into_iter().map(|r| r.id.clone()).chain(self.live.clone()).collect();
        self.releases.iter_mut().filter(|r| !kept.contains(&r.id)).for_each(|r| r.maybe_gone = true);
    }

    /// Whether a file of the release may be lost by somebody else's hand.
    pub(super) fn may_be_damaged(&self, release: &Release) -> bool {
        self.sites[release.site].files.iter().any(|f| self.touched.contains(f.key.as_str()))
    }

    pub(super) fn repaired(&mut self, site: usize) {
        for file in &self.sites[site].files {
            self.damaged.remove(file.key.as_str());
        }
    }
}

/// Whether a key belongs to the inner target, which is there from its first run on.
pub(super) fn is_inner(bucket: &BTreeMap<String, MemoryObject>, key: &str) -> bool {
    key.starts_with(INNER) && bucket.contains_key(&format!("{INNER}.deploy/current"))
}
