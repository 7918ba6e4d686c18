//! The role of a Job's service account: a token file, exchanged for credentials at STS.

use serde_json::json;

use crate::ministack::{ACCOUNT, Ministack};
use crate::site::Site;

/// Of the service account `deploy` in the namespace `web`, by the issuer `oidc.example/id/1`, until 2100.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL29pZGMuZXhhbXBsZS9pZC8xIiwic3ViIjoic3lzdGVtOnNlcnZpY2VhY2NvdW50OndlYjpkZXBsb3kiLCJhdWQiOiJzdHMuYW1hem9uYXdzLmNvbSIsImV4cCI6NDEwMjQ0NDgwMH0.c2ln";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_deploys_with_the_role_of_its_service_account() {
    let Some(ministack) = Ministack::start().await else { return };
    let trust = |account: &str| {
        let condition =
            json!({ "StringEquals": { "oidc.example/id/1:sub": format!("system:serviceaccount:web:{account}") } });
        let federated = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example/id/1");
        let action = "sts:AssumeRoleWithWebIdentity";
        let statement = json!({ "Effect": "Allow", "Principal": { "Federated": federated }, "Action": action, "Condition": condition });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
    };
    let mut target = ministack.target("").await;
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        target.program = target.program.without(name);
    }
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    target.program = target.program.with("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap());
    target.program = target.program.with("AWS_ENDPOINT_URL_STS", ministack.url());
    let as_role = |name: &str| target.program.with("AWS_ROLE_ARN", format!("arn:aws:iam::{ACCOUNT}:role/{name}"));
    let site = Site::of(&[("index.html", "<h1>1</h1>")]);

    ministack.role("webapp", &trust("deploy"), &ministack.documented_policy("")).await;
    as_role("webapp").site(&site, "1.0.0").run(&["run"]).ended("deployed");
    target.holds(&site, &[], &[]).await;

    ministack.role("another", &trust("another"), &ministack.documented_policy("")).await;
    let denied = as_role("another").site(&site, "1.0.1").run(&["run"]);
    denied.failed(3, &["AccessDenied", "sts:AssumeRoleWithWebIdentity", token.to_str().unwrap(), &ministack.url()]);
}
