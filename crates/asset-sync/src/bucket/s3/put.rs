//! What a request with a body need not do.

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

use crate::digest::Sha256;

/// Signs the body of a PUT by the SHA-256 in its `x-amz-checksum-sha256` header.
///
/// The store computes both hashes of what it receives, so a wrong one cannot pass.
#[derive(Debug)]
pub(super) struct Shortcuts;

impl Intercept for Shortcuts {
    fn name(&self) -> &'static str {
        "Shortcuts"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        if request.method() != "PUT" {
            return Ok(());
        }
        if let Some(sha256) = request.headers().get("x-amz-checksum-sha256").and_then(Sha256::from_base64) {
            config.interceptor_state().store_put(PayloadSigningOverride::Precomputed(sha256.to_string()));
        }
        Ok(())
    }
}
