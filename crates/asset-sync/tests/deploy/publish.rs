//! The main job: first deployment, next version, nothing to do.

use asset_sync::deploy::Outcome;
use asset_sync::progress::Event;
use asset_sync::site::{Rules, ScanOptions};
use jiff::SignedDuration;

use crate::world::{APP_1, APP_2, World, v1, v2};

#[tokio::test(start_paused = true)]
async fn a_first_deployment_serves_every_file_with_its_headers() {
    let world = World::at("app/");
    let site = world.site(&v1());
    let report = world.deploy(&site, "1.0.0").await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    assert_eq!((report.uploaded.files, report.unchanged.files), (6, 0));
    assert_eq!(report.uploaded.bytes, site.total_bytes());
    world.assert_serves(&site);
    assert_eq!(world.visible().len(), 6);
    let current = world.current();
    assert_eq!(current.live_release().unwrap().version, "1.0.0");
    assert!(current.lease.is_none() && current.pending.is_none() && current.edges.pending(&[], "/*").is_empty());
}

/// Promise 11. Shown to fail when `Decision::is_nothing` gives `false`.
#[tokio::test(start_paused = true)]
async fn a_second_run_writes_nothing_at_constant_cost() {
    let world = World::new();
    let site = world.site(&v1());
    world.deploy(&site, "1.0.0").await.unwrap();
    world.store.clear_calls();
    let before = world.store.snapshot("site");
    let report = world.deploy(&site, "1.0.0").await.unwrap();
    assert_eq!(report.result, Outcome::Unchanged);
    assert_eq!((report.uploaded.files, report.unchanged.files), (0, 6));
    assert_eq!(world.writes(), []);
    assert_eq!(world.store.snapshot("site"), before);
    // The pointer, the inventory, one page of the listing.
    assert_eq!(world.store.calls().len(), 3);
    assert_eq!(world.cdn.invalidations("E1").len(), 1);
}

/// Promises 1 and 3. Shown to fail when the groups of `Deployer::switch` are run in reverse, when
/// staging comes after the switch, and when pages are deleted before `pay`.
#[tokio::test(start_paused = true)]
async fn assets_go_up_first_pages_switch_last_deletes_follow_the_invalidation() {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    world.store.clear_calls();
    let site = world.site(&v2());
    let report = world.deploy(&site, "2.0.0").await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    world.assert_serves(&site);
    world.assert_no_broken_page("after");

    let events = world.log.0.lock().unwrap();
    let visible: Vec<String> = events
        .iter()
        .filter_map(|e| match e {
            Event::Written { key, .. } => Some(key.clone()),
            Event::Invalidation { .. } => Some("(invalidation)".to_owned()),
            Event::Deleted { key, .. } => Some(format!("(delete) {key}")),
            _ => None,
        })
        .skip(7)
        .collect();
    assert_eq!(
        visible,
        [
            APP_2,
            "robots.txt",
            "new/index.html",
            "index.html",
            "(invalidation)",
            "(delete) old/index.html",
            "(invalidation)"
        ]
    );
    let paths: Vec<Vec<String>> = world.cdn.invalidations("E1").into_iter().skip(1).map(|i| i.paths).collect();
    assert_eq!(paths[0], ["/", "/index.html", "/new/", "/new/index.html", "/robots.txt"]);
    assert_eq!(paths[1], ["/old/", "/old/index.html"]);
    // People who are still on version 1 go on to load its chunks.
    assert!(world.text(APP_1).is_some());
    assert!(world.text("old/index.html").is_none());
}

#[tokio::test(start_paused = true)]
async fn the_same_files_under_another_version_write_the_pointer_alone() {
    let world = World::new();
    let site = world.site(&v1());
    world.deploy(&site, "1.0.0").await.unwrap();
    world.store.clear_calls();
    let report = world.deploy(&site, "1.0.1").await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    let written: Vec<String> = world.writes().into_iter().map(|(_, key)| key).collect();
    // The probe is refused, and writes nothing. The manifest is that of 1.0.0.
    assert_eq!(written, [".deploy/probe", ".deploy/current"]);
    assert!(!world.store.snapshot("site").contains_key(".deploy/probe"));
    assert_eq!(world.current().live_release().unwrap().version, "1.0.1");
    world.store.clear_calls();
    assert_eq!(world.deploy(&site, "1.0.1").await.unwrap().result, Outcome::Unchanged);
    assert_eq!(world.writes(), []);
}

#[tokio::test(start_paused = true)]
async fn a_changed_rule_alone_updates_the_object() {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    let rules = Rules::parse("[[rule]]\nglob = \"robots.txt\"\ncache-control = \"public, max-age=60\"\n").unwrap();
    let site = world.site_with(&v1(), &ScanOptions { rules, ..ScanOptions::default() });
    let report = world.deploy(&site, "1.0.0").await.unwrap();
    assert_eq!(report.uploaded.files, 1);
    world.assert_serves(&site);
    assert!(world.invalidated().contains("/robots.txt"));
}

#[tokio::test(start_paused = true)]
async fn a_plan_writes_nothing_and_the_run_does_what_it_said() {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    let site = world.site(&v2());
    let before = world.store.snapshot("site");
    let plan = world.plan(&site, "2.0.0").await.unwrap();
    assert_eq!(world.store.snapshot("site"), before);
    world.log.0.lock().unwrap().clear();
    let report = world.deploy(&site, "2.0.0").await.unwrap();
    assert_eq!(report.live.unwrap().release, plan.release);
    let written: Vec<String> = world
        .log
        .0
        .lock()
        .unwrap()
        .iter()
        .filter_map(|e| match e {
            Event::Written { key, .. } => Some(key.clone()),
            _ => None,
        })
        .collect();
    let planned: Vec<String> = plan.writes.iter().map(|w| w.key.clone()).collect();
    assert_eq!(written, planned);
    let mut invalidated: Vec<String> = report.invalidations.into_iter().flat_map(|i| i.paths).collect();
    invalidated.sort();
    assert_eq!(invalidated, plan.invalidation_paths);
    assert_eq!(plan.obsolete.iter().filter(|o| o.now).count() as u64, report.deleted.files);
}

#[tokio::test(start_paused = true)]
async fn a_sibling_prefix_is_never_touched() {
    let world = World::at("app/");
    for key in ["app2/index.html", "app", "app/.deployed", "apple.html"] {
        world.store.insert("site", key, "theirs", asset_sync::Headers::default());
    }
    let options = asset_sync::deploy::Options { keep_releases: 0, grace: SignedDuration::ZERO, ..world.options() };
    for (site, version) in [(v1(), "1.0.0"), (v2(), "2.0.0"), (v1(), "3.0.0")] {
        let stop = tokio_util::sync::CancellationToken::new();
        let site = world.site(&site);
        world.deployer_with(options.clone()).deploy(&site, &crate::world::info(version), &stop).await.unwrap();
    }
    for key in ["app2/index.html", "app", "app/.deployed", "apple.html"] {
        assert_eq!(world.store.snapshot("site")[key].body, "theirs");
    }
}

/// Promise 6 for large files: in parts, each checked, compared by content ever after.
#[tokio::test(start_paused = true)]
async fn a_large_file_goes_in_parts_and_is_not_sent_again() {
    let world = World::new();
    let large: Vec<u8> = (0..23_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let asset = "assets/film-0a1b2c3d.wasm";
    let entry = "film.mp4";
    let index = crate::world::page("film", &[asset]).into_bytes();
    let site = world.site(&[(asset, &large), (entry, &large), ("index.html", &index)]);
    let report = world.deploy(&site, "1.0.0").await.unwrap();
    world.assert_serves(&site);
    // The asset itself and the entry's bytes in the archive; the entry is switched by one copy.
    assert_eq!(report.requests["UploadPart"], 6);
    assert_eq!(report.requests["CopyObject"], 1);
    assert!(world.store.uploads("site").is_empty());
    assert_eq!(world.deploy(&site, "1.0.0").await.unwrap().result, Outcome::Unchanged);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_during_the_run_stops_it() {
    // In one request and in parts: other content, a byte more, a byte less.
    for (size, now, content) in
        [10, 23_000_000].into_iter().flat_map(|n| [(n, n, b'b'), (n, n + 1, b'a'), (n, n - 1, b'a')])
    {
        let world = World::new();
        let site = world.site(&[("assets/app-3f2a9c0d.js", vec![b'a'; size]), ("index.html", b"page".to_vec())]);
        std::fs::write(site.files[0].path(), vec![content; now]).unwrap();
        let error = world.deploy(&site, "1.0.0").await.unwrap_err();
        assert!(matches!(error, asset_sync::Error::SourceChanged { .. }), "{error}");
        assert!(world.visible().is_empty());
        assert!(world.store.uploads("site").is_empty());
        assert!(world.current().lease.is_none());
    }
}
