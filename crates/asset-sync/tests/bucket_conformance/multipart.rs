//! Objects uploaded in parts.

use asset_sync::Sha256;
use asset_sync::bucket::{BucketErrorKind, Condition, CopySource, ObjectSpec, UploadedPart, read_all};
use bytes::Bytes;

use super::{Fixture, ODD_KEYS, all_headers, plain, put, whole_part};

pub(super) async fn odd_keys_by_multipart(fixture: Fixture) {
    for key in ODD_KEYS {
        let (id, parts) = fixture.upload_parts(key, &plain(), &[Bytes::from_static(b"x")]).await;
        fixture.bucket.complete_multipart(key, &id, &parts, &Condition::Always).await.unwrap();
        assert_eq!(fixture.read(key).await.unwrap(), "x");
    }
}

pub(super) async fn an_object_in_parts(fixture: Fixture) {
    let (headers, bucket) = (all_headers(), &*fixture.bucket);
    let content = [whole_part(), Bytes::from_static(b"the end")];
    let (id, parts) = fixture.upload_parts("big", &headers, &content).await;
    assert!(bucket.head("big").await.unwrap().is_none(), "not there before it is complete");
    let etag = bucket.complete_multipart("big", &id, &parts, &Condition::IfAbsent).await.unwrap();
    let whole = Bytes::from(content.concat());
    let sha256 = Sha256::of(&whole);
    let (info, body) = read_all(bucket, "big", u64::MAX).await.unwrap().unwrap();
    assert!(body == whole, "the content differs");
    assert_eq!((info.size, &info.etag, info.headers), (whole.len() as u64, &etag, headers.clone()));
    assert_eq!(info.sha256, Some(sha256), "of the content, not of the parts' hashes");

    // As one piece, or copied, it has another entity tag and the same hash.
    let once = put(bucket, "once", whole, &Condition::Always).await.unwrap();
    assert_ne!(once, etag);
    let source = CopySource { bucket: bucket.name(), key: "big", etag: Some(&etag) };
    let spec = ObjectSpec { key: "copy", headers: &headers, sha256 };
    bucket.copy(source, spec, &Condition::IfAbsent).await.unwrap();
    assert_eq!(bucket.head("copy").await.unwrap().unwrap().sha256, Some(sha256));
}

pub(super) async fn conditional_completions(fixture: Fixture) {
    let (headers, bucket) = (plain(), &*fixture.bucket);
    let content = [Bytes::from_static(b"new")];
    let old = fixture.put("a", b"old").await;
    let other = fixture.put("b", b"other").await;
    let lost = BucketErrorKind::PreconditionFailed;
    for condition in [Condition::IfAbsent, Condition::IfMatch(other)] {
        let (id, parts) = fixture.upload_parts("a", &headers, &content).await;
        let error = bucket.complete_multipart("a", &id, &parts, &condition).await.unwrap_err();
        assert_eq!(error.kind, lost, "{error}");
        bucket.abort_multipart("a", &id).await.unwrap();
        assert_eq!(fixture.read("a").await.unwrap(), "old");
    }
    let (id, parts) = fixture.upload_parts("a", &headers, &content).await;
    bucket.complete_multipart("a", &id, &parts, &Condition::IfMatch(old.clone())).await.unwrap();
    assert_eq!(fixture.read("a").await.unwrap(), "new");

    let (id, parts) = fixture.upload_parts("none", &headers, &content).await;
    let error = bucket.complete_multipart("none", &id, &parts, &Condition::IfMatch(old)).await.unwrap_err();
    assert_eq!(error.kind, lost, "{error}");
}

pub(super) async fn uploads_that_cannot_be_completed(fixture: Fixture) {
    let (headers, bucket) = (plain(), &*fixture.bucket);
    let small = Bytes::from_static(b"small");
    let (id, parts) = fixture.upload_parts("a", &headers, &[small.clone(), small.clone()]).await;
    let complete = async |parts: &[UploadedPart]| {
        bucket.complete_multipart("a", &id, parts, &Condition::Always).await.unwrap_err().kind
    };
    assert_eq!(complete(&parts).await, BucketErrorKind::Invalid, "the first part is too small");
    assert_eq!(complete(&[parts[1].clone(), parts[0].clone()]).await, BucketErrorKind::Invalid, "in another order");
    let unknown = UploadedPart { number: 3, ..parts[0].clone() };
    assert_eq!(complete(&[unknown]).await, BucketErrorKind::Invalid, "never uploaded");
    let wrong = UploadedPart { etag: "\"00000000000000000000000000000000\"".into(), ..parts[0].clone() };
    assert_eq!(complete(&[wrong]).await, BucketErrorKind::Invalid, "another entity tag");
    assert!(bucket.head("a").await.unwrap().is_none());

    bucket.abort_multipart("a", &id).await.unwrap();
    bucket.abort_multipart("a", &id).await.unwrap();
    assert_eq!(complete(&parts[..1]).await, BucketErrorKind::NotFound, "after it was given up");
    let error = bucket.upload_part("a", &id, 1, small.clone(), Sha256::of(&small)).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::NotFound, "{error}");
}
