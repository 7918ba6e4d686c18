//! How a client is set up: where it connects, how long it waits, what it leaves to others.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Region, RequestChecksumCalculation, SharedHttpClient, SharedInterceptor,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use super::endpoint::KnownEndpoints;
use super::put::Shortcuts;

/// The SDK's defaults as of this date, so that an update of the SDK does not change ours.
pub(crate) fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// How long a TCP and TLS connection may take to come about.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the body of an answer may stand still before it is given up.
const STALL_GRACE: Duration = Duration::from_secs(20);

/// How much of a body may be on its way without any sign: in the socket's buffer, which Linux makes as large
/// as 4 MiB (`tcp_wmem` in tcp(7)).
const UNSEEN: usize = 4 * 1024 * 1024;

/// A client that knows of no proxy. The SDK's own goes by `HTTP_PROXY` and its like, and unlike other
/// programs through it even to this machine.
pub(crate) fn direct_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
}

/// How a store encrypts what is written: the `x-amz-server-side-encryption` header and the one with the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// With keys of S3 (`AES256`).
    Aes256,
    /// With a key of AWS KMS (`aws:kms`).
    Kms {
        /// The key's id, alias or ARN; S3 takes its own key of the account where there is none.
        key_id: Option<String>,
    },
}

/// Which bucket to use, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Options {
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's region, such as `eu-west-1`.
    pub region: String,
    /// Whether the bucket's name goes into the path rather than the host name. Many stores that are
    /// not AWS need it.
    pub force_path_style: bool,
    /// How long one attempt of a request may take until the answer begins. For a body of more than 64 KiB that
    /// time begins anew whenever the connection takes a piece of it, and is longer by a second for every
    /// [`SLOWEST_UPLOAD`](Self::SLOWEST_UPLOAD) bytes, of at most 4 MiB, that may wait in buffers.
    pub request_timeout: Duration,
    /// How the store is asked to encrypt every object that is written; nothing leaves it to the bucket's default.
    /// Objects that are there already stay as they are.
    pub encryption: Option<Encryption>,
    /// The 12 digits of the AWS account that the bucket, and the source of each copy, must belong to. Every
    /// request names it, and S3 denies those to a bucket of another account.
    pub expected_owner: Option<String>,
    /// Whether to connect directly, whatever proxy the environment names: for a server on this machine.
    pub direct: bool,
}

impl S3Options {
    /// Bytes per second that one upload makes at the least while nothing of it can be seen.
    ///
    /// Low, since many uploads share one line.
    pub const SLOWEST_UPLOAD: u64 = 32 * 1024;

    /// A bucket in a region, with path style off and a request timeout of 30 s.
    pub fn new(bucket: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            region: region.into(),
            force_path_style: false,
            request_timeout: Duration::from_secs(30),
            encryption: None,
            expected_owner: None,
            direct: false,
        }
    }

    /// How long the answer to a request with a body of so many bytes may take since the body last moved.
    pub(super) fn answer_timeout(&self, body: usize) -> Duration {
        self.request_timeout + Duration::from_secs(body.min(UNSEEN) as u64 / Self::SLOWEST_UPLOAD)
    }

    /// A client for these options on top of what the environment, the profile and the instance say
    /// of credentials and endpoints.
    pub(super) async fn client(&self) -> Client {
        let region = Region::new(self.region.clone());
        let shared = aws_credentials::load(aws_config::defaults(behavior_version()), region, None).await;
        Client::from_conf(self.configure(Builder::from(&shared)).build())
    }

    /// What this crate relies on, whatever else is configured.
    pub(super) fn configure(&self, config: Builder) -> Builder {
        let config = if self.direct { config.http_client(direct_client()) } else { config };
        config
            .behavior_version(behavior_version())
            .region(Region::new(self.region.clone()))
            .force_path_style(self.force_path_style)
            // `Resilient` retries: the SDK's own budget of retries is shared by the whole process,
            // so that a burst of throttling would exhaust it for everybody.
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
            // Of answers only: see `body` for requests.
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled().upload_enabled(false).grace_period(STALL_GRACE).build(),
            )
            // Every body goes out with its SHA-256, so a CRC32 besides would only cost.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .endpoint_resolver(KnownEndpoints::default())
            .interceptor(SharedInterceptor::new(Shortcuts))
    }
}
