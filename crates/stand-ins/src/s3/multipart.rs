//! The operations of multipart uploads.

use s3s::{
    S3Request, S3Result, TrailingHeaders,
    dto::{
        self, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
        CreateMultipartUploadOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
        ListPartsOutput, UploadPartInput, UploadPartOutput,
    },
    s3_error,
};

use super::{
    conversion::{
        checksum_algorithm, checksum_type, checksum_values, etag, metadata, object_headers, parse_algorithm, read_body,
        set_checksum_values, timestamp, verify,
    },
    error::from_store,
    listing::Encoding,
};
use crate::store::{ChecksumKind, CompletedPart, Conditions, MAX_PART_NUMBER, NewUpload, Store, UnfinishedUpload};

/// S3 limits: at most so many uploads or parts in a page.
const MAX_PAGE: i32 = 1_000;

pub(super) fn create(store: &Store, mut input: CreateMultipartUploadInput) -> S3Result<CreateMultipartUploadOutput> {
    let algorithm = parse_algorithm(input.checksum_algorithm.as_ref())?;
    let kind = match input.checksum_type.as_ref().map(dto::ChecksumType::as_str) {
        None => None,
        Some(dto::ChecksumType::FULL_OBJECT) => Some(ChecksumKind::FullObject),
        Some(dto::ChecksumType::COMPOSITE) => Some(ChecksumKind::Composite),
        Some(other) => {
            return Err(s3_error!(InvalidRequest, "Checksum type {other} is unknown"));
        }
    };
    let checksum = match (algorithm, kind) {
        (None, None) => None,
        (None, Some(_)) => {
            return Err(s3_error!(
                InvalidRequest,
                "The x-amz-checksum-type header can only be used with x-amz-checksum-algorithm"
            ));
        }
        (Some(algorithm), kind) => {
            let kind = kind.unwrap_or_else(|| algorithm.default_kind());
            if !algorithm.offers(kind) {
                return Err(s3_error!(
                    InvalidRequest,
                    "The {} checksum type cannot be used with the {} checksum algorithm",
                    checksum_type(kind).as_str(),
                    algorithm.as_str()
                ));
            }
            Some((algorithm, kind))
        }
    };
    let new = NewUpload { headers: object_headers!(input), metadata: metadata(input.metadata), checksum };
    let id = store.create_upload(&input.bucket, &input.key, new).map_err(from_store)?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: checksum.map(|(algorithm, _)| checksum_algorithm(algorithm)),
        checksum_type: checksum.map(|(_, kind)| checksum_type(kind)),
        ..Default::default()
    })
}

pub(super) async fn upload_part(store: &Store, mut req: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
    let body = req.input.body.take();
    let input = req.input;
    let trailers: Option<TrailingHeaders> = req.trailing_headers;
    let number = u16::try_from(input.part_number)
        .ok()
        .filter(|number| (1..=MAX_PART_NUMBER).contains(number))
        .ok_or_else(|| s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"))?;
    let upload = store.upload(&input.bucket, &input.key, &input.upload_id).map_err(from_store)?;
    let content = read_body(body).await?;
    let checksum =
        verify(&input.key, &content, input.content_md5.as_deref(), checksum_values!(input), trailers.as_ref())?;
    // Without an algorithm named on creation, checksums of parts are verified and not kept.
    let checksum = match upload.checksum {
        None => None,
        Some((algorithm, _)) => match checksum {
            Some(given) if given.algorithm != algorithm => {
                return Err(s3_error!(
                    InvalidRequest,
                    "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum \
                     Type: {}",
                    algorithm.as_str().to_lowercase(),
                    given.algorithm.as_str().to_lowercase()
                ));
            }
            None => Some(algorithm.of(&content)),
            given => given,
        },
    };
    let part =
        store.put_part(&input.bucket, &input.key, &input.upload_id, number, content, checksum).map_err(from_store)?;
    let mut output = UploadPartOutput { e_tag: Some(etag(&part.etag)), ..Default::default() };
    set_checksum_values!(output, &part.checksum);
    Ok(output)
}

pub(super) fn complete(
    store: &Store,
    input: CompleteMultipartUploadInput,
    conditions: &Conditions,
) -> S3Result<CompleteMultipartUploadOutput> {
    let expected = checksum_values!(input);
    let named = input
        .multipart_upload
        .and_then(|upload| upload.parts)
        .filter(|parts| !parts.is_empty())
        .ok_or_else(|| s3_error!(MalformedXML, "You must specify at least one part"))?;
    let mut parts = Vec::with_capacity(named.len());
    for part in named {
        let number = part.part_number.and_then(|number| u16::try_from(number).ok());
        let (Some(number), Some(etag)) = (number, &part.e_tag) else {
            return Err(s3_error!(MalformedXML, "A part lacks its number or ETag"));
        };
        parts.push(CompletedPart { number, etag: etag.value().to_owned(), checksums: checksum_values!(part) });
    }
    if let Some(size) = input.mpu_object_size {
        let upload = store.upload(&input.bucket, &input.key, &input.upload_id).map_err(from_store)?;
        let sum: u64 =
            parts.iter().filter_map(|part| upload.parts.get(&part.number)).map(|part| part.content.len()).sum();
        if u64::try_from(size).ok() != Some(sum) {
            return Err(s3_error!(
                InvalidRequest,
                "The provided 'x-amz-mp-object-size' header does not match the parts"
            ));
        }
    }
    let object = store
        .complete_upload(&input.bucket, &input.key, &input.upload_id, &parts, &expected, conditions)
        .map_err(from_store)?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(etag(&object.etag)),
        checksum_type: object.checksum.as_ref().map(|own| checksum_type(own.kind)),
        ..Default::default()
    };
    set_checksum_values!(output, &object.checksum);
    Ok(output)
}

pub(super) fn list_uploads(store: &Store, input: ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
    if !store.has_bucket(&input.bucket) {
        return Err(s3_error!(NoSuchBucket));
    }
    if input.delimiter.is_some() {
        return Err(s3_error!(NotImplemented, "This stand-in lists uploads without a delimiter only"));
    }
    let encoding = Encoding::new(input.encoding_type)?;
    let limit = input.max_uploads.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = |upload: &UnfinishedUpload| match (&input.key_marker, &input.upload_id_marker) {
        (None, _) => true,
        (Some(key), None) => upload.key > *key,
        (Some(key), Some(id)) => (&upload.key, &upload.id) > (key, id),
    };
    let mut found =
        store.uploads(&input.bucket).into_iter().filter(|upload| upload.key.starts_with(&prefix) && after(upload));
    let page: Vec<_> = found.by_ref().take(limit.unsigned_abs() as usize).collect();
    let last = found.next().and(page.last());
    Ok(ListMultipartUploadsOutput {
        is_truncated: Some(last.is_some()),
        next_key_marker: last.map(|upload| encoding.apply(upload.key.as_str())),
        next_upload_id_marker: last.map(|upload| upload.id.clone()),
        bucket: Some(input.bucket),
        max_uploads: Some(limit),
        prefix: input.prefix.map(|prefix| encoding.apply(prefix)),
        key_marker: input.key_marker.map(|marker| encoding.apply(marker)),
        upload_id_marker: input.upload_id_marker,
        uploads: Some(
            page.iter()
                .map(|upload| dto::MultipartUpload {
                    key: Some(encoding.apply(upload.key.as_str())),
                    upload_id: Some(upload.id.clone()),
                    initiated: Some(timestamp(upload.initiated)),
                    checksum_algorithm: upload.checksum.map(|(a, _)| checksum_algorithm(a)),
                    checksum_type: upload.checksum.map(|(_, kind)| checksum_type(kind)),
                    ..Default::default()
                })
                .collect(),
        ),
        encoding_type: encoding.named(),
        ..Default::default()
    })
}

pub(super) fn list_parts(store: &Store, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let upload = store.upload(&input.bucket, &input.key, &input.upload_id).map_err(from_store)?;
    let limit = input.max_parts.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let marker = input.part_number_marker.unwrap_or_default();
    let mut found = upload.parts.iter().filter(|(number, _)| i32::from(**number) > marker);
    let page: Vec<_> = found.by_ref().take(limit.unsigned_abs() as usize).collect();
    let last = found.next().and(page.last());
    Ok(ListPartsOutput {
        is_truncated: Some(last.is_some()),
        next_part_number_marker: last.map(|(number, _)| i32::from(**number)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: Some(limit),
        part_number_marker: Some(marker),
        checksum_algorithm: upload.checksum.map(|(a, _)| checksum_algorithm(a)),
        checksum_type: upload.checksum.map(|(_, kind)| checksum_type(kind)),
        parts: Some(
            page.iter()
                .map(|(number, part)| {
                    let mut listed = dto::Part {
                        part_number: Some(i32::from(**number)),
                        e_tag: Some(etag(&part.etag)),
                        size: i64::try_from(part.content.len()).ok(),
                        last_modified: Some(timestamp(part.last_modified)),
                        ..Default::default()
                    };
                    set_checksum_values!(listed, &part.checksum);
                    listed
                })
                .collect(),
        ),
        ..Default::default()
    })
}
