//! From the environment to a [`Deployer`].

use std::env;
use std::fs;
use std::path::Path;
use std::process;
use std::sync::Arc;

use asset_sync::Deployer;
use asset_sync::bucket::{Bucket, RetryPolicy, S3Bucket, S3Options};
use asset_sync::cdn::{Cdn, CloudFront};
use asset_sync::deploy::{ConditionalWrites, Options};
use asset_sync::plan::{Adopt, InvalidationMode, MaxShrink, UrlPrefix};
use asset_sync::progress::Progress;
use asset_sync::site::{Rules, ScanOptions};
use asset_sync::state::{StateArea, Target};
use deploy_config::{Environment, Program, Requirements, Settings, Source, Warning, variables};
use jiff::SignedDuration;

use crate::args::Command;
use crate::failure::Failure;
use crate::hint::Surroundings;

/// What the environment and the flags say together.
pub(crate) fn environment(command: &Command) -> Environment {
    let is_local = command.local().is_some();
    // What leads the AWS SDK elsewhere means nothing to a target within this process.
    let heeded = env::vars_os().filter(|(name, _)| !(is_local && name.to_string_lossy().starts_with("AWS_")));
    let mut environment = Environment::new(heeded);
    #[cfg(feature = "local")]
    if is_local {
        let source = command.source().cloned().or_else(|| env::var_os("DEPLOY_SOURCE").map(Into::into));
        environment = crate::local::settle(environment, source.as_deref());
    }
    if let Some(source) = command.source() {
        environment = environment.flag(&variables::DEPLOY_SOURCE, "--source", source);
    }
    environment
}

/// The settings a command needs, with what is odd about them.
pub(crate) fn settings(command: &Command, environment: &Environment) -> Result<(Settings, Vec<Warning>), Failure> {
    let requirements = match command {
        Command::Run(_) | Command::Plan(_) => Requirements::Publish,
        _ => Requirements::Target,
    };
    environment.settings(requirements).map_err(|problems| Failure::configuration(&problems))
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
    // Row by row, since the table hides what must not be shown.
    let value = |name: &str| table.rows.iter().find(|row| row.variable == name).and_then(|row| row.value.clone());
    Surroundings::new(
        settings,
        WAYS_TO_CREDENTIALS.into_iter().filter(is_set).collect(),
        value("AWS_ENDPOINT_URL_S3").or_else(|| value("AWS_ENDPOINT_URL")),
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

/// How the site is scanned; reads the rules.
pub(crate) fn scan_options(
    settings: &Settings,
    progress: Arc<dyn Fn(u64) + Send + Sync>,
) -> Result<ScanOptions, Failure> {
    let Places { target, area } = Places::new(settings);
    Ok(ScanOptions {
        prefix: target.prefix,
        state_prefix: area.in_target.then_some(area.root),
        rules: settings.rules.as_deref().map_or_else(|| Ok(Rules::default()), read_rules)?,
        progress: Some(progress),
        ..ScanOptions::default()
    })
}

fn read_rules(path: &Path) -> Result<Rules, Failure> {
    let text = fs::read_to_string(path).map_err(|source| Failure::unreadable_rules(path, &source))?;
    Rules::parse(&text).map_err(|error| Failure::rules(path, &error))
}

/// The real bucket or buckets, and the real CDN.
pub(crate) struct Clients {
    bucket: S3Bucket,
    cdn: CloudFront,
}

impl Clients {
    /// As the AWS SDK's variables say. Sends no request.
    pub(crate) async fn connect(settings: &Settings) -> Self {
        Self { bucket: S3Bucket::connect(s3_options(settings)).await, cdn: CloudFront::connect().await }
    }

    /// Those of the target within this process.
    #[cfg(feature = "local")]
    pub(crate) fn local(local: &crate::local::Local, settings: &Settings) -> Self {
        Self { bucket: local.bucket(s3_options(settings)), cdn: local.cdn() }
    }

    /// A deployer to them.
    pub(crate) fn deployer(self, settings: &Settings, is_local: bool, progress: Arc<dyn Progress>) -> Deployer {
        let Places { target, area } = Places::new(settings);
        let state =
            settings.state_bucket.as_deref().map(|bucket| Arc::new(self.bucket.sibling(bucket)) as Arc<dyn Bucket>);
        let cdn: Arc<dyn Cdn> = Arc::new(self.cdn);
        let mut options = options(settings, progress);
        if is_local {
            // The stand-in completes an invalidation when it is asked a second time.
            options.invalidation_poll = std::time::Duration::from_millis(20);
        }
        Deployer::new(&target.prefix, Arc::new(self.bucket), area, state, cdn, options)
    }
}

fn s3_options(settings: &Settings) -> S3Options {
    S3Options {
        force_path_style: settings.force_path_style,
        request_timeout: settings.request_timeout,
        ..S3Options::new(&settings.bucket, &settings.region)
    }
}

fn options(settings: &Settings, progress: Arc<dyn Progress>) -> Options {
    Options {
        distributions: settings.distribution_ids.clone(),
        url_prefix: UrlPrefix::new(&settings.url_prefix),
        invalidation: match settings.invalidation {
            deploy_config::Invalidation::Exact => InvalidationMode::Exact,
            deploy_config::Invalidation::Variants => InvalidationMode::Variants,
            deploy_config::Invalidation::All => InvalidationMode::All,
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
        conditional_writes: match settings.conditional_writes {
            deploy_config::ConditionalWrites::Require => ConditionalWrites::Require,
            deploy_config::ConditionalWrites::UnsafeOff => ConditionalWrites::Unprotected,
        },
        buffer: settings.buffer,
        part_size: settings.part_size,
        retry: RetryPolicy { concurrency: settings.concurrency.get(), ..RetryPolicy::default() },
        progress,
        ..Options::default()
    }
}

/// Who holds the lease, for people: in a cluster the host's name is the pod's.
fn owner() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| env::var("HOSTNAME").map_err(std::io::Error::other));
    let host = host.as_deref().map_or("unknown host", str::trim);
    format!("deploy {} on {host}, process {}", env!("CARGO_PKG_VERSION"), process::id())
}
