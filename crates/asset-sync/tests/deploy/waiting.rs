//! Nobody has to guess why nothing happens: at least one line in fifteen seconds. Time is virtual.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use asset_sync::Deployer;
use asset_sync::bucket::{Bucket, RetryPolicy};
use asset_sync::cdn::{Cdn, CdnError, CdnErrorKind, InvalidationStatus, MemoryCdnFault};
use asset_sync::deploy::Options;
use asset_sync::progress::{Event, Progress};
use asset_sync::state::{StateArea, Target};
use async_trait::async_trait;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::slow_bucket::{Answer, SlowBucket};
use crate::world::{BUCKET, DISTRIBUTION, World, info, v1, v2};

/// The longest that nothing may be told, and the time that one attempt takes beside it.
const LONGEST: Duration = Duration::from_secs(16);

/// When something was told, and what.
#[derive(Default)]
struct Heard(Mutex<Vec<(Instant, Event)>>);

impl Progress for Heard {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push((Instant::now(), event.clone()));
    }
}

impl Heard {
    fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().iter().map(|(_, event)| event.clone()).collect()
    }

    /// The longest silence from `since` until now.
    fn silence(&self, since: Instant) -> Duration {
        let times = self.0.lock().unwrap().iter().map(|(at, _)| *at).collect::<Vec<_>>();
        let times: Vec<Instant> = [since].into_iter().chain(times).chain([Instant::now()]).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
    }
}

fn patient(world: &World, heard: &Arc<Heard>) -> Options {
    let retry = RetryPolicy { max_attempts: u32::MAX, give_up_after: Duration::from_mins(3), ..RetryPolicy::default() };
    Options {
        progress: Arc::clone(heard) as Arc<dyn Progress>,
        invalidation_timeout: Duration::from_mins(15),
        invalidation_poll: Duration::from_secs(2),
        retry,
        ..world.options()
    }
}

async fn deploy(world: &World, deployer: &Deployer, heard: &Heard) -> Duration {
    let started = Instant::now();
    drop(deployer.deploy(&world.site(&v2()), &info("2.0.0"), &CancellationToken::new()).await);
    assert!(started.elapsed() > Duration::from_mins(1), "it did not have to wait");
    heard.silence(started)
}

async fn world() -> World {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    world
}

/// M2 of the findings: up to fifteen minutes of silence while CloudFront refuses.
#[tokio::test(start_paused = true)]
async fn a_distribution_that_refuses_for_now() {
    for kind in [CdnErrorKind::TooManyInProgress, CdnErrorKind::Throttled, CdnErrorKind::Transient] {
        let (world, heard) = (world().await, Arc::<Heard>::default());
        world.cdn.on_call(move |call| (call.operation == "CreateInvalidation").then_some(MemoryCdnFault::Before(kind)));
        let silence = deploy(&world, &world.deployer_with(patient(&world, &heard)), &heard).await;
        assert!(silence <= LONGEST, "{kind:?}: {silence:?}");
        let told = heard.events().into_iter().any(|event| {
            matches!(event, Event::Invalidating { failure: Some(failure), id: None, distribution, .. }
                if failure.contains("CreateInvalidation") && distribution == DISTRIBUTION)
        });
        assert!(told, "{kind:?}: {:?}", heard.events());
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_that_takes_its_time() {
    let (world, heard) = (world().await, Arc::<Heard>::default());
    world.cdn.set_polls(30);
    let silence = deploy(&world, &world.deployer_with(patient(&world, &heard)), &heard).await;
    assert!(silence <= LONGEST, "{silence:?}");
    let told = |event: &Event| matches!(event, Event::Invalidating { id: Some(_), failure: None, .. });
    assert!(heard.events().iter().filter(|event| told(event)).count() > 10, "{:?}", heard.events());
}

/// The time that is left is told, too: "expires in 41 s unless renewed".
#[tokio::test(start_paused = true)]
async fn another_runs_lease() {
    let (world, heard) = (world().await, Arc::<Heard>::default());
    let site = world.site(&v2());
    let mut dead = Box::pin(world.deploy(&site, "2.0.0"));
    // It dies as soon as it has the lease.
    while world.current().lease.is_none() {
        tokio::select! {
            biased;
            done = &mut dead => panic!("{done:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(dead);
    let silence = deploy(&world, &world.deployer_with(patient(&world, &heard)), &heard).await;
    assert!(silence <= LONGEST, "{silence:?}");
    let left: Vec<Duration> = heard
        .events()
        .into_iter()
        .filter_map(|event| if let Event::Waiting { expires_in, .. } = event { Some(expires_in) } else { None })
        .collect();
    assert!(left.len() > 3 && left.is_sorted_by(|a, b| a > b), "it comes nearer: {left:?}");
    assert!(left[0] > Duration::from_secs(30) && *left.last().unwrap() < Duration::from_secs(30), "{left:?}");
}

/// Whether its answers are refusals, or do not come for as long as an attempt may take.
#[tokio::test(start_paused = true)]
async fn a_store_that_fails() {
    for (name, millis) in [("at once", 100), ("late", 25_000)] {
        let (world, heard) = (world().await, Arc::<Heard>::default());
        let bucket = SlowBucket::new(&world, move |_| Answer::after_millis(millis).throttled_if(true));
        let deployer = bucket.deployer(&world, patient(&world, &heard));
        let silence = deploy(&world, &deployer, &heard).await;
        // What fails late cannot be told of before.
        let first = Duration::from_millis(if millis > 15_000 { millis * 2 } else { 0 });
        assert!(silence <= LONGEST.max(first), "{name}: {silence:?}");
        let started = Instant::now();
        heard.0.lock().unwrap().clear();
        drop(deployer.status().await);
        assert!(started.elapsed() > Duration::from_mins(1));
        assert!(heard.silence(started) <= LONGEST.max(first), "{name}: {:?}", heard.silence(started));
    }
}

/// A CDN that takes requests and answers none.
#[derive(Debug)]
struct Mute;

#[async_trait]
impl Cdn for Mute {
    async fn create_invalidation(
        &self,
        _: &str,
        _: &str,
        _: &[String],
    ) -> Result<(String, InvalidationStatus), CdnError> {
        std::future::pending().await
    }

    async fn invalidation(&self, _: &str, _: &str) -> Result<Option<InvalidationStatus>, CdnError> {
        std::future::pending().await
    }
}

/// The check of the distributions before the first write is no place to wait in silence.
#[tokio::test(start_paused = true)]
async fn a_distribution_that_does_not_answer_at_all() {
    let (world, heard) = (world().await, Arc::<Heard>::default());
    let area = StateArea::in_target(&Target { bucket: BUCKET.to_owned(), prefix: String::new() }, ".deploy/");
    let bucket: Arc<dyn Bucket> = Arc::new(world.store.bucket(BUCKET));
    let deployer = Deployer::new("", bucket, area, None, Arc::new(Mute), patient(&world, &heard));
    let (site, info, stop, started) = (world.site(&v2()), info("2.0.0"), CancellationToken::new(), Instant::now());
    let run = deployer.deploy(&site, &info, &stop);
    assert!(tokio::time::timeout(Duration::from_mins(2), run).await.is_err(), "it waits for the invalidation");
    assert!(heard.silence(started) <= LONGEST, "{:?}", heard.silence(started));
    let warned = |event: &Event| matches!(event, Event::Warning { message } if message.contains("no answer within"));
    assert!(heard.events().iter().any(warned), "{:?}", heard.events());
    world.assert_serves(&site);
}
