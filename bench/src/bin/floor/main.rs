//! `bench-floor put|again DIR`: what the same work costs at the least.
//!
//! `put` sends every file of a directory with the SDK's calls and headers that a deployment makes,
//! with as many requests in flight, and does nothing else: no plan, no order, no record. `again`
//! walks and hashes the directory and lists the bucket in parallel ranges. Neither decides anything:
//! the figures say what the machine, the SDK and the store take, whatever is built on them.
//!
//! Reads `FLOOR_BUCKET` and the AWS SDK's variables for key, secret, region and S3 endpoint.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;
use walkdir::WalkDir;

mod put;

/// As `deploy` has: what an allocator gains is not to count as what a deployment costs.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Requests in flight, as a deployment has by default.
const IN_FLIGHT: usize = 64;
/// Ranges that are listed at once.
const RANGES: usize = 10;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [mode, directory] = arguments.as_slice() else {
        return Err("usage: bench-floor put|again DIR".into());
    };
    let directory = PathBuf::from(directory);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let target = Target { client: client()?, bucket: env::var("FLOOR_BUCKET")?.into() };
    match mode.as_str() {
        "put" => runtime.block_on(put::all(target, files(&directory)?, &directory)),
        "again" => runtime.block_on(again(target, &directory)),
        _ => Err("usage: bench-floor put|again DIR".into()),
    }
}

#[derive(Clone)]
struct Target {
    client: Client,
    bucket: Arc<str>,
}

fn client() -> Result<Client, Failure> {
    let (key, secret) = (env::var("AWS_ACCESS_KEY_ID")?, env::var("AWS_SECRET_ACCESS_KEY")?);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(env::var("AWS_REGION")?))
        .endpoint_url(env::var("AWS_ENDPOINT_URL_S3")?)
        .credentials_provider(Credentials::new(key, secret, None, None, "environment"))
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .build();
    Ok(Client::from_conf(config))
}

/// Paths below `directory`, and the files' sizes.
fn files(directory: &Path) -> Result<Vec<(PathBuf, u64)>, Failure> {
    let mut files = Vec::new();
    for entry in WalkDir::new(directory).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            files.push((entry.path().to_owned(), entry.metadata()?.len()));
        }
    }
    Ok(files)
}

fn key(directory: &Path, path: &Path) -> Result<String, Failure> {
    Ok(path.strip_prefix(directory)?.to_str().ok_or("a path is not UTF-8")?.to_owned())
}

async fn again(target: Target, directory: &Path) -> Result<(), Failure> {
    let files = files(directory)?;
    // Where to cut is known beforehand here, from the directory; a deployment knows it from its inventory.
    let mut keys: Vec<String> = files.iter().map(|(path, _)| key(directory, path)).collect::<Result<_, _>>()?;
    let hashing = tokio::task::spawn_blocking(move || hash_all(&files));
    keys.sort_unstable();
    let step = keys.len().div_ceil(RANGES).max(1);
    let mut bounds: Vec<Option<String>> = keys.chunks(step).skip(1).map(|chunk| Some(chunk[0].clone())).collect();
    bounds.insert(0, None);
    bounds.push(None);
    let mut ranges = JoinSet::new();
    for range in bounds.windows(2) {
        ranges.spawn(list(target.clone(), range[0].clone(), range[1].clone()));
    }
    let mut listed = 0;
    while let Some(range) = ranges.join_next().await {
        listed += range??;
    }
    let hashed = hashing.await??;
    writeln!(std::io::stderr(), "{hashed} files hashed, {listed} objects listed")?;
    Ok(())
}

/// Number of keys after `from` up to `to`.
async fn list(target: Target, from: Option<String>, to: Option<String>) -> Result<usize, Failure> {
    let mut after = from;
    let mut count = 0;
    loop {
        let request = target.client.list_objects_v2().bucket(&*target.bucket).set_start_after(after.take());
        let page = request.send().await?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        let in_range = |key: &&str| to.as_deref().is_none_or(|to| *key <= to);
        for key in keys.take_while(in_range) {
            count += 1;
            after = Some(key.to_owned());
        }
        let last = page.contents().last().and_then(|object| object.key());
        let passed = to.as_deref().is_some_and(|to| last.is_some_and(|last| last >= to));
        if passed || page.is_truncated() != Some(true) {
            return Ok(count);
        }
    }
}

fn hash_all(files: &[(PathBuf, u64)]) -> Result<usize, Failure> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let work = || -> Result<(), Failure> {
            let mut buffer = vec![0; 128 * 1024];
            while let Some((path, _)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut file = File::open(path)?;
                let mut hasher = Sha256::new();
                loop {
                    match file.read(&mut buffer)? {
                        0 => break,
                        n => hasher.update(&buffer[..n]),
                    }
                }
                std::hint::black_box(hasher.finalize());
            }
            Ok(())
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a thread panicked")?)
    })?;
    Ok(files.len())
}
