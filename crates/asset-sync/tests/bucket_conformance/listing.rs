//! Listings.

use asset_sync::bucket::{BucketErrorKind, Condition};
use futures::StreamExt as _;
use proptest::strategy::{Strategy as _, ValueTree as _};

use super::{Fixture, list_all, put};

pub(super) async fn a_prefix_is_no_folder(fixture: Fixture) {
    for key in ["app", "app/index.html", "app2/index.html", "apple", "b"] {
        fixture.put(key, b"x").await;
    }
    assert_eq!(list_all(&*fixture.bucket, "app/").await, ["app/index.html"]);
    assert_eq!(list_all(&*fixture.bucket, "app").await, ["app", "app/index.html", "app2/index.html", "apple"]);
    assert_eq!(list_all(&*fixture.bucket, "c").await, [""; 0]);
}

pub(super) async fn listing_after_a_key(fixture: Fixture) {
    for key in ["a", "b", "b/1", "c"] {
        fixture.put(key, b"x").await;
    }
    let after = |prefix, key| {
        let bucket = &fixture.bucket;
        async move {
            let page = bucket.list(prefix, Some(key)).await.unwrap();
            page.objects.into_iter().map(|object| object.key.to_string()).collect::<Vec<_>>()
        }
    };
    assert_eq!(after("", "a").await, ["b", "b/1", "c"]);
    assert_eq!(after("", "aa").await, ["b", "b/1", "c"], "the key need not exist");
    assert_eq!(after("b", "a").await, ["b", "b/1"], "a key before the prefix");
    assert_eq!(after("b", "c").await, [""; 0], "a key after the prefix");
    assert_eq!(after("", "c").await, [""; 0]);
}

pub(super) async fn more_than_a_page(fixture: Fixture) {
    let keys: Vec<String> = (0..1_001).map(|n| format!("n/{n:05}")).collect();
    let puts = keys.iter().map(|key| put(&*fixture.bucket, key, "", &Condition::Always));
    for result in futures::stream::iter(puts).buffer_unordered(50).collect::<Vec<_>>().await {
        result.unwrap();
    }
    let page = fixture.bucket.list("n/", None).await.unwrap();
    assert_eq!((page.objects.len(), page.truncated), (1_000, true));
    assert_eq!(list_all(&*fixture.bucket, "n/").await, keys);
    let rest = fixture.bucket.list("n/", Some("n/00000")).await.unwrap();
    assert_eq!((rest.objects.len(), rest.truncated), (1_000, false), "a page that is full and the last");

    let batch: Vec<_> = keys.iter().map(|key| (key.clone(), None)).collect();
    let error = fixture.bucket.delete(&batch).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::Invalid, "{error}");
    let results = fixture.bucket.delete(&batch[1..]).await.unwrap();
    assert_eq!((results.len(), results.iter().filter(|result| result.is_ok()).count()), (1_000, 1_000));
    assert_eq!(list_all(&*fixture.bucket, "").await, ["n/00000"]);
}

pub(super) async fn listing_by_pages_gives_the_sorted_keys(fixture: Fixture) {
    // Each case works under a prefix of its own, with its own start.
    let key = "[ -~éß日😀]{1,12}";
    let cases = proptest::collection::vec((proptest::collection::btree_set(key, 0..12), key), 8);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let cases = cases.new_tree(&mut runner).unwrap().current();
    for (case, (keys, start)) in cases.into_iter().enumerate() {
        let prefix = format!("case {case}/");
        for key in &keys {
            put(&*fixture.bucket, &format!("{prefix}{key}"), "", &Condition::Always).await.unwrap();
        }
        // A `BTreeSet` of strings is in the order of their bytes.
        let expected: Vec<String> = keys.iter().map(|key| format!("{prefix}{key}")).collect();
        assert_eq!(list_all(&*fixture.bucket, &prefix).await, expected);
        let start = format!("{prefix}{start}");
        let page = fixture.bucket.list(&prefix, Some(&start)).await.unwrap();
        let listed: Vec<String> = page.objects.into_iter().map(|object| object.key.to_string()).collect();
        let after: Vec<String> = expected.into_iter().filter(|key| *key > start).collect();
        assert_eq!(listed, after, "after {start:?}");
    }
}
