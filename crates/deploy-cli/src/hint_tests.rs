use asset_sync::deploy::NamedRelease;
use asset_sync::error::Standing;
use asset_sync::plan::Shrink;
use asset_sync::site::Key;
use insta::assert_snapshot;

use super::*;

fn around() -> Surroundings {
    Surroundings {
        region: "eu-central-1".into(),
        prefix: "app/".into(),
        state_bucket: Some("history".into()),
        encryption: None,
        bucket_owner: None,
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

fn live() -> NamedRelease {
    NamedRelease { release: "r7-1a2b3c4d5e6f".to_owned(), version: "1.8.0".to_owned() }
}

fn unfinished(standing: Standing, source: Error) -> Error {
    Error::Unfinished { standing, source: Box::new(source) }
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
    assert_snapshot!(denied("PutObject"), @r#"Add to the policy of the role or user: {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "arn:aws:s3:::webapp/app/*"}. The bucket's own policy must not deny it. If that policy demands encryption, set DEPLOY_SSE to AES256 or aws:kms"#);
    assert_snapshot!(denied("ListObjectsV2"), @r#"Add to the policy of the role or user: {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::webapp"}. The bucket's own policy must not deny it"#);
    assert_snapshot!(denied("GetObject"), @r#"Add to the policy of the role or user: {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::webapp/app/*"}. The bucket's own policy must not deny it"#);
    assert_snapshot!(denied("DeleteObjects"), @r#"Add to the policy of the role or user: {"Effect": "Allow", "Action": ["s3:DeleteObject", "s3:GetObject"], "Resource": "arn:aws:s3:::webapp/app/*"}. The bucket's own policy must not deny it"#);
    assert_snapshot!(denied("AbortMultipartUpload"), @r#"Add to the policy of the role or user: {"Effect": "Allow", "Action": ["s3:AbortMultipartUpload"], "Resource": "arn:aws:s3:::webapp/app/*"}. The bucket's own policy must not deny it"#);
    assert_snapshot!(of(&cdn(CdnErrorKind::Denied)), @r#"Add to the policy of the role or user: {"Effect": "Allow", "Action": ["cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"], "Resource": "arn:aws:cloudfront::<account>:distribution/E1ABC"}. Or DEPLOY_DISTRIBUTION_IDS names another distribution than the role is for"#);
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
    assert_snapshot!(bucket_hint(&error, &around).unwrap(), @r#"Add to the policy of the role or user: {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "arn:aws-cn:s3:::history/*"}. The bucket's own policy must not deny it. If that policy demands encryption, set DEPLOY_SSE to AES256 or aws:kms. The bucket's KMS key asks for kms:GenerateDataKey and kms:Decrypt"#);
    error.kind = BucketErrorKind::NoSuchBucket;
    around.endpoint = Some("http://127.0.0.1:3900".into());
    assert_snapshot!(bucket_hint(&error, &around).unwrap(), @r#"Check DEPLOY_STATE_BUCKET, which is "history", at http://127.0.0.1:3900 (AWS_ENDPOINT_URL_S3)"#);
}

#[test]
fn configuration_is_named_by_variable() {
    assert_snapshot!(of(&bucket(BucketErrorKind::NoSuchBucket, "ListObjectsV2")), @r#"Check DEPLOY_BUCKET, which is "webapp""#);
    assert_snapshot!(of(&bucket(BucketErrorKind::WrongRegion, "ListObjectsV2")), @r#"Set DEPLOY_REGION (or AWS_REGION) to the region of the bucket "webapp"; it is "eu-central-1""#);
    assert_snapshot!(of(&bucket(BucketErrorKind::Throttled, "PutObject")), @"A lower DEPLOY_CONCURRENCY asks less of the store at once; DEPLOY_RETRY_TIMEOUT sets how long a request is tried again");
    assert_snapshot!(of(&cdn(CdnErrorKind::NoSuchDistribution)), @r#"Check DEPLOY_DISTRIBUTION_IDS: these credentials know no distribution "E1ABC". Ids begin with E and are not domain names"#);
    assert_snapshot!(of(&bucket(BucketErrorKind::Credentials, "ListObjectsV2")), @"The AWS SDK looks, in this order, at AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, AWS_CONTAINER_CREDENTIALS_FULL_URI, and the instance. Set are AWS_ACCESS_KEY_ID");
    assert_eq!(of(&cdn(CdnErrorKind::Credentials)), of(&bucket(BucketErrorKind::Credentials, "ListObjectsV2")));
}

#[test]
fn what_a_bucket_may_demand_is_named() {
    let around =
        Surroundings { encryption: Some(Encryption::Kms), bucket_owner: Some("123456789012".into()), ..around() };
    let denied = |operation| hint(&bucket(BucketErrorKind::Denied, operation), &around).unwrap();
    let ends = |hint: String, end: &str| assert!(hint.ends_with(end), "{hint}");
    ends(
        denied("CreateMultipartUpload"),
        "must not deny it. If that policy demands another encryption, see DEPLOY_SSE and DEPLOY_SSE_KMS_KEY_ID. The bucket must belong to the account 123456789012 (DEPLOY_BUCKET_OWNER)",
    );
    for operation in ["GetObject", "ListObjectsV2", "DeleteObjects"] {
        ends(
            denied(operation),
            "must not deny it. The bucket must belong to the account 123456789012 (DEPLOY_BUCKET_OWNER)",
        );
    }
    let no_key = |encryption| {
        let around = Surroundings { encryption, ..Surroundings::default() };
        let Error::Bucket(mut error) = bucket(BucketErrorKind::Invalid, "PutObject") else { unreachable!() };
        error.message = "KMS.NotFoundException: Invalid keyId alias/site".into();
        bucket_hint(&error, &around).unwrap()
    };
    assert_snapshot!(no_key(Some(Encryption::Kms)), @"Check DEPLOY_SSE_KMS_KEY_ID: S3 looks for the key in the bucket's region and, where it is no ARN, in the account of the credentials");
    assert_snapshot!(no_key(None), @"It is about the key that the bucket encrypts with by default; DEPLOY_SSE and DEPLOY_SSE_KMS_KEY_ID name another");
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
    assert_snapshot!(of(Refusal::OtherEnvironment { wanted: "a".into(), live: "b".into() }), @"DEPLOY_BUCKET and DEPLOY_PREFIX name the target, DEPLOY_ENVIRONMENT this run's environment; DEPLOY_ALLOW_ENVIRONMENT_CHANGE=true takes the target over");
    assert_snapshot!(of(Refusal::Incomplete { release: "r1".into(), key: "a".into(), more: 0 }), @"`deploy status` lists the other releases; `deploy rollback --to VERSION` goes to one of them");
}

#[test]
fn a_conflict_names_the_way_out() {
    let older = |by| of(&Conflict::Older { new: "1".into(), live: "2".into(), by }.into());
    assert_snapshot!(older("version"), @"To deploy it all the same, set DEPLOY_ALLOW_OLDER=true for this run; to return to a retained release, use `deploy rollback --to VERSION`. The order is by DEPLOY_VERSION");
    assert_snapshot!(older("build number"), @"To deploy it all the same, set DEPLOY_ALLOW_OLDER=true for this run; to return to a retained release, use `deploy rollback --to VERSION`. The order is by DEPLOY_BUILD");
    assert_snapshot!(of(&Conflict::Ambiguous { version: "1".into(), ids: vec!["r1-a".into(), "r2-b".into()] }.into()), @"Give one of these ids (`deploy history` tells which is which). With `rollback --if-live`, DEPLOY_EXECUTION set for both the deployment and the rollback does as well");
    assert_snapshot!(of(&Conflict::RolledBack { new: "1".into() }.into()), @"To make it live again, use `deploy rollback --to VERSION`, or set DEPLOY_ALLOW_OLDER=true for this run");
    assert_snapshot!(of(&Error::Busy { owner: "somebody".into(), waited: std::time::Duration::ZERO }), @"`deploy unlock` shows who holds the lease; if that run is dead and you cannot wait, `deploy unlock --force` takes it away. DEPLOY_LEASE_WAIT sets how long to wait");
    assert_snapshot!(of(&Error::NoSuchRelease("no".into())), @"`deploy status` lists the releases that are kept");
}

#[test]
fn a_mistake_of_the_build_names_the_rule_that_lets_it_pass() {
    let finding = |kind| Finding {
        file: Key::new("a.js").unwrap(),
        line: None,
        kind,
        reference: "x".into(),
        target: None,
        instead: None,
    };
    let of = |kinds: &[FindingKind]| {
        of(&Refusal::Preflight { findings: kinds.iter().copied().map(finding).collect(), shown: 5 }.into())
    };
    assert_snapshot!(of(&[FindingKind::Secret, FindingKind::MissingReference, FindingKind::Secret]), @r#"Build again, or correct what is named above. To deploy it as it is, add a rule to the file that DEPLOY_RULES names: [[rule]], glob = "…", allow = ["missing-reference", "secret"]"#);
    assert_snapshot!(of(&[FindingKind::SourceMap]), @r#"Build again, or correct what is named above. To deploy it as it is, add a rule to the file that DEPLOY_RULES names: [[rule]], glob = "…", allow = ["source-map"]. DEPLOY_SOURCE_MAPS=warn lets all source maps pass"#);
}

#[test]
fn a_release_that_is_not_what_is_seen_names_what_decides() {
    let named = |release: &str| NamedRelease { release: release.into(), version: "1".into() };
    let of = |fault, rolled_back_to: Option<&str>| {
        let rolled_back_to = rolled_back_to.map(named);
        of(&NotVerified { release: named("r2"), fault, observations: vec![], rolled_back_to, rollback_failed: None }
            .into())
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

/// The classes of failure, each as a person reads it: cause, variable or key, next step.
#[test]
fn every_class_of_failure_names_cause_place_and_next_step() {
    let request = |kind, operation, key: Option<&str>, message: &str| -> Error {
        BucketError {
            kind,
            operation,
            bucket: "webapp".into(),
            key: key.map(str::to_owned),
            message: message.into(),
            request_id: Some("4442587FB7D0A2F9".into()),
            source: None,
        }
        .into()
    };
    let cdn = |kind, message: &str| -> Error {
        CdnError {
            kind,
            operation: "CreateInvalidation",
            distribution: "E1ABC".into(),
            message: message.into(),
            request_id: Some("7f3a".into()),
            source: None,
        }
        .into()
    };
    let waited = std::time::Duration::from_mins(3);
    let path = || std::path::PathBuf::from("/site/app.js");
    let key = Some("app/index.html");
    let gave_up = "SlowDown: Please reduce your request rate.; gave up after 21 attempts over 175.2 s";
    let errors: Vec<Error> = vec![
        request(
            BucketErrorKind::NoSuchBucket,
            "ListObjectsV2",
            None,
            "NoSuchBucket: The specified bucket does not exist",
        ),
        request(
            BucketErrorKind::WrongRegion,
            "ListObjectsV2",
            None,
            "the bucket is in region us-east-1, not eu-central-1",
        ),
        request(BucketErrorKind::Credentials, "ListObjectsV2", None, "InvalidAccessKeyId: The key id does not exist"),
        request(BucketErrorKind::Credentials, "PutObject", key, "ExpiredToken: The provided token has expired."),
        request(
            BucketErrorKind::LateCredentials,
            "GetObject",
            key,
            "no AWS credentials: STS in eu-central-1: HTTP 503",
        ),
        request(BucketErrorKind::WrongClock, "GetObject", key, "the clock of this machine is wrong"),
        request(BucketErrorKind::Denied, "PutObject", key, "AccessDenied: Access Denied"),
        request(BucketErrorKind::Denied, "ListObjectsV2", None, "AccessDenied: Access Denied"),
        request(BucketErrorKind::Denied, "DeleteObjects", key, "AccessDenied: Access Denied"),
        request(BucketErrorKind::Throttled, "PutObject", key, gave_up),
        request(
            BucketErrorKind::Transient,
            "PutObject",
            key,
            "InternalError (HTTP 500); gave up after 20 attempts over 171.0 s",
        ),
        request(
            BucketErrorKind::Transient,
            "GetObject",
            key,
            "no answer: connection reset; gave up after 9 attempts over 179.8 s",
        ),
        cdn(CdnErrorKind::NoSuchDistribution, "NoSuchDistribution: The specified distribution does not exist."),
        cdn(CdnErrorKind::Denied, "AccessDenied: not authorized"),
        cdn(CdnErrorKind::Throttled, "Throttling: Rate exceeded"),
        ScanError::Missing { path: path() }.into(),
        ScanError::Empty { path: path(), skipped: 2 }.into(),
        Error::SourceChanged { path: path() },
        Error::Read { path: path(), source: std::io::ErrorKind::PermissionDenied.into() },
        Error::Busy { owner: "deploy 1.0.0 on pod-7, process 1".into(), waited },
        Error::LeaseLost {
            last_failure: Some(format!("PutObject on webapp/app/.deploy/current: {gave_up} (request 44)")),
        },
        Error::Unsettled { what: "objects vanished while they were looked at".into() },
        Error::InvalidationTimeout { distribution: "E1ABC".into(), id: "I2J0".into(), waited },
        Error::Interrupted,
        unfinished(Standing::Switched(Some(live())), cdn(CdnErrorKind::Denied, "AccessDenied: not authorized")),
        unfinished(Standing::Switched(Some(live())), Error::Interrupted),
        unfinished(Standing::AsBefore(None), Error::NoSuchRelease("x".into())),
        Error::NoDistribution,
        Error::NoSuchRelease("there is no release 9.9.9 here; there are 1.0.0 and 1.1.0".into()),
    ];
    let told: Vec<String> = errors
        .iter()
        .map(|error| format!("{:?}: {error}\n  {}", error.class(), of(error)).trim_end().to_owned())
        .collect();
    assert_snapshot!(told.join("\n"), @r#"
    Usage: ListObjectsV2 on webapp: NoSuchBucket: The specified bucket does not exist (request 4442587FB7D0A2F9)
      Check DEPLOY_BUCKET, which is "webapp"
    Usage: ListObjectsV2 on webapp: the bucket is in region us-east-1, not eu-central-1 (request 4442587FB7D0A2F9)
      Set DEPLOY_REGION (or AWS_REGION) to the region of the bucket "webapp"; it is "eu-central-1"
    NotPermitted: ListObjectsV2 on webapp: InvalidAccessKeyId: The key id does not exist (request 4442587FB7D0A2F9)
      The AWS SDK looks, in this order, at AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, AWS_CONTAINER_CREDENTIALS_FULL_URI, and the instance. Set are AWS_ACCESS_KEY_ID
    NotPermitted: PutObject on webapp/app/index.html: ExpiredToken: The provided token has expired. (request 4442587FB7D0A2F9)
      Temporary credentials ran out: run again with new ones, and it goes on where this run ended. The AWS SDK looks, in this order, at AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, AWS_CONTAINER_CREDENTIALS_FULL_URI, and the instance. Set are AWS_ACCESS_KEY_ID
    Transient: GetObject on webapp/app/index.html: no AWS credentials: STS in eu-central-1: HTTP 503 (request 4442587FB7D0A2F9)
      See that the source of the credentials can be reached from here. DEPLOY_RETRY_TIMEOUT sets how long a request is tried again
    NotPermitted: GetObject on webapp/app/index.html: the clock of this machine is wrong (request 4442587FB7D0A2F9)
      Set the clock of the machine, or node, that this runs on, for instance by NTP. AWS takes requests that were signed up to 15 minutes away from its own time
    NotPermitted: PutObject on webapp/app/index.html: AccessDenied: Access Denied (request 4442587FB7D0A2F9)
      Add to the policy of the role or user: {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "arn:aws:s3:::webapp/app/*"}. The bucket's own policy must not deny it. If that policy demands encryption, set DEPLOY_SSE to AES256 or aws:kms
    NotPermitted: ListObjectsV2 on webapp: AccessDenied: Access Denied (request 4442587FB7D0A2F9)
      Add to the policy of the role or user: {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::webapp"}. The bucket's own policy must not deny it
    NotPermitted: DeleteObjects on webapp/app/index.html: AccessDenied: Access Denied (request 4442587FB7D0A2F9)
      Add to the policy of the role or user: {"Effect": "Allow", "Action": ["s3:DeleteObject", "s3:GetObject"], "Resource": "arn:aws:s3:::webapp/app/*"}. The bucket's own policy must not deny it
    Transient: PutObject on webapp/app/index.html: SlowDown: Please reduce your request rate.; gave up after 21 attempts over 175.2 s (request 4442587FB7D0A2F9)
      A lower DEPLOY_CONCURRENCY asks less of the store at once; DEPLOY_RETRY_TIMEOUT sets how long a request is tried again
    Transient: PutObject on webapp/app/index.html: InternalError (HTTP 500); gave up after 20 attempts over 171.0 s (request 4442587FB7D0A2F9)
      The next run goes on where this one ended. DEPLOY_RETRY_TIMEOUT sets how long a request is tried again
    Transient: GetObject on webapp/app/index.html: no answer: connection reset; gave up after 9 attempts over 179.8 s (request 4442587FB7D0A2F9)
      The next run goes on where this one ended. DEPLOY_RETRY_TIMEOUT sets how long a request is tried again
    Usage: CreateInvalidation on distribution E1ABC: NoSuchDistribution: The specified distribution does not exist. (request 7f3a)
      Check DEPLOY_DISTRIBUTION_IDS: these credentials know no distribution "E1ABC". Ids begin with E and are not domain names
    NotPermitted: CreateInvalidation on distribution E1ABC: AccessDenied: not authorized (request 7f3a)
      Add to the policy of the role or user: {"Effect": "Allow", "Action": ["cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"], "Resource": "arn:aws:cloudfront::<account>:distribution/E1ABC"}. Or DEPLOY_DISTRIBUTION_IDS names another distribution than the role is for
    Transient: CreateInvalidation on distribution E1ABC: Throttling: Rate exceeded (request 7f3a)
      The new files are in place, and the invalidation stays on record: the next run makes it. DEPLOY_INVALIDATION_TIMEOUT sets how long it is tried
    Usage: "/site/app.js": no such directory: build the site first, or name the folder the build writes
      DEPLOY_SOURCE (or --source) names the directory; DEPLOY_RULES can leave files out
    Usage: "/site/app.js": has no files to publish (2 left out as hidden or by rules): did the build run?
      DEPLOY_SOURCE (or --source) names the directory; DEPLOY_RULES can leave files out
    Transient: /site/app.js changed while it was being deployed: build into another directory, or deploy after the build has ended
    Usage: cannot read /site/app.js: permission denied
      See that the user this runs as may read it
    Transient: the lease of this target is held by deploy 1.0.0 on pod-7, process 1, still after waiting 180 s: let that run finish and try again
      `deploy unlock` shows who holds the lease; if that run is dead and you cannot wait, `deploy unlock --force` takes it away. DEPLOY_LEASE_WAIT sets how long to wait
    Transient: lost the lease of this target: its renewal failed or another run took it over. The journal is kept, and the next run finishes what this one began. The store's last failure: PutObject on webapp/app/.deploy/current: SlowDown: Please reduce your request rate.; gave up after 21 attempts over 175.2 s (request 44)
      Run again. `deploy status` shows what is live and who holds the lease
    Transient: the bucket kept changing under this run: objects vanished while they were looked at. Find out who else writes to the target, then run again
      Two writers are what the lease cannot prevent where one of them does not take it: is an older script still running?
    Transient: invalidation I2J0 of distribution E1ABC was not completed within 180 s; it stays on record, and the next run waits for it
      The new files are in place. DEPLOY_INVALIDATION_TIMEOUT sets how long to wait
    Interrupted: interrupted; the journal is kept, and the next run finishes what this one began
    Unfinished: version 1.8.0 (release r7-1a2b3c4d5e6f) is live, and not finished: CreateInvalidation on distribution E1ABC: AccessDenied: not authorized (request 7f3a)
      Add to the policy of the role or user: {"Effect": "Allow", "Action": ["cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"], "Resource": "arn:aws:cloudfront::<account>:distribution/E1ABC"}. Or DEPLOY_DISTRIBUTION_IDS names another distribution than the role is for. Once that is mended, run the same again: it finishes what is left, which `deploy status` shows
    Interrupted: version 1.8.0 (release r7-1a2b3c4d5e6f) is live, and not finished: interrupted; the journal is kept, and the next run finishes what this one began
    Unfinished: no release is live, as before: x
      `deploy status` lists the releases that are kept. Once that is mended, run the same again: it finishes what is left, which `deploy status` shows
    Usage: no distribution is configured, so there is none to invalidate at
      Set DEPLOY_DISTRIBUTION_IDS to the ids of the distributions, such as E2EXAMPLE1ABCD
    Usage: there is no release 9.9.9 here; there are 1.0.0 and 1.1.0
      `deploy status` lists the releases that are kept
    "#);
}
