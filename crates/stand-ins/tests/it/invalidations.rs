//! The CloudFront API.

use std::time::Duration;

use aws_sdk_cloudfront::{
    Client,
    client::Waiters,
    error::{ProvideErrorMetadata, SdkError},
    operation::create_invalidation::CreateInvalidationOutput,
    types::{InvalidationBatch, Paths},
};
use stand_ins::{Completion, DISTRIBUTION, Effect, StandIns, When};

use crate::support::{cloudfront, refusal, start};

type Created = Result<
    CreateInvalidationOutput,
    SdkError<aws_sdk_cloudfront::operation::create_invalidation::CreateInvalidationError>,
>;

async fn create(client: &Client, reference: &str, paths: &[&str]) -> Created {
    let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
    let batch = InvalidationBatch::builder()
        .caller_reference(reference)
        .paths(Paths::builder().quantity(i32::try_from(paths.len()).unwrap()).set_items(Some(paths)).build().unwrap())
        .build()
        .unwrap();
    client.create_invalidation().distribution_id(DISTRIBUTION).invalidation_batch(batch).send().await
}

async fn id(client: &Client, reference: &str, paths: &[&str]) -> String {
    let created = create(client, reference, paths).await.unwrap();
    created.invalidation.unwrap().id
}

async fn status(client: &Client, id: &str) -> String {
    let got = client.get_invalidation().distribution_id(DISTRIBUTION).id(id).send().await.unwrap();
    got.invalidation.unwrap().status
}

async fn start_both() -> (StandIns, Client) {
    let (stand_ins, _) = start().await;
    let client = cloudfront(&stand_ins);
    (stand_ins, client)
}

#[tokio::test]
async fn is_in_progress_for_so_many_polls() {
    let (stand_ins, client) = start_both().await;
    stand_ins.cloudfront().set_completion(Completion { polls: 2, after: Duration::ZERO });
    let created = create(&client, "r", &["/a&b(c)"]).await.unwrap();
    assert!(created.location().unwrap().contains(DISTRIBUTION));
    let invalidation = created.invalidation().unwrap();
    assert_eq!(invalidation.status(), "InProgress");
    let batch = invalidation.invalidation_batch().unwrap();
    assert_eq!(batch.caller_reference(), "r");
    assert_eq!(batch.paths().unwrap().items(), ["/a&b(c)"]);
    let id = invalidation.id();
    for expected in ["InProgress", "InProgress", "Completed", "Completed"] {
        assert_eq!(status(&client, id).await, expected);
    }
    assert!(stand_ins.cloudfront().invalidations(DISTRIBUTION)[0].completed);
}

#[tokio::test]
async fn is_in_progress_for_some_time() {
    let (stand_ins, client) = start_both().await;
    stand_ins.cloudfront().set_completion(Completion { polls: 0, after: Duration::from_mins(1) });
    let id = id(&client, "r", &["/*"]).await;
    assert_eq!(status(&client, &id).await, "InProgress");
    stand_ins.clock().advance(Duration::from_secs(59));
    assert_eq!(status(&client, &id).await, "InProgress");
    stand_ins.clock().advance(Duration::from_secs(1));
    assert_eq!(status(&client, &id).await, "Completed");
}

#[tokio::test]
async fn the_sdk_s_waiter_sees_it_complete() {
    let (_stand_ins, client) = start_both().await;
    let id = id(&client, "r", &["/a"]).await;
    status(&client, &id).await;
    client
        .wait_until_invalidation_completed()
        .distribution_id(DISTRIBUTION)
        .id(id)
        .wait(Duration::from_mins(1))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_reference_gives_the_first_again_or_refuses_other_paths() {
    let (stand_ins, client) = start_both().await;
    let first = id(&client, "r", &["/a", "/b"]).await;
    assert_eq!(id(&client, "r", &["/a", "/b"]).await, first);
    let other = create(&client, "r", &["/a"]).await;
    let code = "InvalidationBatchAlreadyExists".to_owned();
    assert_eq!(refusal(other), (409, code));
    let all = stand_ins.cloudfront().invalidations(DISTRIBUTION);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].paths, ["/a", "/b"]);
}

#[tokio::test]
async fn limits_what_is_in_progress() {
    let (stand_ins, client) = start_both().await;
    stand_ins.cloudfront().set_completion(Completion { polls: 0, after: Duration::from_mins(1) });
    let too_many = (400, "TooManyInvalidationsInProgress".to_owned());
    let many: Vec<_> = (0..3_000).map(|n| format!("/{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    create(&client, "paths", &many[..2_999]).await.unwrap();
    assert_eq!(refusal(create(&client, "2", &["/a", "/b"]).await), too_many);
    create(&client, "3", &["/a"]).await.unwrap();
    assert_eq!(refusal(create(&client, "4", &["/b"]).await), too_many);

    let wild: Vec<_> = (0..15).map(|n| format!("/{n}/*")).collect();
    let wild: Vec<_> = wild.iter().map(String::as_str).collect();
    create(&client, "wild", &wild).await.unwrap();
    assert_eq!(refusal(create(&client, "5", &["/x*"]).await), too_many);

    stand_ins.clock().advance(Duration::from_mins(1));
    create(&client, "6", &many).await.unwrap();
}

#[tokio::test]
async fn refuses_malformed_paths_and_unknown_distributions() {
    let (stand_ins, client) = start_both().await;
    for path in ["a", "/a*b", "/a b", "/é"] {
        let refused = create(&client, path, &[path]).await;
        assert_eq!(refusal(refused), (400, "InvalidArgument".to_owned()));
    }
    let batch = InvalidationBatch::builder()
        .caller_reference("r")
        .paths(Paths::builder().quantity(2).items("/a").build().unwrap())
        .build()
        .unwrap();
    let create_at = |distribution: &str| {
        client.create_invalidation().distribution_id(distribution).invalidation_batch(batch.clone()).send()
    };
    let refused = create_at(DISTRIBUTION).await;
    assert_eq!(refusal(refused), (400, "InconsistentQuantities".to_owned()));
    let refused = create_at("EOTHER").await;
    assert_eq!(refusal(refused), (404, "NoSuchDistribution".to_owned()));
    let unknown = client.get_invalidation().distribution_id(DISTRIBUTION).id("IUNKNOWN").send().await;
    assert_eq!(refusal(unknown), (404, "NoSuchInvalidation".to_owned()));
    assert!(stand_ins.cloudfront().invalidations(DISTRIBUTION).is_empty());
}

#[tokio::test]
async fn lists_newest_first_in_pages() {
    let (_stand_ins, client) = start_both().await;
    let mut ids = Vec::new();
    for reference in ["1", "2", "3"] {
        ids.insert(0, id(&client, reference, &["/a"]).await);
    }
    let mut listed = Vec::new();
    let mut marker = None;
    loop {
        let page = client
            .list_invalidations()
            .distribution_id(DISTRIBUTION)
            .max_items(2)
            .set_marker(marker)
            .send()
            .await
            .unwrap()
            .invalidation_list
            .unwrap();
        listed.extend(page.items().iter().map(|i| i.id().to_owned()));
        if !page.is_truncated() {
            break;
        }
        marker = page.next_marker().map(str::to_owned);
    }
    assert_eq!(listed, ids);
}

#[tokio::test]
async fn can_be_denied_throttled_and_logged() {
    let (stand_ins, client) = start_both().await;
    stand_ins.cloudfront().deny("CreateInvalidation");
    let denied = create(&client, "r", &["/a"]).await;
    assert_eq!(refusal(denied), (403, "AccessDenied".to_owned()));
    stand_ins.cloudfront().allow_all();
    stand_ins.faults().once(When::operation("CreateInvalidation"), Effect::error(400, "Throttling", "Rate exceeded"));
    let throttled = create(&client, "r", &["/a"]).await;
    let Err(SdkError::ServiceError(error)) = throttled else {
        panic!("not refused");
    };
    assert_eq!(error.err().message(), Some("Rate exceeded"));
    let id = id(&client, "r", &["/a"]).await;
    status(&client, &id).await;
    let log = stand_ins.faults().requests();
    let operations: Vec<_> = log.iter().map(|r| (r.operation, r.key.as_deref())).collect();
    assert_eq!(
        operations,
        [
            ("CreateInvalidation", None),
            ("CreateInvalidation", None),
            ("CreateInvalidation", None),
            ("GetInvalidation", Some(id.as_str())),
        ]
    );
}

#[tokio::test]
async fn refuses_other_credentials() {
    let (stand_ins, _) = start_both().await;
    let config = aws_sdk_cloudfront::Config::builder()
        .behavior_version(aws_sdk_cloudfront::config::BehaviorVersion::latest())
        .region(aws_sdk_cloudfront::config::Region::new("us-east-1"))
        .credentials_provider(crate::support::credentials("AKIAOTHER", "secret"))
        .endpoint_url(stand_ins.cloudfront_endpoint())
        .retry_config(aws_sdk_cloudfront::config::retry::RetryConfig::disabled());
    let refused = create(&Client::from_conf(config.build()), "r", &["/a"]).await;
    assert_eq!(refusal(refused), (403, "InvalidClientTokenId".to_owned()));
}
