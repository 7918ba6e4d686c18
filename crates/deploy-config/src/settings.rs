//! The settings of `deploy`, validated and typed.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::choice::{Adopt, ConditionalWrites, Encryption, Invalidation, Log, OnFailure, Routing, SourceMaps, Verify};
use crate::environment::Environment;
use crate::format::{Format as _, Region, show_duration, show_size};
use crate::image_settings::Secret;
use crate::problem::{Fault, Problem, Problems, Report, Warning};
use crate::variable::{Presence, Program, Variable};
use crate::variables::{
    AWS_DEFAULT_REGION, AWS_REGION, DEPLOY_BUFFER, DEPLOY_LEASE, DEPLOY_LEASE_WAIT, DEPLOY_PART_SIZE, DEPLOY_PREFIX,
    DEPLOY_PUBLIC_URL, DEPLOY_REGION, DEPLOY_REQUEST_TIMEOUT, DEPLOY_SOURCE, DEPLOY_SSE_KMS_KEY_ID,
    DEPLOY_STATE_BUCKET, DEPLOY_STATE_PREFIX, DEPLOY_URL_PREFIX, DEPLOY_VERSION, DeployInputs,
};

/// What a command cannot do without, beside bucket and region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirements {
    /// It makes a release from a directory, so it needs `DEPLOY_SOURCE` and `DEPLOY_VERSION` too:
    /// `run`, `plan`.
    Publish,
    /// It works on what is in the bucket: `status`, `rollback`, `prune`, `unlock`.
    Target,
}

/// The settings of `deploy`. Of secrets they hold only the header that `deploy verify` sends, which their
/// `Debug` does not show: credentials go to the AWS SDK alone.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The directory of built files; always set under [`Requirements::Publish`].
    pub source: Option<PathBuf>,
    /// The version of the site, at most 128 characters, no whitespace; always set under
    /// [`Requirements::Publish`].
    pub version: Option<String>,
    /// A number that grows with every build.
    pub build: Option<u64>,
    /// The commit that the site was built from, under the same rule as `version`.
    pub commit: Option<String>,
    /// The environment's name, under the same rule as `version`.
    pub environment: Option<String>,
    /// The execution of the pipeline, under the same rule as `version`.
    pub execution: Option<String>,
    /// A TOML file of rules by glob.
    pub rules: Option<PathBuf>,
    /// The manifest that lies beside the site in a deployment image.
    pub site_manifest: Option<PathBuf>,
    /// The bucket's name.
    pub bucket: String,
    /// Put before every key: empty, or ends with `/`; never begins with `/`, no empty, `.` or `..`
    /// segment.
    pub prefix: String,
    /// The URL path of the prefix, not percent-encoded: begins and ends with `/`.
    pub url_prefix: String,
    /// Which file answers an address that no file has as its name.
    pub routing: Routing,
    /// The bucket's region.
    pub region: String,
    /// Whether the bucket's name goes into the path.
    pub force_path_style: bool,
    /// How the store is asked to encrypt what is written.
    pub encryption: Option<Encryption>,
    /// The KMS key to encrypt with; only where `encryption` is [`Encryption::Kms`].
    pub kms_key_id: Option<String>,
    /// The account that every bucket must belong to: 12 digits.
    pub bucket_owner: Option<String>,
    /// The distributions to invalidate: letters and digits, none twice; may be empty.
    pub distribution_ids: Vec<String>,
    /// Which paths are invalidated.
    pub invalidation: Invalidation,
    /// How long to wait for invalidations to complete.
    pub invalidation_timeout: Duration,
    /// The largest share of the live release's files that a new one may lack, from 0 to 1; at 1
    /// nothing is refused.
    pub max_shrink: f64,
    /// What is done with a foreign object that stands in the way.
    pub adopt: Adopt,
    /// Whether an older release may replace a newer one.
    pub allow_older: bool,
    /// Whether the live release may be another environment's.
    pub allow_environment_change: bool,
    /// Whether a store without conditional writes is accepted.
    pub conditional_writes: ConditionalWrites,
    /// The place of the state area: relative to `prefix`, or to the top of `state_bucket` where
    /// that is set. Never empty, ends with `/`.
    pub state_prefix: String,
    /// Another bucket for the state area; never the same as `bucket`.
    pub state_bucket: Option<String>,
    /// How long a lease lasts unless it is renewed; longer than `request_timeout`.
    pub lease: Duration,
    /// How long to wait for another deploy's lease.
    pub lease_wait: Duration,
    /// How many releases before the live one are retained.
    pub keep_releases: u32,
    /// How long a superseded file stays at the least, from when it was superseded.
    pub grace: Duration,
    /// The most requests to the store at once, at most 1,024.
    pub concurrency: NonZeroUsize,
    /// Bytes of one part of a multipart upload. S3 limits: 5 MiB to 5 GiB.
    pub part_size: u64,
    /// The most bytes of file content in memory at once; at least `part_size`.
    pub buffer: u64,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long a request that keeps failing is tried again, from its first attempt.
    pub retry_timeout: Duration,
    /// How progress and results are written.
    pub log: Log,
    /// A file for the result in one line, where one was named.
    pub termination_log: Option<PathBuf>,
    /// What reaches the site.
    pub values: Values,
    /// What is done with source maps.
    pub source_maps: SourceMaps,
    /// Whether and how the live site is looked at.
    pub verification: Verification,
}

/// What reaches the site of the environment.
#[derive(Clone, PartialEq, Eq)]
pub struct Values {
    /// What the names of the variables begin with.
    pub prefix: String,
    /// The values by the full name of their variable.
    pub values: BTreeMap<String, String>,
    /// A JSON file to make of them, by its path within the site.
    pub json: Option<String>,
    /// A script to make of them, by its path within the site.
    pub js: Option<String>,
    /// Globs of the files in which placeholders are filled in.
    pub templates: Option<Vec<String>>,
}

/// Shows names, no values.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values")
            .field("prefix", &self.prefix)
            .field("names", &self.values.keys())
            .finish_non_exhaustive()
    }
}

/// Whether and how the live site is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The URL under which visitors find the site.
    pub public_url: Option<String>,
    /// Whether it is looked at after the switch.
    pub verify: Verify,
    /// A header to send: its name and its value.
    pub header: Option<(String, Secret)>,
    /// How long the site may take to show the release.
    pub timeout: Duration,
    /// Globs of files that are not looked at.
    pub ignore: Vec<String>,
    /// What is done when the site is not what was deployed.
    pub on_failure: OnFailure,
}

/// What a release is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication<'a> {
    /// The directory of built files.
    pub source: &'a Path,
    /// The version of the site.
    pub version: &'a str,
}

impl Settings {
    /// What a release is made from.
    ///
    /// # Errors
    /// `DEPLOY_SOURCE` or `DEPLOY_VERSION` is not set: never where the settings were read under
    /// [`Requirements::Publish`].
    pub fn publication(&self) -> Result<Publication<'_>, Problems> {
        let missing = |variable: &Variable| {
            let remedy = match variable.presence {
                Presence::Required(remedy) => remedy,
                _ => "",
            };
            Problems::one(Problem {
                variable: variable.name.to_owned(),
                given_by: None,
                fault: Fault::NotSet { remedy },
            })
        };
        Ok(Publication {
            source: self.source.as_deref().ok_or_else(|| missing(&DEPLOY_SOURCE))?,
            version: self.version.as_deref().ok_or_else(|| missing(&DEPLOY_VERSION))?,
        })
    }
}

/// Reads the settings of `deploy`.
pub(crate) fn read(
    environment: &Environment,
    requirements: Requirements,
) -> Result<(Settings, Vec<Warning>), Problems> {
    let mut report = Report::default();
    let settings = parse(environment, requirements, &mut report);
    let warnings = std::mem::take(&mut report.warnings);
    match (settings, report.into_problems()) {
        (Some(settings), None) => Ok((settings, warnings)),
        (_, Some(problems)) => Err(problems),
        // Every way to no settings reports a problem; were one missed, it must not pass for success.
        (None, None) => Err(Problems::one(Problem {
            variable: Program::Deploy.prefix().to_owned(),
            given_by: None,
            fault: Fault::Unreadable,
        })),
    }
}

/// Parses every variable before it gives up on any, so that the report is whole.
pub(crate) fn parse(environment: &Environment, requirements: Requirements, report: &mut Report) -> Option<Settings> {
    environment.check_texts(Program::Deploy, report);
    let Ok(given) = DeployInputs::read(environment) else {
        // All its fields are optional texts under names of their own, so this does not happen.
        report.problem(Program::Deploy.prefix(), None, Fault::Unreadable);
        return None;
    };

    let (source, version) = match requirements {
        Requirements::Publish => (given.deploy_source.required(report), given.deploy_version.required(report)),
        Requirements::Target => (given.deploy_source.optional(report), given.deploy_version.optional(report)),
    };
    let build = given.deploy_build.optional(report);
    let commit = given.deploy_commit.optional(report);
    let environment_name = given.deploy_environment.optional(report);
    let execution = given.deploy_execution.optional(report);
    let rules = given.deploy_rules.optional(report);
    let site_manifest = given.deploy_site_manifest.optional(report);

    let bucket = given.deploy_bucket.required(report);
    let prefix = given.deploy_prefix.required(report);
    let url_prefix = if given.deploy_url_prefix.is_given() {
        given.deploy_url_prefix.optional(report)
    } else {
        prefix.as_ref().map(|prefix| format!("/{prefix}"))
    };
    let routing = given.deploy_routing.required(report);
    let region = if given.deploy_region.is_given() {
        given.deploy_region.optional(report)
    } else {
        sdk_region(environment, report)
    };
    let force_path_style = given.deploy_force_path_style.required(report);
    let encryption = given.deploy_sse.optional(report);
    let kms_key_id = given.deploy_sse_kms_key_id.optional(report);
    let bucket_owner = given.deploy_bucket_owner.optional(report);
    let is_other = encryption.map_or(!given.deploy_sse.is_given(), |encryption| encryption != Encryption::Kms);
    if kms_key_id.is_some() && is_other {
        let reason = "is a KMS key, and DEPLOY_SSE is not aws:kms. Set DEPLOY_SSE=aws:kms, or leave the key out";
        report.conflict(&DEPLOY_SSE_KMS_KEY_ID, reason.to_owned());
    }

    let distribution_ids = given.deploy_distribution_ids.optional(report).unwrap_or_default();
    let invalidation = given.deploy_invalidation.required(report);
    let invalidation_timeout = given.deploy_invalidation_timeout.required(report);

    let max_shrink = given.deploy_max_shrink.required(report);
    let adopt = given.deploy_adopt.required(report);
    let allow_older = given.deploy_allow_older.required(report);
    let allow_environment_change = given.deploy_allow_environment_change.required(report);
    let conditional_writes = given.deploy_conditional_writes.required(report);

    let state_prefix = given.deploy_state_prefix.required(report);
    let state_bucket = given.deploy_state_bucket.optional(report);
    let lease = given.deploy_lease.required(report);
    let lease_wait = if given.deploy_lease_wait.is_given() {
        given.deploy_lease_wait.optional(report)
    } else {
        lease.map(|lease| lease * 2 + Duration::from_mins(1))
    };
    let keep_releases = given.deploy_keep_releases.required(report);
    let grace = given.deploy_grace.required(report);

    let concurrency = given.deploy_concurrency.required(report);
    let part_size = given.deploy_part_size.required(report);
    let buffer = given.deploy_buffer.required(report);
    let request_timeout = given.deploy_request_timeout.required(report);
    let retry_timeout = given.deploy_retry_timeout.required(report);
    let log = given.deploy_log.required(report);
    let termination_log = given.deploy_termination_log.optional(report);

    let values_prefix = given.deploy_values_prefix.required(report);
    let values = values_prefix.map(|prefix| Values {
        prefix,
        values: environment.site_values(report),
        json: given.deploy_values_json.optional(report),
        js: given.deploy_values_script.optional(report),
        templates: given.deploy_templates.optional(report),
    });
    let source_maps = given.deploy_source_maps.required(report);
    let public_url = given.deploy_public_url.optional(report);
    let verify = given.deploy_verify.required(report);
    let header = given.deploy_verify_header.optional(report).map(|(name, value)| (name, Secret::new(value)));
    let verify_timeout = given.deploy_verify_timeout.required(report);
    let ignore = given.deploy_verify_ignore.optional(report).unwrap_or_default();
    let on_failure = given.deploy_on_failure.required(report);
    if verify == Some(Verify::Required) && public_url.is_none() && !given.deploy_public_url.is_given() {
        let reason = "is required by DEPLOY_VERIFY=required and is not set. Set it to the site's URL";
        report.conflict(&DEPLOY_PUBLIC_URL, reason.to_owned());
    }

    if let (Some(bucket), Some(state_bucket)) = (&bucket, &state_bucket)
        && bucket == state_bucket
    {
        let reason = "is the same bucket as DEPLOY_BUCKET. Leave it out to keep the state area there";
        report.conflict(&DEPLOY_STATE_BUCKET, reason.to_owned());
    }
    if let (Some(prefix), Some(state_prefix), None) = (&prefix, &state_prefix, &state_bucket)
        && given.deploy_state_prefix.is_given()
        && !prefix.is_empty()
        && state_prefix.starts_with(prefix.as_str())
    {
        let reason = "begins with DEPLOY_PREFIX, within which it is anyway. Write it without that";
        report.conflict(&DEPLOY_STATE_PREFIX, reason.to_owned());
    }
    if let (Some(request), Some(lease)) = (request_timeout, lease)
        && request >= lease
    {
        let (request, lease) = (show_duration(request), show_duration(lease));
        if given.deploy_request_timeout.is_given() {
            let reason = format!("is {request}, and must be shorter than DEPLOY_LEASE, which is {lease}");
            report.conflict(&DEPLOY_REQUEST_TIMEOUT, reason);
        } else {
            let reason = format!("is {lease}, and must be longer than DEPLOY_REQUEST_TIMEOUT, which is {request}");
            report.conflict(&DEPLOY_LEASE, reason);
        }
    }
    if let (Some(part), Some(buffer)) = (part_size, buffer)
        && buffer < part
    {
        let (part, buffer) = (show_size(part), show_size(buffer));
        if given.deploy_buffer.is_given() {
            let reason = format!("is {buffer}, and must be at least DEPLOY_PART_SIZE, which is {part}");
            report.conflict(&DEPLOY_BUFFER, reason);
        } else {
            let reason = format!("is {part}, and must be at most DEPLOY_BUFFER, which is {buffer}");
            report.conflict(&DEPLOY_PART_SIZE, reason);
        }
    }
    if let (Some(wait), Some(lease)) = (lease_wait, lease)
        && wait <= lease
    {
        let (wait, lease) = (show_duration(wait), show_duration(lease));
        report.warn(
            DEPLOY_LEASE_WAIT.name,
            format!(
                "is {wait}, no longer than DEPLOY_LEASE ({lease}): the retry of a killed run may give up too early"
            ),
        );
    }

    let shown = |prefix: &String| {
        if prefix.is_empty() { "/".to_owned() } else { prefix.clone() }
    };
    let worked_out = [
        (&DEPLOY_PREFIX, prefix.as_ref().map(shown)),
        (&DEPLOY_URL_PREFIX, url_prefix.clone()),
        (&DEPLOY_REGION, region.clone()),
        (&DEPLOY_STATE_PREFIX, state_prefix.clone()),
        (&DEPLOY_LEASE_WAIT, lease_wait.map(show_duration)),
    ];
    for (variable, value) in worked_out {
        if let Some(value) = value {
            report.worked_out.insert(variable.name, value);
        }
    }

    Some(Settings {
        source,
        version,
        build,
        commit,
        environment: environment_name,
        execution,
        rules,
        site_manifest,
        bucket: bucket?,
        prefix: prefix?,
        url_prefix: url_prefix?,
        routing: routing?,
        region: region?,
        force_path_style: force_path_style?,
        encryption,
        kms_key_id,
        bucket_owner,
        distribution_ids,
        invalidation: invalidation?,
        invalidation_timeout: invalidation_timeout?,
        max_shrink: max_shrink?,
        adopt: adopt?,
        allow_older: allow_older?,
        allow_environment_change: allow_environment_change?,
        conditional_writes: conditional_writes?,
        state_prefix: state_prefix?,
        state_bucket,
        lease: lease?,
        lease_wait: lease_wait?,
        // The registry's bounds are far within these types.
        keep_releases: u32::try_from(keep_releases?).ok()?,
        grace: grace?,
        concurrency: usize::try_from(concurrency?).ok().and_then(NonZeroUsize::new)?,
        part_size: part_size?,
        buffer: buffer?,
        request_timeout: request_timeout?,
        retry_timeout: retry_timeout?,
        log: log?,
        termination_log,
        values: values?,
        source_maps: source_maps?,
        verification: Verification {
            public_url,
            verify: verify?,
            header,
            timeout: verify_timeout?,
            ignore,
            on_failure: on_failure?,
        },
    })
}

/// The region from the SDK's own variables, in its order.
fn sdk_region(environment: &Environment, report: &mut Report) -> Option<String> {
    for variable in [&AWS_REGION, &AWS_DEFAULT_REGION] {
        if environment.is_given(variable) {
            // A bad one is reported with the SDK's variables.
            return environment.text(variable).and_then(|(text, _)| Region.parse(text).ok());
        }
    }
    let remedy = "Set it (or AWS_REGION) to the bucket's region, such as eu-central-1";
    report.problem(DEPLOY_REGION.name, None, Fault::NotSet { remedy });
    None
}
