//! What is kept, for how long, and what goes.

use asset_sync::bucket::{BucketErrorKind, MemoryFault};
use asset_sync::deploy::{Options, Outcome, RollbackTo};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::world::{APP_1, APP_2, GRACE, World, info, v1, v2};

async fn deploy(world: &World, options: &Options, files: &[(String, String)], version: &str) {
    let site = world.site(files);
    let deployer = world.deployer_with(options.clone());
    deployer.deploy(&site, &info(version), &CancellationToken::new()).await.unwrap();
}

/// Promise 2. Shown to fail when `expired` ignores the grace time, and when it counts
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

/// A deployment died after it had archived what it replaced under a fingerprinted name, and the next one lacks the name.
#[tokio::test(start_paused = true)]
async fn archived_bytes_that_a_kept_release_needs_are_not_swept() {
    let map = "assets/lib-5e1d2c3b.js";
    let world = World::new();
    let hour = SignedDuration::from_hours(1);
    let options = Options { keep_releases: 1, grace: hour, ..world.options() };
    let with = |mut files: Vec<(String, String)>, content: &str| {
        files.push((map.into(), content.into()));
        files
    };
    deploy(&world, &options, &[("index.html".into(), "zero".into()), ("robots.txt".into(), "zero".into())], "0.1.0")
        .await;
    let first = with(v1(), "map one");
    deploy(&world, &options, &first, "1.0.0").await;
    world.pass(hour * 2);
    fail_at_robots(&world);
    let (second, stop) = (world.site(&with(v2(), "map two")), CancellationToken::new());
    world.deployer_with(options.clone()).deploy(&second, &info("2.0.0"), &stop).await.unwrap_err();
    world.store.clear_faults();
    assert_eq!(world.text(map).unwrap(), "map two");
    // 0.1.0 expires, 1.0.0 does not.
    deploy(&world, &options, &v2(), "3.0.0").await;
    world.deployer_with(options).rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
    world.assert_serves(&world.site(&first));
}

fn fail_at_robots(world: &World) {
    world.store.on_call(|call| {
        let robots = call.operation == "PutObject" && call.key.as_deref() == Some("robots.txt");
        robots.then_some(MemoryFault::Before(BucketErrorKind::Denied))
    });
}

/// Visitors may have its pages. Shown to fail when only releases that were live are asked what they need.
#[tokio::test(start_paused = true)]
async fn files_of_a_release_that_was_given_up_stay_for_the_grace_time() {
    let world = World::new();
    let options = Options { keep_releases: 0, grace: SignedDuration::from_hours(3), ..world.options() };
    let two = SignedDuration::from_hours(2);
    deploy(&world, &options, &v1(), "1.0.0").await;
    let mut other = v1();
    other[2].1 = "other".into();
    deploy(&world, &options, &other, "1.1.0").await;
    world.pass(two);
    fail_at_robots(&world);
    let stop = CancellationToken::new();
    world.deployer_with(options.clone()).deploy(&world.site(&v2()), &info("2.0.0"), &stop).await.unwrap_err();
    world.store.clear_faults();
    assert!(world.text(APP_2).is_some());
    world.pass(two);
    // 1.0.0 expires now; 2.0.0 is given up now.
    other[2].1 = "third".into();
    deploy(&world, &options, &other, "3.0.0").await;
    assert!(world.current().releases.iter().all(|r| r.version != "1.0.0"));
    assert!(world.text(APP_2).is_some());
    world.pass(two * 2);
    world.deployer_with(options).prune(&stop).await.unwrap();
    assert!(world.text(APP_2).is_none());
}

/// An older release that is live again does not need what lies between releases by number. Shown to fail where it, or
/// another name of it, counts as one of those that are kept.
#[tokio::test(start_paused = true)]
async fn what_only_expired_releases_had_goes_whatever_the_number_of_the_live_one() {
    let world = World::new();
    let kept = Options { keep_releases: 5, grace: SignedDuration::ZERO, ..world.options() };
    let with = |content: &str| {
        let mut files = v1();
        files.push(("extra.txt".into(), content.into()));
        files
    };
    deploy(&world, &kept, &with("one"), "1.0.0").await;
    deploy(&world, &kept, &v1(), "2.0.0").await;
    deploy(&world, &kept, &with("three"), "3.0.0").await;
    let again = Options { allow_older: true, ..kept.clone() };
    deploy(&world, &again, &v1(), "2.0.0").await;
    assert_eq!(world.current().live_release().unwrap().id.number(), 2);
    // Nor does another name of it.
    deploy(&world, &again, &v1(), "2.0.1").await;
    world.pass(SignedDuration::from_secs(1));
    let stop = CancellationToken::new();
    let none = Options { keep_releases: 0, ..kept };
    world.deployer_with(none).prune(&stop).await.unwrap();
    let names: Vec<String> = world.current().releases.into_iter().map(|r| r.version).collect();
    assert_eq!(names, ["2.0.0", "2.0.1"]);
    assert_eq!(world.text("extra.txt"), None);
    world.assert_serves(&world.site(&v1()));
}

/// Shown to fail where the manifest of what was adopted is not asked.
#[tokio::test(start_paused = true)]
async fn what_was_adopted_stays_restorable_while_others_expire() {
    let world = World::new();
    let hour = SignedDuration::from_hours(1);
    let options = Options { grace: hour, adopt: asset_sync::plan::Adopt::Take, ..world.options() };
    for (key, content) in v1().into_iter().take(3) {
        world.store.insert("site", &key, format!("before us: {content}"), asset_sync::Headers::default());
    }
    let before = world.visible();
    deploy(&world, &options, &v1(), "1.0.0").await;
    fail_at_robots(&world);
    let stop = CancellationToken::new();
    world.deployer_with(options.clone()).deploy(&world.site(&v2()), &info("2.0.0"), &stop).await.unwrap_err();
    world.store.clear_faults();
    let mut third = v1();
    third[2].1 = "third".into();
    deploy(&world, &options, &third, "3.0.0").await;
    world.pass(hour * 2);
    third[2].1 = "fourth".into();
    deploy(&world, &options, &third, "4.0.0").await;
    assert!(world.current().releases.iter().all(|r| r.version != "2.0.0"), "it was never live, and expired");
    world.deployer_with(options).rollback(&RollbackTo::Named("adopted".into()), None, &stop).await.unwrap();
    for (key, object) in before {
        assert_eq!(world.visible().get(&key), Some(&object), "{key}");
    }
}

/// Deployments go on and prune what they would: what a kept release needs is not asked of its manifest.
#[tokio::test(start_paused = true)]
async fn a_lost_manifest_of_a_kept_release_does_not_stop_deployments() {
    for lost in [true, false] {
        let world = World::new();
        let options = Options { keep_releases: 2, grace: SignedDuration::from_hours(1), ..world.options() };
        let file = |n: usize| {
            let mut files = v1();
            files[2].1 = n.to_string();
            files
        };
        for n in 1..=7 {
            deploy(&world, &options, &file(n), &format!("{n}.0.0")).await;
            world.pass(SignedDuration::from_hours(2));
            if n == 3 {
                let keys = world.store.snapshot("site").into_keys();
                let key = keys.filter(|k| k.contains("/releases/r2-")).find(|k| k.ends_with("assets")).unwrap();
                if lost {
                    world.store.remove("site", &key);
                } else {
                    world.store.insert("site", &key, "{", asset_sync::Headers::default());
                }
            }
        }
        assert_eq!(world.warnings(), [""; 0]);
        let versions: Vec<String> = world.current().releases.into_iter().map(|r| r.version).collect();
        assert_eq!(versions, ["5.0.0", "6.0.0", "7.0.0"]);
        assert_eq!(world.store.snapshot("site").into_keys().filter(|k| k.contains("/releases/")).count(), 6);
    }
}

/// Promise 10. Somebody replaces what is to be deleted after it was listed. Shown to fail when the site's objects, and
/// when archived ones, are deleted without their ETags.
#[tokio::test(start_paused = true)]
async fn what_was_replaced_since_it_was_listed_is_not_deleted() {
    let world = World::new();
    let options = Options { keep_releases: 0, grace: SignedDuration::ZERO, ..world.options() };
    deploy(&world, &options, &v1(), "1.0.0").await;
    let blob = format!(".deploy/blobs/{}", asset_sync::Sha256::of(b"one"));
    let (store, replaced) = (world.store.clone(), [blob, APP_1.to_owned()]);
    let keys = std::sync::Mutex::new(replaced.to_vec());
    world.store.on_call(move |call| {
        if call.operation == "DeleteObjects" && call.key.is_none() {
            // First the site's objects are deleted, then archived ones.
            if let Some(key) = keys.lock().unwrap().pop() {
                store.insert("site", &key, "now somebody else's", asset_sync::Headers::default());
            }
        }
        None
    });
    deploy(&world, &options, &v2(), "2.0.0").await;
    for key in replaced {
        assert!(world.store.snapshot("site").contains_key(&key), "{key}");
    }
}
