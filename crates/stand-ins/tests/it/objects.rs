//! Putting, reading, copying and deleting objects.

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{ChecksumMode, ChecksumType, Delete, MetadataDirective, ObjectIdentifier},
};

use crate::support::{BUCKET, plant, put, refusal, start};

#[tokio::test]
async fn keeps_bytes_headers_and_metadata() {
    let (stand_ins, client) = start().await;
    client
        .put_object()
        .bucket(BUCKET)
        .key("a.html")
        .body(ByteStream::from_static(b"hello"))
        .content_type("text/html; charset=utf-8")
        .cache_control("no-cache")
        .content_encoding("gzip")
        .content_disposition("inline")
        .content_language("en")
        .website_redirect_location("/b.html")
        .metadata("release", "1.2.3")
        .send()
        .await
        .unwrap();
    let got = client.get_object().bucket(BUCKET).key("a.html").send().await.unwrap();
    assert_eq!(got.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert_eq!(got.last_modified().unwrap().as_nanos(), 1_795_000_000_000_000_000);
    assert_eq!(got.content_type(), Some("text/html; charset=utf-8"));
    assert_eq!(got.cache_control(), Some("no-cache"));
    assert_eq!(got.content_encoding(), Some("gzip"));
    assert_eq!(got.content_disposition(), Some("inline"));
    assert_eq!(got.content_language(), Some("en"));
    assert_eq!(got.website_redirect_location(), Some("/b.html"));
    assert_eq!(got.metadata().unwrap()["release"], "1.2.3");
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "hello");

    let snapshot = stand_ins.store().snapshot(BUCKET);
    assert_eq!(snapshot.len(), 1);
    assert_eq!(snapshot["a.html"].content.to_bytes(), "hello");
    stand_ins.shutdown().await;
}

#[tokio::test]
async fn tells_size_checksum_and_default_type_by_head() {
    let (stand_ins, client) = start().await;
    let digest = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .checksum_sha256(digest)
        .body(ByteStream::from_static(b"hello"))
        .send()
        .await
        .unwrap();
    assert_eq!(put.checksum_sha256(), Some(digest));
    let head = || client.head_object().bucket(BUCKET).key("k");
    let told = head().send().await.unwrap();
    assert_eq!(told.content_length(), Some(5));
    assert_eq!(told.checksum_sha256(), None, "only told when asked for");
    let told = head().checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(told.checksum_sha256(), Some(digest));
    assert_eq!(told.checksum_type(), Some(&ChecksumType::FullObject));

    // The SDK always sends a type; a bare request need not.
    let edit = |headers: &mut stand_ins::ObjectHeaders, _: &mut _| headers.content_type = None;
    stand_ins.store().edit(BUCKET, "k", edit).unwrap();
    let told = head().send().await.unwrap();
    assert_eq!(told.content_type(), Some("binary/octet-stream"));
}

#[tokio::test]
async fn refuses_wrong_checksums_and_writes_nothing() {
    let (stand_ins, client) = start().await;
    let put = || client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"hello"));
    let wrong_sha256 = put().checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    let refused = refusal(wrong_sha256.send().await);
    assert_eq!(refused, (400, "BadDigest".to_owned()));
    let wrong_crc32 = put().checksum_crc32("AAAAAA==");
    let refused = refusal(wrong_crc32.send().await);
    assert_eq!(refused, (400, "BadDigest".to_owned()));
    let wrong_md5 = put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==");
    let refused = refusal(wrong_md5.send().await);
    assert_eq!(refused, (400, "BadDigest".to_owned()));
    let nonsense = put().content_md5("nonsense");
    let refused = refusal(nonsense.send().await);
    assert_eq!(refused, (400, "InvalidDigest".to_owned()));
    assert!(stand_ins.store().snapshot(BUCKET).is_empty());
}

#[tokio::test]
async fn reads_a_streamed_body_with_its_checksum_in_a_trailer() {
    let (stand_ins, client) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&path, &bytes).unwrap();
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .content_encoding("gzip")
        .body(ByteStream::from_path(&path).await.unwrap())
        .send()
        .await
        .unwrap();
    let object = stand_ins.store().get(BUCKET, "k").unwrap();
    assert_eq!(object.content.to_bytes(), bytes);
    assert_eq!(object.headers.content_encoding.as_deref(), Some("gzip"));
    let checksum = object.checksum.as_ref().unwrap();
    assert_eq!(checksum.algorithm, stand_ins::ChecksumAlgorithm::Crc32);
    assert_eq!(put.checksum_crc32(), Some(checksum.value.as_str()));
}

#[tokio::test]
async fn gets_ranges() {
    let (stand_ins, client) = start().await;
    plant(&stand_ins, "k", "0123456789");
    let get = |range: &str| client.get_object().bucket(BUCKET).key("k").range(range).send();
    for (range, told, bytes) in [
        ("bytes=2-4", "bytes 2-4/10", "234"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=-2", "bytes 8-9/10", "89"),
        ("bytes=8-99", "bytes 8-9/10", "89"),
    ] {
        let got = get(range).await.unwrap();
        assert_eq!(got.content_range(), Some(told));
        assert_eq!(got.body.collect().await.unwrap().into_bytes(), bytes);
    }
    let refused = refusal(get("bytes=10-").await);
    assert_eq!(refused, (416, "InvalidRange".to_owned()));
}

#[tokio::test]
async fn names_what_is_missing() {
    let (stand_ins, client) = start().await;
    let get = |bucket: &str, key: &str| client.get_object().bucket(bucket).key(key).send();
    let missing = |code: &str| (404, code.to_owned());
    assert_eq!(refusal(get(BUCKET, "k").await), missing("NoSuchKey"));
    assert_eq!(refusal(get("other", "k").await), missing("NoSuchBucket"));
    let head = client.head_object().bucket(BUCKET).key("k").send().await;
    assert_eq!(refusal(head), missing("NotFound"));
    let head = client.head_bucket().bucket("other").send().await;
    assert_eq!(refusal(head), missing("NotFound"));
    let list = client.list_objects_v2().bucket("other").send().await;
    assert_eq!(refusal(list), missing("NoSuchBucket"));
    let put = client.put_object().bucket("other").key("k").send().await;
    assert_eq!(refusal(put), missing("NoSuchBucket"));

    stand_ins.s3().set_missing_key_is_forbidden(true);
    let forbidden = (403, "AccessDenied".to_owned());
    assert_eq!(refusal(get(BUCKET, "k").await), forbidden);
    plant(&stand_ins, "k", "x");
    get(BUCKET, "k").await.unwrap();
}

#[tokio::test]
async fn creates_and_lists_buckets() {
    let (_stand_ins, client) = start().await;
    client.create_bucket().bucket("second").send().await.unwrap();
    let again = client.create_bucket().bucket("second").send().await;
    assert_eq!(refusal(again), (409, "BucketAlreadyOwnedByYou".to_owned()));
    let listed = client.list_buckets().send().await.unwrap();
    let names: Vec<_> = listed.buckets().iter().filter_map(|b| b.name()).collect();
    assert_eq!(names, ["second", BUCKET]);
    let head = client.head_bucket().bucket("second").send().await.unwrap();
    assert_eq!(head.bucket_region(), Some(stand_ins::REGION));
}

#[tokio::test]
async fn limits_keys_to_1024_bytes() {
    let (_stand_ins, client) = start().await;
    put(&client, &"k".repeat(1_024), "x").await;
    let too_long = client.put_object().bucket(BUCKET).key("é".repeat(513)).send().await;
    assert_eq!(refusal(too_long), (400, "KeyTooLongError".to_owned()));
}

#[tokio::test]
async fn deletes_one_and_many_with_errors_by_key() {
    let (stand_ins, client) = start().await;
    for key in ["a", "b", "c", "kept/d"] {
        plant(&stand_ins, key, "x");
    }
    client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();

    stand_ins.s3().deny_under("DeleteObject", "kept/");
    let named = |key: &str| ObjectIdentifier::builder().key(key);
    let other = named("c").e_tag("\"0123456789abcdef0123456789abcdef\"");
    let absent = named("e").e_tag("\"9dd4e461268c8034f5c8564e155c67a6\"");
    let delete = Delete::builder()
        .objects(named("b").build().unwrap())
        .objects(named("absent").build().unwrap())
        .objects(other.build().unwrap())
        .objects(absent.build().unwrap())
        .objects(named("kept/d").build().unwrap())
        .build()
        .unwrap();
    let answer = client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    let deleted: Vec<_> = answer.deleted().iter().filter_map(|d| d.key()).collect();
    assert_eq!(deleted, ["b", "absent"]);
    let errors: Vec<_> = answer.errors().iter().map(|e| (e.key().unwrap(), e.code().unwrap())).collect();
    assert_eq!(errors, [("c", "PreconditionFailed"), ("e", "NoSuchKey"), ("kept/d", "AccessDenied")]);
    let left: Vec<_> = stand_ins.store().snapshot(BUCKET).into_keys().collect();
    assert_eq!(left, ["c", "kept/d"]);

    let mut too_many = Delete::builder();
    for number in 0..=1_000 {
        too_many = too_many.objects(named(&number.to_string()).build().unwrap());
    }
    let refused = client.delete_objects().bucket(BUCKET).delete(too_many.build().unwrap()).send().await;
    assert_eq!(refusal(refused), (400, "MalformedXML".to_owned()));
}

#[tokio::test]
async fn copies_headers_but_never_the_redirect() {
    let (stand_ins, client) = start().await;
    let source = "old/a b+ü&%.html";
    client
        .put_object()
        .bucket(BUCKET)
        .key(source)
        .body(ByteStream::from_static(b"hello"))
        .content_type("text/html")
        .cache_control("no-cache")
        .metadata("m", "1")
        .website_redirect_location("/elsewhere")
        .send()
        .await
        .unwrap();
    let encoded = "site/old/a%20b%2B%C3%BC%26%25.html";
    let copied = client.copy_object().bucket(BUCKET).key("copy").copy_source(encoded).send().await.unwrap();
    let etag = copied.copy_object_result().unwrap().e_tag();
    assert_eq!(etag, Some("\"5d41402abc4b2a76b9719d911017c592\""));
    let copy = stand_ins.store().get(BUCKET, "copy").unwrap();
    assert_eq!(copy.content.to_bytes(), "hello");
    assert_eq!(copy.headers.content_type.as_deref(), Some("text/html"));
    assert_eq!(copy.headers.cache_control.as_deref(), Some("no-cache"));
    assert_eq!(copy.headers.website_redirect, None);
    assert_eq!(copy.metadata["m"], "1");

    client
        .copy_object()
        .bucket(BUCKET)
        .key("replaced")
        .copy_source(encoded)
        .metadata_directive(MetadataDirective::Replace)
        .content_type("text/plain")
        .website_redirect_location("/new")
        .send()
        .await
        .unwrap();
    let copy = stand_ins.store().get(BUCKET, "replaced").unwrap();
    assert_eq!(copy.headers.content_type.as_deref(), Some("text/plain"));
    assert_eq!(copy.headers.cache_control, None);
    assert_eq!(copy.headers.website_redirect.as_deref(), Some("/new"));
    assert!(copy.metadata.is_empty());

    let onto_itself = client.copy_object().bucket(BUCKET).key("copy").copy_source("site/copy").send().await;
    assert_eq!(refusal(onto_itself), (400, "InvalidRequest".to_owned()));
    let absent = client.copy_object().bucket(BUCKET).key("k").copy_source("site/absent").send().await;
    assert_eq!(refusal(absent), (404, "NoSuchKey".to_owned()));
}
