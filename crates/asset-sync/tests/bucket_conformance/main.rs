//! One suite for every implementation of a bucket: what this crate relies on.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::future::ready;
use std::sync::Arc;

use asset_sync::bucket::{
    Bucket, BucketErrorKind, Condition, ETag, MIN_PART_SIZE, MemoryStore, ObjectSpec, Resilient, RetryPolicy,
    UploadedPart, read_all,
};
use asset_sync::{Headers, Sha256};
use bytes::Bytes;

mod conditions;
mod listing;
mod multipart;
mod objects;

/// Keys that have broken some client or other.
const ODD_KEYS: [&str; 19] = [
    "a b.txt",
    "a+b.txt",
    "a%20b.txt",
    "100%.txt",
    "a&b=c?d#e.txt",
    "quote's \"double\".txt",
    "<tag>.txt",
    "semi;colon,comma@at:$!*().txt",
    "~tilde~/-_.txt",
    "back\\slash|{pipe}[x]^`.txt",
    "üñï/çødé/日本語.txt",
    "emoji-😀.txt",
    "e\u{301}-decomposed.txt",
    "double//slash.txt",
    "trailing/",
    "a/../b.txt",
    " leading and trailing ",
    "%2F%2f",
    "plus+%2B+",
];

/// The buckets a test of the suite works on.
struct Fixture {
    bucket: Arc<dyn Bucket>,
    /// Another bucket of the same store.
    other: Arc<dyn Bucket>,
    /// A bucket that does not exist.
    missing: Arc<dyn Bucket>,
    /// What must live as long as the buckets are used.
    _server: Option<Box<dyn std::any::Any>>,
}

impl Fixture {
    async fn put(&self, key: &str, body: &'static [u8]) -> ETag {
        put(&*self.bucket, key, body, &Condition::Always).await.unwrap()
    }

    async fn read(&self, key: &str) -> Option<Bytes> {
        read_all(&*self.bucket, key, u64::MAX).await.unwrap().map(|(_, body)| body)
    }

    async fn upload_parts(&self, key: &str, headers: &Headers, parts: &[Bytes]) -> (String, Vec<UploadedPart>) {
        let sha256 = Sha256::of(&parts.concat());
        let id = self.bucket.create_multipart(ObjectSpec { key, headers, sha256 }).await.unwrap();
        let mut uploaded = Vec::new();
        for (number, part) in (1..).zip(parts) {
            let sha256 = Sha256::of(part);
            uploaded.push(self.bucket.upload_part(key, &id, number, part.clone(), sha256).await.unwrap());
        }
        (id, uploaded)
    }
}

fn plain() -> Headers {
    Headers { content_type: "text/plain; charset=utf-8".into(), ..Headers::default() }
}

fn all_headers() -> Headers {
    Headers {
        content_type: "text/html; charset=utf-8".into(),
        cache_control: Some("public, max-age=0, must-revalidate".into()),
        content_encoding: Some("gzip".into()),
        content_disposition: Some("inline; filename=\"a b.html\"".into()),
        content_language: Some("de-CH".into()),
        redirect: Some("/elsewhere?x=1&y=ü".replace('ü', "%C3%BC")),
    }
}

async fn put(
    bucket: &dyn Bucket,
    key: &str,
    body: impl Into<Bytes>,
    condition: &Condition,
) -> Result<ETag, BucketErrorKind> {
    let (body, headers) = (body.into(), plain());
    let spec = ObjectSpec { key, headers: &headers, sha256: Sha256::of(&body) };
    bucket.put(spec, body, condition).await.map_err(|error| error.kind)
}

async fn list_all(bucket: &dyn Bucket, prefix: &str) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let page = bucket.list(prefix, keys.last().map(String::as_str)).await.unwrap();
        assert!(page.objects.len() <= 1000);
        keys.extend(page.objects.into_iter().map(|object| object.key.to_string()));
        if !page.truncated {
            return keys;
        }
    }
}

fn strings(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// Five MiB, the least S3 takes for a part that is not the last.
fn whole_part() -> Bytes {
    Bytes::from(vec![b'x'; usize::try_from(MIN_PART_SIZE).unwrap()])
}

macro_rules! suite {
    ($fixture:expr) => {
        suite!($fixture;
            objects::an_object_is_read_back_with_all_headers
            objects::an_empty_object
            objects::a_large_body_arrives_in_pieces
            objects::an_absent_key
            objects::a_missing_bucket
            objects::odd_keys_are_kept_as_they_are
            multipart::odd_keys_by_multipart
            listing::a_prefix_is_no_folder
            listing::listing_after_a_key
            listing::more_than_a_page
            objects::wrong_bytes_are_refused
            objects::the_entity_tag_depends_on_content_alone
            conditions::conditional_puts
            conditions::of_twenty_that_race_one_wins
            conditions::a_copy_takes_nothing_along_but_the_bytes
            conditions::conditional_copies
            multipart::an_object_in_parts
            multipart::conditional_completions
            multipart::uploads_that_cannot_be_completed
            objects::deleting_tells_of_each_key
            listing::listing_by_pages_gives_the_sorted_keys
        );
    };
    ($fixture:expr; $($module:ident::$test:ident)*) => {
        $(#[tokio::test]
        async fn $test() {
            crate::$module::$test($fixture.await).await;
        })*
    };
}

mod memory {
    use super::*;

    pub(super) fn fixture() -> Fixture {
        let store = MemoryStore::new();
        store.create_bucket("site");
        store.create_bucket("other");
        let bucket = |name| Arc::new(store.bucket(name)) as Arc<dyn Bucket>;
        Fixture { bucket: bucket("site"), other: bucket("other"), missing: bucket("missing"), _server: None }
    }

    suite!(ready(fixture()));
}

mod resilient {
    use super::*;

    fn fixture() -> Fixture {
        let Fixture { bucket, other, missing, .. } = memory::fixture();
        let wrap = |bucket| Arc::new(Resilient::new(bucket, RetryPolicy::default())) as Arc<dyn Bucket>;
        Fixture { bucket: wrap(bucket), other: wrap(other), missing: wrap(missing), _server: None }
    }

    suite!(ready(fixture()));
}

#[cfg(feature = "aws")]
mod s3_over_http {
    use asset_sync::bucket::{S3Bucket, S3Options};
    use stand_ins::{ACCESS_KEY, REGION, SECRET_KEY, StandIns};

    use super::*;

    async fn fixture() -> Fixture {
        let server = StandIns::builder().buckets(strings(&["site", "other"])).start().await.unwrap();
        let credentials = aws_sdk_s3::config::Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
        let config = aws_sdk_s3::Config::builder().endpoint_url(server.s3_endpoint()).credentials_provider(credentials);
        let options = S3Options { force_path_style: true, ..S3Options::new("site", REGION) };
        let site = S3Bucket::with_config(config, options);
        Fixture {
            other: Arc::new(site.sibling("other")),
            missing: Arc::new(site.sibling("missing")),
            bucket: Arc::new(site),
            _server: Some(Box::new(server)),
        }
    }

    suite!(fixture());
}
