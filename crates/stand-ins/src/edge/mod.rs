//! A caching edge in front of a bucket, made to embarrass whoever forgets an invalidation.

mod http_server;
mod path;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

pub(crate) use self::{
    http_server::EdgeServer,
    path::{CacheKey, Pattern},
};
use crate::{
    clock::seconds_since_epoch,
    cloudfront::{Invalidation, Invalidations},
    store::{Object, ObjectHeaders, Store},
    sync::lock,
};

/// A year, the longest that CloudFront caches unless told otherwise.
const MAXIMUM_TTL: Duration = Duration::from_hours(365 * 24);

/// A function for viewer requests. A last segment with a dot is a file's name, as in AWS's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// None.
    Nothing,
    /// `/dir/` becomes `/dir/index.html`.
    DirectoryIndex,
    /// `/dir` too.
    Directory,
    /// `/dir/` becomes `/dir/index.html`, and `/page` becomes `/page.html`.
    Html,
}

impl Rewrite {
    /// The path, without its first slash, that the bucket is asked for.
    fn apply(self, path: &str) -> String {
        let is_directory = path.is_empty() || path.ends_with('/');
        let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
        match self {
            Self::DirectoryIndex | Self::Directory | Self::Html if is_directory => format!("{path}index.html"),
            Self::Directory if !is_file => format!("{path}/index.html"),
            Self::Html if !is_file => format!("{path}.html"),
            _ => path.to_owned(),
        }
    }
}

/// A CloudFront distribution: which part of which bucket it serves, and how it caches.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Its id, such as `E1ABCDEF`.
    pub id: String,
    /// The bucket it serves.
    pub bucket: String,
    /// The prefix of the keys it serves, without slashes at its ends; empty for the whole bucket.
    /// CloudFront's origin path.
    pub origin_path: String,
    /// The object that answers `/`, relative to the origin path.
    pub default_root_object: Option<String>,
    /// What a function makes of a path before the bucket is asked.
    pub rewrite: Rewrite,
    /// The object that answers in place of a missing one, with status 200, relative to the origin
    /// path: the custom error response of single-page applications. In place of a blocked one too,
    /// where the two have one status.
    pub fallback: Option<String>,
    /// The status of a missing object: 404, or 403 where the distribution may not list the bucket.
    pub missing_status: StatusCode,
    /// Caches every answer at least so long, whatever `Cache-Control` says.
    pub minimum_ttl: Duration,
    /// Caches an answer without `Cache-Control` so long.
    pub default_ttl: Duration,
    /// Caches errors, and the fallback that stands in for one, so long.
    pub error_ttl: Duration,
    /// URL path prefixes that the bucket's policy denies the distribution, such as `/.deploy/`: 403.
    pub blocked_prefixes: Vec<String>,
    /// The port of its HTTP server; 0 for a free one.
    pub port: u16,
}

impl Distribution {
    /// A distribution of a whole bucket that caches everything for a day, serves `index.html` at
    /// `/`, and has no fallback.
    pub fn new(id: impl Into<String>, bucket: impl Into<String>) -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            id: id.into(),
            bucket: bucket.into(),
            origin_path: String::new(),
            default_root_object: Some("index.html".to_owned()),
            rewrite: Rewrite::DirectoryIndex,
            fallback: None,
            missing_status: StatusCode::NOT_FOUND,
            minimum_ttl: DAY,
            default_ttl: DAY,
            error_ttl: DAY,
            blocked_prefixes: Vec::new(),
            port: 0,
        }
    }

    /// Sets the three caching times to one.
    #[must_use]
    pub fn caching_for(mut self, ttl: Duration) -> Self {
        self.minimum_ttl = ttl;
        self.default_ttl = ttl;
        self.error_ttl = ttl;
        self
    }

    fn key(&self, relative: &str) -> String {
        let origin = self.origin_path.trim_matches('/');
        if origin.is_empty() { relative.to_owned() } else { format!("{origin}/{relative}") }
    }
}

/// Whether the cache had the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheStatus {
    /// From the cache; the bucket was not asked.
    Hit,
    /// From the bucket.
    Miss,
}

/// An answer of the edge.
#[derive(Clone, Debug)]
pub struct EdgeResponse {
    /// HTTP status.
    pub status: StatusCode,
    /// All headers but `Content-Length`, with `X-Cache` and for a hit `Age`.
    pub headers: HeaderMap,
    /// The whole body, as stored: a compressed one stays so.
    pub body: Bytes,
    /// Whether the cache had it.
    pub cache: CacheStatus,
}

impl EdgeResponse {
    /// The text of a header; `None` where it is absent or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The edge of one distribution. Clones share its cache.
#[derive(Clone, Debug)]
pub struct Edge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    distribution: Distribution,
    store: Store,
    state: Mutex<EdgeState>,
}

/// Cache and invalidations under one lock: an answer that was read from the bucket before an
/// invalidation completed can not enter the cache after it.
#[derive(Debug, Default)]
pub(crate) struct EdgeState {
    cache: Cache,
    pub(crate) invalidations: Invalidations,
}

#[derive(Debug, Default)]
pub(crate) struct Cache(BTreeMap<CacheKey, Cached>);

#[derive(Debug)]
struct Cached {
    answer: Answer,
    stored: SystemTime,
    expires: SystemTime,
}

#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    ttl: Duration,
}

impl Cache {
    /// Drops what the patterns cover.
    pub(crate) fn invalidate(&mut self, patterns: &[Pattern]) {
        self.0.retain(|key, _| !patterns.iter().any(|pattern| pattern.covers(key)));
    }
}

impl EdgeState {
    /// Completes the invalidations that are due, which empties the cache of what they cover.
    pub(crate) fn settle(&mut self, now: SystemTime) {
        let Self { cache, invalidations } = self;
        invalidations.complete_due(now, cache);
    }

    /// A `GetInvalidation` request.
    pub(crate) fn poll(&mut self, id: &str, now: SystemTime) -> Option<Invalidation> {
        self.invalidations.poll(id, now, &mut self.cache)
    }
}

impl Edge {
    pub(crate) fn new(distribution: Distribution, store: Store, invalidations: Invalidations) -> Self {
        Self(Arc::new(Inner {
            distribution,
            store,
            state: Mutex::new(EdgeState { cache: Cache::default(), invalidations }),
        }))
    }

    /// The distribution it belongs to.
    pub fn distribution(&self) -> &Distribution {
        &self.0.distribution
    }

    /// Answers a visitor's GET. `target` is path and optional query as in a URL, percent-encoded;
    /// a missing leading slash is put there.
    pub fn fetch(&self, target: &str) -> EdgeResponse {
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let now = self.0.store.clock().now();
        let (path, _) = path::split(&target);
        let path = path::decode(path);
        let key = CacheKey::of(&target);
        let mut state = lock(&self.0.state);
        state.settle(now);
        if let Some(cached) = state.cache.0.get(&key).filter(|c| now < c.expires) {
            let age = seconds_since_epoch(now).saturating_sub(seconds_since_epoch(cached.stored));
            return cached.answer.clone().finish(CacheStatus::Hit, Some(age));
        }
        let answer = self.ask_bucket(&path);
        let cached = Cached { answer: answer.clone(), stored: now, expires: now + answer.ttl };
        state.cache.0.insert(key, cached);
        drop(state);
        answer.finish(CacheStatus::Miss, None)
    }

    /// Paths with their query strings that are cached and fresh, sorted.
    pub fn cached(&self) -> Vec<String> {
        let now = self.0.store.clock().now();
        let mut state = lock(&self.0.state);
        state.settle(now);
        state
            .cache
            .0
            .iter()
            .filter(|(_, cached)| now < cached.expires)
            .map(|(key, _)| key.as_str().to_owned())
            .collect()
    }

    /// Forgets everything cached, without an invalidation.
    pub fn clear(&self) {
        lock(&self.0.state).cache.0.clear();
    }

    pub(crate) fn with_state<T>(&self, act: impl FnOnce(&mut EdgeState, SystemTime) -> T) -> T {
        let now = self.0.store.clock().now();
        act(&mut lock(&self.0.state), now)
    }

    fn is_blocked(&self, path: &str) -> bool {
        self.0.distribution.blocked_prefixes.iter().any(|prefix| {
            let prefix = prefix.trim_start_matches('/');
            path.trim_start_matches('/').starts_with(prefix)
        })
    }

    fn ask_bucket(&self, path: &str) -> Answer {
        let distribution = &self.0.distribution;
        let relative = path.strip_prefix('/').unwrap_or(path);
        let key = match &distribution.default_root_object {
            Some(root) if relative.is_empty() => distribution.key(root),
            _ => distribution.key(&distribution.rewrite.apply(relative)),
        };
        let blocked = self.is_blocked(path);
        if !blocked && let Ok(object) = self.0.store.get(&distribution.bucket, &key) {
            return Answer::of(&object, distribution);
        }
        // CloudFront rules: a custom error response is for one status, whatever the reason for it.
        let status = if blocked { StatusCode::FORBIDDEN } else { distribution.missing_status };
        let has_fallback = status == distribution.missing_status;
        let fallback = distribution.fallback.as_ref().filter(|_| has_fallback).and_then(|fallback| {
            let key = distribution.key(fallback.trim_start_matches('/'));
            self.0.store.get(&distribution.bucket, &key).ok()
        });
        if let Some(object) = fallback {
            return Answer { ttl: distribution.error_ttl, ..Answer::of(&object, distribution) };
        }
        let code = if status == StatusCode::FORBIDDEN { "AccessDenied" } else { "NoSuchKey" };
        Answer::error(status, code, distribution.error_ttl)
    }
}

impl Answer {
    fn of(object: &Object, distribution: &Distribution) -> Self {
        let own = &object.headers;
        let ttl = ttl(own, distribution);
        let mut headers = HeaderMap::new();
        if let Some(location) = &own.website_redirect {
            set(&mut headers, header::LOCATION, location);
            set_optional(&mut headers, header::CACHE_CONTROL, own.cache_control.as_ref());
            return Self { status: StatusCode::MOVED_PERMANENTLY, headers, body: Bytes::new(), ttl };
        }
        let content_type = own.content_type.as_deref();
        set(&mut headers, header::CONTENT_TYPE, content_type.unwrap_or("binary/octet-stream"));
        for (name, value) in [
            (header::CACHE_CONTROL, &own.cache_control),
            (header::CONTENT_ENCODING, &own.content_encoding),
            (header::CONTENT_DISPOSITION, &own.content_disposition),
            (header::CONTENT_LANGUAGE, &own.content_language),
        ] {
            set_optional(&mut headers, name, value.as_ref());
        }
        set(&mut headers, header::ETAG, &format!("\"{}\"", object.etag));
        set(&mut headers, header::LAST_MODIFIED, &http_date(object.last_modified));
        Self { status: StatusCode::OK, headers, body: object.content.to_bytes(), ttl }
    }

    fn error(status: StatusCode, code: &str, ttl: Duration) -> Self {
        let mut headers = HeaderMap::new();
        set(&mut headers, header::CONTENT_TYPE, "application/xml");
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code></Error>");
        Self { status, headers, body: body.into(), ttl }
    }

    fn finish(self, cache: CacheStatus, age: Option<u64>) -> EdgeResponse {
        let mut headers = self.headers;
        let label = match (cache, self.status.is_client_error()) {
            (_, true) => "Error from edge",
            (CacheStatus::Hit, false) => "Hit from edge",
            (CacheStatus::Miss, false) => "Miss from edge",
        };
        set(&mut headers, HeaderName::from_static("x-cache"), label);
        if let Some(age) = age {
            headers.insert(header::AGE, HeaderValue::from(age));
        }
        EdgeResponse { status: self.status, headers, body: self.body, cache }
    }
}

/// How long an answer with these headers stays: what `Cache-Control` says, but never less than the
/// distribution's minimum.
fn ttl(headers: &ObjectHeaders, distribution: &Distribution) -> Duration {
    let mut said = None;
    let mut shared = None;
    for directive in headers.cache_control.as_deref().unwrap_or("").split(',') {
        let directive = directive.trim().to_ascii_lowercase();
        let seconds = |name: &str| {
            let value = directive.strip_prefix(name)?.strip_prefix('=')?;
            Some(Duration::from_secs(value.trim_matches('"').parse().ok()?))
        };
        match directive.as_str() {
            "no-store" | "no-cache" | "private" => shared = Some(Duration::ZERO),
            _ => {
                said = said.or(seconds("max-age"));
                shared = shared.or(seconds("s-maxage"));
            }
        }
    }
    shared.or(said).unwrap_or(distribution.default_ttl).min(MAXIMUM_TTL).max(distribution.minimum_ttl)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // A value with control characters could not have come in through the S3 server.
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(name, value);
    }
}

fn set_optional(headers: &mut HeaderMap, name: HeaderName, value: Option<&String>) {
    if let Some(value) = value {
        set(headers, name, value);
    }
}

fn http_date(time: SystemTime) -> String {
    let time = i64::try_from(seconds_since_epoch(time))
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .unwrap_or_default();
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
