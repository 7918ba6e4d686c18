//! What a target remembers, and what a run asks of it, does not grow with its history.

use asset_sync::bucket::{BucketErrorKind, MemoryFault};
use asset_sync::deploy::{Options, Outcome, RollbackTo};
use asset_sync::state::{Current, Manifest, Operation, ReleaseFile, ReleaseRecord};
use asset_sync::{ErrorClass, Sha256};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::world::{APP_1, World, info, v1, v2};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The site of the `n`th release: one page and one script are new in each.
fn nth(n: usize) -> Vec<(String, String)> {
    let script = format!("assets/app-{n:08x}.js");
    vec![
        ("index.html".into(), crate::world::page(&n.to_string(), &[&script])),
        ("robots.txt".into(), "the same".into()),
        (script, format!("app {n}")),
    ]
}

async fn deploy(world: &World, options: &Options, files: &[(String, String)], version: &str) -> Outcome {
    let (site, stop) = (world.site(files), CancellationToken::new());
    world.deployer_with(options.clone()).deploy(&site, &info(version), &stop).await.unwrap().result
}

fn state_objects(world: &World, kind: &str) -> Vec<String> {
    let objects = world.store.snapshot("site").into_keys();
    objects.filter(|key| key.starts_with(&format!(".deploy/{kind}/"))).collect()
}

fn requests(world: &World) -> usize {
    world.store.calls().len()
}

/// Shown to fail where each kept release is asked for its manifest.
#[tokio::test(start_paused = true)]
async fn a_run_sends_as_many_requests_with_few_kept_releases_as_with_many() {
    let mut sent = Vec::new();
    for kept in [2, 40] {
        let world = World::new();
        let options = Options { keep_releases: kept, grace: SignedDuration::ZERO, ..world.options() };
        for n in 0..=kept {
            deploy(&world, &options, &nth(n), &format!("1.{n}.0")).await;
            world.pass(HOUR);
        }
        assert_eq!(world.current().releases.len(), kept + 1);
        world.store.clear_calls();
        deploy(&world, &options, &nth(kept + 1), "2.0.0").await;
        assert_eq!(world.current().releases.len(), kept + 1, "one expired");
        let deployment = requests(&world);
        let stop = CancellationToken::new();
        world.store.clear_calls();
        world.deployer_with(options.clone()).rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
        let rollback = requests(&world);
        world.pass(HOUR);
        world.store.clear_calls();
        let fewer = Options { keep_releases: kept - 1, ..options };
        assert_eq!(world.deployer_with(fewer).prune(&stop).await.unwrap().result, Outcome::Pruned);
        sent.push((deployment, rollback, requests(&world)));
    }
    assert_eq!(sent[0], sent[1]);
}

/// The build of every night is the same. Shown to fail where names are kept like releases, and where each stores a
/// manifest.
#[tokio::test(start_paused = true)]
async fn other_names_of_the_same_files_leave_nothing_behind() {
    let world = World::new();
    let options = Options { keep_releases: 2, grace: HOUR * 24 * 7, ..world.options() };
    deploy(&world, &options, &v1(), "0.9.0").await;
    deploy(&world, &options, &v2(), "1.0.0").await;
    for night in 1..=60 {
        world.pass(HOUR * 24);
        assert_eq!(deploy(&world, &options, &v2(), &format!("1.0.{night}")).await, Outcome::Deployed);
    }
    let current = world.current();
    assert!(current.releases.len() <= 12, "{}", current.releases.len());
    assert_eq!(current.live_release().unwrap().version, "1.0.60");
    assert_eq!(state_objects(&world, "releases").len(), 4);
    // The release with other content is still the one to go back to.
    let stop = CancellationToken::new();
    let back = world.deployer_with(options.clone()).rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
    assert_eq!(back.live.unwrap().version, "0.9.0");
    world.assert_serves(&world.site(&v1()));
    world.deployer_with(options).rollback(&RollbackTo::Named("1.0.60".into()), None, &stop).await.unwrap();
    world.assert_serves(&world.site(&v2()));
}

/// Shown to fail where a release under another name never prunes.
#[tokio::test(start_paused = true)]
async fn a_release_under_another_name_deletes_what_expired() {
    let world = World::new();
    let options = Options { keep_releases: 0, grace: HOUR, ..world.options() };
    deploy(&world, &options, &v1(), "1.0.0").await;
    deploy(&world, &options, &v2(), "2.0.0").await;
    deploy(&world, &options, &v2(), "2.0.1").await;
    assert!(world.text(APP_1).is_some());
    world.pass(HOUR);
    deploy(&world, &options, &v2(), "2.0.2").await;
    assert!(world.text(APP_1).is_none());
    assert_eq!(state_objects(&world, "releases").len(), 2, "2.0.0 has the one manifest of all three names");
    world.assert_serves(&world.site(&v2()));
    let names: Vec<String> = world.current().releases.into_iter().map(|r| r.version).collect();
    assert_eq!(names, ["2.0.0", "2.0.1", "2.0.2"]);
}

/// The first name is forgotten, and its manifest is that of all the others. Shown to fail where it goes with the name.
#[tokio::test(start_paused = true)]
async fn a_manifest_stays_as_long_as_one_of_its_names() {
    let world = World::new();
    let options = Options { keep_releases: 0, grace: HOUR, ..world.options() };
    deploy(&world, &options, &v1(), "1.0.0").await;
    for n in 0..10 {
        deploy(&world, &options, &v2(), &format!("2.0.{n}")).await;
    }
    world.pass(HOUR);
    // 1.0.0 expires, and there are eleven names now.
    deploy(&world, &options, &v2(), "2.0.10").await;
    let names: Vec<String> = world.current().releases.into_iter().map(|r| r.version).collect();
    assert_eq!((names.len(), names[0].as_str()), (10, "2.0.1"));
    assert_eq!(state_objects(&world, "releases").len(), 2);
    let stop = CancellationToken::new();
    let to = RollbackTo::Named("2.0.5".into());
    world.deployer_with(options).rollback(&to, None, &stop).await.unwrap();
    world.assert_serves(&world.site(&v2()));
}

/// Shown to fail where only what was in force before is deleted.
#[tokio::test(start_paused = true)]
async fn what_dead_runs_left_in_the_state_area_is_removed() {
    let world = World::new();
    let options = Options { keep_releases: 1, ..world.options() };
    deploy(&world, &options, &v1(), "1.0.0").await;
    for death in 0..5 {
        // The last write of `current` is refused, and so is what would give the lease back.
        world.store.on_call(|call| {
            let is_last =
                call.operation == "PutObject" && call.key.as_deref().is_some_and(|k| k.contains("/inventory/"));
            is_last.then_some(MemoryFault::After(BucketErrorKind::Denied))
        });
        let site = world.site(&nth(death));
        world
            .deployer_with(options.clone())
            .deploy(&site, &info("2.0.0"), &CancellationToken::new())
            .await
            .unwrap_err();
        world.store.clear_faults();
    }
    assert!(state_objects(&world, "inventory").len() > 1);
    deploy(&world, &options, &v2(), "3.0.0").await;
    assert_eq!(state_objects(&world, "inventory").len(), 1);
    // What no record names at all is found by `prune`, also where nothing expired.
    let stray = ["inventory/77", "releases/r99-0123456789ab/entries", "releases/r99-0123456789ab/assets"];
    for name in stray {
        world.store.insert("site", &format!(".deploy/{name}"), "{}", asset_sync::Headers::default());
    }
    let stop = CancellationToken::new();
    let report = world.deployer_with(options.clone()).prune(&stop).await.unwrap();
    assert_eq!(report.result, Outcome::Pruned);
    let left = world.store.snapshot("site");
    assert!(stray.iter().all(|name| !left.contains_key(&format!(".deploy/{name}"))));
    assert_eq!(world.deployer_with(options).prune(&stop).await.unwrap().result, Outcome::Unchanged);
    world.assert_serves(&world.site(&v2()));
}

/// Ten thousand deployments, of which a thousand are kept, with all that a record can say in everyday use.
#[test]
fn the_state_of_a_thousand_releases_is_small() {
    let mut current = Current::default();
    let key = asset_sync::site::Key::new("index.html").unwrap();
    for n in 0..10_000_u64 {
        let now = Timestamp::from_second(1_800_000_000 + i64::try_from(n).unwrap() * 600).unwrap();
        let file = ReleaseFile {
            key: key.clone(),
            sha256: Sha256::of(&n.to_le_bytes()),
            size: 123_456_789,
            headers: std::sync::Arc::default(),
            role: asset_sync::site::Role::Root,
            demoted: false,
        };
        let record = ReleaseRecord {
            build: Some(n),
            environment: Some("production".into()),
            commit: Some("7f2c0a91b3d4e5f60718293a4b5c6d7e8f901a2b".into()),
            ..ReleaseRecord::new(current.sequence + 1, &format!("2026.11.{n}"), &Manifest { files: vec![file] }, now)
        };
        let id = record.id.clone();
        current.begin(Operation::Deploy, record, Some("Ab3dEf6hIj9lMn2pQr5tUv"), now);
        current.activate(&id, false, now);
        current.set_deployed_by(&id, Some("Ab3dEf6hIj9lMn2pQr5tUv"), Some("production"));
        current.finish();
        current.unrecorded.clear();
        if current.releases.len() > 1000 {
            current.releases.remove(0);
        }
    }
    let written = current.encode();
    assert!(written.len() <= 256 * 1024, "{} bytes", written.len());
    let mut read = Current::decode("current", &written).unwrap();
    // What the oldest replaced is not on record any more.
    current.releases[0].replaced = None;
    assert_eq!(read.releases.pop(), current.releases.pop());
    assert_eq!(read, current);
}

/// What was changed behind the state's back is not taken for what it was.
#[tokio::test(start_paused = true)]
async fn a_manifest_or_an_inventory_that_is_not_the_recorded_one_is_not_believed() {
    let world = World::new();
    let options = world.options();
    deploy(&world, &options, &v1(), "1.0.0").await;
    deploy(&world, &options, &v2(), "2.0.0").await;
    let before = world.store.snapshot("site");
    let exchanged = |key: &str, with: &str| {
        let text = String::from_utf8(before[key].body.to_vec()).unwrap();
        let robots =
            [("one", "two"), ("two", "one")].map(|(a, b)| (Sha256::of(a.as_bytes()), Sha256::of(b.as_bytes())));
        let (from, to) = robots.into_iter().find(|(from, _)| text.contains(&from.to_string())).unwrap();
        world.store.insert(
            "site",
            key,
            text.replace(&from.to_string(), &to.to_string()),
            asset_sync::Headers::default(),
        );
        with.to_owned()
    };
    let first = world.current().releases[0].id.clone();
    exchanged(&format!(".deploy/releases/{first}/entries"), "");
    let stop = CancellationToken::new();
    let error = world.deployer().rollback(&RollbackTo::Previous, None, &stop).await.unwrap_err();
    assert!(error.to_string().contains("does not list the content on record"), "{error}");
    assert_eq!(error.class(), ErrorClass::Usage);
    world.assert_serves(&world.site(&v2()));
    // An inventory can be made anew.
    let inventory = state_objects(&world, "inventory").remove(0);
    exchanged(&inventory, "");
    deploy(&world, &options, &nth(1), "3.0.0").await;
    let warned = world.warnings();
    assert!(warned.iter().any(|w| w.contains(&inventory) && w.contains("not the one on record")), "{warned:?}");
    world.assert_serves(&world.site(&nth(1)));
}
