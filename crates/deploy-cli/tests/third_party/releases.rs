//! A site's life: deployed, deployed anew, left alone, rolled back, brought back, pruned.

use hyper::StatusCode;
use stand_ins::StandIns;

use crate::garage::{self, Garage};
use crate::ministack::Ministack;
use crate::site::Site;
use crate::target::{Access, Target};

/// An object of someone else's, beside the site.
const FOREIGN: &str = "not-ours.txt";
/// Operations that change nothing.
const READS: [&str; 3] = ["GetObject", "HeadObject", "ListObjectsV2"];

/// Two versions of a site; `None`, said loudly, where they are not at hand.
fn versions() -> Option<(Site, Site)> {
    Some((Site::streamlit("1.45.0")?, Site::streamlit("1.46.0")?))
}

/// Checks that exactly the invalidations a run reports came to those there `before`, and that they
/// are completed; gives all paths of the new ones.
async fn new_paths(target: &Target, before: &mut Vec<String>, result: &crate::program::Outcome) -> Vec<String> {
    let all = target.invalidations().await;
    let mut new = Vec::new();
    for (id, paths) in result.invalidations() {
        let there = all.get(id).unwrap_or_else(|| panic!("the distribution has no invalidation {id}"));
        assert!(paths.iter().all(|path| there.contains(*path)) && paths.len() == there.len(), "{paths:?} {there:?}");
        assert!(!before.contains(&id.to_owned()), "{id} was there before");
        new.extend(there.iter().cloned());
    }
    assert_eq!(all.len(), before.len() + result.invalidations().len(), "an invalidation that no run reports");
    *before = all.into_keys().collect();
    new
}

/// All of a site's life on one target.
async fn life(target: &Target, old: &Site, new: &Site) {
    let is_behind_cloudfront = target.distribution.is_some();
    let mut invalidations = Vec::new();
    let covers = |paths: &[String], path: &str| !is_behind_cloudfront || paths.iter().any(|covered| covered == path);
    target.put(FOREIGN, "someone else's").await;

    let first = target.deploy(old, "1.45.0").ended("deployed");
    assert_eq!(first.number("/uploaded/files"), old.files.len());
    assert_eq!(first.number("/foreign"), 1);
    assert_eq!(first.result["version"], "1.45.0");
    new_paths(target, &mut invalidations, &first).await;
    let immutable = target.holds(old, &[], &[FOREIGN]).await;
    let fingerprinted = old.files.keys().filter(|key| Site::is_fingerprinted(key)).count();
    assert!(immutable.len() * 10 >= fingerprinted * 9, "only {} of {fingerprinted} are immutable", immutable.len());

    let second = target.deploy(new, "1.46.0").ended("deployed");
    assert_eq!(second.number("/uploaded/files"), new.difference(old));
    assert_eq!(second.number("/unchanged/files"), new.files.len() - new.difference(old));
    assert_eq!(second.number("/deleted/files"), 0);
    assert_eq!(second.result["previous"], first.result["release"]);
    let paths = new_paths(target, &mut invalidations, &second).await;
    assert!(covers(&paths, "/") && covers(&paths, "/index.html"), "{paths:?}");
    let immutable = target.holds(new, &[old], &[FOREIGN]).await;
    assert!(!paths.iter().any(|path| immutable.contains(path.trim_start_matches('/'))), "{paths:?}");

    let before = target.listing().await;
    let third = target.deploy(new, "1.46.0").ended("unchanged");
    assert_eq!(third.number("/uploaded/files"), 0);
    assert!(third.operations().iter().all(|operation| READS.contains(operation)), "{:?}", third.operations());
    assert_eq!(third.result["release"], second.result["release"]);
    new_paths(target, &mut invalidations, &third).await;
    assert_eq!(target.listing().await, before, "a run with nothing to do changed the bucket");

    let back = target.program.run(&["rollback"]).ended("rolled-back");
    assert_eq!(back.result["version"], "1.45.0");
    let paths = new_paths(target, &mut invalidations, &back).await;
    assert!(covers(&paths, "/") && covers(&paths, "/index.html"), "{paths:?}");
    target.holds(old, &[new], &[FOREIGN]).await;

    let forward = target.program.run(&["rollback", "--to", "1.46.0"]).ended("rolled-back");
    assert_eq!(forward.result["release"], second.result["release"]);
    let paths = new_paths(target, &mut invalidations, &forward).await;
    assert!(covers(&paths, "/") && covers(&paths, "/index.html"), "{paths:?}");
    target.holds(new, &[old], &[FOREIGN]).await;

    // Nothing has expired yet.
    let before = target.listing().await;
    target.program.run(&["prune"]).ended("unchanged");
    assert_eq!(target.listing().await, before, "a prune with nothing to do changed the bucket");

    let without_history = target.program.with("DEPLOY_KEEP_RELEASES", "0").with("DEPLOY_GRACE", "0s");
    let pruned = without_history.run(&["prune"]).ended("pruned");
    let expired = old.files.keys().filter(|key| !new.files.contains_key(*key)).count();
    assert_eq!(pruned.number("/deleted/files"), expired);
    target.holds(new, &[], &[FOREIGN]).await;
    assert_eq!(target.object(FOREIGN).await.bytes, b"someone else's");

    target.program.run(&["rollback", "--to", "1.45.0"]).failed(2, &["1.45.0"]);
    target.holds(new, &[], &[FOREIGN]).await;
    let status = target.program.run(&["status"]);
    let releases = status.result["releases"].as_array().unwrap();
    let listed: Vec<_> = releases.iter().map(|one| (one["version"].as_str(), one["live"].as_bool())).collect();
    assert_eq!(listed, [(Some("1.46.0"), Some(true))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_stand_ins() {
    let Some((old, new)) = versions() else { return };
    let stand_ins = StandIns::builder().start().await.unwrap();
    let access = Access {
        s3: stand_ins.s3_endpoint(),
        cloudfront: Some(stand_ins.cloudfront_endpoint()),
        region: stand_ins::REGION.to_owned(),
        key_id: stand_ins::ACCESS_KEY.to_owned(),
        secret: stand_ins::SECRET_KEY.to_owned(),
    };
    let target = Target::new(&access, stand_ins::BUCKET, "", Some(stand_ins::DISTRIBUTION));
    life(&target, &old, &new).await;
    // The edge caches for a day whatever it is told, so this is what invalidations have left there.
    let page = stand_ins.edge().fetch("/");
    assert_eq!(page.body, new.files["index.html"].bytes);
    stand_ins.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_ministack() {
    let Some((old, new)) = versions() else { return };
    let Some(ministack) = Ministack::start().await else { return };
    let target = ministack.target("").await;
    life(&target, &old, &new).await;

    // As visitors see it. The distribution may read the site, and not the state.
    assert_eq!(ministack.visit("/").await, (StatusCode::OK, new.files["index.html"].bytes.clone()));
    let (status, _) = ministack.visit("/.deploy/current").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

/// Three releases in turn, two steps back, forward, pruned: every byte of every release compared at
/// each step. Nothing of a release goes before its grace is over, whatever else is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_releases_there_and_back() {
    let sites = ["1.44.0", "1.45.0", "1.46.0"].map(|version| Site::streamlit(version).map(|site| (version, site)));
    let [Some((v1, first)), Some((v2, second)), Some((v3, third))] = sites else { return };
    let Some(ministack) = Ministack::start().await else { return };
    let mut target = ministack.target("").await;
    // No history is kept but what grace keeps.
    let graceful = target.program.with("DEPLOY_KEEP_RELEASES", "0").with("DEPLOY_GRACE", "1h");
    target.program = graceful.clone();

    target.deploy(&first, v1).ended("deployed");
    target.holds(&first, &[], &[]).await;
    target.deploy(&second, v2).ended("deployed");
    target.holds(&second, &[&first], &[]).await;
    let latest = target.deploy(&third, v3).ended("deployed");
    target.holds(&third, &[&second, &first], &[]).await;

    for (version, site, others) in [(v2, &second, [&third, &first]), (v1, &first, [&second, &third])] {
        let back = target.program.run(&["rollback"]).ended("rolled-back");
        assert_eq!(back.result["version"], version);
        // Assets are where they were: only entries are written.
        assert!(back.number("/uploaded/files") < 10, "{back:?}");
        target.holds(site, &others, &[]).await;
        assert_eq!(ministack.visit("/").await, (StatusCode::OK, site.files["index.html"].bytes.clone()));
    }
    let forward = target.program.run(&["rollback", "--to", v3]).ended("rolled-back");
    assert_eq!(forward.result["release"], latest.result["release"]);
    target.holds(&third, &[&first, &second], &[]).await;

    let before = target.listing().await;
    graceful.run(&["prune"]).ended("unchanged");
    assert_eq!(target.listing().await, before, "a prune within the grace changed the bucket");

    let pruned = graceful.with("DEPLOY_GRACE", "0s").run(&["prune"]).ended("pruned");
    let expired = first.files.keys().chain(second.files.keys()).filter(|key| !third.files.contains_key(*key));
    assert_eq!(pruned.number("/deleted/files"), expired.collect::<std::collections::BTreeSet<_>>().len());
    target.holds(&third, &[], &[]).await;
    assert_eq!(ministack.visit("/").await, (StatusCode::OK, third.files["index.html"].bytes.clone()));
    target.deploy(&third, v3).ended("unchanged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_garage_which_ignores_conditional_writes() {
    let Some((old, new)) = versions() else { return };
    let Some(garage) = Garage::start().await else { return };
    let mut target = Target::new(&garage.access, garage::BUCKET, "", None);

    let refused = target.deploy(&old, "1.45.0");
    refused.failed(7, &["conditional writes", "DEPLOY_CONDITIONAL_WRITES=unsafe-off"]);
    assert!(target.keys().await.is_empty(), "a refused run wrote files of the site");

    target.program = target.program.with("DEPLOY_CONDITIONAL_WRITES", "unsafe-off");
    life(&target, &old, &new).await;
}
