//! Histories that the model found, each of which once went wrong.

use asset_sync::Headers;
use asset_sync::state::{Operation, Pending};

use super::Model;
use super::sites::{MAP, Pool};
use super::steps::{Look, Run, Step};
use crate::world::BUCKET;

/// Of the outer target.
const OUTER: usize = 0;

fn deploy(site: usize) -> Run {
    Run::Deploy { site, look: Look::None }
}

const BACK: Run = Run::RollBack { look: Look::None };

impl Model {
    async fn go(&mut self, run: Run) {
        self.step(OUTER, &Step::Run(run)).await;
    }

    async fn die(&mut self, run: Run, at: u64, effect: bool) {
        self.step(OUTER, &Step::Crash { run, at, effect }).await;
    }

    async fn back_to_first(&mut self) {
        self.go(Run::RollBackTo { nth: 0 }).await;
    }

    /// Somebody else edits or deletes a file.
    fn by_hand(&mut self, key: &str, content: Option<&'static str>) {
        match content {
            Some(content) => drop(self.world.store.insert(BUCKET, key, content, Headers::default())),
            None => drop(self.world.store.remove(BUCKET, key)),
        }
        self.targets[OUTER].touched.insert(key.to_owned());
        self.targets[OUTER].damaged.insert(key.to_owned());
    }

    fn live(&self) -> Option<String> {
        self.targets[OUTER].live.clone()
    }
}

/// The copy to the archive failed for want of a source, in every run to come.
#[tokio::test(start_paused = true)]
async fn a_fingerprinted_file_that_changed_and_was_edited_or_deleted_by_somebody_is_no_obstacle() {
    let pool = Pool::new();
    for content in [None, Some("somebody's")] {
        let mut model = Model::new(&pool);
        model.go(deploy(1)).await;
        model.by_hand(MAP, content);
        model.go(deploy(0)).await;
    }
}

/// The release that is live when the rollback begins does not have the file: its name was forgotten.
#[tokio::test(start_paused = true)]
async fn a_rollback_restores_what_a_release_in_between_changed_under_a_fingerprinted_name() {
    let pool = Pool::new();
    let mut model = Model::new(&pool);
    for site in [1, 0, 2] {
        model.go(deploy(site)).await;
    }
    model.back_to_first().await;
    assert_eq!(model.world.text(MAP).unwrap(), "map two");
}

/// The retry chose anew, and went to the release before.
#[tokio::test(start_paused = true)]
async fn a_rollback_that_was_killed_is_finished_by_its_retry_and_goes_no_further() {
    let pool = Pool::new();
    let mut finished = 0;
    for (deployed, rolled_back) in (20..40).step_by(2).flat_map(|d| (5..30).step_by(3).map(move |r| (d, r))) {
        let mut model = Model::new(&pool);
        for site in [1, 3] {
            model.go(deploy(site)).await;
        }
        let live = model.live();
        model.die(deploy(2), deployed, true).await;
        model.die(BACK, rolled_back, true).await;
        let current = model.world.current();
        let goes_back = |p: &Pending| p.operation == Operation::Rollback;
        if !current.pending.as_ref().is_some_and(goes_back) {
            continue;
        }
        let target = current.pending.unwrap().release.to_string();
        model.go(BACK).await;
        assert_eq!(model.live().as_ref(), Some(&target), "killed at {deployed} and {rolled_back}");
        assert_eq!(model.live(), live, "killed at {deployed} and {rolled_back}");
        finished += 1;
    }
    assert!(finished > 10, "{finished}");
}

/// Pages of the release before stayed, since a rollback does not read the inventory.
#[tokio::test(start_paused = true)]
async fn a_rollback_to_what_a_killed_deployment_made_live_takes_the_old_pages_down() {
    let pool = Pool::new();
    let mut finished = 0;
    for at in 10..45 {
        let mut model = Model::new(&pool);
        model.go(deploy(1)).await;
        let first = model.live();
        model.die(deploy(0), at, true).await;
        if model.live() == first || model.world.current().pending.is_none() {
            continue;
        }
        let nth = model.targets[OUTER].releases.iter().position(|r| Some(&r.id) == model.live().as_ref()).unwrap();
        model.go(Run::RollBackTo { nth }).await;
        finished += 1;
    }
    assert!(finished > 2, "{finished}");
}

/// What a fingerprinted name held was to be archived when the run died, and the next one took it that
/// it had been.
#[tokio::test(start_paused = true)]
async fn a_release_can_be_restored_wherever_a_later_deployment_died() {
    let pool = Pool::new();
    for (at, effect) in (1..50).flat_map(|at| [(at, false), (at, true)]) {
        let mut model = Model::new(&pool);
        model.go(deploy(1)).await;
        model.die(deploy(0), at, effect).await;
        model.go(deploy(3)).await;
        model.back_to_first().await;
        assert_eq!(model.world.text(MAP).unwrap(), "map two", "killed at {at}");
    }
}

/// The rollback was refused, and yet on record as begun.
#[tokio::test(start_paused = true)]
async fn a_rollback_that_is_refused_leaves_nothing_behind() {
    let pool = Pool::new();
    let mut model = Model::new(&pool);
    model.go(deploy(3)).await;
    model.by_hand(MAP, None);
    model.go(deploy(1)).await;
    let before = model.world.current();
    model.go(BACK).await;
    let after = model.world.current();
    assert_eq!((after.live, after.pending, after.edges), (before.live, before.pending, before.edges));
    model.go(Run::Prune).await;
}

/// What an older release had replaced when it was deployed again was newer by its number, so that going back to it did not
/// count as going back.
#[tokio::test(start_paused = true)]
async fn a_way_back_does_not_lead_to_and_fro() {
    let pool = Pool::new();
    let mut model = Model::new(&pool);
    model.go(deploy(2)).await;
    model.go(deploy(3)).await;
    let again = |forced, look| Run::Retry { nth: 1, same_execution: false, forced, look };
    model.go(again(true, Look::Wrong)).await;
    // Neither by itself nor by hand.
    model.go(again(false, Look::None)).await;
    model.go(BACK).await;
    assert_eq!(model.world.text("sw.js").unwrap(), "four");
}
