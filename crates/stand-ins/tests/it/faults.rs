//! Each fault as the SDK meets it, and the request log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_s3::{error::SdkError, primitives::ByteStream};
use http::StatusCode;
use stand_ins::{Effect, Gate, Rule, Service, StandIns, When};

use crate::support::{BUCKET, plant, put, refusal, s3, start};

fn keys(stand_ins: &StandIns) -> Vec<String> {
    stand_ins.store().snapshot(BUCKET).into_keys().collect()
}

#[tokio::test]
async fn answers_with_errors_to_order() {
    let (stand_ins, client) = start().await;
    let try_put = || client.put_object().bucket(BUCKET).key("k").send();
    for (effect, status, code) in [
        (Effect::slow_down(), 503, "SlowDown"),
        (Effect::internal_error(), 500, "InternalError"),
        (Effect::access_denied(), 403, "AccessDenied"),
        (Effect::expired_token(), 400, "ExpiredToken"),
        (Effect::conditional_conflict(), 409, "ConditionalRequestConflict"),
        (Effect::error(418, "Teapot", "short & stout"), 418, "Teapot"),
    ] {
        stand_ins.faults().once(When::operation("PutObject"), effect);
        assert_eq!(refusal(try_put().await), (status, code.to_owned()));
    }
    assert!(keys(&stand_ins).is_empty());
    try_put().await.unwrap();
}

#[tokio::test]
async fn an_error_answer_survives_a_large_request() {
    let (stand_ins, client) = start().await;
    stand_ins.faults().once(When::always(), Effect::slow_down());
    let large = client.put_object().bucket(BUCKET).key("k").body(ByteStream::from(vec![0; 8 << 20])).send().await;
    assert_eq!(refusal(large), (503, "SlowDown".to_owned()));
}

#[tokio::test]
async fn resets_before_and_after_the_effect() {
    let (stand_ins, client) = start().await;
    let faults = stand_ins.faults();
    faults.once(When::key("PutObject", "before"), Effect::ResetBefore);
    faults.once(When::key("PutObject", "after"), Effect::ResetAfter);
    for key in ["before", "after"] {
        let lost = client.put_object().bucket(BUCKET).key(key).send().await;
        assert!(matches!(lost, Err(SdkError::DispatchFailure(_))), "{lost:?}");
    }
    assert_eq!(keys(&stand_ins), ["after"]);
    let statuses: Vec<_> = faults.requests().iter().map(|r| r.status).collect();
    assert_eq!(statuses, [None, None]);
}

#[tokio::test]
async fn stalls_a_body_until_released() {
    let (stand_ins, client) = start().await;
    plant(&stand_ins, "k", "hello");
    let gate = Gate::new();
    stand_ins.faults().once(When::operation("GetObject"), Effect::StallBody(gate.clone()));
    let got = client.get_object().bucket(BUCKET).key("k").send().await.unwrap();
    let reading = tokio::spawn(got.body.collect());
    gate.arrived(1).await;
    assert!(!reading.is_finished());
    gate.open();
    let body = reading.await.unwrap().unwrap().into_bytes();
    assert_eq!(body, "hello");
}

#[tokio::test]
async fn truncates_answers() {
    let (stand_ins, client) = start().await;
    plant(&stand_ins, "k", "hello");
    let faults = stand_ins.faults();
    faults.once(When::operation("GetObject"), Effect::TruncateBody { keep: 2 });
    let get = || client.get_object().bucket(BUCKET).key("k").send();
    let mut body = get().await.unwrap().body;
    assert_eq!(body.try_next().await.unwrap().unwrap(), "he");
    body.try_next().await.unwrap_err();
    get().await.unwrap().body.collect().await.unwrap();

    faults.once(When::operation("ListObjectsV2"), Effect::TruncateBody { keep: 30 });
    let listed = client.list_objects_v2().bucket(BUCKET).send().await;
    assert!(listed.is_err());

    // An answer without a body loses one that was promised.
    faults.once(When::operation("PutObject"), Effect::TruncateBody { keep: 0 });
    let lost = client.put_object().bucket(BUCKET).key("l").send().await;
    assert!(lost.is_err());
    assert_eq!(keys(&stand_ins), ["k", "l"]);
}

#[tokio::test]
async fn holds_requests_before_and_after_they_take_effect() {
    let (stand_ins, client) = start().await;
    let (before, after) = (Gate::new(), Gate::new());
    let faults = stand_ins.faults();
    faults.always(When::key("PutObject", "before"), Effect::HoldBefore(before.clone()));
    faults.always(When::key("PutObject", "after"), Effect::HoldAfter(after.clone()));
    let start_put = |key: &str| {
        let put = client.put_object().bucket(BUCKET).key(key);
        tokio::spawn(put.send())
    };
    let (one, two) = (start_put("before"), start_put("after"));
    before.arrived(1).await;
    after.arrived(1).await;
    assert_eq!(keys(&stand_ins), ["after"]);
    assert!(!one.is_finished() && !two.is_finished());
    before.open();
    after.open();
    one.await.unwrap().unwrap();
    two.await.unwrap().unwrap();
    assert_eq!(before.arrivals() + after.arrivals(), 2);
    assert_eq!(stand_ins.faults().peak_in_flight(), 2);
}

#[tokio::test]
async fn runs_hooks_around_the_effect() {
    let (stand_ins, client) = start().await;
    let seen = Arc::new(AtomicUsize::new(0));
    let count = |seen: &Arc<AtomicUsize>, store: &stand_ins::Store| {
        let (seen, store) = (Arc::clone(seen), store.clone());
        move |request: stand_ins::RequestInfo| {
            let (seen, store) = (Arc::clone(&seen), store.clone());
            async move {
                assert_eq!(request.key.as_deref(), Some("k"));
                let there = store.snapshot(BUCKET).len();
                seen.fetch_add(10 * there + 1, Ordering::Relaxed);
            }
        }
    };
    let faults = stand_ins.faults();
    let when = || When::operation("PutObject");
    faults.once(when(), Effect::before(count(&seen, stand_ins.store())));
    faults.once(when(), Effect::after(count(&seen, stand_ins.store())));
    put(&client, "k", "x").await;
    // Once before with nothing there, once after with one object there.
    assert_eq!(seen.load(Ordering::Relaxed), 1 + 11);
}

#[tokio::test]
async fn applies_to_numbers_and_to_every_nth() {
    let (stand_ins, client) = start().await;
    let faults = stand_ins.faults();
    faults.add(Rule::new(When::operation("PutObject"), Effect::slow_down()).every(3));
    faults.always(When::number(7), Effect::internal_error());
    let mut statuses = Vec::new();
    for number in 1..=7 {
        let key = format!("{number}");
        let result = client.put_object().bucket(BUCKET).key(key).send().await;
        statuses.push(result.map_or_else(|error| error.raw_response().unwrap().status().as_u16(), |_| 200));
    }
    assert_eq!(statuses, [200, 200, 503, 200, 200, 503, 500]);
    faults.clear();
    put(&client, "k", "x").await;
}

#[tokio::test]
async fn logs_every_request() {
    let (stand_ins, client) = start().await;
    let faults = stand_ins.faults();
    put(&client, "a b", "x").await;
    client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    let missing = client.get_object().bucket(BUCKET).key("no").send().await;
    assert!(missing.is_err());
    let log = faults.requests();
    let short: Vec<_> = log.iter().map(|r| (r.number, r.operation, r.key.as_deref(), r.status.unwrap())).collect();
    assert_eq!(
        short,
        [
            (1, "PutObject", Some("a b"), StatusCode::OK),
            (2, "ListObjectsV2", None, StatusCode::OK),
            (3, "GetObject", Some("no"), StatusCode::NOT_FOUND),
        ]
    );
    assert_eq!(log[0].service, Service::S3);
    assert_eq!(log[0].bucket.as_deref(), Some(BUCKET));
    assert_eq!(faults.count("PutObject"), 1);
    assert_eq!(faults.count("DeleteObject"), 0);
    assert_eq!(faults.counts().len(), 3);
    faults.reset_log();
    assert_eq!(faults.total(), 0);
    put(&client, "k", "x").await;
    assert_eq!(faults.requests()[0].number, 1);
}

#[tokio::test]
async fn waits_for_the_latency_ordered() {
    // A latency that no test outlives: the request arrives and is not answered.
    let (stand_ins, client) = start().await;
    stand_ins.faults().set_latency(Duration::from_hours(24));
    let waiting = tokio::spawn(client.put_object().bucket(BUCKET).key("k").send());
    while stand_ins.faults().total() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    waiting.abort();
    stand_ins.faults().set_latency(Duration::ZERO);
    put(&client, "l", "x").await;
    assert_eq!(keys(&stand_ins), ["l"]);
}

#[tokio::test]
async fn stops_when_told_and_when_dropped() {
    let (stand_ins, client) = start().await;
    put(&client, "k", "x").await;
    stand_ins.shutdown().await;
    let refused = client.get_object().bucket(BUCKET).key("k").send().await;
    assert!(matches!(refused, Err(SdkError::DispatchFailure(_))));

    let stand_ins = StandIns::builder().start().await.unwrap();
    let gate = Gate::new();
    stand_ins.faults().always(When::always(), Effect::HoldBefore(gate.clone()));
    let client = s3(&stand_ins);
    let waiting = tokio::spawn(client.put_object().bucket(BUCKET).key("k").send());
    gate.arrived(1).await;
    drop(stand_ins);
    let ended = waiting.await.unwrap();
    assert!(matches!(ended, Err(SdkError::DispatchFailure(_))));
}
