//! The store kept in a folder between runs.

use std::{fs, path::Path};

use aws_sdk_s3::primitives::ByteStream;
use stand_ins::{Clock, Conditions, NewObject, ObjectHeaders, StandIns, StartError, Store, StoreError};

use crate::support::{BUCKET, put, s3};

async fn start_in(folder: &Path) -> StandIns {
    StandIns::builder().folder(folder).start().await.unwrap()
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn finds_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new/local");
    let stand_ins = start_in(&folder).await;
    let client = s3(&stand_ins);
    let odd = "../a b/%2F\u{1}é?*";
    client
        .put_object()
        .bucket(BUCKET)
        .key(odd)
        .body(ByteStream::from_static(b"bytes"))
        .content_type("text/html")
        .cache_control("no-cache")
        .website_redirect_location("/x")
        .metadata("m", "1")
        .send()
        .await
        .unwrap();
    put(&client, "replaced", "old").await;
    put(&client, "replaced", "new").await;
    put(&client, "deleted", "x").await;
    client.delete_object().bucket(BUCKET).key("deleted").send().await.unwrap();
    let create = client.create_multipart_upload().bucket(BUCKET).key("big");
    let upload = create.send().await.unwrap().upload_id.unwrap();
    let part = client
        .upload_part()
        .bucket(BUCKET)
        .key("big")
        .upload_id(&upload)
        .part_number(3)
        .body(ByteStream::from_static(b"part"));
    part.send().await.unwrap();
    let before = stand_ins.store().snapshot(BUCKET);
    assert_eq!(before.len(), 2);
    stand_ins.shutdown().await;
    drop(client);

    let stand_ins = start_in(&folder).await;
    assert_eq!(stand_ins.store().snapshot(BUCKET), before);
    let uploads = stand_ins.store().uploads(BUCKET);
    assert_eq!(uploads[0].id, upload);
    assert_eq!(uploads[0].parts[&3].content.to_bytes(), "part");
    stand_ins.store().abort_upload(BUCKET, "big", &upload).unwrap();
    assert_eq!(files(&folder.join("blobs")), 2, "nothing is left behind");
    let kept = stand_ins.store().get(BUCKET, odd).unwrap();
    assert_eq!(kept.headers.website_redirect.as_deref(), Some("/x"));
    assert_eq!(kept.metadata["m"], "1");
}

#[tokio::test]
async fn a_lost_condition_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let stand_ins = start_in(folder.path()).await;
    let client = s3(&stand_ins);
    put(&client, "k", "x").await;
    let lost = client.put_object().bucket(BUCKET).key("k").if_none_match("*");
    lost.send().await.unwrap_err();
    assert_eq!(files(&folder.path().join("blobs")), 1);
}

fn one_object(folder: &Path) {
    let store = Store::in_folder(folder, Clock::system()).unwrap();
    store.create_bucket(BUCKET).unwrap();
    let object = NewObject::new("hello", ObjectHeaders::default());
    store.put(BUCKET, "k", object, &Conditions::none()).unwrap();
}

fn reopened(folder: &Path) -> StoreError {
    Store::in_folder(folder, Clock::system()).unwrap_err()
}

#[test]
fn sweeps_what_a_crash_left() {
    let folder = tempfile::tempdir().unwrap();
    one_object(folder.path());
    fs::write(folder.path().join("blobs/orphan"), "x").unwrap();
    fs::write(folder.path().join("new-record"), "half").unwrap();
    let store = Store::in_folder(folder.path(), Clock::system()).unwrap();
    assert_eq!(store.snapshot(BUCKET).len(), 1);
    assert_eq!(files(&folder.path().join("blobs")), 1);
    assert!(!folder.path().join("new-record").exists());
}

#[test]
fn refuses_a_folder_of_something_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("precious.txt"), "x").unwrap();
    let error = reopened(folder.path());
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
    assert_eq!(files(folder.path()), 1, "nothing was touched");
}

#[test]
fn refuses_another_version() {
    let folder = tempfile::tempdir().unwrap();
    one_object(folder.path());
    let marker = folder.path().join("format.json");
    let newer = fs::read_to_string(&marker).unwrap().replace(":1}", ":2}");
    fs::write(&marker, newer).unwrap();
    let message = reopened(folder.path()).to_string();
    assert!(message.contains("version 2"), "{message}");
    fs::write(&marker, "{").unwrap();
    let message = reopened(folder.path()).to_string();
    assert!(message.contains("format.json"), "{message}");
}

#[test]
fn refuses_bytes_that_changed_or_vanished() {
    let folder = tempfile::tempdir().unwrap();
    one_object(folder.path());
    let blobs = fs::read_dir(folder.path().join("blobs")).unwrap();
    let blob = blobs.map(|entry| entry.unwrap().path()).next().unwrap();
    fs::write(&blob, "hellO").unwrap();
    let error = reopened(folder.path());
    assert!(matches!(&error, StoreError::NotAStore { path, .. } if *path == blob), "{error}");
    fs::remove_file(&blob).unwrap();
    let error = reopened(folder.path());
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let stand_ins = start_in(folder.path()).await;
    let second = StandIns::builder().folder(folder.path()).start().await;
    assert!(matches!(second, Err(StartError::Store(StoreError::InUse { .. }))));
    drop(stand_ins);
}
