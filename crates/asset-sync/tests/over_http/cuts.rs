//! A deployment is cut at every request, in every way. Whoever visits meanwhile is not hurt, and
//! the next run finishes.

use std::sync::Arc;
use std::time::Duration;

use asset_sync::ErrorClass;
use asset_sync::bucket::MIN_PART_SIZE;
use asset_sync::deploy::{Options, Outcome};
use asset_sync::plan::InvalidationMode;
use asset_sync::site::{Role, Site};
use stand_ins::{BUCKET, Effect, LoggedRequest, Rule, When};
use tokio::sync::Notify;

use crate::world::{COLD, Files, Objects, Sites, Visible, World, side_by_side, targets, v1, v2};

/// How many worlds are cut at once on each thread.
const AT_ONCE: usize = 4;

const FILM: &str = "assets/film-0a1b2c3d.mp4";

/// How a request is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// An error answer that no retry cures; the run goes on to clean up.
    Error,
    /// The connection is reset before the effect, once.
    ResetBefore,
    /// The effect takes place and the answer is lost, once.
    ResetAfter,
    /// The process dies before the request has an effect: nothing of it is heard again.
    KillBefore,
    /// The process dies after the request took effect.
    KillAfter,
}

const CUTS: [Cut; 5] = [Cut::Error, Cut::ResetBefore, Cut::ResetAfter, Cut::KillBefore, Cut::KillAfter];

/// Lets request `number` be cut; tells when the process is to die.
fn arm(world: &World, cut: Cut, number: u64) -> Arc<Notify> {
    let dead = Arc::new(Notify::new());
    let faults = world.servers.faults();
    faults.reset_log();
    let at = || When::number(number);
    match cut {
        Cut::Error => faults.once(at(), Effect::error(400, "InvalidRequest", "cut")),
        Cut::ResetBefore => faults.once(at(), Effect::ResetBefore),
        Cut::ResetAfter => faults.once(at(), Effect::ResetAfter),
        Cut::KillBefore | Cut::KillAfter => {
            faults.add(Rule::new(When::from_number(number + 1), Effect::ResetBefore));
            let effect = if cut == Cut::KillBefore { Effect::ResetBefore } else { Effect::ResetAfter };
            faults.once(at(), effect);
            let dead = Arc::clone(&dead);
            let die = move |_| {
                let dead = Arc::clone(&dead);
                async move { dead.notify_one() }
            };
            faults.once(at(), if cut == Cut::KillBefore { Effect::before(die) } else { Effect::after(die) });
        }
    }
    dead
}

/// What is cut: a deployment of the second site over the first.
struct Scene {
    _dir: Sites,
    first: Site,
    second: Site,
    /// Every path of either, except of assets of version 2: nobody knows of those before.
    paths: Vec<String>,
    /// The bucket as it is when version 1 is live.
    before: Objects,
    /// What visitors get after an uncut run.
    expected: Visible,
    /// What an uncut run asks for, in order.
    requests: Vec<LoggedRequest>,
}

impl Scene {
    async fn new(second: Files) -> Self {
        let dir = Sites::new();
        let (first, second) = (dir.write(&v1()), dir.write(&second));
        let mut pages = second.clone();
        pages.files.retain(|f| f.role != Role::Fingerprinted);
        let mut paths = targets(&first, InvalidationMode::Exact);
        paths.extend(targets(&pages, InvalidationMode::Exact));

        let world = World::new().await;
        world.deploy(&first, "1.0.0").await.unwrap();
        let before = world.objects();
        world.pass(Duration::from_mins(1));
        world.servers.faults().reset_log();
        world.deploy_with(options(&world), &second, "2.0.0").await.unwrap();
        world.assert_holds(&second, "uncut");
        let (expected, requests) = (world.visible(), world.servers.faults().requests());
        Self { _dir: dir, first, second, paths, before, expected, requests }
    }

    /// A world in which version 1 is live, and the edge has its pages and the absence of others.
    /// Not its assets: a visitor loads some of those late.
    async fn world(&self) -> World {
        let world = World::like(&self.before).await;
        for path in self.paths.iter().filter(|path| !path.starts_with("/assets/")) {
            world.edge().fetch(path);
        }
        world.pass(Duration::from_mins(1));
        world
    }

    /// Cuts these requests, in these ways.
    fn cut_at(&self, requests: impl IntoIterator<Item = u64>, cuts: &[Cut]) {
        let cuts = requests.into_iter().flat_map(|number| cuts.iter().map(move |&cut| (cut, number))).collect();
        side_by_side(AT_ONCE, cuts, |(cut, number)| self.cut(cut, number));
    }

    async fn cut(&self, cut: Cut, number: u64) {
        let asked = &self.requests[usize::try_from(number).unwrap() - 1];
        let context = format!("{cut:?} at {asked:?}");
        let world = self.world().await;
        let dead = arm(&world, cut, number);
        let outcome = world.deploy_in_a_process(options(&world), &self.second, "2.0.0", dead).await;
        match (cut, outcome) {
            (Cut::ResetBefore | Cut::ResetAfter, Some(outcome)) => {
                let report = outcome.unwrap_or_else(|e| panic!("{context}: {e}"));
                assert_eq!(report.result, Outcome::Deployed, "{context}");
            }
            // An error in tidying up after the end does not make a success a failure.
            (Cut::Error, Some(outcome)) => {
                let error = outcome.err();
                assert!(error.as_ref().is_none_or(|e| e.class() == ErrorClass::Usage), "{context}: {error:?}");
            }
            (Cut::KillBefore | Cut::KillAfter, outcome) => assert!(outcome.is_none(), "{context}: {outcome:?}"),
            (_, None) => panic!("{context}: nobody was killed"),
        }
        world.servers.faults().clear();

        world.assert_whole(COLD[0], &[&self.first, &self.second], &context);
        world.assert_loads(&self.first, &context);

        // A dead process writes no more, and none of its requests is under way: waiting for its
        // lease to expire would only take time. `duels` has runs that do wait.
        if world.current().lease.is_some() {
            assert!(matches!(cut, Cut::KillBefore | Cut::KillAfter | Cut::Error), "{context}");
            world.deployer(world.options()).break_lease().await.unwrap();
        }
        world
            .deploy_with(options(&world), &self.second, "2.0.0")
            .await
            .unwrap_or_else(|e| panic!("{context}, then: {e}"));
        let context = format!("{context}, then run again");
        assert!(world.visible() == self.expected, "{context}: {:?}", world.visible().keys());
        // An upload whose creation was never answered has an id that nobody knows: one that S3's
        // lifecycle rule for unfinished uploads is for.
        let unanswered = asked.operation == "CreateMultipartUpload" && matches!(cut, Cut::ResetAfter | Cut::KillAfter);
        assert_eq!(world.servers.store().uploads(BUCKET).len(), usize::from(unanswered), "{context}");
        world.assert_settled(&context);
        world.assert_invalidated(&context);
        world.assert_fresh(&self.paths, &context);
        world.assert_loads(&self.first, &context);
        world.assert_loads(&self.second, &context);
        world.assert_whole(COLD[1], &[&self.second], &context);
        assert_eq!(world.current().live_release().unwrap().version, "2.0.0", "{context}");
        world.servers.shutdown().await;
    }
}

fn options(world: &World) -> Options {
    Options { part_size: MIN_PART_SIZE, ..world.options() }
}

/// Promises 1, 2, 3, 5 and 7.
#[tokio::test]
async fn a_deployment_cut_anywhere_hurts_no_visitor_and_is_finished_by_the_next() {
    let scene = Scene::new(v2()).await;
    let requests = scene.requests.len() as u64;
    assert!(requests > 30, "{requests} requests");
    scene.cut_at(1..=requests, &CUTS);
}

/// The same at the requests that bring in a large file, which goes up in parts.
#[tokio::test]
async fn so_does_one_of_a_large_file() {
    let large: Vec<u8> = (0..10_500_000_u32).map(|n| n.to_le_bytes()[usize::from(n % 7 == 0)]).collect();
    let mut files = v2();
    files.push((FILM.to_owned(), large.clone()));
    let scene = Scene::new(files).await;
    let first = |operation: &str| scene.requests.iter().find(|r| r.operation == operation).unwrap().number;
    // What comes before the first of them is as with small files.
    for (operation, cuts) in [
        ("CreateMultipartUpload", [Cut::KillBefore, Cut::KillAfter]),
        ("UploadPart", [Cut::Error, Cut::KillAfter]),
        ("CompleteMultipartUpload", [Cut::ResetAfter, Cut::KillBefore]),
    ] {
        scene.cut_at([first(operation)], &cuts);
    }
}
