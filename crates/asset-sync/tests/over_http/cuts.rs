//! A deployment, a rollback, a prune is cut at every request, in every way. Whoever visits meanwhile is not hurt, and
//! the next run finishes.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use asset_sync::ErrorClass;
use asset_sync::bucket::MIN_PART_SIZE;
use asset_sync::deploy::{Options, Outcome};
use asset_sync::plan::InvalidationMode;
use asset_sync::site::{Role, ScanOptions, Site, scan};
use stand_ins::{BUCKET, Effect, LoggedRequest, Rule, When};
use tokio::sync::Notify;

use crate::world::{Act, COLD, Files, Objects, Sites, Visible, World, side_by_side, targets, v1, v2};

/// How many worlds are cut at once on each thread.
const AT_ONCE: usize = 4;

const FILM: &str = "assets/film-0a1b2c3d.wasm";

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

/// What is cut, and what was so before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Of the second site over the first.
    Deploy,
    /// From the second site to the first.
    Rollback,
    /// Of the first site, a month after the second took its place, when nothing old is kept.
    Prune,
}

impl Action {
    fn act(self, scene: &Scene) -> Act {
        match self {
            Self::Deploy => Act::Deploy(scene.second.clone(), "2.0.0"),
            Self::Rollback => Act::Rollback("1.0.0"),
            Self::Prune => Act::Prune,
        }
    }

    fn options(self, world: &World) -> Options {
        let keep_releases = if self == Self::Prune { 0 } else { world.options().keep_releases };
        Options { keep_releases, part_size: MIN_PART_SIZE, ..world.options() }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::Deploy => Outcome::Deployed,
            Self::Rollback => Outcome::RolledBack,
            Self::Prune => Outcome::Pruned,
        }
    }

    /// How long before it the last of the sites was deployed.
    fn pause(self) -> Duration {
        if self == Self::Prune { Duration::from_hours(24 * 30) } else { Duration::from_mins(1) }
    }
}

/// A run to be cut.
struct Scene {
    _dir: Sites,
    action: Action,
    first: Site,
    second: Site,
    /// Every path of either, except of assets: a visitor loads some of those late.
    paths: Vec<String>,
    /// The bucket as it is before.
    before: Objects,
    /// What visitors get after an uncut run.
    expected: Visible,
    /// What an uncut run asks for, in order.
    requests: Vec<LoggedRequest>,
}

impl Scene {
    async fn of(action: Action, second: Files) -> Self {
        let dir = Sites::new();
        let (first, second) = (dir.write(&v1()), dir.write(&second));
        Self::new(dir, action, first, second).await
    }

    async fn new(dir: Sites, action: Action, first: Site, second: Site) -> Self {
        let mut paths = BTreeSet::new();
        for site in [&first, &second] {
            let mut pages = site.clone();
            pages.files.retain(|f| f.role != Role::Fingerprinted);
            paths.extend(targets(&pages, InvalidationMode::Exact));
        }
        let mut scene = Self {
            _dir: dir,
            action,
            first,
            second,
            paths: paths.into_iter().collect(),
            before: Objects::new(),
            expected: Visible::new(),
            requests: Vec::new(),
        };
        let world = World::new().await;
        world.deploy(&scene.first, "1.0.0").await.unwrap();
        if action != Action::Deploy {
            world.pass(Duration::from_mins(1));
            world.deploy(&scene.second, "2.0.0").await.unwrap();
        }
        scene.before = world.objects();

        let world = scene.world().await;
        world.servers.faults().reset_log();
        let report = world.act(action.options(&world), &action.act(&scene)).await.unwrap();
        assert_eq!(report.result, action.outcome(), "uncut");
        world.assert_holds(scene.live(), "uncut");
        (scene.expected, scene.requests) = (world.visible(), world.servers.faults().requests());
        scene
    }

    /// The site that is live when the run has ended.
    fn live(&self) -> &Site {
        if self.action == Action::Rollback { &self.first } else { &self.second }
    }

    /// Sites whose pages somebody may have open, and who then needs their assets.
    fn open(&self) -> Vec<&Site> {
        match self.action {
            Action::Deploy => vec![&self.first],
            Action::Rollback => vec![&self.first, &self.second],
            Action::Prune => vec![&self.second],
        }
    }

    /// A world in which the run can begin, and the edge has the pages there are and the absence of
    /// the others.
    async fn world(&self) -> World {
        let world = World::like(&self.before).await;
        world.pass(Duration::from_mins(1) + self.action.pause());
        for path in &self.paths {
            world.edge().fetch(path);
        }
        world
    }

    /// Cuts these requests, in these ways.
    fn cut_at(&self, requests: impl IntoIterator<Item = u64>, cuts: &[Cut]) {
        let cuts = requests.into_iter().flat_map(|number| cuts.iter().map(move |&cut| (cut, number))).collect();
        side_by_side(AT_ONCE, cuts, |(cut, number)| self.cut(cut, number));
    }

    async fn cut(&self, cut: Cut, number: u64) {
        let asked = &self.requests[usize::try_from(number).unwrap() - 1];
        let context = format!("{:?} cut by {cut:?} at {asked:?}", self.action);
        let world = self.world().await;
        let (options, act) = (self.action.options(&world), self.action.act(self));
        let dead = arm(&world, cut, number);
        let outcome = world.act_in_a_process(options.clone(), act.clone(), dead).await;
        match (cut, outcome) {
            (Cut::ResetBefore | Cut::ResetAfter, Some(outcome)) => {
                let report = outcome.unwrap_or_else(|e| panic!("{context}: {e}"));
                assert_eq!(report.result, self.action.outcome(), "{context}");
            }
            // An error in tidying up after the end does not make a success a failure.
            (Cut::Error, Some(outcome)) => {
                let error = outcome.err();
                // The answer to a HEAD has no body to tell which error it is.
                let blind = asked.operation == "HeadObject";
                let class = if blind { ErrorClass::NotPermitted } else { ErrorClass::Usage };
                assert!(error.as_ref().is_none_or(|e| e.cause().class() == class), "{context}: {error:?}");
            }
            (Cut::KillBefore | Cut::KillAfter, outcome) => assert!(outcome.is_none(), "{context}: {outcome:?}"),
            (_, None) => panic!("{context}: nobody was killed"),
        }
        world.servers.faults().clear();

        world.assert_whole(COLD[0], &[&self.first, &self.second], &context);
        for site in self.open() {
            world.assert_loads(site, &context);
        }

        // A dead process writes no more, and none of its requests is under way: waiting for its
        // lease to expire would only take time. `duels` has runs that do wait.
        if world.current().lease.is_some() {
            assert!(matches!(cut, Cut::KillBefore | Cut::KillAfter | Cut::Error), "{context}");
            world.deployer(world.options()).break_lease().await.unwrap();
        }
        world.act(options, &act).await.unwrap_or_else(|e| panic!("{context}, then: {e}"));
        let context = format!("{context}, then run again");
        assert!(world.visible() == self.expected, "{context}: {:?}", world.visible().keys());
        // An upload whose creation was never answered has an id that nobody knows: one that S3's
        // lifecycle rule for unfinished uploads is for.
        let unanswered = asked.operation == "CreateMultipartUpload" && matches!(cut, Cut::ResetAfter | Cut::KillAfter);
        assert_eq!(world.servers.store().uploads(BUCKET).len(), usize::from(unanswered), "{context}");
        world.assert_settled(&context);
        world.assert_invalidated(&context);
        world.assert_fresh(&self.paths, &context);
        for site in self.open() {
            world.assert_loads(site, &context);
        }
        world.assert_loads(self.live(), &context);
        world.assert_whole(COLD[1], &[self.live()], &context);
        let version = if self.action == Action::Rollback { "1.0.0" } else { "2.0.0" };
        assert_eq!(world.current().live_release().unwrap().version, version, "{context}");
        world.servers.shutdown().await;
    }
}

/// Promises 1, 2, 3, 5 and 7.
#[tokio::test]
async fn a_deployment_cut_anywhere_hurts_no_visitor_and_is_finished_by_the_next() {
    let scene = Scene::of(Action::Deploy, v2()).await;
    let requests = scene.requests.len() as u64;
    assert!(requests > 30, "{requests} requests");
    scene.cut_at(1..=requests, &CUTS);
}

#[tokio::test]
async fn so_does_a_rollback() {
    let scene = Scene::of(Action::Rollback, v2()).await;
    let requests = scene.requests.len() as u64;
    assert!(requests > 10, "{requests} requests");
    scene.cut_at(1..=requests, &CUTS);
}

#[tokio::test]
async fn so_does_a_prune() {
    let scene = Scene::of(Action::Prune, v2()).await;
    let requests = scene.requests.len() as u64;
    assert!(requests > 5, "{requests} requests");
    scene.cut_at(1..=requests, &CUTS);
}

/// The same at the requests that bring in a large file, which goes up in parts.
#[tokio::test]
async fn so_does_one_of_a_large_file() {
    let large: Vec<u8> = (0..10_500_000_u32).map(|n| n.to_le_bytes()[usize::from(n % 7 == 0)]).collect();
    let mut files = v2();
    files.push((FILM.to_owned(), large.clone()));
    let scene = Scene::of(Action::Deploy, files).await;
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

/// The same on a site that nobody here wrote, Streamlit's front end, at requests that differ from
/// run to run: `MTRIBES_TEST_SEED` repeats the ones of a seed that was printed.
#[tokio::test]
async fn so_does_a_real_site() {
    let Some((first, second)) = real_sites() else { return };
    let seed = std::env::var("MTRIBES_TEST_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("cuts of a real site: MTRIBES_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for (action, sample) in [(Action::Deploy, 8), (Action::Rollback, 8), (Action::Prune, 4)] {
        let scene = Scene::new(Sites::new(), action, first.clone(), second.clone()).await;
        let requests = scene.requests.len() as u64;
        assert!(requests > 10 || action == Action::Prune, "{requests} requests");
        let cuts = (0..sample).map(|_| (*random.choice(&CUTS).unwrap(), random.u64(1..=requests))).collect();
        side_by_side(1, cuts, |(cut, number)| scene.cut(cut, number));
    }
}

/// Two versions of Streamlit's front end; `None`, said loudly, where they are not at hand.
fn real_sites() -> Option<(Site, Site)> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-tools/sites");
    let sites = PathBuf::from(variable("MTRIBES_TEST_SITES").unwrap_or_else(|| here.to_owned()));
    if !sites.is_dir() {
        let required = variable("CI").is_some_and(|ci| ci == "true") || variable("MTRIBES_TEST_REQUIRED").is_some();
        assert!(!required, "the site streamlit is absent, and this run must not go without it");
        // Not `eprintln`, which a test that passes keeps to itself.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED: the site streamlit is absent (scripts/install-test-tools)").unwrap();
        return None;
    }
    let of = |version: &str| scan(&sites.join(format!("streamlit-{version}")), &ScanOptions::default()).unwrap();
    Some((of("1.45.0"), of("1.46.0")))
}
