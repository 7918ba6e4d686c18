//! Credentials that are wrong, and policies that lack something: told apart, named, and harmless.

use crate::ministack::{BUCKET, Ministack};
use crate::site::Site;
use crate::target::Target;

fn site(version: &str) -> Site {
    let page = format!("<script src=static/app.3f2a9c{version}d.js></script>");
    let script = format!("static/app.3f2a9c{version}d.js");
    Site::of(&[("index.html", &page), ("about.html", "about"), (&script, "app()")])
}

/// A target with version 1 live, whose user may then do all that is documented but one action.
async fn target_without(ministack: &Ministack, action: &str) -> Target {
    let target = ministack.target("").await;
    target.deploy(&site("1"), "1.0.0").ended("deployed");
    forbid(ministack, action).await;
    target
}

/// Takes one action out of what the user may do.
async fn forbid(ministack: &Ministack, action: &str) {
    let documented = ministack.documented_policy("");
    let without = documented.replace(&format!("\"{action}\""), "\"s3:NoSuchAction\"");
    assert_ne!(without, documented, "{action} is not in the documented policy");
    ministack.set_policy("deployer", &without).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_write_names_the_action_and_changes_nothing() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = target_without(&ministack, "s3:PutObject").await;
    let before = target.listing().await;
    target.deploy(&site("2"), "2.0.0").failed(3, &["s3:PutObject", &format!("arn:aws:s3:::{BUCKET}/")]);
    assert_eq!(target.listing().await, before);
    target.holds(&site("1"), &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_list_names_the_action_and_changes_nothing() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = target_without(&ministack, "s3:ListBucket").await;
    let before = target.listing().await;
    target.deploy(&site("2"), "2.0.0").failed(3, &["s3:ListBucket", &format!("arn:aws:s3:::{BUCKET}")]);
    assert_eq!(target.listing().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_read_names_the_action_and_changes_nothing() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = target_without(&ministack, "s3:GetObject").await;
    let before = target.listing().await;
    target.deploy(&site("2"), "2.0.0").failed(3, &["s3:GetObject"]);
    assert_eq!(target.listing().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_invalidation_names_the_action_and_the_next_run_makes_it() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = target_without(&ministack, "cloudfront:CreateInvalidation").await;
    let before = target.invalidations().await;
    let distribution = target.distribution.clone().unwrap();
    target.deploy(&site("2"), "2.0.0").failed(3, &["cloudfront:CreateInvalidation", &distribution]);
    assert_eq!(target.invalidations().await, before);
    // The new files may be in place, but nothing that visitors still use is gone.
    target.holds(&site("2"), &[&site("1")], &[]).await;

    ministack.set_policy("deployer", &ministack.documented_policy("")).await;
    let paid = target.deploy(&site("2"), "2.0.0").ended("deployed");
    assert_eq!(paid.number("/uploaded/files"), 0);
    let after = target.invalidations().await;
    assert_eq!(after.len(), before.len() + 1);
    let paths: Vec<_> = paid.invalidations().into_iter().flat_map(|(_, paths)| paths).map(str::to_owned).collect();
    assert!(paths.iter().any(|path| path == "/index.html"), "{paths:?}");
    target.deploy(&site("2"), "2.0.0").ended("unchanged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_delete_names_the_action() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = target_without(&ministack, "s3:DeleteObject").await;
    // A page that the new version no longer has is deleted with the switch.
    let fewer = Site::of(&[("index.html", "2"), ("static/app.3f2a9c2d.js", "app()")]);
    target
        .program
        .with("DEPLOY_MAX_SHRINK", "100%")
        .site(&fewer, "2.0.0")
        .run(&["run"])
        .failed(3, &["s3:DeleteObject"]);
    let about = target.object("about.html").await;
    assert_eq!(about.bytes, b"about");

    ministack.set_policy("deployer", &ministack.documented_policy("")).await;
    target.program.with("DEPLOY_MAX_SHRINK", "100%").site(&fewer, "2.0.0").run(&["run"]).ended("deployed");
    target.holds(&fewer, &[&site("1")], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_told_from_a_denied_action() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = ministack.target("").await;
    let wrong = target.program.with("AWS_SECRET_ACCESS_KEY", "quite/another/secret/0123456789abcdef");
    let failed = wrong.site(&site("1"), "1.0.0").run(&["run"]);
    failed.failed(3, &["SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"]);
    assert!(target.listing().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_access_key_is_told_from_a_denied_action() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = ministack.target("").await;
    let unknown = target.program.with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    unknown.site(&site("1"), "1.0.0").run(&["run"]).failed(3, &["AWS_ACCESS_KEY_ID"]);
    assert!(target.listing().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_such_bucket_is_a_mistake_of_configuration() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = ministack.target("").await;
    let everything = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    ministack.set_policy("deployer", everything).await;
    let elsewhere = target.program.with("DEPLOY_BUCKET", "webapp-prodution");
    elsewhere.site(&site("1"), "1.0.0").run(&["run"]).failed(2, &["DEPLOY_BUCKET", "webapp-prodution"]);
    assert!(target.listing().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_such_distribution_is_a_mistake_of_configuration() {
    let Some(ministack) = Ministack::start().await else { return };
    let target = ministack.target("").await;
    let everything = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}"#;
    ministack.set_policy("deployer", everything).await;
    let elsewhere = target.program.with("DEPLOY_DISTRIBUTION_IDS", "E0NOSUCHTHING0");
    elsewhere.site(&site("1"), "1.0.0").run(&["run"]).failed(2, &["DEPLOY_DISTRIBUTION_IDS", "E0NOSUCHTHING0"]);
}
