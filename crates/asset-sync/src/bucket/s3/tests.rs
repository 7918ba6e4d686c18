//! What goes over the wire, and what each kind of answer means.

use std::sync::Mutex;

use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use aws_sdk_s3::config::{Builder, Credentials};
use aws_sdk_s3::operation::put_object::PutObjectError;
use stand_ins::{ACCESS_KEY, Effect, Gate, REGION, SECRET_KEY, StandIns, When};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::bucket::read_all;

fn config(endpoint: &str) -> Builder {
    aws_sdk_s3::Config::builder()
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
}

fn options() -> S3Options {
    S3Options { force_path_style: true, ..S3Options::new("site", REGION) }
}

async fn stand_in() -> (StandIns, S3Bucket) {
    let server = StandIns::builder().start().await.unwrap();
    let bucket = S3Bucket::with_config(config(&server.s3_endpoint()), options());
    (server, bucket)
}

fn headers() -> Headers {
    Headers { content_type: "text/plain".into(), content_encoding: Some("br".into()), ..Headers::default() }
}

/// A server that gives the same answer to every request, and keeps the requests.
struct Canned {
    requests: Arc<Mutex<Vec<String>>>,
    bucket: S3Bucket,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Canned {
    /// `head`: the status and header lines, without a length. No body goes out to a HEAD.
    async fn start(head: &str, body: &str) -> Self {
        let answer = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        let body = body.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bucket = S3Bucket::with_config(config(&format!("http://{}", listener.local_addr().unwrap())), options());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                let request = loop {
                    if connection.read_buf(&mut request).await.unwrap() == 0 {
                        break None;
                    }
                    let text = String::from_utf8_lossy(&request);
                    let Some((head, sent)) = text.split_once("\r\n\r\n") else {
                        continue;
                    };
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    if sent.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                        break Some(text.into_owned());
                    }
                };
                let Some(request) = request else { continue };
                let body = if request.starts_with("HEAD") { "" } else { &body };
                record.lock().unwrap().push(request);
                connection.write_all(format!("{answer}{body}").as_bytes()).await.unwrap();
                connection.shutdown().await.unwrap();
            }
        });
        Self { requests, bucket, task }
    }

    /// The header lines of the first request, and its body.
    fn request(&self) -> (Vec<String>, String) {
        let requests = self.requests.lock().unwrap();
        let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
        (head.lines().map(str::to_owned).collect(), body.to_owned())
    }
}

#[tokio::test]
async fn a_put_carries_one_hash_and_no_other_checksum() {
    let server = Canned::start("200 OK\r\netag: \"e\"", "").await;
    let (body, headers) = (Bytes::from_static(b"content"), headers());
    let sha256 = Sha256::of(&body);
    let spec = ObjectSpec { key: "a b", headers: &headers, sha256 };
    let etag = server.bucket.put(spec, body, &Condition::IfAbsent).await.unwrap();
    assert_eq!(etag, ETag::from("\"e\""));

    let (lines, body) = server.request();
    assert!(lines[0].starts_with("PUT /site/a%20b"), "{}", lines[0]);
    assert_eq!(body, "content", "not aws-chunked");
    for expected in [
        format!("x-amz-checksum-sha256: {}", sha256.to_base64()),
        format!("x-amz-content-sha256: {sha256}"),
        format!("x-amz-meta-sha256: {sha256}"),
        "content-encoding: br".to_owned(),
        "content-length: 7".to_owned(),
        "content-type: text/plain".to_owned(),
        "if-none-match: *".to_owned(),
    ] {
        assert!(lines.contains(&expected), "{expected} in {lines:#?}");
    }
    for unwanted in ["crc32", "trailer", "aws-chunked", "x-amz-sdk-checksum-algorithm"] {
        assert!(!lines.iter().any(|line| line.to_lowercase().contains(unwanted)), "{unwanted} in {lines:#?}");
    }
}

#[tokio::test]
async fn the_hash_that_signs_a_body_is_the_one_that_was_given() {
    // Were the body hashed again, the header would tell its true hash.
    let server = Canned::start("200 OK\r\netag: \"e\"", "").await;
    let (headers, sha256) = (headers(), Sha256::of(b"something else"));
    let spec = ObjectSpec { key: "a", headers: &headers, sha256 };
    server.bucket.put(spec, Bytes::from_static(b"content"), &Condition::Always).await.unwrap();
    assert!(server.request().0.contains(&format!("x-amz-content-sha256: {sha256}")));
}

#[tokio::test]
async fn a_copy_names_every_header_and_replaces_what_was_there() {
    let body = "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>";
    let server = Canned::start("200 OK", body).await;
    let headers = Headers {
        content_type: "text/html".into(),
        cache_control: Some("no-cache".into()),
        content_encoding: Some("gzip".into()),
        content_disposition: Some("inline".into()),
        content_language: Some("de".into()),
        redirect: Some("/x".into()),
    };
    let spec = ObjectSpec { key: "to", headers: &headers, sha256: Sha256::of(b"") };
    let (from, to) = (ETag::from("\"f\""), ETag::from("\"t\""));
    let source = CopySource { bucket: "other", key: "ü b+c", etag: Some(&from) };
    server.bucket.copy(source, spec, &Condition::IfMatch(to)).await.unwrap();
    let (lines, _) = server.request();
    for expected in [
        "x-amz-copy-source: other/%C3%BC%20b%2Bc",
        "x-amz-copy-source-if-match: \"f\"",
        "if-match: \"t\"",
        "x-amz-metadata-directive: REPLACE",
        "content-type: text/html",
        "cache-control: no-cache",
        "content-encoding: gzip",
        "content-disposition: inline",
        "content-language: de",
        "x-amz-website-redirect-location: /x",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
    }
    assert!(lines.iter().any(|line| line.starts_with("x-amz-meta-sha256: ")));
}

#[tokio::test]
async fn a_copy_of_other_content_than_stated_is_an_error() {
    let copied = Sha256::of(b"other").to_base64();
    let body =
        format!("<CopyObjectResult><ETag>\"e\"</ETag><ChecksumSHA256>{copied}</ChecksumSHA256></CopyObjectResult>");
    let server = Canned::start("200 OK", &body).await;
    let headers = headers();
    let spec = ObjectSpec { key: "to", headers: &headers, sha256: Sha256::of(b"stated") };
    let source = CopySource { bucket: "site", key: "from", etag: None };
    let error = server.bucket.copy(source, spec, &Condition::Always).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::ContentMismatch, "{error}");
}

#[tokio::test]
async fn errors_within_a_200_are_errors() {
    let body = "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>";
    let server = Canned::start("200 OK\r\nx-amz-request-id: R1\r\nx-amz-id-2: X2", body).await;
    let headers = headers();
    let spec = ObjectSpec { key: "to", headers: &headers, sha256: Sha256::of(b"") };
    let source = CopySource { bucket: "site", key: "from", etag: None };
    let copied = server.bucket.copy(source, spec, &Condition::Always).await;
    let part = UploadedPart { number: 1, etag: "\"e\"".into(), sha256: Sha256::of(b"") };
    let completed = server.bucket.complete_multipart("to", "id", &[part], &Condition::Always).await;
    for error in [copied.unwrap_err(), completed.unwrap_err()] {
        assert_eq!(error.kind, BucketErrorKind::Transient);
        let expected = format!(
            "{} on site/to: InternalError: We encountered an internal error. (request R1, extended X2)",
            error.operation
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn the_right_region_is_named() {
    let moved = "<Error><Code>PermanentRedirect</Code><Message>Use the endpoint.</Message></Error>";
    let malformed = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>no</Message></Error>";
    for (status, body) in [("301 Moved Permanently", moved), ("400 Bad Request", malformed)] {
        let server = Canned::start(&format!("{status}\r\nx-amz-bucket-region: eu-central-2"), body).await;
        for error in [
            server.bucket.list("", None).await.unwrap_err(),
            server.bucket.head("a").await.unwrap_err(),
            server.bucket.get("a").await.unwrap_err(),
        ] {
            assert_eq!(error.kind, BucketErrorKind::WrongRegion, "{error}");
            assert!(error.message.contains("the bucket is in region eu-central-2, not us-east-1"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_head_that_fails_without_explanation() {
    for (status, kind) in [
        ("400 Bad Request", BucketErrorKind::Credentials),
        ("403 Forbidden", BucketErrorKind::Denied),
        ("412 Precondition Failed", BucketErrorKind::PreconditionFailed),
        ("500 Internal Server Error", BucketErrorKind::Transient),
        ("503 Slow Down", BucketErrorKind::Throttled),
    ] {
        let server = Canned::start(status, "").await;
        let error = server.bucket.head("a").await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(&status[..3]), "{error}");
    }
}

/// Each request of a bucket with these options, as its operation, method and header lines.
async fn requests_with(options: S3Options) -> Vec<(&'static str, String)> {
    let server = Canned::start("500 Internal Server Error", "").await;
    let bucket = S3Bucket { client: server.bucket.client.clone(), options: Arc::new(options) };
    let (headers, body) = (headers(), Bytes::from_static(b"content"));
    let sha256 = Sha256::of(&body);
    let spec = ObjectSpec { key: "a", headers: &headers, sha256 };
    let part = UploadedPart { number: 1, etag: ETag::from("\"e\""), sha256 };
    let source = CopySource { bucket: "archive", key: "b", etag: None };
    let always = Condition::Always;
    let failed = [
        bucket.list("", None).await.is_err(),
        bucket.head("a").await.is_err(),
        bucket.get("a").await.is_err(),
        bucket.put(spec, body.clone(), &always).await.is_err(),
        bucket.copy(source, spec, &always).await.is_err(),
        bucket.create_multipart(spec).await.is_err(),
        bucket.upload_part("a", "id", 1, body, sha256).await.is_err(),
        bucket.complete_multipart("a", "id", &[part], &always).await.is_err(),
        bucket.abort_multipart("a", "id").await.is_err(),
        bucket.delete(&[("a".to_owned(), None)]).await.is_err(),
    ];
    assert_eq!(failed, [true; 10]);
    let names = ["list", "head", "get", "put", "copy", "create", "part", "complete", "abort", "delete"];
    let requests = server.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), names.len());
    names.into_iter().zip(requests).collect()
}

#[tokio::test]
async fn every_write_asks_for_encryption_and_every_request_names_the_owner() {
    let owner = "x-amz-expected-bucket-owner: 123456789012";
    let (kms, key) =
        ("x-amz-server-side-encryption: aws:kms", "x-amz-server-side-encryption-aws-kms-key-id: alias/site");
    let (encryption, expected_owner) =
        (Some(Encryption::Kms { key_id: Some("alias/site".into()) }), Some("123456789012".into()));
    for (name, request) in requests_with(S3Options { encryption, expected_owner, ..options() }).await {
        let has = |line: &str| request.lines().any(|one| one == line);
        assert!(has(owner), "{name}: {request}");
        let begins_an_object = matches!(name, "put" | "copy" | "create");
        assert_eq!((has(kms), has(key)), (begins_an_object, begins_an_object), "{name}: {request}");
        assert_eq!(has("x-amz-source-expected-bucket-owner: 123456789012"), name == "copy", "{name}: {request}");
    }
    let encryption = Some(Encryption::Aes256);
    for (name, request) in requests_with(S3Options { encryption, ..options() }).await {
        let has = request.lines().any(|line| line == "x-amz-server-side-encryption: AES256");
        assert_eq!(has, matches!(name, "put" | "copy" | "create"), "{name}: {request}");
    }
    for (name, request) in requests_with(options()).await {
        assert!(!request.contains("x-amz-server-side") && !request.contains("bucket-owner"), "{name}: {request}");
    }
}

#[tokio::test]
async fn a_head_that_is_refused_by_a_server_with_another_time() {
    let server = Canned::start("403 Forbidden\r\ndate: Wed, 01 Jan 2020 00:30:00 GMT", "").await;
    let error = server.bucket.head("a").await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::WrongClock, "{error}");
    assert!(error.message.contains("the server's shows 2020-01-01T00:30:00Z"), "{error}");
}

#[tokio::test]
async fn answers_that_are_not_from_s3() {
    for (status, kind) in [
        ("502 Bad Gateway", BucketErrorKind::Transient),
        ("403 Forbidden", BucketErrorKind::Denied),
        ("200 OK", BucketErrorKind::Transient),
    ] {
        let server = Canned::start(status, "<html><body>A proxy</body>").await;
        let error = server.bucket.list("", None).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(!error.message.contains('\n'));
    }
}

#[tokio::test]
async fn the_hash_of_parts_is_not_taken_for_a_hash_of_the_content() {
    let (parts, content) = (Sha256::of(b"parts"), Sha256::of(b"content"));
    let head = |extra: &str| format!("200 OK\r\netag: \"e-1\"{extra}");
    let composite = format!("\r\nx-amz-checksum-sha256: {}\r\nx-amz-checksum-type: COMPOSITE", parts.to_base64());
    let counted = format!("\r\nx-amz-checksum-sha256: {}-1", parts.to_base64());
    let full = format!("\r\nx-amz-checksum-sha256: {}\r\nx-amz-checksum-type: FULL_OBJECT", content.to_base64());
    let stated = format!("\r\nx-amz-meta-sha256: {content}");
    for (extra, expected) in [
        (composite.clone(), None),
        (counted.clone(), None),
        (format!("{composite}{stated}"), Some(content)),
        (format!("{counted}{stated}"), Some(content)),
        (full, Some(content)),
        (stated, Some(content)),
        ("\r\nx-amz-meta-sha256: nonsense".to_owned(), None),
    ] {
        let server = Canned::start(&head(&extra), "").await;
        assert_eq!(server.bucket.head("a").await.unwrap().unwrap().sha256, expected, "{extra}");
    }
}

#[tokio::test]
async fn a_listing_that_never_ends_is_refused() {
    let page = |key: &str| {
        format!(
            "<ListBucketResult><IsTruncated>true</IsTruncated>{key}<EncodingType>url</EncodingType></ListBucketResult>"
        )
    };
    let object = "<Contents><Key>a+b</Key><Size>1</Size><ETag>e</ETag><LastModified>2026-01-02T03:04:05.678Z</LastModified></Contents>";
    let server = Canned::start("200 OK", &page(object)).await;
    let listed = server.bucket.list("", None).await.unwrap().objects;
    assert_eq!((&*listed[0].key, &listed[0].etag), ("a b", &ETag::from("\"e\"")));
    assert_eq!(listed[0].last_modified.to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(server.bucket.list("", Some("a b")).await.unwrap_err().kind, BucketErrorKind::Invalid);
    let server = Canned::start("200 OK", &page("")).await;
    assert_eq!(server.bucket.list("", None).await.unwrap_err().kind, BucketErrorKind::Invalid);
}

#[tokio::test]
async fn a_key_of_which_the_answer_says_nothing_is_not_deleted() {
    let body = "<DeleteResult><Deleted><Key>a</Key></Deleted>\
        <Error><Key>b</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>\
        <Error><Key>c</Key><Code>InternalError</Code></Error>\
        <Error><Key>d</Key><Code>NoSuchKey</Code></Error></DeleteResult>";
    let server = Canned::start("200 OK", body).await;
    let etag = ETag::from("\"e\"");
    let keys: Vec<_> = ["a", "b", "c", "d", "e"].map(|key| (key.to_owned(), Some(etag.clone()))).into();
    let results = server.bucket.delete(&keys).await.unwrap();
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(|error| error.kind)).collect();
    let (denied, transient) = (Some(BucketErrorKind::Denied), Some(BucketErrorKind::Transient));
    assert_eq!(kinds, [None, denied, transient, None, transient]);
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(error.to_string(), "DeleteObjects on site/b: AccessDenied: Access Denied");

    let (lines, body) = server.request();
    assert!(body.contains("<Key>a</Key><ETag>&quot;e&quot;</ETag>") || body.contains("<ETag>\"e\"</ETag>"), "{body}");
    assert!(lines.iter().any(|line| line.starts_with("x-amz-checksum-")), "S3 requires one: {lines:#?}");
}

#[tokio::test]
async fn faults_of_the_server_by_meaning() {
    let (server, bucket) = stand_in().await;
    for (effect, kind) in [
        (Effect::slow_down(), BucketErrorKind::Throttled),
        (Effect::internal_error(), BucketErrorKind::Transient),
        (Effect::conditional_conflict(), BucketErrorKind::Transient),
        (Effect::ResetBefore, BucketErrorKind::Transient),
        (Effect::ResetAfter, BucketErrorKind::Transient),
        (Effect::expired_token(), BucketErrorKind::Credentials),
        (Effect::access_denied(), BucketErrorKind::Denied),
    ] {
        server.faults().clear();
        server.faults().always(When::always(), effect.clone());
        let before = server.faults().requests().len();
        let error = bucket.list("", None).await.unwrap_err();
        assert_eq!(error.kind, kind, "{effect:?}: {error}");
        assert_eq!(error.operation, "ListObjectsV2");
        assert!(!error.to_string().contains('\n'), "{error}");
        assert_eq!(server.faults().requests().len(), before + 1, "sent once: {effect:?}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn no_answer_in_time_is_transient() {
    let server = StandIns::builder().start().await.unwrap();
    let options = S3Options { request_timeout: Duration::from_millis(50), ..options() };
    let bucket = S3Bucket::with_config(config(&server.s3_endpoint()), options);
    let gate = Gate::new();
    server.faults().always(When::always(), Effect::HoldBefore(gate.clone()));
    let error = bucket.head("a").await.unwrap_err();
    gate.open();
    assert_eq!(error.kind, BucketErrorKind::Transient);
    assert!(error.message.starts_with("no answer within"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_transient_and_says_why() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let bucket = S3Bucket::with_config(config(&format!("http://127.0.0.1:{port}")), options());
    let error = bucket.head("a").await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::Transient);
    assert!(error.message.to_lowercase().contains("connection refused"), "{error}");
    assert!(error.source.is_some());
}

#[tokio::test]
async fn a_truncated_body_is_never_taken_for_the_object() {
    let (server, bucket) = stand_in().await;
    let (body, headers) = (Bytes::from(vec![7; 100_000]), headers());
    let spec = ObjectSpec { key: "a", headers: &headers, sha256: Sha256::of(&body) };
    bucket.put(spec, body.clone(), &Condition::Always).await.unwrap();
    server.faults().once(When::operation("GetObject"), Effect::TruncateBody { keep: 50_000 });
    let mut stream = bucket.get("a").await.unwrap().unwrap().stream;
    let mut last = None;
    while let Some(piece) = stream.next().await {
        last = Some(piece);
    }
    let error = last.unwrap().unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::Transient);
    assert!(error.message.starts_with("the body broke off: "), "{error}");

    server.faults().once(When::operation("GetObject"), Effect::TruncateBody { keep: 50_000 });
    assert_eq!(read_all(&bucket, "a", 100_000).await.unwrap().unwrap().1, body);
    server.shutdown().await;
}

#[derive(Debug)]
struct LateCredentials;

impl ProvideCredentials for LateCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::provider_timed_out(Duration::from_secs(5))))
    }
}

#[tokio::test]
async fn credentials_that_are_late_are_transient() {
    let (server, _) = stand_in().await;
    let config = config(&server.s3_endpoint()).credentials_provider(LateCredentials);
    let error = S3Bucket::with_config(config, options()).list("", None).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::LateCredentials, "{error}");
    assert!(error.is_transient() && server.faults().requests().is_empty());
    server.shutdown().await;
}

#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nothing configured")))
    }
}

#[tokio::test]
async fn credentials_that_are_wrong_or_missing() {
    let (server, _) = stand_in().await;
    let endpoint = server.s3_endpoint();
    let with = |key, secret| config(&endpoint).credentials_provider(Credentials::new(key, secret, None, None, "test"));
    for (config, secret) in [
        (with("AKIAUNKNOWNUNKNOWNUN", SECRET_KEY), SECRET_KEY),
        (with(ACCESS_KEY, "a-secret-that-is-wrong"), "a-secret-that-is-wrong"),
        (config(&endpoint).credentials_provider(NoCredentials), SECRET_KEY),
    ] {
        let bucket = S3Bucket::with_config(config, options());
        let error = bucket.list("", None).await.unwrap_err();
        assert_eq!(error.kind, BucketErrorKind::Credentials, "{error}");
        assert!(!format!("{error} {error:?}").contains(secret), "a secret in {error:?}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_header_that_http_cannot_carry_is_invalid() {
    let (server, bucket) = stand_in().await;
    let headers = Headers { content_disposition: Some("a\nb".into()), ..headers() };
    let spec = ObjectSpec { key: "a", headers: &headers, sha256: Sha256::of(b"") };
    let error = bucket.put(spec, Bytes::new(), &Condition::Always).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::Invalid, "{error}");
    assert!(server.faults().requests().is_empty());
    server.shutdown().await;
}

#[test]
fn keys_of_a_listing_are_decoded() {
    let decode = conversion::decode_key;
    assert_eq!(decode("a+b%2Bc%25%C3%A9/%F0%9F%98%80").unwrap().as_deref(), Some("a b+c%é/😀"));
    assert_eq!(decode("a-b/c.js").unwrap(), None);
    assert_eq!(decode("%FF").unwrap_err(), "has a key that is not UTF-8");
}

#[test]
fn the_source_of_a_copy_is_encoded() {
    assert_eq!(copy_source("b", "a b+c%/é&\"~.-_"), "b/a%20b%2Bc%25/%C3%A9%26%22~.-_");
}

#[test]
fn etags_have_quotes() {
    assert_eq!(etag("\"a-1\""), ETag::from("\"a-1\""));
    assert_eq!(etag("a-1"), ETag::from("\"a-1\""));
    assert_eq!(etag("W/\"a\""), ETag::from("W/\"a\""));
}

#[test]
fn the_time_for_an_answer_grows_with_what_of_the_body_cannot_be_seen() {
    let options = S3Options::new("b", "eu-west-1");
    for (body, seconds) in [(0, 30), (1024 * 1024, 30 + 32), (8 * 1024 * 1024, 30 + 128)] {
        assert_eq!(options.answer_timeout(body), Duration::from_secs(seconds));
    }
}

/// A request whose connection takes so many pieces of its body, `pause` after each other. It is then answered or
/// stands still.
async fn put_slowly(length: usize, pieces: usize, pause: Duration, answered: bool) -> Result<(), BucketError> {
    let bucket = S3Bucket::with_config(config("http://127.0.0.1:1"), options());
    let progress = Progress::new(length);
    let mut body = watched(vec![7; length].into(), &progress);
    let request = async move {
        for _ in 0..pieces {
            tokio::time::sleep(pause).await;
            body.next().await.unwrap().unwrap();
        }
        if !answered {
            std::future::pending::<()>().await;
        }
        Ok::<_, SdkError<PutObjectError, HttpResponse>>(())
    };
    bucket.answer_to_body(bucket.context("PutObject", Some("a")), &progress, Box::pin(request)).await
}

#[tokio::test(start_paused = true)]
async fn a_body_that_moves_is_not_given_up_however_slow_it_is() {
    put_slowly(8 * 1024 * 1024, 128, Duration::from_secs(70), true).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_given_up() {
    let begun = Instant::now();
    let error = put_slowly(8 * 1024 * 1024, 10, Duration::from_secs(70), false).await.unwrap_err();
    assert_eq!(error.kind, BucketErrorKind::Transient);
    assert_eq!(error.message, "no answer within 158 s; 655360 of 8388608 bytes were sent");
    assert_eq!(begun.elapsed(), Duration::from_secs(10 * 70 + 158));
}

/// Whoever takes over a lease waits for the request timeout of its last holder.
#[tokio::test(start_paused = true)]
async fn a_body_of_one_piece_gets_no_more_time_when_it_moves() {
    let begun = Instant::now();
    let error = put_slowly(body::PIECE, 1, Duration::from_secs(31), false).await.unwrap_err();
    assert_eq!(error.message, "no answer within 32 s");
    assert_eq!(begun.elapsed(), Duration::from_secs(32));
}

/// The SDK takes a body that waits in the socket's buffer for one that stands still.
#[test]
fn the_sdk_watches_the_bodies_of_answers_alone() {
    let config = options().configure(config("http://127.0.0.1:1")).build();
    let protection = config.stalled_stream_protection().unwrap();
    assert_eq!((protection.upload_enabled(), protection.download_enabled()), (false, true));
}
