//! What a failed request means, told from the HTTP status first and the error code second.
//!
//! Stores that speak S3 agree on statuses more than on codes.

use std::error::Error as StdError;
use std::time::SystemTime;

use aws_credentials::{Refusal, failure, flatten, wrong_clock};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::{RequestId as _, RequestIdExt as _};

use crate::bucket::{BucketError, BucketErrorKind};

/// What a request was about, for its error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) operation: &'static str,
    pub(super) bucket: &'a str,
    pub(super) key: Option<&'a str>,
    /// The region the request was signed for.
    pub(super) region: &'a str,
}

impl Context<'_> {
    pub(super) fn error(&self, kind: BucketErrorKind, message: impl Into<String>) -> BucketError {
        BucketError {
            kind,
            operation: self.operation,
            bucket: self.bucket.to_owned(),
            key: self.key.map(str::to_owned),
            message: message.into(),
            request_id: None,
            source: None,
        }
    }

    /// The error of a failed request.
    pub(super) fn sdk_error<E>(&self, error: SdkError<E, HttpResponse>) -> BucketError
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let request_id = request_id(&error);
        let answer = match &error {
            // A success that could not be read is no answer either.
            SdkError::ServiceError(service)
                if service.err().code().is_some() || !service.raw().status().is_success() =>
            {
                Some((service.raw(), service.err().code(), service.err().message()))
            }
            // An answer that could not be read: cut short, or not from an S3 at all.
            SdkError::ResponseError(response) if !response.raw().status().is_success() => {
                Some((response.raw(), None, None))
            }
            _ => None,
        };
        let (kind, message) = if let Some((response, code, text)) = answer {
            let status = response.status().as_u16();
            let region = response.headers().get("x-amz-bucket-region");
            let kind = self.redirected(status, code, region).unwrap_or_else(|| kind(status, code));
            match clock(kind, response, code, text) {
                Some(message) => (BucketErrorKind::WrongClock, message),
                None => (kind, self.describe(kind, status, code, text, region)),
            }
        } else {
            unanswered(&error)
        };
        let source: Option<Box<dyn StdError + Send + Sync>> =
            if answer.is_some() { None } else { Some(Box::new(error)) };
        BucketError { request_id, source, ..self.error(kind, message) }
    }

    fn redirected(&self, status: u16, code: Option<&str>, region: Option<&str>) -> Option<BucketErrorKind> {
        let elsewhere = region.is_some_and(|region| region != self.region);
        let named = matches!(
            code,
            Some(
                "PermanentRedirect"
                    | "TemporaryRedirect"
                    | "AuthorizationHeaderMalformed"
                    | "IllegalLocationConstraintException"
                    | "InvalidRegionName"
            )
        );
        let silent_and_elsewhere = elsewhere && code.is_none() && matches!(status, 400 | 403);
        (matches!(status, 301 | 307) || named || silent_and_elsewhere).then_some(BucketErrorKind::WrongRegion)
    }

    fn describe(
        &self,
        kind: BucketErrorKind,
        status: u16,
        code: Option<&str>,
        text: Option<&str>,
        region: Option<&str>,
    ) -> String {
        let mut message = match (code, text.map(one_line).filter(|text| !text.is_empty())) {
            (Some(code), Some(text)) => format!("{code}: {text}"),
            (Some(code), None) => format!("{code} (HTTP {status})"),
            (None, Some(text)) => format!("HTTP {status}: {text}"),
            (None, None) => format!("HTTP {status} without an explanation"),
        };
        match (kind, region) {
            (BucketErrorKind::WrongRegion, Some(region)) if region != self.region => {
                message = format!("the bucket is in region {region}, not {} ({message})", self.region);
            }
            (BucketErrorKind::WrongRegion, _) => {
                message = format!("the bucket is not in region {} ({message})", self.region);
            }
            (BucketErrorKind::Credentials, _) if code.is_none() => {
                message.push_str(", as for expired or wrong credentials");
            }
            _ => {}
        }
        message
    }

    /// The error of one key of a `DeleteObjects` request, which has no status of its own.
    pub(super) fn key_error(&self, code: Option<&str>, text: Option<&str>) -> BucketError {
        let kind = kind(200, code);
        self.error(kind, self.describe(kind, 200, code, text, None))
    }
}

/// Whether a request was refused for the time it was signed at.
fn clock(kind: BucketErrorKind, response: &HttpResponse, code: Option<&str>, text: Option<&str>) -> Option<String> {
    if !matches!(kind, BucketErrorKind::Credentials | BucketErrorKind::Denied) {
        return None;
    }
    let message = text.map(one_line).unwrap_or_default();
    let date = response.headers().get("date");
    wrong_clock(&Refusal { code, message: &message, date, body: response.body().bytes() }, SystemTime::now())
}

/// There was no answer, or none was asked for.
fn unanswered<E>(error: &SdkError<E, HttpResponse>) -> (BucketErrorKind, String)
where
    E: StdError + 'static,
{
    if let Some(failure) = failure(error) {
        let message = format!("no AWS credentials: {}", failure.message);
        let late = failure.is_transient;
        return (if late { BucketErrorKind::LateCredentials } else { BucketErrorKind::Credentials }, message);
    }
    let cause = error.source().map_or_else(|| one_line(&error.to_string()), flatten);
    match error {
        SdkError::ConstructionFailure(_) => (BucketErrorKind::Invalid, format!("the request cannot be made: {cause}")),
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            (BucketErrorKind::Invalid, format!("the request cannot be sent: {cause}"))
        }
        SdkError::TimeoutError(_) => (BucketErrorKind::Transient, format!("no answer in time: {cause}")),
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => {
            (BucketErrorKind::Transient, format!("unreadable answer: {cause}"))
        }
        _ => (BucketErrorKind::Transient, format!("no answer: {cause}")),
    }
}

/// The meaning of an answer.
fn kind(status: u16, code: Option<&str>) -> BucketErrorKind {
    use BucketErrorKind as Kind;
    let by_code = match code {
        Some("NoSuchBucket") => Some(Kind::NoSuchBucket),
        Some("NoSuchKey" | "NoSuchUpload" | "NotFound") => Some(Kind::NotFound),
        Some(
            "ExpiredToken"
            | "ExpiredTokenException"
            | "TokenRefreshRequired"
            | "InvalidToken"
            | "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "RequestTimeTooSkewed"
            | "RequestExpired"
            | "AuthFailure",
        ) => Some(Kind::Credentials),
        Some(
            "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "AccountProblem" | "UnauthorizedAccess",
        ) => Some(Kind::Denied),
        Some("PreconditionFailed") => Some(Kind::PreconditionFailed),
        Some("ConditionalRequestConflict" | "OperationAborted") => Some(Kind::Transient),
        Some(
            "BadDigest"
            | "InvalidDigest"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch"
            | "ChecksumMismatch",
        ) => Some(Kind::ContentMismatch),
        Some(
            "SlowDown"
            | "SlowDownRead"
            | "SlowDownWrite"
            | "ServiceUnavailable"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequests"
            | "TooManyRequestsException"
            | "BandwidthLimitExceeded",
        ) => Some(Kind::Throttled),
        Some("InternalError" | "RequestTimeout" | "RequestTimeoutException" | "IncompleteBody") => {
            Some(Kind::Transient)
        }
        _ => None,
    };
    match status {
        412 => Kind::PreconditionFailed,
        429 | 503 => Kind::Throttled,
        401 => Kind::Credentials,
        404 => by_code.filter(|kind| *kind == Kind::NoSuchBucket).unwrap_or(Kind::NotFound),
        403 => by_code.filter(|kind| *kind == Kind::Credentials).unwrap_or(Kind::Denied),
        408 | 500..=599 => by_code.filter(|kind| *kind == Kind::Throttled).unwrap_or(Kind::Transient),
        // A HEAD has no body to say why: this is what expired credentials get.
        400 if code.is_none() => Kind::Credentials,
        _ => by_code.unwrap_or(Kind::Invalid),
    }
}

fn request_id<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let headers = error.raw_response()?.headers();
    match (headers.request_id(), headers.extended_request_id()) {
        (Some(id), Some(extended)) => Some(format!("{id}, extended {extended}")),
        (Some(id), None) => Some(id.to_owned()),
        (None, extended) => extended.map(|id| format!("extended {id}")),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use BucketErrorKind as Kind;

    #[test]
    fn meanings() {
        for (status, code, expected) in [
            (404, Some("NoSuchBucket"), Kind::NoSuchBucket),
            (404, Some("NoSuchKey"), Kind::NotFound),
            (404, Some("NoSuchUpload"), Kind::NotFound),
            (404, None, Kind::NotFound),
            (403, Some("AccessDenied"), Kind::Denied),
            (403, None, Kind::Denied),
            (403, Some("SomethingNew"), Kind::Denied),
            (403, Some("SignatureDoesNotMatch"), Kind::Credentials),
            (403, Some("InvalidAccessKeyId"), Kind::Credentials),
            (403, Some("RequestTimeTooSkewed"), Kind::Credentials),
            (400, Some("ExpiredToken"), Kind::Credentials),
            (400, Some("InvalidToken"), Kind::Credentials),
            (400, None, Kind::Credentials),
            (401, None, Kind::Credentials),
            (412, Some("PreconditionFailed"), Kind::PreconditionFailed),
            (412, None, Kind::PreconditionFailed),
            (409, Some("ConditionalRequestConflict"), Kind::Transient),
            (400, Some("BadDigest"), Kind::ContentMismatch),
            (400, Some("InvalidDigest"), Kind::ContentMismatch),
            (400, Some("XAmzContentSHA256Mismatch"), Kind::ContentMismatch),
            (503, Some("SlowDown"), Kind::Throttled),
            (503, None, Kind::Throttled),
            (429, None, Kind::Throttled),
            (500, Some("InternalError"), Kind::Transient),
            (500, None, Kind::Transient),
            (502, None, Kind::Transient),
            (504, None, Kind::Transient),
            (400, Some("RequestTimeout"), Kind::Transient),
            (200, Some("InternalError"), Kind::Transient),
            (200, Some("SlowDown"), Kind::Throttled),
            (200, Some("AccessDenied"), Kind::Denied),
            (400, Some("EntityTooSmall"), Kind::Invalid),
            (400, Some("InvalidPart"), Kind::Invalid),
            (405, None, Kind::Invalid),
        ] {
            assert_eq!(kind(status, code), expected, "{status} {code:?}");
        }
    }
}
