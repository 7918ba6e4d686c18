//! The S3 code and status of each error.

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, StdError};

use crate::store::StoreError;

/// Turns an error of the store into S3's.
pub(super) fn from_store(error: StoreError) -> S3Error {
    let code = match &error {
        StoreError::NoSuchBucket { .. } => S3ErrorCode::NoSuchBucket,
        StoreError::BucketExists { .. } => S3ErrorCode::BucketAlreadyOwnedByYou,
        StoreError::NoSuchKey { .. } => S3ErrorCode::NoSuchKey,
        StoreError::PreconditionFailed { .. } => S3ErrorCode::PreconditionFailed,
        StoreError::NoSuchUpload { .. } => S3ErrorCode::NoSuchUpload,
        StoreError::InvalidPart { .. } => S3ErrorCode::InvalidPart,
        StoreError::InvalidPartOrder { .. } => S3ErrorCode::InvalidPartOrder,
        StoreError::PartTooSmall { .. } => S3ErrorCode::EntityTooSmall,
        StoreError::InvalidRequest { .. } => S3ErrorCode::InvalidRequest,
        StoreError::BadDigest { .. } => S3ErrorCode::BadDigest,
        StoreError::Io { .. } | StoreError::NotAStore { .. } | StoreError::InUse { .. } => S3ErrorCode::InternalError,
    };
    let mut answer = S3Error::with_message(code, error.to_string());
    answer.set_source(Box::new(error));
    answer
}

/// An error that s3s has no code for.
pub(super) fn custom(status: StatusCode, code: &'static str, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

/// What went wrong while a body was read. The types of these errors are private to s3s, their
/// texts are all there is to go by.
pub(super) fn from_body(error: &StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        custom(
            StatusCode::BAD_REQUEST,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    } else if text.contains("SignatureMismatch") {
        S3ErrorCode::SignatureDoesNotMatch.into()
    } else if text.contains("Incomplete") || text.contains("LengthMismatch") {
        S3ErrorCode::IncompleteBody.into()
    } else {
        S3Error::with_message(S3ErrorCode::InvalidRequest, text)
    }
}
