//! A bucket that gets through: retries, a limit of requests in flight, and a count of requests.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Bucket, BucketError, BucketErrorKind, Condition, CopySource, ETag, ListPage, MIN_PART_SIZE, ObjectBody, ObjectInfo,
    ObjectSpec, UploadedPart,
};
use crate::digest::Sha256;
use crate::headers::Headers;

mod attempts;
mod counts;
mod limiter;
mod line;
mod policy;
#[cfg(test)]
mod tests;

use attempts::{Attempts, Failed, InFlight};
pub use counts::RequestCounts;
use limiter::{Limiter, Permit};
use line::{Line, PartSize, Room};
pub use policy::RetryPolicy;

/// Wraps a [`Bucket`] and makes the best of a store that is busy or a network that fails.
///
/// - A request that failed in a way that may pass ([`BucketError::is_transient`]) is sent again,
///   after a random wait that grows, as often and as long as the [`RetryPolicy`] says. The error
///   given in the end is the last one, with its request id; its message tells how often and how
///   long it was tried.
/// - At most [`RetryPolicy::concurrency`] requests are in flight at once; half as many after one was
///   throttled, then slowly more again. None is held while waiting for the next attempt.
/// - As many bytes of bodies are under way at once as the line carries in 20 s, as earlier bodies showed. A
///   larger body is sent alone. An attempt that took longer than that and failed while others shared the
///   line does not count towards [`RetryPolicy::give_up_after`]: the next one shares it with fewer.
/// - A conditional write whose answer was lost may find its condition broken by its own effect when
///   it is sent again. It is then looked up: if what stands there has the content and the headers
///   that were to be written, the write succeeded.
/// - A throttled attempt does not count towards [`RetryPolicy::max_attempts`] if another request got
///   through since the attempt before: the store is busy, and not out of order.
/// - Requests of a bucket made by [`Resilient::ahead`] do not count towards these limits and do not wait
///   for them. While one of them is tried again, no other request begins.
/// - Keys of a `DeleteObjects` request that failed in a way that may pass are sent again.
///
/// A body that is read ([`Bucket::get`]) is outside of all this once its first byte arrived: it
/// counts towards no limit, and is not resumed if it breaks off; [`read_all`](super::read_all)
/// starts it again. A multipart upload whose creation was sent twice may leave an unused upload
/// behind, which a lifecycle rule of the bucket should remove.
#[derive(Debug)]
pub struct Resilient {
    inner: Arc<dyn Bucket>,
    policy: RetryPolicy,
    limiter: Arc<Limiter>,
    line: Arc<Line>,
    /// Whether requests go past the limits, and stop others from passing them while they are retried.
    ahead: bool,
    counts: RequestCounts,
    /// What each upload in progress is to become, by its id.
    uploads: Mutex<HashMap<String, (Sha256, Headers)>>,
}

/// The longest wait before a request is tried again that was throttled while others got through.
const BUSY_DELAY: Duration = Duration::from_secs(2);

impl Resilient {
    /// Wraps `inner`, with a limit and counts of its own.
    pub fn new(inner: Arc<dyn Bucket>, policy: RetryPolicy) -> Self {
        let limiter = Arc::new(Limiter::new(policy.concurrency));
        Self {
            inner,
            policy,
            limiter,
            line: Arc::default(),
            ahead: false,
            counts: RequestCounts::default(),
            uploads: Mutex::default(),
        }
    }

    /// Wraps another bucket of the same store, under the same limit, policy and counts as this one.
    #[must_use]
    pub fn alongside(&self, inner: Arc<dyn Bucket>) -> Self {
        Self {
            inner,
            policy: self.policy.clone(),
            limiter: Arc::clone(&self.limiter),
            line: Arc::clone(&self.line),
            ahead: self.ahead,
            counts: self.counts.clone(),
            uploads: Mutex::default(),
        }
    }

    /// The same bucket and counts, for requests that have right of way over all others of this limit.
    /// Their pauses are at most `max_delay`. What they learn of throttling does not change the limit:
    /// the requests within it learn that themselves.
    #[must_use]
    pub fn ahead(&self, max_delay: Duration) -> Self {
        let policy = RetryPolicy { max_delay: max_delay.min(self.policy.max_delay), ..self.policy.clone() };
        Self { policy, ahead: true, ..self.alongside(Arc::clone(&self.inner)) }
    }

    /// The counts of requests, which go on counting.
    pub fn counts(&self) -> RequestCounts {
        self.counts.clone()
    }

    /// How many requests may be in flight at once now.
    pub fn limit(&self) -> usize {
        self.limiter.limit()
    }

    /// The size of parts for an upload that begins now: `preferred`, or less on a line that was seen to be
    /// slow. Waits for another upload that is the first to measure the line.
    pub(crate) async fn part_size(&self, preferred: u64) -> PartSize<'_> {
        self.line.part_size(preferred.max(MIN_PART_SIZE), MIN_PART_SIZE).await
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<String, (Sha256, Headers)>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn, then counts the attempt. A request that goes ahead holds nothing.
    async fn begin(&self, operation: &'static str, body: u64, attempts: &mut Attempts) -> InFlight<'_> {
        let asked = Instant::now();
        let in_flight = if self.ahead {
            InFlight::default()
        } else {
            // First the room, so that a body that waits for the line holds up no request without one.
            let room = if body > 0 { Some(self.line.reserve(body).await) } else { None };
            let permit = self.limiter.acquire().await;
            InFlight { permit: Some(permit), sending: room.map(Room::send) }
        };
        attempts.since += asked.elapsed();
        attempts.number += 1;
        self.counts.add(operation, attempts.number > 1);
        in_flight
    }

    /// Adapts the limit to how the store answered, if it did.
    fn learn(&self, permit: Option<&Permit<'_>>, error: Option<BucketErrorKind>) {
        match error {
            Some(BucketErrorKind::Throttled) => {
                self.counts.add_throttled();
                permit.inspect(|permit| permit.throttled());
            }
            // A failure is no sign that more requests would be welcome.
            Some(BucketErrorKind::Transient | BucketErrorKind::LateCredentials) => {}
            _ => {
                self.limiter.add_got_through();
                permit.inspect(|permit| permit.succeeded());
            }
        }
    }

    /// Waits before the next attempt. Tells whether there is to be one.
    async fn pause(&self, attempts: &mut Attempts, failure: Option<BucketErrorKind>) -> bool {
        let got_through = self.limiter.got_through();
        let is_busy = failure == Some(BucketErrorKind::Throttled) && attempts.got_through != got_through;
        attempts.counted += u32::from(!is_busy);
        attempts.got_through = got_through;
        if attempts.counted >= self.policy.max_attempts {
            return false;
        }
        let delay = self.policy.delay(attempts.number);
        // The limit slows all requests down already, and each attempt may be the one that gets through.
        let delay = if is_busy { delay.min(BUSY_DELAY) } else { delay };
        if attempts.since.elapsed() + delay >= self.policy.give_up_after {
            return false;
        }
        tokio::time::sleep(delay).await;
        true
    }

    /// Sends a request with a body of so many bytes, again and again where it may help.
    async fn attempt<T, F>(&self, operation: &'static str, body: u64, send: impl Fn() -> F + Send) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, BucketError>> + Send,
    {
        let mut attempts = Attempts::new(self.limiter.got_through());
        let mut right_of_way = None;
        loop {
            let error = {
                let in_flight = self.begin(operation, body, &mut attempts).await;
                let begun = Instant::now();
                let outcome = send().await;
                let failure = outcome.as_ref().err();
                self.learn(in_flight.permit.as_ref(), failure.map(|error| error.kind));
                if in_flight
                    .sending
                    .is_some_and(|sending| sending.ended(!failure.is_some_and(BucketError::is_transient)))
                {
                    attempts.since += begun.elapsed();
                }
                match outcome {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                }
            };
            let retried = attempts.number > 1;
            if !error.is_transient() {
                return Err(Failed { error, retried });
            }
            self.counts.set_last_failure(&error);
            if self.ahead && right_of_way.is_none() {
                // A store that takes two requests at once is kept busy by two others.
                right_of_way = Some(self.limiter.hold_back().await);
            }
            if !self.pause(&mut attempts, Some(error.kind)).await {
                return Err(Failed { error: attempts.exhausted(error), retried });
            }
        }
    }

    async fn send<T, F>(&self, operation: &'static str, send: impl Fn() -> F + Send) -> Result<T, BucketError>
    where
        F: Future<Output = Result<T, BucketError>> + Send,
    {
        self.attempt(operation, 0, send).await.map_err(|failed| failed.error)
    }

    /// The inner bucket gave fewer results than keys.
    fn silent(&self, key: &str) -> BucketError {
        BucketError {
            kind: BucketErrorKind::Transient,
            operation: "DeleteObjects",
            bucket: self.inner.name().to_owned(),
            key: Some(key.to_owned()),
            message: "the answer does not say what became of the key".to_owned(),
            request_id: None,
            source: None,
        }
    }

    /// Finds out whether a write that failed had in fact succeeded at an earlier attempt.
    async fn settle(&self, failed: Failed, key: &str, sha256: Sha256, headers: &Headers) -> Result<ETag, BucketError> {
        let refused = matches!(failed.error.kind, BucketErrorKind::PreconditionFailed | BucketErrorKind::NotFound);
        if !failed.retried || !refused {
            return Err(failed.error);
        }
        match self.head(key).await {
            Ok(Some(info)) if info.sha256 == Some(sha256) && info.headers == *headers => Ok(info.etag),
            // What became of the write is unknown, which is another thing than a broken condition.
            Err(error) if error.is_transient() => Err(error),
            _ => Err(failed.error),
        }
    }
}

#[async_trait]
impl Bucket for Resilient {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<ListPage, BucketError> {
        self.send("ListObjectsV2", || self.inner.list(prefix, start_after)).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, BucketError> {
        self.send("HeadObject", || self.inner.head(key)).await
    }

    async fn get(&self, key: &str) -> Result<Option<ObjectBody>, BucketError> {
        self.send("GetObject", || self.inner.get(key)).await
    }

    async fn put(&self, spec: ObjectSpec<'_>, body: Bytes, condition: &Condition) -> Result<ETag, BucketError> {
        match self.attempt("PutObject", body.len() as u64, || self.inner.put(spec, body.clone(), condition)).await {
            Ok(etag) => Ok(etag),
            Err(failed) => self.settle(failed, spec.key, spec.sha256, spec.headers).await,
        }
    }

    async fn copy(
        &self,
        source: CopySource<'_>,
        spec: ObjectSpec<'_>,
        condition: &Condition,
    ) -> Result<ETag, BucketError> {
        match self.attempt("CopyObject", 0, || self.inner.copy(source, spec, condition)).await {
            Ok(etag) => Ok(etag),
            Err(failed) => self.settle(failed, spec.key, spec.sha256, spec.headers).await,
        }
    }

    async fn create_multipart(&self, spec: ObjectSpec<'_>) -> Result<String, BucketError> {
        let id = self.send("CreateMultipartUpload", || self.inner.create_multipart(spec)).await?;
        self.uploads().insert(id.clone(), (spec.sha256, spec.headers.clone()));
        Ok(id)
    }

    async fn upload_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        body: Bytes,
        sha256: Sha256,
    ) -> Result<UploadedPart, BucketError> {
        let send = || self.inner.upload_part(key, upload_id, number, body.clone(), sha256);
        self.attempt("UploadPart", body.len() as u64, send).await.map_err(|failed| failed.error)
    }

    async fn complete_multipart(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[UploadedPart],
        condition: &Condition,
    ) -> Result<ETag, BucketError> {
        let send = || self.inner.complete_multipart(key, upload_id, parts, condition);
        let etag = match self.attempt("CompleteMultipartUpload", 0, send).await {
            Ok(etag) => etag,
            Err(failed) => {
                // An upload that somebody else created cannot be told apart from another object.
                let Some((sha256, headers)) = self.uploads().get(upload_id).cloned() else {
                    return Err(failed.error);
                };
                self.settle(failed, key, sha256, &headers).await?
            }
        };
        self.uploads().remove(upload_id);
        Ok(etag)
    }

    async fn abort_multipart(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        self.send("AbortMultipartUpload", || self.inner.abort_multipart(key, upload_id)).await?;
        self.uploads().remove(upload_id);
        Ok(())
    }

    async fn delete(&self, keys: &[(String, Option<ETag>)]) -> Result<Vec<Result<(), BucketError>>, BucketError> {
        // Single keys can fail in a request that succeeded, so each goes its own way.
        let mut results: Vec<Option<Result<(), BucketError>>> = keys.iter().map(|_| None).collect();
        let mut pending: Vec<usize> = (0..keys.len()).collect();
        let mut attempts = Attempts::new(self.limiter.got_through());
        while !pending.is_empty() {
            let batch: Cow<'_, [(String, Option<ETag>)]> = if pending.len() == keys.len() {
                Cow::Borrowed(keys)
            } else {
                Cow::Owned(pending.iter().map(|&index| keys[index].clone()).collect())
            };
            let (kind, failure) = {
                let in_flight = self.begin("DeleteObjects", 0, &mut attempts).await;
                let outcome = self.inner.delete(&batch).await;
                let kind = worst(&outcome);
                self.learn(in_flight.permit.as_ref(), kind);
                let failure = match outcome {
                    Ok(answers) => {
                        for (&index, answer) in pending.iter().zip(answers) {
                            results[index] = Some(answer);
                        }
                        None
                    }
                    Err(error) => Some(error),
                };
                (kind, failure)
            };
            pending.retain(|&index| match &results[index] {
                Some(result) => result.as_ref().is_err_and(BucketError::is_transient),
                None => true,
            });
            match failure {
                Some(error) if !error.is_transient() => return Err(error),
                _ if pending.is_empty() => break,
                failure => {
                    if self.pause(&mut attempts, kind).await {
                        continue;
                    }
                    let unanswered = pending.iter().any(|&index| results[index].is_none());
                    if let (Some(error), true) = (failure, unanswered) {
                        return Err(attempts.exhausted(error));
                    }
                    for index in pending.drain(..) {
                        results[index] =
                            results[index].take().map(|result| result.map_err(|error| attempts.exhausted(error)));
                    }
                }
            }
        }
        Ok(results
            .into_iter()
            .zip(keys)
            .map(|(result, (key, _))| result.unwrap_or_else(|| Err(self.silent(key))))
            .collect())
    }
}

/// The one failure in an answer to `DeleteObjects` that tells most about how busy the store is.
fn worst(outcome: &Result<Vec<Result<(), BucketError>>, BucketError>) -> Option<BucketErrorKind> {
    match outcome {
        Err(error) => Some(error.kind),
        Ok(results) => {
            let kinds = || results.iter().filter_map(|result| result.as_ref().err()).map(|error| error.kind);
            [BucketErrorKind::Throttled, BucketErrorKind::Transient]
                .into_iter()
                .find(|kind| kinds().any(|k| k == *kind))
        }
    }
}
