//! Logins: by password, by token, by docker's configuration, by ECR.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, and so are their helper functions")]

mod support;

use std::fs;
use std::path::Path;

use base64::Engine as _;
use deploy_config::{Login, Secret};
use http::StatusCode;
use image_tagger::auth::Chain;
use image_tagger::reference::Repository;
use image_tagger::registry::{Registry as _, RegistryErrorKind};
use support::proxy::{Action, Proxy};
use support::registry::DockerRegistry;
use support::{COMMIT, Tagger, client, client_with, pull_whole, push_base, request, small_site, try_cut};

const PASSWORD: &str = "hunter2";

fn chain(host: &str, password: &str) -> Chain {
    let login = Login { username: "ci".to_owned(), password: Secret::new(password) };
    Chain { login: Some((host.to_owned(), login)), ..Chain::default() }
}

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn tagger(directory: &Path, registry: &DockerRegistry) -> Tagger {
    Tagger::new(directory, &registry.host)
        .set("IMAGE_SITE", directory.join("site").display())
        .set("IMAGE_BASE", format!("{}:1", registry.repository("deploy")))
        .set("IMAGE_REPOSITORY", registry.repository("webapp"))
        .set("IMAGE_VERSION", "1.0.0")
        .set("BITBUCKET_COMMIT", COMMIT)
}

/// Every way to a password, against a registry that asks for one.
#[tokio::test(flavor = "multi_thread")]
async fn passwords() {
    let Some(registry) = DockerRegistry::start(true) else { return };
    let with_login = client_with(&registry.host, 1, chain(&registry.host, PASSWORD));
    push_base(&with_login, &registry.repository("deploy"), "1", &["amd64"]).await;
    let directory = tempfile::tempdir().unwrap();
    support::write(directory.path(), &[("site/index.html", "<!doctype html>")]);
    let run = |tagger: Tagger| {
        let ran = tagger.run(&["cut"]);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(PASSWORD), "{} {}", ran.stdout, ran.stderr);
        ran
    };

    let anonymous = run(tagger(directory.path(), &registry));
    assert_eq!(anonymous.code, 3, "{}", anonymous.stderr);
    assert!(anonymous.stderr.contains("IMAGE_USERNAME"), "{}", anonymous.stderr);
    let wrong = run(tagger(directory.path(), &registry).set("IMAGE_USERNAME", "ci").set("IMAGE_PASSWORD", "hunter3"));
    assert_eq!(wrong.code, 3, "{}", wrong.stderr);
    let by_variables =
        run(tagger(directory.path(), &registry).set("IMAGE_USERNAME", "ci").set("IMAGE_PASSWORD", PASSWORD));
    assert_eq!(by_variables.code, 0, "{}", by_variables.stderr);
    assert_eq!(by_variables.json()["result"], "cut");

    let docker = directory.path().join("docker");
    fs::create_dir(&docker).unwrap();
    let config =
        format!(r#"{{"auths": {{"{}": {{"auth": "{}"}}}}}}"#, registry.host, base64(&format!("ci:{PASSWORD}")));
    fs::write(docker.join("config.json"), config).unwrap();
    let by_config = run(tagger(directory.path(), &registry).set("DOCKER_CONFIG", docker.display()));
    assert_eq!(by_config.json()["result"], "unchanged", "{}", by_config.stderr);

    // A credential helper, as docker starts it: `docker-credential-NAME get`, the server on its input.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let helper = directory.path().join("docker-credential-test");
        let script = format!(
            "#!/bin/sh\nread -r server\n[ \"$1 $server\" = \"get {}\" ] || {{ echo 'credentials not found in test'; exit 1; }}\necho '{{\"Username\": \"ci\", \"Secret\": \"{PASSWORD}\"}}'\n",
            registry.host
        );
        fs::write(&helper, script).unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(docker.join("config.json"), r#"{"credsStore": "test"}"#).unwrap();
        let path = format!("{}:/usr/bin:/bin", directory.path().display());
        let by_helper =
            run(tagger(directory.path(), &registry).set("DOCKER_CONFIG", docker.display()).set("PATH", path));
        assert_eq!(by_helper.json()["result"], "unchanged", "{}", by_helper.stderr);
    }
    pull_whole(&with_login, &registry.repository("webapp").tagged("1.0.0".parse().unwrap())).await;
}

/// A registry that wants tokens, as Docker Hub and GitHub's do; each token holds for its scope alone,
/// and the first of each is refused after one use, as one that expired would be.
#[tokio::test(flavor = "multi_thread")]
async fn tokens() {
    let Some(registry) = DockerRegistry::start(false) else { return };
    push_base(&client(&registry.host, 1), &registry.repository("deploy"), "1", &["amd64"]).await;
    let proxy = Proxy::start(&registry.host).await;
    let host = proxy.host.clone();
    let uses = std::sync::Mutex::new(std::collections::HashMap::<String, usize>::new());
    let issued = std::sync::atomic::AtomicUsize::new(0);
    proxy.act(move |call| {
        let authorization = call.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if let Some(query) = call.path.strip_prefix("/token?") {
            if authorization != format!("Basic {}", base64(&format!("ci:{PASSWORD}"))) {
                return Action::status(401);
            }
            let scopes: Vec<String> = query
                .split('&')
                .filter_map(|pair| pair.strip_prefix("scope="))
                .map(|scope| scope.replace("%3A", ":").replace("%2C", ","))
                .collect();
            let number = issued.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            return Action::Answer(
                StatusCode::OK,
                Vec::new(),
                format!(r#"{{"token": "{number}|{}"}}"#, scopes.join("|")),
            );
        }
        let path = call.path.strip_prefix("/v2/").unwrap_or_default();
        let repository = path.split('/').next().unwrap_or_default();
        let writes = !matches!(call.method.as_str(), "GET" | "HEAD");
        let needed = format!("repository:{repository}:{}", if writes { "pull,push" } else { "pull" });
        let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
        let mut uses = uses.lock().unwrap();
        let count = uses.entry(token.to_owned()).or_default();
        *count += 1;
        let expired = token.starts_with("0|") && *count > 1;
        if token.split('|').any(|scope| scope == needed) && !expired {
            return Action::Forward;
        }
        let challenge = format!(r#"Bearer realm="http://{host}/token",service="test",scope="{needed}""#);
        Action::Answer(StatusCode::UNAUTHORIZED, vec![("www-authenticate", challenge)], String::new())
    });
    let repository: Repository = format!("{}/webapp", proxy.host).parse().unwrap();
    let base: Repository = format!("{}/deploy", proxy.host).parse().unwrap();
    let base = base.tagged("1".parse().unwrap());
    let site = small_site();
    let request = request(site.path(), &base, &repository, "1.0.0");
    let with_login = client_with(&proxy.host, 1, chain(&proxy.host, PASSWORD));
    let outcome = try_cut(&with_login, &request).await.unwrap();
    assert_eq!(outcome.blobs.mounted, 1, "the token for a mount holds for both repositories");
    pull_whole(&with_login, &repository.tagged(outcome.tag)).await;

    let wrong = client_with(&proxy.host, 1, chain(&proxy.host, "hunter3"));
    let error = try_cut(&wrong, &request).await.unwrap_err();
    assert_eq!(error.class().exit_code(), 3, "{error}");
    assert!(!error.to_string().contains("hunter3"), "{error}");
}

/// A 503 while logging in is not a reason to go on anonymously, but to try again.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_server_that_stumbles() {
    let Some(registry) = DockerRegistry::start(false) else { return };
    push_base(&client(&registry.host, 1), &registry.repository("deploy"), "1", &["amd64"]).await;
    let proxy = Proxy::start(&registry.host).await;
    let host = proxy.host.clone();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    proxy.act(move |call| {
        if call.path.starts_with("/token") {
            return match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => Action::status(503),
                1 => Action::Reset,
                2 => Action::Answer(StatusCode::OK, Vec::new(), "{}".to_owned()),
                _ => Action::Answer(StatusCode::OK, Vec::new(), r#"{"access_token": "t"}"#.to_owned()),
            };
        }
        if call.headers.get("authorization").is_some_and(|value| value == "Bearer t") {
            return Action::Forward;
        }
        let challenge = format!(r#"Bearer realm="http://{host}/token""#);
        Action::Answer(StatusCode::UNAUTHORIZED, vec![("www-authenticate", challenge)], String::new())
    });
    let image = format!("{}/deploy:1", proxy.host).parse().unwrap();
    let error = client(&proxy.host, 1).manifest(&image).await.unwrap_err();
    assert_eq!(error.kind, RegistryErrorKind::Transient);
    assert!(client(&proxy.host, 5).manifest(&image).await.unwrap().is_some());
}

/// A login is not sent where a blob is to be uploaded to, when that is another host.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_stays_with_its_registry() {
    let Some(registry) = DockerRegistry::start(true) else { return };
    let elsewhere = Proxy::start(&registry.host).await;
    elsewhere.act(|_| Action::status(201));
    let proxy = Proxy::start(&registry.host).await;
    let place = format!("http://{}/upload?signature=x", elsewhere.host);
    proxy.act(move |call| {
        if call.method == http::Method::POST && call.headers.contains_key("authorization") {
            Action::Answer(StatusCode::ACCEPTED, vec![("location", place.clone())], String::new())
        } else {
            Action::Forward
        }
    });
    let repository: Repository = format!("{}/webapp", proxy.host).parse().unwrap();
    let blob = image_tagger::registry::Blob::in_memory(bytes::Bytes::from_static(b"blob"));
    client_with(&proxy.host, 1, chain(&proxy.host, PASSWORD)).push_blob(&repository, &blob).await.unwrap();
    let calls = elsewhere.calls();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].path.contains("signature=x&digest=sha256%3A"), "{}", calls[0].path);
    assert!(!calls[0].headers.contains_key("authorization"));
}

/// A build with Bitbucket's token and a role, and a registry of ECR: the token is exchanged for credentials
/// (STS), those for a login (ECR's API), and that opens the registry. All three by stand-ins: requests to the
/// registry's host reach one as an HTTP proxy.
#[cfg(feature = "ecr")]
#[tokio::test(flavor = "multi_thread")]
async fn ecr_by_the_steps_token() {
    let Some(registry) = DockerRegistry::start(true) else { return };
    let host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
    let seed = client_with(&registry.host, 1, chain(&registry.host, PASSWORD));
    push_base(&seed, &registry.repository("deploy"), "1", &["amd64"]).await;
    let proxy = Proxy::start(&registry.host).await;
    let aws = Proxy::start("127.0.0.1:1").await;
    // How many requests fail yet, to each of STS and ECR: more than the SDK itself tries again.
    let late = std::sync::Arc::new((std::sync::atomic::AtomicUsize::new(4), std::sync::atomic::AtomicUsize::new(4)));
    let fails = |left: &std::sync::atomic::AtomicUsize| {
        let one_less = |left: usize| left.checked_sub(1);
        left.fetch_update(std::sync::atomic::Ordering::SeqCst, std::sync::atomic::Ordering::SeqCst, one_less).is_ok()
    };
    let gives = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let giving = std::sync::Arc::clone(&gives);
    aws.act(move |call| {
        let header = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header("x-amz-target").is_empty() {
            // STS: unsigned, since the token is the proof.
            assert_eq!(header("authorization"), "");
            if fails(&late.0) {
                let body = "<ErrorResponse><Error><Code>IDPCommunicationError</Code><Message>later</Message></Error></ErrorResponse>";
                return Action::Answer(StatusCode::BAD_REQUEST, Vec::new(), body.to_owned());
            }
            let body = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\
                <Credentials><AccessKeyId>ASIAOFTHEROLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>\
                <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/push/x</Arn><AssumedRoleId>id</AssumedRoleId></AssumedRoleUser>\
                </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
            return Action::Answer(StatusCode::OK, vec![("content-type", "text/xml".to_owned())], body.to_owned());
        }
        let json = vec![("content-type", "application/x-amz-json-1.1".to_owned())];
        assert!(header("x-amz-target").ends_with(".GetAuthorizationToken"));
        assert!(header("authorization").contains("Credential=ASIAOFTHEROLE/"), "{}", header("authorization"));
        assert!(header("authorization").contains("/eu-central-1/ecr/"), "{}", header("authorization"));
        if fails(&late.1) {
            return Action::Answer(StatusCode::SERVICE_UNAVAILABLE, Vec::new(), String::new());
        }
        if !giving.load(std::sync::atomic::Ordering::SeqCst) {
            let body = r#"{"__type": "AccessDeniedException", "message": "not authorized to perform: ecr:GetAuthorizationToken"}"#;
            return Action::Answer(StatusCode::BAD_REQUEST, json, body.to_owned());
        }
        let body = format!(r#"{{"authorizationData": [{{"authorizationToken": "{}"}}]}}"#, base64(&format!("AWS:{PASSWORD}")));
        Action::Answer(StatusCode::OK, json, body)
    });
    let directory = tempfile::tempdir().unwrap();
    support::write(directory.path(), &[("site/index.html", "<!doctype html>")]);
    let tagger = tagger(directory.path(), &registry)
        .set("IMAGE_BASE", format!("{host}/deploy:1"))
        .set("IMAGE_REPOSITORY", format!("{host}/webapp"))
        .set("IMAGE_INSECURE_REGISTRIES", host)
        .set("HTTP_PROXY", format!("http://{}", proxy.host))
        .set("NO_PROXY", "127.0.0.1")
        .set("AWS_ENDPOINT_URL", format!("http://{}", aws.host))
        .set("AWS_EC2_METADATA_DISABLED", "true")
        .set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/push")
        .set("BITBUCKET_STEP_OIDC_TOKEN", "the-steps-token");
    let ran = tagger.run(&["cut"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.json()["result"], "cut");
    assert!(!ran.stderr.contains(PASSWORD) && !ran.stderr.contains("the-steps-token"));
    // Of STS and of ECR, four failures each were waited for. One login serves the whole run: the last request
    // brought it. Credentials are asked for anew with each login.
    assert_eq!(aws.calls().iter().filter(|call| call.headers.contains_key("x-amz-target")).count(), 5);
    pull_whole(&seed, &registry.repository("webapp").tagged("1.0.0".parse().unwrap())).await;

    gives.store(false, std::sync::atomic::Ordering::SeqCst);
    let denied = tagger.run(&["cut"]);
    assert_eq!(denied.code, 3, "{}", denied.stderr);
    assert!(denied.stderr.contains("ecr:GetAuthorizationToken"), "{}", denied.stderr);
}

/// HTTPS is what a registry is spoken to by; one that does not speak it is named, at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_https() {
    let Some(registry) = DockerRegistry::start(false) else { return };
    let directory = tempfile::tempdir().unwrap();
    support::write(directory.path(), &[("site/index.html", "<!doctype html>")]);
    let ran = tagger(directory.path(), &registry).set("IMAGE_INSECURE_REGISTRIES", "").run(&["cut"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("IMAGE_INSECURE_REGISTRIES"), "{}", ran.stderr);
}
