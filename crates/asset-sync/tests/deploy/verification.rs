//! What is done with what a look at the live site shows.

use std::sync::Arc;

use asset_sync::deploy::{Options, Outcome};
use asset_sync::plan::MaxShrink;
use asset_sync::state::Manifest;
use asset_sync::verify::{Expected, Fault, Observation, OnFailure, Verdict, Verifier};
use asset_sync::{Conflict, Error, ErrorClass, Sha256};
use async_trait::async_trait;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::world::{World, info, v1, v2};

/// Sees the same thing wherever it looks, but for release 1, which is always right.
struct Sees(Verdict);

#[async_trait]
impl Verifier for Sees {
    async fn verify(&self, expected: Expected<'_>) -> Verdict {
        assert_eq!(expected.state_path, Some(".deploy/current"));
        let first = expected.manifest.files.iter().any(|f| f.key.as_str() == "old/index.html");
        if first { Verdict::default() } else { self.0.clone() }
    }
}

fn observation() -> Observation {
    Observation { url: "https://site.test/app.js".into(), what: "content type is text/html".into() }
}

fn wrong() -> Verdict {
    Verdict { wrong: vec![observation()], ..Verdict::default() }
}

async fn deploy_second(world: &World, options: Options) -> Result<asset_sync::deploy::Report, Error> {
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    let site = world.site(&v2());
    world.deployer_with(options).deploy(&site, &info("2.0.0"), &CancellationToken::new()).await
}

#[tokio::test(start_paused = true)]
async fn positive_evidence_brings_the_last_release_back() {
    let world = World::new();
    let options = Options { verifier: Some(Arc::new(Sees(wrong()))), ..world.options() };
    let error = deploy_second(&world, options).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Verification);
    let text = error.to_string();
    assert!(text.contains("https://site.test/app.js") && text.contains("is live again"), "{text}");
    let Error::NotVerified(seen) = error else { panic!("{error}") };
    assert_eq!((seen.fault, seen.release.version.as_str()), (Fault::Wrong, "2.0.0"));
    let back = seen.rolled_back_to.unwrap();
    assert_eq!((back.version.as_str(), back.release), ("1.0.0", world.current().live.unwrap().to_string()));
    world.assert_serves(&world.site(&v1()));
    let current = world.current();
    assert_eq!(current.live_release().unwrap().version, "1.0.0");
    assert!(current.pending.is_none() && current.edges.pending(&[], "/*").is_empty() && current.lease.is_none());
    // The Job's retry does not try the broken release once more.
    let error = world.deploy(&world.site(&v2()), "2.0.0").await.unwrap_err();
    assert!(matches!(error, Error::Conflict(Conflict::RolledBack { .. })), "{error}");
}

#[tokio::test(start_paused = true)]
async fn it_stays_where_that_is_wanted_or_nothing_was_before() {
    let world = World::new();
    let options = Options { verifier: Some(Arc::new(Sees(wrong()))), on_failure: OnFailure::Keep, ..world.options() };
    let error = deploy_second(&world, options.clone()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Verification);
    world.assert_serves(&world.site(&v2()));

    let world = World::new();
    let options = Options { on_failure: OnFailure::RollBack, verifier: options.verifier, ..world.options() };
    let site = world.site(&v2());
    let error =
        world.deployer_with(options).deploy(&site, &info("2.0.0"), &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Verification);
    world.assert_serves(&site);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_cannot_be_seen_is_a_warning_or_a_failure_without_rollback() {
    let unseen = Verdict { unseen: vec![observation()], ..Verdict::default() };
    let world = World::new();
    let options = Options { verifier: Some(Arc::new(Sees(unseen))), ..world.options() };
    let report = deploy_second(&world, options.clone()).await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    assert!(report.warnings.iter().any(|w| w.contains("could not be looked at")));

    let world = World::new();
    let options = Options { verification_required: true, verifier: options.verifier, ..world.options() };
    let error = deploy_second(&world, options).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Verification);
    world.assert_serves(&world.site(&v2()));
}

#[tokio::test(start_paused = true)]
async fn a_state_area_that_can_be_read_is_no_reason_to_take_the_release_down() {
    let exposed = Verdict { right: 3, state_area_readable: Some(observation()), ..Verdict::default() };
    let world = World::new();
    let options = Options { verifier: Some(Arc::new(Sees(exposed))), ..world.options() };
    let report = deploy_second(&world, options.clone()).await.unwrap();
    assert!(report.warnings.iter().any(|w| w.contains("https://site.test/app.js")), "{:?}", report.warnings);
    let seen = report.seen.unwrap();
    assert!(seen.state_area_readable);
    assert_eq!(seen.right, 3);

    let world = World::new();
    let options = Options { verification_required: true, verifier: options.verifier, ..world.options() };
    let error = deploy_second(&world, options).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Verification);
    assert!(error.to_string().contains("the state area can be read by anybody"), "{error}");
    let Error::NotVerified(seen) = error else { panic!("{error}") };
    assert_eq!((seen.fault, seen.rolled_back_to), (Fault::StateAreaReadable, None));
    world.assert_serves(&world.site(&v2()));
    assert_eq!(world.current().live_release().unwrap().version, "2.0.0");
}

/// A Job that is tried again after exit code 6 must not be told that all is well.
#[tokio::test(start_paused = true)]
async fn where_it_is_required_a_run_with_nothing_to_do_looks_too() {
    let world = World::new();
    let site = world.site(&v2());
    let stop = CancellationToken::new();
    let options = Options {
        verifier: Some(Arc::new(Sees(wrong()))),
        verification_required: true,
        on_failure: OnFailure::Keep,
        ..world.options()
    };
    let run = async || world.deployer_with(options.clone()).deploy(&site, &info("2.0.0"), &stop).await;
    assert_eq!(run().await.unwrap_err().class(), ErrorClass::Verification);
    let before = world.visible();
    assert_eq!(run().await.unwrap_err().class(), ErrorClass::Verification);
    assert_eq!(world.visible(), before, "a look changes nothing of the site");

    let right = Options { verifier: Some(Arc::new(Sees(Verdict { right: 7, ..Verdict::default() }))), ..options };
    let again = async || world.deployer_with(right.clone()).deploy(&site, &info("2.0.0"), &stop).await.unwrap();
    let report = again().await;
    assert_eq!((report.result, report.seen.unwrap().right), (Outcome::Deployed, 7), "it is on record that it is right");
    let before = world.store.snapshot("site");
    let report = again().await;
    assert_eq!((report.result, report.seen.unwrap().right), (Outcome::Unchanged, 7));
    assert_eq!(world.store.snapshot("site"), before, "a look writes nothing");
    let relabelled = world.deployer_with(right.clone()).deploy(&site, &info("2.0.1"), &stop).await.unwrap();
    assert_eq!((relabelled.result, relabelled.seen.unwrap().right), (Outcome::Deployed, 7));
}

/// An edge that did not notice an invalidation serves the release before, not an older one.
#[tokio::test(start_paused = true)]
async fn the_site_is_compared_with_the_release_that_was_live_last() {
    struct Before(std::sync::Mutex<Option<Sha256>>);
    #[async_trait]
    impl Verifier for Before {
        async fn verify(&self, expected: Expected<'_>) -> Verdict {
            *self.0.lock().unwrap() = expected.previous.map(Manifest::tree);
            Verdict::default()
        }
    }
    let world = World::new();
    let looks = Arc::new(Before(std::sync::Mutex::default()));
    for (version, files) in [("1.0.0", v1()), ("2.0.0", v2()), ("3.0.0", vec![("index.html".into(), "three".into())])] {
        let before = world.store.snapshot("site").contains_key(".deploy/current").then(|| world.current());
        let verifier = Some(Arc::clone(&looks) as Arc<dyn Verifier>);
        let options = Options { verifier, max_shrink: MaxShrink(1.0), ..world.options() };
        let site = world.site(&files);
        world.deployer_with(options).deploy(&site, &info(version), &CancellationToken::new()).await.unwrap();
        let seen = looks.0.lock().unwrap().take();
        assert_eq!(seen, before.and_then(|current| Some(current.live_release()?.tree)), "{version}");
        world.pass(SignedDuration::from_mins(1));
    }
}
