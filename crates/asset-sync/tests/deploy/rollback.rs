//! Going back, and forward again, without the site.

use asset_sync::deploy::{IfLive, Outcome, RollbackTo};
use asset_sync::{Error, Refusal, Sha256};
use tokio_util::sync::CancellationToken;

use crate::world::{APP_1, BUCKET, World, page, v1, v2};

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
    assert!(world.current().pending.is_none() && world.current().edges.pending(&[], "/*").is_empty());
    let error = world.deploy(&second, "2.0.0").await.unwrap_err();
    assert!(matches!(error, Error::Conflict(asset_sync::Conflict::RolledBack { .. })), "{error}");
}

/// What another release left half visible is overwritten by then, so that the way back is the usual one.
#[tokio::test(start_paused = true)]
async fn a_release_that_is_whole_is_gone_back_from_though_one_before_it_died_in_its_switch() {
    use asset_sync::bucket::{BucketErrorKind, MemoryFault};
    use asset_sync::cdn::{CdnErrorKind, MemoryCdnFault};
    let world = World::new();
    let first = world.site(&v1());
    world.deploy(&first, "1.0.0").await.unwrap();
    world.store.on_call(|call| {
        let root = call.operation == "PutObject" && call.key.as_deref() == Some("index.html");
        root.then_some(MemoryFault::Before(BucketErrorKind::Denied))
    });
    world.deploy(&world.site(&v2()), "2.0.0").await.unwrap_err();
    world.store.clear_faults();
    world.cdn.on_call(|call| {
        (call.operation == "CreateInvalidation").then_some(MemoryCdnFault::Before(CdnErrorKind::Denied))
    });
    let mut third = v1();
    third[2].1 = "three".to_owned();
    world.deploy(&world.site(&third), "3.0.0").await.unwrap_err();
    world.cdn.clear_faults();
    assert_eq!(world.current().live_release().unwrap().version, "3.0.0");
    back(&world, RollbackTo::Previous, None).await.unwrap();
    assert_eq!(world.current().live_release().unwrap().version, "1.0.0");
    world.assert_serves(&first);
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

/// A site with `content` under a name that looks hashed, as a fingerprinted file or, by a rule, as an entry file.
fn with_role(world: &World, title: &str, file: Option<(bool, &str)>) -> asset_sync::site::Site {
    use asset_sync::site::{Rules, ScanOptions};
    let mut files = vec![("index.html".to_owned(), page(title, &[])), ("robots.txt".to_owned(), title.to_owned())];
    files.extend(file.map(|(_, content)| (APP_1.to_owned(), content.to_owned())));
    let is_fingerprinted = file.is_some_and(|(is_fingerprinted, _)| is_fingerprinted);
    let rule = format!("[[rule]]\nglob = \"**/*.js\"\nfingerprinted = {is_fingerprinted}\n");
    let rules = Rules::parse(&rule).unwrap();
    world.site_with(&files, &ScanOptions { rules, ..ScanOptions::default() })
}

/// Promise 9, for every way in which a name can change its content and its role over three releases. Shown to fail
/// when only names that are fingerprinted, or only demoted ones, are archived.
#[tokio::test(start_paused = true)]
async fn whatever_became_of_a_name_each_release_comes_back_with_its_bytes() {
    let forms = [None, Some((true, "one")), Some((true, "two")), Some((false, "one")), Some((false, "two"))];
    for history in (0..125).map(|n| [forms[n / 25], forms[n / 5 % 5], forms[n % 5]]) {
        let world = World::new();
        let options = asset_sync::deploy::Options { max_shrink: asset_sync::plan::MaxShrink(1.0), ..world.options() };
        let deployer = world.deployer_with(options);
        let stop = CancellationToken::new();
        for (n, form) in history.iter().enumerate() {
            let site = with_role(&world, &n.to_string(), *form);
            deployer.deploy(&site, &crate::world::info(&format!("{n}.0.0")), &stop).await.unwrap();
            world.pass(jiff::SignedDuration::from_mins(1));
        }
        for n in [0, 1, 0, 2] {
            back(&world, RollbackTo::Named(format!("{n}.0.0")), None).await.unwrap();
            assert_eq!(world.text("robots.txt").unwrap(), n.to_string());
            if let Some((_, content)) = history[n] {
                assert_eq!(world.text(APP_1).as_deref(), Some(content), "release {n} of {history:?}");
            }
        }
    }
}

/// The bytes of a fingerprinted file that a rule made an entry file were lost, and no rollback restored them.
#[tokio::test(start_paused = true)]
async fn a_rollback_across_a_rule_that_takes_a_fingerprint_away_restores_the_file() {
    let world = World::new();
    let first = with_role(&world, "one", Some((true, "app one")));
    world.deploy(&first, "1.0.0").await.unwrap();
    world.deploy(&with_role(&world, "two", Some((false, "app two"))), "2.0.0").await.unwrap();
    back(&world, RollbackTo::Previous, None).await.unwrap();
    world.assert_serves(&first);
}

/// A rule changed the headers of a fingerprinted file, whose bytes are in no archive.
#[tokio::test(start_paused = true)]
async fn headers_of_a_fingerprinted_file_are_restored_without_its_bytes_in_the_archive() {
    use asset_sync::site::{Rules, ScanOptions};
    let world = World::new();
    let first = world.site(&v1());
    world.deploy(&first, "1.0.0").await.unwrap();
    let rules = Rules::parse("[[rule]]\nglob = \"**/*.js\"\ncontent-language = \"tlh\"\n").unwrap();
    let second = world.site_with(&v1(), &ScanOptions { rules, ..ScanOptions::default() });
    world.deploy(&second, "2.0.0").await.unwrap();
    world.assert_serves(&second);
    back(&world, RollbackTo::Previous, None).await.unwrap();
    world.assert_serves(&first);
}

/// The deployment that replaced the content died, and its record expired. Shown to fail when the archive is swept by
/// the names that the inventory calls demoted.
#[tokio::test(start_paused = true)]
async fn what_a_dead_deployment_replaced_comes_back_after_its_record_expired() {
    use asset_sync::bucket::{BucketErrorKind, MemoryFault};
    let map = "assets/lib-5e1d2c3b.js";
    for more in 0..3 {
        let world = World::new();
        let hour = jiff::SignedDuration::from_hours(1);
        let options = asset_sync::deploy::Options { keep_releases: 5, grace: hour, ..world.options() };
        let with = |text: &str, content: Option<&str>| {
            let mut files = v1();
            files[2].1 = text.into();
            files.extend(content.map(|c| (map.to_owned(), c.to_owned())));
            world.site(&files)
        };
        let go = async |site: &asset_sync::site::Site, version: &str| {
            let deployer = world.deployer_with(options.clone());
            let done = deployer.deploy(site, &crate::world::info(version), &CancellationToken::new()).await;
            world.pass(hour * 2);
            done.map(drop)
        };
        let first = with("one", Some("map one"));
        go(&first, "1.0.0").await.unwrap();
        world.store.on_call(|call| {
            let robots = call.operation == "PutObject" && call.key.as_deref() == Some("robots.txt");
            robots.then_some(MemoryFault::Before(BucketErrorKind::Denied))
        });
        go(&with("two", Some("map two")), "2.0.0").await.unwrap_err();
        world.store.clear_faults();
        go(&with("three", None), "3.0.0").await.unwrap();
        for n in 0..more {
            go(&with(&n.to_string(), None), &format!("4.{n}.0")).await.unwrap();
        }
        back(&world, RollbackTo::Named("1.0.0".into()), None).await.unwrap();
        world.assert_serves(&first);
    }
}

/// Nothing of the site is written, and the missing file is named.
#[tokio::test(start_paused = true)]
async fn a_rollback_to_a_release_whose_asset_is_gone_is_refused_before_it_begins() {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    let second = world.site(&v2());
    world.deploy(&second, "2.0.0").await.unwrap();
    world.store.remove(BUCKET, APP_1);
    let before = world.current();
    let error = back(&world, RollbackTo::Previous, None).await.unwrap_err();
    assert!(matches!(&error, Error::Refused(Refusal::Incomplete { key, .. }) if key == APP_1), "{error}");
    world.assert_serves(&second);
    let after = world.current();
    assert_eq!((after.live, after.pending, after.edges), (before.live, before.pending, before.edges));
}

/// Same length, same metadata, other bytes. Shown to fail when archived bytes are believed by their metadata.
#[tokio::test(start_paused = true)]
async fn damaged_bytes_in_the_archive_are_found_before_anything_is_replaced() {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    let second = world.site(&v2());
    world.deploy(&second, "2.0.0").await.unwrap();
    // Of the page that is replaced last.
    let mut root = v1().swap_remove(0).1.into_bytes();
    let blob = format!(".deploy/blobs/{}", Sha256::of(&root));
    root.reverse();
    world.rewrite_keeping_metadata(&blob, root.leak()).await;
    let error = back(&world, RollbackTo::Previous, None).await.unwrap_err();
    assert!(matches!(&error, Error::Refused(Refusal::Incomplete { key, .. }) if *key == blob), "{error}");
    world.assert_serves(&second);
}

#[tokio::test(start_paused = true)]
async fn the_cost_of_a_rollback_does_not_grow_with_the_history() {
    let mut costs = Vec::new();
    for releases in [3, 40] {
        let world = World::new();
        for n in 0..releases {
            let mut files = v1();
            files[2].1 = n.to_string();
            world.deploy(&world.site(&files), &format!("1.0.{n}")).await.unwrap();
            world.pass(jiff::SignedDuration::from_mins(30));
        }
        assert_eq!(world.current().releases.len(), releases);
        costs.push(back(&world, RollbackTo::Previous, None).await.unwrap().requests);
    }
    assert_eq!(costs[0], costs[1]);
}

/// Also one of the release that is live: what the bucket holds is known from the inventory.
#[tokio::test(start_paused = true)]
async fn a_damaged_manifest_of_another_release_does_not_stop_a_rollback() {
    for damaged in ["r1-", "r3-"] {
        let world = World::new();
        for n in 1..=3 {
            let mut files = v1();
            files[2].1 = n.to_string();
            world.deploy(&world.site(&files), &format!("{n}.0.0")).await.unwrap();
            world.pass(jiff::SignedDuration::from_mins(1));
        }
        let manifests = world.store.snapshot(BUCKET).into_keys().filter(|k| k.contains("/releases/"));
        for key in manifests.filter(|k| k.contains(damaged)) {
            world.store.insert(BUCKET, &key, "{\"format\":1,", asset_sync::Headers::default());
        }
        back(&world, RollbackTo::Previous, None).await.unwrap();
        assert_eq!(world.text("robots.txt").unwrap(), "2");
        assert_eq!(world.current().live_release().unwrap().version, "2.0.0");
    }
}

/// The name of a page that was removed is taken by a fingerprinted file, whose bytes only the bucket has. Shown to fail
/// when a rollback does not archive what it replaces.
#[tokio::test(start_paused = true)]
async fn a_rollback_archives_what_it_replaces_so_that_it_can_be_undone() {
    use asset_sync::site::{Rules, ScanOptions};
    let world = World::new();
    let first = world.site(&[("index.html", "one"), ("about.html", "a page")]);
    let rules = Rules::parse("[[rule]]\nglob = \"about.html\"\nfingerprinted = true\n").unwrap();
    let files = [("index.html", "three"), ("about.html", "a fragment")];
    let third = world.site_with(&files, &ScanOptions { rules, ..ScanOptions::default() });
    world.deploy(&first, "1.0.0").await.unwrap();
    world.deploy(&world.site(&[("index.html", "two"), ("robots.txt", "two")]), "2.0.0").await.unwrap();
    assert!(world.text("about.html").is_none());
    world.deploy(&third, "3.0.0").await.unwrap();
    for _ in 0..2 {
        back(&world, RollbackTo::Named("1.0.0".into()), None).await.unwrap();
        world.assert_serves(&first);
        back(&world, RollbackTo::Named("3.0.0".into()), None).await.unwrap();
        world.assert_serves(&third);
    }
}

/// A key of a release that was live is ours, whatever stands there now.
#[tokio::test(start_paused = true)]
async fn a_rollback_takes_the_place_of_a_removed_page_back() {
    let world = World::new();
    let first = world.site(&v1());
    world.deploy(&first, "1.0.0").await.unwrap();
    world.deploy(&world.site(&v2()), "2.0.0").await.unwrap();
    world.store.insert(BUCKET, "old/index.html", "by hand", asset_sync::Headers::default());
    back(&world, RollbackTo::Previous, None).await.unwrap();
    world.assert_serves(&first);
}
