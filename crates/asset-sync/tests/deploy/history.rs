//! Earlier releases as evidence that names carry hashes of their content.

use std::sync::Arc;

use asset_sync::Headers;
use asset_sync::deploy::{Options, Outcome, RollbackTo};
use asset_sync::plan::MaxShrink;
use asset_sync::site::{Fingerprint, Role, Rules, ScanOptions, Site};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::world::{World, info};

const ENTRY: &str = "public, max-age=0, must-revalidate";

/// A site whose scripts and styles have names of which the scan is not sure.
fn undecided(world: &World, files: &[(&str, &str)]) -> Site {
    let mut site = world.site(files);
    for file in site.files.iter_mut().filter(|f| f.key.as_str() != "index.html") {
        file.fingerprint = Fingerprint::Likely;
        file.role = Role::Entry;
        file.headers = Arc::new(Headers { cache_control: Some(ENTRY.into()), ..(*file.headers).clone() });
    }
    site
}

const MAIN_2: &str = "main-XTPAOMNE.js";
const STYLES_2: &str = "styles-BWVUOYIP.css";

fn first(world: &World) -> Site {
    undecided(world, &[("index.html", "one"), ("main-DJKSHEUW.js", "one"), ("styles-LZQKRTAB.css", "one")])
}

fn second(world: &World) -> Site {
    undecided(world, &[("index.html", "two"), (MAIN_2, "two"), (STYLES_2, "two")])
}

fn is_immutable(world: &World, key: &str) -> bool {
    world.visible()[key].1.cache_control.as_ref().unwrap().contains("immutable")
}

async fn deploy(world: &World, site: &Site, version: &str) -> Outcome {
    let options =
        Options { keep_releases: 0, grace: SignedDuration::ZERO, max_shrink: MaxShrink(1.0), ..world.options() };
    let deployer = world.deployer_with(options);
    deployer.deploy(site, &info(version), &CancellationToken::new()).await.unwrap().result
}

#[tokio::test(start_paused = true)]
async fn the_second_release_shows_which_names_carry_hashes_and_a_repeat_writes_nothing() {
    let world = World::new();
    world.deploy(&first(&world), "1.0.0").await.unwrap();
    assert!(!is_immutable(&world, "main-DJKSHEUW.js"));
    let site = second(&world);
    let plan = world.plan(&site, "2.0.0").await.unwrap();
    let main = plan.writes.iter().find(|w| w.key == MAIN_2).unwrap();
    assert!(main.staged && main.role == Role::Fingerprinted && main.evidence.is_some());
    assert_eq!(plan.fingerprinted.iter().map(|group| group.files).collect::<Vec<_>>(), [2]);
    world.deploy(&site, "2.0.0").await.unwrap();
    assert!(is_immutable(&world, MAIN_2) && is_immutable(&world, STYLES_2));
    world.store.clear_calls();
    assert_eq!(world.deploy(&site, "2.0.0").await.unwrap().result, Outcome::Unchanged);
    assert_eq!(world.writes(), []);
    // Back and forth: each release as it was.
    roll_back(&world, RollbackTo::Previous).await;
    assert!(!is_immutable(&world, "main-DJKSHEUW.js") && world.text("index.html").unwrap() == "one");
    roll_back(&world, RollbackTo::Named("2.0.0".into())).await;
    assert!(is_immutable(&world, MAIN_2) && world.text("index.html").unwrap() == "two");
}

async fn roll_back(world: &World, to: RollbackTo) {
    world.deployer().rollback(&to, None, &CancellationToken::new()).await.unwrap();
}

/// The evidence is gone with the first release; what was decided stays.
#[tokio::test(start_paused = true)]
async fn nothing_flips_when_the_evidence_is_pruned() {
    let world = World::new();
    deploy(&world, &first(&world), "1.0.0").await;
    deploy(&world, &second(&world), "2.0.0").await;
    assert!(world.text("main-DJKSHEUW.js").is_none(), "pruned");
    assert!(is_immutable(&world, MAIN_2));
    assert_eq!(deploy(&world, &second(&world), "2.0.0").await, Outcome::Unchanged);
    // Only one file changes: its predecessor vouches for it.
    let third = [("index.html", "three"), ("main-QGRBZKIL.js", "three"), (STYLES_2, "two")];
    deploy(&world, &undecided(&world, &third), "3.0.0").await;
    assert!(is_immutable(&world, "main-QGRBZKIL.js") && is_immutable(&world, STYLES_2));
}

#[tokio::test(start_paused = true)]
async fn a_promoted_name_whose_content_changes_is_demoted_for_good_and_its_content_comes_back() {
    let world = World::new();
    world.deploy(&first(&world), "1.0.0").await.unwrap();
    world.deploy(&second(&world), "2.0.0").await.unwrap();
    let changed = undecided(&world, &[("index.html", "three"), (MAIN_2, "changed"), (STYLES_2, "two")]);
    world.deploy(&changed, "3.0.0").await.unwrap();
    assert!(!is_immutable(&world, MAIN_2) && is_immutable(&world, STYLES_2));
    assert!(world.warnings().iter().any(|w| w.contains(MAIN_2)));
    assert!(world.invalidated().contains(&format!("/{MAIN_2}")));
    assert_eq!(world.deploy(&changed, "3.0.0").await.unwrap().result, Outcome::Unchanged);
    roll_back(&world, RollbackTo::Previous).await;
    assert_eq!(world.text(MAIN_2).unwrap(), "two");
    roll_back(&world, RollbackTo::Named("3.0.0".into())).await;
    assert_eq!(world.text(MAIN_2).unwrap(), "changed");
}

/// Caches were told to keep the file for a year. Its name comes back after it was deleted.
#[tokio::test(start_paused = true)]
async fn a_demoted_name_is_remembered_for_a_year_after_its_file_was_deleted() {
    const APP: &str = "app-3f2a9c0d.js";
    let comes_back_as_immutable = async |after| {
        let world = World::new();
        let with = |content| world.site(&[("index.html", content), (APP, content)]);
        deploy(&world, &with("one"), "1.0.0").await;
        assert!(is_immutable(&world, APP));
        deploy(&world, &with("two"), "2.0.0").await;
        assert!(!is_immutable(&world, APP));
        deploy(&world, &world.site(&[("index.html", "three")]), "3.0.0").await;
        assert!(world.text(APP).is_none(), "deleted");
        world.pass(after);
        deploy(&world, &world.site(&[("index.html", "four")]), "4.0.0").await;
        deploy(&world, &with("five"), "5.0.0").await;
        assert_eq!(world.text(APP).unwrap(), "five");
        is_immutable(&world, APP)
    };
    let year = SignedDuration::from_hours(365 * 24);
    assert!(!comes_back_as_immutable(year - SignedDuration::from_mins(1)).await);
    assert!(comes_back_as_immutable(year).await);
}

/// A rule that made a file fingerprinted is removed while its content changes: what it was is archived first.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_no_longer_fingerprinted_comes_back_with_its_content() {
    let world = World::new();
    let rules = "[[rule]]\nglob = 'logo.svg'\nfingerprinted = true\n";
    let options = ScanOptions { rules: Rules::parse(rules).unwrap(), ..ScanOptions::default() };
    let first = world.site_with(&[("index.html", "one"), ("logo.svg", "one")], &options);
    world.deploy(&first, "1.0.0").await.unwrap();
    world.deploy(&world.site(&[("index.html", "two"), ("logo.svg", "two")]), "2.0.0").await.unwrap();
    roll_back(&world, RollbackTo::Previous).await;
    world.assert_serves(&first);
}
