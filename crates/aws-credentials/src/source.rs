//! One place that credentials come from.

use std::env;
use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use url::Url;

use crate::cause::{Cause, cause, is_unreachable};
use crate::error::{Failure, flatten};

/// How long one source may take, its own retries included. Less than a request may take by default, so that
/// its error is the one that is reported.
const TIMEOUT: Duration = Duration::from_secs(10);

const INSTANCE: &str = "http://169.254.169.254";
const CONTAINER: &str = "http://169.254.170.2";

/// Why a source gave no credentials.
pub(crate) enum Missing {
    /// It is not set up; the reason in one line.
    NotConfigured(String),
    Failed(Failure),
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Environment,
    Profile,
    WebIdentity(Option<StaticConfiguration>),
    Container,
    Instance,
}

/// One place that credentials come from.
#[derive(Debug)]
pub(crate) struct Source {
    kind: Kind,
    config: ProviderConfig,
    region: Region,
    /// Made at the first request, and anew after a failure: some providers keep what failed while they were
    /// set up, such as a host name that did not resolve yet.
    provider: Mutex<Option<Arc<dyn ProvideCredentials>>>,
}

impl Source {
    pub(crate) fn new(kind: Kind, config: ProviderConfig, region: Region) -> Self {
        Self { kind, config, region, provider: Mutex::default() }
    }

    pub(crate) async fn load(&self) -> Result<Credentials, Missing> {
        let provider = self.provider();
        let error = match tokio::time::timeout(TIMEOUT, provider.provide_credentials()).await {
            Ok(Ok(credentials)) => return Ok(credentials),
            Ok(Err(error)) => error,
            Err(_) => match provider.fallback_on_interrupt() {
                Some(credentials) => return Ok(credentials),
                None => CredentialsError::provider_timed_out(TIMEOUT),
            },
        };
        *self.provider.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Err(self.missing(&error))
    }

    fn provider(&self) -> Arc<dyn ProvideCredentials> {
        let mut provider = self.provider.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(provider.get_or_insert_with(|| {
            let config = &self.config;
            match &self.kind {
                Kind::Environment => Arc::new(EnvironmentVariableCredentialsProvider::new()),
                Kind::Profile => Arc::new(ProfileFileCredentialsProvider::builder().configure(config).build()),
                Kind::WebIdentity(role) => {
                    let mut builder = WebIdentityTokenCredentialsProvider::builder().configure(config);
                    if let Some(role) = role {
                        builder = builder.static_configuration(role.clone());
                    }
                    Arc::new(builder.build())
                }
                Kind::Container => Arc::new(EcsCredentialsProvider::builder().configure(config).build()),
                Kind::Instance => Arc::new(ImdsCredentialsProvider::builder().configure(config).build()),
            }
        }))
    }

    fn missing(&self, error: &CredentialsError) -> Missing {
        let is_not_loaded = matches!(error, CredentialsError::CredentialsNotLoaded(_));
        let is_silent = is_unreachable(error) || matches!(error, CredentialsError::ProviderTimedOut(_));
        if is_not_loaded && !is_silent {
            let reason = error.source().map_or_else(|| format!("none in {}", self.place()), flatten);
            return Missing::NotConfigured(format!("{}: {reason}", self.kind.name()));
        }
        if is_silent && !self.is_asked_for() {
            return Missing::NotConfigured(format!("{}: nothing answers at {}", self.kind.name(), self.place()));
        }
        let place = self.place();
        if let Some(problem) = self.token_file().and_then(|file| problem_of(&file)) {
            return Missing::Failed(Failure { is_transient: false, message: format!("{place}: {problem}") });
        }
        let Cause { is_transient, text } = cause(error);
        // A 200 that holds no credentials: the SDK tries it again, as from a server that is just starting.
        let is_garbled = matches!((&self.kind, error), (Kind::Container, CredentialsError::Unhandled(_)));
        // The SDK shows an address that it does not take, whose path may be a secret.
        let text = match variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            Some(url) => text.replace(&url, &origin(&url)),
            None => text,
        };
        Missing::Failed(Failure { is_transient: is_transient || is_garbled, message: format!("{place}: {text}") })
    }

    /// Whether somebody configured this source, so that it must be somewhere. The instance is looked for
    /// everywhere, and a machine that is none has nothing at its address.
    fn is_asked_for(&self) -> bool {
        let names = ["AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"];
        !matches!(self.kind, Kind::Instance) || names.iter().any(|name| variable(name).is_some())
    }

    /// The file with the token that the source exchanges for credentials.
    fn token_file(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::WebIdentity(Some(role)) => Some(role.web_identity_token_file.clone()),
            Kind::WebIdentity(None) => variable("AWS_WEB_IDENTITY_TOKEN_FILE").map(PathBuf::from),
            Kind::Container => variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(PathBuf::from),
            Kind::Environment | Kind::Profile | Kind::Instance => None,
        }
    }

    /// The source with its file and address, for a message.
    fn place(&self) -> String {
        match &self.kind {
            Kind::Environment => "the environment (AWS_ACCESS_KEY_ID)".to_owned(),
            Kind::Profile => match variable("AWS_PROFILE") {
                Some(profile) => format!("the profile {profile:?} (AWS_PROFILE)"),
                None => "the profile \"default\"".to_owned(),
            },
            Kind::WebIdentity(role) => {
                let sts = variable("AWS_ENDPOINT_URL_STS").or_else(|| variable("AWS_ENDPOINT_URL"));
                let sts = sts.map_or_else(|| format!("in {}", self.region), |url| format!("at {}", origin(&url)));
                let token = match (role, self.token_file()) {
                    (None, Some(file)) => format!("the token in {} (AWS_WEB_IDENTITY_TOKEN_FILE)", file.display()),
                    // The file is a copy of a token that came in a variable.
                    _ => "the web identity token".to_owned(),
                };
                format!("STS {sts}, asked with {token}")
            }
            Kind::Container => {
                let url = match variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
                    Some(_) => CONTAINER.to_owned(),
                    None => variable("AWS_CONTAINER_CREDENTIALS_FULL_URI").unwrap_or_default(),
                };
                format!("the container's credentials agent at {}", origin(&url))
            }
            Kind::Instance => {
                let url = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| INSTANCE.to_owned());
                format!("the instance's metadata service at {}", origin(&url))
            }
        }
    }
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Profile => "profile",
            Self::WebIdentity(_) => "web identity",
            Self::Container => "container",
            Self::Instance => "instance",
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Scheme, host and port: paths and user information may hold secrets.
fn origin(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if url.has_host() => url.origin().ascii_serialization(),
        _ => "an address that is no URL".to_owned(),
    }
}

fn problem_of(file: &Path) -> Option<String> {
    match fs::read(file) {
        Ok(token) if token.trim_ascii().is_empty() => Some(format!("{} is empty", file.display())),
        Ok(_) => None,
        Err(error) => Some(format!("{} cannot be read: {error}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    #[test]
    fn an_address_shows_no_secret() {
        assert_eq!(origin("http://127.0.0.1:8080/v2/credentials/5f2c"), "http://127.0.0.1:8080");
        assert_eq!(origin("https://ci:hunter2@agent.example/x?token=1"), "https://agent.example");
        assert_eq!(origin("hunter2"), "an address that is no URL");
    }

    #[test]
    fn files_that_hold_no_token() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(problem_of(&here.join("Cargo.toml")), None);
        assert!(problem_of(&here.join("none")).unwrap().contains("none cannot be read: No such file"));
        assert!(problem_of(here).unwrap().contains("cannot be read"));
    }

    fn source(kind: Kind) -> Source {
        let region = Region::from_static("eu-central-1");
        Source::new(kind, ProviderConfig::default().with_region(Some(region.clone())), region)
    }

    fn failed(kind: Kind, error: &CredentialsError) -> Option<Failure> {
        match source(kind).missing(error) {
            Missing::Failed(failure) => Some(failure),
            Missing::NotConfigured(_) => None,
        }
    }

    #[test]
    fn an_instance_that_nobody_configured_is_not_waited_for() {
        let unreachable = || CredentialsError::not_loaded(ConnectorError::io("no route to host".into()));
        assert_eq!(failed(Kind::Instance, &unreachable()), None);
        let silent = CredentialsError::provider_timed_out(TIMEOUT);
        assert_eq!(failed(Kind::Instance, &silent), None);
        assert!(failed(Kind::Container, &silent).unwrap().is_transient);
        // A profile whose `credential_source` is the instance.
        assert!(failed(Kind::Profile, &unreachable()).unwrap().is_transient);
        assert_eq!(failed(Kind::Profile, &CredentialsError::not_loaded("no profile")), None);
    }

    #[test]
    fn an_agent_that_answers_nonsense_is_not_ready() {
        let nonsense = || CredentialsError::unhandled("not JSON");
        assert!(failed(Kind::Container, &nonsense()).unwrap().is_transient);
        assert!(!failed(Kind::Profile, &nonsense()).unwrap().is_transient);
    }

    #[tokio::test]
    async fn a_provider_that_failed_is_made_anew() {
        let web_identity_token_file = PathBuf::from("/no/such/token");
        let (role_arn, session_name) = ("role".to_owned(), "session".to_owned());
        let role = StaticConfiguration { web_identity_token_file, role_arn, session_name };
        let source = source(Kind::WebIdentity(Some(role)));
        assert!(matches!(source.load().await, Err(Missing::Failed(Failure { is_transient: false, .. }))));
        assert!(source.provider.lock().unwrap().is_none());
    }
}
