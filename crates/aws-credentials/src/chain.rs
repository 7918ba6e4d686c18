//! The sources of credentials, one after the other.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::Region;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::StaticConfiguration;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use tokio::time::Instant;

use crate::error::Failure;
use crate::source::{Kind, Missing, Source};

/// How long a transient failure is the answer to whoever else asks. The SDK lets one request ask for all that
/// wait, and the next after it has failed: without this, each of them would ask for itself, one after the other.
const SHARED_FOR: Duration = Duration::from_millis(500);

/// Asks each source in turn. One that is not set up is passed over; one that fails ends the search, as in the
/// SDK's own chain.
#[derive(Debug)]
pub(crate) struct Chain {
    sources: Vec<Source>,
    /// The last transient failure, and when it was met.
    recent: Mutex<Option<(Instant, Failure)>>,
}

impl Chain {
    /// The credentials of `role`, or else of the sources that the SDK knows, in its order.
    pub(crate) fn new(config: &ProviderConfig, region: &Region, role: Option<StaticConfiguration>) -> Self {
        let kinds = match role {
            Some(role) => vec![Kind::WebIdentity(Some(role))],
            None => vec![Kind::Environment, Kind::Profile, Kind::WebIdentity(None), Kind::Container, Kind::Instance],
        };
        let source = |kind| Source::new(kind, config.clone(), region.clone());
        Self { sources: kinds.into_iter().map(source).collect(), recent: Mutex::default() }
    }

    async fn load(&self) -> provider::Result {
        if let Some(failure) = self.recent() {
            return Err(CredentialsError::provider_error(failure));
        }
        let mut not_configured = Vec::new();
        for source in &self.sources {
            match source.load().await {
                Ok(credentials) => return Ok(credentials),
                Err(Missing::NotConfigured(reason)) => not_configured.push(reason),
                Err(Missing::Failed(failure)) => {
                    if failure.is_transient {
                        *self.recent.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some((Instant::now(), failure.clone()));
                    }
                    return Err(CredentialsError::provider_error(failure));
                }
            }
        }
        let message = format!("none are configured ({})", not_configured.join("; "));
        Err(CredentialsError::not_loaded(Failure { is_transient: false, message }))
    }

    fn recent(&self) -> Option<Failure> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.as_ref().filter(|(met, _)| met.elapsed() < SHARED_FOR).map(|(_, failure)| failure.clone())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::failure;

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_shared_for_a_moment() {
        let late = Failure { is_transient: true, message: "HTTP 503".to_owned() };
        let chain = Chain { sources: Vec::new(), recent: Mutex::new(Some((Instant::now(), late.clone()))) };
        assert_eq!(failure(&chain.load().await.unwrap_err()), Some(late));
        tokio::time::advance(SHARED_FOR).await;
        assert!(!failure(&chain.load().await.unwrap_err()).unwrap().is_transient);
    }
}
