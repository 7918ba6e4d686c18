//! Cutting images against a real registry: Debian's `docker-registry`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests, and so are their helper functions")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use image_tagger::reference::{Digest, Reference};
use image_tagger::registry::{Policy, Registry as _};
use serde_json::Value;
use support::registry::DockerRegistry;
use support::{COMMIT, Tagger, client, has, pull_whole, push_base, real_site, request, small_site, try_cut, write};

/// A registry with a base image in it.
async fn registry(architectures: &[&str]) -> Option<(DockerRegistry, Reference)> {
    let registry = DockerRegistry::start(false)?;
    let base = registry.repository("deploy");
    push_base(&client(&registry.host, 1), &base, "1.0.0", architectures).await;
    let base = base.tagged("1.0.0".parse().unwrap());
    Some((registry, base))
}

/// The program, as a pipeline that builds the git tag `v{version}` starts it.
fn pipeline(directory: &Path, registry: &DockerRegistry, base: &Reference, site: &Path, version: &str) -> Tagger {
    fs::write(directory.join("package.json"), format!(r#"{{"name": "webapp", "version": "{version}"}}"#)).unwrap();
    Tagger::new(directory, &registry.host)
        .set("IMAGE_SITE", site.display())
        .set("IMAGE_BASE", base)
        .set("IMAGE_REPOSITORY", registry.repository("webapp"))
        .set("BITBUCKET_TAG", format!("v{version}"))
        .set("BITBUCKET_COMMIT", COMMIT)
        .set("BITBUCKET_BUILD_NUMBER", 7)
        .set("BITBUCKET_REPO_FULL_NAME", "example/webapp")
        .set("BITBUCKET_PIPELINES_VARIABLES_PATH", directory.join("variables").display())
        .set("SOURCE_DATE_EPOCH", 1_767_225_600)
}

fn skopeo(args: &[&str]) -> Value {
    let output = Command::new("skopeo").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn files_below(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                files.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Guarantees 19 and 20, as a third party sees them.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_site_comes_back_as_it_was() {
    let Some(site) = real_site("streamlit-1.46.0") else { return };
    if !has("skopeo") {
        return;
    }
    let Some((registry, base)) = registry(&["amd64", "arm64"]).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let ran = pipeline(directory.path(), &registry, &base, &site, "1.46.0").run(&["cut"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let json = ran.json();
    assert_eq!(json["result"], "cut");
    assert_eq!(json["tag"], "1.46.0");

    let image = format!("docker://{}", json["image"].as_str().unwrap());
    for architecture in ["amd64", "arm64"] {
        let inspected = skopeo(&[
            "--override-os",
            "linux",
            "--override-arch",
            architecture,
            "inspect",
            "--tls-verify=false",
            &image,
        ]);
        assert_eq!(inspected["Digest"], json["digest"]);
        assert_eq!(inspected["Architecture"], architecture);
        assert_eq!(inspected["Labels"]["org.opencontainers.image.version"], "1.46.0");
        assert_eq!(inspected["Labels"]["org.opencontainers.image.revision"], COMMIT);
        assert_eq!(inspected["Labels"]["org.opencontainers.image.source"], "https://bitbucket.org/example/webapp");
        assert_eq!(inspected["Created"], "2026-01-01T00:00:00Z");
        let environment: Vec<_> =
            inspected["Env"].as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
        assert_eq!(
            environment,
            [
                "SSL_CERT_FILE=/ca.pem",
                "DEPLOY_SOURCE=/site",
                "DEPLOY_SITE_MANIFEST=/site.manifest.json",
                "DEPLOY_VERSION=1.46.0",
                "DEPLOY_BUILD=7",
                &format!("DEPLOY_COMMIT={COMMIT}"),
            ]
        );
    }

    let pulled = directory.path().join("pulled");
    let target = format!("dir:{}", pulled.display());
    skopeo(&[
        "--override-os",
        "linux",
        "--override-arch",
        "arm64",
        "--insecure-policy",
        "copy",
        "--src-tls-verify=false",
        &image,
        &target,
    ]);
    let manifest: Value = serde_json::from_slice(&fs::read(pulled.join("manifest.json")).unwrap()).unwrap();
    let layer = manifest["layers"].as_array().unwrap().last().unwrap()["digest"].as_str().unwrap().to_owned();
    let unpacked = directory.path().join("unpacked");
    let layer = fs::File::open(pulled.join(layer.strip_prefix("sha256:").unwrap())).unwrap();
    tar::Archive::new(flate2::read::GzDecoder::new(layer)).unpack(&unpacked).unwrap();
    let files = files_below(&site);
    assert!(files.len() > 100, "{}", files.len());
    assert_eq!(files_below(&unpacked.join("site")), files);
    for file in &files {
        assert!(fs::read(unpacked.join("site").join(file)).unwrap() == fs::read(site.join(file)).unwrap(), "{file}");
    }

    let inspected = Tagger::new(directory.path(), &registry.host).run(&["inspect", json["image"].as_str().unwrap()]);
    assert_eq!(inspected.code, 0, "{}", inspected.stderr);
    let inspected = inspected.json();
    assert_eq!(inspected["release"]["version"], "1.46.0");
    assert_eq!(inspected["build"], "7");
    assert_eq!(inspected["base"], base.to_string());
    assert_eq!(inspected["site"]["files"].as_array().unwrap().len(), files.len());
    assert_eq!(inspected["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
}

/// Guarantee 19: a re-run pipeline, with another build number and fresh dates and modes.
#[tokio::test(flavor = "multi_thread")]
async fn cutting_the_same_again_changes_nothing() {
    let Some((registry, base)) = registry(&["amd64"]).await else { return };
    let site = small_site();
    let directory = tempfile::tempdir().unwrap();
    let tagger = pipeline(directory.path(), &registry, &base, site.path(), "1.4.2");
    let first = tagger.run(&["cut"]).json();
    assert_eq!(first["result"], "cut");
    let stored = registry.stored();

    let page = site.path().join("index.html");
    fs::File::options().append(true).open(&page).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&page, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let ran = tagger.set("BITBUCKET_BUILD_NUMBER", 8).set("SOURCE_DATE_EPOCH", 1_767_300_000).run(&["cut"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let again = ran.json();
    assert_eq!(again["result"], "unchanged");
    assert_eq!(again["digest"], first["digest"]);
    assert_eq!(again["build"], "7");
    assert_eq!(again["blobs"]["sent"], 0);
    assert_eq!(registry.stored(), stored);

    let variables = fs::read_to_string(directory.path().join("variables")).unwrap();
    let expected = format!(
        "RELEASE_VERSION=1.4.2\nRELEASE_TAG=1.4.2\nRELEASE_DIGEST={0}\nRELEASE_REFERENCE={1}@{0}\n",
        first["digest"].as_str().unwrap(),
        registry.repository("webapp")
    );
    assert_eq!(variables, expected.repeat(2));
}

/// Guarantee 20: the same site and base give the same digest, in another repository too.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_gives_the_same_digest() {
    let Some((registry, base)) = registry(&["amd64", "arm64"]).await else { return };
    let client = client(&registry.host, 1);
    let mut digests = Vec::new();
    for repository in ["a", "b"] {
        let site = small_site();
        let repository = registry.repository(repository);
        let outcome = try_cut(&client, &request(site.path(), &base, &repository, "1.0.0")).await.unwrap();
        assert_eq!(outcome.blobs.mounted, 2, "{:?}", outcome.blobs);
        pull_whole(&client, &repository.tagged(outcome.tag)).await;
        digests.push(outcome.digest);
    }
    assert_eq!(digests[0], digests[1]);
}

/// Guarantee 19: whatever of the identity differs.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_never_another_image() {
    let Some((registry, base)) = registry(&["amd64"]).await else { return };
    let other_base = registry.repository("deploy").tagged("1.0.1".parse().unwrap());
    push_base(&client(&registry.host, 1), &other_base.repository, "1.0.1", &["arm64"]).await;
    let site = small_site();
    let directory = tempfile::tempdir().unwrap();
    let tagger = || pipeline(directory.path(), &registry, &base, site.path(), "1.4.2");
    let first = tagger().run(&["cut"]).json();
    let stored = registry.stored();

    let other_commit = tagger().set("BITBUCKET_COMMIT", "0".repeat(40)).run(&["cut"]);
    assert_eq!(other_commit.code, 4, "{}", other_commit.stderr);
    assert!(
        other_commit.stderr.contains("differing: commit") && other_commit.stderr.contains(COMMIT),
        "{}",
        other_commit.stderr
    );
    let with_other_base = tagger().set("IMAGE_BASE", &other_base).run(&["cut"]);
    assert_eq!(with_other_base.code, 4);
    assert!(with_other_base.stderr.contains("differing: base image"), "{}", with_other_base.stderr);
    write(site.path(), &[("index.html", "<!doctype html>changed")]);
    let other_site = tagger().run(&["cut"]);
    assert_eq!(other_site.code, 4);
    assert!(other_site.stderr.contains("differing: site"), "{}", other_site.stderr);
    assert_eq!(other_site.json()["error"]["class"], "conflict");

    assert_eq!(registry.stored(), stored);
    let image: Reference = first["image"].as_str().unwrap().parse().unwrap();
    let there = pull_whole(&client(&registry.host, 1), &image).await;
    assert_eq!(there.digest().to_string(), first["digest"].as_str().unwrap());
}

/// A tag somebody set by other means is nobody's to move.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_image_under_the_tag_is_left_alone() {
    let Some((registry, base)) = registry(&["amd64"]).await else { return };
    let client = client(&registry.host, 1);
    let repository = registry.repository("webapp");
    push_base(&client, &repository, "1.0.0", &["arm64"]).await;
    let site = small_site();
    let error = try_cut(&client, &request(site.path(), &base, &repository, "1.0.0")).await.unwrap_err();
    assert_eq!(error.class().exit_code(), 4);
    assert!(error.to_string().contains("not made by image-tagger"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cuts_of_the_same_at_once() {
    let Some((registry, base)) = registry(&["amd64"]).await else { return };
    let client = client(&registry.host, Policy::default().attempts);
    for round in 0..10 {
        let repository = registry.repository(&format!("same-{round}"));
        let (one, other) = (small_site(), small_site());
        let mut second = request(other.path(), &base, &repository, "1.0.0");
        second.build = Some(8);
        let first = request(one.path(), &base, &repository, "1.0.0");
        let (a, b) = tokio::join!(try_cut(&client, &first), try_cut(&client, &second));
        // Each stands by what it saw last; both are the same release, and whole.
        for outcome in [a.unwrap(), b.unwrap()] {
            pull_whole(&client, &repository.at(outcome.digest)).await;
        }
        pull_whole(&client, &repository.tagged("1.0.0".parse().unwrap())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cuts_of_different_sites_at_once_leave_one_whole_image() {
    let Some((registry, base)) = registry(&["amd64"]).await else { return };
    let client = client(&registry.host, Policy::default().attempts);
    for round in 0..10 {
        let repository = registry.repository(&format!("other-{round}"));
        let (one, other) = (small_site(), small_site());
        write(other.path(), &[("index.html", "another")]);
        let (first, second) =
            (request(one.path(), &base, &repository, "1.0.0"), request(other.path(), &base, &repository, "1.0.0"));
        let (a, b) = tokio::join!(try_cut(&client, &first), try_cut(&client, &second));
        let there = pull_whole(&client, &repository.tagged("1.0.0".parse().unwrap())).await.digest();
        let won: Vec<Digest> =
            [&a, &b].into_iter().filter_map(|result| result.as_ref().ok()).map(|outcome| outcome.digest).collect();
        assert!(won.contains(&there), "the tag names {there}, and those that succeeded are {won:?}");
        for error in [a.err(), b.err()].into_iter().flatten() {
            assert_eq!(error.class().exit_code(), 4, "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_gets_a_tag_of_its_own_kind() {
    let Some((registry, base)) = registry(&["amd64"]).await else { return };
    let site = small_site();
    let directory = tempfile::tempdir().unwrap();
    let tagger = pipeline(directory.path(), &registry, &base, site.path(), "1.4.2")
        .set("BITBUCKET_TAG", "")
        .set("BITBUCKET_BRANCH", "feature/Login");
    let tags = tagger.run(&["tags"]).json();
    let cut = tagger.run(&["cut"]).json();
    assert_eq!(cut["tag"], "branch-feature-login-7f2c0a9d41be");
    assert_eq!((&tags["tag"], &tags["image"], &tags["version"]), (&cut["tag"], &cut["image"], &cut["version"]));
    assert_eq!(cut["channel"], "branch");
}

/// The program at a terminal of `script` (util-linux); what the terminal was sent.
#[cfg(target_os = "linux")]
fn at_terminal(tagger: Tagger, arguments: &str) -> String {
    let program = tagger.set("IMAGE_LOG", "auto").set("TERM", "xterm").command(&[]);
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command"]);
    script.arg(format!("stty cols 100; {} {arguments}", program.get_program().to_str().unwrap())).arg("/dev/null");
    let variables = program.get_envs().filter_map(|(name, value)| Some((name, value?)));
    script.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).envs(variables);
    script.current_dir(program.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
    String::from_utf8(script.output().unwrap().stdout).unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn progress_at_a_terminal_is_gone_before_the_result() {
    if !has("script") || !has("stty") {
        return;
    }
    let Some((registry, base)) = registry(&["amd64"]).await else { return };
    let site = small_site();
    let directory = tempfile::tempdir().unwrap();
    let tagger = || pipeline(directory.path(), &registry, &base, site.path(), "1.4.2");
    let shown = at_terminal(tagger(), "cut");
    let (progress, result) = shown.rsplit_once('\u{1b}').unwrap();
    assert!(progress.contains("pushing [") && progress.contains("tagging"), "{shown:?}");
    // The last that is done to the line is that it is cleared, and the result has it for itself.
    let result = result.replace("\r\n", "\n");
    assert!(result.starts_with(&format!("[2Kcut {}:1.4.2\n", registry.repository("webapp"))), "{shown:?}");
    assert_eq!(result.lines().count(), 5, "{shown:?}");

    let missing = registry.repository("none").tagged("1".parse().unwrap());
    let shown = at_terminal(tagger(), &format!("cut --base {missing}"));
    assert!(shown.rsplit_once('\u{1b}').unwrap().1.starts_with(&format!("[2Kimage-tagger: {missing}: ")), "{shown:?}");
}

/// An image that docker built, tagged afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn tag_names_an_image_without_pulling_it() {
    let Some((registry, base)) = registry(&["amd64"]).await else { return };
    let client = client(&registry.host, 1);
    let repository = registry.repository("webapp");
    let built = push_base(&client, &repository, "built", &["amd64"]).await;
    let site = small_site();
    let directory = tempfile::tempdir().unwrap();
    let tagger = pipeline(directory.path(), &registry, &base, site.path(), "1.4.2");
    let source = format!("{repository}:built");
    for result in ["tagged", "unchanged"] {
        let ran = tagger.run(&["tag", &source]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ran.json()["result"], result);
        assert_eq!(ran.json()["digest"], built.to_string());
    }
    pull_whole(&client, &repository.tagged("1.4.2".parse().unwrap())).await;

    push_base(&client, &repository, "built", &["arm64"]).await;
    let other = tagger.run(&["tag", &source]);
    assert_eq!(other.code, 4, "{}", other.stderr);
    let elsewhere = tagger.run(&["tag", &base.to_string()]);
    assert_eq!(elsewhere.code, 2, "{}", elsewhere.stderr);
    let missing = tagger.run(&["tag", &format!("{repository}:none")]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);

    // An image that says its version is not tagged as another.
    let site_of_4 = pipeline(directory.path(), &registry, &base, site.path(), "1.4.4").run(&["cut"]).json();
    let ran = pipeline(directory.path(), &registry, &base, site.path(), "1.4.5")
        .run(&["tag", site_of_4["image"].as_str().unwrap()]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("is version 1.4.4, and was to be tagged as 1.4.5"), "{}", ran.stderr);
}

/// Rules go into the image, for `deploy` to follow.
#[tokio::test(flavor = "multi_thread")]
async fn rules_are_carried() {
    let Some((registry, base)) = registry(&["amd64"]).await else { return };
    let client = client(&registry.host, 1);
    let site = small_site();
    let rules = tempfile::NamedTempFile::new().unwrap();
    fs::write(rules.path(), "[[rule]]\nglob = \"*.html\"\ncontent-encoding = \"gzip\"\n").unwrap();
    let repository = registry.repository("webapp");
    let plain = request(site.path(), &base, &repository, "1.0.0");
    try_cut(&client, &plain).await.unwrap();
    let carrying = image_tagger::cut::Request { rules: Some(rules.path().to_owned()), ..plain };
    assert_eq!(try_cut(&client, &carrying).await.unwrap_err().class().exit_code(), 4);
    let repository = registry.repository("ruled");
    let carrying = image_tagger::cut::Request { repository: repository.clone(), ..carrying };
    let outcome = try_cut(&client, &carrying).await.unwrap();
    let manifest = client.manifest(&repository.at(outcome.digest)).await.unwrap().unwrap().json().unwrap();
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("config");
    client.pull_blob(&repository, image_tagger::image::config(&manifest).unwrap(), &path).await.unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("DEPLOY_RULES=/site-rules.toml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let Some((registry, base)) = registry(&["amd64"]).await else { return };
    let site = small_site();
    let directory = tempfile::tempdir().unwrap();
    let tagger = || pipeline(directory.path(), &registry, &base, site.path(), "1.4.2");
    let missing_base =
        tagger().set("IMAGE_BASE", registry.repository("deploy").tagged("9.9.9".parse().unwrap())).run(&["cut"]);
    assert_eq!(missing_base.code, 2);
    assert!(missing_base.stderr.contains("deploy:9.9.9: there is no such image"), "{}", missing_base.stderr);
    let missing_site = tagger().set("IMAGE_SITE", "/nonexistent").run(&["cut"]);
    assert_eq!(missing_site.code, 2);
    let wrong_version = tagger().set("BITBUCKET_TAG", "v1.4.3").run(&["cut"]);
    assert_eq!(wrong_version.code, 2);
    assert!(
        wrong_version.stderr.contains("BITBUCKET_TAG says version 1.4.3, and package.json says 1.4.2"),
        "{}",
        wrong_version.stderr
    );
    assert_eq!(
        client(&registry.host, 1)
            .manifest(&registry.repository("webapp").tagged("1.4.2".parse().unwrap()))
            .await
            .unwrap(),
        None
    );
    let nothing = Tagger::new(directory.path(), &registry.host).run(&["cut"]);
    assert_eq!(nothing.code, 2);
    assert_eq!(nothing.stderr.lines().count(), 3, "{}", nothing.stderr);
    let secret = tagger().set("IMAGE_USERNAME", "ci").set("IMAGE_PASSWORD", "hunter2").run(&["config"]);
    assert_eq!(secret.code, 0, "{}", secret.stderr);
    assert!(secret.stdout.contains("IMAGE_PASSWORD") && !secret.stdout.contains("hunter2"));
}
