//! Going back, and forward again, without the site.

use asset_sync::Error;
use asset_sync::deploy::{IfLive, Outcome, RollbackTo};
use tokio_util::sync::CancellationToken;

use crate::world::{World, page, v1, v2};

async fn back(world: &World, to: RollbackTo, if_live: Option<&str>) -> Result<asset_sync::deploy::Report, Error> {
    let if_live = if_live.map(|name| IfLive { name: name.to_owned(), execution: None });
    world.deployer().rollback(&to, if_live.as_ref(), &CancellationToken::new()).await
}

/// Promise 9.
#[tokio::test(start_paused = true)]
async fn a_rollback_restores_bytes_and_headers_and_invalidates() {
    let world = World::new();
    let (first, second) = (world.site(&v1()), world.site(&v2()));
    world.deploy(&first, "1.0.0").await.unwrap();
    world.deploy(&second, "2.0.0").await.unwrap();
    world.store.clear_calls();
    let report = back(&world, RollbackTo::Previous, None).await.unwrap();
    assert_eq!(report.result, Outcome::RolledBack);
    assert_eq!(report.live.unwrap().version, "1.0.0");
    world.assert_serves(&first);
    world.assert_no_broken_page("rolled back");
    assert!(world.text("new/index.html").is_none(), "a page that version 1 does not have");
    let paths: Vec<String> = report.invalidations.into_iter().flat_map(|i| i.paths).collect();
    for path in ["/", "/index.html", "/old/index.html", "/robots.txt", "/new/"] {
        assert!(paths.iter().any(|p| p == path), "{path} in {paths:?}");
    }
    // Not a single listing of the site: the cost follows the entry files.
    assert!(world.store.calls().iter().all(|c| c.operation != "ListObjectsV2"));

    let report = back(&world, RollbackTo::Named("2.0.0".into()), None).await.unwrap();
    assert_eq!(report.live.unwrap().version, "2.0.0");
    world.assert_serves(&second);
    assert!(world.text("old/index.html").is_none());
    assert_eq!(world.deploy(&second, "2.0.0").await.unwrap().result, Outcome::Unchanged);
}

#[tokio::test(start_paused = true)]
async fn each_rollback_goes_one_further_back() {
    let world = World::new();
    let sites: Vec<_> =
        (1..=3).map(|n| world.site(&[("index.html", page(&n.to_string(), &[])), ("a.txt", n.to_string())])).collect();
    for (n, site) in sites.iter().enumerate() {
        world.deploy(site, &format!("{}.0.0", n + 1)).await.unwrap();
        world.pass(jiff::SignedDuration::from_mins(1));
    }
    back(&world, RollbackTo::Previous, None).await.unwrap();
    world.assert_serves(&sites[1]);
    world.pass(jiff::SignedDuration::from_mins(1));
    back(&world, RollbackTo::Previous, None).await.unwrap();
    world.assert_serves(&sites[0]);
    let error = back(&world, RollbackTo::Previous, None).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchRelease(_)), "{error}");
    back(&world, RollbackTo::Named("3.0.0".into()), None).await.unwrap();
    world.assert_serves(&sites[2]);
}

#[tokio::test(start_paused = true)]
async fn if_live_undoes_only_what_it_names() {
    let world = World::new();
    // The first deployment of all failed before it was live.
    let report = back(&world, RollbackTo::Previous, Some("1.0.0")).await.unwrap();
    assert_eq!((report.result, report.live), (Outcome::Unchanged, None));
    assert_eq!(world.writes(), []);
    let (first, second) = (world.site(&v1()), world.site(&v2()));
    world.deploy(&first, "1.0.0").await.unwrap();
    world.deploy(&second, "2.0.0").await.unwrap();
    world.store.clear_calls();
    let report = back(&world, RollbackTo::Previous, Some("3.0.0")).await.unwrap();
    assert_eq!(report.result, Outcome::Unchanged);
    assert_eq!(world.writes(), []);
    world.assert_serves(&second);
    back(&world, RollbackTo::Previous, Some("2.0.0")).await.unwrap();
    world.assert_serves(&first);
    // The pipeline's step, run again: never one release too many.
    let report = back(&world, RollbackTo::Previous, Some("2.0.0")).await.unwrap();
    assert_eq!(report.result, Outcome::Unchanged);
    world.assert_serves(&first);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_release_is_named_with_those_there_are() {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    let error = back(&world, RollbackTo::Named("9".into()), None).await.unwrap_err().to_string();
    assert!(error.contains("\"9\"") && error.contains("version 1.0.0"), "{error}");
}

/// Real builds have them: the name stays, the content does not.
#[tokio::test(start_paused = true)]
async fn a_fingerprinted_name_whose_content_changed_is_an_entry_file_and_comes_back() {
    let map = "assets/lib-5e1d2c3b.js";
    let world = World::new();
    let with = |content: &str| {
        let mut files = v1();
        files.push((map.into(), content.into()));
        world.site(&files)
    };
    let (first, second) = (with("map one"), with("map two"));
    world.deploy(&first, "1.0.0").await.unwrap();
    assert!(world.visible()[map].1.cache_control.as_ref().unwrap().contains("immutable"));
    world.deploy(&second, "2.0.0").await.unwrap();
    assert!(world.warnings().iter().any(|w| w.contains(map)), "{:?}", world.warnings());
    let (body, headers) = world.visible()[map].clone();
    assert_eq!(body, b"map two");
    assert!(!headers.cache_control.unwrap().contains("immutable"));
    assert!(world.invalidated().contains(&format!("/{map}")));
    back(&world, RollbackTo::Previous, None).await.unwrap();
    assert_eq!(world.text(map).unwrap(), "map one");
    back(&world, RollbackTo::Named("2.0.0".into()), None).await.unwrap();
    assert_eq!(world.text(map).unwrap(), "map two");
}

/// A deployment that died in the switch has made its release visible, in part: the pipeline's
/// rollback step undoes that, and a retry of the same run does not bring it back.
#[tokio::test(start_paused = true)]
async fn a_half_switched_release_is_rolled_back_to_what_was_live() {
    use asset_sync::bucket::{BucketErrorKind, MemoryFault};
    let world = World::new();
    let (first, second) = (world.site(&v1()), world.site(&v2()));
    world.deploy(&first, "1.0.0").await.unwrap();
    world.store.on_call(|call| {
        let root = call.operation == "PutObject" && call.key.as_deref() == Some("index.html");
        root.then_some(MemoryFault::Before(BucketErrorKind::Denied))
    });
    world.deploy(&second, "2.0.0").await.unwrap_err();
    world.store.clear_faults();
    assert_eq!(world.text("robots.txt").unwrap(), "two", "the switch had begun");
    back(&world, RollbackTo::Previous, Some("2.0.0")).await.unwrap();
    world.assert_serves(&first);
    assert!(world.text("new/index.html").is_none());
    assert!(world.current().pending.is_none() && world.current().debts.is_empty());
    let error = world.deploy(&second, "2.0.0").await.unwrap_err();
    assert!(matches!(error, Error::Conflict(asset_sync::Conflict::RolledBack { .. })), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_compresses_an_asset_leaves_it_immutable() {
    use asset_sync::site::{Rules, ScanOptions};
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    let rules = Rules::parse("[[rule]]\nglob = \"**/*.js\"\ncontent-encoding = \"gzip\"\n").unwrap();
    let site = world.site_with(&v1(), &ScanOptions { rules, ..ScanOptions::default() });
    world.deploy(&site, "1.0.1").await.unwrap();
    let headers = &world.visible()[crate::world::APP_1].1;
    assert_eq!(headers.content_encoding.as_deref(), Some("gzip"));
    assert!(headers.cache_control.as_ref().unwrap().contains("immutable"));
    assert_eq!(world.warnings(), Vec::<String>::new());
    assert!(world.invalidated().contains(&format!("/{}", crate::world::APP_1)));
}

/// Found by the model: the name's content was changed by a deployment that died in its switch.
#[tokio::test(start_paused = true)]
async fn what_a_dead_deployment_did_to_a_fingerprinted_name_is_undone_too() {
    use asset_sync::bucket::{BucketErrorKind, MemoryFault};
    let map = "assets/lib-5e1d2c3b.js";
    let world = World::new();
    let with = |content: &str| {
        let mut files = v1();
        files.push((map.into(), content.into()));
        world.site(&files)
    };
    world.deploy(&with("map one"), "1.0.0").await.unwrap();
    world.store.on_call(|call| {
        let root = call.operation == "PutObject" && call.key.as_deref() == Some("robots.txt");
        root.then_some(MemoryFault::Before(BucketErrorKind::Denied))
    });
    let mut second = v2();
    second.push((map.into(), "map two".into()));
    world.deploy(&world.site(&second), "2.0.0").await.unwrap_err();
    world.store.clear_faults();
    assert_eq!(world.text(map).unwrap(), "map two", "the switch had begun");
    world.deploy(&world.site(&v2()), "3.0.0").await.unwrap();
    back(&world, RollbackTo::Previous, None).await.unwrap();
    assert_eq!(world.text(map).unwrap(), "map one");
}
