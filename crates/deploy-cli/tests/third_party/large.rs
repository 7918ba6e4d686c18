//! Files that go up in parts, also into a bucket whose policy makes demands.

use aws_sdk_s3::types::ServerSideEncryption;
use serde_json::json;

use crate::garage::{self, Garage};
use crate::ministack::{ACCOUNT, BUCKET, Ministack};
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

/// Denies every write that does not ask for this encryption, as AWS documents it ("Protecting data with
/// server-side encryption").
async fn demand(target: &Target, encryption: &str) {
    let condition = json!({ "StringNotEquals": { "s3:x-amz-server-side-encryption": encryption } });
    let resource = format!("arn:aws:s3:::{BUCKET}/*");
    let deny = json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": resource, "Condition": condition });
    let policy = json!({ "Version": "2012-10-17", "Statement": [deny] }).to_string();
    target.s3.put_bucket_policy().bucket(BUCKET).policy(policy).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_demands_encryption() {
    let key = format!("arn:aws:kms:eu-central-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    let Some(ministack) = Ministack::start().await else { return };
    let mut target = ministack.target("app/").await;
    let small = Site::of(&[("index.html", "<h1>1</h1>")]);

    demand(&target, "AES256").await;
    target.deploy(&small, "1.0.0").failed(3, &["explicit deny", "set DEPLOY_SSE to AES256 or aws:kms"]);
    demand(&target, "aws:kms").await;
    target.program = target.program.with("DEPLOY_BUCKET_OWNER", ACCOUNT).with("DEPLOY_SSE", "AES256");
    target.deploy(&small, "1.0.0").failed(3, &["explicit deny", "DEPLOY_SSE_KMS_KEY_ID"]);
    assert!(target.listing().await.is_empty());

    target.program = target.program.with("DEPLOY_SSE", "aws:kms").with("DEPLOY_SSE_KMS_KEY_ID", &key);
    // A file in parts, copies of it from the archive and back, and all the while the state area.
    let [first, second] = [1, 2].map(|seed| Site::of(&[("index.html", "<h1>data</h1>"), ("data.txt", &large(seed))]));
    let run = target.deploy(&first, "1.0.0").ended("deployed");
    assert!(run.operations().contains(&"CompleteMultipartUpload"), "{:?}", run.operations());
    target.deploy(&first, "1.0.0").ended("unchanged");
    target.deploy(&second, "2.0.0").ended("deployed");
    let back = target.program.run(&["rollback"]).ended("rolled-back");
    assert!(back.operations().contains(&"CopyObject"), "{:?}", back.operations());
    for object in target.listing().await.into_keys() {
        let head = target.s3.head_object().bucket(BUCKET).key(&object).send().await.unwrap();
        let used = (head.server_side_encryption().map(ServerSideEncryption::as_str), head.ssekms_key_id());
        assert_eq!(used, (Some("aws:kms"), Some(key.as_str())), "{object}");
    }
}
