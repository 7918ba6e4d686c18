//! A bucket whose requests take time, share a line, and are throttled as a test says. Time is virtual.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asset_sync::bucket::{
    Bucket, BucketError, BucketErrorKind, Condition, CopySource, ETag, ListPage, MemoryBucket, ObjectBody, ObjectInfo,
    ObjectSpec, UploadedPart,
};
use asset_sync::deploy::Options;
use asset_sync::state::{StateArea, Target};
use asset_sync::{Deployer, Sha256};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use crate::world::{BUCKET, World};

/// A request as the store sees it.
pub(crate) struct Request {
    pub(crate) operation: &'static str,
    /// Counted from 1.
    pub(crate) number: usize,
    /// How many requests are in flight, this one included.
    pub(crate) in_flight: usize,
    /// The time since the bucket was made.
    pub(crate) since: Duration,
}

/// What the store does with a request.
pub(crate) struct Answer {
    pub(crate) after: Duration,
    pub(crate) throttled: bool,
}

impl Answer {
    pub(crate) fn after_millis(millis: u64) -> Self {
        Self { after: Duration::from_millis(millis), throttled: false }
    }

    pub(crate) fn throttled_if(self, throttled: bool) -> Self {
        Self { throttled, ..self }
    }
}

/// Bytes per second of the line once it carried so many bytes.
type Rate = Box<dyn Fn(f64) -> f64 + Send + Sync>;

pub(crate) struct SlowBucket {
    inner: MemoryBucket,
    answer: Box<dyn Fn(&Request) -> Answer + Send + Sync>,
    rate: Option<Rate>,
    begun: Instant,
    number: AtomicUsize,
    in_flight: AtomicUsize,
    throttled: AtomicUsize,
    cut: AtomicUsize,
    sending: AtomicUsize,
    /// Bytes that the line carried.
    carried: Mutex<f64>,
    /// The most requests in flight, by second.
    most: Mutex<BTreeMap<u64, usize>>,
    /// Lengths of the parts that arrived, by upload and number.
    parts: Mutex<BTreeMap<(String, i32), usize>>,
}

impl std::fmt::Debug for SlowBucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlowBucket").finish_non_exhaustive()
    }
}

impl SlowBucket {
    /// A bucket behind a line that carries everything at once.
    pub(crate) fn new(world: &World, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self::make(world, None, Box::new(answer)))
    }

    /// A bucket behind a line that all bodies under way share. Each request takes `latency` besides.
    pub(crate) fn behind_a_line(
        world: &World,
        latency: Duration,
        rate: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Arc<Self> {
        let answer = move |_: &Request| Answer { after: latency, throttled: false };
        Arc::new(Self::make(world, Some(Box::new(rate)), Box::new(answer)))
    }

    fn make(world: &World, rate: Option<Rate>, answer: Box<dyn Fn(&Request) -> Answer + Send + Sync>) -> Self {
        Self {
            inner: world.store.bucket(BUCKET),
            answer,
            rate,
            begun: Instant::now(),
            number: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            throttled: AtomicUsize::new(0),
            cut: AtomicUsize::new(0),
            sending: AtomicUsize::new(0),
            carried: Mutex::default(),
            most: Mutex::default(),
            parts: Mutex::default(),
        }
    }

    /// A deployer of the world's target in this bucket.
    pub(crate) fn deployer(self: &Arc<Self>, world: &World, options: Options) -> Deployer {
        let target = Target { bucket: BUCKET.to_owned(), prefix: String::new() };
        let area = StateArea::in_target(&target, ".deploy/");
        Deployer::new("", Arc::clone(self) as Arc<dyn Bucket>, area, None, Arc::new(world.cdn.clone()), options)
    }

    pub(crate) fn requests(&self) -> usize {
        self.number.load(Ordering::SeqCst)
    }

    /// How many requests were throttled.
    pub(crate) fn throttled(&self) -> usize {
        self.throttled.load(Ordering::SeqCst)
    }

    /// How many bodies took so long that they were cut off.
    pub(crate) fn cut(&self) -> usize {
        self.cut.load(Ordering::SeqCst)
    }

    /// The most requests in flight in these seconds.
    pub(crate) fn peak(&self, seconds: Range<u64>) -> usize {
        self.most.lock().unwrap().range(seconds).map(|(_, most)| *most).max().unwrap()
    }

    /// The lengths of the parts of each upload, in order.
    pub(crate) fn parts(&self) -> Vec<Vec<usize>> {
        let mut uploads: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for ((upload, _), length) in &*self.parts.lock().unwrap() {
            uploads.entry(upload.clone()).or_default().push(*length);
        }
        uploads.into_values().collect()
    }

    /// The time since the bucket was made.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Sends a body over the line, which all bodies under way share. As with many clients, one that takes longer
    /// than 30 s and a second for each 32 KiB is cut off, even if it moves.
    async fn send(&self, operation: &'static str, key: &str, length: usize) -> Result<(), BucketError> {
        const TICK: Duration = Duration::from_millis(100);
        let Some(rate) = &self.rate else { return Ok(()) };
        let limit = Duration::from_secs(30 + length as u64 / (32 * 1024));
        let begun = Instant::now();
        let _sending = InFlight::new(&self.sending);
        let mut left = length as f64;
        while left > 0.0 {
            if begun.elapsed() > limit {
                self.cut.fetch_add(1, Ordering::SeqCst);
                return Err(error(BucketErrorKind::Transient, operation, Some(key), "no answer in time", None));
            }
            tokio::time::sleep(TICK).await;
            let mut carried = self.carried.lock().unwrap();
            let share = rate(*carried) * TICK.as_secs_f64() / self.sending.load(Ordering::SeqCst) as f64;
            *carried += share.min(left);
            left -= share;
        }
        Ok(())
    }

    async fn admit(&self, operation: &'static str, key: Option<&str>) -> Result<(), BucketError> {
        let number = self.number.fetch_add(1, Ordering::SeqCst) + 1;
        let in_flight = InFlight::new(&self.in_flight);
        let request = Request { operation, number, in_flight: in_flight.1, since: self.elapsed() };
        let now = request.in_flight;
        let second = request.since.as_secs();
        self.most.lock().unwrap().entry(second).and_modify(|most| *most = now.max(*most)).or_insert(now);
        let Answer { after, throttled } = (self.answer)(&request);
        tokio::time::sleep(after).await;
        if !throttled {
            return Ok(());
        }
        self.throttled.fetch_add(1, Ordering::SeqCst);
        Err(error(BucketErrorKind::Throttled, operation, key, "SlowDown", Some(format!("REQUEST{number}"))))
    }
}

fn error(
    kind: BucketErrorKind,
    operation: &'static str,
    key: Option<&str>,
    message: &str,
    request_id: Option<String>,
) -> BucketError {
    BucketError {
        kind,
        operation,
        bucket: BUCKET.to_owned(),
        key: key.map(str::to_owned),
        message: message.to_owned(),
        request_id,
        source: None,
    }
}

/// Counts one until it is dropped.
struct InFlight<'a>(&'a AtomicUsize, usize);

impl<'a> InFlight<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        Self(count, count.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Bucket for SlowBucket {
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
        self.send("PutObject", spec.key, body.len()).await?;
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
        self.send("UploadPart", key, body.len()).await?;
        self.admit("UploadPart", Some(key)).await?;
        self.parts.lock().unwrap().insert((id.to_owned(), number), body.len());
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
