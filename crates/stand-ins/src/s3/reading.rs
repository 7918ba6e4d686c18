//! Reading objects: whole, in ranges, under conditions, or only what is known of them.

use s3s::{
    S3Error, S3Result,
    dto::{self, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput},
    s3_error,
};

use super::{
    conversion::{blob, checksum_type, etag, etag_match, metadata_back, set_checksum_values, timestamp},
    error::from_store,
};
use crate::store::{Conditions, Object};

/// What S3 says of an object put without a content type.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

pub(super) fn get_object(object: &Object, input: &GetObjectInput) -> S3Result<GetObjectOutput> {
    check_read(
        object,
        &input.key,
        input.if_match.as_ref(),
        input.if_none_match.as_ref(),
        input.if_modified_since.as_ref(),
        input.if_unmodified_since.as_ref(),
    )?;
    let size = object.content.len();
    let range = input.range.map(|range| range.check(size).map_err(|_| s3_error!(InvalidRange))).transpose()?;
    let content_range = range.as_ref().map(|range| format!("bytes {}-{}/{size}", range.start, range.end - 1));
    let content = match range {
        Some(range) => object.content.slice(range),
        None => object.content.clone(),
    };
    let mut output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(blob(&content)),
        content_length: i64::try_from(content.len()).ok(),
        content_range,
        e_tag: Some(etag(&object.etag)),
        last_modified: Some(timestamp(object.last_modified)),
        metadata: metadata_back(&object.metadata),
        cache_control: object.headers.cache_control.clone(),
        content_type: Some(content_type(object)),
        content_encoding: object.headers.content_encoding.clone(),
        content_disposition: object.headers.content_disposition.clone(),
        content_language: object.headers.content_language.clone(),
        website_redirect_location: object.headers.website_redirect.clone(),
        ..Default::default()
    };
    // A checksum is of the whole object and says nothing of a range.
    if wants_checksum(input.checksum_mode.as_ref()) && output.content_range.is_none() {
        set_checksum_values!(output, &object.checksum);
        output.checksum_type = object.checksum.as_ref().map(|own| checksum_type(own.kind));
    }
    Ok(output)
}

pub(super) fn head_object(object: &Object, input: &HeadObjectInput) -> S3Result<HeadObjectOutput> {
    check_read(
        object,
        &input.key,
        input.if_match.as_ref(),
        input.if_none_match.as_ref(),
        input.if_modified_since.as_ref(),
        input.if_unmodified_since.as_ref(),
    )?;
    let mut output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        content_length: i64::try_from(object.content.len()).ok(),
        e_tag: Some(etag(&object.etag)),
        last_modified: Some(timestamp(object.last_modified)),
        metadata: metadata_back(&object.metadata),
        cache_control: object.headers.cache_control.clone(),
        content_type: Some(content_type(object)),
        content_encoding: object.headers.content_encoding.clone(),
        content_disposition: object.headers.content_disposition.clone(),
        content_language: object.headers.content_language.clone(),
        website_redirect_location: object.headers.website_redirect.clone(),
        ..Default::default()
    };
    if wants_checksum(input.checksum_mode.as_ref()) {
        set_checksum_values!(output, &object.checksum);
        output.checksum_type = object.checksum.as_ref().map(|own| checksum_type(own.kind));
    }
    Ok(output)
}

/// The conditions of a read: 412 where one fails, 304 where the reader has it already.
pub(super) fn check_read(
    object: &Object,
    key: &str,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    if_modified_since: Option<&dto::Timestamp>,
    if_unmodified_since: Option<&dto::Timestamp>,
) -> S3Result<()> {
    let modified = timestamp(object.last_modified);
    let conditions = Conditions { if_match: if_match.map(etag_match), if_none_match: None };
    conditions.check(key, Some(object)).map_err(from_store)?;
    if if_match.is_none() && if_unmodified_since.is_some_and(|since| modified > *since) {
        return Err(s3_error!(PreconditionFailed));
    }
    let known = match if_none_match {
        Some(condition) => {
            let unknown = Conditions { if_match: None, if_none_match: Some(etag_match(condition)) };
            unknown.check(key, Some(object)).is_err()
        }
        None => if_modified_since.is_some_and(|since| modified <= *since),
    };
    if known {
        return Err(S3Error::new(s3s::S3ErrorCode::NotModified));
    }
    Ok(())
}

fn content_type(object: &Object) -> String {
    let own = object.headers.content_type.as_deref();
    own.unwrap_or(DEFAULT_CONTENT_TYPE).to_owned()
}

fn wants_checksum(mode: Option<&dto::ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == dto::ChecksumMode::ENABLED)
}
