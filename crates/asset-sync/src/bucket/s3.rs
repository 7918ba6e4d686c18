//! A bucket of S3, or of a store that speaks its protocol.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_credentials::flatten;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId as _;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart, Delete, EncodingType,
    MetadataDirective, ObjectIdentifier,
};
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::time::Instant;

use super::{
    Bucket, BucketError, BucketErrorKind, Condition, CopySource, ETag, ListPage, MAX_BATCH, ObjectBody, ObjectInfo,
    ObjectSpec, SHA256_METADATA, UploadedPart,
};
use crate::digest::Sha256;
use crate::headers::Headers;

mod body;
mod connect;
mod conversion;
mod endpoint;
mod error;
mod listing;
mod put;
#[cfg(test)]
mod tests;

use body::{Progress, watched};
pub(crate) use connect::{CONNECT_TIMEOUT, behavior_version, direct_client};
pub use connect::{Encryption, S3Options};
use conversion::{
    absent_breaks_condition, copy_source, encryption, etag, if_match, if_none_match, object_info, present, timestamp,
    with_headers,
};
use error::Context;

/// A bucket of S3, or of a store that speaks its protocol.
///
/// Sends each request once: wrap it in [`Resilient`](super::Resilient) to have it retried.
#[derive(Clone)]
pub struct S3Bucket {
    client: Client,
    options: Arc<S3Options>,
}

/// A request under way. Boxed, since the SDK makes futures of 20 kB.
type Request<T, E> = Pin<Box<dyn Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send>>;

impl fmt::Debug for S3Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Bucket").field("options", &self.options).finish_non_exhaustive()
    }
}

impl S3Bucket {
    /// Sets up a client with the credentials and endpoint that the AWS SDK finds by its usual
    /// rules (environment, profile, web identity, container, instance; `AWS_ENDPOINT_URL_S3`).
    ///
    /// Sends no request to the bucket: what is wrong with it shows at the first one.
    pub async fn connect(options: S3Options) -> Self {
        Self { client: options.client().await, options: Arc::new(options) }
    }

    /// Uses the credentials, endpoint and HTTP client of `config`; retries, timeouts, checksums and
    /// everything in `options` are set over it.
    pub fn with_config(config: aws_sdk_s3::config::Builder, options: S3Options) -> Self {
        Self { client: Client::from_conf(options.configure(config).build()), options: Arc::new(options) }
    }

    /// The options it was made with.
    pub fn options(&self) -> &S3Options {
        &self.options
    }

    /// Another bucket of the same region, over the same connections.
    #[must_use]
    pub fn sibling(&self, bucket: &str) -> Self {
        let options = S3Options { bucket: bucket.to_owned(), ..S3Options::clone(&self.options) };
        Self { client: self.client.clone(), options: Arc::new(options) }
    }

    fn context<'a>(&'a self, operation: &'static str, key: Option<&'a str>) -> Context<'a> {
        Context { operation, bucket: &self.options.bucket, key, region: &self.options.region }
    }

    /// Waits for an answer to a request without a body.
    async fn answer<T, E>(&self, context: Context<'_>, request: Request<T, E>) -> Result<T, BucketError>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        self.answer_to_body(context, &Progress::new(0), request).await
    }

    /// Waits for an answer. The time for it begins anew whenever the connection takes a piece of the body.
    async fn answer_to_body<T, E>(
        &self,
        context: Context<'_>,
        progress: &Progress,
        mut request: Request<T, E>,
    ) -> Result<T, BucketError>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let limit = self.options.answer_timeout(progress.length);
        loop {
            let since = progress.since();
            match tokio::time::timeout_at(since + limit, &mut request).await {
                Ok(answer) => return answer.map_err(|error| context.sdk_error(error)),
                Err(_) if progress.since() > since => {}
                Err(_) => {
                    let (taken, length) = (progress.taken(), progress.length);
                    let sent =
                        if taken < length { format!("; {taken} of {length} bytes were sent") } else { String::new() };
                    let message = format!("no answer within {}{sent}", seconds(limit));
                    return Err(context.error(BucketErrorKind::Transient, message));
                }
            }
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.0} s", duration.as_secs_f64())
}

fn required<T>(value: Option<T>, what: &str, context: Context<'_>) -> Result<T, BucketError> {
    value.ok_or_else(|| context.error(BucketErrorKind::Transient, format!("the answer has no {what}")))
}

#[async_trait]
impl Bucket for S3Bucket {
    fn name(&self) -> &str {
        &self.options.bucket
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<ListPage, BucketError> {
        let context = self.context("ListObjectsV2", (!prefix.is_empty()).then_some(prefix));
        let kept = listing::KeptBody::default();
        let limit = self.options.answer_timeout(0);
        let begun = Instant::now();
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.options.bucket)
            .set_expected_bucket_owner(self.options.expected_owner.clone())
            .encoding_type(EncodingType::Url)
            // Empty too: a policy's condition on `s3:prefix` fails where the parameter is absent.
            .prefix(prefix)
            .set_start_after(start_after.map(str::to_owned))
            .customize()
            .interceptor(kept.clone());
        let answer = self.answer(context, Box::pin(request.send())).await?;
        let failed = |kind, message: String| BucketError {
            request_id: answer.request_id().map(str::to_owned),
            ..context.error(kind, message)
        };
        let rest = limit.saturating_sub(begun.elapsed());
        let body = match tokio::time::timeout(rest, listing::collect(kept.take())).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => {
                return Err(failed(BucketErrorKind::Transient, format!("the answer broke off: {}", flatten(&error))));
            }
            Err(_) => {
                let message = format!("no whole answer within {}", seconds(limit));
                return Err(failed(BucketErrorKind::Transient, message));
            }
        };
        let page = match listing::read(&body) {
            Ok(listing::Answer::Page(page)) => page,
            Ok(listing::Answer::Error(code, message)) => {
                let error = context.key_error(code.as_deref(), message.as_deref());
                return Err(failed(error.kind, error.message));
            }
            Err(what) => return Err(failed(BucketErrorKind::Transient, format!("the answer {what}"))),
        };
        // Callers go on after the last key: a store that did not go on would keep them for ever.
        let objects = &page.objects;
        let advanced = objects.first().is_none_or(|first| start_after.is_none_or(|after| &*first.key > after));
        if !advanced || (page.truncated && objects.is_empty()) || !objects.is_sorted_by(|a, b| a.key < b.key) {
            return Err(failed(
                BucketErrorKind::Invalid,
                "the store does not list in pages as S3 does: keys ascending, and after the one given".to_owned(),
            ));
        }
        Ok(page)
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, BucketError> {
        let context = self.context("HeadObject", Some(key));
        let request = self
            .client
            .head_object()
            .bucket(&self.options.bucket)
            .set_expected_bucket_owner(self.options.expected_owner.clone())
            .key(key)
            .checksum_mode(ChecksumMode::Enabled);
        match self.answer(context, Box::pin(request.send())).await {
            Ok(output) => object_info!(output, context).map(Some),
            Err(error) if error.kind == BucketErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<ObjectBody>, BucketError> {
        let context = self.context("GetObject", Some(key));
        let request = self
            .client
            .get_object()
            .bucket(&self.options.bucket)
            .set_expected_bucket_owner(self.options.expected_owner.clone())
            .key(key)
            .checksum_mode(ChecksumMode::Enabled);
        let output = match self.answer(context, Box::pin(request.send())).await {
            Ok(output) => output,
            Err(error) if error.kind == BucketErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let info = object_info!(output, context)?;
        let (bucket, key) = (self.clone(), key.to_owned());
        let stream = futures::stream::unfold(Some(output.body), move |body| {
            let (bucket, key) = (bucket.clone(), key.clone());
            async move {
                let mut body = body?;
                match body.next().await? {
                    Ok(piece) => Some((Ok(piece), Some(body))),
                    Err(error) => {
                        let message = format!("the body broke off: {}", flatten(&error));
                        let mut broken =
                            bucket.context("GetObject", Some(&key)).error(BucketErrorKind::Transient, message);
                        broken.source = Some(Box::new(error));
                        Some((Err(broken), None))
                    }
                }
            }
        });
        Ok(Some(ObjectBody { info, stream: stream.boxed() }))
    }

    async fn put(&self, spec: ObjectSpec<'_>, body: Bytes, condition: &Condition) -> Result<ETag, BucketError> {
        let context = self.context("PutObject", Some(spec.key));
        let progress = Progress::new(body.len());
        let request = with_headers!(self.client.put_object(), spec.headers, &self.options)
            .bucket(&self.options.bucket)
            .set_expected_bucket_owner(self.options.expected_owner.clone())
            .key(spec.key)
            .checksum_sha256(spec.sha256.to_base64())
            .metadata(SHA256_METADATA, spec.sha256.to_string())
            .set_if_match(if_match(condition))
            .set_if_none_match(if_none_match(condition))
            .body(watched(body, &progress));
        let output = self
            .answer_to_body(context, &progress, Box::pin(request.send()))
            .await
            .map_err(|error| absent_breaks_condition(error, condition))?;
        Ok(etag(&required(output.e_tag, "ETag", context)?))
    }

    async fn copy(
        &self,
        source: CopySource<'_>,
        spec: ObjectSpec<'_>,
        condition: &Condition,
    ) -> Result<ETag, BucketError> {
        let context = self.context("CopyObject", Some(spec.key));
        let request = with_headers!(self.client.copy_object(), spec.headers, &self.options)
            .bucket(&self.options.bucket)
            .set_expected_bucket_owner(self.options.expected_owner.clone())
            .key(spec.key)
            .copy_source(copy_source(source.bucket, source.key))
            .set_expected_source_bucket_owner(self.options.expected_owner.clone())
            .set_copy_source_if_match(source.etag.map(ToString::to_string))
            .metadata_directive(MetadataDirective::Replace)
            // So that a copy of a multipart object has a checksum of its whole content.
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .metadata(SHA256_METADATA, spec.sha256.to_string())
            .set_if_match(if_match(condition))
            .set_if_none_match(if_none_match(condition));
        let output = self.answer(context, Box::pin(request.send())).await?;
        let result = required(output.copy_object_result, "result", context)?;
        let full = result.checksum_type != Some(ChecksumType::Composite);
        let sha256 = result.checksum_sha256.as_deref().filter(|_| full).and_then(Sha256::from_base64);
        if let Some(copied) = sha256.filter(|copied| *copied != spec.sha256) {
            let message = format!("the content that was copied has the SHA-256 {copied}, not {}", spec.sha256);
            return Err(context.error(BucketErrorKind::ContentMismatch, message));
        }
        Ok(etag(&required(result.e_tag, "ETag", context)?))
    }

    async fn create_multipart(&self, spec: ObjectSpec<'_>) -> Result<String, BucketError> {
        let context = self.context("CreateMultipartUpload", Some(spec.key));
        let request = with_headers!(self.client.create_multipart_upload(), spec.headers, &self.options)
            .bucket(&self.options.bucket)
            .set_expected_bucket_owner(self.options.expected_owner.clone())
            .key(spec.key)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_type(ChecksumType::Composite)
            .metadata(SHA256_METADATA, spec.sha256.to_string());
        let output = self.answer(context, Box::pin(request.send())).await?;
        required(output.upload_id, "upload id", context)
    }

    async fn upload_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        body: Bytes,
        sha256: Sha256,
    ) -> Result<UploadedPart, BucketError> {
        let context = self.context("UploadPart", Some(key));
        let progress = Progress::new(body.len());
        let request = self
            .client
            .upload_part()
            .bucket(&self.options.bucket)
            .set_expected_bucket_owner(self.options.expected_owner.clone())
            .key(key)
            .upload_id(upload_id)
            .part_number(number)
            .checksum_sha256(sha256.to_base64())
            .body(watched(body, &progress));
        let output = self.answer_to_body(context, &progress, Box::pin(request.send())).await?;
        Ok(UploadedPart { number, etag: etag(&required(output.e_tag, "ETag", context)?), sha256 })
    }

    async fn complete_multipart(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[UploadedPart],
        condition: &Condition,
    ) -> Result<ETag, BucketError> {
        let context = self.context("CompleteMultipartUpload", Some(key));
        let parts = parts
            .iter()
            .map(|part| {
                CompletedPart::builder()
                    .part_number(part.number)
                    .e_tag(part.etag.to_string())
                    .checksum_sha256(part.sha256.to_base64())
                    .build()
            })
            .collect();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.options.bucket)
            .set_expected_bucket_owner(self.options.expected_owner.clone())
            .key(key)
            .upload_id(upload_id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .set_if_match(if_match(condition))
            .set_if_none_match(if_none_match(condition));
        let output = self.answer(context, Box::pin(request.send())).await.map_err(|error| {
            let no_upload = error.message.starts_with("NoSuchUpload");
            if no_upload { error } else { absent_breaks_condition(error, condition) }
        })?;
        Ok(etag(&required(output.e_tag, "ETag", context)?))
    }

    async fn abort_multipart(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        let context = self.context("AbortMultipartUpload", Some(key));
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&self.options.bucket)
            .set_expected_bucket_owner(self.options.expected_owner.clone())
            .key(key)
            .upload_id(upload_id);
        match self.answer(context, Box::pin(request.send())).await {
            Err(error) if error.kind != BucketErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn delete(&self, keys: &[(String, Option<ETag>)]) -> Result<Vec<Result<(), BucketError>>, BucketError> {
        let context = self.context("DeleteObjects", None);
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        if keys.len() > MAX_BATCH {
            return Err(context.error(BucketErrorKind::Invalid, format!("{} keys, more than {MAX_BATCH}", keys.len())));
        }
        let mut objects = Vec::with_capacity(keys.len());
        for (key, etag) in keys {
            let object = ObjectIdentifier::builder().key(key).set_e_tag(etag.as_ref().map(ToString::to_string));
            objects.push(object.build().map_err(|error| context.error(BucketErrorKind::Invalid, flatten(&error)))?);
        }
        // Not quiet: a key that the answer does not name must not pass for a deleted one.
        let delete = Delete::builder().set_objects(Some(objects)).quiet(false).build();
        let delete = delete.map_err(|error| context.error(BucketErrorKind::Invalid, flatten(&error)))?;
        let request = self
            .client
            .delete_objects()
            .bucket(&self.options.bucket)
            .set_expected_bucket_owner(self.options.expected_owner.clone())
            .delete(delete);
        let output = self.answer(context, Box::pin(request.send())).await?;

        let mut outcomes: HashMap<&str, Result<(), (Option<&str>, Option<&str>)>> =
            output.deleted().iter().filter_map(|deleted| Some((deleted.key()?, Ok(())))).collect();
        for error in output.errors() {
            if let Some(key) = error.key() {
                outcomes.insert(key, Err((error.code(), error.message())));
            }
        }
        let outcome = |key: &str| {
            let context = Context { key: Some(key), ..context };
            match outcomes.get(key) {
                Some(Ok(()) | Err((Some("NoSuchKey"), _))) => Ok(()),
                Some(&Err((code, message))) => Err(context.key_error(code, message)),
                None => {
                    Err(context.error(BucketErrorKind::Transient, "the answer does not say what became of the key"))
                }
            }
        };
        Ok(keys.iter().map(|(key, _)| outcome(key)).collect())
    }
}
