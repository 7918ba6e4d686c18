//! Multipart uploads.

use aws_sdk_s3::{
    Client,
    operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder,
    primitives::ByteStream,
    types::{ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;

use crate::support::{BUCKET, put, refusal, start};

const MIB: usize = 1 << 20;

fn create(client: &Client) -> CreateMultipartUploadFluentBuilder {
    client.create_multipart_upload().bucket(BUCKET).key("big")
}

async fn upload(client: &Client, id: &str, number: i32, body: Bytes) -> CompletedPart {
    let part = client
        .upload_part()
        .bucket(BUCKET)
        .key("big")
        .upload_id(id)
        .part_number(number)
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .body(ByteStream::from(body))
        .send()
        .await
        .unwrap();
    CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).set_checksum_sha256(part.checksum_sha256).build()
}

fn named(parts: impl IntoIterator<Item = CompletedPart>) -> CompletedMultipartUpload {
    let parts = parts.into_iter().collect();
    CompletedMultipartUpload::builder().set_parts(Some(parts)).build()
}

#[tokio::test]
async fn joins_parts_with_a_composite_checksum() {
    let (stand_ins, client) = start().await;
    let created = create(&client)
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .checksum_type(ChecksumType::Composite)
        .content_type("video/mp4")
        .metadata("m", "1")
        .send()
        .await
        .unwrap();
    let id = created.upload_id().unwrap();
    let (first, second) = (Bytes::from(vec![b'a'; 5 * MIB]), Bytes::from("tail"));
    let two = upload(&client, id, 2, second).await;
    let one = upload(&client, id, 1, first).await;
    assert_eq!(stand_ins.store().uploads(BUCKET).len(), 1);
    assert!(stand_ins.store().snapshot(BUCKET).is_empty());

    let completed = client
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("big")
        .upload_id(id)
        .if_none_match("*")
        .mpu_object_size(5 * 1_048_576 + 4)
        .multipart_upload(named([one, two]))
        .send()
        .await
        .unwrap();
    // md5(md5("a" * 5 MiB) + md5("tail")) and the same of SHA-256, by Python's hashlib.
    let etag = "\"30dcfd3901d1c613b7fb532281748544-2\"";
    let checksum = "02fcpk5/QKJNsvzEdkeBlFeIWeYNwKJOAWPjbe9fHIs=-2";
    assert_eq!(completed.e_tag(), Some(etag));
    assert_eq!(completed.checksum_sha256(), Some(checksum));
    let got = client.get_object().bucket(BUCKET).key("big").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!(got.checksum_sha256(), Some(checksum));
    assert_eq!(got.checksum_type(), Some(&ChecksumType::Composite));
    assert_eq!(got.content_type(), Some("video/mp4"));
    let bytes = got.body.collect().await.unwrap().into_bytes();
    assert_eq!(bytes.len(), 5 * MIB + 4);
    assert!(bytes.ends_with(b"aaatail"));
    assert!(stand_ins.store().uploads(BUCKET).is_empty());

    let copied = client.copy_object().bucket(BUCKET).key("copy").copy_source("site/big").send().await.unwrap();
    let copied = copied.copy_object_result().unwrap();
    assert!(!copied.e_tag().unwrap().contains('-'), "a copy is one part");
}

#[tokio::test]
async fn checks_a_completion_and_keeps_the_upload() {
    let (stand_ins, client) = start().await;
    let created = create(&client).checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let id = created.upload_id().unwrap();
    let one = upload(&client, id, 1, Bytes::from("small")).await;
    let two = upload(&client, id, 2, Bytes::from("tail")).await;
    let complete = |parts: Vec<CompletedPart>| {
        client.complete_multipart_upload().bucket(BUCKET).key("big").upload_id(id).multipart_upload(named(parts))
    };
    let refused = |code: &str| (400, code.to_owned());
    let result = complete(vec![one.clone(), two.clone()]).send().await;
    assert_eq!(refusal(result), refused("EntityTooSmall"));
    let result = complete(vec![two.clone(), one.clone()]).send().await;
    assert_eq!(refusal(result), refused("InvalidPartOrder"));
    let wrong_etag = CompletedPart::builder()
        .part_number(1)
        .e_tag("0123456789abcdef0123456789abcdef")
        .set_checksum_sha256(one.checksum_sha256().map(str::to_owned));
    let result = complete(vec![wrong_etag.build()]).send().await;
    assert_eq!(refusal(result), refused("InvalidPart"));
    let no_checksum = CompletedPart::builder().part_number(1).set_e_tag(one.e_tag().map(str::to_owned));
    let result = complete(vec![no_checksum.build()]).send().await;
    assert_eq!(refusal(result), refused("InvalidRequest"));
    let result = complete(vec![one.clone()]).mpu_object_size(99).send().await;
    assert_eq!(refusal(result), refused("InvalidRequest"));
    let result =
        complete(vec![one.clone()]).checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-1").send().await;
    assert_eq!(refusal(result), refused("BadDigest"));
    let result = complete(vec![one.clone()]).if_match("\"abc\"").send().await;
    assert_eq!(refusal(result), (404, "NoSuchKey".to_owned()));
    put(&client, "big", "there").await;
    let result = complete(vec![one.clone()]).if_none_match("*").send().await;
    assert_eq!(refusal(result), (412, "PreconditionFailed".to_owned()));

    assert_eq!(stand_ins.store().uploads(BUCKET)[0].parts.len(), 2);
    complete(vec![one.clone()]).send().await.unwrap();
    let again = complete(vec![one]).send().await;
    assert_eq!(refusal(again), (404, "NoSuchUpload".to_owned()));
}

#[tokio::test]
async fn refuses_wrong_parts() {
    let (stand_ins, client) = start().await;
    let created = create(&client).checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let id = created.upload_id().unwrap();
    let part = |number: i32| {
        client
            .upload_part()
            .bucket(BUCKET)
            .key("big")
            .upload_id(id)
            .part_number(number)
            .body(ByteStream::from_static(b"x"))
    };
    let refused = |code: &str| (400, code.to_owned());
    let wrong = part(1).checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(refusal(wrong.send().await), refused("BadDigest"));
    let other = part(1).checksum_algorithm(ChecksumAlgorithm::Crc32);
    assert_eq!(refusal(other.send().await), refused("InvalidRequest"));
    for number in [0, 10_001] {
        let result = part(number).send().await;
        assert_eq!(refusal(result), refused("InvalidArgument"), "{number}");
    }
    let unknown = part(1).upload_id("unknown").send().await;
    assert_eq!(refusal(unknown), (404, "NoSuchUpload".to_owned()));
    assert!(stand_ins.store().uploads(BUCKET)[0].parts.is_empty());
    let full = create(&client)
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .checksum_type(ChecksumType::FullObject)
        .send()
        .await;
    assert_eq!(refusal(full), refused("InvalidRequest"));
}

#[tokio::test]
async fn lists_and_aborts_uploads() {
    let (stand_ins, client) = start().await;
    for key in ["b/1", "a/1", "a/2", "a/2"] {
        let create = client.create_multipart_upload().bucket(BUCKET).key(key);
        create.send().await.unwrap();
    }
    let list = || client.list_multipart_uploads().bucket(BUCKET);
    let page = list().prefix("a/").max_uploads(2).send().await.unwrap();
    let keys: Vec<_> = page.uploads().iter().filter_map(|u| u.key()).collect();
    assert_eq!(keys, ["a/1", "a/2"]);
    assert_eq!(page.is_truncated(), Some(true));
    let rest = list()
        .prefix("a/")
        .key_marker(page.next_key_marker().unwrap())
        .upload_id_marker(page.next_upload_id_marker().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(rest.uploads().len(), 1);
    assert_eq!(rest.is_truncated(), Some(false));

    for upload in list().send().await.unwrap().uploads() {
        let abort = || {
            client
                .abort_multipart_upload()
                .bucket(BUCKET)
                .key(upload.key().unwrap())
                .upload_id(upload.upload_id().unwrap())
                .send()
        };
        abort().await.unwrap();
        assert_eq!(refusal(abort().await), (404, "NoSuchUpload".to_owned()));
    }
    assert!(stand_ins.store().uploads(BUCKET).is_empty());
}

#[tokio::test]
async fn lists_parts_in_pages() {
    let (_stand_ins, client) = start().await;
    let created = create(&client).send().await.unwrap();
    let id = created.upload_id().unwrap();
    for number in [3, 1, 7] {
        client
            .upload_part()
            .bucket(BUCKET)
            .key("big")
            .upload_id(id)
            .part_number(number)
            .body(ByteStream::from_static(b"xy"))
            .send()
            .await
            .unwrap();
    }
    let mut pages = client.list_parts().bucket(BUCKET).key("big").upload_id(id).max_parts(2).into_paginator().send();
    let mut numbers = Vec::new();
    while let Some(page) = pages.next().await {
        for part in page.unwrap().parts() {
            assert_eq!(part.size(), Some(2));
            numbers.push(part.part_number().unwrap());
        }
    }
    assert_eq!(numbers, [1, 3, 7]);
}
