//! The target within this process: stand-ins for S3, CloudFront and the edge, reached over HTTP
//! by the same clients as the real ones.

use std::fs;
use std::io;
use std::path::Path;

use asset_sync::ErrorClass;
use asset_sync::bucket::{S3Bucket, S3Options};
use asset_sync::cdn::CloudFront;
use aws_credential_types::Credentials;
use deploy_config::{Environment, Routing, Settings, variables};
use stand_ins::{
    ACCESS_KEY, BUCKET, DISTRIBUTION, Distribution, REGION, Rewrite, SECRET_KEY, StandIns, StartError, StoreError,
};

use crate::failure::Failure;

/// What `--local` decides, and what it makes unnecessary.
pub(crate) fn settle(environment: Environment, source: Option<&Path>) -> Environment {
    const FLAG: &str = "--local";
    environment
        .flag(&variables::DEPLOY_BUCKET, FLAG, BUCKET)
        .flag(&variables::DEPLOY_REGION, FLAG, REGION)
        .flag(&variables::DEPLOY_DISTRIBUTION_IDS, FLAG, DISTRIBUTION)
        .flag(&variables::DEPLOY_FORCE_PATH_STYLE, FLAG, "true")
        // Until the edge has an address; the one of the environment is not this target's.
        .flag(&variables::DEPLOY_PUBLIC_URL, FLAG, "http://127.0.0.1/")
        .fallback(&variables::DEPLOY_VERSION, version_of(source))
        // Trying things out goes back and forth.
        .fallback(&variables::DEPLOY_ALLOW_OLDER, "true")
        // The server is in this process: who does not answer soon is gone.
        .fallback(&variables::DEPLOY_REQUEST_TIMEOUT, "5s")
        .fallback(&variables::DEPLOY_LEASE, "10s")
}

/// The name of the directory, where it can be a version.
fn version_of(source: Option<&Path>) -> String {
    let absolute = source.and_then(|source| std::path::absolute(source).ok());
    let name = absolute.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let fits = !name.is_empty() && name.len() <= 128 && !name.chars().any(|c| c.is_whitespace() || c.is_control());
    if fits { name.to_owned() } else { "local".to_owned() }
}

/// The running target.
#[derive(Debug)]
pub(crate) struct Local {
    stand_ins: StandIns,
}

impl Local {
    /// Starts it, with the bucket that `folder` keeps. `port` is that of the edge; 0 for a free one.
    pub(crate) async fn start(folder: &Path, settings: &Settings, port: u16) -> Result<Self, Failure> {
        prepare(folder)
            .map_err(|source| Failure::usage(format!("--local-dir: cannot create {}: {source}", folder.display())))?;
        let mut distribution = Distribution::new(DISTRIBUTION, BUCKET);
        distribution.port = port;
        match settings.routing {
            Routing::Exact => {}
            Routing::Directory => distribution.rewrite = Rewrite::Directory,
            Routing::Html => distribution.rewrite = Rewrite::Html,
            Routing::Spa => distribution.fallback = Some(format!("{}index.html", settings.prefix)),
        }
        distribution.blocked_prefixes = vec![format!("/{}{}", settings.prefix, settings.state_prefix)];
        let buckets = [Some(BUCKET), settings.state_bucket.as_deref()];
        let started = StandIns::builder()
            .buckets(buckets.into_iter().flatten())
            .distributions([distribution])
            .folder(folder.join("bucket"))
            .start()
            .await;
        started.map(|stand_ins| Self { stand_ins }).map_err(|error| failure(&error, folder))
    }

    /// A client of its S3.
    pub(crate) fn bucket(&self, options: S3Options) -> S3Bucket {
        let config = aws_sdk_s3::Config::builder()
            .credentials_provider(credentials())
            .endpoint_url(self.stand_ins.s3_endpoint());
        S3Bucket::with_config(config, options)
    }

    /// A client of its CloudFront.
    pub(crate) fn cdn(&self) -> CloudFront {
        let config = aws_sdk_cloudfront::Config::builder()
            .credentials_provider(credentials())
            .endpoint_url(self.stand_ins.cloudfront_endpoint());
        CloudFront::with_config(CloudFront::directly(config))
    }

    /// Where a browser finds the edge.
    pub(crate) fn url(&self) -> Option<String> {
        self.stand_ins.edge_endpoint(DISTRIBUTION)
    }

    /// Stops the servers.
    pub(crate) async fn shutdown(self) {
        self.stand_ins.shutdown().await;
    }
}

fn credentials() -> Credentials {
    Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "stand-ins")
}

/// Creates the folder, and keeps git from taking what is in it.
fn prepare(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let ignore = folder.join(".gitignore");
    if ignore.exists() { Ok(()) } else { fs::write(ignore, "*\n") }
}

fn failure(error: &StartError, folder: &Path) -> Failure {
    match error {
        StartError::Store(StoreError::InUse { .. }) => {
            Failure::new(ErrorClass::Transient, format!("{} is in use by another `deploy --local`", folder.display()))
                .hinted(
                    "Wait for it, end it (Ctrl-C in `deploy serve --local`), or name another folder with --local-dir",
                )
        }
        StartError::Listen { port, .. } if *port != 0 => {
            Failure::usage(error.to_string()).hinted("Name another port with --port, or leave it out to get a free one")
        }
        other => Failure::usage(other.to_string()).hinted("Name another folder with --local-dir, or remove this one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_directorys_name_where_it_can_be() {
        let of = |path: &str| version_of(Some(Path::new(path)));
        assert_eq!(of("examples/site/v1"), "v1");
        assert_eq!(of("/srv/my site"), "local");
        assert_eq!(of("/"), "local");
        assert_eq!(version_of(None), "local");
    }
}
