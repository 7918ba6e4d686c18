//! Listing with odd keys, pages and delimiters.

use aws_sdk_s3::{Client, types::EncodingType};

use crate::support::{BUCKET, plant, refusal, start};

/// Keys as sites have them, in the order of their bytes.
const ODD: [&str; 10] =
    [" leading", "a b.html", "a%20b", "a&b=c", "a'b\"c", "a+b", "a<b>", "dir/a", "dir/sub/ü", "日本/~x*"];

async fn keys(client: &Client, start_after: Option<&str>, page: i32) -> Vec<String> {
    let mut pages = client
        .list_objects_v2()
        .bucket(BUCKET)
        .set_start_after(start_after.map(str::to_owned))
        .max_keys(page)
        .into_paginator()
        .send();
    let mut keys = Vec::new();
    while let Some(answer) = pages.next().await {
        let answer = answer.unwrap();
        assert!(answer.contents().len() <= page.unsigned_abs() as usize);
        keys.extend(answer.contents().iter().map(|o| o.key().unwrap().to_owned()));
    }
    keys
}

#[tokio::test]
async fn pages_through_odd_keys_in_order() {
    let (stand_ins, client) = start().await;
    for key in ODD {
        client.put_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    let stored: Vec<_> = stand_ins.store().snapshot(BUCKET).into_keys().collect();
    assert_eq!(stored, ODD, "the request path is decoded");
    for page in [1, 3, 10, 1_000] {
        assert_eq!(keys(&client, None, page).await, ODD);
    }
    for (index, key) in ODD.iter().enumerate() {
        assert_eq!(keys(&client, Some(key), 4).await, ODD[index + 1..]);
    }
    assert_eq!(keys(&client, Some("a%2"), 4).await, ODD[2..]);
}

#[tokio::test]
async fn encodes_keys_on_request() {
    let (stand_ins, client) = start().await;
    for key in ODD {
        plant(&stand_ins, key, "x");
    }
    let listed = client
        .list_objects_v2()
        .bucket(BUCKET)
        .prefix("a")
        .start_after("a b.html")
        .encoding_type(EncodingType::Url)
        .send()
        .await
        .unwrap();
    let keys: Vec<_> = listed.contents().iter().filter_map(|o| o.key()).collect();
    assert_eq!(keys, ["a%2520b", "a%26b%3Dc", "a%27b%22c", "a%2Bb", "a%3Cb%3E"]);
    assert_eq!(listed.start_after(), Some("a+b.html"));
    assert_eq!(listed.encoding_type(), Some(&EncodingType::Url));
}

#[tokio::test]
async fn rolls_up_by_delimiter_across_pages() {
    let (stand_ins, client) = start().await;
    for key in ["a/1", "a/2", "b", "c/x/1", "c/y", "d"] {
        plant(&stand_ins, key, "x");
    }
    for page in [1, 2, 10] {
        let mut pages = client.list_objects_v2().bucket(BUCKET).delimiter("/").max_keys(page).into_paginator().send();
        let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
        while let Some(answer) = pages.next().await {
            let answer = answer.unwrap();
            keys.extend(answer.contents().iter().map(|o| o.key().unwrap().to_owned()));
            let rolled = answer.common_prefixes().iter();
            prefixes.extend(rolled.map(|p| p.prefix().unwrap().to_owned()));
        }
        assert_eq!(keys, ["b", "d"], "pages of {page}");
        assert_eq!(prefixes, ["a/", "c/"], "pages of {page}");
    }
}

#[tokio::test]
async fn caps_a_page_at_a_thousand() {
    let (stand_ins, client) = start().await;
    for number in 0..1_001 {
        plant(&stand_ins, &format!("{number:04}"), "x");
    }
    let list = || client.list_objects_v2().bucket(BUCKET);
    let listed = list().max_keys(5_000).send().await.unwrap();
    assert_eq!(listed.contents().len(), 1_000);
    assert_eq!(listed.key_count(), Some(1_000));
    assert_eq!(listed.is_truncated(), Some(true));
    let rest = list().continuation_token(listed.next_continuation_token().unwrap()).send().await.unwrap();
    let object = rest.contents()[0].clone();
    assert_eq!(object.key(), Some("1000"));
    assert_eq!(object.size(), Some(1));
    assert_eq!(object.e_tag(), Some("\"9dd4e461268c8034f5c8564e155c67a6\""));
    assert_eq!(object.last_modified().unwrap().subsec_nanos(), 0);
    let refused = list().continuation_token("nonsense").send().await;
    assert_eq!(refusal(refused), (400, "InvalidArgument".to_owned()));
    assert_eq!(list().max_keys(0).send().await.unwrap().contents().len(), 0);
}

#[tokio::test]
async fn a_prefix_is_no_more_than_its_letters() {
    let (stand_ins, client) = start().await;
    for key in ["app/a", "app2/a", "app"] {
        plant(&stand_ins, key, "x");
    }
    let listed = client.list_objects_v2().bucket(BUCKET).prefix("app/").send().await.unwrap();
    assert_eq!(listed.contents().len(), 1);
    let listed = client.list_objects_v2().bucket(BUCKET).prefix("app").send().await.unwrap();
    assert_eq!(listed.contents().len(), 3);
}
