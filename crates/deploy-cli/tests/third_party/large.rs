//! Files that go up in parts.

use crate::garage::{self, Garage};
use crate::ministack::Ministack;
use crate::site::Site;
use crate::target::Target;

/// More than two parts of the least size that S3 takes, and a last part that is shorter.
fn large(seed: u32) -> String {
    let lines = (0..700_000_u32).map(|line| format!("{:>16}\n", line.wrapping_mul(2_654_435_761) ^ seed));
    lines.collect()
}

/// One that never changes under its name, and one that does.
fn site(version: u32) -> Site {
    let name = format!("static/data.3f2a9c{version}d.js");
    Site::of(&[("index.html", "<h1>data</h1>"), (&name, &large(1)), ("data.txt", &large(version))])
}

async fn large_files(target: &Target) {
    let (first, second) = (site(1), site(2));
    let run = target.deploy(&first, "1.0.0").ended("deployed");
    assert!(run.operations().contains(&"CompleteMultipartUpload"), "{:?}", run.operations());
    target.holds(&first, &[], &[]).await;

    let before = target.listing().await;
    target.deploy(&first, "1.0.0").ended("unchanged");
    assert_eq!(target.listing().await, before);

    target.deploy(&second, "2.0.0").ended("deployed");
    target.holds(&second, &[&first], &[]).await;
    target.program.run(&["rollback"]).ended("rolled-back");
    target.holds(&first, &[&second], &[]).await;

    let uploads = target.s3.list_multipart_uploads().bucket(&target.bucket).send().await.unwrap();
    assert!(uploads.uploads().is_empty(), "{:?}", uploads.uploads());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_on_ministack() {
    let Some(ministack) = Ministack::start().await else { return };
    large_files(&ministack.target("app/").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_on_garage() {
    let Some(garage) = Garage::start().await else { return };
    let mut target = Target::new(&garage.access, garage::BUCKET, "app/", None);
    target.program = target.program.with("DEPLOY_CONDITIONAL_WRITES", "unsafe-off");
    large_files(&target).await;
}
