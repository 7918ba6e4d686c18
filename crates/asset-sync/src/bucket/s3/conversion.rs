//! Between the terms of the SDK and ours.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::ServerSideEncryption;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Encryption, S3Options};
use crate::bucket::{BucketError, BucketErrorKind, Condition, ETag};

/// Everything but what RFC 3986 leaves unreserved, and the slashes of a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// S3 rules: `x-amz-copy-source` is URL-encoded by the caller; the SDK sends it as it is.
pub(super) fn copy_source(bucket: &str, key: &str) -> String {
    format!("{bucket}/{}", utf8_percent_encode(key, PATH))
}

/// Decodes a key of a listing with `encoding-type=url`, where a space is a `+`; `None` where it is
/// the same.
///
/// # Errors
/// What is wrong with it, as words that go on after "the answer ".
pub(super) fn decode_key(key: &str) -> Result<Option<String>, String> {
    if !key.contains(['+', '%']) {
        return Ok(None);
    }
    let key = key.replace('+', " ");
    let decoded = percent_decode_str(&key).decode_utf8().map_err(|_| "has a key that is not UTF-8".to_owned())?;
    Ok(Some(decoded.into_owned()))
}

/// Some stores leave the quotes out in some places.
pub(super) fn etag(text: &str) -> ETag {
    if text.starts_with('"') || text.starts_with("W/") { text.into() } else { format!("\"{text}\"").as_str().into() }
}

pub(super) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}

pub(super) fn if_match(condition: &Condition) -> Option<String> {
    match condition {
        Condition::IfMatch(etag) => Some(etag.to_string()),
        Condition::Always | Condition::IfAbsent => None,
    }
}

pub(super) fn if_none_match(condition: &Condition) -> Option<String> {
    (*condition == Condition::IfAbsent).then(|| "*".to_owned())
}

/// S3 answers 404 where `If-Match` meets an absent key.
pub(super) fn absent_breaks_condition(mut error: BucketError, condition: &Condition) -> BucketError {
    if error.kind == BucketErrorKind::NotFound && matches!(condition, Condition::IfMatch(_)) {
        error.kind = BucketErrorKind::PreconditionFailed;
    }
    error
}

/// The same fields of the outputs of HEAD and GET, which are types of their own.
macro_rules! object_info {
    ($output:expr, $context:expr) => {{
        let output = &$output;
        let full = output.checksum_type() != Some(&ChecksumType::Composite);
        let checked = output.checksum_sha256().filter(|_| full).and_then(Sha256::from_base64);
        let stated = || output.metadata()?.get(SHA256_METADATA)?.parse().ok();
        match (output.e_tag(), output.content_length().and_then(|length| u64::try_from(length).ok())) {
            (Some(tag), Some(size)) => Ok(ObjectInfo {
                size,
                etag: etag(tag),
                last_modified: output.last_modified().and_then(timestamp),
                headers: Headers {
                    content_type: output.content_type().unwrap_or_default().to_owned(),
                    cache_control: present(output.cache_control()),
                    content_encoding: present(output.content_encoding()),
                    content_disposition: present(output.content_disposition()),
                    content_language: present(output.content_language()),
                    redirect: present(output.website_redirect_location()),
                },
                sha256: checked.or_else(stated),
                sha256_is_computed: checked.is_some(),
            }),
            _ => Err($context.error($crate::bucket::BucketErrorKind::Invalid, "the answer has no ETag or no length")),
        }
    }};
}

pub(super) fn present(header: Option<&str>) -> Option<String> {
    header.filter(|value| !value.is_empty()).map(str::to_owned)
}

/// The headers of an object, in the builders of the three requests that write one.
macro_rules! with_headers {
    ($request:expr, $headers:expr, $options:expr) => {{
        let headers: &Headers = $headers;
        let (encryption, key_id) = encryption($options);
        $request
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key_id)
            .content_type(&headers.content_type)
            .set_cache_control(headers.cache_control.clone())
            .set_content_encoding(headers.content_encoding.clone())
            .set_content_disposition(headers.content_disposition.clone())
            .set_content_language(headers.content_language.clone())
            .set_website_redirect_location(headers.redirect.clone())
    }};
}

pub(super) use {object_info, with_headers};

/// How an object is to be encrypted, and with which key. AWS rule: parts are encrypted as their upload was begun,
/// and take no such headers.
pub(super) fn encryption(options: &S3Options) -> (Option<ServerSideEncryption>, Option<String>) {
    match &options.encryption {
        None => (None, None),
        Some(Encryption::Aes256) => (Some(ServerSideEncryption::Aes256), None),
        Some(Encryption::Kms { key_id }) => (Some(ServerSideEncryption::AwsKms), key_id.clone()),
    }
}
