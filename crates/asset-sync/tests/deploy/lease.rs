//! One at a time.

use std::sync::Arc;
use std::time::Duration;

use asset_sync::bucket::{BucketErrorKind, MemoryFault, RetryPolicy};
use asset_sync::deploy::{Options, Outcome};
use asset_sync::{Error, ErrorClass};
use tokio_util::sync::CancellationToken;

use crate::world::{SHORT, World, info, v1, v2};

/// A run that is killed while it holds the lease: every request fails from the first write under
/// the site's own keys on.
async fn die_with_the_lease(world: &World) {
    world.store.on_call(|call| {
        let site = call.key.as_deref().is_some_and(|k| !k.starts_with(".deploy/"));
        (site && call.operation == "PutObject").then_some(MemoryFault::Before(BucketErrorKind::Invalid))
    });
    let store = world.store.clone();
    let hook = world.store.clone();
    let dead = Arc::new(std::sync::atomic::AtomicBool::new(false));
    hook.on_call(move |call| {
        let site = call.key.as_deref().is_some_and(|k| !k.starts_with(".deploy/"));
        if site && call.operation == "PutObject" {
            dead.store(true, std::sync::atomic::Ordering::SeqCst);
        }
        dead.load(std::sync::atomic::Ordering::SeqCst).then_some(MemoryFault::Before(BucketErrorKind::Invalid))
    });
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap_err();
    store.clear_faults();
    assert!(world.current().lease.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_dead_holders_lease_is_waited_out_and_its_work_finished() {
    let world = World::new();
    die_with_the_lease(&world).await;
    let started = tokio::time::Instant::now();
    let site = world.site(&v1());
    let report = world.deploy(&site, "1.0.0").await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    world.assert_serves(&site);
    let options = world.options();
    assert!(started.elapsed() > options.lease + options.request_timeout);
    assert!(started.elapsed() < options.lease_wait);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_stays_busy_is_transient_and_names_its_holder() {
    let world = World::new();
    die_with_the_lease(&world).await;
    let options = Options { lease_wait: SHORT, owner: "second".into(), ..world.options() };
    let site = world.site(&v2());
    let error =
        world.deployer_with(options).deploy(&site, &info("2.0.0"), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(&error, Error::Busy { owner, .. } if owner == "test"), "{error}");
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(world.visible().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_broken_lease_is_free_at_once() {
    let world = World::new();
    die_with_the_lease(&world).await;
    let holder = world.deployer().break_lease().await.unwrap().unwrap();
    assert_eq!(holder.owner, "test");
    let started = tokio::time::Instant::now();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(world.deployer().break_lease().await.unwrap().is_none());
}

/// Two runs at once: the second waits for the first, and both end well.
#[tokio::test(start_paused = true)]
async fn two_runs_at_once_end_one_after_the_other() {
    let world = World::new();
    world.cdn.set_polls(3);
    let (first, second) = (world.site(&v1()), world.site(&v2()));
    let stop = CancellationToken::new();
    let (a, b) = (world.deployer(), world.deployer());
    let (ia, ib) = (info("1.0.0"), info("2.0.0"));
    let (one, two) = tokio::join!(a.deploy(&first, &ia, &stop), b.deploy(&second, &ib, &stop));
    // Whichever came first, the newer one is live in the end, or was refused by nobody.
    two.unwrap();
    if let Err(error) = one {
        assert_eq!(error.class(), ErrorClass::Conflict, "{error}");
    }
    world.assert_serves(&second);
    assert_eq!(world.current().live_release().unwrap().version, "2.0.0");
    assert!(world.current().lease.is_none());
}

/// A holder that overslept: another run took over and finished. It must not write any more.
#[tokio::test(start_paused = true)]
async fn a_holder_that_lost_its_lease_stops() {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    let thief = world.deployer();
    let stolen = Arc::new(std::sync::Mutex::new(false));
    let notify = Arc::new(tokio::sync::Notify::new());
    let (flag, wake) = (Arc::clone(&stolen), Arc::clone(&notify));
    // At the first archived entry of version 2 the lease is broken, as `deploy unlock --force` does.
    world.store.on_call(move |call| {
        if call.operation == "PutObject" && call.key.as_deref().is_some_and(|k| k.contains("/blobs/")) {
            let mut stolen = flag.lock().unwrap();
            if !*stolen {
                *stolen = true;
                wake.notify_one();
            }
            return Some(MemoryFault::Before(BucketErrorKind::Transient));
        }
        None
    });
    let site = world.site(&v2());
    // It goes on trying until it learns of its loss, however the random pauses fall.
    let retry = RetryPolicy { max_attempts: 1_000, ..world.options().retry };
    let deployer = world.deployer_with(Options { retry, ..world.options() });
    let release = info("2.0.0");
    let stop = CancellationToken::new();
    let steal = async {
        notify.notified().await;
        thief.break_lease().await.unwrap();
    };
    let (done, ()) = tokio::join!(deployer.deploy(&site, &release, &stop), steal);
    assert!(matches!(done.unwrap_err(), Error::LeaseLost { .. }));
    world.store.clear_faults();
    world.assert_serves(&world.site(&v1()));
    // The one who took it finishes.
    world.deploy(&site, "2.0.0").await.unwrap();
    world.assert_serves(&site);
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_run_aborts_its_uploads_and_gives_the_lease_back() {
    let world = World::new();
    let large = vec![7; 23_000_000];
    let site = world.site(&[("assets/film-0a1b2c3d.wasm", large.as_slice()), ("index.html", b"page")]);
    let stop = CancellationToken::new();
    let told = stop.clone();
    world.store.on_call(move |call| {
        if call.operation == "UploadPart" {
            told.cancel();
        }
        None
    });
    let error = world.deployer().deploy(&site, &info("1.0.0"), &stop).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Interrupted);
    assert!(world.store.uploads("site").is_empty());
    assert!(world.current().lease.is_none());
    assert!(world.visible().is_empty());
}
