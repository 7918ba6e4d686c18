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

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolve(endpoints: &KnownEndpoints, bucket: &str, key: &str) -> Endpoint {
        let params = Params::builder().bucket(bucket).key(key).region("eu-west-1").build().unwrap();
        endpoints.resolve_endpoint(&params).await.unwrap()
    }

    #[tokio::test]
    async fn each_bucket_has_its_own_and_is_asked_for_once() {
        let endpoints = KnownEndpoints::default();
        for (bucket, key) in [("one", "a"), ("two", "a"), ("one", "b"), ("two", "b")] {
            let endpoint = resolve(&endpoints, bucket, key).await;
            assert_eq!(endpoint.url(), format!("https://{bucket}.s3.eu-west-1.amazonaws.com"));
        }
        let known: Vec<_> = endpoints.known.read().unwrap().iter().map(|(bucket, _)| bucket.clone()).collect();
        assert_eq!(known, ["one", "two"]);
    }

    #[tokio::test]
    async fn what_has_rules_of_its_own_is_asked_for_each_time() {
        let endpoints = KnownEndpoints::default();
        for bucket in ["site--euw1-az1--x-s3", "arn:aws:s3:eu-west-1:123456789012:accesspoint/site"] {
            let endpoint = resolve(&endpoints, bucket, "a").await;
            assert_ne!(endpoint.url(), format!("https://{bucket}.s3.eu-west-1.amazonaws.com"));
        }
        assert!(endpoints.known.read().unwrap().is_empty());
    }
}
