//! What goes with a page that a release no longer has, and what stays.

use asset_sync::deploy::{Options, Outcome, RollbackTo};
use asset_sync::progress::Event;
use asset_sync::site::{Role, Rules, ScanOptions, Site};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::world::{GRACE, World, info, page};

/// A site with a page `about`, and data of it as several tools write it.
const WITH_ABOUT: [(&str, &str); 9] = [
    ("index.html", "root"),
    ("index.txt", "data of the root"),
    ("about.html", "about"),
    ("about.txt", "data of about"),
    ("about/__next._tree.txt", "segment of about"),
    ("page-data/about/page-data.json", "{}"),
    ("news.html", "news"),
    ("news.txt", "data of news"),
    ("robots.txt", "robots"),
];

/// The same without `about`; the page `news` is written without data.
const WITHOUT: [(&str, &str); 5] = [
    ("index.html", "root, new"),
    ("index.txt", "data, new"),
    ("news.html", "news"),
    ("robots.txt", "robots"),
    ("humans.txt", "humans"),
];

const DATA: [&str; 3] = ["about.txt", "about/__next._tree.txt", "page-data/about/page-data.json"];

async fn back(world: &World) {
    let report = world.deployer().rollback(&RollbackTo::Previous, None, &CancellationToken::new()).await.unwrap();
    assert_eq!(report.result, Outcome::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn data_of_a_removed_page_is_deleted_and_invalidated_with_it_and_comes_back_by_a_rollback() {
    let world = World::new();
    let (first, second) = (world.site(&WITH_ABOUT), world.site(&WITHOUT));
    world.deploy(&first, "1.0.0").await.unwrap();
    let plan = world.plan(&second, "2.0.0").await.unwrap();
    let now: Vec<&str> = plan.obsolete.iter().filter(|o| o.now).map(|o| o.key.as_str()).collect();
    assert_eq!(now, [&["about.html"][..], &DATA[..]].concat());
    world.deploy(&second, "2.0.0").await.unwrap();
    for key in ["about.html"].iter().chain(&DATA) {
        assert!(world.text(key).is_none(), "{key}");
        let path = format!("/{key}");
        assert!(world.invalidated().contains(&path) && plan.invalidation_paths.contains(&path), "{path}");
    }
    assert_eq!(world.text("news.txt").unwrap(), "data of news", "its page is still there");
    assert_eq!(world.deploy(&second, "2.0.0").await.unwrap().result, Outcome::Unchanged);
    back(&world).await;
    world.assert_serves(&first);
    // And forward again: what the rollback brought back goes once more.
    world.deployer().rollback(&RollbackTo::Named("2.0.0".into()), None, &CancellationToken::new()).await.unwrap();
    world.assert_serves(&second);
    assert!(DATA.iter().all(|key| world.text(key).is_none()));
}

/// The invalidation of the switch completes before anything is deleted.
#[tokio::test(start_paused = true)]
async fn data_is_deleted_after_the_switch_was_invalidated() {
    let world = World::new();
    world.deploy(&world.site(&WITH_ABOUT), "1.0.0").await.unwrap();
    world.deploy(&world.site(&WITHOUT), "2.0.0").await.unwrap();
    let events = world.log.0.lock().unwrap();
    let second = events.iter().position(|e| matches!(e, Event::Deleted { .. })).unwrap();
    let before = events[..second].iter().filter(|e| matches!(e, Event::Invalidation { .. })).count();
    assert_eq!(before, 2, "that of the first deployment and that of the second switch");
}

/// A run that died between two deletes left the data of a page that is gone.
#[tokio::test(start_paused = true)]
async fn data_of_a_page_that_is_gone_already_is_deleted_too() {
    let world = World::new();
    world.deploy(&world.site(&WITH_ABOUT), "1.0.0").await.unwrap();
    world.store.remove("site", "about.html");
    world.deploy(&world.site(&WITHOUT), "2.0.0").await.unwrap();
    assert!(DATA.iter().all(|key| world.text(key).is_none()));
}

const PARTIAL_1: &str = "views/list.3f2a9c0d.html";
const PARTIAL_2: &str = "views/list.77aa0b1c.html";

fn with_partial(partial: &str) -> Vec<(String, String)> {
    vec![("index.html".into(), page(partial, &[])), (partial.into(), format!("<ul>{partial}"))]
}

fn keep_none(world: &World) -> Options {
    Options { keep_releases: 0, grace: GRACE, ..world.options() }
}

async fn deploy(world: &World, site: &Site, version: &str) {
    let deployer = world.deployer_with(keep_none(world));
    deployer.deploy(site, &info(version), &CancellationToken::new()).await.unwrap();
}

async fn prune(world: &World) {
    world.deployer_with(keep_none(world)).prune(&CancellationToken::new()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hashed_part_of_a_page_stays_for_the_grace_time() {
    let world = World::new();
    deploy(&world, &world.site(&with_partial(PARTIAL_1)), "1.0.0").await;
    deploy(&world, &world.site(&with_partial(PARTIAL_2)), "2.0.0").await;
    world.pass(GRACE - SignedDuration::from_secs(1));
    prune(&world).await;
    assert!(world.text(PARTIAL_1).is_some(), "a script of the first release may fetch it");
    world.pass(SignedDuration::from_secs(1));
    prune(&world).await;
    assert!(world.text(PARTIAL_1).is_none());
    assert!(world.text(PARTIAL_2).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_hashed_part_of_a_page_is_in_place_before_the_pages() {
    let world = World::new();
    let mut files = with_partial(PARTIAL_1);
    files.push(("a.html".into(), page("a", &[])));
    world.deploy(&world.site(&files), "1.0.0").await.unwrap();
    let events = world.log.0.lock().unwrap();
    let written = |e: &Event| if let Event::Written { key, .. } = e { Some(key.clone()) } else { None };
    assert_eq!(events.iter().filter_map(written).collect::<Vec<_>>(), [PARTIAL_1, "a.html", "index.html"]);
}

/// `fingerprinted = true` on HTML: immutable, staged, kept for the grace time, untouched by rollbacks.
#[tokio::test(start_paused = true)]
async fn a_page_that_a_rule_makes_fingerprinted_is_an_asset_in_every_respect() {
    let world = World::new();
    let rules = "[[rule]]\nglob = 'views/*.html'\nfingerprinted = true\n";
    let options = ScanOptions { rules: Rules::parse(rules).unwrap(), ..ScanOptions::default() };
    let site = |partial| world.site_with(&with_partial(partial), &options);
    let (first, second) = (site(PARTIAL_1), site(PARTIAL_2));
    deploy(&world, &first, "1.0.0").await;
    let plan = world.plan(&second, "2.0.0").await.unwrap();
    let write = plan.writes.iter().find(|w| w.key == PARTIAL_2).unwrap();
    assert!(write.staged && write.role == Role::Fingerprinted);
    assert!(plan.obsolete.iter().all(|o| !o.now));
    deploy(&world, &second, "2.0.0").await;
    assert!(world.visible()[PARTIAL_2].1.cache_control.as_ref().unwrap().contains("immutable"));
    assert!(!world.invalidated().iter().any(|path| path.contains("77aa0b1c")));
    back(&world).await;
    world.assert_serves(&first);
    assert!(world.text(PARTIAL_2).is_some());
    deploy(&world, &second, "3.0.0").await;
    world.pass(GRACE);
    prune(&world).await;
    assert!(world.text(PARTIAL_1).is_none());
    world.assert_serves(&second);
}

/// The rule is removed again: the page is one, and going back makes it fingerprinted without deleting it.
#[tokio::test(start_paused = true)]
async fn a_rollback_to_a_release_that_has_a_page_as_a_fingerprinted_file_restores_it() {
    let rules = "[[rule]]\nglob = 'about.html'\nfingerprinted = true\n";
    let options = ScanOptions { rules: Rules::parse(rules).unwrap(), ..ScanOptions::default() };
    for about in ["about", "about, changed"] {
        let world = World::new();
        let first = world.site_with(&[("index.html", "one"), ("about.html", "about")], &options);
        let second = world.site(&[("index.html", "two"), ("about.html", about)]);
        world.deploy(&first, "1.0.0").await.unwrap();
        world.deploy(&second, "2.0.0").await.unwrap();
        world.assert_serves(&second);
        assert!(world.invalidated().contains("/about.html"));
        back(&world).await;
        world.assert_serves(&first);
    }
}
