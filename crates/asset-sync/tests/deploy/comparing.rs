//! What differs between two releases on record.

use asset_sync::bucket::{BucketErrorKind, MemoryFault};
use asset_sync::deploy::Options;
use asset_sync::{Conflict, Error};
use jiff::SignedDuration;

use crate::releases::{deploy, nth, pruned_meanwhile, try_deploy};
use crate::world::{APP_1, APP_2, World, v1, v2};

#[tokio::test(start_paused = true)]
async fn two_releases_are_compared_by_what_is_on_record() {
    let world = World::new();
    let options = world.options();
    deploy(&world, &options, &v1(), "1.0.0").await;
    deploy(&world, &options, &v2(), "2.0.0").await;
    let deployer = world.deployer();
    world.store.clear_calls();
    let diff = deployer.diff("previous", "live").await.unwrap();
    assert!(world.writes().is_empty() && world.store.calls().len() == 5, "{:?}", world.store.calls());
    assert_eq!((diff.from.version.as_str(), diff.to.version.as_str()), ("1.0.0", "2.0.0"));
    let keys: Vec<&str> = diff.added.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(keys, [APP_2, "new/index.html"]);
    let keys: Vec<&str> = diff.removed.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(keys, [APP_1, "old/index.html"]);
    let keys: Vec<&str> = diff.changed.iter().map(|c| c.file.key.as_str()).collect();
    assert_eq!(keys, ["index.html", "robots.txt"]);
    let visitor = diff.returning_visitor;
    // The chunk that both have is immutable; the logo is asked for.
    assert_eq!((visitor.download.files, visitor.revalidated.files, visitor.cached.files), (4, 1, 1));
    let id = world.current().releases[0].id.to_string();
    assert_eq!(deployer.diff(&id, "2.0.0").await.unwrap(), diff);
    assert!(deployer.diff("live", "2.0.0").await.unwrap().is_empty());
    let json = serde_json::to_value(&diff).unwrap();
    assert_eq!((&json["changed"][0]["change"], &json["changed"][0]["type"]), (&"content".into(), &"html".into()));
    assert_eq!(json["by_type"]["js"]["added"]["files"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_cannot_be_compared_is_named() {
    let world = World::new();
    let options = Options { keep_releases: 1, grace: SignedDuration::ZERO, ..world.options() };
    let diff = |from: &'static str| {
        let deployer = world.deployer();
        async move { deployer.diff(from, "live").await.unwrap_err() }
    };
    assert!(diff("1.0.0").await.to_string().contains("there are: none"));
    for n in 1..=3 {
        deploy(&world, &options, &nth(n), &format!("{n}.0.0")).await;
    }
    let gone = diff("1.0.0").await;
    let text = gone.to_string();
    assert!(matches!(gone, Error::NoSuchRelease(_)), "{text}");
    assert!(text.starts_with("version 1.0.0 (r1-") && text.contains("was pruned"), "{text}");
    assert!(text.contains("version 2.0.0") && text.contains("version 3.0.0"), "{text}");
    assert!(!diff("7.0.0").await.to_string().contains("pruned"));
    // The same version with other content.
    let again = Options { keep_releases: 5, allow_older: true, ..options };
    deploy(&world, &again, &nth(4), "3.0.0").await;
    let error = diff("3.0.0").await;
    assert!(matches!(&error, Error::Conflict(Conflict::Ambiguous { ids, .. }) if ids.len() == 2), "{error}");
    // One that died before its manifest was stored.
    world.store.on_call(|call| {
        let manifest = call.operation == "PutObject" && call.key.as_deref().is_some_and(|k| k.ends_with("/assets"));
        manifest.then_some(MemoryFault::Before(BucketErrorKind::Denied))
    });
    try_deploy(&world, &again, &nth(5), "5.0.0").await.unwrap_err();
    world.store.clear_faults();
    let text = diff("5.0.0").await.to_string();
    assert!(text.contains("was never live"), "{text}");
}

/// Between its two reads another run prunes what was to be compared.
#[tokio::test(start_paused = true)]
async fn what_is_pruned_meanwhile_is_no_damage() {
    let world = pruned_meanwhile().await;
    let error = world.deployer().diff("1.0.0", "2.0.0").await.unwrap_err().to_string();
    assert!(error.contains("was pruned"), "{error}");
}
