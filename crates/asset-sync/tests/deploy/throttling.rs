//! A store that is busy: slower, and through; one that stays so: an end within a bound. Time is
//! virtual, so that minutes cost nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asset_sync::bucket::{
    Bucket, BucketError, BucketErrorKind, Condition, CopySource, ETag, ListPage, MemoryBucket, ObjectBody, ObjectInfo,
    ObjectSpec, RetryPolicy, UploadedPart,
};
use asset_sync::deploy::{Options, Outcome, Report};
use asset_sync::progress::Event;
use asset_sync::state::{StateArea, Target};
use asset_sync::{Deployer, Error, ErrorClass, Sha256};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::world::{BUCKET, World, info};

/// How long each request takes.
const LATENCY: Duration = Duration::from_millis(100);
/// What the CLI's defaults are: time alone bounds the attempts.
const GIVE_UP_AFTER: Duration = Duration::from_mins(3);
/// The time that a run may take to clean up, beside one last attempt.
const CLEAN_UP: Duration = Duration::from_secs(15);

/// Whether a request, of this number and at this time since the beginning, is told to slow down.
type Busy = Box<dyn Fn(u64, Duration) -> bool + Send + Sync>;

/// A bucket whose requests take their time, and that asks to slow down.
struct BusyBucket {
    inner: MemoryBucket,
    busy: Busy,
    begun: Instant,
    number: AtomicU64,
    in_flight: AtomicUsize,
    /// The most requests in flight, by second.
    most: Mutex<BTreeMap<u64, usize>>,
}

impl std::fmt::Debug for BusyBucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BusyBucket").finish_non_exhaustive()
    }
}

impl BusyBucket {
    fn new(world: &World, busy: impl Fn(u64, Duration) -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            inner: world.store.bucket(BUCKET),
            busy: Box::new(busy),
            begun: Instant::now(),
            number: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            most: Mutex::default(),
        })
    }

    async fn admit(&self, operation: &'static str, key: Option<&str>) -> Result<(), BucketError> {
        let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        let second = self.begun.elapsed().as_secs();
        self.most.lock().unwrap().entry(second).and_modify(|most| *most = now.max(*most)).or_insert(now);
        tokio::time::sleep(LATENCY).await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if !(self.busy)(number, self.begun.elapsed()) {
            return Ok(());
        }
        Err(BucketError {
            kind: BucketErrorKind::Throttled,
            operation,
            bucket: BUCKET.to_owned(),
            key: key.map(str::to_owned),
            message: "SlowDown".to_owned(),
            request_id: Some(format!("REQUEST{number}")),
            source: None,
        })
    }

    /// The most requests in flight in these seconds.
    fn peak(&self, seconds: std::ops::Range<u64>) -> usize {
        self.most.lock().unwrap().range(seconds).map(|(_, most)| *most).max().unwrap()
    }

    fn seconds(&self) -> u64 {
        self.begun.elapsed().as_secs()
    }
}

#[async_trait]
impl Bucket for BusyBucket {
    fn name(&self) -> &str {
        self.inner.name()
    }
    async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<ListPage, BucketError> {
        self.admit("ListObjectsV2", None).await?;
        self.inner.list(prefix, start_after).await
    }
    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, BucketError> {
        self.admit("HeadObject", Some(key)).await?;
        self.inner.head(key).await
    }
    async fn get(&self, key: &str) -> Result<Option<ObjectBody>, BucketError> {
        self.admit("GetObject", Some(key)).await?;
        self.inner.get(key).await
    }
    async fn put(&self, spec: ObjectSpec<'_>, body: Bytes, condition: &Condition) -> Result<ETag, BucketError> {
        self.admit("PutObject", Some(spec.key)).await?;
        self.inner.put(spec, body, condition).await
    }
    async fn copy(&self, from: CopySource<'_>, to: ObjectSpec<'_>, when: &Condition) -> Result<ETag, BucketError> {
        self.admit("CopyObject", Some(to.key)).await?;
        self.inner.copy(from, to, when).await
    }
    async fn create_multipart(&self, spec: ObjectSpec<'_>) -> Result<String, BucketError> {
        self.admit("CreateMultipartUpload", Some(spec.key)).await?;
        self.inner.create_multipart(spec).await
    }
    async fn upload_part(
        &self,
        key: &str,
        id: &str,
        number: i32,
        body: Bytes,
        sha256: Sha256,
    ) -> Result<UploadedPart, BucketError> {
        self.admit("UploadPart", Some(key)).await?;
        self.inner.upload_part(key, id, number, body, sha256).await
    }
    async fn complete_multipart(
        &self,
        key: &str,
        id: &str,
        parts: &[UploadedPart],
        condition: &Condition,
    ) -> Result<ETag, BucketError> {
        self.admit("CompleteMultipartUpload", Some(key)).await?;
        self.inner.complete_multipart(key, id, parts, condition).await
    }
    async fn abort_multipart(&self, key: &str, id: &str) -> Result<(), BucketError> {
        self.admit("AbortMultipartUpload", Some(key)).await?;
        self.inner.abort_multipart(key, id).await
    }
    async fn delete(&self, keys: &[(String, Option<ETag>)]) -> Result<Vec<Result<(), BucketError>>, BucketError> {
        self.admit("DeleteObjects", None).await?;
        self.inner.delete(keys).await
    }
}

/// A site large enough to be under way for a while.
fn large() -> Vec<(String, String)> {
    let files = (0..1_500).map(|n| (format!("docs/page-{n}.txt"), format!("page {n}")));
    files.chain([("index.html".to_owned(), "<p>hi".to_owned())]).collect()
}

async fn deploy(world: &World, bucket: &Arc<BusyBucket>, version: &str) -> Result<Report, Error> {
    let target = Target { bucket: BUCKET.to_owned(), prefix: String::new() };
    let area = StateArea::in_target(&target, ".deploy/");
    let retry = RetryPolicy { max_attempts: u32::MAX, give_up_after: GIVE_UP_AFTER, ..RetryPolicy::default() };
    let options = Options { retry, ..world.options() };
    let cdn = Arc::new(world.cdn.clone());
    let deployer = Deployer::new("", Arc::clone(bucket) as Arc<dyn Bucket>, area, None, cdn, options);
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
    let bucket = BusyBucket::new(&world, |number, since| number % 3 == 0 && since < Duration::from_secs(BUSY));
    let report = deploy(&world, &bucket, "1.0.0").await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    assert!(report.throttled > 50 && report.retries >= report.throttled, "{} {}", report.throttled, report.retries);
    assert!(world.current().lease.is_none() && world.current().pending.is_none());

    // It slows down, and does not stay slow.
    assert!(bucket.seconds() > BUSY, "it was over after {} s, before the store recovered", bucket.seconds());
    let slow = bucket.peak(10..BUSY);
    assert!(slow <= 8, "{slow} requests at once while every third is refused");
    let after = bucket.peak(BUSY..bucket.seconds() + 1);
    assert!(after >= 2 * slow, "{after} requests at once in the end, after {slow}");
}

/// From the first request on, in the middle of the uploads, and in the switch.
#[tokio::test(start_paused = true)]
async fn a_store_that_never_recovers_ends_the_run_within_the_bound_and_with_the_request_id() {
    for from in [1, 40, 1_600] {
        let world = World::new();
        let began = Arc::new(Mutex::new(None));
        let outage = Arc::clone(&began);
        let bucket = BusyBucket::new(&world, move |number, since| {
            if number == from {
                *outage.lock().unwrap() = Some(since);
            }
            number >= from
        });
        let error = deploy(&world, &bucket, "1.0.0").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "from request {from}: {error}");
        let text = error.to_string();
        assert!(text.contains("SlowDown") && text.contains("REQUEST"), "from request {from}: {text}");
        let outage = bucket.begun.elapsed().saturating_sub(began.lock().unwrap().unwrap());
        assert!(outage <= GIVE_UP_AFTER + CLEAN_UP, "from request {from}: over after {outage:?}");
        assert!(bucket.peak(bucket.seconds() - 5..bucket.seconds() + 1) <= 2, "it does not hammer on the store");

        // Whoever watches learns why nothing happens, and not too often.
        let told: Vec<Event> = world.log.0.lock().unwrap().clone();
        let told = told.iter().filter(|event| match event {
            Event::Retrying { failure, .. } => failure.contains("SlowDown") && failure.contains("REQUEST"),
            _ => false,
        });
        let told = told.count();
        assert!((3..=20).contains(&told), "from request {from}: told {told} times");

        // Back to normal, with nothing left to do by hand.
        let well = BusyBucket::new(&world, |_, _| false);
        assert_eq!(deploy(&world, &well, "1.0.0").await.unwrap().result, Outcome::Deployed, "from request {from}");
    }
}
