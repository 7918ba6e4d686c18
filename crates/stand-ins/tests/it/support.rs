//! Clients of the real SDK for the stand-ins, without retries: what a server answers is seen.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::{
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
};
use stand_ins::{ACCESS_KEY, Clock, Conditions, NewObject, ObjectHeaders, REGION, SECRET_KEY, StandIns};

pub(crate) const BUCKET: &str = stand_ins::BUCKET;

/// A time in 2026 with a fraction of a second, to show that S3 cuts it off.
pub(crate) fn start_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_750)
}

pub(crate) fn credentials(key: &str, secret: &str) -> Credentials {
    Credentials::new(key, secret, None, None, "test")
}

pub(crate) fn s3_config(endpoint: &str) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(credentials(ACCESS_KEY, SECRET_KEY))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
}

pub(crate) fn s3(stand_ins: &StandIns) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(s3_config(&stand_ins.s3_endpoint()).build())
}

pub(crate) async fn start() -> (StandIns, aws_sdk_s3::Client) {
    let stand_ins = StandIns::builder().clock(Clock::manual(start_time())).start().await.unwrap();
    let client = s3(&stand_ins);
    (stand_ins, client)
}

pub(crate) async fn put(client: &aws_sdk_s3::Client, key: &str, body: &'static str) -> String {
    client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(ByteStream::from_static(body.as_bytes()))
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap()
}

/// Status and error code of a refused request.
pub(crate) fn refusal<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> (u16, String) {
    match result {
        Err(SdkError::ServiceError(error)) => {
            (error.raw().status().as_u16(), error.err().code().unwrap_or_default().to_owned())
        }
        other => panic!("no refusal: {other:?}"),
    }
}

pub(crate) fn cloudfront(stand_ins: &StandIns) -> aws_sdk_cloudfront::Client {
    aws_sdk_cloudfront::Client::from_conf(
        aws_sdk_cloudfront::Config::builder()
            .behavior_version(aws_sdk_cloudfront::config::BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials(ACCESS_KEY, SECRET_KEY))
            .endpoint_url(stand_ins.cloudfront_endpoint())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .build(),
    )
}

/// Puts an object past the servers, as from outside.
pub(crate) fn plant(stand_ins: &StandIns, key: &str, body: &'static str) {
    let object = NewObject::new(body, ObjectHeaders::with_content_type("text/plain"));
    stand_ins.store().put(BUCKET, key, object, &Conditions::none()).unwrap();
}

/// One HTTP request as a browser would send it.
pub(crate) async fn request(
    base: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> (http::response::Parts, bytes::Bytes) {
    use http_body_util::{BodyExt, Empty};

    let address = base.strip_prefix("http://").unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::builder().method(method).uri(target).header("host", address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    (parts, body.collect().await.unwrap().to_bytes())
}
