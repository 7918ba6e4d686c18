//! From the S3 API's types to the store's and back.

use std::{collections::BTreeMap, time::SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::StreamExt;
use s3s::{
    Body, S3Error, S3Result, TrailingHeaders,
    dto::{self, ETag, ETagCondition, StreamingBlob, Timestamp},
    s3_error,
};

use super::error::from_body;
use crate::store::{Checksum, ChecksumAlgorithm, ChecksumKind, Conditions, Content, EtagMatch, md5};

/// The value of each checksum field of an S3 type that has them all.
macro_rules! checksum_values {
    ($holder:expr) => {{
        use $crate::store::ChecksumAlgorithm as Algorithm;
        [
            (Algorithm::Crc32, $holder.checksum_crc32.clone()),
            (Algorithm::Crc32c, $holder.checksum_crc32c.clone()),
            (Algorithm::Crc64Nvme, $holder.checksum_crc64nvme.clone()),
            (Algorithm::Sha1, $holder.checksum_sha1.clone()),
            (Algorithm::Sha256, $holder.checksum_sha256.clone()),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?)))
        .collect::<Vec<(Algorithm, String)>>()
    }};
}

/// Fills the checksum fields of an S3 type from an optional checksum.
macro_rules! set_checksum_values {
    ($holder:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            use $crate::store::ChecksumAlgorithm as Algorithm;
            let value = Some(checksum.value.clone());
            match checksum.algorithm {
                Algorithm::Crc32 => $holder.checksum_crc32 = value,
                Algorithm::Crc32c => $holder.checksum_crc32c = value,
                Algorithm::Crc64Nvme => $holder.checksum_crc64nvme = value,
                Algorithm::Sha1 => $holder.checksum_sha1 = value,
                Algorithm::Sha256 => $holder.checksum_sha256 = value,
            }
        }
    };
}

pub(super) use {checksum_values, set_checksum_values};

/// Reads a request's body to its end; hyper's layer below has it in memory already.
pub(super) async fn read_body(body: Option<StreamingBlob>) -> S3Result<Content> {
    let mut segments: Vec<Bytes> = Vec::new();
    if let Some(mut body) = body {
        while let Some(segment) = body.next().await {
            segments.push(segment.map_err(|error| from_body(&error))?);
        }
    }
    Ok(match segments.as_slice() {
        // Unwrapping aws-chunked leaves many pieces: one allocation serves readers better.
        [_, _, ..] => Content::from_segments(segments).to_bytes().into(),
        _ => Content::from_segments(segments),
    })
}

pub(super) fn blob(content: &Content) -> StreamingBlob {
    match content.segments() {
        [] => StreamingBlob::new(Body::empty()),
        [only] => StreamingBlob::new(Body::from(only.clone())),
        several => {
            let segments: Vec<_> = several.iter().cloned().map(Ok::<_, std::io::Error>).collect();
            StreamingBlob::wrap(futures::stream::iter(segments))
        }
    }
}

/// Verifies what the client says about the bytes, in headers or, after a streamed body, in
/// trailers, and returns the checksum to keep.
pub(super) fn verify(
    key: &str,
    content: &Content,
    content_md5: Option<&str>,
    mut given: Vec<(ChecksumAlgorithm, String)>,
    trailers: Option<&TrailingHeaders>,
) -> S3Result<Option<Checksum>> {
    if let Some(given) = content_md5 {
        let digest = BASE64_STANDARD.decode(given);
        let digest = digest.ok().filter(|digest| digest.len() == 16);
        let digest = digest.ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid."))?;
        if digest != md5(content) {
            return Err(bad_digest(key, "Content-MD5"));
        }
    }
    if let Some(trailers) = trailers {
        trailers.read(|trailers| {
            for algorithm in ChecksumAlgorithm::ALL {
                let value = trailers.get(algorithm.header());
                if let Some(value) = value.and_then(|value| value.to_str().ok()) {
                    given.push((algorithm, value.trim().to_owned()));
                }
            }
        });
    }
    for (algorithm, value) in &given {
        if algorithm.value_of(content) != *value {
            return Err(bad_digest(key, algorithm.as_str()));
        }
    }
    Ok(given.into_iter().next().map(|(algorithm, value)| Checksum { algorithm, kind: ChecksumKind::FullObject, value }))
}

fn bad_digest(key: &str, what: &str) -> S3Error {
    s3_error!(BadDigest, "The {what} you specified did not match what we received for {key}.")
}

pub(super) fn etag(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::from(time)
}

pub(super) fn etag_match(condition: &ETagCondition) -> EtagMatch {
    match condition {
        ETagCondition::Any => EtagMatch::Any,
        ETagCondition::ETag(etag) => EtagMatch::Etag(etag.value().to_owned()),
    }
}

/// The conditions of a write. S3 knows only `*` for `If-None-Match` there.
pub(super) fn write_conditions(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<Conditions> {
    if matches!(if_none_match, Some(ETagCondition::ETag(_))) {
        return Err(s3_error!(NotImplemented, "If-None-Match of a write must be *"));
    }
    Ok(Conditions { if_match: if_match.map(etag_match), if_none_match: if_none_match.map(etag_match) })
}

pub(super) fn checksum_type(kind: ChecksumKind) -> dto::ChecksumType {
    dto::ChecksumType::from_static(match kind {
        ChecksumKind::FullObject => dto::ChecksumType::FULL_OBJECT,
        ChecksumKind::Composite => dto::ChecksumType::COMPOSITE,
    })
}

pub(super) fn checksum_algorithm(algorithm: ChecksumAlgorithm) -> dto::ChecksumAlgorithm {
    dto::ChecksumAlgorithm::from_static(algorithm.as_str())
}

/// The algorithm that a request names.
pub(super) fn parse_algorithm(named: Option<&dto::ChecksumAlgorithm>) -> S3Result<Option<ChecksumAlgorithm>> {
    named
        .map(|named| {
            ChecksumAlgorithm::from_name(named.as_str())
                .ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm {} is not supported here", named.as_str()))
        })
        .transpose()
}

pub(super) fn metadata(given: Option<dto::Metadata>) -> BTreeMap<String, String> {
    given.unwrap_or_default().into_iter().collect()
}

pub(super) fn metadata_back(own: &BTreeMap<String, String>) -> Option<dto::Metadata> {
    (!own.is_empty()).then(|| own.clone().into_iter().collect())
}

/// S3 keeps no `aws-chunked`, which is only about the request's body.
pub(super) fn stored_encoding(given: Option<String>) -> Option<String> {
    let codings: Vec<_> = given?
        .split(',')
        .map(|coding| coding.trim().to_owned())
        .filter(|coding| !coding.is_empty() && coding != "aws-chunked")
        .collect();
    (!codings.is_empty()).then(|| codings.join(","))
}

/// The object headers of a request type that has them all.
macro_rules! object_headers {
    ($input:expr) => {
        $crate::store::ObjectHeaders {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_encoding: $crate::s3::conversion::stored_encoding($input.content_encoding.take()),
            content_disposition: $input.content_disposition.take(),
            content_language: $input.content_language.take(),
            website_redirect: $input.website_redirect_location.take(),
        }
    };
}

pub(super) use object_headers;
