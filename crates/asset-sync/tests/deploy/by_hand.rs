//! Somebody edited the bucket, or the records are gone: seen without the site, and mended as far as that is possible.

use asset_sync::deploy::{Damage, Depth, Difference, Outcome, RollbackTo};
use asset_sync::{Error, ErrorClass, Headers, Refusal, Sha256};
use tokio_util::sync::CancellationToken;

use crate::world::{APP_1, APP_2, BUCKET, World, v1, v2};

async fn two_releases() -> World {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    world.deploy(&world.site(&v2()), "2.0.0").await.unwrap();
    world
}

async fn restore(world: &World, name: &str) -> Result<Outcome, Error> {
    let to = RollbackTo::Named(name.to_owned());
    world.deployer().rollback(&to, None, &CancellationToken::new()).await.map(|report| report.result)
}

async fn differences(world: &World, depth: Depth) -> Vec<(String, Damage, bool, bool)> {
    let audit = world.deployer().audit(depth).await.unwrap();
    let told = |d: Difference| (d.key, d.damage, d.live, d.restorable);
    audit.differences.into_iter().map(told).collect()
}

/// M9 of the findings: "Nothing to do", though the bytes are in the archive.
#[tokio::test(start_paused = true)]
async fn entry_files_of_the_live_release_are_restored_without_the_site() {
    let world = two_releases().await;
    let site = world.site(&v2());
    world.pass(jiff::SignedDuration::from_mins(1));
    world.store.insert(BUCKET, "index.html", "edited by hand", Headers::default());
    world.store.remove(BUCKET, "robots.txt");
    let key = "new/index.html";
    let there = world.store.snapshot(BUCKET)[key].body.clone();
    world.store.insert(BUCKET, key, there, Headers { content_type: "text/plain".into(), ..Headers::default() });
    let found = differences(&world, Depth::Checksum).await;
    let expected = [
        ("index.html".to_owned(), Damage::Content, true, true),
        ("new/index.html".to_owned(), Damage::Headers, true, true),
        ("robots.txt".to_owned(), Damage::Missing, true, true),
    ];
    let is_told = |found: &[(String, Damage, bool, bool)]| expected.iter().all(|e| found.contains(e));
    assert!(is_told(&found), "{found:?}");
    let release = world.current().live.unwrap().to_string();
    assert_eq!(restore(&world, &release).await.unwrap(), Outcome::RolledBack);
    world.assert_serves(&site);
    assert_eq!(world.current().live.unwrap().to_string(), release);
    assert!(world.cdn.invalidations("E1").last().unwrap().paths.contains(&"/robots.txt".to_owned()));
    assert_eq!(differences(&world, Depth::Read).await, []);
    // With nothing to restore nothing is written.
    let (state, before) = (world.current(), world.store.snapshot(BUCKET));
    assert_eq!(restore(&world, "2.0.0").await.unwrap(), Outcome::Unchanged);
    assert_eq!((world.current(), world.store.snapshot(BUCKET)), (state, before));
    assert!(!world.current().live_release().unwrap().rolled_back);
}

#[tokio::test(start_paused = true)]
async fn assets_that_only_a_run_with_the_site_restores_are_named() {
    let world = two_releases().await;
    world.store.remove(BUCKET, APP_2);
    let before = world.store.snapshot(BUCKET);
    let error = restore(&world, "2.0.0").await.unwrap_err();
    assert!(
        matches!(&error.cause(), Error::Refused(Refusal::Incomplete { key, more: 0, .. }) if key == APP_2),
        "{error}"
    );
    assert_eq!(error.class(), ErrorClass::Refused);
    let visible = |all: &std::collections::BTreeMap<String, asset_sync::bucket::MemoryObject>| {
        all.iter()
            .filter(|(key, _)| !key.starts_with(".deploy/"))
            .map(|(key, o)| (key.clone(), o.body.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(visible(&world.store.snapshot(BUCKET)), visible(&before));
    world.store.remove(BUCKET, "robots.txt");
    world.store.remove(BUCKET, "assets/lazy-0a1b2c3d.js");
    let error = restore(&world, "2.0.0").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unfinished, "{error}");
    assert!(error.to_string().starts_with("version 2.0.0 (release r2-"), "{error}");
    assert!(matches!(&error.cause(), Error::Refused(Refusal::Incomplete { more: 1, .. })), "{error}");
    assert_eq!(world.text("robots.txt").unwrap(), "two", "what can be restored is");
    assert!(world.current().pending.is_none() && world.current().lease.is_none());
    let site = world.site(&v2());
    world.deploy(&site, "2.0.0").await.unwrap();
    world.assert_serves(&site);
}

/// Going back to another release is begun only if all of it is there.
#[tokio::test(start_paused = true)]
async fn an_earlier_release_is_restored_whole_or_not_at_all() {
    let world = two_releases().await;
    world.store.remove(BUCKET, APP_1);
    let found = differences(&world, Depth::Checksum).await;
    assert_eq!(found, [(APP_1.to_owned(), Damage::Missing, false, false)]);
    let error = restore(&world, "1.0.0").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Refused, "{error}");
    world.assert_serves(&world.site(&v2()));
}

/// The archive, too: without it there is no way back.
#[tokio::test(start_paused = true)]
async fn damage_of_the_archive_is_found() {
    let world = two_releases().await;
    let blob = |text: &str| format!(".deploy/blobs/{}", Sha256::of(text.as_bytes()));
    world.store.remove(BUCKET, &blob("one"));
    world.store.insert(BUCKET, &blob("two"), "tow", Headers::default());
    let mut found = differences(&world, Depth::Read).await;
    found.sort();
    let mut expected = [(blob("one"), Damage::Missing, false, false), (blob("two"), Damage::Content, false, false)];
    expected.sort();
    assert_eq!(found, expected);
    world.store.remove(BUCKET, "robots.txt");
    let robots = differences(&world, Depth::Read).await.into_iter().find(|d| d.0 == "robots.txt").unwrap();
    assert_eq!(robots, ("robots.txt".to_owned(), Damage::Missing, true, false), "its bytes are nowhere");
}

/// Bytes that somebody put there without a checksum, of the same length, are told only by reading them.
#[tokio::test(start_paused = true)]
async fn what_has_no_checksum_is_not_called_right() {
    let world = two_releases().await;
    let mut there = world.store.snapshot(BUCKET)["robots.txt"].clone();
    there.body = "tow".into();
    world.store.insert(BUCKET, "robots.txt", there.body, there.headers);
    let audit = world.deployer().audit(Depth::Checksum).await.unwrap();
    assert!(audit.unchecked == 1 && audit.differences.is_empty() || audit.differences.len() == 1, "{audit:?}");
    let found = differences(&world, Depth::Read).await;
    assert_eq!(found, [("robots.txt".to_owned(), Damage::Content, true, true)]);
}

/// M8 of the findings: "Nothing was deployed here yet", with a full bucket.
#[tokio::test(start_paused = true)]
async fn a_target_whose_records_are_gone_says_so_and_is_taken_over_as_far_as_it_is_the_same() {
    let world = two_releases().await;
    assert_eq!(world.deployer().status().await.unwrap().unrecorded_objects, None);
    let state: Vec<String> =
        world.store.snapshot(BUCKET).into_keys().filter(|key| key.starts_with(".deploy/")).collect();
    for key in state {
        assert!(world.store.remove(BUCKET, &key));
    }
    let left = world.store.snapshot(BUCKET).len() as u64;
    assert_eq!(world.deployer().status().await.unwrap().unrecorded_objects, Some(left));
    assert_eq!(World::new().deployer().status().await.unwrap().unrecorded_objects, Some(0));
    // The next release: what is the same is no obstacle, what differs is named.
    let mut third = v2();
    third[2].1 = "three".to_owned();
    let error = world.deploy(&world.site(&third), "3.0.0").await.unwrap_err();
    assert!(matches!(&error, Error::Refused(Refusal::Foreign { keys }) if *keys == ["robots.txt"]), "{error}");
    let site = world.site(&v2());
    assert_eq!(world.deploy(&site, "2.0.0").await.unwrap().result, Outcome::Deployed);
    world.assert_serves(&site);
    world.deploy(&world.site(&third), "3.0.0").await.unwrap();
    assert_eq!(restore(&world, "2.0.0").await.unwrap(), Outcome::RolledBack);
    world.assert_serves(&site);
}
