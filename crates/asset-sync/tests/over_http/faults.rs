//! Servers that are busy, broken or forbid something: the run gets through, or ends with one clear
//! error; the site stays whole, and a run under better conditions finishes.

use std::sync::Arc;
use std::time::Duration;

use asset_sync::bucket::{Bucket, BucketErrorKind, RetryPolicy};
use asset_sync::deploy::{Options, Outcome, Report};
use asset_sync::site::Site;
use asset_sync::{Error, ErrorClass};
use stand_ins::{ACCESS_KEY, BUCKET, Effect, Gate, LoggedRequest, Rule, SECRET_KEY, Service, When};
use tokio_util::sync::CancellationToken;

use crate::world::{COLD, Sites, World, cdn, client, client_as, info, quick, side_by_side, targets, v1, v2};

/// Takes a permission away.
type Deny = fn(&World);

struct Scene {
    _dir: Sites,
    first: Site,
    second: Site,
}

impl Scene {
    fn new() -> Self {
        let dir = Sites::new();
        let (first, second) = (dir.write(&v1()), dir.write(&v2()));
        Self { _dir: dir, first, second }
    }

    /// Version 1 is live, and requests count from here.
    async fn world(&self) -> World {
        let world = World::new().await;
        world.deploy(&self.first, "1.0.0").await.unwrap();
        world.edge().fetch("/");
        world.pass(Duration::from_mins(1));
        world.servers.faults().reset_log();
        world
    }

    async fn deploy(&self, world: &World) -> Result<Report, Error> {
        world.deploy(&self.second, "2.0.0").await
    }

    /// What an undisturbed deployment of version 2 asks for.
    async fn requests(&self) -> Vec<LoggedRequest> {
        let world = self.world().await;
        self.deploy(&world).await.unwrap();
        world.servers.faults().requests()
    }

    fn assert_deployed(&self, world: &World, context: &str) {
        world.assert_holds(&self.second, context);
        world.assert_settled(context);
        world.assert_invalidated(context);
        world.assert_fresh(&targets(&self.second, asset_sync::plan::InvalidationMode::Exact), context);
        world.assert_loads(&self.first, context);
    }

    /// After a run that failed: nobody is hurt, and once the cause is gone a run finishes.
    async fn assert_recovers(&self, world: &World, context: &str) {
        world.assert_whole(COLD[0], &[&self.first, &self.second], context);
        world.assert_loads(&self.first, context);
        world.servers.faults().clear();
        world.servers.s3().allow_all();
        world.servers.cloudfront().allow_all();
        if world.current().lease.is_some() {
            // Its holder has ended: that it could not even say so is part of the fault.
            world.deployer(world.options()).break_lease().await.unwrap();
        }
        self.deploy(world).await.unwrap_or_else(|e| panic!("{context}, then: {e}"));
        self.assert_deployed(world, context);
    }
}

/// Promise 15: one request in three is told to slow down, from the first to the last.
#[tokio::test]
async fn throttling_all_along_only_costs_time() {
    let scene = Scene::new();
    let world = scene.world().await;
    let faults = world.servers.faults();
    faults.add(Rule::new(When::always(), Effect::slow_down()).every(3));
    let options = Options { retry: quick(), ..world.options() };
    let report = world.deploy_with(options, &scene.second, "2.0.0").await.unwrap();
    assert_eq!(report.result, Outcome::Deployed);
    let throttled = faults.requests().iter().filter(|r| r.status.is_some_and(|s| s == 503)).count();
    assert!(throttled >= 15, "{throttled}");
    scene.assert_deployed(&world, "throttled");
}

/// Promise 15: each request in turn meets a failure that passes.
#[tokio::test]
async fn a_failure_that_passes_is_overcome_at_every_request() {
    let scene = Scene::new();
    let requests = scene.requests().await;
    let failures = || {
        [
            ("500", Effect::internal_error()),
            ("409", Effect::conditional_conflict()),
            ("an answer cut short", Effect::TruncateBody { keep: 7 }),
        ]
    };
    // CloudFront has no conditional writes, and an empty body cannot be cut short.
    let meets = |name: &str, request: &LoggedRequest| match name {
        "409" => request.operation == "PutObject",
        "an answer cut short" => !matches!(request.operation, "PutObject" | "HeadObject"),
        _ => true,
    };
    let cases = requests.iter().flat_map(|request| {
        failures()
            .into_iter()
            .filter(|(name, _)| meets(name, request))
            .map(move |(name, effect)| (request, name, effect))
    });
    side_by_side(4, cases.collect(), async |(request, name, effect)| {
        let context = format!("{name} at {request:?}");
        let world = scene.world().await;
        world.servers.faults().once(When::number(request.number), effect);
        let report = scene.deploy(&world).await.unwrap_or_else(|e| panic!("{context}: {e}"));
        assert_eq!(report.result, Outcome::Deployed, "{context}");
        // An answer about an invalidation that was lost is one it need not wait for any more.
        let repeated = world.servers.faults().total() > requests.len() || request.operation == "GetInvalidation";
        assert!(repeated, "{context}");
        scene.assert_deployed(&world, &context);
    });
}

/// An answer that never begins, to each request in turn (its effect took place), and a listing that
/// never ends.
#[tokio::test]
async fn an_answer_that_does_not_come_is_asked_for_again() {
    let scene = Scene::new();
    let requests = scene.requests().await;
    let of_s3 = requests.iter().filter(|r| r.service == Service::S3);
    let cases = of_s3.flat_map(|request| {
        let stalled = (request.operation == "ListObjectsV2").then_some((request, true));
        [(request, false)].into_iter().chain(stalled)
    });
    side_by_side(16, cases.collect(), async |(request, begins)| {
        let context = format!("no end to {request:?}");
        let world = scene.world().await;
        let gate = Gate::new();
        let stop = if begins { Effect::StallBody(gate.clone()) } else { Effect::HoldAfter(gate.clone()) };
        world.servers.faults().once(When::number(request.number), stop);
        // An answer that is not held takes a few milliseconds; should one take longer, it is asked
        // for again as well.
        let bucket = client(&world.servers, Duration::from_secs(2));
        let deployer = world.deployer_by(bucket, cdn(&world.servers), world.options());
        let report = deployer.deploy(&scene.second, &info("2.0.0"), &CancellationToken::new()).await;
        let report = report.unwrap_or_else(|e| panic!("{context}: {e}"));
        assert_eq!((report.result, gate.arrivals()), (Outcome::Deployed, 1), "{context}");
        scene.assert_deployed(&world, &context);
    });
}

/// Promise 15: the run ends, after as many attempts as it is told to make, and names the request.
#[tokio::test]
async fn a_store_that_never_recovers_ends_the_run_with_the_request_id() {
    const ATTEMPTS: u32 = 4;
    let scene = Scene::new();
    let requests = scene.requests().await;
    let last_of_s3 = requests.iter().rposition(|r| r.service == Service::S3).unwrap();
    let cases = requests[..last_of_s3].iter().filter(|r| r.service == Service::S3).collect();
    side_by_side(4, cases, async |request: &LoggedRequest| {
        let (code, effect) = match request.number % 2 {
            0 => ("SlowDown", Effect::slow_down()),
            _ => ("InternalError", Effect::internal_error()),
        };
        let context = format!("{code} from {request:?} on");
        let world = scene.world().await;
        let from = When::from_number(request.number).and(When::matching(|r| r.service == Service::S3));
        world.servers.faults().always(from, effect);
        let retry = RetryPolicy { max_attempts: ATTEMPTS, ..world.options().retry };
        let error =
            world.deploy_with(Options { retry, ..world.options() }, &scene.second, "2.0.0").await.expect_err(&context);
        assert_eq!(error.class(), ErrorClass::Transient, "{context}: {error}");
        let text = error.cause().to_string();
        assert!(text.contains(code) && text.contains("STANDIN0000"), "{context}: {text}");
        // A throttled attempt does not count where a request that was under way got through meanwhile.
        let attempts = ATTEMPTS..=ATTEMPTS + 2;
        let is_told = attempts.clone().any(|count| text.contains(&format!("gave up after {count} attempts")));
        assert!(is_told, "{context}: {text}");
        // Reads go side by side: it may be another's than the first one's.
        let after = &requests[usize::try_from(request.number).unwrap() - 1..];
        assert!(after.iter().any(|r| text.starts_with(r.operation)), "{context}: {text}");
        // What failed, up to three requests side by side, and the attempt to give the lease back.
        let asked = world.servers.faults().total() as u64;
        assert!(asked < request.number + 4 * u64::from(ATTEMPTS + 2), "{context}: {asked} requests");
        scene.assert_recovers(&world, &context).await;
    });
}

/// The same of CloudFront: the debt stays on record, and the next run pays it.
#[tokio::test]
async fn a_cdn_that_never_recovers_ends_the_run_and_the_debt_is_kept() {
    let scene = Scene::new();
    for operation in ["CreateInvalidation", "GetInvalidation"] {
        let world = scene.world().await;
        world.servers.faults().always(When::operation(operation), Effect::slow_down());
        let options = Options { invalidation_timeout: Duration::ZERO, ..world.options() };
        let error = world.deploy_with(options, &scene.second, "2.0.0").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "{operation}: {error}");
        let text = error.to_string();
        assert!(text.contains(operation) || matches!(error.cause(), Error::InvalidationTimeout { .. }), "{text}");
        assert!(text.starts_with("version 2.0.0 (release r2-"), "{text}");
        assert_eq!(world.current().edges.pending(&[], "/*").len(), 1, "{operation}");
        assert!(world.current().lease.is_none(), "{operation}");
        world.assert_holds(&scene.second, operation);
        scene.assert_recovers(&world, operation).await;
    }
}

/// Credentials that run out in the middle of the run, at whatever request.
#[tokio::test]
async fn credentials_that_expire_are_not_permitted_and_said_so() {
    let scene = Scene::new();
    let requests = scene.requests().await;
    side_by_side(4, requests.iter().collect(), async |request: &LoggedRequest| {
        let context = format!("expired at {request:?}");
        // S3 says 400, others 403.
        let status = if request.number.is_multiple_of(2) { 400 } else { 403 };
        let world = scene.world().await;
        let expired = Effect::error(status, "ExpiredToken", "The provided token has expired.");
        world.servers.faults().always(When::from_number(request.number), expired);
        match scene.deploy(&world).await {
            // Tidying up after the end: that it fails does no harm.
            Ok(report) => {
                assert_eq!(report.result, Outcome::Deployed, "{context}");
                assert_eq!(request.number, requests.len() as u64, "{context}");
            }
            Err(error) => {
                assert_eq!(error.cause().class(), ErrorClass::NotPermitted, "{context}: {error}");
                let text = error.to_string();
                assert!(text.contains("ExpiredToken") && text.contains("has expired"), "{context}: {text}");
            }
        }
        scene.assert_recovers(&world, &context).await;
    });
}

/// Promise 5: errors of single keys in an answer of 200 are errors.
#[tokio::test]
async fn a_delete_that_fails_for_one_key_is_an_error_and_made_good_by_the_next_run() {
    let scene = Scene::new();
    let world = scene.world().await;
    world.servers.s3().deny_under("DeleteObject", "old/");
    let error = scene.deploy(&world).await.unwrap_err();
    assert_eq!(error.cause().class(), ErrorClass::NotPermitted, "{error}");
    let text = error.to_string();
    assert!(text.contains("DeleteObjects on site/old/index.html: AccessDenied"), "{text}");
    // All else is done: visitors get version 2, and one page more.
    world.assert_holds(&scene.second, "denied");
    assert!(world.visible().contains_key("old/index.html"));
    scene.assert_recovers(&world, "denied").await;
    assert!(!world.visible().contains_key("old/index.html"));
    assert_eq!(world.edge().fetch("/old/").status, 404);
}

/// Each denied action is one line that names it and what it was for.
#[tokio::test]
async fn a_denied_action_is_named() {
    let scene = Scene::new();
    let cases: [(Deny, &str); 9] = [
        (|w| w.servers.s3().deny("ListBucket"), "ListObjectsV2 on site: AccessDenied"),
        (|w| w.servers.s3().deny("GetObject"), "GetObject on site/.deploy/current: AccessDenied"),
        (|w| w.servers.s3().deny("PutObject"), "PutObject on site/.deploy/probe: AccessDenied"),
        (
            |w| w.servers.s3().deny_under("PutObject", ".deploy/current"),
            "PutObject on site/.deploy/current: AccessDenied",
        ),
        (|w| w.servers.s3().deny_under("PutObject", ".deploy/blobs/"), "PutObject on site/.deploy/blobs/"),
        (
            |w| w.servers.s3().deny_under("PutObject", "assets/"),
            "PutObject on site/assets/app-77aa0b1c.js: AccessDenied",
        ),
        (|w| w.servers.s3().deny_under("PutObject", "index.html"), "PutObject on site/index.html: AccessDenied"),
        (
            |w| w.servers.cloudfront().deny("CreateInvalidation"),
            "CreateInvalidation on distribution E1STANDIN00000: AccessDenied",
        ),
        (
            |w| w.servers.cloudfront().deny("GetInvalidation"),
            "GetInvalidation on distribution E1STANDIN00000: AccessDenied",
        ),
    ];
    for (deny, expected) in cases {
        let world = scene.world().await;
        deny(&world);
        let error = scene.deploy(&world).await.expect_err(expected);
        assert_eq!(error.cause().class(), ErrorClass::NotPermitted, "{error}");
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains("(request STANDIN"), "{text}");
        assert!(!text.contains('\n'), "{text}");
        assert!(world.current().lease.is_none(), "{expected}");
        scene.assert_recovers(&world, expected).await;
    }
}

/// Before the first deployment, where there is no state to read.
#[tokio::test]
async fn nothing_is_written_where_the_target_is_wrong() {
    let scene = Scene::new();
    let world = World::new().await;
    let bad = |bucket: &str, key: &str, secret: &str| client_as(&world.servers, bucket, key, secret);
    let cases: [(Arc<dyn Bucket>, BucketErrorKind, ErrorClass); 3] = [
        (bad("elsewhere", ACCESS_KEY, SECRET_KEY), BucketErrorKind::NoSuchBucket, ErrorClass::Usage),
        (bad(BUCKET, "AKIANOBODY", SECRET_KEY), BucketErrorKind::Credentials, ErrorClass::NotPermitted),
        (bad(BUCKET, ACCESS_KEY, "wrong"), BucketErrorKind::Credentials, ErrorClass::NotPermitted),
    ];
    for (bucket, kind, class) in cases {
        let deployer = world.deployer_by(bucket, cdn(&world.servers), world.options());
        let stop = CancellationToken::new();
        let error = deployer.deploy(&scene.first, &info("1.0.0"), &stop).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(matches!(&error, Error::Bucket(e) if e.kind == kind), "{error}");
        assert!(!error.to_string().contains("wrong"), "a secret in {error}");
    }
    // Without the right to read, nothing can be told apart from a first deployment but by writing
    // on a condition, which takes the same right.
    world.servers.s3().deny("GetObject");
    let error = world.deploy(&scene.first, "1.0.0").await.unwrap_err();
    assert_eq!(error.cause().class(), ErrorClass::NotPermitted, "{error}");
    assert!(world.servers.store().snapshot(BUCKET).is_empty());
}
