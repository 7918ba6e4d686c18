//! Where requests go: worked out once for a bucket.

use std::sync::{PoisonError, RwLock};

use aws_sdk_s3::config::endpoint::{DefaultResolver, Endpoint, EndpointFuture, Params, ResolveEndpoint};

/// The SDK's rules, and what came of them for each bucket.
///
/// The SDK asks twice for each request, and its own memory is of the last question, which has the
/// object's key in it. All else in the question is the client's configuration.
#[derive(Debug, Default)]
pub(super) struct KnownEndpoints {
    resolver: DefaultResolver,
    known: RwLock<Vec<(String, Endpoint)>>,
}

impl KnownEndpoints {
    fn known(&self, bucket: &str) -> Option<Endpoint> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(name, _)| name == bucket).map(|(_, endpoint)| endpoint.clone())
    }
}

/// Whether the operation does not matter: not for access points, and not for directory buckets, whose
/// names end in `--x-s3`.
fn is_plain(bucket: &str) -> bool {
    !bucket.contains(':') && !bucket.contains("--")
}

impl ResolveEndpoint for KnownEndpoints {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        let Some(bucket) = params.bucket().filter(|bucket| is_plain(bucket)) else {
            return self.resolver.resolve_endpoint(params);
        };
        if let Some(endpoint) = self.known(bucket) {
            return EndpointFuture::ready(Ok(endpoint));
        }
        EndpointFuture::new(async move {
            let endpoint = self.resolver.resolve_endpoint(params).await?;
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if !known.iter().any(|(name, _)| name == bucket) {
                known.push((bucket.to_owned(), endpoint.clone()));
            }
            Ok(endpoint)
        })
    }
}
