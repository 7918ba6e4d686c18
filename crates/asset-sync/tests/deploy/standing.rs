//! Whatever ends a run, its error says how the site stands.

use asset_sync::bucket::{BucketErrorKind, MemoryFault};
use asset_sync::cdn::{CdnErrorKind, MemoryCdnFault};
use asset_sync::deploy::RollbackTo;
use asset_sync::error::Standing;
use asset_sync::state::Phase;
use asset_sync::{Error, ErrorClass};
use tokio_util::sync::CancellationToken;

use crate::world::{World, v1, v2};

/// Fails one kind of request for good.
fn deny(world: &World, operation: &'static str, key: &'static str) {
    world.store.on_call(move |call| {
        let is_it = call.operation == operation && call.key.as_deref().is_some_and(|k| k.starts_with(key));
        is_it.then_some(MemoryFault::Before(BucketErrorKind::Denied))
    });
}

async fn world() -> World {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    world
}

#[tokio::test(start_paused = true)]
async fn what_ends_a_run_before_anything_is_visible_keeps_its_class() {
    let world = world().await;
    deny(&world, "PutObject", "assets/");
    let deployer = world.deployer();
    let site = world.site(&v2());
    let error = deployer.deploy(&site, &crate::world::info("2.0.0"), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotPermitted, "{error}");
    let situation = deployer.situation().unwrap();
    assert_eq!(situation.live.unwrap().unwrap().version, "1.0.0");
    assert_eq!((situation.phase, situation.pending.len()), (Some(Phase::Staging), 0));
}

/// A file that cannot be read is a mistake of whoever runs it; after the first upload it is not told as one that wrote nothing.
#[tokio::test(start_paused = true)]
async fn usage_is_never_said_after_a_write() {
    let world = world().await;
    let site = world.site(&v2());
    for file in site.files.iter().filter(|f| f.key.as_str().starts_with("assets/")) {
        std::fs::remove_file(file.path()).unwrap();
    }
    let error = world.deploy(&site, "2.0.0").await.unwrap_err();
    assert!(matches!(error.cause(), Error::Read { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Unfinished);
    assert!(error.to_string().starts_with("version 1.0.0 (release r1-"), "{error}");
    assert!(error.to_string().contains("is live, as before: cannot read"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn in_the_middle_of_a_switch_both_releases_are_named() {
    let world = world().await;
    deny(&world, "PutObject", "index.html");
    let deployer = world.deployer();
    let site = world.site(&v2());
    let error = deployer.deploy(&site, &crate::world::info("2.0.0"), &CancellationToken::new()).await.unwrap_err();
    let Error::Unfinished { standing: Standing::Switching { from, to }, .. } = &error else { panic!("{error}") };
    assert_eq!((from.as_ref().unwrap().version.as_str(), to.as_ref().unwrap().version.as_str()), ("1.0.0", "2.0.0"));
    assert_eq!(error.class(), ErrorClass::Unfinished);
    assert_eq!(deployer.situation().unwrap().phase, Some(Phase::Switching));
    // Also a retry that cannot begin says so.
    world.store.clear_faults();
    world.cdn.on_call(|_| Some(MemoryCdnFault::Before(CdnErrorKind::Denied)));
    let error = world.deploy(&site, "2.0.0").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unfinished, "{error}");
    assert!(error.to_string().starts_with("version 2.0.0 (release r2-"), "{error}");
    // Another release is not what was begun.
    let mut third = v1();
    third[2].1 = "three".to_owned();
    let error = world.deploy(&world.site(&third), "3.0.0").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotPermitted, "{error}");
}

#[tokio::test(start_paused = true)]
async fn after_a_switch_a_failure_says_what_is_live_and_what_is_pending() {
    for (kind, class) in [
        (CdnErrorKind::Denied, ErrorClass::Unfinished),
        (CdnErrorKind::NoSuchDistribution, ErrorClass::Unfinished),
        (CdnErrorKind::Throttled, ErrorClass::Transient),
    ] {
        let world = world().await;
        world.cdn.on_call(move |call| (call.operation == "CreateInvalidation").then_some(MemoryCdnFault::Before(kind)));
        let deployer = world.deployer();
        let site = world.site(&v2());
        let error = deployer.deploy(&site, &crate::world::info("2.0.0"), &CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().starts_with("version 2.0.0 (release r2-"), "{error}");
        assert!(error.to_string().contains("is live, and not finished: "), "{error}");
        let situation = deployer.situation().unwrap();
        assert_eq!(situation.live.unwrap().unwrap().version, "2.0.0");
        assert_eq!(situation.phase, Some(Phase::Switched));
        assert!(situation.pending.values().flatten().any(|path| path == "/index.html"), "{:?}", situation.pending);
        // So does a rollback.
        let error = deployer.rollback(&RollbackTo::Previous, None, &CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().starts_with("version 1.0.0 (release r1-"), "{error}");
    }
}

/// The write that names the new release may have taken place, or not.
#[tokio::test(start_paused = true)]
async fn what_is_live_is_not_said_where_it_is_not_known() {
    let world = world().await;
    let deployer = world.deployer();
    assert_eq!(deployer.situation(), None, "nothing was read yet");
    let site = world.site(&v2());
    let current = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let done = std::sync::Arc::clone(&current);
    world.store.on_call(move |call| {
        use std::sync::atomic::Ordering;
        if call.operation == "PutObject" && call.key.as_deref() == Some("index.html") {
            done.store(true, Ordering::SeqCst);
        }
        let is_state = call.key.as_deref() == Some(".deploy/current");
        (done.load(Ordering::SeqCst) && is_state).then_some(MemoryFault::After(BucketErrorKind::Transient))
    });
    deployer.deploy(&site, &crate::world::info("2.0.0"), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(deployer.situation().unwrap().live, None);
    world.store.clear_faults();
    deployer.status().await.unwrap();
    assert!(deployer.situation().unwrap().live.is_some());
}
