//! A registry that fails at any request: retried, or a clear error, and never a release tag that
//! names what cannot be pulled (guarantee 21).
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, and so are their helper functions")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use image_tagger::auth::Chain;
use image_tagger::reference::{Reference, Repository};
use image_tagger::registry::{Registry as _, RegistryErrorKind};
use image_tagger::{Error, cut};
use support::proxy::{Action, Call, Proxy};
use support::registry::DockerRegistry;
use support::{client, client_within, pull_whole, push_base, request, small_site, try_cut, write};

/// A registry behind a proxy, with a base image of two platforms.
async fn behind_proxy() -> Option<(DockerRegistry, Proxy, Reference)> {
    with_base(&["amd64", "arm64"]).await
}

/// The same with a base image of these platforms.
async fn with_base(architectures: &[&str]) -> Option<(DockerRegistry, Proxy, Reference)> {
    let registry = DockerRegistry::start(false)?;
    let proxy = Proxy::start(&registry.host).await;
    let base: Repository = format!("{}/deploy", proxy.host).parse().unwrap();
    push_base(&client(&registry.host, 1), &registry.repository("deploy"), "1.0.0", architectures).await;
    Some((registry, proxy, base.tagged("1.0.0".parse().unwrap())))
}

/// Whatever happened: the tag is absent, or names an image that can be pulled whole.
async fn check_tag(registry: &DockerRegistry, path: &str) -> bool {
    let direct = client(&registry.host, 1);
    let image = registry.repository(path).tagged("1.0.0".parse().unwrap());
    let there = direct.manifest(&image).await.unwrap().is_some();
    if there {
        pull_whole(&direct, &image).await;
    }
    there
}

type Fault = (&'static str, fn() -> Action);
const FAULTS: [Fault; 5] = [
    ("503", || Action::status(503)),
    ("429", || Action::Answer(StatusCode::TOO_MANY_REQUESTS, vec![("retry-after", "1".to_owned())], String::new())),
    ("reset", || Action::Reset),
    ("lost answer", || Action::LoseAnswer),
    ("truncated", || Action::Truncate),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_request_may_fail_once() {
    let Some((registry, proxy, base)) = behind_proxy().await else { return };
    let client = client(&proxy.host, 3);
    let site = small_site();
    let repository = |path: &str| -> Repository { format!("{}/{path}", proxy.host).parse().unwrap() };
    proxy.act(|_| Action::Forward);
    try_cut(&client, &request(site.path(), &base, &repository("count"), "1.0.0")).await.unwrap();
    let requests = proxy.calls().len();
    assert!(requests > 20, "{requests}");
    for (fault, (name, action)) in FAULTS.into_iter().enumerate() {
        for number in 1..=requests {
            let path = format!("once-{fault}-{number}");
            proxy.act(move |call| if call.number == number { action() } else { Action::Forward });
            let outcome = try_cut(&client, &request(site.path(), &base, &repository(&path), "1.0.0")).await;
            let outcome = outcome.unwrap_or_else(|error| panic!("{name} at {number}: {error}"));
            assert_eq!(outcome.result, cut::Status::Cut, "{name} at {number}");
            assert!(check_tag(&registry, &path).await, "{name} at {number}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_may_be_the_last() {
    let Some((registry, proxy, base)) = with_base(&["amd64"]).await else { return };
    let client = client(&proxy.host, 2);
    let site = small_site();
    let repository = |path: &str| -> Repository { format!("{}/{path}", proxy.host).parse().unwrap() };
    proxy.act(|_| Action::Forward);
    try_cut(&client, &request(site.path(), &base, &repository("count"), "1.0.0")).await.unwrap();
    let requests = proxy.calls().len();
    let kinds: [Fault; 4] = [FAULTS[0], FAULTS[2], FAULTS[3], ("403", || Action::status(403))];
    let mut tagged = 0;
    for (fault, (name, action)) in kinds.into_iter().enumerate() {
        for number in 1..=requests {
            let path = format!("last-{fault}-{number}");
            proxy.act(move |call| if call.number >= number { action() } else { Action::Forward });
            let request = request(site.path(), &base, &repository(&path), "1.0.0");
            let error = try_cut(&client, &request).await.err().map(|error| error.class().exit_code());
            let expected = if name == "403" { 3 } else { 5 };
            assert_eq!(error, Some(expected), "{name} from {number}");
            tagged += usize::from(check_tag(&registry, &path).await);
            // The next run finishes the work.
            proxy.act(|_| Action::Forward);
            let outcome =
                try_cut(&client, &request).await.unwrap_or_else(|error| panic!("{name} from {number}: {error}"));
            assert!(check_tag(&registry, &path).await, "{name} from {number}: {outcome:?}");
        }
    }
    // A lost answer to the tag itself, and failures of the last look at it.
    assert!(tagged > 0);
}

/// A registry that enforces immutable tags: its answer decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_comes_up_meanwhile_on_an_immutable_registry() {
    let Some((registry, proxy, base)) = behind_proxy().await else { return };
    let direct = Arc::new(client(&registry.host, 1));
    let site = small_site();
    let base_there: Reference = registry.repository("deploy").tagged("1.0.0".parse().unwrap());
    let refusal = r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag '1.0.0' already exists and cannot be overwritten because the tag is immutable."}]}"#;
    for (status, same) in [400, 403, 412].into_iter().flat_map(|status| [(status, true), (status, false)]) {
        let path = format!("immutable-{status}-{same}");
        let other = small_site();
        if !same {
            write(other.path(), &[("index.html", "another")]);
        }
        // Between the last look and the tag, another run finishes; the registry then refuses.
        let rival = {
            let mut rival = request(other.path(), &base_there, &registry.repository(&path), "1.0.0");
            rival.build = Some(8);
            rival
        };
        let (came, direct) = (Arc::new(AtomicBool::new(false)), Arc::clone(&direct));
        proxy.decide(move |call| {
            let (came, direct, rival) = (Arc::clone(&came), Arc::clone(&direct), rival.clone());
            async move {
                if !call.sets_tag() {
                    return Action::Forward;
                }
                if !came.swap(true, Ordering::SeqCst) {
                    try_cut(direct.as_ref(), &rival).await.unwrap();
                }
                Action::Answer(StatusCode::from_u16(status).unwrap(), Vec::new(), refusal.to_owned())
            }
        });
        let repository: Repository = format!("{}/{path}", proxy.host).parse().unwrap();
        let result = try_cut(&client(&proxy.host, 2), &request(site.path(), &base, &repository, "1.0.0")).await;
        if same {
            // The base's name differs by host here, its digest does not.
            let outcome = result.unwrap();
            assert_eq!(outcome.result, cut::Status::Unchanged);
            assert_eq!(outcome.build.as_deref(), Some("8"));
        } else {
            let error = result.unwrap_err();
            assert!(matches!(&error, Error::Taken(taken) if taken.differing == ["site"]), "{error}");
        }
        assert!(check_tag(&registry, &path).await);
    }
}

/// A registry that lets tags move: the look after the push notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_moved_right_after() {
    let Some((registry, proxy, base)) = behind_proxy().await else { return };
    let direct = Arc::new(client(&registry.host, 1));
    let site = small_site();
    let intruder = registry.repository("moved");
    let tag_was_set = Arc::new(AtomicBool::new(false));
    {
        let (direct, intruder) = (Arc::clone(&direct), intruder.clone());
        proxy.decide(move |call| {
            let (direct, intruder, tag_was_set) = (Arc::clone(&direct), intruder.clone(), Arc::clone(&tag_was_set));
            async move {
                if call.sets_tag() {
                    tag_was_set.store(true, Ordering::SeqCst);
                } else if tag_was_set.swap(false, Ordering::SeqCst) {
                    push_base(direct.as_ref(), &intruder, "1.0.0", &["arm64"]).await;
                }
                Action::Forward
            }
        });
    }
    let repository: Repository = format!("{}/moved", proxy.host).parse().unwrap();
    let error = try_cut(&client(&proxy.host, 1), &request(site.path(), &base, &repository, "1.0.0")).await.unwrap_err();
    assert!(matches!(error, Error::Moved { .. }), "{error}");
    assert_eq!(error.class().exit_code(), 4);
}

/// A registry that says it stored what it did not.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_loses_a_blob_gets_no_tag() {
    let Some((registry, proxy, base)) = behind_proxy().await else { return };
    proxy.act(|call| {
        let sends = call.method == http::Method::PUT && call.path.contains("/blobs/uploads/");
        if sends { Action::status(201) } else { Action::Forward }
    });
    let site = small_site();
    let repository: Repository = format!("{}/liar", proxy.host).parse().unwrap();
    let error = try_cut(&client(&proxy.host, 2), &request(site.path(), &base, &repository, "1.0.0")).await.unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error}");
    assert_eq!(error.class().exit_code(), 5);
    assert!(!check_tag(&registry, "liar").await);
}

/// A run that ended before its tag: the next one sends nothing again.
#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_is_not_sent_again() {
    let Some((registry, proxy, base)) = behind_proxy().await else { return };
    let client = client(&proxy.host, 2);
    let site = small_site();
    let repository: Repository = format!("{}/resumed", proxy.host).parse().unwrap();
    let request = request(site.path(), &base, &repository, "1.0.0");
    proxy.act(|call| if call.sets_tag() { Action::Reset } else { Action::Forward });
    let error = try_cut(&client, &request).await.unwrap_err();
    assert_eq!(error.class().exit_code(), 5, "{error}");
    assert!(!check_tag(&registry, "resumed").await);
    proxy.act(|_| Action::Forward);
    let outcome = try_cut(&client, &request).await.unwrap();
    // Of each of the two platforms the base's layer and a configuration, and the one layer of the site.
    assert_eq!((outcome.blobs.sent, outcome.blobs.bytes_sent, outcome.blobs.present), (0, 0, 5), "{:?}", outcome.blobs);
    assert!(check_tag(&registry, "resumed").await);
}

/// No answer at all: the timeout ends the request, and another is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer() {
    type Stalls = fn(&Call) -> bool;
    let Some((registry, proxy, base)) = with_base(&["amd64"]).await else { return };
    let client = client_within(&proxy.host, 6, Chain::default(), Duration::from_secs(1));
    let site = small_site();
    let stalls: [(&str, Stalls); 4] = [
        ("manifest", |call| call.method == http::Method::GET),
        ("upload", |call| call.method == http::Method::POST),
        ("blob", |call| call.method == http::Method::PUT && call.path.contains("/blobs/")),
        ("tag", Call::sets_tag),
    ];
    for (name, stalls) in stalls {
        let stalled = Arc::new(AtomicBool::new(false));
        let before = Arc::clone(&stalled);
        proxy.decide(move |call| {
            let stall = stalls(&call) && !before.swap(true, Ordering::SeqCst);
            async move {
                if stall {
                    std::future::pending::<()>().await;
                }
                Action::Forward
            }
        });
        let repository: Repository = format!("{}/{name}", proxy.host).parse().unwrap();
        let outcome = try_cut(&client, &request(site.path(), &base, &repository, "1.0.0")).await;
        assert_eq!(outcome.unwrap_or_else(|error| panic!("{name}: {error}")).result, cut::Status::Cut, "{name}");
        assert!(stalled.load(Ordering::SeqCst) && check_tag(&registry, name).await, "{name}");
    }
}

/// Debian's registry does this when two runs push the same blob at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_forgets_a_blob_for_a_moment() {
    let Some((registry, proxy, base)) = behind_proxy().await else { return };
    let client = client(&proxy.host, 2);
    let site = small_site();
    let body = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
    for (always, path) in [(false, "momentary"), (true, "for-ever")] {
        let before = Arc::new(AtomicBool::new(false));
        proxy.act(move |call| {
            let is_manifest = call.method == http::Method::PUT && call.path.contains("/manifests/");
            if is_manifest && (always || !before.swap(true, Ordering::SeqCst)) {
                Action::Answer(StatusCode::BAD_REQUEST, Vec::new(), body.to_owned())
            } else {
                Action::Forward
            }
        });
        let repository: Repository = format!("{}/{path}", proxy.host).parse().unwrap();
        let result = try_cut(&client, &request(site.path(), &base, &repository, "1.0.0")).await;
        assert_eq!(result.err().map(|error| error.class().exit_code()), always.then_some(5));
        assert_eq!(check_tag(&registry, path).await, !always);
    }
}

/// What a registry that will not mount does: 202, and an upload begins (distribution specification).
#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_is_declined_becomes_a_copy() {
    let Some((registry, proxy, base)) = behind_proxy().await else { return };
    proxy.act(|call| {
        if call.path.contains("mount=") {
            Action::Answer(
                StatusCode::ACCEPTED,
                vec![("location", "/v2/elsewhere/blobs/uploads/1".to_owned())],
                String::new(),
            )
        } else {
            Action::Forward
        }
    });
    let site = small_site();
    let repository: Repository = format!("{}/copied", proxy.host).parse().unwrap();
    let outcome = try_cut(&client(&proxy.host, 1), &request(site.path(), &base, &repository, "1.0.0")).await.unwrap();
    assert_eq!((outcome.blobs.mounted, outcome.blobs.sent), (0, 5));
    assert!(check_tag(&registry, "copied").await);
}

/// Errors say what the registry said, and which image it was about.
#[tokio::test(flavor = "multi_thread")]
async fn errors_are_clear() {
    let Some((_registry, proxy, base)) = behind_proxy().await else { return };
    let site = small_site();
    let repository: Repository = format!("{}/webapp", proxy.host).parse().unwrap();
    let body = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name 'webapp' does not exist"}]}"#;
    proxy.act(move |call| {
        let pushes = call.method == http::Method::POST && call.path.contains("uploads");
        if pushes { Action::Answer(StatusCode::NOT_FOUND, Vec::new(), body.to_owned()) } else { Action::Forward }
    });
    let error = try_cut(&client(&proxy.host, 2), &request(site.path(), &base, &repository, "1.0.0")).await.unwrap_err();
    assert_eq!(error.class().exit_code(), 2);
    let text = error.to_string();
    assert!(
        text.contains("NAME_UNKNOWN The repository with name 'webapp' does not exist")
            && text.contains("Check that the repository exists"),
        "{text}"
    );

    // Wrong bytes are never taken for a manifest.
    let wrong = repository.at(image_tagger::reference::Digest::of(b"other"));
    proxy.act(|_| Action::Answer(StatusCode::OK, Vec::new(), "{}".to_owned()));
    let error = client(&proxy.host, 2).manifest(&wrong).await.unwrap_err();
    assert_eq!(error.kind, RegistryErrorKind::Corrupt);
}

/// SIGTERM and SIGINT in mid-push: the exit codes of a Job that is told to stop, and no tag.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn signals_end_it() {
    let Some((registry, proxy, base)) = behind_proxy().await else { return };
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("site/index.html", "<!doctype html>")]);
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
        proxy.decide(move |call| {
            let arrived = arrived.clone();
            async move {
                if call.method == http::Method::PUT && call.path.contains("/blobs/uploads/") {
                    let _ = arrived.send(());
                    std::future::pending::<()>().await;
                }
                Action::Forward
            }
        });
        let tagger = support::Tagger::new(directory.path(), &proxy.host)
            .set("IMAGE_SITE", "site")
            .set("IMAGE_BASE", &base)
            .set("IMAGE_REPOSITORY", format!("{}/webapp", proxy.host))
            .set("IMAGE_VERSION", "1.0.0");
        let child = tagger
            .command(&["cut"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        arrivals.recv().await.unwrap();
        let killed =
            std::process::Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert!(String::from_utf8(output.stdout).unwrap().contains(r#""class":"interrupted""#));
        assert!(!check_tag(&registry, "webapp").await);
    }
}
