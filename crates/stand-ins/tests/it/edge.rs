//! What a visitor gets, and for how long.

use std::time::Duration;

use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use http::StatusCode;
use stand_ins::{
    CacheStatus, Clock, Conditions, DISTRIBUTION, Distribution, NewObject, ObjectHeaders, Rewrite, StandIns,
};

use crate::support::{BUCKET, cloudfront, plant, request, start, start_time};

const DAY: Duration = Duration::from_hours(24);

async fn start_with(distribution: Distribution) -> StandIns {
    StandIns::builder().clock(Clock::manual(start_time())).distributions([distribution]).start().await.unwrap()
}

fn own() -> Distribution {
    Distribution::new(DISTRIBUTION, BUCKET)
}

/// Creates an invalidation and polls until it is completed.
async fn invalidate(stand_ins: &StandIns, reference: &str, path: &str) {
    let client = cloudfront(stand_ins);
    let paths = Paths::builder().quantity(1).items(path).build().unwrap();
    let batch = InvalidationBatch::builder().caller_reference(reference).paths(paths).build().unwrap();
    let created =
        client.create_invalidation().distribution_id(DISTRIBUTION).invalidation_batch(batch).send().await.unwrap();
    let id = created.invalidation.unwrap().id;
    let poll = || {
        let poll = client.get_invalidation().distribution_id(DISTRIBUTION);
        poll.id(&id).send()
    };
    assert_eq!(poll().await.unwrap().invalidation.unwrap().status, "InProgress");
    assert_eq!(poll().await.unwrap().invalidation.unwrap().status, "Completed");
}

fn body(stand_ins: &StandIns, target: &str) -> String {
    String::from_utf8(stand_ins.edge().fetch(target).body.to_vec()).unwrap()
}

#[tokio::test]
async fn stays_stale_until_the_invalidation_completed() {
    let (stand_ins, _) = start().await;
    plant(&stand_ins, "index.html", "old");
    assert_eq!(body(&stand_ins, "/index.html"), "old");
    assert_eq!(body(&stand_ins, "/"), "old");
    plant(&stand_ins, "index.html", "new");
    assert_eq!(body(&stand_ins, "/index.html"), "old");
    invalidate(&stand_ins, "1", "/index.html").await;
    assert_eq!(body(&stand_ins, "/index.html"), "new");
    assert_eq!(body(&stand_ins, "/"), "old", "another entry");
    invalidate(&stand_ins, "2", "/*").await;
    assert_eq!(body(&stand_ins, "/"), "new");
}

#[tokio::test]
async fn an_invalidation_in_progress_changes_nothing() {
    let (stand_ins, _) = start().await;
    stand_ins.cloudfront().set_completion(stand_ins::Completion::never());
    plant(&stand_ins, "a", "old");
    body(&stand_ins, "/a");
    plant(&stand_ins, "a", "new");
    let client = cloudfront(&stand_ins);
    let paths = Paths::builder().quantity(1).items("/*").build().unwrap();
    let batch = InvalidationBatch::builder().caller_reference("r").paths(paths).build().unwrap();
    client.create_invalidation().distribution_id(DISTRIBUTION).invalidation_batch(batch).send().await.unwrap();
    assert_eq!(body(&stand_ins, "/a"), "old");
}

#[tokio::test]
async fn keeps_query_strings_apart() {
    let (stand_ins, _) = start().await;
    plant(&stand_ins, "a.html", "old");
    for target in ["/a.html", "/a.html?v=1", "/a.html?v=2"] {
        body(&stand_ins, target);
    }
    let cached = stand_ins.edge().cached();
    assert_eq!(cached, ["/a.html", "/a.html?v=1", "/a.html?v=2"]);
    plant(&stand_ins, "a.html", "new");
    invalidate(&stand_ins, "1", "/a.html").await;
    assert_eq!(body(&stand_ins, "/a.html"), "new");
    assert_eq!(body(&stand_ins, "/a.html?v=1"), "old");
    invalidate(&stand_ins, "2", "/a.html*").await;
    assert_eq!(body(&stand_ins, "/a.html?v=1"), "new");
}

#[tokio::test]
async fn caches_errors_too() {
    let (stand_ins, _) = start().await;
    let missing = stand_ins.edge().fetch("/a.js");
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    plant(&stand_ins, "a.js", "x");
    let cached = stand_ins.edge().fetch("/a.js");
    assert_eq!(cached.status, StatusCode::NOT_FOUND);
    assert_eq!(cached.cache, CacheStatus::Hit);
    stand_ins.clock().advance(DAY);
    assert_eq!(stand_ins.edge().fetch("/a.js").status, StatusCode::OK);
}

#[tokio::test]
async fn obeys_cache_control_but_for_the_minimum() {
    let mut distribution = own();
    distribution.minimum_ttl = Duration::from_secs(10);
    distribution.default_ttl = Duration::from_secs(100);
    let stand_ins = start_with(distribution).await;
    for (key, cache_control, fresh_for) in [
        ("none", None, 100),
        ("no-cache", Some("no-cache"), 10),
        ("revalidate", Some("public, max-age=0, must-revalidate"), 10),
        ("minute", Some("public, max-age=60"), 60),
        ("shared", Some("max-age=60, s-maxage=70"), 70),
    ] {
        let headers = ObjectHeaders { cache_control: cache_control.map(str::to_owned), ..ObjectHeaders::default() };
        let object = NewObject::new("x", headers);
        let store = stand_ins.store();
        store.put(BUCKET, key, object, &Conditions::none()).unwrap();
        let fetch = || stand_ins.edge().fetch(key).cache;
        assert_eq!(fetch(), CacheStatus::Miss, "{key}");
        stand_ins.clock().advance(Duration::from_secs(fresh_for - 1));
        assert_eq!(fetch(), CacheStatus::Hit, "{key}");
        stand_ins.clock().advance(Duration::from_secs(1));
        assert_eq!(fetch(), CacheStatus::Miss, "{key}");
    }
}

#[tokio::test]
async fn answers_a_missing_key_with_the_fallback_and_caches_that() {
    let mut distribution = own();
    distribution.origin_path = "/app".to_owned();
    distribution.fallback = Some("index.html".to_owned());
    let stand_ins = start_with(distribution).await;
    assert_eq!(stand_ins.edge().fetch("/a").status, StatusCode::NOT_FOUND);
    plant(&stand_ins, "app/index.html", "shell");
    plant(&stand_ins, "index.html", "not under the origin path");
    let chunk = stand_ins.edge().fetch("/assets/new.js");
    assert_eq!(chunk.status, StatusCode::OK);
    assert_eq!(chunk.body, "shell");
    plant(&stand_ins, "app/assets/new.js", "code");
    assert_eq!(body(&stand_ins, "/assets/new.js"), "shell", "cached");
    invalidate(&stand_ins, "1", "/assets/new.js").await;
    assert_eq!(body(&stand_ins, "/assets/new.js"), "code");
}

#[tokio::test]
async fn maps_paths_to_keys() {
    let mut distribution = own();
    distribution.blocked_prefixes = vec!["/.deploy/".to_owned()];
    let stand_ins = start_with(distribution).await;
    for key in ["index.html", "dir/index.html", "a b+ü.txt", ".deploy/x"] {
        plant(&stand_ins, key, "x");
    }
    let status = |target: &str| stand_ins.edge().fetch(target).status.as_u16();
    assert_eq!(status("/"), 200);
    assert_eq!(status("/dir/"), 200);
    assert_eq!(status("/dir"), 404);
    assert_eq!(status("/a%20b+%C3%BC.txt"), 200);
    assert_eq!(status("/a%20b%2B%C3%BC.txt"), 200);
    assert_eq!(status("/.deploy/x"), 403);
    assert_eq!(status("/%2Edeploy/x"), 403);

    let mut distribution = own();
    distribution.rewrite = Rewrite::Nothing;
    distribution.missing_status = StatusCode::FORBIDDEN;
    let stand_ins = start_with(distribution).await;
    plant(&stand_ins, "dir/index.html", "x");
    let answer = stand_ins.edge().fetch("/dir/");
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.header("x-cache"), Some("Error from edge"));
}

#[tokio::test]
async fn a_function_rewrites_paths_before_the_bucket_is_asked() {
    for (rewrite, answered, missing) in [
        (Rewrite::Directory, ["/dir/", "/dir", "/page.html"], ["/page", "/dir.d"]),
        (Rewrite::Html, ["/dir/", "/page", "/page.html"], ["/dir", "/page/"]),
    ] {
        let stand_ins = start_with(Distribution { rewrite, ..own() }).await;
        plant(&stand_ins, "dir/index.html", "x");
        plant(&stand_ins, "dir.d/index.html", "x");
        plant(&stand_ins, "page.html", "x");
        let status = |target: &str| stand_ins.edge().fetch(target).status.as_u16();
        assert_eq!(answered.map(status), [200; 3], "{rewrite:?}");
        assert_eq!(missing.map(status), [404; 2], "{rewrite:?}");
    }
}

#[tokio::test]
async fn serves_browsers_over_http() {
    let (stand_ins, _) = start().await;
    let page = NewObject::new(
        "<h1>hi</h1>",
        ObjectHeaders {
            content_type: Some("text/html; charset=utf-8".to_owned()),
            cache_control: Some("no-cache".to_owned()),
            content_encoding: Some("br".to_owned()),
            ..ObjectHeaders::default()
        },
    );
    let moved = ObjectHeaders { website_redirect: Some("/new".to_owned()), ..ObjectHeaders::default() };
    let store = stand_ins.store();
    store.put(BUCKET, "index.html", page, &Conditions::none()).unwrap();
    store.put(BUCKET, "old", NewObject::new("", moved), &Conditions::none()).unwrap();
    let base = stand_ins.edge_endpoint(DISTRIBUTION).unwrap();

    let (parts, bytes) = request(&base, "GET", "/", &[]).await;
    assert_eq!(parts.status, StatusCode::OK);
    assert_eq!(bytes, "<h1>hi</h1>");
    let header = |name: &str| parts.headers.get(name).map(|v| v.to_str().unwrap());
    assert_eq!(header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(header("cache-control"), Some("no-cache"));
    assert_eq!(header("content-encoding"), Some("br"));
    assert_eq!(header("last-modified"), Some("Wed, 18 Nov 2026 11:06:40 GMT"));
    assert_eq!(header("content-length"), Some("11"));
    assert_eq!(header("x-cache"), Some("Miss from edge"));
    let etag = header("etag").unwrap();

    stand_ins.clock().advance(Duration::from_secs(5));
    let (hit, bytes) = request(&base, "HEAD", "/", &[]).await;
    assert_eq!(bytes, "");
    assert_eq!(hit.headers["content-length"], "11");
    assert_eq!(hit.headers["x-cache"], "Hit from edge");
    assert_eq!(hit.headers["age"], "5");
    let (known, _) = request(&base, "GET", "/", &[("if-none-match", etag)]).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    let (moved, _) = request(&base, "GET", "/old", &[]).await;
    assert_eq!(moved.status, StatusCode::MOVED_PERMANENTLY);
    assert_eq!(moved.headers["location"], "/new");
    let (refused, _) = request(&base, "POST", "/", &[]).await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn each_distribution_has_its_own_edge() {
    let mut second = Distribution::new("E2", BUCKET);
    second.origin_path = "two".to_owned();
    let stand_ins = StandIns::builder().distributions([own(), second]).start().await.unwrap();
    plant(&stand_ins, "two/a", "x");
    assert_eq!(body(&stand_ins, "/two/a"), "x");
    let edge = stand_ins.edge_of("E2").unwrap();
    assert_eq!(edge.fetch("/a").body, "x");
    assert_eq!(edge.cached(), ["/a"]);
    assert_ne!(stand_ins.edge_endpoint("E2"), stand_ins.edge_endpoint(DISTRIBUTION));
    assert!(stand_ins.edge_of("E3").is_none());
}
