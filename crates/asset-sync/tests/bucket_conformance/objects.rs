//! Objects written, read and deleted.

use std::collections::BTreeSet;

use asset_sync::Sha256;
use asset_sync::bucket::{BucketErrorKind, Condition, CopySource, ObjectSpec, read_all};
use bytes::Bytes;
use futures::StreamExt as _;

use super::{Fixture, ODD_KEYS, all_headers, list_all, plain, put};

pub(super) async fn an_object_is_read_back_with_all_headers(fixture: Fixture) {
    let headers = all_headers();
    let body = Bytes::from_static(b"<!doctype html>");
    let sha256 = Sha256::of(&body);
    let spec = ObjectSpec { key: "dir/index.html", headers: &headers, sha256 };
    let etag = fixture.bucket.put(spec, body.clone(), &Condition::Always).await.unwrap();

    let info = fixture.bucket.head("dir/index.html").await.unwrap().unwrap();
    assert_eq!((info.size, &info.etag, &info.headers, info.sha256), (15, &etag, &headers, Some(sha256)));
    let (got, content) = read_all(&*fixture.bucket, "dir/index.html", 100).await.unwrap().unwrap();
    assert_eq!((&got, content), (&info, body));

    let page = fixture.bucket.list("dir/", None).await.unwrap();
    assert_eq!(page.objects.len(), 1);
    let listed = &page.objects[0];
    assert_eq!((&*listed.key, listed.size, &listed.etag), ("dir/index.html", 15, &etag));
    assert_eq!(Some(listed.last_modified), info.last_modified);
    assert_eq!(listed.last_modified.subsec_nanosecond(), 0);
}

pub(super) async fn an_empty_object(fixture: Fixture) {
    fixture.put("empty", b"").await;
    let (info, body) = read_all(&*fixture.bucket, "empty", 0).await.unwrap().unwrap();
    assert_eq!((info.size, info.sha256, body), (0, Some(Sha256::of(b"")), Bytes::new()));
    assert_eq!(info.headers, plain());
}

pub(super) async fn a_large_body_arrives_in_pieces(fixture: Fixture) {
    let content: Bytes = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    put(&*fixture.bucket, "large", content.clone(), &Condition::Always).await.unwrap();
    let mut stream = fixture.bucket.get("large").await.unwrap().unwrap().stream;
    let (mut read, mut pieces) = (Vec::new(), 0);
    while let Some(piece) = stream.next().await {
        read.extend_from_slice(&piece.unwrap());
        pieces += 1;
    }
    assert!(pieces > 1);
    assert_eq!(read, content);
}

pub(super) async fn an_absent_key(fixture: Fixture) {
    assert!(fixture.bucket.head("none").await.unwrap().is_none());
    assert!(fixture.bucket.get("none").await.unwrap().is_none());
    assert!(fixture.bucket.list("none", None).await.unwrap().objects.is_empty());
}

pub(super) async fn a_missing_bucket(fixture: Fixture) {
    let (bucket, headers) = (&fixture.missing, plain());
    let spec = ObjectSpec { key: "a", headers: &headers, sha256: Sha256::of(b"") };
    let no_bucket = BucketErrorKind::NoSuchBucket;
    let error = bucket.list("", None).await.unwrap_err();
    assert_eq!((error.kind, error.operation), (no_bucket, "ListObjectsV2"));
    assert_eq!(error.bucket, bucket.name());
    let error = bucket.put(spec, Bytes::new(), &Condition::Always).await.unwrap_err();
    assert_eq!((error.kind, error.key.as_deref()), (no_bucket, Some("a")));
    assert_eq!(bucket.create_multipart(spec).await.unwrap_err().kind, no_bucket);
    assert_eq!(bucket.delete(&[("a".into(), None)]).await.unwrap_err().kind, no_bucket);
    let source = CopySource { bucket: bucket.name(), key: "a", etag: None };
    let error = fixture.bucket.copy(source, spec, &Condition::Always).await.unwrap_err();
    assert!(matches!(error.kind, BucketErrorKind::NoSuchBucket | BucketErrorKind::NotFound), "{error}");
}

pub(super) async fn odd_keys_are_kept_as_they_are(fixture: Fixture) {
    for key in ODD_KEYS {
        put(&*fixture.bucket, key, key.to_owned(), &Condition::IfAbsent).await.unwrap();
    }
    let expected: Vec<String> = ODD_KEYS.into_iter().map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(list_all(&*fixture.bucket, "").await, expected);
    for key in ODD_KEYS {
        assert_eq!(fixture.read(key).await.unwrap(), key, "get");
        assert!(fixture.bucket.head(key).await.unwrap().is_some(), "head {key}");
        assert_eq!(list_all(&*fixture.bucket, key).await, [key], "as a prefix");
        let position = expected.iter().position(|other| other == key).unwrap();
        let after = fixture.bucket.list("", Some(key)).await.unwrap().objects;
        assert_eq!(after.len(), expected.len() - position - 1, "start after {key}");

        let headers = plain();
        let copied = format!("copy/{key}");
        let source = CopySource { bucket: fixture.bucket.name(), key, etag: None };
        let spec = ObjectSpec { key: &copied, headers: &headers, sha256: Sha256::of(key.as_bytes()) };
        fixture.bucket.copy(source, spec, &Condition::IfAbsent).await.unwrap();
        assert_eq!(fixture.read(&copied).await.unwrap(), key, "copy");
        fixture.bucket.delete(&[(copied, None)]).await.unwrap()[0].as_ref().unwrap();
    }
    let batch: Vec<_> = ODD_KEYS.iter().map(|key| ((*key).to_owned(), None)).collect();
    let results = fixture.bucket.delete(&batch).await.unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(list_all(&*fixture.bucket, "").await.is_empty());
}

pub(super) async fn wrong_bytes_are_refused(fixture: Fixture) {
    let headers = plain();
    let spec = ObjectSpec { key: "a", headers: &headers, sha256: Sha256::of(b"right") };
    let error = fixture.bucket.put(spec, Bytes::from_static(b"wrong"), &Condition::Always).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::ContentMismatch, "{error}");
    assert!(fixture.bucket.head("a").await.unwrap().is_none(), "nothing was written");

    let id = fixture.bucket.create_multipart(spec).await.unwrap();
    let wrong = Bytes::from_static(b"wrong");
    let error = fixture.bucket.upload_part("a", &id, 1, wrong, spec.sha256).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::ContentMismatch, "{error}");
    fixture.bucket.abort_multipart("a", &id).await.unwrap();
}

pub(super) async fn the_entity_tag_depends_on_content_alone(fixture: Fixture) {
    let one = fixture.put("a", b"one").await;
    let two = fixture.put("a", b"two").await;
    assert_ne!(one, two);
    assert_eq!(fixture.put("a", b"one").await, one);
    let headers = all_headers();
    let spec = ObjectSpec { key: "a", headers: &headers, sha256: Sha256::of(b"one") };
    assert_eq!(fixture.bucket.put(spec, Bytes::from_static(b"one"), &Condition::Always).await.unwrap(), one);
}

pub(super) async fn deleting_tells_of_each_key(fixture: Fixture) {
    let bucket = &*fixture.bucket;
    let mut etags = Vec::new();
    for key in ["a", "b", "c", "d"] {
        etags.push(put(bucket, key, key.to_owned(), &Condition::Always).await.unwrap());
    }
    let results = bucket
        .delete(&[
            ("d".into(), None),
            ("a".into(), Some(etags[0].clone())),
            ("b".into(), Some(etags[0].clone())),
            ("none".into(), None),
            ("gone".into(), Some(etags[0].clone())),
        ])
        .await
        .unwrap();
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [None, None, Some(BucketErrorKind::PreconditionFailed), None, None]);
    let error = results[2].as_ref().unwrap_err();
    assert_eq!((error.operation, error.key.as_deref()), ("DeleteObjects", Some("b")));
    assert_eq!(list_all(bucket, "").await, ["b", "c"]);
    assert!(bucket.delete(&[]).await.unwrap().is_empty());
}
