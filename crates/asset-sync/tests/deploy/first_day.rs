//! The bucket was filled by another tool: foreign objects in the way.

use std::sync::atomic::{AtomicBool, Ordering};

use asset_sync::bucket::{BucketErrorKind, MemoryFault};
use asset_sync::deploy::{Options, Outcome, RollbackTo};
use asset_sync::plan::Adopt;
use asset_sync::state::Current;
use asset_sync::{Error, Headers, Refusal};
use tokio_util::sync::CancellationToken;

use crate::world::{APP_1, World, info, v1, v2};

fn html() -> Headers {
    Headers { content_type: "text/html".into(), cache_control: Some("max-age=300".into()), ..Headers::default() }
}

/// What the old script left: the same script, another page, a page of its own.
fn fill(world: &World) {
    world.store.insert(
        "site",
        APP_1,
        "app one",
        Headers { content_type: "text/javascript".into(), ..Headers::default() },
    );
    world.store.insert("site", "index.html", "the old page", html());
    world.store.insert("site", "legacy.html", "only theirs", html());
}

/// Promise 10. Shown to fail when `check_obstacles` is not called.
#[tokio::test(start_paused = true)]
async fn foreign_content_in_the_way_stops_the_run_before_anything_is_written() {
    let world = World::new();
    fill(&world);
    let before = world.store.snapshot("site");
    let error = world.deploy(&world.site(&v1()), "1.0.0").await.unwrap_err();
    let Error::Refused(Refusal::Foreign { keys }) = &error else { panic!("{error}") };
    assert_eq!(keys, &["index.html"]);
    assert_eq!(world.store.snapshot("site"), before);
}

#[tokio::test(start_paused = true)]
async fn identical_content_is_adopted_and_given_the_right_headers() {
    let world = World::new();
    fill(&world);
    world.store.remove("site", "index.html");
    let site = world.site(&v1());
    let report = world.deploy(&site, "1.0.0").await.unwrap();
    assert_eq!(report.foreign, 1);
    world.assert_serves(&site);
    assert_eq!(world.text("legacy.html").unwrap(), "only theirs");
    assert_eq!(world.deploy(&site, "1.0.0").await.unwrap().result, Outcome::Unchanged);
}

/// What is taken later is part of the state before the first deployment, unless that is what is live.
#[tokio::test(start_paused = true)]
async fn what_is_taken_later_is_restored_with_what_was_taken_before() {
    for is_live in [false, true] {
        let world = World::new();
        let stop = CancellationToken::new();
        let deployer = world.deployer_with(Options { adopt: Adopt::Take, ..world.options() });
        world.store.insert("site", "index.html", "old index", html());
        let site = world.site(&[("index.html", "new index"), ("a.txt", "a")]);
        deployer.deploy(&site, &info("1.0.0"), &stop).await.unwrap();
        world.pass(jiff::SignedDuration::from_mins(1));
        deployer.rollback(&RollbackTo::Named("adopted".into()), None, &stop).await.unwrap();
        world.pass(jiff::SignedDuration::from_mins(1));
        let adopted = world.current().live.unwrap();
        let second = world.site(&[("index.html", "index 2"), ("a.txt", "a")]);
        if !is_live {
            deployer.deploy(&second, &info("2.0.0"), &stop).await.unwrap();
            assert_eq!(world.current().live_release().unwrap().replaced, Some(adopted.clone()));
        }
        world.store.insert("site", "about.html", "old about", html());
        let third = world.site(&[("index.html", "index 3"), ("about.html", "about 3"), ("a.txt", "a")]);
        deployer.deploy(&third, &info("3.0.0"), &stop).await.unwrap();
        let current = world.current();
        let records: Vec<_> = current.releases.iter().filter(|r| r.adopted).map(|r| r.id.clone()).collect();
        assert_eq!(records.contains(&adopted), is_live, "{records:?}");
        assert_eq!(records.len(), if is_live { 2 } else { 1 });
        let replaced = current.releases.iter().filter_map(|r| r.replaced.as_ref());
        assert!(replaced.into_iter().all(|id| current.release(id).is_some()), "{current:?}");
        if !is_live {
            deployer.rollback(&RollbackTo::Named("adopted".into()), None, &stop).await.unwrap();
            assert_eq!(
                (world.text("index.html").unwrap(), world.text("about.html").unwrap()),
                ("old index".to_owned(), "old about".to_owned())
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn taken_objects_are_archived_and_can_be_restored() {
    let world = World::new();
    fill(&world);
    let deployer = world.deployer_with(Options { adopt: Adopt::Take, ..world.options() });
    let stop = CancellationToken::new();
    let site = world.site(&v1());
    let plan = deployer.plan(&site, &info("1.0.0")).await.unwrap();
    assert_eq!(plan.taken, ["index.html"]);
    deployer.deploy(&site, &info("1.0.0"), &stop).await.unwrap();
    world.assert_serves(&site);

    deployer.rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
    let visible = world.visible();
    assert_eq!(visible["index.html"], (b"the old page".to_vec(), html()));
    assert_eq!(visible["legacy.html"].0, b"only theirs");
    // The page that only the new release had is gone; its assets wait for the grace time.
    assert!(!visible.contains_key("old/index.html"));
    deployer.rollback(&RollbackTo::Named("1.0.0".into()), None, &stop).await.unwrap();
    world.assert_serves(&site);
}

#[tokio::test(start_paused = true)]
async fn a_shrunken_site_stops_before_anything_changes() {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    let before = world.store.snapshot("site");
    let error = world.deploy(&world.site(&[("index.html", "nearly nothing")]), "2.0.0").await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::Shrunk(_))), "{error}");
    assert_eq!(world.store.snapshot("site"), before);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_ignores_conditions_is_refused_unless_told_otherwise() {
    let world = World::new();
    world.store.ignore_conditions(true);
    let site = world.site(&v1());
    let error = world.deploy(&site, "1.0.0").await.unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::NoConditionalWrites { .. })), "{error}");
    assert!(world.visible().is_empty());
    let options = Options { conditional_writes: asset_sync::deploy::ConditionalWrites::Unprotected, ..world.options() };
    world.deployer_with(options).deploy(&site, &info("1.0.0"), &CancellationToken::new()).await.unwrap();
    world.assert_serves(&site);
    assert!(world.warnings().iter().any(|w| w.contains("ignores conditional writes")));
}

/// Where something is live, the probe and the lease are sent at once: what the lease's write changed is
/// undone, whichever is answered first.
#[tokio::test(start_paused = true)]
async fn a_store_that_ignores_conditions_all_of_a_sudden_is_left_as_it_was() {
    for slow in ["probe", "current"] {
        let world = World::new();
        world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
        let (before, visible) = (world.current(), world.visible());
        world.store.ignore_conditions(true);
        // The first attempt fails, and the second comes when the other request is long answered.
        let failed = AtomicBool::new(false);
        world.store.on_call(move |call| {
            let is_slow = call.operation == "PutObject" && call.key.as_deref().is_some_and(|key| key.ends_with(slow));
            (is_slow && !failed.swap(true, Ordering::Relaxed))
                .then_some(MemoryFault::Before(BucketErrorKind::Transient))
        });
        let error = world.deploy(&world.site(&v2()), "2.0.0").await.unwrap_err();
        assert!(matches!(error, Error::Refused(Refusal::NoConditionalWrites { .. })), "{error}");
        let Current { generation, nonce, .. } = world.current();
        assert_eq!(world.current(), Current { generation, nonce, ..before }, "{slow} is slow");
        assert_eq!(world.visible(), visible, "{slow} is slow");
    }
}
