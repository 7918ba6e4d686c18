//! How much of the content of files that go in one request is in memory at once: never more than the
//! budget, however many they are. Time is virtual: a request ends only when nothing else can go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use asset_sync::bucket::{
    Bucket, BucketError, Condition, CopySource, ETag, ListPage, MemoryBucket, ObjectBody, ObjectInfo, ObjectSpec,
    RetryPolicy, UploadedPart,
};
use asset_sync::deploy::Options;
use asset_sync::state::{StateArea, Target};
use asset_sync::{Deployer, Sha256};
use async_trait::async_trait;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::world::{BUCKET, World, info};

const MIB: u64 = 1024 * 1024;

/// A bucket whose uploads last as long as anything else can be done meanwhile.
#[derive(Debug)]
struct SlowBucket {
    inner: MemoryBucket,
    held: AtomicU64,
    most_held: AtomicU64,
}

impl SlowBucket {
    async fn hold(&self, key: &str, body: &Bytes) {
        // Manifests and the like are not content.
        if key.starts_with(".deploy/") && !key.starts_with(".deploy/blobs/") {
            return;
        }
        let length = body.len() as u64;
        let held = self.held.fetch_add(length, Ordering::SeqCst) + length;
        self.most_held.fetch_max(held, Ordering::SeqCst);
        // The clock moves when every task waits and no file is being read.
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.held.fetch_sub(length, Ordering::SeqCst);
    }
}

#[async_trait]
impl Bucket for SlowBucket {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>) -> Result<ListPage, BucketError> {
        self.inner.list(prefix, start_after).await
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, BucketError> {
        self.inner.head(key).await
    }

    async fn get(&self, key: &str) -> Result<Option<ObjectBody>, BucketError> {
        self.inner.get(key).await
    }

    async fn put(&self, spec: ObjectSpec<'_>, body: Bytes, condition: &Condition) -> Result<ETag, BucketError> {
        self.hold(spec.key, &body).await;
        self.inner.put(spec, body, condition).await
    }

    async fn copy(
        &self,
        source: CopySource<'_>,
        spec: ObjectSpec<'_>,
        condition: &Condition,
    ) -> Result<ETag, BucketError> {
        self.inner.copy(source, spec, condition).await
    }

    async fn create_multipart(&self, spec: ObjectSpec<'_>) -> Result<String, BucketError> {
        self.inner.create_multipart(spec).await
    }

    async fn upload_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        body: Bytes,
        sha256: Sha256,
    ) -> Result<UploadedPart, BucketError> {
        self.inner.upload_part(key, upload_id, number, body, sha256).await
    }

    async fn complete_multipart(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[UploadedPart],
        condition: &Condition,
    ) -> Result<ETag, BucketError> {
        self.inner.complete_multipart(key, upload_id, parts, condition).await
    }

    async fn abort_multipart(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        self.inner.abort_multipart(key, upload_id).await
    }

    async fn delete(&self, keys: &[(String, Option<ETag>)]) -> Result<Vec<Result<(), BucketError>>, BucketError> {
        self.inner.delete(keys).await
    }
}

/// Deploys files of these sizes; the most bytes of their content that were in requests at once.
async fn most_held(sizes: &[u64], buffer: u64) -> u64 {
    let world = World::new();
    let mut files: Vec<(String, Vec<u8>)> = sizes
        .iter()
        .enumerate()
        .map(|(n, size)| (format!("assets/part-{n:08x}.bin"), vec![b'x'; usize::try_from(*size).unwrap()]))
        .collect();
    files.push(("index.html".into(), b"<title>memory</title>".to_vec()));
    let site = world.site(&files);
    let bucket = Arc::new(SlowBucket {
        inner: world.store.bucket(BUCKET),
        held: AtomicU64::new(0),
        most_held: AtomicU64::new(0),
    });
    let target = Target { bucket: BUCKET.to_owned(), prefix: String::new() };
    let area = StateArea::in_target(&target, ".deploy/");
    let options = Options { buffer, part_size: 5 * MIB, retry: RetryPolicy::default(), ..world.options() };
    let deployer =
        Deployer::new("", Arc::clone(&bucket) as Arc<dyn Bucket>, area, None, Arc::new(world.cdn.clone()), options);
    deployer.deploy(&site, &info("1.0.0"), &CancellationToken::new()).await.unwrap();
    world.assert_serves(&site);
    bucket.most_held.load(Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn many_files_fill_the_budget_and_no_more() {
    for (size, expected) in [(300 * 1024, 900 * 1024), (20 * 1024, 1020 * 1024)] {
        let most = most_held(&vec![size; 60], MIB).await;
        assert_eq!(most, expected, "files of {size} bytes");
    }
}
