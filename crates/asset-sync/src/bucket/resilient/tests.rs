use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;

use super::*;
use crate::bucket::{MemoryBucket, MemoryCall, MemoryFault, MemoryStore, read_all};

fn policy() -> RetryPolicy {
    RetryPolicy { max_attempts: 5, ..RetryPolicy::default() }
}

fn fixture(policy: RetryPolicy) -> (MemoryStore, Resilient) {
    let store = MemoryStore::new();
    store.create_bucket("site");
    let resilient = Resilient::new(Arc::new(store.bucket("site")), policy);
    (store, resilient)
}

fn headers() -> Headers {
    Headers { content_type: "text/html; charset=utf-8".into(), ..Headers::default() }
}

fn spec<'a>(key: &'a str, headers: &'a Headers, body: &[u8]) -> ObjectSpec<'a> {
    ObjectSpec { key, headers, sha256: Sha256::of(body) }
}

/// The first `times` requests of `operation` meet `fault`.
fn fail_first(store: &MemoryStore, operation: &'static str, times: usize, fault: MemoryFault) {
    let seen = AtomicUsize::new(0);
    store.on_call(move |call| {
        let hit = call.operation == operation && seen.fetch_add(1, Ordering::Relaxed) < times;
        hit.then_some(fault)
    });
}

const RESET: MemoryFault = MemoryFault::Before(BucketErrorKind::Transient);
const SLOW_DOWN: MemoryFault = MemoryFault::Before(BucketErrorKind::Throttled);
const LOST: MemoryFault = MemoryFault::After(BucketErrorKind::Transient);

#[tokio::test(start_paused = true)]
async fn passing_failures_are_retried_and_counted() {
    let (store, bucket) = fixture(policy());
    fail_first(&store, "PutObject", 3, SLOW_DOWN);
    let headers = headers();
    bucket.put(spec("a", &headers, b"x"), Bytes::from_static(b"x"), &Condition::Always).await.unwrap();

    let counts = bucket.counts();
    assert_eq!(counts.snapshot(), [("PutObject", 4)].into());
    assert_eq!((counts.retries(), counts.throttled(), counts.total()), (3, 3, 4));
    assert!(store.snapshot("site").contains_key("a"));
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_after_the_last_attempt_and_says_so() {
    let (store, bucket) = fixture(policy());
    store.on_call(|_| Some(RESET));
    let error = bucket.list("", None).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::Transient);
    assert!(error.message.contains("gave up after 5 attempts over "), "{error}");
    assert_eq!(store.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_when_the_time_is_over() {
    let hour = Duration::from_hours(1);
    let (store, bucket) = fixture(RetryPolicy {
        max_attempts: u32::MAX,
        base_delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(10),
        give_up_after: hour,
        ..policy()
    });
    store.on_call(|_| Some(RESET));
    let begun = Instant::now();
    bucket.head("a").await.unwrap_err();
    assert!(begun.elapsed() < hour, "no attempt begins after the hour");
    assert!(begun.elapsed() + Duration::from_secs(10) >= hour, "none would have fitted into what is left");
    assert!(store.calls().len() > 360, "no pause is longer than 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_goes_ahead_makes_no_longer_pauses_than_it_was_told() {
    let give_up_after = Duration::from_mins(10);
    let max_delay = Duration::from_mins(1);
    let (store, bucket) = fixture(RetryPolicy { max_attempts: u32::MAX, max_delay, give_up_after, ..policy() });
    store.on_call(|_| Some(RESET));
    bucket.ahead(Duration::from_secs(1)).head("a").await.unwrap_err();
    assert!(store.calls().len() >= 600, "{}", store.calls().len());
}

#[tokio::test(start_paused = true)]
async fn lasting_failures_are_not_retried() {
    let (store, bucket) = fixture(policy());
    for kind in [
        BucketErrorKind::NoSuchBucket,
        BucketErrorKind::NotFound,
        BucketErrorKind::Denied,
        BucketErrorKind::Credentials,
        BucketErrorKind::WrongClock,
        BucketErrorKind::WrongRegion,
        BucketErrorKind::PreconditionFailed,
        BucketErrorKind::ContentMismatch,
        BucketErrorKind::Invalid,
    ] {
        store.clear_calls();
        store.on_call(move |_| Some(MemoryFault::Before(kind)));
        let error = bucket.head("a").await.unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(!error.message.contains("gave up"), "{error}");
        assert_eq!(store.calls().len(), 1, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_conditional_put_whose_answer_was_lost_succeeds() {
    let (store, bucket) = fixture(policy());
    let headers = headers();
    fail_first(&store, "PutObject", 1, LOST);
    let etag = bucket.put(spec("a", &headers, b"x"), Bytes::from_static(b"x"), &Condition::IfAbsent).await.unwrap();
    assert_eq!(etag, store.snapshot("site")["a"].etag);

    fail_first(&store, "PutObject", 1, LOST);
    let etag =
        bucket.put(spec("a", &headers, b"y"), Bytes::from_static(b"y"), &Condition::IfMatch(etag)).await.unwrap();
    assert_eq!(etag, store.snapshot("site")["a"].etag);
    assert_eq!(bucket.counts().snapshot(), [("HeadObject", 2), ("PutObject", 4)].into());
}

#[tokio::test(start_paused = true)]
async fn a_broken_condition_at_first_sight_is_final() {
    let (store, bucket) = fixture(policy());
    let headers = headers();
    let put = || bucket.put(spec("a", &headers, b"x"), Bytes::from_static(b"x"), &Condition::IfAbsent);
    put().await.unwrap();
    // Even though the very same object stands there: this call did not write it.
    assert_eq!(put().await.unwrap_err().kind, BucketErrorKind::PreconditionFailed);
    assert!(store.calls().iter().all(|call| call.operation == "PutObject"));
}

#[tokio::test(start_paused = true)]
async fn a_condition_broken_by_somebody_else_stays_an_error_after_a_retry() {
    let (store, bucket) = fixture(policy());
    let (ours, theirs) = (headers(), Headers { content_type: "text/plain".into(), ..Headers::default() });
    let attempt = |headers, body| bucket.put(spec("a", headers, body), Bytes::from_static(body), &Condition::IfAbsent);

    // Other content, then the same content with other headers.
    store.insert("site", "a", "theirs", ours.clone());
    fail_first(&store, "PutObject", 1, RESET);
    assert_eq!(attempt(&ours, b"ours").await.unwrap_err().kind, BucketErrorKind::PreconditionFailed);

    store.remove("site", "a");
    attempt(&ours, b"ours").await.unwrap();
    fail_first(&store, "PutObject", 1, RESET);
    assert_eq!(attempt(&theirs, b"ours").await.unwrap_err().kind, BucketErrorKind::PreconditionFailed);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_looked_up_is_not_called_a_broken_condition() {
    let (store, bucket) = fixture(policy());
    let headers = headers();
    let puts = AtomicUsize::new(0);
    store.on_call(move |call| match call.operation {
        "PutObject" => (puts.fetch_add(1, Ordering::Relaxed) == 0).then_some(LOST),
        _ => Some(RESET),
    });
    let error =
        bucket.put(spec("a", &headers, b"x"), Bytes::from_static(b"x"), &Condition::IfAbsent).await.unwrap_err();
    assert_eq!((error.kind, error.operation), (BucketErrorKind::Transient, "HeadObject"));
}

#[tokio::test(start_paused = true)]
async fn a_conditional_copy_whose_answer_was_lost_succeeds() {
    let (store, bucket) = fixture(policy());
    let headers = headers();
    store.insert("site", "from", "x", Headers::default());
    fail_first(&store, "CopyObject", 1, LOST);
    let source = CopySource { bucket: "site", key: "from", etag: None };
    let etag = bucket.copy(source, spec("to", &headers, b"x"), &Condition::IfAbsent).await.unwrap();
    assert_eq!(etag, store.snapshot("site")["to"].etag);
}

#[tokio::test(start_paused = true)]
async fn a_completed_upload_whose_answer_was_lost_succeeds() {
    let (store, bucket) = fixture(policy());
    let headers = headers();
    for condition in [Condition::IfAbsent, Condition::Always] {
        store.remove("site", "a");
        let id = bucket.create_multipart(spec("a", &headers, b"xyz")).await.unwrap();
        let part = bucket.upload_part("a", &id, 1, Bytes::from_static(b"xyz"), Sha256::of(b"xyz")).await.unwrap();
        fail_first(&store, "CompleteMultipartUpload", 1, LOST);
        let etag = bucket.complete_multipart("a", &id, &[part], &condition).await.unwrap();
        assert_eq!(etag, store.snapshot("site")["a"].etag);
        assert!(bucket.uploads().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_never_was_is_not_found() {
    let (_, bucket) = fixture(policy());
    let part = UploadedPart { number: 1, etag: "\"x\"".into(), sha256: Sha256::of(b"") };
    let error = bucket.complete_multipart("a", "none", &[part], &Condition::Always).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::NotFound);
}

fn keys(names: &[&str]) -> Vec<(String, Option<ETag>)> {
    names.iter().map(|name| ((*name).to_owned(), None)).collect()
}

#[tokio::test(start_paused = true)]
async fn only_the_keys_that_failed_in_passing_are_deleted_again() {
    let (store, bucket) = fixture(policy());
    for key in ["a", "b", "c", "d"] {
        store.insert("site", key, key, Headers::default());
    }
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    store.on_call(move |MemoryCall { number, key, .. }: &MemoryCall| {
        let key = key.as_deref()?;
        record.lock().unwrap().push((*number, key.to_owned()));
        match (key, number) {
            ("b", 1..=2) => Some(SLOW_DOWN),
            ("c", _) => Some(MemoryFault::Before(BucketErrorKind::Denied)),
            _ => None,
        }
    });
    let results = bucket.delete(&keys(&["a", "b", "c", "d"])).await.unwrap();
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [None, None, Some(BucketErrorKind::Denied), None]);
    let asked = asked.lock().unwrap().clone();
    let expected = [(1, "a"), (1, "b"), (1, "c"), (1, "d"), (2, "b"), (3, "b")];
    assert_eq!(asked, expected.map(|(number, key)| (number, key.to_owned())));
    assert_eq!(bucket.counts().throttled(), 2);
    assert_eq!(store.snapshot("site").keys().collect::<Vec<_>>(), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn keys_that_never_succeed_keep_their_error() {
    let (store, bucket) = fixture(policy());
    store.on_call(|call| (call.key.as_deref() == Some("b")).then_some(RESET));
    let results = bucket.delete(&keys(&["a", "b"])).await.unwrap();
    assert!(results[0].is_ok());
    let error = results[1].as_ref().unwrap_err();
    assert!(error.message.contains("gave up after 5 attempts"), "{error}");
    assert_eq!(error.key.as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn a_delete_request_that_never_succeeds_is_one_error() {
    let (store, bucket) = fixture(policy());
    store.on_call(|call| call.key.is_none().then_some(RESET));
    let error = bucket.delete(&keys(&["a", "b"])).await.unwrap_err();
    assert!(error.message.contains("gave up after 5 attempts"), "{error}");
    assert_eq!(store.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_is_not_permitted_is_one_error_at_once() {
    let (store, bucket) = fixture(policy());
    store.on_call(|_| Some(MemoryFault::Before(BucketErrorKind::Denied)));
    assert_eq!(bucket.delete(&keys(&["a"])).await.unwrap_err().kind, BucketErrorKind::Denied);
    assert_eq!(store.calls().len(), 1);
    assert!(bucket.delete(&[]).await.unwrap().is_empty());
    assert_eq!(store.calls().len(), 1, "nothing to delete is no request");
}

/// A bucket whose HEADs and PUTs take a second, and that knows how many it served at once.
#[derive(Debug)]
struct Slow {
    inner: MemoryBucket,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Slow {
    async fn serve(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Bucket for Slow {
    fn name(&self) -> &str {
        self.inner.name()
    }
    async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<ListPage, BucketError> {
        self.inner.list(prefix, start_after).await
    }
    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, BucketError> {
        self.serve().await;
        self.inner.head(key).await
    }
    async fn get(&self, key: &str) -> Result<Option<ObjectBody>, BucketError> {
        self.inner.get(key).await
    }
    async fn put(&self, spec: ObjectSpec<'_>, body: Bytes, condition: &Condition) -> Result<ETag, BucketError> {
        self.serve().await;
        self.inner.put(spec, body, condition).await
    }
    async fn copy(&self, from: CopySource<'_>, to: ObjectSpec<'_>, when: &Condition) -> Result<ETag, BucketError> {
        self.inner.copy(from, to, when).await
    }
    async fn create_multipart(&self, spec: ObjectSpec<'_>) -> Result<String, BucketError> {
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
        self.inner.upload_part(key, id, number, body, sha256).await
    }
    async fn complete_multipart(
        &self,
        key: &str,
        id: &str,
        parts: &[UploadedPart],
        condition: &Condition,
    ) -> Result<ETag, BucketError> {
        self.inner.complete_multipart(key, id, parts, condition).await
    }
    async fn abort_multipart(&self, key: &str, id: &str) -> Result<(), BucketError> {
        self.inner.abort_multipart(key, id).await
    }
    async fn delete(&self, keys: &[(String, Option<ETag>)]) -> Result<Vec<Result<(), BucketError>>, BucketError> {
        self.inner.delete(keys).await
    }
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_stay_within_the_limit_and_buckets_alongside_share_it() {
    let store = MemoryStore::new();
    store.create_bucket("site");
    let slow = Arc::new(Slow { inner: store.bucket("site"), now: AtomicUsize::new(0), most: AtomicUsize::new(0) });
    let one = Resilient::new(Arc::clone(&slow) as Arc<dyn Bucket>, RetryPolicy { concurrency: 8, ..policy() });
    let other = one.alongside(Arc::clone(&slow) as Arc<dyn Bucket>);
    let heads = (0..40).map(|n| if n % 2 == 0 { one.head("a") } else { other.head("a") });
    assert!(join_all(heads).await.into_iter().all(|result| result.is_ok()));
    assert_eq!(slow.most.load(Ordering::SeqCst), 8);
    assert_eq!(one.counts().total(), 40);
}

#[tokio::test(start_paused = true)]
async fn bodies_share_one_line_with_those_of_buckets_alongside_and_let_others_pass() {
    let store = MemoryStore::new();
    store.create_bucket("site");
    let slow = Arc::new(Slow { inner: store.bucket("site"), now: AtomicUsize::new(0), most: AtomicUsize::new(0) });
    let one = Resilient::new(Arc::clone(&slow) as Arc<dyn Bucket>, policy());
    let other = one.alongside(Arc::clone(&slow) as Arc<dyn Bucket>);
    let ahead = one.ahead(Duration::from_secs(1));
    let headers = headers();
    // Larger than the first window.
    let body = Bytes::from(vec![7; 2 << 20]);
    let put = |bucket| Bucket::put(bucket, spec("a", &headers, &body), body.clone(), &Condition::Always);
    let (first, second) = tokio::join!(put(&one), put(&other));
    first.and(second).unwrap();
    assert_eq!(slow.most.load(Ordering::SeqCst), 1);

    let other = other.alongside(Arc::clone(&slow) as Arc<dyn Bucket>);
    let begun = Instant::now();
    let body = Bytes::from(vec![7; 100 << 20]);
    let put = |bucket| Bucket::put(bucket, spec("a", &headers, &body), body.clone(), &Condition::Always);
    let (first, head, urgent) = tokio::join!(put(&one), other.head("a"), put(&ahead));
    first.and(urgent).unwrap();
    head.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(1), "neither a HEAD nor what goes ahead waits for a body");
}

#[tokio::test(start_paused = true)]
async fn throttling_lowers_the_limit_and_successes_raise_it_again() {
    let (store, bucket) = fixture(RetryPolicy { concurrency: 16, ..policy() });
    fail_first(&store, "HeadObject", 1, SLOW_DOWN);
    bucket.head("a").await.unwrap();
    assert_eq!(bucket.limit(), 8);
    // A failure that says nothing about the load leaves it as it is.
    let late = MemoryFault::Before(BucketErrorKind::LateCredentials);
    for fault in [RESET, RESET, late, late] {
        fail_first(&store, "HeadObject", 4, fault);
        bucket.head("a").await.unwrap();
    }
    assert_eq!(bucket.limit(), 8);
    store.clear_faults();
    for _ in 0..200 {
        bucket.head("a").await.unwrap();
    }
    assert_eq!(bucket.limit(), 16);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_to_be_retried_holds_up_no_other() {
    let (store, bucket) = fixture(RetryPolicy {
        concurrency: 1,
        base_delay: Duration::from_secs(1000),
        max_delay: Duration::from_secs(1000),
        give_up_after: Duration::from_secs(10_000),
        ..policy()
    });
    fail_first(&store, "HeadObject", 1, RESET);
    let (head, list) = tokio::join!(bucket.head("a"), async {
        let begun = Instant::now();
        bucket.list("", None).await.unwrap();
        begun.elapsed()
    });
    head.unwrap();
    assert_eq!(list, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_read_again() {
    let (store, bucket) = fixture(policy());
    let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    store.insert("site", "a", content.clone(), headers());
    fail_first(&store, "GetObject", 2, MemoryFault::BreakBody(100_000));
    let (info, body) = read_all(&bucket, "a", 200_000).await.unwrap().unwrap();
    assert_eq!((info.size, body), (200_000, Bytes::from(content)));
    assert_eq!(bucket.counts().snapshot(), [("GetObject", 3)].into());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_always_breaks_off_is_an_error() {
    let (store, bucket) = fixture(policy());
    store.insert("site", "a", "content", headers());
    store.on_call(|_| Some(MemoryFault::BreakBody(3)));
    let error = read_all(&bucket, "a", 100).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::Transient);
    assert!(error.message.contains("gave up after reading it 5 times"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn reading_knows_absent_and_too_large_objects() {
    let (store, bucket) = fixture(policy());
    store.insert("site", "a", "content", headers());
    assert!(read_all(&bucket, "b", 100).await.unwrap().is_none());
    let error = read_all(&bucket, "a", 6).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::Invalid);
    assert!(error.to_string().contains("has 7 bytes, more than the 6"), "{error}");
}
