//! Names that have broken some client, list or cache or other: deployed, listed, served, rolled
//! back, pruned.

use std::time::Duration;

use asset_sync::bucket::MIN_PART_SIZE;
use asset_sync::deploy::{Options, Outcome, RollbackTo};
use asset_sync::plan::InvalidationMode;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::world::{COLD, Files, Sites, World, page, targets};

const ODD: [&str; 12] = [
    "a b.txt",
    "a+b.txt",
    "a%20b.txt",
    "100%.txt",
    "a&b=c?d#e.txt",
    "quote's \"double\".txt",
    "<tag>.txt",
    "semi;colon,comma@at:$!().txt",
    "~tilde~/-_.txt",
    "{pipe|}[x]^`.txt",
    "üñï/çødé/日本語.html",
    "plus+%2B+😀/index.html",
];
/// An entry file that goes to the archive in parts and comes back by a copy.
const LARGE: &str = "größe + 100% ~ &.mp4";

fn site(content: &str) -> Files {
    let mut files: Files = ODD.iter().map(|key| ((*key).to_owned(), format!("{content} {key}").into_bytes())).collect();
    let mut large = vec![b'.'; usize::try_from(2 * MIN_PART_SIZE).unwrap() + 1];
    large[..content.len()].copy_from_slice(content.as_bytes());
    files.push((LARGE.to_owned(), large));
    files.push(("index.html".to_owned(), page(content, &[])));
    files
}

/// An invalidation path cannot name a literal `*`: only a wildcard before it covers such a file.
#[tokio::test]
async fn a_name_with_an_asterisk_is_not_served_stale() {
    let world = World::new().await;
    let sites = Sites::new();
    for content in ["one", "two"] {
        let files = [("index.html", page("star", &[])), ("star*.txt", content.as_bytes().to_vec())];
        let site = sites.write(&files.map(|(key, body)| (key.to_owned(), body)).to_vec());
        world.deploy(&site, if content == "one" { "1.0.0" } else { "2.0.0" }).await.unwrap();
        world.assert_fresh(&targets(&site, InvalidationMode::Exact), content);
    }
}

/// Promises 3, 4, 6, 9 and 10.
#[tokio::test]
async fn odd_names_live_as_others_do() {
    let world = World::new().await;
    let sites = Sites::new();
    let mut without = site("three");
    without.retain(|(key, _)| key == "index.html");
    let (first, second) = (sites.write(&site("one")), sites.write(&site("two")));
    let third = sites.write(&without);
    let options = || Options {
        part_size: MIN_PART_SIZE,
        keep_releases: 0,
        grace: SignedDuration::from_hours(1),
        max_shrink: asset_sync::plan::MaxShrink(1.0),
        ..world.options()
    };
    let paths = targets(&first, InvalidationMode::Exact);

    // More names than pages of the listing would not change anything: each goes by its own.
    for (site, version) in [(&first, "1.0.0"), (&second, "2.0.0")] {
        let report = world.deploy_with(options(), site, version).await.unwrap();
        assert_eq!((report.result, report.uploaded.files), (Outcome::Deployed, ODD.len() as u64 + 2), "{version}");
        world.assert_holds(site, version);
        world.assert_fresh(&paths, version);
        world.assert_whole(COLD[usize::from(version == "2.0.0")], &[site], version);
        world.pass(Duration::from_mins(1));
        let report = world.deploy_with(options(), site, version).await.unwrap();
        assert_eq!(report.result, Outcome::Unchanged, "{version}: what is listed is what was written");
    }

    world.servers.faults().reset_log();
    let stop = CancellationToken::new();
    world.deployer(options()).rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
    world.assert_holds(&first, "rolled back");
    world.assert_fresh(&paths, "rolled back");
    assert_eq!(world.servers.faults().count("CopyObject"), 1);

    // A version without them, then the time to let them go.
    world.deploy_with(options(), &third, "3.0.0").await.unwrap();
    world.pass(Duration::from_hours(2));
    world.deployer(options()).prune(&stop).await.unwrap();
    let left: Vec<String> = world.visible().into_keys().collect();
    assert_eq!(left, ["index.html"]);
    world.assert_fresh(&paths, "pruned");
    world.assert_settled("pruned");
}
