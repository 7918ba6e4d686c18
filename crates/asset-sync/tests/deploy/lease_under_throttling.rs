//! The lease has right of way: a store that is slow or busy delays a run and does not end it. Each deployment succeeds at the first attempt with the default settings. Time is virtual.

use std::sync::Arc;
use std::time::Duration;

use asset_sync::bucket::RetryPolicy;
use asset_sync::deploy::{Options, Outcome, RollbackTo};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::slow_bucket::{Answer, SlowBucket};
use crate::world::{World, info};

/// The default settings.
fn options(world: &World) -> Options {
    Options { retry: RetryPolicy::default(), ..world.options() }
}

fn at_once(world: &World, concurrency: usize) -> Options {
    let mut options = options(world);
    options.retry.concurrency = concurrency;
    options
}

async fn deploy_with(world: &World, bucket: &Arc<SlowBucket>, files: &[(String, Vec<u8>)], options: Options) {
    let site = world.site(files);
    let deployer = bucket.deployer(world, options);
    let report = deployer.deploy(&site, &info("1.0.0"), &CancellationToken::new()).await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    world.assert_serves(&site);
    assert!(world.current().lease.is_none() && world.current().pending.is_none());
}

/// 300 small files.
fn pages() -> Vec<(String, Vec<u8>)> {
    let pages = (0..300).map(|n| (format!("docs/{n}.txt"), format!("page {n}").into_bytes()));
    pages.chain([("index.html".to_owned(), b"<p>".to_vec())]).collect()
}

/// 150 small files that each release changes, and 50 that are its own.
fn release(number: usize) -> Vec<(String, Vec<u8>)> {
    let changed = (0..150).map(|n| (format!("docs/{n}.txt"), format!("page {n} of {number}").into_bytes()));
    let own = (0..50).map(|n| (format!("assets/{n}-{number:08x}.js"), format!("script {n}").into_bytes()));
    changed.chain(own).chain([("index.html".to_owned(), format!("<p>{number}").into_bytes())]).collect()
}

fn film(bytes: usize) -> Vec<(String, Vec<u8>)> {
    vec![("assets/film-0a1b2c3d.mp4".to_owned(), vec![7; bytes]), ("index.html".to_owned(), b"<p>".to_vec())]
}

/// A store that takes so many requests at once and throttles the others.
fn takes(world: &World, most: usize, millis: u64) -> Arc<SlowBucket> {
    SlowBucket::new(world, move |request| {
        let refused = request.in_flight > most;
        Answer::after_millis(if refused { 50 } else { millis }).throttled_if(refused)
    })
}

/// A store that throttles every so-manieth request for ever.
fn throttles(world: &World, every: usize, millis: u64) -> Arc<SlowBucket> {
    SlowBucket::new(world, move |request| {
        Answer::after_millis(millis).throttled_if(request.number.is_multiple_of(every))
    })
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_few_requests_at_once_gets_a_deployment() {
    for (most, millis, concurrency) in [(1, 1_000, 64), (2, 1_500, 64), (2, 1_500, 8), (3, 1_500, 64), (1, 5_000, 64)] {
        let world = World::new();
        let bucket = takes(&world, most, millis);
        deploy_with(&world, &bucket, &pages(), at_once(&world, concurrency)).await;
        let (throttled, requests) = (bucket.throttled(), bucket.requests());
        // Of one at once, each renewal takes the place of an upload.
        assert!(most == 1 || throttled * 4 < requests, "{most} at once: {throttled} of {requests} were throttled");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_throttles_for_ever_gets_a_deployment() {
    for (every, millis, concurrency) in [(2, 1_000, 64), (2, 1_000, 1), (3, 1_000, 64), (10, 1_000, 64), (3, 5_000, 8)]
    {
        let world = World::new();
        let bucket = throttles(&world, every, millis);
        deploy_with(&world, &bucket, &pages(), at_once(&world, concurrency)).await;
    }
}

/// Rollback and prune as well: each goes through at the first attempt.
#[tokio::test(start_paused = true)]
async fn a_store_that_throttles_every_second_request_lets_a_release_go_back_and_be_pruned() {
    for concurrency in [64, 1] {
        let world = World::new();
        let bucket = throttles(&world, 2, 1_000);
        let retained = Options { keep_releases: 0, grace: SignedDuration::ZERO, ..at_once(&world, concurrency) };
        let kept = Options { keep_releases: 5, ..retained.clone() };
        deploy_with(&world, &bucket, &release(1), kept.clone()).await;
        let first = world.visible();
        deploy_with(&world, &bucket, &release(2), kept.clone()).await;

        let stop = CancellationToken::new();
        let report = bucket.deployer(&world, kept).rollback(&RollbackTo::Previous, None, &stop).await.unwrap();
        assert_eq!(report.result, Outcome::RolledBack);
        for (key, object) in &first {
            assert_eq!(world.visible().get(key), Some(object), "{key}");
        }

        world.pass(SignedDuration::from_hours(1));
        let report = bucket.deployer(&world, retained).prune(&stop).await.unwrap();
        assert_eq!(report.result, Outcome::Pruned);
        assert_eq!(world.visible(), first);
        assert!(world.current().lease.is_none() && world.current().pending.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_30_seconds_is_enough() {
    for half in [false, true] {
        let world = World::new();
        let bucket = if half { throttles(&world, 2, 1_000) } else { takes(&world, 2, 1_500) };
        let options = Options { lease: Duration::from_secs(30), ..options(&world) };
        deploy_with(&world, &bucket, &pages(), options).await;
    }
}

/// Whenever it begins, also just before a renewal.
#[tokio::test(start_paused = true)]
async fn forty_seconds_of_nothing_but_503_are_overcome() {
    for begins in [1, 11, 12, 17, 24] {
        let world = World::new();
        let burst = Duration::from_secs(begins)..Duration::from_secs(begins + 40);
        let bucket = SlowBucket::new(&world, move |request| {
            Answer::after_millis(1_000).throttled_if(burst.contains(&request.since))
        });
        deploy_with(&world, &bucket, &pages(), at_once(&world, 8)).await;
    }
}

/// One upload at a time, longer than the lease.
#[tokio::test(start_paused = true)]
async fn an_upload_longer_than_the_lease_does_not_end_it() {
    for (seconds, concurrency) in [(70, 64), (200, 1)] {
        let world = World::new();
        let bucket = SlowBucket::new(&world, move |request| {
            Answer::after_millis(if request.operation == "UploadPart" { seconds * 1_000 } else { 10 })
        });
        deploy_with(&world, &bucket, &film(23_000_000), at_once(&world, concurrency)).await;
    }
}
