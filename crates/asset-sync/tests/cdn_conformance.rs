//! One suite for every implementation of a CDN: what this crate relies on.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::future::ready;
use std::sync::Arc;

use asset_sync::cdn::{Cdn, CdnErrorKind, InvalidationStatus, MemoryCdn, MemoryCdnFault};

const DISTRIBUTION: &str = "E1STANDIN00000";

/// The CDN a test of the suite works on: each invalidation is in progress at one poll.
struct Fixture {
    cdn: Arc<dyn Cdn>,
    /// What must live as long as the CDN is used.
    _server: Option<Box<dyn std::any::Any>>,
}

fn paths(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

fn numbered(count: usize, form: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(form).collect()
}

impl Fixture {
    async fn create(&self, reference: &str, paths: &[String]) -> Result<(String, InvalidationStatus), CdnErrorKind> {
        self.cdn.create_invalidation(DISTRIBUTION, reference, paths).await.map_err(|error| error.kind)
    }

    async fn status(&self, id: &str) -> Option<InvalidationStatus> {
        self.cdn.invalidation(DISTRIBUTION, id).await.unwrap()
    }
}

async fn an_invalidation_is_in_progress_for_a_while(fixture: Fixture) {
    let odd = paths(&["/", "/index.html", "/dir/", "/a%20b.html", "/x&y.html", "/q?*", "/all/*", "/*"]);
    let (id, status) = fixture.create("one", &odd).await.unwrap();
    assert_eq!(status, InvalidationStatus::InProgress);
    assert_eq!(fixture.status(&id).await, Some(InvalidationStatus::InProgress));
    assert_eq!(fixture.status(&id).await, Some(InvalidationStatus::Completed));
    assert_eq!(fixture.status(&id).await, Some(InvalidationStatus::Completed));
}

async fn the_same_reference_gives_the_first_invalidation(fixture: Fixture) {
    let (one, _) = fixture.create("one", &paths(&["/a", "/b"])).await.unwrap();
    let (again, status) = fixture.create("one", &paths(&["/a", "/b"])).await.unwrap();
    assert_eq!((&again, status), (&one, InvalidationStatus::InProgress));
    let (two, _) = fixture.create("two", &paths(&["/a", "/b"])).await.unwrap();
    assert_ne!(one, two);
    while fixture.status(&one).await != Some(InvalidationStatus::Completed) {}
    let (again, status) = fixture.create("one", &paths(&["/a", "/b"])).await.unwrap();
    assert_eq!((again, status), (one, InvalidationStatus::Completed));
}

async fn a_reference_is_not_used_for_other_paths(fixture: Fixture) {
    fixture.create("one", &paths(&["/a"])).await.unwrap();
    assert_eq!(fixture.create("one", &paths(&["/b"])).await, Err(CdnErrorKind::ReferenceReused));
}

async fn what_does_not_exist(fixture: Fixture) {
    assert_eq!(fixture.status("INONE").await, None);
    let error = fixture.cdn.create_invalidation("ENONE", "one", &paths(&["/"])).await.unwrap_err();
    assert_eq!((error.kind, error.operation), (CdnErrorKind::NoSuchDistribution, "CreateInvalidation"));
    assert_eq!(error.distribution, "ENONE");
    let error = fixture.cdn.invalidation("ENONE", "INONE").await.unwrap_err();
    assert_eq!((error.kind, error.operation), (CdnErrorKind::NoSuchDistribution, "GetInvalidation"));
}

async fn malformed_paths(fixture: Fixture) {
    for path in ["index.html", "/a*b", "*"] {
        assert_eq!(fixture.create(path, &paths(&["/ok", path])).await, Err(CdnErrorKind::Invalid), "{path}");
    }
}

async fn three_thousand_paths_at_once(fixture: Fixture) {
    let (id, _) = fixture.create("many", &numbered(3_000, |n| format!("/{n}"))).await.unwrap();
    assert_eq!(fixture.create("more", &paths(&["/x"])).await, Err(CdnErrorKind::TooManyInProgress));
    fixture.create("wildcard", &paths(&["/x/*"])).await.unwrap();
    while fixture.status(&id).await != Some(InvalidationStatus::Completed) {}
    fixture.create("more", &paths(&["/x"])).await.unwrap();
}

async fn fifteen_wildcards_at_once(fixture: Fixture) {
    let sixteen = numbered(16, |n| format!("/{n}/*"));
    assert_eq!(fixture.create("sixteen", &sixteen).await, Err(CdnErrorKind::TooManyInProgress));
    let (id, _) = fixture.create("fifteen", &sixteen[1..]).await.unwrap();
    assert_eq!(fixture.create("one", &sixteen[..1]).await, Err(CdnErrorKind::TooManyInProgress));
    fixture.create("exact", &paths(&["/x"])).await.unwrap();
    while fixture.status(&id).await != Some(InvalidationStatus::Completed) {}
    fixture.create("one", &sixteen[..1]).await.unwrap();
}

macro_rules! suite {
    ($fixture:expr) => {
        suite!($fixture;
            an_invalidation_is_in_progress_for_a_while
            the_same_reference_gives_the_first_invalidation
            a_reference_is_not_used_for_other_paths
            what_does_not_exist
            malformed_paths
            three_thousand_paths_at_once
            fifteen_wildcards_at_once
        );
    };
    ($fixture:expr; $($test:ident)*) => {
        $(#[tokio::test]
        async fn $test() {
            super::$test($fixture.await).await;
        })*
    };
}

mod memory {
    use super::*;

    fn fixture() -> Fixture {
        let cdn = MemoryCdn::new();
        cdn.create_distribution(DISTRIBUTION);
        cdn.set_polls(1);
        Fixture { cdn: Arc::new(cdn), _server: None }
    }

    suite!(ready(fixture()));

    #[tokio::test]
    async fn faults_to_order() {
        let cdn = MemoryCdn::new();
        cdn.create_distribution(DISTRIBUTION);
        cdn.on_call(|call| match call.number {
            1 => Some(MemoryCdnFault::Before(CdnErrorKind::Throttled)),
            2 => Some(MemoryCdnFault::After(CdnErrorKind::Transient)),
            _ => None,
        });
        let create = async || {
            let made = cdn.create_invalidation(DISTRIBUTION, "one", &paths(&["/"])).await;
            (made.map(|(id, _)| id).map_err(|error| error.kind), cdn.invalidations(DISTRIBUTION).len())
        };
        assert_eq!(create().await, (Err(CdnErrorKind::Throttled), 0));
        assert_eq!(create().await, (Err(CdnErrorKind::Transient), 1));
        let (id, made) = create().await;
        assert_eq!(made, 1, "the answer that was lost is given again");
        let told = cdn.invalidations(DISTRIBUTION);
        assert_eq!((Ok(&told[0].id), told[0].caller_reference.as_str()), (id.as_ref(), "one"));
        assert_eq!(told[0].paths, ["/"]);
        let calls: Vec<_> = cdn.calls().into_iter().map(|call| (call.number, call.operation)).collect();
        assert_eq!(calls, [1, 2, 3].map(|number| (number, "CreateInvalidation")));
    }
}

#[cfg(feature = "aws")]
mod cloudfront_over_http {
    use asset_sync::cdn::CloudFront;
    use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
    use aws_sdk_cloudfront::config::Credentials;
    use stand_ins::{ACCESS_KEY, Completion, Effect, SECRET_KEY, StandIns, When};

    use super::*;

    const EARLIER: &str =
        "Signature expired: 20200101T000000Z is now earlier than 20200101T001500Z (20200101T003000Z - 15 min.)";

    #[derive(Debug)]
    struct NoCredentials;

    impl ProvideCredentials for NoCredentials {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nothing configured")))
        }
    }

    fn connect(server: &StandIns, key: &str) -> CloudFront {
        let credentials = Credentials::new(key, SECRET_KEY, None, None, "test");
        let config = aws_sdk_cloudfront::Config::builder()
            .endpoint_url(server.cloudfront_endpoint())
            .credentials_provider(credentials);
        CloudFront::with_config(config)
    }

    async fn start() -> StandIns {
        assert_eq!(DISTRIBUTION, stand_ins::DISTRIBUTION);
        let completion = Completion { polls: 1, ..Completion::default() };
        StandIns::builder().completion(completion).start().await.unwrap()
    }

    async fn fixture() -> Fixture {
        let server = start().await;
        Fixture { cdn: Arc::new(connect(&server, ACCESS_KEY)), _server: Some(Box::new(server)) }
    }

    suite!(fixture());

    #[tokio::test]
    async fn errors_by_meaning() {
        let server = start().await;
        let cdn = connect(&server, ACCESS_KEY);
        for (effect, kind) in [
            (Effect::access_denied(), CdnErrorKind::Denied),
            (Effect::error(403, "ExpiredToken", "The security token is expired"), CdnErrorKind::Credentials),
            (Effect::error(403, "SignatureDoesNotMatch", "no"), CdnErrorKind::Credentials),
            (Effect::error(403, "SignatureDoesNotMatch", EARLIER), CdnErrorKind::WrongClock),
            (Effect::error(403, "RequestExpired", "Request has expired."), CdnErrorKind::WrongClock),
            (Effect::error(413, "BatchTooLarge", "too large"), CdnErrorKind::Invalid),
        ] {
            server.faults().clear();
            server.faults().always(When::always(), effect.clone());
            let error = cdn.create_invalidation(DISTRIBUTION, "one", &paths(&["/"])).await.unwrap_err();
            assert_eq!(error.kind, kind, "{effect:?}: {error}");
            let error = cdn.invalidation(DISTRIBUTION, "I1").await.unwrap_err();
            assert_eq!(error.kind, kind, "{effect:?}: {error}");
            assert!(!error.to_string().contains('\n'));
        }
        server.shutdown().await;
    }

    #[tokio::test]
    async fn a_lost_answer_makes_no_second_invalidation() {
        let server = start().await;
        let cdn = connect(&server, ACCESS_KEY);
        server.faults().once(When::operation("CreateInvalidation"), Effect::ResetAfter);
        let (id, _) = cdn.create_invalidation(DISTRIBUTION, "one", &paths(&["/"])).await.unwrap();
        let made = server.cloudfront().invalidations(DISTRIBUTION);
        assert_eq!(made.iter().map(|made| &made.id).collect::<Vec<_>>(), [&id]);
        server.shutdown().await;
    }

    #[derive(Debug)]
    struct LateCredentials;

    impl ProvideCredentials for LateCredentials {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let late = CredentialsError::provider_timed_out(std::time::Duration::from_secs(5));
            future::ProvideCredentials::ready(Err(late))
        }
    }

    #[tokio::test]
    async fn credentials_that_are_late_are_transient() {
        let server = start().await;
        let config = aws_sdk_cloudfront::Config::builder()
            .endpoint_url(server.cloudfront_endpoint())
            .credentials_provider(LateCredentials);
        let error = CloudFront::with_config(config).invalidation(DISTRIBUTION, "I1").await.unwrap_err();
        assert_eq!(error.kind, CdnErrorKind::Transient, "{error}");
        server.shutdown().await;
    }

    #[tokio::test]
    async fn credentials_that_are_wrong_or_missing() {
        let server = start().await;
        let config = aws_sdk_cloudfront::Config::builder()
            .endpoint_url(server.cloudfront_endpoint())
            .credentials_provider(NoCredentials);
        let without = CloudFront::with_config(config);
        for cdn in [connect(&server, "AKIAUNKNOWNUNKNOWNUN"), without] {
            let error = cdn.invalidation(DISTRIBUTION, "I1").await.unwrap_err();
            assert_eq!(error.kind, CdnErrorKind::Credentials, "{error}");
        }
        server.shutdown().await;
    }
}
