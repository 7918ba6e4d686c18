//! The sources of credentials, one after the other.

use aws_config::Region;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::StaticConfiguration;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};

use crate::error::Failure;
use crate::source::{Kind, Missing, Source};

/// Asks each source in turn. One that is not set up is passed over; one that fails ends the search, as in the
/// SDK's own chain.
#[derive(Debug)]
pub(crate) struct Chain {
    sources: Vec<Source>,
}

impl Chain {
    /// The credentials of `role`, or else of the sources that the SDK knows, in its order.
    pub(crate) fn new(config: &ProviderConfig, region: &Region, role: Option<StaticConfiguration>) -> Self {
        let kinds = match role {
            Some(role) => vec![Kind::WebIdentity(Some(role))],
            None => vec![Kind::Environment, Kind::Profile, Kind::WebIdentity(None), Kind::Container, Kind::Instance],
        };
        let source = |kind| Source::new(kind, config.clone(), region.clone());
        Self { sources: kinds.into_iter().map(source).collect() }
    }

    async fn load(&self) -> provider::Result {
        let mut not_configured = Vec::new();
        for source in &self.sources {
            match source.load().await {
                Ok(credentials) => return Ok(credentials),
                Err(Missing::NotConfigured(reason)) => not_configured.push(reason),
                Err(Missing::Failed(failure)) => return Err(CredentialsError::provider_error(failure)),
            }
        }
        let message = format!("none are configured ({})", not_configured.join("; "));
        Err(CredentialsError::not_loaded(Failure { is_transient: false, message }))
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}
