use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::digest::Sha256;
use crate::headers::Headers;
use crate::site::{Key, Role};
use crate::state::{Manifest, ReleaseFile};
use crate::verify::Observation;

fn record(number: u64, version: &str, content: u8) -> ReleaseRecord {
    let file = ReleaseFile {
        key: Key::new("index.html").unwrap(),
        sha256: Sha256::of(&[content]),
        size: 1,
        headers: Headers::default().into(),
        role: Role::Root,
        demoted: false,
    };
    ReleaseRecord::new(number, version, &Manifest { files: vec![file] }, at(number))
}

fn at(second: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::try_from(second).unwrap())
}

/// What a target's record says after runs that were not disturbed, one a second.
#[derive(Debug, Default)]
struct History {
    current: Current,
    clock: u64,
}

impl History {
    fn begin(&mut self, version: &str, content: u8, execution: &str) -> ReleaseId {
        self.clock += 1;
        let release = record(self.current.sequence + 1, version, content);
        let known = self.current.releases.iter().find(|r| r.version == version && r.tree == release.tree);
        let release = known.cloned().unwrap_or(release);
        let id = release.id.clone();
        self.current.begin(Operation::Deploy, release, Some(execution), at(self.clock));
        id
    }

    fn switching(&mut self) {
        self.current.pending.as_mut().unwrap().phase = Phase::Switching;
    }

    fn deploy(&mut self, version: &str, content: u8, execution: &str) -> ReleaseId {
        let id = self.begin(version, content, execution);
        self.current.activate(&id, false, at(self.clock));
        self.current.set_deployed_by(&id, Some(execution), None);
        self.current.finish();
        id
    }

    fn begin_rollback(&mut self, to: &ReleaseId, execution: Option<&str>) {
        self.clock += 1;
        let target = self.current.release(to).unwrap().clone();
        self.current.begin(Operation::Rollback, target, execution, at(self.clock));
    }

    fn go_back(&mut self, to: &ReleaseId) {
        self.begin_rollback(to, None);
        let back = goes_back(&self.current, to);
        self.current.activate(to, back, at(self.clock));
        self.current.finish();
    }

    fn previous(&self) -> Option<String> {
        previous(&self.current).map(|r| r.version.clone())
    }

    fn if_live(&self, name: &str, execution: Option<&str>) -> Option<String> {
        self.to(&RollbackTo::Previous, name, execution).unwrap()
    }

    fn to(&self, to: &RollbackTo, name: &str, execution: Option<&str>) -> Result<Option<String>, Error> {
        let if_live = IfLive { name: name.to_owned(), execution: execution.map(str::to_owned) };
        Ok(rollback_target(&self.current, to, Some(&if_live), &[])?.map(|r| r.version.clone()))
    }
}

#[test]
fn the_previous_release_is_the_one_that_was_replaced() {
    let mut history = History::default();
    assert_eq!(history.previous(), None);
    history.deploy("1", 1, "a");
    assert_eq!(history.previous(), None);
    history.deploy("2", 2, "b");
    assert_eq!(history.previous().as_deref(), Some("1"));
    // The same content under another name is no way back.
    history.deploy("2.1", 2, "c");
    assert_eq!(history.previous().as_deref(), Some("1"));
    history.deploy("3", 3, "d");
    assert_eq!(history.previous().as_deref(), Some("2.1"));
}

#[test]
fn going_back_twice_never_goes_forward() {
    let mut history = History::default();
    history.deploy("0", 0, "z");
    let one = history.deploy("1", 1, "a");
    history.deploy("2", 2, "b");
    history.deploy("3", 3, "c");
    history.go_back(&one);
    assert_eq!(history.previous().as_deref(), Some("0"), "2 was gone back past");
    // What is deployed after that has replaced it.
    history.deploy("4", 4, "d");
    assert_eq!(history.previous().as_deref(), Some("1"));
}

#[test]
fn an_older_release_that_was_deployed_again_has_replaced_the_newer() {
    let mut history = History::default();
    history.deploy("1", 1, "a");
    history.deploy("2", 2, "b");
    let one = history.deploy("1", 1, "c");
    assert_eq!(history.previous().as_deref(), Some("2"));
    let two = previous(&history.current).unwrap().id.clone();
    history.go_back(&two);
    assert!(history.current.release(&one).unwrap().rolled_back);
    assert_eq!(history.previous(), None, "1 was gone back from");
}

#[test]
fn the_way_back_leads_through_releases_with_the_same_content() {
    let mut history = History::default();
    history.deploy("1", 1, "a");
    history.deploy("2", 2, "b");
    history.deploy("1.1", 1, "c");
    history.deploy("1", 1, "d");
    assert_eq!(history.previous().as_deref(), Some("2"), "1.1 is the same, and 2 is what that replaced");
}

#[test]
fn records_of_format_1_have_a_way_back_too() {
    let mut history = History::default();
    let one = history.deploy("1", 1, "a");
    history.deploy("2", 2, "b");
    history.deploy("2.1", 2, "b");
    for release in &mut history.current.releases {
        release.replaced = None;
    }
    assert_eq!(history.previous().as_deref(), Some("1"));
    history.go_back(&one);
    assert_eq!(history.previous(), None, "2 is newer");
}

#[test]
fn a_step_undoes_what_its_own_execution_made_live_and_nothing_else() {
    let mut history = History::default();
    history.deploy("0.9", 0, "a");
    let good = history.deploy("1.0", 1, "b");
    assert_eq!(history.if_live("1.0", Some("c")), None, "refused before anything was written");
    assert_eq!(history.if_live("1.0", Some("b")).as_deref(), Some("0.9"));
    assert_eq!(history.if_live("0.9", Some("b")), None);
    // A value changed: the same version is another release.
    history.deploy("1.0", 2, "d");
    assert_eq!(history.if_live("1.0", Some("b")), None);
    assert_eq!(history.if_live("1.0", Some("d")).as_deref(), Some("1.0"));
    history.go_back(&good);
    assert_eq!(history.if_live("1.0", Some("d")), None, "the step's own retry");
}

#[test]
fn another_name_for_the_same_content_is_undone_as_such() {
    let mut history = History::default();
    history.deploy("0.9", 0, "a");
    history.deploy("1.0", 1, "b");
    history.deploy("1.1", 1, "c");
    assert_eq!(history.if_live("1.1", Some("c")).as_deref(), Some("1.0"));
    assert_eq!(history.previous().as_deref(), Some("0.9"));
}

#[test]
fn a_release_that_another_execution_finished_belongs_to_that_one() {
    let mut history = History::default();
    history.deploy("1.0", 1, "a");
    history.begin("2.0", 2, "b");
    history.switching();
    assert_eq!(history.if_live("2.0", Some("b")).as_deref(), Some("1.0"), "half of it is visible");
    assert_eq!(history.if_live("2.0", Some("c")), None);
    history.deploy("2.0", 2, "c");
    assert_eq!(history.if_live("2.0", Some("b")), None);
    assert_eq!(history.if_live("2.0", Some("c")).as_deref(), Some("1.0"));
}

#[test]
fn a_release_that_is_deployed_again_belongs_to_whoever_did_it_last() {
    let mut history = History::default();
    history.deploy("1.0", 1, "a");
    history.deploy("2.0", 2, "b");
    history.deploy("1.0", 1, "c");
    assert_eq!(history.if_live("1.0", Some("a")), None);
    assert_eq!(history.if_live("1.0", Some("c")).as_deref(), Some("2.0"));
}

#[test]
fn a_rollback_that_was_begun_is_finished_by_its_own_execution() {
    let mut history = History::default();
    let one = history.deploy("1.0", 1, "a");
    history.deploy("2.0", 2, "b");
    history.begin_rollback(&one, Some("b"));
    assert_eq!(history.if_live("2.0", Some("b")).as_deref(), Some("1.0"));
    assert_eq!(history.if_live("2.0", Some("c")), None);
    history.current.activate(&one, true, at(99));
    assert_eq!(history.if_live("2.0", Some("b")).as_deref(), Some("1.0"), "invalidations may be owed");
    history.current.finish();
    assert_eq!(history.if_live("2.0", Some("b")), None);
}

#[test]
fn without_an_execution_a_version_must_be_that_of_one_release() {
    let mut history = History::default();
    history.deploy("0.9", 0, "a");
    history.deploy("1.0", 1, "b");
    assert_eq!(history.if_live("1.0", None).as_deref(), Some("0.9"));
    assert_eq!(history.if_live("0.9", None), None);
    assert_eq!(history.if_live("3.0", None), None);
    let second = history.deploy("1.0", 2, "c");
    let error = history.to(&RollbackTo::Previous, "1.0", None).unwrap_err();
    assert!(matches!(&error, Error::Conflict(Conflict::Ambiguous { ids, .. }) if ids.len() == 2), "{error}");
    assert!(error.to_string().contains(second.as_str()), "{error}");
    assert_eq!(history.if_live(second.as_str(), None).as_deref(), Some("1.0"));
}

#[test]
fn a_switch_that_died_stays_known_until_the_files_are_those_of_one_release() {
    let mut history = History::default();
    history.deploy("0.9", 0, "z");
    history.deploy("1.0", 1, "a");
    history.begin("2.0", 2, "b");
    history.switching();
    // The retry dies earlier than the first attempt did.
    history.begin("2.0", 2, "b");
    assert_eq!(history.if_live("2.0", Some("b")).as_deref(), Some("1.0"));
    // Another release begins, and dies too, and so does its retry: what is served is half 2.0 still.
    history.begin("3.0", 3, "c");
    history.begin("3.0", 3, "c");
    let plain = rollback_target(&history.current, &RollbackTo::Previous, None, &[]).unwrap().unwrap();
    assert_eq!(plain.version, "1.0");
    assert_eq!(history.if_live("3.0", Some("c")), None, "it made nothing visible");
    history.deploy("3.0", 3, "c");
    let plain = rollback_target(&history.current, &RollbackTo::Previous, None, &[]).unwrap().unwrap();
    assert_eq!(plain.version, "1.0");
}

#[test]
fn a_release_that_never_was_live_is_no_target() {
    let mut history = History::default();
    history.deploy("1.0", 1, "a");
    history.begin("2.0", 2, "b");
    let target = rollback_target(&history.current, &RollbackTo::Named("2.0".to_owned()), None, &[]);
    assert!(matches!(target, Err(Error::NoSuchRelease(_))), "{target:?}");
}

#[test]
fn only_what_speaks_against_a_release_takes_it_down() {
    let before = record(1, "1.0", 1);
    let of = |fault, required, on_failure| consequence(fault, required, on_failure, Some(&before));
    let (back, keep) = (OnFailure::RollBack, OnFailure::Keep);
    for required in [false, true] {
        assert_eq!(of(None, required, back), Consequence::Accept);
        assert_eq!(of(Some(Fault::Wrong), required, back), Consequence::GoBack(&before));
        assert_eq!(of(Some(Fault::Wrong), required, keep), Consequence::Fail);
        assert_eq!(consequence(Some(Fault::Wrong), required, back, None), Consequence::Fail);
        assert_eq!(of(Some(Fault::Stale), required, back), Consequence::Fail);
        for fault in [Fault::StateAreaReadable, Fault::Unreachable, Fault::Unseen] {
            let expected = if required { Consequence::Fail } else { Consequence::Accept };
            assert_eq!(of(Some(fault), required, back), expected, "{fault:?}");
        }
    }
}

#[test]
fn an_automatic_rollback_is_known_by_what_was_seen() {
    let mut history = History::default();
    let one = history.deploy("1.0", 1, "a");
    let two = history.deploy("2.0", 2, "b");
    history.begin_rollback(&one, None);
    let by_hand = history.current.release(&two).unwrap();
    assert_eq!(unfinished_retreat(&history.current, by_hand), None);
    // A release that was seen to be wrong itself, and is what somebody goes back to.
    let seen = Observation { url: "https://x/".into(), what: "y".into() };
    history.current.set_found_wrong(&one, &[seen]);
    assert_eq!(unfinished_retreat(&history.current, history.current.release(&one).unwrap()), None);
    let seen = Observation { url: "https://x/".into(), what: "y".repeat(1000) };
    history.current.set_found_wrong(&two, &vec![seen; 9]);
    let found = history.current.release(&two).unwrap().clone();
    assert_eq!((found.found_wrong.len(), found.found_wrong[0].what.len()), (5, 300), "its record is bounded");
    assert_eq!(unfinished_retreat(&history.current, &found).map(|r| &r.id), Some(&one));
    history.current.activate(&one, true, at(99));
    assert!(unfinished_retreat(&history.current, &found).is_some(), "invalidations may be owed");
    history.current.finish();
    assert_eq!(unfinished_retreat(&history.current, &found), None);
    assert!(history.current.release(&two).unwrap().found_wrong.is_empty(), "nobody needs it any more");
}

#[derive(Debug, Clone)]
enum Run {
    Deploy(u8),
    /// The release with this content that there was before.
    Again(u8),
    Back,
    To(usize),
}

proptest! {
    /// Going back again and again ends, and meets neither a content twice nor one that was gone back from.
    #[test]
    fn the_way_back_ends(runs in proptest::collection::vec(prop_oneof![
        3 => (0..4_u8).prop_map(Run::Deploy), 2 => (0..4_u8).prop_map(Run::Again), 1 => Just(Run::Back), 1 => (0..9_usize).prop_map(Run::To)
    ], 0..12)) {
        let mut history = History::default();
        for (number, run) in runs.into_iter().enumerate() {
            match run {
                Run::Deploy(content) => drop(history.deploy(&number.to_string(), content, "e")),
                Run::Again(content) => drop(history.deploy("again", content, "e")),
                Run::Back => {
                    if let Some(id) = previous(&history.current).map(|r| r.id.clone()) {
                        history.go_back(&id);
                    }
                }
                Run::To(index) => {
                    if let Some(id) = history.current.releases.get(index).map(|r| r.id.clone()) {
                        history.go_back(&id);
                    }
                }
            }
        }
        let mut left = HashSet::new();
        while let Some(to) = previous(&history.current).cloned() {
            let live = history.current.live_release().unwrap().clone();
            prop_assert_ne!(&to.tree, &live.tree);
            prop_assert!(!to.rolled_back);
            left.insert(live.id);
            prop_assert!(!left.contains(&to.id), "{} was left before", to.id);
            history.go_back(&to.id);
        }
    }
}
