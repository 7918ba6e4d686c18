//! Targets within targets: what lies below another target's state is that target's.

use asset_sync::deploy::{Options, RollbackTo};
use asset_sync::plan::{Adopt, MaxShrink};
use asset_sync::site::{ScanOptions, Site, scan};
use asset_sync::{Deployer, Error, Refusal};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::world::{BUCKET, World, info, page};

const SCRIPT: &str = "assets/x-3f2a9c0d.js";

fn options(world: &World) -> Options {
    Options { keep_releases: 1, grace: SignedDuration::ZERO, max_shrink: MaxShrink(1.0), ..world.options() }
}

fn inner(world: &World) -> Deployer {
    world.deployer_at("app/", options(world))
}

fn inner_site(dir: &std::path::Path, title: &str) -> Site {
    std::fs::create_dir_all(dir.join("assets")).unwrap();
    std::fs::write(dir.join("index.html"), page(title, &["app/assets/x-3f2a9c0d.js"])).unwrap();
    std::fs::write(dir.join(SCRIPT), "x").unwrap();
    scan(dir, &ScanOptions { prefix: "app/".to_owned(), ..ScanOptions::default() }).unwrap()
}

fn whole(world: &World, title: &str) -> Site {
    world.site(&[
        ("index.html", page(title, &[])),
        ("app/index.html", page("app", &["app/assets/x-3f2a9c0d.js"])),
        (&format!("app/{SCRIPT}"), "x".to_owned()),
    ])
}

/// The folder `app/` of a site becomes a target of its own with the same files; the first site is built without it, and
/// rolled back to when it had it.
#[tokio::test(start_paused = true)]
async fn a_folder_that_became_a_target_of_its_own_is_left_alone() {
    let world = World::new();
    let (stop, dir) = (CancellationToken::new(), tempfile::tempdir().unwrap());
    let outer = world.deployer_with(options(&world));
    outer.deploy(&whole(&world, "root"), &info("1.0.0"), &stop).await.unwrap();
    inner(&world).deploy(&inner_site(dir.path(), "app"), &info("1.0.0"), &stop).await.unwrap();
    for (version, title) in [("2.0.0", "root 2"), ("3.0.0", "root 3"), ("4.0.0", "root 4")] {
        let site = world.site(&[("index.html", page(title, &[]))]);
        outer.deploy(&site, &info(version), &stop).await.unwrap();
        assert!(world.text("app/index.html").is_some() && world.text(&format!("app/{SCRIPT}")).is_some(), "{version}");
        world.pass(SignedDuration::from_hours(1));
    }
    assert!(world.warnings().iter().any(|w| w.contains("at app/")), "{:?}", world.warnings());
    outer.prune(&stop).await.unwrap();
    assert!(world.text("app/index.html").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_rollback_leaves_it_alone_too() {
    let world = World::new();
    let (stop, dir) = (CancellationToken::new(), tempfile::tempdir().unwrap());
    let outer = world.deployer_with(options(&world));
    outer.deploy(&whole(&world, "root"), &info("1.0.0"), &stop).await.unwrap();
    inner(&world).deploy(&inner_site(dir.path(), "app"), &info("1.0.0"), &stop).await.unwrap();
    outer.deploy(&world.site(&[("index.html", page("root 2", &[]))]), &info("2.0.0"), &stop).await.unwrap();
    inner(&world).deploy(&inner_site(dir.path(), "app, changed"), &info("1.1.0"), &stop).await.unwrap();
    outer.rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
    assert!(world.text("index.html").unwrap().contains("root<"));
    assert!(world.text("app/index.html").unwrap().contains("app, changed"));
}

/// What the other target has deleted is not brought back. Shown to fail when a rollback writes all files of its release.
#[tokio::test(start_paused = true)]
async fn a_rollback_brings_nothing_back_that_the_other_target_deleted() {
    let world = World::new();
    let (stop, dir) = (CancellationToken::new(), tempfile::tempdir().unwrap());
    let outer = world.deployer_with(options(&world));
    outer.deploy(&whole(&world, "root"), &info("1.0.0"), &stop).await.unwrap();
    inner(&world).deploy(&inner_site(dir.path(), "app"), &info("1.0.0"), &stop).await.unwrap();
    outer.deploy(&world.site(&[("index.html", page("root 2", &[]))]), &info("2.0.0"), &stop).await.unwrap();
    std::fs::rename(dir.path().join("index.html"), dir.path().join("home.html")).unwrap();
    let site = scan(dir.path(), &ScanOptions { prefix: "app/".to_owned(), ..ScanOptions::default() }).unwrap();
    inner(&world).deploy(&site, &info("1.1.0"), &stop).await.unwrap();
    assert!(world.text("app/index.html").is_none());
    outer.rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
    assert!(world.text("index.html").unwrap().contains("root<") && world.text("app/index.html").is_none());
}

#[tokio::test(start_paused = true)]
async fn files_for_the_place_of_another_target_are_refused() {
    let world = World::new();
    let (stop, dir) = (CancellationToken::new(), tempfile::tempdir().unwrap());
    inner(&world).deploy(&inner_site(dir.path(), "app, changed"), &info("1.0.0"), &stop).await.unwrap();
    let before = world.store.snapshot(BUCKET);
    for adopt in [Adopt::Refuse, Adopt::Take] {
        let outer = world.deployer_with(Options { adopt, ..options(&world) });
        let refused = outer.deploy(&whole(&world, "root"), &info("1.0.0"), &stop).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Refused(Refusal::NestedTarget { prefix, .. }) if prefix == "app/"),
            "{refused}"
        );
        assert!(refused.to_string().starts_with("app/index.html of the site"), "{refused}");
        assert_eq!(world.store.snapshot(BUCKET), before);
    }
}
