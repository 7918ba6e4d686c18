//! From the environment to a [`Deployer`].

use std::env;
use std::fs;
#[cfg(feature = "local")]
use std::path::PathBuf;
use std::process;
use std::sync::Arc;

use asset_sync::Deployer;
use asset_sync::bucket::{Bucket, Encryption, RetryPolicy, S3Bucket, S3Options};
use asset_sync::cdn::{Cdn, CloudFront};
use asset_sync::deploy::{ConditionalWrites, Options};
use asset_sync::plan::{Addressing, Adopt, InvalidationMode, MaxShrink, Routing, UrlPrefix};
use asset_sync::progress::Progress;
use asset_sync::state::{StateArea, Target};
use asset_sync::verify::{HttpVerifier, OnFailure, Verifier};
use deploy_config::{Environment, Program, Requirements, Settings, Source, Table, Verify, Warning, variables};
use jiff::SignedDuration;
use url::{Host, Url};

use crate::args::LocalArgs;
use crate::commands::{Looks, Task};
use crate::failure::Failure;
use crate::hint::Surroundings;
use crate::verification::NO_URL;

/// What the environment and the flags say together.
pub(crate) fn environment(task: &dyn Task) -> Environment {
    let is_local = task.local().and_then(LocalArgs::folder).is_some();
    let source = task.source().and_then(|args| args.source.as_deref());
    // What leads the AWS SDK elsewhere means nothing to a target within this process.
    let heeded = env::vars_os().filter(|(name, _)| !(is_local && name.to_string_lossy().starts_with("AWS_")));
    let mut environment = Environment::new(heeded);
    #[cfg(feature = "local")]
    if is_local {
        let named = env::var_os("DEPLOY_SOURCE").map(PathBuf::from);
        environment = crate::local::settle(environment, source.or(named.as_deref()));
    }
    if let Some(source) = source {
        environment = environment.flag(&variables::DEPLOY_SOURCE, "--source", source);
    }
    environment
}

/// The settings a command needs, with what is odd about them.
pub(crate) fn settings(task: &dyn Task, environment: &Environment) -> Result<(Settings, Vec<Warning>), Failure> {
    let requirements = if task.source().is_some() { Requirements::Publish } else { Requirements::Target };
    environment.settings(requirements).map_err(|problems| {
        let is_set = |name: &str| value(&environment.table(Program::Deploy), name).is_some();
        let no_url = task.looks() == Looks::Always && !is_set("DEPLOY_PUBLIC_URL");
        // Where it is required by another variable, that is said already.
        let no_url = no_url && !problems.iter().any(|problem| problem.variable == "DEPLOY_PUBLIC_URL");
        Failure::configuration(&problems, no_url.then_some(NO_URL))
    })
}

// Row by row, since the table hides what must not be shown.
fn value(table: &Table, name: &str) -> Option<String> {
    table.rows.iter().find(|row| row.variable == name).and_then(|row| row.value.clone())
}

/// What the AWS SDK will go by.
pub(crate) fn surroundings(settings: &Settings, environment: &Environment) -> Surroundings {
    const WAYS_TO_CREDENTIALS: [&str; 7] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    let table = environment.table(Program::Deploy);
    let is_set = |name: &&str| table.rows.iter().any(|row| row.variable == *name && row.source != Source::NotSet);
    Surroundings::new(
        settings,
        WAYS_TO_CREDENTIALS.into_iter().filter(is_set).collect(),
        value(&table, "AWS_ENDPOINT_URL_S3").or_else(|| value(&table, "AWS_ENDPOINT_URL")),
    )
}

/// Where things are, before anything is connected.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) target: Target,
    pub(crate) area: StateArea,
}

impl Places {
    pub(crate) fn new(settings: &Settings) -> Self {
        let target = Target { bucket: settings.bucket.clone(), prefix: settings.prefix.clone() };
        let area = match &settings.state_bucket {
            Some(bucket) => StateArea::shared(&target, bucket, &settings.state_prefix),
            None => StateArea::in_target(&target, &settings.state_prefix),
        };
        Self { target, area }
    }
}

/// The real bucket or buckets, and the real CDN.
pub(crate) struct Clients {
    bucket: S3Bucket,
    cdn: CloudFront,
}

impl Clients {
    /// As the AWS SDK's variables say. Sends no request.
    pub(crate) async fn connect(settings: &Settings, environment: &Environment) -> Self {
        let table = environment.table(Program::Deploy);
        let is_here = |name: &str| {
            let url = value(&table, name).or_else(|| value(&table, "AWS_ENDPOINT_URL"));
            url.is_some_and(|url| is_loopback(&url))
        };
        let options = S3Options { direct: is_here("AWS_ENDPOINT_URL_S3"), ..s3_options(settings) };
        let cdn =
            if is_here("AWS_ENDPOINT_URL_CLOUDFRONT") { CloudFront::connect_directly() } else { CloudFront::connect() };
        Self { bucket: S3Bucket::connect(options).await, cdn }
    }

    /// Those of the target within this process.
    #[cfg(feature = "local")]
    pub(crate) fn local(local: &crate::local::Local, settings: &Settings) -> Self {
        let options = S3Options { direct: true, ..s3_options(settings) };
        Self { bucket: local.bucket(options), cdn: local.cdn() }
    }

    /// A deployer to them.
    pub(crate) fn deployer(
        self,
        settings: &Settings,
        is_local: bool,
        verifier: Option<Arc<HttpVerifier>>,
        progress: Arc<dyn Progress>,
        findings_shown: usize,
    ) -> Deployer {
        let Places { target, area } = Places::new(settings);
        let state =
            settings.state_bucket.as_deref().map(|bucket| Arc::new(self.bucket.sibling(bucket)) as Arc<dyn Bucket>);
        let cdn: Arc<dyn Cdn> = Arc::new(self.cdn);
        let mut options = options(settings, progress);
        options.findings_shown = findings_shown;
        options.verifier = verifier.map(|verifier| verifier as Arc<dyn Verifier>);
        if is_local {
            // The stand-in completes an invalidation when it is asked a second time.
            options.invalidation_poll = std::time::Duration::from_millis(20);
        }
        Deployer::new(&target.prefix, Arc::new(self.bucket), area, state, cdn, options)
    }
}

/// Whether a URL is one of this machine.
fn is_loopback(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn s3_options(settings: &Settings) -> S3Options {
    S3Options {
        force_path_style: settings.force_path_style,
        request_timeout: settings.request_timeout,
        encryption: settings.encryption.map(|encryption| match encryption {
            deploy_config::Encryption::Aes256 => Encryption::Aes256,
            deploy_config::Encryption::Kms => Encryption::Kms { key_id: settings.kms_key_id.clone() },
        }),
        expected_owner: settings.bucket_owner.clone(),
        ..S3Options::new(&settings.bucket, &settings.region)
    }
}

fn options(settings: &Settings, progress: Arc<dyn Progress>) -> Options {
    Options {
        distributions: settings.distribution_ids.clone(),
        addressing: Addressing {
            prefix: UrlPrefix::new(&settings.url_prefix),
            routing: routing(settings),
            invalidation: match settings.invalidation {
                deploy_config::Invalidation::Exact => InvalidationMode::Exact,
                deploy_config::Invalidation::Variants => InvalidationMode::Variants,
                deploy_config::Invalidation::All => InvalidationMode::All,
            },
        },
        invalidation_timeout: settings.invalidation_timeout,
        adopt: match settings.adopt {
            deploy_config::Adopt::Refuse => Adopt::Refuse,
            deploy_config::Adopt::Take => Adopt::Take,
        },
        max_shrink: MaxShrink(settings.max_shrink),
        allow_older: settings.allow_older,
        keep_releases: usize::try_from(settings.keep_releases).unwrap_or(usize::MAX),
        grace: SignedDuration::try_from(settings.grace).unwrap_or(SignedDuration::MAX),
        lease: settings.lease,
        lease_wait: settings.lease_wait,
        request_timeout: settings.request_timeout,
        owner: owner(),
        environment: settings.environment.clone(),
        allow_environment_change: settings.allow_environment_change,
        execution: settings.execution.clone(),
        commit: settings.commit.clone(),
        conditional_writes: match settings.conditional_writes {
            deploy_config::ConditionalWrites::Require => ConditionalWrites::Require,
            deploy_config::ConditionalWrites::UnsafeOff => ConditionalWrites::Unprotected,
        },
        buffer: settings.buffer,
        part_size: settings.part_size,
        verification_required: settings.verification.verify == Verify::Required,
        on_failure: match settings.verification.on_failure {
            deploy_config::OnFailure::Rollback => OnFailure::RollBack,
            deploy_config::OnFailure::Keep => OnFailure::Keep,
        },
        retry: RetryPolicy {
            concurrency: settings.concurrency.get(),
            // Time is what people reckon with; the pauses between attempts bound their number.
            max_attempts: u32::MAX,
            give_up_after: settings.retry_timeout,
            ..RetryPolicy::default()
        },
        progress,
        ..Options::default()
    }
}

/// Which file answers which address.
pub(crate) fn routing(settings: &Settings) -> Routing {
    match settings.routing {
        deploy_config::Routing::Exact => Routing::Exact,
        deploy_config::Routing::Directory => Routing::Directory,
        deploy_config::Routing::Html => Routing::Html,
        deploy_config::Routing::Spa => Routing::Spa,
    }
}

/// Who holds the lease, for people: in a cluster the host's name is the pod's.
fn owner() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| env::var("HOSTNAME").map_err(std::io::Error::other));
    let host = host.as_deref().map_or("unknown host", str::trim);
    format!("deploy {} on {host}, process {}", env!("CARGO_PKG_VERSION"), process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_this_machine_is_known_by_its_host() {
        for url in ["http://127.0.0.1:4566", "https://localhost/", "http://[::1]:9", "http://s3.localhost:3900"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["https://s3.eu-central-1.amazonaws.com", "http://10.0.0.1", "http://localhost.example.com", "no"] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
