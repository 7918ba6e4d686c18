//! What is promised of every run, whatever happened before it.

use std::collections::{BTreeMap, BTreeSet};

use asset_sync::bucket::MemoryObject;
use asset_sync::deploy::{NamedRelease, Outcome, Report};
use asset_sync::site::Role;
use asset_sync::state::{Current, Operation};
use asset_sync::verify::Fault;
use asset_sync::{Conflict, Error, NotVerified, Refusal};

use super::Model;
use super::sites::{INNER, has, is_known, is_page, is_steady};
use super::steps::Look;
use super::target::{Action, Command, Objects, Release, Target, is_inner, number};
use crate::world::{BUCKET, references};

/// What there was before a run.
pub(super) struct Before {
    bucket: BTreeMap<String, MemoryObject>,
    objects: Objects,
    current: Current,
}

impl Before {
    pub(super) fn of(model: &Model, at: usize) -> Self {
        let target = &model.targets[at];
        Self {
            bucket: model.world.store.snapshot(BUCKET),
            objects: target.objects(&model.world),
            current: target.current(&model.world).unwrap_or_default(),
        }
    }

    /// The rollback away from `tried` that an earlier run began for what it had seen.
    fn is_retreat_from(&self, tried: &NamedRelease) -> bool {
        let pending = self.current.pending.as_ref().filter(|p| p.operation == Operation::Rollback);
        let tried = self.current.releases.iter().find(|r| r.id.as_str() == tried.release);
        pending.zip(tried).is_some_and(|(p, tried)| p.release != tried.id && !tried.found_wrong.is_empty())
    }
}

impl Model {
    /// Promise 10: a run changes nothing but what belongs to its target.
    pub(super) fn check_only_its_own(&self, at: usize, before: &Before) {
        let now = self.world.store.snapshot(BUCKET);
        // The inner target is known by what its first run brings.
        let is_own = |key: &str| is_inner(if at == 1 { &now } else { &before.bucket }, key) == (at == 1);
        for key in before.bucket.keys().chain(now.keys()).filter(|key| !is_own(key)) {
            assert_eq!(before.bucket.get(key), now.get(key), "{key} is another target's");
        }
    }

    /// Checks how a run ended that nothing disturbed, and remembers what it did.
    pub(super) fn check_end(
        &mut self,
        at: usize,
        command: &Command,
        before: &Before,
        done: Result<Report, Error>,
        has_looked: bool,
    ) {
        let Some(live) = self.now_live(at, command, before, done, has_looked) else {
            // Promise 9 and others: what is refused was refused before anything changed.
            assert_eq!(self.targets[at].objects(&self.world), before.objects, "{command:?}");
            return;
        };
        let current = self.targets[at].current(&self.world).unwrap();
        assert_eq!(current.live.as_ref().map(ToString::to_string), Some(live));
        self.check_records(at, &current);
        self.targets[at].crashed = false;
        self.check_settled(at, before, &current);
    }

    /// What is live after the run; `None` where the run was refused.
    fn now_live(
        &mut self,
        at: usize,
        command: &Command,
        before: &Before,
        done: Result<Report, Error>,
        has_looked: bool,
    ) -> Option<String> {
        let now = self.now();
        let target = &mut self.targets[at];
        if let Some(current) = target.current(&self.world) {
            target.learn(&current);
        }
        // Promise 5: whoever sees that the site is wrong does not report success.
        let is_against = has_looked && matches!(command.look, Look::Wrong | Look::Stale);
        assert!(!is_against || done.is_err(), "{command:?}: {done:?}");
        let was_live = target.live.clone();
        let named = |r: &NamedRelease| r.release.clone();
        match (&command.action, done) {
            (_, Err(Error::NotVerified(failed))) => Some(target.not_verified(command, before, &failed, now)),
            (Action::Deploy { site, forced, .. }, Ok(report)) => {
                let id = named(report.live.as_ref().unwrap());
                assert!(matches!(report.result, Outcome::Deployed | Outcome::Unchanged), "{:?}", report.result);
                // Promise 8: a retry does not revive what was rolled back.
                assert!(*forced || !target.release(&id).is_some_and(|r| r.rolled_back), "{id} was rolled back");
                // Promise 7: what was seen to be wrong is looked at again.
                let suspect = before.current.live_release().is_some_and(|live| !live.found_wrong.is_empty());
                assert!(!suspect || has_looked || command.look == Look::None, "nobody looked at {id} again");
                if report.result == Outcome::Deployed || target.release(&id).is_none() {
                    target.deployed(&id, *site, command, now);
                }
                target.repaired(*site);
                Some(id)
            }
            (Action::Prune, Ok(report)) => {
                assert!(matches!(report.result, Outcome::Pruned | Outcome::Unchanged));
                if report.result == Outcome::Pruned {
                    target.mark_expired(now);
                    target.releases.retain(|r| !r.maybe_gone);
                }
                let id = named(report.live.as_ref().unwrap());
                assert_eq!(was_live.as_ref(), Some(&id));
                Some(id)
            }
            (_, Ok(report)) if report.result == Outcome::Unchanged => {
                target.check_nothing_to_undo(command);
                None
            }
            (_, Ok(report)) => {
                let id = named(report.live.as_ref().unwrap());
                target.rolled_back(command, before, &id, now);
                Some(id)
            }
            (_, Err(error)) => {
                target.check_refusal(command, before, &error);
                None
            }
        }
    }

    /// Promises 2 and 9: what the record says of releases is what happened to them.
    fn check_records(&mut self, at: usize, current: &Current) {
        let now = self.now();
        let target = &mut self.targets[at];
        let is_gone = |r: &Release| !current.releases.iter().any(|c| c.id.as_str() == r.id);
        let retained: BTreeSet<String> = target.retained(now).into_iter().map(|r| r.id.clone()).collect();
        for release in target.releases.iter().filter(|r| is_gone(r)) {
            assert!(
                !retained.contains(&release.id) && target.live.as_ref() != Some(&release.id),
                "{release:?} is gone"
            );
        }
        target.releases.retain(|r| !is_gone(r));
        let crashed = target.crashed;
        for release in &mut target.releases {
            let record = current.releases.iter().find(|c| c.id.as_str() == release.id).unwrap();
            // A release that was half visible when its run died was superseded, or rolled back, by what came next.
            if crashed {
                assert!(record.rolled_back || !release.rolled_back, "{release:?}");
                release.rolled_back = record.rolled_back;
                release.superseded = record.superseded_at;
            }
            assert_eq!(record.rolled_back, release.rolled_back, "{release:?}");
        }
    }

    /// After a run that is through: what is visible is the live release, and nothing is left to do.
    fn check_settled(&mut self, at: usize, before: &Before, current: &Current) {
        assert!(current.edges.pending(&[], "/*").is_empty() && current.pending.is_none(), "{current:?}");
        // A run that has nothing to do writes nothing: a dead one's lease stays until it is in the way.
        assert!(current.lease.is_none() || current.generation == before.current.generation, "{current:?}");
        assert!(self.world.store.uploads(BUCKET).is_empty());
        let objects = self.targets[at].objects(&self.world);
        let bucket = self.world.store.snapshot(BUCKET);
        let target = &mut self.targets[at];
        let Some(live) = target.live_release().cloned() else { return };
        let site = &target.sites[live.site];
        let is_own = |key: &str| target.prefix == INNER || !is_inner(&bucket, key);
        let is_whole = |key: &str| is_own(key) && !target.damaged.contains(key);
        for file in site.files.iter().filter(|f| is_whole(f.key.as_str())) {
            let key = file.key.as_str();
            let (body, headers) = objects.get(key).unwrap_or_else(|| panic!("{key} of {live:?} is not there"));
            assert_eq!(*body, std::fs::read(file.path()).unwrap(), "{key} of {live:?}");
            // A name whose content changed is served with other headers from then on.
            assert!(!is_steady(&target.sites, key) || *headers == *file.headers, "{key} of {live:?}: {headers:?}");
        }
        // Promise 9: a release that comes back has the bytes and headers that it had.
        let served: Objects = objects
            .iter()
            .filter(|(key, _)| has(site, key) && is_whole(key))
            .map(|(k, o)| (k.clone(), o.clone()))
            .collect();
        for (key, before) in target.served.get(&live.id).into_iter().flatten().filter(|(key, _)| is_whole(key)) {
            assert_eq!(served.get(key), Some(before), "{key} of {live:?}");
        }
        for key in objects.keys().filter(|key| is_whole(key) && !self.foreign.contains_key(*key)) {
            let is_legacy = target.prefix == INNER && !is_known(&target.sites, key);
            assert!(is_legacy || is_known(&target.sites, key), "{key} comes from nowhere");
            assert!(is_legacy || !is_page(key) || has(site, key), "{key} is no page of {live:?}");
        }
        if target.damaged.is_empty() {
            target.served.entry(live.id).or_insert(served);
        }
    }

    /// At all times: whoever has a page of a release that is live or retained can load its assets,
    /// and whoever gets a page now can load what it refers to; and what is not ours is as it was.
    pub(super) fn check_unhurt(&self) {
        let bucket = self.world.store.snapshot(BUCKET);
        for (key, content) in &self.foreign {
            assert_eq!(bucket.get(key).map(|object| &object.body[..]), Some(&content[..]), "foreign {key}");
        }
        for target in &self.targets {
            let objects = target.objects(&self.world);
            let is_damaged = |key: &str| target.damaged.contains(key);
            for (key, (body, _)) in objects.iter().filter(|(key, _)| is_page(key)) {
                for asset in references(body) {
                    let is_there = bucket.contains_key(&asset);
                    let asset = asset.strip_prefix(target.prefix).unwrap_or(&asset);
                    assert!(is_there || is_damaged(asset), "{key} refers to {asset}, which is not there");
                }
            }
            let retained = target.retained(self.now()).into_iter().chain(target.live_release());
            for release in retained.filter(|r| !r.maybe_gone) {
                let assets = target.sites[release.site].files.iter().filter(|f| f.role == Role::Fingerprinted);
                for file in assets.filter(|f| !is_damaged(f.key.as_str())) {
                    let key = file.key.as_str();
                    let (body, _) = objects.get(key).unwrap_or_else(|| panic!("{key} of {release:?} is not there"));
                    let is_same = || *body == std::fs::read(file.path()).unwrap();
                    assert!(!is_steady(&target.sites, key) || is_same(), "{key} of {release:?}");
                }
            }
        }
    }
}

impl Target {
    /// A verdict was told: it follows from what was seen, and what is live then follows from it.
    fn not_verified(
        &mut self,
        command: &Command,
        before: &Before,
        failed: &NotVerified,
        now: jiff::Timestamp,
    ) -> String {
        let tried = failed.release.release.clone();
        let is_retreat = before.is_retreat_from(&failed.release);
        let is_seen = matches!((failed.fault, command.look), (Fault::Wrong, Look::Wrong) | (Fault::Stale, Look::Stale));
        assert!(is_seen || is_retreat, "{failed}");
        match &command.action {
            Action::Deploy { site, .. } => {
                if !is_retreat {
                    self.deployed(&tried, *site, command, now);
                    self.repaired(*site);
                }
            }
            // There is no better one to go to.
            _ => self.rolled_back(command, before, &tried, now),
        }
        let Some(back) = &failed.rolled_back_to else {
            // It stays where it was not wrong, or nothing is there to go back to.
            let is_deploy = matches!(command.action, Action::Deploy { .. });
            assert!(!is_deploy || failed.fault != Fault::Wrong || !self.has_way_back(&tried), "{failed}");
            return tried;
        };
        assert!(failed.fault == Fault::Wrong && matches!(command.action, Action::Deploy { .. }));
        self.check_way_back(before, &tried, &back.release);
        let goes_back = self.goes_back(&tried, &back.release);
        self.activate(&back.release, goes_back, now);
        if let Some(release) = self.release_mut(&tried) {
            release.rolled_back = goes_back;
        }
        self.left.insert(tried);
        let site = self.release(&back.release).unwrap().site;
        self.repaired(site);
        back.release.clone()
    }

    /// A rollback made a release live.
    fn rolled_back(&mut self, command: &Command, before: &Before, id: &str, now: jiff::Timestamp) {
        let was_live = self.live.clone();
        assert!(self.release(id).is_some(), "never live: {id}");
        let back = was_live.as_ref().is_some_and(|live| self.goes_back(live, id));
        match &command.action {
            Action::RollBackTo { name } => {
                assert!(id == name);
                self.left.clear();
            }
            Action::Step { .. } => self.check_step(command, before, id),
            _ => self.check_way_back(before, was_live.as_deref().unwrap_or_default(), id),
        }
        if was_live.as_deref() != Some(id) {
            self.activate(id, back, now);
            self.left.extend(was_live.filter(|_| back));
        }
        let site = self.release(id).unwrap().site;
        self.repaired(site);
    }

    /// What an interrupted run left is finished first: its half switched release is taken down, or its rollback is ended.
    fn is_finishing(&self, before: &Before, to: &str) -> bool {
        let pending = before.current.pending.as_ref();
        pending.is_some_and(|p| p.release.as_str() == to) || pending.is_some() && self.live.as_deref() == Some(to)
    }

    /// Promise 9: going back leads to other content, and never forward.
    fn check_way_back(&self, before: &Before, from: &str, to: &str) {
        if self.is_finishing(before, to) {
            return;
        }
        let target = self.release(to).unwrap_or_else(|| panic!("never live: {to}"));
        assert!(!target.rolled_back && !self.left.contains(to), "{to} was gone back from");
        assert!(self.goes_back(from, to), "from {from} forward to {to}");
        assert!(!self.are_same(from, to), "{from} and {to} are the same");
    }

    /// Whether `id` is older than `live`, or what that was deployed over, or what that was deployed over, and so on.
    fn goes_back(&self, live: &str, id: &str) -> bool {
        let mut seen = BTreeSet::from([live]);
        let mut at = live;
        while let Some(before) = self.release(at).and_then(|r| r.before.as_deref()).filter(|b| seen.insert(b)) {
            if before == id {
                return true;
            }
            at = before;
        }
        number(id) < number(live)
    }

    /// A release to go back to is surely there.
    fn has_way_back(&self, from: &str) -> bool {
        let before = self.release(from).and_then(|r| self.release(r.before.as_ref()?));
        before
            .is_some_and(|r| !r.maybe_gone && !r.rolled_back && !self.are_same(from, &r.id) && !self.may_be_damaged(r))
    }

    /// Promise 9: the pipeline's rollback step undoes what its execution made live, or half switched to, and nothing else.
    fn check_step(&self, command: &Command, before: &Before, to: &str) {
        let is_live = self.live.as_deref() == Some(to);
        let pending = before.current.pending.as_ref().filter(|_| self.is_finishing(before, to));
        let is_begun = pending.is_some_and(|p| p.operation == Operation::Rollback);
        let undoes_own = self.live_release().is_some_and(|live| {
            let known = live.before.as_ref().filter(|id| self.release(id).is_some());
            // A rollback that somebody began is finished, wherever it goes.
            live.by == command.execution && !is_live && (is_begun || known.is_none_or(|before| before == to))
        });
        let finishes_own = pending.is_some_and(|p| p.execution == command.execution);
        assert!(
            undoes_own || finishes_own || is_begun && is_live,
            "{command:?}: {:?} to {to}, {pending:?}",
            self.live_release()
        );
    }

    fn check_nothing_to_undo(&self, command: &Command) {
        match &command.action {
            Action::Step { version } => {
                let own = self.live_release().filter(|r| r.by == command.execution && r.version == *version);
                assert!(own.is_none() || self.crashed, "{command:?} left {own:?}");
            }
            Action::RollBackTo { name } => assert_eq!(self.live.as_ref(), Some(name)),
            other => panic!("{other:?} did nothing"),
        }
    }

    /// A run may be refused for these reasons only.
    fn check_refusal(&self, command: &Command, before: &Before, error: &Error) {
        let is_excused = match (&command.action, error) {
            // Promise 8.
            (Action::Deploy { forced, .. }, Error::Conflict(Conflict::RolledBack { .. } | Conflict::Older { .. })) => {
                !forced
            }
            (Action::Deploy { site, .. }, Error::Refused(Refusal::NestedTarget { .. })) => {
                self.prefix != INNER && self.sites[*site].files.iter().any(|f| is_inner(&before.bucket, f.key.as_str()))
            }
            (Action::Prune, Error::Refused(Refusal::Unfinished)) => self.crashed,
            (Action::Prune, Error::NoSuchRelease(_)) => self.live.is_none(),
            (Action::RollBackTo { name }, Error::NoSuchRelease(_)) => self.release(name).is_none_or(|r| r.maybe_gone),
            (Action::RollBack | Action::Step { .. }, Error::NoSuchRelease(_)) => {
                self.live.as_ref().is_none_or(|live| !self.has_way_back(live))
            }
            // What is missing is said before anything changes.
            (Action::RollBackTo { name }, Error::Refused(Refusal::Incomplete { .. })) => {
                self.release(name).is_none_or(|r| r.maybe_gone || self.may_be_damaged(r))
            }
            (Action::RollBack | Action::Step { .. }, Error::Refused(Refusal::Incomplete { .. })) => {
                self.releases.iter().any(|r| r.maybe_gone || self.may_be_damaged(r))
            }
            _ => false,
        };
        assert!(is_excused, "{command:?}: {error}");
    }
}
