//! Which distributions there are changes: ids are mistyped and corrected, added, taken away, forgotten.

use asset_sync::cdn::{CdnErrorKind, MemoryCdnFault};
use asset_sync::deploy::{Invalidate, Options, Outcome, RollbackTo};
use asset_sync::plan::{Addressing, UrlPrefix};
use asset_sync::{Error, ErrorClass};
use tokio_util::sync::CancellationToken;

use crate::world::{DISTRIBUTION, World, info, v1, v2};

const OTHER: &str = "E9OTHER";

fn with(world: &World, distributions: &[&str]) -> Options {
    Options { distributions: distributions.iter().map(|&id| id.to_owned()).collect(), ..world.options() }
}

async fn deploy(world: &World, options: Options, version: &str) -> Result<Outcome, Error> {
    let files = if version.starts_with('1') { v1() } else { v2() };
    let stop = CancellationToken::new();
    world.deployer_with(options).deploy(&world.site(&files), &info(version), &stop).await.map(|report| report.result)
}

/// The paths of the invalidations that were made since, one list for each.
fn made_since(world: &World, distribution: &str, before: usize) -> Vec<Vec<String>> {
    world.cdn.invalidations(distribution).into_iter().skip(before).map(|made| made.paths).collect()
}

fn made(world: &World, distribution: &str) -> usize {
    world.cdn.invalidations(distribution).len()
}

fn pending(world: &World) -> Vec<String> {
    world.current().edges.pending(&[], "/*").into_keys().collect()
}

/// The distribution is checked before the first write; where it goes away after that, the run ends with something pending.
fn cut_off(world: &World, distribution: &'static str, kind: CdnErrorKind) {
    world.cdn.on_call(move |call| {
        let is_it = call.distribution == distribution && call.operation == "CreateInvalidation";
        is_it.then_some(MemoryCdnFault::Before(kind))
    });
}

/// H1 of the findings: exit code 2 after the switch, and 0 once the id was corrected, with an edge that kept the old release.
#[tokio::test(start_paused = true)]
async fn a_wrong_id_is_refused_before_anything_is_written() {
    let world = World::new();
    deploy(&world, world.options(), "1.0.0").await.unwrap();
    let before = world.store.snapshot("site");
    for (ids, class) in [
        (&["E1TYPO"][..], ErrorClass::Usage),
        (&[DISTRIBUTION, "E1TYPO"], ErrorClass::Usage),
        (&["E1TYPO", "E2TYPO"], ErrorClass::Usage),
    ] {
        let error = deploy(&world, with(&world, ids), "2.0.0").await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        for id in ids.iter().filter(|id| id.ends_with("TYPO")) {
            assert!(error.to_string().contains(id), "{error}");
        }
        let rolled = world.deployer_with(with(&world, ids));
        let error = rolled.rollback(&RollbackTo::Previous, None, &CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Usage, "{error}");
        let error = world.deployer_with(with(&world, ids)).plan(&world.site(&v2()), &info("2.0.0")).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert_eq!(world.store.snapshot("site"), before, "nothing was written");
    }
    world.cdn.on_call(|_| Some(MemoryCdnFault::Before(CdnErrorKind::Denied)));
    let error = deploy(&world, world.options(), "2.0.0").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotPermitted, "{error}");
    assert_eq!(world.store.snapshot("site"), before);
    world.cdn.clear_faults();
    assert_eq!(deploy(&world, world.options(), "2.0.0").await.unwrap(), Outcome::Deployed);
}

/// Other names for the same files write one object; that is a write, too.
#[tokio::test(start_paused = true)]
async fn another_version_of_the_same_files_is_not_recorded_for_a_wrong_id() {
    let world = World::new();
    deploy(&world, world.options(), "2.0.0").await.unwrap();
    let before = world.store.snapshot("site");
    world.cdn.on_call(|_| Some(MemoryCdnFault::Before(CdnErrorKind::NoSuchDistribution)));
    assert_eq!(deploy(&world, world.options(), "2.0.1").await.unwrap_err().class(), ErrorClass::Usage);
    assert_eq!(world.store.snapshot("site"), before);
}

/// An outage of the CDN's interface does not stop what visitors without it, or with entry files that are asked for anew, get.
#[tokio::test(start_paused = true)]
async fn a_cdn_that_does_not_answer_the_check_is_not_in_the_way() {
    for kind in [CdnErrorKind::Transient, CdnErrorKind::Throttled, CdnErrorKind::Invalid] {
        let world = World::new();
        world.cdn.on_call(move |call| (call.number == 1).then_some(MemoryCdnFault::Before(kind)));
        assert_eq!(deploy(&world, world.options(), "1.0.0").await.unwrap(), Outcome::Deployed);
        assert!(world.warnings().iter().any(|w| w.contains("could not check")), "{:?}", world.warnings());
    }
}

#[tokio::test(start_paused = true)]
async fn a_corrected_id_is_invalidated_for_everything() {
    for kind in [CdnErrorKind::NoSuchDistribution, CdnErrorKind::Denied, CdnErrorKind::Credentials] {
        let world = World::new();
        world.cdn.create_distribution(OTHER);
        deploy(&world, world.options(), "1.0.0").await.unwrap();
        let before = made(&world, DISTRIBUTION);
        cut_off(&world, OTHER, kind);
        deploy(&world, with(&world, &[OTHER]), "2.0.0").await.unwrap_err();
        assert_eq!(pending(&world), [OTHER]);
        // Also what comes after may not be lost on the way.
        deploy(&world, with(&world, &[OTHER]), "2.0.0").await.unwrap_err();
        deploy(&world, world.options(), "2.0.0").await.unwrap();
        assert_eq!(made_since(&world, DISTRIBUTION, before)[0], ["/*"], "it was not configured when 2.0.0 went live");
        assert!(world.warnings().iter().any(|w| w.contains(OTHER) && w.contains("dropped")), "{:?}", world.warnings());
        assert!(pending(&world).is_empty());
        let (before, requests) = (world.current(), world.cdn.calls().len());
        assert_eq!(deploy(&world, world.options(), "2.0.0").await.unwrap(), Outcome::Unchanged);
        assert_eq!((world.current(), world.cdn.calls().len()), (before, requests));
    }
}

/// The same where the next release is another one: what is dropped is said there, too.
#[tokio::test(start_paused = true)]
async fn what_is_dropped_is_said_by_a_run_that_switches() {
    let world = World::new();
    world.cdn.create_distribution(OTHER);
    deploy(&world, with(&world, &[OTHER]), "1.0.0").await.unwrap();
    cut_off(&world, OTHER, CdnErrorKind::Denied);
    deploy(&world, with(&world, &[OTHER]), "2.0.0").await.unwrap_err();
    deploy(&world, world.options(), "1.9.0").await.unwrap_err();
    let options = Options { allow_older: true, ..world.options() };
    deploy(&world, options, "1.9.0").await.unwrap();
    assert!(world.warnings().iter().any(|w| w.contains(OTHER) && w.contains("dropped")), "{:?}", world.warnings());
    assert!(pending(&world).is_empty());
    assert_eq!(world.current().edges.distributions.keys().collect::<Vec<_>>(), [DISTRIBUTION]);
}

/// `h3` of the findings: the account of a distribution may be closed to us, and nothing got rid of its debt.
#[tokio::test(start_paused = true)]
async fn one_that_is_taken_away_is_dropped_and_the_others_get_no_more_than_they_need() {
    let world = World::new();
    world.cdn.create_distribution(OTHER);
    deploy(&world, with(&world, &[DISTRIBUTION, OTHER]), "1.0.0").await.unwrap();
    cut_off(&world, OTHER, CdnErrorKind::Denied);
    let error = deploy(&world, with(&world, &[DISTRIBUTION, OTHER]), "2.0.0").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unfinished, "{error}");
    assert_eq!(pending(&world), [OTHER], "the other one completed");
    let before = made(&world, DISTRIBUTION);
    deploy(&world, world.options(), "2.0.0").await.unwrap();
    let made = made_since(&world, DISTRIBUTION, before);
    assert!(!made.iter().flatten().any(|path| path == "/index.html" || path == "/*"), "it was fresh: {made:?}");
    assert!(pending(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_added_distribution_drops_everything_though_nothing_else_is_to_do() {
    let world = World::new();
    world.cdn.create_distribution(OTHER);
    deploy(&world, world.options(), "1.0.0").await.unwrap();
    let (both, before) = (with(&world, &[DISTRIBUTION, OTHER]), made(&world, DISTRIBUTION));
    let plan = world.deployer_with(both.clone()).plan(&world.site(&v1()), &info("1.0.0")).await.unwrap();
    assert_eq!(plan.invalidation_paths, ["/*"]);
    deploy(&world, both.clone(), "1.0.0").await.unwrap();
    assert_eq!(made_since(&world, OTHER, 0), [["/*"]]);
    assert_eq!(made(&world, DISTRIBUTION), before, "the one that was fresh is let alone");
    assert_eq!(deploy(&world, both, "1.0.0").await.unwrap(), Outcome::Unchanged);
}

/// Taken away and added again, it may hold what went live in between.
#[tokio::test(start_paused = true)]
async fn one_that_comes_back_is_invalidated_anew() {
    let world = World::new();
    world.cdn.create_distribution(OTHER);
    let both = with(&world, &[DISTRIBUTION, OTHER]);
    deploy(&world, both.clone(), "1.0.0").await.unwrap();
    deploy(&world, world.options(), "2.0.0").await.unwrap();
    let before = made(&world, OTHER);
    deploy(&world, both, "2.0.0").await.unwrap();
    assert_eq!(made_since(&world, OTHER, before), [["/*"]]);
}

/// H1, the other way: the variable was forgotten in one run, without a word, and the edge stayed as it was for good.
#[tokio::test(start_paused = true)]
async fn what_changed_while_none_was_configured_is_made_up_for() {
    let world = World::new();
    deploy(&world, world.options(), "1.0.0").await.unwrap();
    let before = made(&world, DISTRIBUTION);
    assert_eq!(deploy(&world, with(&world, &[]), "2.0.0").await.unwrap(), Outcome::Deployed);
    assert!(world.warnings().iter().any(|w| w.contains(DISTRIBUTION)), "{:?}", world.warnings());
    assert_eq!(made(&world, DISTRIBUTION), before);
    let (state, warned) = (world.current(), world.warnings().len());
    assert_eq!(deploy(&world, with(&world, &[]), "2.0.0").await.unwrap(), Outcome::Unchanged);
    assert_eq!(world.current(), state);
    assert!(world.warnings().len() > warned, "each such run says so");
    assert_eq!(deploy(&world, world.options(), "2.0.0").await.unwrap(), Outcome::Deployed);
    let made = made_since(&world, DISTRIBUTION, before);
    assert!(made.iter().flatten().any(|path| path == "/index.html"), "{made:?}");
    assert_eq!(deploy(&world, world.options(), "2.0.0").await.unwrap(), Outcome::Unchanged);
}

/// The same for a rollback and for what is deleted.
#[tokio::test(start_paused = true)]
async fn a_rollback_without_a_distribution_leaves_its_paths_pending() {
    let world = World::new();
    deploy(&world, world.options(), "1.0.0").await.unwrap();
    deploy(&world, world.options(), "2.0.0").await.unwrap();
    let stop = CancellationToken::new();
    world.deployer_with(with(&world, &[])).rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
    assert_eq!(pending(&world), [DISTRIBUTION]);
    let before = made(&world, DISTRIBUTION);
    world.deployer_with(world.options()).prune(&stop).await.unwrap();
    assert!(made_since(&world, DISTRIBUTION, before).iter().flatten().any(|path| path == "/index.html"));
    assert!(pending(&world).is_empty());
}

/// Nothing of a site that never had a CDN is remembered for one.
#[tokio::test(start_paused = true)]
async fn a_site_without_a_cdn_warns_of_nothing() {
    let world = World::new();
    for version in ["1.0.0", "2.0.0"] {
        deploy(&world, with(&world, &[]), version).await.unwrap();
    }
    assert!(world.current().edges.is_empty());
    assert_eq!(world.warnings(), [""; 0]);
}

/// H2 of the findings: nothing that an operator could type made the edge forget when nothing was left to switch.
#[tokio::test(start_paused = true)]
async fn edges_are_made_to_forget_when_nothing_else_is_to_do() {
    let world = World::new();
    let stop = CancellationToken::new();
    let invalidate =
        async |options: Options, what: Invalidate| world.deployer_with(options).invalidate(&what, &stop).await;
    let error = invalidate(world.options(), Invalidate::All).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchRelease(_)), "{error}");
    assert!(world.store.snapshot("site").is_empty());
    deploy(&world, world.options(), "1.0.0").await.unwrap();
    let before = made(&world, DISTRIBUTION);
    let report = invalidate(world.options(), Invalidate::Pending).await.unwrap();
    assert_eq!((report.result, made(&world, DISTRIBUTION)), (Outcome::Unchanged, before));
    for (what, paths) in [
        (Invalidate::All, vec!["/*"]),
        (Invalidate::All, vec!["/*"]),
        (Invalidate::Paths(vec!["/b/*".to_owned(), "/a b".to_owned()]), vec!["/a%20b", "/b/*"]),
    ] {
        let before = made(&world, DISTRIBUTION);
        let report = invalidate(world.options(), what).await.unwrap();
        assert_eq!(report.result, Outcome::Invalidated);
        assert_eq!(
            made_since(&world, DISTRIBUTION, before),
            std::slice::from_ref(&paths),
            "asked again, it is made again"
        );
        assert_eq!(report.invalidations[0].paths, paths);
    }
    let state = world.current();
    assert!(state.lease.is_none() && pending(&world).is_empty());
    let error = invalidate(with(&world, &[]), Invalidate::All).await.unwrap_err();
    assert!(matches!(error, Error::NoDistribution), "{error}");
    let error = invalidate(world.options(), Invalidate::Paths(vec!["a".to_owned()])).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Usage);
    assert_eq!(world.current(), state);
}

/// What a run that failed left pending is completed, and the journal of one that is half done stays for the next run.
#[tokio::test(start_paused = true)]
async fn what_is_pending_is_completed_without_the_site() {
    let world = World::new();
    let stop = CancellationToken::new();
    deploy(&world, world.options(), "1.0.0").await.unwrap();
    cut_off(&world, DISTRIBUTION, CdnErrorKind::Denied);
    deploy(&world, world.options(), "2.0.0").await.unwrap_err();
    let error = world.deployer().invalidate(&Invalidate::Pending, &stop).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unfinished, "{error}");
    assert!(error.to_string().starts_with("version 2.0.0 (release r2-"), "{error}");
    world.cdn.clear_faults();
    let report = world.deployer().invalidate(&Invalidate::Pending, &stop).await.unwrap();
    assert_eq!((report.result, report.live.unwrap().version), (Outcome::Invalidated, "2.0.0".to_owned()));
    assert!(pending(&world).is_empty() && world.current().pending.is_some());
    deploy(&world, world.options(), "2.0.0").await.unwrap();
    assert!(world.current().pending.is_none());
}

/// What is pending is asked for by other paths once the URL prefix is another: that is not the invalidation of before.
#[tokio::test(start_paused = true)]
async fn other_paths_are_another_invalidation() {
    let world = World::new();
    deploy(&world, with(&world, &[]), "1.0.0").await.unwrap();
    world.cdn.on_call(|call| {
        let asks = call.operation == "GetInvalidation" && call.number > 1;
        asks.then_some(MemoryCdnFault::Before(CdnErrorKind::Denied))
    });
    deploy(&world, world.options(), "1.0.0").await.unwrap_err();
    assert_eq!(pending(&world), [DISTRIBUTION]);
    world.cdn.clear_faults();
    let addressing = Addressing { prefix: UrlPrefix::new("/app"), ..Addressing::default() };
    let moved = Options { addressing, ..world.options() };
    deploy(&world, moved, "1.0.0").await.unwrap();
    assert_eq!(made_since(&world, DISTRIBUTION, 0), [["/*"], ["/app/*"]]);
    assert!(pending(&world).is_empty());
}
