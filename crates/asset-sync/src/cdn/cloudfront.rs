//! CloudFront.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credentials::{Refusal, failure, flatten, wrong_clock};
use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::config::http::HttpResponse;
use aws_sdk_cloudfront::config::retry::RetryConfig;
use aws_sdk_cloudfront::config::timeout::TimeoutConfig;
use aws_sdk_cloudfront::config::{Builder, Region};
use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudfront::operation::RequestId as _;
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use tokio::sync::OnceCell;

use super::{Cdn, CdnError, CdnErrorKind, InvalidationStatus};
use crate::bucket::s3::{CONNECT_TIMEOUT, behavior_version, direct_client};

/// CloudFront is one service for the whole world, whose requests are signed for this region.
const REGION: Region = Region::from_static("us-east-1");
/// How long one attempt of a request may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a request is sent at most. All of them can be repeated: a caller reference makes sure
/// that an invalidation is made once.
const ATTEMPTS: u32 = 8;

/// CloudFront, retrying what may pass by itself a few times.
#[derive(Clone)]
pub struct CloudFront {
    config: Config,
    client: Arc<OnceCell<Client>>,
}

#[derive(Clone)]
enum Config {
    /// Found by the SDK's rules.
    Found {
        direct: bool,
    },
    Given(Box<Builder>),
}

impl fmt::Debug for CloudFront {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudFront").finish_non_exhaustive()
    }
}

impl CloudFront {
    /// CloudFront with the credentials and endpoint that the AWS SDK finds by its usual rules
    /// (environment, profile, web identity, container, instance; `AWS_ENDPOINT_URL_CLOUDFRONT`).
    ///
    /// Looks for them at the first request: what is wrong with them shows then, and a run that
    /// invalidates nothing needs none.
    pub fn connect() -> Self {
        Self::new(Config::Found { direct: false })
    }

    /// The same, connected to directly, whatever proxy the environment names: for a server on this
    /// machine.
    pub fn connect_directly() -> Self {
        Self::new(Config::Found { direct: true })
    }

    /// `config` with an HTTP client that knows of no proxy.
    pub fn directly(config: Builder) -> Builder {
        config.http_client(direct_client())
    }

    /// Uses the credentials, endpoint and HTTP client of `config`; region, retries and timeouts are
    /// set over it.
    pub fn with_config(config: Builder) -> Self {
        Self::new(Config::Given(Box::new(config)))
    }

    fn new(config: Config) -> Self {
        Self { config, client: Arc::default() }
    }

    async fn client(&self) -> &Client {
        let make = async || {
            let config = match &self.config {
                Config::Given(config) => Builder::clone(config),
                Config::Found { direct } => {
                    let shared = aws_credentials::load(aws_config::defaults(behavior_version()), REGION, None).await;
                    let config = Builder::from(&shared);
                    if *direct { Self::directly(config) } else { config }
                }
            };
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build();
            let config = config
                .behavior_version(behavior_version())
                .region(REGION)
                .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
                .timeout_config(timeouts);
            Client::from_conf(config.build())
        };
        self.client.get_or_init(make).await
    }
}

fn invalid(operation: &'static str, distribution: &str, message: impl Into<String>) -> CdnError {
    CdnError {
        kind: CdnErrorKind::Invalid,
        operation,
        distribution: distribution.to_owned(),
        message: message.into(),
        request_id: None,
        source: None,
    }
}

fn cdn_error<E>(operation: &'static str, distribution: &str, error: SdkError<E, HttpResponse>) -> CdnError
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let request_id = error.request_id().map(str::to_owned);
    let (kind, message) = match &error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code();
            let message = match (code, service.err().message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => format!("{code} (HTTP {status})"),
                (None, Some(message)) => format!("HTTP {status}: {message}"),
                (None, None) => format!("HTTP {status} without an explanation"),
            };
            let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
            let date = service.raw().headers().get("date");
            let text = service.err().message().unwrap_or_default();
            match wrong_clock(&Refusal { code, message: text, date, body: None }, SystemTime::now()) {
                Some(message) if matches!(status, 400..=403) => (CdnErrorKind::WrongClock, message),
                _ => (kind(status, code), message),
            }
        }
        unanswered => match failure(unanswered) {
            Some(failure) if failure.is_transient => {
                (CdnErrorKind::Transient, format!("no AWS credentials: {}", failure.message))
            }
            Some(failure) => (CdnErrorKind::Credentials, format!("no AWS credentials: {}", failure.message)),
            None => {
                let (kind, what) = unanswered_kind(unanswered);
                let cause = unanswered.source().map_or_else(|| unanswered.to_string(), flatten);
                (kind, format!("{what}: {cause}"))
            }
        },
    };
    let source: Option<Box<dyn StdError + Send + Sync>> = match error {
        // Its code and message are in ours.
        SdkError::ServiceError(_) => None,
        other => Some(Box::new(other)),
    };
    CdnError { kind, operation, distribution: distribution.to_owned(), message, request_id, source }
}

/// The meaning of there being no answer that could be read.
fn unanswered_kind<E: StdError + 'static>(error: &SdkError<E, HttpResponse>) -> (CdnErrorKind, &'static str) {
    match error {
        SdkError::ConstructionFailure(_) => (CdnErrorKind::Invalid, "the request cannot be made"),
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            (CdnErrorKind::Invalid, "the request cannot be sent")
        }
        SdkError::ResponseError(response) => match response.raw().status().as_u16() {
            status @ 400.. => (kind(status, None), "unreadable answer"),
            _ => (CdnErrorKind::Transient, "unreadable answer"),
        },
        _ => (CdnErrorKind::Transient, "no answer"),
    }
}

/// The meaning of an answer.
fn kind(status: u16, code: Option<&str>) -> CdnErrorKind {
    use CdnErrorKind as Kind;
    match (status, code) {
        (_, Some("NoSuchDistribution")) => Kind::NoSuchDistribution,
        (_, Some("InvalidationBatchAlreadyExists")) => Kind::ReferenceReused,
        (_, Some("TooManyInvalidationsInProgress")) => Kind::TooManyInProgress,
        (
            _,
            Some(
                "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidClientTokenId"
                | "InvalidToken"
                | "SignatureDoesNotMatch"
                | "IncompleteSignature"
                | "MissingAuthenticationToken"
                | "UnrecognizedClientException"
                | "InvalidAccessKeyId"
                | "RequestExpired"
                | "RequestTimeTooSkewed"
                | "InvalidSignatureException",
            ),
        )
        | (401, _) => Kind::Credentials,
        (_, Some("AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation")) | (403, _) => Kind::Denied,
        (
            _,
            Some(
                "Throttling"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "TooManyRequests"
                | "TooManyRequestsException"
                | "ServiceUnavailable"
                | "SlowDown",
            ),
        )
        | (429 | 503, _) => Kind::Throttled,
        (408 | 500..=599, _) | (_, Some("InternalError" | "InternalFailure" | "RequestTimeout")) => Kind::Transient,
        _ => Kind::Invalid,
    }
}

/// CloudFront knows the statuses `InProgress` and `Completed`; other servers write the latter in
/// capitals.
fn status(text: &str) -> InvalidationStatus {
    if text.eq_ignore_ascii_case("completed") { InvalidationStatus::Completed } else { InvalidationStatus::InProgress }
}

#[async_trait]
impl Cdn for CloudFront {
    async fn create_invalidation(
        &self,
        distribution: &str,
        caller_reference: &str,
        paths: &[String],
    ) -> Result<(String, InvalidationStatus), CdnError> {
        const OPERATION: &str = "CreateInvalidation";
        let batch = i32::try_from(paths.len())
            .map_err(|_| "too many paths".to_owned())
            .and_then(|quantity| {
                let paths = Paths::builder().quantity(quantity).set_items(Some(paths.to_vec())).build();
                paths.map_err(|error| flatten(&error))
            })
            .and_then(|paths| {
                let batch = InvalidationBatch::builder().paths(paths).caller_reference(caller_reference).build();
                batch.map_err(|error| flatten(&error))
            })
            .map_err(|message| invalid(OPERATION, distribution, message))?;
        let request = self.client().await.create_invalidation().distribution_id(distribution).invalidation_batch(batch);
        let output = request.send().await.map_err(|error| cdn_error(OPERATION, distribution, error))?;
        let made = output.invalidation.ok_or_else(|| CdnError {
            kind: CdnErrorKind::Transient,
            ..invalid(OPERATION, distribution, "the answer has no invalidation")
        })?;
        let status = status(&made.status);
        Ok((made.id, status))
    }

    async fn invalidation(&self, distribution: &str, id: &str) -> Result<Option<InvalidationStatus>, CdnError> {
        const OPERATION: &str = "GetInvalidation";
        match self.client().await.get_invalidation().distribution_id(distribution).id(id).send().await {
            Ok(output) => {
                let found = output.invalidation.ok_or_else(|| CdnError {
                    kind: CdnErrorKind::Transient,
                    ..invalid(OPERATION, distribution, "the answer has no invalidation")
                })?;
                Ok(Some(status(&found.status)))
            }
            Err(SdkError::ServiceError(service)) if service.err().code() == Some("NoSuchInvalidation") => Ok(None),
            Err(error) => Err(cdn_error(OPERATION, distribution, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CdnErrorKind as Kind;

    #[test]
    fn meanings() {
        for (status, code, expected) in [
            (404, Some("NoSuchDistribution"), Kind::NoSuchDistribution),
            (403, Some("AccessDenied"), Kind::Denied),
            (403, None, Kind::Denied),
            (403, Some("SignatureDoesNotMatch"), Kind::Credentials),
            (403, Some("ExpiredToken"), Kind::Credentials),
            (409, Some("InvalidationBatchAlreadyExists"), Kind::ReferenceReused),
            (400, Some("TooManyInvalidationsInProgress"), Kind::TooManyInProgress),
            (400, Some("Throttling"), Kind::Throttled),
            (503, None, Kind::Throttled),
            (500, None, Kind::Transient),
            (502, None, Kind::Transient),
            (400, Some("InvalidArgument"), Kind::Invalid),
            (413, Some("BatchTooLarge"), Kind::Invalid),
        ] {
            assert_eq!(kind(status, code), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn statuses() {
        assert_eq!(status("InProgress"), InvalidationStatus::InProgress);
        assert_eq!(status("Completed"), InvalidationStatus::Completed);
        assert_eq!(status("COMPLETED"), InvalidationStatus::Completed);
    }
}
