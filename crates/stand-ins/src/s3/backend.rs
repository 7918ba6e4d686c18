//! The operations on buckets and objects.

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, header};
use s3s::{
    S3, S3Request, S3Response, S3Result,
    dto::{
        self, AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
        CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource,
        CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
        DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, ETagCondition,
        GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput,
        HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
        ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
        ListPartsOutput, PutObjectInput, PutObjectOutput, UploadPartInput, UploadPartOutput,
    },
    s3_error,
};

use super::{
    access::denied,
    conversion::{
        checksum_type, checksum_values, etag, metadata, object_headers, parse_algorithm, read_body,
        set_checksum_values, timestamp, verify, write_conditions,
    },
    error::from_store,
    listing, multipart,
    reading::{self, check_read},
    settings::S3Settings,
};
use crate::store::{Conditions, EtagMatch, NewObject, Object, Store, StoreError};

/// S3 limits: `DeleteObjects` takes at most so many keys.
const MAX_DELETES: usize = 1_000;

pub(super) struct Backend {
    pub(super) store: Store,
    pub(super) settings: S3Settings,
}

impl Backend {
    fn conditions(
        &self,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<Conditions> {
        if self.settings.ignores_conditions() {
            return Ok(Conditions::none());
        }
        write_conditions(if_match, if_none_match)
    }

    /// The object to read, or the error that S3 gives to a reader who may not list.
    fn readable(&self, bucket: &str, key: &str) -> S3Result<std::sync::Arc<Object>> {
        self.store.get(bucket, key).map_err(|error| match error {
            StoreError::NoSuchKey { .. } if self.settings.missing_key_is_forbidden() => denied(),
            error => from_store(error),
        })
    }
}

#[async_trait]
impl S3 for Backend {
    async fn list_buckets(&self, _req: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let buckets = self
            .store
            .buckets()
            .into_iter()
            .map(|(name, created)| dto::Bucket {
                name: Some(name),
                creation_date: Some(timestamp(created)),
                bucket_region: Some(self.settings.region().to_owned()),
            })
            .collect();
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), ..Default::default() }))
    }

    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = &req.input.bucket;
        self.store.create_bucket(bucket).map_err(from_store)?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{bucket}")) }))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        if !self.store.has_bucket(&req.input.bucket) {
            return Err(s3_error!(NoSuchBucket));
        }
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(self.settings.region().to_owned()),
            ..Default::default()
        }))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        if !self.store.has_bucket(&req.input.bucket) {
            return Err(s3_error!(NoSuchBucket));
        }
        // S3 says nothing for its first region.
        let region = self.settings.region();
        Ok(S3Response::new(GetBucketLocationOutput {
            location_constraint: (region != "us-east-1")
                .then(|| dto::BucketLocationConstraint::from(region.to_owned())),
        }))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        listing::list_objects_v2(&self.store, req.input).map(S3Response::new)
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let object = self.readable(&req.input.bucket, &req.input.key)?;
        reading::get_object(&object, &req.input).map(S3Response::new)
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let object = self.readable(&req.input.bucket, &req.input.key)?;
        reading::head_object(&object, &req.input).map(S3Response::new)
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = req.input;
        let conditions = self.conditions(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        if !self.store.has_bucket(&input.bucket) {
            return Err(s3_error!(NoSuchBucket));
        }
        let content = read_body(input.body.take()).await?;
        let checksum = verify(
            &input.key,
            &content,
            input.content_md5.as_deref(),
            checksum_values!(input),
            req.trailing_headers.as_ref(),
        )?;
        let object =
            NewObject { content, headers: object_headers!(input), metadata: metadata(input.metadata), checksum };
        let object = self.store.put(&input.bucket, &input.key, object, &conditions).map_err(from_store)?;
        let mut output = PutObjectOutput {
            e_tag: Some(etag(&object.etag)),
            checksum_type: object.checksum.as_ref().map(|own| checksum_type(own.kind)),
            ..Default::default()
        };
        set_checksum_values!(output, &object.checksum);
        Ok(S3Response::new(output))
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = req.input;
        let conditions = self.conditions(input.if_match.as_ref(), None)?;
        self.store.delete(&input.bucket, &input.key, &conditions).map_err(from_store)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = req.input;
        if !self.store.has_bucket(&input.bucket) {
            return Err(s3_error!(NoSuchBucket));
        }
        if input.delete.objects.is_empty() || input.delete.objects.len() > MAX_DELETES {
            return Err(s3_error!(
                MalformedXML,
                "The XML you provided was not well-formed or did not validate against our published \
                 schema"
            ));
        }
        let quiet = input.delete.quiet.unwrap_or_default();
        let mut deleted = Vec::new();
        let mut errors = Vec::new();
        for object in input.delete.objects {
            match self.delete_one(&input.bucket, &object) {
                Ok(()) if quiet => {}
                Ok(()) => deleted.push(dto::DeletedObject { key: Some(object.key), ..Default::default() }),
                Err(error) => errors.push(dto::Error {
                    key: Some(object.key),
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(str::to_owned),
                    ..Default::default()
                }),
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (!deleted.is_empty()).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..Default::default()
        }))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        // s3s reads the conditions on the source, not those on the destination.
        let if_match = raw_condition(&req.headers, &header::IF_MATCH)?;
        let if_none_match = raw_condition(&req.headers, &header::IF_NONE_MATCH)?;
        let conditions = self.conditions(if_match.as_ref(), if_none_match.as_ref())?;
        let mut input = req.input;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "This stand-in copies from buckets only"));
        };
        if self.settings.denies(&["GetObject"], Some(key)) {
            return Err(denied());
        }
        let source = self.readable(bucket, key)?;
        check_read(
            &source,
            key,
            input.copy_source_if_match.as_ref(),
            input.copy_source_if_none_match.as_ref(),
            None,
            None,
        )
        .map_err(|error| match error.code() {
            // A copy is a write and knows no "not modified".
            s3s::S3ErrorCode::NotModified => s3_error!(PreconditionFailed),
            _ => error,
        })?;
        let replaces = input
            .metadata_directive
            .as_ref()
            .is_some_and(|directive| directive.as_str() == dto::MetadataDirective::REPLACE);
        if !replaces && **bucket == *input.bucket && **key == *input.key && input.website_redirect_location.is_none() {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself \
                 without changing the object's metadata, storage class, website redirect location \
                 or encryption attributes."
            ));
        }
        let algorithm =
            parse_algorithm(input.checksum_algorithm.as_ref())?.or(source.checksum.as_ref().map(|own| own.algorithm));
        let given = object_headers!(input);
        let (headers, metadata) = if replaces {
            (given, metadata(input.metadata))
        } else {
            let mut headers = source.headers.clone();
            headers.website_redirect = given.website_redirect;
            (headers, source.metadata.clone())
        };
        let copy = NewObject {
            content: source.content.clone(),
            headers,
            metadata,
            checksum: algorithm.map(|algorithm| algorithm.of(&source.content)),
        };
        let copy = self.store.put(&input.bucket, &input.key, copy, &conditions).map_err(from_store)?;
        let mut result = CopyObjectResult {
            e_tag: Some(etag(&copy.etag)),
            last_modified: Some(timestamp(copy.last_modified)),
            checksum_type: copy.checksum.as_ref().map(|own| checksum_type(own.kind)),
            ..Default::default()
        };
        set_checksum_values!(result, &copy.checksum);
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        multipart::create(&self.store, req.input).map(S3Response::new)
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        multipart::upload_part(&self.store, req).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        let conditions = self.conditions(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        multipart::complete(&self.store, input, &conditions).map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = req.input;
        self.store.abort_upload(&input.bucket, &input.key, &input.upload_id).map_err(from_store)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        multipart::list_uploads(&self.store, req.input).map(S3Response::new)
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        multipart::list_parts(&self.store, req.input).map(S3Response::new)
    }
}

impl Backend {
    fn delete_one(&self, bucket: &str, object: &dto::ObjectIdentifier) -> S3Result<()> {
        let key = Some(object.key.as_str());
        if self.settings.denies(&["DeleteObject"], key)
            || (object.e_tag.is_some() && self.settings.denies(&["GetObject"], key))
        {
            return Err(denied());
        }
        let mut conditions = Conditions::none();
        if !self.settings.ignores_conditions() {
            conditions.if_match = object.e_tag.as_ref().map(|etag| EtagMatch::Etag(etag.value().to_owned()));
        }
        self.store.delete(bucket, &object.key, &conditions).map_err(from_store)
    }
}

fn raw_condition(headers: &HeaderMap, name: &HeaderName) -> S3Result<Option<ETagCondition>> {
    headers
        .get(name)
        .map(|value| {
            ETagCondition::parse_http_header(value.as_bytes())
                .map_err(|error| s3_error!(InvalidArgument, "invalid header {name}: {error}"))
        })
        .transpose()
}
