//! What a request asks for, read off its line and headers before anything handles it.

use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

/// The API a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Amazon S3.
    S3,
    /// The CloudFront API.
    CloudFront,
}

/// A request as rules and hooks see it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestInfo {
    /// From 1 in the order of arrival.
    pub number: u64,
    /// The server it went to.
    pub service: Service,
    /// HTTP method.
    pub method: Method,
    /// Path as sent, percent-encoded.
    pub path: String,
    /// Query string as sent, without `?`; empty if there is none.
    pub query: String,
    /// The name of the operation in the service's API, such as `PutObject`; `Unknown` if none.
    pub operation: &'static str,
    /// The bucket in the path, percent-decoded; for CloudFront the distribution's id.
    pub bucket: Option<String>,
    /// The key in the path, percent-decoded; for CloudFront the invalidation's id.
    pub key: Option<String>,
}

impl RequestInfo {
    pub(super) fn new(number: u64, service: Service, method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let query = uri.query().unwrap_or_default();
        let (bucket, key, operation) = match service {
            Service::S3 => {
                let path = uri.path().trim_start_matches('/');
                let (bucket, key) = match path.split_once('/') {
                    Some((bucket, key)) => (bucket, key),
                    None => (path, ""),
                };
                let copies = headers.contains_key("x-amz-copy-source");
                let operation = s3_operation(method, !bucket.is_empty(), !key.is_empty(), query, copies);
                (bucket, key, operation)
            }
            Service::CloudFront => cloudfront_operation(method, uri.path()),
        };
        let decode = |text: &str| (!text.is_empty()).then(|| percent_decode_str(text).decode_utf8_lossy().into_owned());
        Self {
            number,
            service,
            method: method.clone(),
            path: uri.path().to_owned(),
            query: query.to_owned(),
            operation,
            bucket: decode(bucket),
            key: decode(key),
        }
    }
}

fn s3_operation(method: &Method, bucket: bool, key: bool, query: &str, copies: bool) -> &'static str {
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match (method.as_str(), bucket, key) {
        ("GET", false, _) => "ListBuckets",
        ("PUT", true, false) => "CreateBucket",
        ("HEAD", true, false) => "HeadBucket",
        ("DELETE", true, false) => "DeleteBucket",
        ("GET", true, false) if has("location") => "GetBucketLocation",
        ("GET", true, false) if has("uploads") => "ListMultipartUploads",
        ("GET", true, false) if has("list-type") => "ListObjectsV2",
        ("GET", true, false) => "ListObjects",
        ("POST", true, false) if has("delete") => "DeleteObjects",
        ("PUT", true, true) if has("uploadId") && copies => "UploadPartCopy",
        ("PUT", true, true) if has("uploadId") => "UploadPart",
        ("PUT", true, true) if copies => "CopyObject",
        ("PUT", true, true) => "PutObject",
        ("GET", true, true) if has("uploadId") => "ListParts",
        ("GET", true, true) => "GetObject",
        ("HEAD", true, true) => "HeadObject",
        ("DELETE", true, true) if has("uploadId") => "AbortMultipartUpload",
        ("DELETE", true, true) => "DeleteObject",
        ("POST", true, true) if has("uploads") => "CreateMultipartUpload",
        ("POST", true, true) if has("uploadId") => "CompleteMultipartUpload",
        _ => "Unknown",
    }
}

/// Distribution, invalidation and operation of `/2020-05-31/distribution/<id>/invalidation[/<id>]`.
fn cloudfront_operation<'a>(method: &Method, path: &'a str) -> (&'a str, &'a str, &'static str) {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (method.as_str(), segments.as_slice()) {
        ("POST", [_, "distribution", id, "invalidation"]) => (id, "", "CreateInvalidation"),
        ("GET", [_, "distribution", id, "invalidation"]) => (id, "", "ListInvalidations"),
        ("GET", [_, "distribution", id, "invalidation", invalidation]) => (id, invalidation, "GetInvalidation"),
        _ => ("", "", "Unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(method: &str, uri: &str) -> RequestInfo {
        RequestInfo::new(1, Service::S3, &method.parse().unwrap(), &uri.parse().unwrap(), &HeaderMap::new())
    }

    #[test]
    fn names_s3_operations_with_their_keys() {
        for (method, uri, operation) in [
            ("GET", "/", "ListBuckets"),
            ("GET", "/site/?list-type=2&prefix=a", "ListObjectsV2"),
            ("GET", "/site?uploads", "ListMultipartUploads"),
            ("POST", "/site/?delete", "DeleteObjects"),
            ("PUT", "/site/a?x-id=PutObject", "PutObject"),
            ("PUT", "/site/a?partNumber=1&uploadId=u", "UploadPart"),
            ("POST", "/site/a?uploads", "CreateMultipartUpload"),
            ("POST", "/site/a?uploadId=u", "CompleteMultipartUpload"),
            ("DELETE", "/site/a?uploadId=u", "AbortMultipartUpload"),
            ("PATCH", "/site/a", "Unknown"),
        ] {
            assert_eq!(s3(method, uri).operation, operation, "{method} {uri}");
        }
        let put = s3("PUT", "/site/a%20b/%C3%A9%2B?x-id=PutObject");
        assert_eq!(put.bucket.as_deref(), Some("site"));
        assert_eq!(put.key.as_deref(), Some("a b/é+"));
    }

    #[test]
    fn names_cloudfront_operations() {
        let path = "/2020-05-31/distribution/E1/invalidation/I1";
        assert_eq!(cloudfront_operation(&Method::GET, path), ("E1", "I1", "GetInvalidation"));
        assert_eq!(cloudfront_operation(&Method::GET, "/").2, "Unknown");
    }
}
