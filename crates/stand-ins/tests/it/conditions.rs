//! Conditional requests: atomic, with S3's codes.

use aws_sdk_s3::primitives::ByteStream;
use futures::future::join_all;

use crate::support::{BUCKET, plant, put, refusal, start};

const OTHER: &str = "\"0123456789abcdef0123456789abcdef\"";

fn lost() -> (u16, String) {
    (412, "PreconditionFailed".to_owned())
}

fn absent() -> (u16, String) {
    (404, "NoSuchKey".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_writers_of_a_new_key_one_wins() {
    let (stand_ins, client) = start().await;
    let writers = (0..20).map(|writer: u32| {
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key("lease")
            .if_none_match("*")
            .body(ByteStream::from(writer.to_string().into_bytes()));
        tokio::spawn(async move { (writer, put.send().await) })
    });
    let mut winners = Vec::new();
    for ended in join_all(writers).await {
        let (writer, result) = ended.unwrap();
        match result {
            Ok(_) => winners.push(writer),
            lost_one => assert_eq!(refusal(lost_one), lost()),
        }
    }
    assert_eq!(winners.len(), 1);
    let kept = stand_ins.store().get(BUCKET, "lease").unwrap();
    assert_eq!(kept.content.to_bytes(), winners[0].to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_writers_over_one_etag_one_wins() {
    let (_stand_ins, client) = start().await;
    let etag = put(&client, "pointer", "first").await;
    let writers = (0..20).map(|writer: u32| {
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key("pointer")
            .if_match(&etag)
            .body(ByteStream::from(writer.to_string().into_bytes()));
        tokio::spawn(async move { put.send().await })
    });
    let ended = join_all(writers).await;
    let won = ended.into_iter().filter(|r| r.as_ref().unwrap().is_ok());
    assert_eq!(won.count(), 1);
}

#[tokio::test]
async fn puts_and_deletes_under_a_condition() {
    let (stand_ins, client) = start().await;
    let put_if = |etag: &str| client.put_object().bucket(BUCKET).key("k").if_match(etag).send();
    let delete_if = |etag: &str| client.delete_object().bucket(BUCKET).key("k").if_match(etag).send();
    assert_eq!(refusal(put_if(OTHER).await), absent());
    assert_eq!(refusal(delete_if(OTHER).await), absent());
    let etag = put(&client, "k", "x").await;
    assert_eq!(refusal(put_if(OTHER).await), lost());
    assert_eq!(refusal(delete_if(OTHER).await), lost());
    assert_eq!(stand_ins.store().snapshot(BUCKET).len(), 1);
    delete_if(&etag).await.unwrap();
    assert!(stand_ins.store().snapshot(BUCKET).is_empty());
}

#[tokio::test]
async fn copies_under_conditions_on_source_and_destination() {
    let (_stand_ins, client) = start().await;
    let source = put(&client, "source", "new").await;
    let copy = || client.copy_object().bucket(BUCKET).key("target").copy_source("site/source");
    assert_eq!(refusal(copy().if_match(OTHER).send().await), absent());
    copy().if_none_match("*").send().await.unwrap();
    assert_eq!(refusal(copy().if_none_match("*").send().await), lost());
    let target = put(&client, "target", "old").await;
    assert_eq!(refusal(copy().if_match(OTHER).send().await), lost());
    let stale_source = copy().copy_source_if_match(OTHER).send().await;
    assert_eq!(refusal(stale_source), lost());
    copy().if_match(target).copy_source_if_match(source).send().await.unwrap();
}

#[tokio::test]
async fn reads_under_a_condition() {
    let (_stand_ins, client) = start().await;
    let etag = put(&client, "k", "x").await;
    let get = || client.get_object().bucket(BUCKET).key("k");
    get().if_match(&etag).send().await.unwrap();
    assert_eq!(refusal(get().if_match(OTHER).send().await), lost());
    get().if_none_match(OTHER).send().await.unwrap();
    let (status, _) = refusal(get().if_none_match(&etag).send().await);
    assert_eq!(status, 304);
}

#[tokio::test]
async fn can_ignore_conditions_as_some_stores_do() {
    let (stand_ins, client) = start().await;
    stand_ins.s3().set_ignores_conditions(true);
    plant(&stand_ins, "k", "x");
    let put = || client.put_object().bucket(BUCKET).key("k");
    put().if_none_match("*").send().await.unwrap();
    put().if_match(OTHER).send().await.unwrap();
    client.delete_object().bucket(BUCKET).key("k").if_match(OTHER).send().await.unwrap();
}

#[tokio::test]
async fn an_edit_from_outside_changes_the_date_and_not_the_etag() {
    let (stand_ins, client) = start().await;
    let etag = put(&client, "k", "x").await;
    let head = || client.head_object().bucket(BUCKET).key("k").send();
    let before = head().await.unwrap();
    stand_ins.clock().advance(std::time::Duration::from_mins(1));
    stand_ins
        .store()
        .edit(BUCKET, "k", |headers, _| {
            headers.cache_control = Some("no-store".to_owned());
        })
        .unwrap();
    let after = head().await.unwrap();
    assert_eq!(after.e_tag(), Some(etag.as_str()));
    assert_eq!(after.cache_control(), Some("no-store"));
    let moved = after.last_modified().unwrap().secs() - before.last_modified().unwrap().secs();
    assert_eq!(moved, 60);
}
