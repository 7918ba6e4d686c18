use asset_sync::deploy::NamedRelease;
use asset_sync::plan::Shrink;
use asset_sync::site::Key;
use insta::assert_snapshot;

use super::*;

fn around() -> Surroundings {
    Surroundings {
        region: "eu-central-1".into(),
        prefix: "app/".into(),
        state_bucket: Some("history".into()),
        credential_variables: vec!["AWS_ACCESS_KEY_ID"],
        endpoint: None,
    }
}

fn bucket(kind: BucketErrorKind, operation: &'static str) -> Error {
    BucketError {
        kind,
        operation,
        bucket: "webapp".into(),
        key: None,
        message: "no".into(),
        request_id: None,
        source: None,
    }
    .into()
}

fn cdn(kind: CdnErrorKind) -> Error {
    let operation = "CreateInvalidation";
    CdnError { kind, operation, distribution: "E1ABC".into(), message: "no".into(), request_id: None, source: None }
        .into()
}

fn of(error: &Error) -> String {
    hint(error, &around()).unwrap_or_default()
}

#[test]
fn permissions_are_named_by_action_and_resource() {
    let denied = |operation| of(&bucket(BucketErrorKind::Denied, operation));
    assert_snapshot!(denied("PutObject"), @"Allow s3:PutObject and s3:GetObject on arn:aws:s3:::webapp/app/*, in the policy of the role or user and in the bucket's own");
    assert_snapshot!(denied("ListObjectsV2"), @"Allow s3:ListBucket on arn:aws:s3:::webapp, in the policy of the role or user and in the bucket's own");
    assert_snapshot!(denied("GetObject"), @"Allow s3:GetObject on arn:aws:s3:::webapp/app/*, in the policy of the role or user and in the bucket's own");
    assert_snapshot!(denied("DeleteObjects"), @"Allow s3:DeleteObject and s3:GetObject on arn:aws:s3:::webapp/app/*, in the policy of the role or user and in the bucket's own");
    assert_snapshot!(denied("AbortMultipartUpload"), @"Allow s3:AbortMultipartUpload on arn:aws:s3:::webapp/app/*, in the policy of the role or user and in the bucket's own");
    assert_snapshot!(of(&cdn(CdnErrorKind::Denied)), @"Allow cloudfront:CreateInvalidation on arn:aws:cloudfront::<account>:distribution/E1ABC. The invalidation stays on record, and the next run makes it");
}

#[test]
fn a_state_bucket_and_a_key_are_named_too() {
    let mut error = BucketError {
        kind: BucketErrorKind::Denied,
        operation: "PutObject",
        bucket: "history".into(),
        key: None,
        message: "not allowed to use the KMS key".into(),
        request_id: None,
        source: None,
    };
    let mut around = around();
    around.region = "cn-north-1".into();
    assert_snapshot!(bucket_hint(&error, &around).unwrap(), @"Allow s3:PutObject and s3:GetObject on arn:aws-cn:s3:::history/*, in the policy of the role or user and in the bucket's own; the bucket's KMS key asks for kms:GenerateDataKey and kms:Decrypt");
    error.kind = BucketErrorKind::NoSuchBucket;
    around.endpoint = Some("http://127.0.0.1:3900".into());
    assert_snapshot!(bucket_hint(&error, &around).unwrap(), @r#"Check DEPLOY_STATE_BUCKET, which is "history", at http://127.0.0.1:3900 (AWS_ENDPOINT_URL_S3)"#);
}

#[test]
fn configuration_is_named_by_variable() {
    assert_snapshot!(of(&bucket(BucketErrorKind::NoSuchBucket, "ListObjectsV2")), @r#"Check DEPLOY_BUCKET, which is "webapp""#);
    assert_snapshot!(of(&bucket(BucketErrorKind::WrongRegion, "ListObjectsV2")), @r#"Set DEPLOY_REGION (or AWS_REGION) to the region of the bucket "webapp"; it is "eu-central-1""#);
    assert_snapshot!(of(&bucket(BucketErrorKind::Throttled, "PutObject")), @"A lower DEPLOY_CONCURRENCY asks less of the store at once");
    assert_snapshot!(of(&cdn(CdnErrorKind::NoSuchDistribution)), @r#"Check DEPLOY_DISTRIBUTION_IDS: these credentials know no distribution "E1ABC". Ids begin with E and are not domain names"#);
    assert_snapshot!(of(&bucket(BucketErrorKind::Credentials, "ListObjectsV2")), @"The AWS SDK looks, in this order, at AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, AWS_CONTAINER_CREDENTIALS_FULL_URI, and the instance. Set are AWS_ACCESS_KEY_ID");
    assert_eq!(of(&cdn(CdnErrorKind::Credentials)), of(&bucket(BucketErrorKind::Credentials, "ListObjectsV2")));
}

#[test]
fn an_endpoint_of_ones_own_is_named() {
    let around = Surroundings { endpoint: Some("http://127.0.0.1:3900".into()), ..around() };
    let with_endpoint = |kind| hint(&bucket(kind, "ListObjectsV2"), &around).unwrap();
    assert_snapshot!(with_endpoint(BucketErrorKind::Invalid), @"The server is http://127.0.0.1:3900 (AWS_ENDPOINT_URL_S3). Many that are not AWS's need DEPLOY_FORCE_PATH_STYLE=true");
    assert_snapshot!(with_endpoint(BucketErrorKind::Transient), @"The server is http://127.0.0.1:3900 (AWS_ENDPOINT_URL_S3): see that it runs and can be reached");
}

#[test]
fn a_refusal_names_what_allows_it() {
    let of = |refusal: Refusal| of(&refusal.into());
    assert_snapshot!(of(Refusal::Foreign { keys: vec!["index.html".into()] }), @"DEPLOY_ADOPT=take archives these objects as a release that can be restored, and replaces them; DEPLOY_PREFIX deploys elsewhere in the bucket");
    assert_snapshot!(of(Refusal::Shrunk(Shrink { live: 300, site: 100 })), @"If the build is whole, set DEPLOY_MAX_SHRINK=67% for this run: 200 of 300 files would go");
    assert_snapshot!(of(Refusal::NoConditionalWrites { bucket: "webapp".into() }), @"If something else keeps two deployments of this target apart, set DEPLOY_CONDITIONAL_WRITES=unsafe-off");
    assert_snapshot!(of(Refusal::Unfinished), @"`deploy status` shows what is unfinished; `deploy run` finishes it");
    assert_snapshot!(of(Refusal::Incomplete { release: "r1".into(), key: "a".into() }), @"`deploy status` lists the other releases; `deploy rollback --to VERSION` goes to one of them");
}

#[test]
fn a_conflict_names_the_way_out() {
    let older = |by| of(&Conflict::Older { new: "1".into(), live: "2".into(), by }.into());
    assert_snapshot!(older("version"), @"To deploy it all the same, set DEPLOY_ALLOW_OLDER=true for this run; to return to a retained release, use `deploy rollback --to VERSION`. The order is by DEPLOY_VERSION");
    assert_snapshot!(older("build number"), @"To deploy it all the same, set DEPLOY_ALLOW_OLDER=true for this run; to return to a retained release, use `deploy rollback --to VERSION`. The order is by DEPLOY_BUILD");
    assert_snapshot!(of(&Conflict::RolledBack { new: "1".into() }.into()), @"To make it live again, use `deploy rollback --to VERSION`, or set DEPLOY_ALLOW_OLDER=true for this run");
    assert_snapshot!(of(&Error::Busy { owner: "somebody".into(), waited: std::time::Duration::ZERO }), @"`deploy unlock` shows who holds the lease; if that run is dead and you cannot wait, `deploy unlock --force` takes it away. DEPLOY_LEASE_WAIT sets how long to wait");
    assert_snapshot!(of(&Error::NoSuchRelease("no".into())), @"`deploy status` lists the releases that are kept");
}

#[test]
fn a_mistake_of_the_build_names_the_rule_that_lets_it_pass() {
    let finding =
        |kind| Finding { file: Key::new("a.js").unwrap(), line: None, kind, reference: "x".into(), target: None };
    let of = |kinds: &[FindingKind]| {
        of(&Refusal::Preflight { findings: kinds.iter().copied().map(finding).collect() }.into())
    };
    assert_snapshot!(of(&[FindingKind::Secret, FindingKind::MissingReference, FindingKind::Secret]), @r#"A rule in the file that DEPLOY_RULES names lets a file pass as it is: [[rule]], glob = "…", allow = ["missing-reference", "secret"]"#);
    assert_snapshot!(of(&[FindingKind::SourceMap]), @r#"A rule in the file that DEPLOY_RULES names lets a file pass as it is: [[rule]], glob = "…", allow = ["source-map"]. DEPLOY_SOURCE_MAPS=warn lets all source maps pass"#);
}

#[test]
fn a_release_that_is_not_what_is_seen_names_what_decides() {
    let named = |release: &str| NamedRelease { release: release.into(), version: "1".into() };
    let of = |fault, rolled_back_to: Option<&str>| {
        let rolled_back_to = rolled_back_to.map(named);
        of(&NotVerified { release: named("r2"), fault, observations: vec![], rolled_back_to }.into())
    };
    assert_snapshot!(of(Fault::Wrong, Some("r1")), @"Mend the build, or what stands between the bucket and its visitors, and deploy a new one. An edge that keeps the absence of a file forgets it with DEPLOY_INVALIDATION=all. With DEPLOY_ON_FAILURE=keep the release would have stayed live to be looked at");
    assert_snapshot!(of(Fault::Wrong, None), @"It is still live. `deploy verify` looks again; `deploy rollback` makes the release before it live, where there is one, as DEPLOY_ON_FAILURE=rollback does at once");
    assert_snapshot!(of(Fault::StateAreaReadable, None), @"The release stays live. Deny the CDN the prefix that DEPLOY_STATE_PREFIX names, in the bucket's policy, or keep the state in another bucket (DEPLOY_STATE_BUCKET); with DEPLOY_VERIFY=auto this is a warning");
    assert_snapshot!(of(Fault::Unseen, None), @"The release stays live. See that DEPLOY_PUBLIC_URL can be reached from here; DEPLOY_VERIFY_HEADER sends what a protected environment asks for; with DEPLOY_VERIFY=auto this is a warning");
    assert_snapshot!(verdict_hint(Fault::Wrong), @"If the CDN serves what it had in its cache, wait or invalidate it; if the bucket was changed, `deploy run` puts it right; `deploy rollback` makes the release before it live");
    assert_snapshot!(verdict_hint(Fault::StateAreaReadable), @"Deny the CDN the prefix that DEPLOY_STATE_PREFIX names, in the bucket's policy, or keep the state in another bucket (DEPLOY_STATE_BUCKET)");
    assert_snapshot!(verdict_hint(Fault::Unreachable), @"See that DEPLOY_PUBLIC_URL can be reached from here; DEPLOY_VERIFY_HEADER sends what a protected environment asks for");
    assert_snapshot!(verdict_hint(Fault::Unseen), @"See that DEPLOY_PUBLIC_URL can be reached from here; DEPLOY_VERIFY_HEADER sends what a protected environment asks for; with DEPLOY_VERIFY=auto this is no failure");
}

#[test]
fn what_is_wrong_with_a_site_names_the_variables_it_is_about() {
    let path = || std::path::PathBuf::from("a");
    let of = |problems| of(&ScanError::Problems(problems).into());
    let placeholder = || ScanProblem::Placeholder {
        path: path(),
        line: None,
        fault: asset_sync::site::Fault {
            placeholder: "__WEBAPP_A__".into(),
            fault: asset_sync::site::PlaceholderFault::Comment,
        },
    };
    assert_snapshot!(of(vec![placeholder()]), @"DEPLOY_VALUES_PREFIX says how the variables begin that fill placeholders; DEPLOY_TEMPLATES selects the files that take them; DEPLOY_VALUES_JSON and DEPLOY_VALUES_SCRIPT make files that scripts can read");
    assert_snapshot!(of(vec![ScanProblem::Taken { path: path() }, ScanProblem::NotAFile { path: path() }]), @"DEPLOY_VALUES_JSON and DEPLOY_VALUES_SCRIPT name the files that are generated. DEPLOY_SOURCE (or --source) names the directory; DEPLOY_RULES can leave files out");
    let not_as_cut =
        ScanProblem::NotAsCut { path: path(), manifest: path(), difference: asset_sync::site::Difference::Content };
    assert_snapshot!(of(vec![not_as_cut]), @"DEPLOY_SITE_MANIFEST names the manifest; set to nothing, it has every file read and none compared");
    assert_snapshot!(of(vec![ScanProblem::Integrity { path: path(), line: 1, target: Key::new("b").unwrap() }]), @"DEPLOY_TEMPLATES selects the files that take values");
}
