//! Version 1, version 2, version 2 again, as visitors of a caching edge see them.

use std::time::Duration;

use asset_sync::deploy::{Options, Outcome};
use asset_sync::plan::{Addressing, InvalidationMode};
use asset_sync::site::Site;
use stand_ins::Distribution;

use crate::world::{COLD, Sites, World, targets, v1, v2};

/// Deploys both versions, and looks at every path of either before and after each.
async fn two_versions(world: World, options: Options, deep_links: &[&str]) {
    let sites = Sites::new();
    let (first, second) = (sites.write(&v1()), sites.write(&v2()));
    let mut paths = targets(&first, options.addressing.invalidation);
    // What only the other version has is asked for as well: its absence is cached, for a day.
    // Of assets that are not there yet nobody knows: no page refers to them.
    let pages = |site: &Site| {
        let mut site = site.clone();
        site.files.retain(|f| f.role != asset_sync::site::Role::Fingerprinted);
        site
    };
    paths.extend(targets(&pages(&second), options.addressing.invalidation));
    paths.extend(deep_links.iter().map(|&link| link.to_owned()));

    let report = world.deploy_with(options.clone(), &first, "1.0.0").await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    world.assert_holds(&first, "version 1");
    world.assert_fresh(&paths, "version 1");
    world.pass(Duration::from_mins(1));

    let report = world.deploy_with(options.clone(), &second, "2.0.0").await.unwrap();
    assert_eq!((report.result, report.uploaded.files), (Outcome::Deployed, 4));
    world.assert_holds(&second, "version 2");
    world.assert_loads(&second, "version 2");
    world.assert_fresh(&paths, "version 2");
    world.assert_loads(&first, "a page of version 1 is still open");
    world.assert_whole(COLD[0], &[&second], "version 2");
    world.assert_settled("version 2");
    world.pass(Duration::from_mins(1));

    let before = world.servers.store().snapshot(stand_ins::BUCKET);
    world.servers.faults().reset_log();
    let report = world.deploy_with(options, &second, "2.0.0").await.unwrap();
    assert_eq!(report.result, Outcome::Unchanged);
    assert_eq!(world.servers.store().snapshot(stand_ins::BUCKET), before);
    // The pointer, the inventory, one page of the listing.
    let counts = world.servers.faults().counts().into_iter().collect::<Vec<_>>();
    assert_eq!(counts, [("GetObject".to_owned(), 2), ("ListObjectsV2".to_owned(), 1)]);
    world.assert_fresh(&paths, "version 2 again");
}

/// Promises 3, 4, 5, 6 and 11.
#[tokio::test]
async fn no_edge_serves_a_stale_page() {
    let world = World::new().await;
    let options = world.options();
    two_versions(world, options, &[]).await;
}

/// The same where pages are asked for with query strings, which are cached apart.
#[tokio::test]
async fn nor_one_with_a_query_string() {
    let world = World::new().await;
    let options = Options {
        addressing: Addressing { invalidation: InvalidationMode::Variants, ..Addressing::default() },
        ..world.options()
    };
    two_versions(world, options, &["/?utm_source=mail&b=2", "/old/?", "/robots.txt?v=1"]).await;
}

/// The same where a missing key is answered with `index.html`, and that is cached.
#[tokio::test]
async fn nor_a_deep_link_of_a_single_page_application() {
    let fallback = |d| Distribution { fallback: Some("index.html".into()), ..d };
    let world = World::at("", fallback).await;
    let options = Options {
        addressing: Addressing { invalidation: InvalidationMode::All, ..Addressing::default() },
        ..world.options()
    };
    two_versions(world, options, &["/users/7", "/users/7?tab=a", "/deep/link/"]).await;
}

/// The same where the target is a prefix that is not part of the URL.
#[tokio::test]
async fn nor_behind_an_origin_path() {
    let origin = |d| Distribution { origin_path: "app".into(), ..d };
    let world = World::at("app/", origin).await;
    let options = Options { addressing: Addressing::default(), ..world.options() };
    two_versions(world, options, &[]).await;
}
