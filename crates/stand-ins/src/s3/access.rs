//! Who may do what: signatures, the region they are made for, and denied actions.

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use s3s::{
    S3Error, S3ErrorCode, S3Result,
    access::{S3Access, S3AccessContext},
    auth::{S3Auth, SecretKey},
    path::S3Path,
    s3_error,
};

use super::settings::S3Settings;

pub(super) struct Access(pub(super) S3Settings);

#[async_trait]
impl S3Auth for Access {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.0.secret_of(access_key).map(SecretKey::from).ok_or_else(|| {
            s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
        })
    }
}

#[async_trait]
impl S3Access for Access {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        if cx.credentials().is_none() {
            return Err(denied());
        }
        check_region(cx.headers(), self.0.region())?;
        let operation = cx.s3_op().name();
        let key = match cx.s3_path() {
            S3Path::Object { key, .. } => Some(&**key),
            S3Path::Root | S3Path::Bucket { .. } => None,
        };
        if self.0.denies(&[operation, iam_action(operation)], key) {
            return Err(denied());
        }
        // A condition on what is there reads what is there.
        if operation != "GetObject"
            && operation != "HeadObject"
            && cx.headers().contains_key(header::IF_MATCH)
            && self.0.denies(&["GetObject"], key)
        {
            return Err(denied());
        }
        Ok(())
    }
}

pub(super) fn denied() -> S3Error {
    s3_error!(AccessDenied, "Access Denied")
}

/// The IAM action, without its `s3:`, that an operation needs.
fn iam_action(operation: &str) -> &str {
    match operation {
        "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" | "CopyObject" => "PutObject",
        "HeadObject" => "GetObject",
        "ListObjectsV2" | "ListObjects" | "HeadBucket" => "ListBucket",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        "ListParts" => "ListMultipartUploadParts",
        "ListBuckets" => "ListAllMyBuckets",
        other => other,
    }
}

/// A bucket lives in one region, and S3 refuses requests signed for another.
fn check_region(headers: &HeaderMap, expected: &str) -> S3Result<()> {
    // Credential=<key>/<date>/<region>/<service>/aws4_request
    let region = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once("Credential="))
        .and_then(|(_, scope)| scope.split('/').nth(2));
    let Some(region) = region.filter(|region| *region != expected) else {
        return Ok(());
    };
    let mut error = S3Error::with_message(
        S3ErrorCode::AuthorizationHeaderMalformed,
        format!(
            "The authorization header is malformed; the region '{region}' is wrong; expecting \
             '{expected}'"
        ),
    );
    if let Ok(value) = HeaderValue::from_str(expected) {
        let name = HeaderName::from_static("x-amz-bucket-region");
        error.set_headers(HeaderMap::from_iter([(name, value)]));
    }
    Err(error)
}
