//! Newest wins.

use asset_sync::deploy::{Options, Outcome, ReleaseInfo, RollbackTo};
use asset_sync::{Conflict, Error};
use tokio_util::sync::CancellationToken;

use crate::world::{World, info, v1, v2};

/// Promise 8. Shown to fail when `check_order` is not called.
#[tokio::test(start_paused = true)]
async fn an_older_version_does_not_replace_a_newer_one_unless_allowed() {
    let world = World::new();
    world.deploy(&world.site(&v2()), "1.10.0").await.unwrap();
    let before = world.store.snapshot("site");
    let site = world.site(&v1());
    let error = world.deploy(&site, "1.9.0").await.unwrap_err();
    assert!(matches!(error, Error::Conflict(Conflict::Older { by: "version", .. })), "{error}");
    assert_eq!(world.store.snapshot("site"), before);
    let allowed = world.deployer_with(Options { allow_older: true, ..world.options() });
    allowed.deploy(&site, &info("1.9.0"), &CancellationToken::new()).await.unwrap();
    world.assert_serves(&site);
}

#[tokio::test(start_paused = true)]
async fn build_numbers_decide_over_versions() {
    let world = World::new();
    let stop = CancellationToken::new();
    let release = |version: &str, build| ReleaseInfo { version: version.into(), build: Some(build) };
    world.deployer().deploy(&world.site(&v1()), &release("2.0.0", 10), &stop).await.unwrap();
    world.deployer().deploy(&world.site(&v2()), &release("1.0.0", 11), &stop).await.unwrap();
    let error = world.deployer().deploy(&world.site(&v1()), &release("3.0.0", 9), &stop).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(Conflict::Older { by: "build number", .. })), "{error}");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_tell_it_is_said() {
    let world = World::new();
    world.deploy(&world.site(&v1()), "blue").await.unwrap();
    world.deploy(&world.site(&v2()), "green").await.unwrap();
    assert!(world.warnings().iter().any(|w| w.contains("cannot tell whether version green is newer")));
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_not_revive_what_was_rolled_back() {
    let world = World::new();
    let stop = CancellationToken::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    let second = world.site(&v2());
    world.deploy(&second, "2.0.0").await.unwrap();
    world.deployer().rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
    let error = world.deploy(&second, "2.0.0").await.unwrap_err();
    assert!(matches!(error, Error::Conflict(Conflict::RolledBack { .. })), "{error}");
    world.assert_serves(&world.site(&v1()));
    // A new build of it is another release.
    let report = world.deploy(&second, "2.0.1").await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    world.assert_serves(&second);
}
