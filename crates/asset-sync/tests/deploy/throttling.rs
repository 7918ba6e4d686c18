//! A store that is busy: slower, and through; one that stays so: an end within a bound. Time is
//! virtual, so that minutes cost nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use asset_sync::bucket::RetryPolicy;
use asset_sync::deploy::{Options, Outcome, Report};
use asset_sync::progress::Event;
use asset_sync::{Error, ErrorClass};
use tokio_util::sync::CancellationToken;

use crate::slow_bucket::{Answer, Request, SlowBucket};
use crate::world::{World, info};

/// How long each request takes, in milliseconds.
const LATENCY: u64 = 100;
/// What the CLI's defaults are: time alone bounds the attempts.
const GIVE_UP_AFTER: Duration = Duration::from_mins(3);
/// The time that a run may take to clean up, beside one last attempt.
const CLEAN_UP: Duration = Duration::from_secs(15);

fn busy_bucket(world: &World, busy: impl Fn(&Request) -> bool + Send + Sync + 'static) -> Arc<SlowBucket> {
    SlowBucket::new(world, move |request| Answer::after_millis(LATENCY).throttled_if(busy(request)))
}

/// A site large enough to be under way for a while.
fn large() -> Vec<(String, String)> {
    let files = (0..1_500).map(|n| (format!("docs/page-{n}.txt"), format!("page {n}")));
    files.chain([("index.html".to_owned(), "<p>hi".to_owned())]).collect()
}

async fn deploy(world: &World, bucket: &Arc<SlowBucket>, version: &str) -> Result<Report, Error> {
    let retry = RetryPolicy { max_attempts: u32::MAX, give_up_after: GIVE_UP_AFTER, ..RetryPolicy::default() };
    let deployer = bucket.deployer(world, Options { retry, ..world.options() });
    let site = world.site(&large());
    let done = deployer.deploy(&site, &info(version), &CancellationToken::new()).await;
    if done.is_ok() {
        world.assert_serves(&site);
    }
    done
}

#[tokio::test(start_paused = true)]
async fn one_request_in_three_throttled_for_30_seconds_is_overcome() {
    const BUSY: u64 = 30;
    let world = World::new();
    let bucket = busy_bucket(&world, |request| request.number % 3 == 0 && request.since < Duration::from_secs(BUSY));
    let report = deploy(&world, &bucket, "1.0.0").await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    assert!(report.throttled > 50 && report.retries >= report.throttled, "{} {}", report.throttled, report.retries);
    assert!(world.current().lease.is_none() && world.current().pending.is_none());

    // It slows down, and does not stay slow.
    let seconds = bucket.elapsed().as_secs();
    assert!(seconds > BUSY, "it was over after {seconds} s, before the store recovered");
    let slow = bucket.peak(10..BUSY);
    assert!(slow <= 8, "{slow} requests at once while every third is refused");
    let after = bucket.peak(BUSY..seconds + 1);
    assert!(after >= 2 * slow, "{after} requests at once in the end, after {slow}");
}

/// From the first request on, in the middle of the uploads, and in the switch.
#[tokio::test(start_paused = true)]
async fn a_store_that_never_recovers_ends_the_run_within_the_bound_and_with_the_request_id() {
    for from in [1, 40, 1_600] {
        let world = World::new();
        let began = Arc::new(Mutex::new(None));
        let outage = Arc::clone(&began);
        let bucket = busy_bucket(&world, move |request| {
            if request.number == from {
                *outage.lock().unwrap() = Some(request.since);
            }
            request.number >= from
        });
        let error = deploy(&world, &bucket, "1.0.0").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "from request {from}: {error}");
        let text = error.to_string();
        assert!(text.contains("SlowDown") && text.contains("REQUEST"), "from request {from}: {text}");
        let over = bucket.elapsed();
        let outage = over.saturating_sub(began.lock().unwrap().unwrap());
        assert!(outage <= GIVE_UP_AFTER + CLEAN_UP, "from request {from}: over after {outage:?}");
        assert!(bucket.peak(over.as_secs() - 5..over.as_secs() + 1) <= 2, "it does not hammer on the store");

        // Whoever watches learns why nothing happens, and not too often.
        let told: Vec<Event> = world.log.0.lock().unwrap().clone();
        let told = told.iter().filter(|event| match event {
            Event::Retrying { failure, .. } => failure.contains("SlowDown") && failure.contains("REQUEST"),
            _ => false,
        });
        let told = told.count();
        assert!((3..=20).contains(&told), "from request {from}: told {told} times");

        // Back to normal, with nothing left to do by hand.
        let well = busy_bucket(&world, |_| false);
        assert_eq!(deploy(&world, &well, "1.0.0").await.unwrap().result, Outcome::Deployed, "from request {from}");
    }
}
