//! Every file into the bucket.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use super::{Failure, IN_FLIGHT, Target, key};

/// Length of a part, as a deployment has by default.
const PART: usize = 8 * 1024 * 1024;
/// Parts of one file in flight, as many as a deployment's default budget of memory holds.
const PARTS_IN_FLIGHT: usize = 8;

const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

pub(crate) async fn all(target: Target, files: Vec<(PathBuf, u64)>, directory: &Path) -> Result<(), Failure> {
    let files = Arc::new(files);
    let directory: Arc<Path> = directory.into();
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..IN_FLIGHT.min(files.len()) {
        let (target, files, directory, next) =
            (target.clone(), Arc::clone(&files), Arc::clone(&directory), Arc::clone(&next));
        workers.spawn(async move {
            while let Some((path, size)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let key = key(&directory, path)?;
                if *size > 2 * PART as u64 {
                    large(&target, path, &key).await?;
                } else {
                    small(&target, path, key).await?;
                }
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

async fn small(target: &Target, path: &Path, key: String) -> Result<(), Failure> {
    // The file is in the page cache, or should be: a thread for it would cost more.
    let body = std::fs::read(path)?;
    let sha256 = Sha256::digest(&body);
    let request = target
        .client
        .put_object()
        .bucket(&*target.bucket)
        .key(key)
        .content_type("text/javascript; charset=utf-8")
        .cache_control(CACHE_CONTROL)
        .if_none_match("*")
        .metadata("sha256", hex::encode(sha256))
        .checksum_sha256(BASE64_STANDARD.encode(sha256))
        .body(ByteStream::from(body));
    Box::pin(request.send()).await?;
    Ok(())
}

async fn large(target: &Target, path: &Path, key: &str) -> Result<(), Failure> {
    let create = target
        .client
        .create_multipart_upload()
        .bucket(&*target.bucket)
        .key(key)
        .content_type("application/octet-stream")
        .cache_control(CACHE_CONTROL)
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .checksum_type(ChecksumType::Composite);
    let created = Box::pin(create.send()).await?;
    let id = created.upload_id().ok_or("an upload without an id")?;
    let mut file = std::fs::File::open(path)?;
    let mut in_flight = FuturesUnordered::new();
    let mut parts = Vec::new();
    for number in 1.. {
        if in_flight.len() == PARTS_IN_FLIGHT
            && let Some(part) = in_flight.next().await
        {
            parts.push(part?);
        }
        let mut body = Vec::with_capacity(PART);
        file.by_ref().take(PART as u64).read_to_end(&mut body)?;
        if body.is_empty() {
            break;
        }
        in_flight.push(part(target.clone(), key.to_owned(), id.to_owned(), number, body.into()));
    }
    while let Some(part) = in_flight.next().await {
        parts.push(part?);
    }
    parts.sort_unstable_by_key(CompletedPart::part_number);
    let upload = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = target
        .client
        .complete_multipart_upload()
        .bucket(&*target.bucket)
        .key(key)
        .upload_id(id)
        .multipart_upload(upload);
    Box::pin(complete.send()).await?;
    Ok(())
}

async fn part(target: Target, key: String, id: String, number: i32, body: Bytes) -> Result<CompletedPart, Failure> {
    let checksum = BASE64_STANDARD.encode(Sha256::digest(&body));
    let request = target
        .client
        .upload_part()
        .bucket(&*target.bucket)
        .key(key)
        .upload_id(id)
        .part_number(number)
        .checksum_sha256(&checksum)
        .body(ByteStream::from(body));
    let sent = Box::pin(request.send()).await?;
    Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).checksum_sha256(checksum).build())
}
