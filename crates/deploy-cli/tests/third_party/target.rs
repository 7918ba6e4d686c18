//! A bucket and its distribution, as the test sees them: with keys that may do everything.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::primitives::ByteStream;
use flate2::read::GzDecoder;
use tokio::task::JoinSet;

use crate::program::{Outcome, Program};
use crate::site::{Object, Site};

/// Requests of the test at once.
const AT_ONCE: usize = 16;

/// Where the servers of a test are, and who may do everything there.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) s3: String,
    pub(crate) cloudfront: Option<String>,
    pub(crate) region: String,
    pub(crate) key_id: String,
    pub(crate) secret: String,
}

impl Access {
    fn credentials(&self) -> Credentials {
        Credentials::new(&self.key_id, &self.secret, None, None, "test")
    }

    pub(crate) fn s3_client(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials())
            .endpoint_url(&self.s3)
            .force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    pub(crate) fn cloudfront_client(&self) -> Option<aws_sdk_cloudfront::Client> {
        let config = aws_sdk_cloudfront::Config::builder()
            .behavior_version(aws_sdk_cloudfront::config::BehaviorVersion::latest())
            .region(aws_sdk_cloudfront::config::Region::from_static("us-east-1"))
            .credentials_provider(self.credentials())
            .endpoint_url(self.cloudfront.as_ref()?);
        Some(aws_sdk_cloudfront::Client::from_conf(config.build()))
    }
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) etag: String,
    pub(crate) size: i64,
    pub(crate) modified: String,
}

/// A bucket, the place of the site in it, and the distribution that serves it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) bucket: String,
    /// Empty, or ends with `/`.
    pub(crate) prefix: String,
    pub(crate) distribution: Option<String>,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) cloudfront: Option<aws_sdk_cloudfront::Client>,
    /// The program, with all it needs but the site.
    pub(crate) program: Program,
}

impl Target {
    /// A target that the program reaches with the keys in `environment`, or else with all rights.
    pub(crate) fn new(access: &Access, bucket: &str, prefix: &str, distribution: Option<&str>) -> Self {
        let mut program = Program::new([
            ("DEPLOY_BUCKET", bucket),
            ("DEPLOY_PREFIX", if prefix.is_empty() { "/" } else { prefix }),
            ("DEPLOY_REGION", &access.region),
            ("AWS_ENDPOINT_URL_S3", &access.s3),
        ]);
        program = program.with("AWS_ACCESS_KEY_ID", &access.key_id);
        program = program.with("AWS_SECRET_ACCESS_KEY", &access.secret);
        if let (Some(id), Some(url)) = (distribution, &access.cloudfront) {
            program = program.with("DEPLOY_DISTRIBUTION_IDS", id).with("AWS_ENDPOINT_URL_CLOUDFRONT", url);
        }
        Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            distribution: distribution.map(str::to_owned),
            s3: access.s3_client(),
            cloudfront: access.cloudfront_client(),
            program,
        }
    }

    /// Deploys a site under a version.
    pub(crate) fn deploy(&self, site: &Site, version: &str) -> Outcome {
        self.program.site(site, version).run(&["run"])
    }

    /// Everything in the bucket, by key.
    pub(crate) async fn listing(&self) -> BTreeMap<String, Listed> {
        let mut all = BTreeMap::new();
        let mut pages = self.s3.list_objects_v2().bucket(&self.bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            for object in page.unwrap().contents.unwrap_or_default() {
                let listed = Listed {
                    etag: object.e_tag.unwrap(),
                    size: object.size.unwrap(),
                    modified: format!("{:?}", object.last_modified.unwrap()),
                };
                assert_eq!(all.insert(object.key.unwrap(), listed), None, "a key is listed twice");
            }
        }
        all
    }

    /// The keys of the target but for the state area, without the prefix.
    pub(crate) async fn keys(&self) -> BTreeSet<String> {
        let listing = self.listing().await;
        let keys = listing.keys().filter_map(|key| key.strip_prefix(&self.prefix));
        keys.filter(|key| !key.starts_with(".deploy/")).map(str::to_owned).collect()
    }

    /// Fetches one object by its full key.
    pub(crate) async fn object(&self, key: &str) -> Object {
        let answer = self.s3.get_object().bucket(&self.bucket).key(key).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{key}: {error:?}"));
        let stored = answer.body.collect().await.unwrap().into_bytes();
        let content_encoding = answer.content_encoding;
        let bytes = match content_encoding.as_deref() {
            Some("gzip") => {
                let mut decoded = Vec::new();
                GzDecoder::new(&stored[..]).read_to_end(&mut decoded).unwrap();
                decoded
            }
            None => stored.to_vec(),
            other => panic!("{key} has the content encoding {other:?}"),
        };
        Object {
            bytes,
            content_type: answer.content_type,
            cache_control: answer.cache_control,
            content_encoding,
            redirect: answer.website_redirect_location,
        }
    }

    /// Fetches all objects of these keys.
    async fn objects(&self, keys: BTreeSet<String>) -> BTreeMap<String, Object> {
        let mut fetched = BTreeMap::new();
        let mut running = JoinSet::new();
        for key in keys {
            if running.len() == AT_ONCE {
                let (key, object) = running.join_next().await.unwrap().unwrap();
                fetched.insert(key, object);
            }
            let target = self.clone();
            running.spawn(async move {
                let object = target.object(&format!("{}{key}", target.prefix)).await;
                (key, object)
            });
        }
        fetched.extend(running.join_all().await);
        fetched
    }

    /// Fetches everything back and compares it byte by byte and header by header: all of the live
    /// site is there; of `retained` ones, the fingerprinted files; besides these nothing but what is
    /// `foreign`. Gives the keys that are served as immutable.
    #[track_caller]
    pub(crate) fn holds(
        &self,
        live: &Site,
        retained: &[&Site],
        foreign: &[&str],
    ) -> impl Future<Output = BTreeSet<String>> {
        let at = std::panic::Location::caller();
        async move {
            let mut keys = self.keys().await;
            for key in foreign {
                assert!(keys.remove(*key), "{at}: the foreign object {key} is gone");
            }
            let needed = |site: &Site, key: &str| std::ptr::eq(site, live) || Site::is_fingerprinted(key);
            for site in [live].into_iter().chain(retained.iter().copied()) {
                let missing: Vec<_> =
                    site.files.keys().filter(|key| needed(site, key) && !keys.contains(*key)).collect();
                assert!(missing.is_empty(), "{at}: missing are {missing:?}");
            }
            let mut immutable = BTreeSet::new();
            for (key, object) in self.objects(keys).await {
                let mut releases = [live].into_iter().chain(retained.iter().copied());
                let expected = releases.find_map(|site| site.expects(&key, &object));
                let expected = expected.unwrap_or_else(|| panic!("{at}: {key} is of no release"));
                assert!(object.bytes == expected.bytes, "{at}: {key} has other bytes: {object:?} for {expected:?}");
                assert_eq!(object, expected, "{at}: {key}");
                if object.is_immutable() {
                    immutable.insert(key);
                }
            }
            immutable
        }
    }

    /// Puts an object there that the program knows nothing of.
    pub(crate) async fn put(&self, key: &str, content: &str) {
        let body = ByteStream::from(content.as_bytes().to_vec());
        let put = self.s3.put_object().bucket(&self.bucket).key(key).content_type("text/plain").body(body);
        put.send().await.unwrap();
    }

    /// Paths of every invalidation of the distribution, by its id. All of them are completed.
    pub(crate) async fn invalidations(&self) -> BTreeMap<String, BTreeSet<String>> {
        let (Some(client), Some(id)) = (&self.cloudfront, &self.distribution) else { return BTreeMap::new() };
        let list = client.list_invalidations().distribution_id(id).send().await.unwrap();
        let mut all = BTreeMap::new();
        for summary in list.invalidation_list.unwrap().items() {
            let one = client.get_invalidation().distribution_id(id).id(summary.id()).send().await.unwrap();
            let one = one.invalidation.unwrap();
            assert_eq!(one.status(), "Completed", "{}", summary.id());
            let paths = one.invalidation_batch.unwrap().paths.unwrap().items.unwrap_or_default();
            all.insert(summary.id().to_owned(), paths.into_iter().collect());
        }
        all
    }
}
