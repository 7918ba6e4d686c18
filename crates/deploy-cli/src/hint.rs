//! What to do about an error, in terms of the variables, commands and permissions of this program.

use asset_sync::bucket::{BucketError, BucketErrorKind};
use asset_sync::cdn::{CdnError, CdnErrorKind};
use asset_sync::site::{Finding, FindingKind, ScanError, ScanProblem};
use asset_sync::verify::Fault;
use asset_sync::{Conflict, Error, ErrorClass, NotVerified, Refusal};
use deploy_config::{Encryption, Settings};

/// What a hint must know of the run besides the error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// The region in use.
    pub(crate) region: String,
    /// The target's prefix: empty, or ends with `/`.
    pub(crate) prefix: String,
    /// The bucket of the state area, where it is not the target's.
    pub(crate) state_bucket: Option<String>,
    /// How the store is asked to encrypt what is written.
    pub(crate) encryption: Option<Encryption>,
    /// The account that the buckets must belong to.
    pub(crate) bucket_owner: Option<String>,
    /// Names of the variables with credentials, or ways to them, that are set.
    pub(crate) credential_variables: Vec<&'static str>,
    /// The address of the S3 server, where it is not AWS's.
    pub(crate) endpoint: Option<String>,
}

impl Surroundings {
    pub(crate) fn new(settings: &Settings, credential_variables: Vec<&'static str>, endpoint: Option<String>) -> Self {
        Self {
            region: settings.region.clone(),
            prefix: settings.prefix.clone(),
            state_bucket: settings.state_bucket.clone(),
            encryption: settings.encryption,
            bucket_owner: settings.bucket_owner.clone(),
            credential_variables,
            endpoint,
        }
    }

    /// The variable that names the bucket.
    fn bucket_variable(&self, bucket: &str) -> &'static str {
        if self.state_bucket.as_deref() == Some(bucket) { "DEPLOY_STATE_BUCKET" } else { "DEPLOY_BUCKET" }
    }

    /// AWS rules: ARNs in China and in `GovCloud` have a partition of their own.
    fn partition(&self) -> &'static str {
        match self.region.split('-').next() {
            Some("cn") => "aws-cn",
            Some("us") if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }
}

const MANIFEST_HINT: &str =
    "DEPLOY_SITE_MANIFEST names the manifest; set to nothing, it has every file read and none compared";

/// What to do about `error`; nothing where its own message says it.
pub(crate) fn hint(error: &Error, around: &Surroundings) -> Option<String> {
    match error {
        Error::Bucket(error) => bucket_hint(error, around),
        Error::Cdn(error) => cdn_hint(error, around),
        Error::Distributions(errors) => distributions_hint(errors, around),
        Error::Unfinished { source, .. } => {
            const THEN: &str = "Once that is mended, run the same again: it finishes what is left, which `deploy status` shows";
            let mended = (error.class() == ErrorClass::Unfinished).then_some(THEN);
            let hint = hint(source, around);
            match (hint, mended) {
                (Some(hint), Some(mended)) => Some(format!("{hint}. {mended}")),
                (hint, mended) => hint.or(mended.map(str::to_owned)),
            }
        }
        Error::Refused(refusal) => refusal_hint(refusal),
        Error::NoDistribution => Some("Set DEPLOY_DISTRIBUTION_IDS to the ids of the distributions, such as E2EXAMPLE1ABCD".to_owned()),
        Error::Conflict(Conflict::Older { by, .. }) => Some(format!(
            "To deploy it all the same, set DEPLOY_ALLOW_OLDER=true for this run; to return to a retained release, use `deploy rollback --to VERSION`. The order is by {}",
            if *by == "version" { "DEPLOY_VERSION" } else { "DEPLOY_BUILD" }
        )),
        Error::Conflict(Conflict::Ambiguous { .. }) => Some(
            "Give one of these ids (`deploy history` tells which is which). With `rollback --if-live`, DEPLOY_EXECUTION set for both the deployment and the rollback does as well".to_owned(),
        ),
        Error::Conflict(Conflict::RolledBack { .. }) => {
            Some("To make it live again, use `deploy rollback --to VERSION`, or set DEPLOY_ALLOW_OLDER=true for this run".to_owned())
        }
        Error::Busy { .. } => Some(
            "`deploy unlock` shows who holds the lease; if that run is dead and you cannot wait, `deploy unlock --force` takes it away. DEPLOY_LEASE_WAIT sets how long to wait".to_owned(),
        ),
        Error::InvalidationTimeout { .. } => {
            Some("The new files are in place. DEPLOY_INVALIDATION_TIMEOUT sets how long to wait".to_owned())
        }
        Error::NoSuchRelease(_) => Some("`deploy status` lists the releases that are kept".to_owned()),
        Error::Scan(error) => Some(scan_hint(error)),
        Error::NotAsCut { .. } => Some(MANIFEST_HINT.to_owned()),
        Error::NotVerified(seen) => Some(not_verified_hint(seen)),
        Error::LeaseLost { .. } => Some("Run again. `deploy status` shows what is live and who holds the lease".to_owned()),
        Error::Unsettled { .. } => Some(
            "Two writers are what the lease cannot prevent where one of them does not take it: is an older script still running?".to_owned(),
        ),
        Error::Read { .. } => Some("See that the user this runs as may read it".to_owned()),
        _ => None,
    }
}

fn scan_hint(error: &ScanError) -> String {
    let has =
        |kind: fn(&ScanProblem) -> bool| matches!(error, ScanError::Problems(problems) if problems.iter().any(kind));
    let of_values = [
        (
            has(|p| matches!(p, ScanProblem::Placeholder { .. })),
            "DEPLOY_VALUES_PREFIX says how the variables begin that fill placeholders; DEPLOY_TEMPLATES selects the files that take them; DEPLOY_VALUES_JSON and DEPLOY_VALUES_SCRIPT make files that scripts can read",
        ),
        (
            has(|p| matches!(p, ScanProblem::Taken { .. })),
            "DEPLOY_VALUES_JSON and DEPLOY_VALUES_SCRIPT name the files that are generated",
        ),
        (has(|p| matches!(p, ScanProblem::NotAsCut { .. })), MANIFEST_HINT),
        (
            has(|p| {
                !matches!(
                    p,
                    ScanProblem::Placeholder { .. }
                        | ScanProblem::Taken { .. }
                        | ScanProblem::Integrity { .. }
                        | ScanProblem::NotAsCut { .. }
                )
            }) || !matches!(error, ScanError::Problems(_)),
            "DEPLOY_SOURCE (or --source) names the directory; DEPLOY_RULES can leave files out",
        ),
    ];
    let hints: Vec<&str> = of_values.into_iter().filter_map(|(applies, hint)| applies.then_some(hint)).collect();
    if hints.is_empty() { "DEPLOY_TEMPLATES selects the files that take values".to_owned() } else { hints.join(". ") }
}

fn preflight_hint(findings: &[Finding]) -> String {
    let allowed = findings.iter().filter(|finding| finding.kind != FindingKind::BasePath);
    let mut names: Vec<&str> = allowed.map(|finding| finding.kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    let names: Vec<String> = names.into_iter().map(|name| format!("{name:?}")).collect();
    let mut hint = format!(
        "Build again, or correct what is named above. To deploy it as it is, add a rule to the file that DEPLOY_RULES names: [[rule]], glob = \"…\", allow = [{}]",
        names.join(", ")
    );
    if findings.iter().any(|finding| finding.kind == FindingKind::SourceMap) {
        hint.push_str(". DEPLOY_SOURCE_MAPS=warn lets all source maps pass");
    }
    hint
}

fn not_verified_hint(seen: &NotVerified) -> String {
    match (seen.fault, &seen.rolled_back_to) {
        (Fault::Wrong, Some(_)) => "Mend the build, or what stands between the bucket and its visitors, and deploy a new one. An edge that keeps the absence of a file forgets it with DEPLOY_INVALIDATION=all. With DEPLOY_ON_FAILURE=keep the release would have stayed live to be looked at".to_owned(),
        (Fault::Wrong, None) if seen.rollback_failed.is_some() => "Deploy a build that works, or go to another release: `deploy status` lists them, `deploy rollback --to VERSION` goes there".to_owned(),
        (Fault::Wrong, None) => "It is still live. `deploy verify` looks again; `deploy rollback` makes the release before it live, where there is one, as DEPLOY_ON_FAILURE=rollback does at once".to_owned(),
        (Fault::Stale, _) => format!("The release stays live. {CLEAR_EDGE}"),
        (Fault::StateAreaReadable, _) => format!("The release stays live. {HIDE_STATE}; with DEPLOY_VERIFY=auto this is a warning"),
        (Fault::Unreachable | Fault::Unseen, _) => format!("The release stays live. {CANNOT_SEE}; with DEPLOY_VERIFY=auto this is a warning"),
    }
}

const CLEAR_EDGE: &str = "`deploy invalidate --all` clears the cache of every distribution; a cache that is in front of them has to be cleared there. `deploy verify` looks again";
const HIDE_STATE: &str = "Deny the CDN the prefix that DEPLOY_STATE_PREFIX names, in the bucket's policy, or keep the state in another bucket (DEPLOY_STATE_BUCKET)";
const CANNOT_SEE: &str = "See that DEPLOY_PUBLIC_URL can be reached from here; DEPLOY_VERIFY_HEADER sends what a protected environment asks for";

/// What to do about what `deploy verify` saw.
pub(crate) fn verdict_hint(fault: Fault) -> String {
    match fault {
        Fault::Wrong => "If the CDN serves what it had in its cache, wait or invalidate it; if the bucket was changed, `deploy run` puts it right; `deploy rollback` makes the release before it live".to_owned(),
        Fault::Stale => CLEAR_EDGE.to_owned(),
        Fault::StateAreaReadable => HIDE_STATE.to_owned(),
        Fault::Unreachable => CANNOT_SEE.to_owned(),
        Fault::Unseen => format!("{CANNOT_SEE}; with DEPLOY_VERIFY=auto this is no failure"),
    }
}

fn refusal_hint(refusal: &Refusal) -> Option<String> {
    Some(match refusal {
        Refusal::Foreign { .. } => {
            "DEPLOY_ADOPT=take archives these objects as a release that can be restored, and replaces them; DEPLOY_PREFIX deploys elsewhere in the bucket".to_owned()
        }
        Refusal::Shrunk(shrink) => {
            let gone = shrink.live.saturating_sub(shrink.site);
            let percent = (gone * 100).div_ceil(shrink.live.max(1));
            format!(
                "If the build is whole, set DEPLOY_MAX_SHRINK={percent}% for this run: {gone} of {} files would go",
                shrink.live
            )
        }
        Refusal::NestedTarget { .. } => {
            "A rule in the file that DEPLOY_RULES names leaves files out: [[rule]], glob = \"…\", include = false".to_owned()
        }
        Refusal::OtherEnvironment { .. } => {
            "DEPLOY_BUCKET and DEPLOY_PREFIX name the target, DEPLOY_ENVIRONMENT this run's environment; DEPLOY_ALLOW_ENVIRONMENT_CHANGE=true takes the target over".to_owned()
        }
        Refusal::NoConditionalWrites { .. } => {
            "If something else keeps two deployments of this target apart, set DEPLOY_CONDITIONAL_WRITES=unsafe-off".to_owned()
        }
        Refusal::Preflight { findings, .. } => preflight_hint(findings),
        Refusal::Unfinished => "`deploy status` shows what is unfinished; `deploy run` finishes it".to_owned(),
        Refusal::Incomplete { .. } => "`deploy status` lists the other releases; `deploy rollback --to VERSION` goes to one of them".to_owned(),
        _ => return None,
    })
}

fn bucket_hint(error: &BucketError, around: &Surroundings) -> Option<String> {
    let variable = around.bucket_variable(&error.bucket);
    match error.kind {
        BucketErrorKind::NoSuchBucket => Some(format!(
            "Check {variable}, which is {:?}{}",
            error.bucket,
            around.endpoint.as_ref().map(|url| format!(", at {url} (AWS_ENDPOINT_URL_S3)")).unwrap_or_default()
        )),
        BucketErrorKind::WrongRegion => Some(format!(
            "Set DEPLOY_REGION (or AWS_REGION) to the region of the bucket {:?}; it is {:?}",
            error.bucket, around.region
        )),
        BucketErrorKind::Credentials => Some(credentials_hint(around, &error.message)),
        BucketErrorKind::LateCredentials => Some(
            "See that the source of the credentials can be reached from here. DEPLOY_RETRY_TIMEOUT sets how long a request is tried again".to_owned(),
        ),
        BucketErrorKind::WrongClock => Some(SET_CLOCK.to_owned()),
        BucketErrorKind::Denied => Some(denied_on_bucket(error, around)),
        // S3's codes for a key that does not exist, is disabled or is of another account (aws/aws-cli#4507).
        BucketErrorKind::Invalid if error.message.starts_with("KMS.") => Some(match around.encryption {
            Some(Encryption::Kms) => "Check DEPLOY_SSE_KMS_KEY_ID: S3 looks for the key in the bucket's region and, where it is no ARN, in the account of the credentials".to_owned(),
            _ => "It is about the key that the bucket encrypts with by default; DEPLOY_SSE and DEPLOY_SSE_KMS_KEY_ID name another".to_owned(),
        }),
        BucketErrorKind::Invalid => around.endpoint.as_ref().map(|url| {
            format!(
                "The server is {url} (AWS_ENDPOINT_URL_S3). Many that are not AWS's need DEPLOY_FORCE_PATH_STYLE=true"
            )
        }),
        BucketErrorKind::Throttled => Some("A lower DEPLOY_CONCURRENCY asks less of the store at once; DEPLOY_RETRY_TIMEOUT sets how long a request is tried again".to_owned()),
        BucketErrorKind::Transient => Some(match &around.endpoint {
            Some(url) => format!("The server is {url} (AWS_ENDPOINT_URL_S3): see that it runs and can be reached"),
            None => "The next run goes on where this one ended. DEPLOY_RETRY_TIMEOUT sets how long a request is tried again".to_owned(),
        }),
        BucketErrorKind::NotFound | BucketErrorKind::PreconditionFailed | BucketErrorKind::ContentMismatch => None,
    }
}

/// Each kind of trouble once.
fn distributions_hint(errors: &[CdnError], around: &Surroundings) -> Option<String> {
    let mut hints: Vec<String> = Vec::new();
    for hint in errors.iter().filter_map(|error| cdn_hint(error, around)) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    (!hints.is_empty()).then(|| hints.join(". "))
}

fn cdn_hint(error: &CdnError, around: &Surroundings) -> Option<String> {
    match error.kind {
        CdnErrorKind::NoSuchDistribution => Some(format!(
            "Check DEPLOY_DISTRIBUTION_IDS: these credentials know no distribution {:?}. Ids begin with E and are not domain names",
            error.distribution
        )),
        CdnErrorKind::Credentials => Some(credentials_hint(around, &error.message)),
        CdnErrorKind::WrongClock => Some(SET_CLOCK.to_owned()),
        CdnErrorKind::Denied => {
            let arn = format!("arn:{}:cloudfront::<account>:distribution/{}", around.partition(), error.distribution);
            let allow = statement(&["cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"], &arn);
            Some(format!("{allow}. Or DEPLOY_DISTRIBUTION_IDS names another distribution than the role is for"))
        }
        CdnErrorKind::Throttled | CdnErrorKind::Transient | CdnErrorKind::TooManyInProgress => Some(
            "The new files are in place, and the invalidation stays on record: the next run makes it. DEPLOY_INVALIDATION_TIMEOUT sets how long it is tried".to_owned(),
        ),
        CdnErrorKind::ReferenceReused | CdnErrorKind::Invalid => None,
    }
}

/// What must stand in a policy.
fn statement(actions: &[&str], resource: &str) -> String {
    let actions: Vec<String> = actions.iter().map(|action| format!("\"{action}\"")).collect();
    format!(
        "Add to the policy of the role or user: {{\"Effect\": \"Allow\", \"Action\": [{}], \"Resource\": \"{resource}\"}}",
        actions.join(", ")
    )
}

/// What must be allowed for an operation. AWS rules: copies and conditions read what they are about.
fn actions(operation: &str) -> &'static [&'static str] {
    match operation {
        "HeadObject" | "GetObject" => &["s3:GetObject"],
        "AbortMultipartUpload" => &["s3:AbortMultipartUpload"],
        "DeleteObject" | "DeleteObjects" => &["s3:DeleteObject", "s3:GetObject"],
        _ => &["s3:PutObject", "s3:GetObject"],
    }
}

fn denied_on_bucket(error: &BucketError, around: &Surroundings) -> String {
    let arn = format!("arn:{}:s3:::{}", around.partition(), error.bucket);
    let owner = match &around.bucket_owner {
        // S3 says no more than Access Denied.
        Some(account) => format!(". The bucket must belong to the account {account} (DEPLOY_BUCKET_OWNER)"),
        None => String::new(),
    };
    if error.operation.starts_with("List") || error.operation == "HeadBucket" {
        return format!("{}. {NOT_DENIED}{owner}", statement(&["s3:ListBucket"], &arn));
    }
    // A state bucket of its own is not laid out by the target's prefix.
    let prefix =
        if around.state_bucket.as_deref() == Some(error.bucket.as_str()) { "" } else { around.prefix.as_str() };
    let kms = if error.message.to_ascii_lowercase().contains("kms") {
        ". The bucket's KMS key asks for kms:GenerateDataKey and kms:Decrypt"
    } else {
        ""
    };
    let encryption = match (error.operation, around.encryption) {
        ("PutObject" | "CopyObject" | "CreateMultipartUpload", None) => {
            ". If that policy demands encryption, set DEPLOY_SSE to AES256 or aws:kms"
        }
        ("PutObject" | "CopyObject" | "CreateMultipartUpload", Some(_)) => {
            ". If that policy demands another encryption, see DEPLOY_SSE and DEPLOY_SSE_KMS_KEY_ID"
        }
        _ => "",
    };
    let allow = statement(actions(error.operation), &format!("{arn}/{prefix}*"));
    format!("{allow}. {NOT_DENIED}{encryption}{owner}{kms}")
}

const NOT_DENIED: &str = "The bucket's own policy must not deny it";

const SET_CLOCK: &str = "Set the clock of the machine, or node, that this runs on, for instance by NTP. AWS takes requests that were signed up to 15 minutes away from its own time";

fn credentials_hint(around: &Surroundings, message: &str) -> String {
    let expired = if message.contains("Expired") || message.contains("expired") {
        "Temporary credentials ran out: run again with new ones, and it goes on where this run ended. "
    } else {
        ""
    };
    let set = match around.credential_variables.as_slice() {
        [] => "None of them is set".to_owned(),
        names => format!("Set are {}", names.join(", ")),
    };
    format!(
        "{expired}The AWS SDK looks, in this order, at AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, AWS_CONTAINER_CREDENTIALS_FULL_URI, and the instance. {set}"
    )
}

#[cfg(test)]
#[path = "hint_tests.rs"]
mod tests;
