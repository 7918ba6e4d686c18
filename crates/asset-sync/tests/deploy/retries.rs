//! A run and its retries are one: whatever an attempt died in, the next ends as one undisturbed run would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use asset_sync::bucket::{BucketErrorKind, MemoryFault};
use asset_sync::cdn::{CdnErrorKind, MemoryCdnFault};
use asset_sync::deploy::{IfLive, Options, Outcome, Report, RollbackTo};
use asset_sync::plan::Adopt;
use asset_sync::site::Site;
use asset_sync::verify::{Expected, Observation, Verdict, Verifier};
use asset_sync::{Conflict, Error, ErrorClass, Headers, NotVerified, Refusal};
use async_trait::async_trait;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::world::{BUCKET, World, info, v1, v2};

/// Sees that a release is wrong where its robots.txt has these bytes.
struct Against(u64);

#[async_trait]
impl Verifier for Against {
    async fn verify(&self, expected: Expected<'_>) -> Verdict {
        let is_bad = expected.manifest.files.iter().any(|f| f.key.as_str() == "robots.txt" && f.size == self.0);
        let wrong = vec![Observation { url: "https://x/app.js".into(), what: "content type is text/html".into() }];
        if is_bad { Verdict { right: 1, wrong, ..Verdict::default() } } else { Verdict::default() }
    }
}

const BAD: &str = "it is bad";

fn looking(world: &World) -> Options {
    Options { verifier: Some(Arc::new(Against(BAD.len() as u64))), ..world.options() }
}

fn by(execution: &str, options: Options) -> Options {
    Options { execution: Some(execution.to_owned()), ..options }
}

fn robots(world: &World, text: &str) -> Site {
    let mut files = v1();
    files[2].1 = text.into();
    world.site(&files)
}

fn bad(world: &World) -> Site {
    let mut files = v2();
    files[2].1 = BAD.into();
    world.site(&files)
}

async fn run(world: &World, options: Options, site: &Site, version: &str) -> Result<Report, Error> {
    let done = world.deployer_with(options).deploy(site, &info(version), &CancellationToken::new()).await;
    world.pass(SignedDuration::from_mins(1));
    done
}

async fn step(world: &World, version: &str, execution: &str) -> Result<Report, Error> {
    let if_live = IfLive { name: version.to_owned(), execution: Some(execution.to_owned()) };
    let options = by(execution, world.options());
    let (deployer, stop) = (world.deployer_with(options), CancellationToken::new());
    let done = deployer.rollback(&RollbackTo::Previous, Some(&if_live), &stop).await;
    world.pass(SignedDuration::from_mins(1));
    done
}

async fn back(world: &World, to: RollbackTo) -> Result<Report, Error> {
    let done = world.deployer().rollback(&to, None, &CancellationToken::new()).await;
    world.pass(SignedDuration::from_mins(1));
    done
}

fn live(world: &World) -> String {
    world.current().live_release().unwrap().version.clone()
}

fn not_verified(done: Result<Report, Error>) -> NotVerified {
    match done {
        Err(Error::NotVerified(failed)) => failed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_a_failed_invalidation_rolls_back() {
    let world = World::new();
    run(&world, looking(&world), &world.site(&v1()), "1.0.0").await.unwrap();
    let second = bad(&world);
    world.cdn.on_call(|_| Some(MemoryCdnFault::Before(CdnErrorKind::Throttled)));
    let error = run(&world, looking(&world), &second, "2.0.0").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert_eq!(live(&world), "2.0.0");
    world.cdn.clear_faults();
    let failed = not_verified(run(&world, looking(&world), &second, "2.0.0").await);
    assert_eq!(failed.rolled_back_to.unwrap().version, "1.0.0");
    assert_eq!(live(&world), "1.0.0");
    world.assert_serves(&world.site(&v1()));
    let third = run(&world, looking(&world), &second, "2.0.0").await;
    assert!(matches!(third, Err(Error::Conflict(Conflict::RolledBack { .. }))), "{third:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_a_signal_during_verification_rolls_back() {
    struct Slow(CancellationToken);
    #[async_trait]
    impl Verifier for Slow {
        async fn verify(&self, _: Expected<'_>) -> Verdict {
            self.0.cancel();
            std::future::pending().await
        }
    }
    let world = World::new();
    run(&world, looking(&world), &world.site(&v1()), "1.0.0").await.unwrap();
    let (second, stop) = (bad(&world), CancellationToken::new());
    let options = Options { verifier: Some(Arc::new(Slow(stop.clone()))), ..world.options() };
    let error = world.deployer_with(options).deploy(&second, &info("2.0.0"), &stop).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Interrupted, "{error}");
    // Any later run of the same release is a retry, whatever its execution.
    let failed = not_verified(run(&world, by("other", looking(&world)), &second, "2.0.0").await);
    assert!(failed.rolled_back_to.is_some());
    assert_eq!(live(&world), "1.0.0");
}

/// The automatic rollback is cut in its switch, and then in its invalidation.
#[tokio::test(start_paused = true)]
async fn a_retry_after_a_cut_automatic_rollback_finishes_it() {
    for cut_in_switch in [true, false] {
        let world = World::new();
        run(&world, looking(&world), &world.site(&v1()), "1.0.0").await.unwrap();
        let second = bad(&world);
        let switched = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&switched);
        world.store.on_call(move |call| {
            let key = call.key.clone().unwrap_or_default();
            let is_site = call.operation == "PutObject" && !key.starts_with(".deploy/");
            if is_site && cut_in_switch && seen.load(Ordering::SeqCst) {
                return Some(MemoryFault::Before(BucketErrorKind::Transient));
            }
            if is_site && key == "index.html" {
                seen.store(true, Ordering::SeqCst);
            }
            None
        });
        let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        if !cut_in_switch {
            world.cdn.on_call(move |call| {
                let makes = call.operation == "CreateInvalidation";
                let again = makes && calls.fetch_add(1, Ordering::SeqCst) > 0;
                again.then_some(MemoryCdnFault::Before(CdnErrorKind::Throttled))
            });
        }
        let error = run(&world, looking(&world), &second, "2.0.0").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "{cut_in_switch}: {error}");
        world.store.clear_faults();
        world.cdn.clear_faults();
        let failed = not_verified(run(&world, looking(&world), &second, "2.0.0").await);
        assert_eq!(failed.rolled_back_to.unwrap().version, "1.0.0", "{cut_in_switch}");
        assert_eq!(failed.observations[0].what, "content type is text/html");
        assert_eq!(live(&world), "1.0.0");
        world.assert_serves(&world.site(&v1()));
        let current = world.current();
        assert!(current.pending.is_none() && current.edges.pending(&[], "/*").is_empty(), "{current:?}");
    }
}

/// The archive is emptied while the site is looked at.
#[tokio::test(start_paused = true)]
async fn an_impossible_automatic_rollback_is_a_failed_verification() {
    struct Emptying(asset_sync::bucket::MemoryStore);
    #[async_trait]
    impl Verifier for Emptying {
        async fn verify(&self, expected: Expected<'_>) -> Verdict {
            for key in self.0.snapshot(BUCKET).into_keys().filter(|k| k.contains("/blobs/")) {
                self.0.remove(BUCKET, &key);
            }
            Against(BAD.len() as u64).verify(expected).await
        }
    }
    let world = World::new();
    let options = Options { verifier: Some(Arc::new(Emptying(world.store.clone()))), ..world.options() };
    run(&world, world.options(), &world.site(&v1()), "1.0.0").await.unwrap();
    let second = bad(&world);
    for _ in 0..2 {
        let failed = not_verified(run(&world, options.clone(), &second, "2.0.0").await);
        assert!(failed.rolled_back_to.is_none());
        let why = failed.rollback_failed.clone().unwrap();
        assert!(why.contains("cannot be restored"), "{why}");
        assert!(failed.to_string().contains("content type is text/html") && failed.to_string().contains(&why));
        assert_eq!(live(&world), "2.0.0");
        assert!(world.current().pending.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn no_later_run_calls_a_release_good_that_one_found_wrong() {
    let world = World::new();
    let keep = |world: &World| Options { on_failure: asset_sync::verify::OnFailure::Keep, ..looking(world) };
    run(&world, keep(&world), &world.site(&v1()), "1.0.0").await.unwrap();
    let second = bad(&world);
    for _ in 0..3 {
        let failed = not_verified(run(&world, keep(&world), &second, "2.0.0").await);
        assert!(failed.rolled_back_to.is_none() && failed.rollback_failed.is_none());
    }
    // Nor under another name.
    let failed = not_verified(run(&world, keep(&world), &second, "2.0.1").await);
    assert_eq!(failed.release.version, "2.0.1");
    // Nobody looks, and that is said.
    run(&world, world.options(), &second, "2.0.1").await.unwrap();
    let deployed = run(&world, Options { verifier: None, ..keep(&world) }, &second, "2.0.1").await.unwrap();
    assert_eq!(deployed.result, Outcome::Unchanged);
    // The edge was mended meanwhile.
    let mended = Options { verifier: Some(Arc::new(Against(0))), ..world.options() };
    run(&world, mended.clone(), &second, "2.0.1").await.unwrap();
    let again = run(&world, mended, &second, "2.0.1").await.unwrap();
    assert_eq!(again.result, Outcome::Unchanged);
}

#[tokio::test(start_paused = true)]
async fn the_rollback_step_does_nothing_after_a_run_that_went_back_by_itself() {
    let world = World::new();
    run(&world, by("a", looking(&world)), &robots(&world, "older"), "0.9.0").await.unwrap();
    run(&world, by("b", looking(&world)), &robots(&world, "good"), "1.0.0").await.unwrap();
    // Only a value changed: the same version, other content.
    not_verified(run(&world, by("c", looking(&world)), &robots(&world, BAD), "1.0.0").await);
    assert_eq!(world.text("robots.txt").unwrap(), "good", "by itself");
    assert_eq!(step(&world, "1.0.0", "c").await.unwrap().result, Outcome::Unchanged);
    assert_eq!(world.text("robots.txt").unwrap(), "good");
}

#[tokio::test(start_paused = true)]
async fn the_rollback_step_undoes_one_run_however_often_it_is_tried() {
    let world = World::new();
    for (version, text, execution) in [("0.9.0", "older", "a"), ("1.0.0", "good", "b"), ("1.0.0", BAD, "c")] {
        run(&world, by(execution, world.options()), &robots(&world, text), version).await.unwrap();
    }
    assert_eq!(step(&world, "1.0.0", "c").await.unwrap().result, Outcome::RolledBack);
    assert_eq!(step(&world, "1.0.0", "c").await.unwrap().result, Outcome::Unchanged);
    assert_eq!(world.text("robots.txt").unwrap(), "good");
}

#[tokio::test(start_paused = true)]
async fn the_rollback_step_does_nothing_after_a_run_that_was_refused_or_had_nothing_to_do() {
    let world = World::new();
    run(&world, by("a", world.options()), &robots(&world, "older"), "0.9.0").await.unwrap();
    run(&world, by("b", world.options()), &robots(&world, "good"), "1.0.0").await.unwrap();
    world.store.insert(BUCKET, "foreign.txt", "x", Headers::default());
    let mut files = v1();
    files.push(("foreign.txt".into(), "ours".into()));
    let refused = run(&world, by("c", world.options()), &world.site(&files), "1.0.0").await;
    assert!(matches!(refused, Err(Error::Refused(Refusal::Foreign { .. }))), "{refused:?}");
    assert_eq!(step(&world, "1.0.0", "c").await.unwrap().result, Outcome::Unchanged);
    let nothing = run(&world, by("d", world.options()), &robots(&world, "good"), "1.0.0").await.unwrap();
    assert_eq!(nothing.result, Outcome::Unchanged);
    assert_eq!(step(&world, "1.0.0", "d").await.unwrap().result, Outcome::Unchanged);
    assert_eq!(world.text("robots.txt").unwrap(), "good");
}

/// Attempt one dies in its switch; attempt two before it; the step restores what was live.
#[tokio::test(start_paused = true)]
async fn the_rollback_step_takes_back_half_a_switch_after_several_attempts() {
    let world = World::new();
    run(&world, by("a", world.options()), &robots(&world, "older"), "0.9.0").await.unwrap();
    run(&world, by("b", world.options()), &robots(&world, "good"), "1.0.0").await.unwrap();
    let second = world.site(&v2());
    let deny = |operation: &'static str, key: &'static str| {
        move |call: &asset_sync::bucket::MemoryCall| {
            let it = call.operation == operation && call.key.as_deref().is_some_and(|k| k.contains(key));
            it.then_some(MemoryFault::Before(BucketErrorKind::Denied))
        }
    };
    world.store.on_call(deny("PutObject", "index.html"));
    run(&world, by("c", world.options()), &second, "2.0.0").await.unwrap_err();
    assert_eq!(world.text("robots.txt").unwrap(), "two", "half switched");
    world.store.on_call(deny("GetObject", "/inventory/"));
    world.store.on_call(deny("PutObject", "/releases/"));
    run(&world, by("c", world.options()), &second, "2.0.0").await.unwrap_err();
    world.store.clear_faults();
    assert_eq!(step(&world, "2.0.0", "c").await.unwrap().result, Outcome::RolledBack);
    assert_eq!(live(&world), "1.0.0");
    assert_eq!(world.text("robots.txt").unwrap(), "good");
    world.assert_no_broken_page("after the step");
}

fn html() -> Headers {
    Headers { content_type: "text/html".into(), ..Headers::default() }
}

#[tokio::test(start_paused = true)]
async fn an_adoption_that_died_half_way_is_restored_whole() {
    for name in [RollbackTo::Named("adopted".into()), RollbackTo::Previous] {
        let world = World::new();
        for key in ["index.html", "about.html"] {
            world.store.insert(BUCKET, key, format!("old {key}"), html());
        }
        let site = world.site(&[("index.html", "new index"), ("about.html", "new about"), ("a.txt", "a")]);
        let take = Options { adopt: Adopt::Take, ..world.options() };
        world.store.on_call(|call| {
            let it = call.operation == "PutObject" && call.key.as_deref() == Some("index.html");
            it.then_some(MemoryFault::Before(BucketErrorKind::Denied))
        });
        run(&world, take.clone(), &site, "1.0.0").await.unwrap_err();
        world.store.clear_faults();
        run(&world, take, &site, "1.0.0").await.unwrap();
        assert_eq!(world.current().releases.iter().filter(|r| r.adopted).count(), 1);
        back(&world, name).await.unwrap();
        for key in ["index.html", "about.html"] {
            assert_eq!(world.text(key), Some(format!("old {key}")));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_not_revive_what_was_rolled_back_to_adopted() {
    let world = World::new();
    world.store.insert(BUCKET, "index.html", "old", html());
    let site = world.site(&[("index.html", "new"), ("a.txt", "a")]);
    let take = Options { adopt: Adopt::Take, ..world.options() };
    run(&world, by("a", take.clone()), &site, "1.0.0").await.unwrap();
    assert_eq!(step(&world, "1.0.0", "a").await.unwrap().result, Outcome::RolledBack);
    assert_eq!(world.text("index.html").unwrap(), "old");
    let retried = run(&world, by("a", take), &site, "1.0.0").await;
    assert!(matches!(retried, Err(Error::Conflict(Conflict::RolledBack { .. }))), "{retried:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_looked_at_too() {
    let world = World::new();
    run(&world, world.options(), &bad(&world), "1.0.0").await.unwrap();
    run(&world, world.options(), &world.site(&v1()), "2.0.0").await.unwrap();
    let deployer = world.deployer_with(looking(&world));
    let failed = not_verified(deployer.rollback(&RollbackTo::Previous, None, &CancellationToken::new()).await);
    assert!(failed.rolled_back_to.is_none());
    assert_eq!(failed.release.version, "1.0.0");
    assert_eq!(live(&world), "1.0.0");
    assert!(world.current().pending.is_none(), "the rollback itself is done");
    let forward = deployer.rollback(&RollbackTo::Named("2.0.0".into()), None, &CancellationToken::new()).await.unwrap();
    assert!(forward.seen.is_some());
}

#[tokio::test(start_paused = true)]
async fn another_environments_target_is_refused_until_that_is_allowed() {
    let world = World::new();
    let of = |name: Option<&str>| Options { environment: name.map(str::to_owned), ..world.options() };
    run(&world, of(Some("production")), &world.site(&v1()), "1.0.0").await.unwrap();
    let before = world.store.snapshot(BUCKET);
    let refused = run(&world, of(Some("staging")), &world.site(&v2()), "2.0.0").await.unwrap_err();
    assert!(matches!(refused, Error::Refused(Refusal::OtherEnvironment { .. })), "{refused}");
    assert!(refused.to_string().contains("staging") && refused.to_string().contains("production"), "{refused}");
    assert_eq!(world.store.snapshot(BUCKET), before);
    run(&world, of(None), &world.site(&v2()), "2.0.0").await.unwrap();
    // The one that is live has no name: nothing to compare.
    run(&world, of(Some("production")), &world.site(&v1()), "3.0.0").await.unwrap();
    let allowed = Options { allow_environment_change: true, ..of(Some("staging")) };
    run(&world, allowed, &world.site(&v2()), "4.0.0").await.unwrap();
    run(&world, of(Some("staging")), &world.site(&v1()), "5.0.0").await.unwrap();
    // Nothing but the environment changes; it does so once.
    let allowed = |name| Options { allow_environment_change: true, ..of(Some(name)) };
    run(&world, allowed("production"), &world.site(&v1()), "5.0.0").await.unwrap();
    let again = run(&world, of(Some("production")), &world.site(&v1()), "5.0.0").await.unwrap();
    assert_eq!(again.result, Outcome::Unchanged);
    run(&world, allowed("staging"), &world.site(&v1()), "5.0.0").await.unwrap();
    // All others only warn.
    let (other, stop) = (world.deployer_with(of(Some("production"))), CancellationToken::new());
    let warned = |command: &str| {
        let warnings = world.warnings();
        world.log.0.lock().unwrap().clear();
        assert!(warnings.iter().any(|w| w.contains("\"production\"") && w.contains("\"staging\"")), "{command}");
    };
    world.log.0.lock().unwrap().clear();
    other.status().await.unwrap();
    warned("status");
    other.verify(&Against(0)).await.unwrap();
    warned("verify");
    other.prune(&stop).await.unwrap();
    warned("prune");
    other.rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
    warned("rollback");
}

#[tokio::test(start_paused = true)]
async fn going_back_twice_never_goes_forward() {
    let world = World::new();
    for (version, text) in [("1.0.0", "one"), ("2.0.0", "two!"), ("3.0.0", "three")] {
        run(&world, world.options(), &robots(&world, text), version).await.unwrap();
    }
    back(&world, RollbackTo::Named("1.0.0".into())).await.unwrap();
    let again = back(&world, RollbackTo::Previous).await;
    assert!(matches!(again, Err(Error::NoSuchRelease(_))), "{again:?}");
    assert_eq!(live(&world), "1.0.0");
}
