//! A slow line delays a run and does not end it: uploads share the line among few, and the lease is kept.
//! Each deployment succeeds at the first attempt with the default settings. Time is virtual.

use std::sync::Arc;
use std::time::Duration;

use asset_sync::Sha256;
use asset_sync::bucket::RetryPolicy;
use asset_sync::deploy::{Options, Outcome};
use tokio_util::sync::CancellationToken;

use crate::slow_bucket::SlowBucket;
use crate::world::{World, info};

const MIB: usize = 1024 * 1024;

type Files = Vec<(String, Vec<u8>)>;

/// Fingerprinted files of so many bytes each.
fn assets(count: usize, bytes: usize) -> Files {
    let asset = |n: usize| {
        let mut content = vec![7; bytes];
        content[..8].copy_from_slice(&(n as u64).to_le_bytes());
        (format!("assets/chunk-{}.js", Sha256::of(&content).short()), content)
    };
    (0..count).map(asset).chain([("index.html".to_owned(), b"<p>".to_vec())]).collect()
}

/// Deploys the files through a line that makes `rate` bytes a second once it carried so many bytes.
async fn deploy(
    files: &Files,
    latency: Duration,
    rate: impl Fn(f64) -> f64 + Send + Sync + 'static,
) -> Arc<SlowBucket> {
    let world = World::new();
    let site = world.site(files);
    let bucket = SlowBucket::behind_a_line(&world, latency, rate);
    let deployer = bucket.deployer(&world, Options { retry: RetryPolicy::default(), ..world.options() });
    let report = deployer.deploy(&site, &info("1.0.0"), &CancellationToken::new()).await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    world.assert_serves(&site);
    assert!(world.current().lease.is_none() && world.current().pending.is_none());
    bucket
}

const LATENCY: Duration = Duration::from_millis(50);

fn bytes(files: &Files) -> f64 {
    files.iter().map(|(_, content)| content.len() as f64).sum()
}

/// Asserts that nothing was sent in vain: no body was cut off, and the line was idle for little of the time.
fn assert_no_waste(bucket: &SlowBucket, files: &Files, rate: f64) {
    let what = format!("{} files at {rate} bytes/s", files.len());
    assert_eq!(bucket.cut(), 0, "{what}");
    let needed = bytes(files) / rate;
    let took = bucket.elapsed().as_secs_f64();
    assert!(took < needed * 1.1 + 10.0, "{what}: {took:.0} s, where {needed:.0} s are needed");
}

#[tokio::test(start_paused = true)]
async fn a_line_of_120_kilobytes_a_second_is_used_and_nothing_is_cut_off() {
    for files in [assets(1, 30 * MIB), assets(6, 4 * MIB), assets(2, 16 * MIB), assets(20, MIB)] {
        let bucket = deploy(&files, LATENCY, |_| 120_000.0).await;
        assert_no_waste(&bucket, &files, 120_000.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_of_30_kilobytes_a_second_is_used_and_nothing_is_cut_off() {
    for files in [assets(1, 20 * MIB), assets(3, 4 * MIB), assets(20, MIB / 2)] {
        let bucket = deploy(&files, LATENCY, |_| 30_000.0).await;
        assert_no_waste(&bucket, &files, 30_000.0);
    }
}

/// Many bodies are under way by then. They are cut off once, which does not count towards the time after which a
/// request is given up: each took longer than that.
#[tokio::test(start_paused = true)]
async fn a_line_that_becomes_slow_while_files_are_sent_is_enough() {
    for (files, fast) in [(assets(1, 120 * MIB), 60e6), (assets(24, 4 * MIB), 30e6), (assets(64, MIB), 32e6)] {
        let bucket = deploy(&files, LATENCY, move |sent| if sent < fast { 1e9 } else { 120_000.0 }).await;
        let cut = bucket.cut();
        assert!((1..=files.len().max(8)).contains(&cut), "{cut} of {} files were cut off", files.len());
    }
}

#[tokio::test(start_paused = true)]
async fn many_small_files_are_sent_side_by_side_on_a_slow_line_with_a_high_latency() {
    let files = assets(1_500, 2_000);
    let bucket = deploy(&files, Duration::from_millis(1_500), |_| 120_000.0).await;
    assert_eq!(bucket.cut(), 0);
    let took = bucket.elapsed().as_secs();
    assert!(took < 90, "{took} s, where 25 s are needed for the bytes and 35 s for the requests");
    assert!(bucket.peak(0..took + 1) >= 64);
}

#[tokio::test(start_paused = true)]
async fn parts_are_smaller_once_the_line_is_known_to_be_slow_and_equal_within_an_upload() {
    for (rate, expected) in [(120_000.0, 5 * MIB), (50_000_000.0, 8 * MIB)] {
        let bucket = deploy(&assets(3, 17 * MIB), LATENCY, move |_| rate).await;
        let parts = bucket.parts();
        assert_eq!(parts.len(), 3);
        for parts in &parts {
            assert!(parts[..parts.len() - 1].iter().all(|part| *part == parts[0]), "{parts:?}");
        }
        let smallest = parts.iter().map(|parts| parts[0]).min();
        assert_eq!(smallest, Some(expected), "{parts:?}");
    }
}
