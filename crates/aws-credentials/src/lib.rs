//! AWS credentials: found as the AWS SDK finds them, with failures told apart by cause.
//!
//! The SDK gives up after three attempts in about two seconds, whatever the cause, and its error names
//! neither the provider nor the file or address it used. On a fresh node the network, DNS or the Pod Identity
//! agent is often up a moment later than a pod (aws/secrets-store-csi-driver-provider-aws#537). A caller
//! that retries must know this case from credentials that are denied, invalid or not configured.
//!
//! - [`load`] makes a configuration whose credentials provider reports such errors.
//! - [`failure`] finds them in the error of any request.
//! - [`wrong_clock`] recognizes a request that was refused for this machine's clock.

mod cause;
mod chain;
mod clock;
mod error;
mod source;

use std::time::Duration;

use aws_config::default_provider::use_fips::use_fips_provider;
use aws_config::identity::IdentityCache;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::StaticConfiguration;
use aws_config::{ConfigLoader, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;

use chain::Chain;
pub use clock::{Refusal, wrong_clock};
pub use error::{Failure, failure, find, flatten};

/// Longer than the sources of credentials may take together: each has a limit of its own, and its error names
/// the source.
const LOAD_TIMEOUT: Duration = Duration::from_mins(2);

/// Loads a configuration with the credentials of `role`, or else of the first source that has any, in the
/// order of the SDK: environment, profile, web identity, container, instance.
///
/// Requests no credentials yet. The SDK's identity cache keeps no failure: a request after a failed one asks the
/// sources again, unless a transient failure was met less than half a second before.
pub async fn load(loader: ConfigLoader, region: Region, role: Option<StaticConfiguration>) -> SdkConfig {
    let config = loader.region(region.clone()).no_credentials().load().await;
    let mut of_providers = ProviderConfig::default().with_region(Some(region.clone()));
    // This reads the profile too, which the providers consult for endpoints.
    let fips = use_fips_provider(&of_providers).await;
    of_providers = of_providers.with_use_fips(fips).with_use_dual_stack(config.use_dual_stack());
    if let Some(retry) = config.retry_config() {
        of_providers = of_providers.with_retry_config(retry.clone());
    }
    if let Some(timeouts) = config.timeout_config() {
        of_providers = of_providers.with_timeout_config(timeouts.clone());
    }
    let chain = Chain::new(&of_providers, &region, role);
    config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(chain))
        .identity_cache(IdentityCache::lazy().load_timeout(LOAD_TIMEOUT).build())
        .build()
}
