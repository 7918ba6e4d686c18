//! What is kept, for how long, and what goes.

use asset_sync::deploy::{Options, Outcome};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::world::{APP_1, APP_2, GRACE, World, info, v1, v2};

async fn deploy(world: &World, options: &Options, files: &[(String, String)], version: &str) {
    let site = world.site(files);
    let deployer = world.deployer_with(options.clone());
    deployer.deploy(&site, &info(version), &CancellationToken::new()).await.unwrap();
}

/// Promise 2. Shown to fail when `Current::expired` ignores the grace time, and when it counts
/// from a release's creation.
#[tokio::test(start_paused = true)]
async fn assets_stay_for_the_grace_time_after_they_were_superseded() {
    let world = World::new();
    let options = Options { keep_releases: 0, grace: GRACE, ..world.options() };
    deploy(&world, &options, &v1(), "1.0.0").await;
    // Live for a month: that does not count.
    world.pass(SignedDuration::from_hours(24 * 30));
    deploy(&world, &options, &v2(), "2.0.0").await;
    world.pass(GRACE - SignedDuration::from_secs(1));
    let stop = CancellationToken::new();
    let report = world.deployer_with(options.clone()).prune(&stop).await.unwrap();
    assert_eq!(report.result, Outcome::Unchanged);
    assert!(world.text(APP_1).is_some());
    world.pass(SignedDuration::from_secs(1));
    let report = world.deployer_with(options).prune(&stop).await.unwrap();
    assert_eq!((report.result, report.deleted.files), (Outcome::Pruned, 1));
    assert!(world.text(APP_1).is_none());
    world.assert_serves(&world.site(&v2()));
    assert_eq!(world.current().releases.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retained_releases_keep_their_files_whatever_their_age() {
    let world = World::new();
    let options = Options { keep_releases: 1, grace: SignedDuration::ZERO, ..world.options() };
    deploy(&world, &options, &v1(), "1.0.0").await;
    deploy(&world, &options, &v2(), "2.0.0").await;
    world.pass(SignedDuration::from_hours(24 * 365));
    assert!(world.text(APP_1).is_some());
    let third: Vec<(String, String)> = v1()
        .into_iter()
        .filter(|(k, _)| k != APP_1 && !k.contains("index"))
        .chain([("index.html".into(), "three".into())])
        .collect();
    deploy(&world, &options, &third, "3.0.0").await;
    assert!(world.text(APP_1).is_none());
    assert!(world.text(APP_2).is_some());
    let kept = world.store.snapshot("site").into_keys().filter(|k| k.contains("/blobs/")).count();
    // index ×2, new/index, robots ×2, logo.
    assert_eq!(kept, 6);
    let manifests = world.store.snapshot("site").into_keys().filter(|k| k.contains("/releases/")).count();
    assert_eq!(manifests, 4);
    let inventories = world.store.snapshot("site").into_keys().filter(|k| k.contains("/inventory/")).count();
    assert_eq!(inventories, 1);
}

/// Promise 10. Shown to fail when `confirm` lets everything pass and deletes carry no condition.
#[tokio::test(start_paused = true)]
async fn only_what_was_recorded_is_deleted() {
    let world = World::new();
    let options = Options { keep_releases: 0, grace: SignedDuration::ZERO, ..world.options() };
    deploy(&world, &options, &v1(), "1.0.0").await;
    world.pass(SignedDuration::from_secs(3));
    world.store.insert("site", APP_1, "now somebody else's", asset_sync::Headers::default());
    world.store.insert("site", "theirs.txt", "theirs", asset_sync::Headers::default());
    deploy(&world, &options, &v2(), "2.0.0").await;
    assert_eq!(world.text(APP_1).unwrap(), "now somebody else's");
    assert_eq!(world.text("theirs.txt").unwrap(), "theirs");
    assert!(world.text("old/index.html").is_none());
    assert!(world.warnings().iter().any(|w| w.contains(APP_1)));
}
