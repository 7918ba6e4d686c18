//! Credentials, regions and denied actions.

use aws_sdk_s3::{Client, config::Region, error::SdkError, operation::RequestId};
use stand_ins::{ACCESS_KEY, SECRET_KEY, StandIns};

use crate::support::{BUCKET, credentials, plant, put, refusal, s3_config, start};

async fn list_with(stand_ins: &StandIns, key: &str, secret: &str, region: &'static str) -> (u16, String) {
    let config =
        s3_config(&stand_ins.s3_endpoint()).credentials_provider(credentials(key, secret)).region(Region::new(region));
    let client = Client::from_conf(config.build());
    refusal(client.list_objects_v2().bucket(BUCKET).send().await)
}

#[tokio::test]
async fn refuses_wrong_credentials_and_wrong_regions() {
    let (stand_ins, client) = start().await;
    let refused = list_with(&stand_ins, ACCESS_KEY, "wrong", stand_ins::REGION).await;
    assert_eq!(refused, (403, "SignatureDoesNotMatch".to_owned()));
    let refused = list_with(&stand_ins, "AKIAUNKNOWN", SECRET_KEY, stand_ins::REGION).await;
    assert_eq!(refused, (403, "InvalidAccessKeyId".to_owned()));
    let refused = list_with(&stand_ins, ACCESS_KEY, SECRET_KEY, "eu-west-1").await;
    assert_eq!(refused, (400, "AuthorizationHeaderMalformed".to_owned()));
    client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
}

#[tokio::test]
async fn refuses_unsigned_requests() {
    let (stand_ins, _client) = start().await;
    let unsigned = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(Region::new(stand_ins::REGION))
        .endpoint_url(stand_ins.s3_endpoint())
        .force_path_style(true)
        .allow_no_auth()
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled());
    let client = Client::from_conf(unsigned.build());
    let refused = refusal(client.list_objects_v2().bucket(BUCKET).send().await);
    assert_eq!(refused, (403, "AccessDenied".to_owned()));
}

#[tokio::test]
async fn denies_iam_actions_with_all_operations_that_need_them() {
    let (stand_ins, client) = start().await;
    let etag = put(&client, "k", "x").await;
    let denied = (403, "AccessDenied".to_owned());
    let get = || client.get_object().bucket(BUCKET).key("k").send();
    let put_if = || client.put_object().bucket(BUCKET).key("k").if_match(&etag);
    let list = || client.list_objects_v2().bucket(BUCKET).send();

    stand_ins.s3().deny("GetObject");
    assert_eq!(refusal(get().await), denied);
    assert_eq!(refusal(put_if().send().await), denied);
    let copy = || {
        let copy = client.copy_object().bucket(BUCKET).key("copy");
        copy.copy_source("site/k").send()
    };
    assert_eq!(refusal(copy().await), denied);
    list().await.unwrap();

    stand_ins.s3().allow_all();
    stand_ins.s3().deny("ListBucket");
    assert_eq!(refusal(list().await), denied);
    get().await.unwrap();

    stand_ins.s3().allow_all();
    stand_ins.s3().deny("PutObject");
    let create = || {
        let create = client.create_multipart_upload();
        create.bucket(BUCKET).key("big").send()
    };
    assert_eq!(refusal(create().await), denied);
    assert_eq!(refusal(copy().await), denied);

    stand_ins.s3().allow_all();
    stand_ins.s3().deny_under("PutObject", "state/");
    let put_at = |key: &str| client.put_object().bucket(BUCKET).key(key).send();
    assert_eq!(refusal(put_at("state/lease").await), denied);
    put_at("stateless").await.unwrap();
}

#[tokio::test]
async fn every_answer_carries_a_request_id() {
    let (stand_ins, client) = start().await;
    plant(&stand_ins, "k", "x");
    let got = client.get_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(got.request_id(), Some("STANDIN000000001"));
    let missing = client.get_object().bucket(BUCKET).key("l").send().await;
    let Err(SdkError::ServiceError(error)) = missing else {
        panic!("not refused");
    };
    assert_eq!(error.err().meta().request_id(), Some("STANDIN000000002"));
}
