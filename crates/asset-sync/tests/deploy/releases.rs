//! The history of releases.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use asset_sync::Error;
use asset_sync::bucket::{BucketErrorKind, MemoryFault};
use asset_sync::deploy::{Ended, Options, PastRelease, RollbackTo};
use asset_sync::plan::{Adopt, MaxShrink};
use asset_sync::state::{Current, Inventory};
use asset_sync::verify::{Expected, Observation, Verdict, Verifier};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::world::{World, info, v1, v2};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The site of the `n`th release: one page and one script are new in each.
pub(crate) fn nth(n: usize) -> Vec<(String, String)> {
    let script = format!("assets/app-{n:08x}.js");
    vec![("index.html".into(), crate::world::page(&n.to_string(), &[&script])), (script, format!("app {n}"))]
}

pub(crate) async fn deploy(world: &World, options: &Options, files: &[(String, String)], version: &str) {
    try_deploy(world, options, files, version).await.unwrap();
    world.pass(HOUR);
}

pub(crate) async fn try_deploy(
    world: &World,
    options: &Options,
    files: &[(String, String)],
    version: &str,
) -> Result<asset_sync::deploy::Report, Error> {
    let (site, stop) = (world.site(files), CancellationToken::new());
    world.deployer_with(options.clone()).deploy(&site, &info(version), &stop).await
}

async fn back(world: &World, options: &Options) {
    let stop = CancellationToken::new();
    world.deployer_with(options.clone()).rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
    world.pass(HOUR);
}

async fn history(world: &World) -> Vec<PastRelease> {
    world.deployer().history().await.unwrap().releases
}

/// Version, live, restorable, and why it ended.
fn told(releases: &[PastRelease]) -> Vec<(&str, bool, bool, Option<Ended>)> {
    releases.iter().map(|r| (r.version.as_str(), r.live, r.restorable, r.ended.clone())).collect()
}

/// The root document is refused: the switch has begun by then.
fn fail_at_root(world: &World) {
    world.store.on_call(|call| {
        let root = call.operation == "PutObject" && call.key.as_deref() == Some("index.html");
        root.then_some(MemoryFault::Before(BucketErrorKind::Denied))
    });
}

/// Sees that every release but the first is wrong.
struct FirstAlone;

#[async_trait]
impl Verifier for FirstAlone {
    async fn verify(&self, expected: Expected<'_>) -> Verdict {
        if expected.manifest.files.iter().any(|f| f.key.as_str() == "old/index.html") {
            return Verdict::default();
        }
        let wrong = Observation { url: "https://site.test/".into(), what: "content type is text/html".into() };
        Verdict { wrong: vec![wrong], ..Verdict::default() }
    }
}

#[tokio::test(start_paused = true)]
async fn the_history_says_when_who_and_why_it_ended() {
    let world = World::new();
    assert_eq!(history(&world).await, []);
    let by = |n: u64| Options {
        execution: Some(format!("execution-{n}")),
        commit: Some(format!("c0ffee{n}")),
        environment: Some("staging".into()),
        ..world.options()
    };
    let start: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    deploy(&world, &by(1), &v1(), "1.0.0").await;
    deploy(&world, &by(2), &v2(), "2.0.0").await;
    back(&world, &by(3)).await;
    let releases = history(&world).await;
    assert_eq!(told(&releases), [("1.0.0", true, true, None), ("2.0.0", false, true, Some(Ended::RolledBackByHand))]);
    let second = &releases[1];
    assert_eq!((second.execution.as_deref(), second.commit.as_deref()), (Some("execution-2"), Some("c0ffee2")));
    assert_eq!((second.activated_at, second.ended_at), (Some(start + HOUR), Some(start + HOUR * 2)));
    let first = &releases[0];
    assert_eq!((first.execution.as_deref(), first.commit.as_deref()), (Some("execution-1"), Some("c0ffee1")));
    assert_eq!((first.created_at, first.activated_at, first.ended_at), (start, Some(start + HOUR * 2), None));
    assert_eq!((first.files, first.environment.as_deref()), (6, Some("staging")));
    // What is deployed again has no end, and what it takes the place of is superseded.
    deploy(&world, &Options { allow_older: true, ..by(4) }, &v2(), "2.0.0").await;
    let releases = history(&world).await;
    assert_eq!(told(&releases), [("2.0.0", true, true, None), ("1.0.0", false, true, Some(Ended::Superseded))]);
    assert_eq!(releases[0].commit.as_deref(), Some("c0ffee4"));
    assert_eq!(world.current().live_release().unwrap().ended, None);
    // A machine reads the same.
    let json = serde_json::to_value(world.deployer().history().await.unwrap()).unwrap();
    assert_eq!(
        (&json["releases"][1]["ended"], &json["releases"][0]["ended"]),
        (&"superseded".into(), &serde_json::Value::Null)
    );
}

#[tokio::test(start_paused = true)]
async fn a_rollback_by_verification_is_told_from_one_by_hand() {
    let world = World::new();
    let options = Options { verifier: Some(Arc::new(FirstAlone)), ..world.options() };
    deploy(&world, &options, &v1(), "1.0.0").await;
    try_deploy(&world, &options, &v2(), "2.0.0").await.unwrap_err();
    let by_verification = ("2.0.0", false, true, Some(Ended::RolledBackByVerification));
    assert_eq!(told(&history(&world).await), [("1.0.0", true, true, None), by_verification.clone()]);
    // Whoever finishes it, it is what it was begun as.
    let world = World::new();
    let options = Options { verifier: Some(Arc::new(FirstAlone)), ..world.options() };
    deploy(&world, &options, &v1(), "1.0.0").await;
    let is_second = AtomicBool::new(false);
    world.store.on_call(move |call| {
        let root = call.operation == "PutObject" && call.key.as_deref() == Some("index.html");
        let fails = root && is_second.swap(true, Relaxed);
        fails.then_some(MemoryFault::Before(BucketErrorKind::Denied))
    });
    try_deploy(&world, &options, &v2(), "2.0.0").await.unwrap_err();
    world.store.clear_faults();
    assert_eq!(world.current().live_release().unwrap().version, "2.0.0", "the rollback died in its switch");
    back(&world, &world.options()).await;
    assert_eq!(told(&history(&world).await), [("1.0.0", true, true, None), by_verification]);
    // The same by hand, and a run of the release that was taken down goes on with it.
    for version in ["1.0.0", "2.0.0"] {
        let world = World::new();
        let keep = asset_sync::verify::OnFailure::Keep;
        let options = Options { verifier: Some(Arc::new(FirstAlone)), on_failure: keep, ..world.options() };
        deploy(&world, &options, &v1(), "1.0.0").await;
        try_deploy(&world, &options, &v2(), "2.0.0").await.unwrap_err();
        fail_at_root(&world);
        let stop = CancellationToken::new();
        world.deployer_with(options.clone()).rollback(&RollbackTo::Previous, None, &stop).await.unwrap_err();
        world.store.clear_faults();
        if version == "2.0.0" {
            try_deploy(&world, &options, &v2(), version).await.unwrap_err();
        } else {
            back(&world, &options).await;
        }
        let by_hand = ("2.0.0", false, true, Some(Ended::RolledBackByHand));
        assert_eq!(told(&history(&world).await), [("1.0.0", true, true, None), by_hand]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_wholly_live_is_given_up_or_rolled_back() {
    let world = World::new();
    let by = |n: u64| Options {
        execution: Some(format!("execution-{n}")),
        commit: Some(format!("c0ffee{n}")),
        max_shrink: MaxShrink(1.0),
        ..world.options()
    };
    deploy(&world, &by(1), &v1(), "1.0.0").await;
    fail_at_root(&world);
    try_deploy(&world, &by(2), &v2(), "2.0.0").await.unwrap_err();
    world.store.clear_faults();
    world.pass(HOUR);
    let releases = history(&world).await;
    assert_eq!(told(&releases), [("2.0.0", false, false, None), ("1.0.0", true, true, None)], "it is begun");
    let who = (releases[0].execution.as_deref(), releases[0].commit.as_deref());
    assert_eq!(who, (Some("execution-2"), Some("c0ffee2")));
    deploy(&world, &by(3), &nth(3), "3.0.0").await;
    let releases = history(&world).await;
    assert_eq!(
        told(&releases),
        [
            ("3.0.0", true, true, None),
            ("2.0.0", false, false, Some(Ended::GivenUp)),
            ("1.0.0", false, true, Some(Ended::Superseded)),
        ]
    );
    assert_eq!(releases[1].execution.as_deref(), Some("execution-2"));
    assert!(releases[1].ended_at.is_some() && releases[1].activated_at.is_none());
    // Begun again it is not given up any more.
    fail_at_root(&world);
    try_deploy(&world, &Options { allow_older: true, ..by(4) }, &v2(), "2.0.0").await.unwrap_err();
    world.store.clear_faults();
    let releases = history(&world).await;
    let second = releases.iter().find(|r| r.version == "2.0.0").unwrap();
    assert_eq!((second.ended.clone(), second.ended_at, second.execution.as_deref()), (None, None, Some("execution-4")));
    back(&world, &by(4)).await;
    let releases = history(&world).await;
    let second = releases.iter().find(|r| r.version == "2.0.0").unwrap();
    assert_eq!(second.ended, Some(Ended::RolledBackByHand), "half of it was visible");
}

#[tokio::test(start_paused = true)]
async fn what_was_adopted_and_what_got_another_name_are_in_the_history() {
    let world = World::new();
    let options = Options { adopt: Adopt::Take, ..world.options() };
    world.store.insert("site", "index.html", "before us", asset_sync::Headers::default());
    deploy(&world, &options, &v1(), "1.0.0").await;
    deploy(&world, &options, &v1(), "1.0.1").await;
    let adopted = ("adopted", false, true, Some(Ended::Adopted));
    let renamed = ("1.0.0", false, true, Some(Ended::Superseded));
    assert_eq!(told(&history(&world).await), [("1.0.1", true, true, None), renamed, adopted]);
    let stop = CancellationToken::new();
    let to = RollbackTo::Named("adopted".into());
    world.deployer_with(options.clone()).rollback(&to, None, &stop).await.unwrap();
    world.pass(HOUR);
    assert_eq!(told(&history(&world).await)[0], ("adopted", true, true, None));
    deploy(&world, &options, &v2(), "2.0.0").await;
    let now = history(&world).await;
    let adopted = now.iter().find(|r| r.version == "adopted").unwrap();
    assert_eq!(adopted.ended, Some(Ended::Superseded), "it was live since");
}

/// Shown to fail where pruned releases are forgotten by the next inventory.
#[tokio::test(start_paused = true)]
async fn releases_that_were_pruned_stay_in_the_history() {
    let world = World::new();
    let options = Options { keep_releases: 1, grace: SignedDuration::ZERO, ..world.options() };
    let mut requests = Vec::new();
    for n in 0..=8 {
        world.store.clear_calls();
        deploy(&world, &options, &nth(n), &format!("1.{n}.0")).await;
        requests.push(world.store.calls().len());
    }
    assert_eq!(requests[2], requests[8], "it costs no request");
    assert_eq!(world.current().releases.len(), 2, "`current` does not grow");
    let releases = history(&world).await;
    let versions: Vec<String> = (0..=8).rev().map(|n| format!("1.{n}.0")).collect();
    assert_eq!(releases.iter().map(|r| r.version.clone()).collect::<Vec<_>>(), versions);
    let restorable: Vec<bool> = releases.iter().map(|r| r.restorable).collect();
    assert_eq!((restorable[1], restorable[2], restorable.iter().filter(|r| **r).count()), (true, false, 2));
    assert!(releases[1..].iter().all(|r| r.ended == Some(Ended::Superseded) && r.ended_at.is_some()));
    // A rollback leaves it alone, and a prune adds to it.
    back(&world, &options).await;
    let none = Options { keep_releases: 0, ..options };
    world.deployer_with(none).prune(&CancellationToken::new()).await.unwrap();
    let releases = history(&world).await;
    let first_three = [
        ("1.7.0", true, true, None),
        ("1.8.0", false, false, Some(Ended::RolledBackByHand)),
        ("1.6.0", false, false, Some(Ended::Superseded)),
    ];
    assert_eq!(told(&releases)[..3], first_three);
    assert_eq!(releases.len(), 9);
}

/// A run that prunes dies at each of its last requests. Whatever it came to, the next one has each release once.
#[tokio::test(start_paused = true)]
async fn a_run_that_dies_loses_no_release_of_the_history_and_doubles_none() {
    const LAST: usize = 14;
    let mut sent = LAST;
    let mut cut = usize::MAX;
    while sent - cut.min(sent) < LAST {
        let world = World::new();
        let options = Options { keep_releases: 0, grace: SignedDuration::ZERO, ..world.options() };
        deploy(&world, &options, &nth(1), "1.0.0").await;
        deploy(&world, &options, &nth(2), "2.0.0").await;
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        world.store.on_call(move |_| {
            let now = counted.fetch_add(1, Relaxed);
            (now >= cut).then_some(MemoryFault::After(BucketErrorKind::Denied))
        });
        let done = try_deploy(&world, &options, &nth(3), "3.0.0").await;
        world.store.clear_faults();
        if cut == usize::MAX {
            done.unwrap();
            sent = count.load(Relaxed);
            cut = sent;
        }
        world.pass(HOUR);
        try_deploy(&world, &options, &nth(3), "3.0.0").await.unwrap();
        world.pass(HOUR);
        try_deploy(&world, &options, &nth(4), "4.0.0").await.unwrap();
        let releases = history(&world).await;
        let versions: Vec<&str> = releases.iter().map(|r| r.version.as_str()).collect();
        assert_eq!(versions, ["4.0.0", "3.0.0", "2.0.0", "1.0.0"], "cut at {cut} of {sent}");
        cut -= 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_inventory_costs_the_releases_that_were_pruned_and_a_warning() {
    let world = World::new();
    let options = Options { keep_releases: 0, grace: SignedDuration::ZERO, ..world.options() };
    for n in 1..=3 {
        deploy(&world, &options, &nth(n), &format!("{n}.0.0")).await;
    }
    assert_eq!(history(&world).await.len(), 3);
    let inventory = world.store.snapshot("site").into_keys().find(|key| key.contains("/inventory/")).unwrap();
    world.store.remove("site", &inventory);
    assert_eq!(told(&history(&world).await), [("3.0.0", true, true, None)]);
    let warned = world.warnings();
    assert!(warned.iter().any(|w| w.contains("Releases that were pruned are not listed")), "{warned:?}");
}

/// What a later version wrote is kept and shown, and hinders nobody.
#[tokio::test(start_paused = true)]
async fn a_reason_of_a_later_version_survives() {
    let world = World::new();
    let options = Options { keep_releases: 1, grace: SignedDuration::ZERO, ..world.options() };
    deploy(&world, &options, &nth(1), "1.0.0").await;
    deploy(&world, &options, &nth(2), "2.0.0").await;
    let edit = |reason: serde_json::Value| {
        let mut current = world.current();
        current.releases[0].ended = Some(Ended::Unknown(reason));
        world.store.insert("site", ".deploy/current", current.encode(), asset_sync::Headers::default());
    };
    edit(serde_json::json!({"by": "a person"}));
    assert_eq!(serde_json::to_value(&history(&world).await[1]).unwrap()["ended"]["by"], "a person");
    edit("moved-away".into());
    let mut current = world.current();
    current.releases[0].warnings = serde_json::from_value("c0ffee01".into()).unwrap();
    world.store.insert("site", ".deploy/current", current.encode(), asset_sync::Headers::default());
    deploy(&world, &options, &nth(3), "3.0.0").await;
    let releases = history(&world).await;
    assert_eq!(
        (releases[2].restorable, releases[2].ended.as_ref().unwrap().to_string().as_str()),
        (false, "moved-away")
    );
    let inventory = world.store.snapshot("site").into_iter().find(|(key, _)| key.contains("/inventory/")).unwrap();
    let inventory = Inventory::decode("inventory", &inventory.1.body).unwrap();
    assert_eq!(inventory.pruned[0].ended, Some(Ended::Unknown("moved-away".into())));
    assert!(inventory.pruned[0].warnings.is_empty(), "they take room, and nothing is compared with them any more");
    assert_eq!(Inventory::decode("inventory", &inventory.encode()).unwrap(), inventory);
}

/// Records of earlier versions do not say why, and `current` of format 2 as it was is read.
#[tokio::test(start_paused = true)]
async fn records_without_a_reason_say_what_they_can() {
    let world = World::new();
    let options = world.options();
    for n in 1..=3 {
        deploy(&world, &options, &nth(n), &format!("{n}.0.0")).await;
    }
    back(&world, &options).await;
    let mut current: Current = world.current();
    assert_eq!(current.releases[2].ended, Some(Ended::RolledBackByHand));
    current.releases[2].ended = None;
    world.store.insert("site", ".deploy/current", current.encode(), asset_sync::Headers::default());
    assert_eq!(
        told(&history(&world).await),
        [
            ("2.0.0", true, true, None),
            ("3.0.0", false, true, Some(Ended::RolledBack)),
            ("1.0.0", false, true, Some(Ended::Superseded)),
        ]
    );
}

/// A target with two releases. At the first request for anything but `current` another run prunes the first of them.
pub(crate) async fn pruned_meanwhile() -> World {
    let (world, other) = (World::new(), World::new());
    let options = Options { keep_releases: 1, grace: SignedDuration::ZERO, ..world.options() };
    for n in 1..=3 {
        if n < 3 {
            deploy(&world, &options, &nth(n), &format!("{n}.0.0")).await;
        }
        deploy(&other, &options, &nth(n), &format!("{n}.0.0")).await;
    }
    let (store, later, is_done) = (world.store.clone(), other.store.snapshot("site"), AtomicBool::new(false));
    world.store.on_call(move |call| {
        let is_second = call.key.as_deref().is_some_and(|key| key != ".deploy/current");
        if is_second && !is_done.swap(true, Relaxed) {
            store.snapshot("site").into_keys().filter(|key| !later.contains_key(key)).for_each(|key| {
                store.remove("site", &key);
            });
            for (key, object) in &later {
                store.insert("site", key, object.body.clone(), object.headers.clone());
            }
        }
        None
    });
    world
}

#[tokio::test(start_paused = true)]
async fn an_inventory_that_was_replaced_meanwhile_is_not_lost() {
    let world = pruned_meanwhile().await;
    let versions: Vec<String> = history(&world).await.into_iter().map(|r| r.version).collect();
    assert_eq!((versions, world.warnings()), (["3.0.0", "2.0.0", "1.0.0"].map(str::to_owned).into(), vec![]));
}
