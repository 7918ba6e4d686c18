//! Copies, and writes under a condition.

use std::sync::Arc;

use asset_sync::Sha256;
use asset_sync::bucket::{BucketErrorKind, Condition, CopySource, ETag, ObjectSpec, Resilient, RetryPolicy, read_all};
use bytes::Bytes;
use futures::future::join_all;

use super::{Fixture, all_headers, plain, put};

pub(super) async fn conditional_puts(fixture: Fixture) {
    let bucket = &*fixture.bucket;
    let lost = Err(BucketErrorKind::PreconditionFailed);
    let unknown = Condition::IfMatch("\"00000000000000000000000000000000\"".into());
    assert_eq!(put(bucket, "a", "x", &unknown).await, lost, "an absent key matches nothing");
    let one = put(bucket, "a", "one", &Condition::IfAbsent).await.unwrap();
    assert_eq!(put(bucket, "a", "two", &Condition::IfAbsent).await, lost);
    assert_eq!(put(bucket, "a", "two", &unknown).await, lost);
    assert_eq!(fixture.read("a").await.unwrap(), "one");
    let two = put(bucket, "a", "two", &Condition::IfMatch(one.clone())).await.unwrap();
    assert_eq!(put(bucket, "a", "three", &Condition::IfMatch(one)).await, lost);
    assert_eq!(fixture.read("a").await.unwrap(), "two");
    put(bucket, "a", "three", &Condition::IfMatch(two)).await.unwrap();
}

pub(super) async fn of_twenty_that_race_one_wins(fixture: Fixture) {
    let lost = BucketErrorKind::PreconditionFailed;
    // Resilient to a 409, which a store may answer while another write is under way.
    let bucket = Resilient::new(Arc::clone(&fixture.bucket), RetryPolicy::default());
    let bodies: Vec<String> = (0..20).map(|n| format!("writer {n}")).collect();
    let race = async |condition: Condition| {
        let puts = bodies.iter().map(|body| put(&bucket, "race", body.clone(), &condition));
        let results = join_all(puts).await;
        let winners: Vec<usize> = (0..20).filter(|&n| results[n].is_ok()).collect();
        assert_eq!(winners.len(), 1, "{results:?}");
        assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|kind| *kind == lost), "{results:?}");
        assert_eq!(fixture.read("race").await.unwrap(), bodies[winners[0]].as_str());
        results[winners[0]].clone().unwrap()
    };
    race(Condition::IfAbsent).await;
    let start = fixture.put("race", b"start").await;
    race(Condition::IfMatch(start)).await;
}

pub(super) async fn a_copy_takes_nothing_along_but_the_bytes(fixture: Fixture) {
    let (from_headers, to_headers) = (all_headers(), plain());
    let sha256 = Sha256::of(b"content");
    let spec = ObjectSpec { key: "from", headers: &from_headers, sha256 };
    let from = fixture.bucket.put(spec, Bytes::from_static(b"content"), &Condition::Always).await.unwrap();
    let source = CopySource { bucket: fixture.bucket.name(), key: "from", etag: Some(&from) };
    let spec = ObjectSpec { key: "to", headers: &to_headers, sha256 };
    for bucket in [&fixture.bucket, &fixture.other] {
        let etag = bucket.copy(source, spec, &Condition::IfAbsent).await.unwrap();
        let (info, body) = read_all(&**bucket, "to", 100).await.unwrap().unwrap();
        assert_eq!(body, "content");
        assert_eq!((info.etag, info.headers, info.sha256), (etag, to_headers.clone(), Some(sha256)));
    }
    // Onto itself: how headers alone are changed.
    let spec = ObjectSpec { key: "from", headers: &to_headers, sha256 };
    fixture.bucket.copy(source, spec, &Condition::IfMatch(from.clone())).await.unwrap();
    assert_eq!(fixture.bucket.head("from").await.unwrap().unwrap().headers, to_headers);
    // And a redirect where none was.
    let spec = ObjectSpec { key: "with-redirect", headers: &from_headers, sha256 };
    fixture.bucket.copy(source, spec, &Condition::Always).await.unwrap();
    assert_eq!(fixture.bucket.head("with-redirect").await.unwrap().unwrap().headers, from_headers);
}

pub(super) async fn conditional_copies(fixture: Fixture) {
    let headers = plain();
    let bucket = &*fixture.bucket;
    let one = fixture.put("from", b"one").await;
    let to = fixture.put("to", b"old").await;
    let copy = async |key: &str, etag: Option<&ETag>, condition: Condition| {
        let source = CopySource { bucket: bucket.name(), key, etag };
        let spec = ObjectSpec { key: "to", headers: &headers, sha256: Sha256::of(b"one") };
        bucket.copy(source, spec, &condition).await.map_err(|error| error.kind)
    };
    let lost = Err(BucketErrorKind::PreconditionFailed);
    assert_eq!(copy("none", None, Condition::Always).await, Err(BucketErrorKind::NotFound));
    assert_eq!(copy("from", Some(&to), Condition::Always).await, lost, "the source is another");
    assert_eq!(copy("from", None, Condition::IfAbsent).await, lost, "the destination is there");
    assert_eq!(copy("from", None, Condition::IfMatch(one.clone())).await, lost, "the destination is another");
    assert_eq!(fixture.read("to").await.unwrap(), "old");
    copy("from", Some(&one), Condition::IfMatch(to)).await.unwrap();
    assert_eq!(fixture.read("to").await.unwrap(), "one");
}
