//! What people are told: problems, warnings, the table.
#![allow(clippy::unwrap_used, reason = "these are tests, and so are their helper functions")]

use std::ffi::OsString;

use deploy_config::variables::{DEPLOY_BUCKET, DEPLOY_REGION, DEPLOY_SOURCE, DEPLOY_VERSION};
use deploy_config::{Encryption, Environment, Program, Requirements, Settings, Warning};

type Vars = Vec<(OsString, OsString)>;

fn vars(pairs: &[(&str, &str)]) -> Vars {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// What a deploy needs at the least, and `more` after it.
fn complete(more: &[(&str, &str)]) -> Vars {
    let mut all = vars(&[
        ("DEPLOY_SOURCE", "dist"),
        ("DEPLOY_VERSION", "1.4.2"),
        ("DEPLOY_BUCKET", "site"),
        ("DEPLOY_REGION", "us-east-1"),
    ]);
    // The first of a name counts.
    all.splice(0..0, vars(more));
    all
}

fn settings(vars: Vars) -> (Settings, Vec<Warning>) {
    Environment::new(vars).settings(Requirements::Publish).unwrap()
}

fn problems(vars: Vars) -> String {
    Environment::new(vars).settings(Requirements::Publish).unwrap_err().to_string()
}

#[test]
fn an_empty_environment() {
    insta::assert_snapshot!(problems(vec![]), @"
    DEPLOY_SOURCE: is not set. Set it to the directory that holds the built site
    DEPLOY_VERSION: is not set. Set it to the version of the site, such as 1.4.2
    DEPLOY_BUCKET: is not set. Set it to the name of the S3 bucket the site is served from
    DEPLOY_REGION: is not set. Set it (or AWS_REGION) to the bucket's region, such as eu-central-1
    ");
    let only_target = Environment::default().settings(Requirements::Target).unwrap_err();
    insta::assert_snapshot!(only_target, @"
    DEPLOY_BUCKET: is not set. Set it to the name of the S3 bucket the site is served from
    DEPLOY_REGION: is not set. Set it (or AWS_REGION) to the bucket's region, such as eu-central-1
    ");
}

#[test]
fn every_mistake_is_named_at_once() {
    let vars = vars(&[
        ("DEPLOY_SOURCE", "https://example.com/dist"),
        ("DEPLOY_VERSION", "1.4.2 beta"),
        ("DEPLOY_BUILD", "twelve"),
        ("DEPLOY_ENVIRONMENT", "<+env.name>"),
        ("DEPLOY_RULES", "null"),
        ("DEPLOY_BUCKET", "s3://site/app"),
        ("DEPLOY_PREFIX", "app//v2"),
        ("DEPLOY_URL_PREFIX", "https://example.com/app"),
        ("DEPLOY_ROUTING", "pretty"),
        ("AWS_REGION", "Frankfurt"),
        ("DEPLOY_FORCE_PATH_STYLE", "maybe"),
        ("DEPLOY_SSE", "SSE-S3"),
        ("DEPLOY_SSE_KMS_KEY_ID", "a key"),
        ("DEPLOY_BUCKET_OWNER", "1234-5678-9012"),
        ("DEPLOY_DISTRIBUTION_IDS", "E2AAA, E2BBB, E2AAA"),
        ("DEPLOY_INVALIDATION", "some"),
        ("DEPLOY_INVALIDATION_TIMEOUT", "900"),
        ("DEPLOY_MAX_SHRINK", "50"),
        ("DEPLOY_ADOPT", "yes\u{1b}[31m"),
        ("DEPLOY_ALLOW_OLDER", "y"),
        ("DEPLOY_CONDITIONAL_WRITES", "off"),
        ("DEPLOY_STATE_PREFIX", "/"),
        ("DEPLOY_STATE_BUCKET", "State"),
        ("DEPLOY_LEASE", "2 fortnights"),
        ("DEPLOY_LEASE_WAIT", "2d"),
        ("DEPLOY_KEEP_RELEASES", "-1"),
        ("DEPLOY_GRACE", "7"),
        ("DEPLOY_CONCURRENCY", "0"),
        ("DEPLOY_PART_SIZE", "5MB"),
        ("DEPLOY_BUFFER", "lots"),
        ("DEPLOY_REQUEST_TIMEOUT", "0s"),
        ("DEPLOY_LOG", "xml"),
        ("DEPLOY_BUKCET", "site"),
        ("AWS_ENDPOINT_URL_S3", "localhost:4566"),
        ("AWS_SECRET_ACCESS_KEY", "<+secrets.getValue(\"key\")>"),
    ]);
    insta::assert_snapshot!(problems(vars), @r#"
    DEPLOY_SOURCE: is "https://example.com/dist": write the path of a directory on this machine, not a URL
    DEPLOY_VERSION: is "1.4.2 beta": write it without spaces and control characters
    DEPLOY_BUILD: is "twelve": write a whole number
    DEPLOY_ENVIRONMENT: is "<+env.name>", an expression that Harness did not resolve. Check the name it refers to, or leave the variable out
    DEPLOY_RULES: is "null", an expression that Harness did not resolve. Check the name it refers to, or leave the variable out
    DEPLOY_BUCKET: is "s3://site/app": write the bucket's name alone, without `s3://`, and the rest in the prefix
    DEPLOY_PREFIX: is "app//v2": it has an empty segment; write single slashes
    DEPLOY_URL_PREFIX: is "https://example.com/app": write the path alone, without scheme and host
    DEPLOY_ROUTING: is "pretty": write exact, directory, html or spa
    DEPLOY_FORCE_PATH_STYLE: is "maybe": write true or false
    DEPLOY_SSE: is "SSE-S3": write AES256 or aws:kms
    DEPLOY_SSE_KMS_KEY_ID: is "a key": write a key's id, `alias/` and its alias, or the ARN of either
    DEPLOY_BUCKET_OWNER: is "1234-5678-9012": write the 12 digits of an AWS account's id, without hyphens
    DEPLOY_DISTRIBUTION_IDS: is "E2AAA, E2BBB, E2AAA": entry 3 repeats an earlier one; name each id once
    DEPLOY_INVALIDATION: is "some": write exact, variants or all
    DEPLOY_INVALIDATION_TIMEOUT: is "900": it has no unit; write one, such as `90s` for seconds or `15m` for minutes
    DEPLOY_MAX_SHRINK: is "50": write a share such as `50%` or `0.5`, from 0% to 100%
    DEPLOY_ADOPT: is "yes\u{1b}[31m": write refuse or take
    DEPLOY_ALLOW_OLDER: is "y": write true or false
    DEPLOY_CONDITIONAL_WRITES: is "off": write require or unsafe-off
    DEPLOY_STATE_PREFIX: is "/": write a prefix of at least one character besides slashes
    DEPLOY_STATE_BUCKET: is "State": a bucket name has 3 to 63 lowercase letters, digits, `-` and `.`, and begins and ends with a letter or digit
    DEPLOY_LEASE: is "2 fortnights": write a number and a unit, such as `90s`, `15m`, `1h 30m` or `7d`
    DEPLOY_LEASE_WAIT: is "2d": write a duration from 0s to 1d
    DEPLOY_KEEP_RELEASES: is "-1": write a whole number from 0 to 1000
    DEPLOY_GRACE: is "7": it has no unit; write one, such as `90s` for seconds or `15m` for minutes
    DEPLOY_CONCURRENCY: is "0": write a whole number from 1 to 1024
    DEPLOY_PART_SIZE: is "5MB": it is 5000000 bytes; write a size from 5MiB to 5GiB
    DEPLOY_BUFFER: is "lots": write a number and a unit, such as `8MiB` (8×1024×1024 bytes) or `8MB` (8,000,000 bytes)
    DEPLOY_REQUEST_TIMEOUT: is "0s": write a duration from 100ms to 1h
    DEPLOY_LOG: is "xml": write auto, text or json
    AWS_REGION: is "Frankfurt": write a region's name, such as `eu-central-1`
    AWS_SECRET_ACCESS_KEY: is (hidden), an expression that Harness did not resolve. Check the name it refers to, or leave the variable out
    AWS_ENDPOINT_URL_S3: is "localhost:4566": write a URL that begins with `https://` or `http://`
    DEPLOY_BUKCET: is not a known variable. Did you mean DEPLOY_BUCKET?
    "#);
}

#[test]
fn values_that_do_not_go_together() {
    let vars =
        complete(&[("DEPLOY_STATE_BUCKET", "site"), ("DEPLOY_REQUEST_TIMEOUT", "2m"), ("DEPLOY_PART_SIZE", "128MiB")]);
    insta::assert_snapshot!(problems(vars), @"
    DEPLOY_STATE_BUCKET: is the same bucket as DEPLOY_BUCKET. Leave it out to keep the state area there
    DEPLOY_PART_SIZE: is 128MiB, and must be at most DEPLOY_BUFFER, which is 64MiB
    DEPLOY_REQUEST_TIMEOUT: is 2m, and must be shorter than DEPLOY_LEASE, which is 1m
    ");
    for also in [&[][..], &[("DEPLOY_SSE", "AES256")]] {
        let key = [&[("DEPLOY_SSE_KMS_KEY_ID", "alias/site")], also].concat();
        assert_eq!(
            problems(complete(&key)),
            "DEPLOY_SSE_KMS_KEY_ID: is a KMS key, and DEPLOY_SSE is not aws:kms. Set DEPLOY_SSE=aws:kms, or leave the key out"
        );
    }
    let whole =
        [("DEPLOY_SSE_KMS_KEY_ID", "alias/site"), ("DEPLOY_SSE", "aws:kms"), ("DEPLOY_BUCKET_OWNER", "123456789012")];
    let (whole, _) = settings(complete(&whole));
    assert_eq!((whole.encryption, whole.kms_key_id.as_deref()), (Some(Encryption::Kms), Some("alias/site")));
    assert_eq!(whole.bucket_owner.as_deref(), Some("123456789012"));
    let vars = complete(&[
        ("DEPLOY_PREFIX", "app"),
        ("DEPLOY_STATE_PREFIX", "app/.deploy"),
        ("DEPLOY_LEASE", "20s"),
        ("DEPLOY_BUFFER", "6MiB"),
    ]);
    insta::assert_snapshot!(problems(vars), @"
    DEPLOY_STATE_PREFIX: begins with DEPLOY_PREFIX, within which it is anyway. Write it without that
    DEPLOY_LEASE: is 20s, and must be longer than DEPLOY_REQUEST_TIMEOUT, which is 30s
    DEPLOY_BUFFER: is 6MiB, and must be at least DEPLOY_PART_SIZE, which is 8MiB
    ");
}

#[test]
fn a_long_value_is_cut_and_a_password_in_a_url_hidden() {
    let long = "x y".repeat(100);
    let vars = complete(&[("DEPLOY_VERSION", &long), ("DEPLOY_BUCKET", "https://admin:hunter2@s3.example.com/site")]);
    insta::assert_snapshot!(problems(vars), @r#"
    DEPLOY_VERSION: is "x yx yx yx yx yx yx yx yx yx yx yx yx yx yx yx yx yx yx yx y…": write it without spaces and control characters
    DEPLOY_BUCKET: is "https://(hidden)@s3.example.com/site": write the bucket's name alone, without `s3://`, and the rest in the prefix
    "#);
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf_8() {
    use std::os::unix::ffi::OsStringExt as _;
    let bad = || OsString::from_vec(vec![b'a', 0xff]);
    let mut vars = complete(&[]);
    vars.insert(0, ("DEPLOY_BUCKET".into(), bad()));
    vars.push(("AWS_SESSION_TOKEN".into(), bad()));
    vars.push(("DEPLOY_REGION".into(), bad())); // the second of its name
    vars.push(("LESSOPEN".into(), bad()));
    vars.push((bad(), bad()));
    insta::assert_snapshot!(problems(vars), @"
    DEPLOY_BUCKET: is not valid UTF-8. Set it to plain text
    AWS_SESSION_TOKEN: is not valid UTF-8. Set it to plain text
    ");
}

#[test]
fn a_flag_is_named_where_its_value_is_bad_and_wins_where_it_is_good() {
    let broken = Environment::new(complete(&[])).flag(&DEPLOY_SOURCE, "--source", "s3://site");
    let problems = broken.settings(Requirements::Publish).unwrap_err();
    insta::assert_snapshot!(problems, @r#"DEPLOY_SOURCE (from --source): is "s3://site": write the path of a directory on this machine, not a URL"#);

    let environment = Environment::new(complete(&[("DEPLOY_SOURCE", "<+artifact.path>")]));
    let (settings, _) = environment.flag(&DEPLOY_SOURCE, "--source", "public").settings(Requirements::Publish).unwrap();
    assert_eq!(settings.publication().unwrap().source.to_str(), Some("public"));
}

#[test]
fn a_fallback_stands_in_only_where_nothing_is_set() {
    let environment = Environment::new(vars(&[("DEPLOY_BUCKET", "site"), ("DEPLOY_REGION", " ")]))
        .fallback(&DEPLOY_BUCKET, "local")
        .fallback(&DEPLOY_REGION, "us-east-1")
        .fallback(&DEPLOY_SOURCE, "dist")
        .fallback(&DEPLOY_VERSION, "0.0.0");
    let (settings, _) = environment.settings(Requirements::Publish).unwrap();
    assert_eq!((settings.bucket.as_str(), settings.region.as_str()), ("site", "us-east-1"));
    assert_eq!(settings.version.as_deref(), Some("0.0.0"));
}

#[test]
fn the_defaults() {
    let (settings, warnings) = settings(complete(&[]));
    assert_eq!(warnings, []);
    insta::assert_debug_snapshot!(settings, @r#"
    Settings {
        source: Some(
            "dist",
        ),
        version: Some(
            "1.4.2",
        ),
        build: None,
        commit: None,
        environment: None,
        execution: None,
        rules: None,
        site_manifest: None,
        bucket: "site",
        prefix: "",
        url_prefix: "/",
        routing: Exact,
        region: "us-east-1",
        force_path_style: false,
        encryption: None,
        kms_key_id: None,
        bucket_owner: None,
        distribution_ids: [],
        invalidation: Exact,
        invalidation_timeout: 900s,
        max_shrink: 0.5,
        adopt: Refuse,
        allow_older: false,
        allow_environment_change: false,
        conditional_writes: Require,
        state_prefix: ".deploy/",
        state_bucket: None,
        lease: 60s,
        lease_wait: 180s,
        keep_releases: 5,
        grace: 604800s,
        concurrency: 64,
        part_size: 8388608,
        buffer: 67108864,
        request_timeout: 30s,
        retry_timeout: 180s,
        log: Auto,
        termination_log: None,
        values: Values {
            prefix: "WEBAPP_",
            names: [],
            ..
        },
        source_maps: Warn,
        verification: Verification {
            public_url: None,
            verify: Auto,
            header: None,
            timeout: 10s,
            ignore: [],
            on_failure: Rollback,
        },
    }
    "#);
}

#[test]
fn values_are_trimmed_and_empty_ones_count_as_not_set() {
    let (settings, warnings) = settings(complete(&[
        ("DEPLOY_BUCKET", " site\n"),
        ("DEPLOY_CONCURRENCY", ""),
        ("DEPLOY_GRACE", " \r\n"),
        ("DEPLOY_DISTRIBUTION_IDS", ""),
        ("DEPLOY_RULES", ""),
    ]));
    assert_eq!(settings.bucket, "site");
    assert_eq!(settings.concurrency.get(), 64);
    assert_eq!(settings.grace.as_secs(), 7 * 86_400);
    assert_eq!(settings.distribution_ids, Vec::<String>::new());
    assert_eq!(settings.rules, None);
    assert_eq!(warnings, []);
}

#[test]
fn the_region_is_found_in_order() {
    let region = |more: &[(&str, &str)]| {
        let (settings, _) = settings(complete(more));
        settings.region
    };
    let all = [("DEPLOY_REGION", "eu-west-1"), ("AWS_REGION", "eu-west-2"), ("AWS_DEFAULT_REGION", "eu-west-3")];
    assert_eq!(region(&all), "eu-west-1");
    let blank = ("DEPLOY_REGION", "");
    assert_eq!(region(&[blank, all[1], all[2]]), "eu-west-2");
    assert_eq!(region(&[blank, ("AWS_REGION", ""), all[2]]), "eu-west-3");
}

#[test]
fn prefixes_go_together() {
    let (settings, _) = settings(complete(&[("DEPLOY_PREFIX", "/app")]));
    assert_eq!((settings.prefix.as_str(), settings.url_prefix.as_str()), ("app/", "/app/"));
    let (settings, _) = self::settings(complete(&[("DEPLOY_PREFIX", "app/"), ("DEPLOY_URL_PREFIX", "/")]));
    assert_eq!((settings.prefix.as_str(), settings.url_prefix.as_str()), ("app/", "/"));
}

#[test]
fn oddities_are_warned_of() {
    let (_, warnings) = settings(complete(&[
        ("DEPLOY_COLOUR", "blue"),
        ("DEPLOY_PORT", "tcp://10.0.0.1:80"),
        ("deploy_colour", "blue"),
        ("DEPLOYMENT", "x"),
        ("DEPLOY_LEASE_WAIT", "30s"),
        ("AWS_SECRET_ACCESS_KEY", "planted\n"),
    ]));
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"), @"
    AWS_SECRET_ACCESS_KEY: has whitespace around its value, which the AWS SDK may take as a part of it
    DEPLOY_COLOUR: is not known to this version, and is ignored
    DEPLOY_PORT: is not known to this version, and is ignored
    DEPLOY_LEASE_WAIT: is 30s, no longer than DEPLOY_LEASE (1m): the retry of a killed run may give up too early
    ");
}

#[test]
fn the_table() {
    let environment = Environment::new(vars(&[
        ("DEPLOY_BUCKET", "site"),
        ("DEPLOY_PREFIX", "app"),
        ("DEPLOY_LEASE", "30s"),
        ("DEPLOY_VERSION", "a\nb"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_SECRET_ACCESS_KEY", "planted"),
        ("AWS_ENDPOINT_URL_S3", "http://user:planted@127.0.0.1:3900"),
    ]))
    .flag(&DEPLOY_SOURCE, "--source", "dist")
    .fallback(&DEPLOY_VERSION, "0.0.0");
    let table = environment.table(Program::Deploy);
    insta::assert_snapshot!(table, @r"
    What is deployed
      DEPLOY_SOURCE                           dist                            flag         The directory of built files
      DEPLOY_VERSION                          a\nb                            environment  The version of the site
      DEPLOY_BUILD                            (not set)                       -            A number that grows with every build
      DEPLOY_COMMIT                           (not set)                       -            The commit that the site was built from
      DEPLOY_ENVIRONMENT                      (not set)                       -            The name of the environment
      DEPLOY_EXECUTION                        (not set)                       -            The execution of the pipeline that this run belongs to
      DEPLOY_RULES                            (not set)                       -            A file of rules by glob
      DEPLOY_SITE_MANIFEST                    (not set)                       -            The manifest that was written when the image was cut

    Where it goes
      DEPLOY_BUCKET                           site                            environment  The S3 bucket the site is served from
      DEPLOY_PREFIX                           app/                            environment  The place of the site within the bucket
      DEPLOY_URL_PREFIX                       /app/                           derived      The URL path under which the distribution serves the prefix
      DEPLOY_ROUTING                          exact                           default      Which file answers an address that no file has as its name
      DEPLOY_REGION                           eu-central-1                    derived      The bucket's region
      DEPLOY_FORCE_PATH_STYLE                 false                           default      Whether the bucket's name goes into the path, not the host name
      DEPLOY_SSE                              (not set)                       -            How S3 is asked to encrypt what is written
      DEPLOY_SSE_KMS_KEY_ID                   (not set)                       -            The KMS key to encrypt with
      DEPLOY_BUCKET_OWNER                     (not set)                       -            The AWS account that the bucket must belong to

    What differs between environments
      DEPLOY_VALUES_PREFIX                    WEBAPP_                         default      What the names of variables for the site begin with
      DEPLOY_VALUES_JSON                      (not set)                       -            A JSON file to make of the values
      DEPLOY_VALUES_SCRIPT                    (not set)                       -            A script to make of the values
      DEPLOY_TEMPLATES                        (not set)                       -            Files in which placeholders are filled in

    CloudFront
      DEPLOY_DISTRIBUTION_IDS                 (not set)                       -            The CloudFront distributions that serve the site
      DEPLOY_INVALIDATION                     exact                           default      Which paths are invalidated
      DEPLOY_INVALIDATION_TIMEOUT             15m                             default      How long to wait for invalidations to complete

    Looking at the live site
      DEPLOY_PUBLIC_URL                       (not set)                       -            The URL under which visitors find the site
      DEPLOY_VERIFY                           auto                            default      Whether the site is looked at after the switch
      DEPLOY_VERIFY_HEADER                    (not set)                       -            A header for environments that are protected
      DEPLOY_VERIFY_TIMEOUT                   10s                             default      How long the site may take to show the release
      DEPLOY_VERIFY_IGNORE                    (not set)                       -            Files that are not looked at
      DEPLOY_ON_FAILURE                       rollback                        default      What is done when the live site is not what was deployed

    Safety
      DEPLOY_MAX_SHRINK                       50%                             default      The largest share of the live release's files that a new one may lack
      DEPLOY_SOURCE_MAPS                      warn                            default      What is done with source maps
      DEPLOY_ADOPT                            refuse                          default      What to do with a foreign object that has a key of ours and other content
      DEPLOY_ALLOW_OLDER                      false                           default      Whether an older release may replace a newer one
      DEPLOY_ALLOW_ENVIRONMENT_CHANGE         false                           default      Whether a release may take the place of another environment's
      DEPLOY_CONDITIONAL_WRITES               require                         default      Whether the store must support conditional writes

    Lease, history and retention
      DEPLOY_STATE_PREFIX                     .deploy/                        default      The place of the state area, within DEPLOY_PREFIX
      DEPLOY_STATE_BUCKET                     (not set)                       -            Another bucket for the state area
      DEPLOY_LEASE                            30s                             environment  How long the lease of a deploy lasts unless it is renewed
      DEPLOY_LEASE_WAIT                       2m                              derived      How long to wait for another deploy's lease
      DEPLOY_KEEP_RELEASES                    5                               default      How many releases before the live one are retained
      DEPLOY_GRACE                            7d                              default      How long a superseded file stays at the least

    How it runs
      DEPLOY_CONCURRENCY                      64                              default      The most requests to the store at once
      DEPLOY_PART_SIZE                        8MiB                            default      The size of a part of a large file
      DEPLOY_BUFFER                           64MiB                           default      The most bytes of file content held in memory at once
      DEPLOY_REQUEST_TIMEOUT                  30s                             default      How long one request may take before it is tried again
      DEPLOY_RETRY_TIMEOUT                    3m                              default      How long a request that keeps failing is tried again
      DEPLOY_TERMINATION_LOG                  (not set)                       -            A file for the result in one line
      DEPLOY_LOG                              auto                            default      How progress and results are written

    The AWS SDK's own variables
      AWS_REGION                              eu-central-1                    environment  The region, where DEPLOY_REGION is not set
      AWS_DEFAULT_REGION                      (not set)                       -            The region, where AWS_REGION is not set either
      AWS_ACCESS_KEY_ID                       (not set)                       -            The id of an access key
      AWS_SECRET_ACCESS_KEY                   (set)                           environment  The secret of that access key
      AWS_SESSION_TOKEN                       (not set)                       -            The session token, where the access key is a temporary one
      AWS_PROFILE                             (not set)                       -            The profile in the shared configuration files
      AWS_ROLE_ARN                            (not set)                       -            The role to assume with a web identity token
      AWS_WEB_IDENTITY_TOKEN_FILE             (not set)                       -            The file that holds the web identity token
      AWS_ROLE_SESSION_NAME                   (not set)                       -            The name of the session of that role
      AWS_CONTAINER_CREDENTIALS_FULL_URI      (not set)                       -            Where a container gets its credentials
      AWS_CONTAINER_AUTHORIZATION_TOKEN       (not set)                       -            The token for that address
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE  (not set)                       -            The file that holds the token for that address
      AWS_ENDPOINT_URL_S3                     http://(hidden)@127.0.0.1:3900  environment  The address of an S3 server other than AWS's
      AWS_ENDPOINT_URL_CLOUDFRONT             (not set)                       -            The address of a CloudFront API other than AWS's
      AWS_ENDPOINT_URL                        (not set)                       -            The address of every service for which none is set by name
    ");
    let json = serde_json::to_value(&table).unwrap();
    assert_eq!(
        json[0],
        serde_json::json!({
            "variable": "DEPLOY_SOURCE",
            "group": "release",
            "value": "dist",
            "source": "flag",
            "secret": false,
            "summary": "The directory of built files",
        })
    );
    assert!(!json.to_string().contains("planted"));
}
